"""Transformer encoders and decoders under PyTorch's names."""

import copy

import numpy as np

from .. import init
from ..tensor import Tensor, raw
from .checks import at_least_one
from .container import ModuleList
from .module import Module
from .norm import LayerNorm
from .transformer_layers import TransformerDecoderLayer, TransformerEncoderLayer


class TransformerEncoder(Module):
    """Some encoder layers, one after the other.

    Parameters
    ----------
    encoder_layer : Module
        Copied `num_layers` times: all begin with the same weights.
    num_layers : int
    norm : Module, optional
        Of the last result.
    enable_nested_tensor, mask_check : bool, optional
        PyTorch's; without effect.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.TransformerEncoderLayer(8, 2, 16)
    >>> encoder = dl.nn.TransformerEncoder(layer, 3)
    >>> encoder(dl.Tensor(np.ones((5, 2, 8), "float32"))).shape
    (5, 2, 8)
    """

    def __init__(
        self,
        encoder_layer,
        num_layers,
        norm=None,
        enable_nested_tensor=True,
        mask_check=True,
    ):
        self.layers = _copies("TransformerEncoder", encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        self.mask_check = mask_check

    def forward(self, src, mask=None, src_key_padding_mask=None, is_causal=None):
        """The last layer's result; `is_causal` is found out from `mask` when None."""
        is_causal = _is_causal(mask) if is_causal is None else is_causal
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, is_causal)
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """Some decoder layers, one after the other.

    Parameters
    ----------
    decoder_layer : Module
        Copied `num_layers` times: all begin with the same weights.
    num_layers : int
    norm : Module, optional
        Of the last result.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.TransformerDecoderLayer(8, 2, 16)
    >>> decoder = dl.nn.TransformerDecoder(layer, 3)
    >>> x = dl.Tensor(np.ones((5, 2, 8), "float32"))
    >>> decoder(x, x).shape
    (5, 2, 8)
    """

    def __init__(self, decoder_layer, num_layers, norm=None):
        self.layers = _copies("TransformerDecoder", decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt,
        memory,
        tgt_mask=None,
        memory_mask=None,
        tgt_key_padding_mask=None,
        memory_key_padding_mask=None,
        tgt_is_causal=None,
        memory_is_causal=False,
    ):
        """The last layer's result; `tgt_is_causal` is found out when None."""
        tgt_is_causal = _is_causal(tgt_mask) if tgt_is_causal is None else tgt_is_causal
        for layer in self.layers:
            tgt = layer(
                tgt,
                memory,
                tgt_mask,
                memory_mask,
                tgt_key_padding_mask,
                memory_key_padding_mask,
                tgt_is_causal,
                memory_is_causal,
            )
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """An encoder of a source and a decoder of a target that attends to it.

    Parameters
    ----------
    d_model, nhead : int, optional
        Length of a row and number of heads, a divisor of it.
    num_encoder_layers, num_decoder_layers : int, optional
    dim_feedforward, dropout, activation : optional
        As for `TransformerEncoderLayer`.
    custom_encoder, custom_decoder : Module, optional
        In the place of PyTorch's.
    layer_norm_eps, batch_first, norm_first, bias : optional
        As for `TransformerEncoderLayer`.
    dtype : dtype, optional
        Of the parameters: float32 or float64.

    Notes
    -----
    Vaswani et al., "Attention is all you need" (2017). Embeddings and positions come
    before it, a linear layer to words behind it.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> model = dl.nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    >>> source = dl.Tensor(np.ones((2, 5, 8), "float32"))
    >>> mask = model.generate_square_subsequent_mask(3)
    >>> model(source, source[:, :3], tgt_mask=mask).shape
    (2, 3, 8)
    """

    def __init__(
        self,
        d_model=512,
        nhead=8,
        num_encoder_layers=6,
        num_decoder_layers=6,
        dim_feedforward=2048,
        dropout=0.1,
        activation="relu",
        custom_encoder=None,
        custom_decoder=None,
        layer_norm_eps=1e-5,
        batch_first=False,
        norm_first=False,
        bias=True,
        dtype=None,
    ):
        settings = (
            d_model,
            nhead,
            dim_feedforward,
            dropout,
            activation,
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
            dtype,
        )

        def norm():
            return LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)

        self.encoder = custom_encoder or TransformerEncoder(
            TransformerEncoderLayer(*settings), num_encoder_layers, norm()
        )
        self.decoder = custom_decoder or TransformerDecoder(
            TransformerDecoderLayer(*settings), num_decoder_layers, norm()
        )
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        self.reset_parameters()

    def reset_parameters(self):
        """Draw all matrices anew, each by itself."""
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)

    def forward(
        self,
        src,
        tgt,
        src_mask=None,
        tgt_mask=None,
        memory_mask=None,
        src_key_padding_mask=None,
        tgt_key_padding_mask=None,
        memory_key_padding_mask=None,
        src_is_causal=None,
        tgt_is_causal=None,
        memory_is_causal=False,
    ):
        """The decoder's result, shaped as `tgt`; masks are `MultiheadAttention`'s."""
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        return self.decoder(
            tgt,
            memory,
            tgt_mask,
            memory_mask,
            tgt_key_padding_mask,
            memory_key_padding_mask,
            tgt_is_causal,
            memory_is_causal,
        )

    @staticmethod
    def generate_square_subsequent_mask(sz, dtype=None):
        """The causal mask to add: 0 on and below the diagonal, -inf above.

        Examples
        --------
        >>> import dlcore as dl
        >>> dl.nn.Transformer.generate_square_subsequent_mask(2)
        tensor([[  0., -inf],
                [  0.,   0.]])
        """
        return Tensor(np.triu(np.full((sz, sz), -np.inf, dtype or np.float32), 1))


def _copies(name, layer, count):
    at_least_one(name, num_layers=count)
    return ModuleList([copy.deepcopy(layer) for _ in range(count)])


def _is_causal(mask):
    """Whether a mask hides the future and nothing else."""
    mask = raw(mask)
    if mask is None or mask.ndim != 2 or mask.shape[0] != mask.shape[1]:
        return False
    seen = np.tri(len(mask), dtype=bool)
    if mask.dtype == bool:
        return np.array_equal(mask, ~seen)
    return np.array_equal(mask, np.where(seen, 0, -np.inf))
