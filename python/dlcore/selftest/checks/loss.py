"""Softmax and losses."""

import numpy as np

import dlcore as dl

from .table import PLANE, add, normal


def _log_softmax(x, axis=1):
    z = x - x.max(axis, keepdims=True)
    return z - np.log(np.exp(z).sum(axis, keepdims=True))


_LABELS = np.array([0, 22, 7, 7, 11])
add(
    "softmin",
    normal(PLANE),
    lambda x: dl.softmin(x, 1),
    lambda x: np.exp(_log_softmax(-x)),
)
add(
    "softmax",
    normal(PLANE),
    lambda x: dl.softmax(x, 1),
    lambda x: np.exp(_log_softmax(x)),
)
add(
    "softmax",
    normal((3, 4, 5)),
    lambda x: dl.softmax(x, 1),
    lambda x: np.exp(_log_softmax(x)),
)
add("log_softmax", normal(PLANE), lambda x: dl.log_softmax(x, 1), _log_softmax)
add(
    "cross_entropy",
    normal(PLANE),
    lambda x: dl.cross_entropy(x, _LABELS),
    lambda x: -_log_softmax(x)[np.arange(5), _LABELS].mean(),
)
add(
    "nll_loss",
    normal(PLANE),
    lambda x: dl.nll_loss(x, _LABELS),
    lambda x: -x[np.arange(5), _LABELS].mean(),
)
add(
    "linear_cross_entropy",
    normal(PLANE, (9, 23), (9,)),
    lambda x, w, b: dl.linear_cross_entropy(x, w, _LABELS % 9, linear_bias=b),
    lambda x, w, b: -_log_softmax(x @ w.T + b)[np.arange(5), _LABELS % 9].mean(),
)
