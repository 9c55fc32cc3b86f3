import numpy as np
import pytest
import reference_rnn as reference

import dlcore as dl
from dlcore.nn.utils.rnn import (
    PackedSequence,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
    unpack_sequence,
    unpad_sequence,
)
from dlcore.testing import assert_close, gradcheck

LAYERS = {
    "RNN": {"nonlinearity": "relu"},
    "LSTM": {},
    "LSTM projected": {"proj_size": 4},
    "GRU": {},
}
SHAPES = [
    {},
    {"num_layers": 2, "bidirectional": True},
    {"bias": False, "num_layers": 3},
]


def pair(torch, name, dtype, **options):
    """A module here and in PyTorch, with the same weights."""
    kind = name.split()[0]
    options = {**LAYERS.get(name, {}), **options}
    theirs = getattr(torch.nn, kind)(5, 6, **options, dtype=getattr(torch, dtype))
    mine = getattr(dl.nn, kind)(5, 6, **options, dtype=dtype)
    keys = mine.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    assert not keys.missing_keys and not keys.unexpected_keys
    return mine, theirs


def flat(result):
    if isinstance(result, tuple):
        return [a for part in result for a in flat(part)]
    return [result]


def compare(mine, theirs, dtype):
    bound = 200 * np.finfo(dtype).eps
    for a, b in zip(mine, theirs, strict=True):
        a, b = a.data, b.detach().numpy()
        np.testing.assert_allclose(a, b, rtol=bound, atol=bound * max(1, abs(b).max()))


def compare_gradients(torch, mine, theirs, x, their_x, got, want, dtype):
    total, their_total = 0, 0
    for i, (a, b) in enumerate(zip(flat(got), flat(want), strict=True)):
        weights = np.random.default_rng(i).standard_normal(a.shape).astype(dtype)
        total = total + (a * weights).sum()
        their_total = their_total + (b * torch.tensor(weights)).sum()
    total.backward()
    their_total.backward()
    compare([x.grad], [their_x.grad], dtype)
    named = dict(theirs.named_parameters())
    assert set(named) == {k for k, _ in mine.named_parameters()}
    ours = [p.grad for _, p in mine.named_parameters()]
    compare(ours, [named[k].grad for k, _ in mine.named_parameters()], dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_layers_are_pytorchs(torch, rng, dtype, name, shape):
    mine, theirs = pair(torch, name, dtype, **shape)
    values = rng.standard_normal((7, 3, 5)).astype(dtype)
    x, their_x = dl.Tensor(values, True), torch.tensor(values, requires_grad=True)
    got, want = mine(x), theirs(their_x)
    assert type(got[1]) is type(want[1]) or not isinstance(want[1], tuple)
    compare(flat(got), flat(want), dtype)
    compare_gradients(torch, mine, theirs, x, their_x, got, want, dtype)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("enforce_sorted", [False, True])
@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_packed_sequences_are_pytorchs(torch, rng, name, enforce_sorted, batch_first):
    shape = {"num_layers": 2, "bidirectional": True, "batch_first": batch_first}
    mine, theirs = pair(torch, name, "float64", **shape)
    lengths = [6, 4, 4, 1] if enforce_sorted else [4, 1, 6, 4]
    values = rng.standard_normal((4, 6, 5) if batch_first else (6, 4, 5))
    x, their_x = dl.Tensor(values, True), torch.tensor(values, requires_grad=True)
    pack = torch.nn.utils.rnn.pack_padded_sequence
    pad = torch.nn.utils.rnn.pad_packed_sequence
    packed = pack_padded_sequence(x, lengths, batch_first, enforce_sorted)
    their_packed = pack(their_x, torch.tensor(lengths), batch_first, enforce_sorted)
    assert packed.batch_sizes.tolist() == their_packed.batch_sizes.tolist()
    if enforce_sorted:
        compare([packed.data], [their_packed.data], "float64")
    got, want = mine(packed), theirs(their_packed)
    y, n = pad_packed_sequence(got[0], batch_first, -1.0, 8)
    their_y, their_n = pad(want[0], batch_first, -1.0, 8)
    assert n.tolist() == their_n.tolist() == lengths
    got, want = (y, got[1]), (their_y, want[1])
    compare(flat(got), flat(want), "float64")
    with_lengths = mine(x, None, lengths)
    compare(flat(with_lengths[1]), flat(want[1]), "float64")
    compare_gradients(torch, mine, theirs, x, their_x, got, want, "float64")


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
def test_cells_are_pytorchs(torch, rng, dtype, name):
    mine, theirs = pair(torch, name, dtype)
    for shape in ((3, 5), (5,)):
        values = rng.standard_normal(shape).astype(dtype)
        state = rng.standard_normal((*shape[:-1], 6)).astype(dtype)
        hx = (state, state) if name == "LSTMCell" else state
        their_hx = torch.tensor(state)
        their_hx = (their_hx, their_hx) if name == "LSTMCell" else their_hx
        compare(
            flat(mine(dl.Tensor(values), hx)),
            flat(theirs(torch.tensor(values), their_hx)),
            dtype,
        )
        compare(flat(mine(values)), flat(theirs(torch.tensor(values))), dtype)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_one_sequence_without_a_batch(torch, rng, name):
    for batch_first in (False, True):
        mine, theirs = pair(torch, name, "float64", batch_first=batch_first)
        values, state = rng.standard_normal((7, 5)), rng.standard_normal((1, 6))
        hx = (state, state) if name == "LSTM" else state
        their_hx = torch.tensor(state)
        their_hx = (their_hx, their_hx) if name == "LSTM" else their_hx
        got, want = mine(values, hx), theirs(torch.tensor(values), their_hx)
        compare(flat(got), flat(want), "float64")


def test_gru_of_cho_is_onnxs(rng, dtype):
    """Reset before the product: linear_before_reset = 0, gates in the order z, r, n."""
    w_ih, w_hh = rng.standard_normal((1, 21, 5)), rng.standard_normal((1, 21, 7))
    biases = rng.standard_normal((2, 21))
    x = rng.standard_normal((4, 3, 5)).astype("f")
    order = np.r_[7:14, 0:7, 14:21]
    wants = [
        w_ih[:, order],
        w_hh[:, order],
        np.hstack([biases[:, order]]).reshape(1, 42),
    ]
    want, last = onnx_node("GRU", 7, x, *wants)
    params = [w_ih[0], w_hh[0], *biases]
    y, h = dl.gru(
        x.astype(dtype), None, [p.astype(dtype) for p in params], convention="cho"
    )
    np.testing.assert_allclose(y, want[:, 0], rtol=0, atol=5e-6)
    np.testing.assert_allclose(h, last, rtol=0, atol=5e-6)


def test_peepholes_are_onnxs(rng, dtype):
    """ONNX has the gates in the order i, o, f, g, the peepholes in that of i, o, f."""
    hidden, n = 7, 28
    w_ih, w_hh = rng.standard_normal((1, n, 5)), rng.standard_normal((1, n, hidden))
    biases, peephole = rng.standard_normal((2, n)), rng.standard_normal((3, hidden))
    x = rng.standard_normal((4, 3, 5)).astype("f")
    order = np.concatenate(
        [np.arange(k * hidden, (k + 1) * hidden) for k in (0, 3, 1, 2)]
    )
    wants = [w_ih[:, order], w_hh[:, order], biases[:, order].reshape(1, 2 * n)]
    want, last, *_ = onnx_node(
        "LSTM", hidden, x, *wants, peephole[[0, 2, 1]].reshape(1, -1)
    )
    params = [w_ih[0], w_hh[0], *biases, peephole.reshape(-1)]
    y, h, _ = dl.lstm(
        x.astype(dtype), None, [p.astype(dtype) for p in params], peephole=True
    )
    np.testing.assert_allclose(y, want[:, 0], rtol=0, atol=5e-6)
    np.testing.assert_allclose(h, last, rtol=0, atol=5e-6)


def onnx_node(op, hidden, x, w, r, b, p=None):
    """What onnxruntime makes of one node."""
    onnx = pytest.importorskip("onnx", reason="needs the extra oracles")
    runtime = pytest.importorskip("onnxruntime", reason="needs the extra oracles")
    arrays = {"x": x, "w": w, "r": r, "b": b, "p": p}
    arrays = {k: v.astype("f") for k, v in arrays.items() if v is not None}
    names = ["x", "w", "r", "b", "", "", "", "p"] if p is not None else list(arrays)
    if p is not None:
        names[4:7] = ["", "", ""]
    outputs = ["y", "h"] if op == "GRU" else ["y", "h", "c"]
    kind = onnx.TensorProto.FLOAT
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(op, names, outputs, hidden_size=hidden)],
        "graph",
        [info(k, kind, v.shape) for k, v in arrays.items()],
        [info(k, kind, None) for k in outputs],
    )
    opset = [onnx.helper.make_opsetid("", 14)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, arrays)


def test_peepholes_of_the_module(rng):
    layer = dl.nn.LSTM(3, 4, peephole=True, dtype="float64")
    assert layer.weight_peephole_l0.shape == (12,)
    x, state = rng.standard_normal((5, 2, 3)), np.zeros((1, 2, 4))
    names = ("w_ih", "w_hh", "b_ih", "b_hh", "peephole")
    weights = dict(zip(names, (p.data for p in layer.parameters()), strict=True))
    want = reference.layer(reference.lstm_step, x, state, state, [weights])
    assert_close(layer(x)[0], want[0], ulp=20, scale=1)
    cell = dl.nn.LSTMCell(3, 4, peephole=True, dtype="float64")
    cell.load_state_dict(
        {k.removesuffix("_l0"): v for k, v in layer.state_dict().items()}
    )
    h, _ = cell(x[0])
    assert_close(h, want[0][0], ulp=20, scale=1)


def test_forget_bias():
    layer = dl.nn.LSTM(3, 4, num_layers=2, bidirectional=True, forget_bias=1.0)
    for name, parameter in layer.named_parameters():
        if name.startswith("bias"):
            value = 1.0 if name.startswith("bias_ih") else 0.0
            np.testing.assert_array_equal(parameter.data[4:8], np.full(4, value, "f"))
            assert (parameter.data[:4] != value).all()
    cell = dl.nn.LSTMCell(3, 4, forget_bias=2.0)
    assert cell.bias_ih.data[4:8].tolist() == [2.0] * 4


def test_state_dict_names_and_repr():
    layer = dl.nn.LSTM(3, 4, num_layers=2, bidirectional=True, proj_size=2)
    names = list(layer.state_dict())
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
    assert names == [
        f"{kind}_l{i}{end}"
        for i in (0, 1)
        for end in ("", "_reverse")
        for kind in kinds
    ]
    assert [len(one) for one in layer.all_weights] == [5] * 4
    assert repr(layer) == ("LSTM(3, 4, proj_size=2, num_layers=2, bidirectional=True)")
    assert repr(dl.nn.GRUCell(3, 4, bias=False)) == "GRUCell(3, 4, bias=False)"
    bound = 4**-0.5
    assert all((np.abs(p.data) <= bound).all() for p in layer.parameters())


def test_dropout_only_in_training(rng):
    layer = dl.nn.GRU(3, 4, num_layers=2, dropout=0.5)
    x = rng.standard_normal((5, 2, 3)).astype("f")
    assert not np.array_equal(layer(x)[0].data, layer(x)[0].data)
    layer.eval()
    np.testing.assert_array_equal(layer(x)[0].data, layer(x)[0].data)


def test_padding_and_packing(rng):
    many = [rng.standard_normal((n, 2)) for n in (2, 4, 1)]
    padded = pad_sequence(many, batch_first=True, padding_value=7.0)
    assert padded.shape == (3, 4, 2)
    for one, row in zip(many, padded, strict=True):
        np.testing.assert_array_equal(row[: len(one)], one)
        assert (row[len(one) :] == 7).all()
    for back in (
        unpad_sequence(padded, [2, 4, 1], batch_first=True),
        unpad_sequence(padded.swapaxes(0, 1), [2, 4, 1]),
        unpack_sequence(pack_sequence(many, enforce_sorted=False)),
    ):
        for one, other in zip(many, back, strict=True):
            np.testing.assert_array_equal(one, other)
    gradcheck(lambda *a: pad_sequence(a), *many)
    left = pad_sequence(many, padding_value=7.0, padding_side="left")
    for i, sequence in enumerate(many):
        start = len(left) - len(sequence)
        np.testing.assert_array_equal(left[start:, i], sequence)
        assert (left[:start, i] == 7).all()
    assert pad_sequence(many, True, 0.0, "left").shape == padded.shape
    gradcheck(lambda *a: pad_sequence(a, padding_side="left"), *many)
    gradcheck(
        lambda x: pack_padded_sequence(x, [1, 4], True, False).data,
        rng.standard_normal((2, 4, 3)),
    )


def test_a_packed_sequence_made_by_hand(rng):
    """Such as one of PyTorch's, whose order among equal lengths is another."""
    values = rng.standard_normal((3, 2, 5))
    layer = dl.nn.GRU(5, 6, dtype="float64")
    want, last = layer(values)
    turned = np.array([1, 0])
    rows = values[:, turned].reshape(6, 5)
    packed = PackedSequence(rows, np.array([2, 2, 2]), turned, turned)
    y, h = layer(packed)
    np.testing.assert_array_equal(h.data, last.data)
    np.testing.assert_array_equal(pad_packed_sequence(y)[0].data, want.data)


X = np.ones((3, 2, 3), "f")
BAD = [
    (lambda: dl.nn.LSTM(0, 4), ValueError, "LSTM: input_size must be at least 1"),
    (lambda: dl.nn.LSTM(3, 4, num_layers=0), ValueError, "LSTM: num_layers must be at"),
    (lambda: dl.nn.LSTM(3, 4, proj_size=4), ValueError, "LSTM: proj_size must be from"),
    (lambda: dl.nn.GRU(3, 4, dropout=2), ValueError, "GRU: dropout must be from 0 to"),
    (
        lambda: dl.nn.RNN(3, 4, nonlinearity="x"),
        ValueError,
        "RNN: nonlinearity must be",
    ),
    (lambda: dl.nn.GRU(3, 4, convention="x"), ValueError, "GRU: convention must be"),
    (lambda: dl.nn.LSTM(2, 4)(X), ValueError, "LSTM: x must have 3 axes, the last of"),
    (lambda: dl.nn.LSTM(3, 4)(X, X), TypeError, r"LSTM: hx must be a tuple \(h, c\)"),
    (
        lambda: dl.nn.GRU(3, 4)(X, np.ones((1, 3, 4), "f")),
        ValueError,
        r"GRU: h0 must have shape \(directions, batch, hidden\) = \(1, 2, 4\)",
    ),
    (
        lambda: pack_padded_sequence(X, [1, 2]),
        ValueError,
        "pack_padded_sequence: lengths must fall.*enforce_sorted=False",
    ),
    (
        lambda: pack_padded_sequence(X, [1, 0]),
        ValueError,
        "pack_padded_sequence: lengths must be at least 1, got 0",
    ),
    (
        lambda: pad_packed_sequence(pack_padded_sequence(X, [3, 1]), total_length=2),
        ValueError,
        "pad_packed_sequence: total_length must be at least .* 3, got 2",
    ),
    (lambda: pad_packed_sequence(X), TypeError, "pad_packed_sequence: sequence must"),
    (lambda: pad_sequence([]), ValueError, "pad_sequence: sequences must be a list"),
    (
        lambda: pad_sequence([], padding_side="top"),
        ValueError,
        "'right' or 'left', got",
    ),
    (
        lambda: dl.nn.GRU(3, 4)(PackedSequence(X[0], [1, 2])),
        ValueError,
        "GRU: batch_sizes must fall",
    ),
]


@pytest.mark.parametrize("call, kind, message", BAD)
def test_bad_calls(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
