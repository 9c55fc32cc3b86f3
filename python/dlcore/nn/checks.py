"""Settings of layers, checked where they are given."""

import numpy as np


def at_least_one(layer, **sizes):
    """ValueError or TypeError unless every size is an integer from 1 up."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)):
            raise TypeError(f"{layer}: {name} must be an integer, got {size!r}")
        if size < 1:
            raise ValueError(f"{layer}: {name} must be at least 1, got {size}")


def pair(layer, name, value, least):
    """(height, width) of an integer or a pair of them, each at least `least`."""
    return several(layer, name, value, 2, least)


def several(layer, name, value, count, least):
    """`count` integers of one integer or so many, each at least `least`."""
    single = isinstance(value, (int, np.integer))
    sizes = (value,) * count if single else tuple(value)
    if len(sizes) != count or not all(isinstance(n, (int, np.integer)) for n in sizes):
        kind = ("one in a tuple", "a pair of integers", "three integers")[count - 1]
        raise TypeError(f"{layer}: {name} must be an integer or {kind}, got {value!r}")
    if min(sizes) < least:
        raise ValueError(f"{layer}: {name} must be at least {least}, got {value!r}")
    return sizes


def sizes(layer, name, value, least, dims, may_be_none=False):
    """As many integers as `dims`; TypeError or ValueError unless all are `least`."""
    each = tuple(value) if isinstance(value, tuple | list) else (value,) * dims
    given = [n for n in each if not (may_be_none and n is None)]
    if len(each) != dims or not all(
        isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in given
    ):
        many = {1: "", 2: " or a pair of integers", 3: " or three integers"}[dims]
        raise TypeError(f"{layer}: {name} must be an integer{many}, got {value!r}")
    if any(n < least for n in given):
        raise ValueError(f"{layer}: {name} must be at least {least}, got {value!r}")
    return each


def one_of(layer, name, value, choices):
    """ValueError unless the value is one of the choices."""
    if value not in choices:
        raise ValueError(f"{layer}: {name} must be one of {choices}, got {value!r}")


def settings(module, *names):
    """``"alpha=1.0, inplace=True"``, what a repr shows of an activation."""
    shown = [f"{name}={getattr(module, name)}" for name in names]
    if getattr(module, "inplace", False):
        shown.append("inplace=True")
    return ", ".join(shown)
