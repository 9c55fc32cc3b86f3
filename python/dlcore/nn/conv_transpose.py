"""Transposed convolutions as modules."""

from .. import ops
from .checks import one_of, several
from .conv import _Convolution


class _ConvTranspose(_Convolution):
    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        output_padding=0,
        groups=1,
        bias=True,
        dilation=1,
        padding_mode="zeros",
        dtype=None,
    ):
        one_of(type(self).__name__, "padding_mode", padding_mode, ("zeros",))
        sizes = {
            "kernel_size": (kernel_size, 1),
            "stride": (stride, 1),
            "padding": (padding, 0),
            "output_padding": (output_padding, 0),
            "dilation": (dilation, 1),
        }
        channels = in_channels, out_channels
        super().__init__(self._dims, sizes, channels, channels, groups, bias, dtype)
        self.padding_mode = padding_mode

    def forward(self, x, output_size=None):
        """The result; `output_size` chooses among the sizes a stride allows."""
        more = self.output_padding
        if output_size is not None:
            more = self._more(x, output_size)
        op = getattr(ops, f"conv_transpose{self._dims}d")
        window = self.stride, self.padding, more, self.groups, self.dilation
        return op(x, self.weight, self.bias, *window)

    def _more(self, x, output_size):
        """The output_padding that gives `output_size`."""
        layer, dims = type(self).__name__, self._dims
        wanted = several(layer, "output_size", tuple(output_size)[-dims:], dims, 1)
        least = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(
                x.shape[-dims:],
                self.stride,
                self.padding,
                self.dilation,
                self.kernel_size,
                strict=True,
            )
        ]
        more = tuple(w - n for w, n in zip(wanted, least, strict=True))
        if any(not 0 <= m < s for m, s in zip(more, self.stride, strict=True)):
            most = [n + s - 1 for n, s in zip(least, self.stride, strict=True)]
            raise ValueError(
                f"{layer}: output_size must be from {tuple(least)} to {tuple(most)} "
                f"for x.shape = {x.shape}, got {wanted}"
            )
        return more


class ConvTranspose1d(_ConvTranspose):
    """Learned upsampling of sequences: a convolution's gradient as a layer.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of `x` and of `y`; both divisible by `groups`.
    kernel_size, stride, padding, output_padding, dilation : int
        As for `conv_transpose1d`.
    groups, bias, dtype
        As for `Conv2d`.

    Attributes
    ----------
    weight : Parameter, shape (in_channels, out_channels / groups, kernel_size)
        Uniform in ±1 / sqrt(out_channels / groups * kernel_size) at first.
    bias : Parameter, shape (out_channels,), or None
        The same.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.ConvTranspose1d(4, 2, 16, stride=8, padding=4)
    >>> layer(np.zeros((1, 4, 10), "float32")).shape
    (1, 2, 80)
    """

    _dims = 1


class ConvTranspose2d(_ConvTranspose):
    """Learned upsampling of images: a convolution's gradient as a layer.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of `x` and of `y`; both divisible by `groups`.
    kernel_size, stride, padding, output_padding, dilation : int or pair of int
        As for `conv_transpose2d`.
    groups, bias, dtype
        As for `Conv2d`.

    Attributes
    ----------
    weight : Parameter, shape (in_channels, out_channels / groups, height, width)
        Uniform in ±1 / sqrt(out_channels / groups * height * width) at first.
    bias : Parameter, shape (out_channels,), or None
        The same.

    Examples
    --------
    The size that a convolution with stride 2 had made smaller:

    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = np.zeros((1, 3, 12, 12), "float32")
    >>> y = dl.nn.Conv2d(3, 8, 3, stride=2, padding=1)(x)
    >>> layer = dl.nn.ConvTranspose2d(8, 3, 3, stride=2, padding=1)
    >>> y.shape, layer(y).shape, layer(y, output_size=x.shape).shape
    ((1, 8, 6, 6), (1, 3, 11, 11), (1, 3, 12, 12))
    """

    _dims = 2


class ConvTranspose3d(_ConvTranspose):
    """Learned upsampling of volumes: a convolution's gradient as a layer.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of `x` and of `y`; both divisible by `groups`.
    kernel_size, stride, padding, output_padding, dilation : int or three ints
        As for `conv_transpose3d`.
    groups, bias, dtype
        As for `Conv2d`.

    Attributes
    ----------
    weight : Parameter, shape (in_channels, out_channels / groups, depth, height, width)
        Uniform in ±1 / sqrt(out_channels / groups * depth * height * width) at first.
    bias : Parameter, shape (out_channels,), or None
        The same.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.ConvTranspose3d(8, 3, 2, stride=2)
    >>> layer(np.zeros((1, 8, 4, 5, 6), "float32")).shape
    (1, 3, 8, 10, 12)
    """

    _dims = 3
