"""The gradient of a table of which few rows were used, kept as those rows."""

import os
import threading

import numpy as np

from .. import _C
from ..tensor import Tensor

_adding = threading.Lock()


def _unlock():
    """In the child of a fork: a thread that it lacks may hold the lock for ever."""
    global _adding
    _adding = threading.Lock()


os.register_at_fork(after_in_child=_unlock)


class RowSparse:
    """Rows of a gradient that is zero elsewhere: what ``sparse=True`` leaves in `grad`.

    `SGD` (without momentum), `Adagrad` and `SparseAdam` step those rows alone; whatever
    else asks for `data`, an array like the parameter, is refused.

    Parameters
    ----------
    indices : ndarray of int64, shape (n,)
        The rows, rising, each once.
    values : ndarray, shape (n, dim)
        Their gradients.
    rows : int
        Of the whole table.

    Attributes
    ----------
    indices, values : ndarray
    shape : tuple of int
        That of the table, ``(rows, dim)``.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> table = dl.nn.Embedding(1000, 2, sparse=True)
    >>> table(np.array([7, 3, 7])).sum().backward()
    >>> table.weight.grad
    RowSparse(2 of 1000 rows, indices=[3 7], values=
    [[1. 1.]
     [2. 2.]])
    >>> table.weight.grad.to_dense().shape
    (1000, 2)
    """

    __slots__ = ("indices", "shape", "values")
    requires_grad = False
    _node = None

    def __init__(self, indices, values, rows):
        self.indices, self.values = indices, values
        self.shape = rows, values.shape[1]

    @property
    def dtype(self):
        return self.values.dtype

    @property
    def ndim(self):
        return 2

    @property
    def data(self):
        raise AttributeError(
            "grad: a gradient of rows (sparse=True) is no array: take "
            "grad.to_dense(), or leave sparse=False"
        )

    def to_dense(self):
        """The same as a Tensor of shape `shape`."""
        op = "to_dense"
        return Tensor(_C.add_rows(op, self.values, 0, self.indices, self.shape[0]))

    def __add__(self, other):
        """The sum with another one, or, as a Tensor, with a Tensor."""
        op = "add"
        if not isinstance(other, (RowSparse, Tensor)):
            return NotImplemented
        if self.shape != other.shape or self.dtype != other.dtype:
            raise ValueError(
                f"{op}: gradients must have one shape and dtype, got {self.shape} of "
                f"{self.dtype} and {other.shape} of {other.dtype}"
            )
        if isinstance(other, Tensor):
            terms = self.values, 0, self.indices, other.data
            return Tensor(_C.add_rows(op, *terms))
        indices = np.concatenate((self.indices, other.indices))
        values = np.concatenate((self.values, other.values))
        rows = self.shape[0]
        return RowSparse(*_C.sum_rows(op, values, indices, rows, -1, False), rows)

    __radd__ = __add__

    def __repr__(self):
        indices = np.array2string(self.indices, threshold=8)
        values = np.array2string(self.values, precision=4)
        return (
            f"RowSparse({len(self.indices)} of {self.shape[0]} rows, "
            f"indices={indices}, values=\n{values})"
        )


def check_leaf(op, weight):
    """Raise unless the gradient of `weight` can be one of rows."""
    if weight._node is not None:
        raise ValueError(
            f"{op}: sparse must be False where weight is the result of an op: only a "
            "parameter can hold a gradient of rows"
        )


def add_to_grad(weight, gradient):
    """Leave a `RowSparse` in the `grad` of a leaf, or add it to what is there."""
    with _adding:
        before = weight.grad
        if before is None:
            weight.grad = gradient
        elif isinstance(before, RowSparse):
            weight.grad = before + gradient
        else:
            weight.grad = gradient + before
