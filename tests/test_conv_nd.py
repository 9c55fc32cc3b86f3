"""conv1d and conv3d, and what the convolutions of all dimensions share."""

import numpy as np
import pytest
import reference_conv as reference

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

CONV = {1: dl.conv1d, 2: dl.conv2d, 3: dl.conv3d}

# batch, channels, size, results, kernel, stride, padding, dilation, groups
CASES = [
    (1, 1, (6,), 1, (3,), 1, 0, 1, 1),
    (2, 3, (40,), 5, (3,), 1, 1, 1, 1),
    (3, 4, (33,), 20, (5,), 2, 2, 1, 2),
    (2, 6, (50,), 6, (4,), 1, (3, 0), 1, 6),  # causal, depthwise
    (1, 20, (700,), 40, (3,), 1, 2, 2, 1),
    (1, 33, (1030,), 17, (7,), 1, 3, 1, 1),
    (1, 40, (513,), 64, (3,), 2, 1, 1, 1),
    (2, 1, (400,), 24, (10,), 5, 0, 1, 1),
    (9, 12, (21,), 33, (1,), 1, 0, 1, 1),
    (1, 3, (9,), 4, (2,), (3,), ((5, 2),), (4,), 1),
    (2, 24, (1,), 8, (1,), 1, 0, 1, 1),
    (1, 3, (9, 11), 4, (3, 2), 1, ((2, 0), (0, 3)), 1, 1),
    (2, 32, (9, 14), 24, (3, 3), (2, 1), ((0, 1), 2), 1, 1),
    (1, 4, (13, 8), 4, (3, 3), 2, ((0, 1), (0, 1)), 1, 4),
    (1, 1, (4, 5, 6), 1, (2, 3, 3), 1, 0, 1, 1),
    (2, 3, (5, 7, 9), 4, (3, 3, 3), 1, 1, 1, 1),
    (2, 6, (6, 9, 11), 20, (3, 3, 3), 2, 1, 1, 2),
    (1, 5, (7, 9, 10), 18, (3, 2, 4), (1, 2, 3), (1, 0, 2), (2, 1, 1), 1),
    (1, 4, (3, 8, 8), 4, (3, 3, 3), 1, 1, 1, 4),  # depthwise
    (2, 9, (4, 9, 10), 9, (3, 3, 3), 1, 1, 1, 9),  # the same, channels side by side
    (1, 12, (5, 8, 7), 12, (2, 3, 5), (2, 1, 2), (1, 0, 2), 1, 12),
    (1, 16, (8, 30, 31), 33, (3, 3, 3), 1, 1, 1, 1),  # several blocks
    (3, 20, (4, 7, 7), 70, (3, 3, 3), 1, ((2, 0), (0, 1), 1), 1, 1),
    (1, 40, (4, 6, 5), 17, (1, 1, 1), (1, 2, 2), 0, 1, 1),
    (2, 3, (9, 12, 13), 20, (3, 5, 5), (2, 2, 3), 2, 1, 1),
    (1, 2, (2, 2, 2), 3, (2, 2, 2), (5, 4, 3), (4, 4, 3), 1, 1),
    (1, 3, (1, 9, 40), 5, (1, 3, 3), 1, (0, 1, 1), 1, 1),
]


def arrays_of(case, rng, dtype):
    n, c, size, k, kernel, *window = case
    shapes = [(n, c, *size), (k, c // window[3], *kernel), (k,)]
    return [rng.standard_normal(s).astype(dtype) for s in shapes], window


@pytest.mark.parametrize("case", CASES)
def test_forward(isa, dtype, rng, case):
    arrays, window = arrays_of(case, rng, dtype)
    conv = CONV[len(case[2])]
    y = conv(*arrays, *window)
    wide = [a.astype("d") for a in arrays]
    want = reference.conv(*wide, *window)
    scale = reference.conv(*map(np.abs, wide), *window)
    assert_close(y, want, scale=scale)
    x, weight, bias = arrays
    np.testing.assert_array_equal(conv(x[0], weight, bias, *window), y[0])
    relu = conv(*arrays, *window, activation="relu")
    np.testing.assert_array_equal(relu, np.maximum(y, 0))
    want = reference.conv(*wide[:2], None, *window)
    assert_close(conv(x, weight, None, *window), want, scale=scale)


@pytest.mark.parametrize("case", CASES)
def test_gradients(isa, dtype, torch, rng, case):
    arrays, (stride, padding, dilation, groups) = arrays_of(case, rng, dtype)
    dims = len(case[2])
    ours = [dl.Tensor(a, requires_grad=True) for a in arrays]
    y = CONV[dims](*ours, stride, padding, dilation, groups)
    dy = rng.standard_normal(y.shape).astype(dtype)
    y.backward(dy)
    theirs = [torch.tensor(a.astype("d"), requires_grad=True) for a in arrays]
    around = [n for pair in reversed(reference.ends(padding, dims)) for n in pair]
    padded = torch.nn.functional.pad(theirs[0], around)
    conv = getattr(torch.nn.functional, f"conv{dims}d")
    conv(padded, *theirs[1:], stride, 0, dilation, groups).backward(
        torch.tensor(dy.astype("d"))
    )
    tolerance = 200 * np.finfo(dtype).eps
    for mine, other in zip(ours, theirs, strict=True):
        want = other.grad.numpy()
        error = np.abs(mine.grad.data - want).max() / np.abs(want).max(initial=1.0)
        assert error < tolerance


@pytest.mark.parametrize("case", [CASES[i] for i in (2, 3, 9, 11, 13, 16, 17, 23)])
def test_gradcheck(rng, case):
    n, c, size, *rest = case
    most = 11 if len(size) < 3 else 6
    arrays, window = arrays_of((n, c, [min(s, most) for s in size], *rest), rng, "d")
    conv = CONV[len(size)]
    gradcheck(lambda *a: conv(*a, *window, activation="relu"), *arrays)


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # PyTorch's, on copies
@pytest.mark.parametrize("dims", CONV)
@pytest.mark.parametrize("kernel, dilation", [(4, 1), (3, 2)])
def test_padding_words(torch, rng, dims, kernel, dilation):
    x = rng.standard_normal((2, 3, 9, 8, 7)[: dims + 2])
    weight = rng.standard_normal((4, 3, kernel, kernel, kernel)[: dims + 2])
    theirs = getattr(torch.nn.functional, f"conv{dims}d")
    for word in ("same", "valid"):
        y = CONV[dims](x, weight, None, 1, word, dilation)
        tensors = torch.tensor(x), torch.tensor(weight)
        want = theirs(*tensors, padding=word, dilation=dilation)
        np.testing.assert_allclose(y, want.numpy(), atol=1e-12)
    assert CONV[dims](x, weight, None, 1, "same", dilation).shape[2:] == x.shape[2:]


@pytest.mark.parametrize("dims", CONV)
def test_empty_batch(dims):
    x = dl.Tensor(np.zeros((0, 3, 8, 8, 8)[: dims + 2], "f4"), requires_grad=True)
    weight = dl.Tensor(np.ones((4, 3, 3, 3, 3)[: dims + 2], "f4"), requires_grad=True)
    bias = dl.Tensor(np.ones(4, "f4"), requires_grad=True)
    y = CONV[dims](x, weight, bias)
    assert y.shape == (0, 4, 6, 6, 6)[: dims + 2]
    y.backward(np.zeros(y.shape, "f4"))
    assert x.grad.shape == x.shape
    assert not weight.grad.data.any()
    assert not bias.grad.data.any()


@pytest.mark.parametrize("dims", CONV)
def test_layouts_and_out(rng, dims):
    x = rng.standard_normal((2, 3, 9, 8, 7)[: dims + 2]).astype("f4")
    weight = rng.standard_normal((4, 3, 3, 3, 3)[: dims + 2]).astype("f4")
    want = CONV[dims](x, weight)
    out = np.empty_like(want)
    assert CONV[dims](np.asfortranarray(x), weight, out=out) is out
    np.testing.assert_array_equal(out, want)
    strided = np.stack([x, -x], -1)[..., 0]
    np.testing.assert_array_equal(CONV[dims](strided, weight.astype(">f4")), want)


@pytest.mark.parametrize(
    "case", [CASES[i] for i in (1, 2, 3, 4, 5, 6, 7, 12, 16, 19, 20)]
)
def test_same_bits_for_any_threads(threads, rng, case):
    arrays, window = arrays_of(case, rng, np.float32)
    results = []
    for count in (1, 2, 3):
        threads(count)
        tensors = [dl.Tensor(a, requires_grad=True) for a in arrays]
        y = CONV[len(case[2])](*tensors, *window)
        y.backward(y.data)
        results.append([y.data.tobytes(), *(t.grad.data.tobytes() for t in tensors)])
    assert results[0] == results[1] == results[2]


def test_special_values(isa, dtype):
    x = np.zeros((1, 2, 50), dtype)
    x[0, 0, 20] = np.nan
    y = dl.conv1d(x, np.ones((3, 2, 3), dtype), None, 1, 1)
    spoiled = np.zeros(50, bool)
    spoiled[19:22] = True
    np.testing.assert_array_equal(np.isnan(y), np.broadcast_to(spoiled, y.shape))


X3, W3 = np.zeros((2, 4, 9), "f4"), np.zeros((8, 4, 3), "f4")
X4, W4 = np.zeros((2, 4, 6, 6), "f4"), np.zeros((8, 4, 3, 3), "f4")
X5, W5 = np.zeros((2, 4, 3, 6, 6), "f4"), np.zeros((8, 4, 3, 3, 3), "f4")
BAD = [
    (lambda: dl.conv1d(X4, W3), ValueError, r"conv1d: x must have axes .*, length\)"),
    (lambda: dl.conv1d(X3, W4), ValueError, "conv1d: weight must have axes"),
    (lambda: dl.conv1d(X3, W3[:, :3]), ValueError, "x must have 3 channels for weigh"),
    (lambda: dl.conv1d(X3[..., :2], W3), ValueError, "fit into the padded length"),
    (lambda: dl.conv1d(X3, W3, stride=(1, 2)), TypeError, "stride must be an int, got"),
    (lambda: dl.conv1d(X3, W3, dilation=0), ValueError, "dilation must be at least 1"),
    (lambda: dl.conv1d(X3, W3, padding=(1, 2, 3)), TypeError, "padding must be an int"),
    (lambda: dl.conv1d(X3, W3, padding=(1, -1)), ValueError, "padding must be at leas"),
    (lambda: dl.conv1d(X3, W3, None, 2, "same"), ValueError, "must go with stride 1"),
    (lambda: dl.conv1d(X3, W3, padding=2**62), ValueError, "add up to more|multiply"),
    (lambda: dl.conv1d(X3, W3, groups=3), ValueError, "groups must divide"),
    (lambda: dl.conv1d(X3, W3, np.zeros(3, "f4")), ValueError, "bias must have shape"),
    (lambda: dl.conv1d(X3, W3.astype("d")), TypeError, "must have one dtype"),
    (lambda: dl.conv1d(X3, W3, activation="no"), ValueError, "conv1d: activation must"),
    (lambda: dl.conv2d(X4, W4, padding=((1, 2), 1.5)), TypeError, "padding must be an"),
    (lambda: dl.conv2d(X4, W4, padding=((1, -2), 1)), ValueError, "at least 0"),
    (lambda: dl.conv2d(X4, W4, padding=(True, 1)), TypeError, "padding must be an int"),
    (lambda: dl.conv3d(X4[0], W5), ValueError, "conv3d: x must have axes"),
    (lambda: dl.conv3d(X5, W4), ValueError, "conv3d: weight must have axes"),
    (lambda: dl.conv3d(X5[:, :, :2], W5), ValueError, "fit into the padded depth"),
    (lambda: dl.conv3d(X5, W5, stride=(1, 2)), TypeError, "an int or three ints"),
    (lambda: dl.conv3d(X5, W5, dilation=2**62), ValueError, "multiply to|must fit"),
]


@pytest.mark.parametrize("call, exception, match", BAD)
def test_bad_calls(call, exception, match):
    with pytest.raises(exception, match=match):
        call()
