"""Boxes, their suppression and regions once more in NumPy, written to be read."""

import numpy as np

# -- boxes --


def box_convert(boxes, in_fmt, out_fmt):
    p, q = boxes[..., :2], boxes[..., 2:]
    if in_fmt == "xywh":
        p, q = p, p + q
    elif in_fmt == "cxcywh":
        p, q = p - q / 2, p + q / 2
    if out_fmt == "xywh":
        p, q = p, q - p
    elif out_fmt == "cxcywh":
        p, q = (p + q) / 2, q - p
    return np.concatenate([p, q], -1)


def box_area(boxes):
    x1, y1, x2, y2 = np.moveaxis(boxes, -1, 0)
    return (x2 - x1) * (y2 - y1)


def box_measure(measure, a, b, eps_union=0.0, eps=0.0, alpha=None):
    """'iou', 'giou', 'diou' or 'ciou' of boxes that broadcast; also what alpha is."""
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    inter = np.maximum(high - low, 0).prod(-1)
    union = box_area(a) + box_area(b) - inter
    iou = inter / (union + eps_union)
    outer = np.maximum(a[..., 2:], b[..., 2:]) - np.minimum(a[..., :2], b[..., :2])
    if measure == "iou":
        return iou
    if measure == "giou":
        area = outer.prod(-1)
        return iou - (area - union) / (area + eps_union)
    centres = ((a[..., :2] + a[..., 2:]) - (b[..., :2] + b[..., 2:])) / 2
    diou = iou - (centres**2).sum(-1) / ((outer**2).sum(-1) + eps)
    if measure == "diou":
        return diou
    v = 4 / np.pi**2 * (angle(a) - angle(b)) ** 2
    if alpha is None:
        alpha = v / (1 - iou + v + eps)
    return diou - alpha * v


def angle(boxes):
    w, h = np.moveaxis(boxes[..., 2:] - boxes[..., :2], -1, 0)
    return np.arctan(w / h)


def encode_boxes(target, given, weights):
    centre = (target[:, :2] + target[:, 2:] - given[:, :2] - given[:, 2:]) / 2
    sides = given[:, 2:] - given[:, :2]
    scale = np.log((target[:, 2:] - target[:, :2]) / sides)
    return np.hstack([centre / sides, scale]) * weights


def decode_boxes(codes, boxes, weights, clip):
    codes = codes.reshape(len(boxes), -1, 4) / weights
    sides = (boxes[:, 2:] - boxes[:, :2])[:, None]
    centre = codes[..., :2] * sides + (boxes[:, :2] + boxes[:, 2:])[:, None] / 2
    half = np.exp(np.minimum(codes[..., 2:], clip)) * sides / 2
    return np.concatenate([centre - half, centre + half], -1).reshape(len(boxes), -1)


# -- nms --


def falling(scores):
    """The order of scores: NaN first, equal ones as they come."""
    keys = np.where(np.isnan(scores), -np.inf, -scores)
    return np.lexsort((np.arange(len(scores)), keys, ~np.isnan(scores)))


def nms(boxes, scores, threshold, classes=None):
    """In the dtype of the boxes, each operation rounded: which boxes are kept."""
    with np.errstate(all="ignore"):
        left, area, keep = falling(scores), box_area(boxes), []
        while len(left):
            i, left = left[0], left[1:]
            keep.append(i)
            low = np.maximum(boxes[i, :2], boxes[left, :2])
            high = np.minimum(boxes[i, 2:], boxes[left, 2:])
            w, h = np.maximum(high - low, 0).T
            iou = w * h / (area[i] + area[left] - w * h)
            gone = iou.astype("d") > threshold
            if classes is not None:
                gone &= classes[left] == classes[i]
            left = left[~gone]
    return np.array(keep, np.int64)


def soft_nms(boxes, scores, threshold, sigma, least, method):
    scores, left, keep = scores.copy(), np.flatnonzero(scores >= least), []
    while len(left):
        i = left[np.argmax(scores[left])]
        keep.append(i)
        left = left[left != i]
        inter = np.minimum(boxes[i, 2:], boxes[left, 2:])
        inter = inter - np.maximum(boxes[i, :2], boxes[left, :2])
        inter = np.where((inter > 0).all(1), inter.prod(1), 0)
        union = box_area(boxes[i]) + box_area(boxes[left]) - inter
        iou = np.where(inter > 0, inter / np.where(union != 0, union, 1), 0)
        linear = np.where(iou >= threshold, 1 - iou, 1)
        scores[left] *= linear if method == "linear" else np.exp(-(iou**2) / sigma)
        left = left[scores[left] >= least]
    return np.array(keep, np.int64), scores[keep]


# -- roi --


def roi_align(x, rois, size, scale=1.0, sampling_ratio=-1, aligned=False):
    """One sample at a time, from the definition."""
    y = np.zeros((len(rois), x.shape[1], *size))
    for roi, to in zip(rois.astype("d"), y):
        offset = 0.5 if aligned else 0.0
        start = roi[[2, 1]] * scale - offset  # y, x
        length = roi[[4, 3]] * scale - offset - start
        if not aligned:
            length = np.maximum(length, 1)
        bins = length / size
        counts = [sampling_ratio] * 2 if sampling_ratio > 0 else np.ceil(bins)
        counts = [int(max(c, 0)) for c in counts]
        for b in np.ndindex(*size):
            for s in np.ndindex(*counts):
                at = start + b * bins + (np.array(s) + 0.5) * bins / counts
                to[(slice(None), *b)] += bilinear(x[int(roi[0])], *at) / np.prod(counts)
    return y


def bilinear(image, v, u):
    height, width = image.shape[1:]
    if not (-1 <= v <= height and -1 <= u <= width):
        return 0.0
    v, u = min(max(v, 0), height - 1), min(max(u, 0), width - 1)
    top, left = int(v), int(u)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, across = v - top, u - left
    above = (1 - across) * image[:, top, left] + across * image[:, top, right]
    below = (1 - across) * image[:, bottom, left] + across * image[:, bottom, right]
    return (1 - down) * above + down * below


def roi_pool(x, rois, size, scale=1.0):
    y = np.zeros((len(rois), x.shape[1], *size))
    for roi, to in zip(rois.astype("d"), y):
        corners = roi[1:] * scale
        corners = np.where(
            corners < 0, -np.floor(0.5 - corners), np.floor(corners + 0.5)
        )
        start, last = corners[[1, 0]].astype(int), corners[[3, 2]].astype(int)
        length = np.maximum(last - start + 1, 1)
        for b in np.ndindex(*size):
            begin = [k * n // m + s for k, n, m, s in zip(b, length, size, start)]
            end = [
                -(-(k + 1) * n // m) + s for k, n, m, s in zip(b, length, size, start)
            ]
            rows, columns = (slice(max(p, 0), max(q, 0)) for p, q in zip(begin, end))
            inside = x[int(roi[0])][:, rows, columns]
            if inside[0].size:
                to[(slice(None), *b)] = inside.max((1, 2))
    return y
