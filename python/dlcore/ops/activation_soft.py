"""Smooth activations of several pieces or with settings, one element at a time."""

from .. import _C
from ..tensor import raw, record
from .activation import tanh
from .arithmetic import sub
from .inputs import short_way


@short_way(_C.elu_forward)
def elu(x, alpha=1.0, out=None):
    """Exponential linear unit, `x` where it is positive, else ``alpha * (exp(x) - 1)``.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    alpha : float, optional
        What it approaches on the left, with the opposite sign.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`. NaN stays NaN; ``-alpha`` at -inf.

    Notes
    -----
    Clevert, Unterthiner and Hochreiter, arXiv 1511.07289. ``exp(x) - 1`` does not
    cancel near 0.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.elu(np.array([-1.0, 0.0, 2.0])).round(4)
    array([-0.6321,  0.    ,  2.    ])
    """
    a = raw(x, out)
    y = _C.elu_forward(a, alpha, out)
    return record(y, (x,), lambda dy: (_C.elu_backward(a, dy, alpha),))


@short_way(_C.celu_forward)
def celu(x, alpha=1.0, out=None):
    """Continuously differentiable ELU, below 0 ``alpha * (exp(x / alpha) - 1)``.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    alpha : float, optional
        Not 0.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`. NaN stays NaN.

    Raises
    ------
    ValueError
        If `alpha` is 0.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.celu(np.array([-1.0, 0.0, 2.0]), 2.0).round(4)
    array([-0.7869,  0.    ,  2.    ])
    """
    a = raw(x, out)
    y = _C.celu_forward(a, alpha, out)
    return record(y, (x,), lambda dy: (_C.celu_backward(a, dy, alpha),))


@short_way(_C.selu_forward)
def selu(x, out=None):
    """Scaled ELU, ``1.0507 * elu(x, 1.67326)``: keeps mean 0 and variance 1.

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

    Notes
    -----
    Klambauer et al., Self-Normalizing Neural Networks, arXiv 1706.02515; with weights
    drawn by `init.lecun_normal_`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.selu(np.array([-1.0, 0.0, 2.0])).round(4)
    array([-1.1113,  0.    ,  2.1014])
    """
    a = raw(x, out)
    y = _C.selu_forward(a, out)
    return record(y, (x,), lambda dy: (_C.selu_backward(a, dy),))


@short_way(_C.softplus_forward)
def softplus(x, beta=1.0, threshold=20.0, out=None):
    """Smooth ReLU, ``log(1 + exp(beta * x)) / beta``.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    beta : float, optional
        How sharp the bend is; not 0.
    threshold : float, optional
        The result is `x` where ``beta * x`` is larger.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`. NaN stays NaN.

    Raises
    ------
    ValueError
        If `beta` is 0.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.softplus(np.array([-1.0, 0.0, 30.0])).round(4)
    array([ 0.3133,  0.6931, 30.    ])
    """
    a = raw(x, out)
    y = _C.softplus_forward(a, beta, threshold, out)
    return record(y, (x,), lambda dy: (_C.softplus_backward(a, dy, beta, threshold),))


@short_way(_C.logsigmoid_forward)
def logsigmoid(x, out=None):
    """Logarithm of the logistic function, ``-log(1 + exp(-x))``, without its underflow.

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
    >>> dl.logsigmoid(np.array([-1000.0, 0.0])).round(4)
    array([-1.000e+03, -6.931e-01])
    """
    a = raw(x, out)
    y = _C.logsigmoid_forward(a, out)
    return record(y, (x,), lambda dy: (_C.logsigmoid_backward(a, dy),))


@short_way(_C.mish_forward)
def mish(x, out=None):
    """``x * tanh(softplus(x))``.

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

    Notes
    -----
    Misra, arXiv 1908.08681. With ``n = exp(x) * (exp(x) + 2)`` it is
    ``x * n / (n + 2)``: one exponential, no cancellation.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.mish(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.3034,  0.    ,  0.8651])
    """
    a = raw(x, out)
    y = _C.mish_forward(a, out)
    return record(y, (x,), lambda dy: (_C.mish_backward(a, dy),))


@short_way(_C.softsign_forward)
def softsign(x, out=None):
    """``x / (1 + abs(x))``.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`. -1 and 1, its limits, at -inf and inf, where
        PyTorch has NaN.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.softsign(np.array([-1.0, 0.0, np.inf]))
    array([-0.5,  0. ,  1. ])
    """
    a = raw(x, out)
    y = _C.softsign_forward(a, out)
    return record(y, (x,), lambda dy: (_C.softsign_backward(a, dy),))


def tanhshrink(x):
    """``x - tanh(x)``.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.tanhshrink(np.array([-1.0, 0.0, 2.0])).round(4)
    array([-0.2384,  0.    ,  1.036 ])
    """
    return sub(x, tanh(x))
