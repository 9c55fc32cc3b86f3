import numpy as np
import pytest
import reference

import dlcore as dl
from dlcore import _C
from dlcore.testing import assert_close, gradcheck

V = 16  # lanes of the widest vector in float32
SEED = 77


@pytest.fixture(autouse=True)
def seeded():
    before = dl.get_rng_state()
    dl.manual_seed(SEED)
    yield
    dl.set_rng_state(before)


def words(n, offset=0):
    return _C.random_bits(n, SEED, offset, 0)


@pytest.mark.parametrize("n", [0, 1, V - 1, V, V + 1, 63, 64, 65, 3 * V + 5, 70_001])
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.999])
def test_dropout(isa, dtype, rng, n, p):
    x = rng.standard_normal(n).astype(dtype)
    kept = x.copy()
    assert_close(dl.dropout(x, p), reference.dropout(x.astype("f8"), p, words(n)))
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("shape", [(3, 7), (65,)])
def test_backward_makes_the_same_mask(isa, rng, shape):
    x = rng.standard_normal(shape)

    def f(x):
        dl.manual_seed(SEED)
        return dl.dropout(x, 0.4)

    gradcheck(f, x)
    x = dl.Tensor(x, requires_grad=True)
    first, second = dl.dropout(x, 0.4), dl.dropout(x, 0.4)
    second.backward(np.ones(shape))
    np.testing.assert_array_equal(x.grad.data != 0, second.data != 0)
    assert (first.data != second.data).any()


def test_one_mask_for_all(threads, rng):
    x = rng.uniform(1, 2, 300_000)
    want = dl.dropout(x, 0.3) != 0
    for isa in _C.isas():
        for count in (1, 2, 3):
            for dtype in ("float32", "float64"):
                before = _C.isa()
                _C.set_isa(isa)
                threads(count)
                dl.manual_seed(SEED)
                np.testing.assert_array_equal(
                    dl.dropout(x.astype(dtype), 0.3) != 0, want
                )
                _C.set_isa(before)


def test_past_the_caches(isa, dtype):
    x = np.ones((1 << 22) + 3, dtype)
    y = dl.dropout(x, 0.25)
    want = reference.dropout(x.astype("f8"), 0.25, words(x.size))
    assert_close(y, want)
    assert abs((y == 0).mean() - 0.25) < 1e-3


def test_special_values(isa, dtype):
    x = np.tile(np.array([np.nan, np.inf, -np.inf, -0.0, 1e-40], dtype), 40)
    y = dl.dropout(x, 0.5)
    keep = words(x.size) >= 2**31
    np.testing.assert_array_equal(y[keep], x[keep] * x.dtype.type(2))
    assert (y[~keep] == 0).all()
    assert (dl.dropout(x, 1.0) == 0).all()


def test_eval_and_zero(rng):
    x = rng.standard_normal(10)
    assert dl.dropout(x, training=False) is x
    state = dl.get_rng_state()
    np.testing.assert_array_equal(dl.dropout(x, 0.0), x)
    np.testing.assert_array_equal(dl.get_rng_state(), state)
    out = np.empty_like(x)
    assert dl.dropout(x, training=False, out=out) is out
    np.testing.assert_array_equal(out, x)


def test_layouts(rng):
    x = rng.standard_normal((20, 30))
    want = dl.dropout(x, 0.5)
    for same in (np.asfortranarray(x), x.astype(">f8"), np.repeat(x, 2, 1)[:, ::2]):
        dl.manual_seed(SEED)
        np.testing.assert_array_equal(dl.dropout(same, 0.5), want)
    dl.manual_seed(SEED)
    x.flags.writeable = False
    np.testing.assert_array_equal(dl.dropout(x, 0.5), want)
    dl.manual_seed(SEED)
    x = x.copy()
    assert dl.dropout(x, 0.5, out=x) is x
    np.testing.assert_array_equal(x, want)


def test_keeps_the_mean_as_torch_does(torch):
    y = dl.dropout(np.ones(1_000_000, "f4"), 0.1)
    theirs = torch.nn.functional.dropout(torch.ones(1_000_000), 0.1).numpy()
    assert set(np.unique(y)) == set(np.unique(theirs))
    assert abs(y.mean() - 1) < 1e-3


CHANNELS = [
    ("dropout1d", (3, 40, 5), (3, 40, 1)),
    ("dropout1d", (40, 5), (40, 1)),
    ("dropout2d", (3, 40, 5, 2), (3, 40, 1, 1)),
    ("dropout2d", (3, 40, 5), (3, 40, 1)),
    ("dropout3d", (3, 40, 5, 2, 3), (3, 40, 1, 1, 1)),
    ("dropout3d", (40, 5, 2, 3), (40, 1, 1, 1)),
]


@pytest.mark.parametrize("name, shape, heads", CHANNELS)
def test_whole_channels(isa, dtype, rng, name, shape, heads):
    x = rng.standard_normal(shape).astype(dtype)
    keep = (words(int(np.prod(heads))) >= 2**30).reshape(heads)
    t = dl.Tensor(x, requires_grad=True)
    y = getattr(dl, name)(t, 0.25)
    assert y.dtype == dtype and y.shape == shape
    assert_close(y.detach().numpy(), np.where(keep, x.astype("d") / 0.75, 0))
    y.backward(np.ones(shape, dtype))
    want = np.broadcast_to(np.where(keep, 1 / 0.75, 0), shape)
    assert_close(t.grad.numpy(), want)
    assert getattr(dl, name)(x, training=False) is x


def limits(p):
    """SELU's limit at -inf, and the line that keeps mean and variance."""
    c = -1.7580993408473766
    a = 1 / np.sqrt((1 - p) * (1 + p * c * c))
    return c, a, -a * p * c


@pytest.mark.parametrize("n", [0, 1, V + 1, 65, 70_001])
def test_alpha_dropout(isa, dtype, rng, n):
    x = rng.standard_normal(n).astype(dtype)
    keep = words(n) >= 2**30
    c, a, b = limits(0.25)
    t = dl.Tensor(x, requires_grad=True)
    y = dl.alpha_dropout(t, 0.25)
    want = a * np.where(keep, x.astype("d"), c) + b
    assert_close(y.detach().numpy(), want, ulp=4, scale=2 + np.abs(want))
    y.backward(np.ones_like(x))
    assert_close(t.grad.numpy(), np.where(keep, a, 0))
    out = x.copy()
    assert dl.alpha_dropout(x, training=False) is x
    assert dl.alpha_dropout(x, training=False, out=out) is out
    np.testing.assert_array_equal(out, x)
    assert not dl.alpha_dropout(x, 1.0).any()


def test_feature_alpha_dropout(isa, dtype, rng):
    x = rng.standard_normal((5, 30, 7)).astype(dtype)
    keep = (words(150) >= 2**30).reshape(5, 30, 1)
    c, a, b = limits(0.25)
    t = dl.Tensor(x, requires_grad=True)
    y = dl.feature_alpha_dropout(t, 0.25)
    want = a * np.where(keep, x.astype("d"), c) + b
    assert_close(y.detach().numpy(), want, ulp=4, scale=2 + np.abs(want))
    y.backward(np.ones_like(x))
    assert_close(t.grad.numpy(), np.broadcast_to(np.where(keep, a, 0), x.shape))
    assert dl.feature_alpha_dropout(x, training=False) is x


def test_alpha_dropout_keeps_mean_and_variance_as_torch_does(torch, rng):
    x = rng.standard_normal(1_000_000).astype("f")
    y = dl.alpha_dropout(x, 0.3)
    assert abs(y.mean()) < 5e-3 and abs(y.std() - 1) < 5e-3
    theirs = torch.nn.functional.alpha_dropout(torch.zeros(1000), 0.3, training=True)
    mine = np.unique(dl.alpha_dropout(np.zeros(1000, "f"), 0.3))
    np.testing.assert_allclose(mine, np.unique(theirs.numpy()), rtol=1e-6)


@pytest.mark.parametrize("name", ["", "1d", "2d", "3d"])
def test_modules_are_pytorchs(torch, name):
    mine = getattr(dl.nn, f"Dropout{name}")(0.25, inplace=True)
    theirs = getattr(torch.nn, f"Dropout{name}")(0.25, inplace=True)
    assert repr(mine) == repr(theirs)
    x = np.ones((50, 40, *[2] * (int(name[0]) if name else 0)), "f")
    want = theirs(torch.tensor(x)).numpy()
    y = mine(x)
    np.testing.assert_allclose(np.unique(y), np.unique(want), rtol=1e-6)
    alike = y.reshape(50, 40, -1)
    assert (alike == alike[:, :, :1]).all()
    assert mine.eval()(x) is x
    with pytest.raises(ValueError, match="p must be from 0 to 1"):
        type(mine)(1.5)


@pytest.mark.parametrize("name", ["AlphaDropout", "FeatureAlphaDropout"])
def test_alpha_modules_are_pytorchs(torch, name):
    mine, theirs = getattr(dl.nn, name)(0.3), getattr(torch.nn, name)(0.3)
    assert repr(mine) == repr(theirs)
    x = np.ones((50, 40, 3), "f")
    want = theirs(torch.tensor(x)).numpy()
    np.testing.assert_allclose(np.unique(mine(x)), np.unique(want), rtol=1e-6)
    assert mine.eval()(x) is x


X = np.ones((2, 3), "f")
BAD = [
    (
        lambda: dl.dropout1d(np.ones(3)),
        ValueError,
        "dropout1d: x must have 2 or 3 axes",
    ),
    (lambda: dl.dropout2d(X), ValueError, r"3 or 4 axes, got x.shape = \(2, 3\)"),
    (lambda: dl.dropout3d(X), ValueError, "dropout3d: x must have 4 or 5 axes"),
    (lambda: dl.dropout1d(X, 1.5), ValueError, "p must be from 0 to 1, got 1.5"),
    (lambda: dl.dropout1d([1.0]), TypeError, "dropout1d: x must be a NumPy array"),
    (lambda: dl.alpha_dropout(X, -1), ValueError, "alpha_dropout: p must be from 0"),
    (lambda: dl.alpha_dropout(X, "a"), TypeError, "alpha_dropout: p must be a"),
    (lambda: dl.feature_alpha_dropout(np.ones(3)), ValueError, r"axes \(n, channels"),
    (lambda: dl.dropout(np.ones(3), 1.5), ValueError, "p must be from 0 to 1, got 1.5"),
    (lambda: dl.dropout(np.ones(3), -0.1), ValueError, "p must be from 0 to 1"),
    (lambda: dl.dropout(np.ones(3), np.nan), ValueError, "p must be from 0 to 1"),
    (lambda: dl.dropout(np.ones(3, int)), TypeError, "x must be float32 or float64"),
    (lambda: dl.dropout([1.0, 2.0]), TypeError, "x must be a NumPy array"),
    (
        lambda: dl.dropout(np.ones(3), out=np.ones(2)),
        ValueError,
        "out must have the result's shape",
    ),
]


@pytest.mark.parametrize("call, error, match", BAD)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()
