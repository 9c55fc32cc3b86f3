import numpy as np
import pytest
import reference_geometry as reference

import dlcore as dl
from dlcore.testing import gradcheck

MODES = ["constant", "reflect", "replicate", "circular"]
# Shapes around the vector width, and amounts with crops, of one to three dimensions.
CASES = [
    ((2, 3, 5), (2, 1)),
    ((3, 2, 1, 37), (1, 1)),
    ((2, 3, 9, 16), (1, 1, 1, 1)),
    ((2, 3, 7, 33), (3, 0, 0, 2)),
    ((1, 2, 4, 8), (0, 0, 2, 3)),
    ((2, 1, 6, 17), (-1, 3, 2, -2)),
    ((2, 1, 6, 17), (4, -3, -1, -2)),
    ((2, 2, 3, 4, 19), (1, 2, 3, 0, 2, 1)),
    ((1, 2, 5, 4, 6), (-2, 2, 1, -1, -1, 2)),
    ((2, 5, 6, 7), (0, 0, 0, 0, 2, 1)),
    ((40, 50, 30), (7, 9, 30, 3)),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape, amounts", CASES)
def test_pad(isa, dtype, rng, shape, amounts, mode):
    if mode == "circular" or mode == "reflect":
        limit = [n - (mode == "reflect") for n in shape[::-1]]
        amounts = [min(p, limit[i // 2]) for i, p in enumerate(amounts)]
    x = rng.standard_normal(shape).astype(dtype)
    y = dl.pad(x, amounts, mode, 0.5)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, reference.pad(x, amounts, mode, 0.5))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape, amounts", CASES[:10])
def test_gradients(isa, dtype, rng, shape, amounts, mode):
    if mode == "reflect":
        amounts = [min(p, shape[::-1][i // 2] - 1) for i, p in enumerate(amounts)]
    x = dl.Tensor(rng.standard_normal(shape).astype(dtype), requires_grad=True)
    y = dl.pad(x, amounts, mode, 0.5)
    dy = rng.integers(-9, 9, y.shape).astype(dtype)  # whole numbers: sums are exact
    y.backward(dy)
    places = reference.pad(
        1.0 + np.arange(x.numel()).reshape(shape), amounts, mode
    ).astype(int)
    want = np.zeros(x.numel() + 1)
    np.add.at(want, places, dy)
    np.testing.assert_array_equal(x.grad.data, want[1:].reshape(shape))


@pytest.mark.parametrize("mode", MODES)
def test_gradcheck(rng, mode):
    x = rng.standard_normal((2, 2, 4, 5))
    gradcheck(lambda x: dl.pad(x, (2, 1, 3, -1), mode, 2.0), x)
    gradcheck(lambda x: dl.pad(x, [1, 2, 0, 1, 1, 1], mode), x)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "shape, amounts",
    [
        ((2, 3, 6), (2, 1)),
        ((2, 3, 6), (-2, 1)),
        ((2, 3, 5, 6), (2, 4, 1, 3)),
        ((2, 3, 5, 6), (-1, 2, 3, -2)),
        ((2, 3, 4, 5, 6), (2, 4, 1, 3, 2, 1)),
    ],
)
def test_oracle(torch, dtype, rng, shape, amounts, mode):
    x = rng.standard_normal(shape).astype(dtype)
    theirs = torch.tensor(x, requires_grad=True)
    want = torch.nn.functional.pad(theirs, amounts, mode)
    ours = dl.Tensor(x, requires_grad=True)
    y = dl.pad(ours, amounts, mode)
    np.testing.assert_array_equal(y.data, want.detach().numpy())
    dy = rng.standard_normal(y.shape).astype(dtype)
    y.backward(dy)
    want.backward(torch.tensor(dy))
    np.testing.assert_allclose(ours.grad.data, theirs.grad.numpy(), 1e-6, 1e-6)


def test_constant_in_every_dimension(torch, isa, dtype, rng):
    x = rng.standard_normal((2, 3, 2, 3, 2, 3)).astype(dtype)
    amounts = (1, 0, -1, 2, 0, 0, 3, -1, 0, 1, 1, 1)
    want = torch.nn.functional.pad(torch.tensor(x), amounts, value=-3.0).numpy()
    np.testing.assert_array_equal(dl.pad(x, amounts, value=-3.0), want)


def test_large(isa, rng):
    """Past the caches."""
    x = rng.standard_normal((3, 1200, 1201)).astype(np.float32)
    for mode in MODES:
        y = dl.pad(x, (3, 5, 2, 1), mode)
        np.testing.assert_array_equal(y, reference.pad(x, (3, 5, 2, 1), mode))


def test_special_values(isa, dtype):
    x = np.array([[np.nan, np.inf, -0.0]], dtype)
    y = dl.pad(x, (1, 1), value=np.inf)
    np.testing.assert_array_equal(y, [[np.inf, np.nan, np.inf, -0.0, np.inf]])
    assert np.signbit(y[0, 3])
    assert np.isnan(dl.pad(x, (1, 0), "replicate")[0, :2]).all()


def test_empty():
    for shape in ((0, 3, 4), (2, 0, 4)):
        assert dl.pad(np.zeros(shape, "f"), (1, 1), "reflect").shape == (*shape[:2], 6)
    np.testing.assert_array_equal(dl.pad(np.zeros((2, 0), "f"), (1, 2), value=7), 7.0)
    assert dl.pad(np.zeros((2, 3), "f"), (-1, -2)).shape == (2, 0)
    x = dl.Tensor(np.zeros((2, 3), "f"), requires_grad=True)
    dl.pad(x, (-1, -2)).backward(np.zeros((2, 0), "f"))
    np.testing.assert_array_equal(x.grad.data, np.zeros((2, 3)))


def test_layouts(rng):
    x = rng.standard_normal((3, 4, 5)).astype(np.float32)
    want = dl.pad(x, (1, 2), "reflect")
    for other in (np.asfortranarray(x), x.astype(">f4"), x[::-1].copy()[::-1]):
        np.testing.assert_array_equal(dl.pad(other, (1, 2), "reflect"), want)


def test_integers():
    np.testing.assert_array_equal(
        dl.pad(np.array([[1, 2], [3, 4]]), (-1, 1, 0, 1), value=7),
        [[2, 7], [4, 7], [7, 7]],
    )


@pytest.mark.parametrize("mode", MODES)
def test_same_bits_for_any_threads(threads, rng, mode):
    x = rng.standard_normal((5, 7, 60, 70)).astype(np.float32)
    results = []
    for n in (1, 2, 3):
        threads(n)
        t = dl.Tensor(x, requires_grad=True)
        y = dl.pad(t, (9, 5, 3, 7), mode)
        y.backward(y.data)
        results.append((y.data.tobytes(), t.grad.data.tobytes()))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize(
    "kind", ["Constant", "Zero", "Reflection", "Replication", "Circular"]
)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_modules(torch, rng, kind, dims):
    x = rng.standard_normal((2, 3, *(4, 5, 6)[:dims])).astype(np.float32)
    name = f"{kind}Pad{dims}d"
    extra = (2.5,) if kind == "Constant" else ()
    for padding in (2, (1, 2, 3, 0, 2, 1)[: 2 * dims]):
        want = getattr(torch.nn, name)(padding, *extra)
        layer = getattr(dl.nn, name)(padding, *extra)
        got = layer(dl.Tensor(x)).data
        np.testing.assert_array_equal(got, want(torch.tensor(x)).numpy())
        assert repr(layer) == repr(want)
    with pytest.raises(TypeError, match=f"{name}: padding must be an integer or"):
        getattr(dl.nn, name)((1, 2, 3), *extra)


X = np.zeros((1, 2, 6, 5), np.float32)
BAD = [
    (lambda: dl.pad(X, (1,)), ValueError, "pad: pad must hold a pair for each of"),
    (lambda: dl.pad(X, (1,) * 10), ValueError, r"of x.shape = \(1, 2, 6, 5\)"),
    (lambda: dl.pad(X, (-6, 0)), ValueError, "pad: pad must not crop more"),
    (lambda: dl.pad(X, (-6, 3)), ValueError, "pad: pad must not crop more"),
    (lambda: dl.pad(X, (1, 1), "magic"), ValueError, "pad: mode must be 'constant'"),
    (lambda: dl.pad(X, (1, 1), 3), ValueError, "pad: mode must be .* got 3"),
    (lambda: dl.pad(X, 1), TypeError, "pad: pad must be a tuple of ints, got int"),
    (lambda: dl.pad(X, (1.5, 0)), TypeError, "each number of pad must be a whole"),
    (lambda: dl.pad(X, (5, 0), "reflect"), ValueError, "less than the length"),
    (lambda: dl.pad(X, (6, 0), "circular"), ValueError, "at most the length"),
    (lambda: dl.pad(X, (4, -2), "circular"), ValueError, "at most the length"),
    (lambda: dl.pad(X[..., :0], (1, 0), "replicate"), ValueError, "must not be empty"),
    (lambda: dl.pad(X, (0, 0) * 3 + (1, 1), "reflect"), ValueError, "of the last 3"),
    (lambda: dl.pad(X, (1, 1), value="a"), TypeError, "value must be a real number"),
    (lambda: dl.pad(X, (2**62, 2**62)), ValueError, "add up to more|multiply to more"),
    (lambda: dl.pad(X.astype(int), (2**62, 2**62)), ValueError, "fit into an array"),
    (lambda: dl.pad(X.astype(int), (1, 0), value=0.5), ValueError, "that int64 holds"),
    (lambda: dl.pad(X.astype("u1"), (1, 0), value=-1), ValueError, "that uint8 holds"),
    (lambda: dl.pad(X.astype("i2"), (1, 0), value=np.nan), ValueError, "int16 holds"),
    (lambda: dl.pad(X.astype(int), (1, 1), "reflect"), TypeError, "got int64"),
    (lambda: dl.pad([1.0], (1, 1)), TypeError, "must be a NumPy array or a Tensor"),
]


@pytest.mark.parametrize("call, exception, match", BAD)
def test_bad_calls(call, exception, match):
    with pytest.raises(exception, match=match):
        call()
