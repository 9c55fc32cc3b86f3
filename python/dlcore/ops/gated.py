"""Activations with a second input: gated linear units, and PReLU's learned slopes."""

from .. import _C
from ..tensor import raw, record


def prelu(x, weight, out=None):
    """``x`` where it is positive, ``weight * x`` elsewhere, with learned weights.

    Parameters
    ----------
    x : ndarray or Tensor, shape (n, channels, ...) or any
        float32 or float64.
    weight : ndarray or Tensor, shape (1,) or (channels,)
        One slope for all, or one for each channel.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`. NaN stays NaN.

    Raises
    ------
    ValueError
        If there are neither 1 nor ``x.shape[1]`` weights.
    TypeError
        If the dtypes differ or are not float32 or float64.

    Notes
    -----
    He et al., arXiv 1502.01852. Backward gives both gradients in one pass; that of a
    weight is the sum of ``dy * x`` over the elements of its channel that are not
    positive.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.prelu(np.array([[-1.0, -1.0], [2.0, -2.0]]), np.array([0.25, 0.5]))
    array([[-0.25, -0.5 ],
           [ 2.  , -1.  ]])
    """
    a, w = raw(x, out), raw(weight, out)
    y = _C.prelu_forward(a, w, out)
    return record(y, (x, weight), lambda dy: _C.prelu_backward(a, w, dy))


def glu(x, dim=-1, out=None):
    """Gated linear unit, ``a * sigmoid(b)`` of the two halves of `x` along `dim`.

    Parameters
    ----------
    x : ndarray or Tensor, shape (..., 2 n, ...)
        float32 or float64.
    dim : int, optional
        The axis that is halved: `a` comes first.
    out : ndarray, optional
        Where to put the result (arrays only).

    Returns
    -------
    ndarray or Tensor, shape (..., n, ...)

    Raises
    ------
    ValueError
        If the axis has an odd length.
    IndexError
        If there is no such axis.

    See Also
    --------
    swiglu, geglu, reglu

    Notes
    -----
    Dauphin et al., arXiv 1612.08083; the others: Shazeer, arXiv 2002.05202.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.glu(np.array([2.0, 4.0, 0.0, np.inf]))
    array([1., 4.])
    """
    a = raw(x, out)
    y = _C.glu_forward(a, dim, out)
    return record(y, (x,), lambda dy: (_C.glu_backward(a, dy, dim),))


def geglu(x, dim=-1, approximate="none", out=None):
    """``a * gelu(b)`` of the two halves of `x` along `dim`.

    Parameters
    ----------
    x : ndarray or Tensor, shape (..., 2 n, ...)
        float32 or float64.
    dim : int, optional
        The axis that is halved: `a` comes first.
    approximate : {'none', 'tanh'}
        As for `gelu`.
    out : ndarray, optional
        Where to put the result (arrays only).

    Returns
    -------
    ndarray or Tensor, shape (..., n, ...)

    Raises
    ------
    ValueError
        If the axis has an odd length, or `approximate` is neither.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.geglu(np.array([2.0, 4.0, 0.0, 1.0])).round(4)
    array([0.    , 3.3654])
    """
    a = raw(x, out)
    if approximate == "none":
        y = _C.geglu_forward(a, dim, out)
        return record(y, (x,), lambda dy: (_C.geglu_backward(a, dy, dim),))
    if approximate == "tanh":
        y = _C.geglu_tanh_forward(a, dim, out)
        return record(y, (x,), lambda dy: (_C.geglu_tanh_backward(a, dy, dim),))
    raise ValueError(
        f"geglu: approximate must be 'none' or 'tanh', got {approximate!r}"
    )


def swiglu(x, dim=-1, out=None):
    """``a * silu(b)`` of the two halves of `x` along `dim`.

    Parameters
    ----------
    x : ndarray or Tensor, shape (..., 2 n, ...)
        float32 or float64.
    dim : int, optional
        The axis that is halved: `a` comes first.
    out : ndarray, optional
        Where to put the result (arrays only).

    Returns
    -------
    ndarray or Tensor, shape (..., n, ...)

    Raises
    ------
    ValueError
        If the axis has an odd length.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.swiglu(np.array([2.0, 4.0, 0.0, 1.0])).round(4)
    array([0.    , 2.9242])
    """
    a = raw(x, out)
    y = _C.swiglu_forward(a, dim, out)
    return record(y, (x,), lambda dy: (_C.swiglu_backward(a, dy, dim),))


def reglu(x, dim=-1, out=None):
    """``a * relu(b)`` of the two halves of `x` along `dim`.

    Parameters
    ----------
    x : ndarray or Tensor, shape (..., 2 n, ...)
        float32 or float64.
    dim : int, optional
        The axis that is halved: `a` comes first.
    out : ndarray, optional
        Where to put the result (arrays only).

    Returns
    -------
    ndarray or Tensor, shape (..., n, ...)

    Raises
    ------
    ValueError
        If the axis has an odd length.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.reglu(np.array([2.0, 4.0, -1.0, 0.5]))
    array([0., 2.])
    """
    a = raw(x, out)
    y = _C.reglu_forward(a, dim, out)
    return record(y, (x,), lambda dy: (_C.reglu_backward(a, dy, dim),))
