import itertools

import numpy as np
import pytest
import reference_geometry as reference

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

MODES = ["bilinear", "nearest", "bicubic"]
PADDINGS = ["zeros", "border", "reflection"]
WAYS = list(itertools.product(MODES, PADDINGS, [False, True]))
SHAPES = [
    ((2, 3, 5, 7), (4, 6)),
    ((1, 1, 9, 8), (1, 37)),
    ((2, 2, 1, 6), (3, 5)),
    ((1, 2, 6, 1), (3, 5)),
    ((1, 2, 3, 4, 5), (2, 3, 9)),
    ((1, 1, 1, 2, 3), (4, 1, 2)),
]


def inputs(rng, shape, out, dtype, reach=1.5):
    axes = len(shape) - 2
    x = rng.standard_normal(shape).astype(dtype)
    grid = rng.uniform(-reach, reach, (shape[0], *out, axes)).astype(dtype)
    return x, grid


@pytest.mark.parametrize("shape, out", SHAPES)
@pytest.mark.parametrize("mode, padding, align", WAYS)
def test_grid_sample(isa, dtype, rng, shape, out, mode, padding, align):
    if mode == "bicubic" and len(shape) == 5:
        pytest.skip("bicubic is for pictures")
    x, grid = inputs(rng, shape, out, dtype)
    y = dl.grid_sample(x, grid, mode, padding, align)
    assert y.dtype == dtype
    want = reference.grid_sample(x.astype("d"), grid, mode, padding, align)
    if mode == "nearest":
        np.testing.assert_array_equal(y, want)
    else:
        assert_close(y, want, ulp=64, scale=np.abs(x).max())


@pytest.mark.parametrize("shape, out", SHAPES)
@pytest.mark.parametrize("mode, padding, align", WAYS)
def test_oracle(torch, dtype, rng, shape, out, mode, padding, align):
    if mode == "bicubic" and len(shape) == 5:
        pytest.skip("bicubic is for pictures")
    x, grid = inputs(rng, shape, out, dtype, 3.0)
    theirs = [torch.tensor(a, requires_grad=True) for a in (x, grid)]
    want = torch.nn.functional.grid_sample(*theirs, mode, padding, align)
    ours = [dl.Tensor(a, requires_grad=True) for a in (x, grid)]
    y = dl.grid_sample(*ours, mode, padding, align)
    near = {"rtol": 1e-4, "atol": 2e-5} if dtype == "float32" else {"rtol": 1e-11}
    np.testing.assert_allclose(y.data, want.detach().numpy(), **near)
    dy = rng.standard_normal(y.shape).astype(dtype)
    y.backward(dy)
    want.backward(torch.tensor(dy))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(
            a.grad.data, b.grad.numpy(), near["rtol"], near.get("atol", 1e-11)
        )


@pytest.mark.parametrize("shape, out", SHAPES[:1] + SHAPES[4:5])
@pytest.mark.parametrize("mode, padding, align", WAYS)
def test_gradients(rng, shape, out, mode, padding, align):
    if mode == "bicubic" and len(shape) == 5:
        pytest.skip("bicubic is for pictures")
    x, grid = inputs(rng, shape, out, "d")
    gradcheck(lambda x: dl.grid_sample(x, grid, mode, padding, align), x)
    gradcheck(lambda g: dl.grid_sample(x, g, mode, padding, align), grid)


@pytest.mark.parametrize("size", [(40, 50), (7, 300)])
def test_the_picture_itself(isa, dtype, rng, size):
    x = rng.standard_normal((2, 3, *size)).astype(dtype)
    theta = np.array([[[1, 0, 0], [0, 1, 0]]] * 2, dtype)
    for align in (False, True):
        grid = dl.affine_grid(theta, x.shape, align)
        y = dl.grid_sample(x, grid, "bilinear", "border", align)
        assert_close(y, x.astype("d"), ulp=8 * max(size), scale=np.abs(x).max())


def test_special_values(isa, dtype):
    x = np.ones((1, 1, 3, 3), dtype)
    x[0, 0, 1, 0], x[0, 0, 1, 1] = np.inf, 5
    places = np.array([[[[0, 0], [np.nan, 0], [-9, 0], [np.inf, 0], [0, 1e30]]]], dtype)
    y = dl.grid_sample(x, places)[0, 0, 0]
    assert y[0] == 5
    assert y[1] == np.inf  # NaN counts as -1
    np.testing.assert_array_equal(y[2:], 0)
    near = dl.grid_sample(x, places, "nearest")[0, 0, 0]
    np.testing.assert_array_equal(near, [5, np.inf, 0, 0, 0])
    for padding in PADDINGS:
        for mode in MODES:
            huge = np.array([[[[3e38, -3e38], [np.inf, -np.inf]]]], dtype)
            finite = np.isfinite(dl.grid_sample(np.ones_like(x), huge, mode, padding))
            assert finite.all()


def test_empty():
    x = np.zeros((0, 3, 4, 5), "f")
    assert dl.grid_sample(x, np.zeros((0, 2, 3, 2), "f")).shape == (0, 3, 2, 3)
    t = dl.Tensor(np.zeros((1, 3, 4, 5), "f"), requires_grad=True)
    dl.grid_sample(t, np.zeros((1, 0, 3, 2), "f")).backward(np.zeros((1, 3, 0, 3), "f"))
    np.testing.assert_array_equal(t.grad.data, np.zeros((1, 3, 4, 5)))


@pytest.mark.parametrize("mode", MODES)
def test_same_bits_for_any_threads(threads, rng, mode):
    x, grid = inputs(rng, (2, 40, 30, 31), (50, 60), "f")
    results = []
    for n in (1, 2, 3):
        threads(n)
        a, b = dl.Tensor(x, requires_grad=True), dl.Tensor(grid, requires_grad=True)
        y = dl.grid_sample(a, b, mode, "reflection")
        y.backward(y.data)
        results.append([t.tobytes() for t in (y.data, a.grad.data, b.grad.data)])
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("size", [(2, 3, 4, 5), (2, 1, 1, 6), (2, 1, 3, 4, 5)])
@pytest.mark.parametrize("align", [False, True])
@pytest.mark.filterwarnings("ignore:Since version 1.3.0, affine_grid")
def test_affine_grid(torch, dtype, rng, size, align):
    axes = len(size) - 2
    theta = rng.standard_normal((2, axes, axes + 1)).astype(dtype)
    theirs = torch.tensor(theta, requires_grad=True)
    want = torch.nn.functional.affine_grid(theirs, size, align)
    ours = dl.Tensor(theta, requires_grad=True)
    grid = dl.affine_grid(ours, size, align)
    near = {"rtol": 1e-5, "atol": 1e-6} if dtype == "float32" else {"rtol": 1e-12}
    np.testing.assert_allclose(grid.data, want.detach().numpy(), **near)
    dy = rng.standard_normal(grid.shape).astype(dtype)
    grid.backward(dy)
    want.backward(torch.tensor(dy))
    near["atol"] = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(ours.grad.data, theirs.grad.numpy(), **near)


X = np.zeros((1, 2, 4, 5), np.float32)
G = np.zeros((1, 3, 3, 2), np.float32)
BAD = [
    (
        lambda: dl.grid_sample(X, G[..., :1]),
        ValueError,
        "grid must have the batch of input",
    ),
    (lambda: dl.grid_sample(X, G[:0]), ValueError, "grid must have the batch of input"),
    (lambda: dl.grid_sample(X[0], G), ValueError, "input must have axes"),
    (lambda: dl.grid_sample(X[..., :0], G), ValueError, "must have height and width"),
    (lambda: dl.grid_sample(X, G, "cubic"), ValueError, "mode must be 'bilinear'"),
    (lambda: dl.grid_sample(X, G, padding_mode=1), ValueError, "padding_mode must be"),
    (lambda: dl.grid_sample(X, G.astype("d")), TypeError, "must have one dtype"),
    (
        lambda: dl.grid_sample(
            X[:, :, None], np.zeros((1, 1, 1, 1, 3), "f"), "bicubic"
        ),
        ValueError,
        "mode 'bicubic' must go with input of 4 axes",
    ),
    (lambda: dl.affine_grid(G, (1, 1, 2, 2)), ValueError, "theta must have shape"),
    (lambda: dl.affine_grid(G[0, :2], (1, 2)), ValueError, "size must be"),
    (
        lambda: dl.affine_grid(np.zeros((1, 2, 3), "f"), (1, 1, 0, 2)),
        ValueError,
        "size must be from 1",
    ),
]


@pytest.mark.parametrize("call, exception, match", BAD)
def test_bad_calls(call, exception, match):
    with pytest.raises(exception, match=match):
        call()
