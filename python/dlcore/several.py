"""`record` for an op of several results."""

import functools

import numpy as np

from .convert import sixteen
from .tensor import Tensor, _constant, _stored, record


def record_several(ys, parents, backward):
    """`record` for an op of several results that one backward serves.

    Parameters
    ----------
    ys : tuple of ndarray
        The results.
    parents : tuple
        As for `record`.
    backward : callable
        ``backward(*dys)``: None for a result that no gradient reached.

    Returns
    -------
    tuple of ndarray or Tensor
    """
    if sixteen:
        ys = tuple(_stored(y, parents) for y in ys)
    given = [None] * len(ys)
    nothing = np.zeros(1, np.float32)  # each result is younger, and gives first

    def together(_, backward=backward):
        dys = given.copy()
        given[:] = [None] * len(ys)
        return backward(*dys)

    joint = record(nothing, parents, _of(backward, together))
    if not isinstance(joint, Tensor) or joint._node is None:
        return tuple(record(y, parents, None) for y in ys)

    def result(i):
        def give(dy, backward=None):
            given[i] = dy
            return (_constant(nothing) if isinstance(dy, Tensor) else nothing,)

        return record(ys[i], (joint,), _of(backward, give))

    return tuple(map(result, range(len(ys))))


def _of(backward, part):
    """A part of `backward` under its name; see `dlcore.autograd.recorded`."""
    part.__qualname__ = backward.__qualname__
    recorded = getattr(backward, "recorded", None)
    if recorded is not None:
        part.recorded = functools.partial(part, backward=recorded)
    return part
