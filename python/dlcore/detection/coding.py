"""Boxes as what a detector predicts."""

import math

from ..ops import decode_boxes, encode_boxes

_CLIP = math.log(1000 / 16)


class BoxCoder:
    """`dlcore.encode_boxes` and `dlcore.decode_boxes` with settings of their own.

    Parameters
    ----------
    weights : sequence of 4 floats
        Factors of x, y, width and height.
    bbox_xform_clip : float, optional
        The largest log scale.

    Examples
    --------
    >>> import numpy as np
    >>> from dlcore.detection import BoxCoder
    >>> coder = BoxCoder((10, 10, 5, 5))
    >>> boxes, anchors = np.array([[2.0, 0, 6, 4]]), np.array([[0.0, 0, 4, 4]])
    >>> coder.encode(boxes, anchors)
    array([[5., 0., 0., 0.]])
    >>> coder.decode(coder.encode(boxes, anchors), anchors)
    array([[2., 0., 6., 4.]])
    """

    def __init__(self, weights, bbox_xform_clip=_CLIP):
        self.weights = tuple(weights)
        self.bbox_xform_clip = bbox_xform_clip

    def encode(self, reference_boxes, proposals):
        """The codes (N, 4) of boxes relative to proposals."""
        return encode_boxes(reference_boxes, proposals, self.weights)

    def decode(self, rel_codes, boxes):
        """The boxes (N, 4 K) of codes (N, 4 K) relative to boxes (N, 4)."""
        return decode_boxes(rel_codes, boxes, self.weights, self.bbox_xform_clip)
