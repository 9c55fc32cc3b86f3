"""Second derivatives of what moves numbers, and of what is linear in its input."""

import numpy as np

from .. import _C, ops
from ..ops import signal
from ..ops.gather import _placed
from .recorded import linear_map, rule


@rule("reshape", "flatten", "squeeze", "unsqueeze")
def _(dy, parents, kept, need):
    return (ops.reshape(dy, kept.a.shape),)


@rule("transpose")
def _(dy, parents, kept, need):
    return (ops.transpose(dy, kept.dim0, kept.dim1),)


@rule("permute")
def _(dy, parents, kept, need):
    return (ops.permute(dy, kept.back),)


@rule("expand", "clone")
def _(dy, parents, kept, need):
    return (dy,)


@rule("to")
def _(dy, parents, kept, need):
    return (ops.to(dy, kept.a.dtype),)


@rule("cat")
def _(dy, parents, kept, need):
    lengths = [p.shape[kept.dim] for p in parents]
    return ops.split(dy, lengths, kept.dim)


@rule("stack")
def _(dy, parents, kept, need):
    before = (slice(None),) * kept.dim
    return [dy[(*before, i)] for i in range(len(parents))]


def _adjoint(there):
    """The rule of an op that is linear in its first input and has no other gradient.

    ``there(kept, x, g)`` is what the op makes of the array `g` in the place of its
    input, whose array is `x`.
    """

    def slopes(dy, parents, kept, need):
        x = parents[0].data
        gradient = linear_map(
            lambda g: kept.backward(g)[0], lambda g: there(kept, x, g), dy
        )
        return gradient, *[None] * (len(parents) - 1)

    return slopes


rule("getitem")(_adjoint(lambda k, x, g: np.asarray(g[k.index])))
rule("pad")(_adjoint(lambda k, x, g: _C.pad_forward(g, k.pad, k.mode, 0.0)))
rule("interpolate")(_adjoint(lambda k, x, g: _C.resize_forward(g, *k.options)))
rule("take")(
    _adjoint(
        lambda k, x, g: _C.take_rows(k.op, "input", "index", g, k.dim, k.numbers)[0]
    )
)
rule("gather")(
    _adjoint(
        lambda k, x, g: _C.gather(
            "gather", g if k.part is None else g[k.part], k.dim, k.numbers
        )[0]
    )
)
rule("sort._picked")(
    _adjoint(lambda k, x, g: _C.gather("sort", g, k.dim, k.order)[0] if k.a.ndim else g)
)
rule("pool_average._mean")(
    _adjoint(lambda k, x, g: _C.avg_pool_forward(k.op, k.dims, g, *k.window))
)
rule("pool_adaptive._mean")(
    _adjoint(lambda k, x, g: _C.adaptive_avg_pool_forward(k.op, k.dims, g, k.size))
)
rule("einsum._diagonal")(_adjoint(lambda k, x, g: np.diagonal(g, 0, k.i, k.j)))


def _picked(g, indices, dims):
    """The elements of each plane of `g` that the numbers name."""
    planes = g.reshape(*g.shape[: g.ndim - dims], -1)
    places = indices.reshape(*planes.shape[:-1], -1)
    return np.take_along_axis(planes, places, -1).reshape(indices.shape)


@rule("pool._extreme")
@_adjoint
def _(kept, x, g):
    given = kept.op, kept.dims, x, *kept.window, kept.op.startswith("min")
    return _picked(g, _C.max_pool_forward(*given, False, True)[2], kept.dims)


@rule("pool_adaptive._largest")
@_adjoint
def _(kept, x, g):
    given = kept.op, kept.dims, x, kept.size
    return _picked(g, _C.adaptive_max_pool_forward(*given, False, True)[2], kept.dims)


rule("pool._unpool")(
    _adjoint(lambda k, x, g: _C.max_unpool_forward(k.op, k.dims, g, k.kept, k.size)[0])
)
rule("rotary_embedding")(
    _adjoint(lambda k, x, g: _C.rotary_embedding(g, k.cos, k.sin, k.interleaved, False))
)


@rule("signal._spectra")
@_adjoint
def _(kept, x, g):
    frames = _C.frame(g, kept.weights, kept.hop)
    return signal._by_bins(signal._forward(frames, kept.onesided))


@rule("signal._signals")
@_adjoint
def _(kept, x, g):
    frames = signal._inverse(signal._by_frames(g), kept.n, kept.onesided)
    length = (frames.shape[1] - 1) * kept.hop + kept.n
    return _C.overlap_add(frames, kept.weights, kept.hop, length)


@rule("cumsum")
def _(dy, parents, kept, need):
    dim = kept.dim
    return (
        linear_map(
            lambda g: _C.cumsum(g, dim, True), lambda g: _C.cumsum(g, dim, False), dy
        ),
    )


@rule("pixel_shuffle")
def _(dy, parents, kept, need):
    return (ops.pixel_unshuffle(dy, kept.upscale_factor),)


@rule("pixel_unshuffle")
def _(dy, parents, kept, need):
    return (ops.pixel_shuffle(dy, kept.downscale_factor),)


@rule("channel_shuffle")
def _(dy, parents, kept, need):
    return (ops.channel_shuffle(dy, kept.x.shape[1] // kept.groups),)


@rule("im2col.im2col")
def _(dy, parents, kept, need):
    return (ops.col2im(dy, parents[0].shape[-2:], *kept.window),)


@rule("im2col.col2im")
def _(dy, parents, kept, need):
    return (ops.im2col(dy, *kept.window),)


@rule("index_add")
def _(dy, parents, kept, need):
    return dy, None, lambda: ops.index_select(dy, kept.dim, kept.numbers) * kept.alpha


@rule("embedding")
def _(dy, parents, kept, need):
    def there(g):
        picked = _C.take_rows("embedding", "weight", "input", g, 0, kept.numbers)[0]
        if kept.padding >= 0:
            picked = _C.where(kept.numbers[..., None] == kept.padding, 0.0, picked)
        return picked

    if kept.scale_grad_by_freq:
        raise NotImplementedError(
            "create_graph: embedding with scale_grad_by_freq has no second derivative"
        )
    return linear_map(lambda g: kept.backward(g)[0], there, dy), None


@rule("gather._scatter")
def _(dy, parents, kept, need):
    """Linear in both; where elements are replaced, what they were has no part."""

    def of_source(g):
        cut = g[tuple(slice(0, n) for n in kept.numbers.shape)]
        like = np.zeros(dy.shape, dy.dtype)
        there = like if kept.part is None else like[kept.part]
        options = kept.op, there, kept.dim, kept.numbers, cut, kept.add
        return _placed(_C.scatter(*options), kept.part, like)

    def kept_elements(g):
        return kept.backward(g)[0]

    return (
        dy if kept.add else lambda: linear_map(kept_elements, kept_elements, dy),
        None,
        lambda: linear_map(lambda g: kept.backward(g)[2], of_source, dy),
    )
