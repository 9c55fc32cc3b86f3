"""Attention of one head by scores that are learned, and by cosines."""

import numpy as np

from .. import init
from ..ops import (
    add,
    additive_scores,
    cosine_scores,
    linear,
    matmul,
    mul,
    softmax,
    transpose,
    where,
)
from ..tensor import raw
from .checks import at_least_one
from .linear import Linear
from .module import Module, Parameter


class _Attention(Module):
    """Weighted means of values; a layer says how scores are made."""

    def scores(self, query, key):
        raise NotImplementedError(f"{type(self).__name__} must define scores")

    def forward(self, query, key, value, attn_mask=None):
        """The means and the weights, (..., L, Ev) and (..., L, S).

        `attn_mask` is broadcast to the weights: bool, True where a key takes part, or
        added to the scores. A query that sees no key gives zeros.
        """
        scores = self.scores(query, key)
        if attn_mask is not None:
            mask = raw(attn_mask)
            if mask.dtype == bool:
                kind = scores.dtype
                none, hidden = np.array(0, kind), np.array(-np.inf, kind)
                attn_mask = where(mask, none, hidden)
            scores = add(scores, attn_mask)
        weights = softmax(scores, -1)
        return matmul(weights, value), weights


class AdditiveAttention(_Attention):
    """Scores by a small network of each query and key; see `dlcore.additive_scores`.

    Parameters
    ----------
    query_dim, key_dim : int
        Lengths of a query and of a key.
    hidden_dim : int
        Length between the layers.
    dtype : dtype, optional
        Of the parameters: float32 or float64.

    Notes
    -----
    Bahdanau, Cho and Bengio (2015): ``score = v tanh(W_q query + W_k key + b)``.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.AdditiveAttention(4, 6, 8)
    >>> query, states = np.ones((2, 1, 4), "float32"), np.ones((2, 5, 6), "float32")
    >>> context, weights = layer(query, states, states)
    >>> context.shape, weights.shape
    ((2, 1, 6), (2, 1, 5))
    """

    def __init__(self, query_dim, key_dim, hidden_dim, dtype=None):
        self.query_layer = Linear(query_dim, hidden_dim, dtype=dtype)
        self.key_layer = Linear(key_dim, hidden_dim, bias=False, dtype=dtype)
        self.weight = Parameter(np.empty(hidden_dim, dtype or np.float32))
        bound = hidden_dim**-0.5
        init.uniform_(self.weight, -bound, bound)

    def scores(self, query, key):
        q, k = self.query_layer(query), self.key_layer(key)
        return additive_scores(q, k, self.weight)


class GeneralAttention(_Attention):
    """Scores ``query W key``, the general form of Luong, Pham and Manning (2015).

    Parameters
    ----------
    query_dim, key_dim : int
        Lengths of a query and of a key.
    dtype : dtype, optional
        Of the parameter: float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.GeneralAttention(4, 6)
    >>> states = dl.Tensor(np.ones((2, 5, 6), "float32"))
    >>> layer(dl.Tensor(np.ones((2, 1, 4), "float32")), states, states)[0].shape
    (2, 1, 6)
    """

    def __init__(self, query_dim, key_dim, dtype=None):
        at_least_one("GeneralAttention", query_dim=query_dim, key_dim=key_dim)
        self.weight = Parameter(np.empty((key_dim, query_dim), dtype or np.float32))
        init.xavier_uniform_(self.weight)

    def scores(self, query, key):
        return matmul(linear(query, self.weight), transpose(key, -1, -2))


class CosineAttention(_Attention):
    """Scores by cosines, times a factor; see `dlcore.cosine_scores`.

    Parameters
    ----------
    scale : float, optional
        The factor; cosines alone are at most 1 and weights nearly equal.
    eps : float, optional
        What lengths are not less than.

    Notes
    -----
    Graves, Wayne and Danihelka, "Neural Turing machines" (2014).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.CosineAttention(scale=100.0)
    >>> rows = np.array([[3.0, 0.0], [0.0, 5.0]])
    >>> layer(rows, rows, rows)[0].round(6)
    array([[3., 0.],
           [0., 5.]])
    """

    def __init__(self, scale=1.0, eps=1e-8):
        self.scale, self.eps = scale, eps

    def scores(self, query, key):
        return mul(cosine_scores(query, key, self.eps), self.scale)
