"""Products in bfloat16: their rounding, who uses them, and how blocks nest."""

import threading
import warnings

import numpy as np
import pytest
from reference_bf16 import rounded

import dlcore as dl
from dlcore import _C, nn, precision
from dlcore.testing import assert_close

# A sum of k products of bfloat16 rounds as one of float32: see docs/mixed_precision.md.
SUM = 2.0**-23


@pytest.fixture
def bf16():
    if not _C.has_bf16():
        pytest.skip("needs a CPU with AVX-512 BF16")


def matrix(rng, m, n, turned):
    x = rng.standard_normal((n, m) if turned else (m, n), np.float32)
    return x.T if turned else x


def check(y, a, b, extra=0):
    a, b = rounded(a), rounded(b)
    bound = SUM * np.sqrt(a.shape[-1]) * 2 * (abs(a) @ abs(b)) + 1e-30
    assert (abs(y - (a @ b + extra)) <= bound + SUM * abs(extra)).all()


@pytest.mark.parametrize("layouts", ["NN", "NT", "TN", "TT"])
def test_rounds_to_nearest(bf16, rng, layouts):
    for m, n, k in [
        (64, 64, 32),
        (65, 97, 33),
        (200, 39, 63),
        (43, 131, 515),
        (33, 300, 1031),
        (3100, 33, 40),
        (50, 4200, 34),
        (300, 1100, 65),
    ]:
        a = matrix(rng, m, k, layouts[0] == "T")
        b = matrix(rng, k, n, layouts[1] == "T")
        with dl.autocast("bfloat16"):
            y = dl.matmul(a, b)
        check(y, a, b)
        assert abs(y - a @ b).max() > 1e-4  # it was rounded


def test_error_against_float32(bf16, rng):
    a, b = (rng.standard_normal((128, 128), np.float32) for _ in range(2))
    exact = a.astype("d") @ b.astype("d")
    with dl.autocast():
        error = abs(dl.matmul(a, b) - exact)
    assert (error <= 2.0**-8 * 1.01 * (abs(a) @ abs(b))).all()
    assert np.sqrt(np.mean(error**2)) < 2.0**-8 * np.sqrt(np.mean(exact**2))


def test_special_values(bf16):
    a, b = np.zeros((64, 64), np.float32), np.eye(64, dtype=np.float32)
    a[0, :8] = np.nan, np.inf, -np.inf, 3.4e38, 1e-40, -0.0, 1 + 2**-8, 1 + 3 * 2**-8
    a[1:, 0] = 1
    with dl.autocast():
        y = dl.matmul(a, b)
    # NaN and infinity times the zeros of b are NaN
    assert np.isnan(y[0]).all()
    assert (y[1:, 0] == 1).all()
    a[0, :3] = 0
    with dl.autocast():
        y = dl.matmul(a, b)
    assert np.isinf(rounded(a[0])[3])  # beyond the largest bfloat16
    a[0, 3] = 0
    with dl.autocast():
        y = dl.matmul(a, b)
    assert np.array_equal(y, rounded(a))
    assert y[0, 6] == 1 and y[0, 7] == 1 + 2**-6  # ties to even


def test_few_rows_and_float64_stay_as_they_are(rng):
    for shape, dtype in [((31, 64, 64), "f"), ((64, 64, 64), "d"), ((40, 40, 40), "f")]:
        m, n, k = shape
        a, b = rng.standard_normal((m, k)), rng.standard_normal((k, n))
        a, b = a.astype(dtype), b.astype(dtype)
        plain = dl.matmul(a, b)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with dl.autocast():
                assert np.array_equal(dl.matmul(a, b), plain)


def test_batches_and_addmm(bf16, rng):
    a = rng.standard_normal((5, 64, 70), np.float32)
    b = rng.standard_normal((5, 70, 66), np.float32)
    c = rng.standard_normal((5, 64, 66), np.float32)
    with dl.autocast():
        check(dl.bmm(a, b), a, b)
        check(dl.matmul(a[:, None], b[0]), a[:, None], b[0])
        check(dl.einsum("bij,bjk->bik", a, b), a, b)
        check(dl.baddbmm(c, a, b, beta=2), a, b, 2 * c.astype("d"))
        y = dl.addmm(c[0], a[0], b[0], alpha=0.5)
    check(2 * y, a[0], b[0], 2 * c[0].astype("d"))


@pytest.mark.parametrize("activation", [None, "relu", "gelu", "tanh"])
def test_linear(bf16, rng, activation):
    x = rng.standard_normal((3, 40, 600), np.float32)
    w = rng.standard_normal((70, 600), np.float32) / 25
    b, r = rng.standard_normal(70, np.float32), rng.standard_normal((3, 40, 70), "f")
    with dl.autocast():
        y = dl.linear(x, w, b, activation, residual=r)
    z = (rounded(x) @ rounded(w).T + b + r).astype("f")
    f = getattr(dl, activation) if activation else np.asarray
    assert_close(y, f(z).astype("d"), ulp=64, scale=np.abs(z) + 1)


def test_same_bits_for_any_number_of_threads(bf16, rng, threads):
    for m, n, k in [(2048, 256, 600), (70, 2000, 1200), (500, 500, 33)]:
        a, b = matrix(rng, m, k, False), matrix(rng, k, n, True)
        found = []
        for count in 1, 2, 3:
            threads(count)
            with dl.autocast():
                found.append(dl.matmul(a, b))
        assert all(np.array_equal(found[0], y) for y in found[1:])


def test_backward_multiplies_as_forward_did(bf16, rng):
    x = dl.Tensor(rng.standard_normal((64, 80), np.float32), requires_grad=True)
    w = dl.Tensor(rng.standard_normal((96, 80), np.float32), requires_grad=True)
    dy = rng.standard_normal((64, 96), np.float32)
    for product in dl.linear, lambda x, w: dl.matmul(x, w.T):
        for low in False, True:
            x.grad = w.grad = None
            with dl.autocast(enabled=low):
                y = product(x, w)
            with dl.autocast(enabled=not low):
                y.backward(dy)
            if low:
                check(x.grad.data, dy, w.data)
                check(w.grad.data, dy.T, x.data)
            else:
                assert_close(x.grad.data, dy.astype("d") @ w.data, ulp=64, scale=40)


def test_point_convolutions(bf16, rng):
    x = dl.Tensor(rng.standard_normal((2, 64, 20, 20), np.float32), True)
    w = dl.Tensor(rng.standard_normal((96, 64, 1, 1), np.float32), True)
    b, dy = (
        rng.standard_normal(96, np.float32),
        rng.standard_normal((2, 96, 20, 20), "f"),
    )
    with dl.autocast():
        y = dl.conv2d(x, w, b)
    y.backward(dy)
    rows, kernel = x.data.reshape(2, 64, 400), w.data.reshape(96, 64)
    dy = dy.reshape(2, 96, 400)
    check(y.data.reshape(2, 96, 400), kernel, rows, b[:, None].astype("d"))
    check(x.grad.data.reshape(2, 64, 400), kernel.T, dy)
    along = [a.swapaxes(0, 1).reshape(len(a[0]), -1) for a in (dy, rows)]
    check(w.grad.data.reshape(96, 64), along[0], along[1].T)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_recurrent_layers(bf16, rng, kind):
    net = getattr(nn, kind)(64, 48, 2)
    data = rng.standard_normal((6, 32, 64), np.float32)
    found = []
    for low in False, True:
        x = dl.Tensor(data, requires_grad=True)
        net.zero_grad()
        with dl.autocast(enabled=low):
            y = net(x)[0]
        y.backward(np.ones(y.shape, np.float32))
        found.append([y.data, x.grad.data] + [p.grad.data for p in net.parameters()])
    for full, low in zip(*found, strict=True):
        assert not np.array_equal(full, low)
        assert abs(full - low).max() < 0.03 * abs(full).max()


def test_checkpoint(bf16, rng):
    data = rng.standard_normal((64, 64), np.float32)
    block = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 64))
    found = []
    for around in (lambda f, x: f(x)), dl.checkpoint:
        x = dl.Tensor(data, requires_grad=True)
        block.zero_grad()
        with dl.autocast():
            y = around(block, x)
        y.sum().backward()
        found.append([x.grad.data] + [p.grad.data for p in block.parameters()])
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)


def test_optimize_follows_the_block_of_the_call(bf16, rng):
    net = nn.Sequential(nn.Linear(64, 64), nn.ReLU()).eval()
    x = rng.standard_normal((64, 64), np.float32)
    fast = dl.optimize(net, x)
    found = []
    for low in False, True, False:
        with dl.no_grad(), dl.autocast(enabled=low):
            found.append(fast(x))
            assert np.array_equal(found[-1], net(x))
    assert not np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


# -- blocks --


@pytest.fixture
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_blocks_nest(quiet):
    on = dl.is_autocast_enabled
    assert not on()
    with dl.autocast("bfloat16"):
        assert on()
        with dl.autocast("cpu", dtype="bfloat16", enabled=False):
            assert not on()
            with dl.autocast("cpu"):
                assert on()
            assert not on()
        assert on()
    assert not on()
    with pytest.raises(KeyError), dl.autocast():
        raise KeyError
    assert not on()
    block = dl.autocast()
    with block, block:  # one object may be entered twice
        assert on()
    assert not on()


def test_decorates(quiet):
    @dl.autocast("bfloat16")
    def f(depth):
        """Doc."""
        return dl.is_autocast_enabled() and (depth == 0 or f(depth - 1))

    off = dl.autocast(enabled=False)(dl.is_autocast_enabled)
    assert f(2) and f.__doc__ == "Doc." and not dl.is_autocast_enabled()
    with dl.autocast():
        assert not off()
    with pytest.raises(TypeError, match=r"^autocast: function must run when"):
        dl.autocast()(lambda: (yield))


def test_counts_for_its_thread(quiet):
    seen = []
    with dl.autocast():
        thread = threading.Thread(target=lambda: seen.append(dl.is_autocast_enabled()))
        thread.start()
        thread.join()
    assert seen == [False]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("float16",), r"^autocast: dtype must be 'bfloat16', got 'float16'"),
        ((np.float32,), r"^autocast: dtype must be 'bfloat16', got 'float32'"),
        (("cuda", "bfloat16"), r"^autocast: device_type must be 'cpu', .*got 'cuda'$"),
        (("cuda",), r"^autocast: device_type must be 'cpu', .*got 'cuda'$"),
        (("cpu", "torch.float16"), r"^autocast: dtype must be 'bfloat16'"),
    ],
)
def test_refuses(arguments, match):
    with pytest.raises(ValueError, match=match):
        dl.autocast(*arguments)


def test_dtype_of_pytorch(quiet):
    class Dtype:
        __repr__ = lambda self: "torch.bfloat16"  # noqa: E731

    for given in ("cpu", Dtype()), (Dtype(),):
        with dl.autocast(*given):
            assert dl.is_autocast_enabled()


def test_without_the_instructions(rng, isa):
    if _C.has_bf16():
        pytest.skip("this one has them")
    x = rng.standard_normal((64, 64), np.float32)
    precision._warn.cache_clear()
    with pytest.warns(RuntimeWarning, match=r"^autocast: this CPU, or the"):
        with dl.autocast():
            assert np.array_equal(dl.matmul(x, x), _C.matmul(x, x))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with dl.autocast():  # once
            pass


# -- training --


class TinyGPT(nn.Module):
    def __init__(self):
        block = nn.TransformerEncoderLayer(
            64, 4, 128, dropout=0.0, batch_first=True, norm_first=True
        )
        self.embedding = nn.Embedding(40, 64)
        self.places = nn.Parameter(np.zeros((32, 64), np.float32))
        self.blocks = nn.TransformerEncoder(block, 2, nn.LayerNorm(64))
        self.head = nn.Linear(64, 40)

    def forward(self, x):
        x = self.blocks(self.embedding(x) + self.places, is_causal=True)
        return self.head(x).reshape(-1, 40)


def losses(low, steps):
    dl.manual_seed(0)
    net, rng = TinyGPT(), np.random.default_rng(0)
    optimizer = dl.optim.Adam(net.parameters(), lr=2e-3)
    found = []
    for _ in range(steps):
        start = rng.integers(0, 40, (8, 1))
        words = (start + np.arange(33) * rng.integers(1, 4, (8, 1))) % 40
        optimizer.zero_grad()
        with dl.autocast(enabled=low):
            loss = dl.cross_entropy(net(words[:, :-1]), words[:, 1:].ravel())
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return np.array(found)


def test_trains_as_float32_does(bf16):
    full, low = losses(False, 120), losses(True, 120)
    assert full[0] > 3.5 and full[-20:].mean() < 1
    assert abs(full[:10] - low[:10]).max() < 0.05
    assert abs(full[-20:].mean() - low[-20:].mean()) < 0.1
    assert not np.array_equal(full, low)
