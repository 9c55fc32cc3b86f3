"""A forward pass as a list of kernel calls: seen once, run many times."""

import numpy as np

from .. import _C
from .._C import conv2d_pack  # as it is: no kernel for those who watch
from . import arena
from .plan import Slot, View, Wrapped, fitting, keep, slots_of, value_of


class Program:
    """Steps in order, the slots of the inputs, and what is made of the results."""

    def __init__(self, inputs, steps, output):
        self.inputs, self.output = inputs, output
        self.steps = _needed(steps, output)
        self._dying = self._last_reads()
        self._places, self._room = arena.plan(self.steps, self._dying)
        self._ready: tuple = (None, [])  # calls, and what their weights are packed for

    def uses(self):
        """How many steps or results read each slot."""
        counts: dict = {}
        for slot in slots_of([*(step.reads() for step in self.steps), self.output]):
            counts[slot] = counts.get(slot, 0) + 1
        return counts

    def run(self, arrays):
        """The results for inputs of the traced shapes and dtypes, C-contiguous."""
        values = dict(zip(self.inputs, arrays, strict=True))
        block = arena.make(self._room)
        for call in self._calls():
            call(values, block)
        return value_of(self.output, values)

    def _calls(self):
        target = _C.isa(), _C.winograd()
        packed_for, calls = self._ready
        if packed_for != target:
            steps = zip(self.steps, self._dying, strict=True)
            calls = [_Call(step, dead, self._places) for step, dead in steps]
            self._ready = target, calls
        return calls

    def __getstate__(self):
        return {**self.__dict__, "_ready": (None, [])}  # packed for this machine

    def _last_reads(self):
        """The slots that no later step needs: their memory serves the next."""
        kept = set(slots_of(self.output))
        dying = []
        for step in reversed(self.steps):
            dying.append(set(step.reads() + step.writes()) - kept)
            kept |= dying[-1]
        return dying[::-1]


class _Call:
    """A step made ready: what is constant stands in its place."""

    __slots__ = (
        "_arguments",
        "_dying",
        "_name",
        "_names",
        "_place",
        "_plans",
        "_result",
        "_slots",
    )

    def __init__(self, step, dying, places):
        constant = [not slots_of(a) for a in step.arguments]
        plans = [p for p in enumerate(step.arguments) if not constant[p[0]]]
        self._name, self._names = step.name, step.names
        self._result, self._dying = step.result, dying
        pairs = zip(step.arguments, constant, strict=True)
        self._arguments = [a if fixed else None for a, fixed in pairs]
        self._slots = [p for p in plans if type(p[1]) is Slot]
        self._plans = [p for p in plans if type(p[1]) is not Slot]
        self._place = places.get(step.result) if type(step.result) is Slot else None
        if step.name == "conv2d_forward":
            self._arguments[arena.OUT :] = None, _packed(step)

    def __call__(self, values, block):
        arguments = self._arguments.copy()
        for i, slot in self._slots:
            arguments[i] = values[slot]
        for i, plan in self._plans:
            arguments[i] = value_of(plan, values)
        if self._place is not None:
            slot = self._result
            array = np.ndarray(slot.shape, slot.dtype, block, self._place)
            arguments[arena.OUT :] = array, *arguments[arena.OUT + 1 :]
        function = self._name
        if type(function) is str:  # looked up each time: somebody may watch the kernels
            function = getattr(_C, function)
        if names := self._names:
            named = dict(zip(names, arguments[-len(names) :], strict=True))
            result = function(*arguments[: -len(names)], **named)
        else:
            result = function(*arguments)
        if type(self._result) is Slot:
            values[self._result] = fitting(self._result, result)
        else:
            keep(self._result, result, values)
        for slot in self._dying:
            del values[slot]


def _packed(step):
    """The weights of a 2-D convolution as its kernel reads them, or None."""
    x, weight, _, *settings = step.arguments[:7]
    if not isinstance(weight, np.ndarray) or not isinstance(x, Slot | View):
        return None
    return conv2d_pack(np.empty(x.shape, x.dtype), weight, *settings)


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
        "from no op: give arrays to dlcore and NumPy as they are, not through "
        "np.asarray or Python's numbers"
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
