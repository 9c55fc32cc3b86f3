"""Ops on one element at a time."""

import math
from collections.abc import Callable

import numpy as np

import dlcore as dl

from .table import PLANE, add, apart, normal, steps

_erf = np.vectorize(math.erf, otypes=[float])


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _elu(x, alpha):
    return np.where(x > 0, x, alpha * np.expm1(x))


def _tanh_gelu(x):
    return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


UNARY: dict[str, Callable] = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "gelu": lambda x: x / 2 * (1 + _erf(x / math.sqrt(2))),
    "silu": lambda x: x * _sigmoid(x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "celu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "selu": lambda x: 1.0507009873554805 * _elu(x, 1.6732632423543772),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "logsigmoid": lambda x: -np.log1p(np.exp(-x)),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "tanhshrink": lambda x: x - np.tanh(x),
    "hardsigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "hardtanh": lambda x: np.clip(x, -1, 1),
    "softshrink": lambda x: x - np.clip(x, -0.5, 0.5),
    "hardshrink": lambda x: np.where(np.abs(x) > 0.5, x, 0),
    "exp": np.exp,
    "abs": np.abs,
    "neg": np.negative,
    "square": np.square,
    "expm1": np.expm1,
    "erf": _erf,
}
_POSITIVE: dict[str, Callable] = {
    "log": np.log,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "reciprocal": np.reciprocal,
}
_BY_NUMPY = {  # name there: of numbers from 0.5 on, divided by 9 where that is too much
    name: getattr(np, f"arc{name[1:]}" if name[0] == "a" else name)
    for name in (
        "sin cos tan asin acos atan sinh cosh asinh acosh atanh exp2 log2 log10"
    ).split()
}
_FLAT = {  # no gradient, or 0 everywhere
    "sign": (apart(PLANE), np.sign),
    "step": (apart(PLANE), lambda x: x >= 0),
    **{
        name: (apart(PLANE), getattr(np, name))
        for name in "floor ceil trunc round logical_not isnan".split()
    },
    **{
        name: (steps, getattr(np, name))
        for name in "logical_and logical_or logical_xor isclose allclose".split()
    },
    "equal": (steps, np.array_equal),
    "isinf": (apart(PLANE), np.isinf),
    "isfinite": (apart(PLANE), np.isfinite),
    "eq": (steps, np.equal),
    "ne": (steps, np.not_equal),
    "lt": (steps, np.less),
    "le": (steps, np.less_equal),
    "gt": (steps, np.greater),
    "ge": (steps, np.greater_equal),
}
_BINARY: dict[str, Callable] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "maximum": np.maximum,
    "minimum": np.minimum,
}

for _op, _f in UNARY.items():
    add(_op, apart(PLANE), lambda x, _op=_op: getattr(dl, _op)(x), _f)
add("gelu", apart(PLANE), lambda x: dl.gelu(x, approximate="tanh"), _tanh_gelu)
add(
    "threshold",
    apart(PLANE),
    lambda x: dl.threshold(x, 0.5, -2.0),
    lambda x: np.where(x > 0.5, x, -2.0),
)
for _op, _gate in (
    ("glu", "sigmoid"),
    ("geglu", "gelu"),
    ("swiglu", "silu"),
    ("reglu", "relu"),
):
    add(
        _op,
        apart((5, 22)),
        lambda x, _op=_op: getattr(dl, _op)(x),
        lambda x, _gate=_gate: x[:, :11] * UNARY[_gate](x[:, 11:]),
    )
add(
    "prelu",
    lambda rng: [apart((5, 3, 23))(rng)[0], np.abs(rng.standard_normal(3))],
    lambda x, w: dl.prelu(x, w),
    lambda x, w: np.where(x > 0, x, w[:, None] * x),
)
for _op, _f in _POSITIVE.items():
    add(_op, normal(PLANE, low=0.5), lambda x, _op=_op: getattr(dl, _op)(x), _f)
for _op, _f in _BINARY.items():
    add(_op, normal(PLANE, (1, 23)), lambda a, b, _op=_op: getattr(dl, _op)(a, b), _f)
for _op, _f in _BY_NUMPY.items():
    _part = 9 if _op in ("asin", "acos", "atanh") else 1
    add(
        _op,
        normal(PLANE, low=1.1),
        lambda x, _op=_op, _part=_part: getattr(dl, _op)(x / _part),
        lambda x, _f=_f, _part=_part: _f(x / _part),
    )
for _op, _f in (
    ("atan2", np.arctan2),
    ("remainder", np.remainder),
    ("fmod", np.fmod),
    ("logaddexp", np.logaddexp),
):
    add(
        _op,
        normal(PLANE, (5, 1), low=0.5),
        lambda a, b, _op=_op: getattr(dl, _op)(a, b),
        _f,
        gradient=_op in ("atan2", "logaddexp"),  # the others jump
    )
_THREE = {
    "lerp": lambda x, a, b: x + b * (a - x),
    "addcmul": lambda x, a, b: x + a * b,
    "addcdiv": lambda x, a, b: x + a / b,
}
for _op, _f in _THREE.items():
    add(
        _op,
        normal(PLANE, PLANE, (1, 23), low=0.5),
        lambda *x, _op=_op: getattr(dl, _op)(*x),
        _f,
    )
add("div", normal(PLANE, (5, 1), low=0.5), lambda a, b: dl.div(a, b), np.divide)
add("pow", normal(PLANE, low=0.5), lambda x: dl.pow(x, 3), lambda x: x**3)
for _op, (_inputs, _flat) in _FLAT.items():
    add(_op, _inputs, lambda *x, _op=_op: getattr(dl, _op)(*x), _flat, gradient=False)
for _op in ("clamp", "clip"):
    add(
        _op,
        apart(PLANE),
        lambda x, _op=_op: getattr(dl, _op)(x, -1, 1),
        lambda x: np.clip(x, -1, 1),
    )
add(
    "where",
    lambda rng: [rng.standard_normal(PLANE), rng.standard_normal(PLANE)],
    lambda x, y: dl.where(np.arange(23) % 2 == 0, x, y),
    lambda x, y: np.where(np.arange(23) % 2 == 0, x, y),
)


def _dropout(x):
    dl.manual_seed(1)
    return dl.dropout(x, 0.5)


add(
    "dropout",
    normal(PLANE, low=0.1),
    _dropout,
    lambda x: np.where(_dropout(np.ones_like(x)), 2 * x, 0),
)


def _seeded(function, x):
    dl.manual_seed(1)
    return function(x, 0.5)


for _op, _channels in (
    ("alpha_dropout", PLANE),
    ("feature_alpha_dropout", (2, 5, 7)),
    ("dropout1d", (2, 5, 7)),
    ("dropout2d", (2, 5, 3, 3)),
    ("dropout3d", (2, 5, 3, 3, 2)),
):  # a line through what 0 and 1 become
    add(
        _op,
        normal(_channels),
        lambda x, _op=_op: _seeded(getattr(dl, _op), x),
        lambda x, _op=_op: (
            _seeded(getattr(dl, _op), np.zeros_like(x)) * (1 - x)
            + _seeded(getattr(dl, _op), np.ones_like(x)) * x
        ),
    )
