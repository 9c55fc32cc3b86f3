"""What the tape costs: gradients are handed over, not copied."""

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
