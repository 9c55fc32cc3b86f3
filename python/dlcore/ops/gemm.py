"""Matrix products, all through one kernel: see csrc/cpu/gemm.cpp."""

from math import prod

from numpy import ndarray

from .. import _C
from ..grad_mode import autocasts, is_autocast_enabled, is_grad_enabled
from ..tensor import raw, record
from .inputs import wants


def matmul(a, b, out=None):
    """Matrix product of the last two axes, broadcast over the axes before them.

    ``y[..., i, j] = sum_k a[..., i, k] * b[..., k, j]``, summed in slices of 384 in
    order, whatever the number of threads. Transposed and row-strided views are read
    where they lie.

    Parameters
    ----------
    a : ndarray or Tensor, shape (..., m, k) or (k,)
        float32 or float64.
    b : ndarray or Tensor, shape (..., k, n) or (k,)
        Of the dtype of `a`.
    out : ndarray, optional
        Where to put the result (arrays only).

    Returns
    -------
    ndarray or Tensor, shape (..., m, n)
        Without m when `a`, without n when `b` is a vector. ``k == 0`` gives zeros.

    Raises
    ------
    ValueError
        If the shapes do not go together.
    TypeError
        If the dtypes differ or are not float32 or float64.

    See Also
    --------
    linear, addmm, bmm

    Notes
    -----
    Blocking and packing after Goto and van de Geijn, "Anatomy of high-performance
    matrix multiplication" (2008), and BLIS.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.matmul(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 1.0]))
    array([3., 7.])
    """
    low = bool(autocasts) and is_autocast_enabled()
    if type(a) is ndarray and type(b) is ndarray:
        return _C.matmul(a, b, out, low)
    x, w = raw(a, out), raw(b, out)
    y = _C.matmul(x, w, out, low)
    if not _needs_gradient(a, b):
        return record(y, (a, b), None)
    want_a, want_b = wants(a), wants(b)
    return record(y, (a, b), lambda dy: _matmul_backward(x, w, dy, want_a, want_b, low))


def mm(input, mat2, out=None):
    """Product of two matrices: `matmul` of exactly two axes each.

    Parameters
    ----------
    input : ndarray or Tensor, shape (m, k)
    mat2 : ndarray or Tensor, shape (k, n)
    out : ndarray, optional

    Returns
    -------
    ndarray or Tensor, shape (m, n)

    Raises
    ------
    ValueError
        If an argument has not 2 axes, or the shapes do not go together.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.mm(np.ones((2, 3)), np.ones((3, 1)))
    array([[3.],
           [3.]])
    """
    _check_ndim("mm", 2, input=input, mat2=mat2)
    return matmul(input, mat2, out)


def bmm(input, mat2, out=None):
    """Products of two batches of matrices: `matmul` of exactly three axes each.

    Parameters
    ----------
    input : ndarray or Tensor, shape (batch, m, k)
    mat2 : ndarray or Tensor, shape (batch, k, n)
    out : ndarray, optional

    Returns
    -------
    ndarray or Tensor, shape (batch, m, n)

    Raises
    ------
    ValueError
        If an argument has not 3 axes, or the shapes do not go together.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.bmm(np.ones((2, 1, 3)), np.ones((2, 3, 1))).ravel()
    array([3., 3.])
    """
    _check_ndim("bmm", 3, input=input, mat2=mat2)
    if raw(input).shape[0] != raw(mat2).shape[0]:
        raise ValueError(
            "bmm: input and mat2 must have one batch size, got input.shape = "
            f"{raw(input).shape}, mat2.shape = {raw(mat2).shape}: dl.matmul broadcasts"
        )
    return matmul(input, mat2, out)


def addmm(input, mat1, mat2, *, beta=1, alpha=1, out=None):
    """``beta * input + alpha * (mat1 @ mat2)`` in one pass over the result.

    Parameters
    ----------
    input : ndarray or Tensor, broadcast to (m, n)
        Not read when `beta` is 0, even if it holds NaN.
    mat1 : ndarray or Tensor, shape (m, k)
    mat2 : ndarray or Tensor, shape (k, n)
    beta, alpha : float, optional
        ``alpha == 0`` reads neither matrix.
    out : ndarray, optional
        Where to put the result (arrays only); may be `input`.

    Returns
    -------
    ndarray or Tensor, shape (m, n)

    Raises
    ------
    ValueError
        If the shapes do not go together.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.addmm(np.ones(2), np.ones((2, 3)), np.ones((3, 2)), beta=10, alpha=2)
    array([[16., 16.],
           [16., 16.]])
    """
    return _addmm("addmm", 2, input, mat1, mat2, beta, alpha, out)


def baddbmm(input, batch1, batch2, *, beta=1, alpha=1, out=None):
    """``beta * input + alpha * (batch1 @ batch2)`` for batches of matrices.

    Parameters
    ----------
    input : ndarray or Tensor, broadcast to (batch, m, n)
        Not read when `beta` is 0, even if it holds NaN.
    batch1 : ndarray or Tensor, shape (batch, m, k)
    batch2 : ndarray or Tensor, shape (batch, k, n)
    beta, alpha : float, optional
    out : ndarray, optional
        Where to put the result (arrays only); may be `input`.

    Returns
    -------
    ndarray or Tensor, shape (batch, m, n)

    Raises
    ------
    ValueError
        If the shapes do not go together.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = np.ones((1, 2, 2))
    >>> dl.baddbmm(x, x, x, alpha=0.5)
    array([[[2., 2.],
            [2., 2.]]])
    """
    return _addmm("baddbmm", 3, input, batch1, batch2, beta, alpha, out)


def linear(x, weight, bias=None, activation=None, residual=None, negative_slope=0.01):
    """Fully connected layer, ``y = f(x @ weight.T + bias + residual)``, in one pass.

    Parameters
    ----------
    x : ndarray or Tensor, shape (..., in)
        float32 or float64.
    weight : ndarray or Tensor, shape (out, in)
    bias : ndarray or Tensor, shape (out,), optional
    activation : str, optional
        f: "none", "relu", "relu6", "leaky_relu", "gelu", "gelu_tanh", "silu", "sigmoid"
        or "tanh". Default is none.
    residual : ndarray or Tensor, shape (..., out), optional
        Added before the activation.
    negative_slope : float, optional
        Of leaky_relu.

    Returns
    -------
    ndarray or Tensor, shape (..., out)

    Raises
    ------
    ValueError
        If the shapes do not go together or the activation is unknown.
    TypeError
        If the dtypes differ or are not float32 or float64.

    See Also
    --------
    matmul, dlcore.nn.Linear

    Notes
    -----
    Bias, residual and activation are applied to each tile of the product while it is
    in cache. Backward keeps the output (relu, relu6, sigmoid, tanh) or the activation's
    derivative (the others); dbias comes with the gradient through the activation.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.linear(np.array([[1.0, 2.0]]), np.array([[1.0, 1.0], [-1.0, -1.0]]),
    ...           activation="relu")
    array([[3., 0.]])
    """
    keep = _needs_gradient(x, weight, bias, residual)
    low = bool(autocasts) and is_autocast_enabled()
    xs, w = raw(x), raw(weight)
    y, kept = _C.linear_forward(
        xs, w, raw(bias), raw(residual), activation, negative_slope, keep, low
    )
    if not keep:
        return record(y, (x, weight, bias, residual), None)
    want = wants(x), wants(weight), wants(bias)
    want_residual = wants(residual)

    def backward(dy, negative_slope=negative_slope):  # which a second derivative needs
        dx, dw, db, dz = _C.linear_backward(xs, w, kept, dy, activation, *want, low)
        return dx, dw, db, dz if want_residual else None

    return record(y, (x, weight, bias, residual), backward)


def _needs_gradient(*inputs):
    return is_grad_enabled() and any(map(wants, inputs))


def _check_ndim(op, ndim, **arguments):
    for name, value in arguments.items():
        if not isinstance(raw(value), ndarray):
            raise TypeError(
                f"{op}: {name} must be a NumPy array, got {type(raw(value)).__name__}: "
                f"pass np.asarray({name}, 'float32')"
            )
        if raw(value).ndim != ndim:
            raise ValueError(
                f"{op}: {name} must have {ndim} axes, got {name}.shape = "
                f"{raw(value).shape}: dl.matmul takes any number"
            )


def _matmul_backward(a, b, dy, want_a, want_b, low):
    da = db = None
    a2 = a if a.ndim > 1 else a[None]
    b2 = b if b.ndim > 1 else b[:, None]
    if a.ndim == 1:
        dy = dy[..., None, :] if b.ndim > 1 else dy[None]
    if b.ndim == 1:
        dy = dy[..., None]
    if want_a:
        da = _C.matmul(dy, b2.swapaxes(-1, -2), None, low)
        da = da if a.ndim > 1 else da[..., 0, :]
    if want_b:
        if (
            b2.ndim == 2 < a2.ndim
        ):  # one b for the whole batch: one product over all rows
            rows = prod(a2.shape[:-1])
            a2, dy = a2.reshape(rows, a2.shape[-1]), dy.reshape(rows, b2.shape[-1])
        db = _C.matmul(a2.swapaxes(-1, -2), dy, None, low)
        db = db if b.ndim > 1 else db[..., 0]
    return da, db


def _addmm(op, ndim, input, a, b, beta, alpha, out):
    x, w = raw(a, out), raw(b, out)
    low = bool(autocasts) and is_autocast_enabled()
    y = _C.addmm(op, ndim, raw(input, out), x, w, beta, alpha, out, low)
    parents = (input, a, b)
    if not _needs_gradient(*parents):
        return record(y, parents, None)

    def product(u, v):
        return _C.addmm(op, ndim, None, u, v, 0, alpha, None, low)

    def backward(dy, alpha=alpha):
        dinput = da = db = None
        if wants(input):
            dinput = dy if beta == 1 else _C.mul(dy, beta)
        if wants(a):
            da = product(dy, w.swapaxes(-1, -2))
        if wants(b):
            db = product(x.swapaxes(-1, -2), dy)
        return dinput, da, db

    return record(y, parents, backward)
