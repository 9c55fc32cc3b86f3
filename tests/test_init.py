"""Initialization: ranges and moments against their formulas, gains, repeats."""

import math

import numpy as np
import pytest

import dlcore as dl
from dlcore import init

SHAPE = (60, 40, 3, 3)  # fan_in 360, fan_out 540


@pytest.fixture(autouse=True)
def seed():
    state = dl.get_rng_state()
    dl.manual_seed(3)
    yield
    dl.set_rng_state(state)


VARIANCES = {
    "xavier_uniform_": 2 / 900,
    "xavier_normal_": 2 / 900,
    "kaiming_uniform_": 2 / 360,
    "kaiming_normal_": 2 / 360,
    "lecun_uniform_": 1 / 360,
    "lecun_normal_": 1 / 360,
    "glorot_uniform_": 2 / 900,
    "he_normal_": 2 / 360,
}


@pytest.mark.parametrize("name", VARIANCES)
def test_variance(name, dtype):
    w = dl.Tensor(np.empty(SHAPE, dtype))
    assert getattr(init, name)(w) is w and w.dtype == dtype
    std = math.sqrt(VARIANCES[name])
    assert abs(w.data.mean()) < 5 * std / math.sqrt(w.numel())
    assert abs(w.data.std() / std - 1) < 0.02
    if "uniform" in name:
        assert np.abs(w.data).max() <= np.float32(std * math.sqrt(3))
    else:  # as many beyond two deviations as there should be
        assert abs((np.abs(w.data) > 2 * std).mean() - 0.0455) < 0.005


def test_fan_out_and_gain():
    w = init.kaiming_normal_(np.empty(SHAPE), mode="fan_out", nonlinearity="tanh")
    assert abs(w.std() / (5 / 3 / math.sqrt(540)) - 1) < 0.02
    w = init.xavier_normal_(np.empty(SHAPE), gain=2.0)
    assert abs(w.std() / (2 * math.sqrt(2 / 900)) - 1) < 0.02


def test_gains_are_pytorchs(torch):
    names = "linear conv2d conv_transpose1d sigmoid tanh relu leaky_relu selu"
    for name in names.split():
        want = torch.nn.init.calculate_gain(name)
        assert init.calculate_gain(name) == pytest.approx(want, rel=1e-12)
    want = torch.nn.init.calculate_gain("leaky_relu", 0.3)
    assert init.calculate_gain("leaky_relu", 0.3) == pytest.approx(want, rel=1e-12)


def test_constants():
    assert (init.ones_(np.empty(3)) == 1).all()
    assert (init.zeros_(np.empty(3)) == 0).all()
    assert (init.constant_(dl.Tensor(np.empty(3)), 2.5).data == 2.5).all()


@pytest.mark.parametrize("a, b", [(-2, 2), (-0.1, 0.2), (1.5, 9), (4, 5), (-7, -6)])
def test_trunc_normal(a, b):
    stats = pytest.importorskip("scipy.stats")
    w = init.trunc_normal_(np.empty((100, 200)), a=a, b=b)
    assert w.min() >= a and w.max() <= b
    assert stats.kstest(w.ravel(), stats.truncnorm(a, b).cdf).pvalue > 1e-3


def test_trunc_normal_moved():
    w = init.trunc_normal_(np.empty(20000), mean=5.0, std=0.02, a=4.98, b=5.06)
    assert w.min() >= 4.98 and w.max() <= 5.06


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3), (4, 2, 3, 3), (40, 2, 3, 3)])
def test_orthogonal(shape):
    w = init.orthogonal_(np.empty(shape), gain=2.0).reshape(shape[0], -1) / 2
    gram = w @ w.T if len(w) <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-12)


def test_orthogonal_is_evenly_distributed():
    # The sign correction: without it the diagonal is never positive.
    signs = [init.orthogonal_(np.empty((3, 3)))[0, 0] > 0 for _ in range(200)]
    assert 60 < sum(signs) < 140


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4), (0, 3)])
def test_eye(torch, dtype, shape):
    w = dl.Tensor(np.ones(shape, dtype))
    assert init.eye_(w) is w and w.dtype == dtype
    np.testing.assert_array_equal(w.data, torch.nn.init.eye_(torch.ones(shape)))


@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("shape", [(6, 4, 3), (12, 2, 5, 4), (6, 8, 3, 1, 2)])
def test_dirac(torch, shape, groups):
    w = init.dirac_(np.ones(shape, "f4"), groups)
    want = torch.nn.init.dirac_(torch.ones(shape), groups)
    np.testing.assert_array_equal(w, want)


def test_dirac_passes_on(rng):
    x = rng.standard_normal((2, 4, 7, 7))
    w = init.dirac_(np.empty((4, 2, 3, 3)), groups=2)
    np.testing.assert_array_equal(dl.conv2d(x, w, padding=1, groups=2), x)


@pytest.mark.parametrize("sparsity", [0, 0.1, 0.5, 1])
def test_sparse(sparsity):
    w = init.sparse_(np.empty((50, 40), "f4"), sparsity, std=0.5)
    zeros = (w == 0).sum(axis=0)
    assert (zeros == math.ceil(sparsity * 50)).all()
    if sparsity < 1:
        assert abs(w[w != 0].std() / 0.5 - 1) < 0.1
    if sparsity == 0.5:  # other rows in each column
        assert len({column.tobytes() for column in (w == 0).T}) == 40


FILLS = [name for name in dir(init) if name.endswith("_") and name[0] != "_"]


@pytest.mark.parametrize("name", FILLS)
def test_repeats(name):
    fill = getattr(init, name)
    more = {"constant_": (3,), "sparse_": (0.2,)}.get(name, ())
    shape = (8, 6, 3) if name == "dirac_" else (8, 6)
    draws = []
    for seed in (1, 1, 2):
        dl.manual_seed(seed)
        draws.append(fill(np.empty(shape), *more))
    np.testing.assert_array_equal(draws[0], draws[1])
    fixed = name in ("constant_", "ones_", "zeros_", "eye_", "dirac_")
    assert (draws[0] == draws[2]).all() == fixed


W = np.empty((3, 3))
BAD = [
    (lambda: init.kaiming_normal_(np.empty(3)), "kaiming_normal_: tensor must have at"),
    (lambda: init.orthogonal_(np.empty((0, 3))), "orthogonal_: tensor must have at"),
    (lambda: init.kaiming_uniform_(W, mode="out"), "mode must be 'fan_in' or"),
    (lambda: init.kaiming_uniform_(W, nonlinearity="x"), "nonlinearity must be one of"),
    (lambda: init.trunc_normal_(W, a=2, b=1), "trunc_normal_: a must be below b"),
    (lambda: init.eye_(np.empty(3)), r"eye_: tensor must have 2 dimensions, got"),
    (lambda: init.dirac_(W), r"dirac_: tensor must have 3, 4 or 5 dimensions"),
    (lambda: init.dirac_(np.empty((3, 1, 1)), 2), "groups must divide the 3 outputs"),
    (lambda: init.dirac_(np.empty((3, 1, 1)), 0), "groups must divide the 3 outputs"),
    (lambda: init.sparse_(np.empty(3), 0.5), "sparse_: tensor must have 2 dimensions"),
    (lambda: init.sparse_(W, 1.5), "sparse_: sparsity must be from 0 to 1, got 1.5"),
    (lambda: init.trunc_normal_(W, std=0), "trunc_normal_: a must be below b"),
]


@pytest.mark.parametrize("call, match", BAD)
def test_bad_calls(call, match):
    with pytest.raises(ValueError, match=match):
        call()
