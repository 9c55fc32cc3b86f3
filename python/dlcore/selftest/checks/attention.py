"""Attention."""

import numpy as np

import dlcore as dl

from .table import add, normal


def _attention(q, k, v, mask=0.0):
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]) + mask
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True) @ v


def _unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _turned(x, positions):
    a, b = np.split(x, 2, -1)
    angles = positions[:, None] * 1e4 ** (-np.arange(a.shape[-1]) / a.shape[-1])
    cos, sin = np.cos(angles), np.sin(angles)
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)


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
add(
    "additive_scores",
    normal((2, 3, 9), (2, 7, 9), (9,)),
    dl.additive_scores,
    lambda q, k, w: np.tanh(q[:, :, None] + k[:, None]) @ w,
)
add(
    "cosine_scores",
    normal((2, 3, 9), (2, 7, 9)),
    dl.cosine_scores,
    lambda q, k: _unit(q) @ _unit(k).swapaxes(1, 2),
)
add(
    "rotary_embedding",
    normal((2, 5, 12)),
    lambda x: dl.rotary_embedding(x, 3),
    lambda x: _turned(x, np.arange(3, 8)),
)
