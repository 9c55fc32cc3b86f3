"""What `forward` must leave as it is: a program takes it for constant."""

import zlib

import numpy as np

from ..nn import KVCache, Module, Parameter
from ..tensor import Tensor
from .traced import plain

_CURE = "take the state as an argument and return it"


class State:
    """A model's attributes and the constants of its traces, as they were.

    Of parameters and constants there is a checksum alone: they may be large.
    """

    def __init__(self, model):
        self._arrays: dict = {}  # by the id of the owner of the memory
        self._taken: set = set()
        self._modules: list = []
        self._caches: list = []
        self._hold(model, "", set())

    def take(self, owner):
        """An array is a constant of the program from here on."""
        self._taken.add(id(owner))
        self._keep(owner, None)

    def changed(self, follows):
        """Why a pass that has changed something cannot be followed, or None.

        `follows` tells of memory whether the trace knows what was written there.
        """
        if any(cache.length != length for cache, length in self._caches):
            return "KVCache is state and grows: call the model itself for decoding"
        for key, (owner, name, before, _) in self._arrays.items():
            if key not in self._taken and follows(owner):
                continue  # written, not read before: a result like others
            if _checksum(owner) == before:
                continue
            if name is not None:
                return f"forward changes its own {name} in place: {_CURE}"
            return (
                f"forward changes an array in place that is read before: {_CURE}, or "
                "build the array with dl.cat, dl.stack or dl.where"
            )
        return None

    def instead(self, reason):
        """The reason, and that it may be an attribute that is set anew."""
        for name, module, before in self._modules:
            for key, value in before.items():
                if vars(module).get(key) is not value:
                    own = _join(name, key)
                    return f"{reason}; or forward reads its own {own} and sets it: " + (
                        _CURE
                    )
        return reason

    def restore(self):
        for cache, length in self._caches:
            cache.length = length
        for _, module, before in self._modules:
            now = vars(module)
            now.update(before)
            for key in [key for key in now if key not in before]:
                del now[key]
        for owner, _, before, copy in self._arrays.values():
            if copy is not None and _checksum(owner) != before:
                plain(owner)[...] = copy

    def _hold(self, x, name, seen):
        if id(x) in seen:
            return
        seen.add(id(x))
        if isinstance(x, Tensor):
            self._keep(owner_of(x.data), name, copy=not isinstance(x, Parameter))
        elif isinstance(x, np.ndarray):
            self._keep(owner_of(x), name, copy=True)
        elif isinstance(x, (list, tuple)):
            for i, part in enumerate(x):
                self._hold(part, f"{name}[{i}]", seen)
        elif isinstance(x, dict):
            for key, part in list(x.items()):
                self._hold(part, f"{name}[{key!r}]", seen)
        elif isinstance(x, (Module, KVCache)):
            parts = dict(vars(x))
            if isinstance(x, Module):
                self._modules.append((name, x, parts))
            else:
                self._caches.append((x, x.length))
            for key, part in parts.items():
                self._hold(part, _join(name, key), seen)

    def _keep(self, owner, name, copy=False):
        if id(owner) not in self._arrays and not owner.dtype.hasobject:
            kept = plain(owner).copy() if copy else None
            self._arrays[id(owner)] = owner, name, _checksum(owner), kept


def owner_of(array):
    """The array whose memory a view is of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _checksum(array):
    if not array.nbytes:
        return 0
    return zlib.crc32(np.ascontiguousarray(plain(array)).reshape(-1).view(np.uint8))


def _join(path, name):
    return f"{path}.{name}" if path else name
