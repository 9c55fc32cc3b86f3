"""Resizing, and pixels and windows moved into channels and back, as modules."""

from ..ops import (
    channel_shuffle,
    fold,
    interpolate,
    pixel_shuffle,
    pixel_unshuffle,
    unfold,
)
from .checks import at_least_one, one_of, pair
from .module import Module

_MODES = "nearest nearest-exact linear bilinear bicubic trilinear area".split()


class Upsample(Module):
    """Resize the axes after the channels: `dlcore.interpolate`.

    Parameters
    ----------
    size : int or tuple of int, optional
        Of the result.
    scale_factor : float or tuple of float, optional
        In place of `size`: by how much it grows.
    mode : str, optional
        ``nearest``, ``linear``, ``bilinear``, ``bicubic``, ``trilinear``.
    align_corners, recompute_scale_factor : bool, optional
        As for `dlcore.interpolate`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.Upsample(scale_factor=2, mode="bilinear")
    >>> layer(dl.Tensor(np.ones((1, 4, 4, 5), "float32"))).shape
    (1, 4, 8, 10)
    """

    def __init__(
        self,
        size=None,
        scale_factor=None,
        mode="nearest",
        align_corners=None,
        recompute_scale_factor=None,
    ):
        name = type(self).__name__
        one_of(name, "mode", mode, _MODES)
        if size is None and scale_factor is None:
            raise ValueError(f"{name}: size or scale_factor must be given")
        if size is not None and scale_factor is not None:
            raise ValueError(f"{name}: size and scale_factor must not both be given")
        self.size = size
        if isinstance(scale_factor, (tuple, list)):
            self.scale_factor = tuple(float(factor) for factor in scale_factor)
        else:
            self.scale_factor = None if scale_factor is None else float(scale_factor)
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, x):
        return interpolate(
            x,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
        )

    def extra_repr(self):
        size = (
            f"size={self.size!r}"
            if self.scale_factor is None
            else f"scale_factor={self.scale_factor!r}"
        )
        return f"{size}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Larger pictures, each pixel repeated.

    Parameters
    ----------
    size : int or pair of int, optional
        Height and width of the result.
    scale_factor : float or pair of float, optional
        In place of `size`: by how much they grow.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.UpsamplingNearest2d(scale_factor=2)
    >>> layer(dl.Tensor(np.ones((1, 4, 4, 5), "float32"))).shape
    (1, 4, 8, 10)
    """

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(Upsample):
    """Larger pictures, interpolated; the end pixels stay at the ends.

    Parameters
    ----------
    size : int or pair of int, optional
        Height and width of the result.
    scale_factor : float or pair of float, optional
        In place of `size`: by how much they grow.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.UpsamplingBilinear2d(size=(8, 10))
    >>> layer(dl.Tensor(np.ones((1, 4, 4, 5), "float32"))).shape
    (1, 4, 8, 10)
    """

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, "bilinear", align_corners=True)


class PixelShuffle(Module):
    """Channels become pixels.

    Parameters
    ----------
    upscale_factor : int
        How many times as high and wide; its square must divide the channels.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.nn.PixelShuffle(2)(dl.Tensor(np.ones((1, 8, 4, 5), "float32"))).shape
    (1, 2, 8, 10)
    """

    def __init__(self, upscale_factor):
        at_least_one("PixelShuffle", upscale_factor=upscale_factor)
        self.upscale_factor = upscale_factor

    def forward(self, x):
        return pixel_shuffle(x, self.upscale_factor)

    def extra_repr(self):
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Pixels become channels.

    Parameters
    ----------
    downscale_factor : int
        It must divide height and width.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.nn.PixelUnshuffle(2)(dl.Tensor(np.ones((1, 2, 8, 10), "float32"))).shape
    (1, 8, 4, 5)
    """

    def __init__(self, downscale_factor):
        at_least_one("PixelUnshuffle", downscale_factor=downscale_factor)
        self.downscale_factor = downscale_factor

    def forward(self, x):
        return pixel_unshuffle(x, self.downscale_factor)

    def extra_repr(self):
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """The channels of each group dealt out over all groups.

    Parameters
    ----------
    groups : int
        It must divide the channels.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.nn.ChannelShuffle(2)(dl.Tensor(np.ones((1, 4, 5), "float32"))).shape
    (1, 4, 5)
    """

    def __init__(self, groups):
        at_least_one("ChannelShuffle", groups=groups)
        self.groups = groups

    def forward(self, x):
        return channel_shuffle(x, self.groups)

    def extra_repr(self):
        return f"groups={self.groups}"


class Unfold(Module):
    """All windows of pictures as columns.

    Parameters
    ----------
    kernel_size, dilation, padding, stride : int or pair of int
        (height, width).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.nn.Unfold(3)(dl.Tensor(np.ones((1, 2, 5, 6), "float32"))).shape
    (1, 18, 12)
    """

    def __init__(self, kernel_size, dilation=1, padding=0, stride=1):
        name = type(self).__name__
        pair(name, "kernel_size", kernel_size, 1)
        pair(name, "dilation", dilation, 1)
        pair(name, "padding", padding, 0)
        pair(name, "stride", stride, 1)
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, x):
        return unfold(x, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self):
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )


class Fold(Unfold):
    """Pictures from columns: the windows added up where they overlap.

    Parameters
    ----------
    output_size : int or pair of int
        (height, width) of the pictures.
    kernel_size, dilation, padding, stride : int or pair of int
        (height, width).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.nn.Fold((5, 6), 3)(dl.Tensor(np.ones((1, 18, 12), "float32"))).shape
    (1, 2, 5, 6)
    """

    def __init__(self, output_size, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__(kernel_size, dilation, padding, stride)
        pair("Fold", "output_size", output_size, 1)
        self.output_size = output_size

    def forward(self, x):
        return fold(
            x,
            self.output_size,
            self.kernel_size,
            self.dilation,
            self.padding,
            self.stride,
        )

    def extra_repr(self):
        return f"output_size={self.output_size}, {super().extra_repr()}"
