"""A forward pass as a list of kernel calls: seen once, run many times."""

import numpy as np

from .. import _C
from . import arena
from .plan import Slot, View, Wrapped, slots_of
from .source import compiled


class Program:
    """Steps in order, the slots of the inputs, and what is made of the results."""

    def __init__(self, inputs, steps, output):
        self.inputs, self.output = inputs, output
        self.steps = _needed(steps, output)
        self._dying = self._last_reads()
        self._numpy = any(isinstance(step.name, np.ufunc) for step in self.steps)
        self._places, self._room = arena.plan(self.steps, self._dying)
        self._ready: tuple = (None, None)  # what weights are packed for, and a function

    def uses(self):
        """How many steps or results read each slot."""
        counts: dict = {}
        for slot in slots_of([*(step.reads() for step in self.steps), self.output]):
            counts[slot] = counts.get(slot, 0) + 1
        return counts

    def run(self, arrays):
        """The results for inputs of the traced shapes and dtypes, C-contiguous."""
        target = _C.isa(), _C.winograd()
        packed_for, run = self._ready
        if packed_for != target:
            made = self.inputs, self.steps, self._dying, self._places, self.output
            run = compiled(*made)
            self._ready = target, run
        block = arena.make(self._room) if self._room else None
        if not self._numpy:
            return run(block, *arrays)
        with np.errstate(all="ignore"):  # as in ops
            return run(block, *arrays)

    def __getstate__(self):
        return {**self.__dict__, "_ready": (None, None)}  # packed for this machine

    def _last_reads(self):
        """The slots that no later step needs: their memory serves the next."""
        kept = set(slots_of(self.output))
        dying = []
        for step in reversed(self.steps):
            dying.append(set(step.reads() + step.writes()) - kept)
            kept |= dying[-1]
        return dying[::-1]


def _needed(steps, output):
    needed, kept = set(slots_of(output)), []
    for step in reversed(steps):
        if needed.intersection(step.writes()):
            needed.update(step.reads())
            kept.append(step)
    return kept[::-1]


def difference(one, other):
    """Why two traces of a function are not one program, or None."""
    pairs = dict(zip(one.inputs, other.inputs, strict=True))
    for a, b in zip(one.steps, other.steps):
        if a.name != b.name or not _same(a.arguments, b.arguments, pairs):
            return _blame(a.parts[0])
        for x, y in zip(a.writes(), b.writes(), strict=True):
            if x.shape != y.shape:
                return f"the shape of the result of {a.parts[0]} depends on values"
            pairs[x] = y
    if len(one.steps) != len(other.steps) or not _same(one.output, other.output, pairs):
        return _blame("the result")
    return None


def _blame(reader):
    return (
        f"{reader} is given numbers that depend on the input, or are random, and come "
        "from no op, or written into an array made in forward: build it with dl.cat, "
        "dl.stack or dl.where, and give arrays to dlcore and NumPy as they are, not "
        "through np.asarray or Python's numbers"
    )


def _same(a, b, pairs):
    if type(a) is not type(b):
        return False
    if isinstance(a, Slot):
        return pairs.get(a) is b
    if isinstance(a, View):
        place = (a.shape, a.strides, a.offset) == (b.shape, b.strides, b.offset)
        return place and pairs.get(a.slot) is b.slot
    if isinstance(a, Wrapped):
        return _same(a.plan, b.plan, pairs)
    if isinstance(a, dict):
        a, b = list(a.items()), list(b.items())
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(_same(*ab, pairs) for ab in zip(a, b))
    if isinstance(a, np.ndarray):
        floats = a.dtype.kind == b.dtype.kind == "f"
        return a is b or np.array_equal(a, b, equal_nan=floats)
    return a == b or (a != a and b != b)
