import numpy as np
import pytest

import dlcore as dl
from dlcore.testing import gradcheck

V = 16  # lanes of the widest vector in float32
COMPARISONS = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}
TESTS = {"isnan": np.isnan, "isinf": np.isinf, "isfinite": np.isfinite}
SHAPES = [
    ((0,), (0,)),
    ((1,), (1,)),
    ((V - 1,), (V - 1,)),
    ((9 * V + 5,), (9 * V + 5,)),
    ((40, 37), (37,)),
    ((37,), (40, 37)),
    ((40, 37), (40, 1)),
    ((3, 1, 5, 1), (4, 1, 33)),
    ((2, 0, 3), (1, 3)),
    ((), (5,)),
    ((70000,), (70000,)),  # several chunks
]


def steps(rng, shape, dtype):
    """Few values, so that many are equal, and the special ones."""
    values = np.array([-1, -0.0, 0, 0.5, 1, np.inf, -np.inf, np.nan], dtype)
    return np.asarray(rng.choice(values, shape))


@pytest.mark.parametrize("name", COMPARISONS)
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_comparison(isa, dtype, rng, name, shapes):
    a, b = (steps(rng, shape, dtype) for shape in shapes)
    got = getattr(dl, name)(a, b)
    assert got.dtype == bool
    np.testing.assert_array_equal(got, COMPARISONS[name](a, b))
    for number in (0.5, 0, np.nan):
        got = getattr(dl, name)(a, number), getattr(dl, name)(number, b)
        want = COMPARISONS[name](a, number), COMPARISONS[name](number, b)
        np.testing.assert_array_equal(got[0], want[0])
        np.testing.assert_array_equal(got[1], want[1])


@pytest.mark.parametrize("name", TESTS)
@pytest.mark.parametrize("n", [0, 1, V - 1, V + 1, 9 * V + 5, 70000])
def test_tests(isa, dtype, rng, name, n):
    x = steps(rng, n, dtype)
    np.testing.assert_array_equal(getattr(dl, name)(x), TESTS[name](x))
    assert getattr(dl, name)(x).dtype == bool


@pytest.mark.parametrize("name", COMPARISONS)
def test_integers_bools_and_mixed_dtypes(name):
    compare, numpy = getattr(dl, name), COMPARISONS[name]
    x = np.array([1.0, 2.0, 3.0], "f")
    for other in (np.array([3, 2, 1]), x > 1, x.astype("d") + 0.1, x.astype(">f4")):
        np.testing.assert_array_equal(compare(x, other), numpy(x, other))
        np.testing.assert_array_equal(compare(other, other), numpy(other, other))


@pytest.mark.parametrize(
    "shapes",
    [
        ((5,), (5,), (5,)),
        ((40, 37), (40, 37), (40, 37)),
        ((40, 1), (37,), (40, 37)),
        ((37,), (40, 1), ()),
        ((2, 1, 5), (3, 1), (2, 3, 1)),
        ((0, 3), (3,), (1,)),
        ((70000,), (1,), (70000,)),
    ],
    ids=str,
)
def test_where(isa, dtype, rng, shapes):
    condition = rng.random(shapes[0]) < 0.5
    a, b = (steps(rng, shape, dtype) for shape in shapes[1:])
    np.testing.assert_array_equal(dl.where(condition, a, b), np.where(condition, a, b))
    numbers = dl.where(condition, a, 0.25), dl.where(condition, 3, b)
    np.testing.assert_array_equal(
        numbers[0], np.where(condition, a, a.dtype.type(0.25))
    )
    np.testing.assert_array_equal(numbers[1], np.where(condition, b.dtype.type(3), b))
    assert numbers[0].dtype == numbers[1].dtype == dtype


def test_where_of_integers_and_of_numbers():
    condition = np.array([True, False])
    assert dl.where(condition, np.array([1, 2]), 7).tolist() == [1, 7]
    assert dl.where(condition, 1.5, 2.5).tolist() == [1.5, 2.5]


def test_where_gradient(isa, rng):
    condition = rng.random((4, 1)) < 0.5
    gradcheck(lambda x, y: dl.where(condition, x, y), *rng.random((2, 4, 17)))
    gradcheck(lambda y: dl.where(condition, 2.0, y), rng.random(17))


def test_against_pytorch(torch, rng):
    a, b = steps(rng, (30, 17), "f"), steps(rng, 17, "f")
    for name in COMPARISONS:
        want = getattr(torch, name)(torch.tensor(a), torch.tensor(b)).numpy()
        np.testing.assert_array_equal(getattr(dl, name)(a, b), want)
    for name in TESTS:
        want = getattr(torch, name)(torch.tensor(a)).numpy()
        np.testing.assert_array_equal(getattr(dl, name)(a), want)


def test_tensors_have_no_gradient():
    x = dl.Tensor([1.0, 2.0], requires_grad=True)
    for y in (x == 1, x < x, dl.ge(1.5, x), dl.isnan(x), x.isfinite()):
        assert isinstance(y, dl.Tensor) and not y.requires_grad
        assert y.dtype == bool


F, C = np.zeros((2, 3), "f"), np.zeros((2, 3), bool)


@pytest.mark.parametrize(
    "call, exception, match",
    [
        (lambda: dl.eq(F, np.zeros(4, "f")), ValueError, "eq: a and b must broadcast"),
        (lambda: dl.gt(np.zeros(4, "f"), F), ValueError, r"shapes \(4,\) and \(2, 3\)"),
        (lambda: dl.lt(F, "1"), TypeError, "lt: x must be a NumPy array or a Tensor"),
        (lambda: dl.le(F, F + 1j), TypeError, "le: a and b must hold real numbers"),
        (lambda: dl.isnan(np.arange(3)), TypeError, "isnan: x must be float32 or"),
        (lambda: dl.where(F, F, F), TypeError, "where: condition must be bool, got fl"),
        (
            lambda: dl.where(C, F, F.astype("d")),
            TypeError,
            "where: x and y must have o",
        ),
        (
            lambda: dl.where(C, F, np.zeros(4, "f")),
            ValueError,
            r"condition, x and y must broadcast .*\(2, 3\), \(2, 3\) and \(4,\)",
        ),
    ],
)
def test_bad_calls(call, exception, match):
    with pytest.raises(exception, match=match):
        call()
