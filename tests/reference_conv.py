"""Convolutions over any number of axes in float64 NumPy, from their definitions."""

import itertools

import numpy as np


def ends(padding, dims):
    """(before, after) of each axis, of what the ops accept but for words."""
    each = [padding] * dims if isinstance(padding, int) else list(padding)
    if dims == 1 and len(each) == 2:
        each = [tuple(each)]
    return [(p, p) if isinstance(p, int) else tuple(p) for p in each]


def sizes(value, dims):
    return (value,) * dims if isinstance(value, int) else tuple(value)


def conv(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Tap by tap."""
    dims = weight.ndim - 2
    stride, dilation = sizes(stride, dims), sizes(dilation, dims)
    x = np.pad(x, [(0, 0), (0, 0), *ends(padding, dims)])
    taps = weight.shape[2:]
    out = [
        (n - d * (k - 1) - 1) // s + 1
        for n, d, k, s in zip(x.shape[2:], dilation, taps, stride, strict=True)
    ]
    k, c = weight.shape[0] // groups, x.shape[1] // groups
    y = np.zeros((len(x), weight.shape[0], *out))
    for tap in itertools.product(*map(range, taps)):
        at = tuple(
            slice(t * d, t * d + (n - 1) * s + 1, s)
            for t, d, n, s in zip(tap, dilation, out, stride, strict=True)
        )
        for g in range(groups):
            seen = x[(slice(None), slice(g * c, (g + 1) * c), *at)]
            rows = slice(g * k, (g + 1) * k)
            y[:, rows] += np.einsum(
                "nc...,kc->nk...", seen, weight[(rows, slice(None), *tap)]
            )
    return y if bias is None else y + bias.reshape(-1, *[1] * dims)


def conv_transpose(
    x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1
):
    """Every element of x adds a window; then the ends are cut."""
    dims = weight.ndim - 2
    stride, dilation = sizes(stride, dims), sizes(dilation, dims)
    more, taps = sizes(output_padding, dims), weight.shape[2:]
    full = [
        (n - 1) * s + d * (k - 1) + 1 + m
        for n, s, d, k, m in zip(x.shape[2:], stride, dilation, taps, more, strict=True)
    ]
    c, k = x.shape[1] // groups, weight.shape[1]
    y = np.zeros((len(x), k * groups, *full))
    for tap in itertools.product(*map(range, taps)):
        at = tuple(
            slice(t * d, t * d + (n - 1) * s + 1, s)
            for t, d, n, s in zip(tap, dilation, x.shape[2:], stride, strict=True)
        )
        for g in range(groups):
            rows = slice(g * c, (g + 1) * c)
            y[(slice(None), slice(g * k, (g + 1) * k), *at)] += np.einsum(
                "nc...,ck->nk...", x[:, rows], weight[(rows, slice(None), *tap)]
            )
    cut = [
        slice(low, n - high)
        for n, (low, high) in zip(full, ends(padding, dims), strict=True)
    ]
    y = y[(slice(None), slice(None), *cut)]
    return y if bias is None else y + bias.reshape(-1, *[1] * dims)
