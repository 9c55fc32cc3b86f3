import math

import numpy as np
import pytest
import reference_boxes as reference

import dlcore as dl
from dlcore.detection import AnchorGenerator, BoxCoder, DefaultBoxGenerator
from dlcore.testing import assert_close, gradcheck

WEIGHTS = (10.0, 8.0, 5.0, 4.0)
CLIP = math.log(1000 / 16)


def boxes(rng, n, dtype="float64"):
    corner = rng.uniform(-5, 50, (n, 2))
    return np.hstack([corner, corner + rng.uniform(1, 25, (n, 2))]).astype(dtype)


@pytest.mark.parametrize("n", [1, 3, 15, 16, 17, 70])
def test_encode_boxes(isa, dtype, rng, n):
    target, given = boxes(rng, n, dtype), boxes(rng, n, dtype)
    want = reference.encode_boxes(target.astype("d"), given.astype("d"), WEIGHTS)
    scale = np.hstack([np.full((n, 2), 600.0), np.full((n, 2), 20.0)])
    assert_close(dl.encode_boxes(target, given, WEIGHTS), want, ulp=8, scale=scale)


@pytest.mark.parametrize(
    "n, codes", [(1, 1), (17, 1), (70, 1), (1, 5), (7, 3), (9, 21)]
)
def test_decode_boxes(isa, dtype, rng, n, codes):
    x = (3 * rng.standard_normal((n, 4 * codes))).astype(dtype)
    given = boxes(rng, n, dtype)
    want = reference.decode_boxes(x.astype("d"), given.astype("d"), WEIGHTS, CLIP)
    assert_close(dl.decode_boxes(x, given, WEIGHTS), want, ulp=16, scale=80)


def test_there_and_back(isa, rng):
    target, given = boxes(rng, 40), boxes(rng, 40)
    codes = dl.encode_boxes(target, given, WEIGHTS)
    np.testing.assert_allclose(dl.decode_boxes(codes, given, WEIGHTS), target)


def test_gradients(isa, rng):
    target, given = boxes(rng, 19), boxes(rng, 19)
    gradcheck(lambda t, g: dl.encode_boxes(t, g, WEIGHTS), target, given)
    for codes in (1, 3):
        x = rng.standard_normal((19, 4 * codes))
        gradcheck(lambda x, g: dl.decode_boxes(x, g, WEIGHTS), x, given)
    far = dl.Tensor(np.array([[0.0, 0, 50, 0]]), requires_grad=True)
    dl.decode_boxes(far, given[:1]).sum().backward()
    assert far.grad.data[0, 2] == 0  # past the clip


def test_clip(isa, dtype):
    given = np.array([[0, 0, 16, 16]], dtype)
    y = dl.decode_boxes(np.array([[0, 0, 99, 0]], dtype), given)
    np.testing.assert_allclose(y, [[8 - 500, 0, 8 + 500, 16]], rtol=1e-6)


def test_special_values(isa, dtype):
    x = np.array([[0, 0, 4, 4], [0, 0, 0, 4], [np.nan, 0, 4, 4]], dtype)
    codes = dl.encode_boxes(x, x[[0, 0, 0]])
    np.testing.assert_array_equal(codes[0], 0)
    assert codes[1, 2] == -np.inf and np.isnan(codes[2, [0, 2]]).all()


def test_grid_anchors(isa, dtype, rng):
    cell = boxes(rng, 3, dtype)
    for rows, columns in [(1, 1), (4, 7), (30, 50)]:
        y = dl.grid_anchors(cell, (rows, columns), (8, 16.5), 0.5)
        down, across = np.mgrid[:rows, :columns].astype("d") + 0.5
        shift = np.stack([across * 16.5, down * 8] * 2, -1)
        want = (shift[:, :, None] + cell).reshape(-1, 4)
        assert y.dtype == dtype
        assert_close(y, want, ulp=2, scale=np.abs(want) + 900)
    assert dl.grid_anchors(cell, (0, 5), (1, 1)).shape == (0, 4)


def test_anchor_generator():
    """The anchors that torchvision documents and prints for its default sizes."""
    made = AnchorGenerator(((128,), (32, 64)), ((0.5, 1.0, 2.0),) * 2)
    np.testing.assert_array_equal(
        made.cell_anchors[0],
        [[-91, -45, 91, 45], [-64, -64, 64, 64], [-45, -91, 45, 91]],
    )
    assert made.num_anchors_per_location() == [3, 6]
    y = made((64, 96), [(2, 3), (1, 1)])
    assert y.shape == (2 * 3 * 3 + 6, 4)
    np.testing.assert_array_equal(y[3:6] - y[:3], [[32, 0, 32, 0]] * 3)
    np.testing.assert_array_equal(y[9:12] - y[:3], [[0, 32, 0, 32]] * 3)
    np.testing.assert_array_equal(y[18:], made.cell_anchors[1])


def test_default_boxes():
    """The paper's SSD300: 8732 boxes, the first map's smallest of scale 0.07."""
    ratios = [[2], [2, 3], [2, 3], [2, 3], [2], [2]]
    scales = [0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05]
    steps = [8, 16, 32, 64, 100, 300]
    made = DefaultBoxGenerator(ratios, scales=scales, steps=steps)
    grids = [(n, n) for n in (38, 19, 10, 5, 3, 1)]
    y = made((300, 300), grids)
    assert y.shape == (8732, 4)
    np.testing.assert_allclose(y[0], [4 - 10.5, 4 - 10.5, 4 + 10.5, 4 + 10.5])
    np.testing.assert_allclose(y[-1, 2:] - y[-1, :2], [300 * 0.87 / 2**0.5, 300])
    even = DefaultBoxGenerator([[2]] * 3, 0.2, 0.9)
    np.testing.assert_allclose(even.scales, [0.2, 0.55, 0.9, 1.0])
    assert even.num_anchors_per_location() == [4, 4, 4]
    assert DefaultBoxGenerator([[]]).scales == [0.15, 0.9]
    wide = DefaultBoxGenerator([[4]], scales=[0.9, 1.0], clip=False)
    np.testing.assert_allclose(wide((100, 200), [(1, 1)])[2], [-80, 27.5, 280, 72.5])


def test_box_coder(rng):
    coder = BoxCoder(WEIGHTS)
    target, given = boxes(rng, 5), boxes(rng, 5)
    codes = coder.encode(target, given)
    np.testing.assert_array_equal(codes, dl.encode_boxes(target, given, WEIGHTS))
    np.testing.assert_allclose(coder.decode(codes, given), target)


def test_same_bits_for_any_threads(threads, rng):
    given = boxes(rng, 20000, "float32")
    x = rng.standard_normal((20000, 8)).astype("float32")
    results = set()
    for n in (1, 2, 3):
        threads(n)
        t = dl.Tensor(given, requires_grad=True)
        y = dl.decode_boxes(x, t)
        y.backward(np.ones_like(y.data))
        results.add(y.data.tobytes() + t.grad.data.tobytes())
    assert len(results) == 1


def test_empty(dtype):
    none = np.zeros((0, 4), dtype)
    assert dl.encode_boxes(none, none).shape == (0, 4)
    assert dl.decode_boxes(np.zeros((0, 8), dtype), none).shape == (0, 8)


B = np.ones((3, 4), np.float32)
BAD = [
    (
        lambda: dl.encode_boxes(B, B[:2]),
        ValueError,
        r"proposals must have reference_boxes.shape = \(3, 4\), got .* \(2, 4\)",
    ),
    (lambda: dl.encode_boxes(B, B, (1, 2)), TypeError, "weights must be 4 numbers"),
    (lambda: dl.encode_boxes(B, B, (1, 1, 1, 0)), ValueError, "weights must be above"),
    (lambda: dl.encode_boxes(B, B.astype("d")), TypeError, "must have one dtype"),
    (
        lambda: dl.decode_boxes(B[:, :3], B),
        ValueError,
        r"rel_codes must have shape \(N, 4 K\)",
    ),
    (
        lambda: dl.decode_boxes(B, B, bbox_xform_clip=np.nan),
        ValueError,
        "bbox_xform_clip must be a number",
    ),
    (lambda: dl.grid_anchors(B, (-1, 2), (1, 1)), ValueError, "grid_size must be at"),
    (lambda: dl.grid_anchors(B, (1, 2), 8), TypeError, "stride must be a pair"),
    (lambda: dl.grid_anchors(B, 2, (1, np.inf)), ValueError, "stride must be finite"),
    (lambda: dl.grid_anchors(B, 1 << 40, (1, 1)), ValueError, "more than an array"),
    (lambda: AnchorGenerator([[1]], []), ValueError, "must be as many as sizes"),
    (lambda: AnchorGenerator([[0]], [[1]]), ValueError, "sizes must be above 0"),
    (lambda: AnchorGenerator()((8, 8), [(0, 1)]), ValueError, "must be at least 1"),
    (lambda: DefaultBoxGenerator([[2]], scales=[1]), ValueError, "one more than"),
    (lambda: DefaultBoxGenerator([[-2]]), ValueError, "aspect_ratios must be above 0"),
]


@pytest.mark.parametrize("call, exception, match", BAD)
def test_bad_calls(call, exception, match):
    with pytest.raises(exception, match=match):
        call()
