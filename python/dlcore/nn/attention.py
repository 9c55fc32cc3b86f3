"""Multi-head attention."""

import numpy as np

from .. import init
from ..convert import is_sixteen
from ..ops import (
    add,
    cat,
    dropout,
    expand,
    linear,
    matmul,
    mean,
    mul,
    permute,
    reshape,
    softmax,
    squeeze,
    to,
    transpose,
    unsqueeze,
    where,
)
from ..ops.attention import attend, self_attention
from ..ops.shape import as_array
from ..tensor import raw
from .checks import at_least_one
from .linear import Linear
from .module import Module, Parameter


class MultiheadAttention(Module):
    """Attention of several heads between linear layers.

    Parameters
    ----------
    embed_dim : int
        Length of a query and of the result.
    num_heads : int
        A divisor of `embed_dim`.
    dropout : float, optional
        Probability of dropping an attention weight in training.
    bias : bool, optional
        Whether the linear layers have one.
    add_bias_kv : bool, optional
        Whether to append a learned key and value to all sequences.
    add_zero_attn : bool, optional
        Whether to append a key and a value of zeros.
    kdim, vdim : int, optional
        Lengths of a key and of a value; `embed_dim` by default.
    batch_first : bool, optional
        Whether the batch is the first axis and not the second.
    dtype : dtype, optional
        Of the parameters: float32 or float64.

    Attributes
    ----------
    in_proj_weight : Parameter, shape (3 embed_dim, embed_dim), or None
        Of queries, keys and values; where `kdim` or `vdim` is another there are
        `q_proj_weight`, `k_proj_weight` and `v_proj_weight` instead.
    in_proj_bias : Parameter, shape (3 embed_dim,), or None
    out_proj : Linear

    Raises
    ------
    ValueError
        If a setting is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = dl.Tensor(np.ones((5, 3, 8), "float32"))
    >>> y, weights = layer(x, x, x)
    >>> y.shape, weights.shape
    ((5, 3, 8), (5, 3, 3))
    """

    def __init__(
        self,
        embed_dim,
        num_heads,
        dropout=0.0,
        bias=True,
        add_bias_kv=False,
        add_zero_attn=False,
        kdim=None,
        vdim=None,
        batch_first=False,
        dtype=None,
    ):
        name = type(self).__name__
        kdim = embed_dim if kdim is None else kdim
        vdim = embed_dim if vdim is None else vdim
        at_least_one(
            name, embed_dim=embed_dim, num_heads=num_heads, kdim=kdim, vdim=vdim
        )
        if embed_dim % num_heads:
            raise ValueError(
                f"{name}: num_heads must divide embed_dim, "
                f"got {num_heads} and {embed_dim}"
            )
        if not 0 <= dropout <= 1:
            raise ValueError(f"{name}: dropout must be from 0 to 1, got {dropout}")
        self.embed_dim, self.num_heads = embed_dim, num_heads
        self.kdim, self.vdim = kdim, vdim
        self.head_dim = embed_dim // num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.add_zero_attn = add_zero_attn

        def parameter(*shape):
            return Parameter(np.zeros(shape, dtype or np.float32))

        self.in_proj_weight = None
        if kdim == vdim == embed_dim:
            self.in_proj_weight = parameter(3 * embed_dim, embed_dim)
        else:
            self.q_proj_weight = parameter(embed_dim, embed_dim)
            self.k_proj_weight = parameter(embed_dim, kdim)
            self.v_proj_weight = parameter(embed_dim, vdim)
        self.in_proj_bias = parameter(3 * embed_dim) if bias else None
        self.bias_k = parameter(1, 1, embed_dim) if add_bias_kv else None
        self.bias_v = parameter(1, 1, embed_dim) if add_bias_kv else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, dtype)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw the weights anew and set the biases to 0."""
        for weight in self._projections():
            init.xavier_uniform_(weight)
        self.out_proj.reset_parameters()
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for row in (self.bias_k, self.bias_v):
            if row is not None:
                init.xavier_normal_(row)

    def _projections(self):
        if self.in_proj_weight is not None:
            return (self.in_proj_weight,)
        return self.q_proj_weight, self.k_proj_weight, self.v_proj_weight

    def forward(
        self,
        query,
        key,
        value,
        key_padding_mask=None,
        need_weights=True,
        attn_mask=None,
        average_attn_weights=True,
        is_causal=False,
        cache=None,
    ):
        """The result and the attention weights.

        Parameters
        ----------
        query : ndarray or Tensor, shape (L, N, embed_dim), or (N, L, embed_dim)
            The second with `batch_first`; without a batch (L, embed_dim).
        key : ndarray or Tensor, shape (S, N, kdim), likewise
        value : ndarray or Tensor, shape (S, N, vdim), likewise
        key_padding_mask : ndarray or Tensor, shape (N, S), optional
            bool: True for a key that takes no part. Else added to its scores.
        need_weights : bool, optional
            Whether to return the weights, which takes memory of L times S; without them
            memory is linear and the way faster.
        attn_mask : ndarray or Tensor, shape (L, S) or (N num_heads, L, S), optional
            The same for pairs: bool, True where none; or added to the scores.
        average_attn_weights : bool, optional
            Whether the weights are means over the heads.
        is_causal : bool, optional
            Whether query i sees keys 0 to i alone; `attn_mask` is then taken to say the
            same and may be left out.
        cache : KVCache, optional
            Keys and values of before, to which those of `key` and `value` are appended;
            queries are at its end, and `is_causal` counts from there.

        Returns
        -------
        ndarray or Tensor, shape of `query`
        ndarray or Tensor or None
            Of shape (N, L, S), or (N, num_heads, L, S) when not averaged.
        """
        context, weights = self.context(
            query,
            key,
            value,
            key_padding_mask,
            need_weights,
            attn_mask,
            is_causal,
            cache,
        )
        y = linear(context, self.out_proj.weight, self.out_proj.bias)
        if weights is not None and average_attn_weights:
            weights = mean(weights, dim=-3)
        return y, weights

    def context(
        self,
        query,
        key,
        value,
        key_padding_mask=None,
        need_weights=False,
        attn_mask=None,
        is_causal=False,
        cache=None,
    ):
        """What comes before the last linear layer, and the weights of each head."""
        rank = self._check(query, key, value)
        axis = 0 if self.batch_first else 1  # of the batch
        if rank == 2:
            query, key, value = (unsqueeze(x, axis) for x in (query, key, value))
            if key_padding_mask is not None:
                key_padding_mask = unsqueeze(key_padding_mask, 0)
        drop = self.dropout if self.training else 0.0
        plain = query is key is value or (rank == 2 and raw(query) is raw(key))
        plain = plain and self.in_proj_weight is not None and self.bias_k is None
        if plain and not (need_weights or self.add_zero_attn or cache is not None):
            length = query.shape[1 - axis]
            mask, causal = self._mask(
                attn_mask, key_padding_mask, is_causal, length, length, 0, query
            )
            packed = linear(query, self.in_proj_weight, self.in_proj_bias)
            heads = self.num_heads
            y = self_attention(packed, heads, self.batch_first, mask, drop, causal)
            weights = None
        else:
            q, k, v, extra = self._heads(query, key, value, cache)
            length, keys = q.shape[-2], k.shape[-2] - extra
            if is_causal and (cache is not None or extra):
                attn_mask = ~np.tri(length, keys, keys - length if cache else 0, bool)
                is_causal = False
            mask, causal = self._mask(
                attn_mask, key_padding_mask, is_causal, length, keys, extra, query
            )
            y, weights = _attend(q, k, v, mask, causal, drop, need_weights)
            if is_sixteen(q.dtype):  # a cache is float32
                y = to(y, q.dtype)
            order = (0, 2, 1, 3) if self.batch_first else (2, 0, 1, 3)
            y = reshape(permute(y, order), *query.shape)
        if rank == 2:
            y = squeeze(y, axis)
            weights = None if weights is None else squeeze(weights, 0)
        return y, weights

    def _check(self, query, key, value):
        """The number of axes, of all three."""
        name = type(self).__name__
        for word, x, width in (
            ("query", query, self.embed_dim),
            ("key", key, self.kdim),
            ("value", value, self.vdim),
        ):
            shape = as_array(name, x, word).shape
            if len(shape) not in (2, 3) or shape[-1] != width:
                raise ValueError(
                    f"{name}: {word} must have 2 or 3 axes, the last of {width}, "
                    f"got {word}.shape = {shape}"
                )
            if len(shape) != query.ndim:
                raise ValueError(
                    f"{name}: {word} must have as many axes as query, "
                    f"got {word}.shape = {shape}, query.shape = {query.shape}"
                )
        batch = 0 if self.batch_first else 1
        if query.ndim == 3 and key.shape[batch] != query.shape[batch]:
            raise ValueError(
                f"{name}: key must have query's batch, got key.shape = {key.shape}, "
                f"query.shape = {query.shape}"
            )
        if value.shape[:-1] != key.shape[:-1]:
            raise ValueError(
                f"{name}: value must have key's rows, got value.shape = {value.shape}, "
                f"key.shape = {key.shape}"
            )
        return query.ndim

    def _heads(self, query, key, value, cache):
        """Projected, (batch, heads, rows, head_dim); how many keys were appended."""
        e, bias = self.embed_dim, self.in_proj_bias
        weights = self._projections()
        if len(weights) == 1:
            weights = [weights[0][i * e : (i + 1) * e] for i in range(3)]
        biases = [None if bias is None else bias[i * e : (i + 1) * e] for i in range(3)]
        q, k, v = map(linear, (query, key, value), weights, biases)
        extra, rows, batch = (
            0,
            1 if self.batch_first else 0,
            0 if self.batch_first else 1,
        )
        if self.bias_k is not None:
            sizes = [1, 1, e]
            sizes[batch] = k.shape[batch]
            k, v = (
                cat([x, expand(row, *sizes)], dim=rows)
                for x, row in ((k, self.bias_k), (v, self.bias_v))
            )
            extra += 1
        order = (0, 2, 1, 3) if self.batch_first else (1, 2, 0, 3)
        q, k, v = (
            permute(reshape(x, *x.shape[:2], self.num_heads, self.head_dim), order)
            for x in (q, k, v)
        )
        if self.add_zero_attn:
            zeros = np.zeros((*k.shape[:2], 1, self.head_dim), k.dtype)
            k, v = (cat([x, zeros], dim=-2) for x in (k, v))
            extra += 1
        if cache is not None:
            k, v = cache.append(k, v)
        return q, k, v, extra

    def _mask(self, attn_mask, padding, is_causal, length, keys, extra, query):
        """The mask of `scaled_dot_product_attention`, and whether it is causal too."""
        name, batch = type(self).__name__, query.shape[0 if self.batch_first else 1]
        parts = []
        if attn_mask is not None and not is_causal:
            shape = as_array(name, attn_mask, "attn_mask").shape
            each = (batch * self.num_heads, length, keys)
            if shape not in ((length, keys), each):
                raise ValueError(
                    f"{name}: attn_mask must have shape {each[1:]} or {each}, "
                    f"got {shape}"
                )
            if shape == each:
                attn_mask = reshape(attn_mask, batch, self.num_heads, length, keys)
            parts.append(attn_mask)
        if padding is not None:
            shape = as_array(name, padding, "key_padding_mask").shape
            if shape != (batch, keys):
                raise ValueError(
                    f"{name}: key_padding_mask must have shape {(batch, keys)}, "
                    f"got {shape}"
                )
            parts.append(reshape(padding, batch, 1, 1, keys))
        if all(raw(part).dtype == bool for part in parts):
            parts = [np.logical_not(raw(part)) for part in parts]
            fill, join = True, np.logical_and
        else:
            parts = [_additive(part, query.dtype) for part in parts]
            fill, join = 0, add
        if not parts:
            return None, is_causal
        mask = parts[0] if len(parts) == 1 else join(*parts)
        if extra:
            more = np.full((*mask.shape[:-1], extra), fill, raw(mask).dtype)
            mask = cat([mask, more], dim=-1)
        return mask, is_causal


def _additive(mask, dtype):
    if raw(mask).dtype != bool:
        return mask
    return where(raw(mask), np.array(-np.inf, dtype), np.array(0, dtype))


def _attend(q, k, v, mask, causal, drop, need_weights):
    """The result, (batch, heads, rows, head_dim), and the weights where needed."""
    if not need_weights:
        return attend(q, k, v, mask, drop, causal), None
    scores = matmul(mul(q, q.shape[-1] ** -0.5), transpose(k, -1, -2))
    if mask is not None:
        if raw(mask).dtype == bool:
            mask = _additive(np.logical_not(raw(mask)), q.dtype)
        scores = add(scores, mask)
    if causal:
        later = ~np.tri(*scores.shape[-2:], dtype=bool)
        scores = add(scores, _additive(later, q.dtype))
    weights = dropout(softmax(scores, -1), drop, drop > 0)
    return matmul(weights, v), weights
