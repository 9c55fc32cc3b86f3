# ruff: noqa: E501  (of the calls that are refused, each has one line)
import numpy as np
import pytest
import reference_indexing as reference

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

DIMS = [1, 3, 8, 16, 17, 70, 300]


def table(rng, rows, dim, dtype="float64"):
    return rng.standard_normal((rows, dim)).astype(dtype)


# -- embedding --


@pytest.mark.parametrize("kind", ["int32", "int64", "uint8"])
@pytest.mark.parametrize("dim", DIMS)
def test_embedding(isa, dtype, rng, dim, kind):
    w, index = table(rng, 11, dim, dtype), rng.integers(0, 11, (4, 9)).astype(kind)
    np.testing.assert_array_equal(dl.embedding(index, w), w[index])


def backward(function, *leaves, seed=3):
    """The gradients of leaves under random weights of the result."""
    leaves = [dl.Tensor(leaf, requires_grad=True) for leaf in leaves]
    y = function(*leaves)
    dy = np.random.default_rng(seed).standard_normal(y.shape).astype(y.dtype)
    y.backward(dy)
    return dy, [leaf.grad.data for leaf in leaves]


@pytest.mark.parametrize("padding", [None, 0, -1])
@pytest.mark.parametrize("rows", [2, 11, 500])
@pytest.mark.parametrize("dim", DIMS)
def test_gradient_of_the_table(isa, dtype, rng, dim, rows, padding):
    w, index = table(rng, rows, dim, dtype), rng.integers(0, rows, (4, 9))
    dy, (dw,) = backward(lambda w: dl.embedding(index, w, padding), w)
    skipped = None if padding is None else padding % rows
    want = reference.embedding_backward(dy.astype(float), index, rows, skipped)
    assert dw.dtype == w.dtype
    assert_close(dw, want, ulp=8, scale=1 + np.abs(want))


def test_gradient_by_frequency(rng, torch):
    w, index = table(rng, 6, 5), rng.integers(0, 6, (4, 9))
    dy, (dw,) = backward(
        lambda w: dl.embedding(index, w, 2, scale_grad_by_freq=True), w
    )
    want = reference.embedding_backward(dy, index, 6, 2, by_frequency=True)
    assert_close(dw, want, ulp=16, scale=1 + np.abs(want))
    tw = torch.tensor(w, requires_grad=True)
    theirs = torch.nn.functional.embedding(
        torch.tensor(index), tw, 2, scale_grad_by_freq=True
    )
    theirs.backward(torch.tensor(dy))
    assert_close(dw, tw.grad.numpy(), ulp=16, scale=1 + np.abs(want))


def test_a_large_gradient_is_stored_past_the_caches(isa, rng):
    w = np.zeros((20_000, 257), "f4")
    index = rng.integers(0, 20_000, 3000)
    dy, (dw,) = backward(lambda w: dl.embedding(index, w), w)
    want = np.zeros(w.shape)
    np.add.at(want, index, dy)
    assert_close(dw, want, ulp=8, scale=1 + np.abs(want))


def test_empty_lists(isa, dtype, rng):
    w, none = table(rng, 5, 3, dtype), np.zeros((2, 0), "i8")
    _, (dw,) = backward(lambda w: dl.embedding(none, w), w)
    assert dl.embedding(none, w).shape == (2, 0, 3)
    np.testing.assert_array_equal(dw, np.zeros((5, 3)))
    assert dl.embedding(np.zeros(0, "i4"), np.zeros((0, 3), dtype)).shape == (0, 3)


def test_special_values_are_moved_as_they_are():
    w = np.array([[np.nan, np.inf], [-np.inf, -0.0]], "f4")
    y = dl.embedding(np.array([1, 0, 1]), w)
    np.testing.assert_array_equal(y.view("i4"), w[[1, 0, 1]].view("i4"))


def test_the_index_may_change_before_backward(rng):
    w, index = table(rng, 4, 2), np.array([1, 1, 2])
    kept = index.copy()

    def call(w):
        y = dl.embedding(index, w)
        index[...] = 0
        return y

    dy, (dw,) = backward(call, w)
    np.testing.assert_allclose(dw, reference.embedding_backward(dy, kept, 4))


def test_tensor_of_numbers(rng):
    w = table(rng, 4, 2)
    y = dl.embedding(dl.Tensor(np.array([3])), w)
    assert isinstance(y, dl.Tensor)
    np.testing.assert_array_equal(y.data, w[[3]])


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, np.inf])
def test_max_norm(rng, torch, p):
    w = table(rng, 6, 5, "f4") * 3
    w[1] *= 0.01
    index = np.array([[1, 2], [2, 4]])
    ours, theirs = dl.Tensor(w.copy()), torch.tensor(w.copy())
    y = dl.embedding(index, ours, max_norm=1.5, norm_type=p)
    want = torch.nn.functional.embedding(
        torch.tensor(index), theirs, max_norm=1.5, norm_type=p
    )
    np.testing.assert_allclose(y.data, want.numpy(), rtol=1e-5)
    np.testing.assert_allclose(ours.data, theirs.numpy(), rtol=1e-5)


def test_same_bits_for_any_number_of_threads(rng, threads):
    w, index = table(rng, 3000, 64, "f4"), rng.integers(0, 300, 20_000)
    results = []
    for n in (1, 2, 3):
        threads(n)
        _, (dw,) = backward(lambda w: dl.embedding(index, w), w)
        bag = backward(lambda w: dl.embedding_bag(index.reshape(-1, 20), w), w)[1][0]
        results.append(dw.tobytes() + bag.tobytes())
    assert len(set(results)) == 1


# -- embedding_bag --

OFFSETS = np.array([0, 3, 3, 10])
BAGGED = np.array([1, 0, 1, 4, 2, 2, 3, 0, 0, 4, 1, 1, 2])
LISTS = [
    (BAGGED, {"offsets": OFFSETS}),
    (BAGGED, {"offsets": np.array([0, 5, 13]), "include_last_offset": True}),
    (BAGGED[:12].reshape(4, 3), {}),
    (BAGGED[:12].reshape(4, 3), {"padding_idx": 1}),
    (BAGGED, {"offsets": OFFSETS, "padding_idx": -5}),
]


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize(("index", "options"), LISTS)
@pytest.mark.parametrize("dim", [1, 7, 16, 150])
def test_bags(isa, dtype, rng, mode, index, options, dim):
    w = table(rng, 5, dim, dtype)
    padding = options.get("padding_idx")
    parts = reference.bags(
        index,
        options.get("offsets"),
        options.get("include_last_offset", False),
        None if padding is None else padding % 5,
    )
    want = reference.embedding_bag(parts, w.astype(float), mode)
    got = dl.embedding_bag(index, w, mode=mode, **options)
    assert got.dtype == w.dtype
    assert_close(got, want, ulp=8, scale=1 + np.abs(want))


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize(("index", "options"), LISTS)
def test_gradient_of_bags(isa, rng, mode, index, options):
    gradcheck(
        lambda w: dl.embedding_bag(index, w, mode=mode, **options), table(rng, 5, 20)
    )


def test_gradient_of_bags_with_weights(isa, rng):
    for index, options in LISTS:
        gradcheck(
            lambda w, s, index=index, options=options: dl.embedding_bag(
                index, w, mode="sum", per_sample_weights=s, **options
            ),
            table(rng, 5, 20),
            rng.standard_normal(index.shape),
        )


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize(("index", "options"), LISTS)
def test_bags_against_torch(torch, rng, dtype, mode, index, options):
    w = table(rng, 5, 20, dtype)
    dy, (dw,) = backward(lambda w: dl.embedding_bag(index, w, mode=mode, **options), w)
    theirs = {k: torch.tensor(v) if k == "offsets" else v for k, v in options.items()}
    tw = torch.tensor(w, requires_grad=True)
    ty = torch.nn.functional.embedding_bag(torch.tensor(index), tw, mode=mode, **theirs)
    ty.backward(torch.tensor(dy))
    y = dl.embedding_bag(index, w, mode=mode, **options)
    assert_close(y, ty.detach().numpy(), ulp=8, scale=1 + np.abs(y))
    assert_close(dw, tw.grad.numpy(), ulp=16, scale=1 + np.abs(dw))


def test_bags_with_weights_against_torch(torch, rng, dtype):
    w, s = table(rng, 5, 20, dtype), rng.standard_normal(13).astype(dtype)

    def call(w, s):
        return dl.embedding_bag(BAGGED, w, OFFSETS, mode="sum", per_sample_weights=s)

    dy, gradients = backward(call, w, s)
    leaves = [torch.tensor(a, requires_grad=True) for a in (w, s)]
    ty = torch.nn.functional.embedding_bag(
        torch.tensor(BAGGED),
        leaves[0],
        torch.tensor(OFFSETS),
        mode="sum",
        per_sample_weights=leaves[1],
    )
    ty.backward(torch.tensor(dy))
    for got, leaf in zip(gradients, leaves, strict=True):
        want = leaf.grad.numpy()
        assert_close(got, want, ulp=32, scale=1 + np.abs(want))


def test_nan_is_the_largest_of_a_bag(isa, dtype):
    w = np.array([[1.0, np.nan], [2.0, 3.0], [np.nan, 5.0]], dtype)
    y = dl.embedding_bag(np.array([[0, 1, 2], [1, 0, 0]]), w, mode="max")
    np.testing.assert_array_equal(y, [[np.nan, np.nan], [2, np.nan]])


def test_no_bags(dtype):
    w = np.ones((3, 4), dtype)
    none = np.zeros(0, "i8")
    assert dl.embedding_bag(none, w, none).shape == (0, 4)
    y = dl.embedding_bag(np.zeros((2, 0), "i8"), w, mode="max")
    np.testing.assert_array_equal(y, np.zeros((2, 4)))


# -- modules --


def test_modules(torch, rng):
    ours = dl.nn.Embedding(7, 4, padding_idx=-2)
    assert ours.padding_idx == 5 and not ours.weight.data[5].any()
    theirs = torch.nn.Embedding(7, 4, padding_idx=-2)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    index = rng.integers(0, 7, (3, 2))
    np.testing.assert_array_equal(ours(index).data, ours.weight.data[index])
    assert repr(ours) == repr(theirs)
    w = table(rng, 7, 4, "f4")
    frozen = dl.nn.Embedding.from_pretrained(w, padding_idx=1)
    assert not frozen.weight.requires_grad and frozen.weight.data is w
    bag = dl.nn.EmbeddingBag.from_pretrained(w, freeze=False, mode="sum")
    y = bag(BAGGED, OFFSETS)
    y.sum().backward()
    want = reference.embedding_bag(reference.bags(BAGGED, OFFSETS), w, "sum")
    np.testing.assert_allclose(y.data, want, rtol=1e-5, atol=1e-6)
    assert bag.weight.grad.shape == (7, 4)


def test_tables_lie_on_lines():
    for kind in (dl.nn.Embedding, dl.nn.EmbeddingBag):
        assert kind(50, 48).weight.data.ctypes.data % 64 == 0
        assert kind(3, 2, dtype=np.float64).weight.dtype == np.float64


def test_a_model_with_a_table_is_written_down(rng):
    model = dl.nn.Sequential(dl.nn.Embedding(9, 4), dl.nn.Linear(4, 3)).eval()
    fast = dl.optimize(model, rng.integers(0, 9, (2, 5)))
    others = rng.integers(0, 9, (2, 5))
    np.testing.assert_array_equal(fast(others), model(others).data)
    with pytest.raises(IndexError, match=r"^embedding: input must be from 0 to 8"):
        fast(others + 9)


def test_a_table_is_learned(rng):
    layer = dl.nn.Embedding(5, 3)
    target, index = table(rng, 5, 3, "f4"), np.arange(5)
    optimizer = dl.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        loss = dl.mse_loss(layer(index), target)
        loss.backward()
        optimizer.step()
    assert loss.item() < 1e-3


# -- refusals --

W, ROWS = np.zeros((4, 3), "f4"), np.array([0, 3])
REFUSED = [
    (lambda: dl.embedding(np.array([0, 4]), W), IndexError, "input must be from 0 to 3, got 4 at place 1"),
    (lambda: dl.embedding(np.array([-1]), W), IndexError, "input must be from 0 to 3, got -1"),
    (lambda: dl.embedding(np.array([0.0]), W), TypeError, "input must be int64 or int32, got float64"),
    (lambda: dl.embedding([0], W), TypeError, "input must be a NumPy array of whole numbers, got list"),
    (lambda: dl.embedding(ROWS, W[0]), ValueError, r"weight must have shape \(rows, dim\)"),
    (lambda: dl.embedding(ROWS, W.astype(int)), TypeError, "weight must be float32 or float64, got int64"),
    (lambda: dl.embedding(ROWS, W, 4), IndexError, "padding_idx must be from -4 to 3, got 4"),
    (lambda: dl.embedding(ROWS, W, max_norm=0), ValueError, "max_norm must be a number above 0, got 0"),
    (lambda: dl.embedding(ROWS, dl.Tensor(W, requires_grad=True) * 2.0, sparse=True), ValueError, "sparse must be False"),
    (lambda: dl.embedding_bag(ROWS[None], W, mode="max", sparse=True), ValueError, "sparse must be False with mode='max'"),
    (lambda: dl.embedding_bag(ROWS, W), ValueError, "offsets must be given"),
    (lambda: dl.embedding_bag(ROWS[None], W, ROWS), ValueError, "offsets must not be given"),
    (lambda: dl.embedding_bag(ROWS, W, np.array([1])), ValueError, "offsets must begin with 0, got 1"),
    (lambda: dl.embedding_bag(ROWS, W, np.array([0, 3])), ValueError, "offsets must rise from 0 to the length of input, 2, got 3"),
    (lambda: dl.embedding_bag(ROWS, W, np.array([0, 2, 1])), ValueError, "offsets must rise"),
    (lambda: dl.embedding_bag(ROWS[None], W, mode="min"), ValueError, "mode must be 'sum', 'mean' or 'max', got 'min'"),
    (lambda: dl.embedding_bag(ROWS[None], W, per_sample_weights=W[:1, :2]), ValueError, "per_sample_weights must come with mode='sum'"),
    (lambda: dl.embedding_bag(ROWS[None], W, mode="sum", per_sample_weights=W), ValueError, "per_sample_weights must have the shape of input"),
    (lambda: dl.nn.Embedding(0, 3), ValueError, "num_embeddings must be at least 1"),
    (lambda: dl.nn.Embedding(4, 3, padding_idx=4), IndexError, "padding_idx must be from -4 to 3"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), REFUSED)
def test_refusals(call, error, message):
    with pytest.raises(error, match=f"^[Ee]mbedding(_bag)?: {message}"):
        call()
