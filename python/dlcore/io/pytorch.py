"""What PyTorch saves, read without PyTorch: the zip of today and the stream before it.

A file is a pickle of dicts and lists in which a tensor is a call of
``torch._utils._rebuild_tensor_v2`` on a storage, an offset, sizes and strides; a
storage is a persistent id, its bytes are elsewhere in the file. The calls are done
here, on views of the storages, with every number checked (see `unpickler`).
"""

import struct
import zipfile
import zlib

import numpy as np

from .dtypes import SIZES, check_shape, little, typed
from .files import Fault
from .numpy_pickles import CONSTANTS, FUNCTIONS, build
from .unpickler import Unpickler, hashables

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_REPEATED = 1 << 24  # bytes that an array may have beyond its file, by strides of 0


class Kind(str):
    """The dtype of a storage, as a pickle names it; empty for bytes of any."""

    __slots__ = ()


class Storage:
    """The bytes that tensors are views of."""

    def __init__(self, kind, count, raw, dtype):
        self.kind, self.count = kind, count
        self._raw, self._dtype, self._typed = raw, dtype, {}

    def view(self, name, offset, shape, strides, limit):
        """A tensor; None where the bytes are not known yet."""
        size = check_shape(shape, name)
        if type(offset) is not int or type(strides) is not tuple:
            raise Fault("is damaged: an offset or stride must be a whole number")
        if len(strides) != len(shape) or any(
            type(stride) is not int or stride < 0 for stride in strides
        ):
            raise Fault(f"is damaged: strides {strides!a:.80} of shape {shape!a:.80}")
        last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides))
        count = self.count // (1 if self.kind else SIZES[name])
        if offset < 0 or (size and last >= count):
            raise Fault(
                f"is damaged: a tensor of shape {shape!a:.80} needs {last + 1} "
                f"elements of a storage of {count}"
            )
        if size > count and size * SIZES[name] > limit:
            raise Fault(
                f"has a tensor of shape {shape!a:.80} that repeats the elements of a "
                f"storage of {count}: in PyTorch, save tensor.contiguous()"
            )
        if self._raw is None:
            return None
        flat = self._array(name)
        if not size:
            return np.empty(shape, flat.dtype)
        step = flat.itemsize
        array = np.ndarray(
            shape,
            flat.dtype,
            flat.view(np.uint8),
            offset * step,
            # Of an axis of one element PyTorch writes any stride.
            tuple(stride * step if n > 1 else 0 for n, stride in zip(shape, strides)),
        )
        if size > last + 1 - offset:  # elements that are one in memory
            array.flags.writeable = False
        return array

    def _array(self, name):
        if name not in self._typed:
            self._typed[name] = typed(self._raw, name, self._dtype)
        return self._typed[name]


class Reader:
    """Reads the pickle of a file; `raw(key, count)` gives the bytes of a storage."""

    def __init__(self, data, start, raw, limit, dtype, strict):
        self._raw, self._dtype = raw, dtype
        self._limit = max(limit, _REPEATED)
        self.storages = {}
        names = {
            **_CONSTANTS,
            **_FUNCTIONS,
            "torch._utils._rebuild_tensor": self._tensor,
            "torch._utils._rebuild_tensor_v2": self._tensor,
            "torch._utils._rebuild_tensor_v3": self._tensor_of,
            "torch._utils._rebuild_parameter": _first,
            "torch._utils._rebuild_parameter_with_state": _first,
            "torch._tensor._rebuild_from_type_v2": self._rebuild,
        }
        self.unpickler = Unpickler(data, start, names, self._storage, build, strict)

    def _storage(self, saved_id):
        """A storage by (``"storage"``, kind, key, device, elements[, view])."""
        if type(saved_id) is not tuple or len(saved_id) not in (5, 6):
            raise Fault("is damaged: the id of a storage must have 5 or 6 parts")
        word, kind, key, _, count = saved_id[:5]
        if type(word) is not str or word != "storage" or type(kind) is not Kind:
            raise Fault("is damaged: an id in its pickle is that of no storage")
        if type(key) is not str or type(count) is not int or count < 0:
            raise Fault("is damaged: a storage must have a key and a size")
        if len(saved_id) > 5 and saved_id[5] is not None:
            raise Fault("has views of storages, as PyTorch before 0.4 saved them")
        known = self.storages.get(key)
        if known is None:
            if kind:
                little(kind, self._dtype)
            raw = self._raw(key, count * SIZES[kind or "uint8"])
            known = self.storages[key] = Storage(kind, count, raw, self._dtype)
        if (known.kind, known.count) != (kind, count):
            raise Fault(f"is damaged: storage {key!a:.40} has two sizes")
        return known

    def _tensor(self, storage, offset, shape, strides, *others):
        _check_others(others[2:])  # after requires_grad and hooks
        return self._view(storage, storage, offset, shape, strides)

    def _tensor_of(self, storage, offset, shape, strides, grad, hooks, dtype, *others):
        _check_others(others)
        return self._view(storage, dtype, offset, shape, strides)

    def _view(self, storage, dtype, offset, shape, strides):
        if type(storage) is not Storage or type(shape) is not tuple:
            raise Fault("is damaged: a tensor must have a storage and a shape")
        name = str(storage.kind) if dtype is storage else dtype
        if type(name) is not str or name not in SIZES or storage.kind not in ("", name):
            raise Fault("is damaged: a tensor's dtype is not known")
        little(name, self._dtype)
        return storage.view(name, offset, shape, strides, self._limit)

    def _rebuild(self, function, kind, arguments, state):
        """A Tensor or Parameter with attributes, which are left out."""
        if not str(function).startswith("torch._utils._rebuild_"):
            raise Fault("is damaged: a tensor is rebuilt by no function for it")
        return self.unpickler.call(function, arguments)


def _check_others(others):
    """Metadata, which a plain tensor has none of."""
    if len(others) > 1 or any(
        other is not None
        and (type(other) is not dict or any(v is not False for v in other.values()))
        for other in others
    ):
        raise Fault("has a conjugated view: in PyTorch, save .resolve_conj()")


def _first(data, *_):
    return data


def _mapping(items=()):
    """The items of an OrderedDict, Counter or defaultdict."""
    if type(items) is dict:
        return items
    if type(items) not in (list, tuple) or any(
        type(pair) not in (list, tuple) or len(pair) != 2 for pair in items
    ):
        raise Fault("is damaged: an OrderedDict must be made of pairs")
    if any(type(key) is not str for key, _ in items):
        raise Fault("is damaged: an OrderedDict must have texts for its keys")
    return dict(items)


def _default(factory=None, items=()):
    return _mapping(items)


def _size(shape):
    if type(shape) is not tuple:
        raise Fault("is damaged: a torch.Size must be made of a tuple")
    return shape


def _device(kind, index=None):
    if type(kind) is not str or type(index) not in (int, type(None)):
        raise Fault("is damaged: a torch.device must be a text")
    return kind if index is None else f"{kind}:{index}"


_KINDS = {
    "BFloat16": "bfloat16",
    "Bool": "bool",
    "Byte": "uint8",
    "Char": "int8",
    "ComplexDouble": "complex128",
    "ComplexFloat": "complex64",
    "Double": "float64",
    "Float": "float32",
    "Half": "float16",
    "Int": "int32",
    "Long": "int64",
    "Short": "int16",
    "Untyped": "",
}
_CONSTANTS = CONSTANTS | {
    f"{module}.{word}Storage": Kind(dtype)
    for module in ("torch", "torch.cuda", "torch.storage")
    for word, dtype in _KINDS.items()
}
_CONSTANTS |= {f"torch.{name}": name for name in SIZES}
_CONSTANTS |= {"torch.Tensor": None, "torch._tensor.Tensor": None}
_CONSTANTS |= {"torch.nn.parameter.Parameter": None, "torch.nn.Parameter": None}
_CONSTANTS |= {
    f"{module}.{name}": None
    for module in ("builtins", "__builtin__")
    for name in ("dict", "list", "int", "float")
}
_FUNCTIONS = {
    **FUNCTIONS,
    "builtins.set": hashables,
    "__builtin__.set": hashables,
    "collections.OrderedDict": _mapping,
    "collections.Counter": _mapping,
    "collections.defaultdict": _default,
    "torch.Size": _size,
    "torch.device": _device,
}


# -- the zip, from PyTorch 1.6 on --


def read_zip(source, archive, dtype, checked, strict):
    """What `torch.save` put into an archive.

    The bytes of storages are taken where they lie: an archive stores them as they are.
    `checked`: compare their checksums.
    """
    records = _records(source, archive)
    pickles = [name for name in records if name.count("/") == 1 and _is_pickle(name)]
    if len(pickles) != 1:
        raise Fault("is a zip without one data.pkl: nothing that torch.save writes")
    root = pickles[0].removesuffix("data.pkl")
    if f"{root}constants.pkl" in records or any(
        n.startswith(root + "code/") for n in records
    ):
        raise Fault("is a TorchScript program: in PyTorch, save model.state_dict()")

    def record(name, count=None):
        info = records.get(root + name)
        if info is None:
            raise Fault(f"is damaged: its record {name!a:.40} is missing")
        if count is not None and info.file_size != count:
            raise Fault(
                f"is damaged: its record {name!a:.40} must have {count} bytes, "
                f"got {info.file_size}"
            )
        raw = source.array(_data_start(source, info), info.file_size)
        if (checked or count is None) and zlib.crc32(raw) != info.CRC:
            raise Fault(f"is damaged: the checksum of its record {name!a:.40} is wrong")
        return raw

    if root + "byteorder" in records and record("byteorder").tobytes() != b"little":
        raise Fault("has another byte order than little: in PyTorch, save it again")
    pickled = record("data.pkl").tobytes()

    def raw(key, count):
        return record(f"data/{key}", count)

    return Reader(pickled, 0, raw, source.size, dtype, strict).unpickler.load()


def _is_pickle(name):
    return name.endswith("/data.pkl")


def _records(source, archive):
    """The records by name: stored, not encrypted, together no larger than the file."""
    records = {info.filename: info for info in archive.filelist}
    if len(records) != len(archive.filelist):
        raise Fault("is damaged: two of its records have one name")
    for info in archive.filelist:
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise Fault(
                f"has the record {info.filename[:40]!a} compressed or encrypted, which "
                "torch.save does not do"
            )
        if info.compress_size != info.file_size:
            raise Fault(f"is damaged: the record {info.filename[:40]!a} has two sizes")
    if sum(info.file_size for info in archive.filelist) > source.size:
        raise Fault("is damaged: its records are larger than the file")
    return records


def _data_start(source, info):
    """Where the bytes of a record begin: behind its own header, which must agree."""
    head = source.bytes(info.header_offset, 30)
    signature, names, extra = struct.unpack("<4s22x2H", head)
    name = source.bytes(info.header_offset + 30, names)
    coding = "utf-8" if info.flag_bits & 0x800 else "cp437"
    if signature != b"PK\3\4" or name != info.orig_filename.encode(coding):
        raise Fault(f"is damaged: the record {info.filename[:40]!a} is misplaced")
    return info.header_offset + 30 + names + extra


# -- the stream, before PyTorch 1.6 --


def read_stream(source, dtype, strict):
    """Five pickles and then the storages, each behind its number of elements.

    The third pickle says how numbers are written, the fourth is what was saved, the
    fifth is the list of the storages' keys. Where their bytes are is known only then,
    so the fourth is read twice: for the sizes of the storages, and for what it holds.
    """
    data = memoryview(source.array(0, source.size))
    pickles = _pickles(data)
    if next(pickles)[0] != _MAGIC or next(pickles)[0] != _PROTOCOL:
        raise Fault("is no file of PyTorch's")
    system, start = next(pickles)
    if type(system) is not dict or system.get("little_endian") is not True:
        raise Fault("has another byte order than little: in PyTorch, save it again")
    total = 0

    def size_only(key, count):
        nonlocal total
        total += count
        if total > source.size:
            raise Fault(f"is cut off: its storages have more than {source.size} bytes")

    def raw(key, count):
        return source.array(starts[key], count).copy()

    first = Reader(data, start, size_only, source.size, dtype, strict)
    first.unpickler.load()
    keys, end = next(_pickles(data, first.unpickler.position))
    starts = _starts(data, keys, end, first.storages)
    return Reader(data, start, raw, source.size, dtype, strict).unpickler.load()


def _pickles(data, position=0):
    """(object, end) of the pickles of plain values that follow each other."""
    while True:
        unpickler = Unpickler(data, position, {})
        value, position = unpickler.load(), unpickler.position
        yield value, position


def _starts(data, keys, position, storages):
    """Where the bytes of each storage begin."""
    if type(keys) is not list or {type(key) for key in keys} - {str}:
        raise Fault("is damaged: the keys of its storages must be texts")
    if len(set(keys)) != len(keys) or set(keys) != storages.keys():
        raise Fault("is damaged: its storages are not those that its tensors need")
    starts = {}
    for key in keys:
        storage = storages[key]
        written = int.from_bytes(data[position : position + 8], "little")
        starts[key] = position + 8
        if written != storage.count:
            raise Fault(
                f"is damaged: a storage must have {storage.count} elements, "
                f"got {written}"
            )
        position += 8 + storage.count * SIZES[storage.kind or "uint8"]
    if position != len(data):
        raise Fault(f"is cut off or damaged: {position} bytes needed, got {len(data)}")
    return starts
