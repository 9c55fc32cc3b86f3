"""What a model is called with: arrays, and settings and containers around them.

A call's key says all but the values of its arrays, and which kernels there are. In it
an array is (shape, dtype), a container (its type, keys or None, parts), a setting
(None, value, its type).
"""

import numpy as np

from .. import _C
from ..grad_mode import is_autocast_enabled, is_grad_enabled
from ..nn import KVCache
from ..nn.utils.rnn import PackedSequence
from ..tensor import Tensor
from .plan import like, like_dict

_SETTINGS = str, int, float, bool, type(None), np.dtype, type, slice


def key_of(args, named, arrays):
    """The key of a call, whose arrays are added to `arrays`."""
    key = tuple([_part(x, arrays) for x in args])
    mode = _C.isa(), is_autocast_enabled()
    return key, _part(named, arrays) if named else None, mode


def _part(x, arrays):
    if isinstance(x, (Tensor, np.ndarray)):
        if isinstance(x, Tensor):
            if x.requires_grad and is_grad_enabled():
                raise RuntimeError(
                    "optimize: an optimized model records no gradient: pass "
                    "x.detach(), call under dl.no_grad(), or use the model itself"
                )
            x = x.data
        arrays.append(x := _contiguous(x))
        return x.shape, x.dtype.char
    if isinstance(x, (tuple, list)):
        if isinstance(x, PackedSequence):
            raise TypeError(
                "optimize: a PackedSequence's lengths would make the shapes of a "
                "program: pass padded x and lengths=[...] to recurrent layers, or call "
                "the model itself"
            )
        return type(x), None, tuple([_part(part, arrays) for part in x])
    if isinstance(x, dict):
        return type(x), tuple(x), tuple([_part(part, arrays) for part in x.values()])
    if isinstance(x, _SETTINGS):
        exact = (
            repr(x) if isinstance(x, (slice, float)) else x
        )  # -0.0 == 0.0, nan != nan
        return None, exact, type(x)
    if isinstance(x, KVCache):
        raise TypeError(
            "optimize: KVCache is state and grows: call the model itself for decoding"
        )
    raise TypeError(
        "optimize: inputs must be arrays, Tensors, numbers, or tuples, lists and dicts "
        f"of them, got {type(x).__name__}"
    )


def filled(given, arrays):
    """The same arguments, with other arrays in their places in order."""
    if isinstance(given, (Tensor, np.ndarray)):
        return next(arrays)
    if isinstance(given, (tuple, list)):
        return like(given, [filled(part, arrays) for part in given])
    if isinstance(given, dict):
        return like_dict(given, [filled(part, arrays) for part in given.values()])
    return given


def text_of(key):
    """How `repr` shows a call."""
    args, named = key[:2]
    words = [_text(part) for part in args]
    if named:
        pairs = zip(named[1], named[2], strict=True)
        words += [f"{name}={_text(part)}" for name, part in pairs]
    return ", ".join(words)


def _text(part):
    if part[0] is None:
        return part[1] if part[2] in (float, slice) else repr(part[1])
    if isinstance(part[0], tuple):
        return str(part[0])
    return f"{part[0].__name__}({', '.join(map(_text, part[2]))})"


def _contiguous(array):
    if type(array) is np.ndarray and array.dtype.char in "fdl?":
        if array.flags.c_contiguous and array.dtype.isnative:
            return array
    array = Tensor(array).data
    return np.asarray(array, array.dtype.newbyteorder("="), order="C")
