"""Distances and likeness of vectors, and vectors of length 1."""

from .arithmetic import add, div, mul, sub
from .elementwise import clamp
from .reduction import norm, sum
from .shape import as_array


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    r"""Cosine of the angle between two vectors.

    Parameters
    ----------
    x1, x2 : ndarray or Tensor, shapes that broadcast
        float32 or float64.
    dim : int, optional
        The axis of the vectors, of the shape they broadcast to.
    eps : float, optional
        The least length: that of a zero vector, which is like none.

    Returns
    -------
    ndarray or Tensor
        Without `dim`; from -1 to 1.

    Notes
    -----
    .. math:: \frac{x_1 \cdot x_2}{\max(|x_1|, \epsilon) \max(|x_2|, \epsilon)}

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.cosine_similarity(np.array([[1.0, 0.0]]), np.array([[2.0, 2.0]])).round(4)
    array([0.7071])
    """
    op = "cosine_similarity"
    ndim = max(as_array(op, x1, "x1").ndim, as_array(op, x2, "x2").ndim)
    if not isinstance(dim, int):
        raise TypeError(f"{op}: dim must be an integer, got {type(dim).__name__}")
    if not -ndim <= dim < ndim:
        raise IndexError(f"{op}: dim must be from {-ndim} to {ndim - 1}, got {dim}")
    dim = dim if dim < 0 else dim - ndim  # the same axis of the one with fewer
    return sum(mul(_unit(x1, dim, eps), _unit(x2, dim, eps)), dim)


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """Distance of vectors along the last axis, ``norm(x1 - x2 + eps, p)``.

    Parameters
    ----------
    x1, x2 : ndarray or Tensor, shapes (..., n) that broadcast
        float32 or float64.
    p : float, optional
        Of the norm.
    eps : float, optional
        Added to the differences, against the kink at 0.
    keepdim : bool, optional
        Whether the last axis stays, with length 1.

    Returns
    -------
    ndarray or Tensor, shape (...) or (..., 1)

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.pairwise_distance(np.array([[3.0, 4.0]]), np.array([[0.0, 0.0]])).round(4)
    array([5.])
    """
    return norm(add(sub(x1, x2), eps), p, -1, keepdim)


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
    return _unit(x, dim, eps, p)


def _unit(x, dim, eps, p=2.0):
    return div(x, clamp(norm(x, p, dim, True), eps))
