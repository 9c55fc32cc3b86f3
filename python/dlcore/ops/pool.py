"""The largest and the smallest of windows, and the way back of max pooling.

Windows slide over one, two or three last axes; averages are in `pool_average`, windows
that part the input evenly in `pool_adaptive`.
"""

from .. import _C
from ..tensor import Tensor, raw, record
from .inputs import plain
from .shape import as_array, one_line, whole


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
        Only with `return_indices`: ``row * W + column``. The first of equal elements,
        row by row.

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
    return _extreme("max_pool2d", 2, x, window, False, return_indices)


def max_pool1d(
    x,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    return_indices=False,
):
    """As `max_pool2d` over one axis: `x` is (N, C, L) or (C, L), each size an int.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.max_pool1d(np.array([[1.0, 3.0, 2.0, 5.0]]), 2)
    array([[3., 5.]])
    """
    window = (kernel_size, stride, padding, dilation, ceil_mode)
    return _extreme("max_pool1d", 1, x, window, False, return_indices)


def max_pool3d(
    x,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    return_indices=False,
):
    """As `max_pool2d` over three axes: `x` is (N, C, D, H, W) or (C, D, H, W).

    Sizes are an int or three; an index is ``(depth * H + row) * W + column``.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.max_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), 2)
    array([[[[7.]]]])
    """
    window = (kernel_size, stride, padding, dilation, ceil_mode)
    return _extreme("max_pool3d", 3, x, window, False, return_indices)


def min_pool2d(
    x,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    return_indices=False,
):
    """Smallest element of each window: ``-max_pool2d(-x, ...)`` in one pass.

    Parameters, result, errors and gradient are those of `max_pool2d`, with ``inf`` as
    the padding.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.min_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    array([[[[ 0.,  2.],
             [ 8., 10.]]]])
    """
    window = (kernel_size, stride, padding, dilation, ceil_mode)
    return _extreme("min_pool2d", 2, x, window, True, return_indices)


def min_pool1d(
    x,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    return_indices=False,
):
    """As `min_pool2d` over one axis: `x` is (N, C, L) or (C, L), each size an int.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.min_pool1d(np.array([[1.0, 3.0, 2.0, 5.0]]), 2)
    array([[1., 2.]])
    """
    window = (kernel_size, stride, padding, dilation, ceil_mode)
    return _extreme("min_pool1d", 1, x, window, True, return_indices)


def min_pool3d(
    x,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    return_indices=False,
):
    """As `min_pool2d` over three axes: `x` is (N, C, D, H, W) or (C, D, H, W).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.min_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), 2)
    array([[[[0.]]]])
    """
    window = (kernel_size, stride, padding, dilation, ceil_mode)
    return _extreme("min_pool3d", 3, x, window, True, return_indices)


def _extreme(op, dims, x, window, lowest, return_indices):
    keep = isinstance(x, Tensor) and x.requires_grad
    y, taps, indices = _C.max_pool_forward(
        op, dims, raw(x), *window, lowest, keep, return_indices
    )
    y = record(
        y,
        (x,),
        lambda dy: (_C.max_pool_backward(op, dims, dy, taps, raw(x), *window),),
    )
    return (y, plain(indices, x)) if return_indices else y


def max_unpool2d(x, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Put each maximum back where it was found, zeros elsewhere.

    Parameters
    ----------
    x : ndarray or Tensor, shape (N, C, H, W) or (C, H, W)
        What `max_pool2d` returned; float32 or float64.
    indices : ndarray of int64, same shape
        What it returned with `return_indices`. Of equal indices the last one stays.
    kernel_size, stride, padding : int or pair of int
        As they were given to `max_pool2d`.
    output_size : tuple of int, optional
        The shape before pooling, or its last two axes, where more than one is possible;
        ``(H - 1) stride - 2 padding + kernel_size`` by default, and less than `stride`
        away from that.

    Returns
    -------
    ndarray or Tensor, shape (N, C, *output_size)

    Raises
    ------
    ValueError
        If `output_size` is out of range or the shapes differ.
    IndexError
        If an index lies outside of the result's plane.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> y, indices = dl.max_pool2d(
    ...     np.arange(16.0).reshape(1, 4, 4), 2, return_indices=True
    ... )
    >>> dl.max_unpool2d(y, indices, 2)[0, 1]
    array([0., 5., 0., 7.])
    """
    window = (kernel_size, stride, padding)
    return _unpool("max_unpool2d", 2, x, indices, window, output_size)


def max_unpool1d(x, indices, kernel_size, stride=None, padding=0, output_size=None):
    """As `max_unpool2d` over one axis: `x` is (N, C, L) or (C, L).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.max_unpool1d(np.array([[3.0, 5.0]]), np.array([[1, 3]]), 2)
    array([[0., 3., 0., 5.]])
    """
    window = (kernel_size, stride, padding)
    return _unpool("max_unpool1d", 1, x, indices, window, output_size)


def max_unpool3d(x, indices, kernel_size, stride=None, padding=0, output_size=None):
    """As `max_unpool2d` over three axes: `x` is (N, C, D, H, W) or (C, D, H, W).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x, index = np.array([[[[7.0]]]]), np.array([[[[6]]]])
    >>> dl.max_unpool3d(x, index, 2)[0, 1]
    array([[0., 0.],
           [7., 0.]])
    """
    window = (kernel_size, stride, padding)
    return _unpool("max_unpool3d", 3, x, indices, window, output_size)


def _unpool(op, dims, x, indices, window, output_size):
    shape = as_array(op, x).shape
    if len(shape) not in (dims + 1, dims + 2):
        raise ValueError(
            f"{op}: x must have {dims + 1} or {dims + 2} axes, got x.shape = {shape}"
        )
    kernel, stride, padding = window
    kernel = _each(op, "kernel_size", kernel, dims)
    stride = kernel if stride is None else _each(op, "stride", stride, dims)
    padding = _each(op, "padding", padding, dims)
    least = [
        (n - 1) * s - 2 * p + k
        for n, s, p, k in zip(shape[-dims:], stride, padding, kernel, strict=True)
    ]
    size = least if output_size is None else output_size
    if not isinstance(size, tuple | list) or len(size) not in (dims, dims + 2):
        raise ValueError(
            f"{op}: output_size must have {dims} or {dims + 2} lengths, "
            f"got {one_line(size)}"
        )
    size = [whole(op, "output_size", n) for n in size[-dims:]]
    for n, default, s in zip(size, least, stride, strict=True):
        if not default - s < n < default + s or n < 0:
            raise ValueError(
                f"{op}: output_size must be less than stride away from {tuple(least)}, "
                f"got {tuple(size)}"
            )
    y, kept = _C.max_unpool_forward(op, dims, raw(x), raw(indices), size)
    return record(
        y,
        (x,),
        lambda dy: (_C.max_unpool_backward(op, dims, dy, kept, raw(x), size),),
    )


def _each(op, name, value, dims):
    """One whole number to an axis, of one for all or of as many."""
    values = value if isinstance(value, tuple | list) else (value,) * dims
    if len(values) != dims:
        raise ValueError(
            f"{op}: {name} must be one or {dims} whole numbers, got {value}"
        )
    return [whole(op, name, n) for n in values]
