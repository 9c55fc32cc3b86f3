"""Boxes: formats, area and clipping.

A box is four numbers; unless said otherwise its corners ``x1, y1, x2, y2``.
"""

from .. import _C
from ..tensor import raw, record
from .inputs import plain


def box_convert(boxes, in_fmt, out_fmt):
    r"""Change the format of boxes.

    Parameters
    ----------
    boxes : ndarray or Tensor, shape (..., 4)
        float32 or float64.
    in_fmt, out_fmt : {'xyxy', 'xywh', 'cxcywh'}
        Corners; first corner, width and height; centre, width and height.

    Returns
    -------
    ndarray or Tensor, shape (..., 4)
        The same boxes in the other format. NaN and infinity stay in what they touch.

    Raises
    ------
    ValueError
        If the last axis is not 4 or a format is not known.
    TypeError
        If `boxes` is not an array of float32 or float64.

    Notes
    -----
    Along each axis, from corners to centre and size,

    .. math:: c = (x_1 + x_2) / 2, \qquad w = x_2 - x_1

    As torchvision's `box_convert
    <https://docs.pytorch.org/vision/stable/generated/torchvision.ops.box_convert.html>`_.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.box_convert(np.array([[1.0, 2.0, 5.0, 4.0]]), "xyxy", "cxcywh")
    array([[3., 3., 4., 2.]])
    """
    y = _C.box_convert(raw(boxes), in_fmt, out_fmt)
    return record(
        y, (boxes,), lambda dy: (_C.box_convert_backward(dy, in_fmt, out_fmt),)
    )


def box_area(boxes, fmt="xyxy"):
    r"""Area of each box.

    Parameters
    ----------
    boxes : ndarray or Tensor, shape (..., 4)
        float32 or float64.
    fmt : {'xyxy', 'xywh', 'cxcywh'}, optional
        Their format.

    Returns
    -------
    ndarray or Tensor, shape (...)
        Negative for a box whose corners are exchanged along one axis.

    Raises
    ------
    ValueError
        If the last axis is not 4 or the format is not known.

    Notes
    -----
    .. math:: (x_2 - x_1) (y_2 - y_1)

    As torchvision's `box_area
    <https://docs.pytorch.org/vision/stable/generated/torchvision.ops.box_area.html>`_.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.box_area(np.array([[1.0, 2.0, 5.0, 4.0]]))
    array([8.])
    """
    boxes = corners("box_area", boxes, fmt)
    array = raw(boxes)
    y = _C.box_area_forward(array)
    return record(y, (boxes,), lambda dy: (_C.box_area_backward(array, dy),))


def clip_boxes_to_image(boxes, size):
    r"""Move the corners of boxes into an image.

    Parameters
    ----------
    boxes : ndarray or Tensor, shape (..., 4)
        Corners, float32 or float64.
    size : pair of float
        Height and width of the image.

    Returns
    -------
    ndarray or Tensor, shape (..., 4)
        x from 0 to the width, y from 0 to the height. NaN stays NaN.

    Raises
    ------
    ValueError
        If the last axis is not 4 or a size is negative.

    Notes
    -----
    .. math:: \min(\max(x, 0), \text{width}), \quad \min(\max(y, 0), \text{height})

    The gradient is 0 for a coordinate that was moved. As torchvision's
    `clip_boxes_to_image
    <https://docs.pytorch.org/vision/stable/generated/torchvision.ops.clip_boxes_to_image.html>`_.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.clip_boxes_to_image(np.array([[-3.0, 2.0, 5.0, 40.0]]), (10, 20))
    array([[ 0.,  2.,  5., 10.]])
    """
    array = raw(boxes)
    y = _C.clip_boxes_forward(array, size)
    return record(y, (boxes,), lambda dy: (_C.clip_boxes_backward(array, dy, size),))


def remove_small_boxes(boxes, min_size):
    """Which boxes are large enough.

    Parameters
    ----------
    boxes : ndarray or Tensor, shape (N, 4)
        Corners, float32 or float64.
    min_size : float
        The least width and height.

    Returns
    -------
    ndarray or Tensor of int64, shape (K,)
        Indices of the boxes whose sides are both at least `min_size`, in their order.
        A box with a NaN is not among them.

    Raises
    ------
    ValueError
        If `boxes` is not (N, 4) or `min_size` is NaN.

    Notes
    -----
    As torchvision's `remove_small_boxes
    <https://docs.pytorch.org/vision/stable/generated/torchvision.ops.remove_small_boxes.html>`_.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.remove_small_boxes(np.array([[0.0, 0, 9, 1], [0, 0, 5, 5]]), 2)
    array([1])
    """
    return plain(_C.remove_small_boxes(raw(boxes), min_size), boxes)


def corners(op, boxes, fmt):
    """Boxes of a format as corners; the conversion is recorded."""
    if isinstance(fmt, str) and fmt == "xyxy":
        return boxes
    if fmt not in ("xywh", "cxcywh"):
        raise ValueError(
            f"{op}: fmt must be 'xyxy', 'xywh' or 'cxcywh', got {str(fmt)[:60]!r}"
        )
    return box_convert(boxes, fmt, "xyxy")
