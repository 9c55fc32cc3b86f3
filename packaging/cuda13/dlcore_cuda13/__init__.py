"""The plugin that dlcore.cuda loads, and arrays in a GPU's memory."""

import ctypes

import numpy as np

from dlcore import cuda

__all__ = ["DeviceArray", "to_device"]


class DeviceArray:
    """Numbers in a GPU's memory, contiguous: made by `to_device`.

    It has `shape`, `dtype`, `nbytes`, and ``__cuda_array_interface__``, by which
    PyTorch and CuPy take it without a copy. The ops do not take it yet.
    """

    def __init__(self, shape, dtype):
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self.nbytes = self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64))
        self._memory = ctypes.c_void_p()
        cuda._call("acquire", ctypes.c_size_t(self.nbytes), ctypes.byref(self._memory))

    def __del__(self):
        if getattr(self, "_memory", None):
            cuda._open()[0].dlcore_cuda_release(self._memory)

    @property
    def __cuda_array_interface__(self):
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self._memory.value or 0, False),
            "version": 3,
            "strides": None,
            "stream": 1,  # the legacy default stream
        }

    def _copy(self, way, *pointers):
        if self.nbytes:
            cuda._call(way, *pointers, ctypes.c_size_t(self.nbytes))

    def cpu(self):
        """The numbers as a NumPy array; waits for the GPU."""
        array = np.empty(self.shape, self.dtype)
        self._copy("to_host", ctypes.c_void_p(array.ctypes.data), self._memory)
        return array


def to_device(x):
    """A `DeviceArray` with the numbers of an array `x`.

    MemoryError if the GPU has no memory left; what is there stays usable.
    """
    x = np.ascontiguousarray(x).reshape(np.shape(x))
    if x.dtype.kind not in "biuf":
        raise TypeError(f"to_device: x must be an array of numbers, got {x.dtype}")
    made = DeviceArray(x.shape, x.dtype)
    made._copy("to_device", made._memory, ctypes.c_void_p(x.ctypes.data))
    return made
