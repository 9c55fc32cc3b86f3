# ruff: noqa: E501  (of the calls that are refused, each has one line)
import numpy as np
import pytest
import reference_indexing as reference

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

SHAPES = [
    ((1,), 0),
    ((70,), 0),
    ((3, 65), 1),
    ((300, 5), 0),
    ((2, 700, 3), 1),
    ((4, 2000), -1),
]


def mixed(rng, shape, dtype):
    """Numbers of which some are equal, and the special ones."""
    x = np.round(rng.standard_normal(shape) * 5).astype(dtype)
    flat = x.reshape(-1)
    for value in (np.nan, np.inf, -np.inf, -0.0, 0.0, 1e-40):
        flat[rng.integers(0, flat.size, 1 + flat.size // 30)] = value
    return x


def order(x, dim, descending):
    return np.apply_along_axis(reference.order, dim, x, descending)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(("shape", "dim"), SHAPES)
def test_sort(isa, dtype, rng, shape, dim, descending):
    x = mixed(rng, shape, dtype)
    want = order(x, dim, descending)
    y, index = dl.sort(x, dim, descending)
    np.testing.assert_array_equal(index, want)
    np.testing.assert_array_equal(y, np.take_along_axis(x, want, dim))
    np.testing.assert_array_equal(dl.argsort(x, dim, descending), want)


@pytest.mark.parametrize("largest", [False, True])
@pytest.mark.parametrize("k", [1, 2, 5, 60, None])
@pytest.mark.parametrize(("shape", "dim"), SHAPES)
def test_topk(isa, dtype, rng, shape, dim, k, largest):
    x = mixed(rng, shape, dtype)
    k = shape[dim] if k is None else min(k, shape[dim])
    want = np.take(order(x, dim, largest), range(k), dim)
    y, index = dl.topk(x, k, dim, largest)
    np.testing.assert_array_equal(index, want)
    np.testing.assert_array_equal(y, np.take_along_axis(x, want, dim))


@pytest.mark.parametrize("rising", [1, -1])
def test_topk_of_long_rows(isa, dtype, rng, rising):
    x = np.stack([np.arange(20_000.0) * rising, rng.standard_normal(20_000)])
    x = x.astype(dtype)
    y, index = dl.topk(x, 50)
    want = np.argsort(-x, 1, kind="stable")[:, :50]
    np.testing.assert_array_equal(index, want)
    np.testing.assert_array_equal(y, np.take_along_axis(x, want, 1))


def test_against_torch(torch, rng, dtype):
    x = mixed(rng, (3, 200), dtype)
    tx = torch.tensor(x)
    for falling in (False, True):
        theirs = torch.sort(tx, dim=1, descending=falling, stable=True)
        ours = dl.sort(x, 1, falling)
        np.testing.assert_array_equal(ours.values, theirs.values.numpy())
        np.testing.assert_array_equal(ours.indices, theirs.indices.numpy())
        np.testing.assert_array_equal(
            dl.topk(x, 9, 1, falling).values, torch.topk(tx, 9, 1, falling).values
        )


def test_gradients(isa, rng):
    x = rng.permutation(60).reshape(3, 20) * 0.1
    for dim in (0, 1):
        gradcheck(lambda x, dim=dim: dl.sort(x, dim)[0], x)
        gradcheck(lambda x, dim=dim: x.topk(2, dim, largest=False).values, x)
        gradcheck(lambda x, dim=dim: dl.cumsum(x, dim), x)


def test_whole_numbers(rng):
    x = rng.integers(-5, 5, (4, 30))
    for falling in (False, True):
        y, index = dl.sort(x, 1, falling)
        want = order(x, 1, falling)
        np.testing.assert_array_equal(index, want)
        np.testing.assert_array_equal(y, np.take_along_axis(x, want, 1))
        np.testing.assert_array_equal(dl.argsort(x, 1, falling), want)
    np.testing.assert_array_equal(dl.cumsum(x, 0), np.cumsum(x, 0))


def test_results_of_tensors(rng):
    y, index = dl.Tensor(rng.standard_normal((2, 9)), requires_grad=True).sort()
    assert y.requires_grad and not index.requires_grad and index.dtype == np.int64


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (0, 3)])
def test_empty_and_without_axes(dtype, shape):
    x = np.ones(shape, dtype)
    y, index = dl.sort(x)
    assert y.shape == index.shape == shape
    assert dl.cumsum(x, -1).shape == shape
    k = min(1, x.shape[-1] if x.ndim else 1)
    assert dl.topk(x, k)[0].size == (x.size and 1)
    assert dl.topk(np.ones(4, dtype), 0).values.shape == (0,)


# -- cumsum --


@pytest.mark.parametrize(("shape", "dim"), [*SHAPES, ((3, 4, 70), 1), ((5, 33), 0)])
def test_cumsum(isa, dtype, rng, shape, dim):
    x = rng.standard_normal(shape).astype(dtype)
    want = np.cumsum(x.astype(np.longdouble), dim)
    scale = np.cumsum(np.abs(x.astype(np.longdouble)), dim)
    assert_close(
        dl.cumsum(x, dim), want, ulp=2 if dtype == "float32" else 64, scale=scale
    )
    np.testing.assert_array_equal(dl.cumsum(x, axis=dim), dl.cumsum(x, dim))


def test_cumsum_of_special_values(dtype):
    x = np.array([1.0, np.inf, 2.0, -np.inf, 1.0], dtype)
    np.testing.assert_array_equal(dl.cumsum(x, 0), [1, np.inf, np.inf, np.nan, np.nan])


def test_cumsum_against_torch(torch, rng, dtype):
    x, dy = (rng.standard_normal((5, 300)).astype(dtype) for _ in range(2))
    ours = dl.Tensor(x, requires_grad=True)
    theirs = torch.tensor(x, requires_grad=True)
    y, ty = ours.cumsum(1), theirs.cumsum(1)
    y.backward(dy)
    ty.backward(torch.tensor(dy))
    for got, want in ((y, ty.detach()), (ours.grad, theirs.grad)):
        assert_close(got.data, want.numpy(), ulp=64, scale=1 + np.abs(want.numpy()))


# -- cumprod --


@pytest.mark.parametrize(("shape", "dim"), [*SHAPES, ((3, 4, 70), 1), ((5, 33), 0)])
def test_cumprod(isa, dtype, rng, shape, dim):
    x = (1 + rng.standard_normal(shape) / 8).astype(dtype)
    want = np.cumprod(x.astype(np.longdouble), dim)
    n = x.shape[dim] if x.ndim else 1
    ulp = 2 if dtype == "float32" else 4 + n
    assert_close(dl.cumprod(x, dim), want, ulp=ulp, scale=np.abs(want))
    np.testing.assert_array_equal(dl.cumprod(x, axis=dim), dl.cumprod(x, dim))


@pytest.mark.parametrize("zeros", [0, 1, 2])
@pytest.mark.parametrize("dim", [0, 1, 2])
def test_gradient_of_cumprod(isa, rng, zeros, dim):
    x = rng.standard_normal((4, 5, 3))
    for place in rng.permutation(x.size)[: 6 * zeros]:
        x.flat[place] = 0
    gradcheck(lambda x: dl.cumprod(x, dim), x)


def test_cumprod_against_torch(torch, rng, dtype):
    x, dy = (rng.uniform(-1.2, 1.2, (5, 40)).astype(dtype) for _ in range(2))
    x[1, 7] = x[2, 3] = x[2, 9] = 0
    ours = dl.Tensor(x, requires_grad=True)
    theirs = torch.tensor(x, requires_grad=True)
    y, ty = ours.cumprod(1), theirs.cumprod(1)
    y.backward(dy)
    ty.backward(torch.tensor(dy))
    for got, want in ((y, ty.detach()), (ours.grad, theirs.grad)):
        assert_close(got.data, want.numpy(), ulp=64, scale=1 + np.abs(want.numpy()))


def test_cumprod_of_special_values(dtype):
    x = np.array([2.0, np.inf, -1.0, 0.0, 1.0], dtype)
    want = [2, np.inf, -np.inf, np.nan, np.nan]
    np.testing.assert_array_equal(dl.cumprod(x, 0), want)
    whole = dl.cumprod(np.array([3, 4]), 0)
    assert whole.tolist() == [3, 12] and whole.dtype.kind == "i"


def test_same_bits_for_any_number_of_threads(rng, threads):
    x = rng.standard_normal((500, 700)).astype("f4")
    seen = set()
    for n in (1, 3):
        threads(n)
        results = *dl.sort(x, 0), *dl.topk(x, 9), dl.cumsum(x, 0), dl.cumsum(x, 1)
        results += dl.cumprod(x, 0), dl.cumprod(x, 1)
        seen.add(b"".join(r.tobytes() for r in results))
    assert len(seen) == 1


# -- refusals --

X = np.zeros((3, 4), "f4")
REFUSED = [
    (lambda: dl.sort(X, 2), IndexError, "sort: dim must be from -2 to 1"),
    (lambda: dl.sort(X, descending="no"), TypeError, "sort: descending must be True or False, got str"),
    (lambda: dl.sort([1.0]), TypeError, "sort: x must be a NumPy array"),
    (lambda: dl.sort(X.astype("f2")), TypeError, "sort: x must be float32 or float64, got float16"),
    (lambda: dl.argsort(X, -3), IndexError, "argsort: dim must be from -2 to 1"),
    (lambda: dl.topk(X, 5), ValueError, "topk: k must be from 0 to 4, the length of dim, got 5"),
    (lambda: dl.topk(X, -1), ValueError, "topk: k must be from 0 to 4"),
    (lambda: dl.topk(X, 1.0), TypeError, "topk: k must be a whole number, got float"),
    (lambda: dl.cumsum(X), TypeError, "cumsum: dim must be a whole number, got NoneType"),
    (lambda: dl.cumsum(X, 2), IndexError, "cumsum: dim must be from -2 to 1"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), REFUSED)
def test_refusals(call, error, message):
    with pytest.raises(error, match=f"^{message}"):
        call()
