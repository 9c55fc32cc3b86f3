"""Depthwise 3x3 along rows, by strips, channels in the lanes; see test_conv.py."""

import numpy as np
import pytest

import dlcore as dl
from dlcore.testing import assert_close

# batch, channels, size, results to a channel, stride, padding
SHAPES = [
    (2, 3, (9, 16), 1, 1, (1, 1)),
    (1, 2, (5, 17), 1, 1, (0, 0)),
    (1, 3, (30, 49), 1, 1, (2, 1)),
    (2, 2, (11, 31), 2, 1, (1, 2)),
    (1, 20, (14, 14), 1, 1, (1, 1)),
    (1, 2, (300, 33), 1, 1, (1, 1)),  # blocks of rows
    (1, 3, (1, 40), 1, 1, (1, 1)),
    (2, 3, (16, 34), 1, 2, (1, 1)),
    (1, 2, (17, 65), 1, 2, (0, 0)),
    (1, 3, (12, 21), 1, 2, (2, 2)),
    (1, 2, (7, 40), 1, 2, (0, 1)),
    (1, 19, (28, 28), 1, 2, (1, 1)),
    (1, 2, (280, 70), 1, 2, (1, 0)),
    (1, 3, (9, 37), 2, 2, (1, 1)),
]


def taps_of(x, out, stride, padding):
    """For each tap, what it reads of x with its padding."""
    pad = [(0, 0), (0, 0), *((p, p + 2) for p in padding)]
    x = np.pad(x, pad)
    for t in range(9):
        rows, columns = (
            slice(at, at + (n - 1) * stride + 1, stride)
            for at, n in zip((t // 3, t % 3), out, strict=True)
        )
        yield t // 3, t % 3, rows, columns, x


def expected(x, weight, bias, dy, stride, padding):
    """y, dx, dw and db in float64."""
    many = weight.shape[0] // x.shape[1]
    wide = [a.astype(np.float64) for a in (np.repeat(x, many, 1), weight, bias, dy)]
    x, weight, bias, dy = wide
    y = np.zeros(dy.shape) + bias[:, None, None]
    dw, whole = np.zeros(weight.shape), None
    for r, s, rows, columns, padded in taps_of(x, dy.shape[2:], stride, padding):
        whole = np.zeros(padded.shape) if whole is None else whole
        seen = padded[:, :, rows, columns]
        y += weight[:, 0, r, s, None, None] * seen
        dw[:, 0, r, s] = (dy * seen).sum((0, 2, 3))
        whole[:, :, rows, columns] += weight[:, 0, r, s, None, None] * dy
    (top, left), (height, width) = padding, x.shape[2:]
    dx = whole[:, :, top : top + height, left : left + width]
    n, c = dx.shape[:2]
    dx = dx.reshape(n, c // many, many, height, width).sum(2)
    return y, dx, dw, dy.sum((0, 2, 3))


def made(rng, shape, dtype):
    n, c, size, many, stride, padding = shape
    out = [(s + 2 * p - 3) // stride + 1 for s, p in zip(size, padding, strict=True)]
    sizes = (n, c, *size), (c * many, 1, 3, 3), (c * many,), (n, c * many, *out)
    arrays = [rng.standard_normal(s).astype(dtype) for s in sizes]
    return arrays, stride, padding, c


def results(x, weight, bias, dy, stride, padding, groups):
    leaves = [dl.Tensor(a, requires_grad=True) for a in (x, weight, bias)]
    y = dl.conv2d(*leaves, stride, padding, 1, groups)
    y.backward(dy)
    return y.data, *(leaf.grad.data for leaf in leaves)


@pytest.mark.parametrize("shape", SHAPES)
def test_results_and_gradients(isa, dtype, rng, shape):
    arrays, stride, padding, groups = made(rng, shape, dtype)
    got = results(*arrays, stride, padding, groups)
    want = expected(*arrays, stride, padding)
    scale = expected(*map(np.abs, arrays), stride, padding)
    for mine, exact, size in zip(got, want, scale, strict=True):
        assert mine.dtype == dtype
        assert_close(mine, exact, ulp=40, scale=size)


@pytest.mark.parametrize("shape", [SHAPES[i] for i in (0, 4, 5, 7, 12)])
def test_same_bits_on_one_thread_and_two(rng, threads, shape):
    arrays, stride, padding, groups = made(rng, shape, np.float32)
    threads(1)
    one = results(*arrays, stride, padding, groups)
    threads(2)
    for a, b in zip(one, results(*arrays, stride, padding, groups), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(14, 14), (9, 20), (12, 33)])
def test_infinity_reaches_only_what_reads_it(isa, rng, size, stride):
    shape = (1, 2, size, 1, stride, (1, 1))
    (x, weight, bias, dy), *window, groups = made(rng, shape, np.float32)
    x[0, 0, 0, 0] = x[0, 1, -1, -1] = np.inf
    y, dx, dw, db = results(x, weight, bias, dy, *window, groups)
    mark = np.isinf(x).astype(np.float32)
    ones = [np.ones_like(a) for a in (weight, bias, dy)]
    hits, _, seen, _ = expected(mark, *ones, *window)
    np.testing.assert_array_equal(np.isfinite(y), hits == 1)  # the bias alone
    np.testing.assert_array_equal(np.isfinite(dw), seen == 0)
    assert np.isfinite(dx).all()
    assert np.isfinite(db).all()


def test_gradient_of_bias_alone_is_the_same(isa, rng):
    for shape in SHAPES:
        (x, weight, bias, dy), *window, groups = made(rng, shape, np.float32)
        db = results(x, weight, bias, dy, *window, groups)[3]
        leaf = dl.Tensor(bias, requires_grad=True)
        dl.conv2d(x, weight, leaf, *window, 1, groups).backward(dy)
        np.testing.assert_allclose(leaf.grad.data, db, rtol=1e-4, atol=1e-4)
