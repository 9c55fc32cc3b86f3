"""Convolution, and the windows it is made of as columns."""

from .. import _C
from ..tensor import Tensor, raw, record


def conv2d(
    x,
    weight,
    bias=None,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    activation=None,
    out=None,
):
    """Two-dimensional convolution (cross-correlation, as in every framework).

    Parameters
    ----------
    x : ndarray or Tensor, shape (N, C, H, W) or (C, H, W)
        float32 or float64.
    weight : ndarray or Tensor, shape (K, C / groups, kh, kw)
        Same dtype as `x`.
    bias : ndarray or Tensor, shape (K,), optional
        Added to each output channel.
    stride : int or pair of int, optional
        Step of the window.
    padding : int, pair of int, "valid" or "same", optional
        Zeros on each side. ``"same"`` keeps height and width, stride 1 only; an odd
        zero goes to the end.
    dilation : int or pair of int, optional
        Distance between the elements of a window.
    groups : int, optional
        Blocks of channels that do not see each other; C for a depthwise convolution.
    activation : {None, "relu", ...}, optional
        Name of an op of one argument applied to the result. ``"relu"`` costs nothing
        extra.
    out : ndarray, optional
        Where to put the result.

    Returns
    -------
    ndarray or Tensor, shape (N, K, H_out, W_out)
        ``H_out = floor((H + 2 padding - dilation (kh - 1) - 1) / stride) + 1``.

    Raises
    ------
    ValueError
        If shapes do not fit together, the window does not fit into the padded input,
        or a size is out of range.
    TypeError
        If an array is not float32 or float64, or dtypes differ.

    Notes
    -----
    ``y[n, k, i, j] = bias[k] + sum(weight[k, c, r, s] *
    x[n, c, i stride + r dilation - padding, j stride + s dilation - padding])``,
    computed as one matrix product over windows that are packed on the fly.

    Examples
    --------
    An edge in an image:

    >>> import numpy as np
    >>> import dlcore as dl
    >>> image = np.tile([10.0, 10, 10, 0, 0, 0], (6, 1))
    >>> kernel = np.tile([1.0, 0, -1], (3, 1))
    >>> dl.conv2d(image[None], kernel[None, None])[0, 0]
    array([ 0., 30., 30.,  0.])
    """
    window = (stride, padding, dilation, groups)
    relu = activation == "relu"
    if activation is not None and not relu:
        return _apply(activation, conv2d(x, weight, bias, *window), out)
    y = _C.conv2d_forward(
        raw(x, out), raw(weight, out), raw(bias, out), *window, relu, out
    )

    def backward(dy):
        if relu:
            dy = _C.relu_backward(y, dy)
        need = [isinstance(t, Tensor) and t.requires_grad for t in (x, weight, bias)]
        return _C.conv2d_backward(dy, raw(x), raw(weight), *need, *window)

    return record(y, (x, weight, bias), backward)


def _apply(activation, y, out):
    from .. import ops

    if activation not in ("leaky_relu", "gelu", "silu", "sigmoid", "tanh"):
        raise ValueError(
            "conv2d: activation must be None, 'relu', 'leaky_relu', 'gelu', 'silu', "
            f"'sigmoid' or 'tanh', got {activation!r}"
        )
    return getattr(ops, activation)(y, out=out)


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
