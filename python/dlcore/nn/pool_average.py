"""Pooling that averages, as modules, under PyTorch's names."""

from .. import ops
from .checks import sizes
from .module import Module


class _Average(Module):
    _dims: int
    _op: str

    def __init__(
        self,
        kernel_size,
        stride=None,
        padding=0,
        ceil_mode=False,
        count_include_pad=True,
        divisor_override=None,
    ):
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override
        layer = type(self).__name__
        each = (
            sizes(layer, "kernel_size", kernel_size, 1, self._dims),
            sizes(layer, "stride", self.stride, 1, self._dims),
            sizes(layer, "padding", padding, 0, self._dims),
        )
        if self._dims == 1:  # as PyTorch keeps them
            self.kernel_size, self.stride, self.padding = each

    def forward(self, x):
        return getattr(ops, self._op)(
            x,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self):
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}"
        )


class AvgPool2d(_Average):
    """The mean of each window.

    Parameters
    ----------
    kernel_size, stride, padding : int or pair of int
        (height, width); `stride` is `kernel_size` unless given.
    ceil_mode : bool, optional
        Whether a window that hangs over the edge counts.
    count_include_pad : bool, optional
        Whether the padding's zeros count in the mean.
    divisor_override : int, optional
        What sums are divided by, in place of the number of elements.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.AvgPool2d(2)
    >>> layer(dl.Tensor(np.ones((1, 4, 4, 4), "float32"))).shape
    (1, 4, 2, 2)
    """

    _dims, _op = 2, "avg_pool2d"


class AvgPool1d(_Average):
    """As `AvgPool2d` over one axis, the length; sizes are ints.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.AvgPool1d(2)
    >>> layer(dl.Tensor(np.ones((1, 4, 8), "float32"))).shape
    (1, 4, 4)
    """

    _dims = 1

    def __init__(
        self,
        kernel_size,
        stride=None,
        padding=0,
        ceil_mode=False,
        count_include_pad=True,
    ):
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)

    def forward(self, x):
        return ops.avg_pool1d(
            x,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
        )


class AvgPool3d(_Average):
    """As `AvgPool2d` over depth, height and width.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.AvgPool3d(2)
    >>> layer(dl.Tensor(np.ones((1, 4, 4, 4, 4), "float32"))).shape
    (1, 4, 2, 2, 2)
    """

    _dims, _op = 3, "avg_pool3d"


class _Norm(Module):
    _dims: int
    _op: str

    def __init__(self, norm_type, kernel_size, stride=None, ceil_mode=False):
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode
        layer = type(self).__name__
        sizes(layer, "kernel_size", kernel_size, 1, self._dims)
        if stride is not None:
            sizes(layer, "stride", stride, 1, self._dims)

    def forward(self, x):
        return getattr(ops, self._op)(
            x, self.norm_type, self.kernel_size, self.stride, self.ceil_mode
        )

    def extra_repr(self):
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, ceil_mode={self.ceil_mode}"
        )


class LPPool2d(_Norm):
    """The Lp norm of each window.

    Parameters
    ----------
    norm_type : float
        p of ``sum(x ** p) ** (1 / p)``.
    kernel_size, stride : int or pair of int
        (height, width); `stride` is `kernel_size` unless given.
    ceil_mode : bool, optional
        Whether a window that hangs over the edge counts.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.LPPool2d(2, 2)
    >>> layer(dl.Tensor(np.ones((1, 4, 4, 4), "float32"))).shape
    (1, 4, 2, 2)
    """

    _dims, _op = 2, "lp_pool2d"


class LPPool1d(_Norm):
    """As `LPPool2d` over one axis, the length; sizes are ints.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.LPPool1d(2, 2)
    >>> layer(dl.Tensor(np.ones((1, 4, 8), "float32"))).shape
    (1, 4, 4)
    """

    _dims, _op = 1, "lp_pool1d"


class LPPool3d(_Norm):
    """As `LPPool2d` over depth, height and width.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.LPPool3d(2, 2)
    >>> layer(dl.Tensor(np.ones((1, 4, 4, 4, 4), "float32"))).shape
    (1, 4, 2, 2, 2)
    """

    _dims, _op = 3, "lp_pool3d"


class _AdaptiveAverage(Module):
    _dims: int
    _op: str

    def __init__(self, output_size):
        sizes(type(self).__name__, "output_size", output_size, 1, self._dims, True)
        self.output_size = output_size

    def forward(self, x):
        return getattr(ops, self._op)(x, self.output_size)

    def extra_repr(self):
        return f"output_size={self.output_size}"


class AdaptiveAvgPool2d(_AdaptiveAverage):
    """The mean of each of ``output_size`` windows that part the image; 1 is all of it.

    Parameters
    ----------
    output_size : int or pair of int or None
        (height, width); None keeps the input's.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.AdaptiveAvgPool2d(1)
    >>> layer(dl.Tensor(np.ones((1, 4, 4, 4), "float32"))).shape
    (1, 4, 1, 1)
    """

    _dims, _op = 2, "adaptive_avg_pool2d"


class AdaptiveAvgPool1d(_AdaptiveAverage):
    """As `AdaptiveAvgPool2d` over one axis, the length.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.AdaptiveAvgPool1d(4)
    >>> layer(dl.Tensor(np.ones((1, 4, 8), "float32"))).shape
    (1, 4, 4)
    """

    _dims, _op = 1, "adaptive_avg_pool1d"


class AdaptiveAvgPool3d(_AdaptiveAverage):
    """As `AdaptiveAvgPool2d` over depth, height and width.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.AdaptiveAvgPool3d(2)
    >>> layer(dl.Tensor(np.ones((1, 4, 4, 4, 4), "float32"))).shape
    (1, 4, 2, 2, 2)
    """

    _dims, _op = 3, "adaptive_avg_pool3d"
