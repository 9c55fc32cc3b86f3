"""Other shapes of the same numbers: NumPy's views, with a gradient.

Where NumPy gives a view, the result shares its memory with `x`.
"""

import math
import operator

import numpy as np

from ..convert import dtype_of, gradients_dtype, is_sixteen, sixteen
from ..tensor import Tensor, raw, record


def reshape(x, *shape):
    """The same elements in another shape; one length may be -1.

    Parameters
    ----------
    x : ndarray or Tensor
        Any dtype.
    *shape : int or tuple of int
        ``reshape(x, 2, 3)`` or ``reshape(x, (2, 3))``.

    Returns
    -------
    ndarray or Tensor
        A view where the memory allows it.

    Raises
    ------
    ValueError
        If the number of elements differs.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.reshape(np.arange(4.0), 2, -1)
    array([[0., 1.],
           [2., 3.]])
    """
    a = as_stored("reshape", x)
    shape = _sizes("reshape", shape)
    try:
        y = a.reshape(shape)
    except ValueError:
        raise ValueError(
            f"reshape: shape must hold {a.size} elements, got {shape} "
            f"for x.shape = {a.shape}"
        ) from None
    return record(y, (x,), lambda dy: (dy.reshape(a.shape),))


def flatten(x, start_dim=0, end_dim=-1):
    """Merge the dimensions from `start_dim` to `end_dim` into one.

    Parameters
    ----------
    x : ndarray or Tensor
        Any dtype.
    start_dim, end_dim : int, optional
        The first and the last dimension to merge.

    Raises
    ------
    IndexError
        If a dimension does not exist.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.flatten(np.zeros((2, 3, 4)), 1).shape
    (2, 12)
    """
    a = as_stored("flatten", x)
    if a.ndim == 0:
        return reshape(x, 1)
    start, end = check_dim("flatten", start_dim, a), check_dim("flatten", end_dim, a)
    if start > end:
        raise ValueError(
            "flatten: start_dim must not come after end_dim, "
            f"got {start_dim} and {end_dim} for x.shape = {a.shape}"
        )
    merged = math.prod(a.shape[start : end + 1])
    y = a.reshape(*a.shape[:start], merged, *a.shape[end + 1 :])
    return record(y, (x,), lambda dy: (dy.reshape(a.shape),))


def transpose(x, dim0, dim1):
    """Swap two dimensions.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.transpose(np.zeros((2, 3)), 0, 1).shape
    (3, 2)
    """
    a = as_stored("transpose", x)
    dim0, dim1 = check_dim("transpose", dim0, a), check_dim("transpose", dim1, a)
    return record(a.swapaxes(dim0, dim1), (x,), lambda dy: (dy.swapaxes(dim0, dim1),))


def permute(x, *dims):
    """Put the dimensions in the order `dims`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.permute(np.zeros((2, 3, 4)), 2, 0, 1).shape
    (4, 2, 3)
    """
    a = as_stored("permute", x)
    dims = [check_dim("permute", d, a) for d in _sizes("permute", dims)]
    if sorted(dims) != list(range(a.ndim)):
        raise ValueError(
            f"permute: dims must name each dimension of x.shape = {a.shape} once, "
            f"got {tuple(dims)}"
        )
    back = sorted(range(a.ndim), key=dims.__getitem__)
    return record(a.transpose(dims), (x,), lambda dy: (dy.transpose(back),))


def squeeze(x, dim=None):
    """Drop the dimensions of length 1, or only those in `dim`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.squeeze(np.zeros((1, 3, 1))).shape
    (3,)
    """
    a = as_stored("squeeze", x)
    dims = range(a.ndim) if dim is None else dim if np.iterable(dim) else (dim,)
    dims = {check_dim("squeeze", d, a) for d in dims}
    y = a.squeeze(tuple(d for d in dims if a.shape[d] == 1))
    return record(y, (x,), lambda dy: (dy.reshape(a.shape),))


def unsqueeze(x, dim):
    """Insert a dimension of length 1 before `dim`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.unsqueeze(np.zeros(3), -1).shape
    (3, 1)
    """
    a = as_stored("unsqueeze", x)
    dim = whole("unsqueeze", "dim", dim)
    if not -a.ndim - 1 <= dim <= a.ndim:
        raise IndexError(
            f"unsqueeze: dim must be from {-a.ndim - 1} to {a.ndim} "
            f"for x.shape = {a.shape}, got {dim}"
        )
    return record(np.expand_dims(a, dim), (x,), lambda dy: (dy.reshape(a.shape),))


def expand(x, *sizes):
    """Repeat dimensions of length 1 without a copy; -1 keeps a length.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.expand(np.zeros((3, 1)), 2, -1, 4).shape
    (2, 3, 4)
    """
    a = as_stored("expand", x)
    sizes = _sizes("expand", sizes)
    kept = (0,) * (len(sizes) - a.ndim) + a.shape
    shape = tuple(k if s == -1 else s for k, s in zip(kept, sizes, strict=False))
    try:
        y = np.broadcast_to(a, shape)
    except ValueError:
        raise ValueError(
            f"expand: sizes must equal x.shape = {a.shape} except where that is 1, "
            f"got {sizes}"
        ) from None
    return record(y, (x,), lambda dy: (dy,))


def clone(x):
    """A copy, through which the gradient flows back.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.clone(dl.Tensor([1.0]))
    tensor([1.])
    """
    return record(as_stored("clone", x).copy(), (x,), lambda dy: (dy,))


def to(x, *args, device=None, dtype=None):
    """The same values in another dtype; `x` itself when it has it, or for ``"cpu"``.

    ``to(x, dtype)``, ``to(x, "cpu", dtype)``, or ``to(x, tensor)`` for its dtype;
    `device` and `dtype` by name too.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.to(dl.Tensor([1.0]), "float64")
    tensor([1.], dtype=float64)
    """
    a = x.data if isinstance(x, Tensor) else as_array("to", x)
    dtype = dtype_among("to", *args, device, dtype)
    if dtype is None or a.dtype == dtype:
        return x
    narrow = is_sixteen(dtype)
    if dtype.kind not in "fiub" and not narrow:
        raise TypeError(f"to: dtype must be of real numbers, got {dtype}")
    if a.dtype.kind not in "fiub" and not is_sixteen(a.dtype):
        raise TypeError(f"to: x must hold real numbers, got {a.dtype}")
    y = a.astype(dtype)
    if isinstance(x, Tensor) and (narrow or dtype.kind != "f"):
        made = Tensor(y)  # which sees what is stored in 16 bits
        if not narrow:
            return made
    return record(
        y, (x,), lambda dy: (dy.astype(gradients_dtype(a.dtype)),), as_stored=False
    )


def dtype_among(op, *given):
    """The last dtype among arguments of ``to``: dtypes, Tensors, ``"cpu"``, None."""
    given = [x.dtype if isinstance(x, Tensor) else x for x in given if x is not None]
    dtypes = [as_dtype(op, x) for x in given]
    return next((x for x in reversed(dtypes) if x is not None), None)


def as_dtype(op, dtype):
    """A dtype; None for ``"cpu"``, where everything is."""
    if isinstance(dtype, str) and dtype == "cpu":
        return None
    kind = dtype_of(op, dtype)
    try:
        return np.dtype(kind if isinstance(kind, (str, type, np.dtype)) else ())
    except (TypeError, ValueError):
        raise TypeError(
            f"{op}: dtype must be a dtype or 'cpu', the only device, "
            f"got {one_line(dtype)}"
        ) from None


def one_axis(op, dim, default, axis):
    """`dim`, or `axis` in its place; ValueError when both are given."""
    if axis is None:
        return dim
    if not (isinstance(dim, int) and dim == default):
        raise ValueError(f"{op}: dim and axis must not both be given")
    return axis


def as_array(op, x, name="x"):
    """The array of an argument, in native byte order; TypeError when it has none."""
    x = raw(x)
    if isinstance(x, np.generic):
        x = np.asarray(x)
    if not isinstance(x, np.ndarray):
        raise TypeError(
            f"{op}: {name} must be a NumPy array or a Tensor, got {type(x).__name__}: "
            f"pass np.asarray({name})"
        )
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(
            f"{op}: {name} must not be a masked array: pass {name}.filled(value)"
        )
    return x if x.dtype.isnative else x.astype(x.dtype.newbyteorder("="))


def whole(op, name, value):
    """A parameter that counts; TypeError when it is no whole number."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(
            f"{op}: {name} must be a whole number, got {type(value).__name__}"
        ) from None


def one_line(value):
    """A parameter in a message: its text, cut to what fits into the line."""
    return " ".join(repr(value).split())[:60]


def _sizes(op, sizes):
    """Lengths given one by one or as one tuple."""
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = sizes[0]
    return tuple(whole(op, "each length", n) for n in sizes)


def check_dim(op, dim, a):
    """The dimension counted from the front; IndexError when `a` does not have it."""
    dim = whole(op, "dim", dim)
    if not -a.ndim <= dim < a.ndim:
        raise IndexError(
            f"{op}: dim must be from {-a.ndim} to {a.ndim - 1} "
            f"for x.shape = {a.shape}, got {dim}"
        )
    return dim % a.ndim


def as_stored(op, x):
    """`as_array` for ops that only move elements: of 16 bits they are views too."""
    return x.data if sixteen and isinstance(x, Tensor) else as_array(op, x)
