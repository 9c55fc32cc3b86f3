"""Losses once more in NumPy, in the input's precision, written to be read."""

import numpy as np
from reference import reduce


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def sigmoid(x):
    return np.exp(-softplus(-x))


def huber(d, delta):
    d = np.abs(d)
    return np.where(d < delta, d * d / 2, delta * (d - delta / 2))


def log_cosh(d):
    """By sinh: log(cosh(d)) would cancel where d is small."""
    return np.log1p(np.sinh(d) ** 2) / 2


def cross(x, t):
    """Of probabilities; logarithms of at least -100."""
    with np.errstate(divide="ignore"):
        yes, no = np.maximum(np.log(x), -100), np.maximum(np.log1p(-x), -100)
    return -(t * yes + (1 - t) * no)


def focal(x, t, alpha=0.25, gamma=2):
    p = t * sigmoid(x) + (1 - t) * sigmoid(-x)
    share = 1.0 if alpha < 0 else alpha * t + (1 - alpha) * (1 - t)
    ce = t * softplus(-x) + (1 - t) * softplus(x)
    return share * (1 - p) ** gamma * ce


def divergence(x, t, log_target=False):
    if log_target:
        return np.exp(t) * (t - x)
    return np.where(t == 0, 0, t * (np.log(np.where(t == 0, 1, t)) - x))


def poisson(x, t, log_input=True, full=False, eps=1e-8):
    loss = np.exp(x) - t * x if log_input else x - t * np.log(x + eps)
    n = np.maximum(t, 1)
    stirling = np.where(t > 1, n * np.log(n) - n + np.log(2 * np.pi * n) / 2, 0)
    return loss + stirling if full else loss


def gaussian(x, t, var, full=False, eps=1e-6):
    var = np.maximum(var, eps)
    loss = (np.log(var) + (x - t) ** 2 / var) / 2
    return loss + np.log(2 * np.pi) / 2 if full else loss


ELEMENTS = {  # name -> the loss of each element
    "mse_loss": lambda x, t: (x - t) ** 2,
    "half_mse_loss": lambda x, t: (x - t) ** 2 / 2,
    "l1_loss": lambda x, t: np.abs(x - t),
    "huber_loss": lambda x, t, delta=1.0: huber(x - t, delta),
    "smooth_l1_loss": lambda x, t, beta=1.0: huber(x - t, beta) / beta,
    "msle_loss": lambda x, t: (np.log1p(x) - np.log1p(t)) ** 2,
    "log_cosh_loss": lambda x, t: log_cosh(x - t),
    "binary_cross_entropy": cross,
    "binary_cross_entropy_with_logits": lambda x, t: (
        t * softplus(-x) + (1 - t) * softplus(x)
    ),
    "sigmoid_focal_loss": focal,
    "kl_div": divergence,
    "hinge_loss": lambda x, t: np.maximum(0, 1 - t * x),
    "hinge_embedding_loss": lambda x, t, margin=1.0: np.where(
        t == 1, x, np.maximum(0, margin - x)
    ),
    "soft_margin_loss": lambda x, t: softplus(-t * x),
    "margin_ranking_loss": lambda x, y, t, margin=0: np.maximum(
        0, margin - t * (x - y)
    ),
    "poisson_nll_loss": poisson,
    "gaussian_nll_loss": gaussian,
}


def element_loss(name, *inputs, reduction="mean", **options):
    return reduce(ELEMENTS[name](*inputs, **options), reduction)
