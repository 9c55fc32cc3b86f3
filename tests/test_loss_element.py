"""Losses that are made element by element: one kernel with many formulas."""

import numpy as np
import pytest
import reference_loss as reference

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

V = 16  # lanes of the widest vector in float32
BLOCK, CHUNK = 512, 1 << 14  # of the kernel, in float32
SIZES = [1, V - 1, V + 1, 3 * V + 5, BLOCK + 1]


def normal(rng, n):
    return rng.standard_normal(n) * 3


def positive(rng, n):
    return rng.uniform(0.1, 4, n)


def chance(rng, n):
    return rng.uniform(0.01, 0.99, n)


def label(rng, n):
    return rng.integers(0, 2, n).astype("d")


def sign(rng, n):
    return rng.integers(0, 2, n) * 2.0 - 1


def log_chance(rng, n):
    return -rng.uniform(0.01, 5, n)


NORMALS = normal, normal
CASES = [  # name, inputs, options
    ("mse_loss", NORMALS, {}),
    ("half_mse_loss", NORMALS, {}),
    ("l1_loss", NORMALS, {}),
    ("huber_loss", NORMALS, {"delta": 1.5}),
    ("smooth_l1_loss", NORMALS, {"beta": 0.5}),
    ("msle_loss", (positive, positive), {}),
    ("log_cosh_loss", NORMALS, {}),
    ("binary_cross_entropy", (chance, chance), {}),
    ("binary_cross_entropy_with_logits", (normal, chance), {}),
    ("sigmoid_focal_loss", (normal, label), {}),
    ("sigmoid_focal_loss", (normal, chance), {"alpha": -1, "gamma": 1.5}),
    ("kl_div", (log_chance, chance), {}),
    ("kl_div", (log_chance, log_chance), {"log_target": True}),
    ("hinge_loss", (normal, sign), {}),
    ("hinge_embedding_loss", (positive, sign), {"margin": 2}),
    ("soft_margin_loss", (normal, sign), {}),
    ("margin_ranking_loss", (normal, normal, sign), {"margin": 0.5}),
    ("poisson_nll_loss", (normal, positive), {"full": True}),
    ("poisson_nll_loss", (positive, positive), {"log_input": False}),
    ("gaussian_nll_loss", (normal, normal, positive), {"full": True}),
]
IDS = [f"{name}-{i}" for i, (name, _, _) in enumerate(CASES)]


def drawn(rng, kinds, shape, dtype):
    return [kind(rng, shape).astype(dtype) for kind in kinds]


@pytest.mark.parametrize(("name", "kinds", "options"), CASES, ids=IDS)
@pytest.mark.parametrize("n", SIZES)
def test_losses(isa, dtype, rng, name, kinds, options, n):
    inputs = drawn(rng, kinds, n, dtype)
    kept = [x.copy() for x in inputs]
    for reduction in ("none", "mean", "sum"):
        got = getattr(dl, name)(*inputs, reduction=reduction, **options)
        wide = [x.astype(np.longdouble) for x in inputs]
        want = reference.element_loss(name, *wide, reduction=reduction, **options)
        assert got.dtype == dtype and got.shape == np.shape(want)
        size = max(n, 1) if reduction == "sum" else 1
        assert_close(got, want, ulp=12, scale=size * 9 + np.abs(want))
    for x, before in zip(inputs, kept):
        np.testing.assert_array_equal(x, before)


NO_DIFFERENCES = "mse half l1 huber smooth log_cosh binary sigmoid soft".split()
OF_ONE_SIGN = [case for case in CASES if case[0].startswith(tuple(NO_DIFFERENCES))]


@pytest.mark.parametrize(("name", "kinds", "options"), OF_ONE_SIGN)
def test_small_losses_keep_their_digits(isa, rng, name, kinds, options):
    """In float32 beside float64: relative to each loss, where nothing cancels."""
    inputs = drawn(rng, kinds, 4000, "f4")
    got = getattr(dl, name)(*inputs, reduction="none", **options)
    wide = [x.astype("f8") for x in inputs]
    want = reference.element_loss(name, *wide, reduction="none", **options)
    bound = 40 if name == "sigmoid_focal_loss" else 8
    assert np.abs(got / want - 1).max() < bound * np.finfo("f4").eps


@pytest.mark.parametrize(("name", "kinds", "options"), CASES, ids=IDS)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_gradients(rng, name, kinds, options, reduction):
    inputs = drawn(rng, kinds, (3, 7), "f8")
    n = 1 if name == "hinge_embedding_loss" else len(inputs)  # its target has none

    def loss(*given):
        every = *given, *inputs[n:]
        return getattr(dl, name)(*every, reduction=reduction, **options)

    gradcheck(loss, *inputs[:n])


@pytest.mark.parametrize(("name", "kinds", "options"), CASES, ids=IDS)
def test_gradients_in_float32(isa, rng, name, kinds, options):
    """Of several blocks and chunks, beside float64, for a mean and for each."""
    inputs = drawn(rng, kinds, CHUNK + BLOCK + 3, "f4")
    weights = rng.uniform(0.5, 2, len(inputs[0])).astype("f4")
    for reduction in ("mean", "none"):
        slopes = []
        for dtype in ("f4", "f8"):
            leaves = [dl.Tensor(x.astype(dtype), True) for x in inputs]
            loss = getattr(dl, name)(*leaves, reduction=reduction, **options)
            loss.backward(weights.astype(dtype) if reduction == "none" else None)
            slopes.append([x.grad.data for x in leaves])
        for got, want in zip(*slopes):
            size = max(np.abs(want).max(), np.finfo("f4").tiny)
            assert np.abs(got - want).max() < 8 * np.finfo("f4").eps * size


TORCH = [  # name, inputs, options, how many of the inputs have gradients there
    *((n, NORMALS, {}, 2) for n in ("mse_loss", "l1_loss")),
    ("huber_loss", NORMALS, {"delta": 2.5}, 2),
    ("smooth_l1_loss", NORMALS, {"beta": 0.25}, 2),
    ("smooth_l1_loss", NORMALS, {"beta": 0}, 2),
    ("binary_cross_entropy", (chance, chance), {}, 2),
    ("binary_cross_entropy_with_logits", (normal, chance), {}, 2),
    ("kl_div", (log_chance, chance), {}, 2),
    ("kl_div", (log_chance, log_chance), {"log_target": True}, 2),
    ("hinge_embedding_loss", (positive, sign), {"margin": 2}, 1),
    ("soft_margin_loss", (normal, sign), {}, 1),
    ("margin_ranking_loss", (normal, normal, sign), {"margin": 0.5}, 3),
    ("poisson_nll_loss", (normal, positive), {"full": True}, 2),
    ("poisson_nll_loss", (positive, positive), {"log_input": False}, 2),
    ("gaussian_nll_loss", (normal, normal, positive), {"full": True}, 3),
    ("multilabel_soft_margin_loss", (normal, label), {}, 2),
]


def beside_torch(torch, name, inputs, options, leaves, reduction, dy=None):
    """Loss and gradients of both, with leaves the first inputs."""
    mine = [dl.Tensor(x, i < leaves) for i, x in enumerate(inputs)]
    theirs = [torch.tensor(x, requires_grad=i < leaves) for i, x in enumerate(inputs)]
    got = getattr(dl, name)(*mine, reduction=reduction, **options)
    options = {
        key: torch.tensor(v) if isinstance(v, np.ndarray) else v
        for key, v in options.items()
    }
    want = getattr(torch.nn.functional, name)(*theirs, reduction=reduction, **options)
    dy = np.full(got.shape, 1.5, got.dtype) if dy is None else dy
    got.backward(dy)
    want.backward(torch.tensor(dy))
    pairs = [(x.grad.data, y.grad.numpy()) for x, y in zip(mine[:leaves], theirs)]
    return [(got.data, want.detach().numpy()), *pairs]


@pytest.mark.filterwarnings("ignore:reduction")
@pytest.mark.parametrize(("name", "kinds", "options", "leaves"), TORCH)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_beside_torch(torch, dtype, rng, name, kinds, options, leaves, reduction):
    inputs = drawn(rng, kinds, (4, 9), dtype)
    for got, want in beside_torch(torch, name, inputs, options, leaves, reduction):
        assert_close(got, want, ulp=16, scale=np.abs(want).max() + 1)


WEIGHTED = [
    ("mse_loss", NORMALS, {"weight": (4, 9)}),
    ("l1_loss", NORMALS, {"weight": (4, 9)}),
    ("huber_loss", NORMALS, {"weight": (4, 9)}),
    ("binary_cross_entropy", (chance, chance), {"weight": (9,)}),
    ("binary_cross_entropy", (chance, chance), {"weight": (4, 1)}),
    ("binary_cross_entropy_with_logits", (normal, chance), {"weight": (9,)}),
    ("binary_cross_entropy_with_logits", (normal, chance), {"pos_weight": (9,)}),
    (
        "binary_cross_entropy_with_logits",
        (normal, chance),
        {"weight": (4, 9), "pos_weight": (1, 9)},
    ),
    ("multilabel_soft_margin_loss", (normal, label), {"weight": (9,)}),
]


@pytest.mark.parametrize(("name", "kinds", "shapes"), WEIGHTED)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_weights_beside_torch(torch, rng, name, kinds, shapes, reduction):
    inputs = drawn(rng, kinds, (4, 9), "f8")
    options = {key: rng.uniform(0.5, 2, shape) for key, shape in shapes.items()}
    for got, want in beside_torch(torch, name, inputs, options, 2, reduction):
        assert_close(got, want, ulp=16, scale=np.abs(want).max() + 1)


@pytest.mark.parametrize(
    "name", ["hinge_embedding_loss", "poisson_nll_loss", "kl_div", "gaussian_nll_loss"]
)
def test_broadcasting_beside_torch(torch, rng, name):
    inputs = [rng.uniform(0.5, 2, shape) for shape in ((4, 9), (9,))]
    leaves = 1 if name == "hinge_embedding_loss" else 2
    if name == "gaussian_nll_loss":
        inputs.append(rng.uniform(0.5, 2, 4))  # without the last axis
        leaves = 3
    for got, want in beside_torch(torch, name, inputs, {}, leaves, "sum"):
        assert got.shape == want.shape
        assert_close(got, want, ulp=16, scale=np.abs(want).max() + 1)


def test_means_of_a_batch(torch, rng):
    x, t = log_chance(rng, (4, 9)), chance(rng, (4, 9))
    for got, want in beside_torch(torch, "kl_div", (x, t), {}, 2, "batchmean"):
        assert_close(got, want, ulp=16)


def test_variance_as_a_number(torch):
    x, t = np.array([1.0, 2.0]), np.array([2.0, 4.0])
    want = torch.nn.functional.gaussian_nll_loss(torch.tensor(x), torch.tensor(t), 0.5)
    assert dl.gaussian_nll_loss(x, t, 0.5) == pytest.approx(want.item())


NAN, INF = np.nan, np.inf
SPECIAL = [  # name, inputs, losses, gradient of the first
    ("mse_loss", ([INF, NAN, -INF], [0, 0, 1]), [INF, NAN, INF], [INF, NAN, -INF]),
    ("l1_loss", ([INF, NAN, 2], [0, 0, 2]), [INF, NAN, 0], [1, NAN, 0]),
    ("huber_loss", ([INF, NAN, -INF], [0, 0, 0]), [INF, NAN, INF], [1, NAN, -1]),
    ("smooth_l1_loss", ([INF, NAN, -INF], [0, 0, 0]), [INF, NAN, INF], [1, NAN, -1]),
    ("msle_loss", ([0, -1, -2], [0, 0, 0]), [0, INF, NAN], [0, -INF, NAN]),
    ("log_cosh_loss", ([INF, NAN, -INF], [0, 0, 0]), [INF, NAN, INF], [1, NAN, -1]),
    ("binary_cross_entropy", ([0, 0, 1], [0, 1, 0]), [0, 100, 100], [0, -1e12, 1e12]),
    ("binary_cross_entropy", ([1, NAN, 0.5], [1, 1, 0.5]), [0, NAN, np.log(2)], None),
    (
        "binary_cross_entropy_with_logits",
        ([INF, -INF, INF, -INF, NAN], [1, 0, 0, 1, 0]),
        [0, 0, INF, INF, NAN],
        [0, 0, 1, -1, NAN],
    ),
    (
        "sigmoid_focal_loss",
        ([INF, -INF, INF, -INF, NAN], [1, 0, 0, 1, 0]),
        [0, 0, INF, INF, NAN],
        [0, 0, 0.75, -0.25, NAN],
    ),
    ("kl_div", ([-INF, 0, NAN], [0, 0, 1]), [0, 0, NAN], [0, 0, -1]),
    ("hinge_loss", ([INF, -INF, NAN], [1, 1, 1]), [0, INF, NAN], [0, -1, None]),
    ("hinge_embedding_loss", ([INF, INF, NAN], [1, -1, -1]), [INF, 0, NAN], None),
    ("soft_margin_loss", ([INF, -INF, 1e4], [1, 1, -1]), [0, INF, 1e4], [0, -1, 1]),
    (
        "gaussian_nll_loss",
        ([0, 0, NAN], [0, 0, 0], [0, INF, 1]),
        [np.log(1e-6) / 2, INF, NAN],
        [0, 0, NAN],
    ),
]


@pytest.mark.parametrize(("name", "inputs", "losses", "slopes"), SPECIAL)
def test_special_values(isa, dtype, name, inputs, losses, slopes):
    leaves = [dl.Tensor(np.array(x, dtype), True) for x in inputs]
    loss = getattr(dl, name)(*leaves, reduction="none")
    np.testing.assert_allclose(loss.data, losses, rtol=1e-5)
    loss.backward(np.ones(loss.shape))
    for i, slope in enumerate(slopes or ()):
        if slope is not None:
            np.testing.assert_allclose(leaves[0].grad.data[i], slope, rtol=1e-5)


def test_extreme_scores(isa, torch, dtype):
    """To the last digits, where PyTorch's difference of terms loses some."""
    x = np.array([-1e4, -90, -20, -1e-8, 0, 1e-8, 20, 90, 1e4], dtype)
    for target in (0, 1):
        t = np.full_like(x, target)
        name = "binary_cross_entropy_with_logits"
        want = reference.softplus((1 - 2 * t).astype(np.longdouble) * x)
        assert_close(dl.binary_cross_entropy_with_logits(x, t, None, "none"), want)
        for got, theirs in beside_torch(torch, name, (x, t), {}, 1, "none"):
            assert_close(got, theirs, ulp=8, scale=np.abs(x) + 1)


def test_small_probabilities_keep_their_gradient(isa, dtype):
    """sigmoid(x) - t would cancel for a large score that is right."""
    x = dl.Tensor(np.array([30.0, -30.0], dtype), True)
    dl.binary_cross_entropy_with_logits(
        x, np.array([1, 0], dtype), reduction="sum"
    ).backward()
    np.testing.assert_allclose(x.grad.data, [-np.exp(-30), np.exp(-30)], rtol=1e-5)


def test_small_differences_keep_their_digits(isa, dtype):
    d = np.array([1e-6, 1e-3, 0.99, 1.01, 30], dtype)
    got = dl.log_cosh_loss(d, np.zeros_like(d), "none")
    assert_close(got, reference.log_cosh(d.astype(np.longdouble)), ulp=4)


def test_nothing():
    empty = np.zeros((0, 3))
    for name in ("mse_loss", "l1_loss", "binary_cross_entropy", "soft_margin_loss"):
        assert np.isnan(getattr(dl, name)(empty, empty))
        assert getattr(dl, name)(empty, empty, reduction="sum") == 0
        assert getattr(dl, name)(empty, empty, reduction="none").shape == (0, 3)
    x = dl.Tensor(empty, True)
    dl.huber_loss(x, empty).backward()
    assert x.grad.shape == (0, 3)


@pytest.mark.parametrize("name", ["huber_loss", "binary_cross_entropy_with_logits"])
def test_same_bits_for_any_threads(threads, rng, name):
    x, t = (rng.uniform(0, 1, (3, 2 * CHUNK + 77)).astype("f4") for _ in range(2))
    results = []
    for count in (1, 2, 3):
        threads(count)
        a, b = dl.Tensor(x, True), dl.Tensor(t, True)
        loss = getattr(dl, name)(a, b)
        loss.backward()
        results.append((loss.data, a.grad.data, b.grad.data))
    for other in results[1:]:
        for one, two in zip(results[0], other):
            np.testing.assert_array_equal(one, two)


def test_past_the_caches(isa, rng):
    x, t = (rng.standard_normal((4100, 1031)).astype("f4") for _ in range(2))
    a = dl.Tensor(x, True)
    dl.mse_loss(a, t, "sum").backward()
    np.testing.assert_array_equal(a.grad.data, 2 * (x - t))


def test_backward_twice_and_scaled(rng):
    x, t = rng.standard_normal((2, 50))
    a = dl.Tensor(x, True)
    loss = dl.mse_loss(a, t, "sum")
    loss.backward(retain_graph=True)
    loss.backward(np.array(3.0))
    np.testing.assert_allclose(a.grad.data, 8 * (x - t))
    b = dl.Tensor(x, True)
    (2 * dl.mse_loss(b, t, "sum")).backward()
    np.testing.assert_allclose(b.grad.data, 4 * (x - t))


def test_long_sums_are_exact(isa, rng):
    x = rng.uniform(0, 1, 3_000_000)
    got = dl.l1_loss(x, np.zeros_like(x), "sum")
    want = x.astype(np.longdouble).sum()
    assert abs(got - want) < 2 * np.finfo("f8").eps * want


x, t = np.full((2, 3), 0.5), np.ones((2, 3))
BAD = [
    (lambda: dl.l1_loss(x, x[:1]), ValueError, r"must have input.shape = \(2, 3\)"),
    (lambda: dl.l1_loss(x, x.astype("f4")), TypeError, "must have one dtype"),
    (lambda: dl.l1_loss(x, t.astype(int)), TypeError, "target must be float32 or"),
    (lambda: dl.mse_loss(x, x, "avg"), ValueError, "reduction must be 'mean'"),
    (lambda: dl.mse_loss(x, x, weight=t[0]), ValueError, "weight must have input.sh"),
    (lambda: dl.huber_loss(x, x, delta=0), ValueError, "delta must be above 0, got 0"),
    (lambda: dl.huber_loss(x, x, delta="1"), TypeError, "delta must be a number"),
    (lambda: dl.smooth_l1_loss(x, x, beta=-1), ValueError, "beta must be at least 0"),
    (
        lambda: dl.binary_cross_entropy(3 * x, t),
        ValueError,
        "input must be probabilities, from 0 to 1, got 1.5",
    ),
    (lambda: dl.binary_cross_entropy(-x, t), ValueError, "from 0 to 1, got -0.5"),
    (lambda: dl.binary_cross_entropy(-x, t, None, "none"), ValueError, "from 0 to 1"),
    (
        lambda: dl.binary_cross_entropy(x, t, np.ones(2)),
        ValueError,
        r"weight must broadcast to the input's shape \(2, 3\), got weight.shape = \(2",
    ),
    (
        lambda: dl.binary_cross_entropy_with_logits(x, t, pos_weight=np.ones((2, 2))),
        ValueError,
        "pos_weight must broadcast",
    ),
    (lambda: dl.sigmoid_focal_loss(x, t, alpha=2), ValueError, "alpha must be from 0"),
    (lambda: dl.sigmoid_focal_loss(x, t, gamma=-1), ValueError, "gamma must be at le"),
    (lambda: dl.kl_div(x, t[:, :2]), ValueError, "input and target must broadcast"),
    (lambda: dl.hinge_loss(x, t.astype(int)), TypeError, "target must be float32 or"),
    (lambda: dl.margin_ranking_loss(x, None, t), TypeError, "input2 must be a NumPy"),
    (
        lambda: dl.gaussian_nll_loss(x, t, -x),
        ValueError,
        "var must not be negative, got -0.5",
    ),
    (lambda: dl.gaussian_nll_loss(x, t, -1.0), ValueError, "var must not be negative"),
    (lambda: dl.gaussian_nll_loss(x, t, x[:, :2]), ValueError, "var must have input."),
    (lambda: dl.gaussian_nll_loss(x, t, x, eps=0), ValueError, "eps must be above 0"),
]


@pytest.mark.parametrize(("call", "error", "match"), BAD)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()
