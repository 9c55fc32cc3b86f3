"""The largest and the smallest along axes, where they are, and tests of truth."""

import numpy as np

from .. import _C
from ..tensor import Tensor, raw, record
from .arithmetic import maximum, minimum
from .axes import as_axes, is_counted, kept, words
from .inputs import plain, short_way
from .shape import as_array, check_dim, squeeze
from .sort import Ordered, _picked


@short_way(_C.amax)
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
    dim, keepdim = words("amax", dim, keepdim, axis, keepdims)
    return _extreme(_C.amax, np.max, x, dim, keepdim, out)


@short_way(_C.amin)
def amin(x, dim=None, keepdim=False, *, axis=None, keepdims=None, out=None):
    """Smallest along axes, otherwise as `amax`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.amin(np.array([[1.0, 5.0], [4.0, 2.0]]), dim=1)
    array([1., 2.])
    """
    dim, keepdim = words("amin", dim, keepdim, axis, keepdims)
    return _extreme(_C.amin, np.min, x, dim, keepdim, out)


def max(x, dim=None, keepdim=False, *, axis=None, keepdims=None, out=None):
    """Largest: of all, along an axis, or of two arrays.

    ``max(x)`` and ``max(x, axis=axes)``, NumPy's words, are `amax`; ``max(x, dim)``,
    PyTorch's, also tells where, and all of the gradient goes there; ``max(x, y)`` is
    `maximum`.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        NaN counts as the largest.
    dim : int, optional
        The dimension along which to look.
    keepdim : bool, optional
        Whether it stays, with length 1. `keepdims` is the same.
    axis : int or tuple of int, optional
        Axes along which to look for the values alone.
    out : ndarray, optional
        Where to put the values (arrays only; not with `dim`).

    Returns
    -------
    ndarray or Tensor; with `dim` a named tuple ``(values, indices)`` of them

    Raises
    ------
    ValueError
        If there is nothing to choose from.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = np.array([[1.0, 5.0], [4.0, 2.0]])
    >>> dl.max(x), dl.max(x, axis=1)
    (array(5.), array([5., 4.]))
    >>> dl.max(x, 1).indices
    array([1, 0])
    """
    if isinstance(dim, (Tensor, np.ndarray)):
        return maximum(x, dim, out)
    if dim is not None:
        return _ordered("max", _C.amax, argmax, x, dim, keepdim, axis, keepdims, out)
    return amax(x, axis, keepdim, keepdims=keepdims, out=out)


def min(x, dim=None, keepdim=False, *, axis=None, keepdims=None, out=None):
    """Smallest: of all, along an axis, or of two arrays; otherwise as `max`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.min(np.array([[1.0, 5.0], [4.0, 2.0]]))
    array(1.)
    """
    if isinstance(dim, (Tensor, np.ndarray)):
        return minimum(x, dim, out)
    if dim is not None:
        return _ordered("min", _C.amin, argmin, x, dim, keepdim, axis, keepdims, out)
    return amin(x, axis, keepdim, keepdims=keepdims, out=out)


@short_way(_C.argmax)
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
    dim, keepdim = words("argmax", dim, keepdim, axis, keepdims)
    a = raw(x)
    if is_counted(a):
        return plain(np.argmax(a, dim, keepdims=keepdim), x)
    return plain(_C.argmax(a, dim, keepdim), x)


@short_way(_C.argmin)
def argmin(x, dim=None, keepdim=False, *, axis=None, keepdims=None):
    """Index of the first smallest, otherwise as `argmax`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.argmin(np.array([[1.0, 5.0], [4.0, 2.0]]), dim=1)
    array([0, 1])
    """
    dim, keepdim = words("argmin", dim, keepdim, axis, keepdims)
    a = raw(x)
    if is_counted(a):
        return plain(np.argmin(a, dim, keepdims=keepdim), x)
    return plain(_C.argmin(a, dim, keepdim), x)


def any(x, dim=None, keepdim=False, *, axis=None, keepdims=None):
    """Whether any element is true, as bool. Arguments as for `sum`."""
    dim, keepdim = words("any", dim, keepdim, axis, keepdims)
    return _truth("any", np.any, x, dim, keepdim)


def all(x, dim=None, keepdim=False, *, axis=None, keepdims=None):
    """Whether all elements are true, as bool. Arguments as for `sum`."""
    dim, keepdim = words("all", dim, keepdim, axis, keepdims)
    return _truth("all", np.all, x, dim, keepdim)


def _extreme(kernel, numpy, x, dim, keepdim, out):
    a = raw(x, out)
    if is_counted(a):
        return plain(numpy(a, as_axes(dim), keepdims=keepdim), x)
    y = kernel(a, dim, keepdim, out)
    if not isinstance(x, Tensor):
        return y
    return record(y, (x,), lambda dy: (_shared(a, y, dim, dy),))


def _ordered(op, kernel, arg, x, dim, keepdim, axis, keepdims, out):
    """Values and indices along one dimension."""
    words(op, dim, keepdim, axis, keepdims)
    if out is not None:
        raise TypeError(f"{op}: out must not be given with dim: give axis instead")
    if isinstance(dim, (tuple, list)):
        raise TypeError(f"{op}: dim must be one dimension, got {dim}: take a{op}")
    a = as_array(op, x)
    dim = check_dim(op, dim, a)
    order = arg(a, dim, True)
    if is_counted(a):
        found = plain(np.take_along_axis(a, order, dim), x), plain(order, x)
    else:
        found = _picked(op, kernel(a, dim, True, None), order, x, a, dim)
    if not (keepdim if keepdims is None else keepdims):
        found = [squeeze(y, dim) for y in found]
    return Ordered(*found)


def _shared(a, y, dim, dy):
    y = kept(y, a, dim)
    ties = (_C.eq(a, y) | (_C.isnan(a) & _C.isnan(y))).astype(a.dtype)
    return _C.mul(ties, _C.div(kept(dy, a, dim), _C.sum(ties, dim, True)))


def _truth(op, test, x, dim, keepdim):
    a = as_array(op, x)
    if a.dtype.kind not in "fiub":
        raise TypeError(f"{op}: x must hold real numbers, got {a.dtype}")
    if dim is not None:
        dims = dim if isinstance(dim, (tuple, list)) else (dim,)
        dim = tuple({check_dim(op, d, a) for d in dims})
    return plain(test(a, axis=dim, keepdims=bool(keepdim)), x)
