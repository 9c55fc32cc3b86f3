import numpy as np
import pytest
import reference

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

V = 16  # lanes of the widest vector in float32
OPS = [dl.softmax, dl.log_softmax]
SIZES = [1, 2, V - 1, V, V + 1, 3 * V + 5, 128, 1000]
SHAPES = [
    ((4, 7), 1),
    ((4, 7), 0),
    ((3, 5, 1), 1),
    ((2, 5, V - 1), 1),
    ((2, 5, V), -2),
    ((2, 5, V + 1), 1),
    ((5, 3 * V + 5), 0),
    ((2, 3, 4, 5), 2),
]


def peaky(rng, shape, dtype):
    return (rng.standard_normal(shape) * 10).astype(dtype)


def check(op, x, dim=-1):
    """Against 80-bit numbers; x - max loses up to eps of some 100."""
    want = getattr(reference, op.__name__)(x.astype(np.longdouble), dim)
    got = op(x, dim)
    assert got.dtype == x.dtype
    if op is dl.softmax:
        assert_close(got, want, ulp=80, scale=np.maximum(want, 1e-30))
    else:
        assert_close(got, want, ulp=8, scale=1 + np.abs(want))


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("rows", [1, 7])
def test_rows(isa, dtype, rng, op, rows, n):
    x = peaky(rng, (rows, n), dtype)
    kept = x.copy()
    check(op, x)
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("shape, dim", SHAPES)
def test_any_axis(isa, dtype, rng, op, shape, dim):
    x = peaky(rng, shape, dtype)
    check(op, x, dim)
    np.testing.assert_array_equal(op(x, axis=dim), op(x, dim))


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("n", [4095, 4096, 4097, 32000])
def test_long_rows_go_in_blocks(isa, dtype, rng, op, n):
    x = peaky(rng, (2, n), dtype)
    x[1] += np.linspace(-300, 300, n)  # the maximum rises from block to block
    check(op, x)


@pytest.mark.parametrize("op", OPS)
def test_past_the_caches(isa, op, rng):
    for shape in ((4200, 1001), (33, 130_000)):
        x = peaky(rng, shape, "f4")
        check(op, x)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("shape, dim", [((3, 21), -1), ((2, 4, 5), 1)])
def test_gradient(isa, rng, op, shape, dim):
    gradcheck(lambda x: op(x, dim), rng.standard_normal(shape))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("shape, dim", [((64, 1000), -1), ((3, 33_000), 1), *SHAPES])
def test_against_torch(torch, rng, dtype, name, shape, dim):
    x, dy = peaky(rng, shape, dtype), rng.standard_normal(shape).astype(dtype)
    mine = dl.Tensor(x, requires_grad=True)
    theirs = torch.tensor(x, requires_grad=True)
    y = getattr(dl, name)(mine, dim)
    want = getattr(torch, name)(theirs, dim)
    y.backward(dy)
    want.backward(torch.tensor(dy))
    wide = x.astype(np.longdouble)
    compare(y.data, want.detach().numpy(), getattr(reference, name)(wide, dim))
    exact = getattr(reference, f"{name}_gradient")(wide, dy.astype(np.longdouble), dim)
    compare(mine.grad.data, theirs.grad.numpy(), exact)


def compare(mine, theirs, exact):
    """At most twice the peer's largest error, and two units of rounding."""
    slack = 2 * np.finfo(mine.dtype).eps * max(1, np.abs(exact).max())
    assert np.abs(mine - exact).max() <= 2 * np.abs(theirs - exact).max() + slack


def test_the_notes_figure(isa, dtype):
    # Printed as [0.8, 0.04, 0.00, 0.11]; the first entry is 0.842.
    y = dl.softmax(np.array([5, 2, -1, 3], dtype))
    np.testing.assert_allclose(y, [0.842, 0.042, 0.002, 0.114], atol=5e-4)


@pytest.mark.parametrize("columns", [False, True])
def test_special_values(isa, dtype, columns):
    nan, inf = np.nan, np.inf
    x = np.array(
        [
            [-inf, -inf, -inf],
            [-inf, 1.0, -inf],
            [nan, 1.0, 2.0],
            [inf, 1.0, 2.0],
            [nan, nan, nan],
            [nan, -inf, -inf],
            [1e4, -1e4, 0.0],
            [3e38, -3e38, 3e38],
        ],
        dtype,
    )
    y = np.array(
        [
            [0, 0, 0],
            [0, 1, 0],
            [nan] * 3,
            [nan] * 3,
            [nan] * 3,
            [nan] * 3,
            [1, 0, 0],
            [0.5, 0, 0.5],
        ],
        dtype,
    )
    with np.errstate(divide="ignore", over="ignore"):
        log_y = np.log(y)
        log_y[7] = [-np.log(2), x[7, 1] - x[7, 0], -np.log(2)]
    log_y[6] = [0, -2e4, -1e4]
    if columns:
        x, y, log_y = (np.ascontiguousarray(a.T) for a in (x, y, log_y))
    dim = 0 if columns else 1
    assert_close(dl.softmax(x, dim), y)
    assert_close(dl.log_softmax(x, dim), log_y, ulp=2)


def test_masked_blocks(isa, dtype):
    x = np.full((1, 20_000), -np.inf, dtype)
    x[0, 15_000] = -500.0
    want = np.zeros_like(x)
    want[0, 15_000] = 1
    np.testing.assert_array_equal(dl.softmax(x), want)
    x[0, 3] = np.nan
    assert np.isnan(dl.softmax(x)).all()


def test_a_masked_row_passes_no_gradient(isa):
    x = dl.Tensor(np.full((2, 3), -np.inf), requires_grad=True)
    dl.softmax(x).backward(np.ones((2, 3)))
    np.testing.assert_array_equal(x.grad.data, 0)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("shape, dim", [((300, 100), 1), ((40, 50, 60), 1)])
def test_same_bits_for_any_threads(threads, rng, op, shape, dim):
    x, dy = peaky(rng, shape, "f4"), rng.standard_normal(shape).astype("f4")
    results = []
    for count in (1, 2, 3):
        threads(count)
        t = dl.Tensor(x, requires_grad=True)
        y = op(t, dim)
        y.backward(dy)
        results.append((y.data, t.grad.data))
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


@pytest.mark.parametrize("op", OPS)
def test_layouts(op, rng):
    x = rng.standard_normal((6, 8))
    want = op(x)
    layouts = [np.asfortranarray(x), x.astype(">f8"), np.repeat(x, 2, 1)[:, ::2], x[:]]
    layouts[-1].flags.writeable = False
    for same in layouts:
        np.testing.assert_array_equal(op(same), want)
    out = np.empty_like(x)
    assert op(x, out=out) is out
    np.testing.assert_array_equal(out, want)
    twice = op(want)
    assert op(out, out=out) is out
    np.testing.assert_array_equal(out, twice)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3)])
def test_empty(op, shape):
    for dim in range(len(shape)):
        assert op(np.empty(shape, "f4"), dim).shape == shape


x = np.ones((3, 4))
BAD = [
    (lambda f: f(x, 2), IndexError, r"dim must be from -2 to 1 for x.shape = \(3, 4\)"),
    (lambda f: f(x, axis=-3), IndexError, "dim must be from -2 to 1"),
    (lambda f: f(np.float64(1)), ValueError, "x must have at least 1 axis"),
    (lambda f: f(np.ones((2, 2)), axis=0, dim=1), ValueError, "not both be given"),
    (lambda f: f(np.array(1.0)), ValueError, "x must have at least 1 axis"),
    (lambda f: f(x.astype(int)), TypeError, "x must be float32 or float64, got int64"),
    (lambda f: f(x, out=np.ones(3)), ValueError, "out must have the result's shape"),
    (lambda f: f([[1.0]]), TypeError, "x must be a NumPy array, got list"),
    (lambda f: f(x, 0.5), TypeError, None),
]


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("call, error, match", BAD)
def test_bad_calls(op, call, error, match):
    with pytest.raises(error, match=match):
        call(op)
