"""For each op: inputs, the call, and the same in plain float64 NumPy."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import dlcore as dl


@dataclass(frozen=True)
class Check:
    """One row of the table."""

    name: str  # the op's
    inputs: Callable  # rng -> list of arrays; float64 ones are cast
    call: Callable
    reference: Callable  # the same arguments in float64
    gradient: bool = True  # compare with differences too
    bound: float = 64.0  # allowed error, in roundings of the largest value


def _normal(*shapes, low=None):
    """Random inputs of these shapes; above `low` when given."""

    def inputs(rng):
        arrays = [rng.standard_normal(shape) for shape in shapes]
        return arrays if low is None else [np.abs(a) + low for a in arrays]

    return inputs


def _apart(*shapes):
    """Random inputs without ties and away from 0: max and |x| have a kink there."""

    def inputs(rng):
        arrays = []
        for shape in shapes:
            n = math.prod(shape)
            values = rng.permutation(n) - n // 2 + 0.5
            arrays.append((values * 0.07).reshape(shape))
        return arrays

    return inputs


def _steps(rng):
    """Two inputs of whole numbers, some equal."""
    return [rng.integers(-2, 3, _PLANE).astype(float) for _ in range(2)]


_PLANE = (5, 23)  # an odd row longer than a vector
_CHECKS: list[Check] = []


def _add(name, inputs, call, reference, **options):
    _CHECKS.append(Check(name, inputs, call, reference, **options))


# -- one element at a time -------------------------------------------------------------

_erf = np.vectorize(math.erf, otypes=[float])


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _tanh_gelu(x):
    return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


_UNARY: dict[str, Callable] = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "gelu": lambda x: x / 2 * (1 + _erf(x / math.sqrt(2))),
    "silu": lambda x: x * _sigmoid(x),
    "exp": np.exp,
    "abs": np.abs,
    "neg": np.negative,
    "square": np.square,
    "expm1": np.expm1,
    "erf": _erf,
}
_POSITIVE: dict[str, Callable] = {
    "log": np.log,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "reciprocal": np.reciprocal,
}
_FLAT = {  # no gradient, or 0 everywhere
    "sign": (_apart(_PLANE), np.sign),
    "isnan": (_apart(_PLANE), np.isnan),
    "isinf": (_apart(_PLANE), np.isinf),
    "isfinite": (_apart(_PLANE), np.isfinite),
    "eq": (_steps, np.equal),
    "ne": (_steps, np.not_equal),
    "lt": (_steps, np.less),
    "le": (_steps, np.less_equal),
    "gt": (_steps, np.greater),
    "ge": (_steps, np.greater_equal),
}
_BINARY: dict[str, Callable] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "maximum": np.maximum,
    "minimum": np.minimum,
}

for _op, _f in _UNARY.items():
    _add(_op, _apart(_PLANE), lambda x, _op=_op: getattr(dl, _op)(x), _f)
_add("gelu", _apart(_PLANE), lambda x: dl.gelu(x, approximate="tanh"), _tanh_gelu)
for _op, _f in _POSITIVE.items():
    _add(_op, _normal(_PLANE, low=0.5), lambda x, _op=_op: getattr(dl, _op)(x), _f)
for _op, _f in _BINARY.items():
    _add(
        _op, _normal(_PLANE, (1, 23)), lambda a, b, _op=_op: getattr(dl, _op)(a, b), _f
    )
_add("div", _normal(_PLANE, (5, 1), low=0.5), lambda a, b: dl.div(a, b), np.divide)
_add("pow", _normal(_PLANE, low=0.5), lambda x: dl.pow(x, 3), lambda x: x**3)
for _op, (_inputs, _f) in _FLAT.items():
    _add(_op, _inputs, lambda *x, _op=_op: getattr(dl, _op)(*x), _f, gradient=False)
for _op in ("clamp", "clip"):
    _add(
        _op,
        _apart(_PLANE),
        lambda x, _op=_op: getattr(dl, _op)(x, -1, 1),
        lambda x: np.clip(x, -1, 1),
    )
_add(
    "where",
    lambda rng: [rng.standard_normal(_PLANE), rng.standard_normal(_PLANE)],
    lambda x, y: dl.where(np.arange(23) % 2 == 0, x, y),
    lambda x, y: np.where(np.arange(23) % 2 == 0, x, y),
)


def _dropout(x):
    dl.manual_seed(1)
    return dl.dropout(x, 0.5)


_add(
    "dropout",
    _normal(_PLANE, low=0.1),
    _dropout,
    lambda x: np.where(_dropout(np.ones_like(x)), 2 * x, 0),
)

# -- reductions ------------------------------------------------------------------------

for _op in ("sum", "mean"):
    for _axis in (None, 0, 1):
        _add(
            _op,
            _normal(_PLANE),
            lambda x, _op=_op, _axis=_axis: getattr(dl, _op)(x, dim=_axis),
            lambda x, _op=_op, _axis=_axis: getattr(np, _op)(x, axis=_axis),
        )
for _op in ("max", "min"):
    _add(
        "a" + _op,
        _apart(_PLANE),
        lambda x, _op=_op: getattr(dl, "a" + _op)(x, dim=1),
        lambda x, _op=_op: getattr(np, _op)(x, axis=1),
    )
    _add(
        "arg" + _op,
        _apart(_PLANE),
        lambda x, _op=_op: getattr(dl, "arg" + _op)(x, dim=1),
        lambda x, _op=_op: getattr(np, "arg" + _op)(x, axis=1),
        gradient=False,
    )

_add("prod", _apart(_PLANE), lambda x: dl.prod(x, 1), lambda x: x.prod(1), bound=200)
_add("max", _apart(_PLANE), lambda x: dl.max(x), lambda x: x.max())
_add("min", _apart(_PLANE), lambda x: dl.min(x), lambda x: x.min())
_add("var", _normal(_PLANE), lambda x: dl.var(x, 1), lambda x: x.var(1, ddof=1))
_add("std", _normal(_PLANE), lambda x: dl.std(x, 1), lambda x: x.std(1, ddof=1))
_add("norm", _normal(_PLANE), lambda x: dl.norm(x), np.linalg.norm)
_add(
    "logsumexp",
    _normal(_PLANE),
    lambda x: dl.logsumexp(x, 1),
    lambda x: np.log(np.exp(x).sum(1)),
)
for _op in ("any", "all"):
    _add(
        _op,
        lambda rng: [rng.integers(-1, 2, (9, 2)).astype(float)],
        lambda x, _op=_op: getattr(dl, _op)(x, 1),
        lambda x, _op=_op: getattr(np, _op)(x, 1),
        gradient=False,
    )

# -- gemm ------------------------------------------------------------------------------

_add("matmul", _normal((7, 19), (19, 33)), lambda a, b: dl.matmul(a, b), np.matmul)
_add(
    "matmul", _normal((2, 1, 3, 5), (4, 5, 6)), lambda a, b: dl.matmul(a, b), np.matmul
)
_add("mm", _normal((7, 19), (19, 33)), lambda a, b: dl.mm(a, b), np.matmul)
_add("bmm", _normal((3, 7, 19), (3, 19, 5)), lambda a, b: dl.bmm(a, b), np.matmul)
for _op, _batch in ("addmm", ()), ("baddbmm", (3,)):
    _add(
        _op,
        _normal((5,), (*_batch, 7, 19), (*_batch, 19, 5)),
        lambda x, a, b, _op=_op: getattr(dl, _op)(x, a, b, beta=0.5, alpha=2),
        lambda x, a, b: 0.5 * x + 2 * (a @ b),
    )
_add("mm", _normal((3, 40), (40, 5)), lambda a, b: dl.mm(a, b), np.matmul)
_add("bmm", _normal((3, 4, 5), (3, 5, 6)), lambda a, b: dl.bmm(a, b), np.matmul)
_add(
    "addmm",
    _normal((4, 6), (4, 5), (5, 6)),
    lambda c, a, b: dl.addmm(c, a, b, beta=0.5, alpha=2),
    lambda c, a, b: 0.5 * c + 2 * (a @ b),
)
_add(
    "baddbmm",
    _normal((3, 4, 6), (3, 4, 5), (3, 5, 6)),
    lambda c, a, b: dl.baddbmm(c, a, b, beta=0.5, alpha=2),
    lambda c, a, b: 0.5 * c + 2 * (a @ b),
)
_add(
    "linear",
    _normal((5, 9), (17, 9), (17,)),
    lambda x, w, b: dl.linear(x, w, b, activation="gelu"),
    lambda x, w, b: _UNARY["gelu"](x @ w.T + b),
)
_add(
    "linear",
    _normal((5, 9), (17, 9), (17,)),
    lambda x, w, b: dl.linear(x, w, b),
    lambda x, w, b: x @ w.T + b,
)

# -- conv and pool ---------------------------------------------------------------------


def _windows(x, kernel, stride, padding, fill=0.0):
    """(N, C, out_h, out_w, kernel, kernel)."""
    around = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    x = np.pad(x, around, constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), (2, 3))
    return view[:, :, ::stride, ::stride]


def _conv2d(x, weight, bias, stride, padding, groups):
    parts = zip(np.split(x, groups, 1), np.split(weight, groups), strict=True)
    kernel = weight.shape[-1]
    y = [
        np.einsum("nchwij,ocij->nohw", _windows(p, kernel, stride, padding), w)
        for p, w in parts
    ]
    return np.concatenate(y, 1) + bias[:, None, None]


for _kernel, _stride, _padding, _groups in ((3, 1, 1, 1), (1, 1, 0, 1), (3, 2, 1, 2)):
    _add(
        "conv2d",
        _normal((2, 4, 5, 6), (6, 4 // _groups, _kernel, _kernel), (6,)),
        lambda x, w, b, s=_stride, p=_padding, g=_groups: dl.conv2d(
            x, w, b, s, p, 1, g
        ),
        lambda x, w, b, s=_stride, p=_padding, g=_groups: _conv2d(x, w, b, s, p, g),
    )


_add(
    "conv2d",
    _normal((2, 3, 9, 12), (3, 1, 3, 3), (3,)),
    lambda x, w, b: dl.conv2d(x, w, b, 2, 1, 1, 3),
    lambda x, w, b: _conv2d(x, w, b, 2, 1, 3),
)
_add(
    "conv1d",
    _normal((2, 4, 11), (6, 4, 3), (6,)),
    lambda x, w, b: dl.conv1d(x, w, b, padding=(2, 0)),
    lambda x, w, b: (
        np.einsum(
            "nclk,ock->nol",
            np.lib.stride_tricks.sliding_window_view(
                np.pad(x, ((0, 0), (0, 0), (2, 0))), 3, 2
            ),
            w,
        )
        + b[:, None]
    ),
)
_add(
    "conv3d",
    _normal((2, 3, 5, 6, 7), (4, 3, 3, 2, 3), (4,)),
    lambda x, w, b: dl.conv3d(x, w, b),
    lambda x, w, b: (
        np.einsum(
            "ncdhwijk,ocijk->nodhw",
            np.lib.stride_tricks.sliding_window_view(x, (3, 2, 3), (2, 3, 4)),
            w,
        )
        + b[:, None, None, None]
    ),
)


def _spread(x, weight, bias):
    """Every element adds a window of 2 in each of the last axes: no two overlap."""
    dims = weight.ndim - 2
    y = np.tensordot(x, weight, (1, 0))  # N, size, K, window
    order = [0, 1 + dims]
    for axis in range(dims):
        order += [1 + axis, 2 + dims + axis]
    sizes = [2 * n for n in x.shape[2:]]
    y = y.transpose(order).reshape(len(x), weight.shape[1], *sizes)
    return y + bias.reshape(-1, *[1] * dims)


for _dims in (1, 2, 3):
    _add(
        f"conv_transpose{_dims}d",
        _normal((2, 4, 3, 5, 4)[: _dims + 2], (4, 3, 2, 2, 2)[: _dims + 2], (3,)),
        lambda x, w, b, d=_dims: getattr(dl, f"conv_transpose{d}d")(x, w, b, 2),
        _spread,
    )


def _im2col(x):
    w = _windows(x, 3, 2, 1)
    n, c, h, wide = w.shape[:4]
    return w.transpose(0, 1, 4, 5, 2, 3).reshape(n, c * 9, h * wide)


def _col2im(cols):
    """The adjoint of `_im2col` for (2, 3, 5, 5): each entry goes where it came from."""
    places = _im2col(np.arange(1, 151, dtype=float).reshape(2, 3, 5, 5))
    x = np.zeros(151)
    np.add.at(x, places.astype(int), cols)
    return x[1:].reshape(2, 3, 5, 5)


for _op in ("im2col", "unfold"):
    _add(
        _op,
        _normal((2, 3, 5, 5)),
        lambda x, _op=_op: getattr(dl, _op)(x, 3, padding=1, stride=2),
        _im2col,
    )
for _op in ("col2im", "fold"):
    _add(
        _op,
        _normal((2, 27, 9)),
        lambda x, _op=_op: getattr(dl, _op)(x, (5, 5), 3, padding=1, stride=2),
        _col2im,
    )
_SIZES = (6, 7, 5)


def _corners(x, dims):
    """(N, C, ..., 3 ** dims): the windows of 3 at a stride of 2."""
    axes = tuple(range(2, 2 + dims))
    view = np.lib.stride_tricks.sliding_window_view(x, (3,) * dims, axes)
    step = (slice(None), slice(None), *[slice(None, None, 2)] * dims)
    return view[step].reshape(*view[step].shape[: 2 + dims], -1)


def _halves(x, dims):
    """(N, C, 2, ..., 3 ** dims): each axis of 6 in two parts."""
    x = x.reshape(*x.shape[:2], *(2, 3) * dims)
    last = 2 + 2 * dims
    x = x.transpose(0, 1, *range(2, last, 2), *range(3, last, 2))
    return x.reshape(*x.shape[: 2 + dims], -1)


def _pools(dims):
    shape, even = (2, 3, *_SIZES[:dims]), (2, 3, *(6,) * dims)
    axes = tuple(range(2, 2 + dims))

    def op(name):
        return lambda x, *args: getattr(dl, f"{name}{dims}d")(x, *args)

    _add(
        f"max_pool{dims}d",
        _apart(shape),
        lambda x: op("max_pool")(x, 3, 2),
        lambda x: _corners(x, dims).max(-1),
    )
    _add(
        f"min_pool{dims}d",
        _apart(shape),
        lambda x: op("min_pool")(x, 3, 2),
        lambda x: _corners(x, dims).min(-1),
    )
    _add(
        f"avg_pool{dims}d",
        _normal(shape),
        lambda x: op("avg_pool")(x, 3, 2),
        lambda x: _corners(x, dims).mean(-1),
    )
    _add(
        f"lp_pool{dims}d",
        _normal(shape),
        lambda x: op("lp_pool")(x, 2, 3, 2),
        lambda x: np.sqrt((_corners(x, dims) ** 2).sum(-1)),
    )
    _add(
        f"adaptive_avg_pool{dims}d",
        _normal(even),
        lambda x: op("adaptive_avg_pool")(x, 2),
        lambda x: _halves(x, dims).mean(-1),
    )
    _add(
        f"adaptive_max_pool{dims}d",
        _apart(even),
        lambda x: op("adaptive_max_pool")(x, 2),
        lambda x: _halves(x, dims).max(-1),
    )
    _add(
        f"global_avg_pool{dims}d",
        _normal(shape),
        op("global_avg_pool"),
        lambda x: x.mean(axes, keepdims=True),
    )
    _add(
        f"global_max_pool{dims}d",
        _apart(shape),
        op("global_max_pool"),
        lambda x: x.max(axes, keepdims=True),
    )
    _add(
        f"max_unpool{dims}d",
        _normal((2, 3, *(2,) * dims)),
        lambda x: op("max_unpool")(x, _even_places(dims), 2),
        _back_in_place,
    )


def _even_places(dims):
    """Of planes of 4 to an axis, the places of which all coordinates are even."""
    places = np.arange(4**dims).reshape((4,) * dims)[(slice(None, None, 2),) * dims]
    return np.broadcast_to(places, (2, 3, *places.shape))


def _back_in_place(x):
    y = np.zeros((*x.shape[:2], *(2 * n for n in x.shape[2:])), x.dtype)
    y[(slice(None), slice(None), *[slice(None, None, 2)] * (x.ndim - 2))] = x
    return y


for _dims in (1, 2, 3):
    _pools(_dims)

# -- normalization ---------------------------------------------------------------------


def _standard(x, axes):
    mean = x.mean(axes, keepdims=True)
    return (x - mean) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)


_SAMPLES = (3, 4, 21)


def _affine(y, weight, bias):
    return y * weight[:, None] + bias[:, None]


def _neighbours(x):
    """The mean square of 3 channels around each."""
    around = np.pad(np.square(x), ((0, 0), (1, 1), (0, 0)))
    return (around[:, :-2] + around[:, 1:-1] + around[:, 2:]) / 3


_add(
    "layer_norm",
    _normal(_PLANE, (23,), (23,)),
    lambda x, w, b: dl.layer_norm(x, 23, w, b),
    lambda x, w, b: _standard(x, 1) * w + b,
)
_add(
    "rms_norm",
    _normal(_PLANE, (23,)),
    lambda x, w: dl.rms_norm(x, 23, w, eps=1e-5),
    lambda x, w: x / np.sqrt(np.square(x).mean(1, keepdims=True) + 1e-5) * w,
)
_add(
    "batch_norm",
    _normal(_SAMPLES, (4,), (4,)),
    lambda x, w, b: dl.batch_norm(x, None, None, w, b, training=True),
    lambda x, w, b: _affine(_standard(x, (0, 2)), w, b),
)
_add(
    "batch_norm",
    _normal(_PLANE),
    lambda x: dl.batch_norm(x, None, None, training=True),
    lambda x: _standard(x, 0),
)
_add(
    "instance_norm",
    _normal(_SAMPLES, (4,), (4,)),
    lambda x, w, b: dl.instance_norm(x, weight=w, bias=b),
    lambda x, w, b: _affine(_standard(x, 2), w, b),
)
_add(
    "group_norm",
    _normal(_SAMPLES, (4,), (4,)),
    lambda x, w, b: dl.group_norm(x, 2, w, b),
    lambda x, w, b: _affine(_standard(x.reshape(3, 2, -1), 2).reshape(x.shape), w, b),
)
_add(
    "local_response_norm",
    _normal(_SAMPLES),
    lambda x: dl.local_response_norm(x, 3, 0.7),
    lambda x: x / (1 + 0.7 * _neighbours(x)) ** 0.75,
)

# -- softmax and losses ----------------------------------------------------------------


def _log_softmax(x, axis=1):
    z = x - x.max(axis, keepdims=True)
    return z - np.log(np.exp(z).sum(axis, keepdims=True))


_LABELS = np.array([0, 22, 7, 7, 11])
_add(
    "softmax",
    _normal(_PLANE),
    lambda x: dl.softmax(x, 1),
    lambda x: np.exp(_log_softmax(x)),
)
_add(
    "softmax",
    _normal((3, 4, 5)),
    lambda x: dl.softmax(x, 1),
    lambda x: np.exp(_log_softmax(x)),
)
_add("log_softmax", _normal(_PLANE), lambda x: dl.log_softmax(x, 1), _log_softmax)
_add(
    "cross_entropy",
    _normal(_PLANE),
    lambda x: dl.cross_entropy(x, _LABELS),
    lambda x: -_log_softmax(x)[np.arange(5), _LABELS].mean(),
)
_add(
    "nll_loss",
    _normal(_PLANE),
    lambda x: dl.nll_loss(x, _LABELS),
    lambda x: -x[np.arange(5), _LABELS].mean(),
)
_add(
    "mse_loss",
    _normal(_PLANE, _PLANE),
    lambda x, y: dl.mse_loss(x, y),
    lambda x, y: np.square(x - y).mean(),
)

# -- boxes -----------------------------------------------------------------------------


def _boxes(*counts):
    def inputs(rng):
        low = [rng.uniform(0, 5, (n, 2)) for n in counts]
        return [np.hstack([p, p + rng.uniform(1, 6, p.shape)]) for p in low]

    return inputs


def _sides(boxes):
    return boxes[..., 2:] - boxes[..., :2]


def _overlap(a, b, measure="iou"):
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    inter = np.maximum(high - low, 0).prod(-1)
    union = _sides(a).prod(-1) + _sides(b).prod(-1) - inter
    iou = inter / union
    if measure == "iou":
        return iou
    outer = np.maximum(a[..., 2:], b[..., 2:]) - np.minimum(a[..., :2], b[..., :2])
    if measure == "giou":
        return iou - 1 + union / outer.prod(-1)
    apart = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2
    diou = iou - (apart**2).sum(-1) / (outer**2).sum(-1)
    if measure == "diou":
        return diou
    angles = [np.arctan(_sides(x)[..., 0] / _sides(x)[..., 1]) for x in (a, b)]
    v = 4 / math.pi**2 * (angles[0] - angles[1]) ** 2
    return diou - v**2 / (1 - iou + v)


_add(
    "box_convert",
    _boxes(5),
    lambda x: dl.box_convert(x, "xyxy", "cxcywh"),
    lambda x: np.hstack([(x[:, :2] + x[:, 2:]) / 2, _sides(x)]),
)
_add("box_area", _boxes(5), lambda x: dl.box_area(x), lambda x: _sides(x).prod(1))
_add(
    "clip_boxes_to_image",
    _boxes(9),
    lambda x: dl.clip_boxes_to_image(x, (6, 7)),
    lambda x: np.clip(x, 0, [7, 6, 7, 6]),
)
_add(
    "remove_small_boxes",
    _boxes(50),
    lambda x: dl.remove_small_boxes(x, 3.0),
    lambda x: np.flatnonzero((_sides(x) >= 3).all(1)),
    gradient=False,
)
for _op, _measure in (
    ("box_iou", "iou"),
    ("generalized_box_iou", "giou"),
    ("distance_box_iou", "diou"),
    ("complete_box_iou", "ciou"),  # its weight is a constant for the gradient
):
    _eps = {"eps": 0} if _measure in ("diou", "ciou") else {}
    _add(
        _op,
        _boxes(3, 20),
        lambda a, b, _op=_op, _eps=_eps: getattr(dl, _op)(a, b, **_eps),
        lambda a, b, _measure=_measure: _overlap(a[:, None], b, _measure),
        gradient=_measure != "ciou",
        bound=200,
    )
    if _measure != "iou":
        _add(
            _op + "_loss",
            _boxes(20, 20),
            lambda a, b, _op=_op: getattr(dl, _op + "_loss")(a, b, "sum", eps=0),
            lambda a, b, _measure=_measure: (1 - _overlap(a, b, _measure)).sum(),
            gradient=_measure != "ciou",
            bound=200,
        )


def _encode(t, g):
    centres = (t[:, :2] + t[:, 2:] - g[:, :2] - g[:, 2:]) / 2 / _sides(g)
    return np.hstack([centres, np.log(_sides(t) / _sides(g))])


def _decode(d, g):
    centres = d[:, :2] * _sides(g) + (g[:, :2] + g[:, 2:]) / 2
    half = np.exp(d[:, 2:]) * _sides(g) / 2
    return np.hstack([centres - half, centres + half])


_add("encode_boxes", _boxes(20, 20), lambda t, g: dl.encode_boxes(t, g), _encode)
_add(
    "decode_boxes",
    lambda rng: [rng.standard_normal((20, 4)), *_boxes(20)(rng)],
    lambda d, g: dl.decode_boxes(d, g),
    _decode,
)
_add(
    "grid_anchors",
    _boxes(3),
    lambda x: dl.grid_anchors(x, (2, 4), (8, 16)),
    lambda x: np.vstack([x + [16 * j, 8 * i] * 2 for i in (0, 1) for j in range(4)]),
    gradient=False,
)


def _scored(rng):
    """Boxes in the order of their scores."""
    return [*_boxes(40)(rng), np.linspace(1, 0.5, 40)]


def _kept(boxes, classes=None):
    iou, keep = _overlap(boxes[:, None], boxes), []
    for i in range(len(boxes)):
        rivals = [j for j in keep if classes is None or classes[i] == classes[j]]
        if not (iou[i, rivals] > 0.3).any():
            keep.append(i)
    return np.array(keep)


def _softened(boxes, scores):
    """The lowered scores, falling: no two boxes overlap by more than 0.9."""
    iou, scores, taken = _overlap(boxes[:, None], boxes), scores.copy(), []
    for _ in boxes:
        i = scores.argmax()
        taken.append(scores[i])
        scores *= np.where(iou[i] >= 0.3, 1 - iou[i], 1)
        scores[i] = -np.inf
    return np.array(taken)


_KINDS = np.arange(40) % 3
_add(
    "nms",
    _scored,
    lambda x, s: dl.nms(x, s, 0.3),
    lambda x, s: _kept(x),
    gradient=False,
)
_add(
    "batched_nms",
    _scored,
    lambda x, s: dl.batched_nms(x, s, _KINDS, 0.3),
    lambda x, s: _kept(x, _KINDS),
    gradient=False,
)
_add(
    "soft_nms",
    _scored,
    lambda x, s: dl.soft_nms(x, s, 0.3, score_threshold=0)[1],
    _softened,
    gradient=False,
)

_REGION = np.array([[1, 0.5, 1.25, 4.5, 5.25]])


def _regions(x):
    return _REGION.astype(np.asarray(getattr(x, "data", x)).dtype)


def _middles(x):
    """Bilinear samples of picture 1 at (2.25, 1.5) and around: bins of 2 pixels."""
    down, across = np.array([1.75, 3.75]), np.array([1.0, 3.0])
    low, part = down.astype(int), (down % 1)[:, None]
    rows = x[1, :, low] * (1 - part)[..., None] + x[1, :, low + 1] * part[..., None]
    return rows[..., across.astype(int)].transpose(1, 0, 2)[None]


_add(
    "roi_align",
    _normal((2, 20, 6, 7)),
    lambda x: dl.roi_align(x, _regions(x), 2, sampling_ratio=1, aligned=True),
    _middles,
)
_add(
    "roi_pool",
    _apart((2, 20, 6, 7)),
    lambda x: dl.roi_pool(x, _regions(x), (1, 1)),
    lambda x: x[1:, :, 1:6, 1:6].max((2, 3), keepdims=True),
)

# -- shapes ----------------------------------------------------------------------------

_BOX = (2, 6, 4)
_SHAPES = {
    "reshape": (lambda x: dl.reshape(x, 4, 12), lambda x: x.reshape(4, 12)),
    "flatten": (lambda x: dl.flatten(x, 1), lambda x: x.reshape(2, 24)),
    "transpose": (lambda x: dl.transpose(x, 0, 2), lambda x: x.swapaxes(0, 2)),
    "permute": (lambda x: dl.permute(x, 2, 0, 1), lambda x: x.transpose(2, 0, 1)),
    "squeeze": (lambda x: dl.squeeze(x[:1], 0), lambda x: x[0]),
    "unsqueeze": (lambda x: dl.unsqueeze(x, 1), lambda x: x[:, None]),
    "expand": (lambda x: dl.expand(x[:1], 3, 6, 4), lambda x: np.repeat(x[:1], 3, 0)),
    "clone": (lambda x: dl.clone(x), lambda x: x),
    "pad": (lambda x: dl.pad(x, (1, 2)), lambda x: np.pad(x, ((0, 0), (0, 0), (1, 2)))),
    "cat": (lambda x: dl.cat([x, x], 1), lambda x: np.concatenate([x, x], 1)),
    "concatenate": (
        lambda x: dl.concatenate([x, x], 1),
        lambda x: np.concatenate([x, x], 1),
    ),
    "stack": (lambda x: dl.stack([x, x], 1), lambda x: np.stack([x, x], 1)),
}
for _op, (_call, _f) in _SHAPES.items():
    _add(_op, _normal(_BOX), _call, _f)
_PADDED = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
for _mode, _same in _PADDED.items():
    _add(
        "pad",
        _normal((2, 3, 5, 6)),
        lambda x, _mode=_mode: dl.pad(x, (1, 2, 3, 0), _mode),
        lambda x, _same=_same: np.pad(x, ((0, 0), (0, 0), (3, 0), (1, 2)), _same),
    )
_add(
    "interpolate",
    _normal((2, 3, 4, 5)),
    lambda x: dl.interpolate(x, scale_factor=2),
    lambda x: x.repeat(2, 2).repeat(2, 3),
)
_add(
    "interpolate",
    _normal((2, 3, 4, 6)),
    lambda x: dl.interpolate(x, scale_factor=0.5, mode="bilinear"),
    lambda x: x.reshape(2, 3, 2, 2, 3, 2).mean((3, 5)),
)
_add(
    "interpolate",
    _normal((2, 3, 4, 6)),
    lambda x: dl.interpolate(x, (2, 3), mode="area"),
    lambda x: x.reshape(2, 3, 2, 2, 3, 2).mean((3, 5)),
)
_add(
    "pixel_shuffle",
    _normal((2, 12, 3, 5)),
    lambda x: dl.pixel_shuffle(x, 2),
    lambda x: (
        x.reshape(2, 3, 2, 2, 3, 5).transpose(0, 1, 4, 2, 5, 3).reshape(2, 3, 6, 10)
    ),
)
_add(
    "pixel_unshuffle",
    _normal((2, 3, 6, 10)),
    lambda x: dl.pixel_unshuffle(x, 2),
    lambda x: (
        x.reshape(2, 3, 3, 2, 5, 2).transpose(0, 1, 3, 5, 2, 4).reshape(2, 12, 3, 5)
    ),
)
_add(
    "channel_shuffle",
    _normal((2, 6, 5)),
    lambda x: dl.channel_shuffle(x, 2),
    lambda x: x.reshape(2, 2, 3, 5).swapaxes(1, 2).reshape(2, 6, 5),
)


def _between(shape):
    """The places half-way between a pixel, its neighbour to the right and below."""
    _, _, height, width = shape
    x = (2 * (np.arange(width - 1) + 1)) / width - 1
    y = (2 * (np.arange(height - 1) + 1)) / height - 1
    return np.stack(np.broadcast_arrays(x, y[:, None]), -1)[None]


_add(
    "grid_sample",
    _normal((1, 3, 5, 6)),
    lambda x: dl.grid_sample(x, _between(x.shape).astype(x.dtype)),
    lambda x: (
        (x[..., 1:, 1:] + x[..., 1:, :-1] + x[..., :-1, 1:] + x[..., :-1, :-1]) / 4
    ),
)
_add(
    "affine_grid",
    _normal((2, 2, 3)),
    lambda theta: dl.affine_grid(theta, (2, 1, 2, 4)),
    lambda theta: np.einsum(
        "nij,hwj->nhwi",
        theta,
        np.stack(
            np.broadcast_arrays(
                np.linspace(-0.75, 0.75, 4), np.array([[-0.5], [0.5]]), 1.0
            ),
            -1,
        ),
    ),
)
_add("split", _normal(_BOX), lambda x: dl.split(x, 2, 1)[1], lambda x: x[:, 2:4])
_add("chunk", _normal(_BOX), lambda x: dl.chunk(x, 3, 1)[2], lambda x: x[:, 4:])
_add("to", _normal(_BOX), lambda x: dl.to(x, "float64"), lambda x: x)

# -- optimizers ------------------------------------------------------------------------


def _three_steps(optimizer, **options):
    def call(x, gradient):
        p = dl.Tensor(x.copy(), requires_grad=True)
        p.grad = dl.Tensor(gradient)
        step = getattr(dl.optim, optimizer)([p], **options).step
        for _ in range(3):
            step()
        return p

    return call


def _sgd(x, gradient):
    speed = np.zeros_like(x)
    for _ in range(3):
        speed = 0.9 * speed + gradient + 0.01 * x
        x = x - 0.1 * (gradient + 0.01 * x + 0.9 * speed)
    return x


def _adam(x, gradient, decay=0.0, decoupled=0.0):
    mean = square = np.zeros_like(x)
    for t in (1, 2, 3):
        x = x - 0.1 * decoupled * x
        g = gradient + decay * x
        mean = 0.9 * mean + 0.1 * g
        square = 0.999 * square + 0.001 * g**2
        x = x - 0.1 * mean / (1 - 0.9**t) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
    return x


_OPTIMIZERS = {
    "SGD": (
        _three_steps("SGD", lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
        _sgd,
    ),
    "Adam": (
        _three_steps("Adam", lr=0.1, weight_decay=0.01),
        lambda x, g: _adam(x, g, decay=0.01),
    ),
    "AdamW": (
        _three_steps("AdamW", lr=0.1, weight_decay=0.01),
        lambda x, g: _adam(x, g, decoupled=0.01),
    ),
}
for _op, (_call, _f) in _OPTIMIZERS.items():
    _add("optim." + _op, _apart(_PLANE, _PLANE), _call, _f, gradient=False)

CHECKS = tuple(_CHECKS)
