"""Losses of each element: two arrays are read, for the gradient one is written."""

from .case import F32, Case

_SHAPES = (
    ((32, 10), "a small model's outputs: the call"),
    ((4096, 1000), "several labels for each picture"),
)
_OPS = (
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "binary_cross_entropy_with_logits",
    "poisson_nll_loss",
)


def losses():
    for op in _OPS:
        for (rows, cols), why in _SHAPES:
            for mode in ("fwd", "fwd+bwd"):
                n = F32 * rows * cols
                yield Case(
                    "loss",
                    "loss " + mode,
                    "loss",
                    f"{op} ({rows},{cols})",
                    why,
                    mode,
                    {"op": op, "shape": (rows, cols)},
                    reads=2 * n,
                    writes=n * (mode != "fwd"),
                )
