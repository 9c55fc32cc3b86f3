"""Convolution and pooling."""

import numpy as np

import dlcore as dl

from .table import add, apart, normal


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
    add(
        "conv2d",
        normal((2, 4, 5, 6), (6, 4 // _groups, _kernel, _kernel), (6,)),
        lambda x, w, b, s=_stride, p=_padding, g=_groups: dl.conv2d(
            x, w, b, s, p, 1, g
        ),
        lambda x, w, b, s=_stride, p=_padding, g=_groups: _conv2d(x, w, b, s, p, g),
    )


add(
    "conv2d",
    normal((2, 3, 9, 12), (3, 1, 3, 3), (3,)),
    lambda x, w, b: dl.conv2d(x, w, b, 2, 1, 1, 3),
    lambda x, w, b: _conv2d(x, w, b, 2, 1, 3),
)
add(
    "conv2d",
    normal((2, 3, 5, 6), (7, 3, 3, 3), (7,), (2, 7, 5, 6)),
    lambda x, w, b, r: dl.conv2d(x, w, b, 1, 1, activation="tanh", residual=r),
    lambda x, w, b, r: np.tanh(_conv2d(x, w, b, 1, 1, 1) + r),
)
add(
    "conv1d",
    normal((2, 4, 11), (6, 4, 3), (6,)),
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
add(
    "conv3d",
    normal((2, 3, 5, 6, 7), (4, 3, 3, 2, 3), (4,)),
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
    add(
        f"conv_transpose{_dims}d",
        normal((2, 4, 3, 5, 4)[: _dims + 2], (4, 3, 2, 2, 2)[: _dims + 2], (3,)),
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
    add(
        _op,
        normal((2, 3, 5, 5)),
        lambda x, _op=_op: getattr(dl, _op)(x, 3, padding=1, stride=2),
        _im2col,
    )
for _op in ("col2im", "fold"):
    add(
        _op,
        normal((2, 27, 9)),
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

    add(
        f"max_pool{dims}d",
        apart(shape),
        lambda x: op("max_pool")(x, 3, 2),
        lambda x: _corners(x, dims).max(-1),
    )
    add(
        f"min_pool{dims}d",
        apart(shape),
        lambda x: op("min_pool")(x, 3, 2),
        lambda x: _corners(x, dims).min(-1),
    )
    add(
        f"avg_pool{dims}d",
        normal(shape),
        lambda x: op("avg_pool")(x, 3, 2),
        lambda x: _corners(x, dims).mean(-1),
    )
    add(
        f"lp_pool{dims}d",
        normal(shape),
        lambda x: op("lp_pool")(x, 2, 3, 2),
        lambda x: np.sqrt((_corners(x, dims) ** 2).sum(-1)),
    )
    add(
        f"adaptive_avg_pool{dims}d",
        normal(even),
        lambda x: op("adaptive_avg_pool")(x, 2),
        lambda x: _halves(x, dims).mean(-1),
    )
    add(
        f"adaptive_max_pool{dims}d",
        apart(even),
        lambda x: op("adaptive_max_pool")(x, 2),
        lambda x: _halves(x, dims).max(-1),
    )
    add(
        f"global_avg_pool{dims}d",
        normal(shape),
        op("global_avg_pool"),
        lambda x: x.mean(axes, keepdims=True),
    )
    add(
        f"global_max_pool{dims}d",
        apart(shape),
        op("global_max_pool"),
        lambda x: x.max(axes, keepdims=True),
    )
    add(
        f"max_unpool{dims}d",
        normal((2, 3, *(2,) * dims)),
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
