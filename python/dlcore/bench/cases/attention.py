"""Attention of whole sequences, and of one query in decoding."""

from .case import F32, Case

_SIZES = (  # batch, heads, length, depth, causal
    ((8, 12, 512, 64, False), "an encoder's layer"),
    ((8, 12, 512, 64, True), "a decoder's layer in training"),
    ((1, 16, 4096, 64, True), "a long text: keys and values past L2"),
)


def attentions():
    for mode in ("fwd", "fwd+bwd"):
        for (batch, heads, length, depth, causal), why in _SIZES:
            both = mode != "fwd"
            n = F32 * batch * heads * length * depth
            products = 2.0 * batch * heads * length**2 * depth * (0.5 if causal else 1)
            yield Case(
                "attention",
                f"attention{' causal' * causal} {mode}",
                "attention",
                f"B{batch} H{heads} T{length} D{depth}{' causal' * causal}",
                why,
                mode,
                {
                    "q": (batch, heads, length, depth),
                    "k": (batch, heads, length, depth),
                    "causal": causal,
                },
                peers=("torch",) if both else ("torch", "onnxruntime"),
                flops=products * (2 + 5 * both),
                reads=n * (3 + 5 * both),
                writes=n * (1 + 3 * both),
                tolerance=1e-4,
            )
    for batch, heads, why in (
        (1, 16, "decoding: one query, keys and values read once"),
        (8, 12, "decoding of a batch: past every cache"),
    ):
        keys = (batch, heads, 4096, 64)
        n = F32 * batch * heads * 4096 * 64
        yield Case(
            "attention",
            "attention decode",
            "attention",
            f"decode B{batch} H{heads} q1 k4096 D64",
            why,
            sizes={"q": (batch, heads, 1, 64), "k": keys, "causal": False},
            peers=("torch", "onnxruntime"),
            flops=n,
            reads=2 * n,
            tolerance=1e-4,
        )
