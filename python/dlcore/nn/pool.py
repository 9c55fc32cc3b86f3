"""Pooling as modules."""

from ..ops import adaptive_avg_pool2d, avg_pool2d, max_pool2d
from .checks import pair
from .module import Module


class AdaptiveAvgPool2d(Module):
    """The mean of each of ``output_size`` equal windows; 1 is the whole image.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.AdaptiveAvgPool2d(1)
    >>> layer(dl.Tensor(np.ones((1, 4, 4, 4), "float32"))).shape
    (1, 4, 1, 1)
    """

    def __init__(self, output_size):
        pair("AdaptiveAvgPool2d", "output_size", output_size, 1)
        self.output_size = output_size

    def forward(self, x):
        return adaptive_avg_pool2d(x, self.output_size)

    def extra_repr(self):
        return f"output_size={self.output_size}"


class MaxPool2d(Module):
    """The largest value of each window.

    Parameters
    ----------
    kernel_size, stride, padding, dilation : int or pair of int
        (height, width); `stride` is `kernel_size` unless given.
    return_indices : bool, optional
        Whether to return where each was found as well.
    ceil_mode : bool, optional
        Whether a window that hangs over the edge counts.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.MaxPool2d(2)
    >>> layer(dl.Tensor(np.ones((1, 4, 4, 4), "float32"))).shape
    (1, 4, 2, 2)
    """

    def __init__(
        self,
        kernel_size,
        stride=None,
        padding=0,
        dilation=1,
        return_indices=False,
        ceil_mode=False,
    ):
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode
        pair("MaxPool2d", "kernel_size", kernel_size, 1)
        pair("MaxPool2d", "stride", self.stride, 1)
        pair("MaxPool2d", "padding", padding, 0)
        pair("MaxPool2d", "dilation", dilation, 1)

    def forward(self, x):
        return max_pool2d(
            x,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )

    def extra_repr(self):
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


class AvgPool2d(Module):
    """The mean of each window.

    Parameters
    ----------
    kernel_size, stride, padding : int or pair of int
        (height, width); `stride` is `kernel_size` unless given.
    ceil_mode : bool, optional
        Whether a window that hangs over the edge counts.
    count_include_pad : bool, optional
        Whether the padding's zeros count in the mean.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.AvgPool2d(2)
    >>> layer(dl.Tensor(np.ones((1, 4, 4, 4), "float32"))).shape
    (1, 4, 2, 2)
    """

    def __init__(
        self,
        kernel_size,
        stride=None,
        padding=0,
        ceil_mode=False,
        count_include_pad=True,
    ):
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        pair("AvgPool2d", "kernel_size", kernel_size, 1)
        pair("AvgPool2d", "stride", self.stride, 1)
        pair("AvgPool2d", "padding", padding, 0)

    def forward(self, x):
        return avg_pool2d(
            x,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
        )

    def extra_repr(self):
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}"
        )
