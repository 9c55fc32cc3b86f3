"""Attention."""

import numpy as np

import dlcore as dl

from .table import add, normal


def _attention(q, k, v, mask=0.0):
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]) + mask
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True) @ v


_CAUSAL = np.where(np.tri(13, 17, dtype=bool), 0.0, -np.inf)

add(
    "scaled_dot_product_attention",
    normal((2, 3, 13, 8), (2, 3, 17, 8), (2, 3, 17, 5)),
    dl.scaled_dot_product_attention,
    _attention,
)
add(
    "scaled_dot_product_attention",
    normal((2, 3, 13, 8), (2, 3, 17, 8), (2, 3, 17, 5)),
    lambda q, k, v: dl.scaled_dot_product_attention(q, k, v, is_causal=True),
    lambda q, k, v: _attention(q, k, v, _CAUSAL),
)
add(
    "scaled_dot_product_attention",
    normal((2, 2, 8), (2, 30, 8), (2, 30, 5)),
    dl.scaled_dot_product_attention,
    _attention,
)
