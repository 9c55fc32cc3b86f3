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


@pytest.mark.parametrize("kind", KINDS)
def test_in_place(kind):
    x = dl.tensor([-1.0, 0.5, 3.0]).to(kind)
    memory, other = x.data, dl.tensor([1.0, 2.0, -3.0])
    mask = np.array([True, False, False])
    for change in (
        lambda: x.add_(1),
        lambda: x.mul_(other),
        lambda: x.sub_(other.to(kind)),
        lambda: x.clamp_(-2.0, 1.5),
        lambda: x.lerp_(other.to(kind), 0.3),
        lambda: x.masked_fill_(mask, 0.25),
        lambda: x.addcmul_(other.to(kind), other.to(kind)),
        lambda: x.__iadd__(0.1),
        lambda: x.__itruediv__(3),
        lambda: x.relu_(),
        lambda: x.sqrt_(),
        lambda: x.__setitem__(0, 0.7),
        lambda: x.copy_(other),
        lambda: x.fill_(2.0),
    ):
        change()
        assert x.data is memory and x.dtype == KINDS[kind]
    assert x.tolist() == [2, 2, 2]
    y = dl.tensor([0.1, 0.2]).to(kind)
    expected = (y.float() * 3.3).to(kind)
    y *= 3.3
    assert np.array_equal(y.data, expected.data)
    z = dl.zeros(4, dtype=kind)
    dl.manual_seed(0)
    z.normal_(0.0, 2.0)
    dl.manual_seed(0)
    w = dl.zeros(4).normal_(0.0, 2.0).to(kind)
    assert np.array_equal(z.data, w.data) and z.dtype == KINDS[kind]
    assert (0 <= z.uniform_().float().data).all()


@pytest.mark.parametrize("kind", KINDS)
def test_views_share_memory(kind):
    for view in (
        lambda x: x[1],
        lambda x: x.T,
        lambda x: x.reshape(-1),
        lambda x: x.flatten(),
        lambda x: x.transpose(0, 1),
        lambda x: x.unsqueeze(0).squeeze(0),
        lambda x: x.split(1)[1],
    ):
        x = dl.zeros(2, 3, dtype=kind)
        view(x).add_(1)
        assert x.sum().item() == view(x).numel()
    assert not np.shares_memory(x.clone().data, x.data)
    w = dl.tensor([1.0, 2.0], requires_grad=True).to(kind).detach()
    w.requires_grad_()
    y = (w.reshape(2, 1)[:1] * 3).float().sum()
    with dl.no_grad():
        w[:1].add_(1)
    with pytest.raises(RuntimeError, match="in place"):
        y.backward()


@pytest.mark.parametrize("kind", KINDS)
def test_made_like_another(kind):
    x = dl.tensor([1.0, 2.0]).to(kind)
    for like in dl.zeros_like, dl.ones_like, dl.empty_like:
        assert like(x).dtype == KINDS[kind] and like(x, np.float32).dtype == "f4"
    assert dl.full_like(x, 0.5).dtype == KINDS[kind]
    for made in (
        dl.full(2, 0.5, dtype=kind),
        dl.tensor([1.0], dtype=kind),
        dl.ones(2, dtype=kind),
        dl.as_tensor([1.0], dtype=kind),
        dl.ones(2).new_zeros(3, dtype=kind),
        nn.SinusoidalPositions(2, 4)(dl.zeros(2, 1, 4, dtype=kind)),
    ):
        assert made.dtype == KINDS[kind]


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


@pytest.mark.parametrize("kind", KINDS)
def test_loads_by_rounding(kind, tmp_path):
    net, full = nn.Linear(5, 7).to(kind), nn.Linear(5, 7)
    net.load_state_dict(full.state_dict())
    expected = full.weight.data.astype(KINDS[kind])
    assert np.array_equal(net.weight.data, expected)
    net.load_state_dict(nn.Linear(5, 7).half().state_dict())
    net.load_state_dict(nn.Linear(5, 7).double().state_dict())
    with pytest.raises(RuntimeError, match="weight must have dtype float32, got float"):
        full.load_state_dict(nn.Linear(5, 7).double().state_dict())
    for ending in "safetensors", "npz":
        dl.io.save(tmp_path / f"net.{ending}", full.state_dict())
        state = dl.io.load(tmp_path / f"net.{ending}", dtype=kind)
        assert np.array_equal(state["weight"], expected)


class TorchDtype:
    """What PyTorch's dtypes look like."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"torch.{self.name}"


@pytest.mark.parametrize("kind", KINDS)
def test_dtypes_of_pytorch(kind):
    assert nn.Linear(2, 2).to(TorchDtype(kind)).weight.dtype == KINDS[kind]
    assert dl.ones(2).to(TorchDtype(kind)).dtype == KINDS[kind]
    assert dl.ones(2, dtype=TorchDtype(kind)).dtype == KINDS[kind]
    with pytest.raises(TypeError, match=r"got torch\.quint8$"):
        dl.ones(2).to(TorchDtype("quint8"))


def test_attention_with_a_cache():
    net = nn.MultiheadAttention(8, 2, batch_first=True).bfloat16().eval()
    x = dl.Tensor(images(1, 3, 8)).bfloat16()
    with dl.no_grad():
        whole, _ = net(x, x, x, is_causal=True, need_weights=False)
        cache = nn.KVCache(1, 2, 3, 4)
        steps = [x[:, i : i + 1] for i in range(3)]
        parts = [net(s, s, s, need_weights=False, cache=cache)[0] for s in steps]
    assert {y.dtype for y in parts} == {BF16}
    one_by_one = dl.cat(parts, 1).float()
    np.testing.assert_allclose(one_by_one.data, whole.float().data, 0.03, 0.03)
    with pytest.raises(
        TypeError, match=r"^KVCache: dtype must be float32, .* bfloat16"
    ):
        nn.KVCache(1, 2, 3, 4, dtype="bfloat16")


def test_own_functions_have_float32_gradients():
    class Twice(dl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, dy):
            return dy * 2

    x = dl.ones(3).half().requires_grad_()
    y = Twice.apply(x)
    y.sum().backward()
    assert y.dtype == np.float16 and x.grad.dtype == np.float32
    assert (x.grad.data == 2).all()
