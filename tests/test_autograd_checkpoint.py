"""Checkpoints: what is computed again in backward."""

import gc
import weakref

import numpy as np
import pytest
from autograd_helpers import leaf

import dlcore as dl
from dlcore import nn
from dlcore.testing import gradgradcheck


class Block(nn.Module):
    """With dropout, a residual, a weight that is used twice."""

    def __init__(self):
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        h = dl.dropout(dl.gelu(self.a(x)), 0.3)
        return x + self.b(h) + self.a(h)


def gradients_of_blocks(blocks, data, around):
    dl.manual_seed(5)
    x = dl.Tensor(data, requires_grad=True)
    h = x
    for block in blocks:
        h = around(block, h)
    loss = dl.square(h).mean()
    drawn = dl.rand(3)
    loss.backward()
    found = [loss.item(), drawn.tolist(), x.grad.data.copy()]
    for p in (p for b in blocks for p in b.parameters()):
        found.append(p.grad.data)
        p.grad = None
    return [*found, dl.rand(3).tolist()]


def same_bits(a, b):
    for mine, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_checkpoint_gives_the_same_bits(rng):
    blocks = [Block() for _ in range(3)]
    data = rng.standard_normal((4, 8)).astype("f")
    plain = gradients_of_blocks(blocks, data, lambda block, h: block(h))
    same_bits(gradients_of_blocks(blocks, data, dl.checkpoint), plain)
    nested = gradients_of_blocks(
        blocks,
        data,
        lambda block, h: dl.checkpoint(lambda h: dl.checkpoint(block, h) * 1.0, h),
    )
    same_bits(nested, plain)


def test_checkpoint_of_data_without_a_gradient(rng):
    """The parameters inside need theirs."""
    block, data = Block(), dl.Tensor(rng.standard_normal((4, 8)).astype("f"))
    y = dl.checkpoint(block, data)
    assert y.requires_grad and repr(y.grad_fn) == "<checkpoint>"
    y.sum().backward()
    assert block.a.weight.grad is not None


def test_checkpoint_keeps_nothing_between(rng):
    held = []

    def f(x):
        h = dl.exp(x)
        held.append(weakref.ref(h.data))
        return dl.exp(h)

    x = leaf(0.1, 0.2)
    y = dl.checkpoint(f, x)
    assert held[0]() is None
    y.sum().backward()
    assert len(held) == 2 and held[1]() is None
    np.testing.assert_allclose(x.grad.data, np.exp(x.data) * np.exp(np.exp(x.data)))


def test_checkpoint_of_several_results_and_of_what_it_captures(rng):
    x, y = leaf(1, 2), leaf(3, 4)
    before = y * 2.0

    def f(x, scale=1.0):
        return x * before, None, (x + before).sum() * scale

    a, none, b = dl.checkpoint(f, x, scale=3.0)
    assert none is None
    (a.sum() + b).backward()
    assert x.grad.tolist() == [9, 11] and y.grad.tolist() == [8, 10]


def test_checkpoint_with_grad_and_twice(rng):
    x, w = leaf(1, 2), leaf(3, 4)
    y = dl.checkpoint(lambda x: dl.tanh(x * w), x)
    dw, dx = dl.grad(y.sum(), [w, x], retain_graph=True)
    again = dl.grad(y.sum(), [w, x], retain_graph=True)
    assert dw.tolist() == again[0].tolist() and dx.tolist() == again[1].tolist()
    (dx,) = dl.grad(y.sum(), x, create_graph=True)
    (ddw,) = dl.grad(dx.sum(), w)
    t = np.tanh(x.data * w.data)
    np.testing.assert_allclose(ddw.data, (1 - t**2) * (1 - 2 * t * x.data * w.data))


def test_gradgrad_through_a_checkpoint(rng):
    gradgradcheck(lambda x: dl.checkpoint(dl.tanh, x), rng.standard_normal(3))


def test_checkpoint_without_recording():
    with dl.no_grad():
        assert not dl.checkpoint(dl.exp, leaf(1)).requires_grad
    assert not dl.checkpoint(dl.exp, dl.Tensor([1.0])).requires_grad


def test_checkpoint_makes_no_cycles():
    gc.collect()
    gc.disable()
    try:
        x = leaf(1, 2)
        y = dl.checkpoint(lambda x: dl.exp(x) * x, x)
        kept = weakref.ref(y)
        y.sum().backward()
        del y
        assert kept() is None
        assert gc.collect() < 20
    finally:
        gc.enable()


def test_bad_checkpoints():
    with pytest.raises(TypeError, match="checkpoint: function must be callable"):
        dl.checkpoint(3, leaf(1))
    sizes = [2, 3]
    y = dl.checkpoint(lambda x: x * dl.Tensor(np.ones(sizes.pop(0))), leaf(1))
    with pytest.raises(RuntimeError, match=r"same both times, got .*\(3,\).*\(2,\)"):
        y.sum().backward()
