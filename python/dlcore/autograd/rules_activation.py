"""Second derivatives of the activations with settings, and of those with gates."""

from .. import ops
from .recorded import composite, rule, softplus
from .rules_elementwise import piecewise_linear

rule(
    "step",
    "hardsigmoid",
    "hardtanh",
    "softshrink",
    "hardshrink",
    "threshold",
    "alpha_dropout",
)(piecewise_linear)

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


@rule("hardswish")
@composite
def _(kept, x):
    return x * ops.clip(x + 3.0, 0.0, 6.0) * (1 / 6)


def _elu(x, a, b, c):
    """``a x`` where x > 0, else ``b (exp(c x) - 1)``."""
    return ops.relu(x) * a + ops.expm1(ops.clip(x, max=0.0) * c) * b


@rule("elu")
@composite
def _(kept, x):
    return _elu(x, 1.0, float(kept.alpha), 1.0)


@rule("celu")
@composite
def _(kept, x):
    return _elu(x, 1.0, float(kept.alpha), 1 / kept.alpha)


@rule("selu")
@composite
def _(kept, x):
    return _elu(x, _SELU_SCALE, _SELU_SCALE * _SELU_ALPHA, 1.0)


@rule("softplus")
def _(dy, parents, kept, need):
    scaled = parents[0] * float(kept.beta)
    slope = ops.sigmoid(scaled)
    return (dy * ops.where(scaled > float(kept.threshold), 1.0, slope),)


@rule("logsigmoid")
def _(dy, parents, kept, need):
    return (dy * ops.sigmoid(-parents[0]),)


@rule("mish")
@composite
def _(kept, x):
    return x * ops.tanh(softplus(x))


@rule("softsign")
def _(dy, parents, kept, need):
    return (dy * ops.square(ops.reciprocal(ops.abs(parents[0]) + 1.0)),)


@rule("prelu")
@composite
def _(kept, x, weight):
    if weight.shape[0] > 1:
        weight = ops.reshape(weight, -1, *[1] * (x.ndim - 2))
    return ops.relu(x) - ops.relu(-x) * weight


def _gated(name, gate):
    @rule(name)
    @composite
    def _(kept, x):
        a, b = ops.chunk(x, 2, kept.dim)
        return a * gate(kept, b)


_gated("glu", lambda kept, b: ops.sigmoid(b))
_gated("swiglu", lambda kept, b: ops.silu(b))
_gated("reglu", lambda kept, b: ops.relu(b))
_gated(
    "geglu",
    lambda kept, b: ops.gelu(
        b, "tanh" if "geglu_tanh_backward" in kept.looks_up else "none"
    ),
)
