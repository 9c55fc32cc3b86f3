import numpy as np
import pytest
import reference_boxes as reference

import dlcore as dl
from dlcore import _C
from dlcore.testing import assert_close, gradcheck

FORMATS = ["xyxy", "xywh", "cxcywh"]
SIZES = [1, 2, 3, 4, 7, 8, 15, 16, 17, 33, 70]
MEASURES = {  # name of the pairs: measure, whether it takes eps
    "box_iou": ("iou", False),
    "generalized_box_iou": ("giou", False),
    "distance_box_iou": ("diou", True),
    "complete_box_iou": ("ciou", True),
}
LOSSES = {
    "generalized_box_iou_loss": "giou",
    "distance_box_iou_loss": "diou",
    "complete_box_iou_loss": "ciou",
}


def boxes(rng, n, dtype="float64", image=50.0):
    corner = rng.uniform(-5, image, (n, 2))
    return np.hstack([corner, corner + rng.uniform(1, image / 2, (n, 2))]).astype(dtype)


# -- one by one --


@pytest.mark.parametrize("in_fmt", FORMATS)
@pytest.mark.parametrize("out_fmt", FORMATS)
def test_box_convert(isa, dtype, rng, in_fmt, out_fmt):
    for n in SIZES:
        x = rng.uniform(-9, 9, (n, 4)).astype(dtype)
        want = reference.box_convert(x.astype("d"), in_fmt, out_fmt)
        assert_close(dl.box_convert(x, in_fmt, out_fmt), want, ulp=2, scale=20)
    gradcheck(lambda b: dl.box_convert(b, in_fmt, out_fmt), rng.normal(size=(5, 4)))
    y = dl.box_convert(x.reshape(2, 35, 4), in_fmt, out_fmt)
    np.testing.assert_array_equal(y.reshape(70, 4), dl.box_convert(x, in_fmt, out_fmt))


def test_box_convert_keeps_infinity_apart(isa, dtype):
    x = np.array([[1, 2, np.inf, np.nan]], dtype)
    np.testing.assert_array_equal(
        dl.box_convert(x, "xyxy", "xywh"), [[1, 2, np.inf, np.nan]]
    )


def test_box_area(isa, dtype, rng):
    for n in SIZES:
        x = boxes(rng, n, dtype)
        assert_close(dl.box_area(x), reference.box_area(x.astype("d")), ulp=32)
        centred = dl.box_convert(x, "xyxy", "cxcywh")
        assert_close(dl.box_area(centred, "cxcywh"), dl.box_area(x), ulp=256)
    gradcheck(dl.box_area, boxes(rng, 5))
    gradcheck(lambda b: dl.box_area(b, "cxcywh"), boxes(rng, 5))


def test_clip_boxes_to_image(isa, dtype, rng):
    for n in SIZES:
        x = rng.uniform(-20, 60, (n, 4)).astype(dtype)
        want = np.clip(x, 0, np.array([40, 30, 40, 30], dtype))
        np.testing.assert_array_equal(dl.clip_boxes_to_image(x, (30, 40)), want)
    gradcheck(lambda b: dl.clip_boxes_to_image(b, (30, 40)), x[:20])
    x[0] = [np.nan, -np.inf, np.inf, 5]
    clipped = dl.clip_boxes_to_image(x, (30, 40))[0]
    np.testing.assert_array_equal(clipped, [np.nan, 0, 40, 5])


def test_remove_small_boxes(isa, dtype, rng):
    x = boxes(rng, 200, dtype)
    x[3, 0] = np.nan
    x[5] = x[5, [2, 3, 0, 1]]  # turned inside out
    sides = x[:, 2:] - x[:, :2]
    want = np.flatnonzero((sides >= 9).all(1))
    got = dl.remove_small_boxes(x, 9)
    assert got.dtype == np.int64
    np.testing.assert_array_equal(got, want)
    assert len(dl.remove_small_boxes(x, 0)) == 198


# -- two boxes --


@pytest.mark.parametrize("name", MEASURES)
def test_pairs(isa, dtype, rng, name):
    measure, has_eps = MEASURES[name]
    for n, m in [(1, 1), (3, 16), (5, 17), (7, 70), (33, 2)]:
        a, b = boxes(rng, n, dtype), boxes(rng, m, dtype)
        eps = 1e-7 if has_eps else 0.0
        want = reference.box_measure(measure, *_wide(a[:, None], b), 0.0, eps)
        assert_close(getattr(dl, name)(a, b), want, ulp=24, scale=1)


def _wide(*arrays):
    return [a.astype("d") for a in arrays]


@pytest.mark.parametrize("name", MEASURES)
def test_pairs_gradient(isa, rng, name):
    measure, _ = MEASURES[name]
    a, b = boxes(rng, 4), boxes(rng, 19)
    if measure != "ciou":
        gradcheck(getattr(dl, name), a, b)
        return
    _check_ciou(rng, dl.complete_box_iou, a, b, a[:, None], b[None], 0.0)


def _check_ciou(rng, op, a, b, wide_a, wide_b, eps_union, sign=1):
    """Alpha is a constant for the gradient: differences of the reference with alpha."""
    v = 4 / np.pi**2 * (reference.angle(wide_a) - reference.angle(wide_b)) ** 2
    iou = reference.box_measure("iou", wide_a, wide_b, eps_union)
    alpha = v / (1 - iou + v + 1e-7)
    ta, tb = (dl.Tensor(x, requires_grad=True) for x in (a, b))
    y = op(ta, tb)
    dy = rng.standard_normal(y.shape)
    y.backward(dy)

    def total(a, b):
        args = "ciou", a.reshape(wide_a.shape), b.reshape(wide_b.shape)
        values = reference.box_measure(*args, eps_union, 1e-7, alpha)
        return sign * (values * dy).sum()

    for tensor, first in ((ta, True), (tb, False)):
        x = tensor.data
        for at in np.ndindex(x.shape):
            up, down = x.copy(), x.copy()
            up[at] += 1e-6
            down[at] -= 1e-6
            other = (b,) if first else (a,)
            f = [total(*(p, *other) if first else (*other, p)) for p in (up, down)]
            assert abs((f[0] - f[1]) / 2e-6 - tensor.grad.data[at]) < 1e-6


@pytest.mark.parametrize("name", LOSSES)
def test_losses(isa, dtype, rng, name):
    measure = LOSSES[name]
    for n in SIZES:
        a, b = boxes(rng, n, dtype), boxes(rng, n, dtype)
        want = 1 - reference.box_measure(measure, *_wide(a, b), 1e-7, 1e-7)
        loss = getattr(dl, name)
        assert_close(loss(a, b), want, ulp=24, scale=1)
        assert_close(np.asarray(loss(a, b, "sum")), want.sum(), ulp=24, scale=2 * n)
        assert_close(np.asarray(loss(a, b, "mean")), want.mean(), ulp=24, scale=2)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_gradient(isa, rng, name):
    a, b = boxes(rng, 19), boxes(rng, 19)
    loss = getattr(dl, name)
    if name != "complete_box_iou_loss":
        for reduction in ("none", "sum", "mean"):
            gradcheck(lambda a, b, r=reduction: loss(a, b, r), a, b)
        return
    _check_ciou(rng, loss, a, b, a, b, 1e-7, sign=-1)


@pytest.mark.parametrize("name", [*MEASURES, *LOSSES])
def test_gradient_like_torch(torch, rng, name):
    """The reference's formulas through PyTorch, ties in coordinates included."""
    a = np.round(boxes(rng, 40, "float32"))
    b = np.round(boxes(rng, 40, "float32"))
    b[:10] = a[:10]
    b[10:20, 1] = a[10:20, 1]
    pairs = name in MEASURES
    measure = MEASURES[name][0] if pairs else LOSSES[name]
    if pairs:
        a, b = a[:13], b[:20]
    ours = [dl.Tensor(x, requires_grad=True) for x in (a, b)]
    theirs = [torch.tensor(x, requires_grad=True) for x in (a, b)]
    y = getattr(dl, name)(*ours)
    wide = [theirs[0][:, None], theirs[1]] if pairs else theirs
    want = _torch_measure(torch, measure, *wide, eps_union=0.0 if pairs else 1e-7)
    want = want if pairs else 1 - want
    dy = rng.standard_normal(y.shape).astype("float32")
    y.backward(dy)
    want.backward(torch.tensor(dy))
    np.testing.assert_allclose(y.data, want.detach().numpy(), atol=3e-6)
    for t, w in zip(ours, theirs):
        np.testing.assert_allclose(t.grad.data, w.grad.numpy(), atol=1e-4, rtol=1e-4)


def _torch_measure(torch, measure, a, b, eps_union, eps=1e-7):
    def area(box):
        return (box[..., 2] - box[..., 0]) * (box[..., 3] - box[..., 1])

    low = torch.maximum(a[..., :2], b[..., :2])
    high = torch.minimum(a[..., 2:], b[..., 2:])
    meet = (high > low).all(-1)
    inter = torch.where(meet, (high - low).prod(-1), 0.0)
    union = area(a) + area(b) - inter
    iou = inter / (union + eps_union)
    if measure == "iou":
        return iou
    outer = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(
        a[..., :2], b[..., :2]
    )
    if measure == "giou":
        whole = outer.prod(-1)
        return iou - (whole - union) / (whole + eps_union)
    centres = ((a[..., :2] + a[..., 2:]) - (b[..., :2] + b[..., 2:])) / 2
    diou = iou - (centres**2).sum(-1) / ((outer**2).sum(-1) + eps)
    if measure == "diou":
        return diou
    angles = [
        torch.atan((x[..., 2] - x[..., 0]) / (x[..., 3] - x[..., 1])) for x in (a, b)
    ]
    v = 4 / torch.pi**2 * (angles[0] - angles[1]) ** 2
    alpha = (v / (1 - iou + v + eps)).detach()
    return diou - alpha * v


def test_formats_of_pairs(rng):
    a, b = boxes(rng, 6), boxes(rng, 9)
    for fmt in FORMATS:
        other = [dl.box_convert(x, "xyxy", fmt) for x in (a, b)]
        np.testing.assert_allclose(dl.box_iou(*other, fmt=fmt), dl.box_iou(a, b))
    gradcheck(lambda a, b: dl.box_iou(a, b, "cxcywh"), *other)


def test_special_boxes(isa, dtype):
    x = np.array(
        [
            [0, 0, 2, 2],
            [1, 1, 1, 1],  # no area
            [np.nan, 0, 2, 2],
            [2, 2, 0, 0],  # turned inside out
            [0, 0, np.inf, 2],
        ],
        dtype,
    )
    with np.errstate(all="ignore"):
        got = dl.box_iou(x, x)
    assert got[0, 0] == 1 and got[0, 1] == 0 and np.isnan(got[1, 1])
    assert np.isnan(got[2]).all() and np.isnan(got[:, 2]).all()
    assert got[0, 3] == 0 and got[0, 4] == 0 and np.isnan(got[4, 4])


def test_identical_boxes_have_no_gradient(isa):
    a = dl.Tensor(np.array([[1.0, 2, 5, 9]]), requires_grad=True)
    for name in LOSSES:
        a.grad = None
        loss = getattr(dl, name)(a, a.data.copy(), "sum")
        assert abs(loss.item()) < 1e-7
        loss.backward()
        np.testing.assert_allclose(a.grad.data.sum(), 0, atol=1e-7)


def test_empty(dtype):
    none = np.zeros((0, 4), dtype)
    some = np.ones((3, 4), dtype)
    assert dl.box_iou(none, some).shape == (0, 3)
    assert dl.box_iou(some, none).shape == (3, 0)
    assert dl.box_area(none).shape == (0,)
    assert dl.box_convert(none, "xyxy", "xywh").shape == (0, 4)
    assert dl.remove_small_boxes(none, 1).shape == (0,)
    for name in LOSSES:
        assert getattr(dl, name)(none, none).shape == (0,)
        assert getattr(dl, name)(none, none, "mean") == 0
    t = dl.Tensor(some, requires_grad=True)
    dl.generalized_box_iou(t, none).sum().backward()
    np.testing.assert_array_equal(t.grad.data, 0)


def test_same_bits_for_any_threads_and_set(threads, rng):
    a, b = boxes(rng, 700, "float32"), boxes(rng, 900, "float32")
    results = []
    for n in (1, 2, 3):
        threads(n)
        t = dl.Tensor(a, requires_grad=True)
        y = dl.complete_box_iou(t, b)
        y.backward(np.ones_like(y.data))
        results.append((y.data.tobytes(), t.grad.data.tobytes()))
    assert results[0] == results[1] == results[2]
    before, ious = dl.get_isa(), set()
    for isa in _C.isas():
        dl.set_isa(isa)
        ious.add(dl.box_iou(a, b).tobytes())
    dl.set_isa(before)
    assert len(ious) == 1


def test_layouts(rng):
    a, b = boxes(rng, 9, "float32"), boxes(rng, 20, "float32")
    want = dl.generalized_box_iou(a, b)
    for other in (np.asfortranarray(b), b.astype(">f4"), b[::-1].copy()[::-1]):
        np.testing.assert_array_equal(dl.generalized_box_iou(a, other), want)


B = np.zeros((3, 4), np.float32)
BAD = [
    (
        lambda: dl.box_convert(B, "xyxy", "yx"),
        ValueError,
        "box_convert: out_fmt must be 'xyxy', 'xywh' or 'cxcywh', got 'yx'",
    ),
    (lambda: dl.box_convert(B, 1, "xyxy"), ValueError, "in_fmt must be .* got 1"),
    (
        lambda: dl.box_convert(B[:, :3], "xyxy", "xywh"),
        ValueError,
        r"boxes must have 4 numbers for each box, .*got boxes.shape = \(3, 3\)",
    ),
    (lambda: dl.box_area(B.astype(int)), TypeError, "must be float32 or float64"),
    (lambda: dl.box_area(B, "xyx"), ValueError, "box_area: fmt must be"),
    (lambda: dl.clip_boxes_to_image(B, 3), TypeError, "size must be a pair"),
    (lambda: dl.clip_boxes_to_image(B, (3, -1)), ValueError, "size must be at least"),
    (
        lambda: dl.remove_small_boxes(B[0], 1),
        ValueError,
        r"boxes must have shape \(N, 4\), got boxes.shape = \(4,\)",
    ),
    (lambda: dl.remove_small_boxes(B, "a"), TypeError, "min_size must be a real"),
    (lambda: dl.box_iou(B, B.astype("d")), TypeError, "boxes1 and boxes2 must have"),
    (lambda: dl.box_iou(B, B[0]), ValueError, "boxes2 must have shape"),
    (lambda: dl.box_iou(B, [[1.0]]), TypeError, "must be a NumPy array, got list"),
    (lambda: dl.distance_box_iou(B, B, -1), ValueError, "eps must be at least 0"),
    (
        lambda: dl.generalized_box_iou_loss(B, B[:2]),
        ValueError,
        r"boxes2 must have boxes1.shape = \(3, 4\), got boxes2.shape = \(2, 4\)",
    ),
    (
        lambda: dl.complete_box_iou_loss(B, B, "max"),
        ValueError,
        "reduction must be 'none', 'mean' or 'sum', got 'max'",
    ),
]


@pytest.mark.parametrize("call, exception, match", BAD)
def test_bad_calls(call, exception, match):
    with pytest.raises(exception, match=match):
        call()
