"""NumPy's numbers and arrays in a pickle: seeds and scores beside the weights."""

import re

import numpy as np

from .dtypes import check_shape
from .files import Fault

_ORDERS = ("<", "|", ">")


class _DType:
    """``numpy.dtype("f8")``, and the byte order that comes as its state."""

    def __init__(self, code, *_):
        known = "b1|[iu][1248]|f[248]|c(8|16)"
        if type(code) is not str or not re.fullmatch(known, code):
            raise Fault(f"has NumPy's dtype {code!a:.40}, which weights do not need")
        self.dtype = np.dtype(code)


def _array(kind, shape, code):
    """One without elements, until its state comes."""
    return np.empty(0, np.uint8)


def build(made, state):
    """Give a dtype its byte order, an array its elements."""
    fresh = type(made) is np.ndarray and made.base is None and made.size == 0
    if type(state) is not tuple or not (fresh or type(made) is _DType):
        raise Fault("is damaged: its pickle gives a state to what has none")
    if not fresh:
        if len(state) < 2 or type(state[1]) is not str or state[1] not in _ORDERS:
            raise Fault("is damaged: the byte order of a NumPy dtype")
        made.dtype = made.dtype.newbyteorder(state[1])
        return
    if [type(part) for part in state] != [int, tuple, _DType, bool, bytes]:
        raise Fault("is damaged: the state of a NumPy array")
    _, shape, kind, fortran, data = state
    if check_shape(shape, kind.dtype.name) * kind.dtype.itemsize != len(data):
        raise Fault(f"is damaged: {len(data)} bytes for a NumPy array {shape!a:.80}")
    made.__setstate__((1, shape, kind.dtype, fortran, data))


def _scalar(kind, data):
    if type(kind) is not _DType or type(data) is not bytes:
        raise Fault("is damaged: a NumPy number must have a dtype and bytes")
    if len(data) != kind.dtype.itemsize:
        raise Fault(f"is damaged: {len(data)} bytes for a NumPy number")
    return np.frombuffer(data, kind.dtype)[0]


def _encode(text, encoding):
    """Bytes, as protocol 2 writes them."""
    if type(text) is not str or type(encoding) is not str or encoding != "latin1":
        raise Fault("is damaged: bytes in its pickle must be a text in latin1")
    try:
        return text.encode("latin1")
    except UnicodeEncodeError:
        raise Fault("is damaged: bytes in its pickle go beyond 255") from None


FUNCTIONS: dict = {"_codecs.encode": _encode, "numpy.dtype": _DType}
CONSTANTS: dict = {"numpy.ndarray": None}
for _core in ("core", "_core"):
    FUNCTIONS[f"numpy.{_core}.multiarray._reconstruct"] = _array
    FUNCTIONS[f"numpy.{_core}.multiarray.scalar"] = _scalar
