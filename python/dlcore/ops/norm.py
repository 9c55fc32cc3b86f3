"""Normalization: of rows, of channels, of neighbouring channels."""

from .. import _C
from ..tensor import Tensor, raw, record, shadow


def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Give each row mean 0 and variance 1, then scale and shift its entries.

    Parameters
    ----------
    x : ndarray or Tensor, shape (..., *normalized_shape)
        float32 or float64.
    normalized_shape : int or tuple of int
        The last axes of `x`, which together make a row.
    weight, bias : ndarray or Tensor, shape normalized_shape, optional
        Scale and shift of each entry.
    eps : float, optional
        Added to the variance.

    Returns
    -------
    ndarray or Tensor
        ``(x - mean) / sqrt(variance + eps) * weight + bias``, of the shape of `x`. The
        variance is the biased one. A row with NaN or inf gives NaN.

    Raises
    ------
    ValueError
        If `normalized_shape` is not the end of ``x.shape``, or a shape does not fit.
    TypeError
        If an array is not float32 or float64, or the dtypes differ.

    See Also
    --------
    rms_norm, group_norm

    Notes
    -----
    Ba, Kiros and Hinton (2016). The mean and the variance are made in two passes while
    the row is in cache. Backward keeps the mean and ``1 / sqrt(variance + eps)`` of
    each row.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.layer_norm(np.array([[1.0, 3.0]]), 2, eps=0.0)
    array([[-1.,  1.]])
    """
    w, b = raw(weight), raw(bias)
    y, mean, rstd, _ = _C.layer_norm_forward(raw(x), normalized_shape, w, b, eps)
    return record(
        y,
        (x, weight, bias),
        lambda dy: _C.layer_norm_backward(
            raw(x), dy, normalized_shape, w, mean, rstd, b is not None
        ),
    )


def rms_norm(x, normalized_shape, weight=None, eps=None):
    """Divide each row by the root of its mean square, then scale its entries.

    Parameters
    ----------
    x : ndarray or Tensor, shape (..., *normalized_shape)
        float32 or float64.
    normalized_shape : int or tuple of int
        The last axes of `x`, which together make a row.
    weight : ndarray or Tensor, shape normalized_shape, optional
        Scale of each entry.
    eps : float, optional
        Added to the mean square; the dtype's epsilon by default.

    Returns
    -------
    ndarray or Tensor
        ``x / sqrt(mean(x**2) + eps) * weight``, of the shape of `x`.

    Raises
    ------
    ValueError
        If `normalized_shape` is not the end of ``x.shape``, or a shape does not fit.
    TypeError
        If an array is not float32 or float64, or the dtypes differ.

    Notes
    -----
    Zhang and Sennrich (2019).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.rms_norm(np.array([[-2.0, 2.0]]), 2, eps=0.0)
    array([[-1.,  1.]])
    """
    w = raw(weight)
    y, rstd, _ = _C.rms_norm_forward(raw(x), normalized_shape, w, eps)
    return record(
        y,
        (x, weight),
        lambda dy: _C.layer_norm_backward(
            raw(x), dy, normalized_shape, w, None, rstd, False
        )[:2],
    )


def add_layer_norm(x, residual, normalized_shape, weight=None, bias=None, eps=1e-5):
    """`layer_norm` of a sum in one pass: ``(layer_norm(x + residual), x + residual)``.

    Parameters
    ----------
    x, residual : ndarray or Tensor, shape (..., *normalized_shape)
        float32 or float64.
    normalized_shape, weight, bias, eps
        As for `layer_norm`.

    Returns
    -------
    y, total : ndarray or Tensor
        The normalized sum, and the sum, from which a transformer's next block goes on.

    Raises
    ------
    ValueError
        If `residual` has not the shape of `x`; and as for `layer_norm`.
    TypeError
        If an array is not float32 or float64, or the dtypes differ.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> y, total = dl.add_layer_norm(np.array([[1.0, 1.0]]), np.array([[0.0, 2.0]]), 2)
    >>> total
    array([[1., 3.]])
    """
    w, b = raw(weight), raw(bias)
    y, mean, rstd, added = _C.layer_norm_forward(
        raw(x), normalized_shape, w, b, eps, _second("add_layer_norm", residual)
    )
    total = record(added, (x, residual), _to_both)
    y = record(
        y,
        (total, weight, bias),
        lambda dy: _C.layer_norm_backward(
            added, dy, normalized_shape, w, mean, rstd, b is not None
        ),
    )
    return y, total


def add_rms_norm(x, residual, normalized_shape, weight=None, eps=None):
    """`rms_norm` of a sum in one pass: ``(rms_norm(x + residual), x + residual)``.

    Parameters
    ----------
    x, residual : ndarray or Tensor, shape (..., *normalized_shape)
        float32 or float64.
    normalized_shape, weight, eps
        As for `rms_norm`.

    Returns
    -------
    y, total : ndarray or Tensor
        The normalized sum, and the sum.

    Raises
    ------
    ValueError
        If `residual` has not the shape of `x`; and as for `rms_norm`.
    TypeError
        If an array is not float32 or float64, or the dtypes differ.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> y, total = dl.add_rms_norm(np.array([[1.0, 1.0]]), np.array([[0.0, 2.0]]), 2)
    >>> total
    array([[1., 3.]])
    """
    w = raw(weight)
    y, rstd, added = _C.rms_norm_forward(
        raw(x), normalized_shape, w, eps, _second("add_rms_norm", residual)
    )
    total = record(added, (x, residual), _to_both)
    y = record(
        y,
        (total, weight),
        lambda dy: _C.layer_norm_backward(
            added, dy, normalized_shape, w, None, rstd, False
        )[:2],
    )
    return y, total


def _to_both(dy):
    return dy, dy


def _second(op, residual):
    if residual is None:
        raise TypeError(f"{op}: residual must be an array, got NoneType")
    return raw(residual)


def batch_norm(
    x,
    running_mean,
    running_var,
    weight=None,
    bias=None,
    training=False,
    momentum=0.1,
    eps=1e-5,
    activation=None,
    residual=None,
):
    """Give each channel mean 0 and variance 1 over the batch, then scale and shift it.

    A residual and an activation may follow in the same pass: ``f(normalized x +
    residual)``.

    Parameters
    ----------
    x : ndarray or Tensor, shape (N, C, ...)
        float32 or float64.
    running_mean, running_var : ndarray or Tensor, shape (C,), or None
        In training updated in place: ``(1 - momentum) * running + momentum * new``,
        where the new variance is the unbiased one. Else taken for mean and variance.
    weight, bias : ndarray or Tensor, shape (C,), optional
        Scale and shift of each channel.
    training : bool, optional
        Whether to use the mean and the (biased) variance of the batch.
    momentum : float, optional
        Weight of the new in the running statistics.
    eps : float, optional
        Added to the variance.
    activation : str, optional
        f: "none", "relu" or "relu6". Default is none.
    residual : ndarray or Tensor, shape (N, C, ...), optional
        Added before the activation.

    Returns
    -------
    ndarray or Tensor
        ``f((x - mean) / sqrt(variance + eps) * weight + bias + residual)``, of the
        shape of `x`. A channel with NaN or inf gives NaN in training.

    Raises
    ------
    ValueError
        If a shape does not fit, a channel has fewer than 2 values in training, the
        running statistics are missing or cannot be written, or the activation is
        unknown.
    TypeError
        If an array is not float32 or float64, or the dtypes differ.

    Notes
    -----
    Ioffe and Szegedy (2015). A channel is read from memory once, forward and backward.
    For the activation's gradient backward keeps the result where there is a residual,
    and nothing without one: `x` tells the sign.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = np.array([[1.0, 5.0], [3.0, 5.0]])
    >>> mean, var = np.zeros(2), np.ones(2)
    >>> dl.batch_norm(x, mean, var, training=True, eps=1.0).round(3)
    array([[-0.707,  0.   ],
           [ 0.707,  0.   ]])
    >>> mean, var
    (array([0.2, 0.5]), array([1.1, 0.9]))
    """
    if not isinstance(training, bool):
        kind = type(training).__name__
        raise TypeError(f"batch_norm: training must be True or False, got {kind}")
    w, b, around = raw(weight), raw(bias), raw(residual)
    y, mean, rstd = _C.batch_norm_forward(
        raw(x),
        raw(running_mean),
        raw(running_var),
        w,
        b,
        training,
        momentum,
        eps,
        around,
        activation,
    )
    want_residual = isinstance(residual, Tensor) and residual.requires_grad
    kept = None if around is None else y
    return record(
        y,
        (x, weight, bias, shadow(residual)),
        lambda dy: _C.batch_norm_backward(
            raw(x), dy, w, b, mean, rstd, training, activation, kept, want_residual
        ),
    )


def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5):
    """Give each group of channels of each sample mean 0 and variance 1.

    Parameters
    ----------
    x : ndarray or Tensor, shape (N, C, ...)
        float32 or float64.
    num_groups : int
        Number of groups; divides C.
    weight, bias : ndarray or Tensor, shape (C,), optional
        Scale and shift of each channel.
    eps : float, optional
        Added to the variance.

    Returns
    -------
    ndarray or Tensor
        ``(x - mean) / sqrt(variance + eps) * weight + bias``, of the shape of `x`.

    Raises
    ------
    ValueError
        If `num_groups` does not divide the channels, or a shape does not fit.
    TypeError
        If an array is not float32 or float64, or the dtypes differ.

    Notes
    -----
    Wu and He (2018).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.group_norm(np.array([[1.0, 3.0, 10.0, 30.0]]), 2, eps=0.0)
    array([[-1.,  1., -1.,  1.]])
    """
    w, b = raw(weight), raw(bias)
    y, mean, rstd = _C.group_norm_forward(raw(x), num_groups, w, b, eps)
    return record(
        y,
        (x, weight, bias),
        lambda dy: _C.group_norm_backward(raw(x), dy, num_groups, w, b, mean, rstd)[:3],
    )
