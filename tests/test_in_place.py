"""Changes of a Tensor in its own memory, beside PyTorch's; what they refuse."""

import copy

import numpy as np
import pytest

import dlcore as dl


def leaf(*values):
    return dl.Tensor(np.array(values, np.float64), requires_grad=True)


def numbers():
    rng = np.random.default_rng(3)
    return rng.uniform(0.5, 2, (2, 3, 4)), rng.uniform(0.5, 2, (3, 4))


IN_PLACE = {
    "+=": lambda x, y: x.__iadd__(y),
    "-=": lambda x, y: x.__isub__(y),
    "*=": lambda x, y: x.__imul__(y),
    "/=": lambda x, y: x.__itruediv__(y),
    "**=": lambda x, y: x.__ipow__(2),
    "add_": lambda x, y: x.add_(y),
    "sub_": lambda x, y: x.sub_(1.5),
    "mul_": lambda x, y: x.mul_(y),
    "div_": lambda x, y: x.div_(y),
    "pow_": lambda x, y: x.pow_(2.0),
    "clamp_": lambda x, y: x.clamp_(0.7, 1.2),
    "clamp_ above": lambda x, y: x.clamp_(max=1.2),
    "fill_": lambda x, y: x.fill_(3.5),
    "zero_": lambda x, y: x.zero_(),
    "copy_": lambda x, y: x.copy_(y),
    "masked_fill_": lambda x, y: x.masked_fill_(x > 1, -1.0),
    "lerp_": lambda x, y: x.lerp_(y, 0.25),
    "addcmul_": lambda x, y: x.addcmul_(y, y, value=0.5).addcdiv_(x, y, value=2),
    "add_ alpha": lambda x, y: x.add_(y, alpha=-0.5).sub_(y, alpha=2),
    "remainder_": lambda x, y: x.remainder_(0.3),
    "x[i] =": lambda x, y: x.__setitem__((0, slice(1, 3)), y[1:]),
    "x[mask] =": lambda x, y: x.__setitem__(x > 1, 0.0),
    "x[tensor] =": lambda x, y: x.__setitem__(y[0, :2].argsort(), y),
    **{
        f"{name}_": lambda x, y, name=name: getattr(x, f"{name}_")()
        for name in (
            (
                "abs neg exp log sqrt rsqrt reciprocal square relu sigmoid tanh floor "
                "ceil round trunc"
            ).split()
        )
    },
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place(torch, name):
    f, (a, b) = IN_PLACE[name], numbers()
    x, x_ = dl.Tensor(a.copy()), torch.from_numpy(a.copy())
    memory = x.data
    got = f(x, dl.Tensor(b))
    f(x_, torch.from_numpy(b))
    assert got is None or got is x
    assert x.data is memory
    np.testing.assert_allclose(x.data, x_.numpy(), rtol=1e-12)


@pytest.mark.parametrize("name", IN_PLACE)
def test_leaves_are_changed_under_no_grad_only(name):
    f, (a, b) = IN_PLACE[name], numbers()
    x = dl.Tensor(a.copy(), requires_grad=True)
    with pytest.raises(RuntimeError, match=r"in place: a leaf .* under dl\.no_grad"):
        f(x, dl.Tensor(b))
    np.testing.assert_array_equal(x.data, a)
    with dl.no_grad():
        f(x, dl.Tensor(b))
    assert x.requires_grad and x.is_leaf
    assert name in ("abs_", "relu_") or not np.array_equal(x.data, a)


def test_results_are_not_changed_where_the_gradient_would_be_lost():
    x = leaf(1, 2)
    for change in (
        lambda: (x * 2.0).add_(1.0),
        lambda: (x * 2.0).zero_(),
        lambda: dl.Tensor(np.zeros(2)).add_(x),
        lambda: dl.Tensor(np.zeros(2)).copy_(x),
    ):
        with pytest.raises(RuntimeError, match="the gradient would be lost"):
            change()


def test_read_only_memory_is_not_changed():
    x = dl.Tensor(np.broadcast_to(1.0, (3,)))
    for change in (lambda: x.add_(1.0), lambda: x.__setitem__(0, 2.0)):
        with pytest.raises(ValueError, match="the tensor's memory must be writable"):
            change()


def test_in_place_with_itself():
    """The old values are read before the new ones are written."""
    a = numbers()[0]
    x = dl.Tensor(a.copy())
    x *= x
    np.testing.assert_allclose(x.data, a * a)
    x = dl.Tensor(np.arange(6.0))
    x[1:] += x[:-1]
    assert x.tolist() == [0, 1, 3, 5, 7, 9]
    x = dl.Tensor(np.arange(9.0).reshape(3, 3))
    x += x.T
    np.testing.assert_array_equal(x.data, x.data.T)
    x[0] = x[:, 1]
    assert x.tolist()[0] == [4, 8, 12]


# -- what was written through another tensor --

VIEWS = {
    "detach": lambda x: x.detach(),
    "slice": lambda x: x[1:],
    "reshape": lambda x: x.reshape(2, 2),
    "transpose": lambda x: x.reshape(2, 2).T[0],
    "Tensor of the array": lambda x: dl.Tensor(x.data),
    "Tensor of a view": lambda x: dl.Tensor(x.data[::2]),
}


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("leaf_is", ["a leaf", "a result"])
def test_writing_through_another_tensor_is_refused(torch, name, leaf_is):
    """As PyTorch's version counter tells it."""
    x = leaf(1, 2, 3, 4)
    h = x if leaf_is == "a leaf" else x * 2.0
    y = (h * h).sum()
    with dl.no_grad():
        VIEWS[name](h).mul_(2.0)
    with pytest.raises(RuntimeError, match="was changed in place after it was used"):
        y.backward()
    if leaf_is == "a leaf":
        (x * x).sum().backward()
        np.testing.assert_allclose(x.grad.data, 2 * x.data)


def test_a_base_written_under_a_view():
    x = dl.Tensor(np.arange(4.0))
    w = leaf(1, 2)
    y = (x[2:] * w).sum()
    x.zero_()
    with pytest.raises(RuntimeError, match=r"shape \(2,\) was changed in place"):
        y.backward()


def test_a_result_written_through_its_view():
    x = leaf(1, 2)
    y = dl.exp(x)
    with dl.no_grad():
        y.detach().zero_()
    with pytest.raises(RuntimeError, match="was changed in place"):
        y.sum().backward()


def test_writing_elsewhere_is_none_of_its_business():
    x, other = leaf(1, 2), dl.Tensor(np.zeros(2))
    y = (x * x).sum()
    other += 1.0
    del other
    average = dl.Tensor(np.zeros(2))
    average.mul_(0.9).add_(x.detach())
    y.backward()
    assert x.grad.tolist() == [2, 4]


def test_in_create_graph_too():
    x = leaf(1, 2)
    y = (x * x).sum()
    with dl.no_grad():
        x.detach().mul_(2.0)
    with pytest.raises(RuntimeError, match="was changed in place"):
        dl.grad(y, x, create_graph=True)


def test_detach_in_place():
    x = leaf(1, 2)
    y = x * 2.0
    assert y.detach_() is y and y.is_leaf and not y.requires_grad
    assert copy.deepcopy(y).tolist() == [2, 4]


def test_counts_in_place():
    count = dl.Tensor(np.zeros((), np.int64))
    same = count
    count += (dl.Tensor(np.arange(3.0)) > 0).sum()
    count *= 3
    count.sub_(1)
    assert same is count and count.item() == 5
    for change in (lambda: count.add_(0.5), lambda: count.div_(2)):
        with pytest.raises(TypeError, match="the result must fit into int64: cast it"):
            change()
    with pytest.raises(TypeError, match="add: a must be float32 or float64, got int64"):
        count + np.ones(1)
