"""Normalization."""

from math import prod

from .case import F32, Case


def norms():
    rows, cols = 8192, 768
    shape = (32, 64, 56, 56)
    pieces = (
        ("layer_norm", f"layer norm ({rows},{cols})", rows * cols, ("torch",)),
        ("batch_norm", "batch norm 32x64x56x56", prod(shape), ("torch", "torch-cl")),
    )
    reasons = {
        "layer_norm": "a transformer's rows: in cache for every pass but the first",
        "batch_norm": "ResNet's first block in training, with running statistics",
    }
    for kind, name, n, peers in pieces:
        for mode in ("fwd", "fwd+bwd"):
            both = mode != "fwd"
            yield Case(
                "norm",
                f"{kind} {mode}",
                kind,
                name,
                reasons[kind],
                mode,
                {"rows": rows, "cols": cols, "shape": shape},
                peers=peers,
                reads=F32 * n * (1 + 2 * both),
                writes=F32 * n * (1 + both),
                tolerance=1e-4,
            )
