"""Convolutions."""

from math import prod

from .case import F32, Case

# (channels, size, out_channels, kernel, stride, padding): all of ResNet-50's
RESNET50_CONVS = (
    (3, 224, 64, 7, 2, 3),
    (64, 56, 64, 1, 1, 0),
    (64, 56, 64, 3, 1, 1),
    (64, 56, 256, 1, 1, 0),
    (256, 56, 64, 1, 1, 0),
    (256, 56, 128, 1, 1, 0),
    (128, 56, 128, 3, 2, 1),
    (128, 28, 512, 1, 1, 0),
    (256, 56, 512, 1, 2, 0),
    (512, 28, 128, 1, 1, 0),
    (128, 28, 128, 3, 1, 1),
    (512, 28, 256, 1, 1, 0),
    (256, 28, 256, 3, 2, 1),
    (256, 14, 1024, 1, 1, 0),
    (512, 28, 1024, 1, 2, 0),
    (1024, 14, 256, 1, 1, 0),
    (256, 14, 256, 3, 1, 1),
    (1024, 14, 512, 1, 1, 0),
    (512, 14, 512, 3, 2, 1),
    (512, 7, 2048, 1, 1, 0),
    (1024, 14, 2048, 1, 2, 0),
    (2048, 7, 512, 1, 1, 0),
    (512, 7, 512, 3, 1, 1),
)
ALEXNET_FIRST = (3, 224, 64, 11, 4, 2)


def _conv(shape, batch, why, mode):
    channels, size, out_channels, kernel, stride, padding = shape
    out = (size + 2 * padding - kernel) // stride + 1
    times = 1 if mode == "fwd" else 3
    x, y = batch * channels * size**2, batch * out_channels * out**2
    weight = out_channels * channels * kernel**2
    both = mode != "fwd"
    return Case(
        "conv2d",
        "conv2d " + mode,
        "conv2d",
        f"b{batch} {channels}x{size}x{size}->{out_channels} {kernel}x{kernel}s{stride}",
        why,
        mode,
        {"batch": batch, "shape": shape},
        peers=("torch", "torch-cl"),
        flops=2.0 * times * y * channels * kernel**2,
        reads=F32 * (x + weight + (x + weight + y) * both),
        writes=F32 * (y + (x + weight) * both),
        tolerance=2e-4,
    )


def convs():
    for mode in ("fwd", "fwd+bwd"):
        for shape in RESNET50_CONVS:
            yield _conv(shape, 1, "ResNet-50, one picture", mode)
        for shape in RESNET50_CONVS:
            if shape[3:5] == (3, 1):
                yield _conv(shape, 32, "ResNet-50's 3x3, a training batch", mode)
        yield _conv(
            ALEXNET_FIRST, 1, "AlexNet's first layer: 3 channels, a large kernel", mode
        )


# op, x, weight, stride, padding, groups: the other convolutions
CONVS = {
    "MobileNet's depthwise": (
        ("conv2d", (1, 32, 112, 112), (32, 1, 3, 3), 1, 1, 32),
        ("conv2d", (1, 64, 112, 112), (64, 1, 3, 3), 2, 1, 64),
        ("conv2d", (1, 128, 56, 56), (128, 1, 3, 3), 1, 1, 128),
        ("conv2d", (1, 256, 28, 28), (256, 1, 3, 3), 2, 1, 256),
        ("conv2d", (1, 512, 14, 14), (512, 1, 3, 3), 1, 1, 512),
        ("conv2d", (1, 1024, 7, 7), (1024, 1, 3, 3), 1, 1, 1024),
    ),
    "a layer over sound": (
        ("conv1d", (16, 64, 4096), (128, 64, 5), 1, 2, 1),
        ("conv1d", (1, 80, 3000), (384, 80, 3), 1, 1, 1),
        ("conv1d", (1, 384, 3000), (384, 384, 3), 2, 1, 1),
    ),
    "a layer over a film": (
        ("conv3d", (2, 16, 16, 56, 56), (32, 16, 3, 3, 3), 1, 1, 1),
        ("conv3d", (1, 64, 8, 28, 28), (64, 64, 3, 3, 3), 1, 1, 1),
    ),
    "upsampling, as in U-Net and DCGAN": (
        ("conv_transpose1d", (1, 128, 400), (128, 64, 16), 8, 4, 1),
        ("conv_transpose2d", (1, 256, 32, 32), (256, 128, 2, 2), 2, 0, 1),
        ("conv_transpose2d", (16, 128, 16, 16), (128, 64, 4, 4), 2, 1, 1),
        ("conv_transpose3d", (1, 64, 8, 14, 14), (64, 32, 2, 2, 2), 2, 0, 1),
    ),
}


def other_convs():
    for mode in ("fwd", "fwd+bwd"):
        for why, layers in CONVS.items():
            for op, x, weight, stride, padding, groups in layers:
                transposed = "transpose" in op
                out = [
                    (n - 1) * stride - 2 * padding + k
                    if transposed
                    else (n + 2 * padding - k) // stride + 1
                    for n, k in zip(x[2:], weight[2:], strict=True)
                ]
                y = x[0], weight[transposed] * (groups if transposed else 1), *out
                side = x if transposed else y
                times, both = (1, 0) if mode == "fwd" else (3, 1)
                group = "depthwise" if groups > 1 else op.rstrip("123d")
                group = op if group == "conv" else group
                yield Case(
                    "conv",
                    f"{group} {mode}",
                    "conv",
                    f"{op} {'x'.join(map(str, x))} by {'x'.join(map(str, weight))}"
                    f" s{stride}",
                    why,
                    mode,
                    {
                        "op": op,
                        "x": x,
                        "weight": weight,
                        "dy": y,
                        "window": {
                            "stride": stride,
                            "padding": padding,
                            "groups": groups,
                        },
                    },
                    peers=("torch", "torch-cl") if op == "conv2d" else ("torch",),
                    flops=2.0 * times * prod(side) * prod(weight[1:]),
                    reads=F32 * (prod(x) + prod(weight)) * (1 + both)
                    + F32 * prod(y) * both,
                    writes=F32 * (prod(y) + (prod(x) + prod(weight)) * both),
                    tolerance=2e-4,
                )
