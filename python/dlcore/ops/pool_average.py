"""The mean and the Lp norm of windows over one, two or three last axes."""

import math
import numbers

from .. import _C
from ..tensor import raw, record
from .elementwise import abs
from .pool import max_pool1d, max_pool2d, max_pool3d, min_pool1d, min_pool2d, min_pool3d


def avg_pool2d(
    x,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
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
        Keep a last window that is only partly inside. What of it lies past the padding
        does not count.
    count_include_pad : bool, optional
        Whether the zeros of the padding count as elements.
    divisor_override : int, optional
        What the sums are divided by, in place of the number of elements.
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
    return _mean("avg_pool2d", 2, x, (*window, divisor_override), out)


def avg_pool1d(
    x,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    out=None,
):
    """As `avg_pool2d` over one axis: `x` is (N, C, L) or (C, L), each size an int.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.avg_pool1d(np.array([[1.0, 3.0, 2.0, 5.0]]), 2)
    array([[2. , 3.5]])
    """
    window = (kernel_size, stride, padding, ceil_mode, count_include_pad)
    return _mean("avg_pool1d", 1, x, (*window, None), out)


def avg_pool3d(
    x,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
    out=None,
):
    """As `avg_pool2d` over three axes: `x` is (N, C, D, H, W) or (C, D, H, W).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.avg_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), 2)
    array([[[[3.5]]]])
    """
    window = (kernel_size, stride, padding, ceil_mode, count_include_pad)
    return _mean("avg_pool3d", 3, x, (*window, divisor_override), out)


def _mean(op, dims, x, window, out):
    y = _C.avg_pool_forward(op, dims, raw(x, out), *window, out)
    return record(
        y, (x,), lambda dy: (_C.avg_pool_backward(op, dims, dy, raw(x), *window),)
    )


def lp_pool2d(x, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Lp norm of each window: ``sum(x ** p) ** (1 / p)``.

    Parameters
    ----------
    x : ndarray or Tensor, shape (N, C, H, W) or (C, H, W)
        float32 or float64.
    norm_type : float
        ``p``, more than 0: 1 is the sum, 2 the Euclidean norm; ``inf`` the largest
        absolute value and ``-inf`` the smallest.
    kernel_size : int or pair of int
        Height and width of the window.
    stride : int or pair of int, optional
        Step of the window; `kernel_size` by default.
    ceil_mode : bool, optional
        Keep a last window that is only partly inside.

    Returns
    -------
    ndarray or Tensor, shape (N, C, H_out, W_out)
        Powers keep the sign, as PyTorch's: an odd or a fractional `norm_type` is meant
        for ``x >= 0``. A window of `ceil_mode` that is partly outside has its mean
        times the size of a whole window in place of the sum.

    Raises
    ------
    ValueError
        If `norm_type` is not positive, or the window does not fit.
    TypeError
        If `x` is not an array of float32 or float64.

    Notes
    -----
    The gradient of a window whose norm is 0 is 0.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.lp_pool2d(np.array([[[3.0, 0.0], [0.0, 4.0]]]), 2, 2)
    array([[[5.]]])
    """
    return _norm("lp_pool2d", 2, x, norm_type, (kernel_size, stride, ceil_mode))


def lp_pool1d(x, norm_type, kernel_size, stride=None, ceil_mode=False):
    """As `lp_pool2d` over one axis: `x` is (N, C, L) or (C, L), each size an int.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.lp_pool1d(np.array([[3.0, 4.0, 0.0, 2.0]]), 2, 2)
    array([[5., 2.]])
    """
    return _norm("lp_pool1d", 1, x, norm_type, (kernel_size, stride, ceil_mode))


def lp_pool3d(x, norm_type, kernel_size, stride=None, ceil_mode=False):
    """As `lp_pool2d` over three axes: `x` is (N, C, D, H, W) or (C, D, H, W).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.lp_pool3d(np.full((1, 2, 2, 2), 2.0), 3, 2)
    array([[[[4.]]]])
    """
    return _norm("lp_pool3d", 3, x, norm_type, (kernel_size, stride, ceil_mode))


_LARGEST = (max_pool1d, max_pool2d, max_pool3d)
_SMALLEST = (min_pool1d, min_pool2d, min_pool3d)


def _norm(op, dims, x, norm_type, window):
    if isinstance(norm_type, numbers.Real) and math.isinf(norm_type):
        pool = (_LARGEST if norm_type > 0 else _SMALLEST)[dims - 1]
        return pool(abs(x), window[0], window[1], ceil_mode=window[2])
    window = (norm_type, *window)
    y = _C.lp_pool_forward(op, dims, raw(x), *window)
    return record(
        y, (x,), lambda dy: (_C.lp_pool_backward(op, dims, dy, y, raw(x), *window),)
    )
