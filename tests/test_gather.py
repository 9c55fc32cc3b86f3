# ruff: noqa: E501  (of the calls that are refused, each has one line)
import numpy as np
import pytest
import reference_indexing as reference

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

SHAPES = [((7,), 0), ((6, 5), 0), ((6, 5), 1), ((3, 4, 70), 1), ((2, 5, 3), -1)]


def values(rng, shape, dtype="float64"):
    return rng.standard_normal(shape).astype(dtype)


def picks(rng, shape, dim, m=4):
    """Places along dim, repeated ones among them."""
    wanted = list(shape)
    wanted[dim] = m
    return rng.integers(0, shape[dim], wanted)


# -- index_select, index_add --


@pytest.mark.parametrize("kind", ["int32", "int64"])
@pytest.mark.parametrize(("shape", "dim"), SHAPES)
def test_index_select(isa, dtype, rng, shape, dim, kind):
    x, index = values(rng, shape, dtype), rng.integers(0, shape[dim], 9).astype(kind)
    y = dl.index_select(x, dim, index)
    np.testing.assert_array_equal(y, np.take(x, index, dim))
    np.testing.assert_array_equal(dl.Tensor(x).index_select(dim, index).data, y)
    if dtype == "float64":
        gradcheck(lambda x: dl.index_select(x, dim, index), x)


@pytest.mark.parametrize(("shape", "dim"), SHAPES)
def test_index_add(isa, dtype, rng, shape, dim):
    x, index = values(rng, shape, dtype), rng.integers(0, shape[dim], 9)
    source = values(rng, np.take(x, index, dim).shape, dtype)
    kept = x.copy()
    y = dl.index_add(x, dim, index, source, alpha=0.5)
    want = reference.index_add(x.astype(float), dim, index, source, 0.5)
    assert_close(y, want, ulp=8, scale=1 + np.abs(want))
    np.testing.assert_array_equal(x, kept)
    if dtype == "float64":
        gradcheck(lambda x, s: dl.index_add(x, dim, index, s, alpha=0.5), x, source)


# -- gather, scatter --


@pytest.mark.parametrize(("shape", "dim"), SHAPES)
def test_gather(isa, dtype, rng, shape, dim):
    x, index = values(rng, shape, dtype), picks(rng, shape, dim)
    np.testing.assert_array_equal(
        dl.gather(x, dim, index), reference.gather(x, dim, index)
    )
    if dtype == "float64":
        gradcheck(lambda x: dl.gather(x, dim, index), x)


@pytest.mark.parametrize("name", ["scatter", "scatter_add"])
@pytest.mark.parametrize(("shape", "dim"), SHAPES)
def test_scatter(isa, dtype, rng, shape, dim, name):
    x, index = values(rng, shape, dtype), picks(rng, shape, dim)
    src, op = values(rng, index.shape, dtype), getattr(dl, name)
    kept = x.copy()
    want = reference.scatter(x.astype(float), dim, index, src, name == "scatter_add")
    assert_close(op(x, dim, index, src), want, ulp=8, scale=1 + np.abs(want))
    np.testing.assert_array_equal(x, kept)
    if dtype == "float64":
        gradcheck(lambda x, s: op(x, dim, index, s), x, src)


@pytest.mark.parametrize(
    ("shape", "dim"), [((6, 5), 0), ((3, 4, 7), 1), ((4, 5, 3), 2)]
)
def test_an_index_shorter_than_its_array(isa, rng, shape, dim):
    x = values(rng, shape)
    index = picks(rng, [max(1, n - 1) for n in shape], dim, 3)
    src = values(rng, [n + 1 for n in index.shape])
    np.testing.assert_array_equal(
        dl.gather(x, dim, index), reference.gather(x, dim, index)
    )
    gradcheck(lambda x: dl.gather(x, dim, index), x)
    for op, add in ((dl.scatter, False), (dl.scatter_add, True)):
        want = reference.scatter(x, dim, index, src, add)
        np.testing.assert_allclose(op(x, dim, index, src), want)
        gradcheck(lambda x, s, op=op: op(x, dim, index, s), x, src)


def test_scatter_of_a_number(rng):
    x, index = values(rng, (3, 4)), np.array([[1], [3]])
    want = reference.scatter(x, 1, index, 7.0)
    for y in (dl.scatter(x, 1, index, 7.0), dl.scatter(x, 1, index, value=7)):
        np.testing.assert_array_equal(y, want)
    added = dl.scatter(x, 1, index, value=7, reduce="add")
    np.testing.assert_allclose(added, reference.scatter(x, 1, index, 7.0, add=True))
    gradcheck(lambda x: dl.scatter(x, 1, index, 7.0), x)


@pytest.mark.parametrize("name", ["gather", "scatter", "scatter_add", "index_select"])
def test_against_torch(torch, rng, dtype, name):
    x = values(rng, (6, 9), dtype)
    index = np.stack([rng.permutation(9)[:4] for _ in range(6)])
    extra = (values(rng, (6, 4), dtype),) if "scatter" in name else ()
    if name == "index_select":
        index = index[0]
    leaves = [dl.Tensor(a, requires_grad=True) for a in (x, *extra)]
    theirs = [torch.tensor(a, requires_grad=True) for a in (x, *extra)]
    y = getattr(dl, name)(leaves[0], 1, index, *leaves[1:])
    ty = getattr(torch, name)(theirs[0], 1, torch.tensor(index), *theirs[1:])
    dy = values(rng, y.shape, dtype)
    y.backward(dy)
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(y.data, ty.detach().numpy(), rtol=1e-6)
    for ours, leaf in zip(leaves, theirs, strict=True):
        np.testing.assert_allclose(ours.grad.data, leaf.grad.numpy(), rtol=1e-6)


def test_same_bits_for_any_number_of_threads(rng, threads):
    x, index = values(rng, (50, 300), "f4"), rng.integers(0, 50, (5000, 300))
    src, rows = values(rng, index.shape, "f4"), rng.integers(0, 50, 5000)
    seen = set()
    for n in (1, 2, 3):
        threads(n)
        added = dl.scatter_add(x, 0, index, src), dl.index_add(x, 0, rows, src)
        seen.add(b"".join(a.tobytes() for a in added))
    assert len(seen) == 1


def test_empty(dtype):
    x, none = np.ones((3, 2), dtype), np.zeros((0, 2), "i8")
    assert dl.gather(x, 0, none).shape == (0, 2)
    np.testing.assert_array_equal(dl.scatter(x, 0, none, x[:0]), x)
    np.testing.assert_array_equal(dl.index_add(x, 0, none[:, 0], x[:0]), x)
    assert dl.index_select(x, 1, none[:, 0]).shape == (3, 0)


def test_nan_and_inf_are_moved(dtype):
    x = np.array([np.nan, np.inf, -np.inf, 1.0], dtype)
    index = np.array([2, 0, 1])
    np.testing.assert_array_equal(dl.gather(x, 0, index), x[index])
    added = dl.scatter_add(x, 0, np.array([3]), x[:1])
    np.testing.assert_array_equal(added, [np.nan, np.inf, -np.inf, np.nan])


# -- the gradient of x[index] --

INDICES = [
    np.array([2, 0, 2]),
    np.array([-1, 3, -1]),
    (np.array([1, 1, 0]), np.array([2, 2, -4])),
    (slice(None), np.array([2, 2, 0])),
    (np.array([[1, 1], [0, 1]]), slice(1, 3)),
    (0, np.array([3, 3])),
    (np.array([1, 1]), None, ...),
    np.zeros(0, "i8"),
    np.arange(20).reshape(4, 5) % 3 == 0,
    (np.array([True, False, True, True]), np.array([1, 1, 2])),
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_gradient_of_indexing(isa, rng, index):
    x = values(rng, (4, 5))
    gradcheck(lambda x: x[index], x)


def test_gradient_of_indexing_adds_up_like_numpy(isa, dtype, rng):
    x, index = values(rng, (40, 17), dtype), rng.integers(-40, 40, (50, 3))
    leaf = dl.Tensor(x, requires_grad=True)
    dy = values(rng, (50, 3, 17), dtype)
    leaf[index].backward(dy)
    want = np.zeros(x.shape)
    np.add.at(want, index, dy)
    assert_close(leaf.grad.data, want, ulp=16, scale=1 + np.abs(want))


# -- one_hot, masked_fill, masked_select --


def test_one_hot(torch, rng):
    x = rng.integers(0, 6, (3, 4))
    want = torch.nn.functional.one_hot(torch.tensor(x), 7).numpy()
    np.testing.assert_array_equal(dl.one_hot(x, 7), want)
    assert dl.one_hot(x.astype("i4"), 7).dtype == np.int64
    assert dl.one_hot(x).shape == (3, 4, x.max() + 1)
    floats = dl.one_hot(dl.Tensor(x), 7, dtype="float32")
    assert isinstance(floats, dl.Tensor) and floats.dtype == np.float32
    assert dl.one_hot(x[:0], 3).shape == (0, 4, 3)


def test_masked_fill(isa, dtype, rng):
    x, mask = values(rng, (3, 37), dtype), rng.integers(0, 2, 37).astype(bool)
    y = dl.masked_fill(x, mask, -np.inf)
    np.testing.assert_array_equal(y, np.where(mask, -np.inf, x))
    if dtype == "float64":
        gradcheck(lambda x, v: dl.masked_fill(x, mask, v), x, np.array(2.0))
    with pytest.raises(ValueError, match=r"^masked_fill: mask must broadcast to x"):
        dl.masked_fill(x[:1], np.ones((3, 37), bool), 0)


def test_masked_select(rng):
    x, mask = values(rng, (3, 5)), rng.integers(0, 2, (3, 5)).astype(bool)
    np.testing.assert_array_equal(dl.masked_select(x, mask), x[mask])
    wide = dl.masked_select(x[:, :1], mask)
    np.testing.assert_array_equal(wide, np.broadcast_to(x[:, :1], (3, 5))[mask])
    gradcheck(lambda x: dl.masked_select(x, mask), x)
    gradcheck(lambda x: dl.masked_select(x, mask), x[:, :1].copy())


# -- refusals --

X, PLACES = np.zeros((3, 4), "f4"), np.array([[0, 2]])
REFUSED = [
    (lambda: dl.gather(X, 1, np.array([[4]])), IndexError, "gather: index must be from 0 to 3, got 4 at place 0"),
    (lambda: dl.gather(X, 1, np.array([[-1]])), IndexError, "gather: index must be from 0 to 3, got -1"),
    (lambda: dl.gather(X, 2, PLACES), IndexError, "gather: dim must be from -2 to 1"),
    (lambda: dl.gather(X, 1, PLACES[0]), ValueError, "gather: index must have the shape of input but along dim"),
    (lambda: dl.gather(X, 1, np.zeros((4, 1), int)), ValueError, "gather: index must not be longer than input but in dim 1"),
    (lambda: dl.gather(X, 1, PLACES + 0.0), TypeError, "gather: index must be int64 or int32, got float64"),
    (lambda: dl.gather(X.astype(int), 1, PLACES), TypeError, "gather: input must be float32 or float64, got int64"),
    (lambda: dl.scatter(X, 1, PLACES), ValueError, "scatter: src or value must be given"),
    (lambda: dl.scatter(X, 1, PLACES, X, value=1), ValueError, "scatter: src or value must be given"),
    (lambda: dl.scatter(X, 1, PLACES, X[:, :1]), ValueError, "scatter: src must have the shape of index"),
    (lambda: dl.scatter(X, 1, PLACES, X.astype("f8")[:1, :2]), TypeError, "scatter: input and src must have one dtype"),
    (lambda: dl.scatter(X, 1, PLACES, 1.0, reduce="mul"), ValueError, "scatter: reduce must be None or 'add', got 'mul'"),
    (lambda: dl.scatter_add(X, 1, PLACES + 2, X[:1, :2]), IndexError, "scatter_add: index must be from 0 to 3, got 4 at place 1"),
    (lambda: dl.index_select(X, 0, PLACES), ValueError, "index_select: index must have one axis"),
    (lambda: dl.index_select(X, 0, PLACES[0] + 1), IndexError, "index_select: index must be from 0 to 2, got 3"),
    (lambda: dl.index_add(X, 0, PLACES[0], X), ValueError, "index_add: source must have the shape of input with that of index"),
    (lambda: dl.one_hot(np.array([3]), 3), IndexError, "one_hot: x must be from 0 to 2, got 3"),
    (lambda: dl.one_hot(np.array([1.0]), 3), TypeError, "one_hot: x must be an array of whole numbers"),
    (lambda: dl.one_hot(PLACES[:0]), ValueError, "one_hot: num_classes must be given"),
    (lambda: dl.masked_fill(X, X, 0), TypeError, "where: condition must be an array of bool"),
    (lambda: dl.masked_fill(X, X > 0, X), ValueError, "masked_fill: value must be a number"),
    (lambda: dl.masked_select(X, X), TypeError, "masked_select: mask must be of bool"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), REFUSED)
def test_refusals(call, error, message):
    with pytest.raises(error, match=f"^{message}"):
        call()


def test_no_columns(isa):
    x, index = np.zeros((4, 0), "f"), np.zeros((4, 0), np.int64)
    for op in (dl.scatter, dl.scatter_add):
        assert op(x, 0, index, x).shape == (4, 0)
    table = dl.Tensor(x, requires_grad=True)
    y = dl.embedding_bag(np.zeros((2, 3), np.int64), table)
    y.backward(np.zeros((2, 0), "f"))
    dl.sort(table, 0).values.backward(x)
    assert table.grad.shape == (4, 0)
