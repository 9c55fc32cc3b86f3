"""Losses as modules: PyTorch's names, parameters, buffers and results."""

import inspect

import numpy as np
import pytest

import dlcore as dl
from dlcore.testing import assert_close

ROWS, LABELS, SIGNS = (4, 7), np.array([3, 0, 6, 6]), np.array([1.0, -1, -1, 1])
WEIGHT = np.linspace(0.5, 2, 7)
SEVERAL = np.array([[2, 0, -1] + [0] * 4] * 4)
CASES = [  # class, parameters, float inputs, the others
    ("L1Loss", {}, 2, []),
    ("MSELoss", {"reduction": "sum"}, 2, []),
    ("HuberLoss", {"delta": 0.5}, 2, []),
    ("SmoothL1Loss", {"beta": 0.5}, 2, []),
    ("BCELoss", {}, 2, []),
    ("BCELoss", {"weight": WEIGHT}, 2, []),
    ("BCEWithLogitsLoss", {"weight": WEIGHT, "pos_weight": WEIGHT}, 2, []),
    ("KLDivLoss", {"reduction": "batchmean", "log_target": True}, 2, []),
    ("NLLLoss", {"weight": WEIGHT, "ignore_index": 3}, 1, [LABELS]),
    ("CrossEntropyLoss", {"weight": WEIGHT, "label_smoothing": 0.1}, 1, [LABELS]),
    ("HingeEmbeddingLoss", {"margin": 0.75}, 1, [np.tile(SIGNS[:, None], 7)]),
    ("SoftMarginLoss", {"reduction": "none"}, 1, [np.tile(SIGNS[:, None], 7)]),
    ("MultiMarginLoss", {"p": 2, "margin": 0.5, "weight": WEIGHT}, 1, [LABELS]),
    ("MultiLabelMarginLoss", {}, 1, [SEVERAL]),
    ("MultiLabelSoftMarginLoss", {"weight": WEIGHT}, 2, []),
    ("MarginRankingLoss", {"margin": 0.5}, 2, [np.tile(SIGNS[:, None], 7)]),
    ("CosineEmbeddingLoss", {"margin": 0.5}, 2, [SIGNS]),
    ("TripletMarginLoss", {"swap": True, "p": 3.0}, 3, []),
    ("TripletMarginWithDistanceLoss", {"margin": 0.5}, 3, []),
    ("PoissonNLLLoss", {"log_input": False, "full": True}, 2, []),
    ("GaussianNLLLoss", {"full": True, "eps": 0.25}, 3, []),
    ("CosineSimilarity", {"dim": 0}, 2, []),
    ("PairwiseDistance", {"p": 1.0, "keepdim": True}, 2, []),
]


def pair(torch, name, parameters):
    theirs = {
        key: torch.tensor(v) if isinstance(v, np.ndarray) else v
        for key, v in parameters.items()
    }
    return getattr(dl.nn, name)(**parameters), getattr(torch.nn, name)(**theirs)


@pytest.mark.parametrize(("name", "parameters", "inputs", "others"), CASES)
def test_beside_torch(torch, rng, name, parameters, inputs, others):
    mine, theirs = pair(torch, name, parameters)
    arrays = [rng.uniform(0.1, 0.9, ROWS) for _ in range(inputs)]
    leaves = [dl.Tensor(x, True) for x in arrays]
    tensors = [torch.tensor(x, requires_grad=True) for x in arrays]
    got, want = mine(*leaves, *others), theirs(*tensors, *map(torch.tensor, others))
    assert_close(got, want.detach().numpy(), ulp=32)
    got.backward(np.ones(got.shape))
    want.sum().backward()
    for x, y in zip(leaves, tensors):
        assert_close(x.grad, y.grad.numpy(), ulp=64, scale=1)


@pytest.mark.parametrize("name", sorted({name for name, *_ in CASES}))
def test_parameters_and_state(torch, name):
    mine, theirs = pair(torch, name, {})
    known = inspect.signature(type(theirs)).parameters
    for key, parameter in inspect.signature(type(mine)).parameters.items():
        if key != "squared":
            assert parameter.default == known[key].default, key
    for key in set(known) - {"size_average", "reduce", "p"}:
        value = getattr(theirs, key)
        if not callable(value):
            assert getattr(mine, key) == value, key
    assert list(mine.state_dict()) == list(theirs.state_dict())


def test_weights_are_state(torch):
    mine, theirs = pair(
        torch, "BCEWithLogitsLoss", {"weight": WEIGHT, "pos_weight": WEIGHT}
    )
    assert list(mine.state_dict()) == list(theirs.state_dict())


@pytest.mark.parametrize("name", ["L1Loss", "BCELoss", "TripletMarginLoss"])
def test_unknown_reduction(name):
    with pytest.raises(ValueError, match=f"{name}: reduction must be one of"):
        getattr(dl.nn, name)(reduction="avg")


def test_losses_of_dlcore_alone():
    x, y = np.array([[0.5, 0.25]]), np.array([[1.0, 0.5]])
    assert dl.nn.MSLELoss("sum")(x, y) == dl.msle_loss(x, y, "sum")
    assert dl.nn.LogCoshLoss()(x, y) == dl.log_cosh_loss(x, y)
    assert dl.nn.HingeLoss()(x, y) == dl.hinge_loss(x, y)
    want = dl.contrastive_loss(x, y, np.array([1]), 2.0)
    assert dl.nn.ContrastiveLoss(2.0)(x, y, np.array([1])) == want
    want = dl.triplet_margin_loss(x, y, y, squared=True)
    assert dl.nn.TripletMarginLoss(squared=True)(x, y, y) == want
