"""The plugin that dlcore.cuda loads, and arrays in a GPU's memory."""

import ctypes

import numpy as np

from dlcore import cuda

from . import dlpack

__all__ = ["DeviceArray", "from_cuda", "to_device"]


class DeviceArray:
    """Numbers in the memory of GPU 0, contiguous.

    It has `shape`, `dtype`, `nbytes`. PyTorch and CuPy take it without a copy, by
    DLPack or ``__cuda_array_interface__``. The ops do not take it yet.

    Parameters
    ----------
    shape : tuple of int
        Of new numbers, whatever they are.
    dtype : dtype
        Bools, integers or floats.
    memory : int, optional
        Where the numbers are, in memory that `owner` keeps.
    owner : object, optional
        Kept as long as the array.
    """

    def __init__(self, shape, dtype, memory=None, owner=None):
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        if self.dtype.kind not in "biuf":
            raise TypeError(f"DeviceArray: dtype must be one of numbers, got {dtype}")
        self.nbytes = self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64))
        self._memory, self._owner = ctypes.c_void_p(memory), owner
        self._is_own = memory is None
        if self._is_own:
            size = ctypes.c_size_t(self.nbytes)
            cuda._call("acquire", size, ctypes.byref(self._memory))

    def __del__(self):
        if getattr(self, "_is_own", False) and self._memory:
            cuda._open()[0].dlcore_cuda_release(self._memory)

    def __repr__(self):
        return f"DeviceArray(shape={self.shape}, dtype={self.dtype})"

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

    def __dlpack_device__(self):
        return dlpack.CUDA, 0

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        """A capsule of the same memory, in the old form that all readers know.

        All work is on the legacy default stream; a reader on another waits for it.
        """
        if copy or dl_device not in (None, self.__dlpack_device__()):
            raise BufferError("__dlpack__: only the array's own memory is given")
        if stream not in (None, -1, 0, 1):
            cuda.synchronize()
        return dlpack.export(self, self._memory.value, self.shape, self.dtype)

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


def from_cuda(x):
    """A `DeviceArray` on the memory of another library's, which it keeps.

    Parameters
    ----------
    x : object with ``__cuda_array_interface__`` or ``__dlpack__``
        Contiguous, on GPU 0.

    Raises
    ------
    ValueError
        If `x` is not contiguous.
    TypeError, BufferError
        If it is no array of numbers on a GPU.
    """
    if hasattr(x, "__cuda_array_interface__"):
        found = x.__cuda_array_interface__
        shape, dtype = tuple(found["shape"]), np.dtype(found["typestr"])
        strides, memory, owner = found.get("strides"), found["data"][0], x
    elif hasattr(x, "__dlpack__"):
        if x.__dlpack_device__() != (dlpack.CUDA, 0):
            raise BufferError("from_cuda: x must be on GPU 0")
        memory, shape, strides, dtype, owner = dlpack.read(x.__dlpack__(stream=1))
    else:
        raise TypeError(f"from_cuda: x must be on a GPU, got {type(x).__name__}")
    packed, step = [], dtype.itemsize
    for size in reversed(shape):
        packed.insert(0, step)
        step *= size
    rows = zip(shape, strides or packed, packed)
    if step and any(size > 1 and given != want for size, given, want in rows):
        raise ValueError("from_cuda: x must be contiguous: call .contiguous() first")
    return DeviceArray(shape, dtype, memory or None, owner if memory else None)
