"""Second derivatives of what adds up: reductions, products, convolutions."""

import math

import numpy as np

from .. import _C, ops
from ..ops.axes import count
from ..ops.axes import kept as kept_axes
from .recorded import composite, result_of, rule, tensor, trilinear

# -- reductions --


@rule("sum")
def _(dy, parents, kept, need):
    a = kept.a
    return (ops.expand(kept_axes(dy, a, kept.dim), a.shape),)


@rule("mean")
def _(dy, parents, kept, need):
    a = kept.a
    share = dy * (1.0 / max(count(a, dy.data), 1))
    return (ops.expand(kept_axes(share, a, kept.dim), a.shape),)


@rule("extreme._extreme")
def _(dy, parents, kept, need):
    """The one that was picked stays the same: the slopes are those of backward."""
    slopes = kept.backward(np.ones_like(dy.data))[0]
    return (kept_axes(dy, kept.a, kept.dim) * slopes,)


def _axes(x, dim):
    dims = range(x.ndim) if dim is None else dim
    dims = dims if isinstance(dims, (tuple, list, range)) else (dims,)
    return [d % x.ndim for d in dims]


@rule("prod")
@composite
def _(kept, x):
    """Product of pairs, then of pairs of these: right for zeros too."""
    dims = _axes(x, kept.dim)
    order = [d for d in range(x.ndim) if d not in dims] + dims
    rest = [x.shape[d] for d in order[: x.ndim - len(dims)]]
    y = ops.reshape(ops.permute(x, *order), *rest, -1)
    while y.shape[-1] > 1:
        half = y.shape[-1] // 2
        pairs = y[..., :half] * y[..., half : 2 * half]
        y = ops.cat([pairs, y[..., 2 * half :]], -1) if y.shape[-1] % 2 else pairs
    return ops.reshape(y, kept.shape)


@rule("var", "std")
def _(dy, parents, kept, need):
    (x,) = parents
    degrees = count(kept.a, dy.data) - kept.correction
    slope = dy * (1.0 / degrees if degrees > 0 else math.inf)
    if "div" in kept.looks_up:  # std
        y = result_of(kept, ops.std, x, kept.dim, kept.correction)
        y = ops.reshape(y, dy.shape)
        slope = slope / ops.where(y == 0.0, math.inf, y)
    else:
        slope = slope * 2.0
    centred = x - ops.mean(x, kept.dim, True)
    return (centred * kept_axes(slope, kept.a, kept.dim),)


@rule("norm")
def _(dy, parents, kept, need):
    (x,) = parents
    if "sign" in kept.looks_up:  # of magnitudes
        return (kept_axes(dy, kept.a, kept.dim) * _C.sign(kept.a),)
    y = ops.reshape(result_of(kept, ops.norm, x, 2, kept.dim), dy.shape)
    slope = dy / ops.where(y == 0.0, 1.0, y)
    return (x * kept_axes(slope, kept.a, kept.dim),)


@rule("logsumexp")
def _(dy, parents, kept, need):
    (x,) = parents
    y = kept_axes(result_of(kept, ops.logsumexp, x, kept.dim), x.data, kept.dim)
    shares = ops.exp(x - ops.where(ops.isfinite(y), y, 0.0))
    return (shares * kept_axes(dy, kept.a, kept.dim),)


@rule("softmax")
def _(dy, parents, kept, need):
    y = result_of(kept, ops.softmax, parents[0], kept.dim)
    return (y * (dy - ops.sum(dy * y, kept.dim, True)),)


@rule("log_softmax")
def _(dy, parents, kept, need):
    y = result_of(kept, ops.log_softmax, parents[0], kept.dim)
    return (dy - ops.exp(y) * ops.sum(dy, kept.dim, True),)


@rule("hardmax")
def _(dy, parents, kept, need):
    return (dy * 0.0,)


# -- products --


@rule("matmul")
def _(dy, parents, kept, need):
    a, b = map(tensor, parents)
    if a.ndim == 1 and b.ndim == 1:
        return lambda: dy * b, lambda: dy * a
    rows = a if a.ndim > 1 else ops.unsqueeze(a, 0)
    columns = b if b.ndim > 1 else ops.unsqueeze(b, 1)
    dy = ops.unsqueeze(dy, -2) if a.ndim == 1 else dy
    dy = ops.unsqueeze(dy, -1) if b.ndim == 1 else dy

    def by_a():
        da = ops.matmul(dy, ops.transpose(columns, -1, -2))
        return da if a.ndim > 1 else da[..., 0, :]

    def by_b():
        db = ops.matmul(ops.transpose(rows, -1, -2), dy)
        return db if b.ndim > 1 else db[..., 0]

    return by_a, by_b


@rule("gemm._addmm")
@composite
def _(kept, input, a, b):
    return input * float(kept.beta) + ops.matmul(a, b) * float(kept.alpha)


@rule("linear")
@composite
def _(kept, x, weight, bias, residual):
    y = ops.matmul(x, ops.transpose(tensor(weight), 0, 1))
    return _finished(kept, y if bias is None else y + bias, residual)


def _finished(kept, y, residual):
    """With the residual and the activation of linear and the convolutions."""
    y = y if residual is None else y + residual
    if kept.activation in (None, "none"):
        return y
    if kept.activation == "leaky_relu":
        return ops.leaky_relu(y, kept.negative_slope)
    if kept.activation == "gelu_tanh":
        return ops.gelu(y, "tanh")
    return getattr(ops, kept.activation)(y)


# -- convolutions --


@rule("conv._convolve")
def _(dy, parents, kept, need):
    if kept.activation not in (None, "none"):
        return _with_activation(dy, parents, kept, need)
    finish = None, None, 0.01  # no activation, no residual, a slope
    return _products(dy, parents, kept, finish)


@composite
def _with_activation(kept, x, weight, bias, residual):
    stride, padding, dilation, groups = kept.window
    y = getattr(ops, kept.op)(x, weight, bias, stride, padding, dilation, groups)
    return _finished(kept, y, residual)


@rule("conv_transpose._convolve")
def _(dy, parents, kept, need):
    return _products(dy, parents, kept, ())


def _products(dy, parents, kept, finish):
    x, weight = map(tensor, parents[:2])
    window = kept.window
    forward = getattr(_C, kept.op + "_forward")
    backward = getattr(_C, kept.op + "_backward")
    like_x, like_weight = x.data, weight.data
    kernels = (
        lambda x, w: forward(x, w, None, *window, *finish),
        lambda w, dy: backward(dy, like_x, w, True, False, False, *window)[0],
        lambda dy, x: backward(dy, x, like_weight, False, True, False, *window)[1],
    )
    axes = like_weight.ndim - 2
    others = [d for d in range(dy.ndim) if d != dy.ndim - axes - 1]
    slopes = (
        lambda: trilinear(kernels, 1, weight, dy),
        lambda: trilinear(kernels, 2, dy, x),
        lambda: ops.sum(dy, others),
        dy,  # the residual's
    )
    return slopes[: len(parents)]
