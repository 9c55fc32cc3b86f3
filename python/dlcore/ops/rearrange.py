"""Elements in other places: flips, rolls, slices, triangles, diagonals, copies."""

import math

import numpy as np

from .arithmetic import mul
from .compare import where
from .gather import index_select
from .gemm import matmul
from .indexing import cat, getitem
from .inputs import plain
from .pad import pad
from .shape import _sizes, as_array, check_dim, expand, permute, reshape, whole

_MOST = 1 << 46  # elements: more than memory has


def flip(x, dims, *more):
    """Turn the order along dimensions round.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.flip(np.array([[1, 2], [3, 4]]), 1)
    array([[2, 1],
           [4, 3]])
    """
    a = as_array("flip", x)
    dims = _dims("flip", (dims, *more), a)
    back, all_of_it = slice(None, None, -1), slice(None)
    return getitem(x, tuple(back if d in dims else all_of_it for d in range(a.ndim)))


def roll(x, shifts, dims=None):
    """Move elements on by `shifts` places; those that fall off come in at the front.

    Parameters
    ----------
    x : ndarray or Tensor
        Any dtype.
    shifts : int or tuple of int
        One for each of `dims`.
    dims : int or tuple of int, optional
        None for those of the flattened array.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.roll(np.array([1, 2, 3]), 1)
    array([3, 1, 2])
    """
    a, shifts = as_array("roll", x), _sizes("roll", (shifts,))
    if dims is None:
        return reshape(roll(reshape(x, -1), shifts, 0), a.shape)
    dims = _dims("roll", (dims,), a)
    if len(shifts) != len(dims):
        raise ValueError(
            f"roll: shifts must be one for each of dims, got {shifts} and {dims}"
        )
    for shift, dim in zip(shifts, dims, strict=True):
        n = a.shape[dim]
        if shift := shift % max(n, 1):
            parts = narrow(x, dim, n - shift, shift), narrow(x, dim, 0, n - shift)
            x = cat(parts, dim)
    return x


def movedim(x, source, destination):
    """Move dimensions to other places; those of a tuple in their order.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.movedim(np.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    a = as_array("movedim", x)
    source = _dims("movedim", (source,), a)
    destination = _dims("movedim", (destination,), a)
    if len(source) != len(destination):
        raise ValueError(
            "movedim: source and destination must be of one length, got "
            f"{source} and {destination}"
        )
    order = [d for d in range(a.ndim) if d not in source]
    for place, dim in sorted(zip(destination, source, strict=True)):
        order.insert(place, dim)
    return permute(x, order)


def select(x, dim, index):
    """The slice of one number along a dimension, without that dimension.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.select(np.array([[1, 2], [3, 4]]), 1, -1)
    array([2, 4])
    """
    a = as_array("select", x)
    dim, index = check_dim("select", dim, a), whole("select", "index", index)
    if not -a.shape[dim] <= index < a.shape[dim]:
        raise IndexError(
            f"select: index must fit dim {dim} of x.shape = {a.shape}, got {index}"
        )
    return getitem(x, (*(slice(None),) * dim, index))


def narrow(x, dim, start, length):
    """`length` elements along a dimension from `start` on.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.narrow(np.array([1, 2, 3, 4]), 0, 1, 2)
    array([2, 3])
    """
    a = as_array("narrow", x)
    dim, start = check_dim("narrow", dim, a), whole("narrow", "start", start)
    n = a.shape[dim]
    start = start + n if start < 0 else start
    end = start + whole("narrow", "length", length)
    if not 0 <= start <= end <= n:
        raise ValueError(
            f"narrow: start and length must stay in dim {dim} of x.shape = "
            f"{a.shape}, got {start} and {length}"
        )
    return getitem(x, (*(slice(None),) * dim, slice(start, end)))


def unbind(x, dim=0):
    """The slices along a dimension, as a tuple.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.unbind(np.array([[1, 2], [3, 4]]), 1)
    (array([1, 3]), array([2, 4]))
    """
    a = as_array("unbind", x)
    dim = check_dim("unbind", dim, a)
    return tuple(select(x, dim, i) for i in range(a.shape[dim]))


def tile(x, dims, *more):
    """Copies side by side: `dims` of them along each dimension, the last ones first.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.tile(np.array([1, 2]), 2, 2)
    array([[1, 2, 1, 2],
           [1, 2, 1, 2]])
    """
    a, sizes = as_array("tile", x), _sizes("tile", (dims, *more))
    if min(sizes, default=0) < 0:
        raise ValueError(f"tile: each of dims must be at least 0, got {sizes}")
    sizes = (1,) * (a.ndim - len(sizes)) + sizes
    shape = (1,) * (len(sizes) - a.ndim) + a.shape
    pairs = [length for n in shape for length in (1, n)]
    wide = [length for r, n in zip(sizes, shape, strict=True) for length in (r, n)]
    merged = [r * n for r, n in zip(sizes, shape, strict=True)]
    if len(wide) > 64 or math.prod(merged) > _MOST:
        raise ValueError(f"tile: dims must give a shape that fits, got {sizes}")
    return reshape(expand(reshape(x, *pairs), *wide), *merged)


def repeat_interleave(x, repeats, dim=None):
    """Each element along a dimension, so many times.

    Parameters
    ----------
    x : ndarray or Tensor
        float32 or float64.
    repeats : int, or array_like of int
        How often: all, or each.
    dim : int, optional
        None for the flattened array.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.repeat_interleave(np.array([1.0, 2.0]), 2)
    array([1., 1., 2., 2.])
    """
    a = as_array("repeat_interleave", x)
    if dim is None:
        x, a, dim = reshape(x, -1), a.reshape(-1), 0
    dim = check_dim("repeat_interleave", dim, a)
    times = np.asarray(getattr(repeats, "data", repeats))
    if times.dtype.kind not in "iu":
        raise TypeError("repeat_interleave: repeats must be whole numbers")
    if times.shape not in ((), (1,), (a.shape[dim],)) or (times < 0).any():
        raise ValueError(
            "repeat_interleave: repeats must be at least 0, one for all or one for "
            f"each of the {a.shape[dim]}, got shape {times.shape}"
        )
    if int(times.max(initial=0)) * a.size > _MOST:
        raise ValueError("repeat_interleave: repeats must give a shape that fits")
    return index_select(x, dim, np.repeat(np.arange(a.shape[dim]), times))


def tril(x, diagonal=0):
    """The lower triangle of matrices, 0 above the diagonal of that number.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.tril(np.ones((2, 3)))
    array([[1., 0., 0.],
           [1., 1., 0.]])
    """
    return _triangle("tril", np.greater_equal, x, diagonal)


def triu(x, diagonal=0):
    """The upper triangle of matrices, 0 below the diagonal of that number.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.triu(np.ones((2, 3)))
    array([[1., 1., 1.],
           [0., 1., 1.]])
    """
    return _triangle("triu", np.less_equal, x, diagonal)


def diagonal(x, offset=0, dim1=0, dim2=1):
    """The diagonal of that number of matrices in two dimensions, as the last one.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.diagonal(np.array([[1, 2], [3, 4]]))
    array([1, 4])
    """
    a, offset = as_array("diagonal", x), whole("diagonal", "offset", offset)
    dim1, dim2 = check_dim("diagonal", dim1, a), check_dim("diagonal", dim2, a)
    if dim1 == dim2:
        raise ValueError(f"diagonal: dim1 and dim2 must differ, both are {dim1}")
    first, last = max(-offset, 0), max(offset, 0)
    n = max(min(a.shape[dim1] - first, a.shape[dim2] - last), 0)
    places = np.arange(n)
    moved = movedim(x, (dim1, dim2), (-2, -1))
    return getitem(moved, (..., places + first * (n > 0), places + last * (n > 0)))


_diagonal = diagonal  # where an argument has its name


def diag(x, diagonal=0):
    """The diagonal of a matrix, or a matrix of 0 but for that diagonal of a vector.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.diag(np.array([1, 2]))
    array([[1, 0],
           [0, 2]])
    """
    a, k = as_array("diag", x), whole("diag", "diagonal", diagonal)
    if a.ndim == 2:
        return _diagonal(x, k)
    if a.ndim != 1:
        raise ValueError(f"diag: x must have 1 or 2 axes, got x.shape = {a.shape}")
    if a.dtype.char not in "fd":
        return plain(np.diag(a, k), x)
    row = pad(x, (max(k, 0), max(-k, 0)))
    return where(np.eye(len(row), k=k, dtype=bool), row, 0.0)


def outer(a, b):
    """Each element of one vector times each of another, ``y[i, j] = a[i] * b[j]``.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.outer(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array([[3., 4.],
           [6., 8.]])
    """
    p, q = as_array("outer", a), as_array("outer", b)
    _check_vectors("outer", p, q)
    return mul(reshape(a, -1, 1), b)


def dot(a, b):
    """The product of two vectors.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.dot(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array(11.)
    """
    _check_vectors("dot", as_array("dot", a), as_array("dot", b))
    return matmul(a, b)


def nonzero(x, as_tuple=False):
    """The places that are not 0, a row for each; or arrays of them, for indexing.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.nonzero(np.array([3.0, 0.0, 5.0]))
    array([[0],
           [2]])
    """
    a = as_array("nonzero", x)
    if a.dtype.kind not in "fiub":
        raise TypeError(f"nonzero: x must hold real numbers, got {a.dtype}")
    if as_tuple:
        return tuple(plain(place, x) for place in np.nonzero(np.atleast_1d(a)))
    return plain(np.argwhere(a), x)


def _dims(op, dims, a):
    """Dimensions given one by one or as one tuple, each once, from the front."""
    dims = tuple(check_dim(op, d, a) for d in _sizes(op, dims))
    if len(set(dims)) != len(dims):
        raise ValueError(f"{op}: a dimension must be named once, got {dims}")
    return dims


def _triangle(op, holds, x, diagonal):
    a, k = as_array(op, x), whole(op, "diagonal", diagonal)
    if a.ndim < 2:
        raise ValueError(f"{op}: x must have at least 2 axes, got x.shape = {a.shape}")
    rows, columns = a.shape[-2:]
    k = max(-rows, min(k, columns))
    mask = holds(np.arange(rows)[:, None] + k, np.arange(columns))
    return where(mask, x, np.zeros((), a.dtype))


def _check_vectors(op, a, b):
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError(
            f"{op}: both must be vectors, got shapes {a.shape} and {b.shape}"
        )
