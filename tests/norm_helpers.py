"""What the tests of the normalizations share."""

import numpy as np

import dlcore as dl

EPS = 1e-5


def normal(rng, *shapes, dtype="float64"):
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def wide(*arrays):
    return [a.astype(np.float64) for a in arrays]


def spread(x, axes):
    """|x - mean| rstd + |mean| rstd: what an error of x - mean is relative to."""
    x = x.astype(np.float64)
    rstd = 1 / np.sqrt(x.var(axes, keepdims=True) + EPS)
    return (np.abs(x) + 2 * np.abs(x.mean(axes, keepdims=True))) * rstd + 1


def gradients(f, *inputs):
    """The result of `f`, and the gradient of each input for a fixed dy."""
    tensors = [dl.Tensor(x, requires_grad=True) for x in inputs]
    y = f(*tensors)
    dy = np.random.default_rng(9).standard_normal(y.shape).astype(inputs[0].dtype)
    y.backward(dy)
    return [y.data, *(t.grad.data for t in tensors)]


def assert_single_is_like_double(f, *inputs, tol=3e-6):
    got = gradients(f, *(x.astype(np.float32) for x in inputs))
    want = gradients(f, *(x.astype(np.float32).astype(np.float64) for x in inputs))
    for a, b in zip(got, want, strict=True):
        assert a.dtype == np.float32
        assert np.abs(a - b).max(initial=0) <= tol * max(1, np.abs(b).max(initial=0))
