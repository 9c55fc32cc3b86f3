"""Ops on shapes and places."""

import numpy as np

import dlcore as dl

from .table import add, normal

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
    "flip": (lambda x: dl.flip(x, 1), lambda x: np.flip(x, 1)),
    "roll": (lambda x: dl.roll(x, 2, 1), lambda x: np.roll(x, 2, 1)),
    "movedim": (lambda x: dl.movedim(x, 0, 2), lambda x: np.moveaxis(x, 0, 2)),
    "select": (lambda x: dl.select(x, 1, 2), lambda x: x[:, 2]),
    "narrow": (lambda x: dl.narrow(x, 1, 2, 3), lambda x: x[:, 2:5]),
    "unbind": (lambda x: dl.unbind(x, 1)[3], lambda x: x[:, 3]),
    "tile": (lambda x: dl.tile(x, 2, 3), lambda x: np.tile(x, (2, 3))),
    "repeat_interleave": (
        lambda x: dl.repeat_interleave(x, 3, 1),
        lambda x: np.repeat(x, 3, 1),
    ),
    "tril": (lambda x: dl.tril(x, 1), lambda x: np.tril(x, 1)),
    "triu": (lambda x: dl.triu(x, 1), lambda x: np.triu(x, 1)),
    "diagonal": (lambda x: dl.diagonal(x, 1), lambda x: np.diagonal(x, 1)),
    "diag": (lambda x: dl.diag(x[0, 0], 1), lambda x: np.diag(x[0, 0], 1)),
    "outer": (
        lambda x: dl.outer(x[0, 0], x[1, 1]),
        lambda x: np.outer(x[0, 0], x[1, 1]),
    ),
    "dot": (lambda x: dl.dot(x[0, 0], x[1, 1]), lambda x: x[0, 0] @ x[1, 1]),
    "pad": (lambda x: dl.pad(x, (1, 2)), lambda x: np.pad(x, ((0, 0), (0, 0), (1, 2)))),
    "cat": (lambda x: dl.cat([x, x], 1), lambda x: np.concatenate([x, x], 1)),
    "concatenate": (
        lambda x: dl.concatenate([x, x], 1),
        lambda x: np.concatenate([x, x], 1),
    ),
    "stack": (lambda x: dl.stack([x, x], 1), lambda x: np.stack([x, x], 1)),
}
for _op, (_call, _f) in _SHAPES.items():
    add(_op, normal(_BOX), _call, _f)
_PADDED = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
for _mode, _same in _PADDED.items():
    add(
        "pad",
        normal((2, 3, 5, 6)),
        lambda x, _mode=_mode: dl.pad(x, (1, 2, 3, 0), _mode),
        lambda x, _same=_same: np.pad(x, ((0, 0), (0, 0), (3, 0), (1, 2)), _same),
    )
add(
    "interpolate",
    normal((2, 3, 4, 5)),
    lambda x: dl.interpolate(x, scale_factor=2),
    lambda x: x.repeat(2, 2).repeat(2, 3),
)
add(
    "interpolate",
    normal((2, 3, 4, 6)),
    lambda x: dl.interpolate(x, scale_factor=0.5, mode="bilinear"),
    lambda x: x.reshape(2, 3, 2, 2, 3, 2).mean((3, 5)),
)
add(
    "interpolate",
    normal((2, 3, 4, 6)),
    lambda x: dl.interpolate(x, (2, 3), mode="area"),
    lambda x: x.reshape(2, 3, 2, 2, 3, 2).mean((3, 5)),
)
add(
    "pixel_shuffle",
    normal((2, 12, 3, 5)),
    lambda x: dl.pixel_shuffle(x, 2),
    lambda x: (
        x.reshape(2, 3, 2, 2, 3, 5).transpose(0, 1, 4, 2, 5, 3).reshape(2, 3, 6, 10)
    ),
)
add(
    "pixel_unshuffle",
    normal((2, 3, 6, 10)),
    lambda x: dl.pixel_unshuffle(x, 2),
    lambda x: (
        x.reshape(2, 3, 3, 2, 5, 2).transpose(0, 1, 3, 5, 2, 4).reshape(2, 12, 3, 5)
    ),
)
add(
    "channel_shuffle",
    normal((2, 6, 5)),
    lambda x: dl.channel_shuffle(x, 2),
    lambda x: x.reshape(2, 2, 3, 5).swapaxes(1, 2).reshape(2, 6, 5),
)


def _between(shape):
    """The places half-way between a pixel, its neighbour to the right and below."""
    _, _, height, width = shape
    x = (2 * (np.arange(width - 1) + 1)) / width - 1
    y = (2 * (np.arange(height - 1) + 1)) / height - 1
    return np.stack(np.broadcast_arrays(x, y[:, None]), -1)[None]


add(
    "grid_sample",
    normal((1, 3, 5, 6)),
    lambda x: dl.grid_sample(x, _between(x.shape).astype(x.dtype)),
    lambda x: (
        (x[..., 1:, 1:] + x[..., 1:, :-1] + x[..., :-1, 1:] + x[..., :-1, :-1]) / 4
    ),
)
add(
    "affine_grid",
    normal((2, 2, 3)),
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
add("split", normal(_BOX), lambda x: dl.split(x, 2, 1)[1], lambda x: x[:, 2:4])
add("chunk", normal(_BOX), lambda x: dl.chunk(x, 3, 1)[2], lambda x: x[:, 4:])
add("to", normal(_BOX), lambda x: dl.to(x, "float64"), lambda x: x)
add("nonzero", normal(_BOX), lambda x: dl.nonzero(x), np.argwhere, gradient=False)
