"""Weights and checkpoints in files.

- `save`, `load`: arrays by name, in and out; `load` reads PyTorch's files too
- `save_file`, `load_file`, `safe_open`: the format safetensors, by its package's names
- `save_checkpoint`, `load_checkpoint`: a training run, resumed to the bit
- `from_torch`, `to_torch`: the weights of a PyTorch module in this process

A file is replaced in one step when everything is written. One that is cut off, damaged
or hostile gives a ValueError that names it; nothing in a file is ever run.
"""

import os
import struct
import zipfile

from . import npz, pytorch, safetensors
from .checkpoint import load_checkpoint, save_checkpoint
from .dtypes import wanted
from .files import Fault, Source, naming
from .safetensors import load_file, safe_open, save_file
from .torch_arrays import from_torch, to_torch
from .unpickler import Unknown

__all__ = [
    "Unknown",
    "from_torch",
    "load",
    "load_checkpoint",
    "load_file",
    "safe_open",
    "save",
    "save_checkpoint",
    "save_file",
    "to_torch",
]


def save(path, state, metadata=None):
    """Save arrays by name, all or nothing.

    Parameters
    ----------
    path : path_like
        ``.safetensors``, or ``.npz`` for NumPy's own format.
    state : mapping of str to array_like
        Such as ``model.state_dict()``.
    metadata : mapping of str to str, optional
        Kept in a safetensors file; see `safe_open`.

    Raises
    ------
    TypeError
        If `state` is no mapping of names to numbers.
    ValueError
        If `path` ends in another way.

    Examples
    --------
    >>> import dlcore as dl, tempfile
    >>> path = tempfile.mkdtemp() + "/model.safetensors"
    >>> model = dl.nn.Linear(2, 3)
    >>> dl.io.save(path, model.state_dict())
    >>> model.load_state_dict(dl.io.load(path))
    LoadedKeys(missing_keys=[], unexpected_keys=[])
    """
    try:
        ending = os.path.splitext(os.fsdecode(path))[1]
    except TypeError:
        raise TypeError(
            f"save: path must be a path, got {type(path).__name__}: save(path, state)"
        ) from None
    if ending == ".safetensors":
        safetensors.write(state, path, metadata, "save")
    elif ending == ".npz" and metadata is None:
        npz.write(state, path, "save")
    else:
        raise ValueError(
            "save: path must end in .safetensors, or in .npz without metadata, "
            f"got {os.fspath(path)!r}"
        )


def load(path, *, dtype=None, mmap=False, strict=True):
    """What a file of weights holds; its format is seen from its first bytes.

    Parameters
    ----------
    path : path_like
        A safetensors file, what ``torch.save`` wrote (of any version since 0.4), or
        an archive of `numpy.savez`.
    dtype : dtype, optional
        Cast floating-point arrays, as to float32; bfloat16 then needs no ml_dtypes.
    mmap : bool, optional
        Map the file instead of reading it: its arrays are read when they are used, and
        checksums are not compared. Writing to them does not change the file.
    strict : bool, optional
        Whether PyTorch's file may ask for nothing but what weights are made of. False:
        where it asks for more (``argparse.Namespace``), an `Unknown` has its name and
        what was to be put into it; nothing is looked for or run all the same.

    Returns
    -------
    dict of str to ndarray
        Of PyTorch's file what was saved: dicts, lists, numbers and text, with arrays in
        place of tensors. Tensors that shared memory share it again.

    Raises
    ------
    ValueError
        If the file is cut off, damaged, of an unknown format, or asks for anything but
        data. Nothing in it is run.

    See Also
    --------
    safe_open : A part of a safetensors file.

    Notes
    -----
    PyTorch's files are pickles, which may ask for any function of any module. Here they
    may ask for what tensors are made of; a list gives each name a meaning of its own,
    and nothing is imported. Save ``model.state_dict()`` there, not the model.
    """
    dtype = wanted("load", dtype)
    with naming("load", path), Source(path, mmap) as source:
        start = source.bytes(0, min(source.size, 9))
        # First of all, as its first 8 bytes are a number that may look like the others.
        if start[8:] == b"{" or os.fsdecode(path).endswith(".safetensors"):
            return safetensors.read(source, dtype)
        if start.startswith(b"PK"):
            return _read_zip(source, dtype, not mmap, strict)
        if start.startswith(b"\x80"):
            with Source(path, mapped=True) as mapped:
                return pytorch.read_stream(mapped, dtype, strict)
        raise Fault(
            f"is no safetensors, PyTorch or .npz file: it begins with {start[:8]!r}"
        )


def _read_zip(source, dtype, checked, strict):
    try:
        archive = zipfile.ZipFile(source.file)
    except (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError) as error:
        raise Fault(f"is cut off or damaged: {error}") from None
    if any(info.filename.endswith(".npy") for info in archive.filelist):
        return npz.read(source, archive, dtype)
    return pytorch.read_zip(source, archive, dtype, checked, strict)
