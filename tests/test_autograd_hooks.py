"""Hooks of tensors; what switches recording off; grad_fn."""

import gc
import weakref

import numpy as np
import pytest
from autograd_helpers import leaf, pair, same

import dlcore as dl

# -- hooks --


def test_hooks_beside_torch(torch, rng):
    a, a_ = pair(torch, rng.standard_normal(3))
    seen = {"mine": [], "theirs": []}
    for x, log in ((a, seen["mine"]), (a_, seen["theirs"])):
        h = x * 2.0
        h.register_hook(lambda g, log=log: log.append(g.tolist()))
        h.register_hook(lambda g: g * 10.0)
        h.retain_grad()
        x.register_hook(lambda g, log=log: log.append(g.tolist()) or g + 1.0)
        (h * h + x * 3.0).sum().backward()
        log.append(h.grad.tolist())
    same(a.grad, a_.grad)
    for mine, theirs in zip(seen["mine"], seen["theirs"], strict=True):
        np.testing.assert_allclose(mine, theirs)


def test_hook_of_a_leaf_sees_the_sum_once():
    x, seen = leaf(1, 2), []
    handle = x.register_hook(lambda g: seen.append(g.tolist()))
    (x * 2.0 + x * 3.0).sum().backward()
    assert seen == [[5, 5]] and x.grad.tolist() == [5, 5]
    assert x.is_leaf
    handle.remove()
    handle.remove()
    (x * 2.0).sum().backward()
    assert len(seen) == 1 and x.grad.tolist() == [7, 7]


def test_hooks_see_grad_and_graphs():
    x = leaf(2)
    y = x * x
    y.register_hook(lambda g: g * 5.0)
    assert dl.grad(y, x, retain_graph=True)[0].item() == 20
    (dx,) = dl.grad(y, x, create_graph=True)
    assert dl.grad(dx, x)[0].item() == 10
    x.register_hook(lambda g: g * 2.0)
    assert dl.grad(x * x, x)[0].item() == 8


def test_a_hook_keeps_no_tensor():
    gc.collect()
    gc.disable()
    try:
        x = leaf(1)
        y = x * 2.0
        y.retain_grad()
        y.register_hook(lambda g: None)
        kept = weakref.ref(y)
        del y
        assert kept() is None
        x.register_hook(lambda g: None)
        kept = weakref.ref(x)
        del x
        assert kept() is None
    finally:
        gc.enable()


def test_bad_hooks():
    x = leaf(1, 2)
    with pytest.raises(TypeError, match="hook must be callable, got int"):
        x.register_hook(3)
    with pytest.raises(RuntimeError, match="does not require a gradient"):
        x.detach().register_hook(print)
    x.register_hook(lambda g: g.sum())
    with pytest.raises(RuntimeError, match=r"gradient of shape \(2,\), got float64 of"):
        (x * 2.0).sum().backward()
    y = leaf(1, 2) * 2.0
    y.sum().backward()
    with pytest.raises(RuntimeError, match="used already"):
        y.register_hook(print)


# -- switches --


def test_set_grad_enabled():
    x = leaf(1)
    with dl.set_grad_enabled(False):
        assert not (x * 2.0).requires_grad
        with dl.set_grad_enabled(True):
            assert (x * 2.0).requires_grad
    assert dl.is_grad_enabled()
    dl.set_grad_enabled(False)
    try:
        assert not (x * 2.0).requires_grad
    finally:
        dl.set_grad_enabled(True)
    assert (x * 2.0).requires_grad
    block = dl.set_grad_enabled(False)
    with block:
        with block:
            pass
        assert not dl.is_grad_enabled()
    assert dl.is_grad_enabled()
    with block:
        pass
    assert dl.is_grad_enabled()

    @dl.set_grad_enabled(False)
    def f(x):
        return x * 2.0

    assert dl.is_grad_enabled() and not f(x).requires_grad


def test_inference_mode():
    x = leaf(1)
    with dl.inference_mode():
        assert not (x * 2.0).requires_grad

    @dl.inference_mode()
    def f(x):
        return x * 2.0

    assert not f(x).requires_grad


def test_grad_fn():
    x = leaf(1)
    y = dl.exp(x) * x
    assert x.grad_fn is None and y.grad_fn.name() == "mul"
    (exp, _), (none, _) = y.grad_fn.next_functions
    assert repr(exp) == "<exp>" and none is None
    y.backward()
    assert y.grad_fn.name() == "mul" and y.grad_fn.next_functions == ()
