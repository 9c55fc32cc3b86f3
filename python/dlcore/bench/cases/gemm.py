"""Matrix products and linear layers."""

from dataclasses import replace

from .case import F32, Case


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


def gemms():
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


def gemms_bf16():
    """Products under autocast against float32 of dlcore's own, and PyTorch's."""
    for m, k, n, way in (
        (1024, 1024, 1024, "nn"),
        (1024, 1024, 1024, "nt"),
        (2048, 256, 1024, "nt"),
        (256, 2048, 1024, "tn"),
        (64, 768, 3072, "nt"),
    ):
        why = "mixed precision: half the multiplications, rounding on the way"
        case = _gemm("gemm bf16", m, k, n, why, way)
        yield replace(
            case,
            kind="gemm_bf16",
            name=case.name + " bf16",
            peers=("dlcore-f32", "torch"),
            tolerance=0.02,
        )


def linears():
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


def int8():
    """Layers with weights of 8 bits against float32 of dlcore's own, and PyTorch's."""
    why = "inference: a quarter of the weight to read, four products for one"
    for rows, inside, outside in (
        (1, 1024, 1024),
        (8, 1024, 1024),
        (64, 1024, 1024),
        (1, 4096, 4096),
        (512, 768, 3072),
    ):
        yield Case(
            "linear",
            "linear int8",
            "linear_int8",
            f"({rows},{inside})->{outside} int8",
            why,
            sizes={"rows": rows, "inside": inside, "outside": outside},
            peers=("dlcore-f32", "torch"),
            flops=2.0 * rows * inside * outside,
            reads=inside * outside + F32 * rows * inside,
            writes=F32 * rows * outside,
            tolerance=0.05,
        )
    for steps, batch, hidden in ((32, 1, 512), (32, 32, 512)):
        yield Case(
            "lstm",
            "lstm int8",
            "lstm_int8",
            f"T{steps} B{batch} {hidden}->{hidden} int8",
            why,
            sizes={"shape": (steps, batch, hidden, hidden, 1, 1)},
            peers=("dlcore-f32", "torch"),
            flops=16.0 * steps * batch * hidden * hidden,
            tolerance=0.1,
        )
