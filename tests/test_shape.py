"""Views, joins and indexing: values against NumPy and PyTorch, gradients, bad calls."""

import numpy as np
import pytest

import dlcore as dl
from dlcore.testing import gradcheck

MOVES = {
    "reshape": lambda m, x: m.reshape(x, (4, -1)),
    "flatten": lambda m, x: m.flatten(x, 1),
    "flatten_all": lambda m, x: m.flatten(x),
    "transpose": lambda m, x: m.transpose(x, 0, -1),
    "permute": lambda m, x: m.permute(x, (2, 0, 1)),
    "squeeze": lambda m, x: m.squeeze(m.unsqueeze(x, 1)),
    "squeeze_dim": lambda m, x: m.squeeze(x[:, :1], 1),
    "squeeze_nothing": lambda m, x: m.squeeze(x, 1),
    "unsqueeze": lambda m, x: m.unsqueeze(x, -1),
    "cat": lambda m, x: m.cat([x, x[:1], x], 0),
    "stack": lambda m, x: m.stack([x, x], 1),
    "split": lambda m, x: m.cat(m.split(x, 2, -1)[::-1], -1),
    "split_sections": lambda m, x: m.split(x, [1, 3], -1)[1],
    "chunk": lambda m, x: m.chunk(x, 3, -1)[0],
    "slice": lambda m, x: x[1:, ::2],
    "element": lambda m, x: x[1, 2, 3],
    "newaxis": lambda m, x: x[..., None, 0],
    "pad": lambda m, x: m.nn.functional.pad(x, (1, 2, -1, 0), value=2.0),
}


@pytest.mark.parametrize("move", MOVES)
def test_moves(torch, rng, dtype, move):
    x = rng.standard_normal((2, 3, 4)).astype(dtype)
    module = dl if move != "pad" else _WithPad
    want = MOVES[move](torch, torch.from_numpy(x)).numpy()
    got = MOVES[move](module, dl.Tensor(x))
    assert got.dtype == x.dtype
    np.testing.assert_array_equal(got.numpy(), want)


class _WithPad:
    """`pad` where PyTorch has it."""

    class nn:
        functional = dl


@pytest.mark.parametrize("move", MOVES)
def test_gradients(rng, move):
    module = dl if move != "pad" else _WithPad
    gradcheck(lambda x: MOVES[move](module, x), rng.standard_normal((2, 3, 4)))


def test_arrays_give_arrays(rng):
    x = rng.standard_normal((2, 3))
    for y in (
        dl.reshape(x, 6),
        dl.cat([x, x]),
        dl.expand(x, 4, 2, 3),
        dl.pad(x, (1, 1)),
    ):
        assert type(y) is np.ndarray
    assert np.shares_memory(dl.permute(x, 1, 0), x)
    assert type(dl.cat([x, dl.Tensor(x)])) is dl.Tensor


@pytest.mark.parametrize(
    "index",
    [
        np.array([2, 0, 2, 2]),
        [0, -1],
        (np.array([[0, 1], [1, 1]]), slice(None, None, 2)),
        (np.array([0, 0, 2]), np.array([1, 1, 3])),
        np.array([True, False, True]),
        (np.array([True, False, False]), np.array([1, 1])),
        np.int64(1),
    ],
    ids=str,
)
def test_index_arrays(rng, index):
    x = rng.standard_normal((3, 4))
    np.testing.assert_array_equal(dl.Tensor(x)[index].numpy(), x[index])
    gradcheck(lambda t: t[index], x)


def test_index_may_be_a_tensor(rng):
    x = dl.Tensor(rng.standard_normal((3, 4)))
    rows = np.array([2, 2, 0])
    np.testing.assert_array_equal(x[dl.Tensor(rows)].numpy(), x.numpy()[rows])


def test_index_is_kept_for_backward():
    x, rows = dl.Tensor(np.zeros(3), requires_grad=True), np.array([1, 1])
    y = x[rows]
    rows[:] = 0
    y.backward(np.ones(2))
    np.testing.assert_array_equal(x.grad.numpy(), [0, 2, 0])


def test_repeated_index_gradient_has_the_same_bits(rng):
    rows = rng.integers(0, 5, 1000)
    dy = rng.standard_normal((1000, 3)).astype(np.float32)
    want = np.zeros((5, 3), np.float32)
    for row, d in zip(rows, dy, strict=True):
        want[row] += d
    x = dl.Tensor(np.zeros((5, 3), np.float32), requires_grad=True)
    x[rows].backward(dy)
    np.testing.assert_array_equal(x.grad.numpy(), want)


def test_where(rng):
    chosen = rng.random((3, 4)) < 0.5
    gradcheck(lambda x, y: dl.where(chosen, x, y), *rng.standard_normal((2, 3, 4)))
    gradcheck(lambda x: dl.where(chosen, x, 0.0), rng.standard_normal((3, 4)))
    # What was not chosen gets 0, even where the gradient passed down is infinite.
    x = dl.Tensor(np.ones(2), requires_grad=True)
    dl.where(np.array([True, False]), x, 0.0).backward(np.array([1.0, np.inf]))
    np.testing.assert_array_equal(x.grad.numpy(), [1.0, 0.0])


def test_to_casts_the_gradient_back():
    x = dl.Tensor(np.ones(2, np.float32), requires_grad=True)
    y = x.double()
    assert y.dtype == np.float64 and x.to("float32") is x
    y.backward(np.full(2, 0.5))
    assert x.grad.dtype == np.float32


def test_empty():
    x = np.zeros((0, 3), np.float32)
    assert dl.cat([x, x]).shape == (0, 3)
    assert dl.reshape(x, 3, 0).shape == (3, 0)
    assert dl.flatten(x).shape == (0,)
    assert [piece.shape for piece in dl.split(x, 2)] == [(0, 3)]
    gradcheck(lambda t: t.flatten(), x)


X = np.zeros((2, 3))
BAD = [
    (lambda: dl.reshape(X, 4), ValueError, r"reshape: shape must hold 6 .* got \(4,\)"),
    (lambda: dl.reshape(X, 1.5), TypeError, "reshape: each length must be a whole"),
    (lambda: dl.reshape([1.0], 1), TypeError, "reshape: x must be a NumPy array or"),
    (lambda: dl.flatten(X, 2), IndexError, "flatten: dim must be from -2 to 1"),
    (lambda: dl.flatten(X, 1, 0), ValueError, "flatten: start_dim must not come after"),
    (lambda: dl.transpose(X, 0, 2), IndexError, "transpose: dim must be from -2 to 1"),
    (lambda: dl.permute(X, 0, 0), ValueError, "permute: dims must name each"),
    (lambda: dl.permute(X, 0), ValueError, "permute: dims must name each"),
    (lambda: dl.squeeze(X, 2), IndexError, "squeeze: dim must be from -2 to 1"),
    (lambda: dl.unsqueeze(X, 3), IndexError, "unsqueeze: dim must be from -3 to 2"),
    (lambda: dl.expand(X, 4, 3), ValueError, "expand: sizes must equal"),
    (lambda: dl.expand(X, 3), ValueError, "expand: sizes must equal"),
    (lambda: dl.cat([]), ValueError, "cat: tensors must be a list"),
    (lambda: dl.cat([X, X[:, :1]]), ValueError, "cat: tensors must have one shape"),
    (lambda: dl.cat([X, X.astype("f")]), TypeError, "cat: tensors must have one dtype"),
    (lambda: dl.cat([X], 2), IndexError, "cat: dim must be from -2 to 1"),
    (lambda: dl.stack([X, X[:1]]), ValueError, "stack: tensors must have one shape"),
    (lambda: dl.stack([X], 4), IndexError, "stack: dim must be from -3 to 2"),
    (lambda: dl.split(X, 0), ValueError, "split: the size must be at least 1"),
    (lambda: dl.split(X, [1, 2]), ValueError, "split: the sections must add up to 2"),
    (lambda: dl.chunk(X, 0), ValueError, "chunk: chunks must be at least 1"),
    (lambda: dl.pad(X, (1,)), ValueError, "pad: pad must hold a pair"),
    (lambda: dl.pad(X, (-4, 0)), ValueError, "pad: pad must not crop more"),
    (lambda: dl.where(X > 0, X, X.astype("f")), TypeError, "where: x and y must have"),
    (
        lambda: dl.where(X > 0, X, X[:, :2]),
        ValueError,
        "where: condition, x and y must",
    ),
    (lambda: dl.to(X, "complex64"), TypeError, "to: dtype must be of real numbers"),
    (lambda: dl.Tensor(X)[5], IndexError, "out of bounds"),
    (lambda: dl.Tensor(X)[1.5], IndexError, "only integers"),
]


@pytest.mark.parametrize("call, error, match", BAD)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()
