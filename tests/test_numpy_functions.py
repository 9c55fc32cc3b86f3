"""NumPy's functions of whole arrays, given a Tensor."""

import numpy as np
import pytest

import dlcore as dl
from dlcore.testing import gradcheck

X = np.arange(6.0).reshape(2, 3) / 7 - 0.3
CALLS = {
    "sum": lambda x: np.sum(x, axis=1),
    "mean": np.mean,
    "mean of an axis": lambda x: np.mean(x, axis=0, keepdims=True),
    "var": np.var,
    "var with ddof": lambda x: np.var(x, axis=1, ddof=1),
    "std": lambda x: np.std(x, 0),
    "max": lambda x: np.max(x, axis=1),
    "min": np.min,
    "prod": lambda x: np.prod(x, axis=0),
    "concatenate": lambda x: np.concatenate([x, x * x], axis=1),
    "stack": lambda x: np.stack((x, x + x), 1),
    "where": lambda x: np.where(x > 0, x, 2 * x),
    "cumsum": lambda x: np.cumsum(x, axis=1),
    "cumprod": lambda x: np.cumprod(x, axis=1),
    "einsum": lambda x: np.einsum("ij,kj->ik", x, x),
}


@pytest.mark.parametrize("name", CALLS)
def test_records_a_gradient(name):
    call = CALLS[name]
    y = call(dl.Tensor(X, requires_grad=True))
    assert isinstance(y, dl.Tensor) and y.requires_grad
    np.testing.assert_allclose(y.data, call(X))
    gradcheck(call, X)


@pytest.mark.parametrize("function", [np.any, np.all])
def test_any_and_all(function):
    for axis in (None, 0):
        y = function(dl.Tensor(X > 0), axis=axis)
        np.testing.assert_array_equal(y.data, function(X > 0, axis=axis))


def test_others_take_the_array():
    np.testing.assert_array_equal(np.flip(dl.Tensor(X), 1), np.flip(X, 1))
    with pytest.raises(
        RuntimeError, match=r"np.sort: .* call dl.sort, or pass x.detach"
    ):
        np.sort(dl.Tensor(X, requires_grad=True))


def test_options_that_no_op_has():
    with pytest.raises(
        TypeError, match=r"^np.mean: options must not be given with a T"
    ):
        np.mean(dl.Tensor(X), dtype="float32")
    with pytest.raises(TypeError, match=r"^np.sum: options .* got out"):
        np.sum(dl.Tensor(X), out=np.zeros(()))
