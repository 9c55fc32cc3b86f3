"""Does the cost grow with the work?  growth_probe.py [conv] [train] [nms]

Prints milliseconds, and what a unit of work (a picture, a pixel, a box) costs beside
the cheapest of its row: 1.0 everywhere would be linear. The medians of a row's sizes
are taken by turns.
"""

import statistics
import sys
import time

import numpy as np

import dlcore as dl

rng = np.random.default_rng(0)


def medians(calls, seconds=6.0):
    """Milliseconds of each call: they take turns until the time is up, three at least."""
    times = [[] for _ in calls]
    for call in calls:
        call()
    end = time.perf_counter() + seconds
    while len(times[0]) < 3 or time.perf_counter() < end:
        for call, own in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            own.append(time.perf_counter() - start)
    return [1e3 * statistics.median(own) for own in times]


def report(title, sizes, works, calls):
    times = medians(calls)
    units = [t / w for t, w in zip(times, works, strict=True)]
    print(title)
    for size, t, unit in zip(sizes, times, units, strict=True):
        print(
            f"  {size:>8}  {t:9.3f} ms  {unit / min(units):5.2f} of the cheapest unit"
        )


def convolution(batch, side):
    x = dl.Tensor(rng.standard_normal((batch, 32, side, side), dtype=np.float32), True)
    w = dl.Tensor(rng.standard_normal((32, 32, 3, 3), dtype=np.float32), True)
    dy = np.ones((batch, 32, side, side), np.float32)

    def call():
        x.grad = w.grad = None
        dl.conv2d(x, w, padding=1).backward(dy)

    return call


def training(batch, side):
    net = dl.models.resnet18(num_classes=10, small_images=True)
    optimizer = dl.optim.SGD(net.parameters(), 1e-3, 0.9)
    x = dl.Tensor(rng.standard_normal((batch, 3, side, side), dtype=np.float32))
    labels = rng.integers(0, 10, batch)

    def call():
        optimizer.zero_grad()
        dl.cross_entropy(net(x), labels).backward()
        optimizer.step()

    return call


def boxes(n, side):
    centre = rng.uniform(0, side, (n, 2)).astype(np.float32)
    half = rng.uniform(5, 50, (n, 2)).astype(np.float32)
    scores = rng.random(n).astype(np.float32)
    given = np.hstack([centre - half, centre + half])
    return lambda: dl.nms(given, scores, 0.5)


def conv():
    both = "conv2d 32 to 32 channels, 3x3, forward and backward: "
    batches, sides = (1, 4, 16, 64), (32, 64, 128, 256, 512)
    calls = [convolution(n, 32) for n in batches]
    report(both + "pictures of 32x32", batches, batches, calls)
    calls = [convolution(1, n) for n in sides]
    report(both + "side of one picture", sides, [n**2 for n in sides], calls)


def train():
    title = "ResNet-18 for small pictures, a step of training: "
    batches, sides = (1, 4, 16, 64), (32, 64, 128)
    calls = [training(n, 32) for n in batches]
    report(title + "pictures of 32x32", batches, batches, calls)
    calls = [training(1, n) for n in sides]
    report(title + "side of one picture", sides, [n**2 for n in sides], calls)


def nms():
    counts = (1_000, 10_000, 100_000)
    calls = [boxes(n, 100 * n**0.5) for n in counts]
    report("nms of sparse boxes", counts, counts, calls)


if __name__ == "__main__":
    for name in sys.argv[1:] or ("conv", "train", "nms"):
        {"conv": conv, "train": train, "nms": nms}[name]()
