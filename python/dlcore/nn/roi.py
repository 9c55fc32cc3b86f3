"""Regions of interest as modules."""

from ..ops import roi_align, roi_pool
from .checks import pair
from .module import Module


class RoIAlign(Module):
    """Mean of bilinear samples in each bin of each region.

    Parameters
    ----------
    output_size : int or pair of int
        (height, width) of the result.
    spatial_scale : float
        From the boxes' coordinates to those of the feature map.
    sampling_ratio : int
        Samples in a bin along each axis; 0 or less for one to a pixel.
    aligned : bool, optional
        Whether pixels have their centres at half numbers.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> image = dl.Tensor(np.ones((1, 3, 8, 8), "float32"))
    >>> boxes = np.array([[0, 1, 1, 5, 5]], "float32")
    >>> dl.nn.RoIAlign(2, 1.0, 2)(image, boxes).shape
    (1, 3, 2, 2)
    """

    def __init__(self, output_size, spatial_scale, sampling_ratio, aligned=False):
        pair("RoIAlign", "output_size", output_size, 1)
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned

    def forward(self, input, rois):
        return roi_align(
            input,
            rois,
            self.output_size,
            self.spatial_scale,
            self.sampling_ratio,
            self.aligned,
        )

    def extra_repr(self):
        return (
            f"output_size={self.output_size}, spatial_scale={self.spatial_scale}, "
            f"sampling_ratio={self.sampling_ratio}, aligned={self.aligned}"
        )


class RoIPool(Module):
    """Largest element in each bin of each region.

    Parameters
    ----------
    output_size : int or pair of int
        (height, width) of the result.
    spatial_scale : float
        From the boxes' coordinates to those of the feature map.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> image = dl.Tensor(np.ones((1, 3, 8, 8), "float32"))
    >>> boxes = np.array([[0, 1, 1, 5, 5]], "float32")
    >>> dl.nn.RoIPool(2, 1.0)(image, boxes).shape
    (1, 3, 2, 2)
    """

    def __init__(self, output_size, spatial_scale):
        pair("RoIPool", "output_size", output_size, 1)
        self.output_size = output_size
        self.spatial_scale = spatial_scale

    def forward(self, input, rois):
        return roi_pool(input, rois, self.output_size, self.spatial_scale)

    def extra_repr(self):
        return f"output_size={self.output_size}, spatial_scale={self.spatial_scale}"
