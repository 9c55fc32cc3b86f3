"""The machine itself as a contender: plain passes over a case's own arrays."""

from functools import partial

import numpy as np

from .. import _C


def unary(case, variant, x):
    return partial(_C.probe_copy, x, np.empty_like(x), True)


def attention(case, variant, q, k, v, dy):
    def call():
        _C.probe_read(k)
        _C.probe_read(v)
        return ()

    return call


def measure(seconds=0.03):
    """FLOP/s of the instruction set in use; bytes/s by kind of pass and bytes moved."""
    from .worker import best

    limits = {}
    for dtype in ("float32", "float64"):
        flops = _C.probe_fma(64, dtype == "float64")
        time = best(partial(_C.probe_fma, 64, dtype == "float64"), seconds)
        limits[f"fma {dtype}"] = flops / time
    for shift in range(18, 29):  # a step of 2 at a cache's edge is off by half
        whole = _C.probe_copy(np.ones(1 << (shift - 2), np.float32), None, False)
        half, other = np.split(whole, 2)
        passes = {
            "read": partial(_C.probe_read, whole),
            "copy": partial(_C.probe_copy, half, other, False),
            "update": partial(_C.probe_copy, half, half, False),
            "copy past caches": partial(_C.probe_copy, half, other, True),
        }
        for name, call in passes.items():
            limits[f"{name} {1 << shift}"] = whole.nbytes / best(call, seconds)
    return limits
