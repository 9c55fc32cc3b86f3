"""What a Tensor is made from, and how it looks as text."""

import numpy as np


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
    if dtype.kind not in "fiub":
        raise TypeError(f"Tensor: data must be real numbers, got dtype {dtype}")
    if dtype.kind == "f" and not hasattr(data, "dtype"):
        return array.astype(np.float32)
    if dtype.kind == "f" and dtype.char not in "fd":
        raise TypeError(
            f"Tensor: data must be float32 or float64, got {dtype}: "
            "cast with data.astype(np.float32)"
        )
    return array if dtype.isnative else array.astype(dtype.newbyteorder("="))


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
