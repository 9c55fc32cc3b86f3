"""Pooling in plain NumPy: every window written out, over any number of last axes."""

import numpy as np


def positions(size, kernel, stride, padding=0, dilation=1, ceil_mode=False):
    """The places of each window's elements, of which some are outside."""
    rest = size + 2 * padding - dilation * (kernel - 1) - 1
    count = -(-rest // stride) + 1 if ceil_mode else rest // stride + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1  # it would begin in the padding behind
    starts = [o * stride - padding for o in range(count)]
    return [[start + dilation * t for t in range(kernel)] for start in starts]


def adaptive_positions(size, count):
    edges = [(o * size // count, -((o + 1) * size // -count)) for o in range(count)]
    return [list(range(*edge)) for edge in edges]


def each_window(x, places):
    """(output, windows of x with their flat places) over the last axes of x.

    `places` has, for each axis, the places of each window.
    """
    dims = len(places)
    sizes = x.shape[-dims:]
    flat = np.arange(np.prod(sizes)).reshape(sizes)
    for output in np.ndindex(*(len(p) for p in places)):
        inside = [
            [i for i in p[o] if 0 <= i < n]
            for p, o, n in zip(places, output, sizes, strict=True)
        ]
        grid = np.ix_(*inside)
        yield output, x[(..., *grid)], flat[grid]


def max_pool(x, places):
    """The maxima and their flat places: the first of equal ones, the last NaN."""
    dims = len(places)
    shape = x.shape[:-dims] + tuple(len(p) for p in places)
    y, indices = np.empty(shape, x.dtype), np.empty(shape, np.int64)
    for output, window, flat in each_window(x, places):
        window = window.reshape(*x.shape[:-dims], -1)
        nan = np.isnan(window)
        last = window.shape[-1] - 1 - nan[..., ::-1].argmax(-1)
        best = np.where(nan.any(-1), last, np.where(nan, -np.inf, window).argmax(-1))
        y[(..., *output)] = np.take_along_axis(window, best[..., None], -1)[..., 0]
        indices[(..., *output)] = flat.reshape(-1)[best]
    return y, indices


def min_pool(x, places):
    y, indices = max_pool(-x, places)
    return -y, indices


def max_pool_gradient(x, places, dy):
    _, indices = max_pool(x, places)
    dims = len(places)
    dx = np.zeros((int(np.prod(x.shape[:-dims])), int(np.prod(x.shape[-dims:]))))
    rows = np.arange(len(dx))[:, None]
    np.add.at(dx, (rows, indices.reshape(len(dx), -1)), dy.reshape(len(dx), -1))
    return dx.reshape(x.shape)


def counts(sizes, places, padding, count_include_pad):
    """How many elements each window's sum is divided by."""
    each = []
    for size, windows, pad in zip(sizes, places, padding, strict=True):
        low, high = (-pad, size + pad) if count_include_pad else (0, size)
        each.append([sum(low <= i < high for i in w) for w in windows])
    total = np.ones(())
    for c in each:
        total = np.multiply.outer(total, c)
    return total


def avg_pool(x, places, padding=None, count_include_pad=True, divisor=None):
    dims = len(places)
    padding = padding or (0,) * dims
    y = np.empty(x.shape[:-dims] + tuple(len(p) for p in places))
    for output, window, _ in each_window(x, places):
        y[(..., *output)] = window.sum(tuple(range(-dims, 0)))
    return y / (divisor or counts(x.shape[-dims:], places, padding, count_include_pad))


def lp_pool(x, norm_type, places):
    size = np.prod([len(p[0]) for p in places])
    return (avg_pool(x**norm_type, places) * size) ** (1 / norm_type)


def max_unpool(x, indices, sizes):
    dims = len(sizes)
    y = np.zeros((int(np.prod(x.shape[:-dims])), int(np.prod(sizes))), x.dtype)
    for plane, values, places in zip(
        y, x.reshape(len(y), -1), indices.reshape(len(y), -1), strict=True
    ):
        for value, place in zip(values, places, strict=True):
            plane[place] = value
    return y.reshape(*x.shape[:-dims], *sizes)
