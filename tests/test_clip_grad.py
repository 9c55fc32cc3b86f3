"""Clipping of gradients by norm and by value; norms of many tensors."""

import math
import warnings

import numpy as np
import pytest

import dlcore as dl
from dlcore import _C
from dlcore.nn.utils import (
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
)

SHAPES = [(3, 7), (1,), (), (0, 4), (33,), (300, 257)]
ORDERS = [1.0, 2.0, math.inf, 3.0, 0.5, -math.inf]


def make(rng, dtype, shapes=SHAPES):
    params = [dl.Tensor(np.zeros(s, dtype), True) for s in shapes]
    for p in params:
        p.grad = dl.Tensor(np.asarray(rng.standard_normal(p.shape), dtype))
    return params


def norm_of(arrays, order):
    return np.linalg.norm(np.concatenate([a.ravel() for a in arrays]), order)


@pytest.mark.parametrize("order", ORDERS)
def test_by_norm(isa, dtype, rng, order):
    shapes = [s for s in SHAPES if 0 not in s] if order == -math.inf else SHAPES
    params = make(rng, dtype, shapes)
    before = [p.grad.data.astype("f8") for p in params]
    want = norm_of(before, order)
    limit = float(want) / 3
    got = clip_grad_norm_(params, limit, order)
    assert got.dtype == dtype and got.shape == ()
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(got.data, want, rtol=64 * eps)
    for p, b in zip(params, before):
        np.testing.assert_allclose(
            p.grad.data, b * (limit / (want + 1e-6)), rtol=64 * eps
        )


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("limit", [0.0, 0.5, 1e9])
def test_follows_torch(torch, rng, order, limit):
    params = make(rng, "float64", [s for s in SHAPES if 0 not in s])
    theirs = [torch.zeros(p.shape, dtype=torch.float64) for p in params]
    for t, p in zip(theirs, params):
        t.grad = torch.tensor(p.grad.data.copy())
    got = clip_grad_norm_(params, limit, order)
    want = torch.nn.utils.clip_grad_norm_(theirs, limit, order)
    np.testing.assert_allclose(got.data, want.numpy(), rtol=1e-12)
    for p, t in zip(params, theirs):
        np.testing.assert_allclose(p.grad.data, t.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("special", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("order", [1.0, 2.0, math.inf])
def test_not_finite(isa, torch, rng, special, order):
    params = make(rng, "float32", [(40,), (5,)])
    params[0].grad.data[3] = special
    params[0].grad.data[20:] = 1  # another vector than the special one's
    theirs = [torch.zeros(p.shape) for p in params]
    for t, p in zip(theirs, params):
        t.grad = torch.tensor(p.grad.data.copy())
    with pytest.raises(RuntimeError, match="norm of the gradients must be finite"):
        clip_grad_norm_(params, 1.0, order, error_if_nonfinite=True)
    for t, p in zip(theirs, params):
        np.testing.assert_array_equal(p.grad.data, t.grad.numpy())
    got = clip_grad_norm_(params, 1.0, order)
    want = torch.nn.utils.clip_grad_norm_(theirs, 1.0, order)
    np.testing.assert_array_equal(got.data, want.numpy())
    for t, p in zip(theirs, params):
        np.testing.assert_array_equal(p.grad.data, t.grad.numpy())


def test_by_value(isa, dtype, torch, rng):
    params = make(rng, dtype, [(3, 7), (33,), ()])
    params[1].grad.data[:3] = np.nan, np.inf, -np.inf
    want = [p.grad.data.clip(-0.5, 0.5) for p in params]
    clip_grad_value_(params, 0.5)
    for p, w in zip(params, want):
        np.testing.assert_array_equal(p.grad.data, w)


def test_both_dtypes_and_a_known_norm(rng):
    a, b = make(rng, "float32", [(5,)]), make(rng, "float64", [(6,)])
    before = [p.grad.data.copy() for p in a + b]
    total = get_total_norm([p.grad for p in a + b])
    np.testing.assert_allclose(total.data, norm_of(before, 2), rtol=1e-6)
    assert total.dtype == np.float32
    clip_grads_with_norm_(a + b, 1.0, 4.0)
    for p, g in zip(a + b, before):
        np.testing.assert_allclose(p.grad.data, g / (4 + 1e-6), rtol=1e-6)


def test_same_bits_for_any_threads(threads, rng):
    params = make(rng, "float32", [(300, 257), (70_000,), (5,), (33_000,)])
    before = [p.grad.data.copy() for p in params]
    seen = set()
    for count in (1, 2, 3):
        threads(count)
        for p, g in zip(params, before):
            p.grad = dl.Tensor(g.copy())
        norms = [clip_grad_norm_(params, 1.0, order) for order in (1, 2, math.inf)]
        bits = [x.data.tobytes() for x in norms]
        seen.add(tuple(bits + [p.grad.data.tobytes() for p in params]))
    assert len(seen) == 1


def test_large_gradients_do_not_overflow():
    p = dl.Tensor(np.zeros(2, "f4"), True)
    p.grad = dl.Tensor(np.array([3e30, 4e30], "f4"))
    assert clip_grad_norm_(p, 1.0).item() == np.float32(5e30)
    np.testing.assert_allclose(p.grad.data, [0.6, 0.8], rtol=1e-6)


def test_no_gradient_and_any_layout(rng):
    p, q = dl.Tensor(np.zeros((4, 3)), True), dl.Tensor(np.zeros(2), True)
    assert clip_grad_norm_([q], 1.0).item() == 0
    g = np.asfortranarray(rng.standard_normal((4, 3)))
    want = g / (np.linalg.norm(g) + 1e-6)
    p.grad = dl.Tensor(g)
    clip_grad_norm_(iter([p, q]), 1.0)
    assert p.grad.data is g
    np.testing.assert_allclose(g, want, rtol=1e-12)


def test_the_tape_notices():
    x = dl.Tensor([1.0, 2.0], True)
    x.grad = dl.Tensor([3.0, 4.0], True)
    y = (x.grad * x.grad).sum()
    clip_grad_norm_(x, 1.0)
    with pytest.raises(RuntimeError, match="was changed in place"):
        y.backward()


p = dl.Tensor([1.0], True)
p.grad = dl.Tensor([1.0])
frozen = dl.Tensor(np.ones(3), True)
frozen.grad = dl.Tensor(np.ones(3))
frozen.grad.data.flags.writeable = False
model = dl.nn.Linear(2, 2)
BAD = [
    (lambda: clip_grad_norm_(model, 1), TypeError, r"pass model.parameters\(\)"),
    (lambda: clip_grad_norm_([np.ones(3)], 1), TypeError, "must be a Tensor, got nda"),
    (lambda: clip_grad_norm_(p, "a"), TypeError, "max_norm must be a number, got str"),
    (lambda: clip_grad_norm_(p, -1), ValueError, "max_norm must be at least 0, got -1"),
    (lambda: clip_grad_norm_(p, math.nan), ValueError, "max_norm must be at least 0"),
    (lambda: clip_grad_norm_(p, 1, None), TypeError, "norm_type must be a number"),
    (lambda: clip_grad_norm_([p], 1, 0), ValueError, "p must be a number but 0"),
    (lambda: clip_grad_value_([p], -1), ValueError, "clip_value must be at least 0"),
    (lambda: clip_grad_value_([p, p], 0.1), ValueError, "grads.* share memory"),
    (lambda: clip_grad_value_([p, frozen], 0.1), ValueError, r"grads\[1\] is stepped"),
    (lambda: _C.tensor_norms((), 2.0), TypeError, "tensors must be a list of arrays"),
    (lambda: _C.tensor_norms([], 3.0), ValueError, "norm_type must be 1, 2 or inf"),
    (lambda: _C.tensor_norms([3], 2.0), TypeError, "each of tensors must be"),
]


@pytest.mark.parametrize("call, error, match", BAD)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()
    assert p.grad.data == 1


def test_names_are_pytorchs(torch):
    import inspect

    for f in (clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm):
        ours = inspect.signature(f)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = inspect.signature(getattr(torch.nn.utils, f.__name__))
        assert [*ours.parameters] == [*theirs.parameters]
        assert [p.default for p in ours.parameters.values()] == [
            p.default for p in theirs.parameters.values()
        ]
