"""Windows that part the last one, two or three axes evenly; all of them as one."""

from .. import _C
from ..tensor import Tensor, raw, record
from .inputs import plain


def adaptive_avg_pool2d(x, output_size):
    """Mean over windows that part the plane into `output_size` pieces.

    Parameters
    ----------
    x : ndarray or Tensor, shape (N, C, H, W) or (C, H, W)
        float32 or float64.
    output_size : int or pair of int or None
        Height and width of the result; None keeps that of the input.

    Returns
    -------
    ndarray or Tensor, shape (N, C, *output_size)
        Window ``i`` covers the rows from ``floor(i H / H_out)`` up to
        ``ceil((i + 1) H / H_out)``; neighbours overlap where `output_size` does not
        divide.

    Raises
    ------
    ValueError
        If `output_size` is less than 1, or `x` is empty.
    TypeError
        If `x` is not an array of float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.adaptive_avg_pool2d(np.arange(9.0).reshape(1, 3, 3), 2)
    array([[[2., 3.],
            [5., 6.]]])
    """
    return _mean("adaptive_avg_pool2d", 2, x, output_size)


def adaptive_avg_pool1d(x, output_size):
    """As `adaptive_avg_pool2d` over one axis: `x` is (N, C, L) or (C, L).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.adaptive_avg_pool1d(np.array([[1.0, 3.0, 5.0]]), 2)
    array([[2., 4.]])
    """
    return _mean("adaptive_avg_pool1d", 1, x, output_size)


def adaptive_avg_pool3d(x, output_size):
    """As `adaptive_avg_pool2d` over three axes: `x` is (N, C, D, H, W) or (C, D, H, W).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.adaptive_avg_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), (1, 2, 1))
    array([[[[2.5],
             [4.5]]]])
    """
    return _mean("adaptive_avg_pool3d", 3, x, output_size)


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
    return _mean("global_avg_pool2d", 2, x, 1, out)


def global_avg_pool1d(x, out=None):
    """As `global_avg_pool2d` over one axis: `x` is (N, C, L) or (C, L).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.global_avg_pool1d(np.array([[1.0, 2.0, 6.0]]))
    array([[3.]])
    """
    return _mean("global_avg_pool1d", 1, x, 1, out)


def global_avg_pool3d(x, out=None):
    """As `global_avg_pool2d` over three axes: `x` is (N, C, D, H, W) or (C, D, H, W).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.global_avg_pool3d(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[[[3.5]]]])
    """
    return _mean("global_avg_pool3d", 3, x, 1, out)


def _mean(op, dims, x, size, out=None):
    y = _C.adaptive_avg_pool_forward(op, dims, raw(x, out), size, out)
    return record(
        y,
        (x,),
        lambda dy: (_C.adaptive_avg_pool_backward(op, dims, dy, raw(x), size),),
    )


def adaptive_max_pool2d(x, output_size, return_indices=False):
    """Largest element of windows that part the plane into `output_size` pieces.

    Parameters
    ----------
    x : ndarray or Tensor, shape (N, C, H, W) or (C, H, W)
        float32 or float64.
    output_size : int or pair of int or None
        Height and width of the result; None keeps that of the input.
    return_indices : bool, optional
        Return also where each maximum lies in its plane.

    Returns
    -------
    ndarray or Tensor, shape (N, C, *output_size)
        Of the windows of `adaptive_avg_pool2d`. A NaN in a window gives NaN.
    indices : ndarray of int64, same shape
        Only with `return_indices`: ``row * W + column``, the first of equal elements.

    Raises
    ------
    ValueError
        If `output_size` is less than 1, or `x` is empty.
    TypeError
        If `x` is not an array of float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.adaptive_max_pool2d(np.arange(9.0).reshape(1, 3, 3), 2)
    array([[[4., 5.],
            [7., 8.]]])
    """
    return _largest("adaptive_max_pool2d", 2, x, output_size, return_indices)


def adaptive_max_pool1d(x, output_size, return_indices=False):
    """As `adaptive_max_pool2d` over one axis: `x` is (N, C, L) or (C, L).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.adaptive_max_pool1d(np.array([[1.0, 3.0, 2.0]]), 2)
    array([[3., 3.]])
    """
    return _largest("adaptive_max_pool1d", 1, x, output_size, return_indices)


def adaptive_max_pool3d(x, output_size, return_indices=False):
    """As `adaptive_max_pool2d` over three axes: `x` is (N, C, D, H, W) or (C, D, H, W).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.adaptive_max_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), (1, 2, 1))
    array([[[[5.],
             [7.]]]])
    """
    return _largest("adaptive_max_pool3d", 3, x, output_size, return_indices)


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
    return _largest("global_max_pool2d", 2, x, 1, False)


def global_max_pool1d(x):
    """As `global_max_pool2d` over one axis: `x` is (N, C, L) or (C, L).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.global_max_pool1d(np.array([[1.0, 3.0, 2.0]]))
    array([[3.]])
    """
    return _largest("global_max_pool1d", 1, x, 1, False)


def global_max_pool3d(x):
    """As `global_max_pool2d` over three axes: `x` is (N, C, D, H, W) or (C, D, H, W).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.global_max_pool3d(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[[[7.]]]])
    """
    return _largest("global_max_pool3d", 3, x, 1, False)


def _largest(op, dims, x, size, return_indices):
    keep = isinstance(x, Tensor) and x.requires_grad
    y, taps, indices = _C.adaptive_max_pool_forward(
        op, dims, raw(x), size, keep, return_indices
    )
    y = record(
        y,
        (x,),
        lambda dy: (_C.adaptive_max_pool_backward(op, dims, dy, taps, raw(x), size),),
    )
    return (y, plain(indices, x)) if return_indices else y
