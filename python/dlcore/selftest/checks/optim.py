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


def _scaled(update):
    """Three steps: update(t, g, a, b) gives the step and both states."""

    def call(x, gradient):
        a = b = np.zeros_like(x)
        for t in (1, 2, 3):
            step, a, b = update(t, gradient + 0.01 * x, a, b)
            x = x - 0.1 * step
        return x

    return call


def _adagrad(t, g, a, b):
    a = a + g**2
    return g / (np.sqrt(a) + 1e-10), a, b


def _adadelta(t, g, a, b):
    a = 0.9 * a + 0.1 * g**2
    step = np.sqrt(b + 1e-6) / np.sqrt(a + 1e-6) * g
    return step, a, 0.9 * b + 0.1 * step**2


def _rmsprop(t, g, a, b):
    a, b = 0.99 * a + 0.01 * g**2, 0.99 * b + 0.01 * g
    return g / (np.sqrt(a - b**2) + 1e-8), a, b


def _adamax(t, g, a, b):
    a, b = 0.9 * a + 0.1 * g, np.maximum(0.999 * b, np.abs(g) + 1e-8)
    return a / (1 - 0.9**t) / b, a, b


def _moments(g, a, b):
    return 0.9 * a + 0.1 * g, 0.999 * b + 0.001 * g**2


def _nadam(t, g, a, b):
    a, b = _moments(g, a, b)
    mu = 0.9 * (1 - 0.5 * 0.96 ** (np.arange(1, t + 2) * 0.004))
    now, after = np.prod(mu[:-1]), np.prod(mu)
    step = (1 - mu[-2]) / (1 - now) * g + mu[-1] / (1 - after) * a
    return step / (np.sqrt(b / (1 - 0.999**t)) + 1e-8), a, b


def _radam(t, g, a, b):  # whose first five steps are those of its mean
    a, b = _moments(g, a, b)
    return a / (1 - 0.9**t), a, b


def _lamb(x, gradient):
    a = b = np.zeros_like(x)
    for t in (1, 2, 3):
        a, b = _moments(gradient, a, b)
        u = a / (1 - 0.9**t) / (np.sqrt(b / (1 - 0.999**t)) + 1e-6) + 0.01 * x
        x = x - 0.1 * np.linalg.norm(x) / np.linalg.norm(u) * u
    return x


def _lion(x, gradient):
    mean = np.zeros_like(x)
    for _ in range(3):
        x = x * (1 - 0.001) - 0.1 * np.sign(0.9 * mean + 0.1 * gradient)
        mean = 0.99 * mean + 0.01 * gradient
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
_RULES = {
    "Adagrad": _scaled(_adagrad),
    "Adadelta": _scaled(_adadelta),
    "RMSprop": _scaled(_rmsprop),
    "Adamax": _scaled(_adamax),
    "NAdam": _scaled(_nadam),
    "RAdam": _scaled(_radam),
    "LAMB": _lamb,
    "Lion": _lion,
}
for _op, _f in _RULES.items():
    _more = {"centered": True} if _op == "RMSprop" else {}
    _OPTIMIZERS[_op] = _three_steps(_op, lr=0.1, weight_decay=0.01, **_more), _f
for _op, (_call, _f) in _OPTIMIZERS.items():
    add("optim." + _op, apart(PLANE, PLANE), _call, _f, gradient=False)
