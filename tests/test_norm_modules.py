"""The layers of `dlcore.nn.norm`, beside PyTorch's."""

import copy

import numpy as np
import pytest

import dlcore as dl
from dlcore import nn


def assert_like_torch(torch, ours, theirs, x, steps=3, atol=2e-6):
    """Results, gradients and state of two modules with one set of values."""
    state = {k: torch.tensor(v.copy()) for k, v in ours.state_dict().items()}
    assert list(state) == list(theirs.state_dict())
    theirs.load_state_dict(state)
    for _ in range(steps):
        a = dl.Tensor(x, requires_grad=True)
        b = torch.tensor(x, requires_grad=True)
        y, want = ours(a), theirs(b)
        dy = np.cos(np.arange(x.size, dtype=x.dtype)).reshape(y.shape)
        y.backward(dy)
        want.backward(torch.tensor(dy))
        np.testing.assert_allclose(y.data, want.detach().numpy(), atol=atol)
        np.testing.assert_allclose(a.grad.data, b.grad.numpy(), atol=5 * atol)
        x = x * np.float32(0.5) + np.float32(0.25)
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(
            p.grad.data, q.grad.numpy(), atol=50 * atol, err_msg=name
        )
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(
            ours.state_dict()[name], value.numpy(), atol=atol, err_msg=name
        )


LAYERS = [
    ("LayerNorm", (7,), {}, (4, 5, 7)),
    ("LayerNorm", ((5, 7),), {"eps": 0.1, "bias": False}, (4, 5, 7)),
    ("LayerNorm", (7,), {"elementwise_affine": False}, (4, 7)),
    ("RMSNorm", (7,), {}, (4, 5, 7)),
    ("RMSNorm", ([5, 7],), {"eps": 0.1}, (4, 5, 7)),
    ("RMSNorm", (7,), {"elementwise_affine": False}, (4, 7)),
    ("GroupNorm", (2, 6), {}, (3, 6, 4, 5)),
    ("GroupNorm", (3, 6), {"affine": False}, (3, 6)),
    ("BatchNorm1d", (6,), {}, (5, 6)),
    ("BatchNorm1d", (6,), {"momentum": None}, (5, 6, 3)),
    ("BatchNorm2d", (6,), {"momentum": 0.3}, (3, 6, 4, 5)),
    ("BatchNorm2d", (6,), {"affine": False}, (3, 6, 4, 5)),
    ("BatchNorm2d", (6,), {"track_running_stats": False}, (3, 6, 4, 5)),
    ("BatchNorm3d", (6,), {"eps": 0.1}, (3, 6, 2, 4, 5)),
    ("InstanceNorm1d", (6,), {}, (3, 6, 8)),
    ("InstanceNorm1d", (6,), {"affine": True}, (6, 8)),
    ("InstanceNorm2d", (6,), {"track_running_stats": True}, (3, 6, 4, 5)),
    ("InstanceNorm3d", (6,), {"affine": True}, (3, 6, 2, 4, 5)),
    ("LocalResponseNorm", (3,), {}, (3, 6, 4, 5)),
    ("LocalResponseNorm", (4,), {"alpha": 0.5, "beta": 0.9, "k": 2.0}, (3, 6, 5)),
]


@pytest.mark.parametrize(("name", "args", "options", "shape"), LAYERS)
def test_modules_like_torch(torch, rng, name, args, options, shape):
    ours = getattr(nn, name)(*args, **options)
    theirs = getattr(torch.nn, name)(*args, **options)
    for parameter in ours.parameters():
        parameter.data[...] = rng.standard_normal(parameter.shape)
    x = rng.standard_normal(shape).astype(np.float32) + np.float32(1)
    assert_like_torch(torch, ours, theirs, x)
    assert_like_torch(torch, ours.eval(), theirs.eval(), x)
    assert name in repr(ours)


def test_state_of_modules():
    layer = nn.BatchNorm2d(3)
    keys = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert list(layer.state_dict()) == keys
    layer(np.ones((2, 3, 4, 4), "float32"))
    assert layer.num_batches_tracked.item() == 1
    other = nn.BatchNorm2d(3)
    other.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(other.running_mean.data, np.float32([0.1] * 3))
    twin = copy.deepcopy(layer)
    layer.reset_parameters()
    np.testing.assert_array_equal(layer.running_mean.data, np.zeros(3))
    assert layer.num_batches_tracked.item() == 0
    assert twin.num_batches_tracked.item() == 1
    layer.double()
    assert layer(np.ones((2, 3, 1, 1))).data.dtype == np.float64
    layer.eval()
    before = layer.running_mean.data.copy()
    layer(np.ones((2, 3, 1, 1)))
    np.testing.assert_array_equal(layer.running_mean.data, before)
    assert list(nn.InstanceNorm2d(3).state_dict()) == []


def test_evaluation_keeps_what_backward_needs():
    """Training between an evaluation and its backward moves the running statistics."""
    x = np.random.default_rng(0).standard_normal((4, 3, 5))
    layer = nn.BatchNorm1d(3, dtype="float64").eval()
    layer(x).sum().backward()
    want = layer.weight.grad.data.copy()
    layer.zero_grad()
    y = layer(x)
    layer.train()(x + 5)
    y.sum().backward()
    np.testing.assert_array_equal(layer.weight.grad.data, want)


# -- bad calls --

X = np.zeros((2, 6, 4), np.float32)
BAD = [
    (lambda: nn.LayerNorm(0), ValueError, "normalized_shape must be at least 1"),
    (lambda: nn.LayerNorm(2.5), TypeError, "."),
    (lambda: nn.BatchNorm2d(0), ValueError, "BatchNorm2d: num_features must be"),
    (lambda: nn.BatchNorm2d(6)(X), ValueError, r"BatchNorm2d: x must have 4 axes"),
    (lambda: nn.BatchNorm1d(6)(X[0, 0]), ValueError, "must have 2 or 3 axes"),
    (lambda: nn.InstanceNorm2d(6)(X[0]), ValueError, "must have 3 or 4 axes"),
    (lambda: nn.BatchNorm1d(5)(X), ValueError, "BatchNorm1d: x must have 5 channels"),
    (lambda: nn.GroupNorm(4, 6), ValueError, "num_groups must divide num_channels"),
    (lambda: nn.LocalResponseNorm(0), ValueError, "size must be at least 1"),
]


@pytest.mark.parametrize(("call", "exception", "match"), BAD)
def test_bad_calls(call, exception, match):
    with pytest.raises(exception, match=match):
        call()
