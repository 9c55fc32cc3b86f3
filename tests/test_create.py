"""New Tensors beside PyTorch's: values, dtypes, what is refused."""

import numpy as np
import pytest

import dlcore as dl

CALLS = {
    "zeros": lambda lib, x: lib.zeros(2, 3),
    "zeros of a tuple": lambda lib, x: lib.zeros((2, 3), requires_grad=True),
    "ones": lambda lib, x: lib.ones(2, device="cpu"),
    "full": lambda lib, x: lib.full((2, 2), 0.5),
    "full of whole": lambda lib, x: lib.full((3,), 7),
    "full of truth": lambda lib, x: lib.full((3,), True),
    "eye": lambda lib, x: lib.eye(3),
    "eye of two": lambda lib, x: lib.eye(2, 4),
    "arange": lambda lib, x: lib.arange(4),
    "arange from": lambda lib, x: lib.arange(1, 8, 3),
    "arange of fractions": lambda lib, x: lib.arange(0, 1, 0.25),
    "arange down": lambda lib, x: lib.arange(3.0, 0.0, -1),
    "linspace": lambda lib, x: lib.linspace(-1, 1, 5),
    "zeros_like": lambda lib, x: lib.zeros_like(x),
    "ones_like": lambda lib, x: lib.ones_like(x, requires_grad=True),
    "full_like": lambda lib, x: lib.full_like(x, 3),
    "as_tensor": lambda lib, x: lib.as_tensor([1.0, 2.0]),
    "as_tensor of one": lambda lib, x: lib.as_tensor(x),
}


@pytest.mark.parametrize("name", CALLS)
def test_are_pytorchs(torch, name):
    a = np.arange(6.0).reshape(2, 3)
    got = CALLS[name](dl, dl.Tensor(a))
    want = CALLS[name](torch, torch.from_numpy(a))
    assert type(got) is dl.Tensor and got.requires_grad == want.requires_grad
    assert got.shape == want.shape and got.dtype == want.detach().numpy().dtype
    np.testing.assert_allclose(got.data, want.detach().numpy(), rtol=1e-6)


def test_dtypes_and_arrays():
    assert dl.zeros(2, dtype="float64").dtype == np.float64
    assert dl.empty(2, 0).shape == (2, 0)
    assert type(dl.zeros_like(np.ones(3))) is np.ndarray
    a = np.ones(3, np.float32)
    assert dl.from_numpy(a).data is a and dl.as_tensor(a).data is a
    assert dl.as_tensor(a, "float64").dtype == np.float64
    assert dl.tensor([1.0], device="cpu").tolist() == [1.0]


@pytest.mark.parametrize("make", [dl.rand, dl.randn])
def test_random_numbers_that_require_a_gradient_are_a_tensor(make):
    assert type(make(2, device="cpu")) is np.ndarray
    dl.manual_seed(1)
    want = make(2, 3)
    dl.manual_seed(1)
    x = make(2, 3, requires_grad=True)
    assert type(x) is dl.Tensor and x.requires_grad
    np.testing.assert_array_equal(x.data, want)


@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda: dl.zeros(-1), ValueError, "zeros: negative"),
        (lambda: dl.zeros("a"), TypeError, "zeros: "),
        (lambda: dl.ones(2, device="cuda"), ValueError, "ones: device must be 'cpu'"),
        (lambda: dl.tensor(1, device="cuda"), ValueError, "tensor: device must be 'cp"),
        (lambda: dl.randn(2, device="cuda"), ValueError, "randn: device must be 'cpu'"),
        (lambda: dl.arange(0, 1, 0), ValueError, "arange: .*zero"),
        (lambda: dl.eye(1.5), TypeError, "eye: "),
        (lambda: dl.zeros(2, dtype="foo"), TypeError, "zeros: data type 'foo'"),
        (lambda: dl.zeros_like([1.0]), TypeError, "full_like: x must be an array"),
        (lambda: dl.from_numpy([1.0]), TypeError, "from_numpy: array must be an arr"),
        (lambda: dl.zeros(2, dtype=int, requires_grad=True), RuntimeError, "requires"),
    ],
)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()
