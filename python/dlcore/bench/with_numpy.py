"""Each piece of work by NumPy, as users write it: functions that return a call."""

from functools import partial

import numpy as np


def gemm(case, variant, a, b):
    if case.sizes["layout"][0] == "t":
        a = a.swapaxes(-1, -2)
    if case.sizes["layout"][1] == "t":
        b = b.swapaxes(-1, -2)
    return partial(np.matmul, a, b)


def unary(case, variant, x):
    y = np.empty_like(x) if case.mode == "out=" else None

    def sigmoid():
        z = np.negative(x, out=y)
        np.exp(z, out=z)
        z += 1
        return np.reciprocal(z, out=z)

    op = case.sizes["op"]
    if op == "sigmoid":
        return sigmoid
    if op == "relu":
        return partial(np.maximum, x, 0, out=y)
    return partial(getattr(np, op), x, out=y)


def add(case, variant, a, b):
    return partial(np.add, a, b, out=np.empty_like(a) if case.mode == "out=" else None)


def add_rows(case, variant, a, b):
    return partial(np.add, a, b)


def sum(case, variant, x):
    return partial(np.sum, x, axis=case.sizes["axis"])


def dropout(case, variant, x):
    rng = np.random.default_rng(1)
    return lambda: x * ((rng.random(x.shape, np.float32) >= 0.5) * np.float32(2))


def softmax(case, variant, x, dy, labels):
    def call():
        e = np.exp(x - x.max(1, keepdims=True))
        e /= e.sum(1, keepdims=True)
        return e

    return call


def log_softmax(case, variant, x, dy, labels):
    def call():
        z = x - x.max(1, keepdims=True)
        z -= np.log(np.exp(z).sum(1, keepdims=True))
        return z

    return call


def cross_entropy(case, variant, x, dy, labels):
    rows = np.arange(len(x))

    def call():
        top = x.max(1)
        log_sum = np.log(np.exp(x - top[:, None]).sum(1)) + top
        return (log_sum - x[rows, labels]).mean()

    return call


def embedding(case, variant, weight, ids, dy):
    return partial(np.take, weight, ids, 0)


def along_rows(case, variant, x, index, src):
    if case.sizes["op"] == "sort":
        return partial(np.sort, x)
    return partial(np.cumsum, x, 1)


def nms(case, variant, boxes, scores):
    x1, y1, x2, y2 = boxes.T

    def call():
        area = (x2 - x1) * (y2 - y1)
        left, keep = np.argsort(-scores), []
        while left.size:
            i, left = left[0], left[1:]
            keep.append(i)
            w = np.minimum(x2[i], x2[left]) - np.maximum(x1[i], x1[left])
            h = np.minimum(y2[i], y2[left]) - np.maximum(y1[i], y1[left])
            inter = np.maximum(w, 0) * np.maximum(h, 0)
            iou = inter / (area[i] + area[left] - inter)
            left = left[iou <= case.sizes["threshold"]]
        return np.array(keep)

    return call


def call(case, variant, x, y):
    op = case.sizes["op"]
    if op == "relu":
        return partial(np.maximum, x, 0)
    return partial(np.exp, x) if op == "exp" else partial(getattr(np, op), x, y)
