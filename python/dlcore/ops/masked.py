"""Elements that a mask of bool picks."""

import numpy as np

from .. import _C
from ..tensor import Tensor, raw, record
from .indexing import getitem
from .inputs import wants
from .shape import as_array, expand


def masked_fill(x, mask, value):
    """``x`` with `value` where `mask` is True.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64; is not changed.
    mask : ndarray or Tensor of bool
        Broadcasts to the shape of `x`.
    value : float, or ndarray or Tensor of no axes
        What to put there; may be -inf, for `softmax`.

    Returns
    -------
    ndarray or Tensor
        Of the shape of `x`.

    Raises
    ------
    TypeError
        If `mask` is not of bool.
    ValueError
        If `mask` does not broadcast to `x`, or `value` has axes.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.masked_fill(np.array([1.0, 2.0]), np.array([True, False]), -1.0)
    array([-1.,  2.])
    """
    a, chosen, fill = as_array("masked_fill", x), raw(mask), raw(value)
    if isinstance(fill, np.ndarray) and fill.ndim:
        raise ValueError(
            f"masked_fill: value must be a number, got value.shape = {fill.shape}"
        )
    if isinstance(chosen, np.ndarray):
        chosen = chosen.copy()
    y = _C.where(chosen, fill, a)
    if y.shape != a.shape:
        raise ValueError(
            "masked_fill: mask must broadcast to x, got mask.shape = "
            f"{chosen.shape} with x.shape = {a.shape}"
        )
    want = wants(value)

    def backward(dy):
        filled = _C.sum(_C.where(chosen, dy, 0.0), None, False) if want else None
        return _C.where(chosen, 0.0, dy), None, filled

    return record(y, (x, mask, value), backward)


def masked_select(x, mask):
    """The elements of `x` where `mask` is True, in their order.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
    mask : ndarray or Tensor of bool
        The two broadcast.

    Returns
    -------
    ndarray or Tensor, shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.masked_select(np.array([1.0, 2.0, 3.0]), np.array([True, False, True]))
    array([1., 3.])
    """
    a, chosen = as_array("masked_select", x), as_array("masked_select", mask, "mask")
    if chosen.dtype != bool:
        raise TypeError(f"masked_select: mask must be of bool, got {chosen.dtype}")
    try:
        shape = np.broadcast_shapes(a.shape, chosen.shape)
    except (ValueError, RuntimeError):  # the latter for more axes than NumPy has
        raise ValueError(
            "masked_select: x and mask must broadcast, got x.shape = "
            f"{a.shape} with mask.shape = {chosen.shape}"
        ) from None
    whole_x = x if a.shape == shape else expand(x, *shape)
    y = getitem(whole_x, np.broadcast_to(chosen, shape))
    among = isinstance(mask, Tensor) and not isinstance(y, Tensor)
    return Tensor(y) if among else y
