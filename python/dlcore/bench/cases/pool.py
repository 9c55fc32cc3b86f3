"""Pooling."""

from math import prod

from .case import F32, Case


def _pool(mode, op, args, name, channels, sizes, out, batch, why):
    x, y = (batch * channels * prod(one) for one in (sizes, out))
    both = mode != "fwd"
    return Case(
        "pool",
        "pool " + mode,
        "pool",
        f"{name} {batch}x{channels}x{'x'.join(map(str, sizes))}",
        why,
        mode,
        {
            "op": op,
            "args": args,
            "x": (batch, channels, *sizes),
            "y": (batch, channels, *out),
        },
        peers=("torch", "torch-cl") if len(sizes) > 1 else ("torch",),
        reads=F32 * (x + y * both),
        writes=F32 * (y + x * both),
    )


def pools():
    window = (
        # op, its arguments, name, channels, sizes, sizes of the result, why
        ("max", (2,), "max 2x2", 64, (112,) * 2, (56,) * 2, "VGG, U-Net"),
        ("max", (3, 2, 1), "max 3x3s2", 64, (112,) * 2, (56,) * 2, "ResNet's first"),
        ("avg", (2,), "avg 2x2", 64, (112,) * 2, (56,) * 2, "DenseNet's transitions"),
        ("avg", (3, 2, 1), "avg 3x3s2", 64, (112,) * 2, (56,) * 2, "with padding"),
        ("avg", (3, 1, 1), "avg 3x3s1", 64, (56,) * 2, (56,) * 2, "Inception's branch"),
        ("max", (4,), "max 4", 64, (16000,), (4000,), "a second of sound"),
        ("avg", (3, 2, 1), "avg 3s2", 64, (16000,), (8000,), "the same, smoothed"),
        ("max", (2,), "max 2x2x2", 32, (16, 56, 56), (8, 28, 28), "video"),
        ("avg", (2,), "avg 2x2x2", 32, (16, 56, 56), (8, 28, 28), "video"),
        ("max", (3, 2, 1), "max 3x3x3s2", 32, (16, 56, 56), (8, 28, 28), "video"),
    )
    parts = (
        (1, "adaptive avg to 1x1", 2048, 7, "before ResNet's last layer"),
        (7, "adaptive avg to 7x7", 512, 14, "before VGG's, of a larger picture"),
    )
    for mode in ("fwd", "fwd+bwd"):
        for batch in (1, 32):
            for which, args, name, channels, sizes, out, why in window:
                n = min(batch, 8) if len(sizes) == 3 else batch
                op = f"{which}_pool{len(sizes)}d"
                yield _pool(mode, op, args, name, channels, sizes, out, n, why)
            for size, name, channels, side, why in parts:
                op, sizes, out = "adaptive_avg_pool2d", (side,) * 2, (size,) * 2
                yield _pool(mode, op, (size,), name, channels, sizes, out, batch, why)
