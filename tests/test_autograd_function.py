"""Functions of the user's; checkpoints; who made the first NaN."""

import gc
import re
import sys
import weakref

import numpy as np
import pytest

import dlcore as dl
from dlcore import nn
from dlcore.testing import gradcheck, gradgradcheck


def leaf(*values):
    return dl.Tensor(np.array(values, np.float64), requires_grad=True)


# -- functions --


class Cube(dl.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return dy * 3.0 * x * x


class Exponential(dl.autograd.Function):
    """Saves its result."""

    @staticmethod
    def forward(ctx, x):
        y = dl.exp(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, dy):
        return dy * ctx.saved_tensors[0]


class SumAndProduct(dl.autograd.Function):
    """Two results, an argument that is no tensor."""

    @staticmethod
    def forward(ctx, x, y, scale):
        ctx.save_for_backward(x, y)
        ctx.scale = scale
        ctx.needed = ctx.needs_input_grad
        return x + y, x * y * scale

    @staticmethod
    def backward(ctx, ds, dp):
        x, y = ctx.saved_tensors
        return ds + dp * y * ctx.scale, ds + dp * x * ctx.scale, None


class OnceSine(dl.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.x = x.data
        return np.sin(x.data)

    @staticmethod
    @dl.autograd.once_differentiable
    def backward(ctx, dy):
        return dy.data * np.cos(ctx.x)


@pytest.mark.parametrize("function", [Cube, Exponential])
def test_functions(function, rng):
    x = rng.standard_normal((2, 3))
    gradcheck(function.apply, x)
    gradgradcheck(function.apply, x)
    assert repr(function.apply(leaf(1)).grad_fn) == f"<{function.__name__}>"


def test_function_of_several_results(rng):
    x, y = rng.standard_normal((2, 3))
    for f in (
        lambda x, y: SumAndProduct.apply(x, y, 2.0)[0],
        lambda x, y: SumAndProduct.apply(x, y, 2.0)[1],
        lambda x, y: dl.mul(*SumAndProduct.apply(x, y, 2.0)),
    ):
        gradcheck(f, x, y)
        gradgradcheck(f, x, y)


def test_function_without_a_gradient():
    x = dl.Tensor([1.0])
    assert not Cube.apply(x).requires_grad
    with dl.no_grad():
        assert not Cube.apply(leaf(1)).requires_grad
    assert type(OnceSine.apply(x)) is np.ndarray


def test_once_differentiable(rng):
    gradcheck(OnceSine.apply, rng.standard_normal(3))
    x = leaf(1)
    with pytest.raises(NotImplementedError, match="OnceSine must have a second"):
        dl.grad(OnceSine.apply(x), x, create_graph=True)


def test_needs_input_grad():
    seen = []

    class Spy(dl.autograd.Function):
        @staticmethod
        def forward(ctx, x, y, n):
            seen.append(ctx.needs_input_grad)
            return x + y

        @staticmethod
        def backward(ctx, dy):
            return dy, dy, None

    Spy.apply(leaf(1), dl.Tensor(np.ones(1)), 3).backward()
    assert seen == [(True, False, False)]


def test_results_without_gradients():
    class WithIndex(dl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            mask = x > 0
            twice = x * 2.0
            ctx.mark_non_differentiable(twice)
            return x * 3.0, mask, twice

        @staticmethod
        def backward(ctx, dy, dmask, dtwice):
            assert dmask.dtype == bool and dtwice.tolist() == [0, 0]
            return dy * 3.0

    x = leaf(1, -2)
    y, mask, twice = WithIndex.apply(x)
    assert y.requires_grad and not mask.requires_grad and not twice.requires_grad
    y.sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_gradients_that_did_not_come_are_zeros_or_none():
    seen = []

    class Two(dl.autograd.Function):
        @staticmethod
        def forward(ctx, x, zeros):
            ctx.set_materialize_grads(zeros)
            return x + 0.0, x * 2.0

        @staticmethod
        def backward(ctx, da, db):
            seen.append(None if db is None else db.tolist())
            return da, None

    for zeros in (True, False):
        Two.apply(leaf(1), zeros)[0].backward()
    assert seen == [[0.0], None]


def test_saved_tensor_that_is_changed():
    x = leaf(1)
    y = Cube.apply(x)
    with dl.no_grad():
        x += 1
    with pytest.raises(RuntimeError, match="was changed in place"):
        y.backward()


@pytest.mark.parametrize(
    "answer, match",
    [
        (lambda dy: (dy, dy), "gradient or None for each of 1 arguments .* got 2"),
        (lambda dy: np.zeros(3), r"gradient of shape \(2,\), got \(3,\)"),
        (
            lambda dy: 3.0,
            r"a float64 gradient for an argument of shape \(2,\), got f",
        ),
        (lambda dy: np.zeros(2, "f"), "got float32"),
    ],
)
def test_backward_that_answers_wrong(answer, match):
    class Wrong(dl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1.0

        @staticmethod
        def backward(ctx, dy):
            return answer(dy)

    with pytest.raises(RuntimeError, match=f"Wrong: backward must return .*{match}"):
        Wrong.apply(leaf(1, 2)).sum().backward()


def test_bad_functions():
    class Nothing(dl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return None

    class Saves(dl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(3)

    with pytest.raises(TypeError, match="Nothing: forward must return Tensors"):
        Nothing.apply(leaf(1))
    with pytest.raises(TypeError, match="save_for_backward: tensors must be Tensors"):
        Saves.apply(leaf(1))
    with pytest.raises(NotImplementedError, match="forward must be defined"):
        dl.autograd.Function.apply(leaf(1))


def test_functions_make_no_cycles():
    gc.collect()
    gc.disable()
    try:
        for function in (Cube, Exponential):
            y = function.apply(leaf(1))
            kept = weakref.ref(y)
            del y
            assert kept() is None
    finally:
        gc.enable()


# -- checkpoints --


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


# -- anomalies --


class Net(nn.Module):
    def __init__(self):
        self.first = nn.Linear(2, 2)
        self.log = Log()

    def forward(self, x):
        return self.log(self.first(x))


class Log(nn.Module):
    def forward(self, x):
        return dl.log(x)


def here():
    return re.escape(__file__) + ":"


def test_anomaly_of_a_result():
    net = Net()
    net.first.weight.data[...] = -1
    net.first.bias.data[...] = 0
    x = np.ones((1, 2), "f")
    net(x)
    with (
        pytest.raises(
            RuntimeError,
            match=rf"log made the first NaN, called in module log \(Log\), at {here()}",
        ),
        dl.detect_anomaly(),
    ):
        net(x)
    with (
        pytest.raises(RuntimeError, match="div made the first infinity, called at"),
        dl.detect_anomaly(),
    ):
        leaf(1) / 0.0
    with (
        pytest.raises(
            RuntimeError,
            match=r"linear was given NaN, which no op made, .* in module first \(Lin",
        ),
        dl.detect_anomaly(),
    ):
        net(np.full((1, 2), np.nan, "f"))
    for op in (dl.leaky_relu, dl.gelu, dl.neg):
        with (
            pytest.raises(RuntimeError, match="was given NaN"),
            dl.detect_anomaly(),
        ):
            op(np.full(1, np.nan))
    assert dl.sqrt(np.full(1, -1.0)).shape == (1,)


def test_anomaly_of_a_gradient():
    x = leaf(0.0)

    class Root(nn.Module):
        def forward(self, x):
            return dl.sqrt(x)

    net = nn.Sequential(nn.Identity(), Root()) if hasattr(nn, "Identity") else Root()
    with (
        pytest.raises(
            RuntimeError,
            match=r"gradient of sqrt is the first with infinity; sqrt was .* in .*Root",
        ),
        dl.detect_anomaly(),
    ):
        (net(x) * 2.0).backward()
    y = dl.sqrt(x)
    with (
        pytest.raises(RuntimeError, match="sqrt was called before the block"),
        dl.detect_anomaly(),
    ):
        y.backward()
    with (
        pytest.raises(RuntimeError, match="gradient of sqrt is the first with"),
        dl.detect_anomaly(),
    ):
        dl.grad(dl.sqrt(x), x, create_graph=True)


def test_anomaly_lets_masks_and_good_numbers_pass(rng):
    q = dl.Tensor(rng.standard_normal((2, 3, 4)).astype("f"), requires_grad=True)
    mask = np.where(np.tri(3, dtype=bool), 0, -np.inf).astype("f")
    with dl.detect_anomaly():
        scores = q @ q.mT + mask
        assert np.isinf(scores.data).any()
        (dl.softmax(scores) @ q).sum().backward()
        dl.isnan(np.full(2, np.nan))
    with dl.detect_anomaly(check_nan=False):
        dl.log(np.zeros(1))


def test_anomaly_blocks_end():
    tape = sys.modules["dlcore.tensor"]
    clock = tape.clock
    with pytest.raises(KeyError), dl.detect_anomaly(), dl.detect_anomaly():
        raise KeyError
    assert tape.clock is clock
    assert dl.log(np.zeros(1)).shape == (1,)
