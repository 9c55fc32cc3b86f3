"""Activations, one element at a time.

A backward takes what it keeps as defaults: a variable that a closure captures is made a
cell at every call, some 20 ns.
"""

from .. import _C
from ..tensor import raw, record
from .inputs import short_way


@short_way(_C.relu_forward)
def relu(x, out=None):
    """Rectified linear unit, ``max(x, 0)``.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`. NaN stays NaN.

    Raises
    ------
    TypeError
        If `x` is not an array of float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    y = _C.relu_forward(raw(x, out), out)
    return record(y, (x,), lambda dy, y=y: (_C.relu_backward(y, dy),))


@short_way(_C.relu6_forward)
def relu6(x, out=None):
    """Rectified linear unit with a ceiling, ``min(max(x, 0), 6)``.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
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
    >>> dl.relu6(np.array([-1.0, 2.0, 9.0]))
    array([0., 2., 6.])
    """
    y = _C.relu6_forward(raw(x, out), out)
    return record(y, (x,), lambda dy: (_C.relu6_backward(y, dy),))


def leaky_relu(x, negative_slope=0.01, out=None):
    """``x`` where it is positive, ``negative_slope * x`` elsewhere.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    negative_slope : float, optional
        Slope below 0.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.leaky_relu(np.array([-1.0, 2.0]), 0.25)
    array([-0.25,  2.  ])
    """
    a = raw(x, out)
    y = _C.leaky_relu_forward(a, negative_slope, out)
    return record(y, (x,), lambda dy: (_C.leaky_relu_backward(a, dy, negative_slope),))


@short_way(_C.sigmoid_forward)
def sigmoid(x, out=None):
    """Logistic function, ``1 / (1 + exp(-x))``.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`, within 3 ULP; exactly 0 and 1 at -inf and inf.

    Notes
    -----
    Backward keeps the output only: ``dx = dy * y * (1 - y)``.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.sigmoid(np.array([0.0, np.inf]))
    array([0.5, 1. ])
    """
    y = _C.sigmoid_forward(raw(x, out), out)
    return record(y, (x,), lambda dy, y=y: (_C.sigmoid_backward(y, dy),))


@short_way(_C.tanh_forward)
def tanh(x, out=None):
    """Hyperbolic tangent.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`, within 1.1 ULP in float32, 2.5 in float64.

    Notes
    -----
    Backward keeps the output only: ``dx = dy * (1 - y**2)``.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.tanh(np.array([0.0, np.inf]))
    array([0., 1.])
    """
    y = _C.tanh_forward(raw(x, out), out)
    return record(y, (x,), lambda dy, y=y: (_C.tanh_backward(y, dy),))


def gelu(x, approximate="none", out=None):
    """Gaussian error linear unit, ``x * Phi(x)``.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    approximate : {'none', 'tanh'}
        ``'none'`` is the normal distribution's own Phi; ``'tanh'`` takes
        ``0.5 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))`` for it.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`. 0, its limit, at -inf.

    Raises
    ------
    ValueError
        If `approximate` is neither.

    Notes
    -----
    Hendrycks and Gimpel, Gaussian Error Linear Units, arXiv 1606.08415. The left side
    is accurate too: it is computed from the tail, not as 1 + erf.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.gelu(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.1587,  0.    ,  0.8413])
    """
    a = raw(x, out)
    if approximate == "none":
        y = _C.gelu_forward(a, out)
        return record(y, (x,), lambda dy: (_C.gelu_backward(a, dy),))
    if approximate == "tanh":
        y = _C.gelu_tanh_forward(a, out)
        return record(y, (x,), lambda dy: (_C.gelu_tanh_backward(a, dy),))
    raise ValueError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")


@short_way(_C.silu_forward)
def silu(x, out=None):
    """Sigmoid linear unit (Swish), ``x * sigmoid(x)``.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`. 0, its limit, at -inf.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.silu(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.2689,  0.    ,  0.7311])
    """
    a = raw(x, out)
    y = _C.silu_forward(a, out)
    return record(y, (x,), lambda dy, a=a: (_C.silu_backward(a, dy),))
