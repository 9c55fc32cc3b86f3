"""Tensor: operators, recording or not, changes in place, what it looks like."""

import copy
import pickle
import threading

import numpy as np
import pytest

import dlcore as dl
from dlcore.testing import gradcheck


def leaf(*values, dtype="float64"):
    return dl.Tensor(np.array(values, dtype), requires_grad=True)


def test_worked_figure():
    """L = (a * b + c) * f, the notes' graph, every edge of it."""
    a, b, c, f = (dl.tensor(v, requires_grad=True) for v in (2.0, -3.0, 10.0, -2.0))
    e = a * b
    d = e + c
    loss = d * f
    for result in (e, d):
        result.retain_grad()
    loss.backward()
    assert loss.item() == -8
    got = [x.grad.item() for x in (f, d, c, e, a, b)]
    assert got == [4, -2, -2, -2, 6, -4]


OPERATORS = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "pow": lambda x, y: abs(x) ** y,
    "matmul": lambda x, y: x @ y.T,
    "neg": lambda x, y: -x + y,
    "numbers": lambda x, y: 2 - x * 3 + 1 / y + 2 ** (y / 4) + (1 + y) / 2,
    "methods": lambda x, y: x.exp().mul(y).tanh().sum(dim=1).mean(),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(torch, rng, name):
    f = OPERATORS[name]
    x, y = rng.uniform(0.5, 2, (2, 3, 4))
    want = f(torch.from_numpy(x), torch.from_numpy(y)).numpy()
    np.testing.assert_allclose(f(dl.Tensor(x), dl.Tensor(y)).numpy(), want, rtol=1e-12)
    gradcheck(f, x, y)


def test_arrays_on_the_left(rng):
    x, a = leaf(1, 2), np.array([[3.0], [4.0]])
    assert type(a * x) is dl.Tensor
    np.testing.assert_array_equal((a * x).data, a * x.data)
    np.testing.assert_array_equal((np.float64(3) - x).data, 3 - x.data)
    gradcheck(lambda x: a / x + a @ x[:, None].T.sum(1, keepdim=True), x.data)


def test_comparisons():
    x = leaf(1, 2, 3)
    for got, want in [
        (x == 2, [0, 1, 0]),
        (x != leaf(1, 2, 3), [0, 0, 0]),
        (x < 2, [1, 0, 0]),
        (x <= np.full(3, 2.0), [1, 1, 0]),
        (x > 2, [0, 0, 1]),
        (2 <= x, [0, 1, 1]),
    ]:
        assert type(got) is dl.Tensor and got.dtype == bool and not got.requires_grad
        assert got.tolist() == [bool(w) for w in want]
    assert (x == 2).any() and not (x == 2).all()


def test_broadcast_gradients(rng):
    x, y = rng.standard_normal((3, 1)), rng.standard_normal(4)
    gradcheck(lambda x, y: x * y, x, y)
    gradcheck(lambda x, y: y + x, x, y)
    gradcheck(lambda x, y: x * y, rng.standard_normal(()), y)


# -- recording or not --


def test_no_grad():
    x = leaf(1)
    with dl.no_grad():
        assert not dl.is_grad_enabled()
        assert not (x * 2).requires_grad
        with dl.enable_grad():
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
    assert dl.is_grad_enabled() and (x * 2).requires_grad


def test_no_grad_as_decorator():
    @dl.no_grad()
    def f(x, depth=2):
        """Its doc."""
        return f(x, depth - 1) if depth else x * 2

    @dl.no_grad
    def g(x):
        return x * 2

    assert f.__doc__ == "Its doc."
    assert not f(leaf(1)).requires_grad and not g(leaf(1)).requires_grad
    assert dl.is_grad_enabled()


def test_no_grad_may_be_entered_again():
    block = dl.no_grad()
    with block:
        with block:
            pass
        assert not dl.is_grad_enabled()
    assert dl.is_grad_enabled()


def test_no_grad_ends_with_an_error():
    with pytest.raises(KeyError), dl.no_grad():
        raise KeyError
    assert dl.is_grad_enabled()


def test_no_grad_is_of_one_thread():
    seen = []
    with dl.no_grad():
        thread = threading.Thread(target=lambda: seen.append(dl.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_no_grad_that_two_threads_share():
    block, inside, seen = dl.no_grad(), threading.Event(), []

    def stays_until_the_other_is_in():
        with block:
            inside.wait(10)
        seen.append(dl.is_grad_enabled())

    thread = threading.Thread(target=stays_until_the_other_is_in)
    thread.start()
    with dl.no_grad(), block:
        inside.set()
        thread.join()
    assert seen == [True] and dl.is_grad_enabled()


def test_no_grad_does_not_decorate_what_runs_later():
    def generator():
        yield

    async def coroutine():
        pass

    for function in generator, coroutine:
        with pytest.raises(TypeError, match="no_grad: function must run when"):
            dl.no_grad(function)


# -- in place --


def test_in_place():
    x, same = dl.Tensor([1.0, 2.0]), None
    same = x
    x += 1
    x *= np.full(2, 2, "float32")
    x[0] = 9
    assert same is x and x.tolist() == [9, 6]


def test_in_place_is_recorded_as_a_new_tensor():
    x = leaf(1, 2)
    y = before = x * 2
    y += x
    assert y is not before
    y.backward(np.ones(2))
    assert x.grad.tolist() == [3, 3]


def test_leaf_in_place_only_without_grad():
    x = leaf(1, 2)
    with pytest.raises(RuntimeError, match=r"only under dl\.no_grad"):
        x += 1
    with pytest.raises(RuntimeError, match=r"x\[index\] = value: in place: a leaf"):
        x[0] = 5
    with pytest.raises(RuntimeError, match="the gradient would be lost"):
        dl.Tensor(np.zeros(2))[0] = x[0]
    with dl.no_grad():
        x -= 1
        x[1] = 5
    assert x.tolist() == [0, 5] and x.requires_grad and x.is_leaf


def test_change_after_use_is_refused():
    """As in PyTorch: what an op saved would no longer be what it computed with."""
    x = leaf(1, 2)
    y = x * x
    z = y.exp()
    with dl.no_grad():
        y += 1
    with pytest.raises(RuntimeError, match=r"shape \(2,\) was changed in place after"):
        z.backward(np.ones(2))
    y = x * x
    with dl.no_grad():
        x[0] = 3
    with pytest.raises(RuntimeError, match="was changed in place after it was used"):
        y.backward(np.ones(2))
    assert x.grad is None
    (x * x).backward(np.ones(2))
    assert x.grad.tolist() == [6, 4]


# -- what a Tensor is --


@pytest.mark.parametrize(
    "make, want",
    [
        (lambda: dl.Tensor([1.0, 0.0]), "tensor([1., 0.])"),
        (lambda: dl.tensor(3.14159265), "tensor(3.1416)"),
        (lambda: dl.tensor([1, 2]), "tensor([1, 2])"),
        (lambda: dl.tensor([True]), "tensor([ True])"),
        (lambda: leaf(1), "tensor([1.], dtype=float64, requires_grad=True)"),
        (lambda: leaf(1, dtype="f") * 2, "tensor([2.], grad_fn=<mul>)"),
        (lambda: dl.tensor(np.zeros((0, 3), "f")), "tensor([], shape=(0, 3))"),
        (lambda: dl.tensor([1], dtype="int8"), "tensor([1], dtype=int8)"),
        (
            lambda: dl.tensor(np.eye(2, dtype="f")),
            "tensor([[1., 0.],\n        [0., 1.]])",
        ),
        (lambda: dl.nn.Parameter([1.0]), "Parameter containing:\ntensor([1.], req"),
    ],
)
def test_repr(make, want):
    assert repr(make()).startswith(want)


def test_dtypes():
    assert dl.Tensor([1.0]).dtype == np.float32
    assert dl.Tensor(1.0).dtype == np.float32
    assert dl.Tensor(np.float64(1.0)).dtype == np.float64
    assert dl.Tensor(np.ones(1)).dtype == np.float64
    assert dl.Tensor([1, 2]).dtype == np.int64
    assert dl.Tensor(np.ones(2, ">f4")).dtype == np.dtype("f4")
    assert dl.tensor([1, 2], "float64").dtype == np.float64
    assert dl.Tensor([1, 2]).float().dtype == np.float32


def test_memory_is_shared_by_tensor_and_copied_by_tensor_function():
    x = np.ones(2)
    assert dl.Tensor(x).data is x and dl.Tensor(dl.Tensor(x)).data is x
    assert not np.shares_memory(dl.tensor(x).data, x)
    assert np.shares_memory(leaf(1).detach().numpy(), leaf(1).data) is False
    y = leaf(1, 2)
    assert y.detach().data is y.data and not y.detach().requires_grad
    assert np.shares_memory(np.asarray(y.detach()), y.data)
    assert np.array(y.detach(), dtype="f").dtype == np.float32


def test_facts():
    x = dl.Tensor(np.zeros((2, 3, 4)))
    assert x.shape == (2, 3, 4) == x.size() and x.size(-1) == 4
    assert (x.ndim, x.dim(), len(x), x.numel()) == (3, 3, 2, 24)
    assert x.T.shape == (4, 3, 2) and x.mT.shape == (2, 4, 3)
    assert [row.shape for row in x] == [(3, 4)] * 2
    assert x.view(6, -1).shape == (6, 4)
    assert x.tolist()[1][2] == [0.0] * 4


def test_numbers():
    x = dl.Tensor([2.5])
    assert x.item() == float(x) == 2.5 and int(x) == 2
    assert f"{x:.3f}" == "2.500" and f"{x}" == "tensor([2.5])"
    assert [10, 20, 30][dl.tensor(1)] == 20
    assert x and not dl.Tensor([0.0])


def test_hash_is_identity():
    x, y = leaf(1), leaf(1)
    assert len({x, y}) == 2 and {x: 1}[x] == 1


def test_copies():
    x = leaf(1, 2)
    for other in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert other.requires_grad and other.tolist() == [1, 2]
        assert not np.shares_memory(other.data, x.data)
    assert copy.copy(x).data is x.data
    p = copy.deepcopy(dl.nn.Parameter([1.0], requires_grad=False))
    assert type(p) is dl.nn.Parameter and not p.requires_grad
    y = x.clone()
    y.backward(np.ones(2))
    assert not np.shares_memory(y.data, x.data) and x.grad.tolist() == [1, 1]


T = dl.Tensor(np.ones((2, 3)))
BAD = [
    (lambda: T.backward(), RuntimeError, "no gradient was recorded"),
    (lambda: leaf(1, 2).backward(), RuntimeError, r"got shape \(2,\): call .sum"),
    (lambda: leaf(1, 2).backward(np.ones(3)), ValueError, r"shape \(2,\), got \(3,\)"),
    (lambda: T.item(), ValueError, r"item: .* got shape \(2, 3\)"),
    (lambda: bool(T), ValueError, r"call .any\(\) or .all\(\)"),
    (lambda: leaf(1).numpy(), RuntimeError, r"call .detach\(\) first"),
    (lambda: np.asarray(leaf(1)), RuntimeError, r"call .detach\(\) first"),
    (lambda: np.cbrt(T), TypeError, "np.cbrt: must not be given a Tensor"),
    (lambda: dl.Tensor(1.0, np.float32), TypeError, "True or False, .* takes a dtype"),
    (lambda: setattr(T, "data", [1.0]), TypeError, "data: must be an array or a Te"),
    (lambda: setattr(T, "data", np.ones(5)), ValueError, r"data: .* got \(5,\): make"),
    (
        lambda: setattr(T, "data", np.full(T.shape, 1j)),
        TypeError,
        "data must be real numbers, got dtype complex128",
    ),
    (
        lambda: setattr(leaf(1), "data", np.array([1])),
        TypeError,
        "data: must be of floating point where a gradient is required, got int64",
    ),
    (lambda: setattr(leaf(1), "grad", 5), TypeError, "grad: must be a Tensor, an arr"),
    (lambda: setattr(leaf(1), "grad", np.ones(2)), ValueError, r"grad: .*\(1,\), got"),
    (lambda: setattr(leaf(1), "grad", np.ones(1, "f")), TypeError, "the dtype of its"),
    (lambda: len(dl.tensor(1.0)), TypeError, "no dimensions"),
    (lambda: dl.Tensor("abc"), TypeError, "must be real numbers"),
    (lambda: dl.Tensor([1j]), TypeError, "must be real numbers, got dtype complex128"),
    (lambda: dl.Tensor(np.ma.array([1.0])), TypeError, "masked"),
    (lambda: dl.Tensor([1], requires_grad=True), RuntimeError, "only floating"),
    (lambda: (leaf(1) * 2).requires_grad_(False), RuntimeError, "only a leaf"),
    (lambda: T.retain_grad(), RuntimeError, "retain_grad: this tensor does not"),
    (lambda: copy.deepcopy(leaf(1) * 2), RuntimeError, r"detach\(\)"),
    (lambda: T + "a", TypeError, "add: b must be an array or a number"),
    (lambda: T + np.ones((3, 2)), ValueError, "add: a and b must"),
]


@pytest.mark.parametrize("call, error, match", BAD)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_what_is_assigned_is_taken_over():
    x = leaf(1, 2)
    a = np.array([3.0, 4.0])
    x.data = a
    assert x.data is a
    x.data = dl.Tensor(np.array([5.0, 6.0]))
    assert type(x.data) is np.ndarray and x.tolist() == [5, 6]
    x.data = x.data.astype(np.float32)
    x.grad = np.ones(2, np.float32)
    assert type(x.grad) is dl.Tensor and x.grad.tolist() == [1, 1]
    x.sum().backward()
    assert x.grad.tolist() == [2, 2]
    x.grad = None
    assert x.grad is None
