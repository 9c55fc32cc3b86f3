"""Where a training step's time goes: training_probe.py {lenet,mlp,linear} [threads].

Prints the step's median, then each binding's calls and time per step. The rest of the
step is Python: the ops' functions, the tape's recording and its walk, the modules, the
optimizer. Timing a call costs some 0.1 us, which only the second run carries.
"""

import statistics
import sys
import time

import numpy as np

import dlcore as dl
from dlcore import _C, nn


def lenet():
    rng = np.random.default_rng(0)
    net = dl.models.LeNet5()
    x = rng.standard_normal((64, 1, 28, 28), dtype=np.float32)
    return net, x, rng.integers(0, 10, 64), dl.optim.SGD(net.parameters(), 0.01, 0.9)


def mlp():
    rng = np.random.default_rng(0)
    net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
    x = rng.standard_normal((8, 16), dtype=np.float32)
    return net, x, rng.integers(0, 4, 8), dl.optim.Adam(net.parameters(), 1e-3)


def step_of(net, x, labels, optimizer):
    def step():
        optimizer.zero_grad()
        dl.cross_entropy(net(x), labels).backward()
        optimizer.step()

    return step


def linear():
    layer = nn.Linear(10, 16)
    x = dl.Tensor(np.ones((1, 10), np.float32))
    dy = np.ones((1, 16), np.float32)

    def step():
        layer.weight.grad = layer.bias.grad = None
        layer(x).backward(dy)

    return step


def median(step, seconds):
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times), len(times)


def timed(name, call, spent):
    def wrapped(*args, **kwargs):
        start = time.perf_counter()
        try:
            return call(*args, **kwargs)
        finally:
            total = spent.setdefault(name, [0, 0.0])
            total[0] += 1
            total[1] += time.perf_counter() - start

    return wrapped


def main(name, threads=1):
    dl.set_num_threads(int(threads))
    step = (
        linear() if name == "linear" else step_of(*{"lenet": lenet, "mlp": mlp}[name]())
    )
    median(step, 0.5)
    alone, _ = median(step, 3)
    spent = {}
    for key, value in list(vars(_C).items()):
        if callable(value):
            setattr(_C, key, timed(key, value, spent))
    _, steps = median(step, 3)
    print(f"{name}, {threads} threads: {alone * 1e6:.1f} us a step")
    for key, (calls, seconds) in sorted(spent.items(), key=lambda item: -item[1][1]):
        print(f"  {key:28s} {calls / steps:5.1f} calls {seconds / steps * 1e6:9.1f} us")
    inside = sum(seconds for _, seconds in spent.values()) / steps
    print(f"  {'bindings and kernels':28s} {inside * 1e6:21.1f} us")
    print(f"  {'Python (first run less that)':28s} {(alone - inside) * 1e6:21.1f} us")


if __name__ == "__main__":
    main(*sys.argv[1:])
