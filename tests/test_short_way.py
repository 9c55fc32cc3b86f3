"""Public functions that go straight to their binding: only the time tells."""

import copy
import inspect
import pickle
import weakref

import numpy as np
import pytest

import dlcore as dl
from dlcore import _C
from dlcore.watch import watching

SHORT = [n for n in dl.__all__ if isinstance(getattr(dl, n), _C.ShortWay)]


def test_the_hot_ones_have_it():
    assert {"relu", "add", "maximum", "exp", "softmax", "sum", "amax"} <= set(SHORT)


@pytest.mark.parametrize("name", SHORT)
def test_looks_like_a_function(name):
    function = getattr(dl, name)
    plain = function.__wrapped__
    assert inspect.isroutine(function)
    assert function.__name__ == plain.__name__
    assert function.__module__ == plain.__module__
    assert function.__doc__ == plain.__doc__
    assert inspect.signature(function) == inspect.signature(plain)
    assert repr(function) == repr(plain)
    assert pickle.loads(pickle.dumps(function)) is function
    assert copy.deepcopy(function) is function
    assert weakref.ref(function)() is function


@pytest.mark.parametrize("name", SHORT)
def test_gives_what_the_function_gives(name, dtype):
    function = getattr(dl, name)
    plain = function.__wrapped__
    parameters = inspect.signature(plain).parameters.values()
    arrays = [p.name for p in parameters if p.default is p.empty]
    x = np.linspace(0.5, 2, 6, dtype=dtype).reshape(2, 3)
    given = [x, x[::-1].copy()][: len(arrays)]
    want = plain(*given)
    assert np.array_equal(function(*given), want)
    assert np.array_equal(function(**dict(zip(arrays, given, strict=True))), want)
    views = [np.asfortranarray(a) for a in given]
    assert np.array_equal(function(*views), plain(*views))
    if "out" in inspect.signature(plain).parameters:
        out = np.empty_like(want)
        assert function(*given, out=out) is out
        assert np.array_equal(out, want)
    if "axis" in inspect.signature(plain).parameters:
        assert np.array_equal(function(*given, axis=0), plain(*given, dim=0))
        assert np.array_equal(function(*given, dim=0), plain(*given, dim=0))
    tensor = function(dl.Tensor(given[0], requires_grad=True), *given[1:])
    assert isinstance(tensor, dl.Tensor)
    assert np.array_equal(tensor.data, want)


@pytest.mark.parametrize("name", SHORT)
def test_refuses_what_the_function_refuses(name):
    function = getattr(dl, name)
    x = np.ones((2, 3), np.float32)
    n = sum(
        p.default is p.empty for p in inspect.signature(function).parameters.values()
    )
    for given in ((), (x,) * 7, ([1.0],) * n, (x.astype(np.complex64),) * n):
        with pytest.raises(TypeError) as long:
            function.__wrapped__(*given)
        with pytest.raises(TypeError) as short:
            function(*given)
        assert str(short.value) == str(long.value)
    with pytest.raises(TypeError, match="unexpected keyword argument 'sideways'"):
        function(*(x,) * n, sideways=1)


def test_is_a_method():
    x = dl.Tensor([-1.0, 2.0])
    assert x.relu().tolist() == [0, 2]
    assert (x + x).tolist() == [-2, 4]
    assert (1.0 + x).tolist() == [0, 3]
    assert dl.Tensor.relu is dl.relu


def test_numbers_take_the_dtype_of_the_array():
    x = np.array([1, 2], np.float32)
    for number in (1, 1.0, True, np.float32(1), np.float64(1)):
        assert dl.add(x, number).dtype == np.float32
        assert dl.add(x, number).tolist() == [2, 3]


def test_is_closed_while_somebody_watches():
    seen = []
    x = np.ones(3, np.float32)
    with watching(lambda name, arguments, result: seen.append(name)):
        dl.relu(x)
    dl.relu(x)
    assert seen == ["relu_forward"]


def test_what_cannot_be_one():
    with pytest.raises(TypeError):
        _C.ShortWay(1, 2)
    with pytest.raises(TypeError):
        _C.ShortWay(len, lambda x: x)
    with pytest.raises(ValueError, match="must begin with the arrays"):
        _C.ShortWay(_C.relu_forward, lambda other: other)
    with pytest.raises(ValueError, match="must have a default for dy"):
        _C.ShortWay(_C.relu_backward, lambda y: y)


def test_words_that_do_not_fit_are_for_the_function():
    x = np.ones(3, np.float32)
    for call in (
        lambda: dl.relu(x, x=x),
        lambda: dl.relu(x, y=x),
        lambda: dl.relu(x, x, x),
        lambda: dl.relu(out=x),
    ):
        with pytest.raises(TypeError, match=r"^relu\(\)"):
            call()


def test_the_kind_stays_as_it_is():
    with pytest.raises(TypeError, match="immutable"):
        del _C.ShortWay.__call__
