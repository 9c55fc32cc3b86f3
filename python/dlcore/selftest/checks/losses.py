"""Losses of numbers, margins, embeddings, pictures and boxes."""

import numpy as np

import dlcore as dl

from .table import PLANE, add, normal

_SIGNS = np.where(np.arange(23) % 3, 1.0, -1.0) * np.ones((5, 1))
_ALIKE = np.array([1, 0, 1, 0, 0])
_LABELS = np.array([0, 22, 7, 7, 11])


def _chances(*shapes):
    def inputs(rng):
        return [rng.uniform(0.1, 0.9, shape) for shape in shapes]

    return inputs


def _softplus(x):
    return np.logaddexp(0, x)


def _logits(x, t):
    return _softplus(x) - x * t


def _bend(d, at):
    d = np.abs(d)
    return np.where(d < at, d * d / 2, at * (d - at / 2))


def _sure(x, t):
    return -(t * np.log(x) + (1 - t) * np.log1p(-x))


def _focal(x, t):
    p = 1 / (1 + np.exp(-x))
    wrong = t * (1 - p) + (1 - t) * p
    return (t / 4 + (1 - t) * 0.75) * wrong**2 * _logits(x, t)


def _far(a, b, eps=0.0):
    return np.sqrt(np.square(a - b + eps).sum(1))


def _cosine(a, b):
    return (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))


def _triplets(a, p, n, distance):
    return np.maximum(0, distance(a, p) - distance(a, n) + 1).mean()


def _kl(mean, log_var):
    return (mean**2 + np.exp(log_var) - 1 - log_var).sum(1) / 2


def _gram(x):
    rows = x.reshape(*x.shape[:2], -1)
    return rows @ rows.transpose(0, 2, 1)


_PAIRS = {  # the mean of a loss of each element; inputs
    "mse_loss": (lambda x, t: np.square(x - t), normal),
    "l1_loss": (lambda x, t: np.abs(x - t), normal),
    "huber_loss": (lambda x, t: _bend(x - t, 1), normal),
    "smooth_l1_loss": (lambda x, t: _bend(x - t, 1), normal),
    "log_cosh_loss": (lambda x, t: np.logaddexp(x - t, t - x) - np.log(2), normal),
    "msle_loss": (lambda x, t: np.square(np.log1p(x) - np.log1p(t)), _chances),
    "binary_cross_entropy": (_sure, _chances),
    "binary_cross_entropy_with_logits": (_logits, _chances),
    "multilabel_soft_margin_loss": (_logits, _chances),
    "kl_div": (lambda x, t: t * (np.log(t) - x), _chances),
    "poisson_nll_loss": (lambda x, t: np.exp(x) - t * x, normal),
}
for _name, (_loss, _inputs) in _PAIRS.items():
    add(
        _name,
        _inputs(PLANE, PLANE),
        getattr(dl, _name),
        lambda x, t, loss=_loss: loss(x, t).mean(),
    )
_SIGNED = {  # the same with targets of 1 and -1
    "hinge_loss": lambda x: np.maximum(0, 1 - _SIGNS * x),
    "soft_margin_loss": lambda x: _softplus(-_SIGNS * x),
    "hinge_embedding_loss": lambda x: np.where(_SIGNS > 0, x, np.maximum(0, 1 - x)),
}
for _name, _of_one in _SIGNED.items():
    add(
        _name,
        normal(PLANE),
        lambda x, name=_name: getattr(dl, name)(x, _SIGNS.astype(x.dtype)),
        lambda x, loss=_of_one: loss(x).mean(),
    )
for _name in ("half_mse_loss", "content_loss"):
    add(
        _name,
        normal(PLANE, PLANE),
        getattr(dl, _name),
        lambda x, t: np.square(x - t).sum() / 2,
    )
add("sigmoid_focal_loss", _chances(PLANE, PLANE), dl.sigmoid_focal_loss, _focal)
add(
    "margin_ranking_loss",
    normal(PLANE, PLANE),
    lambda x, y: dl.margin_ranking_loss(x, y, _SIGNS.astype(x.dtype)),
    lambda x, y: np.maximum(0, -_SIGNS * (x - y)).mean(),
)
add(
    "gaussian_nll_loss",
    _chances(PLANE, PLANE, PLANE),
    dl.gaussian_nll_loss,
    lambda x, t, v: (np.log(v) + (x - t) ** 2 / v).mean() / 2,
)
add(
    "multi_margin_loss",
    normal(PLANE),
    lambda x: dl.multi_margin_loss(x, _LABELS),
    lambda x: (
        (np.maximum(0, 1 - x[np.arange(5), _LABELS][:, None] + x).sum(1) - 1).mean()
        / 23
    ),
)
add(
    "multilabel_margin_loss",
    normal((3, 4)),
    lambda x: dl.multilabel_margin_loss(x, np.array([[2, -1, 0, 0]] * 3)),
    lambda x: (np.maximum(0, 1 - x[:, 2:3] + x).sum(1) - 1).mean() / 4,
)
add(
    "pairwise_distance",
    normal(PLANE, PLANE),
    dl.pairwise_distance,
    lambda x, y: _far(x, y, 1e-6),
)
add("cosine_similarity", normal(PLANE, PLANE), dl.cosine_similarity, _cosine)
add(
    "cosine_embedding_loss",
    normal(PLANE, PLANE),
    lambda x, y: dl.cosine_embedding_loss(x, y, 2 * _ALIKE - 1),
    lambda x, y: np.where(
        _ALIKE, 1 - _cosine(x, y), np.maximum(0, _cosine(x, y))
    ).mean(),
)
add(
    "contrastive_loss",
    normal(PLANE, PLANE),
    lambda x, y: dl.contrastive_loss(x, y, _ALIKE, 9.0),
    lambda x, y: (
        (np.where(_ALIKE, _far(x, y), np.maximum(0, 9 - _far(x, y))) ** 2).mean() / 2
    ),
)
add(
    "triplet_margin_loss",
    normal(PLANE, PLANE, PLANE),
    lambda a, p, n: dl.triplet_margin_loss(a, p, n, eps=0.0, squared=True),
    lambda a, p, n: _triplets(a, p, n, lambda x, y: _far(x, y) ** 2),
)
add(
    "triplet_margin_with_distance_loss",
    normal(PLANE, PLANE, PLANE),
    dl.triplet_margin_with_distance_loss,
    lambda a, p, n: _triplets(a, p, n, lambda x, y: _far(x, y, 1e-6)),
)
add("gram_matrix", normal((2, 3, 4, 5)), dl.gram_matrix, _gram)
add(
    "style_loss",
    normal((2, 3, 4, 5), (1, 3, 2, 2)),
    dl.style_loss,
    lambda x, t: np.square(_gram(x) / 60 - _gram(t) / 12).sum((1, 2)).mean() / 4,
)
add(
    "gaussian_kl_loss",
    normal(PLANE, PLANE),
    dl.gaussian_kl_loss,
    lambda mean, log_var: _kl(mean, log_var).mean(),
)
add(
    "vae_loss",
    _chances(PLANE, PLANE, (5, 3), (5, 3)),
    dl.vae_loss,
    lambda x, t, mean, log_var: (_logits(x, t).sum(1) + _kl(mean, log_var)).mean(),
)
add(
    "gan_discriminator_loss",
    normal(PLANE, PLANE),
    dl.gan_discriminator_loss,
    lambda real, fake: _softplus(-real).mean() + _softplus(fake).mean(),
)
add(
    "gan_generator_loss",
    normal(PLANE),
    dl.gan_generator_loss,
    lambda fake: _softplus(-fake).mean(),
)
add(
    "rpn_loss",
    normal((5,), (5, 4), (5, 4)),
    lambda s, x, t: dl.rpn_loss(s, x, _ALIKE, t)[1],
    lambda s, x, t: _bend(x - t, 1 / 9)[_ALIKE == 1].sum() / 5 * 9,
)
add(
    "fast_rcnn_loss",
    normal((5, 2), (5, 8), (5, 4)),
    lambda s, x, t: dl.fast_rcnn_loss(s, x, _ALIKE, t)[1],
    lambda s, x, t: _bend(x[:, 4:] - t, 1 / 9)[_ALIKE == 1].sum() / 5 * 9,
)
add(
    "yolo_loss",
    normal((2, 3, 3, 10)),
    lambda x: dl.yolo_loss(x, np.zeros((2, 3, 3, 5), x.dtype)),
    lambda x: np.square(x[..., 4::5]).sum() / 4,
)
