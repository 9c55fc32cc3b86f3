"""What is timed, and why each shape is there.

A case names a piece of work (`kind`, a function of that name in `with_dlcore`,
`with_numpy` and `with_torch`) and its sizes. Flops and bytes are the least the work
needs: every input read once, every output written once, padding counted as work.
"""

from dataclasses import dataclass, field
from math import prod

from .networks import MULTIPLICATIONS, PARAMETERS

F32 = 4


@dataclass(frozen=True)
class Case:
    """One row of the benchmark."""

    family: str
    group: str  # the cases a goal speaks of
    kind: str
    name: str
    why: str
    mode: str = "fwd"
    sizes: dict = field(default_factory=dict)
    peers: tuple = ("torch",)
    flops: float = 0.0
    reads: float = 0.0  # bytes
    writes: float = 0.0
    tolerance: float = 1e-5  # of the largest value of the peer's result

    @property
    def id(self):
        """The name by which a user selects the case."""
        return f"{self.family} {self.name} {self.mode}"


# -- gemm ------------------------------------------------------------------------------


def _gemm(group, m, k, n, why, layout="nn", batch=1):
    letters = {"nn": "", "nt": " W(n,k)", "tn": " A(k,m)", "tt": " A(k,m) W(n,k)"}[
        layout
    ]
    size = f"{m}x{k}x{n}" if batch == 1 else f"{batch}x({m}x{k}x{n})"
    return Case(
        "gemm",
        group,
        "gemm",
        size + letters,
        why,
        sizes={"m": m, "k": k, "n": n, "layout": layout, "batch": batch},
        peers=("numpy", "torch"),
        flops=2.0 * batch * m * k * n,
        reads=F32 * batch * (m * k + k * n),
        writes=F32 * batch * m * n,
        tolerance=1e-4,
    )


def _gemms():
    layouts = ("nn", "nt", "tn", "tt")
    yield from (_gemm("gemm large", 1024, 1024, 1024, "square", way) for way in layouts)
    yield _gemm("gemm large", 2048, 2048, 2048, "square past the second-level cache")
    yield from (
        _gemm("gemm large", 1023, 1025, 1027, "no size fits a tile", way)
        for way in layouts
    )
    yield from (
        _gemm("gemm small", n, n, n, "packing costs as much as the product")
        for n in (64, 96, 128, 192, 256)
    )
    yield from (
        _gemm("gemm small", 128, 128, 128, "each layout without packing", way)
        for way in layouts[1:]
    )
    for rows in (2, 4, 8):
        for way in ("nn", "nt"):
            why = "a few rows at inference: bound by reading the weight once"
            yield _gemm("gemm skinny", rows, 4096, 4096, why, way)
    for way in ("nn", "nt"):
        yield _gemm("gemm other", 1, 4096, 4096, "a vector times a matrix", way)
    yield _gemm(
        "gemm other", 64, 768, 3072, "a small batch through a transformer's layer"
    )
    yield _gemm("gemm other", 8192, 64, 64, "tall and thin")
    yield _gemm("gemm other", 128, 64, 128, "attention's scores", batch=64)


def _linears():
    rows, inside, outside = 512, 768, 3072
    once = 2.0 * rows * inside * outside
    data = F32 * (rows * inside + inside * outside)
    made = F32 * rows * outside
    for mode, times in (("fwd", 1), ("fwd+bwd", 3)):
        yield Case(
            "linear",
            "linear " + mode,
            "linear_gelu",
            f"({rows},{inside})->{outside} bias gelu",
            "the first half of a transformer's feed-forward layer",
            mode,
            {"rows": rows, "inside": inside, "outside": outside},
            flops=times * once,
            reads=times * data,
            writes=times * made,
            tolerance=1e-4,
        )


# -- conv and pool ---------------------------------------------------------------------

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


def _convs():
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


def _other_convs():
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


def _pools():
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


# -- resize, pad, grid_sample ----------------------------------------------------------

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


def _resizes():
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


# -- one element at a time -------------------------------------------------------------


def _elementwise():
    for n in (100_000, 10_000_000):
        why = (
            "fits the caches"
            if n < 1_000_000
            else "bound by memory, and by fresh pages"
        )
        for mode in ("fwd", "out="):
            for op in ("relu", "gelu", "sigmoid", "tanh", "exp"):
                yield Case(
                    "elementwise",
                    f"elementwise {n:.0e} {mode}".replace("+0", ""),
                    "unary",
                    f"{op} {n:.0e}".replace("+0", ""),
                    why,
                    mode,
                    {"op": op, "n": n},
                    peers=("torch",) if op == "gelu" else ("numpy", "torch"),
                    reads=F32 * n,
                    writes=F32 * n,
                )
    for mode in ("fwd", "out="):
        yield Case(
            "elementwise",
            "elementwise other",
            "add",
            "add 1e7",
            "two inputs, one output",
            mode,
            {"n": 10_000_000},
            peers=("numpy", "torch"),
            reads=2 * F32 * 1e7,
            writes=F32 * 1e7,
        )
    yield Case(
        "elementwise",
        "elementwise other",
        "add_rows",
        "add (4096,1000)+(1000,)",
        "a bias: one row broadcast",
        sizes={"rows": 4096, "cols": 1000},
        peers=("numpy", "torch"),
        reads=F32 * 4096e3,
        writes=F32 * 4096e3,
    )
    for axis in (None, 0, 1):
        yield Case(
            "elementwise",
            "elementwise other",
            "sum",
            f"sum (4096,1000) axis {axis}",
            "whole, down the columns, along the rows",
            sizes={"rows": 4096, "cols": 1000, "axis": axis},
            peers=("numpy", "torch"),
            reads=F32 * 4096e3,
            tolerance=1e-4,
        )
    yield Case(
        "elementwise",
        "elementwise other",
        "dropout",
        "dropout p=0.5 1e6",
        "random numbers, one a value",
        sizes={"n": 1_000_000},
        peers=("numpy", "torch"),
        reads=F32 * 1e6,
        writes=F32 * 1e6,
        tolerance=1e-2,
    )


# -- normalization ---------------------------------------------------------------------


def _norms():
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


# -- softmax and losses ----------------------------------------------------------------


def _softmaxes():
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
                yield Case(
                    "softmax",
                    "softmax " + mode,
                    op,
                    f"{op} ({rows},{cols})",
                    why,
                    mode,
                    {"rows": rows, "cols": cols},
                    peers=("torch",) if both else ("numpy", "torch"),
                    reads=n * (1 + both) + (n * both if not loss else 0),
                    writes=n * (not loss) + n * both,
                )


# -- detection -------------------------------------------------------------------------


def _peers_of_nms(n):
    """NumPy takes 3 s for 50,000 boxes, onnxruntime more than 5 s for 100,000."""
    if n > 50_000:
        return ()
    return ("numpy", "onnxruntime") if n <= 10_000 else ("onnxruntime",)


def _detections():
    for n, side, why in (
        (1_000, 1000, "one picture's proposals after their best are chosen"),
        (10_000, 1000, "one picture's anchors, ten deep"),
        (50_000, 1000, "all anchors of a picture: fifty deep, most are suppressed"),
        (10_000, 10_000, "sparse: a tile of an aerial picture, nearly all are kept"),
        (100_000, 31_623, "sparse, ten times as many: time should grow ten times"),
    ):
        crowded = side == 1000
        yield Case(
            "detection",
            "nms" if crowded else "nms sparse",
            "nms",
            f"nms {n} boxes in {side}x{side}",
            why,
            sizes={"n": n, "side": side, "threshold": 0.5},
            peers=_peers_of_nms(n),
            reads=F32 * 5 * n,
            tolerance=0,
        )
    for channels, size, rois, out, why in (
        (256, 50, 512, 7, "Faster R-CNN's head with a feature pyramid, its third map"),
        (1024, 38, 300, 14, "Faster R-CNN's head on ResNet-50's fourth block"),
        (256, 200, 100, 14, "Mask R-CNN's head: few regions of the largest map"),
    ):
        n = rois * channels * out**2
        x = channels * size**2
        for kind in ("roi_align", "roi_pool"):
            for mode in ("fwd", "fwd+bwd"):
                both = mode != "fwd"
                yield Case(
                    "detection",
                    f"{kind} {mode}",
                    kind,
                    f"{kind} {rois} of {channels}x{size}x{size} to {out}x{out}",
                    why,
                    mode,
                    {
                        "shape": (1, channels, size, size),
                        "rois": rois,
                        "out": out,
                        "scale": 1 / 16,
                        "sampling_ratio": 2,
                    },
                    # onnxruntime's MaxRoiPool rounds bins up where float32 does
                    peers=("torch", "onnxruntime")
                    if kind == "roi_align" and not both
                    else ("torch",),
                    reads=F32 * (x + n * both),
                    writes=F32 * (n + x * both),
                    tolerance=1e-4,
                )


# -- whole networks --------------------------------------------------------------------


def _networks():
    for name in ("resnet50", "resnet18", "mobilenet_v2"):
        for batch in (1, 32) if name == "resnet50" else (1,):
            yield Case(
                "infer",
                f"infer {name} b{batch}",
                "infer",
                f"{name} b{batch} 224x224",
                "one picture" if batch == 1 else "many pictures",
                sizes={"net": name, "batch": batch, "size": 224},
                peers=("torch", "torch-cl", "onnxruntime"),
                flops=2.0 * batch * MULTIPLICATIONS[name],
                reads=F32 * (PARAMETERS[name] + batch * 3 * 224**2),
                writes=F32 * batch * 1000,
                tolerance=1e-4,
            )
    for name, batch, size in (("resnet18 small", 64, 32), ("resnet18", 4, 224)):
        yield Case(
            "train",
            f"train {name}",
            "train_net",
            f"{name} b{batch} {size}x{size} SGD",
            "a training step of a convolutional network",
            "step",
            {"net": name, "batch": batch, "size": size},
            peers=("torch", "torch-cl"),
            flops=6.0 * batch * MULTIPLICATIONS[name],
            tolerance=1e-3,
        )


# -- optimizers, training, overhead ----------------------------------------------------


def resnet50_parameters():
    """The 161 shapes of ResNet-50's parameters, 25.6 million values."""
    shapes = [(64, 3, 7, 7), (64,), (64,)]
    inside = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            convs = [
                (width, inside, 1, 1),
                (width, width, 3, 3),
                (4 * width, width, 1, 1),
            ]
            if block == 0:
                convs.append((4 * width, inside, 1, 1))
            inside = 4 * width
            for conv in convs:
                shapes += [conv, (conv[0],), (conv[0],)]
    return [*shapes, (1000, 2048), (1000,)]


def _optimizers():
    n = F32 * sum(prod(shape) for shape in resnet50_parameters())
    for op, reads, writes in (("sgd", 3, 2), ("adam", 4, 3)):
        yield Case(
            "optim",
            "optim",
            op,
            f"{op} 25.6M/161 tensors",
            "ResNet-50's parameters, large and tiny; PyTorch's fused step",
            "step",
            reads=reads * n,
            writes=writes * n,
        )


def _training():
    lenet = (
        2.0 * 64 * (6 * 25 * 28 * 28 + 16 * 150 * 100 + 400 * 120 + 120 * 84 + 84 * 10)
    )
    yield Case(
        "train",
        "train lenet5",
        "train_lenet5",
        "LeNet-5 b64 SGD",
        "a small network: kernels and overhead in equal parts",
        "step",
        {"batch": 64},
        flops=3 * lenet,
        tolerance=1e-4,
    )
    for peer, note in (("torch", ""), ("torch-fused", " fused")):
        yield Case(
            "train",
            "train mlp" + note,
            "train_mlp",
            f"MLP 16-32-4 b8 Adam{note}",
            "nothing but overhead; PyTorch's default Adam, and its fused one",
            "step",
            {"batch": 8},
            peers=(peer,),
            flops=6.0 * 8 * (16 * 32 + 32 * 4),
            tolerance=1e-4,
        )


def _calls():
    for op in ("relu", "add", "maximum", "exp", "softmax"):
        yield Case(
            "call",
            "call",
            "call",
            f"{op} on 16 elements",
            "what a call costs before any arithmetic",
            sizes={"op": op},
            peers=("torch",) if op == "softmax" else ("numpy", "torch"),
        )


CASES = (
    *_gemms(),
    *_linears(),
    *_convs(),
    *_other_convs(),
    *_pools(),
    *_resizes(),
    *_elementwise(),
    *_norms(),
    *_softmaxes(),
    *_detections(),
    *_optimizers(),
    *_training(),
    *_networks(),
    *_calls(),
)
FAMILIES = tuple(dict.fromkeys(case.family for case in CASES))
