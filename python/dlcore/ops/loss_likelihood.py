"""Losses of distributions: divergence, likelihoods of counts and of noise."""

from math import log, pi

import numpy as np

from .. import _C
from ..tensor import raw
from .loss_element import element_loss, floats, joined, real
from .shape import as_array, unsqueeze


def kl_div(input, target, reduction="mean", log_target=False):
    r"""Divergence of Kullback and Leibler: how far a distribution is from its target.

    Parameters
    ----------
    input : ndarray or Tensor, any shape
        Logarithms of probabilities, float32 or float64.
    target : ndarray or Tensor
        Probabilities; broadcasts with `input`. Both receive a gradient.
    reduction : {'mean', 'batchmean', 'sum', 'none'}, optional
        What becomes of the terms. Only ``'batchmean'``, the sum over the length of the
        first axis, is the mean divergence of a batch.
    log_target : bool, optional
        Whether `target` is logarithms too.

    Returns
    -------
    ndarray or Tensor
        Shape (), or that of the terms for ``'none'``. 0 where the target is 0.

    Raises
    ------
    ValueError
        If the shapes do not broadcast or `reduction` is not known.
    TypeError
        If the dtypes differ.

    See Also
    --------
    log_softmax, cross_entropy

    Notes
    -----
    .. math:: t (\log t - x)

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> even, sure = np.log([[0.5, 0.5]]), np.array([[1.0, 0.0]])
    >>> dl.kl_div(even, sure, reduction="batchmean").round(4)
    np.float64(0.6931)
    """
    op = "kl_div"
    input, target = joined(op, ("input", "target"), input, target)
    count = None
    if isinstance(reduction, str) and reduction == "batchmean":
        reduction, shape = "mean", raw(input).shape
        count = shape[0] if shape else 1
    numbers = (float(bool(log_target)),)
    return element_loss(op, (input, target), reduction, numbers, count=count)


def poisson_nll_loss(
    input, target, log_input=True, full=False, eps=1e-8, reduction="mean"
):
    r"""Negative log-likelihood of counts, given the rate of Poisson's distribution.

    Parameters
    ----------
    input : ndarray or Tensor, any shape
        The rate or its logarithm, float32 or float64.
    target : ndarray or Tensor
        The counts, of the same dtype; broadcasts with `input`. Both receive a gradient.
    log_input : bool, optional
        Whether `input` is the logarithm of the rate.
    full : bool, optional
        Whether to add Stirling's approximation of ``log(target!)``.
    eps : float, optional
        Added to a rate before its logarithm is taken.
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
    .. math:: e^x - t x \quad\text{or}\quad x - t \log(x + \epsilon)

    and in full, where :math:`t > 1`, :math:`t \log t - t + \log(2 \pi t) / 2` more.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.poisson_nll_loss(np.array([0.0]), np.array([3.0])).item()
    1.0
    """
    op = "poisson_nll_loss"
    numbers = float(bool(log_input)), float(bool(full)), real(op, "eps", eps)
    pair = joined(op, ("input", "target"), input, target)
    return element_loss(op, pair, reduction, numbers)


def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    r"""Negative log-likelihood of numbers, given mean and variance of a normal one.

    Parameters
    ----------
    input : ndarray or Tensor, any shape
        The means, float32 or float64.
    target : ndarray or Tensor
        The numbers, of the same dtype; broadcasts with `input`.
    var : ndarray, Tensor or float
        The variances: of the shape of `input`, or with the last axis left out, or with
        lengths of 1. All three receive gradients.
    full : bool, optional
        Whether to add the constant :math:`\log(2 \pi) / 2`.
    eps : float, optional
        Variances are raised to this; the gradient takes no notice.
    reduction : {'mean', 'sum', 'none'}, optional
        What becomes of the losses.

    Returns
    -------
    ndarray or Tensor
        Shape (), or that of the losses for ``'none'``.

    Raises
    ------
    ValueError
        If shapes do not fit, a variance is negative, `eps` is not above 0 or
        `reduction` is not known.
    TypeError
        If the dtypes differ.

    Notes
    -----
    .. math:: \frac{1}{2} \left(\log v + \frac{(x - t)^2}{v}\right)

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.gaussian_nll_loss(np.array([1.0]), np.array([3.0]), np.array([1.0])).item()
    2.0
    """
    op = "gaussian_nll_loss"
    eps = real(op, "eps", eps)
    if eps <= 0:
        raise ValueError(f"{op}: eps must be above 0, got {eps}")
    x, _ = floats(op, ("input", "target"), input, target)
    if isinstance(var, (int, float)):
        var = _C.expand(np.asarray(var, x.dtype), x.shape)
    spreads = as_array(op, var, "var").shape
    if spreads != x.shape:
        if spreads == x.shape[:-1]:
            var = unsqueeze(var, -1)
        elif len(spreads) != x.ndim or any(
            v not in (1, n) for v, n in zip(spreads, x.shape)
        ):
            raise ValueError(
                f"{op}: var must have input.shape = {x.shape}, perhaps with 1 for a "
                f"length or without the last, got var.shape = {spreads}"
            )
    names = "input", "target", "var"
    numbers = eps, 0.5 * log(2 * pi) if full else 0.0
    return element_loss(op, joined(op, names, input, target, var), reduction, numbers)
