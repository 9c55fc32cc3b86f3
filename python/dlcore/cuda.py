"""NVIDIA GPUs: whether one can be used, its memory, arrays on it.

The kernels are in a plugin, a wheel of its own (``pip install dlcore[cuda13]``), which
is looked for at the first call of this module. Without it, or without a driver or a
GPU, nothing fails: `why_not` tells the reason.

Examples
--------
>>> import dlcore as dl
>>> dl.cuda.is_available() == (dl.cuda.why_not() is None)
True
"""

import ctypes
import functools
import importlib.util
import os
import pathlib

import numpy as np

from . import _C

__all__ = [
    "DeviceArray",
    "device_count",
    "empty_cache",
    "get_device_capability",
    "get_device_name",
    "is_available",
    "kernel_count",
    "memory_stats",
    "self_check",
    "synchronize",
    "to_device",
    "use_host_memory",
    "why_not",
]

_FUNCTIONS = {  # of the plugin: how each is called; those of c_char_p give an error
    "version": (ctypes.c_char_p, ()),
    "why_not": (ctypes.c_char_p, ()),
    "device_count": (ctypes.c_int, ()),
    "describe": (
        ctypes.c_char_p,
        (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(ctypes.c_int)),
    ),
    "synchronize": (ctypes.c_char_p, ()),
    "memory_stats": (ctypes.c_char_p, (ctypes.c_int, ctypes.POINTER(ctypes.c_int64))),
    "empty_cache": (ctypes.c_char_p, ()),
    "acquire": (ctypes.c_char_p, (ctypes.c_size_t, ctypes.POINTER(ctypes.c_void_p))),
    "release": (None, (ctypes.c_void_p,)),
    "to_device": (ctypes.c_char_p, (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)),
    "to_host": (ctypes.c_char_p, (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)),
    "self_check": (ctypes.c_char_p, ()),
    "use_host_memory": (
        ctypes.c_char_p,
        (
            ctypes.POINTER(ctypes.c_void_p),
            ctypes.POINTER(ctypes.c_void_p),
            ctypes.POINTER(ctypes.c_int64),
        ),
    ),
    "kernels": (ctypes.c_int, (ctypes.POINTER(ctypes.c_int),)),
}
_EXCEPTIONS = {"M": MemoryError, "V": ValueError, "R": RuntimeError}


def _path():
    """The plugin's library: of the wheel, or what DLCORE_CUDA_PLUGIN names."""
    named = os.environ.get("DLCORE_CUDA_PLUGIN")
    if named:
        return named
    spec = importlib.util.find_spec("dlcore_cuda13")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        found = pathlib.Path(folder) / "libdlcore_cuda.so"
        if found.exists():
            return str(found)
    return None


@functools.cache
def _open():
    """(the plugin's functions or None, why it cannot be used or None)."""
    path = _path()
    if path is None:
        return None, "the plugin is not installed: pip install dlcore[cuda13]"
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        return None, f"the plugin cannot be loaded: {error}"
    functions = {}
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, f"dlcore_cuda_{name}", None)
        if function is None:
            return (
                None,
                f"the plugin {path} is of another version: it lacks {name}",
            )
        function.restype, function.argtypes = result, arguments
        functions[name] = function
    version = functions["version"]().decode()
    if version != _C.__version__:
        return None, (
            f"the plugin is of version {version} and dlcore of {_C.__version__}: "
            "pip install --upgrade dlcore[cuda13]"
        )
    reason = functions["why_not"]()
    return functions, None if reason is None else reason.decode()


def _call(name, *arguments):
    """A function of the plugin that gives None or why it failed."""
    functions, reason = _open()
    if reason is not None:
        raise RuntimeError(f"cuda: {reason}")
    failure = functions[name](*arguments)
    if failure is not None:
        words = failure.decode()
        raise _EXCEPTIONS[words[0]](words[1:])


def why_not():
    """Why no GPU can be used, in one line; None when one can.

    Returns
    -------
    str or None
        For example ``"no NVIDIA driver: libcuda.so.1: cannot open shared object
        file"``. Found out once for the process.
    """
    return _open()[1]


def is_available():
    """Whether the plugin, a driver and a GPU are there."""
    return why_not() is None


def device_count():
    """How many GPUs can be used; 0 when none can."""
    functions, reason = _open()
    return 0 if reason is not None else functions["device_count"]()


def _describe(device):
    name, capability = ctypes.create_string_buffer(128), (ctypes.c_int * 2)()
    _call("describe", device, name, len(name), capability)
    return name.value.decode(), tuple(capability)


def get_device_name(device=0):
    """The name of a GPU.

    Parameters
    ----------
    device : int, optional
        Its number.
    """
    return _describe(device)[0]


def get_device_capability(device=0):
    """The compute capability of a GPU, as (9, 0).

    Parameters
    ----------
    device : int, optional
        Its number.
    """
    return _describe(device)[1]


def synchronize():
    """Waits until the GPU has done all that it was given.

    Raises
    ------
    RuntimeError
        If no GPU can be used, or for what a kernel did before.
    """
    _call("synchronize")


def memory_stats(device=0):
    """What the allocator holds of a GPU's memory, in bytes.

    Parameters
    ----------
    device : int, optional
        Its number.

    Returns
    -------
    dict
        `used` by arrays, the `peak` of that, `cached` for the next, how many
        `allocations` the driver was asked for, and `free` and `total` of the GPU.
    """
    numbers = (ctypes.c_int64 * 6)()
    _call("memory_stats", device, numbers)
    keys = ("used", "peak", "cached", "allocations", "free", "total")
    return dict(zip(keys, numbers))


def empty_cache():
    """Gives the memory that no array uses back to the driver."""
    _call("empty_cache")


def self_check():
    """Runs a kernel on known numbers and compares.

    Raises
    ------
    RuntimeError
        If no GPU can be used, or its results are wrong.
    """
    _call("self_check")


def use_host_memory():
    """Makes the GPU's kernels the instruction set ``"cuda"`` of `dlcore.set_isa`.

    They run on NumPy's arrays where they lie, on GPUs that can read the host's memory
    (by Linux's HMM, or Grace), and each call waits for the GPU. For tests, not for
    speed; a kernel that is missing raises NotImplementedError.

    Raises
    ------
    RuntimeError
        If no GPU can be used, or it cannot read the host's memory.
    """
    name, fill, size = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_int64()
    _call("use_host_memory", name, fill, size)
    _C.add_target(name.value, fill.value, size.value)


def kernel_count():
    """(how many kernels the plugin has, how many the CPU has).

    Raises
    ------
    RuntimeError
        Without a plugin; a GPU is not needed.
    """
    functions, reason = _open()
    if functions is None:
        raise RuntimeError(f"cuda: {reason}")
    words = ctypes.c_int(0)
    return functions["kernels"](words), words.value


class DeviceArray:
    """Numbers in a GPU's memory, contiguous: made by `to_device`.

    It has `shape`, `dtype`, `nbytes`, and ``__cuda_array_interface__``, by which
    PyTorch and CuPy take it without a copy. The ops do not take it yet.
    """

    def __init__(self, shape, dtype):
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self.nbytes = self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64))
        self._memory = ctypes.c_void_p()
        if self.nbytes:
            _call("acquire", self.nbytes, self._memory)

    def __del__(self):
        memory = getattr(self, "_memory", None)
        if memory:
            _open()[0]["release"](memory)

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

    def cpu(self):
        """The numbers as a NumPy array; waits for the GPU."""
        array = np.empty(self.shape, self.dtype)
        if self.nbytes:
            _call("to_host", array.ctypes.data, self._memory, self.nbytes)
        return array


def to_device(x):
    """A copy of an array in the GPU's memory.

    Parameters
    ----------
    x : array
        Of any shape and of a dtype of numbers.

    Returns
    -------
    DeviceArray

    Raises
    ------
    RuntimeError
        If no GPU can be used.
    MemoryError
        If the GPU has no memory left; what is there stays usable.
    """
    x = np.ascontiguousarray(x).reshape(np.shape(x))
    if x.dtype.kind not in "biuf":
        raise TypeError(f"to_device: x must be an array of numbers, got {x.dtype}")
    made = DeviceArray(x.shape, x.dtype)
    if made.nbytes:
        _call("to_device", made._memory, x.ctypes.data, made.nbytes)
    return made
