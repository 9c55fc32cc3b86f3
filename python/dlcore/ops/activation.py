"""Activations, one element at a time."""

from .. import _C
from ..tensor import Tensor, record


def relu(x, out=None):
    """Rectified linear unit, ``max(x, 0)``.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`. NaN stays NaN.

    Raises
    ------
    TypeError
        If `x` is not an array of float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    if not isinstance(
        x, Tensor
    ):  # the short way: a call on a small array costs its overhead
        return _C.relu_forward(x, out)
    y = _C.relu_forward(x.data, out)
    return record(y, (x,), lambda dy: (_C.relu_backward(y, dy),))
