# ruff: noqa: E501  (of the calls that are refused, each has one line)
import numpy as np
import pytest

import dlcore as dl
from dlcore.ops import linear_loss
from dlcore.testing import assert_close, gradcheck


@pytest.fixture
def small_chunks(monkeypatch):
    """Several chunks of a few rows."""
    monkeypatch.setattr(linear_loss, "_SCORES", 40)
    monkeypatch.setattr(linear_loss, "_LEAST_ROWS", 3)


def numbers(rng, rows=11, inside=5, classes=9, dtype="float64"):
    arrays = [rng.standard_normal(s) for s in ((rows, inside), (classes, inside))]
    target = rng.integers(0, classes, rows)
    target[2] = -100
    return *(a.astype(dtype) for a in arrays), target


OPTIONS = [
    {},
    {"reduction": "sum"},
    {"reduction": "none"},
    {"label_smoothing": 0.1},
    {"ignore_index": 3, "weighted": True},
    {"reduction": "none", "weighted": True, "label_smoothing": 0.2},
]


def split(options, rng, dtype, classes=9):
    """The options of both ways: with the weights of the classes."""
    options = dict(options)
    if options.pop("weighted", False):
        options["weight"] = rng.uniform(0.5, 2, classes).astype(dtype)
    return options


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_is_the_loss_of_the_layer(isa, dtype, rng, small_chunks, options):
    x, w, target = numbers(rng, dtype=dtype)
    bias = rng.standard_normal(9).astype(dtype)
    options = split(options, rng, dtype)
    if "ignore_index" in options:
        target[2] = 3
    leaves = [[dl.Tensor(a, requires_grad=True) for a in (x, w, bias)] for _ in "ab"]
    a, b, c = leaves[0]
    want = dl.cross_entropy(dl.linear(a, b, c), target, **options)
    a, b, c = leaves[1]
    got = dl.linear_cross_entropy(a, b, target, linear_bias=c, **options)
    assert got.shape == want.shape and got.dtype == x.dtype
    assert_close(got.data, want.data, ulp=16, scale=1 + np.abs(want.data))
    dy = np.asarray(rng.standard_normal(want.shape), dtype)
    want.backward(dy)
    got.backward(dy)
    for ours, theirs in zip(*leaves[::-1], strict=True):
        assert_close(ours.grad.data, theirs.grad.data, ulp=64, scale=1.0)
    plain = dl.linear_cross_entropy(x, w, target, linear_bias=bias, **options)
    assert_close(plain, want.data, ulp=16, scale=1 + np.abs(want.data))


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_gradient(rng, small_chunks, reduction):
    x, w, target = numbers(rng)
    gradcheck(
        lambda x, w, b: dl.linear_cross_entropy(
            x, w, target, linear_bias=b, reduction=reduction
        ),
        x,
        w,
        rng.standard_normal(9),
    )


def test_one_row(rng):
    x, w, target = numbers(rng)
    loss = dl.linear_cross_entropy(x[0], w, target[0:1].reshape(()))
    want = dl.cross_entropy(dl.linear(x[:1], w), target[:1])
    np.testing.assert_allclose(loss, want)
    gradcheck(lambda x: dl.linear_cross_entropy(x, w, np.array(4)), x[0])


def test_no_rows(rng):
    x, w, target = numbers(rng)
    assert np.isnan(dl.linear_cross_entropy(x[:0], w, target[:0]))
    assert dl.linear_cross_entropy(x[:0], w, target[:0], reduction="sum") == 0
    none = dl.linear_cross_entropy(x[:0], w, target[:0], reduction="none")
    assert none.shape == (0,)


@pytest.mark.parametrize("options", OPTIONS[:4], ids=str)
def test_against_torch(torch, rng, dtype, options):
    x, w, target = numbers(rng, dtype=dtype)
    ours = [dl.Tensor(a, requires_grad=True) for a in (x, w)]
    theirs = [torch.tensor(a, requires_grad=True) for a in (x, w)]
    loss = dl.linear_cross_entropy(*ours, target, **options)
    other = torch.nn.functional.cross_entropy(
        torch.nn.functional.linear(*theirs), torch.tensor(target), **options
    )
    loss.sum().backward()
    other.sum().backward()
    assert_close(loss.data, other.detach().numpy(), ulp=64, scale=1.0)
    for one, two in zip(ours, theirs, strict=True):
        assert_close(one.grad.data, two.grad.numpy(), ulp=64, scale=1.0)


def test_same_bits_for_any_number_of_threads(rng, threads, small_chunks):
    x, w, target = numbers(rng, 200, 64, 300, "f4")
    seen = set()
    for n in (1, 3):
        threads(n)
        leaves = [dl.Tensor(a, requires_grad=True) for a in (x, w)]
        dl.linear_cross_entropy(*leaves, target).backward()
        seen.add(b"".join(leaf.grad.data.tobytes() for leaf in leaves))
    assert len(seen) == 1


X, W, T = np.zeros((2, 3)), np.zeros((4, 3)), np.array([0, 3])
REFUSED = [
    (lambda: dl.linear_cross_entropy(X, W, T + 1), IndexError, "target must be from 0 to 3"),
    (lambda: dl.linear_cross_entropy(X, W[0], T), ValueError, "linear_weight must have shape"),
    (lambda: dl.linear_cross_entropy(X[None], W, T), ValueError, "input must have shape"),
    (lambda: dl.linear_cross_entropy(X, W, T[:1]), ValueError, "target must be whole numbers of shape"),
    (lambda: dl.linear_cross_entropy(X, W, X), ValueError, "target must be whole numbers of shape"),
    (lambda: dl.linear_cross_entropy(X, W, T, reduction="max"), ValueError, "reduction must be"),
    (lambda: dl.linear_cross_entropy(X, W.astype("f4"), T), TypeError, "x and weight must have one dtype"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), REFUSED)
def test_refusals(call, error, message):
    with pytest.raises(
        error, match=f"^(linear|cross_entropy|linear_cross_entropy): {message}"
    ):
        call()
