import math

import numpy as np
import pytest
import reference

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

ACTIVATIONS = [
    "none",
    "relu",
    "relu6",
    "leaky_relu",
    "gelu",
    "gelu_tanh",
    "silu",
    "sigmoid",
    "tanh",
]
EDGES = [1, 2, 5, 6, 7, 8, 9, 13, 14, 15, 16, 17, 29, 31, 32, 33, 47, 65, 100, 129]
DEPTHS = [0, 1, 2, 7, 16, 33, 64, 383, 385, 800]


def matrix(rng, m, n, dtype, layout="N"):
    """T: a transposed view, S: strided rows, X: contiguous in no direction."""
    if layout == "T":
        return rng.standard_normal((n, m)).astype(dtype).T
    if layout == "S":
        return rng.standard_normal((m, n + 3)).astype(dtype)[:, :n]
    if layout == "X":
        return rng.standard_normal((2 * m, 2 * n)).astype(dtype)[::2, ::2]
    return rng.standard_normal((m, n)).astype(dtype)


def check(a, b, got):
    a64, b64 = a.astype("d"), b.astype("d")
    scale = np.matmul(abs(a64), abs(b64))
    k = a.shape[-1]
    assert_close(got, np.matmul(a64, b64), ulp=2 + math.sqrt(k), scale=scale)


@pytest.mark.parametrize("layouts", ["NN", "NT", "TN", "TT", "SS", "XX"])
def test_matmul_edges(isa, dtype, rng, layouts):
    for m in EDGES:
        for n in rng.choice(EDGES, 3, replace=False):
            k = rng.choice(DEPTHS)
            a, b = (
                matrix(rng, m, k, dtype, layouts[0]),
                matrix(rng, k, n, dtype, layouts[1]),
            )
            check(a, b, dl.matmul(a, b))


@pytest.mark.parametrize("layouts", ["NN", "NT", "TN", "TT"])
@pytest.mark.parametrize("vectors", [1, 2, 3, 4, 5, 6, 7, 8, 9])
def test_matmul_few_rows_or_columns(isa, dtype, rng, vectors, layouts):
    wide = 40000 // vectors + 9  # too wide for one piece of sums
    for m, n, k in [
        (vectors, 1030, 140),
        (300, vectors, 133),
        (vectors, 7, 1000),
        (vectors, wide, 70),
        (wide, vectors, 67),
    ]:
        a, b = (
            matrix(rng, m, k, dtype, layouts[0]),
            matrix(rng, k, n, dtype, layouts[1]),
        )
        check(a, b, dl.matmul(a, b))


@pytest.mark.parametrize(
    ("m", "n", "k"), [(300, 4200, 40), (1200, 140, 600), (500, 400, 900)]
)
def test_matmul_of_several_blocks(isa, rng, m, n, k):
    for layouts in "NN", "TT":
        a, b = matrix(rng, m, k, "f", layouts[0]), matrix(rng, k, n, "f", layouts[1])
        check(a, b, dl.matmul(a, b))


SHAPES = [
    ((4,), (4,)),
    ((4,), (4, 5)),
    ((3, 4), (4,)),
    ((2, 3, 4), (4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 3, 4), (4,)),
    ((4,), (2, 4, 3)),
    ((3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (5, 4, 2)),
    ((5, 1, 4), (4, 3)),
    ((2, 0, 4), (4, 3)),
    ((0, 2, 4), (4, 3)),
    ((3, 0), (0, 2)),
]


@pytest.mark.parametrize(("a_shape", "b_shape"), SHAPES)
def test_matmul_broadcasts(dtype, rng, a_shape, b_shape):
    a, b = (
        rng.standard_normal(a_shape).astype(dtype),
        rng.standard_normal(b_shape).astype(dtype),
    )
    got = dl.matmul(a, b)
    want = np.matmul(a, b)
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("a_shape", "b_shape"), SHAPES)
def test_matmul_gradient(rng, a_shape, b_shape):
    gradcheck(dl.matmul, rng.standard_normal(a_shape), rng.standard_normal(b_shape))


def test_matmul_of_batch_views(rng):
    x = rng.standard_normal((6, 5, 4, 3)).astype("f")
    for a in (
        x.swapaxes(0, 1),
        x[::2],
        x[:, ::-1],
        np.broadcast_to(x[0], x.shape),
        x[:, :, :1],
    ):
        b = rng.standard_normal((3, 7)).astype("f")
        check(a, b, dl.matmul(a, b))
        b = np.ascontiguousarray(a.swapaxes(-1, -2))
        check(a, b, dl.matmul(a, b))


def test_matmul_into_out(rng):
    a = rng.standard_normal((20, 20)).astype("f")
    want = dl.matmul(a, a)
    out = np.full((20, 20), np.nan, "f")
    assert dl.matmul(a, a, out=out) is out
    np.testing.assert_array_equal(out, want)
    wide = np.zeros((20, 40), "f")
    dl.matmul(a, a, out=wide[:, ::2])
    np.testing.assert_array_equal(wide[:, ::2], want)
    assert not wide[:, 1::2].any()
    itself = a.copy()
    dl.matmul(itself, itself.T, out=itself)
    np.testing.assert_array_equal(itself, dl.matmul(a, a.T))


def test_inputs_of_any_kind(rng):
    a = rng.standard_normal((9, 9))
    want = a @ a
    fixed = a.copy()
    fixed.flags.writeable = False
    odd = np.zeros(9 * 9 * 8 + 1, "u1")[1:].view("f8").reshape(9, 9)
    odd[:] = a
    for x in fixed, odd, a.astype(">f8"), np.asfortranarray(a):
        before = x.copy()
        np.testing.assert_allclose(dl.matmul(x, x), want, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(x, before)


def test_special_values(isa, dtype):
    a = np.ones((20, 20), dtype)
    a[3, 4], a[7, 7] = np.nan, np.inf
    b = np.ones((20, 40), dtype)
    got = dl.matmul(a, b)
    assert np.isnan(got[3]).all()
    assert np.isinf(got[7]).all()
    np.testing.assert_array_equal(np.delete(got, [3, 7], 0), 20)
    b[7] = 0
    assert np.isnan(dl.matmul(a, b)[7]).all()


@pytest.mark.parametrize(
    ("m", "n", "k"),
    [
        (300, 310, 500),
        (4, 3000, 300),
        (3000, 3, 300),
        (1, 2000, 900),
        (8, 1100, 900),
    ],
)
@pytest.mark.parametrize("layouts", ["NN", "NT", "TN"])
def test_same_bits_for_any_number_of_threads(threads, rng, m, n, k, layouts):
    a, b = matrix(rng, m, k, "f", layouts[0]), matrix(rng, k, n, "f", layouts[1])
    results = []
    for count in 1, 2, 3:
        threads(count)
        results.append(dl.matmul(a, b))
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])


def test_small_matrices_of_a_batch_run_apart(threads, rng):
    a, b = rng.standard_normal((300, 17, 16)), rng.standard_normal((300, 16, 18))
    threads(1)
    one = dl.matmul(a, b)
    threads(3)
    np.testing.assert_array_equal(dl.matmul(a, b), one)
    check(a, b, one)


@pytest.mark.parametrize("shape", [(), (5,), (3, 1), (3, 5)])
@pytest.mark.parametrize(("alpha", "beta"), [(1, 1), (2, 0.5), (0, 2), (0.5, 0)])
def test_addmm(isa, dtype, rng, shape, alpha, beta):
    c = rng.standard_normal(shape).astype(dtype)
    a, b = matrix(rng, 3, 450, dtype), matrix(rng, 450, 5, dtype, "T")
    got = dl.addmm(c, a, b, alpha=alpha, beta=beta)
    want = beta * c.astype("d") + alpha * (a.astype("d") @ b.astype("d"))
    assert_close(got, want, ulp=30, scale=abs(a.astype("d")) @ abs(b.astype("d")) + 1)


def test_addmm_special_cases(rng):
    a, b = rng.standard_normal((9, 4)), rng.standard_normal((4, 20))
    nan = np.full((9, 20), np.nan)
    np.testing.assert_array_equal(dl.addmm(nan, a, b, beta=0), dl.matmul(a, b))
    np.testing.assert_array_equal(dl.addmm(np.ones(20), a * np.nan, b, alpha=0), 1)
    c = np.ones((9, 20))
    assert dl.addmm(c, a, b, out=c) is c
    np.testing.assert_allclose(c, 1 + a @ b)
    x = rng.standard_normal((2, 9, 20))
    got = dl.baddbmm(x, np.stack([a, a]), np.stack([b, b]), beta=2)
    np.testing.assert_allclose(got, 2 * x + a @ b)


def test_addmm_gradient(rng):
    a, b = rng.standard_normal((3, 4)), rng.standard_normal((4, 5))
    gradcheck(
        lambda *x: dl.addmm(*x, alpha=2, beta=0.5), rng.standard_normal((3, 5)), a, b
    )
    gradcheck(lambda *x: dl.addmm(*x), rng.standard_normal(5), a, b)
    gradcheck(
        lambda *x: dl.baddbmm(*x),
        rng.standard_normal((1, 3, 5)),
        np.stack([a, a]),
        np.stack([b, b]),
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_linear(isa, dtype, rng, activation):
    for rows, outs, ins in [
        (1, 40, 50),
        (7, 3, 5),
        (40, 33, 500),
        (3, 700, 90),
        (0, 3, 4),
    ]:
        x, w = matrix(rng, rows, ins, dtype), matrix(rng, outs, ins, dtype) / ins**0.5
        w = w.astype(dtype)
        b, r = rng.standard_normal(outs).astype(dtype), matrix(rng, rows, outs, dtype)
        got = dl.linear(x, w, b, activation, r, negative_slope=0.2)
        want = reference.linear(x, w, b, activation, r, slope=0.2)
        assert_close(got, want, ulp=40, scale=np.ones_like(want))
        assert_close(
            dl.linear(x, w), reference.linear(x, w), ulp=40, scale=np.ones_like(want)
        )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_linear_gradient(rng, activation):
    x, w, b = (rng.standard_normal(s) for s in ((2, 3, 4), (5, 4), (5,)))
    r = rng.standard_normal((2, 3, 5))
    gradcheck(lambda *t: dl.linear(*t[:3], activation, t[3]), x, w, b, r)
    gradcheck(lambda x, w: dl.linear(x, w, None, activation), x[0, 0], w)


def test_linear_bias_gradient_of_many_rows(isa, threads, rng):
    x = rng.standard_normal((1000, 2)).astype("f")
    w = rng.standard_normal((1100, 2)).astype("f")
    dy = rng.standard_normal((1000, 1100)).astype("f")
    results = []
    for count in 1, 3:
        threads(count)
        b = dl.Tensor(np.zeros(1100, "f"), requires_grad=True)
        dl.linear(x, w, b, "relu").backward(dy)
        results.append(b.grad.data)
    np.testing.assert_array_equal(results[0], results[1])
    passed = dy * (x @ w.T > 0)
    assert_close(results[0], passed.sum(0, dtype="d"), ulp=40, scale=abs(passed).sum(0))


@pytest.mark.parametrize("activation", ["none", "relu", "gelu", "silu"])
def test_linear_like_torch(torch, rng, activation):
    x, w, b, dy = (
        rng.standard_normal(s).astype("f") for s in ((6, 30), (20, 30), (20,), (6, 20))
    )
    theirs = [torch.from_numpy(v.copy()).requires_grad_() for v in (x, w, b)]
    f = getattr(torch.nn.functional, activation, lambda v: v)
    want = f(torch.nn.functional.linear(*theirs))
    want.backward(torch.from_numpy(dy))
    ours = [dl.Tensor(v, requires_grad=True) for v in (x, w, b)]
    got = dl.linear(*ours, activation=activation)
    got.backward(dy)
    np.testing.assert_allclose(got.data, want.detach().numpy(), rtol=1e-4, atol=1e-5)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(
            mine.grad.data, other.grad.numpy(), rtol=1e-4, atol=1e-4
        )


Z = np.zeros
HUGE = np.lib.stride_tricks.as_strided(Z(1, "f"), (2**40, 1), (0, 4))
BAD_CALLS = [
    (lambda: dl.matmul(Z((2, 3)), Z((4, 5))), ValueError, r"last axis.*\(3 != 4\)"),
    (lambda: dl.matmul(Z((2, 3)), Z(4)), ValueError, "only"),
    (lambda: dl.matmul(Z(()), Z((4, 5))), ValueError, "at least 1 axis"),
    (lambda: dl.matmul(Z((2, 2, 3)), Z((3, 3, 4))), ValueError, "broadcast"),
    (lambda: dl.matmul(Z((2, 3)), Z((3, 4), "f")), TypeError, "one dtype"),
    (lambda: dl.matmul(Z((2, 3), int), Z((3, 4))), TypeError, "float32 or float64"),
    (lambda: dl.matmul([1.0], Z(1)), TypeError, "NumPy array"),
    (lambda: dl.matmul(Z((2, 3)), Z((3, 4)), out=Z((2, 5))), ValueError, "out must"),
    (lambda: dl.matmul(HUGE, HUGE.T), ValueError, "more than an array can hold"),
    (lambda: dl.mm(Z(3), Z((3, 4))), ValueError, "mm: input must have 2 axes"),
    (lambda: dl.bmm(Z((2, 3, 4)), Z((4, 5))), ValueError, "mat2 must have 3 axes"),
    (lambda: dl.bmm(Z((2, 3, 4)), Z((1, 4, 5))), ValueError, "one batch size"),
    (lambda: dl.addmm(Z(3), Z((2, 3)), Z((3, 4))), ValueError, "input must broadcast"),
    (lambda: dl.addmm(Z(4), Z((2, 3)), Z((3, 4)), beta="x"), TypeError, "beta"),
    (lambda: dl.addmm(Z(4), Z((2, 3)), Z(3)), ValueError, "2 axes"),
    (
        lambda: dl.linear(Z((2, 3)), Z((4, 5))),
        ValueError,
        r"x must have shape \(\.\.\., in\)",
    ),
    (lambda: dl.linear(Z((2, 3)), Z((4, 1, 3))), ValueError, "weight must have shape"),
    (lambda: dl.linear(Z((2, 3)), Z((4, 3)), Z(3)), ValueError, "bias must have shape"),
    (
        lambda: dl.linear(Z((2, 3)), Z((4, 3)), None, "step"),
        ValueError,
        "one of none, relu",
    ),
    (lambda: dl.linear(Z((2, 3)), Z((4, 3)), None, 3), TypeError, "a name or None"),
    (
        lambda: dl.linear(Z((2, 3)), Z((4, 3)), residual=Z(4)),
        ValueError,
        "residual must",
    ),
]


@pytest.mark.parametrize(("call", "error", "match"), BAD_CALLS)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()
