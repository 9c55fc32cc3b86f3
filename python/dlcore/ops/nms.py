"""Non-maximum suppression: which of many overlapping boxes to keep."""

from .. import _C
from ..tensor import raw
from .inputs import plain


def nms(boxes, scores, iou_threshold):
    r"""Non-maximum suppression.

    Boxes are taken by falling score; one is kept unless a box kept before overlaps it
    by more than the threshold.

    Parameters
    ----------
    boxes : ndarray or Tensor, shape (N, 4)
        Corners ``x1, y1, x2, y2``, float32 or float64.
    scores : ndarray or Tensor, shape (N,)
        Of the same dtype.
    iou_threshold : float
        From 0 to 1. A box goes when its intersection over union with a kept one is
        above it.

    Returns
    -------
    ndarray or Tensor of int64, shape (K,)
        Indices of the kept boxes by falling score. Of equal scores the first box comes
        first; NaN counts as the highest score.

    Raises
    ------
    ValueError
        If a shape does not fit or the threshold is not from 0 to 1.
    TypeError
        If the dtypes differ.

    See Also
    --------
    batched_nms, soft_nms, box_iou

    Notes
    -----
    .. math:: \frac{|A \cap B|}{|A| + |B| - |A \cap B|} > t

    with every operation rounded to the dtype, so that the same boxes are kept on every
    instruction set and for any number of threads. A box without a positive width,
    height and area, with a NaN or with an infinite area suppresses nothing and is
    always kept.

    Kept boxes lie in a hashed grid, one for each power of two in size, in which a box
    looks for those that could suppress it: the time grows with the boxes, not with
    their pairs. As torchvision's `nms
    <https://docs.pytorch.org/vision/stable/generated/torchvision.ops.nms.html>`_.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> boxes = np.array([[0.0, 0, 4, 4], [0, 0, 4, 5], [6, 6, 8, 8]])
    >>> dl.nms(boxes, np.array([0.5, 0.9, 0.7]), 0.5)
    array([1, 2])
    """
    keep = _C.nms(raw(boxes), raw(scores), None, iou_threshold)
    return plain(keep, boxes, scores)


def batched_nms(boxes, scores, idxs, iou_threshold):
    """Non-maximum suppression within each class (or picture of a batch).

    Parameters
    ----------
    boxes : ndarray or Tensor, shape (N, 4)
        Corners ``x1, y1, x2, y2``, float32 or float64.
    scores : ndarray or Tensor, shape (N,)
        Of the same dtype.
    idxs : ndarray or Tensor, shape (N,)
        The class of each box, int64 or int32, that fits into 32 bits. Boxes of
        different classes do not suppress each other.
    iou_threshold : float
        From 0 to 1, as for `nms`.

    Returns
    -------
    ndarray or Tensor of int64, shape (K,)
        Indices of the kept boxes of all classes by falling score, as for `nms`.

    Raises
    ------
    ValueError
        If a shape does not fit, a class needs more than 32 bits or the threshold is
        not from 0 to 1.
    TypeError
        If the dtypes do not fit.

    See Also
    --------
    nms

    Notes
    -----
    One pass over all boxes in which classes are compared. Nothing is added to the
    coordinates to keep classes apart, which would cost them digits. As torchvision's
    `batched_nms
    <https://docs.pytorch.org/vision/stable/generated/torchvision.ops.batched_nms.html>`_.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> boxes = np.array([[0.0, 0, 4, 4], [0, 0, 4, 5], [0, 0, 4, 5]])
    >>> dl.batched_nms(boxes, np.array([0.5, 0.9, 0.7]), np.array([1, 1, 2]), 0.5)
    array([1, 2])
    """
    keep = _C.nms(raw(boxes), raw(scores), _classes(boxes, idxs), iou_threshold)
    return plain(keep, boxes, scores, idxs)


def soft_nms(
    boxes,
    scores,
    iou_threshold=0.3,
    sigma=0.5,
    score_threshold=0.001,
    method="linear",
):
    r"""Soft non-maximum suppression: overlap lowers a score instead of removing a box.

    Parameters
    ----------
    boxes : ndarray or Tensor, shape (N, 4)
        Corners ``x1, y1, x2, y2``, float32 or float64.
    scores : ndarray or Tensor, shape (N,)
        Of the same dtype.
    iou_threshold : float, optional
        From 0 to 1: the overlap from which the linear method lowers a score.
    sigma : float, optional
        Of the Gaussian method, above 0.
    score_threshold : float, optional
        A box whose score is or falls below it is gone; so is one whose score is NaN.
    method : {'linear', 'gaussian'}, optional
        How a score is lowered.

    Returns
    -------
    keep : ndarray or Tensor of int64, shape (K,)
        Indices of the boxes in the order in which they were taken. Of equal scores the
        first box comes first.
    scores : ndarray or Tensor, shape (K,)
        Their lowered scores, falling. They carry no gradient.

    Raises
    ------
    ValueError
        If a shape does not fit, `method` is not known or a number is out of range.
    TypeError
        If the dtypes differ.

    See Also
    --------
    nms

    Notes
    -----
    When the box :math:`m` with the highest score is taken, each other score becomes

    .. math::
        s_i (1 - \mathrm{IoU}(m, i)) \text{ where } \mathrm{IoU} \ge t,
        \qquad \text{or} \qquad s_i e^{-\mathrm{IoU}(m, i)^2 / \sigma}

    Two boxes that do not meet, or of which one has no area or a NaN, overlap by 0.
    The time grows with boxes times kept boxes. N. Bodla et al., `Soft-NMS
    <https://arxiv.org/abs/1704.04503>`_, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> boxes = np.array([[0.0, 0, 4, 4], [0, 0, 4, 5], [6, 6, 8, 8]])
    >>> keep, scores = dl.soft_nms(boxes, np.array([0.5, 0.9, 0.7]))
    >>> keep, scores.round(3)
    (array([1, 2, 0]), array([0.9, 0.7, 0.1]))
    """
    keep, kept_scores = _C.soft_nms(
        raw(boxes), raw(scores), method, iou_threshold, sigma, score_threshold
    )
    return plain(keep, boxes, scores), plain(kept_scores, boxes, scores)


def _classes(boxes, idxs):
    if idxs is None:  # _C.nms takes it as one class for all
        raise TypeError("batched_nms: idxs must be a NumPy array, got NoneType")
    return raw(idxs)
