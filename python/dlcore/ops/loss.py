"""Losses of classes: each a fused forward and backward."""

from numbers import Real

import numpy as np

from .. import _C
from ..grad_mode import is_grad_enabled
from ..tensor import Tensor, raw, record
from .arithmetic import add, mul
from .elementwise import neg
from .inputs import wants
from .loss_element import reduced
from .reduction import sum
from .shape import as_array, one_line, reshape
from .softmax import log_softmax


def cross_entropy(
    input,
    target,
    weight=None,
    ignore_index=-100,
    reduction="mean",
    label_smoothing=0.0,
):
    r"""Softmax and the negative log-likelihood of the target, in one.

    Parameters
    ----------
    input : ndarray or Tensor, shape (C,), (N, C) or (N, C, d1, ...)
        Scores of the classes (logits), float32 or float64.
    target : ndarray or Tensor
        Of int64 or int32, shape (), (N,) or (N, d1, ...): the right class of each; or
        of the dtype and shape of `input`: the probability of each class.
    weight : ndarray, shape (C,), optional
        Weight of each class.
    ignore_index : int, optional
        A target that does not count (class targets only).
    reduction : {'mean', 'sum', 'none'}, optional
        What becomes of the losses. The mean divides by the sum of the targets' weights
        (with probabilities as targets: by their number).
    label_smoothing : float, optional
        How much of the target is spread evenly over the classes, from 0 to 1.

    Returns
    -------
    ndarray or Tensor
        Shape (), or that of the class targets for ``'none'``. NaN when the mean has
        nothing to count.

    Raises
    ------
    IndexError
        If a target is neither a class nor `ignore_index`; names the first.
    ValueError
        If shapes do not fit or `reduction` is not known.
    TypeError
        If the dtypes do not fit.

    See Also
    --------
    log_softmax, nll_loss

    Notes
    -----
    With :math:`t` the target, :math:`\epsilon` the smoothing and :math:`w` the weights:

    .. math::
        -(1 - \epsilon) w_t \log p_t - \frac{\epsilon}{C} \sum_c w_c \log p_c,
        \qquad p = \mathrm{softmax}(x)

    Forward reads the scores once. When a gradient is recorded it leaves that of the
    mean or sum in memory of the size of `input`, made while each row is in cache;
    otherwise it keeps two numbers for each target.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.cross_entropy(np.zeros((1, 4)), np.array([2])).round(4)
    np.float64(1.3863)
    """
    array, classes, weight = raw(input), raw(target), raw(weight)
    if _floats(array) and _floats(classes):
        return _soft_cross_entropy(
            input, target, weight, reduction, label_smoothing, array.ndim
        )
    loss, normalizer, denominator, gradient = _C.cross_entropy_forward(
        array,
        classes,
        weight,
        ignore_index,
        reduction,
        label_smoothing,
        wants(input) and is_grad_enabled(),
    )
    if not isinstance(input, Tensor):
        return loss
    ready = [] if gradient is None else [gradient]

    def backward(dy):
        if ready and dy.item() == 1:
            return (ready.pop(),)  # given away: the tape may keep it without a copy
        return (
            _C.cross_entropy_backward(
                array,
                classes,
                weight,
                ignore_index,
                reduction,
                label_smoothing,
                normalizer,
                denominator,
                dy,
            ),
        )

    return record(loss, (input,), backward)


def _soft_cross_entropy(input, target, weight, reduction, label_smoothing, ndim):
    x, t = raw(input), raw(target)
    if ndim > 0 and t.shape == (x.shape[:1] + x.shape[2:] if ndim > 1 else ()):
        raise TypeError(
            "cross_entropy: target of class numbers must be int64 or int32, "
            f"got {t.dtype}: cast with target.astype('int64')"
        )
    if x.shape != t.shape or ndim == 0:
        raise ValueError(
            "cross_entropy: target of probabilities must have input.shape = "
            f"{x.shape}, got target.shape = {t.shape}"
        )
    if x.dtype != t.dtype:
        raise TypeError(
            f"cross_entropy: input and target must have one dtype, got {x.dtype} and "
            f"{t.dtype}: cast with target.astype('{x.dtype}')"
        )
    if ndim == 1:
        input, target = reshape(input, (1, -1)), reshape(target, (1, -1))
    classes = raw(input).shape[1]
    terms = log_softmax(input, 1)
    if not isinstance(label_smoothing, Real) or not 0 <= label_smoothing <= 1:
        raise ValueError(
            "cross_entropy: label_smoothing must be from 0 to 1, "
            f"got {one_line(label_smoothing)}"
        )
    if weight is not None:
        weight = as_array("cross_entropy", weight, "weight")
        if weight.dtype != x.dtype:
            raise TypeError(
                "cross_entropy: input and weight must have one dtype, "
                f"got {x.dtype} and {weight.dtype}: cast with .astype"
            )
        if weight.shape != (classes,):
            raise ValueError(
                "cross_entropy: weight must have one value for each class, shape "
                f"({classes},), got weight.shape = {weight.shape}"
            )
        terms = mul(terms, weight.reshape(-1, *[1] * (raw(input).ndim - 2)))
    losses = sum(mul(terms, target), 1)
    if label_smoothing:
        even = mul(sum(terms, 1), label_smoothing / classes)
        losses = add(mul(losses, 1 - label_smoothing), even)
    losses = neg(losses)
    losses = reshape(losses, ()) if ndim == 1 else losses
    return reduced("cross_entropy", losses, reduction)


def nll_loss(input, target, weight=None, ignore_index=-100, reduction="mean"):
    r"""Negative log-likelihood of the target.

    Parameters
    ----------
    input : ndarray or Tensor, shape (C,), (N, C) or (N, C, d1, ...)
        Log-probabilities of the classes, float32 or float64.
    target : ndarray or Tensor, shape (), (N,) or (N, d1, ...)
        The right class of each, int64 or int32.
    weight : ndarray, shape (C,), optional
        Weight of each class.
    ignore_index : int, optional
        A target that does not count.
    reduction : {'mean', 'sum', 'none'}, optional
        What becomes of the losses. The mean divides by the sum of the targets' weights.

    Returns
    -------
    ndarray or Tensor
        Shape (), or that of `target` for ``'none'``.

    Raises
    ------
    IndexError
        If a target is neither a class nor `ignore_index`; names the first.
    ValueError
        If shapes do not fit or `reduction` is not known.
    TypeError
        If the dtypes do not fit.

    See Also
    --------
    cross_entropy, log_softmax

    Notes
    -----
    .. math:: -w_t x_t

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.nll_loss(np.array([[-1.0, -2.0]]), np.array([1]), reduction="none")
    array([2.])
    """
    array, classes, weight = raw(input), raw(target), raw(weight)
    loss, denominator = _C.nll_loss_forward(
        array, classes, weight, ignore_index, reduction
    )
    if not isinstance(input, Tensor):
        return loss

    def backward(dy):
        return (
            _C.nll_loss_backward(
                array, classes, weight, ignore_index, reduction, denominator, dy
            ),
        )

    return record(loss, (input,), backward)


def _floats(x):
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"
