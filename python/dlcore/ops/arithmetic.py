"""Arithmetic of two arrays, broadcast as in NumPy."""

import numpy as np

from .. import _C
from ..tensor import raw, record
from .inputs import short_way, wants


@short_way(_C.add)
def add(a, b, out=None, *, alpha=1):
    """``a + alpha * b``.

    Parameters
    ----------
    a, b : ndarray, Tensor or number
        float32 or float64, of one dtype; a number takes the other's. Shapes broadcast.
    out : ndarray, optional
        Where to put the result (arrays only); may be `a` or `b`.
    alpha : float, optional
        A factor of `b`.

    Returns
    -------
    ndarray or Tensor
        Of the broadcast shape.

    Raises
    ------
    TypeError
        If the dtypes differ or are no float32 or float64.
    ValueError
        If the shapes do not broadcast.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.add(np.array([1.0, 2.0]), 10.0)
    array([11., 12.])
    """
    if alpha != 1:
        b = mul(b, alpha)
    p, q = raw(a, out), raw(b, out)
    y = _C.add(p, q, out)
    return record(y, (a, b), lambda dy: (dy, dy))


@short_way(_C.sub)
def sub(a, b, out=None, *, alpha=1):
    """``a - alpha * b``.

    As `add` for the arguments.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.sub(np.array([1.0, 2.0]), 1.0)
    array([0., 1.])
    """
    if alpha != 1:
        b = mul(b, alpha)
    p, q = raw(a, out), raw(b, out)
    y = _C.sub(p, q, out)
    return record(y, (a, b), lambda dy, b=b: (dy, _C.neg(dy) if wants(b) else None))


@short_way(_C.mul)
def mul(a, b, out=None):
    """``a * b``.

    As `add` for the arguments.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.mul(np.array([1.0, 2.0]), 3.0)
    array([3., 6.])
    """
    p, q = raw(a, out), raw(b, out)
    y = _C.mul(p, q, out)

    def backward(dy, a=a, b=b, p=p, q=q):
        da = _C.mul(dy, q) if wants(a) else None
        return da, _C.mul(dy, p) if wants(b) else None

    return record(y, (a, b), backward)


@short_way(_C.div)
def div(a, b, out=None):
    """``a / b``; inf or NaN by zero, as IEEE 754 has it.

    As `add` for the arguments.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.div(np.array([1.0, 2.0]), 2.0)
    array([0.5, 1. ])
    """
    p, q = raw(a, out), raw(b, out)
    y = _C.div(p, q, out)

    def backward(dy, b=b, q=q, y=y):
        da = _C.div(dy, q)
        return da, _C.neg(_C.mul(da, y)) if wants(b) else None

    return record(y, (a, b), backward)


@short_way(_C.pow)
def pow(a, b, out=None):
    """``a ** b``, by IEEE 754's rules for zeros, infinities and NaN.

    As `add` for the arguments.

    float32 is within 0.6 ULP. The gradient by `b` is 0 where `a` is 0 and `b` is not
    negative.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.pow(np.array([1.0, 2.0]), 3.0)
    array([1., 8.])
    """
    p, q = raw(a, out), raw(b, out)
    y = _C.pow(p, q, out)

    def backward(dy, a=a, b=b, p=p, q=q, y=y):
        da = db = None
        base, exponent = np.asarray(p, dy.dtype), np.asarray(q, dy.dtype)
        if wants(a) and exponent.ndim == 0 and exponent == 2:
            da = _C.square_backward(base, dy)
        elif wants(a):
            less = _C.where(_C.eq(exponent, 0.0), exponent, _C.sub(exponent, 1.0))
            da = _C.mul(_C.mul(dy, _C.pow(base, less)), exponent)
        if wants(b):
            logs = _C.log(_C.where(_C.eq(base, 0.0), 1.0, base))
            db = _C.mul(dy, _C.mul(y, logs))
        return da, db

    return record(y, (a, b), backward)


@short_way(_C.maximum)
def maximum(a, b, out=None):
    """The larger of `a` and `b`; NaN where either is NaN.

    As `add` for the arguments.

    Where they are equal each gets half of the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.maximum(np.array([1.0, 2.0]), 1.5)
    array([1.5, 2. ])
    """
    p, q = raw(a, out), raw(b, out)
    y = _C.maximum(p, q, out)

    def backward(dy, p=p, q=q):
        da = _C.mul(dy, _C.maximum_slope(p, q))
        return da, _C.sub(dy, da)

    return record(y, (a, b), backward)


@short_way(_C.minimum)
def minimum(a, b, out=None):
    """The smaller of `a` and `b`; NaN where either is NaN.

    As `add` for the arguments.

    Where they are equal each gets half of the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.minimum(np.array([1.0, 2.0]), 1.5)
    array([1. , 1.5])
    """
    p, q = raw(a, out), raw(b, out)
    y = _C.minimum(p, q, out)

    def backward(dy, p=p, q=q):
        da = _C.mul(dy, _C.maximum_slope(q, p))
        return da, _C.sub(dy, da)

    return record(y, (a, b), backward)


def lerp(x, end, weight):
    """``x + weight * (end - x)``: on the way from `x` to `end`.

    As `add` for the arguments.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.lerp(np.array([1.0, 2.0]), 5.0, 0.25)
    array([2.  , 2.75])
    """
    return add(x, mul(sub(end, x), weight))


def addcmul(x, a, b, *, value=1):
    """``x + value * a * b``.

    As `add` for the arguments.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.addcmul(np.array([1.0, 2.0]), np.array([3.0, 4.0]), 2.0, value=0.5)
    array([4., 6.])
    """
    return add(x, mul(a, b), alpha=value)


def addcdiv(x, a, b, *, value=1):
    """``x + value * a / b``.

    As `add` for the arguments.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.addcdiv(np.array([1.0, 2.0]), np.array([3.0, 4.0]), 2.0, value=0.5)
    array([1.75, 3.  ])
    """
    return add(x, div(a, b), alpha=value)
