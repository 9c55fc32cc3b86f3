"""Functions of each element of one array."""

from math import inf

from numpy import ndarray

from .. import _C
from ..tensor import raw, record


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
