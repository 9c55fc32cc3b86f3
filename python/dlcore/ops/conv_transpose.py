"""Transposed convolution."""

from .. import _C
from ..tensor import Tensor, raw, record


def conv_transpose1d(
    x,
    weight,
    bias=None,
    stride=1,
    padding=0,
    output_padding=0,
    groups=1,
    dilation=1,
    out=None,
):
    """One-dimensional transposed convolution: `conv_transpose2d` over a length.

    Parameters
    ----------
    x : ndarray or Tensor, shape (N, C, L) or (C, L)
        float32 or float64.
    weight : ndarray or Tensor, shape (C, K / groups, k)
        Same dtype as `x`.
    bias : ndarray or Tensor, shape (K,), optional
        Added to each output channel.
    stride, output_padding, dilation : int, optional
        As in `conv_transpose2d`.
    padding : int or pair of int, optional
        How much of each end of the result is left out; ``(before, after)`` where they
        differ.
    groups, out
        As in `conv_transpose2d`.

    Returns
    -------
    ndarray or Tensor, shape (N, K, L_out)
        ``L_out = (L - 1) stride - before - after + dilation (k - 1) +
        output_padding + 1``.

    Raises
    ------
    ValueError
        If shapes do not fit together, nothing is left of the result, or a size is out
        of range.
    TypeError
        If an array is not float32 or float64, or dtypes differ.

    Examples
    --------
    Each element twice:

    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.conv_transpose1d(np.array([[1.0, 2, 3]]), np.ones((1, 1, 2)), stride=2)
    array([[1., 1., 2., 2., 3., 3.]])
    """
    window = (stride, padding, output_padding, dilation, groups)
    return _convolve("conv_transpose1d", x, weight, bias, window, out)


def conv_transpose2d(
    x,
    weight,
    bias=None,
    stride=1,
    padding=0,
    output_padding=0,
    groups=1,
    dilation=1,
    out=None,
):
    """Two-dimensional transposed convolution.

    The gradient of `conv2d` with respect to its input, as an op of its own: each
    element of `x` adds a whole window to the result (also called deconvolution).

    Parameters
    ----------
    x : ndarray or Tensor, shape (N, C, H, W) or (C, H, W)
        float32 or float64.
    weight : ndarray or Tensor, shape (C, K / groups, kh, kw)
        Same dtype as `x`.
    bias : ndarray or Tensor, shape (K,), optional
        Added to each output channel.
    stride : int or pair of int, optional
        Step of the window in the result.
    padding : int or pair of int, optional
        How much of each side of the result is left out; where sides differ,
        ``((top, bottom), (left, right))``.
    output_padding : int or pair of int, optional
        Rows and columns more at the end of the result: which of the sizes that a
        convolution with a stride takes to that of `x` it has.
    groups : int, optional
        Blocks of channels that do not see each other.
    dilation : int or pair of int, optional
        Distance between the elements of a window.
    out : ndarray, optional
        Where to put the result.

    Returns
    -------
    ndarray or Tensor, shape (N, K, H_out, W_out)
        ``H_out = (H - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1``.

    Raises
    ------
    ValueError
        If shapes do not fit together, nothing is left of the result, `output_padding`
        is neither less than `stride` nor than `dilation`, or a size is out of range.
    TypeError
        If an array is not float32 or float64, or dtypes differ.

    See Also
    --------
    conv2d : the adjoint.

    Notes
    -----
    ``y[n, k, i, j] = bias[k] + sum(weight[c, k, r, s] * x[n, c, h, w])`` over all with
    ``h stride + r dilation - padding = i`` and ``w stride + s dilation - padding = j``,
    computed phase by phase of the stride, so that nothing is multiplied with zeros.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = np.array([[[1.0, 2], [3, 4]]])
    >>> dl.conv_transpose2d(x, np.ones((1, 1, 2, 2)), stride=2)[0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.],
           [3., 3., 4., 4.],
           [3., 3., 4., 4.]])
    """
    window = (stride, padding, output_padding, dilation, groups)
    return _convolve("conv_transpose2d", x, weight, bias, window, out)


def conv_transpose3d(
    x,
    weight,
    bias=None,
    stride=1,
    padding=0,
    output_padding=0,
    groups=1,
    dilation=1,
    out=None,
):
    """Three-dimensional transposed convolution: `conv_transpose2d` with a depth.

    Parameters
    ----------
    x : ndarray or Tensor, shape (N, C, D, H, W) or (C, D, H, W)
        float32 or float64.
    weight : ndarray or Tensor, shape (C, K / groups, kd, kh, kw)
        Same dtype as `x`.
    bias : ndarray or Tensor, shape (K,), optional
        Added to each output channel.
    stride, output_padding, dilation : int or three ints, optional
        As in `conv_transpose2d`.
    padding : int or three ints, optional
        How much of each side of the result is left out; where sides differ,
        ``((front, back), (top, bottom), (left, right))``.
    groups, out
        As in `conv_transpose2d`.

    Returns
    -------
    ndarray or Tensor, shape (N, K, D_out, H_out, W_out)
        Sizes as in `conv_transpose2d`.

    Raises
    ------
    ValueError
        If shapes do not fit together, nothing is left of the result, `output_padding`
        is neither less than `stride` nor than `dilation`, or a size is out of range.
    TypeError
        If an array is not float32 or float64, or dtypes differ.

    See Also
    --------
    conv3d : the adjoint.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = np.ones((1, 8, 4, 6, 6), "float32")
    >>> weight = np.ones((8, 3, 2, 2, 2), "float32")
    >>> dl.conv_transpose3d(x, weight, stride=2).shape
    (1, 3, 8, 12, 12)
    """
    window = (stride, padding, output_padding, dilation, groups)
    return _convolve("conv_transpose3d", x, weight, bias, window, out)


def _convolve(op, x, weight, bias, window, out):
    # Looked up by name at each call: somebody may watch the kernels.
    forward = getattr(_C, op + "_forward")
    y = forward(raw(x, out), raw(weight, out), raw(bias, out), *window, out)

    def backward(dy):
        need = [isinstance(t, Tensor) and t.requires_grad for t in (x, weight, bias)]
        return getattr(_C, op + "_backward")(dy, raw(x), raw(weight), *need, *window)

    return record(y, (x, weight, bias), backward)
