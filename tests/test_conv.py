import numpy as np
import pytest
import reference

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

# batch, channels, size, out_channels, kernel, stride, padding, dilation, groups
CONVS = [
    (1, 1, (6, 6), 1, (3, 3), (1, 1), (0, 0), (1, 1), 1),
    (2, 3, (5, 7), 4, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    (2, 3, (8, 33), 15, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (1, 5, (9, 40), 29, (3, 2), (2, 2), (1, 0), (1, 1), 1),
    (1, 3, (19, 21), 6, (7, 7), (2, 2), (3, 3), (1, 1), 1),
    (2, 2, (23, 25), 5, (5, 4), (4, 3), (2, 1), (1, 1), 1),
    (2, 4, (9, 10), 6, (3, 3), (1, 2), (2, 2), (2, 2), 2),
    (3, 6, (7, 7), 6, (3, 3), (1, 1), (1, 1), (1, 1), 6),
    (5, 4, (7, 7), 16, (3, 3), (1, 1), (1, 1), (1, 1), 1),  # pixels of several images
    (40, 3, (5, 5), 7, (5, 5), (1, 1), (0, 0), (1, 1), 1),  # one pixel each
    (
        1,
        80,
        (6, 6),
        3,
        (3, 3),
        (1, 1),
        (1, 1),
        (1, 1),
        1,
    ),  # a window of more than one depth
    (
        1,
        2,
        (3, 3),
        2,
        (1, 1),
        (1, 1),
        (3, 4),
        (1, 1),
        1,
    ),  # padding wider than the window
    (1, 2, (4, 3), 3, (2, 2), (5, 5), (1, 1), (3, 2), 1),
    # stride 1, read in place: blocks of positions, many images, few rows, uneven panels
    (1, 3, (37, 61), 5, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (2, 4, (33, 50), 34, (3, 5), (1, 1), (2, 1), (2, 3), 2),
    (9, 5, (12, 19), 16, (5, 5), (1, 1), (2, 0), (1, 1), 1),
    (8, 4, (9, 35), 4, (1, 4), (1, 1), (0, 3), (1, 2), 4),
    (9, 1, (28, 28), 6, (5, 5), (1, 1), (2, 2), (1, 1), 1),
    # output channels along the lanes: several slices of the sum, panel by panel or rows
    # by rows, strides, dilation, groups, uneven panels and tiles
    (1, 37, (14, 14), 130, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (2, 33, (15, 17), 37, (3, 3), (2, 2), (1, 1), (1, 1), 1),
    (17, 7, (7, 7), 64, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (1, 3, (40, 61), 32, (7, 7), (2, 2), (3, 3), (1, 1), 1),
    (1, 6, (31, 59), 98, (5, 4), (3, 4), (2, 1), (2, 1), 2),
    (3, 8, (9, 16), 129, (3, 3), (1, 2), (0, 2), (2, 3), 1),
    # gradients of the same: phases of dx with few taps and none, slices of dw
    (1, 40, (13, 21), 65, (1, 1), (2, 2), (0, 0), (1, 1), 1),
    (2, 36, (14, 23), 38, (5, 3), (3, 2), (2, 1), (1, 2), 2),
    (1, 17, (22, 9), 80, (3, 5), (2, 1), (1, 2), (3, 1), 1),
    (18, 2, (12, 12), 18, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    # 1x1 in place, by panels and as products; every third row, every second pixel
    (1, 70, (7, 7), 130, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    (2, 160, (14, 14), 260, (1, 1), (1, 1), (0, 0), (1, 1), 2),
    (2, 36, (40, 70), 38, (1, 1), (3, 2), (0, 0), (1, 1), 1),
    # depthwise: channels in the lanes, narrow planes, bands of rows; neighbours there
    (2, 19, (7, 7), 19, (3, 3), (1, 1), (1, 1), (1, 1), 19),
    (2, 9, (14, 15), 9, (5, 5), (2, 2), (2, 2), (1, 1), 9),
    (1, 8, (61, 58), 8, (7, 7), (1, 1), (3, 3), (1, 1), 8),
    (1, 10, (40, 9), 10, (3, 2), (3, 2), (1, 1), (2, 1), 10),
    (1, 20, (6, 11), 20, (5, 7), (1, 1), (4, 5), (1, 1), 20),
    (2, 3, (30, 33), 6, (3, 3), (2, 2), (1, 1), (1, 1), 3),
    (1, 4, (35, 61), 4, (3, 3), (1, 1), (1, 1), (1, 1), 4),
]


@pytest.mark.parametrize("case", CONVS)
def test_conv2d(isa, dtype, rng, case):
    n, c, size, k, kernel, *window = case
    x = rng.standard_normal((n, c, *size)).astype(dtype)
    weight = rng.standard_normal((k, c // window[3], *kernel)).astype(dtype)
    bias = rng.standard_normal(k).astype(dtype)
    y = dl.conv2d(x, weight, bias, *window)
    wide = [a.astype(np.float64) for a in (x, weight, bias)]
    want = reference.conv2d(*wide, *window)
    scale = reference.conv2d(*map(np.abs, wide), *window)
    assert_close(y, want, scale=scale)
    np.testing.assert_array_equal(
        dl.conv2d(x, weight, bias, *window, activation="relu"), np.maximum(y, 0)
    )
    np.testing.assert_array_equal(dl.conv2d(x[0], weight, bias, *window), y[0])
    assert_close(
        dl.conv2d(x, weight, None, *window),
        reference.conv2d(*wide[:2], None, *window),
        scale=scale,
    )


@pytest.mark.parametrize("case", CONVS)
def test_conv2d_gradients(isa, dtype, torch, rng, case):
    n, c, size, k, kernel, *window = case
    arrays = [
        rng.standard_normal(shape).astype(dtype)
        for shape in [(n, c, *size), (k, c // window[3], *kernel), (k,)]
    ]
    ours = [dl.Tensor(a, requires_grad=True) for a in arrays]
    y = dl.conv2d(*ours, *window)
    dy = rng.standard_normal(y.data.shape).astype(dtype)
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


@pytest.mark.parametrize("case", [CONVS[i] for i in (3, 5, 6, 7, 12)])
def test_conv2d_gradcheck(rng, case):
    n, c, size, k, kernel, *window = case
    size = tuple(min(s, 6 + r) for s, r in zip(size, kernel, strict=True))
    gradcheck(
        lambda x, w, b: dl.conv2d(x, w, b, *window, activation="relu"),
        rng.standard_normal((n, c, *size)),
        rng.standard_normal((k, c // window[3], *kernel)),
        rng.standard_normal(k),
    )


def test_conv2d_random_cases(isa, torch):
    rng = np.random.default_rng(7)
    for _ in range(60):
        groups = int(rng.choice([1, 1, 2, 3]))
        n, c, k = rng.choice([1, 2, 3, 9]), rng.integers(1, 18), rng.integers(1, 31)
        size, kernel = rng.integers(1, 30, 2), rng.integers(1, 6, 2)
        stride, dilation = rng.integers(1, 5, 2), rng.integers(1, 3, 2)
        padding = rng.integers(0, 4, 2)
        if (size + 2 * padding < dilation * (kernel - 1) + 1).any():
            continue
        x = rng.standard_normal((n, c * groups, *size)).astype(np.float32)
        weight = rng.standard_normal((k * groups, c, *kernel)).astype(np.float32)
        window = *(tuple(map(int, v)) for v in (stride, padding, dilation)), groups
        ours = [dl.Tensor(a, requires_grad=True) for a in (x, weight)]
        theirs = [
            torch.tensor(a.astype(np.float64), requires_grad=True) for a in (x, weight)
        ]
        y = dl.conv2d(ours[0], ours[1], None, *window)
        want = torch.nn.functional.conv2d(theirs[0], theirs[1], None, *window)
        dy = rng.standard_normal(y.data.shape).astype(np.float32)
        y.backward(dy)
        want.backward(torch.tensor(dy.astype(np.float64)))
        pairs = [(y.data, want.detach().numpy())]
        pairs += [
            (a.grad.data, b.grad.numpy()) for a, b in zip(ours, theirs, strict=True)
        ]
        for got, exact in pairs:
            assert np.abs(got - exact).max() <= 3e-5 * np.abs(exact).max(initial=1.0)


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # PyTorch's, on copies
@pytest.mark.parametrize(
    "size, kernel, dilation", [((5, 6), 4, 1), ((7, 7), (3, 2), (1, 3))]
)
def test_padding_words(torch, rng, size, kernel, dilation):
    kernel = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    x = rng.standard_normal((2, 3, *size)).astype(np.float32)
    weight = rng.standard_normal((4, 3, *kernel)).astype(np.float32)
    for word in ["same", "valid"]:
        y = dl.conv2d(x, weight, padding=word, dilation=dilation)
        tensors = torch.tensor(x), torch.tensor(weight)
        want = torch.nn.functional.conv2d(*tensors, padding=word, dilation=dilation)
        np.testing.assert_allclose(y, want.numpy(), rtol=1e-4, atol=1e-5)
    assert dl.conv2d(x, weight, padding="same", dilation=dilation).shape[2:] == size


def test_edge_detection():
    image = np.tile([10.0, 10, 10, 0, 0, 0], (6, 1))
    kernel = np.tile([1.0, 0, -1], (3, 1))
    y = dl.conv2d(image[None, None], kernel[None, None])
    np.testing.assert_array_equal(y[0, 0], np.tile([0, 30, 30, 0], (4, 1)))


def test_padding_example():
    image, kernel = (
        np.arange(9.0).reshape(1, 1, 3, 3),
        np.arange(4.0).reshape(1, 1, 2, 2),
    )
    want = [[0, 3, 8, 4], [9, 19, 25, 10], [21, 37, 43, 16], [6, 7, 8, 0]]
    np.testing.assert_array_equal(dl.conv2d(image, kernel, padding=1)[0, 0], want)


@pytest.mark.parametrize(
    "n, k, p, s", [(6, 3, 0, 1), (6, 3, 1, 1), (7, 3, 0, 2), (8, 5, 2, 3)]
)
def test_output_size(n, k, p, s):
    y = dl.conv2d(np.ones((1, 1, n, n)), np.ones((1, 1, k, k)), None, s, p)
    assert y.shape[2:] == ((n + 2 * p - k) // s + 1,) * 2


def test_layouts_and_out(rng):
    x = rng.standard_normal((2, 3, 8, 9)).astype(np.float32)
    weight = rng.standard_normal((4, 3, 3, 3)).astype(np.float32)
    want = dl.conv2d(x, weight)
    kept = x.copy(), weight.copy()
    x.flags.writeable = weight.flags.writeable = False
    np.testing.assert_array_equal(
        dl.conv2d(np.asfortranarray(x), weight.astype(">f4")), want
    )
    np.testing.assert_array_equal(dl.conv2d(x[::-1][::-1], weight), want)
    out = np.empty_like(want)
    assert dl.conv2d(x, weight, out=out) is out
    np.testing.assert_array_equal(out, want)
    np.testing.assert_array_equal(x, kept[0])
    np.testing.assert_array_equal(weight, kept[1])


def test_special_values(isa, dtype):
    x = np.zeros((1, 2, 5, 40), dtype)
    x[0, 0, 2, 20] = np.nan
    y = dl.conv2d(x, np.ones((3, 2, 3, 3), dtype), None, 1, 1)
    spoiled = np.zeros((5, 40), bool)
    spoiled[1:4, 19:22] = True
    np.testing.assert_array_equal(np.isnan(y), np.broadcast_to(spoiled, y.shape))
    relu = dl.conv2d(x, np.ones((3, 2, 3, 3), dtype), None, 1, 1, activation="relu")
    np.testing.assert_array_equal(np.isnan(relu), np.isnan(y))


def test_empty_batch():
    x = dl.Tensor(np.zeros((0, 3, 8, 8), np.float32), requires_grad=True)
    weight = dl.Tensor(np.ones((4, 3, 3, 3), np.float32), requires_grad=True)
    bias = dl.Tensor(np.ones(4, np.float32), requires_grad=True)
    y = dl.conv2d(x, weight, bias)
    assert y.data.shape == (0, 4, 6, 6)
    y.backward(np.zeros((0, 4, 6, 6), np.float32))
    assert x.grad.data.shape == x.data.shape
    assert not weight.grad.data.any()
    assert not bias.grad.data.any()


def test_gradient_of_the_weight_only(rng):
    x = rng.standard_normal((2, 3, 6, 6))
    weight = dl.Tensor(rng.standard_normal((4, 3, 3, 3)), requires_grad=True)
    y = dl.conv2d(x, weight)
    y.backward(np.ones_like(y.data))
    assert weight.grad.data.shape == weight.data.shape


@pytest.mark.parametrize("case", [CONVS[i] for i in (2, 4, 5, 8, 9)] + CONVS[13:])
def test_same_bits_for_any_threads(threads, rng, case):
    n, c, size, k, kernel, *window = case
    n, size = n if n == 1 else 3 * n, (2 * size[0], size[1])
    results = []
    arrays = [
        rng.standard_normal(shape).astype(np.float32)
        for shape in [(n, c, *size), (k, c // window[3], *kernel), (k,)]
    ]
    for count in (1, 2, 3):
        threads(count)
        tensors = [dl.Tensor(a, requires_grad=True) for a in arrays]
        y = dl.conv2d(*tensors, *window)
        y.backward(y.data)
        results.append([y.data.tobytes(), *(t.grad.data.tobytes() for t in tensors)])
    assert results[0] == results[1] == results[2]


X4 = np.zeros((2, 4, 6, 6), np.float32)
W4 = np.zeros((8, 4, 3, 3), np.float32)
BAD = [
    (
        lambda: dl.conv2d(X4, W4[:, :3]),
        ValueError,
        r"x must have 3 channels for weight.shape = \(8, 3",
    ),
    (
        lambda: dl.conv2d(X4, W4, groups=2),
        ValueError,
        "x must have 8 channels for .* and groups = 2, got",
    ),
    (
        lambda: dl.conv2d(X4, W4, groups=3),
        ValueError,
        "groups must divide the channels",
    ),
    (
        lambda: dl.conv2d(X4, W4, groups=0),
        ValueError,
        "groups must be at least 1, got 0",
    ),
    (
        lambda: dl.conv2d(X4, W4, np.zeros(7, "f4")),
        ValueError,
        r"bias must have shape \(8,\)",
    ),
    (
        lambda: dl.conv2d(X4[:, :, :2], W4),
        ValueError,
        "must fit into the padded height",
    ),
    (
        lambda: dl.conv2d(X4, W4, dilation=3),
        ValueError,
        "must fit into the padded height",
    ),
    (
        lambda: dl.conv2d(X4, W4, stride=0),
        ValueError,
        "stride must be at least 1, got 0",
    ),
    (
        lambda: dl.conv2d(X4, W4, stride=(1, -1)),
        ValueError,
        "stride must be at least 1",
    ),
    (
        lambda: dl.conv2d(X4, W4, padding=-1),
        ValueError,
        "padding must be at least 0, got -1",
    ),
    (
        lambda: dl.conv2d(X4, W4, padding="some"),
        ValueError,
        "'valid' or 'same', got 'some'",
    ),
    (
        lambda: dl.conv2d(X4, W4, None, 2, "same"),
        ValueError,
        "'same' must go with stride 1",
    ),
    (
        lambda: dl.conv2d(X4, W4, padding=2**62),
        ValueError,
        "add up to more|multiply to more",
    ),
    (
        lambda: dl.conv2d(X4, W4, dilation=2**62),
        ValueError,
        "multiply to more|must fit",
    ),
    (lambda: dl.conv2d(X4, W4, padding=2**31), ValueError, "multiply to more"),
    (lambda: dl.conv2d(X4[0, 0], W4), ValueError, "x must have axes"),
    (lambda: dl.conv2d(X4, W4[0]), ValueError, "weight must have axes"),
    (lambda: dl.conv2d(X4[:, :0], W4[:, :0]), ValueError, "x must have channels"),
    (lambda: dl.conv2d(X4, W4[:0]), ValueError, "weight must not be empty"),
    (
        lambda: dl.conv2d(X4, W4.astype("f8")),
        TypeError,
        "x and weight must have one dtype",
    ),
    (lambda: dl.conv2d(X4.astype(int), W4), TypeError, "float32 or float64, got int64"),
    (
        lambda: dl.conv2d(X4, W4, stride="2"),
        TypeError,
        "stride must be an int or a pair",
    ),
    (
        lambda: dl.conv2d(X4, W4, activation="step"),
        ValueError,
        "activation must be one of none",
    ),
]


@pytest.mark.parametrize("call, exception, match", BAD)
def test_bad_calls(call, exception, match):
    with pytest.raises(exception, match=match):
        call()


def test_backward_checks_the_gradient():
    x = dl.Tensor(X4, requires_grad=True)
    y = dl.conv2d(x, W4)
    with pytest.raises(ValueError, match="gradient must have shape"):
        y.backward(np.zeros((2, 8, 4, 5)))
