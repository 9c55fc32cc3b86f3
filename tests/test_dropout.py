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


BAD = [
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
