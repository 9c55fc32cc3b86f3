"""Batch, instance and group norm."""

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

CHANNELS = [
    (2, 1),
    (5, 3),
    (9, 33),
    (1030, 20),
    (3, 5, 1),
    (4, 3, 7),
    (2, 5, 4, 4),
    (3, 4, 33, 2),
    (2, 3, 70, 65),
    (2, 2, 3, 4, 5),
]


@pytest.mark.parametrize("shape", CHANNELS)
def test_batch_norm_training(isa, dtype, rng, shape):
    c = shape[1]
    x, weight, bias, mean = normal(rng, shape, c, c, c, dtype=dtype)
    x += 2
    var = np.abs(mean) + 1
    want_running = reference.running_statistics(*wide(x, mean, var), 0.3)
    args = mean, var, weight, bias, True, 0.3, EPS
    y = dl.batch_norm(x, *args)
    want = reference.batch_norm(*wide(x, weight, bias), EPS)
    axes = (0, *range(2, len(shape)))
    scale = spread(x, axes) * np.abs(reference.per_channel(weight, x))
    assert_close(y, want, scale=scale + np.abs(reference.per_channel(bias, x)))
    assert_close(mean, want_running[0], scale=np.full(c, 4.0))
    assert_close(var, want_running[1])
    want = reference.batch_norm(*wide(x), np.ones(c), np.zeros(c), EPS)
    plain = dl.batch_norm(x, None, None, training=True)
    assert_close(plain, want, scale=spread(x, axes))


@pytest.mark.parametrize("shape", CHANNELS)
def test_batch_norm_evaluation(isa, dtype, rng, shape):
    c = shape[1]
    x, weight, bias, mean = normal(rng, shape, c, c, c, dtype=dtype)
    var = np.abs(mean) + 1
    before = mean.copy(), var.copy()
    y = dl.batch_norm(x, mean, var, weight, bias)
    np.testing.assert_array_equal((mean, var), before)
    m, v, w, b = (reference.per_channel(a, x) for a in wide(mean, var, weight, bias))
    want = (x.astype(np.float64) - m) / np.sqrt(v + EPS) * w + b
    assert_close(y, want, scale=np.abs(w) * (np.abs(x) + np.abs(m)) + np.abs(b))


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("shape", [(3, 6), (2, 6, 7), (2, 6, 5, 7), (1, 6, 70, 65)])
def test_group_norm(isa, dtype, rng, shape, groups):
    x, weight, bias = normal(rng, shape, 6, 6, dtype=dtype)
    y = dl.group_norm(x, groups, weight, bias)
    want = reference.group_norm(*wide(x), groups, *wide(weight, bias), EPS)
    rows = spread(x.reshape(len(x), groups, -1), 2).reshape(x.shape)
    scale = rows * np.abs(reference.per_channel(weight, x))
    assert_close(y, want, scale=scale + np.abs(reference.per_channel(bias, x)))
    if groups == 6 and len(shape) > 2:
        np.testing.assert_array_equal(dl.instance_norm(x, weight=weight, bias=bias), y)


@pytest.mark.parametrize("shape", [(4, 3), (3, 17), (2, 3, 5), (2, 2, 3, 5)])
def test_channel_gradients(isa, rng, shape):
    c = shape[1]
    x, w, b, mean = normal(rng, shape, c, c, c)
    var = np.abs(mean) + 1
    for training in (True, False):
        running = (None, None) if training else (mean, var)

        def norm(x, w=None, b=None, running=running, training=training):
            return dl.batch_norm(x, *running, w, b, training)

        gradcheck(norm, x, w, b)
        gradcheck(norm, x)
        gradcheck(lambda x, b, norm=norm: norm(x, None, b), x, b)
    gradcheck(lambda x, w, b: dl.group_norm(x, 1, w, b), x, w, b)
    gradcheck(lambda x: dl.group_norm(x, 1), x)
    if len(shape) > 2:
        gradcheck(lambda x, w, b: dl.instance_norm(x, None, None, w, b), x, w, b)


@pytest.mark.parametrize("shape", [(70, 33), (3000, 5), (9, 4, 7, 7), (2, 4, 70, 65)])
def test_channel_gradients_in_single(isa, rng, shape):
    c = shape[1]
    x, w, b = normal(rng, shape, c, c)
    assert_single_is_like_double(
        lambda x, w, b: dl.batch_norm(x, None, None, w, b, True), x, w, b
    )
    assert_single_is_like_double(lambda x, w, b: dl.group_norm(x, 1, w, b), x, w, b)


# -- a residual and an activation in the same pass --

BOUNDS = {None: (-np.inf, np.inf), "relu": (0, np.inf), "relu6": (0, 6)}


def in_steps(x, w, b, residual, activation, running=(None, None)):
    """The same by the ops that the fused one stands for."""
    y = dl.batch_norm(x, *running, w, b, running[0] is None)
    y = y if residual is None else y + residual
    return y if activation is None else getattr(dl, activation)(y)


@pytest.mark.parametrize("shape", CHANNELS)
@pytest.mark.parametrize("activation", BOUNDS)
@pytest.mark.parametrize("added", [False, True])
def test_fused_forward(isa, dtype, rng, shape, activation, added):
    c = shape[1]
    x, residual, weight, bias, mean = normal(rng, shape, shape, c, c, c, dtype=dtype)
    weight *= 3
    var = np.abs(mean) + 1
    residual = residual if added else None
    end = {"activation": activation, "residual": residual}
    extra = 0 if residual is None else residual.astype(np.float64)
    w, b, m, v = (reference.per_channel(a, x) for a in wide(weight, bias, mean, var))
    trained = reference.batch_norm(*wide(x, weight, bias), EPS)
    given = (x.astype(np.float64) - m) / np.sqrt(v + EPS) * w + b
    shift = np.abs(b) + np.abs(extra)
    scale = spread(x, (0, *range(2, len(shape)))) * np.abs(w) + shift
    y = dl.batch_norm(x, None, None, weight, bias, True, **end)
    assert_close(y, np.clip(trained + extra, *BOUNDS[activation]), scale=scale)
    y = dl.batch_norm(x, mean, var, weight, bias, **end)
    scale = np.abs(w) * (np.abs(x) + np.abs(m)) + shift
    assert_close(y, np.clip(given + extra, *BOUNDS[activation]), scale=scale)


@pytest.mark.parametrize("shape", [(4, 3), (3, 17), (2, 3, 5), (2, 2, 3, 5)])
@pytest.mark.parametrize("activation", BOUNDS)
def test_fused_gradients(isa, rng, shape, activation):
    c = shape[1]
    x, residual, w, b, mean = normal(rng, shape, shape, c, c, c)
    w *= 3
    for running in ((None, None), (mean, np.abs(mean) + 1)):

        def norm(x, w=None, b=None, r=None, running=running):
            training = running[0] is None
            end = {"activation": activation, "residual": r}
            return dl.batch_norm(x, *running, w, b, training, **end)

        gradcheck(norm, x, w, b, residual)
        gradcheck(norm, x, w, b)
        gradcheck(norm, x)
        gradcheck(lambda x, r, norm=norm: norm(x, None, None, r), x, residual)


@pytest.mark.parametrize("shape", [*CHANNELS, (9, 8, 30, 31)])
@pytest.mark.parametrize("activation", BOUNDS)
@pytest.mark.parametrize("training", [True, False])
def test_fused_is_like_its_parts(isa, dtype, rng, shape, activation, training):
    """Bit by bit."""
    c = shape[1]
    x, r, w, b, mean = normal(rng, shape, shape, c, c, c, dtype=dtype)
    running = (None, None) if training else (mean, np.abs(mean) + 1)

    def fused(x, w, b, r=None):
        end = {"activation": activation, "residual": r}
        return dl.batch_norm(x, *running, w, b, training, **end)

    def parts(x, w, b, r=None):
        return in_steps(x, w, b, r, activation, running)

    for got, want in zip(
        gradients(fused, x, w, b), gradients(parts, x, w, b), strict=True
    ):
        np.testing.assert_array_equal(got, want)
    both = gradients(fused, x, w, b, r), gradients(parts, x, w, b, r)
    for got, want in zip(*both, strict=True):
        np.testing.assert_array_equal(got, want)


def test_fused_keeps_constants():
    """No gradient for a residual that asks for none; dy itself where nothing is cut."""
    x, r = np.random.default_rng(0).standard_normal((2, 4, 3, 5))
    for activation in ("relu", None):
        t = dl.Tensor(x, requires_grad=True)
        end = {"activation": activation, "residual": dl.Tensor(r)}
        y = dl.batch_norm(t, None, None, training=True, **end)
        y.backward(np.ones_like(x))
        assert t.grad is not None
        assert end["residual"].grad is None
    a, b = (dl.Tensor(v, requires_grad=True) for v in (x, r))
    dy = np.ones_like(x)
    dy.flags.writeable = False
    dl.batch_norm(a, None, None, training=True, residual=b).backward(dy)
    np.testing.assert_array_equal(b.grad.data, dy)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_fused_special_values(isa, dtype, bad):
    """NaN stays NaN, an infinite residual is cut."""
    x, r = np.ones((2, 3, 4, 5), dtype)
    r[0, 1, 3] = bad
    running = np.zeros(4, dtype), np.ones(4, dtype)
    for activation, (low, high) in BOUNDS.items():
        y = dl.batch_norm(x, *running, residual=r, activation=activation, eps=0.0)
        np.testing.assert_array_equal(y, np.clip(x + r, low, high))


def test_fused_large_and_unaligned(threads):
    """Results past the caches: rows that begin inside a line."""
    rng = np.random.default_rng(0)
    x, r = rng.standard_normal((2, 8, 3, 180_001), np.float32)
    threads(2)

    def fused(x, r):
        end = {"activation": "relu", "residual": r}
        return dl.batch_norm(x, None, None, training=True, **end)

    want = gradients(lambda x, r: in_steps(x, None, None, r, "relu"), x, r)
    for a, b in zip(gradients(fused, x, r), want, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("shape", [(300, 70, 9), (40, 300), (3, 5, 9000)])
def test_fused_same_bits_for_any_threads(threads, rng, shape):
    c = shape[1]
    x, r, w = normal(rng, shape, shape, c, dtype="float32")
    results = []
    for count in (1, 2, 3):
        threads(count)
        made = gradients(
            lambda x, r, w: dl.batch_norm(
                x, None, None, w, w, True, residual=r, activation="relu"
            ),
            x,
            r,
            w,
        )
        results.append([a.tobytes() for a in made])
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("activation", ["relu", "relu6", None])
@pytest.mark.parametrize("added", [False, True])
def test_fused_like_torch(torch, rng, activation, added):
    F = torch.nn.functional
    x, r, w, b = normal(rng, (4, 6, 9, 7), (4, 6, 9, 7), 6, 6, dtype="float32")
    inputs = [x, w, b, *([r] if added else [])]

    def fused(x, w, b, r=None):
        end = {"activation": activation, "residual": r}
        return dl.batch_norm(x, None, None, w, b, True, **end)

    got = gradients(fused, *inputs)
    leaves = [torch.tensor(v, requires_grad=True) for v in inputs]
    y = F.batch_norm(leaves[0], None, None, *leaves[1:3], training=True)
    y = y + leaves[3] if added else y
    y = getattr(F, activation)(y) if activation else y
    dy = np.random.default_rng(9).standard_normal(y.shape).astype("float32")
    y.backward(torch.tensor(dy))
    for ours, theirs in zip(got, [y, *(leaf.grad for leaf in leaves)], strict=True):
        theirs = theirs.detach().numpy()
        np.testing.assert_allclose(ours, theirs, atol=2e-6 * np.abs(theirs).max())


# -- bad calls --

X = np.zeros((2, 6, 4), np.float32)
W, RUN = np.ones(6, np.float32), np.zeros(6, np.float32)
LOCKED = RUN.copy()
LOCKED.flags.writeable = False
BAD = [
    (
        lambda: dl.batch_norm(X[0, 0], RUN, W),
        ValueError,
        r"batch_norm: x must have axes \(batch, channels, ...\), got x.shape = \(4,\)",
    ),
    (
        lambda: dl.batch_norm(X, RUN, None),
        ValueError,
        "must be given when the statistics",
    ),
    (
        lambda: dl.batch_norm(X, None, None),
        ValueError,
        "must be given when the statistics",
    ),
    (
        lambda: dl.batch_norm(X, RUN, None, training=True),
        ValueError,
        "both or neither",
    ),
    (
        lambda: dl.batch_norm(X[:1, :, :1], None, None, training=True),
        ValueError,
        "at least 2 values for each channel in training",
    ),
    (
        lambda: dl.batch_norm(X[:0], None, None, training=True),
        ValueError,
        "at least 2 values for each channel in training",
    ),
    (
        lambda: dl.batch_norm(X, LOCKED, W, training=True),
        ValueError,
        "running_mean is updated in place and must be writable",
    ),
    (
        lambda: dl.batch_norm(X, np.zeros(12, "f")[::2], W, training=True),
        ValueError,
        "running_mean is updated in place and must be writable, contiguous",
    ),
    (
        lambda: dl.batch_norm(X, RUN[:5], W),
        ValueError,
        r"running_mean must have shape \(6,\), got running_mean.shape = \(5,\)",
    ),
    (lambda: dl.batch_norm(X, RUN, W, W[:5]), ValueError, "weight must have shape"),
    (lambda: dl.batch_norm(X, RUN, W, None, W[:5]), ValueError, "bias must have"),
    (
        lambda: dl.batch_norm(X, RUN, W, training=True, momentum=None),
        TypeError,
        "momentum must be a real number",
    ),
    (lambda: dl.group_norm(X, 0), ValueError, "num_groups must be at least 1, got 0"),
    (lambda: dl.group_norm(X, 4), ValueError, "num_groups must divide the channels"),
    (lambda: dl.group_norm(X, 2.0), TypeError, "num_groups must be a whole number"),
    (lambda: dl.group_norm(X, 2, W[:2]), ValueError, "weight must have shape"),
    (lambda: dl.instance_norm(X[:, :, 0]), ValueError, "and at least one more"),
    (lambda: dl.instance_norm(X[:, :, :1]), ValueError, "at least 2 values for each"),
    (
        lambda: dl.instance_norm(X, use_input_stats=False),
        ValueError,
        "must be given when the statistics",
    ),
    (
        lambda: dl.batch_norm(X, RUN, W, activation="gelu"),
        ValueError,
        "batch_norm: activation must be one of none, relu, relu6, got 'gelu'",
    ),
    (
        lambda: dl.batch_norm(X, RUN, W, activation=1),
        TypeError,
        "batch_norm: activation must be a name or None, got int",
    ),
    (
        lambda: dl.batch_norm(X, RUN, W, residual=X[:, :, :1]),
        ValueError,
        r"batch_norm: residual must have x.shape = \(2, 6, 4\), got residual.shape = "
        r"\(2, 6, 1\)",
    ),
    (
        lambda: dl.batch_norm(X, RUN, W, residual=X.astype("f8")),
        TypeError,
        "batch_norm: x and residual must have one dtype, got float32 and float64",
    ),
    (
        lambda: dl.batch_norm(X, RUN, W, residual=[1.0]),
        TypeError,
        "batch_norm: residual must be a NumPy array, got list",
    ),
]


@pytest.mark.parametrize(("call", "exception", "match"), BAD)
def test_bad_calls(call, exception, match):
    with pytest.raises(exception, match=match):
        call()
