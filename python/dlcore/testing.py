"""For those who write ops: compare with a reference, check a gradient."""

import numpy as np

from . import ops
from .tape import gradients_of
from .tensor import Tensor, raw

__all__ = ["assert_close", "gradcheck", "gradgradcheck"]


def __dir__():
    return __all__


def assert_close(got, want, ulp=8, scale=None):
    """Raise unless `got` is within `ulp` units of rounding of the reference.

    Parameters
    ----------
    got : ndarray or Tensor
        The result under test.
    want : array_like
        The reference, computed in float64 or better.
    ulp : float, optional
        Allowed error in units of the dtype's epsilon times the scale.
    scale : array_like, optional
        Magnitude that the error is relative to; by default ``|want|``. For a sum of n
        terms pass the sum of their magnitudes.

    Raises
    ------
    AssertionError
        Naming the worst element, its value and the reference.
    """
    got, want = np.asarray(raw(got)), np.asarray(want)
    assert got.shape == want.shape, f"shape {got.shape}, expected {want.shape}"
    size = np.abs(want) if scale is None else np.broadcast_to(scale, want.shape)
    with np.errstate(all="ignore"):
        error = np.abs(got.astype(np.float64) - want)
        bound = ulp * np.finfo(got.dtype).eps * size + np.finfo(got.dtype).tiny
        same = (got == want) | (np.isnan(got) & np.isnan(want))
        bad = ~(same | (error <= bound))
    if bad.any():
        excess = np.where(bad, np.where(np.isfinite(error), error / bound, np.inf), -1)
        worst = np.unravel_index(np.argmax(excess), got.shape)
        place = tuple(map(int, worst))
        raise AssertionError(
            f"{int(bad.sum())} of {got.size} elements differ; worst at {place}: "
            f"got {got[worst]}, expected {want[worst]}: "
            f"{excess[worst]:.3g} times the bound"
        )


def gradcheck(f, *inputs, eps=1e-6, tol=1e-6, seed=0):
    """Compare the gradients of `f` with central differences, in float64.

    Parameters
    ----------
    f : callable
        Takes Tensors, returns a Tensor.
    *inputs : array_like
        Points at which to check; converted to float64.
    eps : float, optional
        Step of the difference, relative to ``max(1, |x|)``.
    tol : float, optional
        Allowed error relative to the largest entry of the gradient and to 1.
    seed : int, optional
        Of the random weights that make one number of the outputs.

    Returns
    -------
    bool
        True.

    Raises
    ------
    TypeError
        If `inputs` is one tuple of them, or `f` returns no Tensor.
    AssertionError
        Naming the input, the element, the gradient received and the one expected.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.testing.gradcheck(dl.relu, np.array([-1.0, 2.0]))
    True
    """
    if any(isinstance(x, tuple) for x in inputs):
        raise TypeError(
            "gradcheck: inputs must be arrays, got a tuple: "
            "pass them one by one, gradcheck(f, a, b)"
        )
    inputs = [np.array(raw(x), dtype=np.float64) for x in inputs]
    tensors = [Tensor(x.copy(), requires_grad=True) for x in inputs]
    y = f(*tensors)
    if not isinstance(y, Tensor):
        raise TypeError(
            f"gradcheck: f must return a Tensor, got {type(y).__name__}: "
            "return one result of dlcore's ops"
        )
    weights = np.random.default_rng(seed).standard_normal(y.data.shape)
    y.backward(weights)

    def weighted(*arrays):
        return float(np.sum(weights * raw(f(*[Tensor(a) for a in arrays]))))

    for i, x in enumerate(inputs):
        got = np.zeros_like(x) if tensors[i].grad is None else tensors[i].grad.data
        want = np.zeros_like(x)
        for at in np.ndindex(x.shape):
            step = eps * max(1.0, abs(x[at]))
            shifted = [a.copy() for a in inputs]
            shifted[i][at] = x[at] + step
            up = weighted(*shifted)
            shifted[i][at] = x[at] - step
            want[at] = (up - weighted(*shifted)) / (2 * step)
        bound = tol * max(1.0, float(np.abs(want).max(initial=0.0)))
        error = np.abs(got - want)
        if not (error <= bound).all():
            worst = np.unravel_index(
                np.argmax(np.nan_to_num(error, nan=np.inf)), x.shape
            )
            place = tuple(map(int, worst))
            raise AssertionError(
                f"gradcheck: gradient of input {i} at {place}: got {got[worst]:.9g}, "
                f"expected {want[worst]:.9g} (bound {bound:.1e})"
            )
    return True


def gradgradcheck(f, *inputs, eps=1e-6, tol=1e-5, seed=0):
    """`gradcheck` of the gradients of `f`: its second derivatives.

    Parameters
    ----------
    f : callable
        Takes Tensors, returns a Tensor.
    *inputs : array_like
        Points at which to check; converted to float64.
    eps, tol, seed
        As for `gradcheck`.

    Returns
    -------
    bool
        True.

    Raises
    ------
    AssertionError
        As `gradcheck`; also if the gradients that are recorded differ from those that
        are not.
    NotImplementedError
        If an op has no second derivative.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.testing.gradgradcheck(dl.tanh, np.array([-1.0, 0.5]))
    True
    """
    inputs = [np.array(raw(x), dtype=np.float64) for x in inputs]
    given = [Tensor(x, requires_grad=True) for x in inputs]
    shape = f(*given).shape
    dy = np.random.default_rng(seed + 1).standard_normal(shape)
    plain, recorded = (_gradients(f, given, Tensor(dy), flag) for flag in (0, 1))
    for i, (a, b) in enumerate(zip(plain, recorded, strict=True)):
        want = np.zeros(given[i].shape) if a is None else raw(a)
        got = np.zeros(given[i].shape) if b is None else raw(b)
        error = np.abs(got - want).max(initial=0.0)
        bound = 1e-8 * max(1.0, np.abs(want).max(initial=0.0))
        assert error <= bound, (
            f"gradgradcheck: gradient of input {i}, recorded, differs by {error:.3g}"
        )

    def gradients(*tensors):
        found = _gradients(f, tensors[:-1], tensors[-1], True)
        rows = [ops.reshape(dx, -1) for dx in found if dx is not None]
        return ops.cat([*rows, ops.reshape(tensors[-1], -1) * 0.0])

    return gradcheck(gradients, *inputs, dy, eps=eps, tol=tol, seed=seed)


def _gradients(f, tensors, dy, create_graph):
    # Differences are taken of tensors that need no gradient.
    points = [x if x.requires_grad else Tensor(x.data, True) for x in tensors]
    start = [dy if create_graph else dy.data]
    return gradients_of("grad", [f(*points)], points, start, None, bool(create_graph))
