from functools import partial

import numpy as np
import pytest
import reference

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

V = 16  # lanes of the widest vector in float32
ACTIVATIONS = {
    "relu": (dl.relu, reference.relu),
    "relu6": (dl.relu6, reference.relu6),
    "leaky_relu": (dl.leaky_relu, reference.leaky_relu),
    "leaky_relu 0.3": (
        partial(dl.leaky_relu, negative_slope=0.3),
        partial(reference.leaky_relu, negative_slope=0.3),
    ),
    "sigmoid": (dl.sigmoid, reference.sigmoid),
    "tanh": (dl.tanh, np.tanh),
    "gelu": (dl.gelu, reference.gelu),
    "gelu tanh": (partial(dl.gelu, approximate="tanh"), reference.gelu_tanh),
    "silu": (dl.silu, reference.silu),
}


@pytest.fixture(params=ACTIVATIONS)
def activation(request):
    return ACTIVATIONS[request.param]


@pytest.mark.parametrize("n", [0, 1, V - 1, V, V + 1, 4 * V, 9 * V + 5, 1000])
def test_forward(isa, dtype, rng, activation, n):
    function, exact = activation
    x = (3 * rng.standard_normal(n)).astype(dtype)
    y = function(x)
    assert y.dtype == dtype
    assert_close(y, exact(x.astype("d")), ulp=4, scale=np.maximum(1, np.abs(x)))


def test_gradient(isa, rng, activation):
    gradcheck(activation[0], 2 * rng.standard_normal((3, 7)))


@pytest.mark.parametrize(
    "name", ["relu", "relu6", "leaky_relu", "sigmoid", "tanh", "gelu", "silu"]
)
def test_against_pytorch(isa, torch, rng, name):
    x = rng.uniform(-12, 12, 4001).astype("f")
    dy = rng.standard_normal(4001).astype("f")
    t = torch.tensor(x, requires_grad=True)
    y = getattr(torch.nn.functional, name)(t)
    y.backward(torch.tensor(dy))
    mine = dl.Tensor(x, requires_grad=True)
    z = getattr(dl, name)(mine)
    z.backward(dy)
    scale = np.maximum(1, np.abs(x))
    assert_close(z, y.detach().numpy().astype("d"), ulp=4, scale=scale)
    assert_close(mine.grad, t.grad.numpy().astype("d"), ulp=8, scale=np.abs(dy))


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "gelu", "silu"])
def test_twice_the_error_of_pytorch_at_most(torch, isa, rng, name):
    x = rng.uniform(-8, 8, 100001).astype("f")
    exact = ACTIVATIONS[name][1](x.astype("d"))
    mine = np.abs(getattr(dl, name)(x) - exact)
    theirs = np.abs(getattr(torch.nn.functional, name)(torch.tensor(x)).numpy() - exact)
    assert mine.max() <= 2 * theirs.max()
    assert mine.mean() <= 2 * theirs.mean()


def test_gradients_at_infinity_are_their_limits(isa, dtype, activation):
    function, _ = activation
    x = dl.Tensor(
        np.tile(np.array([np.inf, -np.inf, np.nan], dtype), V), requires_grad=True
    )
    function(x).backward(np.ones(3 * V, dtype))
    up, down, nan = x.grad.data[:3]
    assert up in (0, 1)
    assert down in (0, np.dtype(dtype).type(0.01), np.dtype(dtype).type(0.3))
    assert np.isnan(nan) or function in (dl.relu, dl.relu6, *[f for f, _ in LEAKY])


LEAKY = [ACTIVATIONS["leaky_relu"], ACTIVATIONS["leaky_relu 0.3"]]


def test_tanh_and_sigmoid_stay_in_range(isa, dtype, rng):
    x = rng.uniform(-40, 40, 100000).astype(dtype)
    assert np.abs(dl.tanh(x)).max() <= 1
    assert 0 <= dl.sigmoid(x).min() and dl.sigmoid(x).max() <= 1


def test_out_and_in_place(dtype, rng, activation):
    function, _ = activation
    x = rng.standard_normal(1000).astype(dtype)
    want = function(x)
    y = np.empty_like(x)
    assert function(x, out=y) is y
    assert np.array_equal(y, want)
    assert np.array_equal(function(x, out=x), want)


def test_memory_layouts(rng, activation):
    function, _ = activation
    x = rng.standard_normal((6, 35)).astype("f")
    want = function(x)
    for view in (np.repeat(x, 2, 1)[:, ::2], np.asfortranarray(x), x.astype(">f4")):
        assert np.array_equal(function(view), want)
    x.setflags(write=False)
    assert np.array_equal(function(x), want)


def test_the_same_bits_for_any_number_of_threads(threads, rng, activation):
    x = rng.standard_normal(150001).astype("f")
    results = []
    for n in (1, 2, 3):
        threads(n)
        t = dl.Tensor(x, requires_grad=True)
        y = activation[0](t)
        y.backward(x)
        results.append((y.data, t.grad.data))
    for y, dx in results[1:]:
        assert np.array_equal(y, results[0][0])
        assert np.array_equal(dx, results[0][1])


@pytest.mark.parametrize(
    "call, exception, match",
    [
        (lambda: dl.relu([1.0]), TypeError, "relu: x must be a NumPy array, got list"),
        (
            lambda: dl.tanh(np.arange(3)),
            TypeError,
            "tanh: x must be float32 or float64",
        ),
        (
            lambda: dl.gelu(np.zeros(3), "erf"),
            ValueError,
            "'none' or 'tanh', got 'erf'",
        ),
        (lambda: dl.leaky_relu(np.zeros(3), "a"), TypeError, "negative_slope"),
        (lambda: dl.silu(np.ma.zeros(3)), TypeError, "silu: x must not be a masked"),
    ],
)
def test_bad_calls(call, exception, match):
    with pytest.raises(exception, match=match):
        call()
