"""For each op: inputs, the call, and the same in plain float64 NumPy."""

# ruff: noqa: F401  (each adds its rows)
from . import (
    boxes,
    conv,
    ctc,
    elementwise,
    gemm,
    loss,
    norm,
    optim,
    reduction,
    shape,
    signal,
)
from .table import CHECKS, Check

__all__ = ["CHECKS", "Check"]
