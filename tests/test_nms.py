import numpy as np
import pytest
import reference_boxes as reference

import dlcore as dl
from dlcore import _C

SIZES = [1, 15, 16, 17, 64, 65, 200, 513, 700]


def boxes(rng, n, dtype="float32", image=100.0, side=30.0):
    corner = rng.uniform(0, image, (n, 2))
    return np.hstack([corner, corner + rng.uniform(1, side, (n, 2))]).astype(dtype)


def kinds(rng, n, dtype):
    """Boxes of every sort of scene."""
    yield "crowded", boxes(rng, n, dtype)
    yield "sparse", boxes(rng, n, dtype, 40.0 * n**0.5)
    yield "far from 0", boxes(rng, n, dtype) + np.array(1e5, dtype)
    yield "around 0", boxes(rng, n, dtype) - np.array(50, dtype)
    sizes = 2.0 ** rng.uniform(-12, 12, (n, 1))
    yield "all sizes", (boxes(rng, n, dtype) * sizes).astype(dtype)
    yield "long", boxes(rng, n, dtype) * np.array([1, 50, 1, 50], dtype)
    yield "on a grid", np.round(boxes(rng, n, dtype) / 4) * 4
    yield "all one", np.tile(boxes(rng, 1, dtype), (n, 1))


@pytest.mark.parametrize("n", SIZES)
def test_nms(isa, dtype, rng, n):
    for kind, x in kinds(rng, n, dtype):
        scores = rng.random(n).astype(dtype)
        for threshold in (0, 0.1, 0.5, 0.7, 1) if n < 500 else (0.2, 0.5, 0.9):
            want = reference.nms(x, scores, threshold)
            got = dl.nms(x, scores, threshold)
            assert got.dtype == np.int64
            np.testing.assert_array_equal(got, want, f"{kind}, {threshold}")


@pytest.mark.parametrize("n", [1, 17, 65, 900])
def test_batched_nms(isa, dtype, rng, n):
    for kind, x in kinds(rng, n, dtype):
        scores = rng.random(n).astype(dtype)
        classes = rng.choice([-(2**31), -1, 0, 3, 80, 2**31 - 1], n)
        want = reference.nms(x, scores, 0.4, classes)
        for idxs in (classes, classes.astype(np.int32)):
            got = dl.batched_nms(x, scores, idxs, 0.4)
            np.testing.assert_array_equal(got, want, kind)
    alone = dl.batched_nms(x, scores, np.arange(n), 0.0)
    np.testing.assert_array_equal(alone, reference.falling(scores))


def test_borderline_overlaps(isa, dtype, rng):
    """Integer corners: many overlaps equal the threshold or lie next to it."""
    corner = rng.integers(0, 12, (1500, 2))
    x = np.hstack([corner, corner + rng.integers(1, 12, (1500, 2))]).astype(dtype)
    scores = rng.random(1500).astype(dtype)
    for threshold in (1 / 2, 1 / 3, 2 / 3, 1 / 5, 3 / 5, 1 / 7, np.float32(1 / 3)):
        want = reference.nms(x, scores, threshold)
        np.testing.assert_array_equal(dl.nms(x, scores, threshold), want)


def test_order(isa, dtype, rng):
    for n in (5, 64, 65, 3000):
        x = boxes(rng, n, dtype, 1e6 * n)
        scores = rng.choice([0.0, -0.0, 0.25, -3, np.inf, -np.inf, np.nan, 1e-42], n)
        scores = scores.astype(dtype)
        got = dl.nms(x, scores, 0.5)
        np.testing.assert_array_equal(got, reference.falling(scores))
    scores = rng.standard_normal(3000).astype(dtype)
    want = np.argsort(-scores, kind="stable")
    np.testing.assert_array_equal(dl.nms(x, scores, 0.5), want)


def test_order_like_torch(torch, rng):
    scores = rng.choice([0.5, 0.25, np.nan, np.inf], 500).astype("float32")
    _, want = torch.sort(torch.tensor(scores), stable=True, descending=True)
    got = dl.nms(boxes(rng, 500, image=1e6), scores, 0.5)
    np.testing.assert_array_equal(got, want.numpy())


def test_boxes_without_area(isa, dtype, rng):
    n = 900
    x = boxes(rng, n, dtype)
    x[::7, 2] = x[::7, 0]
    x[1::7] = x[1::7, [2, 3, 0, 1]]
    x[2::7, rng.integers(0, 4)] = np.nan
    x[3::7, 2] = np.inf
    x[4::70] *= 1e-30 if dtype == "float32" else 1e-200
    x[5::70] *= 1e30 if dtype == "float32" else 1e200
    scores = rng.random(n).astype(dtype)
    for threshold in (0, 0.3, 0.5):
        with np.errstate(over="ignore"):
            want = reference.nms(x, scores, threshold)
        np.testing.assert_array_equal(dl.nms(x, scores, threshold), want)
    assert set(range(0, n, 7)) <= set(want.tolist())


def test_nms_against_onnxruntime(rng):
    pytest.importorskip("onnxruntime", reason="needs the extra oracles")
    from dlcore.bench.with_onnxruntime import session

    for kind, x in kinds(rng, 1200, "float32"):
        scores = rng.permutation(1200).astype("float32")
        for threshold in (0.3, 0.5, 0.8):
            limits = np.array([1200]), np.array([threshold], "float32")
            arrays = (x[None], scores[None, None], *limits)
            run = session("NonMaxSuppression", arrays, ("int64", 2), 11)
            want = run(*arrays)[:, 2]
            got = dl.nms(x, scores, np.float32(threshold))
            np.testing.assert_array_equal(got, want, kind)


@pytest.mark.parametrize("method", ["linear", "gaussian"])
@pytest.mark.parametrize("n", [1, 15, 16, 17, 300])
def test_soft_nms(isa, dtype, rng, method, n):
    for kind, x in kinds(rng, n, dtype):
        scores = rng.random(n).astype(dtype)
        args = 0.3, 0.5, 0.01, method
        want, want_scores = reference.soft_nms(x.astype("d"), scores.astype("d"), *args)
        keep, kept = dl.soft_nms(x, scores, *args)
        assert kept.dtype == dtype and keep.dtype == np.int64
        if dtype == "float64" or kind != "all one":
            np.testing.assert_array_equal(keep, want, kind)
        np.testing.assert_allclose(kept, want_scores, rtol=1e-3, atol=1e-6)


def test_soft_nms_special(isa, dtype):
    x = np.array([[0, 0, 4, 4]] * 5, dtype)
    x[1, 2] = np.nan
    x[2, 2] = 0
    scores = np.array([0.5, 0.4, 0.3, np.nan, 0.5], dtype)
    keep, kept = dl.soft_nms(x, scores, 0.5)
    np.testing.assert_array_equal(keep, [0, 1, 2])
    np.testing.assert_array_equal(kept, scores[:3])
    keep, _ = dl.soft_nms(x, scores, 0.5, score_threshold=0)
    np.testing.assert_array_equal(keep, [0, 1, 2, 4])


def test_soft_nms_of_many_chunks(threads, rng):
    x, scores = boxes(rng, 9000, image=400), rng.random(9000).astype("float32")
    results = []
    for n in (1, 2, 3):
        threads(n)
        results.append(dl.soft_nms(x, scores, score_threshold=0.9))
    want, _ = reference.soft_nms(
        x.astype("d"), scores.astype("d"), 0.3, 0.5, 0.9, "linear"
    )
    np.testing.assert_array_equal(results[0][0], want)
    for keep, kept in results[1:]:
        np.testing.assert_array_equal(keep, results[0][0])
        np.testing.assert_array_equal(kept, results[0][1])


def test_same_boxes_for_any_threads_and_set(threads, rng):
    x, scores = boxes(rng, 5000, image=800), rng.random(5000).astype("float32")
    classes = rng.integers(0, 5, 5000)
    kept, before = set(), _C.isa()
    for n in (1, 2, 3):
        threads(n)
        for isa in _C.isas():
            _C.set_isa(isa)
            one = dl.nms(x, scores, 0.5).tobytes()
            kept.add(one + dl.batched_nms(x, scores, classes, 0.5).tobytes())
    _C.set_isa(before)
    assert len(kept) == 1


def test_empty_and_tensors(dtype):
    none, no_scores = np.zeros((0, 4), dtype), np.zeros(0, dtype)
    assert dl.nms(none, no_scores, 0.5).shape == (0,)
    assert dl.batched_nms(none, no_scores, np.zeros(0, int), 0.5).shape == (0,)
    keep, kept = dl.soft_nms(none, no_scores)
    assert keep.shape == (0,) and kept.shape == (0,) and kept.dtype == dtype
    x = dl.Tensor(np.array([[0, 0, 1, 1]], dtype), requires_grad=True)
    keep = dl.nms(x, np.ones(1, dtype), 0.5)
    assert isinstance(keep, dl.Tensor)
    x[keep].sum().backward()
    np.testing.assert_array_equal(x.grad.data, 1)


def test_layouts(rng):
    x, scores = boxes(rng, 70), rng.random(70).astype("float32")
    want = dl.nms(x, scores, 0.4)
    for other in (np.asfortranarray(x), x.astype(">f4"), x[::-1].copy()[::-1]):
        np.testing.assert_array_equal(dl.nms(other, scores, 0.4), want)


B, S = np.zeros((3, 4), np.float32), np.zeros(3, np.float32)
I = np.zeros(3, np.int64)  # noqa: E741
BAD = [
    (lambda: dl.nms(B[:, :3], S, 0.5), ValueError, r"boxes must have shape \(N, 4\)"),
    (
        lambda: dl.nms(B, S[:2], 0.5),
        ValueError,
        r"scores must have one value for each box, shape \(3,\), got .* \(2,\)",
    ),
    (lambda: dl.nms(B, S.astype("d"), 0.5), TypeError, "boxes and scores must have"),
    (lambda: dl.nms(B, S, 1.5), ValueError, "iou_threshold must be from 0 to 1, got"),
    (lambda: dl.nms(B, S, np.nan), ValueError, "iou_threshold must be from 0 to 1"),
    (lambda: dl.nms(B, S, "a"), TypeError, "iou_threshold must be a real number"),
    (lambda: dl.nms(B.tolist(), S, 0.5), TypeError, "boxes must be a NumPy array"),
    (
        lambda: dl.batched_nms(B, S, I[:2], 0.5),
        ValueError,
        "batched_nms: idxs must have one class for each box",
    ),
    (lambda: dl.batched_nms(B, S, S, 0.5), TypeError, "idxs must be int64 or int32"),
    (lambda: dl.batched_nms(B, S, None, 0.5), TypeError, "idxs must be a NumPy array"),
    (
        lambda: dl.batched_nms(B, S, I + 2**31, 0.5),
        ValueError,
        r"idxs must fit into 32 bits, got idxs\[0\] = 2147483648",
    ),
    (lambda: dl.soft_nms(B, S, method="hard"), ValueError, "method must be 'linear'"),
    (lambda: dl.soft_nms(B, S, sigma=0), ValueError, "sigma must be above 0, got 0"),
    (lambda: dl.soft_nms(B, S, -0.1), ValueError, "soft_nms: iou_threshold must be"),
    (
        lambda: dl.soft_nms(B, S, score_threshold=-1),
        ValueError,
        "score_threshold must be at least 0",
    ),
]


@pytest.mark.parametrize("call, exception, match", BAD)
def test_bad_calls(call, exception, match):
    with pytest.raises(exception, match=match):
        call()
