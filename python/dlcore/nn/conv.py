"""Convolutions as modules."""

import math

import numpy as np

from .. import init, ops
from .checks import at_least_one, one_of, several
from .module import Module, Parameter

_MODES = ("zeros", "reflect", "replicate", "circular")


class _Convolution(Module):
    """What convolutions of `dims` dimensions share, transposed ones too."""

    def __init__(self, dims, sizes, shape, channels, groups, bias, dtype):
        layer = type(self).__name__
        in_channels, out_channels = channels
        at_least_one(
            layer, in_channels=in_channels, out_channels=out_channels, groups=groups
        )
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{layer}: in_channels and out_channels must be divisible by groups, "
                f"got {in_channels}, {out_channels} and {groups}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        for name, (value, least) in sizes.items():
            setattr(self, name, several(layer, name, value, dims, least))
        self.groups = groups
        dtype = dtype or np.float32
        shape = (shape[0], shape[1] // groups, *self.kernel_size)
        self.weight = Parameter(np.empty(shape, dtype))
        self.bias = Parameter(np.empty(out_channels, dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self):
        """Draw the parameters anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(math.prod(self.weight.shape[1:]))
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self):
        dims = len(self.kernel_size)
        text = (
            f"{self.in_channels}, {self.out_channels}, "
            f"kernel_size={self.kernel_size}, stride={self.stride}"
        )
        defaults = {
            "padding": (0,) * dims,
            "dilation": (1,) * dims,
            "output_padding": (0,) * dims,
            "groups": 1,
        }
        for name, default in defaults.items():
            value = getattr(self, name, default)
            if value != default:
                text += f", {name}={value}"
        if self.bias is None:
            text += ", bias=False"
        if getattr(self, "padding_mode", "zeros") != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class _Conv(_Convolution):
    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        bias=True,
        padding_mode="zeros",
        dtype=None,
    ):
        layer = type(self).__name__
        one_of(layer, "padding_mode", padding_mode, _MODES)
        sizes = {
            "kernel_size": (kernel_size, 1),
            "stride": (stride, 1),
            "dilation": (dilation, 1),
        }
        if isinstance(padding, str):
            one_of(layer, "padding", padding, ("valid", "same"))
        elif _has_pairs(padding):
            padding = _ends(layer, padding, self._dims)
        else:
            sizes["padding"] = padding, 0
        channels = in_channels, out_channels
        super().__init__(
            self._dims, sizes, channels[::-1], channels, groups, bias, dtype
        )
        if "padding" not in sizes:
            self.padding = padding
        if padding == "same" and self.stride != (1,) * self._dims:
            raise ValueError(f"{layer}: padding='same' must have stride 1")
        self.padding_mode = padding_mode

    def forward(self, x):
        padding = self.padding
        if self.padding_mode != "zeros":
            x, padding = ops.pad(x, self._around(), mode=self.padding_mode), 0
        op = getattr(ops, f"conv{self._dims}d")
        window = self.stride, padding, self.dilation, self.groups
        return op(x, self.weight, self.bias, *window)

    def _around(self):
        """(before, after) of the last dimension, of the one before it, and so on."""
        padding = self.padding
        if padding == "valid":
            padding = (0,) * self._dims
        elif padding == "same":
            sizes = zip(self.kernel_size, self.dilation, strict=True)
            padding = [((k - 1) * d // 2, ((k - 1) * d + 1) // 2) for k, d in sizes]
        ends = [p if isinstance(p, tuple) else (p, p) for p in padding]
        return [n for pair in reversed(ends) for n in pair]


def _has_pairs(padding):
    parts = padding if isinstance(padding, (tuple, list)) else ()
    return any(isinstance(part, (tuple, list)) for part in parts)


def _ends(layer, padding, dims):
    """(before, after) of each dimension."""
    if len(padding) != dims:
        raise TypeError(
            f"{layer}: padding must be an integer or (before, after) for each of "
            f"{dims} dimensions, got {padding!r}"
        )
    return tuple(several(layer, "padding", ends, 2, 0) for ends in padding)


class Conv1d(_Conv):
    """Convolve sequences with learned filters.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of `x` and of `y`; both divisible by `groups`.
    kernel_size, stride, dilation : int
        Of the window.
    padding : int, ((before, after),), 'valid' or 'same'
        Elements added at each end.
    groups, bias, padding_mode, dtype
        As for `Conv2d`.

    Attributes
    ----------
    weight : Parameter, shape (out_channels, in_channels / groups, kernel_size)
        Uniform in ±1 / sqrt(in_channels / groups * kernel_size) at first.
    bias : Parameter, shape (out_channels,), or None
        The same.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.nn.Conv1d(16, 33, 3, stride=2)(np.zeros((20, 16, 50), "float32")).shape
    (20, 33, 24)
    """

    _dims = 1


class Conv2d(_Conv):
    """Convolve images with learned filters.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of `x` and of `y`; both divisible by `groups`.
    kernel_size, stride, dilation : int or pair of int
        (height, width).
    padding : int, pair of int or of (before, after), 'valid' or 'same'
        Rows and columns added at each side: ``((top, bottom), (left, right))``.
    groups : int, optional
        The channels are cut into so many groups that do not mix.
    bias : bool, optional
        Whether to add one to each output channel.
    padding_mode : {'zeros', 'reflect', 'replicate', 'circular'}
        What to pad with; other than zeros by `pad`.
    dtype : dtype, optional
        Of the parameters: float32 or float64.

    Attributes
    ----------
    weight : Parameter, shape (out_channels, in_channels / groups, height, width)
        Uniform in ±1 / sqrt(in_channels / groups * height * width) at first.
    bias : Parameter, shape (out_channels,), or None
        The same.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.nn.Conv2d(1, 6, 5, padding=2)(np.zeros((2, 1, 28, 28), "float32")).shape
    (2, 6, 28, 28)
    """

    _dims = 2


class Conv3d(_Conv):
    """Convolve volumes, films for example, with learned filters.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of `x` and of `y`; both divisible by `groups`.
    kernel_size, stride, dilation : int or three ints
        (depth, height, width).
    padding : int, three ints or pairs of them, 'valid' or 'same'
        Planes, rows and columns added at each side.
    groups, bias, padding_mode, dtype
        As for `Conv2d`.

    Attributes
    ----------
    weight : Parameter, shape (out_channels, in_channels / groups, depth, height, width)
        Uniform in ±1 / sqrt(in_channels / groups * depth * height * width) at first.
    bias : Parameter, shape (out_channels,), or None
        The same.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.nn.Conv3d(3, 8, 3, padding=1)(np.zeros((1, 3, 4, 9, 9), "float32")).shape
    (1, 8, 4, 9, 9)
    """

    _dims = 3


class SeparableConv2d(Module):
    """A filter for each channel, then a mixture of the channels in each pixel.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of `x` and of `y`.
    kernel_size, stride, padding, dilation : optional
        Of the filters, as for `Conv2d`.
    depth_multiplier : int, optional
        Filters for each channel.
    bias : bool, optional
        Whether the mixture adds one to each output channel.
    padding_mode, dtype
        As for `Conv2d`.

    Attributes
    ----------
    depthwise, pointwise : Conv2d
        The two parts; the first has no bias.

    Notes
    -----
    With C channels to K by a k x k window, ``C k k + C K`` multiplications a pixel
    where a `Conv2d` takes ``C K k k``.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.SeparableConv2d(8, 16, 3, padding=1)
    >>> layer(np.zeros((2, 8, 10, 10), "float32")).shape
    (2, 16, 10, 10)
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        depth_multiplier=1,
        bias=True,
        padding_mode="zeros",
        dtype=None,
    ):
        at_least_one("SeparableConv2d", depth_multiplier=depth_multiplier)
        between = in_channels * depth_multiplier
        self.depthwise = Conv2d(
            in_channels,
            between,
            kernel_size,
            stride,
            padding,
            dilation,
            in_channels,
            False,
            padding_mode,
            dtype,
        )
        self.pointwise = Conv2d(between, out_channels, 1, bias=bias, dtype=dtype)

    def forward(self, x):
        return self.pointwise(self.depthwise(x))
