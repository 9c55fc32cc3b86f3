"""Embedding, picking and sorting in plain NumPy, to be read."""

import numpy as np


def embedding_backward(dy, index, rows, padding_idx=None, by_frequency=False):
    dw = np.zeros((rows, dy.shape[-1]), dy.dtype)
    for place in np.ndindex(index.shape):
        if index[place] != padding_idx:
            share = np.sum(index == index[place]) if by_frequency else 1
            dw[index[place]] += dy[place] / share
    return dw


def bags(index, offsets=None, include_last=False, padding_idx=None):
    """The numbers of each bag."""
    if index.ndim == 2:
        parts = list(index)
    else:
        ends = list(offsets[1:]) + ([] if include_last else [len(index)])
        starts = offsets[: len(ends)]
        parts = [index[a:b] for a, b in zip(starts, ends, strict=True)]
    return [part[part != padding_idx] for part in parts]


def embedding_bag(parts, weight, mode):
    y = np.zeros((len(parts), weight.shape[1]), weight.dtype)
    for b, part in enumerate(parts):
        if len(part):
            y[b] = getattr(np, mode)(weight[part], axis=0)
    return y


def index_add(x, dim, index, source, alpha=1):
    y = x.copy()
    moved, rows = np.moveaxis(y, dim, 0), np.moveaxis(source, dim, 0)
    for i, row in zip(index, rows, strict=True):
        moved[i] += alpha * row
    return y


def gather(x, dim, index):
    y = np.empty(index.shape, x.dtype)
    for place in np.ndindex(index.shape):
        where = list(place)
        where[dim] = index[place]
        y[place] = x[tuple(where)]
    return y


def scatter(x, dim, index, src, add=False):
    y = x.copy()
    for place in np.ndindex(index.shape):
        where = list(place)
        where[dim] = index[place]
        value = src[place] if isinstance(src, np.ndarray) else src
        y[tuple(where)] = y[tuple(where)] + value if add else value
    return y


def order(row, descending):
    """Stable; NaN counts as the largest."""
    keys = [(bool(np.isnan(v)), 0.0 if np.isnan(v) else float(v)) for v in row]
    flip = -1 if descending else 1
    return sorted(range(len(row)), key=lambda i: (flip * keys[i][0], flip * keys[i][1]))
