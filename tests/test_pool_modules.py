"""Modules of pooling over one, two and three axes; bad calls of its functions."""

import numpy as np
import pytest

import dlcore as dl


def op(name, dims):
    return getattr(dl, f"{name}{dims}d")


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_modules(rng, dims):
    nn, x = dl.nn, rng.standard_normal((2, 3, *(8, 7, 6)[:dims]))
    layer = {
        name: getattr(nn, f"{name}{dims}d")
        for name in "MaxPool MinPool AvgPool LPPool MaxUnpool AdaptiveAvgPool "
        "AdaptiveMaxPool".split()
    }
    want = op("max_pool", dims)(x, 3, 2, 1)
    np.testing.assert_array_equal(layer["MaxPool"](3, 2, 1)(x), want)
    want = op("min_pool", dims)(x, 3, 3, 0, 1, True)
    np.testing.assert_array_equal(layer["MinPool"](3, ceil_mode=True)(x), want)
    want = op("avg_pool", dims)(x, 3, 2, 1, count_include_pad=False)
    got = layer["AvgPool"](3, 2, 1, count_include_pad=False)(x)
    np.testing.assert_array_equal(got, want)
    want = op("lp_pool", dims)(np.abs(x), 3, 2)
    np.testing.assert_array_equal(layer["LPPool"](3, 2)(np.abs(x)), want)
    want = op("adaptive_avg_pool", dims)(x, 3)
    np.testing.assert_array_equal(layer["AdaptiveAvgPool"](3)(x), want)
    y, indices = layer["AdaptiveMaxPool"](3, return_indices=True)(x)
    want = op("adaptive_max_pool", dims)(x, 3, return_indices=True)
    np.testing.assert_array_equal(y, want[0])
    np.testing.assert_array_equal(indices, want[1])
    y, indices = layer["MaxPool"](2, return_indices=True)(x)
    want = op("max_unpool", dims)(y, indices, 2, output_size=x.shape)
    got = layer["MaxUnpool"](2)(y, indices, output_size=x.shape)
    np.testing.assert_array_equal(got, want)
    with pytest.raises(ValueError, match=r"LPPool.d: kernel_size must be at least 1"):
        layer["LPPool"](2, 0)
    with pytest.raises(TypeError, match=r"MaxPool.d: stride must be an integer"):
        layer["MaxPool"](2, 1.5)


X = np.zeros((1, 2, 6), np.float32)
Y = np.zeros((1, 2, 3), np.float32)
AT = np.zeros((1, 2, 3), np.int64)
BAD = [
    (lambda: dl.max_pool1d(X, (2, 2)), TypeError, "kernel_size must be an int, got"),
    (lambda: dl.max_pool3d(X, 2), ValueError, r"axes \(batch, channels, depth, height"),
    (lambda: dl.max_pool1d(X, 7), ValueError, "must fit into the padded length"),
    (lambda: dl.avg_pool3d(X[None], (2, 2)), TypeError, "an int or three ints"),
    (lambda: dl.min_pool1d(X, 0), ValueError, "min_pool1d: kernel_size must be at"),
    (lambda: dl.avg_pool2d(X, 2, divisor_override=0), ValueError, "must not be 0"),
    (lambda: dl.lp_pool1d(X, -1, 2), ValueError, "norm_type must be positive, got -1"),
    (lambda: dl.lp_pool1d(X, "2", 2), TypeError, "norm_type must be a real number"),
    (lambda: dl.adaptive_avg_pool1d(X, 0), ValueError, "output_size must be at least"),
    (lambda: dl.adaptive_max_pool1d(X[..., :0], 1), ValueError, "must have length"),
    (lambda: dl.max_unpool1d(Y, AT - 1, 2), IndexError, "indices must be from 0 to 5"),
    (lambda: dl.max_unpool1d(Y, AT + 6, 2), IndexError, "got 6"),
    (lambda: dl.max_unpool1d(Y, Y, 2), TypeError, "indices must be a NumPy array of"),
    (lambda: dl.max_unpool1d(Y, AT[..., :2], 2), ValueError, "have the shape of x"),
    (
        lambda: dl.max_unpool1d(Y, AT, 2, output_size=(8,)),
        ValueError,
        "output_size must be less than stride away",
    ),
]


@pytest.mark.parametrize("call, exception, match", BAD)
def test_bad_calls(call, exception, match):
    with pytest.raises(exception, match=match):
        call()
