import itertools

import numpy as np
import pytest
import reference

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

V = 16  # lanes of the widest vector in float32
SHAPES = [
    (1, 1),
    (5, V - 1),
    (5, V),
    (5, V + 1),
    (70, 3 * V + 5),
    (3, 4, V + 1),
    (2, 5, 3, 7),
    (2, 3, 1),
    (2, 9000),
]
OPTIONS = [
    {"weighted": w, "ignore_index": i, "reduction": r, "label_smoothing": s}
    for w, i, r, s in itertools.product(
        (False, True), (-100, 0), ("mean", "sum", "none"), (0.0, 0.1)
    )
]


def problem(rng, shape, dtype, weighted=False):
    x = (rng.standard_normal(shape) * 4).astype(dtype)
    target = rng.integers(0, shape[1], (shape[0], *shape[2:]))
    weight = rng.uniform(0.5, 2, shape[1]).astype(dtype) if weighted else None
    return x, target, weight


def wide(x):
    return None if x is None else x.astype(np.longdouble)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(isa, dtype, rng, shape, smoothing):
    x, target, _ = problem(rng, shape, dtype)
    kept = x.copy()
    for reduction in ("mean", "sum", "none"):
        got = dl.cross_entropy(
            x, target, reduction=reduction, label_smoothing=smoothing
        )
        want = reference.cross_entropy(
            wide(x), target, reduction=reduction, label_smoothing=smoothing
        )
        assert got.dtype == dtype
        assert_close(got, want, ulp=20, scale=1 + np.abs(want))
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("shape", [(6, 5), (2, 5, 3)])
def test_cross_entropy_options(torch, rng, options, shape):
    options = dict(options)
    weighted = options.pop("weighted")
    x, target, weight = problem(rng, shape, "f8", weighted)
    target[0] = options["ignore_index"]
    got = dl.cross_entropy(x, target, weight, **options)
    want = reference.cross_entropy(x, target, weight, **options)
    assert_close(got, want, ulp=50)
    gradcheck(lambda x: dl.cross_entropy(x, target, weight, **options), x)
    theirs = torch.nn.functional.cross_entropy(
        torch.tensor(x),
        torch.tensor(target),
        None if weight is None else torch.tensor(weight),
        **options,
    )
    assert_close(got, theirs.numpy(), ulp=50)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_gradient_against_torch(isa, torch, rng, dtype, shape, smoothing):
    x, target, weight = problem(rng, shape, dtype, True)
    results = []
    for kind in (dtype, "float64"):
        t = torch.tensor(x.astype(kind), requires_grad=True)
        torch.nn.functional.cross_entropy(
            t,
            torch.tensor(target),
            torch.tensor(weight.astype(kind)),
            label_smoothing=smoothing,
        ).backward()
        results.append(t.grad.numpy())
    mine = dl.Tensor(x, requires_grad=True)
    dl.cross_entropy(mine, target, weight, label_smoothing=smoothing).backward()
    theirs, exact = results
    units = 4 if dtype == "float32" else 32  # exact is of float64 itself
    slack = units * np.finfo(dtype).eps * np.abs(exact).max()
    error = np.abs(mine.grad.data - exact).max()
    assert error <= 2 * np.abs(theirs - exact).max() + slack


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_past_the_caches(isa, torch, rng, smoothing):
    x, target, weight = problem(rng, (4200, 1001), "f4", smoothing > 0)
    target[:3] = (0, 1000, -100)
    mine = dl.Tensor(x, requires_grad=True)
    loss = dl.cross_entropy(mine, target, weight, label_smoothing=smoothing)
    loss.backward()
    theirs = torch.tensor(x.astype("f8"), requires_grad=True)
    want = torch.nn.functional.cross_entropy(
        theirs,
        torch.tensor(target),
        None if weight is None else torch.tensor(weight.astype("f8")),
        label_smoothing=smoothing,
    )
    want.backward()
    np.testing.assert_allclose(loss.data, want.item(), rtol=1e-6)
    np.testing.assert_allclose(
        mine.grad.data, theirs.grad.numpy(), rtol=1e-4, atol=1e-10
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(4, 5), (2, 5, 3), (5,)])
@pytest.mark.parametrize("weighted", [False, True])
def test_probabilities_as_targets(torch, rng, reduction, shape, weighted):
    classes = shape[0] if len(shape) == 1 else shape[1]
    x, q = rng.standard_normal(shape), rng.uniform(size=shape)
    weight = rng.uniform(0.5, 2, classes) if weighted else None
    options = {"reduction": reduction, "label_smoothing": 0.1}
    got = dl.cross_entropy(x, q, weight, **options)
    want = torch.nn.functional.cross_entropy(
        torch.tensor(x),
        torch.tensor(q),
        None if weight is None else torch.tensor(weight),
        **options,
    )
    assert_close(got, want.numpy(), ulp=50)
    gradcheck(lambda x, q: dl.cross_entropy(x, q, weight, **options), x, q)


def test_small_losses_of_large_scores(isa, torch, dtype):
    x = np.array([[1000.0, 988.0, 0.0]], dtype)
    got = dl.cross_entropy(x, np.array([0]))
    np.testing.assert_allclose(
        got, np.log1p(np.exp(-12.0)), rtol=3e-2 if dtype == "float32" else 1e-9
    )
    t = dl.Tensor(x, requires_grad=True)
    dl.cross_entropy(t, np.array([1])).backward()
    p = np.exp(-12.0)
    np.testing.assert_allclose(t.grad.data[0, 0], 1 - p, rtol=1e-6)


def test_scores_without_a_batch(torch):
    x = np.array([1.0, 2.0, 0.5])
    got = dl.cross_entropy(x, np.array(2))
    want = torch.nn.functional.cross_entropy(torch.tensor(x), torch.tensor(2))
    assert got.shape == () and got == pytest.approx(want.item())


@pytest.mark.parametrize("kind", ["int64", "int32", "uint8", ">i4"])
def test_kinds_of_targets(rng, kind):
    x, target, _ = problem(rng, (6, 5), "f8")
    want = dl.cross_entropy(x, target)
    assert dl.cross_entropy(x, target.astype(kind)) == want
    assert dl.cross_entropy(x, np.repeat(target, 2)[::2]) == want
    assert dl.cross_entropy(np.asfortranarray(x), dl.Tensor(target)) == want


@pytest.mark.parametrize("columns", [False, True])
def test_special_values(isa, dtype, columns):
    nan, inf = np.nan, np.inf
    x = np.array(
        [
            [-inf, 0, 0],
            [-inf, 0, 0],
            [-inf, -inf, -inf],
            [nan, 0, 0],
            [inf, 0, 0],
            [nan, inf, 0],
            [0, -3e38, 0],
        ],
        dtype,
    )
    target = np.array([1, 0, 0, 1, 1, -100, 1])
    want = np.array([np.log(2), inf, inf, nan, nan, 0, x[6, 0] - x[6, 1]], dtype)
    if columns:
        x, target, want = x.T[None].copy(), target[None], want[None]
    t = dl.Tensor(x, requires_grad=True)
    losses = dl.cross_entropy(t, target, reduction="none")
    assert_close(losses, want, ulp=2)
    losses.backward(np.ones_like(losses.data))
    grad = t.grad.data[0].T if columns else t.grad.data
    want = [[0, -0.5, 0.5], [-1, 0.5, 0.5], [-1, 0, 0]]
    np.testing.assert_allclose(grad[:3], want, atol=1e-6)
    assert np.isnan(grad[3:5]).all()
    np.testing.assert_array_equal(grad[5], 0)


def test_nothing_to_count(dtype):
    x = dl.Tensor(np.ones((2, 3), dtype), requires_grad=True)
    loss = dl.cross_entropy(x, np.array([-100, -100]))
    assert np.isnan(loss.data)
    loss.backward()
    np.testing.assert_array_equal(x.grad.data, 0)
    assert (
        dl.cross_entropy(np.ones((0, 3), dtype), np.ones(0, int), reduction="sum") == 0
    )
    assert np.isnan(dl.cross_entropy(np.ones((0, 3), dtype), np.ones(0, int)))
    assert np.isnan(dl.mse_loss(np.ones(0, dtype), np.ones(0, dtype)))


@pytest.mark.parametrize("shape", SHAPES[:-1])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_nll_loss(isa, dtype, rng, shape, reduction):
    x, target, weight = problem(rng, shape, dtype, True)
    target[0] = -1
    options = {"ignore_index": -1, "reduction": reduction}
    with np.errstate(invalid="ignore"):  # one row, ignored
        want = reference.nll_loss(wide(x), target, weight, **options)
    assert_close(dl.nll_loss(x, target, weight, **options), want, ulp=50)
    if x.size < 500 and shape[0] > 1:
        gradcheck(lambda x: dl.nll_loss(x, target, weight.astype("f8"), **options), x)


@pytest.mark.parametrize("shape", [(20_000, 10), (4, 10, 5000)])
def test_repeated_weights_do_not_add_up_their_roundings(isa, rng, shape):
    """Against long double: the same few weights are always rounded to one side."""
    x, target, weight = problem(rng, shape, "f8", True)
    eps = np.finfo("f8").eps
    got = dl.cross_entropy(x, target, weight)
    want = reference.cross_entropy(wide(x), target, wide(weight))
    assert abs(got - want) < 3 * eps * want
    leaf = dl.Tensor(x, requires_grad=True)
    dl.cross_entropy(leaf, target, weight).backward()
    p = np.exp(reference.log_softmax(wide(x), 1))
    p -= np.moveaxis(np.eye(10)[target], -1, 1)
    w = wide(weight)[target]
    want = p * np.expand_dims(w / w.sum(), 1)
    assert np.abs(leaf.grad.data - want).max() < 4 * eps * np.abs(want).max()


@pytest.mark.parametrize("shape", [(700, 300), (40, 30, 50)])
def test_same_bits_for_any_threads(threads, rng, shape):
    x, target, weight = problem(rng, shape, "f4", True)
    results = []
    for count in (1, 2, 3):
        threads(count)
        t = dl.Tensor(x, requires_grad=True)
        loss = dl.cross_entropy(t, target, weight, label_smoothing=0.1)
        loss.backward()
        results.append((loss.data, t.grad.data))
    for other in results[1:]:
        for a, b in zip(results[0], other):
            np.testing.assert_array_equal(a, b)


x, t = np.ones((2, 3)), np.array([0, 1])
far = np.array([[0, 1], [1, 3]])
BAD = [
    (
        lambda: dl.cross_entropy(x, np.array([0, 3])),
        IndexError,
        r"target must be from 0 to 2 or ignore_index = -100, got 3 at target\[1\]",
    ),
    (
        lambda: dl.cross_entropy(x, np.array([-1, 0])),
        IndexError,
        r"got -1 at target\[0\]",
    ),
    (
        lambda: dl.cross_entropy(np.ones((2, 3, 2)), far),
        IndexError,
        r"got 3 at target\[1, 1\]",
    ),
    (lambda: dl.cross_entropy(x[0], np.array(7)), IndexError, "got 7 at target"),
    (lambda: dl.nll_loss(x, np.array([0, 3])), IndexError, r"got 3 at target\[1\]"),
    (
        lambda: dl.cross_entropy(x, t[:1]),
        ValueError,
        r"classes, \(2,\), got target.shape = \(1,\) with input.shape = \(2, 3\)",
    ),
    (lambda: dl.cross_entropy(x, t.astype("f4")), TypeError, "of class numbers must"),
    (lambda: dl.nll_loss(x, t.astype("f4")), TypeError, "must be int64 or int32"),
    (lambda: dl.cross_entropy(x, x.astype("f4")), TypeError, "must have one dtype"),
    (lambda: dl.cross_entropy(x, t > 0), TypeError, "int64 or int32, got bool"),
    (lambda: dl.cross_entropy(x, [0, 1]), TypeError, "must be a NumPy array of whole"),
    (lambda: dl.cross_entropy([[1.0]], t), TypeError, "input must be a NumPy array"),
    (lambda: dl.cross_entropy(x, t.astype("u8")), TypeError, "got uint64"),
    (
        lambda: dl.cross_entropy(x, t, np.ones(2)),
        ValueError,
        r"shape \(3,\), got weight.shape = \(2,\)",
    ),
    (
        lambda: dl.cross_entropy(x, t, np.ones(3, "f4")),
        TypeError,
        "must have one dtype",
    ),
    (
        lambda: dl.cross_entropy(x, t, reduction="avg"),
        ValueError,
        "reduction must be 'mean', 'sum' or 'none', got 'avg'",
    ),
    (
        lambda: dl.cross_entropy(x, t, label_smoothing=2),
        ValueError,
        "label_smoothing must be from 0 to 1",
    ),
    (lambda: dl.cross_entropy(np.array(1.0), t), ValueError, "must have shape"),
    (lambda: dl.cross_entropy(x, x[:1]), ValueError, "target of probabilities must"),
    (lambda: dl.cross_entropy(x, x, np.ones(2)), ValueError, "weight must have one"),
    (lambda: dl.cross_entropy(x, x, reduction=1), ValueError, "reduction must be"),
]


@pytest.mark.parametrize("call, error, match", BAD)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()
