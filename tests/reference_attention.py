"""Attention in plain NumPy, whole matrices of scores."""

import numpy as np


def mask_of(attn_mask, is_causal, queries, keys):
    """What is added to the scores."""
    if is_causal:
        return np.where(np.tri(queries, keys, dtype=bool), 0.0, -np.inf)
    if attn_mask is None:
        return np.zeros(())
    if attn_mask.dtype == bool:
        return np.where(attn_mask, 0.0, -np.inf)
    return attn_mask.astype(float)


def weights(query, key, attn_mask=None, is_causal=False, scale=None):
    """Probabilities; zeros for a query that sees no key."""
    q, k = query.astype(float), key.astype(float)
    k = np.repeat(k, q.shape[-3] // k.shape[-3], -3) if k.ndim > 2 else k
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    s = scale * (q @ k.swapaxes(-1, -2))
    s = s + mask_of(attn_mask, is_causal, q.shape[-2], k.shape[-2])
    with np.errstate(invalid="ignore"):
        top = s.max(-1, keepdims=True, initial=-np.inf)
        e = np.exp(s - np.where(np.isinf(top), 0, top))
        total = e.sum(-1, keepdims=True)
        return np.where(total == 0, 0, e / np.where(total == 0, 1, total))


def attention(
    query, key, value, attn_mask=None, is_causal=False, scale=None, drop=None
):
    """The result; `drop` is what dropout multiplies the weights by."""
    v = value.astype(float)
    v = np.repeat(v, query.shape[-3] // v.shape[-3], -3) if v.ndim > 2 else v
    p = weights(query, key, attn_mask, is_causal, scale)
    return (p if drop is None else p * drop) @ v


def gradients(query, key, value, dy, attn_mask=None, is_causal=False, scale=None):
    """(dq, dk, dv, dmask), the last of the shape of the scores."""
    q, k, v, dy = (x.astype(float) for x in (query, key, value, dy))
    group = q.shape[-3] // k.shape[-3] if k.ndim > 2 else 1
    k, v = (np.repeat(x, group, -3) if x.ndim > 2 else x for x in (k, v))
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    p = weights(query, key, attn_mask, is_causal, scale)
    dp = dy @ v.swapaxes(-1, -2)
    ds = p * (dp - (p * dp).sum(-1, keepdims=True))
    dk, dv = scale * ds.swapaxes(-1, -2) @ q, p.swapaxes(-1, -2) @ dy
    if group > 1:
        dk, dv = (
            d.reshape(*d.shape[:-3], -1, group, *d.shape[-2:]).sum(-3) for d in (dk, dv)
        )
    return scale * ds @ k, dk, dv, ds


def additive_scores(query, key, weight):
    q, k = query.astype(float), key.astype(float)
    return np.tanh(q[..., :, None, :] + k[..., None, :, :]) @ weight.astype(float)


def cosine_scores(query, key):
    q, k = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (query, key))
    return q.astype(float) @ k.astype(float).swapaxes(-1, -2)


def rotated(x, positions, base=10000.0, interleaved=False):
    """Each pair as a complex number, times a number of length 1."""
    half = x.shape[-1] // 2
    a, b = (x[..., ::2], x[..., 1::2]) if interleaved else np.split(x, 2, -1)
    angles = positions[:, None] * base ** (-np.arange(half) / half)
    z = (a.astype(float) + 1j * b) * np.exp(1j * angles)
    if not interleaved:
        return np.concatenate([z.real, z.imag], -1)
    return np.stack([z.real, z.imag], -1).reshape(x.shape)
