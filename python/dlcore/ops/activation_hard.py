"""Activations made of straight pieces, one element at a time."""

from .. import _C
from ..tensor import raw, record
from .inputs import short_way


@short_way(_C.step_forward)
def step(x, threshold=0.0, out=None):
    """The perceptron's step, 1 where ``x >= threshold``, else 0.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    threshold : float, optional
        Where it steps.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`. NaN stays NaN. The gradient is 0.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.step(np.array([-1.0, 0.0, 2.0]))
    array([0., 1., 1.])
    """
    a = raw(x, out)
    y = _C.step_forward(a, threshold, out)
    return record(y, (x,), lambda dy: (_C.step_backward(a, dy, threshold),))


@short_way(_C.hardsigmoid_forward)
def hardsigmoid(x, out=None):
    """``min(max(x + 3, 0), 6) / 6``.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`. NaN stays NaN. The gradient is 0 at -3 and 3.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.hardsigmoid(np.array([-4.0, 0.0, 4.0]))
    array([0. , 0.5, 1. ])
    """
    a = raw(x, out)
    y = _C.hardsigmoid_forward(a, out)
    return record(y, (x,), lambda dy: (_C.hardsigmoid_backward(a, dy),))


@short_way(_C.hardswish_forward)
def hardswish(x, out=None):
    """``x * min(max(x + 3, 0), 6) / 6``.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`. 0, its limit, at -inf; NaN stays NaN.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.hardswish(np.array([-1.5, 0.0, 4.0]))
    array([-0.375,  0.   ,  4.   ])
    """
    a = raw(x, out)
    y = _C.hardswish_forward(a, out)
    return record(y, (x,), lambda dy: (_C.hardswish_backward(a, dy),))


@short_way(_C.hardtanh_forward)
def hardtanh(x, min_val=-1.0, max_val=1.0, out=None):
    """Limit to the range from `min_val` to `max_val`.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    min_val, max_val : float, optional
        The limits.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`. NaN stays NaN. The gradient is 0 at the limits,
        where that of `clip` is 1.

    Raises
    ------
    ValueError
        If `min_val` is above `max_val`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.hardtanh(np.array([-2.0, 0.5, 2.0]))
    array([-1. ,  0.5,  1. ])
    """
    a = raw(x, out)
    y = _C.hardtanh_forward(a, min_val, max_val, out)
    return record(y, (x,), lambda dy: (_C.hardtanh_backward(a, dy, min_val, max_val),))


@short_way(_C.softshrink_forward)
def softshrink(x, lambd=0.5, out=None):
    """`x`, nearer to 0 by `lambd`: 0 from ``-lambd`` to `lambd`.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    lambd : float, optional
        At least 0.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`. NaN stays NaN.

    Raises
    ------
    ValueError
        If `lambd` is below 0.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.softshrink(np.array([-2.0, 0.5, 2.0]))
    array([-1.5,  0. ,  1.5])
    """
    a = raw(x, out)
    y = _C.softshrink_forward(a, lambd, out)
    return record(y, (x,), lambda dy: (_C.softshrink_backward(a, dy, lambd),))


@short_way(_C.hardshrink_forward)
def hardshrink(x, lambd=0.5, out=None):
    """`x`, but 0 from ``-lambd`` to `lambd`.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    lambd : float, optional
        Half the width of what becomes 0.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`. NaN stays NaN.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.hardshrink(np.array([-2.0, 0.5, 2.0]))
    array([-2.,  0.,  2.])
    """
    a = raw(x, out)
    y = _C.hardshrink_forward(a, lambd, out)
    return record(y, (x,), lambda dy: (_C.hardshrink_backward(a, dy, lambd),))


def threshold(x, threshold, value, out=None):
    """`x` where it is above `threshold`, else `value`.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    threshold, value : float
        The bound, and what takes the place of what is not above it.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`. NaN stays NaN.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.threshold(np.array([-2.0, 0.5, 2.0]), 0.5, -1.0)
    array([-1., -1.,  2.])
    """
    a = raw(x, out)
    y = _C.threshold_forward(a, threshold, value, out)
    return record(y, (x,), lambda dy: (_C.threshold_backward(a, dy, threshold, value),))
