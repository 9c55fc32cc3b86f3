"""Gradients of the named rows alone: what they hold, how they add up, their steps."""

import copy

import numpy as np
import pytest

import dlcore as dl
from dlcore.ops.row_sparse import RowSparse

rng = np.random.default_rng(7)
ROWS, DIM = 40, 19
W = rng.standard_normal((ROWS, DIM))
IDS = rng.integers(0, 12, (6, 5))


def leaf(dtype=np.float64):
    return dl.Tensor(W.astype(dtype), requires_grad=True)


def embedded(w, sparse, **options):
    return dl.embedding(IDS, w, sparse=sparse, **options)


def bagged(w, sparse, **options):
    return dl.embedding_bag(IDS, w, sparse=sparse, **options)


CASES = [
    (embedded, {}),
    (embedded, {"padding_idx": 3}),
    (embedded, {"padding_idx": -1, "scale_grad_by_freq": True}),
    (bagged, {"mode": "sum"}),
    (bagged, {"mode": "mean", "padding_idx": 3}),
    (bagged, {"mode": "sum", "per_sample_weights": rng.standard_normal((6, 5))}),
]


def gradients(f, options, dtype):
    """Of the table, by rows and as an array."""
    found = []
    options = {
        k: v.astype(dtype) if k == "per_sample_weights" else v
        for k, v in options.items()
    }
    for sparse in (True, False):
        w = leaf(dtype)
        y = f(w, sparse, **options)
        y.backward(np.cos(np.arange(y.data.size, dtype=dtype)).reshape(y.shape))
        found.append(w.grad)
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("f, options", CASES)
def test_has_the_bits_of_the_dense_gradient(isa, f, options, dtype):
    rows, dense = gradients(f, options, np.dtype(dtype))
    assert isinstance(rows, RowSparse) and rows.dtype == dtype
    assert rows.shape == dense.shape == (ROWS, DIM) and rows.ndim == 2
    named = np.setdiff1d(IDS, options.get("padding_idx", -1))
    assert rows.indices.tolist() == named.tolist()
    assert (rows.to_dense().data == dense.data).all()
    assert (rows.values == dense.data[named]).all()


def test_one_or_two_threads_give_the_same_bits():
    before, found = dl.get_num_threads(), []
    ids = np.random.default_rng(0).integers(0, 300, 60_000)
    for threads in (1, 2):
        dl.set_num_threads(threads)
        w = dl.Tensor(np.ones((300, 40), np.float32), requires_grad=True)
        y = dl.embedding(ids, w, sparse=True)
        y.backward(np.sin(np.arange(y.data.size, dtype=np.float32)).reshape(y.shape))
        found.append(w.grad.values)
    dl.set_num_threads(before)
    assert (found[0] == found[1]).all()


def test_sorts_numbers_of_several_digits():
    rows = 5_000_000
    ids = np.random.default_rng(1).integers(0, rows, 3000)
    ids[1000:2000] = ids[:1000]
    table = np.broadcast_to(np.float32(1), (rows, 1)).copy()
    w = dl.Tensor(table, requires_grad=True)
    dl.embedding(ids, w, sparse=True).sum().backward()
    named, counts = np.unique(ids, return_counts=True)
    assert (w.grad.indices == named).all()
    assert (w.grad.values[:, 0] == counts).all()


def test_nothing_named_is_a_gradient_without_rows():
    for ids in (np.zeros((0, 4), int), np.full((2, 2), 3)):
        w = leaf()
        dl.embedding(ids, w, padding_idx=3, sparse=True).sum().backward()
        assert len(w.grad.indices) == 0 and w.grad.values.shape == (0, DIM)
        assert not w.grad.to_dense().data.any()
        dl.optim.SGD([w], lr=1.0).step()
        dl.optim.SparseAdam([w], lr=1.0).step()
        assert (w.data == W).all()


def test_several_backwards_add_up():
    w, dense = leaf(), leaf()
    for f, options in CASES[:2]:
        f(w, True, **options).sum().backward()
        f(dense, False, **options).sum().backward()
    assert isinstance(w.grad, RowSparse)
    assert np.allclose(w.grad.to_dense().data, dense.grad.data, rtol=1e-14)


def test_is_added_to_an_array():
    w, dense = leaf(), leaf()
    (w * w).sum().backward()
    (dense * dense).sum().backward()
    embedded(w, True).sum().backward()
    embedded(dense, False).sum().backward()
    assert isinstance(w.grad, dl.Tensor)
    assert (w.grad.data == dense.grad.data).all()


def test_an_array_is_not_added_to_it():
    w = leaf()
    embedded(w, True).sum().backward()
    with pytest.raises(AttributeError, match=r"take grad.to_dense\(\)"):
        (w * w).sum().backward()


def test_adding_needs_one_shape_and_dtype():
    one = RowSparse(np.array([1]), np.ones((1, 2)), 4)
    for other in (
        RowSparse(np.array([1]), np.ones((1, 2)), 5),
        RowSparse(np.array([1]), np.ones((1, 2), np.float32), 4),
        dl.Tensor(np.ones((5, 2))),
    ):
        with pytest.raises(ValueError, match="one shape and dtype"):
            one + other
    with pytest.raises(TypeError):
        one + 1


def test_says_what_it_holds_and_can_be_copied():
    w = leaf()
    embedded(w, True).sum().backward()
    assert repr(w.grad).startswith("RowSparse(10 of 40 rows, indices=[ 1  2  3 ...")
    twin = copy.deepcopy(w.grad)
    assert (twin.values == w.grad.values).all() and twin.shape == w.grad.shape


def test_without_a_gradient_sparse_changes_nothing():
    assert (dl.embedding(IDS, W, sparse=True) == W[IDS]).all()
    with dl.no_grad():
        assert not embedded(leaf(), True).requires_grad


@pytest.mark.parametrize("f", [embedded, bagged])
def test_only_a_leaf_can_have_one(f):
    with pytest.raises(ValueError, match="sparse must be False where weight is the"):
        f(leaf() * 2.0, True)


def test_the_largest_has_none():
    with pytest.raises(ValueError, match="sparse must be False with mode='max'"):
        bagged(leaf(), True, mode="max")


# -- steps --


def stepped(make, sparse, steps=4):
    """The table after some steps of different rows."""
    w = leaf()
    optimizer = make([w])
    for i in range(steps):
        optimizer.zero_grad()
        dl.embedding(IDS[i : i + 2], w, sparse=sparse).tanh().sum().backward()
        optimizer.step()
    return w, optimizer


def alone(name):
    return getattr(dl.optim, name, None) or pytest.skip(f"no {name}")


@pytest.mark.parametrize(
    "name, options", [("SGD", {"lr": 0.1, "maximize": True}), ("Adagrad", {"lr": 0.1})]
)
def test_steps_as_the_dense_gradient_does(name, options):
    make = alone(name)
    (rows, _), (dense, _) = (
        stepped(lambda params: make(params, **options), sparse)
        for sparse in (True, False)
    )
    assert np.allclose(rows.data, dense.data, rtol=1e-15, atol=0)
    assert (rows.data[12:] == W[12:]).all() and (rows.data[:3] != W[:3]).any()


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # PyTorch's own
@pytest.mark.parametrize("name", ["SGD", "SparseAdam", "Adagrad"])
def test_steps_as_pytorch_does(torch, name):
    make = alone(name)
    w, _ = stepped(lambda params: make(params, lr=0.1), True)
    other = torch.tensor(W, requires_grad=True)
    optimizer = getattr(torch.optim, name)([other], lr=0.1)
    for i in range(4):
        optimizer.zero_grad()
        ids = torch.tensor(IDS[i : i + 2])
        torch.nn.functional.embedding(ids, other, sparse=True).tanh().sum().backward()
        optimizer.step()
    assert np.allclose(w.data, other.detach().numpy(), rtol=1e-12, atol=1e-14)


def test_goes_on_from_a_snapshot_to_the_bit():
    def make(params):
        return dl.optim.SparseAdam(params, lr=0.1)

    whole, _ = stepped(make, True, 4)
    w, first = stepped(make, True, 2)
    again = make([w])
    again.load_state_dict(first.state_dict())
    for i in (2, 3):
        again.zero_grad()
        dl.embedding(IDS[i : i + 2], w, sparse=True).tanh().sum().backward()
        again.step()
    assert (w.data == whole.data).all()


def test_steps_beside_parameters_with_arrays():
    w, bias = leaf(), dl.Tensor(np.zeros(DIM), requires_grad=True)
    (embedded(w, True) + bias).sum().backward()
    dl.optim.SGD([w, bias], lr=1.0).step()
    assert (bias.data == -30).all()
    counts = np.bincount(IDS.ravel(), minlength=ROWS)
    assert np.allclose(w.data, W - counts[:, None], rtol=1e-14)


REFUSED = [
    ("Adam", {}),
    ("AdamW", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"weight_decay": 0.1}),
]


@pytest.mark.parametrize("name, options", REFUSED)
def test_other_optimizers_refuse_and_change_nothing(name, options):
    w = leaf()
    embedded(w, True).sum().backward()
    with pytest.raises(TypeError, match=f"{name}: grad must not be one of rows"):
        getattr(dl.optim, name)([w], lr=0.1, **options).step()
    assert (w.data == W).all()


def test_sparse_adam_refuses_arrays():
    w = leaf()
    embedded(w, False).sum().backward()
    with pytest.raises(TypeError, match="SparseAdam: grad must be one of rows"):
        dl.optim.SparseAdam([w]).step()


def test_a_table_that_cannot_be_stepped_stays_as_it_was():
    w = dl.Tensor(np.asfortranarray(W), requires_grad=True)
    embedded(w, True).sum().backward()
    with pytest.raises(ValueError, match="must be writable, C-contiguous"):
        dl.optim.SGD([w], lr=0.1).step()
    w = leaf()
    w._grad = RowSparse(np.array([1]), np.ones((1, DIM)), ROWS + 1)
    with pytest.raises(ValueError, match="must have the shape and dtype of its"):
        dl.optim.SGD([w], lr=0.1).step()
    assert (w.data == W).all()


def test_a_step_is_seen_by_the_tape():
    w = leaf()
    y = (w * w).sum()
    embedded(w, True).sum().backward()
    dl.optim.SGD([w], lr=0.1).step()
    w.grad = None
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_modules_pass_it_on():
    for module in (
        dl.nn.Embedding(ROWS, DIM, sparse=True),
        dl.nn.EmbeddingBag(ROWS, DIM, sparse=True),
    ):
        module(IDS).sum().backward()
        assert isinstance(module.weight.grad, RowSparse)
        module.zero_grad()
        assert module.weight.grad is None
