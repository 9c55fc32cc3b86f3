"""Comparisons and tests of each element, as bool, and choices by them.

Kernels compare float32 with float32 and float64 with float64; integers, bools and mixed
dtypes are left to NumPy.
"""

import numpy as np

from .. import _C
from ..tensor import Tensor, raw, record
from .inputs import array_of
from .shape import as_array


def eq(a, b):
    """``a == b`` of each element.

    Parameters
    ----------
    a, b : ndarray, Tensor or number
        Real numbers of any dtype. Shapes broadcast.

    Returns
    -------
    ndarray or Tensor of bool
        Of the broadcast shape. NaN equals nothing.

    Raises
    ------
    TypeError
        If `a` or `b` holds no real numbers.
    ValueError
        If the shapes do not broadcast.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.eq(np.array([1.0, 2.0, np.nan]), 2.0)
    array([False,  True, False])
    """
    if _are_floats(a, b):
        return _C.eq(a, b)
    return _compare("eq", _C.eq, np.equal, a, b)


def ne(a, b):
    """``a != b`` of each element. As `eq`; NaN differs from everything."""
    if _are_floats(a, b):
        return _C.ne(a, b)
    return _compare("ne", _C.ne, np.not_equal, a, b)


def lt(a, b):
    """``a < b`` of each element. As `eq`; so too `le`, `gt` and `ge`."""
    if _are_floats(a, b):
        return _C.lt(a, b)
    return _compare("lt", _C.lt, np.less, a, b)


def le(a, b):
    """``a <= b`` of each element. As `eq`."""
    if _are_floats(a, b):
        return _C.le(a, b)
    return _compare("le", _C.le, np.less_equal, a, b)


def gt(a, b):
    """``a > b`` of each element. As `eq`."""
    if _are_floats(a, b):
        return _C.gt(a, b)
    return _compare("gt", _C.gt, np.greater, a, b)


def ge(a, b):
    """``a >= b`` of each element. As `eq`."""
    if _are_floats(a, b):
        return _C.ge(a, b)
    return _compare("ge", _C.ge, np.greater_equal, a, b)


def isnan(x):
    """Whether each element is NaN.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.

    Returns
    -------
    ndarray or Tensor of bool

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.isnan(np.array([1.0, np.inf, np.nan]))
    array([False, False,  True])
    """
    return _without_gradient(_C.isnan(raw(x)), x)


def isinf(x):
    """Whether each element is inf or -inf. As `isnan`."""
    return _without_gradient(_C.isinf(raw(x)), x)


def isfinite(x):
    """Whether each element is neither infinite nor NaN. As `isnan`."""
    return _without_gradient(_C.isfinite(raw(x)), x)


def where(condition, x, y):
    """Elements of `x` where the condition holds, of `y` elsewhere; all broadcast.

    Parameters
    ----------
    condition : ndarray or Tensor of bool
        What to choose by.
    x, y : ndarray, Tensor or number
        Arrays of one dtype, or numbers.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.where(np.array([True, False]), np.array([1.0, 2.0]), 0.0)
    array([1., 0.])
    """
    chosen = as_array("where", condition)
    if chosen.dtype != bool:
        raise TypeError(
            f"where: condition must be bool, got {chosen.dtype}: pass condition != 0"
        )
    a, b = _operand("where", x), _operand("where", y)
    kinds = {v.dtype for v in (a, b) if isinstance(v, np.ndarray)}
    if len(kinds) > 1:
        raise TypeError(f"where: x and y must have one dtype, got {a.dtype}, {b.dtype}")
    if kinds and kinds.pop().char in "fd":
        z = _C.where(chosen, a, b)
    else:
        z = _by_numpy("where", "condition, x and y", np.where, chosen, a, b)

    def backward(dz):
        return None, _C.where(chosen, dz, 0.0), _C.where(chosen, 0.0, dz)

    return record(z, (condition, x, y), backward)


_FLOATS = np.dtype(np.float32), np.dtype(np.float64)


def _are_floats(a, b):
    """The common case, told without the cost of every other."""
    if type(a) is not np.ndarray or a.dtype not in _FLOATS:
        return False
    return type(b) is float or (type(b) is np.ndarray and b.dtype is a.dtype)


def _compare(op, kernel, numpy, a, b):
    p, q = _operand(op, a), _operand(op, b)
    kinds = {v.dtype.char for v in (p, q) if isinstance(v, np.ndarray)}
    if kinds in ({"f"}, {"d"}):
        y = kernel(p, q)
    else:
        for v in (p, q):
            if isinstance(v, np.ndarray) and v.dtype.kind not in "fiub":
                raise TypeError(f"{op}: a and b must hold real numbers, got {v.dtype}")
        y = _by_numpy(op, "a and b", numpy, p, q)
    return _without_gradient(y, a, b)


def _operand(op, x):
    return x if isinstance(x, (int, float)) else as_array(op, x)


def _by_numpy(op, names, function, *arrays):
    try:
        return array_of(function(*arrays))
    except ValueError:
        shapes = ", ".join(str(np.shape(a)) for a in arrays)
        raise ValueError(f"{op}: {names} must broadcast, got shapes {shapes}") from None


def _without_gradient(y, *inputs):
    return Tensor(y) if any(isinstance(x, Tensor) for x in inputs) else y
