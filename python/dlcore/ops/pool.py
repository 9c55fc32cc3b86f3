"""Pooling over windows of height and width, and over whole planes."""

from .. import _C
from ..tensor import Tensor, raw, record
from .shape import as_array, whole


def max_pool2d(
    x,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    return_indices=False,
):
    """Largest element of each window.

    Parameters
    ----------
    x : ndarray or Tensor, shape (N, C, H, W) or (C, H, W)
        float32 or float64.
    kernel_size : int or pair of int
        Height and width of the window.
    stride : int or pair of int, optional
        Step of the window; `kernel_size` by default.
    padding : int or pair of int, optional
        Elements of ``-inf`` around the input, at most half of `kernel_size`.
    dilation : int or pair of int, optional
        Distance between the elements of a window.
    ceil_mode : bool, optional
        Keep a last window that is only partly inside.
    return_indices : bool, optional
        Return also where each maximum lies in its plane, as PyTorch does.

    Returns
    -------
    ndarray or Tensor, shape (N, C, H_out, W_out)
        ``H_out = floor((H + 2 padding - dilation (kernel_size - 1) - 1) / stride)
        + 1``.
        A NaN in a window gives NaN.
    indices : ndarray of int64, same shape
        Only with `return_indices`. The first of equal elements, row by row.

    Raises
    ------
    ValueError
        If the window does not fit, or a size is out of range.
    TypeError
        If `x` is not an array of float32 or float64.

    Notes
    -----
    The gradient goes to the winner. One byte per output is kept for it, and only when a
    gradient is recorded.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """
    window = (kernel_size, stride, padding, dilation, ceil_mode)
    keep = isinstance(x, Tensor) and x.requires_grad
    y, taps, indices = _C.max_pool2d_forward(raw(x), *window, keep, return_indices)
    y = record(y, (x,), lambda dy: (_C.max_pool2d_backward(dy, taps, x.data, *window),))
    return (y, indices) if return_indices else y


def avg_pool2d(
    x,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    out=None,
):
    """Mean of each window.

    Parameters
    ----------
    x : ndarray or Tensor, shape (N, C, H, W) or (C, H, W)
        float32 or float64.
    kernel_size : int or pair of int
        Height and width of the window.
    stride : int or pair of int, optional
        Step of the window; `kernel_size` by default.
    padding : int or pair of int, optional
        Zeros around the input, at most half of `kernel_size`.
    ceil_mode : bool, optional
        Keep a last window that is only partly inside.
    count_include_pad : bool, optional
        Whether the zeros of the padding count as elements.
    out : ndarray, optional
        Where to put the result.

    Returns
    -------
    ndarray or Tensor, shape (N, C, H_out, W_out)
        ``H_out = floor((H + 2 padding - kernel_size) / stride) + 1``.

    Raises
    ------
    ValueError
        If the window does not fit, or a size is out of range.
    TypeError
        If `x` is not an array of float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """
    window = (kernel_size, stride, padding, ceil_mode, count_include_pad)
    y = _C.avg_pool2d_forward(raw(x, out), *window, out)
    return record(y, (x,), lambda dy: (_C.avg_pool2d_backward(dy, x.data, *window),))


def global_avg_pool2d(x, out=None):
    """Mean of each plane.

    Parameters
    ----------
    x : ndarray or Tensor, shape (N, C, H, W) or (C, H, W)
        float32 or float64.
    out : ndarray, optional
        Where to put the result.

    Returns
    -------
    ndarray or Tensor, shape (N, C, 1, 1)

    Raises
    ------
    ValueError
        If a plane is empty.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.global_avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[7.5]]]])
    """
    y = _C.global_avg_pool_forward(raw(x, out), out)
    return record(y, (x,), lambda dy: (_C.global_avg_pool_backward(dy, x.data),))


def global_max_pool2d(x):
    """Largest element of each plane; its first occurrence takes the gradient.

    Parameters
    ----------
    x : ndarray or Tensor, shape (N, C, H, W) or (C, H, W)
        float32 or float64.

    Returns
    -------
    ndarray or Tensor, shape (N, C, 1, 1)
        NaN where the plane has one.

    Raises
    ------
    ValueError
        If a plane is empty.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.global_max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[15.]]]])
    """
    keep = isinstance(x, Tensor) and x.requires_grad
    y, places = _C.global_max_pool_forward(raw(x), keep)
    return record(
        y, (x,), lambda dy: (_C.global_max_pool_backward(dy, places, x.data),)
    )


def adaptive_avg_pool2d(x, output_size):
    """Mean over windows that divide the plane into `output_size` parts.

    Parameters
    ----------
    x : ndarray or Tensor, shape (N, C, H, W) or (C, H, W)
        float32 or float64.
    output_size : int or pair of int
        Height and width of the result; each must divide the input's.

    Returns
    -------
    ndarray or Tensor, shape (N, C, *output_size)

    Raises
    ------
    ValueError
        If `output_size` does not divide height and width.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.adaptive_avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 1)
    array([[[[7.5]]]])
    """
    pair = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * 2
    if len(pair) != 2:
        raise ValueError(f"adaptive_avg_pool2d: output_size must be a pair, got {pair}")
    h, w = (whole("adaptive_avg_pool2d", "output_size", n) for n in pair)
    if (h, w) == (1, 1):
        return global_avg_pool2d(x)
    height, width = (1, 1, *as_array("adaptive_avg_pool2d", x).shape)[-2:]
    if h < 1 or w < 1 or height % h or width % w:
        raise ValueError(
            "adaptive_avg_pool2d: output_size must divide height and width, "
            f"got output_size = {(h, w)} for x.shape = {raw(x).shape}"
        )
    return avg_pool2d(x, (height // h, width // w))
