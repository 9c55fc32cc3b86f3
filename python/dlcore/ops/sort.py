"""Orders along an axis, and sums so far."""

from typing import NamedTuple

import numpy as np

from .. import _C
from ..tensor import Tensor, record
from .axes import is_counted
from .inputs import plain
from .shape import as_array, check_dim, one_axis, whole


class Ordered(NamedTuple):
    """What `sort` and `topk` return: two arrays or Tensors of one shape."""

    values: np.ndarray | Tensor
    indices: np.ndarray | Tensor


def sort(x, dim=-1, descending=False, stable=False, *, axis=None):
    """The elements along an axis in order, and where they were.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64; integers by NumPy.
    dim : int, optional
        The axis; `axis` is the same.
    descending : bool, optional
        The largest first.
    stable : bool, optional
        Accepted: the order is stable in any case.

    Returns
    -------
    values, indices : ndarray or Tensor
        Of the shape of `x`; `indices` are int64. Equal elements stay in their order.
        NaN counts as the largest.

    Raises
    ------
    IndexError
        If `x` has no axis `dim`.
    TypeError
        If `x` is not an array of real numbers.

    See Also
    --------
    argsort, topk

    Notes
    -----
    A radix sort: 3 passes over float32, 6 over float64, however long the row.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> values, indices = dl.sort(np.array([3.0, 1.0, 2.0]))
    >>> values, indices
    (array([1., 2., 3.]), array([1, 2, 0]))
    """
    a, dim, descending = _along("sort", x, dim, axis, descending)
    if is_counted(a):
        order = _order_of_whole(a, dim, descending)
        values = np.take_along_axis(a, order, dim) if a.ndim else a.copy()
        return Ordered(plain(values, x), plain(order, x))
    y, order = _C.sort("sort", a, dim, descending, True)
    return _picked("sort", y, order, x, a, dim)


def argsort(x, dim=-1, descending=False, stable=False, *, axis=None):
    """Where the elements of the sorted axis are: the `indices` of `sort`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.argsort(np.array([3.0, 1.0, 2.0]))
    array([1, 2, 0])
    """
    a, dim, descending = _along("argsort", x, dim, axis, descending)
    if is_counted(a):
        return plain(_order_of_whole(a, dim, descending), x)
    return plain(_C.sort("argsort", a, dim, descending, False)[1], x)


def topk(x, k, dim=-1, largest=True, sorted=True, *, axis=None):
    """The `k` largest elements along an axis, and where they are.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    k : int
        From 0 to the length of the axis.
    dim : int, optional
        The axis; `axis` is the same.
    largest : bool, optional
        False for the smallest.
    sorted : bool, optional
        Accepted: they come sorted in any case.

    Returns
    -------
    values, indices : ndarray or Tensor
        Of the shape of `x` with `k` in `dim`. Of equal elements the first come first.
        NaN counts as the largest.

    Raises
    ------
    IndexError
        If `x` has no axis `dim`.
    ValueError
        If `k` is out of range.
    TypeError
        If `x` is not an array of float32 or float64.

    Notes
    -----
    For a small `k` one pass over the row, with a heap of the best so far.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> values, indices = dl.topk(np.array([3.0, 1.0, 2.0]), 2)
    >>> values, indices
    (array([3., 2.]), array([0, 2]))
    """
    a, dim, largest = _along("topk", x, dim, axis, largest, "largest")
    y, order = _C.topk(a, whole("topk", "k", k), dim, largest)
    return _picked("topk", y, order, x, a, dim)


def cumsum(x, dim=None, *, axis=None):
    """Sums along an axis so far, ``y[i] = x[0] + ... + x[i]``.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64, added up in float64; integers by NumPy.
    dim : int
        The axis; `axis` is the same.

    Returns
    -------
    ndarray or Tensor
        Of the shape of `x`.

    Raises
    ------
    IndexError
        If `x` has no axis `dim`.
    TypeError
        If `x` is not an array of real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.cumsum(np.array([1.0, 2.0, 3.0]), 0)
    array([1., 3., 6.])
    """
    a = as_array("cumsum", x)
    dim = whole("cumsum", "dim", dim if axis is None else axis)
    if is_counted(a):
        return plain(np.cumsum(a, check_dim("cumsum", dim, a)), x)
    y = _C.cumsum(a, dim, False)
    return record(y, (x,), lambda dy: (_C.cumsum(dy, dim, True),))


def cumprod(x, dim=None, *, axis=None):
    """Products along an axis so far, ``y[i] = x[0] * ... * x[i]``.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64, multiplied in float64; integers by NumPy.
    dim : int
        The axis; `axis` is the same.

    Returns
    -------
    ndarray or Tensor
        Of the shape of `x`.

    Raises
    ------
    IndexError
        If `x` has no axis `dim`.
    TypeError
        If `x` is not an array of real numbers.

    Notes
    -----
    The gradient is made without division: it is right where factors are 0.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.cumprod(np.array([1.0, 2.0, 3.0]), 0)
    array([1., 2., 6.])
    """
    a = as_array("cumprod", x)
    dim = whole("cumprod", "dim", dim if axis is None else axis)
    if is_counted(a):
        return plain(np.cumprod(a, check_dim("cumprod", dim, a)), x)
    y = _C.cumprod_forward(a, dim)
    return record(y, (x,), lambda dy: (_C.cumprod_backward(a, y, dy, dim),))


def _along(op, x, dim, axis, flag, name="descending"):
    a = as_array(op, x)
    if not isinstance(flag, (bool, np.bool_)):
        kind = type(flag).__name__
        raise TypeError(f"{op}: {name} must be True or False, got {kind}")
    dim = one_axis(op, dim, -1, axis)
    if a.ndim:
        return a, check_dim(op, dim, a), bool(flag)
    if whole(op, "dim", dim) not in (0, -1):
        raise IndexError(f"{op}: dim must be 0 or -1 for x.shape = (), got {dim}")
    return a, 0, bool(flag)


def _order_of_whole(a, dim, descending):
    if not a.ndim:
        return np.zeros((), np.int64)
    keys = ~a.astype(np.int64) if descending else a
    if a.dtype == np.uint64 and descending:
        keys = ~a
    return np.argsort(keys, dim, kind="stable")


def _picked(op, y, order, x, a, dim):
    """Both results; the gradient goes back to where the elements were."""

    def backward(dy):
        if not a.ndim:
            return (dy,)
        return (_C.scatter(op, a.shape[dim], dim, order, dy, False),)

    return Ordered(record(y, (x,), backward), plain(order, x))
