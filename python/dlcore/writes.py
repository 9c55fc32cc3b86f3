"""What was written in place: the same memory may be read through other tensors."""

import weakref

import numpy as np

from .tensor import _NEVER, Tensor, changed, clock


class _Writes:
    """What was written through one tensor and may be read through another.

    Attributes
    ----------
    youngest : int
        The age of the last write: nodes that are younger need not look further.
    """

    def __init__(self):
        self.youngest = _NEVER
        self._ages = {}  # id of the array that has the memory: its age, and a reference

    def add(self, tensor):
        """Note that the memory of a tensor was written, as `changed` does of it."""
        changed((tensor,))
        self.youngest = next(clock)
        key = id(owner := _owner(tensor.data))
        gone = weakref.ref(owner, lambda _: self._ages.pop(key, None))
        self._ages[key] = self.youngest, gone

    def since(self, made, tensors):
        """The first of the tensors whose memory was written after the age `made`."""
        for tensor in tensors:
            if isinstance(tensor, Tensor):
                age, _ = self._ages.get(id(_owner(tensor.data)), (_NEVER, None))
                if age < made:
                    return tensor
        return None


def _owner(array):
    """The array whose memory it is, at the end of a row of views."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


writes = _Writes()
