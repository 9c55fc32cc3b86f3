"""Elements added at the ends of the dimensions."""

import numpy as np

from .. import _C
from ..tensor import record
from .shape import as_array, one_line, whole

_LONGEST = np.iinfo(np.intp).max


def pad(x, pad, mode="constant", value=0.0):
    r"""Add elements at the ends of the last dimensions; a negative number crops.

    Parameters
    ----------
    x : ndarray or Tensor
        Any shape; float32 or float64 (any number to pad with a constant).
    pad : sequence of int
        (before, after) for the last dimension, then for the one before it, and so on:
        ``(left, right, top, bottom)`` for pictures. At most three dimensions unless
        with a constant.
    mode : {'constant', 'reflect', 'replicate', 'circular'}
        What is added: `value`; `x` mirrored at its end elements, which are not
        repeated; its end elements; its elements from the other end.
    value : float, optional
        The constant.

    Returns
    -------
    ndarray or Tensor
        Each dimension `n` becomes ``before + n + after`` long.

    Raises
    ------
    ValueError
        If more is cropped than there is, mirrored at than is there (`pad` must be less
        than the dimension), or repeated than once (at most the dimension).
    TypeError
        If `pad` holds no whole numbers, or `x` is of another dtype.

    See Also
    --------
    dlcore.nn.ReflectionPad2d, dlcore.nn.ZeroPad2d

    Notes
    -----
    With n the length, element i of the result before the first, :math:`-p \le i < 0`,
    is :math:`x_{-i}` mirrored, :math:`x_0` replicated, :math:`x_{n+i}` circular; after
    the last, :math:`n \le i < n + q`, it is :math:`x_{2(n-1)-i}`, :math:`x_{n-1}`,
    :math:`x_{i-n}`. The gradient of an element is the sum over its copies. Where one
    end of a dimension is cropped, circular goes round what is left of it.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = np.array([[1.0, 2.0, 3.0]])
    >>> dl.pad(x, (1, 2))
    array([[0., 1., 2., 3., 0., 0.]])
    >>> dl.pad(x, (1, 2), mode="reflect")
    array([[2., 1., 2., 3., 2., 1.]])
    >>> dl.pad(x, (1, 2), mode="circular")
    array([[3., 1., 2., 3., 1., 2.]])
    """
    a = as_array("pad", x)
    if a.dtype not in (np.float32, np.float64):
        return record(_pad_other(a, pad, mode, value), (x,), None)
    y = _C.pad_forward(a, pad, mode, value)
    if isinstance(pad, list):
        pad = tuple(pad)  # the caller's may have changed before backward
    shape = a.shape
    return record(y, (x,), lambda dy: (_C.pad_backward(dy, shape, pad, mode),))


def _check_value(dtype, value):
    """Nothing is rounded or wrapped round on its way into whole numbers."""
    if dtype.kind not in "biu":
        return
    try:
        with np.errstate(invalid="ignore"):
            kept = bool(np.array(value).astype(dtype) == value)
    except (TypeError, ValueError, OverflowError):
        kept = False
    if not kept:
        raise ValueError(
            f"pad: value must be a number that {dtype} holds, got {one_line(value)}"
        )


def _pad_other(a, pad, mode, value):
    """With a constant, of the dtypes without kernels: integers and the like."""
    if mode != "constant" or a.dtype.kind not in "biufc":
        raise TypeError(f"pad: x must be float32 or float64, got {a.dtype}")
    if not isinstance(pad, (tuple, list)):
        raise TypeError(f"pad: pad must be a tuple of ints, got {type(pad).__name__}")
    pad = [whole("pad", "each number of pad", n) for n in pad]
    if len(pad) % 2 or len(pad) > 2 * a.ndim:
        raise ValueError(
            "pad: pad must hold a pair for each of the last dimensions "
            f"of x.shape = {a.shape}, got {tuple(pad)}"
        )
    ends = [(0, 0)] * (a.ndim - len(pad) // 2)
    ends += list(zip(pad[-2::-2], pad[::-2], strict=True))
    if any(n + min(p, 0) + min(q, 0) < 0 for n, (p, q) in zip(a.shape, ends)):
        raise ValueError(
            f"pad: pad must not crop more than x.shape = {a.shape}, got {tuple(pad)}"
        )
    _check_value(a.dtype, value)
    kept = tuple(slice(max(0, -p), n - max(0, -q)) for n, (p, q) in zip(a.shape, ends))
    try:
        if any(n + p + q > _LONGEST for n, (p, q) in zip(a.shape, ends)):
            raise OverflowError  # NumPy's sum would wrap round, with a warning
        added = [(max(0, p), max(0, q)) for p, q in ends]
        return np.pad(a[kept], added, constant_values=value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            f"pad: pad and value must fit into an array of {a.dtype}, "
            f"got {tuple(pad)} and {one_line(value)}"
        ) from None
