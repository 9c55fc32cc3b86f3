import numpy as np
import pytest
import reference

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

# (height, width), kernel, stride, padding: around the vector width, all phases
WINDOWS = [
    ((4, 4), (2, 2), (2, 2), (0, 0)),
    ((28, 28), (2, 2), (2, 2), (0, 0)),
    ((10, 35), (2, 2), (2, 2), (1, 1)),
    ((23, 67), (3, 3), (2, 2), (1, 1)),
    ((7, 33), (3, 3), (2, 2), (0, 0)),
    ((9, 40), (3, 3), (1, 1), (1, 1)),
    ((13, 17), (5, 3), (3, 4), (2, 1)),
    ((6, 9), (1, 1), (2, 2), (0, 0)),
    ((7, 7), (7, 7), (1, 1), (0, 0)),
    ((20, 20), (18, 17), (1, 2), (9, 8)),  # more than 256 elements in a window
    ((5, 100), (3, 2), (5, 1), (0, 1)),
    ((300, 90), (3, 3), (2, 2), (1, 1)),  # more rows than a chunk keeps
]


@pytest.mark.parametrize("size, kernel, stride, padding", WINDOWS)
def test_max_pool2d(isa, dtype, rng, size, kernel, stride, padding):
    x = rng.standard_normal((2, 3, *size)).astype(dtype)
    want = reference.max_pool2d(x, kernel, stride, padding)
    y = dl.max_pool2d(x, kernel, stride, padding)
    np.testing.assert_array_equal(y, want)
    with_indices, indices = dl.max_pool2d(
        x, kernel, stride, padding, return_indices=True
    )
    np.testing.assert_array_equal(with_indices, want)
    taken = np.take_along_axis(x.reshape(2, 3, -1), indices.reshape(2, 3, -1), 2)
    np.testing.assert_array_equal(taken.reshape(want.shape), want)


@pytest.mark.parametrize("size, kernel, stride, padding", WINDOWS)
@pytest.mark.parametrize("count_include_pad", [True, False])
def test_avg_pool2d(isa, dtype, rng, size, kernel, stride, padding, count_include_pad):
    x = rng.standard_normal((2, 3, *size)).astype(dtype)
    y = dl.avg_pool2d(x, kernel, stride, padding, count_include_pad=count_include_pad)
    args = kernel, stride, padding, count_include_pad
    want = reference.avg_pool2d(x.astype(np.float64), *args)
    assert_close(
        y, want, scale=reference.avg_pool2d(np.abs(x).astype(np.float64), *args)
    )


@pytest.mark.parametrize("size, kernel, stride, padding", WINDOWS)
@pytest.mark.parametrize(
    "dilation, ceil_mode", [(1, False), (1, True), (2, False), (2, True)]
)
def test_max_pool2d_oracle(
    torch, rng, size, kernel, stride, padding, dilation, ceil_mode
):
    x = np.round(rng.standard_normal((2, 3, *size)), 1).astype(np.float32)  # has ties
    span = [dilation * (k - 1) + 1 for k in kernel]
    if any(n + 2 * p < s for n, p, s in zip(size, padding, span, strict=True)):
        pytest.skip("the window does not fit")
    args = kernel, stride, padding, dilation, ceil_mode
    theirs = torch.tensor(x, requires_grad=True)
    want, want_indices = torch.nn.functional.max_pool2d(
        theirs, *args, return_indices=True
    )
    ours = dl.Tensor(x, requires_grad=True)
    y, indices = dl.max_pool2d(ours, *args, return_indices=True)
    np.testing.assert_array_equal(y.data, want.detach().numpy())
    np.testing.assert_array_equal(indices, want_indices.numpy())
    dy = rng.standard_normal(y.data.shape).astype(np.float32)
    y.backward(dy)
    want.backward(torch.tensor(dy))
    np.testing.assert_allclose(
        ours.grad.data, theirs.grad.numpy(), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("width", [2, 3, 7, 8, 10, 15, 16, 28, 31, 32, 33, 65])
def test_windows_of_two(isa, dtype, torch, rng, width):
    x = np.round(rng.standard_normal((3, 2, 5, width)), 1).astype(dtype)  # has ties
    x.flat[rng.integers(0, x.size, x.size // 9)] = np.nan
    theirs = torch.tensor(x, requires_grad=True)
    want, want_indices = torch.nn.functional.max_pool2d(theirs, 2, return_indices=True)
    ours = dl.Tensor(x, requires_grad=True)
    y, indices = dl.max_pool2d(ours, 2, return_indices=True)
    np.testing.assert_array_equal(y.data, want.detach().numpy())
    np.testing.assert_array_equal(indices, want_indices.numpy())
    np.testing.assert_array_equal(dl.max_pool2d(x, 2), y.data)
    dy = rng.standard_normal(y.data.shape).astype(dtype)
    y.backward(dy)
    want.backward(torch.tensor(dy))
    np.testing.assert_array_equal(ours.grad.data, theirs.grad.numpy())


@pytest.mark.parametrize("size, kernel, stride, padding", WINDOWS)
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("count", [False, True])
def test_avg_pool2d_oracle(torch, rng, size, kernel, stride, padding, ceil_mode, count):
    x = rng.standard_normal((2, 3, *size)).astype(np.float32)
    args = kernel, stride, padding, ceil_mode, count
    theirs = torch.tensor(x, requires_grad=True)
    want = torch.nn.functional.avg_pool2d(theirs, *args)
    ours = dl.Tensor(x, requires_grad=True)
    y = dl.avg_pool2d(ours, *args)
    np.testing.assert_allclose(y.data, want.detach().numpy(), rtol=1e-5, atol=1e-5)
    dy = rng.standard_normal(y.data.shape).astype(np.float32)
    y.backward(dy)
    want.backward(torch.tensor(dy))
    np.testing.assert_allclose(
        ours.grad.data, theirs.grad.numpy(), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    "window", [(2, 2, 0), (3, 2, 1), (3, 1, 1), ((2, 3), (3, 1), (1, 0))]
)
def test_gradients(isa, rng, window):
    x = (
        rng.permutation(2 * 2 * 7 * 9).reshape(2, 2, 7, 9) / 10.0
    )  # no ties within a step
    gradcheck(lambda x: dl.max_pool2d(x, *window), x)
    gradcheck(lambda x: dl.avg_pool2d(x, *window), x)
    gradcheck(lambda x: dl.avg_pool2d(x, *window, count_include_pad=False), x)
    gradcheck(lambda x: dl.avg_pool2d(x, *window, ceil_mode=True), x)


def test_global_gradients(isa, rng):
    x = rng.standard_normal((2, 3, 5, 7))
    gradcheck(dl.global_avg_pool2d, x)
    gradcheck(dl.global_max_pool2d, x)
    gradcheck(lambda x: dl.adaptive_avg_pool2d(x, (5, 1)), x)


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 15), (7, 7), (8, 8), (13, 29), (100, 100)]
)
def test_global(isa, dtype, rng, size):
    x = rng.standard_normal((2, 3, *size)).astype(dtype)
    n = size[0] * size[1]
    want = x.mean((2, 3), dtype=np.float64, keepdims=True)
    magnitude = np.abs(x).mean((2, 3), dtype=np.float64, keepdims=True)
    assert_close(dl.global_avg_pool2d(x), want, scale=magnitude)
    assert_close(dl.adaptive_avg_pool2d(x, 1), want, scale=magnitude)
    np.testing.assert_array_equal(dl.global_max_pool2d(x), x.max((2, 3), keepdims=True))
    t = dl.Tensor(x, requires_grad=True)
    dl.global_avg_pool2d(t).backward(np.full((2, 3, 1, 1), n, dtype))
    np.testing.assert_array_equal(t.grad.data, np.ones_like(x))


def test_adaptive_avg_pool2d(torch, rng):
    x = rng.standard_normal((2, 3, 12, 8)).astype(np.float32)
    want = torch.nn.functional.adaptive_avg_pool2d(torch.tensor(x), (6, 2)).numpy()
    np.testing.assert_allclose(
        dl.adaptive_avg_pool2d(x, (6, 2)), want, rtol=1e-5, atol=1e-6
    )


def test_special_values(isa, dtype):
    x = np.zeros((1, 1, 4, 40), dtype)
    x[0, 0, 0, 1] = np.nan
    x[0, 0, 2, 4:6] = -np.inf
    x[0, 0, 3, 4:6] = -np.inf
    x[0, 0, 3, 39] = np.inf
    y = dl.max_pool2d(x, 2)
    assert np.isnan(y[0, 0, 0, 0])
    assert y[0, 0, 1, 2] == -np.inf
    assert y[0, 0, 1, 19] == np.inf
    assert np.isnan(y).sum() == 1
    kept, indices = dl.max_pool2d(x, 2, return_indices=True)
    np.testing.assert_array_equal(kept, y)
    assert indices[0, 0, 0, 0] == 1
    assert indices[0, 0, 1, 2] == 2 * 40 + 4
    assert np.isnan(dl.global_max_pool2d(x)[0, 0, 0, 0])
    assert np.isnan(dl.avg_pool2d(x, 2)[0, 0, 0, 0])


def test_padding_never_wins(isa, dtype):
    x = np.full((1, 1, 3, 3), -np.inf, dtype)
    _, indices = dl.max_pool2d(x, 3, 2, 1, return_indices=True)
    np.testing.assert_array_equal(indices[0, 0], [[0, 1], [3, 4]])


def test_ties_go_to_the_first(isa, dtype):
    t = dl.Tensor(np.ones((1, 1, 4, 6), dtype), requires_grad=True)
    y = dl.max_pool2d(t, 2)
    y.backward(np.ones_like(y.data))
    want = np.zeros((4, 6))
    want[::2, ::2] = 1
    np.testing.assert_array_equal(t.grad.data[0, 0], want)


def test_layouts(rng):
    x = rng.standard_normal((2, 3, 8, 10)).astype(np.float32)
    want = dl.max_pool2d(x, 2)
    for other in [
        np.asfortranarray(x),
        x.astype(">f4"),
        x[::-1, :, ::-1][::-1, :, ::-1],
    ]:
        np.testing.assert_array_equal(dl.max_pool2d(other, 2), want)
        np.testing.assert_array_equal(dl.avg_pool2d(other, 2), dl.avg_pool2d(x, 2))
    x.flags.writeable = False
    np.testing.assert_array_equal(dl.max_pool2d(x, 2), want)
    np.testing.assert_array_equal(dl.max_pool2d(x[0], 2), want[0])
    out = np.empty_like(want)
    assert dl.avg_pool2d(x, 2, out=out) is out


def test_empty():
    x = np.zeros((0, 3, 8, 8), np.float32)
    assert dl.max_pool2d(x, 2).shape == (0, 3, 4, 4)
    assert dl.avg_pool2d(x, 2).shape == (0, 3, 4, 4)
    assert dl.global_avg_pool2d(x).shape == (0, 3, 1, 1)


@pytest.mark.parametrize("size", [(200, 64), (40, 8)])
def test_same_bits_for_any_threads(threads, rng, size):
    x = rng.standard_normal((5, 7, *size)).astype(np.float32)
    results = []
    for n in (1, 2, 3):
        threads(n)
        t = dl.Tensor(x, requires_grad=True)
        total = dl.avg_pool2d(dl.max_pool2d(t, 3, 2, 1), 3, 2, 1)
        total.backward(np.ones_like(total.data))
        results.append((total.data.tobytes(), t.grad.data.tobytes()))
    assert results[0] == results[1] == results[2]


X = np.zeros((1, 2, 6, 6), np.float32)
BAD = [
    (
        lambda: dl.max_pool2d(X, 0),
        ValueError,
        "max_pool2d: kernel_size must be at least 1, got 0",
    ),
    (lambda: dl.max_pool2d(X, 2, 0), ValueError, "stride must be at least 1, got 0"),
    (
        lambda: dl.max_pool2d(X, 2, padding=-1),
        ValueError,
        "padding must be at least 0, got -1",
    ),
    (
        lambda: dl.max_pool2d(X, 2, padding=2),
        ValueError,
        "padding must be at most half",
    ),
    (
        lambda: dl.max_pool2d(X, 2, dilation=0),
        ValueError,
        "dilation must be at least 1",
    ),
    (
        lambda: dl.max_pool2d(X, 7),
        ValueError,
        "kernel_size must fit into the padded height",
    ),
    (
        lambda: dl.max_pool2d(X, 2, dilation=9),
        ValueError,
        "must fit into the padded height",
    ),
    (lambda: dl.max_pool2d(X, 2**62), ValueError, "must fit into|too many|more than"),
    (lambda: dl.max_pool2d(X, 2**70), ValueError, "larger than any array"),
    (
        lambda: dl.max_pool2d(X[:, :, :2], 2, 1, 1, (3, 1)),
        ValueError,
        "every window must contain",
    ),
    (
        lambda: dl.max_pool2d(X, 2.0),
        TypeError,
        "kernel_size must be an int or a pair of ints",
    ),
    (
        lambda: dl.max_pool2d(X, (2, 2, 2)),
        TypeError,
        "kernel_size must be an int or a pair",
    ),
    (
        lambda: dl.max_pool2d(X, (2, "a")),
        TypeError,
        "kernel_size must be an int or a pair",
    ),
    (
        lambda: dl.max_pool2d(X[0, 0], 2),
        ValueError,
        r"x must have axes .*got x.shape = \(6, 6\)",
    ),
    (
        lambda: dl.max_pool2d(X.astype(int), 2),
        TypeError,
        "float32 or float64, got int64",
    ),
    (lambda: dl.max_pool2d([[1.0]], 2), TypeError, "must be a NumPy array, got list"),
    (lambda: dl.max_pool2d(X[:, :, :0], 1), ValueError, "x must have height and width"),
    (lambda: dl.avg_pool2d(X, 8), ValueError, "avg_pool2d: kernel_size must fit"),
    (
        lambda: dl.avg_pool2d(X, 3, padding=2),
        ValueError,
        "padding must be at most half",
    ),
    (
        lambda: dl.global_avg_pool2d(X[:, :, :0]),
        ValueError,
        "x must have height and width",
    ),
    (
        lambda: dl.global_max_pool2d(X[0, 0]),
        ValueError,
        "global_max_pool2d: x must have axes",
    ),
    (lambda: dl.adaptive_avg_pool2d(X, 0), ValueError, "output_size must be at least"),
]


@pytest.mark.parametrize("call, exception, match", BAD)
def test_bad_calls(call, exception, match):
    with pytest.raises(exception, match=match):
        call()
