"""Losses of detectors: region proposals, Fast R-CNN, YOLO."""

import numpy as np

from .. import _C
from ..tensor import raw
from .arithmetic import add, div, maximum, minimum, mul, sub
from .compare import where
from .elementwise import clamp, square
from .gather import index_select
from .indexing import getitem
from .loss import cross_entropy
from .loss_binary import binary_cross_entropy_with_logits
from .loss_element import floats, labels, real
from .loss_regression import mse_loss, smooth_l1_loss
from .reduction import prod
from .shape import one_line, reshape, whole

_BETA = 1 / 9


def rpn_loss(objectness, deltas, target, target_deltas, beta=_BETA):
    """Losses of a region proposal network: is there something, and where.

    Parameters
    ----------
    objectness : ndarray or Tensor, shape (N,)
        Scores (logits) of the anchors, float32 or float64.
    deltas : ndarray or Tensor, shape (N, 4)
        Their boxes, coded as `encode_boxes` does.
    target : ndarray or Tensor of int, shape (N,)
        1 for an anchor with something in it, 0 for one without, -1 for one that does
        not count (also those that were not drawn).
    target_deltas : ndarray or Tensor, shape (N, 4)
        The right boxes, coded; read only for anchors with something in them.
    beta : float, optional
        Of `smooth_l1_loss`.

    Returns
    -------
    (ndarray or Tensor, ndarray or Tensor)
        Cross-entropy, and the boxes' loss, both over the number of anchors that count.

    Raises
    ------
    IndexError
        If a target is not from -1 to 1.
    ValueError
        If the shapes do not fit.
    TypeError
        If the dtypes do not fit.

    See Also
    --------
    fast_rcnn_loss, encode_boxes

    Notes
    -----
    S. Ren et al., `Faster R-CNN <https://arxiv.org/abs/1506.01497>`_, 2015, with
    torchvision's parameters.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> scores, boxes = np.zeros(3), np.zeros((3, 4))
    >>> target = np.array([1, 0, -1])
    >>> scores, places = dl.rpn_loss(scores, boxes, target, boxes + 1)
    >>> scores.round(4), places.round(4)
    (np.float64(0.6931), np.float64(1.8889))
    """
    op = "rpn_loss"
    names = "objectness", "deltas", "target_deltas"
    scores, boxes, right = floats(op, names, objectness, deltas, target_deltas)
    n = scores.size
    if scores.ndim != 1 or boxes.shape != (n, 4) or right.shape != (n, 4):
        raise ValueError(
            f"{op}: objectness, deltas and target_deltas must have shapes (N,), (N, 4) "
            f"and (N, 4), got {scores.shape}, {boxes.shape} and {right.shape}"
        )
    kinds = labels(op, target, (n,), 2, least=-1)
    drawn = np.flatnonzero(kinds >= 0)
    scores = index_select(objectness, 0, drawn)
    yes = kinds[drawn].astype(boxes.dtype)
    found = binary_cross_entropy_with_logits(scores, yes)
    places = np.flatnonzero(kinds == 1)
    return found, _box_loss(deltas, target_deltas, places, places, drawn.size, beta)


def fast_rcnn_loss(class_logits, box_regression, target, target_deltas, beta=_BETA):
    """Losses of Fast R-CNN's head: what is in a region, and where.

    Parameters
    ----------
    class_logits : ndarray or Tensor, shape (N, C)
        Scores of the classes of each region, of which 0 is the background, float32 or
        float64.
    box_regression : ndarray or Tensor, shape (N, 4 * C)
        A box for each class, coded as `encode_boxes` does.
    target : ndarray or Tensor of int, shape (N,)
        The right classes.
    target_deltas : ndarray or Tensor, shape (N, 4)
        The right boxes, coded; not read for the background.
    beta : float, optional
        Of `smooth_l1_loss`.

    Returns
    -------
    (ndarray or Tensor, ndarray or Tensor)
        Cross-entropy, and the loss of the right classes' boxes over N.

    Raises
    ------
    IndexError
        If a target is not a class.
    ValueError
        If the shapes do not fit.
    TypeError
        If the dtypes do not fit.

    See Also
    --------
    rpn_loss

    Notes
    -----
    R. Girshick, `Fast R-CNN <https://arxiv.org/abs/1504.08083>`_, 2015, with
    torchvision's parameters.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> scores, boxes = np.zeros((2, 2)), np.zeros((2, 8))
    >>> target, right = np.array([0, 1]), np.ones((2, 4))
    >>> scores, places = dl.fast_rcnn_loss(scores, boxes, target, right)
    >>> scores.round(4), places.round(4)
    (np.float64(0.6931), np.float64(1.8889))
    """
    op = "fast_rcnn_loss"
    names = "class_logits", "box_regression", "target_deltas"
    scores, boxes, right = floats(
        op, names, class_logits, box_regression, target_deltas
    )
    n, classes = scores.shape if scores.ndim == 2 else (0, 0)
    if scores.ndim != 2 or boxes.shape != (n, 4 * classes) or right.shape != (n, 4):
        raise ValueError(
            f"{op}: class_logits, box_regression and target_deltas must have shapes "
            f"(N, C), (N, 4 * C) and (N, 4), got {scores.shape}, {boxes.shape} and "
            f"{right.shape}"
        )
    kinds = labels(op, target, (n,), classes)
    places = np.flatnonzero(kinds)
    rows = reshape(box_regression, (n * classes, 4))
    chosen = places * classes + kinds[places]
    loss = _box_loss(rows, target_deltas, chosen, places, n, beta)
    return cross_entropy(class_logits, kinds), loss


def yolo_loss(
    input, target, boxes=2, coord_weight=5.0, noobj_weight=0.5, reduction="mean"
):
    r"""Loss of YOLO's first version: boxes, confidences and classes of a grid of cells.

    Parameters
    ----------
    input : ndarray or Tensor, shape (N, S, S, 5 * B + C)
        For each cell B times (x, y, w, h, confidence), then the classes; float32 or
        float64. x and y are the box's centre in units of the cell, w and h the square
        roots of its sides in units of the picture, as the paper has it.
    target : ndarray, shape (N, S, S, 5 + C)
        For each cell (x, y, w, h) with the sides themselves, then 1 where an object's
        centre lies in the cell, else 0, then the classes.
    boxes : int, optional
        B.
    coord_weight, noobj_weight : float, optional
        What boxes, and confidences without an object, count.
    reduction : {'mean', 'sum'}, optional
        What becomes of the pictures' losses.

    Returns
    -------
    ndarray or Tensor, shape ()

    Raises
    ------
    ValueError
        If the shapes do not fit or `reduction` is not known.
    TypeError
        If the dtypes differ.

    See Also
    --------
    box_iou, nms

    Notes
    -----
    Of a cell's boxes the one with the largest intersection over union is responsible
    for the object. With :math:`c` its confidence and :math:`o` that overlap, a constant
    for the gradient:

    .. math::
        5 \left[(x - \hat x)^2 + (y - \hat y)^2 + (\sqrt w - \sqrt{\hat w})^2
        + (\sqrt h - \sqrt{\hat h})^2\right] + (c - o)^2
        + \sum_k (p_k - \hat p_k)^2

    and half the squares of all other confidences. J. Redmon et al., `You Only Look Once
    <https://arxiv.org/abs/1506.02640>`_, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> right = np.array([0.5, 0.5, 0.25, 0.25, 1.0, 1.0]).reshape(1, 1, 1, 6)
    >>> found = np.array([0.5, 0.5, 0.5, 0.5, 1.0, 1.0]).reshape(1, 1, 1, 6)
    >>> float(dl.yolo_loss(found, right, boxes=1))
    0.0
    """
    op = "yolo_loss"
    x, t = floats(op, ("input", "target"), input, target)
    boxes = whole(op, "boxes", boxes)
    coord = real(op, "coord_weight", coord_weight, 0)
    noobj = real(op, "noobj_weight", noobj_weight, 0)
    width, classes = x.shape[-1] if x.ndim else 0, t.shape[-1] - 5 if t.ndim else -1
    if (
        x.ndim != 4
        or x.shape[:3] != t.shape[:3]
        or boxes < 1
        or classes < 0
        or width != 5 * boxes + classes
    ):
        raise ValueError(
            f"{op}: input and target must have shapes (N, S, S, 5 * boxes + C) and "
            f"(N, S, S, 5 + C) with boxes = {boxes}, got {x.shape} and {t.shape}"
        )
    if not isinstance(reduction, str) or reduction not in ("mean", "sum"):
        raise ValueError(
            f"{op}: reduction must be 'mean' or 'sum', got {one_line(reduction)}"
        )
    cells = x[..., 0].size
    grid, right = reshape(input, (cells, width)), t.reshape(cells, 5 + classes)
    full = np.flatnonzero(right[:, 4] > 0)
    right = right[full]
    found = index_select(grid, 0, full)
    every = reshape(getitem(found, (slice(None), slice(5 * boxes))), (-1, 5))
    grid_size = x.shape[1]
    overlaps = _overlaps(raw(every).reshape(-1, boxes, 5), right, grid_size)
    best = overlaps.argmax(1) if full.size else np.zeros(0, np.int64)
    responsible = index_select(every, 0, np.arange(full.size) * boxes + best)

    wanted = right[:, :5].copy()
    wanted[:, 2:4] = _C.sqrt(np.ascontiguousarray(wanted[:, 2:4]))
    wanted[:, 4] = overlaps[np.arange(full.size), best]
    counts = np.full_like(wanted, coord)
    counts[:, 4] = 1
    loss = mse_loss(responsible, wanted, "sum", counts)
    if classes:
        kinds = getitem(found, (slice(None), slice(5 * boxes, None)))
        loss = add(loss, mse_loss(kinds, np.ascontiguousarray(right[:, 5:]), "sum"))
    confidences = getitem(grid, (slice(None), slice(4, 5 * boxes, 5)))
    idle = np.full((cells, boxes), noobj, x.dtype)
    idle[full, best] = 0
    loss = add(loss, mse_loss(confidences, np.zeros_like(idle), "sum", idle))
    return mul(loss, 1 / max(len(x), 1)) if reduction == "mean" else loss


def _box_loss(boxes, right, chosen, places, count, beta):
    """Smooth L1 of some rows of boxes, over `count`."""
    pair = index_select(boxes, 0, chosen), index_select(right, 0, places)
    return mul(smooth_l1_loss(*pair, "sum", beta), 1 / max(count, 1))


def _overlaps(found, right, cells):
    """Intersection over union of each cell's boxes and its object, (M, B)."""
    centre, half = mul(found[..., :2], 1 / cells), mul(square(found[..., 2:4]), 0.5)
    to, size = mul(right[:, None, :2], 1 / cells), mul(right[:, None, 2:4], 0.5)
    low = maximum(sub(centre, half), sub(to, size))
    high = minimum(add(centre, half), add(to, size))
    both = prod(clamp(sub(high, low), min=0), -1)
    areas = mul(add(prod(half, -1), prod(size, -1)), 4.0)
    union = sub(areas, both)
    return where(union > 0, div(both, where(union > 0, union, 1.0)), 0.0)
