"""Distances and likeness of vectors, and vectors of length 1."""

from .arithmetic import add, div, maximum, mul, sub
from .elementwise import clamp
from .loss_element import alike, real
from .reduction import norm, sum
from .shape import as_array, check_dim


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    r"""Distance of vectors, pair by pair.

    Parameters
    ----------
    x1, x2 : ndarray or Tensor, shape (..., D)
        Vectors along the last axis, float32 or float64; they broadcast.
    p : float, optional
        The norm's power.
    eps : float, optional
        Added to every difference, so that its norm has a gradient.
    keepdim : bool, optional
        Whether the last axis stays, with length 1.

    Returns
    -------
    ndarray or Tensor, shape (...) or (..., 1)

    Raises
    ------
    ValueError
        If the shapes do not broadcast or `p` is 0.
    TypeError
        If the dtypes differ.

    See Also
    --------
    cosine_similarity, triplet_margin_loss

    Notes
    -----
    .. math:: \| x_1 - x_2 + \epsilon \|_p

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.pairwise_distance(np.array([[3.0, 0.0]]), np.array([[0.0, 4.0]])).round(4)
    array([5.])
    """
    return distance_between("pairwise_distance", x1, x2, p, eps, keepdim)


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    r"""Cosine of the angle between vectors.

    Parameters
    ----------
    x1, x2 : ndarray or Tensor
        float32 or float64; they broadcast.
    dim : int, optional
        The axis of the vectors, of the shape they broadcast to.
    eps : float, optional
        The least that is taken for a length.

    Returns
    -------
    ndarray or Tensor
        The shape without `dim`. 0 for a vector of zeros.

    Raises
    ------
    IndexError
        If there is no axis `dim`.
    ValueError
        If the shapes do not broadcast.
    TypeError
        If the dtypes differ.

    See Also
    --------
    pairwise_distance, cosine_embedding_loss

    Notes
    -----
    .. math::
        \frac{x_1 \cdot x_2}{\max(\|x_1\|, \epsilon) \max(\|x_2\|, \epsilon)}

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.cosine_similarity(np.array([[3.0, 4.0]]), np.array([[4.0, 3.0]])).round(4)
    array([0.96])
    """
    op = "cosine_similarity"
    eps = real(op, "eps", eps)
    x1, x2 = alike(op, ("x1", "x2"), x1, x2)
    dim = check_dim(op, dim, as_array(op, x1, "x1"))
    lengths = mul(maximum(norm(x1, 2, dim), eps), maximum(norm(x2, 2, dim), eps))
    return div(sum(mul(x1, x2), dim), lengths)


def normalize(x, p=2.0, dim=1, eps=1e-12):
    """Vectors of length 1, ``x / max(norm(x, p), eps)``.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    p : float, optional
        Of the norm.
    dim : int or tuple of int, optional
        The axes of a vector.
    eps : float, optional
        The least length to divide by: zeros stay zeros.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.normalize(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    return div(x, clamp(norm(x, p, dim, True), eps))


def distance_between(op, x1, x2, p, eps, keepdim):
    """`pairwise_distance` for an op of this name."""
    p, eps = real(op, "p", p), real(op, "eps", eps)
    x1, x2 = alike(op, ("x1", "x2"), x1, x2)
    if p == 0 or as_array(op, x1, "x1").ndim == 0:
        raise ValueError(f"{op}: p must not be 0, and vectors need an axis")
    return norm(add(sub(x1, x2), eps), p, -1, bool(keepdim))
