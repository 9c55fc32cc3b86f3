"""Optimizers."""

import numpy as np

import dlcore as dl

from .table import PLANE, add, apart


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
    add("optim." + _op, apart(PLANE, PLANE), _call, _f, gradient=False)
