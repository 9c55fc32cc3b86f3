"""Hooks around a module's forward and backward, beside PyTorch's."""

import copy
import pickle

import numpy as np
import pytest

import dlcore as dl
from dlcore import nn


def double_input(module, args):
    return args[0] * 2


def shift_output(module, args, output):
    return output + 1


def both(torch):
    """The same layer here and there, and an input for it."""
    mine, theirs = nn.Linear(3, 2).double(), torch.nn.Linear(3, 2).double()
    theirs.load_state_dict(
        {name: torch.tensor(value) for name, value in mine.state_dict().items()}
    )
    x = np.random.default_rng(3).standard_normal((4, 3))
    return mine, theirs, x


def test_forward_hooks_are_pytorchs(torch):
    mine, theirs, x = both(torch)
    results = []
    for layer, make in ((mine, dl.tensor), (theirs, torch.tensor)):
        order = []

        def named(name, order=order):
            return lambda module, args, *more: order.append((name, len(more)))

        layer.register_forward_pre_hook(double_input)
        layer.register_forward_pre_hook(named("first"), prepend=True)
        layer.register_forward_hook(shift_output)
        layer.register_forward_hook(named("early"), prepend=True)
        layer.register_forward_hook(named("late"), with_kwargs=True)
        y = layer(make(x))
        results.append((y.detach().numpy(), order))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-14)
    assert results[0][1] == results[1][1] == [("first", 0), ("early", 1), ("late", 2)]


def test_hooks_with_kwargs():
    class Scaled(nn.Module):
        def forward(self, x, *, by):
            return x * by

    layer = Scaled()
    layer.register_forward_pre_hook(
        lambda module, args, kwargs: (args, {"by": kwargs["by"] + 1}), with_kwargs=True
    )
    assert layer(3.0 * np.ones(1), by=2)[0] == 9
    layer.register_forward_pre_hook(lambda *_: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match="Scaled: a forward pre-hook with_kwargs"):
        layer(np.ones(1), by=2)


def test_backward_hooks_are_pytorchs(torch):
    mine, theirs, x = both(torch)
    results = []
    for layer, make in ((mine, dl.tensor), (theirs, torch.tensor)):
        seen = []

        def see(module, grad_input, grad_output, seen=seen):
            seen.extend(np.asarray(g) for g in (*grad_input, *grad_output))
            return (grad_input[0] * 3,)

        layer.register_full_backward_pre_hook(lambda module, grads: (grads[0] * 2,))
        layer.register_full_backward_hook(see)
        t = make(x, requires_grad=True)
        (layer(t) * make(np.arange(8.0).reshape(4, 2))).sum().backward()
        results.append([*seen, t.grad.numpy(), layer.weight.grad.numpy()])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


@pytest.mark.filterwarnings("ignore:Full backward hook")
def test_backward_hook_where_no_input_needs_a_gradient(torch):
    mine, theirs, x = both(torch)
    for layer, make in ((mine, dl.tensor), (theirs, torch.tensor)):
        seen = []
        handle = layer.register_full_backward_hook(
            lambda module, inputs, outputs, seen=seen: seen.append((inputs, outputs))
        )
        layer(make(x)).sum().backward()
        ((inputs, outputs),) = seen
        assert inputs == (None,) and outputs[0].shape == (4, 2)
        handle.remove()
        layer(make(x)).sum().backward()
        assert len(seen) == 1


def test_backward_hook_of_several_inputs_and_outputs():
    class Two(nn.Module):
        def forward(self, x, n, y):
            return x * y, x + n

    seen = []
    two = Two()
    two.register_full_backward_hook(lambda module, *grads: seen.append(grads))
    x, y = (dl.Tensor([v], requires_grad=True) for v in (2.0, 5.0))
    two(x, 3, y)[0].backward()
    (inputs, outputs) = seen[0]
    assert inputs[0].item() == 5 and inputs[1] is None and inputs[2].item() == 2
    assert outputs[0].item() == 1 and outputs[1] is None
    assert x.grad.item() == 5 and y.grad.item() == 2
    with dl.no_grad():
        two(x, 3, y)
    assert len(seen) == 1


def test_backward_hooks_do_not_see_a_dict():
    class Named(nn.Module):
        def forward(self, x):
            return {"y": x * 2}

    named, seen = Named(), []
    named.register_full_backward_hook(lambda *grads: seen.append(grads))
    x = dl.Tensor([3.0], requires_grad=True)
    named(x)["y"].backward()
    assert not seen and x.grad.item() == 2


def test_a_handle_takes_its_hook_away():
    layer = nn.Identity()
    first = layer.register_forward_hook(shift_output)
    with layer.register_forward_pre_hook(double_input):
        assert layer(np.ones(1))[0] == 3
    assert layer(np.ones(1))[0] == 2
    first.remove()
    first.remove()
    assert layer(np.ones(1))[0] == 1 and layer._hooks is None


def test_copies_keep_hooks_of_their_own():
    layer = nn.Sequential(nn.Identity())
    handle = layer[0].register_forward_hook(shift_output)
    twins = copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))
    handle.remove()
    assert layer(np.ones(1))[0] == 1
    assert [twin(np.ones(1))[0] for twin in twins] == [2, 2]


def test_hooks_see_what_was_optimized_and_counted():
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    model[0].register_forward_hook(shift_output)
    x = np.ones((2, 3), "f")
    np.testing.assert_allclose(dl.optimize(model)(x), model(x).detach(), rtol=1e-6)
    assert set(dl.count_flops(model, x).by_module()) == {"0", "1"}


def wrong_gradients(module, grad_input, grad_output):
    return grad_input[0].reshape(-1)


def test_bad_calls():
    layer = nn.Linear(3, 2)
    with pytest.raises(TypeError, match="hook must be callable, got int"):
        layer.register_forward_hook(3)
    layer.register_full_backward_hook(wrong_gradients)
    x = dl.Tensor(np.ones((4, 3), "f"), requires_grad=True)
    with pytest.raises(RuntimeError, match="Linear: a backward hook must return None"):
        layer(x).sum().backward()
