"""One layer of a transformer's encoder or decoder."""

from ..ops import add, dropout, gelu, linear, relu
from .attention import MultiheadAttention
from .checks import at_least_one
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .norm import LayerNorm

_FUSED = {"relu": "relu", "gelu": "gelu", relu: "relu", gelu: "gelu"}


class _Layer(Module):
    """What encoder and decoder layers share: sums around normalization."""

    def _set_up(self, sizes, dropout, activation, norms, options):
        d_model, dim_feedforward = sizes
        layer_norm_eps, norm_first, bias, dtype = options
        name = type(self).__name__
        at_least_one(name, d_model=d_model, dim_feedforward=dim_feedforward)
        if isinstance(activation, str) and activation not in _FUSED:
            raise ValueError(
                f"{name}: activation must be 'relu', 'gelu' or a function, "
                f"got {activation!r}"
            )
        self.linear1 = Linear(d_model, dim_feedforward, bias, dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, dtype)
        self.norm_first = norm_first
        for i in range(1, norms + 1):
            norm = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
            setattr(self, f"norm{i}", norm)
        for i in range(1, norms + 1):
            setattr(self, f"dropout{i}", Dropout(dropout))
        self.activation = activation

    def _around(self, norm, x, body):
        """``x + body(norm(x))`` or ``norm(x + body(x))``; body does the sum."""
        if self.norm_first:
            return body(norm(x), x)
        return norm(body(x, x))

    def _attention(self, attention, drop, x, residual, memory, *masks):
        attn_mask, padding, is_causal = masks
        memory = x if memory is None else memory
        context, _ = attention.context(
            x, memory, memory, padding, False, attn_mask, is_causal
        )
        return _add(residual, context, attention.out_proj, drop)

    def _feed_forward(self, drop, x, residual):
        first, fused = self.linear1, _FUSED.get(self.activation)
        if isinstance(first, Linear):
            hidden = linear(x, first.weight, first.bias, fused)
        else:  # one of dlcore.quantization's
            hidden = first(x)
            hidden = {"relu": relu, "gelu": gelu}[fused](hidden) if fused else hidden
        if fused is None:
            hidden = self.activation(hidden)
        if _drops(self.dropout):
            hidden = self.dropout(hidden)
        return _add(residual, hidden, self.linear2, drop)


def _drops(drop):
    return drop.training and drop.p > 0


def _add(residual, x, last, drop):
    """``residual + drop(last(x))``, in one pass where nothing is dropped."""
    if _drops(drop):
        return add(residual, dropout(last(x), drop.p))
    if not isinstance(last, Linear):
        return add(residual, last(x))
    return linear(x, last.weight, last.bias, None, residual)


class TransformerEncoderLayer(_Layer):
    """Self-attention, then two linear layers, each added to its input and normalized.

    Parameters
    ----------
    d_model, nhead : int
        Length of a row and number of heads, a divisor of it.
    dim_feedforward : int, optional
        Length between the two linear layers.
    dropout : float, optional
        Probability, of attention weights too.
    activation : "relu", "gelu" or callable, optional
        Between the linear layers.
    layer_norm_eps : float, optional
    batch_first : bool, optional
        Whether inputs are (N, L, d_model) and not (L, N, d_model).
    norm_first : bool, optional
        Whether normalization comes before each part and not after its sum.
    bias : bool, optional
        Whether linear layers and normalization have one.
    dtype : dtype, optional
        Of the parameters: float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> layer(dl.Tensor(np.ones((2, 5, 8), "float32"))).shape
    (2, 5, 8)
    """

    def __init__(
        self,
        d_model,
        nhead,
        dim_feedforward=2048,
        dropout=0.1,
        activation="relu",
        layer_norm_eps=1e-5,
        batch_first=False,
        norm_first=False,
        bias=True,
        dtype=None,
    ):
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout, bias, batch_first=batch_first, dtype=dtype
        )
        options = layer_norm_eps, norm_first, bias, dtype
        self._set_up((d_model, dim_feedforward), dropout, activation, 2, options)

    def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
        """The layer's result, shaped as `src`; masks are `MultiheadAttention`'s."""
        masks = src_mask, src_key_padding_mask, is_causal

        def attention(x, residual):
            return self._attention(
                self.self_attn, self.dropout1, x, residual, None, *masks
            )

        def feed_forward(x, residual):
            return self._feed_forward(self.dropout2, x, residual)

        x = self._around(self.norm1, src, attention)
        return self._around(self.norm2, x, feed_forward)


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to a memory, then two linear layers, each added.

    Parameters
    ----------
    d_model, nhead : int
        Length of a row and number of heads, a divisor of it.
    dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias
        As for `TransformerEncoderLayer`.
    dtype : dtype, optional
        Of the parameters: float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)
    >>> x = dl.Tensor(np.ones((2, 5, 8), "float32"))
    >>> layer(x, x[:, :3]).shape
    (2, 5, 8)
    """

    def __init__(
        self,
        d_model,
        nhead,
        dim_feedforward=2048,
        dropout=0.1,
        activation="relu",
        layer_norm_eps=1e-5,
        batch_first=False,
        norm_first=False,
        bias=True,
        dtype=None,
    ):
        self.self_attn, self.multihead_attn = (
            MultiheadAttention(
                d_model, nhead, dropout, bias, batch_first=batch_first, dtype=dtype
            )
            for _ in range(2)
        )
        options = layer_norm_eps, norm_first, bias, dtype
        self._set_up((d_model, dim_feedforward), dropout, activation, 3, options)

    def forward(
        self,
        tgt,
        memory,
        tgt_mask=None,
        memory_mask=None,
        tgt_key_padding_mask=None,
        memory_key_padding_mask=None,
        tgt_is_causal=False,
        memory_is_causal=False,
    ):
        """The layer's result, shaped as `tgt`; masks are `MultiheadAttention`'s."""
        own = tgt_mask, tgt_key_padding_mask, tgt_is_causal
        other = memory_mask, memory_key_padding_mask, memory_is_causal

        def self_attention(x, residual):
            return self._attention(
                self.self_attn, self.dropout1, x, residual, None, *own
            )

        def cross_attention(x, residual):
            return self._attention(
                self.multihead_attn, self.dropout2, x, residual, memory, *other
            )

        def feed_forward(x, residual):
            return self._feed_forward(self.dropout3, x, residual)

        x = self._around(self.norm1, tgt, self_attention)
        x = self._around(self.norm2, x, cross_attention)
        return self._around(self.norm3, x, feed_forward)
