"""Anomaly mode: who made the first NaN."""

import re
import sys

import numpy as np
import pytest
from autograd_helpers import leaf

import dlcore as dl
from dlcore import nn


class Net(nn.Module):
    def __init__(self):
        self.first = nn.Linear(2, 2)
        self.log = Log()

    def forward(self, x):
        return self.log(self.first(x))


class Log(nn.Module):
    def forward(self, x):
        return dl.log(x)


def here():
    return re.escape(__file__) + ":"


def test_anomaly_of_a_result():
    net = Net()
    net.first.weight.data[...] = -1
    net.first.bias.data[...] = 0
    x = np.ones((1, 2), "f")
    net(x)
    with (
        pytest.raises(
            RuntimeError,
            match=rf"log made the first NaN, called in module log \(Log\), at {here()}",
        ),
        dl.detect_anomaly(),
    ):
        net(x)
    with (
        pytest.raises(RuntimeError, match="div made the first infinity, called at"),
        dl.detect_anomaly(),
    ):
        leaf(1) / 0.0
    with (
        pytest.raises(
            RuntimeError,
            match=r"linear was given NaN, which no op made, .* in module first \(Lin",
        ),
        dl.detect_anomaly(),
    ):
        net(np.full((1, 2), np.nan, "f"))
    for op in (dl.leaky_relu, dl.gelu, dl.neg):
        with (
            pytest.raises(RuntimeError, match="was given NaN"),
            dl.detect_anomaly(),
        ):
            op(np.full(1, np.nan))
    assert dl.sqrt(np.full(1, -1.0)).shape == (1,)


def test_anomaly_of_a_gradient():
    x = leaf(0.0)

    class Root(nn.Module):
        def forward(self, x):
            return dl.sqrt(x)

    net = nn.Sequential(nn.Identity(), Root()) if hasattr(nn, "Identity") else Root()
    with (
        pytest.raises(
            RuntimeError,
            match=r"gradient of sqrt is the first with infinity; sqrt was .* in .*Root",
        ),
        dl.detect_anomaly(),
    ):
        (net(x) * 2.0).backward()
    y = dl.sqrt(x)
    with (
        pytest.raises(RuntimeError, match="sqrt was called before the block"),
        dl.detect_anomaly(),
    ):
        y.backward()
    with (
        pytest.raises(RuntimeError, match="gradient of sqrt is the first with"),
        dl.detect_anomaly(),
    ):
        dl.grad(dl.sqrt(x), x, create_graph=True)


def test_anomaly_lets_masks_and_good_numbers_pass(rng):
    q = dl.Tensor(rng.standard_normal((2, 3, 4)).astype("f"), requires_grad=True)
    mask = np.where(np.tri(3, dtype=bool), 0, -np.inf).astype("f")
    with dl.detect_anomaly():
        scores = q @ q.mT + mask
        assert np.isinf(scores.data).any()
        (dl.softmax(scores) @ q).sum().backward()
        dl.isnan(np.full(2, np.nan))
    with dl.detect_anomaly(check_nan=False):
        dl.log(np.zeros(1))


def test_anomaly_blocks_end():
    tape = sys.modules["dlcore.tensor"]
    clock = tape.clock
    with pytest.raises(KeyError), dl.detect_anomaly(), dl.detect_anomaly():
        raise KeyError
    assert tape.clock is clock
    assert dl.log(np.zeros(1)).shape == (1,)
