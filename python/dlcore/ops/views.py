"""Methods of Tensor that are other ops under the names people look for."""

import math

import numpy as np

from .. import ops
from ..convert import dtype_of
from ..hints import answer_missing
from ..tensor import Tensor, raw, tensor
from .shape import check_dim, whole


def view_as(self, other):
    """`reshape` to the shape of another."""
    return ops.reshape(self, other.shape)


def expand_as(self, other):
    """`expand` to the shape of another."""
    return ops.expand(self, other.shape)


def t(self):
    """The transpose of a matrix; a vector is its own."""
    if self.ndim > 2:
        raise ValueError(f"t: x must have at most 2 axes, got x.shape = {self.shape}")
    return ops.transpose(self, 0, 1) if self.ndim == 2 else self


def swapaxes(self, axis0, axis1):
    """`transpose` under NumPy's name."""
    return ops.transpose(self, axis0, axis1)


def ravel(self):
    """One dimension of all elements."""
    return ops.reshape(self, -1)


def repeat(self, *sizes):
    """Copies side by side: `sizes` of them along each dimension."""
    sizes = sizes[0] if len(sizes) == 1 and np.iterable(sizes[0]) else sizes
    sizes = [whole("repeat", "each size", n) for n in sizes]
    if len(sizes) < self.ndim or min(sizes, default=0) < 0:
        raise ValueError(
            f"repeat: sizes must be a number for each of the dimensions of x.shape = "
            f"{self.shape}, got {tuple(sizes)}"
        )
    shape = (1,) * (len(sizes) - self.ndim) + self.shape
    pairs = [length for n in shape for length in (1, n)]
    wide = [length for r, n in zip(sizes, shape) for length in (r, n)]
    merged = [r * n for r, n in zip(sizes, shape)]
    return ops.reshape(ops.expand(ops.reshape(self, *pairs), *wide), *merged)


def contiguous(self):
    """The tensor itself, or a copy in the order of its elements."""
    return self if self.data.flags.c_contiguous else ops.clone(self)


def is_contiguous(self):
    """Whether the elements lie in order."""
    return self.data.flags.c_contiguous


def type_as(self, other):
    """The same values in the dtype of another."""
    return ops.to(self, other.dtype)


def cpu(self):
    """The tensor itself: the CPU is where it is."""
    return self


def __contains__(self, value):
    return bool((self.data == raw(value)).any())


def _new(name, value=0):
    def new(self, *size, dtype=None, requires_grad=False):
        size = size[0] if len(size) == 1 and np.iterable(size[0]) else size
        return new_full(self, size, value, dtype, requires_grad)

    new.__name__ = name
    new.__doc__ = f"A tensor of {value}s, in the dtype of this one."
    return new


def unflatten(self, dim, sizes):
    """Give a dimension a shape of its own; one length may be -1."""
    dim = check_dim("unflatten", dim, self.data)
    return ops.reshape(self, *self.shape[:dim], *sizes, *self.shape[dim + 1 :])


def where(self, condition, other):
    """`where` with this tensor where the condition holds."""
    return ops.where(condition, self, other)


def new_full(self, size, fill_value, dtype=None, requires_grad=False):
    """A tensor of one number, in the dtype of this one."""
    size = size if np.iterable(size) else (size,)
    kind = self.dtype if dtype is None else dtype_of("new_full", dtype)
    array = np.full(tuple(size), fill_value, kind)
    return Tensor(array, requires_grad)


_PROPERTIES = {
    "T": lambda self: ops.permute(self, *reversed(range(self.ndim))),
    "mT": lambda self: ops.transpose(self, -2, -1),
    "nbytes": lambda self: self.data.nbytes,
    "itemsize": lambda self: self.data.itemsize,
    "device": lambda self: "cpu",
    "is_cuda": lambda self: False,
}
for _name, _get in _PROPERTIES.items():
    setattr(Tensor, _name, property(_get))
_DTYPES = {"float": "float32", "double": "float64", "long": "int64", "int": "int32"}
_DTYPES |= {"half": "float16", "bfloat16": "bfloat16", "bool": "bool"}
for _name, _dtype in _DTYPES.items():
    setattr(Tensor, _name, lambda self, dtype=_dtype: ops.to(self, dtype))
_METHODS = {
    "new_zeros": _new("new_zeros"),
    "new_ones": _new("new_ones", 1),
    "view": ops.reshape,
    "to": ops.to,
    "reshape_as": view_as,
    "nelement": lambda self: math.prod(self.shape),
    "element_size": lambda self: self.data.itemsize,
    "clamp_min": lambda self, min: ops.clamp(self, min),
    "clamp_max": lambda self, max: ops.clamp(self, None, max),
    "new_tensor": lambda self, data, dtype=None, requires_grad=False: tensor(
        data, self.dtype if dtype is None else dtype, requires_grad
    ),
    "is_floating_point": lambda self: self.data.dtype.kind == "f",
    "trace": lambda self: ops.sum(ops.diagonal(self)),
    "mv": ops.matmul,
    "mm": ops.mm,
    "bmm": ops.bmm,
}
for _one in (
    unflatten,
    where,
    new_full,
    view_as,
    expand_as,
    t,
    swapaxes,
    ravel,
    repeat,
    contiguous,
    is_contiguous,
    type_as,
    cpu,
    __contains__,
):
    _METHODS[_one.__name__] = _one
for _name, _value in _METHODS.items():
    setattr(Tensor, _name, _value)
answer_missing(Tensor)
