"""The format safetensors: 8 bytes of length, a header in JSON, the arrays."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from .dtypes import SIZES, check_shape, contents, little, saved, typed, wanted
from .files import Fault, Source, naming, replacing

_NAMES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E8M0": "float8_e8m0fnu",
}
_WORDS = {name: word for word, name in _NAMES.items()}
_METADATA = "__metadata__"
_LONGEST = 100_000_000  # bytes of a header: the format's own limit
_FIELDS = {"dtype", "shape", "data_offsets"}


class Entry(NamedTuple):
    """Where an array is in a file."""

    dtype: str
    shape: tuple
    start: int
    nbytes: int


# -- writing --


def save_file(tensors, filename, metadata=None):
    """Save arrays by name as a safetensors file, all or nothing.

    Parameters
    ----------
    tensors : mapping of str to array_like
        Such as ``model.state_dict()``; Tensors too.
    filename : path_like
        What stands there is replaced in one step when all is written.
    metadata : mapping of str to str, optional
        Kept in the header, for `safe_open`.

    Raises
    ------
    TypeError
        If `tensors` is no mapping of names to numbers, or `metadata` none of texts.
    ValueError
        If a name is that of the header's own entry, or is no valid text.

    Notes
    -----
    Float16 to float64, integers, bool, complex64, and bfloat16 and float8 of ml_dtypes.
    The names keep their order. Two names of one array are two copies in the file.

    Examples
    --------
    >>> import numpy as np, dlcore as dl, tempfile
    >>> path = tempfile.mkdtemp() + "/a.safetensors"
    >>> dl.io.save_file({"a": np.arange(3)}, path, {"from": "a test"})
    >>> dl.io.load_file(path)
    {'a': array([0, 1, 2])}
    """
    write(tensors, filename, metadata, "save_file")


def write(tensors, path, metadata, op):
    """`save_file` for `op`."""
    arrays = saved(op, tensors)
    if _METADATA in arrays:
        raise ValueError(f"{op}: a name must not be {_METADATA}: pass metadata=")
    for name, (_, kind) in arrays.items():
        if kind not in _WORDS:
            raise TypeError(f"{op}: safetensors has no {kind} ({name!r})")
    header = {}
    if metadata:
        header[_METADATA] = _texts(op, metadata)
    # Larger elements first: each array then starts at a multiple of its element's size.
    order = sorted(arrays, key=lambda name: -SIZES[arrays[name][1]])
    header |= dict.fromkeys(arrays)
    end = 0
    for name in order:
        array, kind = arrays[name]
        start, end = end, end + array.nbytes
        header[name] = {
            "dtype": _WORDS[kind],
            "shape": list(array.shape),
            "data_offsets": [start, end],
        }
    try:
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{op}: names and metadata must be valid text, got {error.object[:80]!a}"
        ) from None
    text += b" " * (-len(text) % 8)
    if len(text) > _LONGEST:
        raise ValueError(
            f"{op}: names and metadata must fit into {_LONGEST} bytes, got {len(text)}"
        )
    with replacing(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            file.write(contents(*arrays[name]))


def _texts(op, metadata):
    texts = dict(metadata)
    if not all(isinstance(t, str) for pair in texts.items() for t in pair):
        raise TypeError(f"{op}: metadata must be a mapping of str to str")
    return texts


# -- reading --


def read_header(source):
    """(entries by name, metadata) of a file, all of them checked."""
    if source.size < 8:
        raise Fault(f"is cut off: it has {source.size} bytes, a header needs 8")
    length = int.from_bytes(source.bytes(0, 8), "little")
    if length > _LONGEST:
        raise Fault(f"is no safetensors file: a header of {length} bytes")
    if length > source.size - 8:
        raise Fault(
            f"is cut off: it has {source.size} bytes, its header needs {8 + length}"
        )
    header = _parse(source.bytes(8, length))
    metadata = header.pop(_METADATA, {})
    if type(metadata) is not dict or {type(t) for t in metadata.values()} - {str}:
        raise Fault("is damaged: the metadata in its header must be texts")
    first = 8 + length
    entries = {name: _entry(name, fields, first) for name, fields in header.items()}
    end = first
    for name, entry in sorted(entries.items(), key=lambda item: item[1][2:]):
        if entry.start != end:
            raise Fault(f"is damaged: {name!a} must start at {end}, not {entry.start}")
        end += entry.nbytes
    if end > source.size:
        raise Fault(f"is cut off: it has {source.size} bytes, {end} are needed")
    if end < source.size:
        raise Fault(f"is damaged: {source.size - end} bytes belong to no array")
    return entries, metadata


def _parse(text):
    if not text.startswith(b"{"):
        raise Fault("is no safetensors file: its header must start with {")
    try:
        return json.loads(
            text.decode(), object_pairs_hook=_unique, parse_constant=_no_number
        )
    except Fault:
        raise
    except (ValueError, RecursionError):
        raise Fault("is damaged: its header must be JSON") from None


def _unique(pairs):
    names = dict(pairs)
    if len(names) != len(pairs):
        raise Fault("is damaged: a name appears twice in its header")
    return names


def _no_number(word):
    raise Fault(f"is damaged: {word} in its header")


def _entry(name, fields, first):
    if type(fields) is not dict or fields.keys() != _FIELDS:
        raise Fault(f"is damaged: {name!a} must have {', '.join(sorted(_FIELDS))}")
    word, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    dtype = _NAMES.get(word) if type(word) is str else None
    if dtype is None:
        raise Fault(f"has an array of unknown dtype {word!a:.40} ({name!a:.80})")
    if type(shape) is not list or type(offsets) is not list:
        raise Fault(f"is damaged: shape and data_offsets of {name!a} must be lists")
    if [type(n) for n in offsets] != [int, int] or not 0 <= offsets[0] <= offsets[1]:
        raise Fault(f"is damaged: data_offsets of {name!a} must be two, in order")
    start, end = offsets
    if check_shape(shape, dtype) * SIZES[dtype] != end - start:
        raise Fault(
            f"is damaged: {name!a} must have {check_shape(shape, dtype)} elements of "
            f"{dtype}, got {end - start} bytes"
        )
    return Entry(dtype, tuple(shape), first + start, end - start)


def read_array(source, entry, dtype=None):
    """The array of an entry."""
    raw = source.array(entry.start, entry.nbytes)
    return typed(raw, entry.dtype, dtype).reshape(entry.shape)


def read(source, dtype=None):
    """All arrays by name; nothing is read before all is checked."""
    entries, _ = read_header(source)
    for entry in entries.values():
        little(entry.dtype, dtype)
    return {name: read_array(source, entry, dtype) for name, entry in entries.items()}


def load_file(filename, dtype=None):
    """The arrays of a safetensors file, by name.

    Parameters
    ----------
    filename : path_like
        From `save_file` or any other writer of the format.
    dtype : dtype, optional
        Cast floating-point arrays: bfloat16 then needs no ml_dtypes.

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    ValueError
        If the file is cut off, damaged or of another format.
    """
    dtype = wanted("load_file", dtype)
    with naming("load_file", filename), Source(filename) as source:
        return read(source, dtype)


class safe_open(Mapping):
    """A safetensors file as a mapping; its arrays are mapped, not read, when asked for.

    Parameters
    ----------
    filename : path_like
        The header is read and checked at once.
    framework : str, optional
        ``"numpy"`` or ``"np"``; there for the package safetensors' sake.
    dtype : dtype, optional
        As for `load_file`; arrays that are cast are copies.

    Raises
    ------
    ValueError
        As for `load_file`.

    Notes
    -----
    The system reads the parts of an array that are used, when they are used. Writing to
    one does not change the file. The file itself must not be overwritten in place while
    its arrays are in use: `save_file` does not, it puts a new file there.

    Examples
    --------
    >>> import numpy as np, dlcore as dl, tempfile
    >>> path = tempfile.mkdtemp() + "/a.safetensors"
    >>> dl.io.save_file({"a": np.arange(6).reshape(3, 2)}, path, {"step": "7"})
    >>> with dl.io.safe_open(path) as file:
    ...     print(file.metadata(), list(file), file["a"][1:2])
    {'step': '7'} ['a'] [[2 3]]
    """

    def __init__(self, filename, framework="numpy", *, dtype=None):
        if framework not in ("numpy", "np"):
            raise ValueError(
                f"safe_open: framework must be 'numpy' or 'np', got {framework!r}"
            )
        self._path, self._dtype = filename, wanted("safe_open", dtype)
        with naming("safe_open", filename):
            self._source = Source(filename, mapped=True)
            try:
                self._entries, self._metadata = read_header(self._source)
            except BaseException:
                self._source.close()
                raise

    def metadata(self):
        """The texts of the header, a dict."""
        return dict(self._metadata)

    def get_tensor(self, name):
        """The array of that name."""
        return self[name]

    def get_slice(self, name):
        """The array of that name: slices of it read nothing else."""
        return self[name]

    def close(self):
        """Read no more; arrays that were asked for stay valid."""
        self._source.close()
        self._entries = {}

    def __getitem__(self, name):
        with naming("safe_open", self._path):
            return read_array(self._source, self._entries[name], self._dtype)

    def __iter__(self):
        return iter(self._entries)

    def __len__(self):
        return len(self._entries)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
