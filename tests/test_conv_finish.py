"""What a convolution does to its sums in passing: residual and activation, each way."""

import numpy as np
import pytest
import reference
import reference_conv

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

ACTIVATIONS = [
    "none",
    "relu",
    "relu6",
    "leaky_relu",
    "gelu",
    "gelu_tanh",
    "silu",
    "sigmoid",
    "tanh",
]
# batch, channels, size, out_channels, kernel, stride, padding, dilation, groups
CASES = [
    # columns: an image, many images, one pixel
    (2, 5, (9, 40), 29, (3, 2), 2, 0, 1, 1),
    (5, 4, (7, 7), 16, (3, 3), 3, 1, 1, 1),
    (17, 3, (5, 5), 7, (5, 5), 1, 0, 1, 1),
    (1, 20, (6, 6), 70, (1, 1), 1, 0, 1, 1),  # blocks of rows
    (1, 3, (37, 61), 5, (3, 3), 1, 1, 1, 1),  # padded planes, few images and many
    (9, 5, (12, 19), 6, (5, 5), 1, 2, 1, 1),
    (2, 4, (33, 50), 34, (3, 5), 1, 2, 3, 2),
    (1, 37, (14, 14), 130, (3, 3), 1, 1, 1, 1),  # channels along the lanes
    (17, 7, (7, 7), 64, (3, 3), 1, 1, 1, 1),
    (2, 33, (15, 17), 37, (3, 3), 2, 1, 1, 1),
    (1, 70, (7, 7), 130, (1, 1), 1, 0, 1, 1),
    (2, 160, (14, 14), 260, (1, 1), 1, 0, 1, 2),  # products, whole and with a stride
    (1, 400, (12, 12), 100, (1, 1), 1, 0, 1, 1),
    (2, 36, (40, 70), 38, (1, 1), 2, 0, 1, 1),
    (2, 64, (13, 10), 70, (3, 3), 1, 1, 1, 1),  # Winograd
    (2, 6, (9, 21), 6, (3, 3), 1, 1, 1, 6),  # depthwise
    (1, 3, (13, 22), 3, (5, 5), 2, 2, 1, 3),
    (2, 2, (12, 19), 6, (3, 4), 2, 1, 1, 2),
    (2, 19, (14, 14), 19, (3, 3), 1, 1, 1, 19),  # and its channels in the lanes
    (1, 8, (30, 31), 8, (5, 5), 2, 2, 1, 8),
    (1, 4, (40, 70), 4, (3, 3), 1, 1, 1, 4),
    (1, 3, (3, 5), 3, (3, 3), 1, 1, 1, 3),
    (2, 5, (40,), 7, (3,), 1, 1, 1, 1),  # one axis, a long row
    (1, 32, (300,), 20, (3,), 1, 1, 1, 1),
    (2, 4, (5, 6, 7), 9, (3, 3, 3), 1, 1, 1, 1),  # three axes
    (1, 3, (6, 7, 9), 20, (3, 2, 3), 2, 1, 1, 1),
    (2, 10, (5, 6, 7), 10, (3, 3, 3), 1, 1, 1, 10),
]


def conv_of(case):
    return {1: dl.conv1d, 2: dl.conv2d, 3: dl.conv3d}[len(case[2])]


def arrays_of(case, rng, dtype):
    n, c, size, k, kernel, *window = case
    shapes = [(n, c, *size), (k, c // window[3], *kernel), (k,)]
    arrays = [rng.standard_normal(s).astype(dtype) for s in shapes]
    arrays[1] /= np.sqrt(arrays[1][0].size).astype(dtype)
    arrays[1] *= dtype(2)  # that relu6 has something to cut
    return arrays, window


@pytest.mark.parametrize("case", CASES)
def test_every_way(isa, dtype, rng, case):
    arrays, window = arrays_of(case, rng, np.dtype(dtype).type)
    wide = [a.astype("d") for a in arrays]
    sums = reference_conv.conv(*wide, *window)
    scale = reference_conv.conv(*map(np.abs, wide), *window) + 1
    more = rng.standard_normal(sums.shape).astype(dtype)
    for activation in ACTIVATIONS:
        for residual in (None, more):
            got = conv_of(case)(*arrays, *window, activation, residual, 0.2)
            z = sums if residual is None else sums + more
            want = reference.activated(activation, z, 0.2)
            assert got.dtype == dtype
            assert_close(got, want, scale=scale + abs(want))


@pytest.mark.parametrize("case", [CASES[i] for i in (1, 7, 13, 15, 22, 24)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradcheck(rng, case, activation):
    n, c, size, k, *rest = case
    small = min(n, 2), min(c, 6), tuple(min(s, 5) for s in size), min(k, 6), *rest
    (x, weight, bias), window = arrays_of(small, rng, np.float64)
    conv = conv_of(case)
    residual = rng.standard_normal(conv(x, weight, bias, *window).shape)
    gradcheck(
        lambda x, w, b, r: conv(x, w, b, *window, activation, r, 0.2),
        *(x, weight, bias, residual),
    )


@pytest.mark.parametrize("activation", ["relu6", "silu", "leaky_relu"])
def test_like_torch(torch, rng, activation):
    shapes = (2, 16, 9, 11), (32, 16, 3, 3), (32,), (2, 32, 9, 11)
    arrays = [rng.standard_normal(s).astype("f4") for s in shapes]
    dy = rng.standard_normal(shapes[3]).astype("f4")
    ours = [dl.Tensor(a, requires_grad=True) for a in arrays]
    y = dl.conv2d(*ours[:3], 1, 1, activation=activation, residual=ours[3])
    y.backward(dy)
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    z = torch.nn.functional.conv2d(*theirs[:3], padding=1) + theirs[3]
    want = getattr(torch.nn.functional, activation)(z)
    want.backward(torch.tensor(dy))
    pairs = [(y.data, want.detach())]
    pairs += [(a.grad.data, b.grad) for a, b in zip(ours, theirs, strict=True)]
    for mine, other in pairs:
        other = other.numpy()
        assert abs(mine - other).max() <= 2e-5 * abs(other).max()


@pytest.mark.parametrize("case", CASES)
def test_special_values(isa, dtype, rng, case):
    """Limits keep NaN and take what is infinite."""
    (x, weight, bias), window = arrays_of(case, rng, np.dtype(dtype).type)
    conv = conv_of(case)
    z = conv(x, weight, bias, *window)
    for value, relu, relu6 in (
        (np.nan, np.nan, np.nan),
        (np.inf, np.inf, 6),
        (-np.inf, 0, 0),
    ):
        residual = np.full_like(z, value)
        for name, want in (("none", value), ("relu", relu), ("relu6", relu6)):
            got = conv(x, weight, bias, *window, name, residual)
            np.testing.assert_array_equal(got, np.full_like(z, want))
    x[...] = np.nan
    for name in ("none", "relu", "relu6"):
        got = conv(x, weight, bias, *window, name)
        np.testing.assert_array_equal(
            np.isnan(got), np.isnan(conv(x, weight, bias, *window))
        )


def test_threads_give_the_same_bits(threads, rng):
    for case in CASES:
        arrays, window = arrays_of(case, rng, np.float32)
        more = rng.standard_normal(conv_of(case)(*arrays, *window).shape).astype("f4")
        results = set()
        for n in (1, 2, 3):
            threads(n)
            y = conv_of(case)(*arrays, *window, "silu", more)
            results.add(y.tobytes())
        assert len(results) == 1


def test_out_may_be_any_argument(rng):
    x = rng.standard_normal((1, 8, 7, 7))
    weight, residual = rng.standard_normal((8, 8, 3, 3)), rng.standard_normal(x.shape)
    want = dl.conv2d(x, weight, None, 1, 1, 1, 1, "relu", residual)
    for i in range(2):
        given = [x.copy(), residual.copy()]
        out = given[i]
        got = dl.conv2d(given[0], weight, None, 1, 1, 1, 1, "relu", given[1], out=out)
        assert got is out
        np.testing.assert_array_equal(got, want)
    depthwise = rng.standard_normal((8, 1, 3, 3))
    want = dl.conv2d(x, depthwise, None, 1, 1, 1, 8)
    dl.conv2d(x, depthwise, None, 1, 1, 1, 8, out=x)
    np.testing.assert_array_equal(x, want)


X, W = np.ones((1, 2, 5, 5)), np.ones((3, 2, 3, 3))
BAD = [
    (
        {"residual": np.ones((1, 3, 3, 2))},
        ValueError,
        r"conv2d: residual must have the result's shape \(1, 3, 3, 3\), got",
    ),
    ({"residual": np.ones((1, 3, 3, 3), "f4")}, TypeError, "residual must have one"),
    ({"residual": [1.0]}, TypeError, "conv2d: residual must be"),
    (
        {"activation": 3},
        TypeError,
        "conv2d: activation must be a name or None, got int",
    ),
    ({"activation": "relu7"}, ValueError, "must be one of none, relu, .*, got 'relu7'"),
    ({"negative_slope": "x"}, TypeError, "conv2d: negative_slope must be"),
]


@pytest.mark.parametrize("given, exception, match", BAD)
def test_bad_calls(given, exception, match):
    for x in (X, dl.Tensor(X, requires_grad=True)):
        with pytest.raises(exception, match=match) as error:
            dl.conv2d(x, W, **given)
        assert "\n" not in str(error.value)
