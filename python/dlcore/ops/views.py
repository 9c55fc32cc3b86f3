"""Methods of Tensor that are other ops under the names people look for."""

import math

import numpy as np

from .. import ops
from ..tensor import Tensor, _constant, raw
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


def movedim(self, source, destination):
    """Move one dimension to another place."""
    source = check_dim("movedim", source, self.data)
    order = [d for d in range(self.ndim) if d != source]
    order.insert(check_dim("movedim", destination, self.data), source)
    return ops.permute(self, *order)


def ravel(self):
    """One dimension of all elements."""
    return ops.reshape(self, -1)


def select(self, dim, index):
    """The slice of one number along a dimension, without that dimension."""
    dim = check_dim("select", dim, self.data)
    return self[(*(slice(None),) * dim, whole("select", "index", index))]


def narrow(self, dim, start, length):
    """`length` elements along a dimension from `start` on."""
    dim = check_dim("narrow", dim, self.data)
    n, start = self.shape[dim], whole("narrow", "start", start)
    start = start + n if start < 0 else start
    end = start + whole("narrow", "length", length)
    if not 0 <= start <= end <= n:
        raise ValueError(
            f"narrow: start and length must stay in dim {dim} of x.shape = "
            f"{self.shape}, got {start} and {length}"
        )
    return self[(*(slice(None),) * dim, slice(start, end))]


def unbind(self, dim=0):
    """The slices along a dimension, as a tuple."""
    dim = check_dim("unbind", dim, self.data)
    return tuple(select(self, dim, i) for i in range(self.shape[dim]))


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


def dot(self, other):
    """The product of two vectors."""
    if self.ndim != 1 or raw(other).ndim != 1:
        raise ValueError(
            f"dot: both must be vectors, got shapes {self.shape} and {other.shape}"
        )
    return ops.matmul(self, other)


def type_as(self, other):
    """The same values in the dtype of another."""
    return ops.to(self, other.dtype)


def nonzero(self):
    """The places that are not 0, a row for each."""
    return _constant(np.argwhere(self.data))


def allclose(self, other, rtol=1e-5, atol=1e-8, equal_nan=False):
    """Whether all elements are close, as NumPy tells it."""
    return bool(np.allclose(self.data, raw(other), rtol, atol, equal_nan))


def equal(self, other):
    """Whether shape and all elements are the same."""
    return bool(np.array_equal(self.data, raw(other)))


def cpu(self):
    """The tensor itself: the CPU is where it is."""
    return self


def to(self, dtype):
    """`to` another dtype, or that of another tensor."""
    return ops.to(self, dtype.dtype if isinstance(dtype, Tensor) else dtype)


def __contains__(self, value):
    return bool((self.data == raw(value)).any())


def _new(name, value=0):
    def new(self, *size, dtype=None, requires_grad=False):
        size = size[0] if len(size) == 1 and np.iterable(size[0]) else size
        array = np.full(tuple(size), value, self.dtype if dtype is None else dtype)
        return Tensor(array, requires_grad)

    new.__name__ = name
    new.__doc__ = f"A tensor of {value}s, in the dtype of this one."
    return new


_PROPERTIES = {
    "T": lambda self: ops.permute(self, *reversed(range(self.ndim))),
    "mT": lambda self: ops.transpose(self, -2, -1),
    "nbytes": lambda self: self.data.nbytes,
    "itemsize": lambda self: self.data.itemsize,
    "device": lambda self: "cpu",
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
    "reshape_as": view_as,
    "nelement": lambda self: math.prod(self.shape),
    "element_size": lambda self: self.data.itemsize,
    "mm": ops.mm,
    "bmm": ops.bmm,
}
for _one in (
    view_as,
    expand_as,
    t,
    swapaxes,
    movedim,
    ravel,
    select,
    narrow,
    unbind,
    repeat,
    contiguous,
    is_contiguous,
    dot,
    type_as,
    nonzero,
    allclose,
    equal,
    cpu,
    to,
    __contains__,
):
    _METHODS[_one.__name__] = _one
for _name, _value in _METHODS.items():
    setattr(Tensor, _name, _value)
