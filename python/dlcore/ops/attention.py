"""Scaled dot product attention in memory linear in length."""

from math import prod

import numpy as np

from .. import _C
from ..tensor import raw, record
from .inputs import wants
from .shape import as_array, expand, reshape

_OP = "scaled_dot_product_attention"


def scaled_dot_product_attention(
    query,
    key,
    value,
    attn_mask=None,
    dropout_p=0.0,
    is_causal=False,
    scale=None,
    enable_gqa=False,
):
    r"""Means of values, weighted by how well their keys go with each query.

    Parameters
    ----------
    query : ndarray or Tensor, shape (..., H, L, E)
        float32 or float64. Strided views whose last axis is contiguous are read where
        they lie, so that heads need no copy.
    key : ndarray or Tensor, shape (..., H, S, E)
    value : ndarray or Tensor, shape (..., H, S, Ev)
        Axes before the last two broadcast; there may be none.
    attn_mask : ndarray or Tensor, broadcast to (..., H, L, S), optional
        bool: True where a key takes part. Of the dtype of `query`: added to the scores,
        with a gradient.
    dropout_p : float, optional
        Probability of dropping a weight, from 0 to 1. It applies whenever it is not 0:
        pass 0 for inference.
    is_causal : bool, optional
        Whether query i sees the keys 0 to i alone; then `attn_mask` must be None.
    scale : float, optional
        Of the scores; ``1 / sqrt(E)`` by default.
    enable_gqa : bool, optional
        Whether `key` and `value` may have fewer heads, a divisor of H: query head h
        uses theirs number ``h // (H / their heads)``.

    Returns
    -------
    ndarray or Tensor, shape (..., H, L, Ev)
        Laid out in memory as `query` is. A query all of whose keys are masked, or that
        has none, gives zeros and passes no gradient on, as in PyTorch 2.5 and later. A
        score of NaN or +inf makes its query NaN. NaN or inf in a key or a value that a
        mask hides may come through (0 times inf is NaN), as in PyTorch.

    Raises
    ------
    ValueError
        If the shapes do not go together, `dropout_p` is not from 0 to 1, or both
        `attn_mask` and `is_causal` are given.
    TypeError
        If the dtypes differ or are not float32 or float64.

    See Also
    --------
    softmax, dlcore.nn.MultiheadAttention

    Notes
    -----
    .. math:: y = \mathrm{dropout}(\mathrm{softmax}(scale \cdot q k^T + mask)) v

    Blocks of keys pass by the queries and no matrix of scores is ever whole (the online
    softmax: Milakov and Gimelshein 2018; Dao, Fu, Ermon, Rudra and Ré 2022). Backward
    makes the weights again from the logarithm of each row's sum, and dropout's mask
    again from its random counters. Of causal attention the future is not computed. A
    few queries, of up to 8 heads times rows to a head of keys, take a way of their own
    that reads keys and values once: decoding with a cache.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> q, k = np.zeros((1, 2)), np.ones((3, 2))
    >>> dl.scaled_dot_product_attention(q, k, np.array([[0.0], [3.0], [6.0]]))
    array([[3.]])
    """
    if is_causal and attn_mask is not None:
        raise ValueError(
            f"{_OP}: attn_mask must be None where is_causal is set: "
            "put both into one mask"
        )
    return attend(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)


def attend(query, key, value, attn_mask, dropout_p, is_causal, scale=None, gqa=False):
    """`scaled_dot_product_attention`, whose mask may come on top of causality."""
    options = dropout_p, is_causal, scale, gqa
    named = ("query", query), ("key", key), ("value", value)
    arrays = [as_array(_OP, x, name) for name, x in named]
    if _needs_broadcast(arrays, gqa):
        return _broadcast(arrays, query, key, value, attn_mask, options)
    q, k, v, mask = raw(query), raw(key), raw(value), raw(attn_mask)
    y, lse, seed, offset = _forward(q, k, v, mask, *options)
    if attn_mask is None and type(query) is type(key) is type(value) is np.ndarray:
        return y
    wants_mask = wants(attn_mask)

    def scaled_dot_product_attention(dy):
        saved = y, lse, seed, offset, dy, wants_mask, False
        return _backward(q, k, v, mask, *options, *saved)

    return record(y, (query, key, value, attn_mask), scaled_dot_product_attention)


def self_attention(qkv, heads, batch_first, attn_mask, dropout_p, is_causal):
    """Attention of rows that hold query, key and value one after the other.

    Parameters
    ----------
    qkv : ndarray or Tensor, shape (B, L, 3 E) or, not `batch_first`, (L, B, 3 E)
        Nothing is copied, and the gradient is one array.
    heads : int
        A divisor of E.
    batch_first : bool
    attn_mask, dropout_p, is_causal
        As for `scaled_dot_product_attention`, but a mask may come on top of causality.

    Returns
    -------
    ndarray or Tensor, shape (B, L, E) or (L, B, E)
    """
    packed = raw(qkv)
    outer, width = packed.shape[:2], packed.shape[2] // 3
    order = (0, 2, 1, 3) if batch_first else (1, 2, 0, 3)  # to batch, heads, rows
    back = np.argsort(order)
    thirds = packed.reshape(*outer, 3, heads, width // heads)
    q, k, v = (thirds[:, :, i].transpose(order) for i in range(3))
    mask, options = raw(attn_mask), (dropout_p, is_causal, None, False)
    y, lse, seed, offset = _forward(q, k, v, mask, *options)
    wants_mask = wants(attn_mask)

    def self_attention(dy):
        dy = dy.reshape(*outer, heads, width // heads).transpose(order)
        saved = y, lse, seed, offset, dy, wants_mask, True
        d, _, _, dmask = _C.scaled_dot_product_attention_backward(
            q, k, v, mask, *options, *saved
        )
        return d.reshape(packed.shape), dmask

    return record(
        y.transpose(back).reshape(*outer, width), (qkv, attn_mask), self_attention
    )


def _forward(*arguments):
    return _C.scaled_dot_product_attention_forward(*arguments)


def _backward(*arguments):
    return _C.scaled_dot_product_attention_backward(*arguments)


def _needs_broadcast(arrays, enable_gqa):
    """Whether the axes before the rows are more than two, or unequal."""
    q, *others = arrays
    end = -3 if enable_gqa else -2
    return q.ndim > 4 or any(
        x.ndim != q.ndim or x.shape[:end] != q.shape[:end] for x in others
    )


def _broadcast(arrays, query, key, value, attn_mask, options):
    """Attention of four axes, of which the first is all that come before the heads."""
    named = dict(zip(("query", "key", "value"), arrays, strict=True))
    own = 3 if options[3] else 2  # axes that do not broadcast
    for name, x in named.items():
        if x.ndim < own:
            raise ValueError(
                f"{_OP}: {name} must have at least {own} axes here, "
                f"got {name}.shape = {x.shape}"
            )
    try:
        lead = np.broadcast_shapes(*(x.shape[:-own] for x in arrays))
    except (ValueError, RuntimeError):  # too many axes
        shapes = ", ".join(f"{name}.shape = {x.shape}" for name, x in named.items())
        raise ValueError(
            f"{_OP}: all inputs must broadcast before their rows, got {shapes}"
        ) from None
    shape = (*lead, *arrays[0].shape[-own:])
    mask = attn_mask
    if (
        len(shape) > 4
        and mask is not None
        and as_array(_OP, mask, "attn_mask").ndim > 3
    ):
        mask = _merge(expand(mask, *shape[:-3], *mask.shape[-3:]))
    stacks = (
        _merge(expand(x, *lead, *a.shape[-own:]))
        for x, a in zip((query, key, value), arrays, strict=True)
    )
    y = attend(*stacks, mask, *options)
    return reshape(y, *shape[:-1], arrays[2].shape[-1])


def _merge(x):
    """The axes before the last three as one."""
    return reshape(x, prod(x.shape[:-3]), *x.shape[-3:]) if x.ndim > 4 else x
