"""Second derivatives of normalizations: each once more, of ops."""

import numpy as np

from .. import ops
from .recorded import composite, rule


def _standard(x, dims, rstd, centred=True):
    """Mean 0, if it is centred, and mean square 1, but for what was added to that."""
    x = x - ops.mean(x, dims, True) if centred else x
    squares = ops.mean(ops.square(x), dims, True)
    added = 1 / np.square(rstd.reshape(squares.shape)) - squares.data
    return x * ops.rsqrt(squares + added)


def _rows(kept, x):
    axes = np.size(kept.normalized_shape)
    return list(range(x.ndim - axes, x.ndim))


def _scaled(y, weight, bias, dims):
    """Scaled and shifted: by weight and bias along axis 1, or along `dims`."""
    if dims is None:
        shape = (-1, *[1] * (y.ndim - 2))
        weight, bias = (
            b if b is None else ops.reshape(b, *shape) for b in (weight, bias)
        )
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


@rule("layer_norm", "add_layer_norm")
@composite
def _(kept, x, weight, bias):
    dims = _rows(kept, x)
    return _scaled(_standard(x, dims, kept.rstd), weight, bias, dims)


@rule("rms_norm", "add_rms_norm")
@composite
def _(kept, x, weight):
    dims = _rows(kept, x)
    return _scaled(_standard(x, dims, kept.rstd, False), weight, None, dims)


@rule("batch_norm")
@composite
def _(kept, x, weight, bias, residual):
    if kept.training:
        dims = [d for d in range(x.ndim) if d != 1]
        y = _standard(x, dims, kept.rstd)
    else:
        y = _with_running(kept, x)
    y = _scaled(y, weight, bias, None)
    y = y if residual is None else y + residual
    return y if kept.activation in (None, "none") else getattr(ops, kept.activation)(y)


def _with_running(kept, x):
    shape = (-1, *[1] * (x.ndim - 2))
    return (x - kept.mean.reshape(shape)) * kept.rstd.reshape(shape)


def _grouped(x, groups, rstd):
    rows = ops.reshape(x, x.shape[0], groups, -1)
    return ops.reshape(_standard(rows, [2], rstd), *x.shape)


@rule("group_norm")
@composite
def _(kept, x, weight, bias):
    return _scaled(_grouped(x, kept.num_groups, kept.rstd), weight, bias, None)


@rule("instance_norm")
@composite
def _(kept, x, weight, bias):
    if kept.use_input_stats:
        y = _grouped(x, max(1, x.shape[1]), kept.rstd)
    else:
        y = _with_running(kept, x)
    return _scaled(y, weight, bias, None)


@rule("local_response_norm")
@composite
def _(kept, x):
    """The channels around each are a window of a pool over them."""
    n, channels = x.shape[:2]
    squares = ops.reshape(ops.square(x), n, 1, channels, -1)
    before = kept.size // 2
    squares = ops.pad(squares, (0, 0, before, kept.size - 1 - before))
    means = ops.avg_pool2d(squares, (kept.size, 1), 1)
    scale = ops.reshape(means, *x.shape) * kept.alpha + kept.k
    return x * ops.pow(scale, -kept.beta)
