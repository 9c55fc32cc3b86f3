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
        lambda m: m.to(device="cpu", dtype="float64"),
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


@pytest.mark.parametrize(
    "example", [np.zeros(3, int), np.array([1, 2, 1]), np.ones(2, bool), np.array([2])]
)
def test_indexing_by_numpy(example):
    table = np.arange(12, dtype="float32").reshape(4, 3)
    model = Own(lambda m, i: dl.relu(table[i.data.astype(int)]))
    with pytest.raises(RuntimeError, match="is given numbers that depend"):
        dl.optimize(model, example)


def recurrent(x, chosen):
    lengths = chosen.astype(int)
    return dl.rnn_tanh(
        x, None, [np.ones((1, 6), "f"), np.ones((1, 1), "f")], False, lengths=lengths
    )


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda m, x: m.conv(x) * float(x.data.max()), r"float\(x\) makes a number"),
        (lambda m, x: x * int(x.data[0, 0, 0, 0]), r"int\(x\) makes a number"),
        (lambda m, x: x[x.data.argmax() % 2 :], "an index x makes a number"),
        (lambda m, x: x if x.sum() > 0 else -x, r"bool\(x\) makes a number"),
        (lambda m, x: m.conv(x) if x.sum() > -1e9 else x, r"bool\(x\) makes a number"),
        (lambda m, x: x if (x.data > 9).any() else -x, r"bool\(x\) makes a number"),
        (lambda m, x: x * max(x.data[0, 0, 0]), r"bool\(x\) makes a number"),
        (lambda m, x: x * (5 in x), r"bool\(x\) makes a number"),
        (lambda m, x: x * (5 in x.data), "in x makes a number"),
        (lambda m, x: x * float(m.conv(x).amax() > 1e9), r"x.item\(\) makes a number"),
        (lambda m, x: x * len(x.tolist()), r"x.tolist\(\) makes a number"),
        (lambda m, x: x if np.allclose(x.data, 0) else -x, "np.allclose makes a num"),
        (
            lambda m, x: recurrent(x[0], x.data[0, 0, 0] > 0),
            r"rnn_tanh: bool\(x\) makes",
        ),
        (
            lambda m, x: recurrent(x[0], np.asarray(x.data[0, 0, 0] > 0)),
            "rows is given numbers",
        ),
        (lambda m, x: x[x > 0], "shape of the result of getitem depends on values"),
        (
            lambda m, x: dl.masked_select(x, x > 0),
            "result of masked_select depends on",
        ),
        (lambda m, x: np.nonzero(x.data), "result of np.nonzero depends on values"),
        (lambda m, x: np.where(x.data), "result of np.where depends on values"),
        (
            lambda m, x: dl.relu(np.cos(np.asarray(x.data))),
            "the result is given numbers",
        ),
        (
            lambda m, x: x * np.random.default_rng().random(),
            "Own: mul is given numbers",
        ),
        (lambda m, x: dl.dropout(x, 0.5, training=True), "Own: dropout draws random"),
        (lambda m, x: x * dl.rand(6), "Own: uniform draws random numbers"),
        (
            lambda m, x: np.add(x.data, 1, out=np.zeros((3, *x.shape), "f")),
            "in passing",
        ),
        (
            lambda m, x: np.putmask(x.data, x.data > 0, 0),
            "np.putmask writes into parts",
        ),
        (lambda m, x: x.data.sort(), r"x.sort\(\)"),
        (
            lambda m, x: dl.exp(x, out=np.zeros((2, 2, *x.shape[1:]), "f")[0]),
            "in passing",
        ),
    ],
)
def test_other_computations(rng, function, reason):
    with pytest.raises(RuntimeError, match=reason) as error:
        dl.optimize(Own(function), PIECE)
    assert "\n" not in str(error.value)


def test_arguments():
    with pytest.raises(TypeError, match="model must be a Module, got function"):
        dl.optimize(lambda x: x)
    with pytest.raises(TypeError, match=r"inputs must be arrays, Tensors, .* got set"):
        dl.optimize(dl.models.LeNet5(), [{1.0}])
    fast = dl.optimize(dl.models.LeNet5())
    with pytest.raises(ValueError, match="conv2d: x must have axes"):
        fast(np.zeros(3, "float32"))
    assert "nothing yet" in repr(fast)


def test_nothing_is_left_behind():
    before = dict(vars(ops.conv._C))
    dl.optimize(dl.models.LeNet5(), np.zeros((1, 1, 28, 28), "float32"))
    assert dict(vars(ops.conv._C)) == before


def test_packed_sequences():
    """Their lengths are Python's: they make the program's shapes."""
    sequences = [np.ones((3, 4), "f"), np.ones((2, 4), "f")]
    packed = nn.utils.rnn.pack_sequence(sequences)
    with pytest.raises(TypeError, match=r"a PackedSequence's lengths .* lengths=\["):
        dl.optimize(nn.LSTM(4, 5), packed)

    def forward(m, x, lengths):
        return nn.utils.rnn.pack_padded_sequence(x, lengths)[0]

    with pytest.raises(
        RuntimeError, match=r"Own: pack_padded_sequence: .* makes a num"
    ):
        dl.optimize(Own(forward), np.ones((3, 2, 4), "f"), np.array([3, 2]))
    padded = nn.utils.rnn.pad_sequence(sequences)
    fast = dl.optimize(nn.LSTM(4, 5), padded, lengths=[3, 2])
    got, want = fast(padded, lengths=[3, 2])[0], fast._of[0](packed)[0]
    want, _ = nn.utils.rnn.pad_packed_sequence(want)
    np.testing.assert_allclose(got.data, want.data, atol=1e-6)


def test_a_refusal_that_forward_catches():
    def forward(m, x):
        try:
            return x * 2 if float(x.sum()) > 9 else x + 1
        except RuntimeError:
            return x

    with pytest.raises(RuntimeError, match="makes a number of a result"):
        dl.optimize(Own(forward), PIECE)
