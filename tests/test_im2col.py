"""im2col and col2im, and what PyTorch calls them."""

import numpy as np
import pytest
import reference

import dlcore as dl
from dlcore.testing import gradcheck

# size, kernel, dilation, padding, stride
COLUMNS = [
    ((5, 5), (1, 1), (1, 1), (0, 0), (1, 1)),
    ((6, 40), (3, 3), (1, 1), (1, 1), (1, 1)),
    ((9, 37), (3, 2), (1, 2), (0, 2), (2, 2)),
    ((12, 70), (3, 3), (1, 1), (1, 1), (2, 2)),
    ((8, 9), (5, 4), (1, 1), (4, 3), (3, 1)),
    ((11, 13), (2, 3), (3, 2), (1, 5), (1, 4)),
    ((3, 2), (2, 2), (1, 1), (3, 4), (1, 1)),  # windows of padding only
]


@pytest.mark.parametrize("size, kernel, dilation, padding, stride", COLUMNS)
def test_im2col(isa, dtype, rng, size, kernel, dilation, padding, stride):
    x = rng.standard_normal((2, 3, *size)).astype(dtype)
    cols = dl.im2col(x, kernel, dilation, padding, stride)
    want = reference.im2col(x, kernel, dilation, padding, stride)
    np.testing.assert_array_equal(cols, want)
    np.testing.assert_array_equal(
        dl.im2col(x[0], kernel, dilation, padding, stride), want[0]
    )
    # <im2col(x), c> = <x, col2im(c)>: integers, so that both sums are exact
    x = rng.integers(-9, 9, x.shape).astype(dtype)
    c = rng.integers(-9, 9, cols.shape).astype(dtype)
    back = dl.col2im(c, size, kernel, dilation, padding, stride)
    assert np.sum(reference.im2col(x, kernel, dilation, padding, stride) * c) == np.sum(
        x * back
    )


@pytest.mark.parametrize("size, kernel, dilation, padding, stride", COLUMNS)
def test_fold_oracle(torch, rng, size, kernel, dilation, padding, stride):
    x = rng.standard_normal((2, 3, *size)).astype(np.float32)
    cols = dl.unfold(x, kernel, dilation, padding, stride)
    F = torch.nn.functional
    want = F.unfold(torch.tensor(x), kernel, dilation, padding, stride).numpy()
    np.testing.assert_array_equal(cols, want)
    want = F.fold(torch.tensor(cols), size, kernel, dilation, padding, stride).numpy()
    back = dl.fold(cols, size, kernel, dilation, padding, stride)
    np.testing.assert_allclose(back, want, rtol=1e-6, atol=1e-6)


def test_columns_gradients(isa, rng):
    x = rng.standard_normal((2, 2, 5, 6))
    window = ((2, 3), (1, 2), (1, 0), (2, 1))
    gradcheck(lambda x: dl.im2col(x, *window), x)
    gradcheck(lambda c: dl.col2im(c, (5, 6), *window), dl.im2col(x, *window))


X = np.zeros((1, 2, 6, 6), np.float32)
BAD_COLUMNS = [
    (
        lambda: dl.im2col(X, 0),
        ValueError,
        "im2col: kernel_size must be at least 1, got 0",
    ),
    (lambda: dl.im2col(X, 2, stride=0), ValueError, "stride must be at least 1"),
    (lambda: dl.im2col(X, 2, padding=-1), ValueError, "padding must be at least 0"),
    (
        lambda: dl.im2col(X, 7),
        ValueError,
        "kernel_size must fit into the padded height",
    ),
    (
        lambda: dl.im2col(X, 1, padding=2**61),
        ValueError,
        "multiply to more|add up to more",
    ),
    (lambda: dl.im2col(X[0, 0], 2), ValueError, "x must have axes"),
    (
        lambda: dl.im2col(X, "3"),
        TypeError,
        "kernel_size must be an int or a pair of ints",
    ),
    (lambda: dl.col2im(X[0], 6, 2), ValueError, "cols must have shape"),
    (lambda: dl.col2im(X[0], (6, 0), 2), ValueError, "output_size must be at least 1"),
    (lambda: dl.col2im(X[0].astype(int), 6, 2), TypeError, "float32 or float64"),
]


@pytest.mark.parametrize("call, exception, match", BAD_COLUMNS)
def test_bad_columns(call, exception, match):
    with pytest.raises(exception, match=match):
        call()
