"""What tools/h200.py checks and times: kernels of the plugin on PyTorch's memory.

A case makes tensors, says how the kernel is called (`arguments`, in the order of
csrc/kernels/), what is right (PyTorch in float64) and what it competes with.
"""

import ctypes
from dataclasses import dataclass, field

INT, FLOAT, DOUBLE, PTR = (
    ctypes.c_int64,
    ctypes.c_float,
    ctypes.c_double,
    ctypes.c_void_p,
)


class ClassLoss(ctypes.Structure):
    _fields_ = [
        *((name, INT) for name in ("outer", "n", "inner")),
        *((name, PTR) for name in ("target", "weight")),
        ("ignore_index", INT),
        *((name, FLOAT) for name in ("smoothing", "weight_sum")),
    ]


class Reduction(ctypes.Structure):
    _fields_ = [(n, INT) for n in ("kept1", "reduced1", "kept2", "reduced2")]


class Broadcast(ctypes.Structure):
    _fields_ = [
        ("ndim", ctypes.c_int),
        *((n, INT * 8) for n in ("size", "stride_a", "stride_b")),
    ]


class Gemm(ctypes.Structure):
    _fields_ = [
        *((n, INT) for n in ("m", "n", "k")),
        *(("a", PTR), ("a_row", INT), ("a_col", INT)),
        *(("b", PTR), ("b_row", INT), ("b_col", INT)),
        *(("c", PTR), ("c_row", INT), ("alpha", FLOAT), ("beta", FLOAT)),
        *(("bias", PTR), ("residual", PTR), ("activation", ctypes.c_int)),
        *(("slope", FLOAT), ("derivative", PTR), ("batch", INT)),
        *((n, PTR) for n in ("a_batch", "b_batch", "packed_a")),
        ("bf16", ctypes.c_bool),
    ]


class Adam(ctypes.Structure):
    _fields_ = [
        ("count", INT),
        *((n, PTR) for n in ("start", "param", "grad", "mean", "square", "max_square")),
        *((n, PTR) for n in ("step_size", "root_scale")),
        *((n, FLOAT) for n in ("one_minus_beta1", "beta2", "one_minus_beta2", "eps")),
        *((n, FLOAT) for n in ("weight_decay", "shrink")),
        *((n, ctypes.c_bool) for n in ("decoupled", "maximize")),
    ]


@dataclass
class Case:
    """One call. Tensors among the arguments go as pointers, structs by reference."""

    word: str
    arguments: list
    results: list  # of (tensor, expected float64 tensor, tolerance)
    peer: object = None  # a function
    bytes: int = 0  # of the memory floor
    flops: int = 0
    keep: list = field(default_factory=list)  # what the pointers point to


def _rows(torch, rows, cols):
    return torch.randn(rows, cols, device="cuda")


def add(torch, n):
    a, b = _rows(torch, 1, n)[0], _rows(torch, 1, n)[0]
    y, shape = torch.empty_like(a), Broadcast(ndim=1)
    shape.size[0], shape.stride_a[0], shape.stride_b[0] = n, 1, 1
    expected = a.double() + b.double()
    out = torch.empty_like(a)
    return Case(
        "add",
        [a, b, y, shape],
        [(y, expected, 1e-6)],
        lambda: torch.add(a, b, out=out),
        bytes=12 * n,
    )


def softmax(torch, rows, cols):
    x = _rows(torch, rows, cols)
    y = torch.empty_like(x)
    return Case(
        "softmax_forward",
        [x, y, INT(rows), INT(cols), INT(1)],
        [(y, torch.softmax(x.double(), -1), 1e-6)],
        lambda: torch.softmax(x, -1),
        bytes=8 * x.numel(),
    )


def layer_norm(torch, rows, cols):
    x, w, b = (_rows(torch, n, cols) for n in (rows, 1, 1))
    y, mean, rstd = torch.empty_like(x), x.new_empty(rows), x.new_empty(rows)
    f = torch.nn.functional.layer_norm
    return Case(
        "layer_norm_forward",
        [x, PTR(), PTR(), w, b, y, mean, rstd, INT(rows), INT(cols), DOUBLE(1e-5)],
        [(y, f(x.double(), (cols,), w[0].double(), b[0].double()), 1e-5)],
        lambda: f(x, (cols,), w[0], b[0]),
        bytes=8 * x.numel(),
    )


def rms_norm(torch, rows, cols):
    x, w = _rows(torch, rows, cols), _rows(torch, 1, cols)
    y, rstd = torch.empty_like(x), x.new_empty(rows)
    f = torch.nn.functional.rms_norm
    return Case(
        "rms_norm_forward",
        [x, PTR(), PTR(), w, y, rstd, INT(rows), INT(cols), DOUBLE(1e-6)],
        [(y, f(x.double(), (cols,), w[0].double(), 1e-6), 1e-5)],
        lambda: f(x, (cols,), w[0], 1e-6),
        bytes=8 * x.numel(),
    )


def layer_norm_backward(torch, rows, cols):
    x, dy, w = (_rows(torch, n, cols) for n in (rows, rows, 1))
    mean = x.mean(1)
    rstd = (x.var(1, unbiased=False) + 1e-5).rsqrt()
    dx, dw, db = torch.empty_like(x), x.new_empty(cols), x.new_empty(cols)
    leaves = [t.double().requires_grad_() for t in (x, w[0], w[0])]
    y = torch.nn.functional.layer_norm(leaves[0], (cols,), *leaves[1:])
    right = torch.autograd.grad(y, leaves, dy.double())
    return Case(
        "layer_norm_backward",
        [x, dy, w, mean, rstd, dx, dw, db, INT(rows), INT(cols)],
        [(dx, right[0], 1e-4), (dw, right[1], 1e-2), (db, right[2], 1e-2)],
        lambda: torch.ops.aten.native_layer_norm_backward(
            dy, x, [cols], mean[:, None], rstd[:, None], w[0], w[0], [True] * 3
        ),
        bytes=12 * x.numel(),
    )


def cross_entropy(torch, rows, cols):
    x, t = _rows(torch, rows, cols), torch.randint(cols, (rows,), device="cuda")
    loss, normalizer = x.new_empty(rows), x.new_empty(2 * rows)
    totals = torch.empty(2, device="cuda", dtype=torch.float64)
    shape = ClassLoss(rows, cols, 1, t.data_ptr(), None, -100, 0.0, float(cols))
    f = torch.nn.functional.cross_entropy
    return Case(
        "cross_entropy_forward",
        [x, loss, normalizer, PTR(), FLOAT(1), totals, shape],
        [(loss, f(x.double(), t, reduction="none"), 1e-5)],
        lambda: f(x, t),
        bytes=4 * x.numel(),
        keep=[t],
    )


def total(torch, rows, cols):
    x, y = _rows(torch, rows, cols), torch.empty(rows, device="cuda")
    return Case(
        "sum",
        [x, y, Reduction(1, 1, rows, cols), FLOAT(1)],
        [(y, x.double().sum(1), 1e-3)],
        lambda: x.sum(1),
        bytes=4 * x.numel(),
    )


def gemm(torch, m, n, k):
    a, b = _rows(torch, m, k), _rows(torch, k, n)
    c = a.new_empty(m, n)
    g = Gemm(m, n, k, a.data_ptr(), k, 1, b.data_ptr(), n, 1, c.data_ptr(), n, 1.0)
    g.batch = 1
    return Case(
        "gemm",
        [g],
        [(c, a.double() @ b.double(), 2e-6 * k)],
        lambda: a @ b,
        flops=2 * m * n * k,
        keep=[a, b],
    )


def adam(torch, sizes):
    make = [torch.randn(n, device="cuda") for n in sizes]
    p, g = [t.clone() for t in make], [torch.randn_like(t) for t in make]
    mean, square = ([torch.zeros_like(t) for t in make] for _ in range(2))
    right = [t.double().requires_grad_() for t in make]
    peer = [t.clone().requires_grad_() for t in make]
    for q, r, d in zip(right, peer, g):
        q.grad, r.grad = d.double(), d
    options = dict(lr=1e-3, weight_decay=0.01)
    torch.optim.AdamW(right, **options).step()
    step = torch.optim.AdamW(peer, **options, fused=True).step
    count, starts = len(make), [0]
    for n in sizes:
        starts.append(starts[-1] + n)
    keep = [(INT * (count + 1))(*starts)]
    for tensors in (p, g, mean, square):
        keep.append((PTR * count)(*(t.data_ptr() for t in tensors)))
    keep.append((FLOAT * count)(*[1e-3 / (1 - 0.9)] * count))
    keep.append((FLOAT * count)(*[(1 - 0.999) ** -0.5] * count))
    at = [ctypes.addressof(array) for array in keep]
    numbers = (1 - 0.9, 0.999, 1 - 0.999, 1e-8, 0.01, 1 - 1e-3 * 0.01)
    struct = Adam(count, *at[:5], None, *at[5:], *numbers, True, False)
    results = [(p[i], right[i].detach(), 1e-5) for i in (0, count - 1)]
    keep += [p, g, mean, square]
    return Case("adam_step", [struct], results, step, bytes=28 * starts[-1], keep=keep)


# family -> (maker, sizes of the check, sizes of the timing)
COLUMNS = (256, 1024, 4096, 8192, 32768, 131072)
ROWS_SMALL = ((1, 1), (3, 5), (7, 1000), (33, 1023), (5, 4096), (2, 20001))
ROWS_LARGE = tuple((max(1, (1 << 26) // cols), cols) for cols in COLUMNS)
FAMILIES = {
    "add": (add, ((1,), (1001,), (1 << 20,)), ((1 << 26,),)),
    "softmax": (softmax, ROWS_SMALL, ROWS_LARGE),
    "layer_norm": (layer_norm, ROWS_SMALL[1:], ROWS_LARGE),
    "rms_norm": (rms_norm, ROWS_SMALL, ROWS_LARGE),
    "layer_norm_backward": (layer_norm_backward, ROWS_SMALL[1:], ROWS_LARGE[:5]),
    "cross_entropy": (cross_entropy, ROWS_SMALL, ROWS_LARGE),
    "sum": (total, ROWS_SMALL, ROWS_LARGE),
    "gemm": (
        gemm,
        ((1, 1, 1), (65, 63, 17), (300, 200, 1000)),
        ((1024,) * 3, (4096,) * 3),
    ),
    "adam": (adam, (([1, 1000, 5, 40000],),), (([1 << 20] * 100 + [768] * 100,),)),
}
# The least ratio to a copy of as many bytes, by columns: the project's goals.
GOALS = {256: 0.65, 1024: 0.85, 4096: 0.95}
