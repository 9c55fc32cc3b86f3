"""The gradient monitor on networks whose gradients vanish, explode and do neither."""

import numpy as np
import pytest

import dlcore as dl
from dlcore import nn
from dlcore.optim import SGD, GradientMonitor


@pytest.fixture(autouse=True)
def seed():
    state = dl.get_rng_state()
    dl.manual_seed(3)
    yield
    dl.set_rng_state(state)


def deep(depth, activation, gain=1.0):
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(16, 16), activation()]
        dl.init.xavier_normal_(layers[-2].weight, gain)
    return nn.Sequential(*layers)


def train(model, steps=3, **options):
    monitor = GradientMonitor(model, **options)
    optimizer = SGD(model.parameters(), lr=1e-9)
    x = dl.randn(8, 16)
    for _ in range(steps):
        optimizer.zero_grad()
        (model(dl.Tensor(x)) ** 2.0).sum().backward()
        optimizer.step()
        monitor.record()
    return monitor


def test_vanishing():
    monitor = train(deep(20, nn.Sigmoid))
    found = monitor.vanishing()
    assert found[:5] == ["0", "2", "4", "6", "8"] and "38" not in found
    assert monitor.exploding() == []
    assert "vanishing" in repr(monitor).splitlines()[1]
    assert not repr(monitor).splitlines()[-1].endswith("vanishing")


def test_exploding():
    monitor = train(deep(20, nn.ReLU, gain=6.0))
    assert "0" in monitor.exploding() and monitor.vanishing() == []
    assert repr(monitor).splitlines()[1].endswith("exploding")


def test_fine():
    monitor = train(deep(6, nn.ReLU, gain=2**0.5))
    assert set(monitor.verdicts().values()) == {"fine"}


def test_not_finite_explodes_and_dead_vanishes():
    dead, nan = nn.Linear(2, 2), nn.Linear(2, 2)
    model = nn.Sequential(dead, nan)
    for p in model.parameters():
        p.grad = dl.Tensor(np.zeros_like(p.data))
    nan.weight.grad.data[0, 0] = np.nan
    monitor = GradientMonitor(model)
    monitor.record()
    assert monitor.verdicts() == {"0": "vanishing", "1": "exploding"}
    nan.weight.grad.data[0, 0] = np.inf
    monitor.record()
    assert monitor.exploding() == ["1"]


def test_norms_are_right(rng, dtype):
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).to(dtype)
    optimizer = SGD(model.parameters(), lr=0.1)
    monitor = GradientMonitor(model)
    before, updates, gradients, sizes = None, [], [], []

    def norms(arrays):  # weight and bias of each layer
        pairs = zip(arrays[::2], arrays[1::2])
        return [np.sqrt((w**2).sum() + (b**2).sum()) for w, b in pairs]

    for _ in range(4):
        for p in model.parameters():
            p.grad = dl.Tensor(rng.standard_normal(p.shape).astype(dtype))
        optimizer.step()
        monitor.record()
        now = [p.data.astype("f8") for p in model.parameters()]
        gradients.append(norms([p.grad.data.astype("f8") for p in model.parameters()]))
        sizes.append(norms(now))
        if before is None:
            updates.append([0.0, 0.0])
        else:
            updates.append(norms([a - b for a, b in zip(now, before)]))
        before = now
    assert monitor.layers == ["0", "1"] and monitor.steps == 4
    np.testing.assert_allclose(monitor.history(), gradients, rtol=1e-5)
    np.testing.assert_allclose(monitor.history("parameter"), sizes, rtol=1e-5)
    np.testing.assert_allclose(monitor.history("update"), updates, rtol=1e-4)


def test_the_last_steps_count():
    p = dl.Tensor([1.0], True)
    monitor = GradientMonitor({"layer": p}, window=3)
    assert monitor.verdicts() == {} and "no step yet" in repr(monitor)
    for size in (1e9, 1e9, 1e9, 1.0, 1.0, 1e9):
        p.grad = dl.Tensor([size])
        monitor.record()
    assert monitor.verdicts() == {"layer": "fine"}


def test_frozen_layers_and_names():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    model(dl.Tensor(np.ones((1, 2), "f4"))).sum().backward()
    monitor = GradientMonitor(model.named_parameters())
    monitor.record()
    assert monitor.layers == ["0", "1"]
    assert monitor.history()[0, 0] == 0 < monitor.history()[0, 1]


def test_plot(tmp_path):
    pytest.importorskip("matplotlib")
    monitor = train(deep(12, nn.Sigmoid))
    figure = monitor.plot(tmp_path / "gradients.png")
    assert (tmp_path / "gradients.png").read_bytes()[1:4] == b"PNG"
    lines = figure.axes[0].lines
    assert len(lines) == 12 and lines[0].get_linestyle() == "--"
    assert lines[0].get_label() == "0: vanishing"


p = dl.Tensor([1.0], True)
BAD = [
    (lambda: GradientMonitor([p]), TypeError, "must have named parameters"),
    (lambda: GradientMonitor(p), TypeError, "must have named parameters"),
    (lambda: GradientMonitor(3), TypeError, "must have named parameters.*got int"),
    (lambda: GradientMonitor({"a": 3}), TypeError, "got 'a': int"),
    (lambda: GradientMonitor(nn.ReLU()), ValueError, "must have parameters, got none"),
    (lambda: GradientMonitor({"a": p}, vanishing=0), ValueError, "vanishing must be"),
    (
        lambda: GradientMonitor({"a": p}, window=0),
        ValueError,
        "window must be at",
    ),
    (lambda: GradientMonitor({"a": p}).record(), ValueError, "must have a gradient"),
    (lambda: GradientMonitor({"a": p}).history("x"), ValueError, "what must be one of"),
    (lambda: GradientMonitor({"a": p}).plot(), ValueError, "must have been recorded"),
]


@pytest.mark.parametrize("call, error, match", BAD)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()
