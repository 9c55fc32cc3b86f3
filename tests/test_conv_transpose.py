import numpy as np
import pytest
import reference_conv as reference

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

CONV = {1: dl.conv_transpose1d, 2: dl.conv_transpose2d, 3: dl.conv_transpose3d}

# batch, channels, size, results, kernel, stride, padding, output_padding, groups,
# dilation
CASES = [
    (1, 1, (5,), 1, (3,), 1, 0, 0, 1, 1),
    (2, 3, (7,), 4, (4,), 2, 1, 0, 1, 1),
    (2, 24, (50,), 20, (16,), 8, 4, 0, 1, 1),  # upsampling as in vocoders
    (1, 6, (9,), 4, (3,), 2, 1, 1, 2, 1),
    (1, 6, (9,), 6, (5,), 2, 2, 1, 6, 1),  # depthwise
    (2, 4, (6,), 3, (3,), 1, (2, 0), 0, 1, 2),
    (1, 3, (5,), 2, (2,), 3, 0, 2, 1, 1),  # gaps between the windows
    (1, 2, (1,), 3, (3,), 4, 0, 0, 1, 1),
    (1, 3, (5, 7), 4, (4, 4), 2, 1, 0, 1, 1),  # DCGAN's
    (2, 16, (6, 7), 24, (4, 4), 2, 1, 0, 1, 1),
    (2, 8, (5, 9), 20, (2, 2), 2, 0, 0, 1, 1),  # U-Net's
    (1, 4, (6, 5), 6, (3, 3), (2, 1), (1, 0), (1, 0), 2, 1),
    (1, 4, (6, 5), 4, (3, 3), 2, 1, 1, 4, 1),
    (1, 3, (4, 5), 2, (3, 2), 1, ((0, 2), (1, 0)), 0, 1, (2, 3)),
    (1, 3, (4, 5), 5, (3, 3), 2, 3, 1, 1, 1),  # padding wider than the window
    (1, 20, (8, 9), 33, (3, 3), 1, 1, 0, 1, 1),
    (1, 2, (3, 4), 3, (1, 1), 3, 0, 2, 1, 1),
    (1, 2, (4, 4), 3, (3, 3), 2, 0, 2, 1, 3),  # output_padding from dilation
    (2, 3, (3, 4, 5), 4, (2, 2, 2), 2, 0, 0, 1, 1),
    (1, 20, (4, 5, 9), 18, (4, 4, 4), 2, 1, 0, 1, 1),
    (1, 4, (3, 4, 3), 6, (3, 3, 2), (1, 2, 3), (1, 0, 1), (0, 1, 2), 2, (2, 1, 1)),
    (1, 3, (3, 4, 3), 2, (3, 3, 3), 2, 3, 1, 1, 1),
    (2, 3, (3, 4, 4), 3, (3, 3, 3), 1, ((0, 2), 1, (2, 0)), 0, 3, 1),
    # large enough for one product: overlapping, tiled, along rows only, merged images
    (2, 32, (17, 19), 16, (4, 4), 2, 1, 0, 1, 1),
    (1, 32, (16, 18), 16, (2, 2), 2, 0, 0, 1, 1),
    (1, 32, (12, 14), 16, (5, 2), (3, 2), (2, 0), 0, 1, 1),
    (5, 64, (7, 7), 40, (3, 3), 2, 1, 1, 2, 1),
    (1, 32, (11, 13), 18, (2, 3), 4, 0, 1, 1, 1),
    (1, 24, (5, 6, 7), 16, (2, 2, 2), 2, 0, 0, 1, 1),
    (1, 32, (3, 5, 7), 9, (3, 4, 4), (1, 2, 3), 1, 0, 1, 1),
]


def arrays_of(case, rng, dtype):
    n, c, size, k, kernel, *window = case
    shapes = [(n, c, *size), (c, k // window[3], *kernel), (k,)]
    return [rng.standard_normal(s).astype(dtype) for s in shapes], window


@pytest.mark.parametrize("case", CASES)
def test_forward(isa, dtype, rng, case):
    arrays, window = arrays_of(case, rng, dtype)
    conv = CONV[len(case[2])]
    y = conv(*arrays, *window)
    wide = [a.astype("d") for a in arrays]
    scale = reference.conv_transpose(*map(np.abs, wide), *window)
    assert_close(y, reference.conv_transpose(*wide, *window), scale=scale)
    x, weight, bias = arrays
    np.testing.assert_array_equal(conv(x[:1], weight, bias, *window)[0], y[0])
    np.testing.assert_array_equal(
        conv(x[0], weight, bias, *window), conv(x[:1], weight, bias, *window)[0]
    )
    want = reference.conv_transpose(*wide[:2], None, *window)
    assert_close(conv(x, weight, None, *window), want, scale=scale)


@pytest.mark.parametrize("case", CASES)
def test_gradients(isa, dtype, torch, rng, case):
    arrays, window = arrays_of(case, rng, dtype)
    stride, padding, more, groups, dilation = window
    dims = len(case[2])
    ours = [dl.Tensor(a, requires_grad=True) for a in arrays]
    y = CONV[dims](*ours, *window)
    dy = rng.standard_normal(y.shape).astype(dtype)
    y.backward(dy)
    theirs = [torch.tensor(a.astype("d"), requires_grad=True) for a in arrays]
    conv = getattr(torch.nn.functional, f"conv_transpose{dims}d")
    want = conv(*theirs, stride, 0, more, groups, dilation)
    for axis, (low, high) in enumerate(reference.ends(padding, dims), 2):
        want = want.narrow(axis, low, want.shape[axis] - low - high)
    np.testing.assert_allclose(
        y.data, want.detach().numpy(), atol=200 * np.finfo(dtype).eps, rtol=1e-5
    )
    want.backward(torch.tensor(dy.astype("d")))
    tolerance = 200 * np.finfo(dtype).eps
    for mine, other in zip(ours, theirs, strict=True):
        want = other.grad.numpy()
        error = np.abs(mine.grad.data - want).max() / np.abs(want).max(initial=1.0)
        assert error < tolerance


@pytest.mark.parametrize("case", [CASES[i] for i in (3, 4, 6, 11, 13, 17, 20)])
def test_gradcheck(rng, case):
    arrays, window = arrays_of(case, rng, "d")
    gradcheck(lambda *a: CONV[len(case[2])](*a, *window), *arrays)


@pytest.mark.parametrize("dims", CONV)
def test_it_is_the_adjoint_of_the_convolution(rng, dims):
    conv = getattr(dl, f"conv{dims}d")
    x = rng.integers(-5, 5, (1, 3, 9, 8, 7)[: dims + 2]).astype("d")
    weight = rng.integers(-5, 5, (4, 3, 3, 3, 3)[: dims + 2]).astype("d")
    y = conv(x, weight, None, 2, 1)
    dy = rng.integers(-5, 5, y.shape).astype("d")
    more = tuple((n + 1) % 2 for n in x.shape[2:])
    back = CONV[dims](dy, weight, None, 2, 1, more)
    assert back.shape == x.shape
    assert np.sum(y * dy) == np.sum(back * x)


@pytest.mark.parametrize("dims", CONV)
def test_empty_batch_and_out(dims):
    x = dl.Tensor(np.zeros((0, 3, 4, 4, 4)[: dims + 2], "f4"), requires_grad=True)
    weight = dl.Tensor(np.ones((3, 4, 3, 3, 3)[: dims + 2], "f4"), requires_grad=True)
    y = CONV[dims](x, weight, np.ones(4, "f4"))
    assert y.shape == (0, 4, 6, 6, 6)[: dims + 2]
    y.backward(np.zeros(y.shape, "f4"))
    assert x.grad.shape == x.shape
    assert not weight.grad.data.any()
    full = np.ones((1, 3, 4, 4, 4)[: dims + 2], "f4")
    want = CONV[dims](full, weight.data)
    out = np.empty_like(want)
    assert CONV[dims](full, weight.data, out=out) is out
    np.testing.assert_array_equal(out, want)


@pytest.mark.parametrize("case", [CASES[i] for i in (2, 4, 9, 10, 12, 15, 19)])
def test_same_bits_for_any_threads(threads, rng, case):
    arrays, window = arrays_of((3, *case[1:]), rng, np.float32)
    results = []
    for count in (1, 2, 3):
        threads(count)
        tensors = [dl.Tensor(a, requires_grad=True) for a in arrays]
        y = CONV[len(case[2])](*tensors, *window)
        y.backward(y.data)
        results.append([y.data.tobytes(), *(t.grad.data.tobytes() for t in tensors)])
    assert results[0] == results[1] == results[2]


X4, W4 = np.zeros((2, 4, 6, 6), "f4"), np.zeros((4, 8, 3, 3), "f4")
conv = dl.conv_transpose2d
BAD = [
    (lambda: conv(X4[0, 0], W4), ValueError, "conv_transpose2d: x must have axes"),
    (lambda: conv(X4, W4[0]), ValueError, r"weight must have axes \(in_channels, out"),
    (lambda: conv(X4, W4[:3]), ValueError, "x must have 3 channels for weight.shap"),
    (lambda: conv(X4, W4, groups=3), ValueError, "groups must divide the channels"),
    (lambda: conv(X4, W4, np.zeros(4, "f4")), ValueError, r"bias must have shape \(8,"),
    (lambda: conv(X4, W4, None, 2, 0, 2), ValueError, "output_padding must be less th"),
    (lambda: conv(X4, W4, None, 2, 0, -1), ValueError, "output_padding must be at lea"),
    (lambda: conv(X4, W4, padding=4), ValueError, "padding must leave some of the res"),
    (lambda: conv(X4, W4, padding=2**62), ValueError, "padding must leave|add up to"),
    (lambda: conv(X4, W4, stride=2**61), ValueError, "multiply to more"),
    (lambda: conv(X4, W4, padding="same"), TypeError, "padding must be an int"),
    (lambda: conv(X4, W4, stride=0), ValueError, "stride must be at least 1"),
    (lambda: conv(X4, W4.astype("d")), TypeError, "x and weight must have one dtype"),
    (lambda: conv(X4[:, :, :0], W4), ValueError, "x must have channels, height, width"),
    (lambda: conv(X4, W4[:, :0]), ValueError, "weight must not be empty"),
]


@pytest.mark.parametrize("call, exception, match", BAD)
def test_bad_calls(call, exception, match):
    with pytest.raises(exception, match=match):
        call()


def test_backward_checks_the_gradient():
    y = conv(dl.Tensor(X4, requires_grad=True), W4)
    with pytest.raises(ValueError, match="gradient must have shape"):
        y.backward(np.zeros((2, 8, 4, 5)))
