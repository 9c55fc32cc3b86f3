"""The windows of a convolution as columns, and back."""

from .. import _C
from ..tensor import raw, record


def im2col(x, kernel_size, dilation=1, padding=0, stride=1, out=None):
    """Every window of `x` as one column.

    Parameters
    ----------
    x : ndarray or Tensor, shape (N, C, H, W) or (C, H, W)
        float32 or float64.
    kernel_size : int or pair of int
        Height and width of the window.
    dilation, padding, stride : int or pair of int, optional
        As in `conv2d`.
    out : ndarray, optional
        Where to put the result.

    Returns
    -------
    ndarray or Tensor, shape (N, C * kh * kw, L)
        ``L = H_out * W_out`` windows, row by row.

    Raises
    ------
    ValueError
        If the window does not fit, or a size is out of range.

    See Also
    --------
    col2im : the adjoint.

    Notes
    -----
    PyTorch's ``unfold``, also available under that name.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.im2col(np.arange(6.0).reshape(1, 1, 2, 3), 2)
    array([[[0., 1.],
            [1., 2.],
            [3., 4.],
            [4., 5.]]])
    """
    window = (kernel_size, dilation, padding, stride)
    cols = _C.im2col(raw(x, out), *window, out)

    def backward(dcols):
        return (_C.col2im(dcols, raw(x).shape[-2:], *window),)

    return record(cols, (x,), backward)


def col2im(cols, output_size, kernel_size, dilation=1, padding=0, stride=1, out=None):
    """Columns back to their places, added up where windows overlap.

    Parameters
    ----------
    cols : ndarray or Tensor, shape (N, C * kh * kw, L) or (C * kh * kw, L)
        float32 or float64.
    output_size : int or pair of int
        Height and width of the result.
    kernel_size : int or pair of int
        Height and width of the window.
    dilation, padding, stride : int or pair of int, optional
        As in `conv2d`.
    out : ndarray, optional
        Where to put the result.

    Returns
    -------
    ndarray or Tensor, shape (N, C, *output_size)

    Raises
    ------
    ValueError
        If `cols` does not hold one column per window.

    See Also
    --------
    im2col : the adjoint.

    Notes
    -----
    PyTorch's ``fold``, also available under that name.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.col2im(np.ones((1, 4, 2)), (2, 3), 2)
    array([[[[1., 2., 1.],
             [1., 2., 1.]]]])
    """
    window = (kernel_size, dilation, padding, stride)
    x = _C.col2im(raw(cols, out), output_size, *window, out)
    return record(x, (cols,), lambda dx: (_C.im2col(dx, *window),))


unfold = im2col
fold = col2im
