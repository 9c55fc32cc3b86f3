import numpy as np
import pytest
import reference_boxes as reference

import dlcore as dl
from dlcore.bench.cases.case import Case
from dlcore.testing import assert_close, gradcheck

# (channels, height, width), regions, output: around the vector width, few and many
CASES = [
    ((1, 5, 6), 3, (2, 2)),
    ((3, 20, 23), 4, (7, 7)),
    ((16, 9, 17), 12, (3, 2)),
    ((17, 13, 40), 9, (1, 5)),
    ((70, 8, 8), 8, (2, 3)),
    ((33, 30, 30), 1, (2, 2)),
]


def regions(rng, n, size, dtype="float64", batch=2):
    """Inside, over the edges, outside and smaller than a pixel."""
    height, width = size
    corner = rng.uniform(-0.3, 1.0, (n, 2)) * (width, height)
    sides = rng.uniform(0.01, 0.9, (n, 2)) * (width, height)
    image = rng.integers(0, batch, (n, 1))
    return np.hstack([image, corner, corner + sides]).astype(dtype)


@pytest.mark.parametrize("shape, n, out", CASES)
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling_ratio", [-1, 1, 2, 3])
def test_roi_align(isa, dtype, rng, shape, n, out, aligned, sampling_ratio):
    x = rng.standard_normal((2, *shape)).astype(dtype)
    rois = regions(rng, n, shape[1:], dtype)
    rois[:, 1:] *= 4
    args = out, 0.25, sampling_ratio, aligned
    want = reference.roi_align(x.astype("d"), rois, *args)
    assert_close(dl.roi_align(x, rois, *args), want, ulp=32, scale=3)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling_ratio", [-1, 2])
def test_roi_align_gradient(isa, rng, aligned, sampling_ratio):
    for channels, n in ((2, 3), (17, 2)):
        x = rng.standard_normal((2, channels, 6, 7))
        rois = regions(rng, n, (6, 7))
        args = (2, 3), 1.0, sampling_ratio, aligned
        gradcheck(lambda x, a=args, r=rois: dl.roi_align(x, r, *a), x)


@pytest.mark.parametrize("shape, n, out", CASES)
def test_roi_align_gradient_is_the_adjoint(isa, dtype, rng, shape, n, out):
    """<dy, f(x)> = <f'(dy), x> for a function that is linear in x."""
    x = rng.standard_normal((2, *shape)).astype(dtype)
    rois = regions(rng, n, shape[1:], dtype)
    t = dl.Tensor(x, requires_grad=True)
    y = dl.roi_align(t, rois, out, sampling_ratio=2)
    dy = rng.standard_normal(y.shape).astype(dtype)
    y.backward(dy)
    left = np.vdot(dy.astype("d"), y.data.astype("d"))
    right = np.vdot(t.grad.data.astype("d"), x.astype("d"))
    bound = 64 * np.finfo(dtype).eps * np.abs(dy * y.data).sum() + 1e-12
    assert abs(left - right) < bound * 4


def test_inverted_regions(isa, rng):
    """Sampled backwards with a ratio, empty without; with alignment only."""
    x = rng.standard_normal((1, 18, 12, 12))
    rois = np.array([[0.0, 9, 8, 2, 1], [0, 9, 1, 2, 8]])
    for ratio in (2, -1):
        want = reference.roi_align(x, rois, (3, 3), 1.0, ratio, True)
        assert_close(dl.roi_align(x, rois, 3, 1.0, ratio, True), want, scale=3)
    assert not dl.roi_align(x, rois, 3, 1.0, -1, True).any()
    gradcheck(lambda x: dl.roi_align(x, rois, 3, 1.0, 2, True), x[:, :3])


def test_roi_align_of_huge_regions(isa, dtype):
    """A region of any size takes no longer than its picture."""
    x = np.ones((1, 20, 8, 9), dtype)
    rois = np.array([[0, -1e9, -1e9, 1e9, 1e9], [0, -1e30, 0, 1e30, 4]], dtype)
    y = dl.roi_align(x, rois, 2)
    assert np.isfinite(y).all() and y.max() < 1e-3


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling_ratio", [0, 2])
@pytest.mark.parametrize("channels", [3, 32])
def test_roi_align_against_onnxruntime(rng, aligned, sampling_ratio, channels):
    pytest.importorskip("onnxruntime", reason="needs the extra oracles")
    from dlcore.bench.with_onnxruntime import session

    x = rng.standard_normal((2, channels, 30, 40)).astype("float32")
    rois = regions(rng, 60, (120, 160), "float32")
    arrays = x, rois[:, 1:].copy(), rois[:, 0].astype(np.int64)
    run = session(
        "RoiAlign",
        arrays,
        ("float32", 4),
        16,
        output_height=5,
        output_width=4,
        sampling_ratio=sampling_ratio,
        spatial_scale=0.25,
        coordinate_transformation_mode="half_pixel" if aligned else "output_half_pixel",
    )
    got = dl.roi_align(x, rois, (5, 4), 0.25, sampling_ratio, aligned)
    np.testing.assert_allclose(got, run(*arrays), atol=2e-4)


def case_like_torch(rng):
    """Pictures, regions inside them, and the case that PyTorch's way is given."""
    x = rng.standard_normal((1, 20, 17, 23)).astype("float32")
    low = rng.uniform(0, 60, (30, 2))
    rois = np.hstack([np.zeros((30, 1)), low, low + rng.uniform(1, 7, (30, 2))])
    sizes = {"sampling_ratio": 2, "out": 3, "scale": 0.25, "shape": x.shape}
    case = Case("", "", "", "", "", "fwd+bwd", sizes)
    return case, x, np.round(rois).astype("float32")


@pytest.mark.parametrize("kind", ["roi_align", "roi_pool"])
def test_like_torch(torch, rng, kind):
    """PyTorch's grid_sample and adaptive_max_pool2d, with their gradients."""
    from dlcore.bench import with_dlcore, with_torch

    case, x, rois = case_like_torch(rng)
    dy = rng.standard_normal((30, 20, 3, 3)).astype("float32")
    y, dx = getattr(with_dlcore, kind)(case, "", x, rois, dy)()
    want, want_dx = getattr(with_torch, kind)(case, "", x, rois, dy)()
    np.testing.assert_allclose(y.data, want.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(dx.data, want_dx.numpy(), atol=1e-4)


# -- roi pool --


@pytest.mark.parametrize("shape, n, out", CASES)
def test_roi_pool(isa, dtype, rng, shape, n, out):
    x = np.round(rng.standard_normal((2, *shape)), 1).astype(dtype)  # has ties
    rois = regions(rng, n, shape[1:], dtype)
    rois[:, 1:] *= 4
    want = reference.roi_pool(x, rois, out, 0.25)
    np.testing.assert_array_equal(dl.roi_pool(x, rois, out, 0.25), want)
    t = dl.Tensor(x, requires_grad=True)
    y = dl.roi_pool(t, rois, out, 0.25)
    np.testing.assert_array_equal(y.data, want)
    y.backward(np.ones_like(y.data))
    total = (x.astype("d") * t.grad.data).sum()  # each bin gives its own maximum back
    np.testing.assert_allclose(total, want.sum(), rtol=1e-9, atol=1e-3)


def test_roi_pool_gradient(isa, rng):
    x = rng.permutation(2 * 3 * 7 * 9).reshape(2, 3, 7, 9) / 10.0
    rois = regions(rng, 6, (7, 9))
    gradcheck(lambda x: dl.roi_pool(x, rois, (2, 3)), x)


def test_roi_pool_against_onnxruntime(rng):
    pytest.importorskip("onnxruntime", reason="needs the extra oracles")
    from dlcore.bench.with_onnxruntime import session

    x = rng.standard_normal((2, 5, 30, 40)).astype("float32")
    rois = np.round(regions(rng, 60, (120, 160), "float32"))
    arrays = x, rois
    run = session(
        "MaxRoiPool", arrays, ("float32", 4), 1, pooled_shape=(4, 2), spatial_scale=0.25
    )
    want = run(*arrays)
    got = dl.roi_pool(x, rois, (4, 2), 0.25)
    assert (got != want).mean() < 0.01  # a corner that is exactly half a pixel


def test_roi_pool_special(isa, dtype):
    x = np.zeros((1, 1, 4, 40), dtype)
    x[0, 0, 1, 3] = np.nan
    x[0, 0, 2:, 20:] = -np.inf
    y = dl.roi_pool(x, np.array([[0, 0, 0, 39, 3]], dtype), (2, 2))
    np.testing.assert_array_equal(y[0, 0], [[np.nan, 0], [0, -np.inf]])
    t = dl.Tensor(np.ones((1, 1, 4, 6), dtype), requires_grad=True)
    dl.roi_pool(t, np.array([[0, 0, 0, 5, 3]], dtype), 2).sum().backward()
    want = np.zeros((4, 6))
    want[::2, ::3] = 1  # the first of equal ones
    np.testing.assert_array_equal(t.grad.data[0, 0], want)


# -- both --


@pytest.mark.parametrize("op", [dl.roi_align, dl.roi_pool])
def test_regions_that_are_not_finite(isa, dtype, op):
    for channels in (2, 40):
        x = dl.Tensor(np.ones((1, channels, 4, 4), dtype), requires_grad=True)
        rois = np.array(
            [[0, 0, np.nan, 3, 3], [0, 0, 0, np.inf, 3], [0, 0, 0, 3, 3]], dtype
        )
        y = op(x, rois, 2)
        assert np.isnan(y.data[:2]).all() and (y.data[2] == 1).all()
        y.backward(np.ones_like(y.data))
        assert abs(x.grad.data.sum() - 4 * channels) < 1e-3


@pytest.mark.parametrize("op", [dl.roi_align, dl.roi_pool])
def test_lists_of_boxes(rng, op):
    x = rng.standard_normal((3, 2, 8, 8)).astype("float32")
    rois = regions(rng, 7, (8, 8), "float32", 3)
    rois = rois[np.argsort(rois[:, 0], kind="stable")]
    lists = [rois[rois[:, 0] == i, 1:] for i in range(3)]
    np.testing.assert_array_equal(op(x, lists, 3), op(x, rois, 3))


@pytest.mark.parametrize("op", [dl.roi_align, dl.roi_pool])
def test_layouts_and_empty(rng, op):
    x = rng.standard_normal((2, 3, 8, 9)).astype("float32")
    rois = regions(rng, 4, (8, 9), "float32")
    want = op(x, rois, 3)
    np.testing.assert_array_equal(op(np.asfortranarray(x), rois.astype(">f4"), 3), want)
    t = dl.Tensor(x, requires_grad=True)
    y = op(t, rois[:0], 3)
    assert y.shape == (0, 3, 3, 3)
    y.sum().backward()
    np.testing.assert_array_equal(t.grad.data, 0)
    assert op(x[:, :0], rois, 3).shape == (4, 0, 3, 3)
    assert op(x[:0], rois[:0], 3).shape == (0, 3, 3, 3)


@pytest.mark.parametrize("size", [(40, 50), (9, 9)])
def test_same_bits_for_any_threads(threads, rng, size):
    x = rng.standard_normal((2, 50, *size)).astype("float32")
    rois = regions(rng, 25, size, "float32")
    results = set()
    for n in (1, 2, 3):
        threads(n)
        bits = b""
        for op in (dl.roi_align, dl.roi_pool):
            t = dl.Tensor(x, requires_grad=True)
            y = op(t, rois, 5)
            y.backward(np.cos(y.data))
            bits += y.data.tobytes() + t.grad.data.tobytes()
        results.add(bits)
    assert len(results) == 1


def test_modules(rng):
    x = rng.standard_normal((2, 3, 8, 9)).astype("float32")
    rois = regions(rng, 4, (8, 9), "float32")
    align = dl.nn.RoIAlign(3, 0.5, 2, aligned=True)
    np.testing.assert_array_equal(
        align(x, rois), dl.roi_align(x, rois, 3, 0.5, 2, True)
    )
    pool = dl.nn.RoIPool((3, 2), 0.5)
    np.testing.assert_array_equal(pool(x, rois), dl.roi_pool(x, rois, (3, 2), 0.5))
    assert repr(align) == (
        "RoIAlign(output_size=3, spatial_scale=0.5, sampling_ratio=2, aligned=True)"
    )
    assert repr(pool) == "RoIPool(output_size=(3, 2), spatial_scale=0.5)"


X = np.zeros((2, 3, 6, 6), np.float32)
R = np.zeros((2, 5), np.float32)
BAD = [
    (lambda f: f(X[0], R, 2), ValueError, r"input must have shape \(N, C, H, W\)"),
    (lambda f: f(X, R[:, :4], 2), ValueError, r"boxes must have shape \(K, 5\)"),
    (lambda f: f(X, R.astype("d"), 2), TypeError, "input and boxes must have one"),
    (
        lambda f: f(X, R + 2, 2),
        IndexError,
        r"boxes\[:, 0\] must be a batch index from 0 to 1, got boxes\[0, 0\] = 2",
    ),
    (lambda f: f(X, R - 1, 2), IndexError, "must be a batch index"),
    (lambda f: f(X, R + 0.5, 2), IndexError, r"got boxes\[0, 0\] = 0.5"),
    (lambda f: f(X, R * np.nan, 2), IndexError, r"boxes\[0, 0\] = nan"),
    (lambda f: f(X, R, 0), ValueError, "output_size must be at least 1, got 0"),
    (lambda f: f(X, R, (1, 1, 1)), TypeError, "output_size must be an int or a pair"),
    (lambda f: f(X, R, 1 << 40), ValueError, "more than an array|below 65536"),
    (lambda f: f(X, R, 2, 0), ValueError, "spatial_scale must be above 0, got 0"),
    (lambda f: f(X, R, 2, "a"), TypeError, "spatial_scale must be a real number"),
    (lambda f: f(X[:, :, :0], R, 2), ValueError, "input must have height and width"),
    (
        lambda f: f(X, [R[:, :4]], 2),
        ValueError,
        "boxes must be one array for each picture of input, got 1",
    ),
    (lambda f: f(X, [R, R], 2), ValueError, r"boxes\[0\] must have shape \(L, 4\)"),
    (
        lambda f: f(X, [R[:, :4].astype("d")] * 2, 2),
        TypeError,
        r"boxes\[0\] must be a NumPy array of input's dtype float32, got float64",
    ),
    (lambda f: f(X, [[0, 0, 1, 1]], 2), TypeError, r"boxes\[0\] .* got list"),
]


@pytest.mark.parametrize("op", [dl.roi_align, dl.roi_pool])
@pytest.mark.parametrize("call, exception, match", BAD)
def test_bad_calls(op, call, exception, match):
    with pytest.raises(exception, match=f"{op.__name__}: .*{match}"):
        call(op)


def test_bad_sampling_ratio():
    with pytest.raises(ValueError, match="sampling_ratio must be at most 1024"):
        dl.roi_align(X, R, 2, sampling_ratio=1025)
