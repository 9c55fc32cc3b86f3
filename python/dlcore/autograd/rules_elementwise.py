"""Second derivatives of what is done to each element by itself."""

from math import pi, sqrt

import numpy as np

from .. import ops
from ..ops.by_numpy import PAIRS, SLOPES
from ..tensor import Tensor
from .recorded import composite, result_of, rule


@rule("add", "norm._to_both")
def _(dy, parents, kept, need):
    return dy, dy


@rule("sub")
def _(dy, parents, kept, need):
    return dy, lambda: -dy


@rule("mul")
def _(dy, parents, kept, need):
    a, b = parents
    return lambda: dy * b, lambda: dy * a


@rule("div")
def _(dy, parents, kept, need):
    a, b = parents
    return lambda: dy / b, lambda: -(dy / b) * (a / b)


@rule("pow")
def _(dy, parents, kept, need):
    a, b = parents

    def by_base():
        if not isinstance(b, Tensor) and np.ndim(b) == 0:
            return dy * 0.0 if b == 0 else dy * (a ** (b - 1.0)) * b
        none = ops.eq(b, 0.0)
        less = ops.where(none, 0.0, b - 1.0)
        return dy * ops.where(none, 0.0, ops.pow(a, less) * b)

    def by_exponent():
        base = a if isinstance(a, Tensor) else Tensor(np.asarray(a, dy.dtype))
        logs = ops.log(ops.where(base == 0.0, 1.0, base))
        return dy * (result_of(kept, ops.pow, a, b) * logs)

    return by_base, by_exponent


@rule(
    "maximum",
    "minimum",
    "abs",
    "sign",
    "clip",
    "relu",
    "relu6",
    "leaky_relu",
    "dropout",
)
def piecewise_linear(dy, parents, kept, need):
    """Of slopes that do not change with the input: those that backward gives for 1."""
    slopes = kept.backward(np.ones_like(dy.data))
    return [dy * slope if n else None for slope, n in zip(slopes, need, strict=True)]


@rule("exp")
def _(dy, parents, kept, need):
    return (dy * result_of(kept, ops.exp, *parents),)


@rule("expm1")
def _(dy, parents, kept, need):
    return (dy * (result_of(kept, ops.expm1, *parents) + 1.0),)


@rule(*SLOPES)
def _(dy, parents, kept, need):
    return (dy * 0.0 if kept.slope is None else dy * kept.slope(parents[0]),)


@rule("round")
def _(dy, parents, kept, need):
    return (dy * 0.0,)


@rule(*PAIRS)
def _(dy, parents, kept, need):
    a, b = (p if isinstance(p, Tensor) else np.asarray(p, dy.dtype) for p in parents)
    return [
        dy if slope is None else slope * dy if isinstance(slope, Tensor) else dy * slope
        for slope in kept.slopes(a, b)
    ]


@rule("log")
def _(dy, parents, kept, need):
    return (dy / parents[0],)


@rule("log1p")
def _(dy, parents, kept, need):
    return (dy / (parents[0] + 1.0),)


@rule("sqrt")
def _(dy, parents, kept, need):
    return (dy * 0.5 / result_of(kept, ops.sqrt, *parents),)


@rule("rsqrt")
def _(dy, parents, kept, need):
    return (dy * -0.5 * result_of(kept, ops.rsqrt, *parents) ** 3,)


@rule("reciprocal")
def _(dy, parents, kept, need):
    return (-dy * ops.square(result_of(kept, ops.reciprocal, *parents)),)


@rule("square")
def _(dy, parents, kept, need):
    return (dy * (parents[0] * 2.0),)


@rule("neg")
def _(dy, parents, kept, need):
    return (-dy,)


@rule("erf")
def _(dy, parents, kept, need):
    return (dy * (ops.exp(-ops.square(parents[0])) * (2 / sqrt(pi))),)


@rule("sigmoid")
def _(dy, parents, kept, need):
    y = result_of(kept, ops.sigmoid, *parents)
    return (dy * (y * (1.0 - y)),)


@rule("tanh")
def _(dy, parents, kept, need):
    return (dy * (1.0 - ops.square(result_of(kept, ops.tanh, *parents))),)


@rule("silu")
def _(dy, parents, kept, need):
    (x,) = parents
    y = ops.sigmoid(x)
    return (dy * (y * (x * (1.0 - y) + 1.0)),)


@rule("gelu")
@composite
def _(kept, x):
    if "gelu_tanh_backward" in kept.looks_up:
        inner = (x + ops.pow(x, 3.0) * 0.044715) * sqrt(2 / pi)
        return x * 0.5 * (ops.tanh(inner) + 1.0)
    return x * 0.5 * (ops.erf(x * sqrt(0.5)) + 1.0)


@rule("where")
def _(dy, parents, kept, need):
    chosen = kept.chosen
    return (
        None,
        lambda: ops.where(chosen, dy, 0.0),
        lambda: ops.where(chosen, 0.0, dy),
    )


@rule("masked_fill")
def _(dy, parents, kept, need):
    chosen = kept.chosen
    return (
        lambda: ops.where(chosen, 0.0, dy),
        None,
        lambda: ops.sum(ops.where(chosen, dy, 0.0)),
    )
