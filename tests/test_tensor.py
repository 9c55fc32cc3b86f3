"""Tensor and the tape: who gets a gradient, whose memory it is, what is refused."""

import copy
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest

import dlcore as dl
from dlcore.tensor import record
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


# -- the walk --


def test_diamonds(rng):
    """Results that are used more than once, by ops that hand on what they are given."""
    gradcheck(lambda x: x + x, rng.standard_normal(3))
    gradcheck(lambda x: (x + x) + (x + x), rng.standard_normal(3))

    def tangle(x, y):
        a = x + y
        b = a + x
        c = b + a
        return (c + b) * (a + c) + c

    gradcheck(tangle, rng.standard_normal(3), rng.standard_normal(3))


def test_gradient_given_to_two_parents_is_not_shared():
    x, y = leaf(1, 2), leaf(3, 4)
    dy = np.ones(2)
    (x + y).backward(dy)
    assert not np.shares_memory(x.grad.data, y.grad.data)
    assert not np.shares_memory(x.grad.data, dy)
    x.grad.data += 1
    assert dy.tolist() == [1, 1] and y.grad.tolist() == [1, 1]


def test_root_that_is_a_leaf():
    x, dy = leaf(1, 2), np.ones(2)
    x.backward(dy)
    x.backward(dy)
    assert x.grad.tolist() == [2, 2] and dy.tolist() == [1, 1]


def test_fresh_gradient_is_taken_saved_one_is_copied():
    given = {}

    def op(x, saved):
        def backward(dy):
            dx = saved if saved is not None else np.full(2, 7.0)
            given["at"] = dx.__array_interface__["data"][0]
            return (dx,)

        return record(np.zeros(2), (x,), backward)

    for saved, taken in (
        (None, True),
        (np.full(2, 7.0), False),
        (np.full(4, 7.0)[::2], False),
    ):
        x = leaf(1, 2)
        op(x, saved).backward(np.ones(2))
        assert x.grad.tolist() == [7, 7]
        assert (x.grad.data.__array_interface__["data"][0] == given["at"]) == taken


def test_same_array_for_two_leaves_is_copied():
    x, y = leaf(1, 2), leaf(3, 4)

    def backward(dy):
        dx = np.full(2, 5.0)
        return dx, dx

    record(np.zeros(2), (x, y), backward).backward(np.ones(2))
    assert not np.shares_memory(x.grad.data, y.grad.data)


def test_gradients_add_up_over_calls():
    x = leaf(1, 2)
    for _ in range(3):
        (x * 2).backward(np.ones(2))
    assert x.grad.tolist() == [6, 6]


def test_graph_is_used_once():
    x = leaf(3)
    y = x * x
    z = y * 2
    z.backward()
    with pytest.raises(RuntimeError, match=r"used already .* run forward again"):
        z.backward()
    before = x.grad.tolist()
    with pytest.raises(RuntimeError, match="used already"):
        (y * 5).backward()
    assert x.grad.tolist() == before


def test_retain_graph():
    x = leaf(3)
    y = (x * x).exp().log()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == pytest.approx(12)
    with pytest.raises(RuntimeError, match="used already"):
        y.backward()


def test_retain_grad_twice_counts_once():
    x = leaf(3)
    y = x * 2
    y.retain_grad()
    y.retain_grad()
    x.retain_grad()  # a leaf keeps it anyway
    (y * 5).backward()
    assert y.grad.item() == 5 and x.grad.item() == 10


def test_deep_graph():
    x = leaf(1)
    y = x
    for _ in range(20000):
        y = y + 0.0
    y.backward()
    assert x.grad.item() == 1


def test_walk_frees_what_it_has_passed():
    x = leaf(1)
    a = x * 2
    b = a * 3
    c = b * 4
    kept = weakref.ref(a)
    del a, b
    assert kept() is not None
    c.backward()
    assert kept() is None


def test_graph_makes_no_cycles():
    gc.collect()
    gc.disable()
    try:
        x = leaf(1)
        y = (x * 2).exp()
        kept = weakref.ref(y)
        del y
        assert kept() is None
    finally:
        gc.enable()


def test_only_where_a_gradient_is_wanted():
    x, y = leaf(1), dl.Tensor([2.0]).double()
    (x * y).backward()
    assert y.grad is None and x.grad.item() == 2
    z = y * y
    assert z.is_leaf and not z.requires_grad


def test_missing_gradient_is_none():
    x, y = leaf(1, 2), leaf(3, 4)
    record(np.zeros(2), (x, y), lambda dy: (None, dy)).backward(np.ones(2))
    assert x.grad is None and y.grad.tolist() == [1, 1]


def test_backward_must_answer_for_each_parent():
    x, y = leaf(1, 2), leaf(3, 4)
    with pytest.raises(ValueError, match="zip"):
        record(np.zeros(2), (x, y), lambda dy: (dy,)).backward(np.ones(2))


def test_threads_add_up():
    x = dl.Tensor(np.zeros(100_000), requires_grad=True)

    def work():
        for _ in range(10):
            (x + 1.0).backward(np.ones(100_000))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (x.grad.data == 40).all()


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
    with pytest.raises(RuntimeError, match="the gradient would be lost"):
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
    (lambda: np.sin(T), TypeError, "np.sin: must not be given a Tensor"),
    (lambda: len(dl.tensor(1.0)), TypeError, "no dimensions"),
    (lambda: dl.Tensor("abc"), TypeError, "must be real numbers"),
    (lambda: dl.Tensor([1j]), TypeError, "must be real numbers, got dtype complex128"),
    (lambda: dl.Tensor(np.ma.array([1.0])), TypeError, "masked"),
    (lambda: dl.Tensor([1], requires_grad=True), RuntimeError, "only float32 and"),
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


def test_a_gradient_of_another_shape_is_not_added_to():
    x = dl.Tensor(np.zeros(3), True)
    x.grad = dl.Tensor(np.zeros((1, 3)))
    with pytest.raises(RuntimeError, match="grad must have the shape of its tensor"):
        dl.exp(x).sum().backward()
