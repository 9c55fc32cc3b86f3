"""What a Tensor is made from, what it may be given, and how it looks as text."""

import functools
import warnings

import numpy as np

# Not empty once a Tensor was stored in 16 bits: until then nobody looks for one.
sixteen: list = []


def is_sixteen(dtype):
    """Whether it is float16 or bfloat16."""
    return dtype.itemsize == 2 and (dtype.char == "e" or dtype.name == "bfloat16")


def bfloat16(op):
    """The dtype of the package ml_dtypes."""
    try:
        import ml_dtypes
    except ImportError:
        raise ImportError(
            f"{op}: bfloat16 needs the package ml_dtypes: pip install ml_dtypes"
        ) from None
    return np.dtype(ml_dtypes.bfloat16)


def dtype_of(op, dtype):
    """What was asked for by name, as a type, or as PyTorch's ``torch.float16``."""
    name = str(dtype)
    if name.startswith("torch."):
        name = dtype = name.removeprefix("torch.")
    return bfloat16(op) if name == "bfloat16" else dtype


def widened(array):
    """What an op computes with: an array of 16-bit numbers as float32."""
    if not is_sixteen(array.dtype):
        return array
    _warn()
    return array.astype(np.float32)


def gradients_dtype(dtype):
    """Of the gradient of such an array: float32 for 16-bit numbers."""
    return np.dtype(np.float32) if is_sixteen(dtype) else dtype


def storage_of(arrays):
    """The dtype of 16 bits that all these arrays have, or None."""
    kinds = {a.dtype for a in arrays if a.dtype.kind == "f" or is_sixteen(a.dtype)}
    kind = kinds.pop() if len(kinds) == 1 else None
    return kind if kind is not None and is_sixteen(kind) else None


@functools.cache
def _warn():
    warnings.warn(
        "float16 and bfloat16 are for storage: ops compute on float32 copies and round "
        "the result, which saves memory and takes more time; for speed keep float32 "
        'and use dl.autocast("bfloat16")',
        RuntimeWarning,
        stacklevel=4,
    )


def as_array(data):
    """Real numbers as an array of a dtype that dlcore knows; see `Tensor`."""
    if hasattr(data, "mask"):
        raise TypeError("Tensor: data must not be a masked array: pass .filled(value)")
    try:
        array = data if hasattr(data, "keeps_its_kind") else np.asarray(data)
    except ValueError:
        raise ValueError(
            "Tensor: data must be nested lists of one length on each level"
        ) from None
    dtype = array.dtype
    if is_sixteen(dtype):
        sixteen[:] = [True]
        return array if dtype.isnative else array.astype(dtype.newbyteorder("="))
    if dtype.kind not in "fiub":
        raise TypeError(f"Tensor: data must be real numbers, got dtype {dtype}")
    if dtype.kind == "f" and not hasattr(data, "dtype"):
        return array.astype(np.float32)
    if dtype.kind == "f" and dtype.char not in "fd":
        raise TypeError(
            f"Tensor: data must be float16, float32 or float64, got {dtype}: "
            "cast with data.astype(np.float32)"
        )
    return array if dtype.isnative else array.astype(dtype.newbyteorder("="))


def check_device(op, device):
    """ValueError where it is not the CPU."""
    if device is not None and str(device) != "cpu":
        raise ValueError(f"{op}: device must be 'cpu', the only one, got {device!r}")


def check_flag(requires_grad):
    """TypeError where a dtype was given in its place."""
    if not isinstance(requires_grad, (bool, np.bool_)):
        raise TypeError(
            "Tensor: requires_grad must be True or False, got "
            f"{' '.join(repr(requires_grad).split())[:60]}: dl.tensor(data, dtype) "
            "takes a dtype"
        )


def set_data(tensor, value):
    """``tensor.data = value``: an array, or a Tensor's."""
    array = value.data if hasattr(value, "grad_fn") else value
    if not isinstance(array, (np.ndarray, np.generic)):
        raise TypeError(
            f"data: must be an array or a Tensor, got {type(array).__name__}"
        )
    array = as_array(array)
    if tensor.requires_grad and array.dtype.kind in "biu":
        raise TypeError(
            f"data: must be of floating point where a gradient is required, "
            f"got {array.dtype}"
        )
    if array.shape != tensor.shape:
        raise ValueError(
            f"data: must have shape {tensor.shape}, got {array.shape}: make a new "
            "Tensor, or assign a new nn.Parameter to the module's attribute"
        )
    tensor._data = array


def check_grad(tensor, value):
    """Raise unless ``tensor.grad`` may be `value`; the array, if it is one."""
    if value is None:
        return None
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        raise TypeError(
            f"grad: must be a Tensor, an array or None, got {type(value).__name__}"
        )
    if value.shape != tensor.shape:
        raise ValueError(
            f"grad: must have the shape of its tensor, {tensor.shape}, "
            f"got {value.shape}"
        )
    if value.dtype != tensor.dtype and tensor.dtype.char in "fd":
        raise TypeError(
            f"grad: must have the dtype of its tensor, {tensor.dtype}, "
            f"got {value.dtype}"
        )
    return np.asarray(value) if isinstance(value, (np.ndarray, np.generic)) else None


def text_of(array, note):
    """``tensor(...)`` as PyTorch writes it; float32, int64 and bool go unsaid."""
    parts = [np.array2string(array, precision=4, separator=", ", prefix="tensor(")]
    if array.size == 0 and array.ndim != 1:
        parts.append(f"shape={array.shape}")
    if array.dtype.char not in "fl?":
        parts.append(f"dtype={array.dtype}")
    if note:
        parts.append(note)
    return f"tensor({', '.join(parts)})"
