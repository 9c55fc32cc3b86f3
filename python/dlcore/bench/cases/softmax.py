"""Softmax and losses."""

from .case import F32, Case


def softmaxes():
    reasons = (
        ((4096, 1000), "ImageNet's classes"),
        ((128, 32000), "a language model's words: a row past the first-level cache"),
        ((98304, 128), "attention's rows: short and many"),
    )
    for op in ("softmax", "log_softmax", "cross_entropy"):
        for (rows, cols), why in reasons:
            for mode in ("fwd", "fwd+bwd"):
                n = F32 * rows * cols
                loss, both = op == "cross_entropy", mode != "fwd"
                fast = () if loss else ("onnxruntime",)
                yield Case(
                    "softmax",
                    "softmax " + mode,
                    op,
                    f"{op} ({rows},{cols})",
                    why,
                    mode,
                    {"rows": rows, "cols": cols},
                    peers=("torch",) if both else ("numpy", "torch", *fast),
                    reads=n * (1 + both) + (n * both if not loss else 0),
                    writes=n * (not loss) + n * both,
                )
    rows, inside, cols = 1024, 512, 32000
    for mode in ("fwd", "fwd+bwd"):
        both = mode != "fwd"
        yield Case(
            "softmax",
            "linear_cross_entropy " + mode,
            "linear_cross_entropy",
            f"linear_cross_entropy ({rows},{inside})->{cols}",
            "a language model's last layer and loss; PyTorch holds all scores",
            mode,
            {"rows": rows, "inside": inside, "cols": cols},
            flops=2 * rows * inside * cols * (1 + 2 * both),
            tolerance=1e-4,
        )
