"""Activations with settings, and their modules, beside NumPy's and PyTorch's."""

import numpy as np
import pytest
import reference_activation as reference

import dlcore as dl
from dlcore import nn
from dlcore.testing import assert_close, gradcheck

V = 16  # lanes of the widest vector in float32
CURVES = {
    "elu": [(), (0.3,), (-1.5,)],
    "celu": [(), (2.0,), (0.7,)],
    "selu": [()],
    "softplus": [(), (2.0, 3.0), (-0.5, 4.0)],
    "logsigmoid": [()],
    "mish": [()],
    "softsign": [()],
    "tanhshrink": [()],
    "step": [(), (0.75,)],
    "hardsigmoid": [()],
    "hardswish": [()],
    "hardtanh": [(), (-0.5, 2.0)],
    "softshrink": [(), (1.25,)],
    "hardshrink": [(), (1.25,)],
    "threshold": [(0.5, -3.0)],
}
CASES = [(name, settings) for name, many in CURVES.items() for settings in many]
SIZES = [0, 1, V - 1, V, V + 1, 2 * V, 4 * V + 3, 1000]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}{case[1]}")
def curve(request):
    """The function, the same in NumPy, and its settings."""
    name, settings = request.param
    return (
        lambda x, **options: getattr(dl, name)(x, *settings, **options),
        lambda x: getattr(reference, name)(x, *settings),
        name,
    )


@pytest.mark.parametrize("n", SIZES)
def test_forward(isa, dtype, rng, curve, n):
    function, exact, _ = curve
    x = (3 * rng.standard_normal(n)).astype(dtype)
    kept = x.copy()
    y = function(x)
    assert y.dtype == dtype and np.array_equal(x, kept)
    assert_close(y, exact(x.astype("d")), ulp=4, scale=np.maximum(1, np.abs(x)))


def test_gradient(isa, rng, curve):
    x = 2 * rng.standard_normal((3, 41))
    x[np.abs(np.abs(x) % 0.25) < 1e-3] += 0.01  # off the kinks
    gradcheck(curve[0], x)


def test_special_values(isa, dtype, curve):
    function, exact, name = curve
    x = np.tile(np.array([np.nan, np.inf, -np.inf, -0.0, 1e-40, 88.0, -88.0], dtype), 9)
    t = dl.Tensor(x, requires_grad=True)
    y = function(t)
    with np.errstate(over="ignore", invalid="ignore"):
        want = exact(x.astype("d"))
    if name == "tanhshrink":
        want[np.isinf(x)] = x[np.isinf(x)]
    assert_close(y.detach().numpy(), want, ulp=4, scale=np.maximum(1, np.abs(x)))
    y.backward(np.ones_like(x))
    assert np.isfinite(t.grad.data[~np.isnan(x)]).all() or name in ("elu", "celu")


def test_layouts_and_out(dtype, rng, curve):
    function, _, name = curve
    x = rng.standard_normal((6, 35)).astype(dtype)
    want = function(x)
    for view in (np.repeat(x, 2, 1)[:, ::2], np.asfortranarray(x)):
        assert np.array_equal(function(view), want)
    if name != "tanhshrink":
        y = np.empty_like(x)
        assert function(x, out=y) is y and np.array_equal(y, want)
        assert np.array_equal(function(x, out=x), want)


@pytest.mark.parametrize("name", ["elu", "hardswish"])
def test_large_arrays_and_threads(isa, threads, rng, name):
    x = rng.standard_normal((1 << 22) + 37).astype("f")
    results = []
    for n in (1, 2):
        threads(n)
        t = dl.Tensor(x, requires_grad=True)
        y = getattr(dl, name)(t)
        y.backward(x)
        results.append((y.data, t.grad.data))
    np.testing.assert_array_equal(*[y for y, _ in results])
    np.testing.assert_array_equal(*[dx for _, dx in results])
    tail = x[-5000:]
    exact = getattr(reference, name)(tail.astype("d"))
    assert_close(results[0][0][-5000:], exact, ulp=4, scale=1 + np.abs(tail))


MODULES = {
    "ELU()": "elu",
    "ELU(0.5, inplace=True)": "elu",
    "CELU()": "celu",
    "CELU(1.5)": "celu",
    "SELU()": "selu",
    "Softplus()": "softplus",
    "Softplus(2.0, 3.0)": "softplus",
    "LogSigmoid()": "logsigmoid",
    "Mish()": "mish",
    "Softsign()": "softsign",
    "Tanhshrink()": "tanhshrink",
    "Hardsigmoid()": "hardsigmoid",
    "Hardswish()": "hardswish",
    "Hardtanh()": "hardtanh",
    "Hardtanh(-2.0, 0.5)": "hardtanh",
    "Softshrink()": "softshrink",
    "Hardshrink(0.25)": "hardshrink",
    "Threshold(0.5, -3.0)": "threshold",
    "Softmin(dim=1)": "softmin",
    "Softmax2d()": "softmax",
    "GLU(dim=1)": "glu",
}
KINKS = [0.0, -0.0, 0.25, -0.25, 0.5, -0.5, 1.0, -1.0, 1.5, 3.0, -3.0, -2.0, 10.0, 25.0]


@pytest.mark.parametrize("code", MODULES)
def test_module_is_pytorchs(torch, isa, rng, code):
    mine = eval(f"nn.{code}", {"nn": nn})
    theirs = eval(f"nn.{code}", {"nn": torch.nn})
    if "Hardsigmoid" not in code and "inplace" not in code:
        assert repr(mine) == repr(theirs)
    assert mine.state_dict() == dict(theirs.state_dict())
    x = 4 * rng.standard_normal((2, 6, 5, 7))
    x[0, 0].flat[: len(KINKS)] = KINKS
    t = torch.tensor(x, requires_grad=True)
    s = dl.Tensor(x, requires_grad=True)
    y, z = mine(s), theirs(t.clone())
    np.testing.assert_allclose(y.detach(), z.detach().numpy(), rtol=1e-13, atol=1e-15)
    dy = rng.standard_normal(y.shape)
    y.backward(dy)
    z.backward(torch.tensor(dy))
    rough = 1e-7 if "Hardsigmoid" in code else 1e-11  # PyTorch's 1 / 6 is a float
    np.testing.assert_allclose(s.grad, t.grad.numpy(), rtol=rough, atol=1e-13)


@pytest.mark.parametrize("name", ["elu", "selu", "softplus", "mish", "logsigmoid"])
def test_twice_the_error_of_pytorch_at_most(torch, isa, rng, name):
    x = rng.uniform(-8, 8, 100001).astype("f")
    exact = getattr(reference, name)(x.astype("d"))
    mine = np.abs(getattr(dl, name)(x) - exact)
    theirs = np.abs(getattr(torch.nn.functional, name)(torch.tensor(x)).numpy() - exact)
    assert mine.max() <= 2 * theirs.max()
    assert mine.mean() <= 2 * theirs.mean()


def test_step_is_the_perceptrons(isa, dtype):
    assert nn.Step()(np.array([-1, -0.0, 0, 2], dtype)).tolist() == [0, 1, 1, 1]
    assert repr(nn.Step(0.5)) == "Step(threshold=0.5)"
    x = dl.Tensor(np.ones(3, dtype), requires_grad=True)
    dl.step(x).sum().backward()
    assert not x.grad.data.any()


X = np.zeros((2, 3), "f")
BAD = [
    (lambda: dl.elu([1.0]), TypeError, "elu: x must be a NumPy array, got list"),
    (lambda: dl.mish(np.arange(3)), TypeError, "mish: x must be float32 or float64"),
    (lambda: dl.elu(X, "a"), TypeError, "elu: alpha must be a"),
    (lambda: dl.celu(X, 0.0), ValueError, "celu: alpha must not be 0"),
    (lambda: dl.softplus(X, 0.0), ValueError, "softplus: beta must not be 0"),
    (lambda: dl.softshrink(X, -1.0), ValueError, "softshrink: lambd must be at least"),
    (lambda: dl.hardtanh(X, 1.0, -1.0), ValueError, "min_val must be at most max_val"),
    (lambda: dl.threshold(X, 1.0), TypeError, "threshold"),
    (lambda: nn.Hardtanh(1.0, 1.0), ValueError, "max_val must be above min_val"),
    (lambda: nn.Softmax2d()(X), ValueError, "Softmax2d: x must have 3 or 4 axes"),
    (lambda: dl.softmin(X, 2), IndexError, "dim must be from -2 to 1"),
    (lambda: dl.selu(X, out=np.zeros(3)), (TypeError, ValueError), "selu: out must"),
]


@pytest.mark.parametrize("call, error, match", BAD)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()
