"""Activations with settings in plain NumPy, float64."""

import numpy as np
import reference

SELU = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def celu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.where(x > 0, 0, x) / alpha))


def selu(x):
    return SELU[0] * elu(x, SELU[1])


def softplus(x, beta=1.0, threshold=20.0):
    t = beta * x
    curved = np.maximum(t, 0) + np.log1p(np.exp(-np.abs(t)))
    return np.where(t > threshold, x, curved / beta)


def logsigmoid(x):
    return -softplus(-x, threshold=np.inf)


def mish(x):
    return np.where(x == -np.inf, 0, x * np.tanh(softplus(x)))


def softsign(x):
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(x), np.sign(x), x / (1 + np.abs(x)))


def tanhshrink(x):
    return x - np.tanh(x)


def step(x, threshold=0.0):
    return np.where(np.isnan(x), x, x >= threshold)


def hardsigmoid(x):
    return np.clip(x + 3, 0, 6) / 6


def hardswish(x):
    return np.where(x == -np.inf, 0, x * np.clip(x + 3, 0, 6) / 6)


def hardtanh(x, min_val=-1.0, max_val=1.0):
    return np.clip(x, min_val, max_val)


def softshrink(x, lambd=0.5):
    return x - np.clip(x, -lambd, lambd)


def hardshrink(x, lambd=0.5):
    return np.where(np.abs(x) <= lambd, 0, x)


def threshold(x, threshold, value):
    return np.where(x <= threshold, value, x)


def glu(x, dim=-1, gate=lambda b: 1 / (1 + np.exp(-b))):
    a, b = np.split(x, 2, dim)
    return a * gate(b)


def geglu(x, dim=-1):
    return glu(x, dim, reference.gelu)


def swiglu(x, dim=-1):
    return glu(x, dim, reference.silu)


def reglu(x, dim=-1):
    return glu(x, dim, reference.relu)


def prelu(x, weight):
    weight = weight.reshape(-1, *[1] * (x.ndim - 2)) if len(weight) > 1 else weight[0]
    return np.where(x > 0, x, weight * x)
