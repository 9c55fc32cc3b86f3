"""Layers with weights of 8 bits: their rounding, models of them, and refusals."""

import pickle
import warnings

import numpy as np
import pytest
import reference_int8 as reference

import dlcore as dl
from dlcore import _C, nn, quantization


@pytest.fixture
def int8():
    if not _C.has_int8():
        pytest.skip("needs a CPU with AVX-512 VNNI")


def quantized(layer):
    with dl.no_grad():
        return dl.quantize_dynamic(layer)


def close(y, expected, scale):
    """But for the few roundings to a level that float32 decides the other way."""
    error = abs(np.asarray(y) - expected) / scale
    assert error.max(initial=0) < 0.02 and np.quantile(error, 0.5) < 1e-5


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("inputs", [1, 3, 4, 16, 63, 65, 700])
def test_linear(int8, rng, inputs, bias):
    for outputs in 1, 15, 32, 33, 70:
        layer = nn.Linear(inputs, outputs, bias)
        net = quantized(layer)
        w = layer.weight.data
        b = layer.bias.data if bias else 0.0
        for rows in 1, 2, 13, 14, 15, 29, 400:
            x = rng.standard_normal((rows, inputs), np.float32) + np.float32(0.3)
            scale = abs(x).max() * abs(w).max() * inputs**0.5 + 1e-3
            close(net(x), reference.linear(x, w, b), scale)


def test_weights_are_what_they_stand_for(rng):
    layer = nn.Linear(70, 45)
    net = dl.quantize_dynamic(layer)
    q, scale = reference.weight(layer.weight.data)
    np.testing.assert_allclose(net.weight(), q * scale[:, None], 1e-6)
    assert abs(net.weight() - layer.weight.data).max() <= scale.max() / 2 * 1.001
    state = net.state_dict()
    assert list(state) == [f"weight_{p}" for p in ("panels", "scale", "sum")] + ["bias"]
    big = nn.Linear(1024, 1024)
    nbytes = sum(v.nbytes for v in dl.quantize_dynamic(big).state_dict().values())
    assert nbytes < 0.26 * 4 * 1024 * 1024


def test_special_values(int8):
    layer = nn.Linear(40, 40)
    layer.weight.data[3] = 0
    layer.bias.data[:] = 1
    net = quantized(layer)
    x = np.ones((4, 40), np.float32)
    x[0, 3], x[1, 5], x[2] = np.nan, np.inf, 0
    y = net(x)
    assert np.isnan(y[:2]).all() and (y[2] == 1).all() and y[3, 3] == 1
    assert net(np.ones((0, 40), "f")).shape == (0, 40)
    assert net(np.ones(40, "f")).shape == (40,)
    assert net(np.ones((2, 3, 40), "f")[:, ::2]).shape == (2, 2, 40)
    huge = np.full((1, 40), 1e38, np.float32)
    assert np.isfinite(net(huge)).all()


@pytest.mark.parametrize("kind", "plain batch_first lengths packed single".split())
@pytest.mark.parametrize("layers", [1, 2])
def test_lstm(int8, rng, kind, layers):
    hidden, inputs, steps, batch = 37, 11, 6, 17
    layer = nn.LSTM(
        inputs, hidden, layers, batch_first=kind == "batch_first", bidirectional=True
    )
    net = quantized(layer)
    assert isinstance(net, nn.LSTM) and not list(net.parameters())
    x = rng.standard_normal((steps, batch, inputs), np.float32)
    lengths = (
        rng.integers(1, steps + 1, batch) if kind in ("lengths", "packed") else None
    )
    h0, c0 = rng.standard_normal((2, 2 * layers, batch, hidden)).astype("f")
    if kind == "single":
        y, (h_n, c_n) = net(x[:, 0], (h0[:, 0], c0[:, 0]))
        y, h_n, c_n = y[:, None], h_n[:, None], c_n[:, None]
        batch = 1
    elif kind == "batch_first":
        y, (h_n, c_n) = net(x.swapaxes(0, 1), (h0, c0))
        y = y.swapaxes(0, 1)
    elif kind == "packed":
        pack, unpack = (
            nn.utils.rnn.pack_padded_sequence,
            nn.utils.rnn.pad_packed_sequence,
        )
        y, (h_n, c_n) = net(pack(x, lengths, enforce_sorted=False), (h0, c0))
        y = np.asarray(unpack(y, total_length=steps)[0])
    else:
        y, (h_n, c_n) = net(x, (h0, c0), lengths)
    weights = [[np.asarray(p.data) for p in one] for one in layer.all_weights]
    for b in range(batch):
        n = steps if lengths is None else lengths[b]
        z = x[:n, b]
        for i in range(layers):
            ends = []
            for d in range(2):
                ih, hh, b1, b2 = weights[2 * i + d]
                at = 2 * i + d
                one = reference.lstm(z, h0[at, b], c0[at, b], ih, hh, b1 + b2, d == 1)
                ends.append(one[0])
                assert abs(h_n[at, b] - one[1]).max() < 0.03
                assert abs(c_n[at, b] - one[2]).max() < 0.03
            z = np.concatenate(ends, 1).astype("f")
        assert abs(y[:n, b] - z).max() < 0.03
        assert np.median(abs(y[:n, b] - z)) < 3e-3
        assert not y[n:, b].any()


def test_same_bits_for_any_number_of_threads(int8, rng, threads):
    linear, lstm = quantized(nn.Linear(300, 500)), quantized(nn.LSTM(64, 200))
    x, s = rng.standard_normal((200, 300), "f"), rng.standard_normal((4, 30, 64), "f")
    found = []
    for count in 1, 2, 3:
        threads(count)
        found.append((linear(x), lstm(s)[0]))
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_error_is_pytorchs(int8, rng, torch):
    if "fbgemm" not in torch.backends.quantized.supported_engines:
        pytest.skip("this PyTorch has no engine")
    mine = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 128))
    theirs = torch.nn.Sequential(
        torch.nn.Linear(256, 512), torch.nn.ReLU(), torch.nn.Linear(512, 128)
    )
    theirs.load_state_dict(
        {k: torch.from_numpy(v) for k, v in mine.state_dict().items()}
    )
    x = rng.standard_normal((64, 256), np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        low = torch.ao.quantization.quantize_dynamic(theirs, {torch.nn.Linear})
    with dl.no_grad(), torch.no_grad():
        exact = np.asarray(mine(x))
        ours = quantized(mine)(x) - exact
        other = low(torch.from_numpy(x)).numpy() - exact
    assert np.sqrt(np.mean(ours**2)) <= 1.1 * np.sqrt(np.mean(other**2))


class Net(nn.Module):
    def __init__(self):
        self.body = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True).eval()
        self.rnn = nn.LSTM(32, 24)
        self.head = nn.Linear(24, 5)
        self.again = self.head

    def forward(self, x):
        return self.head(self.rnn(self.body(x))[0]) + self.again(self.rnn(x)[0])


@pytest.mark.parametrize("scale, exact", [(1e-38, False), (1e-30, True), (3e38, True)])
def test_rows_of_any_size(int8, rng, scale, exact):
    """What spreads over less than 255 of the smallest normal numbers counts as 0."""
    layer = nn.Linear(64, 8, bias=False)
    x = (rng.uniform(-1, 1, (2, 64)) * scale).astype("f")
    expected = x.astype("d") @ layer.weight.data.T.astype("d")
    found = np.asarray(dl.quantize_dynamic(layer)(x))
    assert np.abs(found - expected * exact).max() <= 0.02 * scale


@pytest.mark.filterwarnings("ignore:quantize_dynamic:RuntimeWarning")
def test_an_optimized_copy_follows_the_instruction_set(rng):
    net = dl.quantize_dynamic(nn.Sequential(nn.Linear(64, 40)))
    fast, before = dl.optimize(net), _C.isa()
    x = rng.standard_normal((2, 64), np.float32)
    try:
        for isa in _C.isas():
            _C.set_isa(isa)
            np.testing.assert_allclose(fast(x), np.asarray(net(x)), 1e-6, 1e-6)
    finally:
        _C.set_isa(before)


def test_hooks_stay(rng):
    layer = nn.Linear(4, 3)
    layer.register_forward_hook(lambda module, args, y: y * 0)
    assert not np.any(np.asarray(dl.quantize_dynamic(layer)(np.ones((2, 4), "f"))))


@pytest.mark.parametrize("batch", [7, 9])
def test_states_of_another_batch(int8, batch):
    low = dl.quantize_dynamic(nn.LSTM(5, 6))
    state = (np.zeros((1, batch, 6), "f"),) * 2
    with pytest.raises(ValueError, match=r"LSTM: h0 must have shape .* = \(1, 8, 6\)"):
        low(np.zeros((3, 8, 5), "f"), state)


@pytest.mark.parametrize("size", [(5, 0, 13), (0, 2, 13)])
def test_lstm_of_nothing(int8, size):
    y, (h, c) = dl.quantize_dynamic(nn.LSTM(13, 6))(np.zeros(size, "f"))
    assert y.shape == (*size[:2], 6) and h.shape == c.shape == (1, size[1], 6)


def test_models(rng, tmp_path):
    net = Net()
    x = rng.standard_normal((3, 4, 32), np.float32)
    kinds = quantization.DynamicQuantizedLinear, quantization.DynamicQuantizedLSTM
    with dl.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        low = dl.quantize_dynamic(net)
        assert type(net.head) is nn.Linear and type(low.head) is kinds[0]
        assert low.again is low.head and type(low.rnn) is kinds[1]
        assert type(low.body.linear1) is kinds[0]
        assert type(low.body.self_attn.out_proj) is nn.Linear
        error = np.asarray(low(x)) - np.asarray(net(x))
        assert 0 < abs(error).max() < 0.1
        assert isinstance(low(dl.Tensor(x)), dl.Tensor)
        dl.io.save(tmp_path / "low.safetensors", low.state_dict())
        other = dl.quantize_dynamic(Net())
        other.load_state_dict(dl.io.load(tmp_path / "low.safetensors"))
        for twin in other, pickle.loads(pickle.dumps(low)):
            assert np.array_equal(twin(x), low(x))
    text = repr(low)
    assert "(head): DynamicQuantizedLinear(in_features=24, out_features=5" in text
    assert "(rnn): DynamicQuantizedLSTM(32, 24, dtype=qint8)" in text


def test_chooses_layers():
    def layers(*args, **kwargs):
        net = nn.Sequential(
            nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 3)), nn.LSTM(3, 3)
        )
        made = dl.quantize_dynamic(net, *args, **kwargs)
        assert (made is net) == kwargs.get("inplace", False)
        low = quantization.DynamicQuantizedLinear, quantization.DynamicQuantizedLSTM
        return [isinstance(m, low) for m in (made[0], made[1][0], made[2])]

    assert layers() == [True, True, True]
    assert layers({nn.Linear}) == [True, True, False]
    assert layers({"1", nn.LSTM}) == [False, True, True]
    assert layers({"0": None}, inplace=True) == [True, False, False]
    one = nn.LSTM(3, 4, proj_size=2)
    assert type(dl.quantize_dynamic(one)) is nn.LSTM


def test_without_the_instructions(rng, isa):
    layer, lstm = nn.Linear(40, 30), nn.LSTM(8, 12, 2, bidirectional=True)
    x, s = rng.standard_normal((5, 40), "f"), rng.standard_normal((4, 3, 8), "f")
    low, low_lstm = quantized(layer), quantized(lstm)
    with dl.no_grad():
        expected = lstm(s)[0]
    if _C.has_int8():
        assert abs(low(x) - dl.linear(x, low.weight(), layer.bias.data)).max() < 0.1
        assert abs(low_lstm(s)[0] - np.asarray(expected)).max() < 0.05
        return
    quantization._warn.cache_clear()
    with pytest.warns(
        RuntimeWarning, match=r"^quantize_dynamic: this CPU, or the inst"
    ):
        y = low(x)
    assert np.array_equal(y, dl.linear(x, low.weight(), layer.bias.data))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # once
        assert abs(low_lstm(s)[0] - np.asarray(expected)).max() < 0.05


def nan_weight():
    layer = nn.Linear(2, 2)
    layer.weight.data[0, 0] = np.nan
    return layer


BAD = [
    (lambda: dl.quantize_dynamic(dl.relu), TypeError, "model must be a Module"),
    (lambda: dl.quantize_dynamic(Net(), {nn.Conv2d}), TypeError, "Conv2d has no form"),
    (lambda: dl.quantize_dynamic(Net(), {"tail"}), ValueError, "no layer 'tail'"),
    (
        lambda: dl.quantize_dynamic(Net(), dtype="float16"),
        TypeError,
        "dtype must be 'qint8'",
    ),
    (lambda: dl.quantize_dynamic(nan_weight()), ValueError, "weight must be finite"),
    (
        lambda: dl.quantize_dynamic(nn.Linear(2, 2, dtype="float64")),
        TypeError,
        "the model: a weight must be float32, got float64: call model.float",
    ),
    (
        lambda: dl.quantize_dynamic(nn.Sequential(nn.Linear(2, 2)).double()),
        TypeError,
        "^quantize_dynamic: layer '0': a weight must be float32, got float64",
    ),
    (
        lambda: dl.quantize_dynamic(dl.optimize(nn.Linear(2, 2))),
        TypeError,
        r"quantize first, dl.optimize\(dl.quantize_dynamic\(model\)\)$",
    ),
]


@pytest.mark.parametrize(("call", "exception", "match"), BAD)
def test_bad_calls(call, exception, match):
    with pytest.raises(exception, match=match):
        call()


def test_bad_inputs(int8):
    layer, lstm = quantized(nn.Linear(40, 3)), quantized(nn.LSTM(4, 5))
    for x, exception, match in [
        (np.ones((2, 39), "f"), ValueError, "x must have shape"),
        (np.ones((2, 40), int), TypeError, "x must be float32 or float64, got int64"),
        ([[1.0]], TypeError, "x must be a NumPy array, got list"),
        (np.ones((2, 40)), TypeError, "x must be float32, got float64"),
        (np.float32(1), ValueError, "x must have shape"),
        (
            dl.Tensor(np.ones((2, 40), "f"), True),
            RuntimeError,
            "must not require a grad",
        ),
    ]:
        with pytest.raises(exception, match=match):
            layer(x)
    with pytest.raises(ValueError, match="the last of input_size = 4"):
        lstm(np.ones((2, 2, 5), "f"))
    args = [np.ones((6, 20), "f"), *lstm._weight("weight_hh_l0")]
    args += [np.zeros((2, 5), "f"), np.zeros((2, 5), "f"), [0, 2, 4, 6], False]
    _C.lstm_int8(*args)
    for i, bad, match in [
        (0, np.ones((6, 19), "f"), "gates must have shape"),
        (1, args[1][:2].copy(), "panels must be those"),
        (2, args[2][:5], "scale"),
        (5, np.zeros((3, 5), "f"), "h and c must have shape"),
        (6, [0, 2, 4], "first must go from 0"),
        (6, [0, 1, 3, 6], "first must be of steps that fall"),
        (6, [], "first must go from 0"),
    ]:
        with pytest.raises(ValueError, match=match):
            _C.lstm_int8(*args[:i], bad, *args[i + 1 :])
    with pytest.raises(TypeError, match="panels must be a C-contiguous array of int8"):
        _C.linear_int8(args[0], args[1].astype("i4"), *args[2:4], None)


def test_the_rest_is_frozen(rng):
    net = nn.Sequential(
        nn.Embedding(9, 8), nn.LayerNorm(8), nn.Linear(8, 8), nn.LSTM(8, 4)
    )
    copy = dl.quantize_dynamic(net)
    y, _ = copy(np.array([[1, 2], [3, 4]]))
    assert y.shape == (2, 2, 4) and not getattr(y, "requires_grad", False)
    assert not any(p.requires_grad for p in copy.parameters())
    assert all(p.requires_grad for p in net.parameters())


def test_one_class_or_name():
    for spec in nn.Linear, "0":
        net = dl.quantize_dynamic(nn.Sequential(nn.Linear(2, 2), nn.LSTM(2, 2)), spec)
        kinds = [type(layer).__name__ for layer in net]
        assert kinds == ["DynamicQuantizedLinear", "LSTM"]


@pytest.mark.filterwarnings("ignore:float16 and bfloat16:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:quantize_dynamic:RuntimeWarning")
@pytest.mark.parametrize("native", [True, False])
def test_16_bits(rng, monkeypatch, native):
    if not native:
        monkeypatch.setattr(_C, "has_int8", lambda: False)
    x = dl.Tensor(rng.standard_normal((3, 2, 40), np.float32)).half()
    for layer in nn.Linear(40, 8), nn.LSTM(40, 8, 2, bidirectional=True):
        net = quantized(layer.half())
        results = net(x), net(x.float())
        stored, wide = (r if isinstance(r, dl.Tensor) else r[0] for r in results)
        assert stored.dtype == np.float16 and wide.dtype == np.float32
        np.testing.assert_allclose(stored.float().data, wide.data, 2e-2, 2e-2)
