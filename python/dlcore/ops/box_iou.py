"""How much two boxes overlap, of all pairs and as a loss."""

from .. import _C
from ..tensor import Tensor, raw, record
from .boxes import corners
from .inputs import wants


def box_iou(boxes1, boxes2, fmt="xyxy"):
    r"""Intersection over union of all pairs of boxes.

    Parameters
    ----------
    boxes1 : ndarray or Tensor, shape (N, 4)
        float32 or float64.
    boxes2 : ndarray or Tensor, shape (M, 4)
        Of the same dtype. Both receive a gradient.
    fmt : {'xyxy', 'xywh', 'cxcywh'}, optional
        Their format.

    Returns
    -------
    ndarray or Tensor, shape (N, M)
        From 0 to 1. NaN for two boxes without area, and where a box has a NaN.

    Raises
    ------
    ValueError
        If a shape does not fit or the format is not known.
    TypeError
        If the dtypes differ.

    See Also
    --------
    generalized_box_iou, distance_box_iou, complete_box_iou, nms

    Notes
    -----
    .. math:: \frac{|A \cap B|}{|A \cup B|}

    The same bits on every instruction set. As torchvision's `box_iou
    <https://docs.pytorch.org/vision/stable/generated/torchvision.ops.box_iou.html>`_.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.box_iou(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 2, 2], [2, 2, 3, 3]]))
    array([[0.5, 0. ]])
    """
    boxes1 = corners("box_iou", boxes1, fmt)
    boxes2 = corners("box_iou", boxes2, fmt)
    return _pairs("box_iou", boxes1, boxes2, 0)


def generalized_box_iou(boxes1, boxes2):
    r"""Generalized intersection over union of all pairs of boxes.

    Parameters
    ----------
    boxes1 : ndarray or Tensor, shape (N, 4)
        Corners, float32 or float64.
    boxes2 : ndarray or Tensor, shape (M, 4)
        Of the same dtype. Both receive a gradient.

    Returns
    -------
    ndarray or Tensor, shape (N, M)
        From -1 to 1. NaN as for `box_iou`.

    Raises
    ------
    ValueError
        If a shape does not fit.
    TypeError
        If the dtypes differ.

    See Also
    --------
    box_iou, generalized_box_iou_loss

    Notes
    -----
    With :math:`C` the smallest box around both:

    .. math:: \mathrm{IoU} - \frac{|C| - |A \cup B|}{|C|}

    H. Rezatofighi et al., `Generalized Intersection over Union
    <https://arxiv.org/abs/1902.09630>`_, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.generalized_box_iou(np.array([[0.0, 0, 1, 1]]), np.array([[1.0, 0, 4, 1]]))
    array([[0.]])
    """
    return _pairs("generalized_box_iou", boxes1, boxes2, 0)


def distance_box_iou(boxes1, boxes2, eps=1e-7):
    r"""Intersection over union less the distance of the centres, of all pairs.

    Parameters
    ----------
    boxes1 : ndarray or Tensor, shape (N, 4)
        Corners, float32 or float64.
    boxes2 : ndarray or Tensor, shape (M, 4)
        Of the same dtype. Both receive a gradient.
    eps : float, optional
        Added to the squared diagonal.

    Returns
    -------
    ndarray or Tensor, shape (N, M)
        From -1 to 1. NaN as for `box_iou`.

    Raises
    ------
    ValueError
        If a shape does not fit or `eps` is negative.
    TypeError
        If the dtypes differ.

    See Also
    --------
    box_iou, distance_box_iou_loss

    Notes
    -----
    With :math:`r` the distance of the centres and :math:`c` the diagonal of the
    smallest box around both:

    .. math:: \mathrm{IoU} - \frac{r^2}{c^2 + \epsilon}

    Z. Zheng et al., `Distance-IoU Loss <https://arxiv.org/abs/1911.08287>`_, 2020.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> a, b = np.array([[0.0, 0, 2, 2]]), np.array([[0.0, 0, 2, 4]])
    >>> dl.distance_box_iou(a, b).round(3)
    array([[0.45]])
    """
    return _pairs("distance_box_iou", boxes1, boxes2, eps)


def complete_box_iou(boxes1, boxes2, eps=1e-7):
    r"""`distance_box_iou` less the difference in shape, of all pairs.

    Parameters
    ----------
    boxes1 : ndarray or Tensor, shape (N, 4)
        Corners, float32 or float64.
    boxes2 : ndarray or Tensor, shape (M, 4)
        Of the same dtype. Both receive a gradient.
    eps : float, optional
        Added to the squared diagonal and to the denominator of the weight.

    Returns
    -------
    ndarray or Tensor, shape (N, M)
        At most 1. NaN as for `box_iou`, and for a box whose sides are both 0.

    Raises
    ------
    ValueError
        If a shape does not fit or `eps` is negative.
    TypeError
        If the dtypes differ.

    See Also
    --------
    distance_box_iou, complete_box_iou_loss

    Notes
    -----
    .. math::
        \mathrm{DIoU} - \alpha v, \qquad
        v = \frac{4}{\pi^2}
        \left(\arctan\frac{w_1}{h_1} - \arctan\frac{w_2}{h_2}\right)^2, \qquad
        \alpha = \frac{v}{1 - \mathrm{IoU} + v + \epsilon}

    The weight :math:`\alpha` is a constant for the gradient, as its authors define it
    (`Distance-IoU Loss <https://arxiv.org/abs/1911.08287>`_, 2020).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> a, b = np.array([[0.0, 0, 2, 2]]), np.array([[0.0, 0, 2, 4]])
    >>> dl.complete_box_iou(a, b).round(3)
    array([[0.447]])
    """
    return _pairs("complete_box_iou", boxes1, boxes2, eps)


def generalized_box_iou_loss(boxes1, boxes2, reduction="none", eps=1e-7):
    r"""1 less the generalized intersection over union, box by box.

    Parameters
    ----------
    boxes1, boxes2 : ndarray or Tensor, shape (N, 4)
        Corners, of one dtype, float32 or float64. Both receive a gradient.
    reduction : {'none', 'mean', 'sum'}, optional
        What becomes of the losses. The mean of none is 0.
    eps : float, optional
        Added to the denominators.

    Returns
    -------
    ndarray or Tensor, shape (N,) or ()
        From 0 to 2.

    Raises
    ------
    ValueError
        If the shapes differ, `reduction` is not known or `eps` is negative.
    TypeError
        If the dtypes differ.

    See Also
    --------
    generalized_box_iou, distance_box_iou_loss, complete_box_iou_loss

    Notes
    -----
    .. math::
        1 - \frac{|A \cap B|}{|A \cup B| + \epsilon}
        + \frac{|C| - |A \cup B|}{|C| + \epsilon}

    Where two coordinates are equal the gradient is shared by halves. As torchvision's
    `generalized_box_iou_loss
    <https://docs.pytorch.org/vision/stable/generated/torchvision.ops.generalized_box_iou_loss.html>`_.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> a, b = np.array([[0.0, 0, 1, 1]]), np.array([[1.0, 0, 4, 1]])
    >>> dl.generalized_box_iou_loss(a, b).round(3)
    array([1.])
    """
    return _losses("generalized_box_iou_loss", boxes1, boxes2, reduction, eps)


def distance_box_iou_loss(boxes1, boxes2, reduction="none", eps=1e-7):
    r"""1 less `distance_box_iou`, box by box.

    Parameters
    ----------
    boxes1, boxes2 : ndarray or Tensor, shape (N, 4)
        Corners, of one dtype, float32 or float64. Both receive a gradient.
    reduction : {'none', 'mean', 'sum'}, optional
        What becomes of the losses. The mean of none is 0.
    eps : float, optional
        Added to the denominators.

    Returns
    -------
    ndarray or Tensor, shape (N,) or ()
        From 0 to 2.

    Raises
    ------
    ValueError
        If the shapes differ, `reduction` is not known or `eps` is negative.
    TypeError
        If the dtypes differ.

    See Also
    --------
    distance_box_iou, generalized_box_iou_loss, complete_box_iou_loss

    Notes
    -----
    .. math::
        1 - \frac{|A \cap B|}{|A \cup B| + \epsilon} + \frac{r^2}{c^2 + \epsilon}

    As torchvision's `distance_box_iou_loss
    <https://docs.pytorch.org/vision/stable/generated/torchvision.ops.distance_box_iou_loss.html>`_.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> a, b = np.array([[0.0, 0, 2, 2]]), np.array([[0.0, 0, 2, 4]])
    >>> dl.distance_box_iou_loss(a, b).round(3)
    array([0.55])
    """
    return _losses("distance_box_iou_loss", boxes1, boxes2, reduction, eps)


def complete_box_iou_loss(boxes1, boxes2, reduction="none", eps=1e-7):
    r"""1 less `complete_box_iou`, box by box.

    Parameters
    ----------
    boxes1, boxes2 : ndarray or Tensor, shape (N, 4)
        Corners, of one dtype, float32 or float64. Both receive a gradient.
    reduction : {'none', 'mean', 'sum'}, optional
        What becomes of the losses. The mean of none is 0.
    eps : float, optional
        Added to the denominators.

    Returns
    -------
    ndarray or Tensor, shape (N,) or ()
        NaN for a box whose sides are both 0.

    Raises
    ------
    ValueError
        If the shapes differ, `reduction` is not known or `eps` is negative.
    TypeError
        If the dtypes differ.

    See Also
    --------
    complete_box_iou, generalized_box_iou_loss, distance_box_iou_loss

    Notes
    -----
    The distance loss plus :math:`\alpha v` of `complete_box_iou`; :math:`\alpha` is a
    constant for the gradient. As torchvision's `complete_box_iou_loss
    <https://docs.pytorch.org/vision/stable/generated/torchvision.ops.complete_box_iou_loss.html>`_.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> a, b = np.array([[0.0, 0, 2, 2]]), np.array([[0.0, 0, 2, 4]])
    >>> dl.complete_box_iou_loss(a, b).round(3)
    array([0.553])
    """
    return _losses("complete_box_iou_loss", boxes1, boxes2, reduction, eps)


def _pairs(op, boxes1, boxes2, eps):
    a, b = raw(boxes1), raw(boxes2)
    y = _C.box_iou_forward(op, a, b, eps)

    def backward(dy):
        return (
            _C.box_iou_backward(op, a, b, dy, eps) if wants(boxes1) else None,
            _C.box_iou_backward(op, b, a, dy.T, eps) if wants(boxes2) else None,
        )

    return record(y, (boxes1, boxes2), backward)


def _losses(op, boxes1, boxes2, reduction, eps):
    a, b = raw(boxes1), raw(boxes2)
    y = _C.box_loss_forward(op, a, b, reduction, eps)
    if not isinstance(boxes1, Tensor) and not isinstance(boxes2, Tensor):
        return y

    def backward(dy):
        return (
            _C.box_loss_backward(op, a, b, reduction, eps, dy)
            if wants(boxes1)
            else None,
            _C.box_loss_backward(op, b, a, reduction, eps, dy)
            if wants(boxes2)
            else None,
        )

    return record(y, (boxes1, boxes2), backward)
