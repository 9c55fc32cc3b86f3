"""NVIDIA GPUs: whether one can be used, and its memory.

The kernels are in a plugin, a wheel of its own that is built from a clone (see
docs/cuda.md) and looked for at the first call. Without it, a driver or a GPU nothing
fails: `why_not` tells the reason, and what needs a GPU raises RuntimeError with it.

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

from . import _C

__all__ = (
    "device_count empty_cache get_device_properties is_available "
    "memory_stats self_check synchronize use_host_memory why_not"
).split()


@functools.cache
def _open():
    """(the plugin's library or None, why it cannot be used or None)."""
    path = os.environ.get("DLCORE_CUDA_PLUGIN")
    if not path:
        spec = importlib.util.find_spec("dlcore_cuda13")
        if spec is None or spec.origin is None:
            return None, "the plugin is not installed: build it, see docs/cuda.md"
        path = os.path.join(os.path.dirname(spec.origin), "libdlcore_cuda.so")
    try:
        library = ctypes.CDLL(path)
        for name in ("version", "why_not"):
            getattr(library, f"dlcore_cuda_{name}").restype = ctypes.c_char_p
        version = (library.dlcore_cuda_version() or b"?").decode()
    except (OSError, AttributeError, ValueError) as error:
        return None, f"the plugin cannot be loaded: {error}"
    if version != _C.__version__:
        return None, f"the plugin is of dlcore {version}, this is {_C.__version__}"
    reason = library.dlcore_cuda_why_not()
    return library, None if reason is None else reason.decode()


def _call(name, *arguments):
    """A function of the plugin, which gives null or why it failed."""
    library, reason = _open()
    if reason is not None:
        raise RuntimeError(f"cuda: {reason}")
    function = getattr(library, f"dlcore_cuda_{name}", None)
    if function is None:
        raise RuntimeError(f"cuda: the plugin has no {name}: build it again")
    function.restype = ctypes.c_char_p
    failure = function(*arguments)
    if failure is not None:
        words = failure.decode()
        kinds = {"M": MemoryError, "V": ValueError, "R": RuntimeError}
        raise kinds[words[0]](words[1:])


def why_not():
    """Why no GPU can be used, in one line; None when one can.

    Found out once for the process.
    """
    return _open()[1]


def is_available():
    """Whether the plugin, a driver and a GPU are there."""
    return why_not() is None


def device_count():
    """How many GPUs can be used; 0 when none can."""
    library, reason = _open()
    return 0 if reason is not None else library.dlcore_cuda_device_count()


def get_device_properties(device=0):
    """(name, compute capability) of GPU number `device`; the latter as (9, 0)."""
    name, capability = ctypes.create_string_buffer(128), (ctypes.c_int * 2)()
    _call("describe", ctypes.c_int(device), name, len(name), capability)
    return name.value.decode(), tuple(capability)


def synchronize():
    """Waits for all the GPU was given; raises RuntimeError for what failed before."""
    _call("synchronize")


def memory_stats(device=0):
    """What the allocator holds of the memory of GPU number `device`, in bytes.

    A dict: `used` by arrays, the `peak` of that, `cached` for the next, how many
    `allocations` the driver was asked for, and `free` and `total` of the GPU.
    """
    numbers = (ctypes.c_int64 * 6)()
    _call("memory_stats", ctypes.c_int(device), numbers)
    keys = ("used", "peak", "cached", "allocations", "free", "total")
    return dict(zip(keys, numbers))


def empty_cache():
    """Gives the memory that no array uses back to the driver."""
    _call("empty_cache")


def self_check():
    """Runs a kernel on known numbers; RuntimeError if the results are wrong."""
    _call("self_check")


def use_host_memory():
    """Makes the GPU's kernels the instruction set ``"cuda"`` of `dlcore.set_isa`.

    They run on NumPy's arrays where they lie, on GPUs that can read the host's memory
    (Linux's HMM, or Grace), and each call waits: for tests, not for speed.
    RuntimeError on other GPUs.
    """
    name, fill, size = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_int64()
    _call("use_host_memory", *map(ctypes.byref, (name, fill, size)))
    _C.add_target(name.value, fill.value, size.value)
