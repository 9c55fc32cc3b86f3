"""Losses of embeddings: what belongs together is to lie near, what does not, far."""

from .arithmetic import add, div, minimum, mul, sub
from .compare import where
from .distance import distance_between, pairwise_distance
from .elementwise import clamp, sqrt, square
from .loss_element import alike, floats, real, reduced
from .reduction import norm, sum
from .shape import as_array


def cosine_embedding_loss(input1, input2, target, margin=0, reduction="mean"):
    r"""Of pairs of vectors: alike, they should point one way; others, should not.

    Parameters
    ----------
    input1, input2 : ndarray or Tensor, shape (N, D) or (D,)
        Vectors, float32 or float64. Both receive a gradient.
    target : ndarray or Tensor, shape (N,) or ()
        1 for pairs alike, -1 for others.
    margin : float, optional
        The cosine up to which others cost nothing, from -1 to 1.
    reduction : {'mean', 'sum', 'none'}, optional
        What becomes of the losses.

    Returns
    -------
    ndarray or Tensor
        Shape (), or that of `target` for ``'none'``.

    Raises
    ------
    ValueError
        If shapes do not fit or `reduction` is not known.
    TypeError
        If the dtypes differ.

    See Also
    --------
    cosine_similarity, contrastive_loss

    Notes
    -----
    .. math::
        \begin{cases} 1 - \cos(x_1, x_2) & t = 1 \\
        \max(0, \cos(x_1, x_2) - m) & t = -1 \end{cases}

    1e-12 is added to the squared lengths, as in PyTorch.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x, y = np.array([[3.0, 4.0]]), np.array([[4.0, 3.0]])
    >>> dl.cosine_embedding_loss(x, y, np.array([1])).round(4)
    np.float64(0.04)
    """
    op = "cosine_embedding_loss"
    margin = real(op, "margin", margin)
    x1, x2 = alike(op, ("input1", "input2"), input1, input2)
    like, unlike = _kinds(op, target, as_array(op, x1, "input1"), -1)
    lengths = [add(sum(square(x), -1), 1e-12) for x in (x1, x2)]
    cosine = div(sum(mul(x1, x2), -1), sqrt(mul(*lengths)))
    far = where(unlike, clamp(sub(cosine, margin), min=0), 0.0)
    return reduced(op, add(where(like, sub(1.0, cosine), 0.0), far), reduction)


def contrastive_loss(x1, x2, target, margin=1.0, reduction="mean"):
    r"""Loss of a Siamese network: pairs alike are drawn together, others pushed apart.

    Parameters
    ----------
    x1, x2 : ndarray or Tensor, shape (N, D) or (D,)
        Embeddings of the two, float32 or float64. Both receive a gradient.
    target : ndarray or Tensor, shape (N,) or ()
        1 for pairs alike, 0 for others.
    margin : float, optional
        The distance from which on others cost nothing.
    reduction : {'mean', 'sum', 'none'}, optional
        What becomes of the losses.

    Returns
    -------
    ndarray or Tensor
        Shape (), or that of `target` for ``'none'``.

    Raises
    ------
    ValueError
        If shapes do not fit or `reduction` is not known.
    TypeError
        If the dtypes differ.

    See Also
    --------
    triplet_margin_loss, cosine_embedding_loss

    Notes
    -----
    With :math:`d = \|x_1 - x_2\|`, whose gradient is 0 at 0:

    .. math::
        \begin{cases} d^2 / 2 & t = 1 \\
        \max(0, m - d)^2 / 2 & t = 0 \end{cases}

    R. Hadsell, S. Chopra, Y. LeCun, *Dimensionality Reduction by Learning an Invariant
    Mapping*, 2006 (whose targets are the other way round).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x, y = np.array([[0.0, 0.0]]), np.array([[0.3, 0.4]])
    >>> dl.contrastive_loss(x, y, np.array([0])).round(4)
    np.float64(0.125)
    """
    op = "contrastive_loss"
    margin = real(op, "margin", margin)
    x1, x2 = alike(op, ("x1", "x2"), x1, x2)
    like, unlike = _kinds(op, target, as_array(op, x1), 0)
    distance = norm(sub(x1, x2), 2, -1)
    far = where(unlike, clamp(sub(margin, distance), min=0), 0.0)
    gaps = add(where(like, distance, 0.0), far)
    return reduced(op, mul(square(gaps), 0.5), reduction)


def triplet_margin_loss(
    anchor,
    positive,
    negative,
    margin=1.0,
    p=2,
    eps=1e-6,
    swap=False,
    reduction="mean",
    *,
    squared=False,
):
    r"""An anchor should lie nearer to its like than to another, by a margin.

    Parameters
    ----------
    anchor, positive, negative : ndarray or Tensor, shape (N, D) or (D,)
        Embeddings, float32 or float64: of something, of its like and of another. All
        receive gradients.
    margin : float, optional
        By how much nearer; above 0.
    p : float, optional
        The power of the distance.
    eps : float, optional
        As for `pairwise_distance`.
    swap : bool, optional
        Whether the other may be compared with the like, where it lies nearer to it.
    reduction : {'mean', 'sum', 'none'}, optional
        What becomes of the losses.
    squared : bool, optional
        Whether distances are squared (FaceNet) or not (PyTorch).

    Returns
    -------
    ndarray or Tensor
        Shape (), or (N,) for ``'none'``.

    Raises
    ------
    ValueError
        If the shapes do not broadcast, `margin` is not above 0 or `reduction` is not
        known.
    TypeError
        If the dtypes differ.

    See Also
    --------
    triplet_margin_with_distance_loss, contrastive_loss

    Notes
    -----
    .. math:: \max(0, d(a, p) - d(a, n) + m)

    F. Schroff et al., `FaceNet <https://arxiv.org/abs/1503.03832>`_, 2015; the swap is
    V. Balntas et al., *Learning shallow convolutional feature descriptors with triplet
    losses*, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> a, p, n = np.array([[0.0]]), np.array([[2.0]]), np.array([[3.0]])
    >>> float(dl.triplet_margin_loss(a, p, n, margin=2.0, eps=0.0))
    1.0
    >>> float(dl.triplet_margin_loss(a, p, n, margin=6.0, eps=0.0, squared=True))
    1.0
    """
    op = "triplet_margin_loss"
    squared = bool(squared)

    def distance(a, b):
        d = distance_between(op, a, b, p, eps, False)
        return square(d) if squared else d

    return _triplets(op, anchor, positive, negative, distance, margin, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor,
    positive,
    negative,
    *,
    distance_function=None,
    margin=1.0,
    swap=False,
    reduction="mean",
):
    """`triplet_margin_loss` with a distance of one's own.

    Parameters
    ----------
    anchor, positive, negative : ndarray or Tensor
        As for `triplet_margin_loss`.
    distance_function : callable, optional
        Of two of them; by default `pairwise_distance`.
    margin : float, optional
        By how much nearer; above 0.
    swap : bool, optional
        As for `triplet_margin_loss`.
    reduction : {'mean', 'sum', 'none'}, optional
        What becomes of the losses.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> def distance(a, b):
    ...     return dl.amax(dl.abs(a - b), -1)
    >>> a, p, n = np.array([[0.0]]), np.array([[2.0]]), np.array([[3.0]])
    >>> float(dl.triplet_margin_with_distance_loss(a, p, n, distance_function=distance))
    0.0
    """
    op = "triplet_margin_with_distance_loss"
    distance = pairwise_distance if distance_function is None else distance_function
    if not callable(distance):
        raise TypeError(
            f"{op}: distance_function must be callable, got {type(distance).__name__}"
        )
    return _triplets(op, anchor, positive, negative, distance, margin, swap, reduction)


def _triplets(op, anchor, positive, negative, distance, margin, swap, reduction):
    names = "anchor", "positive", "negative"
    dims = {a.ndim for a in floats(op, names, anchor, positive, negative)}
    margin = real(op, "margin", margin)
    if margin <= 0:
        raise ValueError(f"{op}: margin must be above 0, got {margin}")
    if len(dims) > 1:
        raise ValueError(f"{op}: anchor, positive and negative must have as many axes")
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return reduced(op, clamp(add(sub(near, far), margin), min=0), reduction)


def _kinds(op, target, x, other):
    """Which pairs are alike (1) and which are not (`other`)."""
    kinds = as_array(op, target, "target")
    fits = x.ndim in (1, 2) and kinds.shape == x.shape[:-1]
    if not fits or kinds.dtype.kind not in "iuf":
        raise ValueError(
            f"{op}: target must hold 1 or {other} for each pair, shape {x.shape[:-1]}, "
            f"got {kinds.dtype} of shape {kinds.shape}"
        )
    return kinds == 1, kinds == other
