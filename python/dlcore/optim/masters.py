"""Float32 copies of parameters that are stored in 16 bits: what a step changes."""

from contextlib import contextmanager

import numpy as np

from ..convert import is_sixteen

NAME = "master_param"  # in the state of an optimizer


@contextmanager
def masters(state, params):
    """A block in which the parameters are their float32 copies.

    After it they are those rounded. A copy is made at the first step, and made anew of
    the elements that others changed since the last.
    """
    stored = [
        (p, p.data) for p in params if p.grad is not None and is_sixteen(p.data.dtype)
    ]
    for p, array in stored:
        p.data = master_of(state.setdefault(p, {}), array)
    try:
        yield
    finally:
        for p, array in stored:
            np.copyto(array, p.data, "unsafe")
            p.data = array


def master_of(kept, array):
    """The float32 copy in `kept`, with what others wrote into the array since."""
    master = kept.get(NAME)
    if master is None:
        kept[NAME] = master = array.astype(np.float32, order="C")
        return master
    written = master.astype(array.dtype).view(np.uint16) != array.view(np.uint16)
    if written.any():
        master[written] = array[written]
    return master
