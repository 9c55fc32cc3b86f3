"""Losses that are content with a margin."""

import numpy as np

from ..tensor import raw
from .arithmetic import add, div, mul, sub
from .compare import where
from .elementwise import clamp, square
from .gather import gather, one_hot
from .loss_element import element_loss, floats, joined, labels, real, reduced
from .reduction import sum
from .shape import as_array, one_line, reshape, unsqueeze


def hinge_loss(input, target, reduction="mean"):
    r"""Hinge loss of a support vector machine, for targets 1 and -1.

    Parameters
    ----------
    input : ndarray or Tensor, any shape
        Scores, float32 or float64.
    target : ndarray or Tensor
        Of the same dtype, 1 or -1; broadcasts with `input`. Both receive a gradient.
    reduction : {'mean', 'sum', 'none'}, optional
        What becomes of the losses.

    Returns
    -------
    ndarray or Tensor
        Shape (), or that of the losses for ``'none'``.

    Raises
    ------
    ValueError
        If the shapes do not broadcast or `reduction` is not known.
    TypeError
        If the dtypes differ.

    See Also
    --------
    soft_margin_loss, multi_margin_loss, margin_ranking_loss

    Notes
    -----
    .. math:: \max(0, 1 - t x)

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.hinge_loss(np.array([0.25, -3.0]), np.array([1.0, -1.0]), "none")
    array([0.75, 0.  ])
    """
    return _pair("hinge_loss", input, target, reduction, ())


def hinge_embedding_loss(input, target, margin=1.0, reduction="mean"):
    r"""Of distances: all of it for pairs alike, what is short of `margin` for others.

    As `hinge_loss` for the arguments, with targets of 1 for pairs alike and -1 for
    others, which are to lie `margin` apart.

    Notes
    -----
    .. math::
        \begin{cases} x & t = 1 \\ \max(0, m - x) & t = -1 \end{cases}

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.hinge_embedding_loss(np.array([0.25, 0.25]), np.array([1.0, -1.0])).item()
    0.5
    """
    op = "hinge_embedding_loss"
    return _pair(op, input, target, reduction, (real(op, "margin", margin),))


def soft_margin_loss(input, target, reduction="mean"):
    r"""Logistic loss, for targets 1 and -1; no overflow.

    As `hinge_loss` for the arguments.

    Notes
    -----
    .. math:: \log(1 + e^{-t x})

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.soft_margin_loss(np.array([0.0, 0.0]), np.array([1.0, -1.0])).round(4)
    np.float64(0.6931)
    """
    return _pair("soft_margin_loss", input, target, reduction, ())


def margin_ranking_loss(input1, input2, target, margin=0, reduction="mean"):
    r"""How much the right order of two scores is missed.

    Parameters
    ----------
    input1, input2 : ndarray or Tensor
        Scores, float32 or float64.
    target : ndarray or Tensor
        Of the same dtype: 1 where `input1` should be larger, -1 where `input2` should.
        All three broadcast, and receive gradients.
    margin : float, optional
        By how much larger.
    reduction : {'mean', 'sum', 'none'}, optional
        What becomes of the losses.

    Returns
    -------
    ndarray or Tensor
        Shape (), or that of the losses for ``'none'``.

    Raises
    ------
    ValueError
        If the shapes do not broadcast or `reduction` is not known.
    TypeError
        If the dtypes differ.

    Notes
    -----
    .. math:: \max(0, -t (x_1 - x_2) + m)

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.margin_ranking_loss(np.array([1.0]), np.array([3.0]), np.array([1.0])).item()
    2.0
    """
    op = "margin_ranking_loss"
    margin = real(op, "margin", margin)
    names = "input1", "target", "input2"
    inputs = joined(op, names, input1, target, input2)
    return element_loss(op, inputs, reduction, (margin,))


def multi_margin_loss(input, target, p=1, margin=1.0, weight=None, reduction="mean"):
    r"""Hinge loss of many classes: by how much others come too near to the right one.

    Parameters
    ----------
    input : ndarray or Tensor, shape (N, C) or (C,)
        Scores of the classes, float32 or float64.
    target : ndarray or Tensor of int, shape (N,) or ()
        The right class of each.
    p : {1, 2}, optional
        The power of each.
    margin : float, optional
        How much smaller the other scores should be.
    weight : ndarray, shape (C,), optional
        Weight of each class.
    reduction : {'mean', 'sum', 'none'}, optional
        What becomes of the losses.

    Returns
    -------
    ndarray or Tensor
        Shape (), or that of `target` for ``'none'``.

    Raises
    ------
    IndexError
        If a target is not a class.
    ValueError
        If shapes do not fit, `p` is neither 1 nor 2 or `reduction` is not known.
    TypeError
        If the dtypes do not fit.

    Notes
    -----
    .. math:: \frac{1}{C} \sum_{i \ne t} w_t \max(0, m - x_t + x_i)^p

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.multi_margin_loss(np.array([[0.25, 0.75]]), np.array([1])).item()
    0.25
    """
    op = "multi_margin_loss"
    rows, single = _rows(op, input)
    n, classes = raw(rows).shape
    target = as_array(op, target, "target")
    target = target.reshape(1) if single and target.ndim == 0 else target
    target = labels(op, target, (n,), classes)
    margin = real(op, "margin", margin)
    if not isinstance(p, (int, float, np.number)) or p not in (1, 2):
        raise ValueError(f"{op}: p must be 1 or 2, got {one_line(p)}")
    right = gather(rows, 1, target[:, None])
    terms = clamp(add(sub(rows, right), margin), min=0)
    terms = square(terms) if p == 2 else terms
    terms = where(one_hot(target, classes) == 1, 0.0, terms)
    losses = div(sum(terms, 1), float(classes))
    if weight is not None:
        _, weight = floats(op, ("input", "weight"), input, weight)
        if weight.shape != (classes,):
            raise ValueError(
                f"{op}: weight must have shape ({classes},), "
                f"got weight.shape = {weight.shape}"
            )
        losses = mul(losses, weight[target])
    return reduced(op, reshape(losses, ()) if single else losses, reduction)


def multilabel_margin_loss(input, target, reduction="mean"):
    r"""`multi_margin_loss` for several right classes.

    Parameters
    ----------
    input : ndarray or Tensor, shape (N, C) or (C,)
        Scores of the classes, float32 or float64.
    target : ndarray or Tensor of int, of the same shape
        The right classes of each, the first -1 ends them.
    reduction : {'mean', 'sum', 'none'}, optional
        What becomes of the losses.

    Returns
    -------
    ndarray or Tensor
        Shape (), or (N,) for ``'none'``.

    Raises
    ------
    IndexError
        If a target is neither a class nor -1.
    ValueError
        If the shapes differ or `reduction` is not known.
    TypeError
        If the dtypes do not fit.

    Notes
    -----
    Over the right classes j and the others i:

    .. math:: \frac{1}{C} \sum_j \sum_i \max(0, 1 - (x_j - x_i))

    All pairs lie in memory at once: N times C times the most labels of a row.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x, right = np.array([[0.1, 0.2, 0.4, 0.8]]), np.array([[3, 0, -1, 1]])
    >>> dl.multilabel_margin_loss(x, right).round(4)
    np.float64(0.85)
    """
    op = "multilabel_margin_loss"
    rows, single = _rows(op, input)
    n, classes = raw(rows).shape
    target = as_array(op, target, "target")
    target = target[None] if single and target.ndim == 1 else target
    if target.dtype.kind in "iu" and target.shape == (n, classes):
        counts = np.logical_and.accumulate(target != -1, axis=1)
        target = np.where(counts, target, 0)
    target = labels(op, target, (n, classes), classes)
    most = int(counts.sum(1).max(initial=0))
    target, counts = target[:, :most], counts[:, :most]
    right = np.zeros((n, classes), bool)
    right[np.nonzero(counts)[0], target[counts]] = True
    gaps = sub(unsqueeze(rows, 1), unsqueeze(gather(rows, 1, target), 2))
    terms = clamp(add(gaps, 1.0), min=0)  # (n, most, classes)
    terms = where(counts[:, :, None] & ~right[:, None, :], terms, 0.0)
    losses = div(sum(terms, (1, 2)), float(max(classes, 1)))
    return reduced(op, reshape(losses, ()) if single else losses, reduction)


def _pair(op, input, target, reduction, numbers):
    pair = joined(op, ("input", "target"), input, target)
    return element_loss(op, pair, reduction, numbers)


def _rows(op, input):
    """Scores as rows of at least one class, and whether there was one alone."""
    (x,) = floats(op, ["input"], input)
    if x.ndim not in (1, 2) or x.shape[-1] == 0:
        raise ValueError(
            f"{op}: input must have shape (N, C) or (C,), got input.shape = {x.shape}"
        )
    return (unsqueeze(input, 0), True) if x.ndim == 1 else (input, False)
