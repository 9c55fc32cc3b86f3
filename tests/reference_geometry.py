"""Padding, resizing, sampling in float64 NumPy, slow and written to be read."""

import numpy as np


def padded_places(n, before, after, mode):
    """Along a padded axis, the element each one is a copy of; -1: the constant."""
    kept = np.arange(max(0, -before), n - max(0, -after))
    places = []
    for i in range(-before, n + after):
        if kept[0] <= i <= kept[-1] if len(kept) else False:
            places.append(i)
        elif mode == "constant":
            places.append(-1)
        elif mode == "replicate":
            places.append(0 if i < 0 else n - 1)
        elif mode == "reflect":
            places.append(-i if i < 0 else 2 * (n - 1) - i)
        else:
            places.append(kept[(i - kept[0]) % len(kept)])
    return np.array(places, int)


def pad(x, pad, mode="constant", value=0.0):
    for i in range(len(pad) // 2):
        axis = x.ndim - 1 - i
        places = padded_places(x.shape[axis], pad[2 * i], pad[2 * i + 1], mode)
        inside = np.moveaxis(x, axis, -1)
        if x.shape[axis] == 0:
            inside = np.zeros((*inside.shape[:-1], 1))
        y = np.where(places < 0, value, inside[..., places])
        x = np.moveaxis(y, -1, axis)
    return x


def _keys(x, a):
    x = abs(x)
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a if x < 2 else 0.0


def resize_matrix(n, m, mode, align=False, scale=None, antialias=False):
    """(m, n): how much of each element of an axis is in each of the resized one."""
    step = 1 / scale if scale else n / m
    if align:
        step = (n - 1) / (m - 1) if m > 1 else 0.0
    matrix = np.zeros((m, n))
    for o in range(m):
        place = step * o if align else step * (o + 0.5) - 0.5
        if mode == "nearest":
            matrix[o, min(int(step * o), n - 1)] = 1
        elif mode == "nearest-exact":
            matrix[o, min(int(step * (o + 0.5)), n - 1)] = 1
        elif mode == "area":
            begin, end = o * n // m, -(-(o + 1) * n // m)
            matrix[o, begin:end] = 1 / (end - begin)
        elif antialias:
            wide, centre = max(step, 1.0), step * (o + 0.5)
            radius = wide * (2 if mode == "bicubic" else 1)
            begin = max(0, int(centre - radius + 0.5))
            for i in range(begin, min(n, int(centre + radius + 0.5))):
                x = (i - centre + 0.5) / wide
                matrix[o, i] = _keys(x, -0.5) if mode == "bicubic" else 1 - abs(x)
            matrix[o] = np.maximum(matrix[o], 0) if mode != "bicubic" else matrix[o]
            matrix[o] /= matrix[o].sum()
        elif mode == "bicubic":
            i = int(np.floor(place))
            for k in range(i - 1, i + 3):
                matrix[o, min(max(k, 0), n - 1)] += _keys(place - k, -0.75)
        else:
            place = min(max(place, 0.0), n - 1.0)
            i = int(place)
            matrix[o, i] += 1 - (place - i)
            matrix[o, min(i + 1, n - 1)] += place - i
    return matrix


def interpolate(x, size, mode, align=False, scale=None, antialias=False):
    for i, m in enumerate(size):
        matrix = resize_matrix(x.shape[2 + i], m, mode, align, scale, antialias)
        x = np.moveaxis(np.tensordot(x, matrix, (2 + i, 1)), -1, 2 + i)
    return x


def pixel_shuffle(x, r):
    *batch, c, h, w = x.shape
    y = x.reshape(*batch, c // r**2, r, r, h, w)
    y = np.moveaxis(y, (-4, -3), (-3, -1))
    return y.reshape(*batch, c // r**2, h * r, w * r)


def _along(v, n, mode, padding, align):
    """[(element of the axis, weight)] of one coordinate, without those outside."""
    pixel = (v + 1) / 2 * (n - 1) if align else ((v + 1) * n - 1) / 2

    def inside(at):
        if padding == "zeros":
            return at
        if padding == "reflection":
            low, span = (0.0, n - 1.0) if align else (-0.5, float(n))
            if span == 0:
                return 0.0
            times, rest = divmod(abs(at - low), span)
            at = (rest if times % 2 == 0 else span - rest) + low
        return min(max(at, 0.0), n - 1.0)

    if mode == "bicubic":
        first = int(np.floor(pixel)) - 1
        taps = [
            (int(inside(i)), _keys(pixel - i, -0.75)) for i in range(first, first + 4)
        ]
    elif mode == "nearest":
        taps = [(int(np.rint(inside(pixel))), 1.0)]
    else:
        at = inside(pixel)
        low = int(np.floor(at))
        taps = [(low, 1 - (at - low)), (low + 1, at - low)]
    return [(i, w) for i, w in taps if 0 <= i < n]


def grid_sample(x, grid, mode="bilinear", padding="zeros", align=False):
    n, c, *size = x.shape
    y = np.zeros((n, c, *grid.shape[1:-1]))
    for b, *place in np.ndindex(grid.shape[:-1]):
        taps = [((), 1.0)]
        for axis, length in enumerate(size):
            v = float(grid[(b, *place, len(size) - 1 - axis)])
            along = _along(v, length, mode, padding, align)
            taps = [((*at, i), w * u) for at, w in taps for i, u in along]
        for at, weight in taps:
            y[(b, slice(None), *place)] += weight * x[(b, slice(None), *at)]
    return y
