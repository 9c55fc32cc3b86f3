"""Normalization of each channel of each sample, and of neighbouring channels."""

from .. import _C
from ..tensor import raw, record


def instance_norm(
    x,
    running_mean=None,
    running_var=None,
    weight=None,
    bias=None,
    use_input_stats=True,
    momentum=0.1,
    eps=1e-5,
):
    """Give each channel of each sample mean 0 and variance 1.

    Parameters
    ----------
    x : ndarray or Tensor, shape (N, C, L, ...)
        float32 or float64.
    running_mean, running_var : ndarray or Tensor, shape (C,), optional
        Updated in place as by `batch_norm`, with the mean over the samples; or taken
        for mean and variance when `use_input_stats` is False.
    weight, bias : ndarray or Tensor, shape (C,), optional
        Scale and shift of each channel.
    use_input_stats : bool, optional
        Whether to use the mean and the variance of `x`.
    momentum : float, optional
        Weight of the new in the running statistics.
    eps : float, optional
        Added to the variance.

    Returns
    -------
    ndarray or Tensor
        ``(x - mean) / sqrt(variance + eps) * weight + bias``, of the shape of `x`.

    Raises
    ------
    ValueError
        If a shape does not fit, a channel of a sample has fewer than 2 values, or the
        running statistics are missing or cannot be written.
    TypeError
        If an array is not float32 or float64, or the dtypes differ.

    Notes
    -----
    Ulyanov, Vedaldi and Lempitsky (2016).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.instance_norm(np.array([[[1.0, 3.0], [10.0, 30.0]]]), eps=0.0)
    array([[[-1.,  1.],
            [-1.,  1.]]])
    """
    w, b = raw(weight), raw(bias)
    running = raw(running_mean), raw(running_var)
    y, mean, rstd = _C.instance_norm_forward(
        raw(x), *running, w, b, use_input_stats, momentum, eps
    )

    def backward(dy):
        data, given = raw(x), (w, b, mean, rstd)
        if not use_input_stats:
            end = False, None, None, False
            return _C.batch_norm_backward(data, dy, *given, *end)[:3]
        groups = max(1, data.shape[1])
        return _C.group_norm_backward(data, dy, groups, *given)[:3]

    return record(y, (x, weight, bias), backward)


def local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0, out=None):
    """Divide each element by a power of the mean square of the channels around it.

    Parameters
    ----------
    x : ndarray or Tensor, shape (N, C, L, ...)
        float32 or float64.
    size : int
        Number of channels around each: ``size // 2`` before it, the rest after it.
    alpha, beta, k : float, optional
        Of the formula.
    out : ndarray, optional
        Where to put the result (arrays only).

    Returns
    -------
    ndarray or Tensor
        ``x / (k + alpha * sum / size) ** beta``, of the shape of `x`, with the sum of
        the squares of the `size` channels; channels beyond the ends count as 0.

    Raises
    ------
    ValueError
        If `x` has fewer than 3 axes or `size` is not positive.
    TypeError
        If `x` is not an array of float32 or float64.

    Notes
    -----
    Krizhevsky, Sutskever and Hinton (2012), whose `alpha` is not divided by `size`.
    Backward keeps `x` only.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.local_response_norm(np.full((1, 2, 1), 3.0), 2, alpha=1.0, beta=1.0, k=0.5)
    array([[[0.6       ],
            [0.31578947]]])
    """
    y = _C.local_norm_forward(raw(x, out), size, alpha, beta, k, out)
    return record(
        y,
        (x,),
        lambda dy: (_C.local_norm_backward(raw(x), dy, size, alpha, beta, k),),
    )
