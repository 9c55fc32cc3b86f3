"""Softmax and losses."""

import numpy as np

import dlcore as dl

from .table import PLANE, add, normal


def _log_softmax(x, axis=1):
    z = x - x.max(axis, keepdims=True)
    return z - np.log(np.exp(z).sum(axis, keepdims=True))


_LABELS = np.array([0, 22, 7, 7, 11])
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


def _softplus(x):
    return np.logaddexp(0, x)


def _bend(d, at):
    d = np.abs(d)
    return np.where(d < at, d * d / 2, at * (d - at / 2))


_SIGNS = np.where(np.arange(23) % 3, 1.0, -1.0) * np.ones((5, 1))
for _name, _loss in {
    "mse_loss": lambda x, y: np.square(x - y),
    "l1_loss": lambda x, y: np.abs(x - y),
    "huber_loss": lambda x, y: _bend(x - y, 1),
    "log_cosh_loss": lambda x, y: np.logaddexp(x - y, y - x) - np.log(2),
    "binary_cross_entropy_with_logits": lambda x, y: _softplus(x) - x * y,
    "poisson_nll_loss": lambda x, y: np.exp(x) - y * x,
}.items():
    add(
        _name,
        normal(PLANE, PLANE),
        getattr(dl, _name),
        lambda x, y, loss=_loss: loss(x, y).mean(),
    )
add(
    "hinge_loss",
    normal(PLANE),
    lambda x: dl.hinge_loss(x, _SIGNS.astype(x.dtype)),
    lambda x: np.maximum(0, 1 - _SIGNS * x).mean(),
)
add(
    "soft_margin_loss",
    normal(PLANE),
    lambda x: dl.soft_margin_loss(x, _SIGNS.astype(x.dtype)),
    lambda x: _softplus(-_SIGNS * x).mean(),
)
add(
    "triplet_margin_loss",
    normal(PLANE, PLANE, PLANE),
    lambda a, p, n: dl.triplet_margin_loss(a, p, n, eps=0.0, squared=True),
    lambda a, p, n: np.maximum(
        0, np.square(a - p).sum(1) - np.square(a - n).sum(1) + 1
    ).mean(),
)
add(
    "linear_cross_entropy",
    normal(PLANE, (9, 23), (9,)),
    lambda x, w, b: dl.linear_cross_entropy(x, w, _LABELS % 9, linear_bias=b),
    lambda x, w, b: -_log_softmax(x @ w.T + b)[np.arange(5), _LABELS % 9].mean(),
)
