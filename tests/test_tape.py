"""What the tape costs: gradients are handed over, not copied; nothing stays behind."""

import gc
import subprocess
import sys
import weakref

import numpy as np

import dlcore as dl
from dlcore.tensor import record


def place(array):
    return array.__array_interface__["data"][0]


def test_a_leaf_takes_its_gradient_without_a_copy():
    made = []

    def backward(dy):
        dx = dy * 2
        made.append(place(dx))
        return (dx,)

    x = dl.Tensor(np.zeros(1000), requires_grad=True)
    record(np.zeros(1000), (x,), backward).backward(np.ones(1000))
    assert place(x.grad.data) == made[0]


def test_a_gradient_that_others_hold_is_copied():
    kept = np.ones(1000)
    x, y = (dl.Tensor(np.zeros(1000), requires_grad=True) for _ in range(2))
    record(np.zeros(1000), (x, y), lambda dy: (kept, kept)).backward(kept)
    assert len({place(kept), place(x.grad.data), place(y.grad.data)}) == 3


def test_gradients_of_a_result_are_added_in_place():
    """Of two uses the second gives an array that nobody keeps: the sum goes there."""
    made = []

    def double(dy):
        made.append(dy * 2)
        return (made.pop(),)

    seen = []

    def last(dy):
        seen.append(dy.copy())
        return (dy,)

    kept = np.ones(1000)
    x = dl.Tensor(np.zeros(1000), requires_grad=True)
    y = record(np.zeros(1000), (x,), last)
    first = record(np.zeros(1000), (y,), lambda dy: (kept,))
    second = record(np.zeros(1000), (y,), double)
    third = record(np.zeros(1000), (y,), lambda dy: (kept,))
    record(np.zeros(1000), (first, second, third), lambda dy: (dy, dy, dy)).backward(
        kept
    )
    np.testing.assert_array_equal(seen, [np.full(1000, 4.0)])
    np.testing.assert_array_equal(kept, np.ones(1000))


def test_the_graph_does_not_keep_a_residual():
    x = dl.Tensor(np.random.default_rng(0).standard_normal((4, 3, 5)), True)
    around = dl.batch_norm(x, None, None, training=True)
    held = weakref.ref(around.data)
    y = dl.batch_norm(x * 2.0, None, None, training=True, residual=around)
    del around
    assert held() is None
    y.backward(np.ones(y.shape))
    assert (
        np.abs(x.grad.data).max() < 1e-9
    )  # each normalization's gradient of a sum is 0


# Steps of a small network whose shapes vary: what stays in memory after them.
STEPS = """
import resource
import numpy as np
import dlcore as dl

def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize()

dl.set_num_threads(1)
rng = np.random.default_rng(0)
model = dl.nn.Sequential(dl.nn.Linear(16, 32), dl.nn.ReLU(), dl.nn.Linear(32, 4))
optimizer = dl.optim.Adam(model.parameters(), 1e-3)

def steps(count):
    for _ in range(count):
        n = int(rng.integers(1, 65))
        x = dl.Tensor(rng.standard_normal((n, 16)).astype("f"), requires_grad=True)
        y = rng.integers(0, 4, n)
        h = model(x)
        h.register_hook(lambda g: None)
        loss = dl.cross_entropy(h, y) + dl.checkpoint(dl.tanh, h[:, 0]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

steps(1500)
before = resident()
steps(10000)
print(resident() - before)
"""


def test_ten_thousand_steps_of_varying_shapes_stay_in_their_memory():
    run = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < 2 << 20


def test_steps_leave_no_object_behind():
    """No cycles: there is nothing for the collector to find."""
    model = dl.nn.Linear(4, 3)

    def step(n):
        x = dl.Tensor(np.ones((n, 4), "f"), requires_grad=True)
        y = dl.tanh(model(x))
        y.retain_grad()
        (dx,) = dl.grad(dl.square(y).sum(), x, create_graph=True)
        (dl.square(dx).sum() + y.sum()).backward()
        model.zero_grad()

    step(1)
    gc.collect()
    gc.disable()
    try:
        for n in range(50):
            step(1 + n % 19)
        assert gc.collect() == 0
    finally:
        gc.enable()
