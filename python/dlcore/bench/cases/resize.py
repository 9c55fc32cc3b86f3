"""Resize, pad, grid_sample."""

from math import prod

from .case import F32, Case

_RESIZES = (
    ("bilinear", (8, 64, 64, 64), 128, "a decoder's step up, many channels"),
    ("bilinear", (8, 3, 512, 512), 224, "a photograph made small: three channels"),
    ("bicubic", (8, 64, 64, 64), 128, "sixteen taps to a pixel"),
    ("bicubic", (8, 3, 512, 512), 224, "the same to make small"),
    ("nearest", (8, 64, 64, 64), 128, "a copy to four places"),
    ("nearest", (8, 64, 128, 128), 64, "every second pixel"),
)


def _geometry(kind, name, why, mode, sizes, x, y):
    both = mode != "fwd"
    return Case(
        "resize",
        f"{kind} {mode}",
        kind,
        name,
        why,
        mode,
        sizes,
        reads=F32 * (x + y * both),
        writes=F32 * (y + x * both),
        tolerance=1e-4,
    )


def resizes():
    for mode in ("fwd", "fwd+bwd"):
        for how, shape, out, why in _RESIZES:
            yield _geometry(
                "interpolate",
                f"{how} {'x'.join(map(str, shape))} to {out}",
                why,
                mode,
                {"shape": shape, "out": out, "how": how},
                prod(shape),
                shape[0] * shape[1] * out**2,
            )
        for how, pad in (("constant", 1), ("reflect", 1), ("replicate", 3)):
            shape = (32, 64, 56, 56)
            yield _geometry(
                "pad",
                f"pad {how} {pad} 32x64x56x56",
                "before a convolution: one copy",
                mode,
                {"shape": shape, "pad": (pad,) * 4, "how": how},
                prod(shape),
                32 * 64 * (56 + 2 * pad) ** 2,
            )
        for how, shape in (
            ("bilinear", (8, 3, 224, 224)),
            ("bilinear", (8, 64, 56, 56)),
            ("bicubic", (8, 3, 224, 224)),
        ):
            yield _geometry(
                "grid_sample",
                f"grid_sample {how} {'x'.join(map(str, shape))}",
                "a spatial transformer: the picture turned",
                mode,
                {"shape": shape, "how": how},
                prod(shape) + shape[0] * shape[2] * shape[3] * 2,
                prod(shape),
            )
