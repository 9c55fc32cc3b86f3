"""Gradients of gradients of activations with settings or gates, and of losses."""

import numpy as np
import pytest

import dlcore as dl
from dlcore.testing import gradgradcheck


def normal(*shape):
    return np.random.default_rng(sum(shape) + 7).standard_normal(shape)


def share(*shape):
    """Numbers from 0 to 1."""
    return np.random.default_rng(sum(shape) + 8).uniform(0.1, 0.9, shape)


X = normal(3, 4) * 2
Y = normal(4, 3).T.copy()
P, Q = share(3, 4), share(4, 3).T.copy()
CLASSES = np.array([1.0, 2.0, 3.0, 4.0])

# An op, its inputs, its settings.
ACTIVATIONS = [
    *(
        (name, (X,), {})
        for name in (
            "step hardsigmoid hardtanh hardswish softshrink hardshrink elu celu selu "
            "softplus logsigmoid mish softsign tanhshrink glu swiglu reglu geglu"
        ).split()
    ),
    *((name, (X[:2],), {"dim": 0}) for name in "glu swiglu reglu geglu".split()),
    ("geglu", (X,), {"approximate": "tanh"}),
    ("threshold", (X,), {"threshold": 0.1, "value": 2.0}),
    ("elu", (X,), {"alpha": 0.5}),
    ("celu", (X,), {"alpha": 0.5}),
    ("softplus", (X,), {"beta": 2.0, "threshold": 1.0}),
    ("prelu", (X, share(1)), {}),
    ("prelu", (X, share(4)), {}),
    ("prelu", (X[..., None], share(4)), {}),
]
LOSSES = [
    *(
        (name, (X, Y), {})
        for name in (
            "mse_loss half_mse_loss l1_loss huber_loss smooth_l1_loss log_cosh_loss "
            "hinge_loss soft_margin_loss"
        ).split()
    ),
    ("huber_loss", (X, Y), {"delta": 0.3}),
    ("smooth_l1_loss", (X, Y), {"beta": 0.3}),
    ("smooth_l1_loss", (X, Y), {"beta": 0.0}),
    ("msle_loss", (P, Q), {}),
    ("binary_cross_entropy", (P, Q), {}),
    ("binary_cross_entropy", (P, Q), {"weight": CLASSES}),
    ("binary_cross_entropy_with_logits", (X, Q), {}),
    (
        "binary_cross_entropy_with_logits",
        (X, Q),
        {"weight": CLASSES, "pos_weight": CLASSES[::-1].copy()},
    ),
    ("sigmoid_focal_loss", (X, Q), {}),
    ("sigmoid_focal_loss", (X, Q), {"alpha": -1, "gamma": 1.5}),
    ("kl_div", (X, Q), {}),
    ("kl_div", (X, Y), {"log_target": True}),
    ("hinge_embedding_loss", (X,), {"target": np.sign(CLASSES - 2.5)}),
    ("margin_ranking_loss", (X, Y, normal(3, 4)), {"margin": 0.5}),
    ("poisson_nll_loss", (X, Q), {}),
    ("poisson_nll_loss", (P, 4 * Q), {"log_input": False, "full": True}),
    ("gaussian_nll_loss", (X, Y, P), {"full": True}),
]


def here(cases):
    return [
        pytest.param(*c, id=f"{c[0]} {[*c[2]]}") for c in cases if hasattr(dl, c[0])
    ]


@pytest.mark.parametrize("name, inputs, options", here(ACTIVATIONS))
def test_activations(name, inputs, options):
    gradgradcheck(lambda *t: getattr(dl, name)(*t, **options), *inputs)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name, inputs, options", here(LOSSES))
def test_losses(name, inputs, options, reduction):
    op = getattr(dl, name)
    gradgradcheck(lambda *t: op(*t, reduction=reduction, **options), *inputs)
