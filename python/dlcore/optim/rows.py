"""Steps of the few rows of a table that a gradient names."""

import numpy as np

from .. import _C
from ..ops.row_sparse import RowSparse
from ..tensor import Tensor
from .masters import NAME as MASTER

# Those whose step of a row needs that row alone, and leaves a row without gradient.
_ALONE = ("Adagrad", "SGD", "SparseAdam")


def step_rows(optimizer, group, params):
    """Step those whose gradient is a `RowSparse`; returns the others, and them.

    The named rows are stepped as a small parameter of their own, with their rows of
    what is remembered.
    """
    found = [p for p in params if isinstance(p.grad, RowSparse)]
    for p in found:
        _check(optimizer, group, p)
    for p in found:
        _step(optimizer, group, p)
    return [p for p in params if not isinstance(p.grad, RowSparse)], found


def _check(optimizer, group, p):
    name, grad = type(optimizer).__name__, p.grad
    if name not in _ALONE or group.get("momentum") or group["weight_decay"]:
        raise TypeError(
            f"{name}: grad must not be one of rows: leave sparse=False in the "
            "embedding, or take SGD without momentum, Adagrad or SparseAdam, all "
            "without weight_decay"
        )
    if grad.shape != p.shape or grad.dtype != p.dtype:
        raise ValueError(
            f"{name}: grad must have the shape and dtype of its parameter, {p.shape} "
            f"of {p.dtype}, got {grad.shape} of {grad.dtype}"
        )
    if not p.data.flags.carray:
        raise ValueError(
            f"{name}: a parameter is stepped in place and must be writable, "
            "C-contiguous and native"
        )


def _step(optimizer, group, p):
    few = p.grad.indices
    rows = Tensor(_take(p.data, few))
    state = optimizer._state
    if p in state:
        state[rows] = {
            name: _take(value, few) if value.ndim else value
            for name, value in state[p].items()
            if name != MASTER  # p.data itself during a step
        }
    try:
        optimizer._step(None, group, [rows], [p.grad.values])
    finally:
        optimizer._rows.pop(None, None)
        kept = state.pop(rows, {})
    _put(p.data, few, rows.data)
    for name, value in kept.items():
        whole = state.setdefault(p, {})
        if value.ndim and name not in whole:
            start = group.get("initial_accumulator_value", 0.0)
            whole[name] = np.full(p.shape, start, p.dtype)
        if value.ndim:
            _put(whole[name], few, value)
        else:
            whole[name] = value


def _take(table, indices):
    return _C.take_rows("step", "params", "grad", table, 0, indices)[0]


def _put(table, indices, rows):
    _C.put_rows("step", "params", table, indices, rows)
