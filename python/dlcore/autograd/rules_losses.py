"""Second derivatives of losses: each once more, by ops."""

import math

import numpy as np

from .. import ops
from ..tensor import raw
from .recorded import composite, rule, softplus, tensor

# -- of each element: the formula, of the inputs and the kernel's numbers --


def _squares(numbers, x, t):
    return ops.square(x - t)


def _half_squares(numbers, x, t):
    return ops.square(x - t) * 0.5


def _absolute(numbers, x, t):
    return ops.abs(x - t)


def _piecewise(numbers, x, t):
    """``curve d^2`` below ``|d| = bend``, from there on ``slope |d| - level``."""
    bend, curve, slope, level = numbers
    d = x - t
    if bend == math.inf:
        return ops.square(d) * curve
    size = ops.abs(d)
    return ops.where(size < bend, ops.square(d) * curve, size * slope - level)


def _log_squares(numbers, x, t):
    return ops.square(ops.log1p(x) - ops.log1p(t))


def _log_cosh(numbers, x, t):
    d = x - t
    return softplus(d * 2.0) - d - math.log(2)


def _logits(numbers, x, t, counts=None):
    yes = t if counts is None else t * counts
    return yes * softplus(-x) + (1.0 - t) * softplus(x)


def _focal(numbers, x, t):
    alpha, gamma = numbers
    wrong = t * ops.sigmoid(-x) + (1.0 - t) * ops.sigmoid(x)
    losses = _logits(numbers, x, t) * wrong**gamma
    return losses if alpha < 0 else losses * (t * alpha + (1.0 - t) * (1 - alpha))


def _divergence(numbers, x, t):
    if numbers[0]:
        return ops.exp(t) * (t - x)
    some = raw(t) != 0
    return ops.where(some, t * (ops.log(ops.where(some, t, 1.0)) - x), 0.0)


def _hinge(numbers, x, t):
    return ops.relu(1.0 - x * t)


def _hinge_embedding(numbers, x, t):
    like, unlike = raw(t) == 1, raw(t) == -1
    far = ops.where(like, 0.0, ops.relu(numbers[0] - x))
    return far + ops.where(unlike, 0.0, x)


def _ranking(numbers, x, t, other):
    return ops.relu(numbers[0] - t * (x - other))


def _soft_margin(numbers, x, t):
    return softplus(-(t * x))


def _poisson(numbers, x, t):
    logarithm, full, eps = numbers
    losses = ops.exp(x) - t * x if logarithm else x - t * ops.log(x + eps)
    if not full:
        return losses
    many = raw(t) > 1
    some = ops.where(many, t, 1.0)
    logs = ops.log(some)
    stirling = some * logs - some + logs * 0.5 + 0.5 * math.log(2 * math.pi)
    return losses + ops.where(many, stirling, 0.0)


def _gaussian(numbers, x, t, variance):
    """The gradient by a variance below eps is that at eps."""
    eps, constant = numbers
    short = np.maximum(0, eps - raw(variance))
    v = variance + short
    return (ops.log(v) + ops.square(x - t) / v) * 0.5 + constant


_FORMULAS = {
    "mse_loss": _squares,
    "half_mse_loss": _half_squares,
    "l1_loss": _absolute,
    "huber_loss": _piecewise,
    "smooth_l1_loss": _piecewise,
    "msle_loss": _log_squares,
    "log_cosh_loss": _log_cosh,
    "binary_cross_entropy_with_logits": _logits,
    "sigmoid_focal_loss": _focal,
    "kl_div": _divergence,
    "hinge_loss": _hinge,
    "hinge_embedding_loss": _hinge_embedding,
    "margin_ranking_loss": _ranking,
    "soft_margin_loss": _soft_margin,
    "poisson_nll_loss": _poisson,
    "gaussian_nll_loss": _gaussian,
}


def _of_elements(formula):
    @composite
    def loss(kept, *inputs):
        _, _, _, _, weight, numbers, reduction, count = kept.given
        inputs = [x for x in inputs if x is not None]
        losses = formula(numbers, *inputs)
        losses = losses if weight is None else losses * weight
        if reduction == "mean" and count is not None:
            return ops.sum(losses) * (1.0 / count)
        return reduced(reduction, losses)

    return loss


for _name, _formula in _FORMULAS.items():
    rule(f"loss_element.{_name}")(_of_elements(_formula))


@rule("loss_element.binary_cross_entropy")
def _(dy, parents, kept, need):
    """The kernel's own slopes, which are finite at 0 and 1."""
    x, t = map(tensor, parents[:2])
    _, _, _, _, weight, _, reduction, count = kept.given
    share = dy if weight is None else dy * weight
    if reduction == "mean":
        share = share * (1.0 / (x.numel() if count is None else count))
    return (
        lambda: share * (x - t) / ops.maximum((1.0 - x) * x, 1e-12),
        lambda: share * (ops.log1p(-x) - ops.log(x)),
        None,
    )


# -- of classes --


@rule("nll_loss")
@composite
def _(kept, input):
    return _of_classes(kept, -input, kept.array.ndim, 0.0)


@rule("cross_entropy")
@composite
def _(kept, input):
    terms = -ops.log_softmax(input, 1 if kept.array.ndim > 1 else 0)
    return _of_classes(kept, terms, kept.array.ndim, kept.label_smoothing)


def _of_classes(kept, terms, ndim, smoothing):
    """The term of each target, and a share of all; weighted, without the ignored."""
    classes = np.asarray(kept.classes)
    dim = 1 if ndim > 1 else 0
    counted = classes != kept.ignore_index
    numbers = np.expand_dims(np.where(counted, classes, 0), dim)
    scale = np.ones(terms.shape[dim], terms.dtype)
    scale = scale if kept.weight is None else kept.weight
    own = (scale[numbers] * np.expand_dims(counted, dim)).astype(terms.dtype)
    losses = ops.gather(terms, dim, numbers) * own
    if smoothing:
        along = scale.reshape([-1 if d == dim else 1 for d in range(max(ndim, 1))])
        even = ops.sum(terms * along, dim, True)
        even = even * np.expand_dims(counted, dim).astype(terms.dtype)
        losses = losses * (1.0 - smoothing) + even * (smoothing / terms.shape[dim])
    losses = ops.reshape(losses, *classes.shape)
    if kept.reduction == "mean":
        return ops.sum(losses) * (1.0 / own.sum() if own.any() else math.nan)
    return reduced(kept.reduction, losses)


def reduced(reduction, losses):
    if reduction == "mean":
        return ops.mean(losses)
    return ops.sum(losses) if reduction == "sum" else losses
