"""Convolution as a module."""

import math

import numpy as np

from .. import init
from ..ops import conv2d
from .checks import at_least_one, one_of, pair
from .module import Module, Parameter


class Conv2d(Module):
    """Convolve images with learned filters.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of `x` and of `y`; both divisible by `groups`.
    kernel_size, stride, dilation : int or pair of int
        (height, width).
    padding : int, pair of int, 'valid' or 'same'
        Zeros at each side.
    groups : int, optional
        The channels are cut into so many groups that do not mix.
    bias : bool, optional
        Whether to add one to each output channel.
    padding_mode : {'zeros'}
        What to pad with.
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
        at_least_one(
            "Conv2d", in_channels=in_channels, out_channels=out_channels, groups=groups
        )
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                "Conv2d: in_channels and out_channels must be divisible by groups, "
                f"got {in_channels}, {out_channels} and {groups}"
            )
        one_of("Conv2d", "padding_mode", padding_mode, ("zeros",))
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = pair("Conv2d", "kernel_size", kernel_size, 1)
        self.stride = pair("Conv2d", "stride", stride, 1)
        if isinstance(padding, str):
            one_of("Conv2d", "padding", padding, ("valid", "same"))
            self.padding = padding
        else:
            self.padding = pair("Conv2d", "padding", padding, 0)
        if padding == "same" and self.stride != (1, 1):
            raise ValueError("Conv2d: padding='same' must have stride 1")
        self.dilation = pair("Conv2d", "dilation", dilation, 1)
        self.groups = groups
        self.padding_mode = padding_mode
        dtype = dtype or np.float32
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter(np.empty(shape, dtype))
        self.bias = Parameter(np.empty(out_channels, dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self):
        """Draw the parameters anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(math.prod(self.weight.shape[1:]))
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x):
        return conv2d(
            x,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
        )

    def extra_repr(self):
        text = (
            f"{self.in_channels}, {self.out_channels}, "
            f"kernel_size={self.kernel_size}, stride={self.stride}"
        )
        if self.padding != (0, 0):
            text += f", padding={self.padding}"
        if self.dilation != (1, 1):
            text += f", dilation={self.dilation}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        return text if self.bias is not None else text + ", bias=False"
