"""Gated linear units and PReLU beside NumPy's and PyTorch's."""

import numpy as np
import pytest
import reference_activation as reference

import dlcore as dl
from dlcore import nn
from dlcore.testing import assert_close, gradcheck

GATES = ["glu", "geglu", "swiglu", "reglu"]
SHAPES = [((2,), 0), ((3, 34), 1), ((2, 6, 5), 1), ((4, 3), 0), ((2, 4100), -1)]


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("shape, dim", SHAPES)
def test_gate(isa, dtype, rng, name, shape, dim):
    x = (2 * rng.standard_normal(shape)).astype(dtype)
    want = getattr(reference, name)(x.astype("d"), dim)
    y = getattr(dl, name)(x, dim)
    assert y.dtype == dtype
    assert_close(y, want, ulp=6, scale=np.abs(np.split(x, 2, dim)).prod(0) + 1)
    out = np.empty_like(y)
    assert getattr(dl, name)(x, dim, out=out) is out and np.array_equal(out, y)
    if x.size < 200:
        gradcheck(lambda x: getattr(dl, name)(x, dim), x.astype("d"))


def test_geglu_by_tanh(isa, rng):
    x = rng.standard_normal((3, 10))
    a, b = np.split(x, 2, -1)
    want = a * dl.gelu(b, "tanh")
    np.testing.assert_allclose(dl.geglu(x, approximate="tanh"), want, rtol=1e-14)
    gradcheck(lambda x: dl.geglu(x, approximate="tanh"), x)


@pytest.mark.parametrize("name", GATES)
def test_gate_is_its_composition(torch, isa, rng, name):
    """PyTorch has glu; the others as their papers compose them."""
    x, dy = rng.standard_normal((5, 4, 50)), rng.standard_normal((5, 2, 50))
    t, s = torch.tensor(x, requires_grad=True), dl.Tensor(x, requires_grad=True)
    act = {"glu": torch.sigmoid}.get(name) or getattr(
        torch.nn.functional, {"geglu": "gelu", "swiglu": "silu", "reglu": "relu"}[name]
    )
    a, b = t.chunk(2, 1)
    (a * act(b)).backward(torch.tensor(dy))
    getattr(dl, name)(s, 1).backward(dy)
    np.testing.assert_allclose(s.grad, t.grad.numpy(), rtol=1e-12, atol=1e-14)


PRELU = [
    ((7,), 1),
    ((3, 5), 1),
    ((3, 5), 5),
    ((300, 37), 37),
    ((2, 3, 17), 3),
    ((4, 2, 33, 129), 2),
    ((2, 5, 1), 5),
    ((1, 1, 70), 1),
    ((70000,), 1),
    ((0, 4), 4),
    ((2, 3, 0), 3),
    ((), 1),
]


@pytest.mark.parametrize("shape, channels", PRELU)
def test_prelu(isa, dtype, rng, shape, channels):
    x = np.asarray(rng.standard_normal(shape), dtype)
    w, dy = rng.uniform(-1, 1, channels).astype(dtype), np.asarray(x * 0.5 - 0.25)
    tensors = dl.Tensor(x, requires_grad=True), dl.Tensor(w, requires_grad=True)
    y = dl.prelu(*tensors)
    assert_close(y.detach().numpy(), reference.prelu(x.astype("d"), w.astype("d")))
    y.backward(dy)
    slope = np.minimum(x, 0.0) * dy
    below = -reference.prelu(np.full(shape, -1.0), w)
    assert_close(tensors[0].grad.numpy(), dy * np.where(x > 0, 1.0, below))
    axes = tuple(i for i in range(x.ndim) if i != 1) if channels > 1 else None
    want = slope.astype("d").sum(axes).reshape(w.shape)
    scale = np.abs(slope).astype("d").sum(axes).reshape(w.shape)
    assert_close(tensors[1].grad.numpy(), want, ulp=40, scale=scale)


def test_prelu_has_the_same_bits_for_any_number_of_threads(isa, threads, rng):
    for shape, channels in (((64, 8, 700), 8), ((3000, 65), 65), ((200_001,), 1)):
        x, w = rng.standard_normal(shape).astype("f"), np.full(channels, 0.25, "f")
        results = []
        for n in (1, 2, 3):
            threads(n)
            tensors = [dl.Tensor(v, requires_grad=True) for v in (x, w)]
            dl.prelu(*tensors).backward(x)
            results.append([t.grad.data for t in tensors])
        for dx, dw in results[1:]:
            np.testing.assert_array_equal(dx, results[0][0])
            np.testing.assert_array_equal(dw, results[0][1])


def test_prelu_of_special_values(isa, dtype):
    x = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0], dtype)
    y = dl.prelu(x, np.array([0.5], dtype))
    np.testing.assert_array_equal(y, [np.nan, np.inf, -np.inf, 0, 0])
    z = x.copy()
    assert dl.prelu(z, np.array([0.5], dtype), out=z) is z
    np.testing.assert_array_equal(z, y)


@pytest.mark.parametrize("channels", [1, 4])
def test_prelu_module_is_pytorchs(torch, rng, channels):
    mine = nn.PReLU(channels, 0.1).double()
    theirs = torch.nn.PReLU(channels, 0.1, dtype=torch.float64)
    assert repr(mine) == repr(theirs)
    theirs.load_state_dict({k: torch.tensor(v) for k, v in mine.state_dict().items()})
    mine.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    for shape in ((3, 4), (2, 4, 5, 6)):
        x, dy = rng.standard_normal(shape), rng.standard_normal(shape)
        s, t = dl.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        y, z = mine(s), theirs(t)
        y.backward(dy)
        z.backward(torch.tensor(dy))
        np.testing.assert_allclose(y.detach(), z.detach().numpy(), rtol=1e-14)
        np.testing.assert_allclose(s.grad, t.grad.numpy(), rtol=1e-14)
        want = theirs.weight.grad.numpy()
        np.testing.assert_allclose(mine.weight.grad, want, rtol=1e-12)


@pytest.mark.parametrize("code", ["GLU()", "GEGLU(0)", "SwiGLU()", "ReGLU(dim=1)"])
def test_gate_modules(rng, code):
    layer = eval(f"nn.{code}", {"nn": nn})
    x = rng.standard_normal((4, 6))
    want = getattr(dl, type(layer).__name__.lower())(x, layer.dim)
    np.testing.assert_array_equal(layer(x), want)
    assert f"dim={layer.dim}" in repr(layer)


X = np.zeros((2, 3), "f")
BAD = [
    (lambda: dl.glu(X), ValueError, r"even size along dim 1, got x.shape = \(2, 3\)"),
    (lambda: dl.glu(X, 2), IndexError, "glu: dim must be from -2 to 1"),
    (lambda: dl.swiglu([1.0, 2.0]), TypeError, "swiglu: x must be a NumPy array"),
    (lambda: dl.reglu(np.zeros((), "f")), ValueError, "must have at least 1 axis"),
    (lambda: dl.geglu(X, 0, "erf"), ValueError, "'none' or 'tanh', got 'erf'"),
    (lambda: nn.GEGLU(0, "erf"), ValueError, "GEGLU: approximate must be one of"),
    (lambda: dl.glu(X, "a"), TypeError, "glu: dim must be a whole number"),
    (lambda: nn.PReLU(0), ValueError, "PReLU: num_parameters must be at least 1"),
    (lambda: nn.PReLU(2)(X), ValueError, r"weight.shape = \(2,\) for x.shape = \(2, 3"),
    (lambda: dl.prelu(X, X), ValueError, "weight must have one axis"),
    (lambda: dl.prelu(X, np.ones(3)), TypeError, "x and weight must have one dtype"),
    (lambda: dl.prelu(X[0], np.ones(3, "f")), ValueError, "1 element, or one for each"),
]


@pytest.mark.parametrize("call, error, match", BAD)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()
