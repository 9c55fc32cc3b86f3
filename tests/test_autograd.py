"""grad and backward beside PyTorch's: inputs, graphs that stay, errors."""

import numpy as np
import pytest
from autograd_helpers import leaf, pair, same
from op_examples import EXAMPLES

import dlcore as dl
from dlcore.tensor import record

# -- grad --


def test_grad_beside_torch(torch, rng):
    a, a_ = pair(torch, rng.standard_normal((3, 4)))
    b, b_ = pair(torch, rng.standard_normal(4))
    dy = rng.standard_normal((3, 4))

    def f(a, b):
        h = a * b
        return h, (h.tanh() + a) * h

    h, y = f(a, b)
    h_, y_ = f(a_, b_)
    got = dl.grad([y, h], [a, h, b], [dy, dy])
    want = torch.autograd.grad([y_, h_], [a_, h_, b_], [torch.from_numpy(dy)] * 2)
    assert type(got) is tuple
    for mine, theirs in zip(got, want, strict=True):
        same(mine, theirs)
    assert a.grad is None and b.grad is None


def test_grad_of_what_is_not_used():
    x, other = leaf(1, 2), leaf(3)
    y = (x * 2.0).sum()
    with pytest.raises(RuntimeError, match=r"grad: inputs\[1\], of shape \(1,\), was"):
        dl.grad(y, [x, other])
    y = (x * 2.0).sum()
    dx, none = dl.grad(y, [x, other], allow_unused=True)
    assert none is None and dx.tolist() == [2, 2]


def test_grad_computes_what_lies_between_only():
    """As in PyTorch: the rest of the graph is neither computed nor used up."""
    called = []
    a, b = leaf(1, 2), leaf(3, 4)

    def node(name, *parents):
        def backward(dy):
            called.append(name)
            return tuple(dy for _ in parents)

        return record(np.zeros(2), parents, backward)

    left, right = node("left", a), node("right", b)
    top = node("top", left, right)
    dl.grad(top, a, np.ones(2), retain_graph=True)
    assert called == ["top", "left"]
    called.clear()
    dl.grad(top, left, np.ones(2), retain_graph=True)
    assert called == ["top"]
    called.clear()
    dl.grad(top, [left, a], np.ones(2))
    assert called == ["top", "left"]
    right.backward(np.ones(2))
    assert b.grad.tolist() == [1, 1]


def test_grad_of_an_output_itself():
    x = leaf(1, 2)
    y = x * 3.0
    dx, dy = dl.grad(y, [x, y], np.array([1.0, 2.0]))
    assert dx.tolist() == [3, 6] and dy.tolist() == [1, 2]
    (same_leaf,) = dl.grad(x, x, np.ones(2))
    assert same_leaf.tolist() == [1, 1]


def test_gradients_are_arrays_of_their_own():
    x, y, dz = leaf(1, 2), leaf(3, 4), np.ones(2)
    h = x + y
    found = dl.grad(h + 0.0, [x, y, h], dz)
    arrays = [dz, *(g.data for g in found)]
    for i, a in enumerate(arrays):
        a += 1
        for b in arrays[i + 1 :]:
            assert not np.shares_memory(a, b)


def test_grad_of_a_graph_that_was_used():
    x = leaf(3)
    y = x * x
    dl.grad(y, x)
    with pytest.raises(RuntimeError, match="used already"):
        dl.grad(y, x)
    y = x * x
    for _ in range(3):
        assert dl.grad(y, x, retain_graph=True)[0].item() == 6


@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda x: dl.grad(x * 2.0, x), RuntimeError, r"grad: gradient must be given"),
        (lambda x: dl.grad(x, x.detach(), x.data), RuntimeError, "each of inputs must"),
        (lambda x: dl.grad(x.detach(), x), RuntimeError, "no gradient was recorded"),
        (
            lambda x: dl.grad([x, x], x, [x.data]),
            ValueError,
            "one gradient for each of 2",
        ),
        (lambda x: dl.grad(3.0, x), TypeError, "float"),
        (lambda x: dl.grad([3.0], x), TypeError, "grad: tensors must be Tensors"),
        (lambda x: dl.grad(x, x, np.ones(3)), ValueError, r"must have shape \(2,\)"),
    ],
)
def test_bad_calls_of_grad(call, error, match):
    with pytest.raises(error, match=match):
        call(leaf(1, 2))


OPS = (
    lambda a, b: a + b,
    lambda a, b: a * b * 0.5,
    lambda a, b: a - b.tanh(),
    lambda a, b: a.tanh() / (b * b + 1.0),
    lambda a, b: a.sum(0, keepdim=True) + b,
    lambda a, b: (a[:, :1] * b).sigmoid(),
    lambda a, b: a.mean() * b,
)


def random_graph(seed, leaves):
    """A scalar of some thirty ops; the same of either library for one seed."""
    rng = np.random.default_rng(seed)
    made = list(leaves)
    for _ in range(30):
        a, b = (made[i] for i in rng.integers(0, len(made), 2))
        made.append(OPS[rng.integers(0, 7)](a, b))
    picked = [made[i] for i in rng.permutation(len(made))[:4] if made[i].requires_grad]
    return sum((t * t).sum() for t in made[-3:]) * 0.1, picked


@pytest.mark.parametrize("seed", range(25))
def test_random_graphs_beside_torch(torch, seed):
    """First and second gradients by leaves and by results between."""
    data = np.random.default_rng(seed).standard_normal((3, 2, 3))
    found = []
    for package in (dl, torch):
        if package is dl:
            leaves = [dl.Tensor(d.copy(), requires_grad=True) for d in data]
        else:
            leaves = [torch.from_numpy(d.copy()).requires_grad_() for d in data]
        y, between = random_graph(seed, leaves)
        inputs = [*leaves, *between]
        first = package.autograd.grad(y, inputs, create_graph=True, allow_unused=True)
        squares = sum((g * g).sum() for g in first if g is not None)
        second = package.autograd.grad(squares, inputs, allow_unused=True)
        found.append([*first, *second])
    assert any(g is not None for g in found[0][len(found[0]) // 2 :])
    for mine, theirs in zip(*found, strict=True):
        if mine is None or theirs is None:  # PyTorch may tell zeros by None, or not
            assert all(g is None or not g.detach().any() for g in (mine, theirs))
        else:
            np.testing.assert_allclose(
                mine.data, theirs.detach().numpy(), rtol=1e-8, atol=1e-10
            )


def test_deep_graphs_of_gradients():
    x = leaf(1.0)
    y = x
    for _ in range(5000):
        y = y * 1.0
    (dx,) = dl.grad(y, x, create_graph=True)
    assert dx.item() == 1
    del y, dx


# -- backward --


def test_backward_for_some_inputs(torch, rng):
    a, a_ = pair(torch, rng.standard_normal(3))
    b, b_ = pair(torch, rng.standard_normal(3))
    for x, y in ((a, b), (a_, b_)):
        h = x * y
        z = (h * h).sum()
        z.backward(inputs=[x], retain_graph=True)
        z.backward(inputs=x)
    same(a.grad, a_.grad)
    assert b.grad is None


def test_backward_into_a_result():
    x = leaf(1, 2)
    h = x * 2.0
    (h * 3.0).sum().backward(inputs=[h])
    assert h.grad.tolist() == [3, 3] and x.grad is None


def test_backward_of_several(torch, rng):
    a, a_ = pair(torch, rng.standard_normal(3))
    dl.autograd.backward([(a * 2.0).sum(), a * a], [None, np.ones(3)])
    torch.autograd.backward([(a_ * 2.0).sum(), a_ * a_], [None, torch.ones(3)])
    same(a.grad, a_.grad)


def test_backward_with_create_graph(torch, rng):
    """The gradient has a graph: gradients of it are added to what is there."""
    a, a_ = pair(torch, rng.standard_normal(3))
    for x, package in ((a, dl), (a_, torch)):
        y = (x**3.0).sum()
        (first,) = package.autograd.grad(y, x, create_graph=True)
        first.sum().backward()
    same(a.grad, a_.grad)
    a.grad = None
    (a**3.0).sum().backward(create_graph=True)
    assert a.grad.requires_grad
    a.grad.sum().backward()
    np.testing.assert_allclose(a.grad.data, 3 * a.data**2 + 6 * a.data)


def test_a_gradient_that_is_a_tensor_with_a_graph():
    x, v = leaf(1, 2), leaf(3, 4)
    (dx,) = dl.grad(x * x, x, v, create_graph=True)
    dv, ddx = dl.grad(dx.sum(), [v, x])
    assert dv.tolist() == [2, 4] and ddx.tolist() == [6, 8]


def gradients(name, of):
    """Those of an op's example, from the gradient ``of(result)``."""
    example = EXAMPLES[name]
    dl.manual_seed(1)
    tensors = [
        dl.Tensor(a, a.dtype.kind == "f") if isinstance(a, np.ndarray) else a
        for a in example.arrays()
    ]
    given = example.positional(tensors)
    made = getattr(dl, name)(*example.first, *given, *example.extra, **example.options)
    while isinstance(made, (tuple, list)):
        made = made[0]
    if not getattr(made, "requires_grad", False):
        pytest.skip("has no gradient")
    made.backward(of(made))
    inputs = [t for t in tensors if getattr(t, "requires_grad", False)]
    return [t.grad.data for t in inputs if t.grad is not None]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_gradient_that_is_read_only(name):
    """And has no memory for each element."""

    def twos(y):
        return np.broadcast_to(y.dtype.type(2), y.shape)

    for got, want in zip(
        gradients(name, twos), gradients(name, lambda y: twos(y).copy()), strict=True
    ):
        np.testing.assert_array_equal(got, want)


def test_a_read_only_array_in_grad():
    x = leaf(1, 2)
    x.grad = dl.Tensor(np.broadcast_to(1.0, (2,)))
    (x * 2.0).sum().backward()
    assert x.grad.tolist() == [3, 3]
