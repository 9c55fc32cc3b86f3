"""Sums, means and what is made of them, along any set of axes.

Sums are pairwise, as accurate as NumPy's or better, and the same bits for any number of
threads. Integers and bools are left to NumPy.
"""

import builtins
from math import inf

import numpy as np

from .. import _C
from ..tensor import Tensor, raw, record
from . import arithmetic, elementwise
from .axes import as_axes, count, dropped, is_counted, kept, words
from .extreme import amax, amin
from .inputs import plain, short_way
from .shape import as_array


@short_way(_C.sum)
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
    dim, keepdim = words("sum", dim, keepdim, axis, keepdims)
    a = raw(x, out)
    if is_counted(a):
        return plain(np.sum(a, dim, keepdims=keepdim), x)
    y = _C.sum(a, dim, keepdim, out)
    if not isinstance(x, Tensor):
        return y
    return record(y, (x,), lambda dy: (_C.expand(kept(dy, a, dim), a.shape),))


@short_way(_C.mean)
def mean(x, dim=None, keepdim=False, *, axis=None, keepdims=None, out=None):
    """Arithmetic mean along axes; of nothing it is NaN. Arguments as for `sum`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.mean(np.array([[1.0, 2.0], [3.0, 6.0]]), dim=0)
    array([2., 4.])
    """
    dim, keepdim = words("mean", dim, keepdim, axis, keepdims)
    a = raw(x, out)
    y = _C.mean(a, dim, keepdim, out)
    if not isinstance(x, Tensor):
        return y

    def backward(dy):
        share = _C.div(kept(dy, a, dim), builtins.max(count(a, dy), 1))
        return (_C.expand(share, a.shape),)

    return record(y, (x,), backward)


@short_way(_C.prod)
def prod(x, dim=None, keepdim=False, *, axis=None, keepdims=None, out=None):
    """Product along axes; of nothing it is 1. Arguments as for `sum`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.prod(np.array([2.0, 3.0, 4.0]))
    array(24.)
    """
    dim, keepdim = words("prod", dim, keepdim, axis, keepdims)
    a = raw(x, out)
    if is_counted(a):
        return plain(np.prod(a, dim, keepdims=keepdim), x)
    y = _C.prod(a, dim, keepdim, out)

    def backward(dy):
        # The product of the others: y / x, but with one zero only that zero has any.
        zero = _C.eq(a, 0.0)
        filled = _C.where(zero, 1.0, a)
        others = _C.div(_C.prod(filled, dim, True), filled)
        zeros = np.count_nonzero(zero, axis=as_axes(dim), keepdims=True)
        alone = (zeros == 0) | ((zeros == 1) & zero)
        others = _C.where(alone, others, 0.0)
        return (_C.mul(others, kept(dy, a, dim)),)

    return record(y, (x,), backward)


def var(
    x,
    dim=None,
    correction=1,
    keepdim=False,
    *,
    axis=None,
    ddof=None,
    unbiased=None,
    keepdims=None,
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
    unbiased : bool, optional
        PyTorch's older word for it.
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
    dim, keepdim = words("var", dim, keepdim, axis, keepdims)
    correction = correction if ddof is None else ddof
    correction = correction if unbiased is None else unbiased
    a = raw(x)
    y = _C.var(a, dim, correction, keepdim)
    if not isinstance(x, Tensor):
        return y

    def backward(dy):
        degrees = count(a, dy) - correction
        slope = _C.mul(kept(dy, a, dim), 2.0 / degrees if degrees > 0 else inf)
        return (_C.mul(_C.sub(a, _C.mean(a, dim, True)), slope),)

    return record(y, (x,), backward)


def std(
    x,
    dim=None,
    correction=1,
    keepdim=False,
    *,
    axis=None,
    ddof=None,
    unbiased=None,
    keepdims=None,
):
    """Standard deviation along axes, the square root of `var`. Arguments as for `var`.

    The gradient is 0 where it is 0.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.std(np.array([1.0, 3.0, 5.0]))
    array(2.)
    """
    dim, keepdim = words("std", dim, keepdim, axis, keepdims)
    correction = correction if ddof is None else ddof
    correction = correction if unbiased is None else unbiased
    a = raw(x)
    y = _C.var(a, dim, correction, keepdim)
    y = _C.sqrt(y, y)
    if not isinstance(x, Tensor):
        return y

    def backward(dy):
        degrees = count(a, dy) - correction
        slope = _C.div(_C.mul(dy, 1.0 / degrees if degrees > 0 else inf), y)
        slope = _C.where(_C.eq(y, 0.0), 0.0, slope)
        return (_C.mul(_C.sub(a, _C.mean(a, dim, True)), kept(slope, a, dim)),)

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
    dim, keepdim = words("norm", dim, keepdim, axis, keepdims)
    if p == inf:
        return amax(elementwise.abs(x), dim, keepdim)
    if p == -inf:
        return amin(elementwise.abs(x), dim, keepdim)
    if not isinstance(p, (int, float, str, np.number)):
        raise TypeError(f"norm: p must be a number or 'fro', got {type(p).__name__}")
    if p not in (1, 2, "fro"):
        if isinstance(p, str) or p == 0:
            raise ValueError(f"norm: p must be a number but 0, or 'fro', got {p!r}")
        powers = arithmetic.pow(elementwise.abs(x), p)
        return arithmetic.pow(sum(powers, dim, keepdim), 1 / p)
    a = raw(x)
    if p == 1:
        y = _C.sum_abs(a, dim, keepdim)
        return record(y, (x,), lambda dy: (_C.mul(_C.sign(a), kept(dy, a, dim)),))
    y = _C.sum_squares(a, dim, keepdim)
    y = _C.sqrt(y, y)

    def backward(dy):
        slope = _C.div(dy, _C.where(_C.eq(y, 0.0), 1.0, y))
        return (_C.mul(a, kept(slope, a, dim)),)

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
        top = _unless_infinite(_C.amax(a, dim, True))
        terms = _C.sub(a, top)
        y = _C.add(_C.log(_C.sum(_C.exp(terms, terms), dim, True)), top)

    def backward(dy):
        shares = _C.exp(_C.sub(a, _unless_infinite(y)))
        return (_C.mul(shares, kept(dy, a, dim)),)

    return record(y if keepdim else dropped(y, dim), (x,), backward)


def _unless_infinite(y):
    return _C.where(_C.isinf(y), 0.0, y)
