"""Normalization."""

from math import prod

from .case import F32, Case

# Activations of ResNet-18 and 50, in training batches
_PICTURES = (
    ((1, 64, 112, 112), "the first, of one picture"),
    ((4, 64, 56, 56), "a small batch, in the last cache"),
    ((1, 256, 56, 56), "many short channels"),
    ((32, 64, 56, 56), "ResNet's first block in training, with running statistics"),
    ((32, 256, 56, 56), "past every cache"),
    ((8, 512, 28, 28), "a channel fits the second-level cache"),
    ((32, 256, 14, 14), "rows of 196"),
    ((32, 512, 7, 7), "rows of 49, no whole number of vectors"),
)


def norms():
    for mode in ("fwd", "fwd+bwd"):
        rows, cols = 8192, 768
        yield _norm(
            "layer_norm",
            f"layer norm ({rows},{cols})",
            "a transformer's rows: in cache for every pass but the first",
            mode,
            {"rows": rows, "cols": cols},
            rows * cols,
            ("torch",) if mode != "fwd" else ("torch", "onnxruntime"),
        )
        for kind, arrays in (("rms_norm", 1), ("add_layer_norm", 2)):
            yield _norm(
                kind,
                f"{kind.replace('_', ' ')} ({rows},{cols})",
                "the same of RMS norm, and of a sum",
                mode,
                {"rows": rows, "cols": cols},
                rows * cols,
                ("torch",),
                arrays,
            )
        for shape, why in _PICTURES:
            for kind, arrays in (("batch_norm", 1), ("batch_norm_add_relu", 2)):
                name = kind.replace("_", " ") + " " + "x".join(map(str, shape))
                peers = "torch", "torch-cl"
                sizes = {"shape": shape}
                yield _norm(kind, name, why, mode, sizes, prod(shape), peers, arrays)


def _norm(kind, name, why, mode, sizes, n, peers, arrays=1):
    both = mode != "fwd"
    result = arrays > 1  # which backward reads to see what relu cut
    return Case(
        "norm",
        f"{kind} {mode}",
        kind,
        name,
        why,
        mode,
        sizes,
        peers=peers,
        reads=F32 * n * (arrays + (2 + result) * both),
        writes=F32 * n * (1 + arrays * both),
        # A sum that rounding moves across 0 is cut by one and not by the other, and
        # the weight's gradient has one term more.
        tolerance=1e-2 if result else 1e-4,
    )
