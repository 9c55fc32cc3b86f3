"""float16 and bfloat16 as storage: every op, modules, optimizers, files."""

import sys
import warnings

import numpy as np
import pytest
from op_examples import EXAMPLES

import dlcore as dl
from dlcore import convert, nn

ml_dtypes = pytest.importorskip("ml_dtypes")
BF16 = np.dtype(ml_dtypes.bfloat16)
KINDS = {"float16": np.dtype("float16"), "bfloat16": BF16}
# These are made of others, each of which rounds.
COMPOSED = (
    "addcdiv addcmul cosine_embedding_loss cosine_scores cosine_similarity "
    "fast_rcnn_loss istft lerp normalize pairwise_distance rpn_loss style_loss "
    "tanhshrink"
).split()
pytestmark = pytest.mark.filterwarnings("ignore:float16 and bfloat16:RuntimeWarning")


def arrays_of(results):
    if isinstance(results, (dl.Tensor, np.ndarray)):
        return [results]
    if isinstance(results, (list, tuple)):
        return [a for r in results for a in arrays_of(r)]
    return []


def call(name, arrays):
    dl.manual_seed(3)
    e = EXAMPLES[name]
    f = getattr(dl, name, None) or getattr(dl.detection, name)
    return arrays_of(f(*e.first, *e.positional(arrays), *e.extra, **e.options))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_ops_compute_in_float32_and_round(name, kind):
    """Results are those of float32 from the same values, rounded once."""
    unit = float(ml_dtypes.finfo(KINDS[kind]).eps) if name in COMPOSED else 0
    inputs = EXAMPLES[name].arrays()
    stored = [
        dl.Tensor(a.astype(KINDS[kind]), requires_grad=True) if a.dtype == "f4" else a
        for a in inputs
    ]
    wide = [
        dl.Tensor(s.data.astype("f"), requires_grad=True)
        if isinstance(s, dl.Tensor)
        else s
        for s in stored
    ]
    results, expected = call(name, stored), call(name, wide)
    assert len(results) == len(expected)
    for y, x in zip(results, expected, strict=True):
        a, b = (np.asarray(t.data if isinstance(t, dl.Tensor) else t) for t in (y, x))
        assert a.shape == b.shape
        if a.dtype != b.dtype:
            assert a.dtype == KINDS[kind] and b.dtype == "f4"
            b = b.astype(a.dtype)
        np.testing.assert_allclose(a.astype("d"), b.astype("d"), 4 * unit, 2 * unit)
    total = [y for y in results if isinstance(y, dl.Tensor) and y.requires_grad]
    for y, x in zip(total, [x for x in expected if getattr(x, "requires_grad", 0)]):
        ones = np.ones(y.shape, "f")
        y.backward(ones, retain_graph=True)
        x.backward(ones, retain_graph=True)
    for s, w in zip(stored, wide, strict=True):
        if total and isinstance(s, dl.Tensor) and w.grad is not None:
            assert s.grad.dtype == np.float32
            size = np.abs(w.grad.data[np.isfinite(w.grad.data)]).max(initial=1e-3)
            np.testing.assert_allclose(s.grad.data, w.grad.data, 0.1, 0.1 * size)


def test_mixed_inputs_promote():
    x = dl.tensor([1.0, 2.0]).bfloat16()
    assert (x + 1).dtype == BF16 and (x * x).dtype == BF16
    assert (x + dl.tensor([1.0, 2.0])).dtype == np.float32
    assert (x + dl.tensor([1.0, 2.0]).half()).dtype == np.float32
    assert dl.argmax(x).dtype == np.int64
    assert repr(x) == "tensor([1, 2], dtype=bfloat16)"
    for back in x.float(), x.to("float32"), x.half().float(), x.double():
        assert back.tolist() == [1, 2] and back.dtype.kind == "f"
    with pytest.raises(TypeError, match="must be float32 or float64, got float16"):
        dl.relu(np.ones(2, "float16"))


@pytest.mark.parametrize("kind", KINDS)
def test_signs(kind):
    x = dl.Tensor([-2.0]).to(kind)
    for y in (-x, abs(x), x.abs(), x.clamp(2.0)):
        assert y.dtype == KINDS[kind] and y.tolist() == [2.0]


def test_casts_have_gradients():
    x = dl.Tensor(np.array([1.001, 2]), requires_grad=True)
    y = x.bfloat16()
    z = (y * y).float().sum()
    z.backward()
    assert x.grad.dtype == np.float64
    np.testing.assert_array_equal(x.grad.data, [2, 4])


def test_without_ml_dtypes(monkeypatch):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    for cast in dl.tensor([1.0]).bfloat16, nn.Linear(1, 1).bfloat16:
        with pytest.raises(ImportError, match=r"^to: bfloat16 needs .* install ml_dty"):
            cast()
    assert dl.tensor([1.0]).half().dtype == np.float16


def test_warns_once():
    convert._warn.cache_clear()
    x = dl.tensor([1.0]).half()
    with pytest.warns(RuntimeWarning, match="^float16 and bfloat16 are for storage"):
        x = x + 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x + 1


# -- modules --


def images(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("f")


MODULES = {
    "linear": (lambda: nn.Linear(5, 7), images(3, 5)),
    "conv": (lambda: nn.Conv2d(3, 4, 3), images(2, 3, 8, 8)),
    "batch": (lambda: nn.BatchNorm2d(3), images(2, 3, 4, 4)),
    "layer": (lambda: nn.LayerNorm(5), images(3, 5)),
    "lstm": (lambda: nn.LSTM(5, 6, 2, bidirectional=True), images(4, 3, 5)),
    "gru": (lambda: nn.GRU(5, 6), images(4, 3, 5)),
    "attention": (
        lambda: nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True),
        images(2, 3, 8),
    ),
    "embedding": (lambda: nn.Embedding(9, 4), np.array([[1, 2], [8, 0]])),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MODULES)
def test_modules(name, kind):
    make, x = MODULES[name]
    dl.manual_seed(1)
    net = make()
    wide = make()
    assert net.to(kind) is net
    assert {p.dtype for p in net.parameters()} == {KINDS[kind]}
    assert all(b.dtype.kind in "fi" for b in net.buffers())
    state = {
        n: v.astype("f") if v.dtype == KINDS[kind] else v
        for n, v in net.state_dict().items()
    }
    wide.load_state_dict(state)
    x16 = dl.Tensor(x).to(kind) if x.dtype == "f4" else x
    y = arrays_of(net(x16))[0]
    z = arrays_of(wide(x16.float() if isinstance(x16, dl.Tensor) else x16))[0]
    assert y.dtype == KINDS[kind]
    np.testing.assert_allclose(y.data.astype("f"), z.data, 0.03, 0.03)
    y.float().sum().backward()
    for p in net.parameters():
        assert p.grad.dtype == np.float32 and np.isfinite(p.grad.data).all()
    assert {p.dtype for p in net.float().parameters()} == {np.dtype("f4")}


def test_state_in_files(tmp_path):
    net, other = (nn.Linear(5, 7).bfloat16() for _ in range(2))
    dl.io.save(tmp_path / "net.safetensors", net.state_dict())
    assert (tmp_path / "net.safetensors").stat().st_size < 42 * 2 + 400
    other.load_state_dict(dl.io.load(tmp_path / "net.safetensors"))
    for name, value in net.state_dict().items():
        assert value.dtype == BF16
        assert np.array_equal(other.state_dict()[name], value)
    full = nn.Linear(5, 7)
    full.load_state_dict(net.state_dict())  # widening loses nothing
    assert np.array_equal(full.weight.data, net.weight.data.astype("f"))


# -- optimizers --

OPTIMIZERS = {
    "sgd": lambda p: dl.optim.SGD(p, lr=1e-4, momentum=0.9),
    "adam": lambda p: dl.optim.Adam(p, lr=1e-4),
    "adamw": lambda p: dl.optim.AdamW(p, lr=1e-4, amsgrad=True),
    "lion": lambda p: dl.optim.Lion(p, lr=1e-4),
}


def steps(p, optimizer, n, start=0):
    for i in range(start, start + n):
        g = np.random.default_rng(i).standard_normal(p.shape).astype("f")
        p.grad = dl.Tensor(g)
        optimizer.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_keep_float32_masters(name):
    start = np.linspace(-1, 1, 33).astype(BF16)
    stored = dl.Tensor(start.copy(), requires_grad=True)
    wide = dl.Tensor(start.astype("f"), requires_grad=True)
    memory = stored.data
    pair = OPTIMIZERS[name]([stored]), OPTIMIZERS[name]([wide])
    steps(stored, pair[0], 30)
    steps(wide, pair[1], 30)
    assert stored.data is memory and stored.dtype == BF16
    assert np.array_equal(pair[0].state[stored]["master_param"], wide.data)
    assert np.array_equal(stored.data, wide.data.astype(BF16))
    # to the bit from a snapshot
    twin = dl.Tensor(stored.data.copy(), requires_grad=True)
    resumed = OPTIMIZERS[name]([twin])
    resumed.load_state_dict(pair[0].state_dict())
    steps(twin, resumed, 5, 30)
    steps(wide, pair[1], 5, 30)
    assert np.array_equal(resumed.state[twin]["master_param"], wide.data)


def test_optimizer_sees_what_others_wrote():
    p = dl.Tensor(np.ones(4, BF16), requires_grad=True)
    optimizer = dl.optim.SGD([p], lr=2.0**-12)
    p.grad = dl.Tensor(np.ones(4, "f"))
    optimizer.step()
    assert (p.data == 1).all()  # too small a step for 8 bits, kept in the copy
    p.data[1] = 3
    optimizer.step()
    master = optimizer.state[p]["master_param"]
    assert master.tolist() == [1 - 2**-11, 3 - 2**-12, 1 - 2**-11, 1 - 2**-11]


def test_trains():
    dl.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1)).bfloat16()
    optimizer = dl.optim.Adam(net.parameters(), lr=1e-2)
    x = images(64, 4)
    target = (x**2).sum(1, keepdims=True)
    first = last = None
    for _ in range(150):
        optimizer.zero_grad()
        loss = dl.mse_loss(net(dl.Tensor(x).bfloat16()).float(), target)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        last = loss.item()
        first = first or last
    assert last < 0.2 * first
