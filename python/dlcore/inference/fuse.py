"""Steps that one kernel can do together: normalization, residual and activation."""

from dataclasses import dataclass, replace

import numpy as np

from .plan import Slot, Step, View
from .program import Program
from .split import split

_ACTIVATIONS = {
    "relu_forward": "relu",
    "relu6_forward": "relu6",
    "leaky_relu_forward": "leaky_relu",
    "gelu_forward": "gelu",
    "gelu_tanh_forward": "gelu_tanh",
    "silu_forward": "silu",
    "sigmoid_forward": "sigmoid",
    "tanh_forward": "tanh",
}


def fuse(program, folded):
    """The same program in fewer steps.

    `folded` remembers the weights that took a normalization in, for other programs of
    the same model.
    """
    parts = [part for step in program.steps for part in split(step)]
    program = Program(program.inputs, parts, program.output)
    steps, uses = list(program.steps), program.uses()
    reader = {slot: i for i, step in enumerate(steps) for slot in step.reads()}
    # From the last: of two layers that are added up, the later one adds.
    for i in reversed(range(len(steps))):
        layer = _layer(steps[i])
        if layer is None:
            continue
        while uses.get(layer.y) == 1 and layer.y in reader:
            j = reader[layer.y]
            longer = _absorb(layer, steps[j], uses, folded)
            if longer is None:
                break
            steps[i], i, layer = None, j, longer  # stands where its last part stood
        steps[i] = layer.step_of()
        reader.update({slot: i for slot in steps[i].reads()})
    return Program(program.inputs, [s for s in steps if s is not None], program.output)


@dataclass(frozen=True, eq=False)
class _Layer:
    """A convolution or a linear layer and what follows it."""

    kernel: str
    x: object
    weight: np.ndarray
    bias: np.ndarray | None
    settings: tuple  # of the convolution
    y: Slot
    residual: object = None
    activation: str | None = None
    slope: float = 0.01
    parts: tuple = ()

    def step_of(self):
        operands = self.x, self.weight, self.bias
        if self.kernel == "conv2d_forward":
            finish = self.activation, self.residual, self.slope
            arguments = (*operands, *self.settings, *finish)
            return Step(self.kernel, arguments, self.y, self.parts)
        finish = self.residual, self.activation, self.slope
        arguments = (*operands, *finish, False, *self.settings)
        return Step(self.kernel, arguments, (self.y, None), self.parts)


def _layer(step):
    """The layer that a step of the traced program begins, if it is one."""
    if step is None or len(step.parts) > 1 or not _constants(step.arguments[1:3]):
        return None
    a = step.arguments
    if step.name == "conv2d_forward":
        (activation, residual, slope), settings, y = a[7:10], a[3:7], step.result
    elif step.name == "linear_forward":
        (residual, activation, slope), settings, y = a[3:6], a[7:], step.result[0]
    else:
        return None
    activation = None if activation == "none" else activation
    extras = ("add" if residual is not None else None, activation)
    parts = step.parts + tuple(part for part in extras if part)
    finish = residual, activation, slope
    return _Layer(step.name, *a[:3], settings, y, *finish, parts)


def _constants(values):
    return not any(isinstance(value, (Slot, View)) for value in values)


def _absorb(layer, step, uses, folded):
    """The layer with one more step in it, or None where that cannot be."""
    a = step.arguments
    if layer.activation is not None:
        return None
    if step.name == "batch_norm_forward" and a[0] is layer.y:
        y, *others = step.result
        per_channel = layer.kernel == "conv2d_forward" or len(y.shape) == 2
        alone = layer.residual is None and not any(slot in uses for slot in others)
        if a[5] or not per_channel or not alone or not _constants(a[1:5]):
            return None
        weight, bias = _fold(layer, a[1:5], a[7], folded)
        return _longer(layer, step, y, weight=weight, bias=bias)
    if step.name == "add" and layer.residual is None:
        other = a[1] if a[0] is layer.y else a[0]
        if layer.y not in a[:2] or getattr(other, "shape", None) != layer.y.shape:
            return None
        return _longer(layer, step, step.result, residual=other)
    activation = _ACTIVATIONS.get(step.name)
    if activation is None or a[0] is not layer.y:
        return None
    slope = a[1] if activation == "leaky_relu" else layer.slope
    return _longer(layer, step, step.result, activation=activation, slope=slope)


def _longer(layer, step, y, **changes):
    return replace(layer, y=y, parts=layer.parts + step.parts, **changes)


def _fold(layer, statistics, eps, folded):
    """Weight and bias of the layer and the normalization after it, as one layer."""
    key = (*map(id, (layer.weight, layer.bias, *statistics)), eps)
    if key not in folded:
        mean, variance, gamma, beta = statistics
        wide = layer.weight.astype(np.float64)
        scale = (1 if gamma is None else gamma) / np.sqrt(variance + np.float64(eps))
        weight = wide * scale.reshape(-1, *(1,) * (wide.ndim - 1))
        shift = (0.0 if layer.bias is None else layer.bias) - mean.astype(np.float64)
        bias = shift * scale + (0 if beta is None else beta)
        made = tuple(v.astype(layer.weight.dtype) for v in (weight, bias))
        folded[key] = made, (layer, statistics)  # what keeps its ids is kept
    return folded[key][0]
