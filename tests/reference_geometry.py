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
