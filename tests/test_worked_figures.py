"""Figures that textbooks work out by hand, and what this package gives for them."""

import numpy as np
import pytest

import dlcore as dl


def conv(image, kernel, **options):
    image, kernel = (np.asarray(a, "float32")[None, None] for a in (image, kernel))
    return dl.conv2d(image, kernel, **options)[0, 0]


def test_edge_detection():
    image = np.tile([10, 10, 10, 0, 0, 0], (6, 1))
    edges = conv(image, np.tile([1, 0, -1], (3, 1)))
    np.testing.assert_array_equal(edges, np.tile([0, 30, 30, 0], (4, 1)))


def test_padding():
    got = conv(np.arange(9).reshape(3, 3), [[0, 1], [2, 3]], padding=1)
    want = [[0, 3, 8, 4], [9, 19, 25, 10], [21, 37, 43, 16], [6, 7, 8, 0]]
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("n", [5, 6, 7, 28])
@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_output_sizes(n, k, padding, stride):
    """floor((N + 2P - K) / S) + 1; of stride 1, N + 2P - K + 1."""
    y = conv(np.ones((n, n)), np.ones((k, k)), padding=padding, stride=stride)
    side = (n + 2 * padding - k) // stride + 1
    assert y.shape == (side, side)


def test_softmax():
    """Often printed as [0.8, 0.04, 0.00, 0.11]; the first is 0.842."""
    got = dl.softmax(np.array([5.0, 2.0, -1.0, 3.0]), 0)
    np.testing.assert_allclose(got, [0.842, 0.042, 0.002, 0.114], rtol=0, atol=5e-4)


def test_computation_graph():
    """L = (a b + c) f at a = 2, b = -3, c = 10, f = -2."""
    a, b, c, f = (dl.Tensor(v, requires_grad=True) for v in (2.0, -3.0, 10.0, -2.0))
    e = a * b
    d = e + c
    for inner in (e, d):
        inner.retain_grad()
    loss = d * f
    loss.backward()
    assert loss.item() == -8
    slopes = {"f": f, "d": d, "c": c, "e": e, "a": a, "b": b}
    assert {name: t.grad.item() for name, t in slopes.items()} == {
        "f": 4,
        "d": -2,
        "c": -2,
        "e": -2,
        "a": 6,
        "b": -4,
    }
