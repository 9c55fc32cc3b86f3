"""summary: rows beside count_flops and the modules; nothing of the model is changed."""

import threading

import numpy as np
import pytest

import dlcore as dl
from dlcore import summarize

IMAGE = np.zeros((2, 1, 28, 28), "float32")


class Block(dl.nn.Module):
    """A layer called twice, one not listed, one never called, two results."""

    def __init__(self):
        self.twice = dl.nn.Linear(4, 4)
        self.tied = dl.nn.Linear(4, 4)
        self.tied.weight = self.twice.weight
        self.unused = dl.nn.Linear(4, 5)
        self.hidden = [dl.nn.Linear(4, 6)]

    def forward(self, x):
        y = dl.relu(self.tied(self.twice(self.twice(x))))
        return y, {"hidden": self.hidden[0](y), "nothing": None}


def test_rows():
    model = dl.models.LeNet5()
    result = dl.summary(model, IMAGE, seconds=0)
    assert [row.name for row in result.rows] == [n for n, _ in model.named_modules()]
    rows = {row.name: row for row in result.rows}
    assert rows["conv1"].type == "Conv2d" and rows[""].type == "LeNet5"
    assert rows["conv2"].output_shape == (2, 16, 10, 10)
    assert rows[""].output_shape == rows["fc3"].output_shape == (2, 10)
    assert rows["conv2"].parameters == 16 * (6 * 25 + 1)
    assert rows["fc1"].calls == 0 and rows["fc1"].output_shape is None
    assert result.total.parameters == 61_706
    with dl.no_grad():
        counted = dl.count_flops(model, IMAGE)
    assert result.total.flops == counted.flops and result.total.bytes == counted.bytes
    assert rows["conv1"].flops == counted.by_module()["conv1"].flops
    assert all(row.ms is None and row.of_limit is None for row in result.rows)


def test_shared_unlisted_and_unused_modules():
    model, x = Block(), np.ones((3, 4), "float32")
    result = dl.summary(model, x, seconds=0)
    rows = {row.name: row for row in result.rows}
    assert rows["twice"].calls == 2 and rows["unused"].calls == 0
    assert rows["twice"].flops == 2 * rows["tied"].flops
    assert rows["twice"].parameters == 20 and rows["tied"].parameters == 4
    assert rows[""].output_shape == [(3, 4), [(3, 6)]]
    assert rows[""].flops == dl.count_flops(Block().hidden[0], x).flops + y_size(x)
    assert result.total.flops == dl.count_flops(model, x).flops


def y_size(x):
    return x.size  # relu


def test_time_and_limit():
    model = dl.nn.Sequential(dl.nn.Linear(64, 64), dl.nn.Identity())
    result = dl.summary(model, np.ones((64, 64), "float32"), seconds=0.01)
    top, linear, nothing = result.rows
    assert top.ms > 0 and linear.ms > 0 and nothing.ms > 0
    assert linear.of_limit > 0 and nothing.of_limit is None
    assert result.total.ms == pytest.approx(top.ms + linear.ms + nothing.ms)
    assert 0 < result.total.of_limit <= linear.of_limit
    assert dl.summary(model.double(), np.ones((64, 64)), seconds=0.01).rows[1].of_limit


def test_table():
    text = repr(dl.summary(dl.models.LeNet5(), IMAGE, seconds=0))
    head, model, conv, *_, total = text.split("\n")
    assert head.split()[:4] == ["layer", "type", "output", "parameters"]
    assert model.split()[0] == "LeNet5"
    assert conv.startswith("conv1  Conv2d  (2, 6, 28, 28)") and " 156 " in conv
    assert total.startswith("total") and "61,706" in total


def test_the_model_is_as_before():
    model = dl.nn.Sequential(dl.nn.BatchNorm1d(4), dl.nn.Dropout(0.5))
    before = {name: array.copy() for name, array in model.state_dict().items()}
    numbers, call = dl.get_rng_state(), dl.nn.Module.__call__
    x = dl.Tensor(np.arange(12, dtype="float32").reshape(3, 4), requires_grad=True)
    dl.summary(model, x, seconds=0.001)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    np.testing.assert_array_equal(dl.get_rng_state(), numbers)
    assert model.training and x.grad is None
    assert dl.nn.Module.__call__ is call
    with pytest.raises(ValueError, match="linear"):
        dl.summary(dl.nn.Linear(3, 2), np.ones((2, 4), "float32"))
    assert dl.nn.Module.__call__ is call


def test_other_threads_are_not_counted():
    other, seen = dl.nn.Linear(2, 2), []

    class Waits(dl.nn.Module):
        def forward(self, x):
            thread = threading.Thread(target=lambda: seen.append(other(x)))
            thread.start()
            thread.join()
            return x

    model = dl.nn.Sequential(Waits(), other)
    rows = dl.summary(model, np.ones((1, 2), "float32"), seconds=0).rows
    assert rows[2].calls == 1 and len(seen) == 2


def test_bad_calls():
    with pytest.raises(TypeError, match=r"^summary: model must be a Module, got func"):
        dl.summary(lambda x: x, IMAGE)
    with pytest.raises(
        TypeError, match=r"^summary: inputs must be what the model takes"
    ):
        dl.summary(dl.nn.ReLU())
    assert summarize._timing.acquire(blocking=False)
    summarize._timing.release()
