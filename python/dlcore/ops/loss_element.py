"""What losses share: one kernel for all that are made element by element, checks."""

from math import inf
from numbers import Real

import numpy as np

from .. import _C
from ..grad_mode import is_grad_enabled
from ..tensor import Tensor, raw, record
from .inputs import wants
from .reduction import mean, sum
from .shape import as_array, expand, one_line


def element_loss(op, inputs, reduction, numbers=(), weight=None, count=None):
    """The loss `op` of arrays of one shape: the input, the target, perhaps a third.

    Of a mean or sum, forward makes the gradients in the same pass. `numbers` are those
    of the kernel's formula; a mean divides by `count`, by default that of the elements.
    """
    input, target, other = inputs if len(inputs) == 3 else (*inputs, None)
    arrays = raw(input), raw(target), raw(other)
    given = op, *arrays, weight, numbers, reduction, count
    wanted = ()
    if is_grad_enabled():
        wanted = wants(input), wants(target), wants(other)
    loss, gradients = _C.element_loss_forward(*given, wanted)
    if not isinstance(input, Tensor) and not any(isinstance(x, Tensor) for x in inputs):
        return loss
    ready = [gradients] if reduction != "none" and True in wanted else []

    def backward(dy):
        if ready and dy.item() == 1:
            return ready.pop()  # given away: no copy is kept
        return _C.element_loss_backward(*given, wanted, dy)

    backward.__qualname__ = op
    return record(loss, (input, target, other), backward)


def reduced(op, losses, reduction):
    """The mean or the sum of losses, or themselves."""
    if isinstance(reduction, str):
        if reduction == "none":
            return losses
        if reduction == "mean":
            return mean(losses)
        if reduction == "sum":
            return sum(losses)
    raise ValueError(
        f"{op}: reduction must be 'mean', 'sum' or 'none', got {one_line(reduction)}"
    )


def floats(op, names, *inputs):
    """The arrays of inputs; TypeError unless all are floats of one dtype."""
    arrays = [as_array(op, x, name) for x, name in zip(inputs, names, strict=True)]
    for array, name in zip(arrays, names, strict=True):
        if array.dtype.char not in "fd":
            raise TypeError(
                f"{op}: {name} must be float32 or float64, got {array.dtype}: "
                f"cast with {name}.astype"
            )
        if array.dtype != arrays[0].dtype:
            raise TypeError(
                f"{op}: {names[0]} and {name} must have one dtype, got "
                f"{arrays[0].dtype} and {array.dtype}: cast with .astype"
            )
    return arrays


def alike(op, names, *inputs):
    """The inputs in one shape, to which they broadcast."""
    shapes = [a.shape for a in floats(op, names, *inputs)]
    if shapes.count(shapes[0]) == len(shapes):
        return inputs
    try:
        shape = np.broadcast_shapes(*shapes)
    except (ValueError, RuntimeError):  # also of more than 32 axes
        raise ValueError(
            f"{op}: {', '.join(names[:-1])} and {names[-1]} must broadcast, "
            f"got shapes {', '.join(map(str, shapes))}"
        ) from None
    return tuple(x if s == shape else expand(x, shape) for x, s in zip(inputs, shapes))


def joined(op, names, *inputs):
    """`alike` for `element_loss`, which itself checks what has one shape."""
    shapes = {getattr(raw(x), "shape", None) for x in inputs}
    return inputs if len(shapes) == 1 else alike(op, names, *inputs)


def spread(op, name, weight, input):
    """A weight in the shape of the input, to which it broadcasts; None stays None."""
    if weight is None:
        return None
    shape, weight = as_array(op, input, "input").shape, as_array(op, weight, name)
    if weight.shape == shape or weight.dtype.char not in "fd":
        return weight
    try:
        fits = np.broadcast_shapes(weight.shape, shape) == shape
    except (ValueError, RuntimeError):
        fits = False
    if not fits:
        raise ValueError(
            f"{op}: {name} must broadcast to the input's shape {shape}, "
            f"got {name}.shape = {weight.shape}"
        )
    return _C.expand(weight, shape)


def real(op, name, value, least=-inf):
    """A parameter as a float; TypeError or ValueError unless it is at least `least`."""
    if not isinstance(value, Real):
        raise TypeError(f"{op}: {name} must be a number, got {type(value).__name__}")
    if not value >= least:
        rule = "a number" if least == -inf else f"at least {least}"
        raise ValueError(f"{op}: {name} must be {rule}, got {value}")
    return float(value)


def labels(op, target, shape, classes, least=0):
    """Class numbers of this shape, from `least` to the last class, as int64."""
    numbers = as_array(op, target, "target")
    if numbers.dtype.kind not in "iu" or not np.can_cast(numbers.dtype, np.int64):
        raise TypeError(f"{op}: target must be int64 or int32, got {numbers.dtype}")
    if numbers.shape != shape:
        raise ValueError(
            f"{op}: target must have shape {shape}, got target.shape = {numbers.shape}"
        )
    wrong = numbers[(numbers < least) | (numbers >= classes)]
    if wrong.size:
        raise IndexError(
            f"{op}: target must be from {least} to {classes - 1}, got {wrong[0]}"
        )
    return numbers.astype(np.int64)
