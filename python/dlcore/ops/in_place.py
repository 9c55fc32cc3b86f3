"""Changes of a Tensor in its own memory: ``x += y``, ``x.add_(y)``, ``x[i] = y``.

What they change cannot be recorded. They are for tensors without a gradient, and for
parameters under `dlcore.no_grad`; a graph that used the old values refuses to run
backward, whichever tensor that shares the memory it was written through.
"""

import numpy as np

from .. import ops
from ..convert import gradients_dtype
from ..grad_mode import is_grad_enabled
from ..random import normal, uniform
from ..tensor import Tensor, raw
from ..writes import writes
from .inputs import array_of
from .whole_numbers import NUMPYS, of_whole_numbers


def _writable(name, self, *others):
    """The array to write into; RuntimeError where the tape would not see it."""
    if is_grad_enabled():
        if self.requires_grad and self._node is None:
            raise RuntimeError(
                f"{name}: in place: a leaf that requires a gradient may be changed "
                "only under dl.no_grad()"
            )
        if any(getattr(x, "requires_grad", False) for x in (self, *others)):
            raise RuntimeError(
                f"{name}: the gradient would be lost: use an op that gives a new "
                "tensor, dl.where or dl.cat, or dl.no_grad()"
            )
    if not self.data.flags.writeable:
        raise ValueError(
            f"{name}: the tensor's memory must be writable: take a clone, or an array "
            "of its own before Tensor(array)"
        )
    return self.data


def _operator(name, op):
    """``x += y``: in x's memory, or a new tensor where the tape must see the change."""

    def apply(self, other):
        recorded = self.requires_grad and self._node is not None
        if is_grad_enabled() and (
            recorded or (not self.requires_grad and getattr(other, "requires_grad", 0))
        ):
            return op(self, other)
        return _into(name, op, self, other)

    return apply


def _into(name, op, self, *others, **options):
    array = _writable(name, self, *others)
    if array.dtype.kind in "biu" and name[:-1] in NUMPYS:
        y = of_whole_numbers(NUMPYS[name[:-1]], array, *others)
        if y is None or not np.can_cast(y.dtype, array.dtype, "same_kind"):
            raise TypeError(f"{name}: the result must fit into {array.dtype}: cast it")
        array[...] = y.data
    else:
        values = raw(self)
        if name not in _WITHOUT_OUT:
            options["out"] = values
        y = op(values, *(raw(x) for x in others), **options)
        if y is not array:
            array[...] = y
    writes.add(self)
    return self


def _method(name, op):
    def apply(self, *others, **options):
        return _into(name, op, self, *others, **options)

    apply.__name__ = name
    apply.__doc__ = f"`{name[:-1]}` in the memory of this tensor, which is returned."
    return apply


def fill_(self, value):
    """Set all elements to a number; returns the tensor."""
    array = _writable("fill_", self, value)
    number = raw(value)
    if np.ndim(number):
        raise ValueError(f"fill_: value must be a number, got shape {np.shape(number)}")
    array[...] = number
    writes.add(self)
    return self


def zero_(self):
    """Set all elements to 0; returns the tensor."""
    return fill_(self, 0)


def copy_(self, src):
    """Take over the values of `src`, whose shape broadcasts; returns the tensor."""
    array = _writable("copy_", self, src)
    given = array_of(raw(src))
    try:
        array[...] = given
    except ValueError:
        raise ValueError(
            f"copy_: src must broadcast to shape {array.shape}, got {given.shape}"
        ) from None
    writes.add(self)
    return self


def clamp_(self, min=None, max=None):
    """`clamp` in the memory of this tensor, which is returned."""
    array = _writable("clamp_", self)
    values = raw(self)
    y = ops.clamp(values, raw(min), raw(max), out=values)
    if y is not array:
        array[...] = y
    writes.add(self)
    return self


def masked_fill_(self, mask, value):
    """Set the elements where `mask` is True to a number; returns the tensor."""
    array = _writable("masked_fill_", self, value)
    array[...] = ops.masked_fill(raw(self), raw(mask), raw(value))
    writes.add(self)
    return self


def uniform_(self, low=0.0, high=1.0):
    """Uniform random numbers of [low, high); returns the tensor."""
    return _drawn("uniform_", uniform, self, low, high)


def normal_(self, mean=0.0, std=1.0):
    """Normal random numbers; returns the tensor."""
    return _drawn("normal_", normal, self, mean, std)


def _drawn(name, draw, self, *parameters):
    array = _writable(name, self)
    array[...] = draw(*parameters, array.shape, gradients_dtype(array.dtype))
    writes.add(self)
    return self


def detach_(self):
    """Become a leaf without a gradient; returns the tensor."""
    self._node, self.requires_grad = None, False
    return self


def __setitem__(self, index, value):
    """``x[index] = value``."""
    array = _writable("x[index] = value", self, value)
    index = index if isinstance(index, tuple) else (index,)
    array[tuple(raw(part) for part in index)] = raw(value)
    writes.add(self)


for _name in ("add", "sub", "mul", "div", "pow", "matmul"):
    _op, _word = getattr(ops, _name), _name.replace("div", "truediv")
    setattr(Tensor, f"__i{_word}__", _operator(f"{_name}_", _op))
    if _name != "matmul":
        setattr(Tensor, f"{_name}_", _method(f"{_name}_", _op))
_UNARY = "abs neg exp log sqrt rsqrt reciprocal square relu sigmoid tanh"
_OTHERS = "floor ceil round trunc remainder lerp addcmul addcdiv"
_WITHOUT_OUT = {f"{name}_" for name in _OTHERS.split()}
for _name in (*_UNARY.split(), *_OTHERS.split()):
    setattr(Tensor, f"{_name}_", _method(f"{_name}_", getattr(ops, _name)))
for _one in (fill_, zero_, copy_, clamp_, masked_fill_, detach_, uniform_, normal_):
    setattr(Tensor, _one.__name__, _one)
setattr(Tensor, "__setitem__", __setitem__)  # noqa: B010
