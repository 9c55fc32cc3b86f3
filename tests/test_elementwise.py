import numpy as np
import pytest
import reference

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

V = 16  # lanes of the widest vector in float32
BINARY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
}
UNARY = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "erf": reference.erf,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "reciprocal": lambda x: 1 / x,
    "square": np.square,
    "abs": np.abs,
    "neg": np.negative,
    "sign": np.sign,
}
SHAPES = [  # fast paths, then mixtures of repeated and whole axes
    ((), ()),
    ((0,), (0,)),
    ((3, 0), (1, 0)),
    ((1,), (1, 1)),
    ((3 * V + 5,), (3 * V + 5,)),
    ((7,), ()),
    ((), (7,)),
    ((40, 10), (10,)),
    ((10,), (40, 10)),
    ((300, 1), (300, 3)),
    ((5, 700), (5, 1)),
    ((5, 700), (700,)),
    ((4, 1), (1, 6)),
    ((2, 3, 4, 5), (3, 1, 1)),
    ((2, 1, 4, 1), (3, 1, 5)),
    ((6, 1, 5, 1, 3), (1, 4, 1, 2, 1)),
    ((2, 70000), (2, 1)),  # a row of several chunks
    ((3, 70000), (70000,)),
    ((70001, 2), (2,)),
]


def positive(shape, dtype, rng):
    return rng.uniform(0.1, 3, shape).astype(dtype)


# -- two inputs --


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("name", BINARY)
def test_broadcast(isa, dtype, rng, name, shapes):
    a, b = (rng.standard_normal(s).astype(dtype) for s in shapes)
    y = getattr(dl, name)(a, b)
    assert y.dtype == dtype
    assert np.array_equal(y, BINARY[name](a, b))


@pytest.mark.parametrize("name", [*BINARY, "pow"])
def test_numbers_take_the_dtype_of_the_array(isa, dtype, rng, name):
    a = positive((3, 5), dtype, rng)
    function = getattr(dl, name)
    exact = BINARY.get(name, np.power)
    for number in (2, 0.3, True, np.float32(1.5), np.int64(3), np.float64(0.1)):
        q = np.dtype(dtype).type(number)
        assert_close(function(a, number), exact(a.astype("d"), float(q)), ulp=2)
        assert_close(function(number, a), exact(float(q), a.astype("d")), ulp=2)


@pytest.mark.parametrize("name", BINARY)
def test_nan_and_infinities(isa, dtype, name):
    special = np.array([np.nan, np.inf, -np.inf, 0.0, 1.0], dtype)
    a, b = (np.repeat(v.ravel(), V) for v in np.meshgrid(special, special))
    with np.errstate(all="ignore"):
        want = BINARY[name](a, b)
    assert np.array_equal(getattr(dl, name)(a, b), want, equal_nan=True)


@pytest.mark.parametrize(
    "shapes", [((3, 4), (3, 4)), ((3, 4), (4,)), ((3, 1), (2, 1, 4))]
)
@pytest.mark.parametrize("name", [*BINARY, "pow"])
def test_binary_gradients(isa, rng, name, shapes):
    gradcheck(getattr(dl, name), *(positive(s, "d", rng) for s in shapes))


@pytest.mark.parametrize("name", [*BINARY, "pow"])
def test_gradients_beside_numbers(rng, name):
    function, x = getattr(dl, name), positive((7,), "d", rng)
    gradcheck(lambda t: function(t, 2), x)
    gradcheck(lambda t: function(t, 0.7), x)
    gradcheck(lambda t: function(1.3, t), x)


def test_maximum_shares_its_gradient_between_equals():
    a = dl.Tensor(np.array([1.0, 2.0, 3.0]), requires_grad=True)
    b = dl.Tensor(np.array([2.0, 2.0, 2.0]), requires_grad=True)
    dl.maximum(a, b).backward(np.ones(3))
    da, db = reference.maximum_gradient(a.data, b.data, np.ones(3))
    assert np.array_equal(a.grad.data, da)
    assert np.array_equal(b.grad.data, db)


@pytest.mark.parametrize(
    "base, exponent", [(0.0, 0.0), (0.0, 2.0), (0.0, 3.0), (-2.0, 3.0)]
)
def test_pow_gradient_at_zero_and_below(torch, base, exponent):
    a = dl.Tensor(np.array([base]), requires_grad=True)
    dl.pow(a, exponent).backward()
    p = torch.tensor([base], dtype=torch.float64, requires_grad=True)
    torch.pow(p, exponent).backward()
    assert a.grad.data[0] == p.grad[0]
    b = dl.Tensor(np.array([abs(exponent)]), requires_grad=True)
    dl.pow(np.array([abs(base)]), b).backward()
    q = torch.tensor([abs(exponent)], dtype=torch.float64, requires_grad=True)
    torch.pow(torch.tensor([abs(base)], dtype=torch.float64), q).backward()
    assert np.isclose(b.grad.data[0], q.grad[0])


# -- one input --


@pytest.mark.parametrize("n", [0, 1, V - 1, V, V + 1, 9 * V + 5])
@pytest.mark.parametrize("name", UNARY)
def test_unary(isa, dtype, rng, name, n):
    x = positive(n, dtype, rng)
    assert_close(getattr(dl, name)(x), UNARY[name](x.astype("d")), ulp=4)


@pytest.mark.parametrize("name", UNARY)
def test_unary_gradients(isa, rng, name):
    gradcheck(getattr(dl, name), positive((3, 7), "d", rng))


def test_sign_and_abs_at_zero(isa, dtype):
    x = np.array([-0.0, 0.0, np.nan, -2.0], dtype)
    assert np.array_equal(dl.sign(x), np.sign(x), equal_nan=True)
    assert np.array_equal(dl.abs(x), np.abs(x), equal_nan=True)
    t = dl.Tensor(x[:2].copy(), requires_grad=True)
    dl.abs(t).backward(np.ones(2, dtype))
    assert np.array_equal(t.grad.data, [0, 0])


@pytest.mark.parametrize("low, high", [(0, 1), (None, 0.5), (-0.5, None), (0.2, 0.2)])
def test_clip(isa, dtype, rng, low, high):
    x = rng.standard_normal(3 * V + 5).astype(dtype)
    x[3] = np.nan
    assert np.array_equal(dl.clip(x, low, high), np.clip(x, low, high), equal_nan=True)
    if low != high:
        gradcheck(lambda t: dl.clamp(t, low, high), rng.standard_normal(40))


def test_comparisons(rng):
    a, b = rng.integers(0, 3, (2, 20)).astype("f")
    for name, exact in {
        "eq": np.equal,
        "ne": np.not_equal,
        "lt": np.less,
        "le": np.less_equal,
        "gt": np.greater,
        "ge": np.greater_equal,
    }.items():
        y = getattr(dl, name)(a, b)
        assert y.dtype == bool and np.array_equal(y, exact(a, b))
        assert isinstance(getattr(dl, name)(dl.Tensor(a), b), dl.Tensor)


# -- arrays of any kind --


def kinds(x):
    """`x` strided, Fortran-ordered, byte-swapped, misaligned, read-only."""
    twice = np.repeat(x, 2, axis=-1)
    raw = np.zeros(x.nbytes + 1, np.uint8)
    shifted = raw[1:].view(x.dtype).reshape(x.shape)
    shifted[...] = x
    frozen = x.copy()
    frozen.setflags(write=False)
    swapped = x.astype(x.dtype.newbyteorder())
    return [
        twice[..., ::2],
        x[::-1][::-1],
        np.asfortranarray(x),
        swapped,
        shifted,
        frozen,
    ]


def test_any_memory_layout(dtype, rng):
    a, b = rng.standard_normal((2, 6, 35)).astype(dtype)
    for p in kinds(a):
        before = p.copy()
        assert np.array_equal(dl.add(p, b), a + b)
        assert np.array_equal(dl.sub(b, p), b - a)
        assert np.array_equal(dl.square(p), a * a)
        assert np.array_equal(p, before)


def test_out(dtype, rng):
    a, b = rng.standard_normal((2, 50)).astype(dtype)
    want = a - b
    for y in (np.empty_like(a), np.empty(100, dtype)[::2], a.copy(), b.copy()):
        assert dl.sub(a, b, out=y) is y
        assert np.array_equal(y, want)
    in_place = a.copy()
    assert np.array_equal(dl.sub(in_place, b, out=in_place), want)
    in_place = b.copy()
    assert np.array_equal(dl.sub(a, in_place, out=in_place), want)
    both = np.concatenate([a, a])
    assert np.array_equal(dl.sub(both[:50], b, out=both[7:57]), want)  # overlaps
    row = a.copy()  # out is the input that is repeated
    assert np.array_equal(dl.add(row, 1.0, out=row), a + 1)


def test_the_same_bits_for_any_number_of_threads(threads, rng):
    a, b = rng.standard_normal((2, 3, 50000)).astype("f")
    results = []
    for n in (1, 2, 3):
        threads(n)
        results.append([dl.exp(a), dl.mul(a, b), dl.add(a, b[0]), dl.pow(dl.abs(a), b)])
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            assert np.array_equal(one, two)


def test_large_results_past_the_caches(isa, dtype, rng):
    n = (5 << 20) + 37  # above the threshold, no multiple of a line
    x = np.tile(rng.standard_normal(1000).astype(dtype), n // 1000 + 1)[:n]
    assert np.array_equal(dl.neg(x), -x)
    assert np.array_equal(dl.add(x, 1.0), x + np.dtype(dtype).type(1))
    y = np.empty(n + 3, dtype)[3:]
    assert np.array_equal(dl.add(x, x, out=y), x + x)


F = np.zeros((2, 3), "f")


@pytest.mark.parametrize(
    "call, exception, match",
    [
        (
            lambda: dl.add(F, F.astype("d")),
            TypeError,
            "one dtype, got float32 and float64",
        ),
        (
            lambda: dl.add(F, np.zeros(4, "f")),
            ValueError,
            r"broadcast.*\(2, 3\) and \(4,\)",
        ),
        (
            lambda: dl.add(F, "a"),
            TypeError,
            "add: b must be an array or a number, got str",
        ),
        (lambda: dl.add(F, None), TypeError, "add: b must be an array or a number"),
        (
            lambda: dl.add([1.0], F),
            TypeError,
            "add: a must be an array or a number, got list",
        ),
        (lambda: dl.add(1.0, 2.0), TypeError, "add: a or b must be an array"),
        (lambda: dl.add(F, 10**400), ValueError, "add: b must fit into a float64"),
        (
            lambda: dl.add(F, np.zeros((2, 3), int)),
            TypeError,
            "b must be float32 or float64",
        ),
        (lambda: dl.mul(F, F, out=np.zeros(3, "f")), ValueError, "mul: out must have"),
        (lambda: dl.mul(F, F, out=np.zeros((2, 3))), TypeError, "mul: out must have"),
        (lambda: dl.exp([1.0]), TypeError, "exp: x must be a NumPy array, got list"),
        (lambda: dl.exp(F.astype(int)), TypeError, "exp: x must be float32 or float64"),
        (
            lambda: dl.exp(F, out=dl.Tensor(F)),
            TypeError,
            "exp: out must be a NumPy array",
        ),
        (lambda: dl.clip(F), ValueError, "clip: min or max must be given"),
        (lambda: dl.clip(F, 2, 1), ValueError, "clip: min must not be above max"),
    ],
)
def test_bad_calls(call, exception, match):
    with pytest.raises(exception, match=match):
        call()


def test_read_only_out_is_refused():
    y = np.zeros((2, 3), "f")
    y.setflags(write=False)
    with pytest.raises(ValueError, match="exp: out must be writable"):
        dl.exp(F, out=y)


def test_more_alternations_than_the_walk_holds():
    a = np.zeros((2, 1) * 10, "f")
    b = np.zeros((1, 2) * 10, "f")
    with pytest.raises(ValueError, match="add: axes that repeat"):
        dl.add(a, b)


def test_slope_of_erf_far_out(isa, dtype):
    x = dl.Tensor(np.array([9, 13.3, 14, 20, 27, 40, 1e30, np.inf], dtype), True)
    dl.erf(x).sum().backward()
    exact = 2 / np.sqrt(np.pi) * np.exp(-np.square(x.data, dtype=np.longdouble))
    np.testing.assert_allclose(x.grad.data, exact.astype(dtype), rtol=1e-5, atol=1e-44)
