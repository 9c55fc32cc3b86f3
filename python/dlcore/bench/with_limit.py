"""The machine itself as a contender: the same bytes copied past the caches."""

from functools import partial

import numpy as np

from .. import _C


def unary(case, variant, x):
    return partial(_C.probe_copy, x, np.empty_like(x), True)


def measure(seconds=0.03):
    """FLOP/s of the instruction set in use; bytes/s by kind of pass and footprint."""
    from .worker import best

    limits = {}
    for dtype in ("float32", "float64"):
        flops = _C.probe_fma(64, dtype == "float64")
        time = best(partial(_C.probe_fma, 64, dtype == "float64"), seconds)
        limits[f"fma {dtype}"] = flops / time
    for shift in range(18, 30, 2):
        half = _C.probe_copy(np.ones(1 << (shift - 3), np.float32), None, False)
        whole = half.nbytes
        y = np.empty_like(half)
        passes = {
            "read": (whole, partial(_C.probe_read, half)),
            "copy": (2 * whole, partial(_C.probe_copy, half, y, False)),
            "update": (2 * whole, partial(_C.probe_copy, half, half, False)),
            "copy past caches": (2 * whole, partial(_C.probe_copy, half, y, True)),
        }
        for name, (nbytes, call) in passes.items():
            limits[f"{name} {1 << shift}"] = nbytes / best(call, seconds)
    return limits
