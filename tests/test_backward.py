"""Tensor.backward: the walk over the graph, who gets a gradient, whose memory it is."""

import gc
import threading
import weakref

import numpy as np
import pytest

import dlcore as dl
from dlcore.tensor import record
from dlcore.testing import gradcheck


def leaf(*values, dtype="float64"):
    return dl.Tensor(np.array(values, dtype), requires_grad=True)


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


def test_a_gradient_of_another_shape_is_not_added_to():
    x = dl.Tensor(np.zeros(3), True)
    x.grad = dl.Tensor(np.zeros(3))
    x.grad._data = np.zeros((1, 3))
    with pytest.raises(RuntimeError, match="grad must have the shape of its tensor"):
        dl.exp(x).sum().backward()
