"""For each op: inputs, the call, and the same in plain float64 NumPy."""

# ruff: noqa: F401  (each adds its rows)
from . import (
    attention,
# ruff: noqa: F401  (each module adds its rows)
from . import (
    boxes,
    conv,
    ctc,
    elementwise,
    gemm,
    indexing,
    loss,
    norm,
    optim,
    reduction,
    rnn,
    shape,
    shape,
    signal,
)
from .table import CHECKS, Check

__all__ = ["CHECKS", "Check"]
