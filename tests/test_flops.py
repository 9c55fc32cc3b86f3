"""count_flops: worked figures, published totals, every kind of op, no trace left."""

import threading

import numpy as np
import pytest

import dlcore as dl
from dlcore import _C, watch
from dlcore.bench import networks


def zeros(*shape):
    return np.zeros(shape, "float32")


def test_bottleneck():
    """5x5 from 192 to 32 channels at 28x28; the same through 16 channels of 1x1."""
    conv = dl.nn.Conv2d
    x = zeros(1, 192, 28, 28)
    wide = dl.count_flops(conv(192, 32, 5, padding=2), x)
    assert wide.multiplications == 120_422_400
    narrow = dl.nn.Sequential(conv(192, 16, 1), conv(16, 32, 5, padding=2))
    result = dl.count_flops(narrow, x)
    parts = [count.multiplications for count in result.by_module().values()]
    assert parts == [2_408_448, 10_035_200]  # "2.4 M + 10 M = 12.4 M"
    assert result.multiplications == sum(parts)


@pytest.mark.parametrize(
    ("name", "published"),  # in millions, one picture of 224x224
    [("resnet18", 1814), ("resnet50", 4089), ("mobilenet_v2", 301)],
)
def test_networks(name, published):
    model = getattr(dl.models, name)().eval()
    result = dl.count_flops(model, zeros(1, 3, 224, 224))
    assert round(result.multiplications / 1e6) == published
    assert result.flops > 2 * result.multiplications


@pytest.mark.parametrize(
    ("call", "multiplications", "flops"),
    [
        (lambda: dl.conv2d(zeros(2, 4, 5, 5), zeros(6, 2, 3, 3), groups=2), 1944, 3888),
        (
            lambda: dl.conv2d(
                zeros(1, 2, 3, 3), zeros(4, 2, 1, 1), zeros(4), activation="relu"
            ),
            72,
            2 * 72 + 2 * 36,
        ),
        (
            lambda: dl.conv2d(
                zeros(1, 2, 3, 3),
                zeros(4, 2, 1, 1),
                activation="silu",
                residual=zeros(1, 4, 3, 3),
            ),
            72,
            2 * 72 + 2 * 36,
        ),
        (lambda: dl.matmul(zeros(2, 3), zeros(3, 5)), 30, 60),
        (lambda: dl.matmul(zeros(7, 2, 3), zeros(3)), 42, 84),
        (lambda: dl.addmm(zeros(5), zeros(2, 3), zeros(3, 5)), 30, 70),
        (lambda: dl.linear(zeros(4, 3), zeros(5, 3)), 60, 120),
        (
            lambda: dl.linear(zeros(4, 3), zeros(5, 3), zeros(5), "gelu", zeros(4, 5)),
            60,
            180,
        ),
        (lambda: dl.max_pool2d(zeros(1, 2, 4, 4), 2), 0, 32),
        (lambda: dl.avg_pool2d(zeros(1, 2, 4, 6), (2, 3)), 0, 48),
        (lambda: dl.global_avg_pool2d(zeros(1, 2, 4, 4)), 0, 32),
        (lambda: dl.batch_norm(zeros(2, 3, 4), zeros(3), zeros(3) + 1), 0, 48),
        (lambda: dl.batch_norm(zeros(2, 3, 4), None, None, training=True), 0, 168),
        (lambda: dl.layer_norm(zeros(2, 3), 3), 0, 42),
        (lambda: dl.softmax(zeros(2, 3), 1), 0, 30),
        (lambda: dl.relu(zeros(10)), 0, 10),
        (lambda: dl.add(zeros(3, 1), zeros(4)), 0, 12),
        (lambda: dl.sum(zeros(3, 4)), 0, 12),
        (lambda: dl.reshape(zeros(3, 4), -1), 0, 0),
    ],
)
def test_ops(call, multiplications, flops):
    result = dl.count_flops(call)
    assert (result.multiplications, result.flops) == (multiplications, flops)


@pytest.mark.parametrize("name", networks.OPTIONS)
def test_networks_of_the_benchmark(name):
    model, size = networks.network(name).eval(), 32 if "small" in name else 224
    result = dl.count_flops(model, zeros(1, 3, size, size))
    assert result.multiplications == networks.MULTIPLICATIONS[name]
    parameters = sum(p.numel() for p in model.parameters())
    assert parameters == networks.PARAMETERS[name]


def test_bytes_of_each_array_once():
    x = zeros(3, 4)
    assert dl.count_flops(dl.exp, x).bytes == 96
    assert dl.count_flops(lambda: dl.exp(x, out=x)).bytes == 48
    assert dl.count_flops(lambda: dl.add(x, x)).bytes == 96


def test_backward_is_twice_forward():
    layer = dl.nn.Conv2d(3, 5, 3)
    x = dl.Tensor(zeros(2, 3, 8, 8), requires_grad=True)
    result = dl.count_flops(lambda: layer(x).sum().backward())
    counts = result.by_op()
    forward = counts["conv2d"].multiplications
    assert counts["conv2d backward"].multiplications == 2 * forward
    fc = dl.nn.Linear(3, 5)
    counts = dl.count_flops(lambda: fc(zeros(2, 3)).sum().backward()).by_op()
    assert counts["linear"].multiplications == 30
    assert counts["linear backward"].multiplications == 30  # x needs no gradient
    assert counts["linear backward"].flops == 2 * 30 + 10


def test_modules_by_name():
    model = dl.models.LeNet5()
    result = dl.count_flops(model, zeros(1, 1, 28, 28))
    assert [*result.by_module()] == ["conv1", "", "conv2", "fc3"]
    counts = result.by_op()
    assert counts["conv2d"].calls == 2
    assert sum(c.calls for c in counts.values()) == result.total.calls
    deep = dl.count_flops(dl.models.resnet18().eval(), zeros(1, 3, 64, 64))
    assert "layer1.0.conv1" in deep.by_module()
    assert [*deep.by_module(1)][:3] == ["conv1", "bn1", "maxpool"]


def test_prints_a_table():
    text = repr(dl.count_flops(dl.nn.Linear(3, 5), zeros(2, 3)))
    lines = text.split("\n")
    assert lines[0].split() == ["calls", "multiplications", "flops", "bytes"]
    assert lines[1].split() == ["linear", "1", "30", "70", "144", "B"]
    assert lines[2].split() == ["total", "1", "30", "70", "144", "B"]
    assert len({len(line) for line in lines}) == 1


def test_nothing_is_left_behind():
    before = dict(vars(_C))

    def fail():
        raise KeyError("mine")

    with pytest.raises(KeyError):
        dl.count_flops(fail)
    outer = dl.count_flops(lambda: dl.count_flops(dl.exp, zeros(3)))
    assert outer.flops == 3
    assert dict(vars(_C)) == before


def test_an_interrupt_on_the_way_in(monkeypatch):
    def interrupted(name, kernel):
        if name == "relu_forward":
            raise KeyboardInterrupt
        return kernel

    before = dict(vars(_C))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(watch, "_told", interrupted)
        dl.count_flops(dl.exp, zeros(3))
    assert dict(vars(_C)) == before
    assert dl.count_flops(dl.exp, zeros(3)).flops == 3


def test_other_threads_are_not_counted():
    def both():
        thread = threading.Thread(target=dl.exp, args=(zeros(100),))
        thread.start()
        thread.join()
        dl.exp(zeros(3))

    assert dl.count_flops(both).flops == 3
