"""Softmax, log-softmax and hardmax along one axis."""

import numpy as np

from .. import _C
from ..tensor import raw, record
from .elementwise import neg
from .inputs import short_way
from .shape import as_array, check_dim, one_axis


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


def softmin(x, dim=-1, axis=None):
    """Softmax of ``-x`` along one axis: largest where `x` is smallest.

    Parameters
    ----------
    x : ndarray or Tensor, shape (..., n, ...)
        float32 or float64.
    dim : int, optional
        Axis along which the result sums to one; `axis` is the same. Default is the
        last.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`.

    Raises
    ------
    IndexError
        If `dim` is out of range for ``x.shape``.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.softmin(np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    """
    return softmax(neg(x), dim, axis)


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


def hardmax(x, dim=-1, *, axis=None):
    """1 at the largest element of each slice, 0 elsewhere.

    Parameters
    ----------
    x : ndarray or Tensor, shape (..., n, ...)
        float32 or float64.
    dim : int, optional
        Axis along which to look; `axis` is the same.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`. Of equal elements the first counts; NaN is the
        largest. The gradient is 0.

    Raises
    ------
    IndexError
        If `dim` is out of range for ``x.shape``.
    TypeError
        If `x` is not an array of float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.hardmax(np.array([5.0, 2.0, -1.0, 3.0]))
    array([1., 0., 0., 0.])
    """
    if axis is not None:
        dim = one_axis("hardmax", dim, -1, axis)
    a = as_array("hardmax", x)
    dim = check_dim("hardmax", dim, a)
    if a.size == 0:
        y = a.copy()
    else:
        y = _C.scatter(
            "hardmax", np.zeros_like(a), dim, _C.argmax(a, dim, True), 1.0, False
        )
    return record(y, (x,), lambda dy: (np.zeros_like(dy),))
