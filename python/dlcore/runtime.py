"""Instruction set, threads and memory: what serves the calls, and how to choose it."""

import platform

import numpy as np

from . import _C


def set_isa(name):
    """Use the kernels of another instruction set.

    Parameters
    ----------
    name : str
        One of those that `show_config` lists: ``"baseline"``, ``"avx2"``, ``"avx512"``.
        Capitals do not matter.

    Raises
    ------
    ValueError
        If this CPU or this build cannot run it.

    Notes
    -----
    The environment variable ``DLCORE_ISA`` chooses at import. Calls that other threads
    have begun end with the kernels they began with.

    Examples
    --------
    >>> import dlcore as dl
    >>> before = dl.get_isa()
    >>> dl.set_isa(before.upper())  # or "baseline", where that was built
    >>> dl.get_isa() == before
    True
    """
    _C.set_isa(name.lower() if isinstance(name, str) else name)


def get_isa():
    """Name of the instruction set in use.

    Returns
    -------
    str
        ``"baseline"``, ``"avx2"`` or ``"avx512"``.
    """
    return _C.isa()


def set_num_threads(n):
    """Let a call use up to `n` threads.

    Parameters
    ----------
    n : int
        From 1 to 256. The results have the same bits for any number.

    Raises
    ------
    ValueError, TypeError
        If `n` is out of range, or no whole number.

    Notes
    -----
    The default is the smaller of the CPU affinity and the control group's CPU quota, or
    the environment variable ``DLCORE_NUM_THREADS``.

    Examples
    --------
    >>> import dlcore as dl
    >>> before = dl.get_num_threads()
    >>> dl.set_num_threads(1)
    >>> dl.get_num_threads()
    1
    >>> dl.set_num_threads(before)
    """
    _C.set_num_threads(n)


def get_num_threads():
    """Most threads that a call uses.

    Returns
    -------
    int
        At least 1.
    """
    return _C.num_threads()


def empty_cache():
    """Give the memory that the buffer cache holds for later back to the system."""
    _C.empty_cache()


def set_cache_limit(nbytes):
    """Bound the memory that the buffer cache holds while no array uses it.

    Parameters
    ----------
    nbytes : int
        0 keeps nothing. The default is a quarter of the memory this process may use.

    Raises
    ------
    ValueError, TypeError
        If `nbytes` is negative, or no whole number.
    """
    _C.set_cache_limit(nbytes)


def get_cache_limit():
    """Most bytes that the buffer cache holds while no array uses them.

    Returns
    -------
    int
        See `set_cache_limit`.
    """
    return _C.cache_limit()


def set_winograd(enabled):
    """Let `conv2d` take Winograd's way where it is faster, or not.

    Parameters
    ----------
    enabled : bool
        At first True.

    Raises
    ------
    TypeError
        If `enabled` is no bool.

    Notes
    -----
    Winograd's F(4 x 4, 3 x 3) makes 4 x 4 pixels with a quarter of the multiplications.
    It serves float32 with a kernel of 3 x 3, stride and dilation 1, one group and many
    channels, forward and for both gradients. For its error see docs/numerics.md. NaN or
    infinity in `x` makes up to 8 x 8 pixels around it NaN, and numbers near the largest
    may overflow: without Winograd's way only the pixels that see it change.

    Examples
    --------
    >>> import dlcore as dl
    >>> before = dl.get_winograd()
    >>> dl.set_winograd(False)
    >>> dl.get_winograd()
    False
    >>> dl.set_winograd(before)
    """
    _C.set_winograd(enabled)


def get_winograd():
    """Whether `conv2d` may take Winograd's way.

    Returns
    -------
    bool
        See `set_winograd`.
    """
    return _C.winograd()


def config():
    """What this installation is and uses.

    Returns
    -------
    dict of str to str
        Version, build, CPU, instruction sets, threads and memory, as texts for people.
    """
    runnable = _C.isas()
    isas = [n if n in runnable else f"{n} (not on this CPU)" for n in _C.built_isas()]
    caches = {f"L{i}": _C.cache_bytes(i) for i in (1, 2, 3)}
    known = [f"{name} {_size(size)}" for name, size in caches.items() if size]
    held, limit = _size(_C.cached_bytes()), _size(_C.cache_limit())
    return {
        "dlcore": _C.__version__,
        "compiler": _C.compiler,
        "python": f"{platform.python_version()} on {platform.platform()}",
        "numpy": np.__version__,
        "cpu": _C.cpu_name(),
        "caches": ", ".join(known) or "unknown",
        "instruction set": f"{_C.isa()} of {', '.join(isas)}",
        "products": ", ".join(
            ["float32", "float64"]
            + ["bfloat16"] * _C.has_bf16()
            + ["int8"] * _C.has_int8()
        ),
        "threads": f"{_C.num_threads()} of {_C.usable_cpus()} usable CPUs",
        "buffer cache": f"{held} of at most {limit}",
    }


def show_config():
    """Print what `config` returns, for bug reports."""
    for name, value in config().items():
        print(f"{name:<16} {value}")


def _size(nbytes):
    for unit in ("B", "KiB", "MiB"):
        if nbytes < 1024:
            return f"{nbytes:.4g} {unit}"
        nbytes /= 1024
    return f"{nbytes:.4g} GiB"
