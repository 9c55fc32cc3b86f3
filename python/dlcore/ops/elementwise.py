"""Arithmetic on arrays, broadcast as in NumPy."""

from math import inf

import numpy as np
from numpy import ndarray

from .. import _C
from ..tensor import Tensor, raw, record


def add(a, b, out=None):
    """``a + b``.

    Parameters
    ----------
    a, b : ndarray, Tensor or number
        float32 or float64, of one dtype; a number takes the other's. Shapes broadcast.
    out : ndarray, optional
        Where to put the result (arrays only); may be `a` or `b`.

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
    if type(a) is ndarray and (type(b) is ndarray or type(b) is float):
        return _C.add(a, b, out)
    p, q = raw(a, out), raw(b, out)
    y = _C.add(p, q, out)
    return record(y, (a, b), lambda dy: (dy, dy))


def sub(a, b, out=None):
    """``a - b``.

    As `add` for the arguments.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.sub(np.array([1.0, 2.0]), 1.0)
    array([0., 1.])
    """
    if type(a) is ndarray and (type(b) is ndarray or type(b) is float):
        return _C.sub(a, b, out)
    p, q = raw(a, out), raw(b, out)
    y = _C.sub(p, q, out)
    return record(y, (a, b), lambda dy, b=b: (dy, _C.neg(dy) if _wants(b) else None))


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
    if type(a) is ndarray and (type(b) is ndarray or type(b) is float):
        return _C.mul(a, b, out)
    p, q = raw(a, out), raw(b, out)
    y = _C.mul(p, q, out)

    def backward(dy, a=a, b=b, p=p, q=q):
        da = _C.mul(dy, q) if _wants(a) else None
        return da, _C.mul(dy, p) if _wants(b) else None

    return record(y, (a, b), backward)


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
    if type(a) is ndarray and (type(b) is ndarray or type(b) is float):
        return _C.div(a, b, out)
    p, q = raw(a, out), raw(b, out)
    y = _C.div(p, q, out)

    def backward(dy, b=b, q=q, y=y):
        da = _C.div(dy, q)
        return da, _C.neg(_C.mul(da, y)) if _wants(b) else None

    return record(y, (a, b), backward)


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
    if type(a) is ndarray and (type(b) is ndarray or type(b) is float):
        return _C.pow(a, b, out)
    p, q = raw(a, out), raw(b, out)
    y = _C.pow(p, q, out)

    def backward(dy, a=a, b=b, p=p, q=q, y=y):
        da = db = None
        base, exponent = np.asarray(p, dy.dtype), np.asarray(q, dy.dtype)
        if _wants(a) and exponent.ndim == 0 and exponent == 2:
            da = _C.square_backward(base, dy)
        elif _wants(a):
            less = _C.where(_C.eq(exponent, 0.0), exponent, _C.sub(exponent, 1.0))
            da = _C.mul(_C.mul(dy, _C.pow(base, less)), exponent)
        if _wants(b):
            logs = _C.log(_C.where(_C.eq(base, 0.0), 1.0, base))
            db = _C.mul(dy, _C.mul(y, logs))
        return da, db

    return record(y, (a, b), backward)


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
    if type(a) is ndarray and (type(b) is ndarray or type(b) is float):
        return _C.maximum(a, b, out)
    p, q = raw(a, out), raw(b, out)
    y = _C.maximum(p, q, out)

    def backward(dy, p=p, q=q):
        da = _C.mul(dy, _C.maximum_slope(p, q))
        return da, _C.sub(dy, da)

    return record(y, (a, b), backward)


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
    if type(a) is ndarray and (type(b) is ndarray or type(b) is float):
        return _C.minimum(a, b, out)
    p, q = raw(a, out), raw(b, out)
    y = _C.minimum(p, q, out)

    def backward(dy, p=p, q=q):
        da = _C.mul(dy, _C.maximum_slope(q, p))
        return da, _C.sub(dy, da)

    return record(y, (a, b), backward)


def exp(x, out=None):
    """Exponential, ``e ** x``.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`.

    Notes
    -----
    Overflows to inf above 88.7 (float32), 709.8 (float64). Within 1.2 ULP.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.exp(np.array([0.0, 1.0]))
    array([1.        , 2.71828183])
    """
    if type(x) is ndarray:
        return _C.exp(x, out)
    y = _C.exp(raw(x, out), out)
    return record(y, (x,), lambda dy, y=y: (_C.mul(dy, y),))


def expm1(x, out=None):
    """``exp(x) - 1`` without the loss of digits near 0.

    As `exp` for the arguments. Within 1.8 ULP.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.expm1(np.array([0.0, 1e-10]))
    array([0.e+00, 1.e-10])
    """
    if type(x) is ndarray:
        return _C.expm1(x, out)
    y = _C.expm1(raw(x, out), out)
    return record(y, (x,), lambda dy, y=y: (_C.expm1_backward(y, dy),))


def log(x, out=None):
    """Natural logarithm.

    As `exp` for the arguments. -inf at 0, NaN below. Within 0.8 ULP.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.log(np.array([1.0, np.e]))
    array([0., 1.])
    """
    if type(x) is ndarray:
        return _C.log(x, out)
    a = raw(x, out)
    y = _C.log(a, out)
    return record(y, (x,), lambda dy, a=a: (_C.div(dy, a),))


def log1p(x, out=None):
    """``log(1 + x)`` without the loss of digits near 0.

    As `exp` for the arguments. Within 1.5 ULP.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.log1p(np.array([0.0, 1e-10]))
    array([0.e+00, 1.e-10])
    """
    if type(x) is ndarray:
        return _C.log1p(x, out)
    a = raw(x, out)
    y = _C.log1p(a, out)
    return record(y, (x,), lambda dy, a=a: (_C.log1p_backward(a, dy),))


def erf(x, out=None):
    """Error function, the integral of ``2 / sqrt(pi) * exp(-t**2)`` from 0 to x.

    As `exp` for the arguments. Within 3.1 ULP.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.erf(np.array([0.0, 1.0])).round(6)
    array([0.      , 0.842701])
    """
    if type(x) is ndarray:
        return _C.erf(x, out)
    a = raw(x, out)
    y = _C.erf(a, out)
    return record(y, (x,), lambda dy, a=a: (_C.erf_backward(a, dy),))


def sqrt(x, out=None):
    """Square root; NaN below 0.

    As `exp` for the arguments. Correctly rounded.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.sqrt(np.array([4.0, 2.25]))
    array([2. , 1.5])
    """
    if type(x) is ndarray:
        return _C.sqrt(x, out)
    y = _C.sqrt(raw(x, out), out)
    return record(y, (x,), lambda dy, y=y: (_C.sqrt_backward(y, dy),))


def rsqrt(x, out=None):
    """``1 / sqrt(x)``.

    As `exp` for the arguments. Within 1.5 ULP.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.rsqrt(np.array([4.0, 0.25]))
    array([0.5, 2. ])
    """
    if type(x) is ndarray:
        return _C.rsqrt(x, out)
    y = _C.rsqrt(raw(x, out), out)
    return record(y, (x,), lambda dy, y=y: (_C.rsqrt_backward(y, dy),))


def reciprocal(x, out=None):
    """``1 / x``.

    As `exp` for the arguments. Correctly rounded.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.reciprocal(np.array([4.0, 0.5]))
    array([0.25, 2.  ])
    """
    if type(x) is ndarray:
        return _C.reciprocal(x, out)
    y = _C.reciprocal(raw(x, out), out)
    return record(y, (x,), lambda dy, y=y: (_C.reciprocal_backward(y, dy),))


def square(x, out=None):
    """``x * x``.

    As `exp` for the arguments.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.square(np.array([-3.0, 2.0]))
    array([9., 4.])
    """
    if type(x) is ndarray:
        return _C.square(x, out)
    a = raw(x, out)
    y = _C.square(a, out)
    return record(y, (x,), lambda dy, a=a: (_C.square_backward(a, dy),))


def abs(x, out=None):
    """Absolute value; its gradient is 0 at 0.

    As `exp` for the arguments.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.abs(np.array([-3.0, 2.0]))
    array([3., 2.])
    """
    if type(x) is ndarray:
        return _C.abs(x, out)
    a = raw(x, out)
    y = _C.abs(a, out)
    return record(y, (x,), lambda dy, a=a: (_C.abs_backward(a, dy),))


def neg(x, out=None):
    """``-x``.

    As `exp` for the arguments.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.neg(np.array([-3.0, 2.0]))
    array([ 3., -2.])
    """
    if type(x) is ndarray:
        return _C.neg(x, out)
    y = _C.neg(raw(x, out), out)
    return record(y, (x,), lambda dy: (_C.neg(dy),))


def sign(x, out=None):
    """-1, 0 or 1; NaN stays NaN. The gradient is 0.

    As `exp` for the arguments.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.sign(np.array([-3.0, 0.0]))
    array([-1.,  0.])
    """
    if type(x) is ndarray:
        return _C.sign(x, out)
    y = _C.sign(raw(x, out), out)
    return record(y, (x,), lambda dy: (_C.mul(dy, 0.0),))


def clip(x, min=None, max=None, out=None):
    """Limit to the range from `min` to `max`.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    min, max : float, optional
        The limits; None is no limit.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`. NaN stays NaN. The gradient is 0 beyond the limits.

    Raises
    ------
    ValueError
        If `min` is above `max`, or both are None.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.clip(np.array([-2.0, 0.5, 2.0]), 0, 1)
    array([0. , 0.5, 1. ])
    """
    if min is None and max is None:
        raise ValueError("clip: min or max must be given")
    low = -inf if min is None else min
    high = inf if max is None else max
    a = raw(x, out)
    y = _C.clip(a, low, high, out)
    return record(y, (x,), lambda dy: (_C.clip_backward(a, dy, low, high),))


clamp = clip


def _wants(x):
    return isinstance(x, Tensor) and x.requires_grad
