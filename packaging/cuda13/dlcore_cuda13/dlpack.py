"""DLPack's capsules, made and read: https://dmlc.github.io/dlpack."""

import ctypes

import numpy as np

CPU, CUDA = 1, 2
_CODES = {"i": 0, "u": 1, "f": 2, "b": 6}
_NAME, _USED = b"dltensor", b"used_dltensor"


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class _Managed(ctypes.Structure):
    pass


_Deleter = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Managed))
_Managed._fields_ = [
    ("tensor", _Tensor),
    ("context", ctypes.c_void_p),
    ("deleter", _Deleter),
]

_python = ctypes.pythonapi
_Destructor = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
_python.PyCapsule_New.restype = ctypes.py_object
_python.PyCapsule_New.argtypes = (ctypes.c_void_p, ctypes.c_char_p, _Destructor)
_valid = _python.PyCapsule_IsValid
_get = _python.PyCapsule_GetPointer
_get.restype = ctypes.c_void_p

_given = {}  # address of a tensor that is out -> what keeps it


@_Deleter
def _delete(managed):
    _given.pop(ctypes.addressof(managed.contents), None)


@_Destructor
def _forget(capsule):  # of a capsule that nobody has taken
    if _valid(ctypes.c_void_p(capsule), _NAME):
        _given.pop(_get(ctypes.c_void_p(capsule), _NAME), None)


def export(owner, memory, shape, dtype):
    """A capsule of a contiguous array on GPU 0; `owner` lives until it is done."""
    sizes = (ctypes.c_int64 * max(len(shape), 1))(*shape)
    managed = _Managed()
    tensor = managed.tensor
    tensor.data, tensor.device[:] = memory, (CUDA, 0)
    tensor.ndim, tensor.lanes = len(shape), 1
    tensor.code, tensor.bits = _CODES[dtype.kind], 8 * dtype.itemsize
    tensor.shape = ctypes.cast(sizes, ctypes.POINTER(ctypes.c_int64))
    managed.deleter = _delete
    address = ctypes.addressof(managed)
    _given[address] = (owner, managed, sizes)
    return _python.PyCapsule_New(address, _NAME, _forget)


class _Taken:
    """Calls the deleter of what was read when nobody needs it any more."""

    def __init__(self, address):
        self._managed = _Managed.from_address(address)

    def __del__(self):
        if self._managed.deleter:
            self._managed.deleter(ctypes.byref(self._managed))


def read(capsule):
    """(address, shape, strides in bytes or None, dtype, what keeps it)."""
    held = ctypes.py_object(capsule)
    if not _valid(held, _NAME):
        raise BufferError("from_cuda: x gave no DLPack capsule that is new")
    address = _get(held, _NAME)
    _python.PyCapsule_SetName(held, _USED)
    owner = _Taken(address)
    tensor = _Managed.from_address(address).tensor
    kinds = {code: kind for kind, code in _CODES.items()}
    if tensor.code not in kinds or tensor.lanes != 1:
        raise TypeError("from_cuda: x must be an array of bools, integers or floats")
    dtype = np.dtype(f"{kinds[tensor.code]}{tensor.bits // 8}")
    shape = tuple(tensor.shape[: tensor.ndim])
    strides = None
    if tensor.strides:
        strides = [dtype.itemsize * s for s in tensor.strides[: tensor.ndim]]
    return (tensor.data or 0) + tensor.byte_offset, shape, strides, dtype, owner
