"""Functions of the user's."""

import gc
import weakref

import numpy as np
import pytest
from autograd_helpers import leaf

import dlcore as dl
from dlcore.testing import gradcheck, gradgradcheck


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
