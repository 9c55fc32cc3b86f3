"""For each op: inputs, the call, and the same in plain float64 NumPy."""

# ruff: noqa: F401  (each module adds its rows)
from . import (
    attention,
    boxes,
    conv,
    ctc,
    elementwise,
    gemm,
    indexing,
    loss,
    losses,
    norm,
    optim,
    reduction,
    rnn,
    shape,
    signal,
)
from .table import CHECKS, Check

__all__ = ["CHECKS", "Check"]
