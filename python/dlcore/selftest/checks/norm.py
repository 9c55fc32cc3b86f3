"""Normalization."""

import numpy as np

import dlcore as dl

from .table import PLANE, add, normal


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


add(
    "layer_norm",
    normal(PLANE, (23,), (23,)),
    lambda x, w, b: dl.layer_norm(x, 23, w, b),
    lambda x, w, b: _standard(x, 1) * w + b,
)
add(
    "rms_norm",
    normal(PLANE, (23,)),
    lambda x, w: dl.rms_norm(x, 23, w, eps=1e-5),
    lambda x, w: x / np.sqrt(np.square(x).mean(1, keepdims=True) + 1e-5) * w,
)
add(
    "batch_norm",
    normal(_SAMPLES, (4,), (4,)),
    lambda x, w, b: dl.batch_norm(x, None, None, w, b, training=True),
    lambda x, w, b: _affine(_standard(x, (0, 2)), w, b),
)
add(
    "batch_norm",
    normal(PLANE),
    lambda x: dl.batch_norm(x, None, None, training=True),
    lambda x: _standard(x, 0),
)
add(
    "batch_norm",
    normal(_SAMPLES, (4,), (4,), _SAMPLES),
    lambda x, w, b, r: dl.batch_norm(
        x, None, None, w, b, training=True, activation="relu", residual=r
    ),
    lambda x, w, b, r: np.maximum(_affine(_standard(x, (0, 2)), w, b) + r, 0),
)
add(
    "instance_norm",
    normal(_SAMPLES, (4,), (4,)),
    lambda x, w, b: dl.instance_norm(x, weight=w, bias=b),
    lambda x, w, b: _affine(_standard(x, 2), w, b),
)
add(
    "group_norm",
    normal(_SAMPLES, (4,), (4,)),
    lambda x, w, b: dl.group_norm(x, 2, w, b),
    lambda x, w, b: _affine(_standard(x.reshape(3, 2, -1), 2).reshape(x.shape), w, b),
)
add(
    "local_response_norm",
    normal(_SAMPLES),
    lambda x: dl.local_response_norm(x, 3, 0.7),
    lambda x: x / (1 + 0.7 * _neighbours(x)) ** 0.75,
)
add(
    "add_layer_norm",
    normal(PLANE, PLANE, (23,), (23,)),
    lambda x, z, w, b: dl.add_layer_norm(x, z, 23, w, b)[0],
    lambda x, z, w, b: _standard(x + z, 1) * w + b,
)
add(
    "add_rms_norm",
    normal(PLANE, PLANE, (23,)),
    lambda x, z, w: dl.add_rms_norm(x, z, 23, w, eps=1e-5)[0],
    lambda x, z, w: (
        (x + z) / np.sqrt(np.square(x + z).mean(1, keepdims=True) + 1e-5) * w
    ),
)
