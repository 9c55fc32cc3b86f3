"""conv2d with a group to each channel: kernels of their own."""

import numpy as np
import pytest
import reference

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

# batch, channels, results of a channel, size, kernel, stride, padding, dilation
CASES = [
    (2, 3, 1, (9, 21), (3, 3), (1, 1), (1, 1), (1, 1)),
    (1, 5, 1, (7, 7), (3, 3), (1, 1), (1, 1), (1, 1)),
    (2, 4, 1, (14, 14), (3, 3), (1, 1), (1, 1), (1, 1)),
    (1, 2, 1, (120, 131), (3, 3), (1, 1), (1, 1), (1, 1)),  # several blocks of rows
    (1, 3, 1, (4, 40), (3, 3), (1, 1), (0, 0), (1, 1)),  # fewer rows than a tile
    (1, 3, 1, (9, 3), (3, 3), (1, 1), (3, 4), (1, 1)),  # wider padding than the kernel
    (2, 3, 1, (16, 23), (3, 3), (2, 2), (1, 1), (1, 1)),
    (1, 3, 1, (15, 40), (3, 3), (2, 2), (0, 1), (1, 1)),
    (1, 4, 1, (112, 112), (3, 3), (2, 2), (1, 1), (1, 1)),
    (1, 4, 1, (14, 14), (3, 3), (2, 2), (1, 1), (1, 1)),
    (1, 4, 1, (13, 5), (3, 3), (2, 2), (4, 5), (1, 1)),
    (1, 3, 1, (30, 49), (3, 3), (1, 1), (2, 1), (1, 1)),
    (1, 2, 1, (300, 33), (3, 3), (1, 1), (1, 1), (1, 1)),
    (1, 3, 1, (1, 40), (3, 3), (1, 1), (1, 1), (1, 1)),
    (1, 19, 1, (28, 28), (3, 3), (2, 2), (1, 1), (1, 1)),
    (1, 2, 1, (280, 70), (3, 3), (2, 2), (1, 0), (1, 1)),
    (1, 17, 1, (14, 14), (3, 3), (2, 2), (1, 1), (1, 1)),
    (2, 3, 1, (10, 19), (5, 5), (1, 1), (2, 2), (1, 1)),
    (1, 2, 1, (77, 90), (5, 5), (1, 1), (2, 1), (1, 1)),
    (1, 3, 1, (7, 7), (5, 5), (1, 1), (2, 2), (1, 1)),
    (2, 3, 1, (17, 28), (5, 5), (2, 2), (2, 2), (1, 1)),
    (1, 3, 1, (14, 13), (5, 5), (2, 2), (2, 2), (1, 1)),
    (1, 2, 1, (30, 31), (7, 7), (1, 1), (3, 3), (1, 1)),
    (1, 2, 1, (12, 35), (3, 3), (1, 1), (2, 2), (2, 2)),
    (1, 3, 1, (11, 70), (4, 2), (2, 3), (1, 0), (1, 1)),
    (1, 3, 1, (11, 20), (3, 3), (1, 2), (1, 1), (1, 1)),
    (1, 3, 1, (11, 20), (3, 3), (2, 1), (1, 1), (2, 3)),
    (2, 3, 1, (9, 10), (1, 1), (2, 2), (0, 0), (1, 1)),
    (1, 3, 1, (1, 100), (1, 4), (1, 1), (0, 3), (1, 1)),
    (2, 3, 2, (9, 21), (3, 3), (1, 1), (1, 1), (1, 1)),  # a multiplier
    (1, 3, 2, (9, 37), (3, 3), (2, 2), (1, 1), (1, 1)),
    (1, 2, 3, (14, 14), (5, 5), (2, 2), (2, 2), (1, 1)),
    (1, 2, 3, (12, 9), (3, 2), (3, 2), (1, 1), (2, 1)),
    (2, 1, 1, (9, 12), (3, 3), (1, 1), (1, 1), (1, 1)),  # one channel, one result
    (1, 3, 1, (2, 2), (2, 2), (5, 4), (4, 4), (1, 1)),
]


def arrays_of(case, rng, dtype):
    n, c, many, size, kernel, *window = case
    shapes = [(n, c, *size), (c * many, 1, *kernel), (c * many,)]
    return [rng.standard_normal(s).astype(dtype) for s in shapes], (*window, c)


@pytest.mark.parametrize("case", CASES)
def test_forward(isa, dtype, rng, case):
    (x, weight, bias), window = arrays_of(case, rng, dtype)
    y = dl.conv2d(x, weight, bias, *window)
    wide = [a.astype(np.float64) for a in (x, weight, bias)]
    scale = reference.conv2d(*map(np.abs, wide), *window)
    assert_close(y, reference.conv2d(*wide, *window), scale=scale)
    np.testing.assert_array_equal(
        dl.conv2d(x, weight, bias, *window, activation="relu"), np.maximum(y, 0)
    )
    want = reference.conv2d(*wide[:2], None, *window)
    assert_close(dl.conv2d(x, weight, None, *window), want, scale=scale)


@pytest.mark.parametrize("case", CASES)
def test_gradients(isa, dtype, torch, rng, case):
    arrays, window = arrays_of(case, rng, dtype)
    ours = [dl.Tensor(a, requires_grad=True) for a in arrays]
    y = dl.conv2d(*ours, *window)
    dy = rng.standard_normal(y.shape).astype(dtype)
    y.backward(dy)
    theirs = [torch.tensor(a.astype(np.float64), requires_grad=True) for a in arrays]
    torch.nn.functional.conv2d(*theirs, *window).backward(
        torch.tensor(dy.astype(np.float64))
    )
    tolerance = 200 * np.finfo(dtype).eps
    for mine, other in zip(ours, theirs, strict=True):
        want = other.grad.numpy()
        error = np.abs(mine.grad.data - want).max() / np.abs(want).max(initial=1.0)
        assert error < tolerance


@pytest.mark.parametrize("case", [CASES[i] for i in (5, 10, 21, 26, 31, 32)])
def test_gradcheck(rng, case):
    n, c, many, size, *rest = case
    small = n, c, many, tuple(min(s, 9) for s in size), *rest
    arrays, window = arrays_of(small, rng, np.float64)
    gradcheck(lambda *a: dl.conv2d(*a, *window, activation="relu"), *arrays)


def test_random_cases(isa, torch):
    rng = np.random.default_rng(3)
    F = torch.nn.functional
    for _ in range(80):
        n, c, many = rng.choice([1, 2, 3]), rng.integers(2, 6), rng.choice([1, 1, 2])
        size = rng.integers(1, 40, 2)
        kernel = rng.choice([1, 2, 3, 3, 3, 5, 5]) * np.ones(2, int)
        stride = rng.choice([1, 1, 2, 2, 3]) * np.ones(2, int)
        dilation, padding = rng.choice([1, 1, 1, 2], 2), rng.integers(0, 5, 2)
        if (size + 2 * padding < dilation * (kernel - 1) + 1).any():
            continue
        case = n, c, many, size, kernel, stride, padding, dilation
        (x, weight, _), window = arrays_of(case, rng, np.float32)
        window = *(tuple(map(int, v)) for v in window[:3]), int(c)
        ours = [dl.Tensor(a, requires_grad=True) for a in (x, weight)]
        theirs = [torch.tensor(a.astype("d"), requires_grad=True) for a in (x, weight)]
        y = dl.conv2d(*ours, None, *window)
        want = F.conv2d(*theirs, None, *window)
        dy = rng.standard_normal(y.shape).astype(np.float32)
        y.backward(dy)
        want.backward(torch.tensor(dy.astype("d")))
        pairs = [(y.data, want.detach().numpy())]
        pairs += [
            (a.grad.data, b.grad.numpy()) for a, b in zip(ours, theirs, strict=True)
        ]
        for got, exact in pairs:
            assert np.abs(got - exact).max() <= 3e-5 * np.abs(exact).max(initial=1.0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 4, 5])
def test_a_special_value_stays_where_windows_see_it(isa, value, stride, kernel):
    x = np.ones((1, 2, 12, 19), np.float32)
    x[0, 1, 5, 18] = value
    weight = dl.Tensor(np.ones((2, 1, kernel, kernel), np.float32), requires_grad=True)
    y = dl.conv2d(x, weight, None, stride, kernel // 2, 1, 2)
    seen = dl.conv2d(
        np.isfinite(x).astype("f4"), weight.data, None, stride, kernel // 2, 1, 2
    )
    full = dl.conv2d(np.ones_like(x), weight.data, None, stride, kernel // 2, 1, 2)
    np.testing.assert_array_equal(np.isfinite(y.data), seen == full)
    dy = np.ones(y.shape, np.float32)
    y.backward(dy)
    taps = np.zeros((2, kernel, kernel), bool)
    for r in range(kernel):
        for s in range(kernel):
            at = (5 + kernel // 2 - r, 18 + kernel // 2 - s)
            inside = all(p % stride == 0 for p in at)
            inside &= at[0] // stride < y.shape[2] and at[1] // stride < y.shape[3]
            taps[1, r, s] = inside
    np.testing.assert_array_equal(~np.isfinite(weight.grad.data[:, 0]), taps)
    if value == np.inf:  # and no product with zero that is not one of the sum's
        assert not np.isnan(weight.grad.data).any()


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(7, 7), (14, 14), (9, 20), (12, 33)])
def test_infinity_at_the_ends_of_rows(isa, rng, size, stride):
    x = rng.standard_normal((1, 9, *size)).astype(np.float32)
    x[:, :, 0, 0] = x[:, :, -1, -1] = np.inf
    ones = np.ones((9, 1, 3, 3), np.float32)
    weight = dl.Tensor(ones, requires_grad=True)
    y = dl.conv2d(x, weight, None, stride, 1, 1, 9)
    y.backward(np.ones(y.shape, np.float32))
    marked = dl.Tensor(ones, requires_grad=True)
    hits = dl.conv2d(np.isinf(x).astype("f4"), marked, None, stride, 1, 1, 9)
    hits.backward(np.ones(y.shape, np.float32))
    np.testing.assert_array_equal(np.isinf(y.data), hits.data > 0)
    np.testing.assert_array_equal(np.isinf(weight.grad.data), marked.grad.data > 0)
    assert not np.isnan(weight.grad.data).any()


@pytest.mark.parametrize("case", CASES[:20])
def test_gradient_of_the_bias_alone(isa, dtype, rng, case):
    arrays, window = arrays_of(case, rng, dtype)
    dy = rng.standard_normal(dl.conv2d(*arrays, *window).shape).astype(dtype)
    leaves = [dl.Tensor(a, requires_grad=True) for a in arrays]
    dl.conv2d(*leaves, *window).backward(dy)
    alone = dl.Tensor(arrays[2], requires_grad=True)
    dl.conv2d(*arrays[:2], alone, *window).backward(dy)
    scale = np.abs(dy).sum((0, 2, 3), dtype=np.float64)
    want = dy.sum((0, 2, 3), dtype=np.float64)
    for got in (alone, leaves[2]):
        assert_close(got.grad.data, want, scale=scale)


def test_infinite_weights_make_no_nan(isa):
    weight = np.full((3, 1, 3, 3), np.inf, np.float32)
    y = dl.conv2d(np.ones((1, 3, 8, 8), np.float32), weight, groups=3)
    assert np.isposinf(y).all()


@pytest.mark.parametrize("case", [CASES[i] for i in (2, 3, 8, 12, 14, 24, 31)])
def test_same_bits_for_any_threads(threads, rng, case):
    arrays, window = arrays_of((3, 3 * case[1], *case[2:]), rng, np.float32)
    results = []
    for count in (1, 2, 3):
        threads(count)
        tensors = [dl.Tensor(a, requires_grad=True) for a in arrays]
        y = dl.conv2d(*tensors, *window)
        y.backward(y.data)
        results.append([y.data.tobytes(), *(t.grad.data.tobytes() for t in tensors)])
    assert results[0] == results[1] == results[2]


def test_empty_batch():
    x = dl.Tensor(np.zeros((0, 3, 8, 8), np.float32), requires_grad=True)
    weight = dl.Tensor(np.ones((3, 1, 3, 3), np.float32), requires_grad=True)
    y = dl.conv2d(x, weight, groups=3)
    y.backward(np.zeros((0, 3, 6, 6), np.float32))
    assert x.grad.shape == x.shape
    assert not weight.grad.data.any()


def test_an_image_gives_the_same_bits_in_any_batch(rng):
    for case in CASES[:4]:
        (x, weight, bias), window = arrays_of((3, *case[1:]), rng, np.float32)
        y = dl.conv2d(x, weight, bias, *window)
        np.testing.assert_array_equal(dl.conv2d(x[1], weight, bias, *window), y[1])
