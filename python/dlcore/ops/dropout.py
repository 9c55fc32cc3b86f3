"""Dropout: the mask comes from the random numbers' counters and is never stored."""

from .. import _C
from ..tensor import Tensor, raw, record


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
