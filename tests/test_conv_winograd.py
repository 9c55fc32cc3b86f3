"""Winograd's way through conv2d: results, error, and that it can be switched off."""

import platform

import numpy as np
import pytest
import reference

import dlcore as dl
from dlcore.testing import assert_close

# batch, channels, size, out_channels, padding: whole and cut tiles, slices and panels;
# several parts of an image, several images of a part, several blocks of a batch
CASES = [
    (1, 64, (8, 8), 16, 1),
    (1, 64, (13, 10), 35, 0),
    (2, 70, (9, 17), 72, 2),
    (3, 136, (14, 14), 64, 1),
    (2, 64, (61, 50), 24, 1),
    (40, 65, (7, 7), 64, 1),
    (2, 320, (41, 40), 8, 1),
    (2, 20, (13, 11), 260, 1),  # the gradient of x
    (1, 48, (22, 9), 256, 0),
]


@pytest.fixture(autouse=True)
def winograd():
    dl.set_winograd(True)
    yield
    dl.set_winograd(True)


def arrays_of(rng, case, dtype=np.float32):
    n, c, size, k, _ = case
    shapes = (n, c, *size), (k, c, 3, 3), (k,)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def upstream(shape):
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


def run(arrays, padding):
    """Result and gradients of x and weight."""
    tensors = [dl.Tensor(a, requires_grad=True) for a in arrays]
    y = dl.conv2d(*tensors, 1, padding)
    y.backward(upstream(y.data.shape))
    return [y.data, *(t.grad.data for t in tensors[:2])]


@pytest.mark.parametrize("case", CASES)
def test_results(isa, rng, case):
    padding = case[-1]
    arrays = arrays_of(rng, case)
    wide = [a.astype(np.float64) for a in arrays]
    y = dl.conv2d(*arrays, 1, padding)
    want = reference.conv2d(*wide, (1, 1), (padding, padding))
    scale = reference.conv2d(*map(np.abs, wide), (1, 1), (padding, padding))
    # Pixels with much padding have the error of their tile.
    scale = np.full_like(scale, scale.mean())
    assert_close(y, want, scale=scale)
    rectified = dl.conv2d(*arrays, 1, padding, activation="relu")
    np.testing.assert_array_equal(rectified, np.maximum(y, 0))
    alone = dl.conv2d(arrays[0][0], *arrays[1:], 1, padding)
    np.testing.assert_array_equal(alone, y[0])
    without_bias = dl.conv2d(*arrays[:2], None, 1, padding)
    assert_close(without_bias + arrays[2][:, None, None], want, scale=scale)


@pytest.mark.parametrize("case", CASES)
def test_gradients(isa, torch, rng, case):
    arrays = arrays_of(rng, case)
    theirs = [torch.tensor(a.astype(np.float64), requires_grad=True) for a in arrays]
    y = torch.nn.functional.conv2d(*theirs, 1, case[-1])
    y.backward(torch.tensor(upstream(y.shape).astype(np.float64)))
    want = [y.detach().numpy(), *(t.grad.numpy() for t in theirs[:2])]
    for got, exact in zip(run(arrays, case[-1]), want, strict=True):
        error = np.abs(got - exact).max() / np.abs(exact).max()
        assert error < 200 * np.finfo(np.float32).eps


def within_bound(ours, direct, exact):
    """Root mean square of the error at most twice the direct way's, largest 2.5."""
    mine, before = ours - exact, direct - exact
    rms, rms_before = (np.sqrt(np.mean(e**2)) for e in (mine, before))
    return rms <= 2 * rms_before and abs(mine).max() <= 2.5 * abs(before).max()


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("n, channels, size", [(1, 64, 56), (1, 128, 28), (4, 256, 14)])
def test_error(isa, torch, rng, n, channels, size, positive):
    arrays = arrays_of(rng, (n, channels, (size, size), channels, 1))
    if positive:
        arrays[0] = np.maximum(arrays[0], 0)
    theirs = [torch.tensor(a.astype(np.float64), requires_grad=True) for a in arrays]
    y = torch.nn.functional.conv2d(*theirs, padding=1)
    y.backward(torch.tensor(upstream(y.shape).astype(np.float64)))
    exact = [y.detach().numpy(), *(t.grad.numpy() for t in theirs[:2])]
    ours = run(arrays, 1)
    dl.set_winograd(False)
    for results in zip(ours, run(arrays, 1), exact, strict=True):
        assert within_bound(*results)


def test_switch(isa, rng):
    arrays = arrays_of(rng, CASES[0])
    on = run(arrays, 1)
    assert dl.get_winograd()
    dl.set_winograd(False)
    assert not dl.get_winograd()
    off = run(arrays, 1)
    has_none = isa == "baseline" and platform.machine() == "x86_64"
    assert (on[0] != off[0]).any() != has_none
    for a, b in zip(on, off, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-5 * np.abs(b).max())
    for wrong in (1, "yes", None, np.True_):
        with pytest.raises(TypeError, match="enabled must be True or False, got"):
            dl.set_winograd(wrong)


def test_float64_is_left_alone(isa, rng):
    arrays = arrays_of(rng, CASES[0], np.float64)
    on = dl.conv2d(*arrays, 1, 1)
    dl.set_winograd(False)
    np.testing.assert_array_equal(on, dl.conv2d(*arrays, 1, 1))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_special_values_reach_the_tiles_that_read_them(isa, rng, value):
    x, weight, _ = arrays_of(rng, (1, 64, (21, 22), 16, 1))
    clean = dl.conv2d(x, weight, padding=1)
    x[0, 3, 9, 12] = value
    y = dl.conv2d(x, weight, padding=1)
    assert not np.isfinite(y[0, :, 8:11, 11:14]).any()
    outside = np.ones((21, 22), bool)
    outside[8:16, 8:16] = False
    outside[4:12, 8:16] = False
    np.testing.assert_array_equal(y[:, :, outside], clean[:, :, outside])


@pytest.mark.parametrize("case", CASES[2:])
def test_same_bits_for_any_threads(threads, rng, case):
    arrays = arrays_of(rng, case)
    results = []
    for count in (1, 2, 3):
        threads(count)
        results.append([a.tobytes() for a in run(arrays, case[-1])])
    assert results[0] == results[1] == results[2]
