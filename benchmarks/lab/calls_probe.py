"""What a call on 16 elements costs: the function, its binding, without a new array.

`perf record python benchmarks/lab/calls_probe.py _C.add` repeats one call of the list
for some seconds, for a profile of it.
"""

import statistics
import sys
import timeit

import numpy as np

import dlcore as dl
from dlcore import _C, nn


def nothing(x, out=None):
    return x


def names():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 16), dtype=np.float32)
    layer = nn.Linear(10, 16)
    return {
        **{"np": np, "dl": dl, "_C": _C, "nothing": nothing},
        **{"x": x, "y": y, "out": np.empty_like(x), "layer": layer},
        **{"t": dl.Tensor(x, requires_grad=True), "one": np.ones((1, 16), "f")},
        "row": dl.Tensor(np.ones((1, 10), np.float32)),
    }


CALLS = """
    nothing(x)
    np.add(x,y)
    np.empty_like(x)
    _C.num_threads()
    _C.relu_forward(x,out)
    _C.relu_forward(x)
    _C.add(x,y)
    _C.softmax_forward(x,0)
    _C.sum(x)
    dl.relu(x)
    dl.relu(x,out=out)
    dl.add(x,y)
    dl.maximum(x,y)
    dl.exp(x)
    dl.softmax(x,0)
    dl.sum(x)
    dl.relu(t)
    t+t
    layer(row)
    layer(row).backward(one)
""".split()


def main(only=None):
    calls = [call for call in CALLS if only is None or call.startswith(only)]
    timers = [timeit.Timer(call, globals=names()) for call in calls]
    rounds = 40 if only is None else 4000
    times = [[timer.timeit(2000) / 2000 for timer in timers] for _ in range(rounds)]
    for call, column in zip(calls, zip(*times, strict=True), strict=True):
        low, middle = min(column) * 1e9, statistics.median(column) * 1e9
        print(f"{call:28s} {middle:8.0f} ns   least {low:8.0f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
