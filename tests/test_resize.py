import numpy as np
import pytest
import reference_geometry as reference

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

# Sizes of input and result: up, down, mixed, same, one, around the vectors' width
SIZES = [
    ((5,), (13,)),
    ((40,), (17,)),
    ((1,), (9,)),
    ((9,), (1,)),
    ((7, 9), (14, 18)),
    ((16, 33), (8, 16)),
    ((11, 8), (20, 5)),
    ((20, 5), (11, 8)),
    ((6, 35), (6, 70)),
    ((6, 35), (9, 35)),
    ((1, 1), (3, 4)),
    ((17, 17), (17, 17)),
    ((3, 4, 5), (6, 3, 9)),
    ((6, 3, 9), (3, 4, 5)),
]
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def modes(axes):
    yield from (("nearest", {}), ("nearest-exact", {}), ("area", {}))
    names = [LINEAR[axes], *(["bicubic"] if axes == 2 else [])]
    for name in names:
        for align in (False, True):
            yield name, {"align_corners": align}
    for name in names if axes == 2 else ():
        yield name, {"antialias": True}
        yield name, {"antialias": True, "align_corners": True}


CASES = [
    (size, out, mode, options)
    for size, out in SIZES
    for mode, options in modes(len(size))
]


@pytest.mark.parametrize("size, out, mode, options", CASES)
def test_interpolate(isa, dtype, rng, size, out, mode, options):
    x = rng.standard_normal((2, 5, *size)).astype(dtype)
    align = options.get("align_corners", False)
    antialias = options.get("antialias", False)
    if antialias and align:
        pytest.skip("the places of one option, the filter of the other: see the oracle")
    y = dl.interpolate(x, out, mode=mode, **options)
    assert y.dtype == dtype
    want = reference.interpolate(
        x.astype(np.float64), out, mode, align, antialias=antialias
    )
    # A place is rounded at its own size, and so moves a weight.
    assert_close(y, want, ulp=8 * max(8, *size), scale=np.abs(x).max())


@pytest.mark.parametrize("size, out, mode, options", CASES)
def test_oracle(torch, dtype, rng, size, out, mode, options):
    x = rng.standard_normal((2, 3, *size)).astype(dtype)
    theirs = torch.tensor(x, requires_grad=True)
    want = torch.nn.functional.interpolate(theirs, out, mode=mode, **options)
    ours = dl.Tensor(x, requires_grad=True)
    y = dl.interpolate(ours, out, mode=mode, **options)
    near = {"rtol": 0, "atol": 5e-6 if dtype == "float32" else 1e-14}
    np.testing.assert_allclose(y.data, want.detach().numpy(), **near)
    dy = rng.standard_normal(y.shape).astype(dtype)
    y.backward(dy)
    want.backward(torch.tensor(dy))
    near["atol"] *= 8
    np.testing.assert_allclose(ours.grad.data, theirs.grad.numpy(), **near)


@pytest.mark.parametrize("size, out, mode, options", CASES)
def test_gradients(rng, size, out, mode, options):
    x = rng.standard_normal((1, 2, *size))
    gradcheck(lambda x: dl.interpolate(x, out, mode=mode, **options), x)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "linear"])
def test_places_are_pytorchs(torch, dtype, mode):
    """Each weight of every pair of small sizes."""
    for n in range(1, 34):
        x = np.eye(n, dtype=dtype)[:, None]
        for m in range(1, 50):
            want = torch.nn.functional.interpolate(torch.tensor(x), m, mode=mode)
            got = dl.interpolate(x, m, mode=mode)
            far = 1e-14 if (mode, dtype) == ("linear", "float64") else 0  # fused or not
            np.testing.assert_allclose(got, want, 0, far, err_msg=f"{n} to {m}")


@pytest.mark.parametrize(
    "mode", ["nearest", "nearest-exact", "area", "bilinear", "bicubic"]
)
@pytest.mark.parametrize("factor", [2, 0.5, 1.7, 0.3, (1.25, 3.1), 1.01, 0.99])
@pytest.mark.parametrize("recompute", [None, True])
@pytest.mark.parametrize("antialias", [False, True])
def test_scale_factor(torch, dtype, rng, mode, factor, recompute, antialias):
    if antialias and mode not in ("bilinear", "bicubic"):
        pytest.skip("antialias is for bilinear and bicubic")
    x = rng.standard_normal((2, 3, 11, 17)).astype(dtype)
    args = None, factor, mode, None, recompute, antialias
    theirs = torch.tensor(x, requires_grad=True)
    want = torch.nn.functional.interpolate(
        theirs,
        None,
        factor,
        mode,
        recompute_scale_factor=recompute,
        antialias=antialias,
    )
    ours = dl.Tensor(x, requires_grad=True)
    y = dl.interpolate(ours, *args)
    near = {"rtol": 0, "atol": 4e-6 if dtype == "float32" else 1e-14}
    np.testing.assert_allclose(y.data, want.detach().numpy(), **near)
    if y.shape == x.shape and (antialias or mode == "bicubic"):
        return  # PyTorch's gradient is not that of its result here
    dy = rng.standard_normal(y.shape).astype(dtype)
    y.backward(dy)
    want.backward(torch.tensor(dy))
    np.testing.assert_allclose(ours.grad.data, theirs.grad.numpy(), rtol=0, atol=3e-5)


@pytest.mark.parametrize("planes", [1, 3, 70])
@pytest.mark.parametrize(
    "size, out", [((300, 200), (601, 410)), ((600, 900), (210, 300))]
)
def test_large(isa, rng, planes, size, out):
    """More than one block of rows; results past the caches."""
    x = rng.standard_normal((1, planes, *size)).astype(np.float32)
    y = dl.interpolate(x, out, mode="bilinear")
    some = [0, planes // 2, planes - 1]
    want = reference.interpolate(x[:, some].astype("d"), out, "bilinear")
    np.testing.assert_allclose(y[:, some], want, rtol=0, atol=5e-4)


def test_special_values(isa, dtype):
    x = np.ones((1, 1, 4, 4), dtype)
    x[0, 0, 0, 0] = np.inf
    x[0, 0, 3, 3] = np.nan
    y = dl.interpolate(x, 8, mode="nearest")
    np.testing.assert_array_equal(y, x.repeat(2, 2).repeat(2, 3))
    y = dl.interpolate(x, 8, mode="bilinear")[0, 0]
    assert y[0, 0] == np.inf and np.isnan(y[7, 7])
    assert np.isfinite(y[:5, 3:5]).all()


def test_empty():
    x = dl.Tensor(np.zeros((0, 3, 4, 5), "f"), requires_grad=True)
    y = dl.interpolate(x, (2, 9), mode="bicubic")
    assert y.shape == (0, 3, 2, 9)
    y.backward(y.data)
    assert x.grad.shape == x.shape


def test_layouts(rng):
    x = rng.standard_normal((2, 3, 8, 10)).astype(np.float32)
    want = dl.interpolate(x, 13, mode="bicubic")
    for other in (np.asfortranarray(x), x.astype(">f4"), x[::-1].copy()[::-1]):
        np.testing.assert_array_equal(dl.interpolate(other, 13, mode="bicubic"), want)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic", "area"])
@pytest.mark.parametrize("out", [(90, 100), (20, 30), (90, 30)])
def test_same_bits_for_any_threads(threads, rng, mode, out):
    x = rng.standard_normal((3, 11, 50, 60)).astype(np.float32)
    results = []
    for n in (1, 2, 3):
        threads(n)
        t = dl.Tensor(x, requires_grad=True)
        y = dl.interpolate(t, out, mode=mode)
        y.backward(y.data)
        results.append((y.data.tobytes(), t.grad.data.tobytes()))
    assert results[0] == results[1] == results[2]


# -- pixels, channels, windows --


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (4, 16), (5, 37)])
def test_pixel_shuffle(isa, dtype, rng, torch, factor, size):
    x = rng.standard_normal((2, 3 * factor**2, *size)).astype(dtype)
    y = dl.pixel_shuffle(x, factor)
    np.testing.assert_array_equal(y, reference.pixel_shuffle(x, factor))
    want = torch.nn.functional.pixel_shuffle(torch.tensor(x), factor).numpy()
    np.testing.assert_array_equal(y, want)
    np.testing.assert_array_equal(dl.pixel_unshuffle(y, factor), x)
    np.testing.assert_array_equal(dl.pixel_shuffle(x[0], factor), y[0])


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_channel_shuffle(isa, dtype, rng, torch, groups):
    x = rng.standard_normal((2, 6, 3, 7)).astype(dtype)
    y = dl.channel_shuffle(x, groups)
    want = torch.nn.functional.channel_shuffle(torch.tensor(x), groups).numpy()
    np.testing.assert_array_equal(y, want)


def test_gradients_of_shuffles(rng):
    x = rng.standard_normal((2, 12, 4, 6))
    gradcheck(lambda x: dl.pixel_shuffle(x, 2), x)
    gradcheck(lambda x: dl.pixel_unshuffle(x, 2), x)
    gradcheck(lambda x: dl.channel_shuffle(x, 3), x)


MODULES = [
    "Upsample(scale_factor=2)",
    "Upsample(size=(5, 7), mode='bilinear')",
    "Upsample(scale_factor=(1.5, 2.0), mode='bicubic', align_corners=True)",
    "UpsamplingNearest2d(scale_factor=3)",
    "UpsamplingBilinear2d(size=(9, 11))",
    "PixelShuffle(2)",
    "PixelUnshuffle(2)",
    "ChannelShuffle(4)",
    "Unfold(3, dilation=1, padding=(1, 2), stride=2)",
]


@pytest.mark.parametrize("code", MODULES)
def test_modules(torch, rng, code):
    x = rng.standard_normal((2, 8, 4, 6)).astype(np.float32)
    ours, theirs = (eval(code, vars(m)) for m in (dl.nn, torch.nn))
    want = theirs(torch.tensor(x)).numpy()
    np.testing.assert_allclose(ours(dl.Tensor(x)).data, want, rtol=0, atol=2e-6)
    assert repr(ours) == repr(theirs)


def test_fold(torch, rng):
    x = rng.standard_normal((2, 18, 12)).astype(np.float32)
    ours, theirs = (m.Fold((5, 6), 3) for m in (dl.nn, torch.nn))
    np.testing.assert_allclose(
        ours(dl.Tensor(x)).data, theirs(torch.tensor(x)).numpy(), rtol=1e-6
    )
    assert repr(ours) == repr(theirs)


X = np.zeros((1, 6, 4, 5), np.float32)
BAD = [
    (lambda: dl.interpolate(X), "size or scale_factor must be given"),
    (lambda: dl.interpolate(X, 2, 2.0), "size and scale_factor must not both be gi"),
    (lambda: dl.interpolate(X, 0), r"interpolate: the size must be from 1 .* \(0, 0\)"),
    (lambda: dl.interpolate(X, scale_factor=0.1), "the size must be from 1"),
    (lambda: dl.interpolate(X, scale_factor=-1.0), "scale_factor must be above 0"),
    (lambda: dl.interpolate(X, (1, 2, 3)), "size must have 2 numbers"),
    (lambda: dl.interpolate(X, 2, mode="magic"), "mode must be one of nearest"),
    (
        lambda: dl.interpolate(X, 2, mode="linear"),
        "'linear' must go with input of 3",
    ),
    (lambda: dl.interpolate(X, 2, align_corners=True), "align_corners must go with"),
    (lambda: dl.interpolate(X, 2, antialias=True), "antialias must go with mode"),
    (lambda: dl.interpolate(X, 2, recompute_scale_factor=True), "must not be given"),
    (lambda: dl.interpolate(X[0, 0], 2), "input must have axes"),
    (lambda: dl.interpolate(X[:, :, :0], 2), "must be at least 1 in each axis"),
    (lambda: dl.pixel_shuffle(X, 2), "upscale_factor squared must divide the channels"),
    (lambda: dl.pixel_shuffle(X, 0), "upscale_factor must be at least 1, got 0"),
    (lambda: dl.pixel_shuffle(X[0, 0], 1), "x must have axes"),
    (lambda: dl.pixel_unshuffle(X, 2), "downscale_factor must divide height and width"),
    (lambda: dl.channel_shuffle(X, 4), "groups must divide the channels, got 4"),
    (lambda: dl.channel_shuffle(X[0, 0], 1), "x must have axes"),
    (lambda: dl.nn.Upsample(), "Upsample: size or scale_factor must be"),
    (lambda: dl.nn.PixelShuffle(0), "PixelShuffle: upscale_factor must be at least 1"),
]


@pytest.mark.parametrize("call, match", BAD)
def test_bad_calls(call, match):
    with pytest.raises(ValueError, match=match):
        call()


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: dl.interpolate(X, 1.5), "size must be a whole number"),
        (lambda: dl.interpolate(X, scale_factor="a"), "scale_factor must be a number"),
        (lambda: dl.interpolate(X.astype(int), 2), "float32 or float64, got int64"),
        (lambda: dl.interpolate([1.0], 2), "must be a NumPy array"),
        (lambda: dl.pixel_shuffle(X, 1.5), "upscale_factor must be a whole number"),
    ],
)
def test_wrong_kinds(call, match):
    with pytest.raises(TypeError, match=match):
        call()
