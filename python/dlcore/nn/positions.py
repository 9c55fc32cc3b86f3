"""Positions that are added to embeddings, and what decoding keeps."""

import numpy as np

from ..convert import is_sixteen
from ..ops import add, to
from ..ops.shape import as_array, as_dtype
from ..tensor import raw
from .checks import at_least_one
from .module import Module


class SinusoidalPositions(Module):
    """Add sines and cosines of each position; nothing is learned.

    Parameters
    ----------
    max_len : int
        The most rows of an input.
    d_model : int
        Length of a row.
    batch_first : bool, optional
        Whether inputs are (N, L, d_model) and not (L, N, d_model).
    base : float, optional
    dtype : dtype, optional
        Of the table: float32 or float64.

    Attributes
    ----------
    table : Tensor, shape (max_len, d_model)
        ``sin(p base ** (-2 i / d_model))`` in column 2 i, the cosine in 2 i + 1. Not
        part of `state_dict`.

    Notes
    -----
    Vaswani et al., "Attention is all you need" (2017). For learned positions add a
    Parameter.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> positions = dl.nn.SinusoidalPositions(10, 2, batch_first=True)
    >>> positions(np.zeros((1, 2, 2), "float32")).data.round(4)
    array([[[0.    , 1.    ],
            [0.8415, 0.5403]]], dtype=float32)
    """

    def __init__(self, max_len, d_model, batch_first=False, base=10000.0, dtype=None):
        name = "SinusoidalPositions"
        at_least_one(name, max_len=max_len, d_model=d_model)
        self.batch_first = batch_first
        pairs = np.arange(d_model) // 2
        angles = np.arange(max_len)[:, None] * base ** (-2 * pairs / d_model)
        table = np.where(np.arange(d_model) % 2, np.cos(angles), np.sin(angles))
        table = table.astype(dtype or np.float32)
        self.register_buffer("table", table, persistent=False)

    def forward(self, x, start=0):
        """`x` plus the positions from `start` on."""
        axis = 1 if self.batch_first else 0
        shape = as_array("SinusoidalPositions", x).shape
        most, width = self.table.shape
        if len(shape) != 3 or shape[2] != width or start + shape[axis] > most:
            raise ValueError(
                f"SinusoidalPositions: x must have 3 axes, at most {most - start} rows "
                f"and a last axis of {width}, got x.shape = {shape}"
            )
        rows = self.table[start : start + shape[axis]]
        y = add(x, rows if self.batch_first else rows[:, None])
        return to(y, x.dtype) if is_sixteen(x.dtype) else y


class KVCache:
    """Keys and values of the tokens so far, for decoding one token after the other.

    Parameters
    ----------
    batch, heads, max_len, key_dim : int
        Memory for ``(batch, heads, max_len, key_dim)`` keys.
    value_dim : int, optional
        `key_dim` by default.
    dtype : dtype, optional
        float32, the default, or float64. Tokens stored in 16 bits are kept as float32,
        what attention computes with.

    Attributes
    ----------
    length : int
        How many tokens it holds.

    Notes
    -----
    What `append` returns are views that `dlcore.scaled_dot_product_attention` reads
    where they lie: a step of decoding copies the new token alone. No gradient passes.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> cache = dl.nn.KVCache(1, 2, 16, 4)
    >>> for _ in range(3):
    ...     token = np.ones((1, 2, 1, 4), "float32")
    ...     y = dl.scaled_dot_product_attention(token, *cache.append(token, token))
    >>> cache.length, y.shape
    (3, (1, 2, 1, 4))
    """

    def __init__(self, batch, heads, max_len, key_dim, value_dim=None, dtype=None):
        value_dim = key_dim if value_dim is None else value_dim
        at_least_one("KVCache", batch=batch, heads=heads, max_len=max_len)
        at_least_one("KVCache", key_dim=key_dim, value_dim=value_dim)
        dtype = as_dtype("KVCache", dtype or np.float32)
        if dtype not in (np.float32, np.float64):
            raise TypeError(
                "KVCache: dtype must be float32, which keeps tokens of 16 bits too, or "
                f"float64, got {dtype}"
            )
        self.keys = np.zeros((batch, heads, max_len, key_dim), dtype)
        self.values = np.zeros((batch, heads, max_len, value_dim), dtype)
        self.length = 0

    def append(self, key, value):
        """Keep `key` and `value`, (batch, heads, rows, dim); all so far, as views.

        Raises
        ------
        ValueError
            If a shape does not fit or there is no room; then nothing was kept.
        TypeError
            If a dtype is another.
        """
        rows = {}
        for name, x, kept in (("key", key, self.keys), ("value", value, self.values)):
            x = as_array("KVCache", x, name)
            if x.dtype != kept.dtype:
                raise TypeError(f"KVCache: {name} must be {kept.dtype}, got {x.dtype}")
            batch, heads, _, dim = kept.shape
            if x.ndim != 4 or (*x.shape[:2], x.shape[3]) != (batch, heads, dim):
                raise ValueError(
                    f"KVCache: {name} must have shape ({batch}, {heads}, rows, {dim}), "
                    f"got {name}.shape = {x.shape}"
                )
            rows[name] = x
        count = rows["key"].shape[2]
        if rows["value"].shape[2] != count:
            raise ValueError(
                f"KVCache: value must have key's rows, {count}, "
                f"got value.shape = {raw(value).shape}"
            )
        end = self.length + count
        if end > self.keys.shape[2]:
            raise ValueError(
                f"KVCache: there is room for {self.keys.shape[2] - self.length} rows, "
                f"got {count}: make it with a larger max_len"
            )
        self.keys[:, :, self.length : end] = rows["key"]
        self.values[:, :, self.length : end] = rows["value"]
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def reset(self):
        """Forget all tokens; the memory stays."""
        self.length = 0
