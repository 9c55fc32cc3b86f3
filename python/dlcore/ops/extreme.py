"""The largest and the smallest along axes, where they are, and tests of truth."""

import numpy as np

from .. import _C
from ..tensor import Tensor, raw, record
from .axes import as_axes, is_counted, kept, words
from .inputs import plain, short_way
from .shape import as_array, check_dim


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
    return _extreme(_C.amax, np.max, x, dim, keepdim, out, _shared)


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
    return _extreme(_C.amin, np.min, x, dim, keepdim, out, _shared)


@short_way(_C.amax)
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
    dim, keepdim = words("max", dim, keepdim, axis, keepdims)
    return _extreme(_C.amax, np.max, x, dim, keepdim, out, _first(_C.argmax))


@short_way(_C.amin)
def min(x, dim=None, keepdim=False, *, axis=None, keepdims=None, out=None):
    """Smallest along axes, otherwise as `max`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.min(np.array([[1.0, 5.0], [4.0, 2.0]]))
    array(1.)
    """
    dim, keepdim = words("min", dim, keepdim, axis, keepdims)
    return _extreme(_C.amin, np.min, x, dim, keepdim, out, _first(_C.argmin))


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


def _extreme(kernel, numpy, x, dim, keepdim, out, gradient):
    a = raw(x, out)
    if is_counted(a):
        return plain(numpy(a, as_axes(dim), keepdims=keepdim), x)
    y = kernel(a, dim, keepdim, out)
    if not isinstance(x, Tensor):
        return y
    return record(y, (x,), lambda dy: (gradient(a, y, dim, dy),))


def _shared(a, y, dim, dy):
    y = kept(y, a, dim)
    ties = (_C.eq(a, y) | (_C.isnan(a) & _C.isnan(y))).astype(a.dtype)
    return _C.mul(ties, _C.div(kept(dy, a, dim), _C.sum(ties, dim, True)))


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


def _truth(op, test, x, dim, keepdim):
    a = as_array(op, x)
    if a.dtype.kind not in "fiub":
        raise TypeError(f"{op}: x must hold real numbers, got {a.dtype}")
    if dim is not None:
        dims = dim if isinstance(dim, (tuple, list)) else (dim,)
        dim = tuple({check_dim(op, d, a) for d in dims})
    return plain(test(a, axis=dim, keepdims=bool(keepdim)), x)
