"""Detection."""

import math

import numpy as np

import dlcore as dl

from .table import add, apart, normal


def _boxes(*counts):
    def inputs(rng):
        low = [rng.uniform(0, 5, (n, 2)) for n in counts]
        return [np.hstack([p, p + rng.uniform(1, 6, p.shape)]) for p in low]

    return inputs


def _sides(boxes):
    return boxes[..., 2:] - boxes[..., :2]


def _overlap(a, b, measure="iou"):
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    inter = np.maximum(high - low, 0).prod(-1)
    union = _sides(a).prod(-1) + _sides(b).prod(-1) - inter
    iou = inter / union
    if measure == "iou":
        return iou
    outer = np.maximum(a[..., 2:], b[..., 2:]) - np.minimum(a[..., :2], b[..., :2])
    if measure == "giou":
        return iou - 1 + union / outer.prod(-1)
    apart = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2
    diou = iou - (apart**2).sum(-1) / (outer**2).sum(-1)
    if measure == "diou":
        return diou
    angles = [np.arctan(_sides(x)[..., 0] / _sides(x)[..., 1]) for x in (a, b)]
    v = 4 / math.pi**2 * (angles[0] - angles[1]) ** 2
    return diou - v**2 / (1 - iou + v)


add(
    "box_convert",
    _boxes(5),
    lambda x: dl.box_convert(x, "xyxy", "cxcywh"),
    lambda x: np.hstack([(x[:, :2] + x[:, 2:]) / 2, _sides(x)]),
)
add("box_area", _boxes(5), lambda x: dl.box_area(x), lambda x: _sides(x).prod(1))
add(
    "clip_boxes_to_image",
    _boxes(9),
    lambda x: dl.clip_boxes_to_image(x, (6, 7)),
    lambda x: np.clip(x, 0, [7, 6, 7, 6]),
)
add(
    "remove_small_boxes",
    _boxes(50),
    lambda x: dl.remove_small_boxes(x, 3.0),
    lambda x: np.flatnonzero((_sides(x) >= 3).all(1)),
    gradient=False,
)
for _op, _measure in (
    ("box_iou", "iou"),
    ("generalized_box_iou", "giou"),
    ("distance_box_iou", "diou"),
    ("complete_box_iou", "ciou"),  # its weight is a constant for the gradient
):
    _eps = {"eps": 0} if _measure in ("diou", "ciou") else {}
    add(
        _op,
        _boxes(3, 20),
        lambda a, b, _op=_op, _eps=_eps: getattr(dl, _op)(a, b, **_eps),
        lambda a, b, _measure=_measure: _overlap(a[:, None], b, _measure),
        gradient=_measure != "ciou",
        bound=200,
    )
    if _measure != "iou":
        add(
            _op + "_loss",
            _boxes(20, 20),
            lambda a, b, _op=_op: getattr(dl, _op + "_loss")(a, b, "sum", eps=0),
            lambda a, b, _measure=_measure: (1 - _overlap(a, b, _measure)).sum(),
            gradient=_measure != "ciou",
            bound=200,
        )


def _encode(t, g):
    centres = (t[:, :2] + t[:, 2:] - g[:, :2] - g[:, 2:]) / 2 / _sides(g)
    return np.hstack([centres, np.log(_sides(t) / _sides(g))])


def _decode(d, g):
    centres = d[:, :2] * _sides(g) + (g[:, :2] + g[:, 2:]) / 2
    half = np.exp(d[:, 2:]) * _sides(g) / 2
    return np.hstack([centres - half, centres + half])


add("encode_boxes", _boxes(20, 20), lambda t, g: dl.encode_boxes(t, g), _encode)
add(
    "decode_boxes",
    lambda rng: [rng.standard_normal((20, 4)), *_boxes(20)(rng)],
    lambda d, g: dl.decode_boxes(d, g),
    _decode,
)
add(
    "grid_anchors",
    _boxes(3),
    lambda x: dl.grid_anchors(x, (2, 4), (8, 16)),
    lambda x: np.vstack([x + [16 * j, 8 * i] * 2 for i in (0, 1) for j in range(4)]),
    gradient=False,
)


def _scored(rng):
    """Boxes in the order of their scores."""
    return [*_boxes(40)(rng), np.linspace(1, 0.5, 40)]


def _kept(boxes, classes=None):
    iou, keep = _overlap(boxes[:, None], boxes), []
    for i in range(len(boxes)):
        rivals = [j for j in keep if classes is None or classes[i] == classes[j]]
        if not (iou[i, rivals] > 0.3).any():
            keep.append(i)
    return np.array(keep)


def _softened(boxes, scores):
    """The lowered scores, falling: no two boxes overlap by more than 0.9."""
    iou, scores, taken = _overlap(boxes[:, None], boxes), scores.copy(), []
    for _ in boxes:
        i = scores.argmax()
        taken.append(scores[i])
        scores *= np.where(iou[i] >= 0.3, 1 - iou[i], 1)
        scores[i] = -np.inf
    return np.array(taken)


_KINDS = np.arange(40) % 3
add(
    "nms",
    _scored,
    lambda x, s: dl.nms(x, s, 0.3),
    lambda x, s: _kept(x),
    gradient=False,
)
add(
    "batched_nms",
    _scored,
    lambda x, s: dl.batched_nms(x, s, _KINDS, 0.3),
    lambda x, s: _kept(x, _KINDS),
    gradient=False,
)
add(
    "soft_nms",
    _scored,
    lambda x, s: dl.soft_nms(x, s, 0.3, score_threshold=0)[1],
    _softened,
    gradient=False,
)

_REGION = np.array([[1, 0.5, 1.25, 4.5, 5.25]])


def _regions(x):
    return _REGION.astype(np.asarray(getattr(x, "data", x)).dtype)


def _middles(x):
    """Bilinear samples of picture 1 at (2.25, 1.5) and around: bins of 2 pixels."""
    down, across = np.array([1.75, 3.75]), np.array([1.0, 3.0])
    low, part = down.astype(int), (down % 1)[:, None]
    rows = x[1, :, low] * (1 - part)[..., None] + x[1, :, low + 1] * part[..., None]
    return rows[..., across.astype(int)].transpose(1, 0, 2)[None]


add(
    "roi_align",
    normal((2, 20, 6, 7)),
    lambda x: dl.roi_align(x, _regions(x), 2, sampling_ratio=1, aligned=True),
    _middles,
)
add(
    "roi_pool",
    apart((2, 20, 6, 7)),
    lambda x: dl.roi_pool(x, _regions(x), (1, 1)),
    lambda x: x[1:, :, 1:6, 1:6].max((2, 3), keepdims=True),
)
