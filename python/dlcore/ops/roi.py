"""Regions of interest of feature maps, resampled to one size."""

import numpy as np

from .. import _C
from ..tensor import raw, record
from .inputs import wants


def roi_align(
    input,
    boxes,
    output_size,
    spatial_scale=1.0,
    sampling_ratio=-1,
    aligned=False,
):
    r"""Mean of bilinear samples in each bin of each region.

    Parameters
    ----------
    input : ndarray or Tensor, shape (N, C, H, W)
        Feature maps, float32 or float64.
    boxes : ndarray or Tensor, shape (K, 5); or list of N of them, shape (L, 4)
        Regions, of the same dtype: the picture's index in the batch and the corners
        ``x1, y1, x2, y2``; or for each picture the corners. They receive no gradient.
    output_size : int or pair of int
        Height and width of the result.
    spatial_scale : float, optional
        From the boxes' coordinates to those of `input`.
    sampling_ratio : int, optional
        Samples in a bin along each axis; 0 or less for one to a pixel:
        ``ceil(length of the bin)``. At most 1024.
    aligned : bool, optional
        Whether pixels have their centres at half numbers (the better one); without,
        regions are half a pixel off and at least one pixel long.

    Returns
    -------
    ndarray or Tensor, shape (K, C, output_height, output_width)
        NaN for a region with a coordinate that is not finite. With `aligned` a region
        turned inside out gives 0, or is sampled backwards with a `sampling_ratio`.

    Raises
    ------
    ValueError
        If a shape does not fit or a number is out of range.
    IndexError
        If a region's picture is not in the batch.
    TypeError
        If the dtypes differ.

    See Also
    --------
    roi_pool, dlcore.nn.RoIAlign

    Notes
    -----
    With :math:`\sigma` the scale, :math:`o` 1/2 when aligned, a bin b of n bins along
    an axis has the samples

    .. math::
        v_i = \sigma x_1 - o + \frac{\sigma (x_2 - x_1)}{n}
        \left(b + \frac{i + 1/2}{g}\right), \qquad i = 0, \dots, g - 1

    A sample is interpolated between the four pixels around it, at the edge repeated;
    one farther than a pixel outside counts as 0. Positions are computed in float64.
    K. He et al., `Mask R-CNN <https://arxiv.org/abs/1703.06870>`_, 2017; as
    torchvision's `roi_align
    <https://docs.pytorch.org/vision/stable/generated/torchvision.ops.roi_align.html>`_.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> dl.roi_align(x, np.array([[0.0, 0, 0, 4, 4]]), 2, aligned=True)
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """
    x, rois = raw(input), _rois("roi_align", raw(input), boxes)
    arguments = output_size, spatial_scale, sampling_ratio, bool(aligned)
    y = _C.roi_align_forward(x, rois, *arguments)
    return record(
        y, (input,), lambda dy: (_C.roi_align_backward(dy, x, rois, *arguments),)
    )


def roi_pool(input, boxes, output_size, spatial_scale=1.0):
    r"""Largest element in each bin of each region.

    Parameters
    ----------
    input : ndarray or Tensor, shape (N, C, H, W)
        Feature maps, float32 or float64, fewer than 2^31 pixels to a plane.
    boxes : ndarray or Tensor, shape (K, 5); or list of N of them, shape (L, 4)
        Regions, of the same dtype: the picture's index in the batch and the corners
        ``x1, y1, x2, y2``; or for each picture the corners. They receive no gradient.
    output_size : int or pair of int
        Height and width of the result.
    spatial_scale : float, optional
        From the boxes' coordinates to those of `input`.

    Returns
    -------
    ndarray or Tensor, shape (K, C, output_height, output_width)
        0 for a bin outside the picture, NaN for a bin with a NaN and for a region with
        a coordinate that is not finite.

    Raises
    ------
    ValueError
        If a shape does not fit or a number is out of range.
    IndexError
        If a region's picture is not in the batch.
    TypeError
        If the dtypes differ.

    See Also
    --------
    roi_align, dlcore.nn.RoIPool

    Notes
    -----
    Corners are rounded to pixels, halves away from 0, both included; at least one
    pixel. Bin b of n bins over :math:`l` pixels covers those from
    :math:`\lfloor b l / n \rfloor` up to :math:`\lceil (b + 1) l / n \rceil`. The
    gradient goes to the first of equal elements, row by row. R. Girshick, `Fast R-CNN
    <https://arxiv.org/abs/1504.08083>`_, 2015; as torchvision's `roi_pool
    <https://docs.pytorch.org/vision/stable/generated/torchvision.ops.roi_pool.html>`_,
    whose bins may be a pixel larger where a product in float32 rounds up.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> dl.roi_pool(x, np.array([[0.0, 0, 0, 3, 3]]), 2)
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """
    x, rois = raw(input), _rois("roi_pool", raw(input), boxes)
    y, places = _C.roi_pool_forward(x, rois, output_size, spatial_scale, wants(input))

    def backward(dy):
        return (_C.roi_pool_backward(dy, places, x, rois, output_size, spatial_scale),)

    return record(y, (input,), backward)


def _rois(op, x, boxes):
    """Regions as (K, 5); from a list of the corners in each picture."""
    if not isinstance(boxes, (list, tuple)):
        return raw(boxes)
    arrays = [raw(b) for b in boxes]
    dtype = getattr(x, "dtype", None)
    for i, b in enumerate(arrays):
        if not isinstance(b, np.ndarray) or b.dtype != dtype:
            raise TypeError(
                f"{op}: boxes[{i}] must be a NumPy array of input's dtype {dtype}, "
                f"got {getattr(b, 'dtype', type(b).__name__)}"
            )
        if b.ndim != 2 or b.shape[1] != 4:
            raise ValueError(
                f"{op}: boxes[{i}] must have shape (L, 4), "
                f"got boxes[{i}].shape = {b.shape}"
            )
    if np.ndim(x) != 4 or len(arrays) != x.shape[0]:
        raise ValueError(
            f"{op}: boxes must be one array for each picture of input, got "
            f"{len(arrays)} for input.shape = {getattr(x, 'shape', None)}"
        )
    rois = np.empty((sum(len(b) for b in arrays), 5), dtype)
    end = 0
    for i, b in enumerate(arrays):
        start, end = end, end + len(b)
        rois[start:end, 0] = i
        rois[start:end, 1:] = b
    return rois
