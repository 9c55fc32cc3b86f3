"""Values copied into a module's parameters and buffers by name, all or none."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ..convert import is_sixteen
from ..tensor import Tensor, changed


class LoadedKeys(NamedTuple):
    """What `Module.load_state_dict` did not find, and what it did not use."""

    missing_keys: list
    unexpected_keys: list


def load(kind, own, state, strict):
    """Copy the arrays of `state` into the Tensors of `own`; `kind` is for messages."""
    if not isinstance(state, Mapping):
        raise TypeError(
            "load_state_dict: state_dict must be a mapping of names to arrays, got "
            f"{type(state).__name__}"
        )
    keys = LoadedKeys(
        [name for name in own if name not in state],
        [name for name in state if name not in own],
    )
    values = {k: _as_values(v) for k, v in state.items() if k in own}
    faults = [*(_strict_faults(keys) if strict else ()), *_faults(own, values)]
    if faults:
        raise RuntimeError(f"load_state_dict: {kind}: {'; '.join(faults)}")
    for name, value in values.items():
        np.copyto(own[name].data, value, "unsafe")  # what `_faults` let pass
    changed(own.values())
    return keys


def _strict_faults(keys):
    if keys.missing_keys:
        yield f"missing: {', '.join(keys.missing_keys)}"
    if keys.unexpected_keys:
        yield f"unexpected: {', '.join(keys.unexpected_keys)}"


def _faults(own, values):
    for name, value in values.items():
        array = own[name].data
        if value.shape != array.shape:
            yield f"{name} must have shape {array.shape}, got {value.shape}"
        real = value.dtype.kind == "f" or is_sixteen(value.dtype)
        rounds = is_sixteen(array.dtype) and real
        if not rounds and not np.can_cast(value.dtype, array.dtype, "safe"):
            yield (
                f"{name} must have dtype {array.dtype}, got {value.dtype} "
                "(cast with .astype)"
            )


def _as_values(value):
    return value.data if isinstance(value, Tensor) else np.asarray(value)
