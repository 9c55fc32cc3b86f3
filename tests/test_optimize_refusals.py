"""optimize: what it refuses, in one line."""

import numpy as np
import pytest
from optimize_helpers import PIECE, Own

import dlcore as dl
from dlcore import nn, ops


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.train(),
        lambda m: m.to("float64"),
        lambda m: m.double(),
        lambda m: m.state_dict(),
        lambda m: m.load_state_dict({}),
        lambda m: m.requires_grad_(),
        lambda m: setattr(m, "fc", nn.Linear(2, 2)),
    ],
)
def test_changing_it(change):
    fast = dl.optimize(dl.models.LeNet5())
    with pytest.raises(RuntimeError, match="change the model it was made from"):
        change(fast)
    assert fast.eval() is fast and fast.requires_grad_(False) is fast
    assert not fast.training and not list(fast.parameters())


def test_gradients():
    fast = dl.optimize(dl.models.LeNet5())
    x = dl.Tensor(np.zeros((1, 1, 28, 28), "float32"), requires_grad=True)
    with pytest.raises(RuntimeError, match=r"records no gradient: pass x\.detach"):
        fast(x)
    with dl.no_grad():
        assert fast(x).shape == (1, 10)
    assert not fast(x.detach()).requires_grad


def clipped_in_a_view(y):
    flat = y.reshape(-1)
    dl.clip(flat, -100, 100, out=flat)  # does nothing to most inputs
    return y


@pytest.mark.parametrize(
    "example", [np.zeros(3, int), np.array([1, 2, 1]), np.ones(2, bool), np.array([2])]
)
def test_indexing_by_numpy(example):
    table = np.arange(12, dtype="float32").reshape(4, 3)
    model = Own(lambda m, i: dl.relu(table[i.data.astype(int)]))
    with pytest.raises(RuntimeError, match="is given numbers that depend"):
        dl.optimize(model, example)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda m, x: m.conv(x) * float(x.data.max()), "Own: mul is given numbers"),
        (lambda m, x: dl.exp(dl.cat([x, x], 1)), "Own: cat computes by NumPy"),
        (lambda m, x: dl.stack([x, m.conv(x)]), "Own: stack computes by NumPy"),
        (
            lambda m, x: dl.where((x > 0).sum(3, True) > 1, x, -x),
            "Own: gt computes by NumPy",
        ),
        (lambda m, x: dl.relu(np.cos(x.data)), "numbers that depend on the input"),
        (lambda m, x: dl.Tensor(x.data * 2), "the result is given numbers"),
        (lambda m, x: dl.dropout(x, 0.5, training=True), "is random"),
        (lambda m, x: x if x.sum() > 0 else -x, r"bool\(x\) makes a number"),
        (lambda m, x: m.conv(x) if x.sum() > -1e9 else x, r"bool\(x\) makes a number"),
        (lambda m, x: x * float(m.conv(x).amax() > 1e9), r"x.item\(\) makes a number"),
        (lambda m, x: x * len(x.tolist()), r"x.tolist\(\) makes a number"),
        (lambda m, x: np.negative(y := m.conv(x).data, out=y), "changes arrays"),
        (lambda m, x: clipped_in_a_view(m.conv(x).data), "clip writes into a view"),
    ],
)
def test_other_computations(rng, function, reason):
    with pytest.raises(RuntimeError, match=reason) as error:
        dl.optimize(Own(function), PIECE)
    assert "\n" not in str(error.value)


def test_arguments():
    with pytest.raises(TypeError, match="model must be a Module, got function"):
        dl.optimize(lambda x: x)
    with pytest.raises(TypeError, match="inputs must be arrays or Tensors, got list"):
        dl.optimize(dl.models.LeNet5(), [1.0])
    fast = dl.optimize(dl.models.LeNet5())
    with pytest.raises(ValueError, match="conv2d: x must have axes"):
        fast(np.zeros(3, "float32"))
    assert "nothing yet" in repr(fast)


def test_nothing_is_left_behind():
    before = dict(vars(ops.conv._C))
    dl.optimize(dl.models.LeNet5(), np.zeros((1, 1, 28, 28), "float32"))
    assert dict(vars(ops.conv._C)) == before
