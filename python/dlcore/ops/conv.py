"""Convolution."""

from .. import _C
from ..grad_mode import autocasts, is_autocast_enabled
from ..tensor import Tensor, raw, record
from .activation import gelu, leaky_relu, silu
from .gemm import _needs_gradient


def conv1d(
    x,
    weight,
    bias=None,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    activation=None,
    residual=None,
    negative_slope=0.01,
    out=None,
):
    """One-dimensional convolution: `conv2d` over a length.

    Parameters
    ----------
    x : ndarray or Tensor, shape (N, C, L) or (C, L)
        float32 or float64.
    weight : ndarray or Tensor, shape (K, C / groups, k)
        Same dtype as `x`.
    bias : ndarray or Tensor, shape (K,), optional
        Added to each output channel.
    stride : int, optional
        Step of the window.
    padding : int, pair of int, "valid" or "same", optional
        Zeros on each side; ``(before, after)`` where they differ, as for a causal
        convolution: ``((k - 1) * dilation, 0)``.
    dilation : int, optional
        Distance between the elements of a window.
    groups, activation, residual, negative_slope, out
        As in `conv2d`.

    Returns
    -------
    ndarray or Tensor, shape (N, K, L_out)
        ``L_out = floor((L + before + after - dilation (k - 1) - 1) / stride) + 1``.

    Raises
    ------
    ValueError
        If shapes do not fit together, the window does not fit into the padded input,
        or a size is out of range.
    TypeError
        If an array is not float32 or float64, or dtypes differ.

    Examples
    --------
    Differences, and as many as there are elements:

    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = np.array([[1.0, 4.0, 9.0, 16.0]])
    >>> dl.conv1d(x, np.array([[[-1.0, 1.0]]]))
    array([[3., 5., 7.]])
    >>> dl.conv1d(x, np.array([[[-1.0, 1.0]]]), padding=(1, 0))
    array([[1., 3., 5., 7.]])
    """
    window = (stride, padding, dilation, groups)
    finish = (activation, residual, negative_slope)
    return _convolve("conv1d", x, weight, bias, window, finish, out)


def conv2d(
    x,
    weight,
    bias=None,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    activation=None,
    residual=None,
    negative_slope=0.01,
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
        Zeros on each side; where they differ, ``((top, bottom), (left, right))``.
        ``"same"`` keeps height and width, stride 1 only; an odd zero goes to the end.
    dilation : int or pair of int, optional
        Distance between the elements of a window.
    groups : int, optional
        Blocks of channels that do not see each other; C for a depthwise convolution.
    activation : str, optional
        "none", "relu", "relu6", "leaky_relu", "gelu", "gelu_tanh", "silu", "sigmoid" or
        "tanh", applied last. Default is none.
    residual : ndarray or Tensor, shape (N, K, H_out, W_out), optional
        Added before the activation.
    negative_slope : float, optional
        Of leaky_relu.
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

    See Also
    --------
    conv1d, conv_transpose2d

    Notes
    -----
    ``y[n, k, i, j] = activation(residual[n, k, i, j] + bias[k] + sum(weight[k, c, r, s]
    * x[n, c, i stride + r dilation - padding, j stride + s dilation - padding]))``,
    computed without ever forming the windows' matrix; with a group to each channel
    (depthwise), plane by plane. A kernel of 3 x 3 may take Winograd's way, with another
    rounding: see `set_winograd`. Residual and activation are applied while the results
    are in cache; where a gradient is recorded and does not follow from the output
    (leaky_relu, gelu, gelu_tanh, silu), the activation is an op of its own.

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
    finish = (activation, residual, negative_slope)
    return _convolve("conv2d", x, weight, bias, window, finish, out)


def conv3d(
    x,
    weight,
    bias=None,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    activation=None,
    residual=None,
    negative_slope=0.01,
    out=None,
):
    """Three-dimensional convolution: `conv2d` with a depth.

    Parameters
    ----------
    x : ndarray or Tensor, shape (N, C, D, H, W) or (C, D, H, W)
        float32 or float64.
    weight : ndarray or Tensor, shape (K, C / groups, kd, kh, kw)
        Same dtype as `x`.
    bias : ndarray or Tensor, shape (K,), optional
        Added to each output channel.
    stride, dilation : int or three ints, optional
        As in `conv2d`.
    padding : int, three ints, "valid" or "same", optional
        Zeros on each side; where sides differ,
        ``((front, back), (top, bottom), (left, right))``.
    groups, activation, residual, negative_slope, out
        As in `conv2d`.

    Returns
    -------
    ndarray or Tensor, shape (N, K, D_out, H_out, W_out)
        Sizes as in `conv2d`.

    Raises
    ------
    ValueError
        If shapes do not fit together, the window does not fit into the padded input,
        or a size is out of range.
    TypeError
        If an array is not float32 or float64, or dtypes differ.

    See Also
    --------
    conv2d, conv_transpose3d

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> film = np.arange(8.0).reshape(1, 2, 2, 2)
    >>> dl.conv3d(film, np.array([-1.0, 1.0]).reshape(1, 1, 2, 1, 1))[0, 0]
    array([[4., 4.],
           [4., 4.]])
    """
    window = (stride, padding, dilation, groups)
    finish = (activation, residual, negative_slope)
    return _convolve("conv3d", x, weight, bias, window, finish, out)


def _convolve(op, x, weight, bias, window, finish, out):
    activation, residual, slope = finish
    parents = x, weight, bias, residual
    apart = _APART.get(activation) if isinstance(activation, str) else None
    if apart is not None and _needs_gradient(*parents):
        y = _convolve(op, x, weight, bias, window, (None, residual, slope), None)
        return apart(y, slope, out)
    # Looked up by name at each call: somebody may watch the kernels.
    forward = getattr(_C, op + "_forward")
    low = bool(autocasts) and is_autocast_enabled()
    y = forward(
        *(raw(t, out) for t in parents[:3]),
        *window,
        activation,
        raw(residual, out),
        slope,
        out,
        None,
        low,
    )

    def backward(dy):
        if activation in _BY_RESULT:
            dy = getattr(_C, activation + "_backward")(y, dy)
        need = [isinstance(t, Tensor) and t.requires_grad for t in parents]
        gradients = getattr(_C, op + "_backward")
        return *gradients(dy, raw(x), raw(weight), *need[:3], *window, low), dy

    return record(y, parents, backward)


_BY_RESULT = ("relu", "relu6", "sigmoid", "tanh")  # their gradient follows from it
_APART = {
    "leaky_relu": lambda y, slope, out: leaky_relu(y, slope, out),
    "gelu": lambda y, slope, out: gelu(y, out=out),
    "gelu_tanh": lambda y, slope, out: gelu(y, "tanh", out),
    "silu": lambda y, slope, out: silu(y, out),
}
