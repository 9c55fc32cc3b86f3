"""Times of the detection ops that have no case in the benchmark.

    DLCORE_NUM_THREADS=1 taskset -c 1 python benchmarks/lab/detection_probe.py

NumPy runs in the same process: it has no threads of its own here.
"""

import statistics
import time

import numpy as np

import dlcore as dl

rng = np.random.default_rng(7)


def ms(call, seconds=0.3):
    """The median of the calls that fit into `seconds`, at least three."""
    call()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def boxes(n, side=1000.0):
    centre = rng.uniform(0, side, (n, 2)).astype(np.float32)
    half = rng.uniform(5, 50, (n, 2)).astype(np.float32)
    return np.hstack([centre - half, centre + half])


def numpy_iou(a, b):
    area = (a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1])
    other = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    low = np.maximum(a[:, None, :2], b[:, :2])
    high = np.minimum(a[:, None, 2:], b[:, 2:])
    sides = np.clip(high - low, 0, None)
    inter = sides[..., 0] * sides[..., 1]
    return inter / (area[:, None] + other - inter)


def numpy_soft_nms(x, scores, threshold=0.3, least=0.001):
    scores, left, keep = scores.copy(), np.arange(len(x)), []
    while len(left):
        i = left[np.argmax(scores[left])]
        keep.append(i)
        left = left[left != i]
        iou = numpy_iou(x[i : i + 1], x[left])[0]
        scores[left] *= np.where(iou >= threshold, 1 - iou, 1)
        left = left[scores[left] >= least]
    return np.array(keep)


def main():
    a, b = boxes(1000), boxes(1000)
    print(f"numpy box_iou 1000x1000: {ms(lambda: numpy_iou(a, b)):.3f} ms")
    for name in "box_iou generalized_box_iou distance_box_iou complete_box_iou".split():
        op = getattr(dl, name)
        t = dl.Tensor(a, requires_grad=True)
        dy = np.ones((1000, 1000), np.float32)
        both = ms(lambda op=op, t=t, dy=dy: op(t, b).backward(dy))
        print(f"{name}: {ms(lambda op=op: op(a, b)):.3f} ms, with backward {both:.3f}")
    for n in (1000, 10000):
        x, scores = boxes(n), rng.random(n).astype(np.float32)
        for method in ("linear", "gaussian"):
            t = ms(lambda x=x, s=scores, m=method: dl.soft_nms(x, s, method=m))
            print(f"soft_nms {n} {method}: {t:.2f} ms")
        if n == 1000:
            print(
                f"numpy soft_nms {n} linear: {ms(lambda: numpy_soft_nms(x, scores)):.1f} ms"
            )
    many = boxes(100_000)
    codes = rng.standard_normal((100_000, 4)).astype(np.float32)
    print(f"encode_boxes 1e5: {ms(lambda: dl.encode_boxes(many, many)):.3f} ms")
    print(f"decode_boxes 1e5: {ms(lambda: dl.decode_boxes(codes, many)):.3f} ms")
    print(
        f"box_convert 1e5: {ms(lambda: dl.box_convert(many, 'xyxy', 'cxcywh')):.3f} ms"
    )
    x = rng.standard_normal((1, 256, 100, 100)).astype(np.float32)
    for n in (10, 30, 60, 67, 69, 80, 120, 200):  # turned from 69 on
        rois = np.hstack([np.zeros((n, 1), "f"), boxes(n, 60) + 20])
        t = ms(lambda r=rois: dl.roi_align(x, r, 7, sampling_ratio=2))
        print(f"roi_align {n} of 256x100x100: {t:.2f} ms, {1e3 * t / n:.1f} us each")


if __name__ == "__main__":
    main()
