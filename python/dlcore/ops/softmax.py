"""Softmax and log-softmax along one axis."""

from .. import _C
from ..tensor import raw, record
from .inputs import short_way
from .shape import one_axis


@short_way(_C.softmax_forward)
def softmax(x, dim=-1, axis=None, out=None):
    r"""Softmax along one axis.

    Parameters
    ----------
    x : ndarray or Tensor, shape (..., n, ...)
        Scores, float32 or float64.
    dim : int, optional
        Axis along which the result sums to one; `axis` is the same. Default is the
        last.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`. A slice of only ``-inf`` (every position masked)
        gives zeros, where PyTorch gives NaN; a slice with NaN or ``+inf`` gives NaN.

    Raises
    ------
    IndexError
        If `dim` is out of range for ``x.shape``.
    TypeError
        If `x` is not an array of float32 or float64.

    See Also
    --------
    log_softmax, cross_entropy

    Notes
    -----
    .. math:: y_i = \frac{e^{x_i - \max x}}{\sum_j e^{x_j - \max x}}

    Backward keeps the output only: ``dx = y * (dy - sum(dy * y))``.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.softmax(np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    """
    if axis is not None:
        dim = one_axis("softmax", dim, -1, axis)
    y = _C.softmax_forward(raw(x, out), dim, out)
    return record(y, (x,), lambda dy, y=y, dim=dim: (_C.softmax_backward(y, dy, dim),))


@short_way(_C.log_softmax_forward)
def log_softmax(x, dim=-1, axis=None, out=None):
    r"""Logarithm of softmax along one axis, without its underflow.

    Parameters
    ----------
    x : ndarray or Tensor, shape (..., n, ...)
        Scores, float32 or float64.
    dim : int, optional
        Axis along which the exponentials sum to one; `axis` is the same. Default is
        the last.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`. A slice of only ``-inf`` gives ``-inf``, where
        PyTorch gives NaN; a slice with NaN or ``+inf`` gives NaN.

    Raises
    ------
    IndexError
        If `dim` is out of range for ``x.shape``.
    TypeError
        If `x` is not an array of float32 or float64.

    See Also
    --------
    softmax, nll_loss, cross_entropy

    Notes
    -----
    .. math:: y_i = (x_i - \max x) - \log \sum_j e^{x_j - \max x}

    Backward keeps the output only: ``dx = dy - exp(y) * sum(dy)``.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.log_softmax(np.array([[1000.0, 0.0]]))
    array([[    0., -1000.]])
    """
    if axis is not None:
        dim = one_axis("log_softmax", dim, -1, axis)
    y = _C.log_softmax_forward(raw(x, out), dim, out)
    return record(
        y, (x,), lambda dy, y=y, dim=dim: (_C.log_softmax_backward(y, dy, dim),)
    )
