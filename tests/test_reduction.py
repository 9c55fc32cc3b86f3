import itertools
from functools import partial

import numpy as np
import pytest
import reference

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

SHAPES = [  # all ways that reduced and kept axes alternate, around the block sizes
    (1,),
    (5,),
    (17, 3),
    (64, 10),
    (2, 3, 4),
    (3, 70, 33),
    (2, 1, 5, 1, 3),
    (2, 3, 2, 3, 2),
    (1030, 40),
    (40, 1030),
    (4, 6, 20, 20),
]
LARGE = [
    (300001,),
    (3, 60000),
    (60000, 3),
    (64, 8, 400),
    (2, 9000, 11),
]  # cut into pieces


def every_dims(ndim):
    return [
        d for n in range(1, ndim + 1) for d in itertools.combinations(range(ndim), n)
    ]


@pytest.mark.parametrize("shape", SHAPES + LARGE, ids=str)
def test_sum_and_mean(isa, dtype, rng, shape):
    x = rng.standard_normal(shape).astype(dtype)
    wide = x.astype("d")
    for dims in every_dims(x.ndim):
        scale = np.abs(wide).sum(dims)
        n = x.size // scale.size
        assert_close(dl.sum(x, dims), wide.sum(dims), ulp=3, scale=scale)
        assert_close(dl.mean(x, dims), wide.mean(dims), ulp=4, scale=scale / n)
        assert dl.sum(x, dims, True).shape == wide.sum(dims, keepdims=True).shape


@pytest.mark.parametrize("shape", SHAPES + LARGE[:2], ids=str)
def test_other_reductions(isa, dtype, rng, shape):
    x = rng.standard_normal(shape).astype(dtype)
    wide = x.astype(np.longdouble)  # NumPy adds rows one by one
    for dims in every_dims(x.ndim):
        assert np.array_equal(dl.amax(x, dims), x.max(dims))
        assert np.array_equal(dl.min(x, axis=dims), x.min(dims))
        mean_square = (wide**2).mean(dims)
        assert_close(dl.var(x, dims, 0), wide.var(dims), ulp=8, scale=mean_square)
        norm = np.sqrt((wide**2).sum(dims))
        assert_close(dl.norm(x, 2, dims), norm, ulp=6)
        assert_close(dl.norm(x, 1, dims), np.abs(wide).sum(dims), ulp=6)
        assert_close(
            dl.logsumexp(x, dims),
            reference.logsumexp(wide, dims),
            ulp=8,
            scale=3 + norm,
        )
    small = (1 + x / 100).astype(dtype)
    for dim in range(x.ndim):
        want = small.astype("d").prod(dim)
        assert_close(dl.prod(small, dim), want, ulp=2 + x.shape[dim])
        assert np.array_equal(dl.argmax(x, dim), x.argmax(dim))
        assert np.array_equal(dl.argmin(x, dim, True), x.argmin(dim, keepdims=True))
    assert dl.argmax(x) == x.argmax()


def test_sum_is_as_accurate_as_numpys(isa):
    x = np.full(10_000_000, 0.1, "f")
    exact = float(x[0]) * x.size
    assert abs(float(dl.sum(x)) - exact) <= abs(float(np.sum(x)) - exact) + 0.07
    columns = dl.sum(x.reshape(-1, 10), 0)
    assert_close(columns, np.full(10, exact / 10), ulp=2)


def test_words_of_numpy(rng):
    x = rng.standard_normal((3, 4))
    assert np.array_equal(dl.sum(x, axis=1, keepdims=True), dl.sum(x, 1, True))
    assert np.array_equal(dl.max(x, axis=-1), x.max(-1))
    assert_close(dl.var(x, axis=0, ddof=1), dl.var(x, 0))
    assert_close(dl.std(x), x.std(ddof=1))
    assert_close(dl.mean(x, [0, 1]), x.mean())


def test_nan_is_the_largest_and_the_smallest(isa, dtype):
    for n in (3, 40, 5000):
        x = np.zeros((2, n), dtype)
        x[0, n // 2] = np.nan
        x[1, n - 1] = np.inf
        for y in (x, np.asfortranarray(x), x.T.copy().T):
            assert np.isnan(dl.max(y, 1).values[0]) and dl.max(y, 1).values[1] == np.inf
            assert np.isnan(dl.min(y, 1).values[0]) and dl.min(y, 1).values[1] == 0
            assert dl.argmax(y, 1).tolist() == [n // 2, n - 1]
            assert dl.argmin(y, 1).tolist() == [n // 2, 0]
        down = np.ascontiguousarray(x.T)
        assert dl.argmax(down, 0).tolist() == [n // 2, n - 1]
        assert dl.argmin(down, 0).tolist() == [n // 2, 0]
        assert np.isnan(dl.amax(down, 0)[0]) and np.isnan(dl.amin(down, 0)[0])


def test_the_first_of_equals(isa, dtype):
    x = np.tile(np.array([1, 3, 3, 0, 0], dtype), (30, 1))
    assert (dl.argmax(x, 1) == 1).all() and (dl.argmin(x, 1) == 3).all()
    assert (dl.argmax(x.T.copy(), 0) == 1).all() and (
        dl.argmin(x.T.copy(), 0) == 3
    ).all()
    assert dl.argmax(np.full((4, 5), -np.inf, dtype), 1).tolist() == [0] * 4


def test_nothing(dtype):
    x = np.zeros((2, 0, 3), dtype)
    assert np.array_equal(dl.sum(x, 1), np.zeros((2, 3), dtype))
    assert np.array_equal(dl.prod(x, 1), np.ones((2, 3), dtype))
    assert np.isnan(dl.mean(x, 1)).all() and np.isnan(dl.var(x)).all()
    assert dl.sum(x, 0).shape == (0, 3)
    assert dl.amax(x, 0).shape == (0, 3)
    assert dl.argmax(x, 0).shape == (0, 3)
    assert dl.sum(np.array(2.0, dtype)) == 2
    assert dl.sum(np.ones(3, dtype), ()).shape == (3,)


DIFFERENTIABLE = {
    **{f.__name__: f for f in (dl.sum, dl.mean, dl.prod, dl.amax)},
    "max": lambda x, dim, **kept: dl.max(x, axis=dim, **kept),
    **{f.__name__: f for f in (dl.amin, dl.var, dl.std, dl.logsumexp)},
    **{f"norm {p}": partial(dl.norm, p=p) for p in (1, 2, 3, np.inf)},
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients(isa, rng, name):
    function = DIFFERENTIABLE[name]
    x = rng.standard_normal((3, 4, 2)) + 0.1
    gradcheck(lambda t: function(t, dim=None), x)
    gradcheck(lambda t: function(t, dim=1), x)
    gradcheck(lambda t: function(t, dim=(0, 2), keepdim=True), x)
    gradcheck(lambda t: function(t, dim=[-1]), x)


def test_gradient_of_ties():
    x = dl.Tensor(np.array([[2.0, 5.0, 5.0], [1.0, 1.0, 0.0]]), requires_grad=True)
    dl.amax(x, 1).backward(np.ones(2))
    assert np.array_equal(x.grad.data, [[0, 0.5, 0.5], [0.5, 0.5, 0]])
    x.grad = None
    dl.max(x, 1).values.backward(np.ones(2))  # as in PyTorch, where the index tells
    assert np.array_equal(x.grad.data, [[0, 1, 0], [1, 0, 0]])
    x.grad = None
    dl.max(x).backward()
    assert np.array_equal(x.grad.data, [[0, 0.5, 0.5], [0, 0, 0]])


def test_gradient_of_a_product_with_zeros(torch):
    rows = np.array([[2.0, 3.0, 4.0], [0.0, 3.0, 4.0], [0.0, 0.0, 4.0]])
    x = dl.Tensor(rows, requires_grad=True)
    dl.prod(x, 1).backward(np.array([1.0, 2.0, 3.0]))
    t = torch.tensor(rows, requires_grad=True)
    torch.prod(t, 1).backward(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))
    assert np.allclose(x.grad.data, t.grad)


@pytest.mark.parametrize("dim", [None, 1])
def test_std_of_equal_numbers_has_gradient_zero(dim):
    rows = [[2.0, 2.0, 2.0], [1.0, 2.0, 4.0]]
    x = dl.Tensor(rows[:1] if dim is None else rows, requires_grad=True)
    (plain,) = dl.grad(dl.std(x, dim).sum(), x)
    (again,) = dl.grad(dl.std(x, dim).sum(), x, create_graph=True)
    assert (plain[0] == 0).all() and dl.isfinite(plain).all()
    assert_close(again.data, plain.data)
    assert dl.isfinite(dl.grad(again.sum(), x)[0]).all()


def test_norm_of_zeros_has_gradient_zero():
    x = dl.Tensor(np.zeros(3), requires_grad=True)
    dl.norm(x).backward()
    assert np.array_equal(x.grad.data, [0, 0, 0])
    assert dl.norm(np.array([-3.0, 2.0]), np.inf) == 3
    assert dl.norm(np.array([-3.0, 2.0]), -np.inf) == 2


def test_logsumexp_of_infinities(dtype):
    x = np.array([[-np.inf, -np.inf], [0, np.inf], [1000, 1000]], dtype)
    y = dl.logsumexp(x, 1)
    assert y[0] == -np.inf and y[1] == np.inf
    assert_close(y[2:], np.array([1000 + np.log(2)]))


def test_gradient_of_logsumexp_with_nan():
    x = dl.Tensor([[0.0, 1.0], [np.nan, 2.0]], requires_grad=True)
    dl.logsumexp(x, 0).sum().backward()
    assert np.isnan(x.grad.data[:, 0]).all()
    np.testing.assert_allclose(x.grad.data[:, 1], [0.2689414, 0.7310586], 1e-6)


def test_integers_and_bools_are_counted():
    hits = dl.Tensor(np.array([True, False, True]))
    assert dl.sum(hits).item() == 2
    assert dl.max(np.array([3, 9, 4])) == 9
    assert dl.argmin(np.array([3, 9, 4])) == 0
    assert dl.any(hits) and not dl.all(hits)
    assert dl.all(np.ones((2, 3), bool), 1).tolist() == [True, True]


def test_memory_layouts(dtype, rng):
    x = rng.standard_normal((6, 35)).astype(dtype)
    for view in (
        np.repeat(x, 2, 1)[:, ::2],
        np.asfortranarray(x),
        x.astype(x.dtype.newbyteorder()),
    ):
        assert np.array_equal(dl.sum(view, 1), dl.sum(x, 1))
    y = np.empty(6, dtype)
    assert dl.sum(x, 1, out=y) is y
    square = x[:, :6].copy()
    want = dl.sum(square, 0)
    assert np.array_equal(dl.sum(square, 0, out=square[2]), want)  # out within x


def test_the_same_bits_for_any_number_of_threads(threads, rng):
    results = []
    arrays = [rng.standard_normal(s).astype("f") for s in LARGE]
    for n in (1, 2, 3):
        threads(n)
        results.append(
            [dl.sum(x, d) for x in arrays for d in every_dims(x.ndim)]
            + [dl.argmax(x, -1) for x in arrays]
        )
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            assert np.array_equal(one, two)


X = np.zeros((2, 3), "f")
NONE = np.zeros((2, 0), "f")


@pytest.mark.parametrize(
    "call, exception, match",
    [
        (
            lambda: dl.sum(X, 2),
            IndexError,
            r"sum: dim must be from -2 to 1 .*\(2, 3\), got 2",
        ),
        (lambda: dl.mean(X, (0, -3)), IndexError, "mean: dim must be from -2 to 1"),
        (lambda: dl.sum(X, (1, -1)), ValueError, "sum: dim must name each axis once"),
        (
            lambda: dl.sum(X, 1.5),
            TypeError,
            "sum: dim must be a whole number, got float",
        ),
        (lambda: dl.sum(X, "a"), TypeError, "sum: dim must be a whole number, got str"),
        (lambda: dl.max(NONE, 1), ValueError, r"max: x must have elements.*\(2, 0\)"),
        (lambda: dl.amin(NONE), ValueError, "min: x must have elements"),
        (lambda: dl.argmax(NONE, 1), ValueError, "argmax: x must have elements"),
        (lambda: dl.argmax(X, (0, 1)), TypeError, "argmax: dim must be a whole number"),
        (lambda: dl.sum([1.0]), TypeError, "sum: x must be a NumPy array, got list"),
        (
            lambda: dl.mean(np.arange(3)),
            TypeError,
            "mean: x must be float32 or float64",
        ),
        (lambda: dl.sum(X, 1, out=np.zeros(3, "f")), ValueError, "sum: out must have"),
        (lambda: dl.norm(X, "nuc"), ValueError, "norm: p must be a number"),
    ],
)
def test_bad_calls(call, exception, match):
    with pytest.raises(exception, match=match):
        call()
