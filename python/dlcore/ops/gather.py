"""Picking elements by their numbers, and adding up into them."""

import numpy as np

from .. import _C
from ..tensor import raw, record
from .inputs import plain, wants
from .shape import as_array, as_dtype, check_dim, whole


def index_select(x, dim, index):
    """The rows along `dim` that `index` names, in its order.

    Parameters
    ----------
    x : ndarray or Tensor, any shape of one axis or more
        float32 or float64.
    dim : int
        The axis along which to pick.
    index : ndarray or Tensor of int, shape (n,)
        From 0 to the length of `dim`; may repeat.

    Returns
    -------
    ndarray or Tensor
        Of the shape of `x`, with n in `dim`.

    Raises
    ------
    IndexError
        If a number is negative or too large, or `x` has no axis `dim`.
    TypeError
        If `index` is not an array of whole numbers.

    Notes
    -----
    The gradient of rows named more than once is added up in the order of `index`: the
    same bits for any number of threads.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.index_select(np.array([[1.0, 2.0, 3.0]]), 1, np.array([2, 0]))
    array([[3., 1.]])
    """
    numbers = raw(index)
    if isinstance(numbers, np.ndarray) and numbers.ndim > 1:
        raise ValueError(
            f"index_select: index must have one axis, got index.shape = {numbers.shape}"
        )
    return take("index_select", x, dim, index)


def take(op, x, dim, index, names=("input", "index")):
    """``x[..., index, ...]`` along dim, for an index of any shape."""
    a = raw(x)
    y, numbers = _C.take_rows(op, *names, a, dim, raw(index))
    if not wants(x):
        return record(y, (x, index), None)
    rows, dim = a.shape[dim], dim % a.ndim
    return record(
        y, (x, index), lambda dy: (_C.add_rows(op, dy, dim, numbers, rows), None)
    )


def index_add(x, dim, index, source, *, alpha=1):
    """``x`` plus ``alpha`` times the rows of `source`, in the rows that `index` names.

    Parameters
    ----------
    x : ndarray or Tensor, any shape of one axis or more
        float32 or float64; is not changed.
    dim : int
        The axis along which `index` counts.
    index : ndarray or Tensor of int, shape (n,)
        From 0 to the length of `dim`; may repeat.
    source : ndarray or Tensor
        Of the shape of `x`, with n in `dim`.
    alpha : float, optional

    Returns
    -------
    ndarray or Tensor
        Of the shape of `x`. Rows are added in the order of `index`.

    Raises
    ------
    IndexError
        If a number is negative or too large, or `x` has no axis `dim`.
    ValueError
        If the shapes do not go together.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.index_add(np.zeros(3), 0, np.array([2, 2]), np.array([1.0, 4.0]))
    array([0., 0., 5.])
    """
    numbers = raw(index)
    if isinstance(numbers, np.ndarray):
        if numbers.ndim != 1:
            raise ValueError(
                "index_add: index must have one axis, "
                f"got index.shape = {numbers.shape}"
            )
        numbers = numbers.copy()
    y = _C.add_rows("index_add", raw(source), dim, numbers, raw(x), alpha)
    want = wants(source)

    def backward(dy):
        picked = None
        if want:
            names = "input", "index"
            picked = _C.take_rows("index_add", *names, dy, dim, numbers)[0]
            picked = picked if alpha == 1 else _C.mul(picked, alpha)
        return dy, None, picked

    return record(y, (x, index, source), backward)


def gather(x, dim, index):
    """Pick one element for each number of `index`, along one axis.

    ``y[i, j] = x[index[i, j], j]`` for `dim` 0, and likewise for other axes.

    Parameters
    ----------
    x : ndarray or Tensor, any shape of one axis or more
        float32 or float64.
    dim : int
        The axis along which to pick.
    index : ndarray or Tensor of int
        As many axes as `x`, and no longer than it in any but `dim`; from 0 to the
        length of `dim`.

    Returns
    -------
    ndarray or Tensor
        Of the shape of `index`.

    Raises
    ------
    IndexError
        If a number is negative or too large, or `x` has no axis `dim`.
    ValueError
        If the shapes do not go together.

    See Also
    --------
    scatter, index_select

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.gather(np.array([[1.0, 2.0], [3.0, 4.0]]), 1, np.array([[1], [0]]))
    array([[2.],
           [3.]])
    """
    a, numbers = as_array("gather", x), raw(index)
    dim = check_dim("gather", dim, a)
    part = _part("gather", "input", a.shape, numbers, dim)
    y, numbers = _C.gather("gather", a if part is None else a[part], dim, numbers)
    if not wants(x):
        return record(y, (x, index), None)
    n = a.shape[dim]

    def backward(dy):
        dx = _C.scatter("gather", n, dim, numbers, dy, True)
        return _placed(dx, part, a), None

    return record(y, (x, index), backward)


def scatter(x, dim, index, src=None, *, value=None, reduce=None):
    """``x`` with elements of `src` put where `index` tells, along one axis.

    ``y[index[i, j], j] = src[i, j]`` for `dim` 0, and likewise for other axes.

    Parameters
    ----------
    x : ndarray or Tensor, any shape of one axis or more
        float32 or float64; is not changed.
    dim : int
        The axis along which `index` counts.
    index : ndarray or Tensor of int
        As many axes as `x`, and no longer than it in any but `dim`; from 0 to the
        length of `dim`.
    src : ndarray, Tensor or float
        At least as long as `index` in every axis; or a number for every place.
    value : float, optional
        A number in place of `src`.
    reduce : str, optional
        ``"add"`` to add to what is there, as `scatter_add` does.

    Returns
    -------
    ndarray or Tensor
        Of the shape of `x`. Of several elements for one place the last in the order of
        `index` stays, and only it has a gradient.

    Raises
    ------
    IndexError
        If a number is negative or too large, or `x` has no axis `dim`.
    ValueError
        If the shapes do not go together, or `reduce` is another word.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.scatter(np.zeros((2, 3)), 1, np.array([[2], [0]]), 1.0)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    if reduce not in (None, "add"):
        raise ValueError(f"scatter: reduce must be None or 'add', got {reduce!r:.40}")
    if (src is None) == (value is None):
        raise ValueError("scatter: src or value must be given, and not both")
    return _scatter("scatter", x, dim, index, src if value is None else value, reduce)


def scatter_add(x, dim, index, src):
    """``x`` with elements of `src` added where `index` tells, along one axis.

    Arguments as for `scatter`. What meets in one place is added up in the order of
    `index`: the same bits for any number of threads.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.scatter_add(np.zeros(3), 0, np.array([1, 1]), np.array([2.0, 3.0]))
    array([0., 5., 0.])
    """
    return _scatter("scatter_add", x, dim, index, src, "add")


def _scatter(op, x, dim, index, src, reduce):
    a, numbers, source = as_array(op, x), raw(index), raw(src)
    dim = check_dim(op, dim, a)
    part = _part(op, "input", a.shape, numbers, dim)
    if isinstance(numbers, np.ndarray):
        numbers = numbers.copy()
        if isinstance(source, np.ndarray) and source.ndim == numbers.ndim:
            source = source[tuple(slice(0, n) for n in numbers.shape)]
    add = reduce == "add"
    y = _C.scatter(op, a if part is None else a[part], dim, numbers, source, add)
    y = _placed(y, part, a, rest=a)
    shape = raw(src).shape if isinstance(source, np.ndarray) else ()
    want_x, want_src = wants(x), wants(src)

    def backward(dy):
        dx = dsrc = None
        there = dy if part is None else dy[part]
        if want_x and not add:
            kept = _C.scatter(op, there, dim, numbers, 0.0, False)
            dx = _placed(kept, part, dy, rest=dy)
        if want_src:
            picked = _C.gather(op, there, dim, numbers)[0]
            if not add:
                picked = _last_only(picked, there.shape, dim, numbers)
            dsrc = _grown(picked, shape)
        return dy if add else dx, None, dsrc

    return record(y, (x, index, src), backward)


def _last_only(picked, shape, dim, numbers):
    """0 where a later element of the index went to the same place."""
    order = np.arange(numbers.size, dtype=np.float64).reshape(numbers.shape)
    zeros = np.zeros(shape)
    last = _C.scatter("scatter", zeros, dim, numbers, order, False)
    stays = _C.eq(_C.gather("scatter", last, dim, numbers)[0], order)
    return _C.where(stays, picked, 0.0)


def _part(op, name, shape, index, dim):
    """What of an array `index` reaches, as slices; None for all of it."""
    if not isinstance(index, np.ndarray) or index.ndim != len(shape):
        return None
    pairs = list(enumerate(zip(shape, index.shape, strict=True)))
    if any(n < m for d, (n, m) in pairs if d != dim):
        raise ValueError(
            f"{op}: index must not be longer than {name} but in dim {dim}, "
            f"got index.shape = {index.shape} with {name}.shape = {shape}"
        )
    if all(n == m for d, (n, m) in pairs if d != dim):
        return None
    return tuple(slice(0, n if d == dim else m) for d, (n, m) in pairs)


def _placed(y, part, like, rest=None):
    """`y` in its part of an array like `like`, which is `rest`, or 0, elsewhere."""
    if part is None:
        return y
    whole_array = np.zeros_like(like) if rest is None else rest.copy()
    whole_array[part] = y
    return whole_array


def _grown(y, shape):
    """`y` with zeros behind it in every axis, to `shape`."""
    if y.shape == shape:
        return y
    grown = np.zeros(shape, y.dtype)
    grown[tuple(slice(0, n) for n in y.shape)] = y
    return grown


def one_hot(x, num_classes=-1, dtype="int64"):
    """A 1 at the place that each number names, 0 elsewhere.

    Parameters
    ----------
    x : ndarray or Tensor of int, any shape
        From 0 to `num_classes`.
    num_classes : int, optional
        Length of the new last axis; by default one more than the largest number.
    dtype : dtype, optional
        Of the result; int64 as in PyTorch, float32 for a loss.

    Returns
    -------
    ndarray or Tensor, shape (*x.shape, num_classes)

    Raises
    ------
    IndexError
        If a number is negative or too large.
    ValueError
        If `num_classes` is negative (but -1), or missing for an empty `x`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.one_hot(np.array([1, 0]), 3)
    array([[0, 1, 0],
           [1, 0, 0]])
    """
    numbers = as_array("one_hot", x)
    classes = whole("one_hot", "num_classes", num_classes)
    if numbers.dtype.kind not in "iu":
        raise TypeError(
            f"one_hot: x must be an array of whole numbers, got {numbers.dtype}"
        )
    if classes < -1 or (classes == -1 and not numbers.size):
        raise ValueError(
            f"one_hot: num_classes must be given and not be negative, got {classes}"
        )
    dtype = as_dtype("one_hot", dtype)
    if dtype is None or dtype.kind not in "fiub":
        raise TypeError(f"one_hot: dtype must be of real numbers, got {dtype}")
    if classes == -1:
        classes = int(numbers.max()) + 1
    y = _C.one_hot(numbers, classes)
    return plain(y.astype(dtype, copy=False), x)
