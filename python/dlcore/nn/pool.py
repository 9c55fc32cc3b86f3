"""Pooling as modules, under PyTorch's names; averages are in `pool_average`."""

from .. import ops
from .checks import sizes
from .module import Module


class _Extreme(Module):
    """`_op` over windows; its arguments are kept."""

    _dims: int
    _op: str

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
        layer = type(self).__name__
        sizes(layer, "kernel_size", kernel_size, 1, self._dims)
        sizes(layer, "stride", self.stride, 1, self._dims)
        sizes(layer, "padding", padding, 0, self._dims)
        sizes(layer, "dilation", dilation, 1, self._dims)

    def forward(self, x):
        return getattr(ops, self._op)(
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


class MaxPool2d(_Extreme):
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

    _dims, _op = 2, "max_pool2d"


class MaxPool1d(_Extreme):
    """As `MaxPool2d` over one axis, the length; sizes are ints.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.MaxPool1d(2)
    >>> layer(dl.Tensor(np.ones((1, 4, 8), "float32"))).shape
    (1, 4, 4)
    """

    _dims, _op = 1, "max_pool1d"


class MaxPool3d(_Extreme):
    """As `MaxPool2d` over depth, height and width.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.MaxPool3d(2)
    >>> layer(dl.Tensor(np.ones((1, 4, 4, 4, 4), "float32"))).shape
    (1, 4, 2, 2, 2)
    """

    _dims, _op = 3, "max_pool3d"


class MinPool2d(_Extreme):
    """The smallest value of each window; parameters as of `MaxPool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.MinPool2d(2)
    >>> layer(dl.Tensor(np.ones((1, 4, 4, 4), "float32"))).shape
    (1, 4, 2, 2)
    """

    _dims, _op = 2, "min_pool2d"


class MinPool1d(_Extreme):
    """As `MinPool2d` over one axis, the length; sizes are ints.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.MinPool1d(2)
    >>> layer(dl.Tensor(np.ones((1, 4, 8), "float32"))).shape
    (1, 4, 4)
    """

    _dims, _op = 1, "min_pool1d"


class MinPool3d(_Extreme):
    """As `MinPool2d` over depth, height and width.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.MinPool3d(2)
    >>> layer(dl.Tensor(np.ones((1, 4, 4, 4, 4), "float32"))).shape
    (1, 4, 2, 2, 2)
    """

    _dims, _op = 3, "min_pool3d"


class _Unpool(Module):
    _dims: int
    _op: str

    def __init__(self, kernel_size, stride=None, padding=0):
        layer, dims = type(self).__name__, self._dims
        stride = kernel_size if stride is None else stride
        self.kernel_size = sizes(layer, "kernel_size", kernel_size, 1, dims)
        self.stride = sizes(layer, "stride", stride, 1, dims)
        self.padding = sizes(layer, "padding", padding, 0, dims)

    def forward(self, x, indices, output_size=None):
        return getattr(ops, self._op)(
            x, indices, self.kernel_size, self.stride, self.padding, output_size
        )

    def extra_repr(self):
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}"
        )


class MaxUnpool2d(_Unpool):
    """Puts what `MaxPool2d` found back into its place, zeros elsewhere.

    Parameters
    ----------
    kernel_size, stride, padding : int or pair of int
        Those of the pooling; `stride` is `kernel_size` unless given.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = dl.Tensor(np.ones((1, 4, 4, 4), "float32"))
    >>> y, indices = dl.nn.MaxPool2d(2, return_indices=True)(x)
    >>> dl.nn.MaxUnpool2d(2)(y, indices).shape
    (1, 4, 4, 4)
    """

    _dims, _op = 2, "max_unpool2d"


class MaxUnpool1d(_Unpool):
    """As `MaxUnpool2d` over one axis, the length; sizes are ints.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = dl.Tensor(np.ones((1, 4, 8), "float32"))
    >>> y, indices = dl.nn.MaxPool1d(2, return_indices=True)(x)
    >>> dl.nn.MaxUnpool1d(2)(y, indices).shape
    (1, 4, 8)
    """

    _dims, _op = 1, "max_unpool1d"


class MaxUnpool3d(_Unpool):
    """As `MaxUnpool2d` over depth, height and width.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = dl.Tensor(np.ones((1, 4, 4, 4, 4), "float32"))
    >>> y, indices = dl.nn.MaxPool3d(2, return_indices=True)(x)
    >>> dl.nn.MaxUnpool3d(2)(y, indices).shape
    (1, 4, 4, 4, 4)
    """

    _dims, _op = 3, "max_unpool3d"


class _AdaptiveLargest(Module):
    _dims: int
    _op: str

    def __init__(self, output_size, return_indices=False):
        sizes(type(self).__name__, "output_size", output_size, 1, self._dims, True)
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, x):
        return getattr(ops, self._op)(x, self.output_size, self.return_indices)

    def extra_repr(self):
        return f"output_size={self.output_size}"


class AdaptiveMaxPool2d(_AdaptiveLargest):
    """The largest value of each of ``output_size`` windows that part the image.

    Parameters
    ----------
    output_size : int or pair of int or None
        (height, width); None keeps the input's.
    return_indices : bool, optional
        Whether to return where each was found as well.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.AdaptiveMaxPool2d(2)
    >>> layer(dl.Tensor(np.ones((1, 4, 4, 4), "float32"))).shape
    (1, 4, 2, 2)
    """

    _dims, _op = 2, "adaptive_max_pool2d"


class AdaptiveMaxPool1d(_AdaptiveLargest):
    """As `AdaptiveMaxPool2d` over one axis, the length.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.AdaptiveMaxPool1d(4)
    >>> layer(dl.Tensor(np.ones((1, 4, 8), "float32"))).shape
    (1, 4, 4)
    """

    _dims, _op = 1, "adaptive_max_pool1d"


class AdaptiveMaxPool3d(_AdaptiveLargest):
    """As `AdaptiveMaxPool2d` over depth, height and width.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.AdaptiveMaxPool3d(2)
    >>> layer(dl.Tensor(np.ones((1, 4, 4, 4, 4), "float32"))).shape
    (1, 4, 2, 2, 2)
    """

    _dims, _op = 3, "adaptive_max_pool3d"
