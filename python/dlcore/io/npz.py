"""NumPy's archives of arrays, in and out, without pickles."""

import lzma
import tokenize
import zipfile
import zlib

import numpy as np

from .dtypes import saved
from .files import Fault, replacing

_DAMAGED = zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError
_NO_ARRAY = ValueError, TypeError, SyntaxError, tokenize.TokenError
_FREE = 1 << 30  # bytes that an archive may unpack to, however small it is
_RATIO = 100  # times its size that a larger one may


def write(arrays, path, op):
    """A file for `numpy.load`; unlike `numpy.savez` does, all or nothing."""
    arrays = saved(op, arrays)
    for name, (_, kind) in arrays.items():
        if "\0" in name:
            raise ValueError(f"{op}: a name in .npz must have no zero, got {name!r}")
        if kind not in np.sctypeDict or np.dtype(kind).isbuiltin != 1:
            raise TypeError(f"{op}: .npz has no {kind} ({name!r}): save .safetensors")
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, (array, _) in arrays.items():
            with archive.open(name + ".npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def read(source, archive, dtype):
    """All arrays by name; floating-point ones are cast to `dtype`, if given."""
    total = sum(info.file_size for info in archive.filelist)
    if total > max(_FREE, _RATIO * source.size):
        raise Fault(f"would unpack to {total} bytes, over {_RATIO} times its own size")
    arrays = {}
    for info in archive.filelist:
        if not 0 <= info.header_offset < source.size:
            raise Fault("is damaged: an array begins outside of it")
        array = _array(archive, info)
        if dtype is not None and array.dtype.kind == "f":
            array = array.astype(dtype, copy=False)
        arrays[info.filename.removesuffix(".npy")] = array
    if len(arrays) != len(archive.filelist):
        raise Fault("is damaged: two of its arrays have one name")
    return arrays


def _array(archive, info):
    name = f"{info.filename[:80]!a}"
    try:
        with archive.open(info) as entry:
            array = np.lib.format.read_array(entry, allow_pickle=False)
            rest = entry.read(1)
    except (*_DAMAGED, EOFError, NotImplementedError) as error:
        raise Fault(f"is damaged: {name}: {error}") from None
    except (*_NO_ARRAY, MemoryError, RuntimeError) as error:
        text = str(error).split("\n")[0][:120]
        raise Fault(f"has no plain array in {name}: {text}") from None
    if rest or array.dtype.kind not in "fiubc":
        raise Fault(f"is damaged: {name} is not one array of numbers")
    return array
