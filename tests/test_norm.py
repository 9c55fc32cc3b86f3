import numpy as np
import pytest
import reference
from norm_helpers import (
    EPS,
    assert_single_is_like_double,
    gradients,
    normal,
    spread,
    wide,
)

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

# Around the vector width and the block of sums, few rows and many
ROWS = [
    (1, 1),
    (3, 15),
    (4, 16),
    (33, 17),
    (70, 67),
    (200, 5),
    (2, 5000),
    (35, 4100),
    (2, 3, 40),
]


# -- layer norm and RMS norm --


@pytest.mark.parametrize("shape", ROWS)
@pytest.mark.parametrize("axes", [1, 2])
def test_layer_norm(isa, dtype, rng, shape, axes):
    x, weight, bias = normal(rng, shape, shape[-axes:], shape[-axes:], dtype=dtype)
    x += dtype == "float64" or 3
    y = dl.layer_norm(x, shape[-axes:], weight, bias, eps=EPS)
    want = reference.layer_norm(*wide(x, weight, bias), EPS)
    scale = spread(x, tuple(range(-axes, 0))) * np.abs(weight) + np.abs(bias)
    assert_close(y, want, scale=scale)
    plain = dl.layer_norm(x, shape[-axes:])
    ones, zeros = np.ones(shape[-axes:]), np.zeros(shape[-axes:])
    want = reference.layer_norm(*wide(x), ones, zeros, EPS)
    assert_close(plain, want, scale=spread(x, tuple(range(-axes, 0))))


@pytest.mark.parametrize("shape", ROWS)
def test_rms_norm(isa, dtype, rng, shape):
    x, weight = normal(rng, shape, shape[-1:], dtype=dtype)
    want = reference.rms_norm(*wide(x, weight), np.finfo(dtype).eps)
    assert_close(dl.rms_norm(x, shape[-1], weight), want)
    want = reference.rms_norm(*wide(x), np.ones(shape[-1]), 0.5)
    assert_close(dl.rms_norm(x, shape[-1], eps=0.5), want)


@pytest.mark.parametrize("shape", [*ROWS, (300, 20_000)])
def test_norms_of_a_sum(isa, dtype, rng, shape):
    """The same bits as the sum and its norm one after the other."""
    x, residual, weight, bias = normal(
        rng, shape, shape, shape[-1:], shape[-1:], dtype=dtype
    )
    total = dl.add(x, residual)
    y, added = dl.add_layer_norm(x, residual, shape[-1], weight, bias)
    np.testing.assert_array_equal(added, total)
    np.testing.assert_array_equal(y, dl.layer_norm(total, shape[-1], weight, bias))
    y, added = dl.add_rms_norm(x, residual, shape[-1], weight)
    np.testing.assert_array_equal(added, total)
    np.testing.assert_array_equal(y, dl.rms_norm(total, shape[-1], weight))


def test_gradients_of_norms_of_a_sum(isa, rng):
    shape = (5, 17)
    x, residual, weight, bias = normal(rng, shape, shape, (17,), (17,))

    def layer(x, residual, w, b):
        y, total = dl.add_layer_norm(x, residual, 17, w, b)
        return y * dl.tanh(total)

    def rms(x, residual, w):
        y, total = dl.add_rms_norm(x, residual, 17, w)
        return y * dl.tanh(total)

    gradcheck(layer, x, residual, weight, bias)
    gradcheck(rms, x, residual, weight)
    gradcheck(lambda x, z: dl.add_rms_norm(x, z, 17)[0], x, residual)


def test_norms_of_a_sum_refuse():
    x = np.ones((2, 3), "f4")
    for op, name in (
        (dl.add_layer_norm, "add_layer_norm"),
        (dl.add_rms_norm, "add_rms"),
    ):
        with pytest.raises(ValueError, match=f"^{name}.*: residual must have x.shape"):
            op(x, x[:1], 3)
        with pytest.raises(TypeError, match=f"^{name}.*: x and residual must have one"):
            op(x, x.astype("f8"), 3)
        with pytest.raises(TypeError, match=f"^{name}.*: residual must be an array"):
            op(x, None, 3)


@pytest.mark.parametrize("shape", [(3, 5), (6, 17), (2, 3, 4), (34, 3)])
def test_row_gradients(isa, rng, shape):
    x, weight, bias = normal(rng, shape, shape[-1:], shape[-1:])
    n = shape[-1]
    gradcheck(lambda x, w, b: dl.layer_norm(x, n, w, b), x, weight, bias)
    gradcheck(lambda x, w: dl.layer_norm(x, n, w), x, weight)
    gradcheck(lambda x, b: dl.layer_norm(x, n, None, b), x, bias)
    gradcheck(lambda x: dl.layer_norm(x, n), x)
    gradcheck(lambda x, w: dl.rms_norm(x, n, w), x, weight)
    gradcheck(lambda x: dl.rms_norm(x, n, eps=0.1), x)


@pytest.mark.parametrize("shape", [(7, 67), (150, 67), (40, 5000)])
def test_row_gradients_in_single(isa, rng, shape):
    x, weight, bias = normal(rng, shape, shape[-1:], shape[-1:])
    n = shape[-1]
    assert_single_is_like_double(
        lambda x, w, b: dl.layer_norm(x, n, w, b), x, weight, bias
    )
    assert_single_is_like_double(lambda x, w: dl.rms_norm(x, n, w), x, weight)


# -- local response norm --


@pytest.mark.parametrize("shape", [(2, 7, 5), (1, 3, 9, 9), (2, 20, 70), (1, 1, 16)])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 12])
@pytest.mark.parametrize("beta", [0.75, 0.5, 1.3])
def test_local_response_norm(isa, dtype, rng, shape, size, beta):
    (x,) = normal(rng, shape, dtype=dtype)
    want = reference.local_response_norm(*wide(x), size, 0.7, beta, 2.0)
    assert_close(dl.local_response_norm(x, size, 0.7, beta, 2.0), want)
    assert_single_is_like_double(
        lambda x: dl.local_response_norm(x, size, 0.7, beta, 2.0), x
    )


@pytest.mark.parametrize("size", [1, 2, 5])
def test_local_response_norm_gradients(isa, rng, size):
    (x,) = normal(rng, (2, 7, 3))
    gradcheck(lambda x: dl.local_response_norm(x, size, 0.7), x)
    gradcheck(lambda x: dl.local_response_norm(x, size, 0.7, 1.3, 2.0), x)


# -- accuracy, special values, layouts --


def test_large_mean(isa):
    """A variance made as E[x^2] - E[x]^2 would be all cancellation here."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((20, 6, 900)) + 1000).astype(np.float32)
    for y, axes in (
        (dl.layer_norm(x, 900, eps=0.0), 2),
        (dl.batch_norm(x, None, None, training=True, eps=0.0), (0, 2)),
        (dl.instance_norm(x, eps=0.0), 2),
    ):
        want = reference.normalize(x.astype(np.float64), axes, 0.0)
        assert np.abs(y - want).max() < 2e-4  # half a rounding of the mean is 3e-5


def test_constant_rows(isa, dtype):
    x = np.full((3, 4, 70), 0.1, dtype)
    for y in (
        dl.layer_norm(x, 70),
        dl.batch_norm(x, None, None, training=True),
        dl.batch_norm(x[:, :, 0].copy(), None, None, training=True),
        dl.group_norm(x, 2),
    ):
        assert np.abs(y).max() < 1e-4


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_special_values(isa, dtype, bad):
    x = np.random.default_rng(1).standard_normal((2, 3, 40)).astype(dtype)
    x[0, 1, 7] = bad

    def touched(y):
        return set(zip(*np.nonzero(np.isnan(y)), strict=True))

    def row(n, c):
        return {(n, c, i) for i in range(40)}

    assert touched(dl.layer_norm(x, 40)) == row(0, 1)
    assert touched(dl.instance_norm(x)) == row(0, 1)
    assert touched(dl.group_norm(x, 1)) == row(0, 0) | row(0, 1) | row(0, 2)
    y = dl.batch_norm(x, None, None, training=True)
    assert touched(y) == row(0, 1) | row(1, 1)
    y = dl.batch_norm(x, np.zeros(3, dtype), np.ones(3, dtype))
    assert np.isnan(y).sum() == np.isnan(bad)
    y = dl.rms_norm(x, 40)
    assert touched(y) == (row(0, 1) if np.isnan(bad) else {(0, 1, 7)})


def test_denormals(isa, dtype):
    tiny = np.finfo(dtype).tiny / 4
    x = np.array([[tiny, -tiny] * 20], dtype)
    assert (dl.layer_norm(x, 40) == x * dtype_root(dtype)).all()


def dtype_root(dtype):
    return np.dtype(dtype).type(1 / np.sqrt(EPS))


def test_layouts(rng):
    x = rng.standard_normal((3, 4, 5, 6)).astype(np.float32)
    calls = [
        lambda x: dl.layer_norm(x, (5, 6)),
        lambda x: dl.rms_norm(x, 6),
        lambda x: dl.batch_norm(x, None, None, training=True),
        lambda x: dl.group_norm(x, 2),
        dl.instance_norm,
        lambda x: dl.local_response_norm(x, 3),
    ]
    readonly = x.copy()
    readonly.flags.writeable = False
    others = [np.asfortranarray(x), x.astype(">f4"), x[::-1][::-1], readonly]
    for call in calls:
        want = call(x)
        for other in others:
            np.testing.assert_array_equal(call(other), want)
    out = np.empty_like(x)
    assert dl.local_response_norm(x, 3, out=out) is out
    same = x.copy()
    dl.local_response_norm(same, 3, out=same)
    np.testing.assert_array_equal(same, out)


def test_large_and_unaligned(threads):
    """Results past the caches: rows that begin inside a line."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8, 3, 180_001), np.float32)
    threads(2)
    f = np.float64
    want = reference.normalize(x.astype(f), 2, EPS)
    np.testing.assert_allclose(dl.layer_norm(x, x.shape[2]), want, atol=1e-5)
    np.testing.assert_allclose(dl.instance_norm(x), want, atol=1e-5)
    t = dl.Tensor(x, requires_grad=True)
    dl.layer_norm(t, x.shape[2]).backward(x)
    by_rows = t.grad.data
    t = dl.Tensor(x, requires_grad=True)
    dl.instance_norm(t).backward(x)
    np.testing.assert_allclose(t.grad.data, by_rows, atol=1e-5)


def test_empty():
    x = np.zeros((0, 3, 4), np.float32)
    weight, running = np.ones(3, np.float32), (np.zeros(3, "f"), np.ones(3, "f"))
    assert dl.layer_norm(x, 4).shape == x.shape
    assert dl.rms_norm(x[:, :, :0], 0).shape == (0, 3, 0)
    assert dl.layer_norm(np.zeros((3, 0), "f"), 0).shape == (3, 0)
    assert dl.group_norm(x, 3, weight).shape == x.shape
    assert dl.instance_norm(x).shape == x.shape
    assert dl.batch_norm(x, *running, weight).shape == x.shape
    assert dl.local_response_norm(x, 3).shape == x.shape
    four = np.ones(4, np.float32)
    for f, w in (
        (lambda x, w: dl.layer_norm(x, 4, w, w), four),
        (lambda x, w: dl.batch_norm(x, *running, w), weight),
        (lambda x, w: dl.group_norm(x, 1, w), weight),
    ):
        _, dx, dw = gradients(f, x, w)
        assert dx.shape == x.shape
        np.testing.assert_array_equal(dw, np.zeros_like(w))


@pytest.mark.parametrize("shape", [(300, 70, 9), (40, 300), (3, 5, 9000)])
def test_same_bits_for_any_threads(threads, rng, shape):
    c, n = shape[1], shape[-1]
    x, wc, wn = normal(rng, shape, c, n, dtype="float32")
    x3 = x if x.ndim > 2 else x[:, :, None]

    def all_results():
        running = np.zeros(c, np.float32), np.ones(c, np.float32)
        return [
            *gradients(lambda x, w: dl.layer_norm(x, n, w, w), x, wn),
            *gradients(lambda x, w: dl.rms_norm(x, n, w), x, wn),
            *gradients(lambda x, w: dl.batch_norm(x, *running, w, w, True), x, wc),
            *gradients(lambda x, w: dl.batch_norm(x, *running, w, w), x, wc),
            *gradients(lambda x, w: dl.group_norm(x, 5, w, w), x, wc),
            *gradients(lambda x: dl.local_response_norm(x, 5), x3),
            *running,
        ]

    results = []
    for count in (1, 2, 3):
        threads(count)
        results.append([a.tobytes() for a in all_results()])
    assert results[0] == results[1] == results[2]


# -- bad calls --

X = np.zeros((2, 6, 4), np.float32)
W = np.ones(6, np.float32)
BAD = [
    (
        lambda: dl.layer_norm(X, 5),
        ValueError,
        r"layer_norm: normalized_shape must be the last axes of x, got "
        r"normalized_shape = \(5,\) for x.shape = \(2, 6, 4\)",
    ),
    (lambda: dl.layer_norm(X, (3, 2, 6, 4)), ValueError, "must be the last axes"),
    (lambda: dl.layer_norm(X, ()), ValueError, "at least one axis"),
    (lambda: dl.layer_norm(X, "4"), TypeError, "an int or a tuple of ints, got str"),
    (lambda: dl.layer_norm(X, (4.0,)), TypeError, "must be a whole number, got float"),
    (lambda: dl.layer_norm(X, 4, W), ValueError, r"weight must have shape \(4,\), got"),
    (
        lambda: dl.layer_norm(X, 4, np.ones(4)),
        TypeError,
        "x and weight must have one dtype, got float32 and float64",
    ),
    (lambda: dl.layer_norm(X, 4, None, W), ValueError, "bias must have shape"),
    (lambda: dl.layer_norm(X, 4, eps=-1), ValueError, "eps must be at least 0"),
    (lambda: dl.layer_norm(X, 4, eps=np.nan), ValueError, "eps must be at least 0"),
    (lambda: dl.layer_norm(X, 4, eps="a"), TypeError, "eps must be a real number"),
    (lambda: dl.layer_norm(X.astype(int), 4), TypeError, "got int64: cast with"),
    (lambda: dl.layer_norm([[1.0]], 1), TypeError, "must be a NumPy array, got list"),
    (lambda: dl.rms_norm(X, 5), ValueError, "rms_norm: normalized_shape must be"),
    (lambda: dl.rms_norm(X, 4, W), ValueError, "rms_norm: weight must have shape"),
    (
        lambda: dl.local_response_norm(X[0], 3),
        ValueError,
        "local_response_norm: x must have axes .* and at least one more",
    ),
    (lambda: dl.local_response_norm(X, 0), ValueError, "size must be at least 1"),
    (lambda: dl.local_response_norm(X, 1.5), TypeError, "size must be a whole number"),
]


@pytest.mark.parametrize(("call", "exception", "match"), BAD)
def test_bad_calls(call, exception, match):
    with pytest.raises(exception, match=match):
        call()
