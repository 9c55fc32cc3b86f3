"""Boxes as what a detector predicts, and the boxes that predictions are relative to."""

import math

from .. import _C
from ..tensor import raw, record
from .inputs import plain, wants

_CLIP = math.log(1000 / 16)  # a prediction enlarges a box at most 62.5 times


def encode_boxes(reference_boxes, proposals, weights=(1.0, 1.0, 1.0, 1.0)):
    r"""The shifts and log scales that turn proposals into other boxes.

    Parameters
    ----------
    reference_boxes : ndarray or Tensor, shape (N, 4)
        The boxes to reach, corners, float32 or float64.
    proposals : ndarray or Tensor, shape (N, 4)
        The boxes (anchors, priors) to start from, of the same dtype. Both receive a
        gradient.
    weights : sequence of 4 floats, optional
        Factors of x, y, width and height, above 0: ``(10, 10, 5, 5)`` for Fast R-CNN's
        heads and for SSD (its variances 0.1 and 0.2).

    Returns
    -------
    ndarray or Tensor, shape (N, 4)
        NaN or infinity where a side is not positive.

    Raises
    ------
    ValueError
        If a shape does not fit or a weight is not above 0.
    TypeError
        If the dtypes differ.

    See Also
    --------
    decode_boxes

    Notes
    -----
    With :math:`c` the centre and :math:`s` the side of the proposal along an axis:

    .. math:: w_c \frac{c' - c}{s}, \qquad w_s \log \frac{s'}{s}

    R. Girshick et al., `Rich feature hierarchies <https://arxiv.org/abs/1311.2524>`_,
    appendix C.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.encode_boxes(np.array([[2.0, 0, 6, 4]]), np.array([[0.0, 0, 4, 4]]))
    array([[0.5, 0. , 0. , 0. ]])
    """
    target, given = raw(reference_boxes), raw(proposals)
    y = _C.encode_boxes_forward(target, given, weights)

    def backward(dy):
        return _C.encode_boxes_backward(target, given, dy, weights)

    return record(y, (reference_boxes, proposals), backward)


def decode_boxes(rel_codes, boxes, weights=(1.0, 1.0, 1.0, 1.0), bbox_xform_clip=_CLIP):
    r"""The boxes that predictions mean: `encode_boxes` undone.

    Parameters
    ----------
    rel_codes : ndarray or Tensor, shape (N, 4 K)
        K predictions for each box, float32 or float64.
    boxes : ndarray or Tensor, shape (N, 4)
        The boxes that they are relative to, corners, of the same dtype. Both receive a
        gradient.
    weights : sequence of 4 floats, optional
        What `encode_boxes` multiplied by.
    bbox_xform_clip : float, optional
        The largest log scale; above it there is no gradient. Default is
        ``log(1000 / 16)``.

    Returns
    -------
    ndarray or Tensor, shape (N, 4 K)
        Corners.

    Raises
    ------
    ValueError
        If a shape does not fit, a weight is not above 0 or the clip is NaN.
    TypeError
        If the dtypes differ.

    See Also
    --------
    encode_boxes

    Notes
    -----
    .. math:: c' = \frac{d}{w_c} s + c, \qquad s' = s e^{\min(e / w_s, \text{clip})}

    As torchvision's ``BoxCoder``.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.decode_boxes(np.array([[0.5, 0.0, 0.0, 0.0]]), np.array([[0.0, 0, 4, 4]]))
    array([[2., 0., 6., 4.]])
    """
    codes, given = raw(rel_codes), raw(boxes)
    y = _C.decode_boxes_forward(codes, given, weights, bbox_xform_clip)

    def backward(dy):
        d_codes, d_given = _C.decode_boxes_backward(
            codes, given, dy, weights, bbox_xform_clip
        )
        return d_codes, d_given if wants(boxes) else None

    return record(y, (rel_codes, boxes), backward)


def grid_anchors(cell_anchors, grid_size, stride, offset=0.0):
    r"""The same boxes at every place of a grid.

    Parameters
    ----------
    cell_anchors : ndarray or Tensor, shape (A, 4)
        Corners of the boxes around the point (0, 0), float32 or float64.
    grid_size : int or pair of int
        Rows and columns.
    stride : pair of float
        How far the places lie apart, down and across.
    offset : float, optional
        The first place, in strides: 0 for Faster R-CNN, 0.5 for SSD.

    Returns
    -------
    ndarray or Tensor, shape (rows * columns * A, 4)
        Row by row, place by place. A Tensor carries no gradient.

    Raises
    ------
    ValueError
        If a shape does not fit or a number is not finite.

    See Also
    --------
    dlcore.detection.AnchorGenerator, dlcore.detection.DefaultBoxGenerator

    Notes
    -----
    Box a at place (i, j) is ``cell_anchors[a]`` moved by
    :math:`((j + o) s_x, (i + o) s_y)`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.grid_anchors(np.array([[-2.0, -1, 2, 1]]), (1, 2), (16, 16))
    array([[-2., -1.,  2.,  1.],
           [14., -1., 18.,  1.]])
    """
    y = _C.grid_anchors(raw(cell_anchors), grid_size, stride, offset)
    return plain(y, cell_anchors)
