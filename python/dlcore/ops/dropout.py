"""Dropout: the mask comes from the random numbers' counters and is never stored.

Where whole channels are dropped it is an array of one number for each of them.
"""

import numpy as np

from .. import _C
from ..tensor import Tensor, raw, record
from .arithmetic import add, mul
from .shape import as_array


def dropout(x, p=0.5, training=True, out=None):
    """Zero each element with probability `p` and scale the rest by ``1 / (1 - p)``.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    p : float, optional
        Probability of dropping, from 0 to 1; used in steps of 2**-32.
    training : bool, optional
        When False the result is `x` itself.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`. A dropped element is 0 even if it was inf or NaN.

    Raises
    ------
    ValueError
        If `p` is not from 0 to 1.
    TypeError
        If `x` is not an array of float32 or float64.

    See Also
    --------
    dlcore.manual_seed

    Notes
    -----
    Inverted dropout (Srivastava et al. 2014): the expectation of each element stays.
    The mask depends on the seed and the element's place alone, not on the dtype, the
    instruction set or the number of threads. Backward makes it again.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = np.ones(4, "float32")
    >>> dl.dropout(x, p=0.0)
    array([1., 1., 1., 1.], dtype=float32)
    >>> dl.dropout(x, training=False) is x
    True
    """
    if not training:
        if out is None:
            return x
        p = 0.0
    if not isinstance(x, Tensor):
        return _C.dropout_forward(x, p, out)[0]
    y, seed, offset = _C.dropout_forward(raw(x, out), p, out)
    return record(y, (x,), lambda dy: (_C.dropout_backward(dy, p, seed, offset),))


def dropout1d(x, p=0.5, training=True):
    """Zero whole channels with probability `p` and scale the rest by ``1 / (1 - p)``.

    Parameters
    ----------
    x : ndarray or Tensor, shape (n, channels, length) or (channels, length)
        float32 or float64.
    p : float, optional
        Probability of dropping, from 0 to 1; used in steps of 2**-32.
    training : bool, optional
        When False the result is `x` itself.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`. NaN and inf of a dropped channel become NaN.

    Raises
    ------
    ValueError
        If `p` is not from 0 to 1 or `x` has another number of axes.
    TypeError
        If `x` is not an array of float32 or float64.

    Notes
    -----
    Neighbours in a channel are alike: what one of them loses another still tells
    (Tompson et al., arXiv 1411.4280).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.manual_seed(0)
    >>> np.unique(dl.dropout1d(np.ones((2, 100, 8)), 0.5))
    array([0., 2.])
    """
    return _drop_channels("dropout1d", x, p, training, (2, 3), 2)


def dropout2d(x, p=0.5, training=True):
    """Zero whole channels with probability `p` and scale the rest by ``1 / (1 - p)``.

    As `dropout1d`, for `x` of shape (n, channels, height, width), or as in PyTorch
    (n, channels, length).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.dropout2d(np.ones((2, 3, 8, 8)), 0.0).shape
    (2, 3, 8, 8)
    """
    return _drop_channels("dropout2d", x, p, training, (3, 4), None)


def dropout3d(x, p=0.5, training=True):
    """Zero whole channels with probability `p` and scale the rest by ``1 / (1 - p)``.

    As `dropout1d`, for `x` of shape (n, channels, depth, height, width), or without n.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.dropout3d(np.ones((2, 3, 4, 8, 8)), 0.0).shape
    (2, 3, 4, 8, 8)
    """
    return _drop_channels("dropout3d", x, p, training, (4, 5), 4)


def alpha_dropout(x, p=0.5, training=True, out=None):
    """Dropout that keeps mean 0 and variance 1, for networks of `selu`.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64.
    p : float, optional
        Probability of dropping, from 0 to 1; used in steps of 2**-32.
    training : bool, optional
        When False the result is `x` itself.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`; zeros for ``p = 1``.

    Raises
    ------
    ValueError
        If `p` is not from 0 to 1.
    TypeError
        If `x` is not an array of float32 or float64.

    Notes
    -----
    A dropped element becomes SELU's limit at -inf, c = -1.7581, and then all become
    ``a * x + b`` with ``a = 1 / sqrt((1 - p) * (1 + p * c**2))`` and ``b = -a * p * c``
    (Klambauer et al., arXiv 1706.02515).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.manual_seed(0)
    >>> np.unique(dl.alpha_dropout(np.zeros(100), 0.5)).round(4)
    array([-0.7792,  0.7792])
    """
    if not training:
        if out is None:
            return x
        p = 0.0
    y, seed, offset = _C.alpha_dropout_forward(raw(x, out), p, out)
    return record(y, (x,), lambda dy: (_C.alpha_dropout_backward(dy, p, seed, offset),))


def feature_alpha_dropout(x, p=0.5, training=True):
    """`alpha_dropout` of whole channels.

    Parameters
    ----------
    x : ndarray or Tensor, shape (n, channels, ...)
        float32 or float64.
    p : float, optional
        Probability of dropping, from 0 to 1; used in steps of 2**-32.
    training : bool, optional
        When False the result is `x` itself.

    Returns
    -------
    ndarray or Tensor
        Same shape and dtype as `x`.

    Raises
    ------
    ValueError
        If `p` is not from 0 to 1 or `x` has less than 2 axes.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.manual_seed(0)
    >>> np.unique(dl.feature_alpha_dropout(np.zeros((9, 9, 9)), 0.5)).round(4)
    array([-0.7792,  0.7792])
    """
    if not training:
        return x
    a = as_array("feature_alpha_dropout", x)
    if a.ndim < 2:
        raise ValueError(
            "feature_alpha_dropout: x must have axes (n, channels, ...), "
            f"got x.shape = {a.shape}"
        )
    shift, seed, offset = _C.alpha_dropout_forward(np.zeros(_heads(a), a.dtype), p)
    scale = _C.alpha_dropout_backward(np.ones(_heads(a), a.dtype), p, seed, offset)
    return add(mul(x, scale), shift)


def _drop_channels(op, x, p, training, ndims, unbatched):
    if not training:
        return x
    a = as_array(op, x)
    if a.ndim not in ndims:
        raise ValueError(
            f"{op}: x must have {ndims[0]} or {ndims[1]} axes, got x.shape = {a.shape}"
        )
    heads = _heads(a)
    if a.ndim == unbatched:
        heads = (heads[0], *(1 for _ in heads[1:]))
    return mul(x, _C.dropout_forward(np.ones(heads, a.dtype), p)[0])


def _heads(a):
    """(n, channels, 1, ...)"""
    return (*a.shape[:2], *(1 for _ in a.shape[2:]))
