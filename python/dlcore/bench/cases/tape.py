"""What recording and going back costs, and gradients of gradients."""

from .case import Case


def tapes():
    yield Case(
        "tape",
        "tape of one row",
        "linear_row",
        "Linear 10 -> 16, one row",
        "nothing but overhead: a module, its record, the walk",
        "fwd+bwd",
        flops=6.0 * 10 * 16,
        tolerance=1e-5,
    )
    # Three convolutions, of which a step has the result, its gradient by x, and both
    # gradients of these two.
    work = sum(2.0 * 16 * c * k * 16 * n * n for c, k, n in _LAYERS)
    yield Case(
        "tape",
        "tape of gradients",
        "penalty",
        "WGAN-GP penalty, three convolutions, b16 3x32x32",
        "a gradient of a gradient",
        "step",
        {"batch": 16, "layers": _LAYERS},
        flops=6 * work,
        tolerance=1e-3,
    )


_LAYERS = ((3, 64, 16), (64, 128, 8), (128, 256, 4))  # channels in, out, size out
