"""Other scores of attention, and positions that turn queries and keys."""

from functools import lru_cache
from math import prod

import numpy as np

from .. import _C
from ..tensor import raw, record
from .arithmetic import mul
from .gemm import matmul
from .norm import rms_norm
from .shape import as_array, expand, reshape, transpose


def additive_scores(query, key, weight):
    r"""Scores of additive attention: what tanh makes of each sum of a query and a key.

    Parameters
    ----------
    query : ndarray or Tensor, shape (..., L, H)
        float32 or float64; a linear layer has been through it, as through `key`.
    key : ndarray or Tensor, shape (..., S, H)
        Axes before the last two broadcast.
    weight : ndarray or Tensor, shape (H,)

    Returns
    -------
    ndarray or Tensor, shape (..., L, S)

    Raises
    ------
    ValueError
        If the shapes do not go together.
    TypeError
        If the dtypes differ or are not float32 or float64.

    See Also
    --------
    cosine_scores, scaled_dot_product_attention, dlcore.nn.AdditiveAttention

    Notes
    -----
    .. math:: s_{ij} = \sum_h w_h \tanh(q_{ih} + k_{jh})

    Bahdanau, Cho and Bengio (2015). Nothing of L times S times H is ever in memory:
    backward makes tanh again.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.additive_scores(np.zeros((1, 2)), np.full((3, 2), 100.0), np.array([1.0, 2]))
    array([[3., 3., 3.]])
    """
    op = "additive_scores"
    q, k = as_array(op, query, "query"), as_array(op, key, "key")
    lead = _lead(op, q, k)
    wide = (expand(x, *lead, *a.shape[-2:]) for x, a in ((query, q), (key, k)))
    q, k = (reshape(x, prod(lead), *x.shape[-2:]) for x in wide)
    a, b, w = raw(q), raw(k), raw(weight)
    s = _C.additive_scores_forward(a, b, w)

    def additive_scores(ds):
        return _C.additive_scores_backward(a, b, w, ds)

    s = record(s, (q, k, weight), additive_scores)
    return reshape(s, *lead, *s.shape[-2:])


def cosine_scores(query, key, eps=1e-8):
    """The cosine of the angle between each query and each key.

    Parameters
    ----------
    query : ndarray or Tensor, shape (..., L, E)
        float32 or float64.
    key : ndarray or Tensor, shape (..., S, E)
        Axes before the last two broadcast.
    eps : float, optional
        What lengths are not less than: a row of zeros gives 0.

    Returns
    -------
    ndarray or Tensor, shape (..., L, S)

    Raises
    ------
    ValueError
        If the shapes do not go together.
    TypeError
        If the dtypes differ or are not float32 or float64.

    See Also
    --------
    additive_scores

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> rows = np.array([[3.0, 0.0], [0.0, 5.0]])
    >>> dl.cosine_scores(rows, rows).round(6)
    array([[1., 0.],
           [0., 1.]])
    """
    op = "cosine_scores"
    q, k = as_array(op, query, "query"), as_array(op, key, "key")
    _lead(op, q, k)
    depth = q.shape[-1]
    if k.shape[-1] != depth or depth == 0:
        raise ValueError(
            f"{op}: query and key must have one last axis, at least 1 long, "
            f"got query.shape = {q.shape}, key.shape = {k.shape}"
        )
    _check_above_0(op, "eps", eps)
    q, k = (rms_norm(x, depth, eps=eps**2 / depth) for x in (query, key))
    return mul(matmul(q, transpose(k, -1, -2)), 1 / depth)


def rotary_embedding(x, positions=0, base=10000.0, interleaved=False):
    r"""Turn pairs of elements of each row by angles that grow with its position.

    Parameters
    ----------
    x : ndarray or Tensor, shape (..., L, E)
        Queries or keys of float32 or float64; E is even.
    positions : int or ndarray of shape (L,), optional
        The first row's position, or each row's.
    base : float, optional
        Pair i turns by ``positions * base ** (-2 i / E)``.
    interleaved : bool, optional
        Whether a pair is elements 2 i and 2 i + 1, as first published, and not i and
        i + E / 2, as models since GPT-NeoX have it.

    Returns
    -------
    ndarray or Tensor, of the shape of `x`
        The dot product of a query and a key turned so depends on the difference of
        their positions alone.

    Raises
    ------
    ValueError
        If E is odd, or there are not L positions.
    TypeError
        If `x` is not an array of float32 or float64.

    Notes
    -----
    Su et al., "RoFormer" (2021). The angles are computed in float64.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.rotary_embedding(np.array([[1.0, 0.0], [1.0, 0.0]])).round(4)
    array([[1.    , 0.    ],
           [0.5403, 0.8415]])
    """
    op = "rotary_embedding"
    a = as_array(op, x)
    if a.ndim < 2:
        raise ValueError(f"{op}: x must have at least 2 axes, got x.shape = {a.shape}")
    _check_above_0(op, "base", base)
    kind = a.dtype if a.dtype.kind == "f" else np.dtype(np.float64)
    if isinstance(positions, (int, np.integer)):
        if abs(positions) > 1 << 52:
            raise ValueError(f"{op}: positions must be below 2**52, got {positions}")
        cos, sin = _counted(int(positions), a.shape[-2], a.shape[-1] // 2, base, kind)
    else:
        at = as_array(op, positions, "positions")
        if at.dtype.kind not in "iuf" or at.ndim != 1:
            raise ValueError(
                f"{op}: positions must be a whole number or one number for each row, "
                f"got shape {at.shape} of {at.dtype}"
            )
        cos, sin = _tables(at, a.shape[-1] // 2, base, kind)
    y = _C.rotary_embedding(raw(x), cos, sin, interleaved, False)

    def rotary_embedding(dy):
        return (_C.rotary_embedding(dy, cos, sin, interleaved, True),)

    return record(y, (x,), rotary_embedding)


def _check_above_0(op, name, value):
    if not isinstance(value, (int, float, np.integer, np.floating)):
        kind = type(value).__name__
        raise TypeError(f"{op}: {name} must be a real number, got {kind}")
    if not 0 < value < np.inf:
        raise ValueError(f"{op}: {name} must be above 0 and finite, got {value}")


def _tables(positions, half, base, dtype):
    angles = positions[:, None] * base ** (-np.arange(half) / max(1, half))
    return np.cos(angles).astype(dtype), np.sin(angles).astype(dtype)


@lru_cache(16)
def _counted(first, count, half, base, dtype):
    return _tables(np.arange(first, first + count), half, base, dtype)


def _lead(op, q, k):
    """The axes before the last two, broadcast."""
    for name, x in (("query", q), ("key", k)):
        if x.ndim < 2:
            raise ValueError(
                f"{op}: {name} must have at least 2 axes, got {name}.shape = {x.shape}"
            )
    try:
        return np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
    except (ValueError, RuntimeError):  # too many axes
        raise ValueError(
            f"{op}: query and key must broadcast before their rows, "
            f"got query.shape = {q.shape}, key.shape = {k.shape}"
        ) from None
