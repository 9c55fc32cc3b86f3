"""For each op: inputs, the call, and the same in plain float64 NumPy."""

from . import boxes, conv, ctc, elementwise, gemm, loss, norm, optim, reduction, shape  # noqa: F401  (each adds its rows)
from .table import CHECKS, Check

__all__ = ["CHECKS", "Check"]
