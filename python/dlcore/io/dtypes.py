"""The dtypes that files hold; those that NumPy lacks are of the package ml_dtypes."""

from collections.abc import Mapping

import numpy as np

from ..convert import dtype_of, is_sixteen
from ..tensor import Tensor
from .files import Fault

SIZES = {  # bytes of an element, by NumPy's or ml_dtypes' name
    "bool": 1,
    "uint8": 1,
    "int8": 1,
    "uint16": 2,
    "int16": 2,
    "uint32": 4,
    "int32": 4,
    "uint64": 8,
    "int64": 8,
    "float16": 2,
    "float32": 4,
    "float64": 8,
    "complex64": 8,
    "complex128": 16,
    "bfloat16": 2,
    "float8_e4m3fn": 1,
    "float8_e5m2": 1,
    "float8_e8m0fnu": 1,
}
_BEYOND_NUMPY = ("bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu")
_LARGEST = 2**63 - 1  # bytes of an array


def wanted(op, dtype):
    """The dtype that floating-point arrays are asked to have, or None."""
    if dtype is None:
        return None
    dtype = np.dtype(dtype_of(op, dtype))
    if dtype.char not in "efd" and not is_sixteen(dtype):
        raise TypeError(
            f"{op}: dtype must be float16, float32, float64 or bfloat16, got {dtype}"
        )
    return dtype


def little(name, dtype=None):
    """The dtype of a file's array; Fault where ml_dtypes is needed and missing."""
    if name not in _BEYOND_NUMPY:
        return np.dtype(name).newbyteorder("<")
    try:
        import ml_dtypes
    except ImportError:
        cure = ", or pass dtype='float32'" if name == "bfloat16" else ""
        if name == "bfloat16" and dtype is not None:
            return np.dtype("<u2")
        raise Fault(
            f"holds {name}, for which NumPy needs the package ml_dtypes: "
            f"pip install ml_dtypes{cure}"
        ) from None
    return np.dtype(getattr(ml_dtypes, name))


def typed(raw, name, dtype=None):
    """Bytes as a flat array of `name`; a floating-point one is cast to `dtype`."""
    array = raw.view(little(name, dtype))
    if not array.flags.aligned:
        array = array.copy()
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if dtype is None or not name.startswith(("float", "bfloat")):
        return array
    if name == "bfloat16":  # the upper half of a float32
        array = (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return array.astype(dtype, copy=False)


def check_shape(shape, name):
    """The number of elements; Fault for a shape that no array can have."""
    if len(shape) > 32:  # what every NumPy can
        raise Fault(f"is damaged: an array has {len(shape)} axes, 32 are the most")
    count, span = 1, SIZES[name]
    for length in shape:
        if type(length) is not int or length < 0:
            raise Fault("is damaged: a shape must be whole numbers from 0 on")
        count *= length
        span *= length or 1  # what NumPy checks of an empty array too
    if span > _LARGEST:
        raise Fault("is damaged: an array has more bytes than can be counted")
    return count


def saved(op, state):
    """(array, name of its dtype) by name, of what is to be saved."""
    if not isinstance(state, Mapping):
        cure = ": pass model.state_dict()" if hasattr(state, "state_dict") else ""
        raise TypeError(
            f"{op}: what is saved must be a mapping of names to arrays, "
            f"got {type(state).__name__}{cure}"
        )
    arrays = {}
    for name, value in state.items():
        if not isinstance(name, str):
            raise TypeError(f"{op}: a name must be a str, got {type(name).__name__}")
        array = value.data if isinstance(value, Tensor) else np.asarray(value)
        kind = array.dtype.name  # the same in either byte order
        if kind not in SIZES:
            raise TypeError(f"{op}: {name!r} must be numbers, got {array.dtype}")
        arrays[name] = array, kind
    return arrays


def contents(array, kind):
    """The bytes of an array as a file holds them, flat; not copied where it can be."""
    array = np.ascontiguousarray(array, little(kind))
    return array.reshape(-1).view(np.uint8)
