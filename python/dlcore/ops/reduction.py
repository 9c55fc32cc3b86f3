"""Sums, means, largest and other reductions along any set of axes.

`dim` is None for all axes, one axis or a tuple of axes; `axis` is the same. `keepdim`
(or `keepdims`) leaves the reduced axes with length 1. Sums are pairwise, as accurate as
NumPy's or better, and the same bits for any number of threads. Integers and bools are
left to NumPy.
"""

import builtins
import operator
from math import inf

import numpy as np
from numpy import ndarray

from .. import _C
from ..tensor import Tensor, raw, record
from . import elementwise
from .shape import as_array, check_dim


def sum(x, dim=None, keepdim=False, *, axis=None, keepdims=None, out=None):
    """Sum along axes.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64; integers and bools are counted by NumPy.
    dim : int or tuple of int, optional
        The axes to reduce; all when None. `axis` is the same.
    keepdim : bool, optional
        Whether the reduced axes stay, with length 1. `keepdims` is the same.
    out : ndarray, optional
        Where to put the result (arrays only).

    Returns
    -------
    ndarray or Tensor
        The dtype of `x`. The sum of nothing is 0.

    Raises
    ------
    IndexError
        If an axis is out of range.
    ValueError
        If an axis is named twice.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.sum(np.ones((2, 3)), dim=1)
    array([3., 3.])
    """
    dim, keepdim = _words("sum", dim, keepdim, axis, keepdims)
    a = raw(x, out)
    if _is_counted(a):
        return _plain(np.sum(a, dim, keepdims=keepdim), x)
    y = _C.sum(a, dim, keepdim, out)
    if not isinstance(x, Tensor):
        return y
    return record(y, (x,), lambda dy: (_C.expand(_kept(dy, a, dim), a.shape),))


def mean(x, dim=None, keepdim=False, *, axis=None, keepdims=None, out=None):
    """Arithmetic mean along axes; of nothing it is NaN. Arguments as for `sum`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.mean(np.array([[1.0, 2.0], [3.0, 6.0]]), dim=0)
    array([2., 4.])
    """
    dim, keepdim = _words("mean", dim, keepdim, axis, keepdims)
    a = raw(x, out)
    y = _C.mean(a, dim, keepdim, out)
    if not isinstance(x, Tensor):
        return y

    def backward(dy):
        share = _C.div(_kept(dy, a, dim), builtins.max(_count(a, dy), 1))
        return (_C.expand(share, a.shape),)

    return record(y, (x,), backward)


def prod(x, dim=None, keepdim=False, *, axis=None, keepdims=None, out=None):
    """Product along axes; of nothing it is 1. Arguments as for `sum`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.prod(np.array([2.0, 3.0, 4.0]))
    array(24.)
    """
    dim, keepdim = _words("prod", dim, keepdim, axis, keepdims)
    a = raw(x, out)
    if _is_counted(a):
        return _plain(np.prod(a, dim, keepdims=keepdim), x)
    y = _C.prod(a, dim, keepdim, out)

    def backward(dy):
        # The product of the others: y / x, but with one zero only that zero has any.
        zero = a == 0
        filled = np.where(zero, np.ones_like(a), a)
        others = _C.div(_C.prod(filled, dim, True), filled)
        zeros = np.count_nonzero(zero, axis=_axes(dim), keepdims=True)
        alone = (zeros == 0) | ((zeros == 1) & zero)
        others = np.where(alone, others, np.zeros_like(a))
        return (_C.mul(others, _kept(dy, a, dim)),)

    return record(y, (x,), backward)


def amax(x, dim=None, keepdim=False, *, axis=None, keepdims=None, out=None):
    """Largest along axes; NaN where there is one. Arguments as for `sum`.

    The gradient is shared evenly by those that are equally large.

    Raises
    ------
    ValueError
        If there is nothing to choose from.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.amax(np.array([[1.0, 5.0], [4.0, 2.0]]), dim=1)
    array([5., 4.])
    """
    dim, keepdim = _words("amax", dim, keepdim, axis, keepdims)
    return _extreme(_C.amax, np.max, x, dim, keepdim, out, _shared)


def amin(x, dim=None, keepdim=False, *, axis=None, keepdims=None, out=None):
    """Smallest along axes, otherwise as `amax`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.amin(np.array([[1.0, 5.0], [4.0, 2.0]]), dim=1)
    array([1., 2.])
    """
    dim, keepdim = _words("amin", dim, keepdim, axis, keepdims)
    return _extreme(_C.amin, np.min, x, dim, keepdim, out, _shared)


def max(x, dim=None, keepdim=False, *, axis=None, keepdims=None, out=None):
    """Largest along axes, as `amax`, but all of the gradient goes to the first.

    Only the values, as NumPy has it: PyTorch's second result is `argmax`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.max(np.array([[1.0, 5.0], [4.0, 2.0]]))
    array(5.)
    """
    dim, keepdim = _words("max", dim, keepdim, axis, keepdims)
    return _extreme(_C.amax, np.max, x, dim, keepdim, out, _first(_C.argmax))


def min(x, dim=None, keepdim=False, *, axis=None, keepdims=None, out=None):
    """Smallest along axes, otherwise as `max`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.min(np.array([[1.0, 5.0], [4.0, 2.0]]))
    array(1.)
    """
    dim, keepdim = _words("min", dim, keepdim, axis, keepdims)
    return _extreme(_C.amin, np.min, x, dim, keepdim, out, _first(_C.argmin))


def argmax(x, dim=None, keepdim=False, *, axis=None, keepdims=None):
    """Index of the first largest along one axis, or in the flattened array.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        A NaN counts as the largest.
    dim : int, optional
        The axis; None is the flattened array. `axis` is the same.
    keepdim : bool, optional
        Whether the axis stays, with length 1. `keepdims` is the same.

    Returns
    -------
    ndarray or Tensor of int64

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.argmax(np.array([[1.0, 5.0], [4.0, 2.0]]), dim=1)
    array([1, 0])
    """
    dim, keepdim = _words("argmax", dim, keepdim, axis, keepdims)
    a = raw(x)
    if _is_counted(a):
        return _plain(np.argmax(a, dim, keepdims=keepdim), x)
    return _plain(_C.argmax(a, dim, keepdim), x)


def argmin(x, dim=None, keepdim=False, *, axis=None, keepdims=None):
    """Index of the first smallest, otherwise as `argmax`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.argmin(np.array([[1.0, 5.0], [4.0, 2.0]]), dim=1)
    array([0, 1])
    """
    dim, keepdim = _words("argmin", dim, keepdim, axis, keepdims)
    a = raw(x)
    if _is_counted(a):
        return _plain(np.argmin(a, dim, keepdims=keepdim), x)
    return _plain(_C.argmin(a, dim, keepdim), x)


def var(
    x, dim=None, correction=1, keepdim=False, *, axis=None, ddof=None, keepdims=None
):
    """Variance along axes, ``sum((x - mean)**2) / (n - correction)``.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    dim : int or tuple of int, optional
        The axes to reduce; all when None. `axis` is the same.
    correction : int, optional
        1 (the default, as in PyTorch) for the unbiased estimate, 0 for the mean square
        as in NumPy.
    ddof : int, optional
        NumPy's word for `correction`.
    keepdim : bool, optional
        Whether the reduced axes stay, with length 1. `keepdims` is the same.

    Returns
    -------
    ndarray or Tensor
        NaN where n is not above `correction`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.var(np.array([1.0, 2.0, 3.0]))
    array(1.)
    """
    dim, keepdim = _words("var", dim, keepdim, axis, keepdims)
    correction = correction if ddof is None else ddof
    a = raw(x)
    y = _C.var(a, dim, correction, keepdim)
    if not isinstance(x, Tensor):
        return y

    def backward(dy):
        degrees = _count(a, dy) - correction
        slope = _C.mul(_kept(dy, a, dim), 2.0 / degrees if degrees > 0 else inf)
        return (_C.mul(_C.sub(a, _C.mean(a, dim, True)), slope),)

    return record(y, (x,), backward)


def std(
    x, dim=None, correction=1, keepdim=False, *, axis=None, ddof=None, keepdims=None
):
    """Standard deviation along axes, the square root of `var`. Arguments as for `var`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.std(np.array([1.0, 3.0, 5.0]))
    array(2.)
    """
    dim, keepdim = _words("std", dim, keepdim, axis, keepdims)
    correction = correction if ddof is None else ddof
    a = raw(x)
    y = _C.var(a, dim, correction, keepdim)
    y = _C.sqrt(y, y)
    if not isinstance(x, Tensor):
        return y

    def backward(dy):
        degrees = _count(a, dy) - correction
        slope = _C.div(_C.mul(dy, 1.0 / degrees if degrees > 0 else inf), y)
        return (_C.mul(_C.sub(a, _C.mean(a, dim, True)), _kept(slope, a, dim)),)

    return record(y, (x,), backward)


def norm(x, p=2, dim=None, keepdim=False, *, axis=None, keepdims=None):
    """Norm of the elements along axes, ``sum(abs(x)**p) ** (1 / p)``.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    p : float or 'fro'
        2 and ``'fro'`` are the Euclidean norm; inf and -inf the largest and the
        smallest magnitude.
    dim : int or tuple of int, optional
        The axes to reduce; all when None. `axis` is the same.
    keepdim : bool, optional
        Whether the reduced axes stay, with length 1. `keepdims` is the same.

    Notes
    -----
    The gradient of the Euclidean norm is 0 at 0.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.norm(np.array([3.0, 4.0]))
    array(5.)
    """
    dim, keepdim = _words("norm", dim, keepdim, axis, keepdims)
    if p == inf:
        return amax(elementwise.abs(x), dim, keepdim)
    if p == -inf:
        return amin(elementwise.abs(x), dim, keepdim)
    if not isinstance(p, (int, float, str, np.number)):
        raise TypeError(f"norm: p must be a number or 'fro', got {type(p).__name__}")
    if p not in (1, 2, "fro"):
        if isinstance(p, str) or p == 0:
            raise ValueError(f"norm: p must be a number but 0, or 'fro', got {p!r}")
        powers = elementwise.pow(elementwise.abs(x), p)
        return elementwise.pow(sum(powers, dim, keepdim), 1 / p)
    a = raw(x)
    if p == 1:
        y = _C.sum_abs(a, dim, keepdim)
        return record(y, (x,), lambda dy: (_C.mul(_C.sign(a), _kept(dy, a, dim)),))
    y = _C.sum_squares(a, dim, keepdim)
    y = _C.sqrt(y, y)

    def backward(dy):
        slope = _C.div(dy, np.where(y == 0, np.ones_like(y), y))
        return (_C.mul(a, _kept(slope, a, dim)),)

    return record(y, (x,), backward)


def logsumexp(x, dim, keepdim=False, *, keepdims=None):
    """``log(sum(exp(x)))`` along axes, without overflow.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    dim : int, tuple of int or None
        The axes to reduce; all when None.
    keepdim : bool, optional
        Whether the reduced axes stay, with length 1. `keepdims` is the same.

    Returns
    -------
    ndarray or Tensor
        -inf where all are -inf, and for nothing.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.logsumexp(np.array([1000.0, 1000.0]), 0)
    array(1000.69314718)
    """
    keepdim = keepdim if keepdims is None else keepdims
    a = as_array("logsumexp", x)
    if a.size == 0:
        y = _C.log(_C.sum(a, dim, True))
    else:
        top = _finite(_C.amax(a, dim, True))
        terms = _C.sub(a, top)
        y = _C.add(_C.log(_C.sum(_C.exp(terms, terms), dim, True)), top)

    def backward(dy):
        shares = _C.exp(_C.sub(a, _finite(y)))
        return (_C.mul(shares, _kept(dy, a, dim)),)

    return record(y if keepdim else _dropped(y, dim), (x,), backward)


def any(x, dim=None, keepdim=False, *, axis=None, keepdims=None):
    """Whether any element is true, as bool. Arguments as for `sum`."""
    dim, keepdim = _words("any", dim, keepdim, axis, keepdims)
    return _truth("any", np.any, x, dim, keepdim)


def all(x, dim=None, keepdim=False, *, axis=None, keepdims=None):
    """Whether all elements are true, as bool. Arguments as for `sum`."""
    dim, keepdim = _words("all", dim, keepdim, axis, keepdims)
    return _truth("all", np.all, x, dim, keepdim)


def _truth(op, test, x, dim, keepdim):
    a = as_array(op, x)
    if a.dtype.kind not in "fiub":
        raise TypeError(f"{op}: x must hold real numbers, got {a.dtype}")
    if dim is not None:
        dims = dim if isinstance(dim, (tuple, list)) else (dim,)
        dim = tuple({check_dim(op, d, a) for d in dims})
    return _plain(test(a, axis=dim, keepdims=bool(keepdim)), x)


def _words(op, dim, keepdim, axis, keepdims):
    """PyTorch's words for dim and keepdim, or NumPy's."""
    if axis is not None and dim is not None:
        raise ValueError(f"{op}: dim and axis must not both be given")
    return dim if axis is None else axis, keepdim if keepdims is None else keepdims


def _axes(dim):
    return tuple(dim) if isinstance(dim, list) else dim


def _is_counted(a):
    return isinstance(a, ndarray) and a.dtype.kind in "biu"


def _plain(y, x):
    """A result that has no gradient."""
    return Tensor(y) if isinstance(x, Tensor) else np.asarray(y)


def _count(a, y):
    """How many elements of `a` make one of `y`."""
    return a.size // builtins.max(y.size, 1)


def _kept(dy, a, dim):
    """`dy` with the reduced axes of `a` as axes of length 1."""
    if dim is None:
        return dy.reshape((1,) * a.ndim)
    shape = list(a.shape)
    for d in dim if isinstance(dim, (tuple, list)) else (dim,):
        shape[d] = 1
    return dy.reshape(shape)


def _dropped(y, dim):
    """`y` without the reduced axes, kept until now."""
    if dim is None:
        return y.reshape(())
    dims = dim if isinstance(dim, (tuple, list)) else (dim,)
    dims = {operator.index(d) % y.ndim for d in dims}
    return y.reshape([n for d, n in enumerate(y.shape) if d not in dims])


def _finite(y):
    return np.where(np.isfinite(y), y, np.zeros_like(y))


def _extreme(kernel, numpy, x, dim, keepdim, out, gradient):
    a = raw(x, out)
    if _is_counted(a):
        return _plain(numpy(a, _axes(dim), keepdims=keepdim), x)
    y = kernel(a, dim, keepdim, out)
    if not isinstance(x, Tensor):
        return y
    return record(y, (x,), lambda dy: (gradient(a, y, dim, dy),))


def _shared(a, y, dim, dy):
    y = _kept(y, a, dim)
    ties = ((a == y) | ((a != a) & (y != y))).astype(a.dtype)
    return _C.mul(ties, _C.div(_kept(dy, a, dim), _C.sum(ties, dim, True)))


def _first(index):
    def gradient(a, y, dim, dy):
        dims = range(a.ndim) if dim is None else dim
        dims = dims if isinstance(dims, (tuple, list, range)) else (dims,)
        last = [d % a.ndim for d in dims]
        order = [d for d in range(a.ndim) if d not in last] + last
        moved = a.transpose(order)
        rows = moved.reshape((*moved.shape[: a.ndim - len(last)], -1))
        dx = np.zeros_like(rows, order="C")
        place = index(rows, -1, True)
        np.put_along_axis(dx, place, dy.reshape(place.shape), -1)
        return dx.reshape(moved.shape).transpose(np.argsort(order))

    return gradient
