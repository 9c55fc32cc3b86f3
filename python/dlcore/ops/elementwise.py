"""Functions of each element of one array."""

from math import inf

import numpy as np

from .. import _C
from ..tensor import raw, record
from .compare import gt, lt, where
from .inputs import short_way


@short_way(_C.exp)
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
    y = _C.exp(raw(x, out), out)
    return record(y, (x,), lambda dy, y=y: (_C.mul(dy, y),))


@short_way(_C.expm1)
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
    y = _C.expm1(raw(x, out), out)
    return record(y, (x,), lambda dy, y=y: (_C.expm1_backward(y, dy),))


@short_way(_C.log)
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
    a = raw(x, out)
    y = _C.log(a, out)
    return record(y, (x,), lambda dy, a=a: (_C.div(dy, a),))


@short_way(_C.log1p)
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
    a = raw(x, out)
    y = _C.log1p(a, out)
    return record(y, (x,), lambda dy, a=a: (_C.log1p_backward(a, dy),))


@short_way(_C.erf)
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
    a = raw(x, out)
    y = _C.erf(a, out)
    return record(y, (x,), lambda dy, a=a: (_C.erf_backward(a, dy),))


@short_way(_C.sqrt)
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
    y = _C.sqrt(raw(x, out), out)
    return record(y, (x,), lambda dy, y=y: (_C.sqrt_backward(y, dy),))


@short_way(_C.rsqrt)
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
    y = _C.rsqrt(raw(x, out), out)
    return record(y, (x,), lambda dy, y=y: (_C.rsqrt_backward(y, dy),))


@short_way(_C.reciprocal)
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
    y = _C.reciprocal(raw(x, out), out)
    return record(y, (x,), lambda dy, y=y: (_C.reciprocal_backward(y, dy),))


@short_way(_C.square)
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
    a = raw(x, out)
    y = _C.square(a, out)
    return record(y, (x,), lambda dy, a=a: (_C.square_backward(a, dy),))


@short_way(_C.abs)
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
    a = raw(x, out)
    y = _C.abs(a, out)
    return record(y, (x,), lambda dy, a=a: (_C.abs_backward(a, dy),))


@short_way(_C.neg)
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
    y = _C.neg(raw(x, out), out)
    return record(y, (x,), lambda dy: (_C.neg(dy),))


@short_way(_C.sign)
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
    y = _C.sign(raw(x, out), out)
    return record(y, (x,), lambda dy: (_C.mul(dy, 0.0),))


def clip(x, min=None, max=None, out=None):
    """Limit to the range from `min` to `max`.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    min, max : float, ndarray or Tensor, optional
        The limits; None is no limit. Those of arrays broadcast, and have gradients.
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
    limits = raw(min), raw(max)
    if any(isinstance(v, np.ndarray) and v.ndim for v in limits):
        return _between(x, min, max, out)
    low = -inf if min is None else min
    high = inf if max is None else max
    a = raw(x, out)
    y = _C.clip(a, low, high, out)
    return record(y, (x,), lambda dy: (_C.clip_backward(a, dy, low, high),))


clamp = clip


def _between(x, low, high, out):
    if out is not None:
        raise TypeError("clip: out must not be given with limits that are arrays")
    if low is not None:
        x = where(lt(x, low), low, x)
    return x if high is None else where(gt(x, high), high, x)
