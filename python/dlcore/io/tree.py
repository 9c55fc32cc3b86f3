"""Nested dicts, lists and numbers as JSON, with the arrays in them beside it.

What JSON lacks is a dict with the key ``"$"``: ``{"$": "array", "of": name}``.
"""

import math

import numpy as np

from ..tensor import Tensor
from .files import Fault

_PLAIN = (bool, int, str, type(None))


def flatten(op, value, name, arrays):
    """JSON's form of `value`; its arrays go into the dict `arrays`."""

    def below(part, key):
        return flatten(op, part, f"{name}.{key}", arrays)

    if type(value) in _PLAIN:
        return value
    if isinstance(value, (Tensor, np.ndarray, np.generic)):
        while name in arrays:
            name += "_"
        arrays[name] = value
        return _marked("scalar" if isinstance(value, np.generic) else "array", name)
    if type(value) is float:
        return value if math.isfinite(value) else _marked("float", repr(value))
    if type(value) is list:
        return [below(part, i) for i, part in enumerate(value)]
    if type(value) is tuple:
        return _marked("tuple", [below(part, i) for i, part in enumerate(value)])
    if isinstance(value, dict):
        if all(type(key) is str and key != "$" for key in value):
            return {key: below(part, key) for key, part in value.items()}
        pairs = [[below(k, "key"), below(part, k)] for k, part in value.items()]
        return _marked("dict", pairs)
    raise TypeError(
        f"{op}: {name} must be numbers, text, arrays, or lists and dicts of them, "
        f"got {type(value).__name__}"
    )


def _marked(kind, of):
    return {"$": kind, "of": of}


def unflatten(value, array):
    """What `flatten` was given; ``array(name)`` gives an array."""
    if type(value) is list:
        return [unflatten(part, array) for part in value]
    if type(value) is not dict:
        return value
    if "$" not in value:
        return {key: unflatten(part, array) for key, part in value.items()}
    kind, of = value["$"], value.get("of")
    if kind in ("array", "scalar") and type(of) is str:
        return array(of) if kind == "array" else array(of)[()]
    if kind == "float" and of in ("inf", "-inf", "nan"):
        return float(of)
    if kind == "tuple" and type(of) is list:
        return tuple(unflatten(of, array))
    if kind == "dict" and type(of) is list and all(_is_pair(pair) for pair in of):
        pairs = [(unflatten(key, array), unflatten(part, array)) for key, part in of]
        if all(isinstance(key, (*_PLAIN, float, tuple)) for key, _ in pairs):
            return dict(pairs)
    raise Fault("is damaged: its checkpoint has a part of an unknown kind")


def _is_pair(pair):
    return type(pair) is list and len(pair) == 2
