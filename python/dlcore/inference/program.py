"""A forward pass as a list of kernel calls: seen once, run many times."""

import sys
import weakref

import numpy as np

from .. import _C
from .._C import conv2d_pack  # as it is: no kernel for those who watch
from ..tensor import Tensor
from ..watch import watching
from . import arena
from .plan import (
    Slot,
    Step,
    View,
    Wrapped,
    keep,
    like,
    like_dict,
    slots_of,
    value_of,
)

_OPS = "dlcore.ops."
_READS = {
    method.__code__: name
    for name, method in (
        ("bool(x)", Tensor.__bool__),
        ("x.item()", Tensor.item),
        ("x.tolist()", Tensor.tolist),
        ("an index x", Tensor.__index__),
    )
}


def _is_op(frame):
    return frame is not None and frame.f_globals.get("__name__", "").startswith(_OPS)


def _public(frame):
    """The op that a function of `ops` is or works for."""
    name = frame.f_code.co_name
    while name.startswith(("_", "<")) and _is_op(frame.f_back):
        frame = frame.f_back
        name = frame.f_code.co_name
    return name.strip("_")


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
        "_place",
        "_plans",
        "_result",
        "_slots",
    )

    def __init__(self, step, dying, places):
        constant = [not slots_of(a) for a in step.arguments]
        plans = [p for p in enumerate(step.arguments) if not constant[p[0]]]
        self._name, self._result, self._dying = step.name, step.result, dying
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
        # Looked up at each call: somebody may watch the kernels.
        result = getattr(_C, self._name)(*arguments)
        if type(self._result) is Slot:
            values[self._result] = result
        else:
            keep(self._result, result, values)
        for slot in self._dying:
            del values[slot]


def _packed(step):
    """The weights of a 2-D convolution as its kernel reads them, or None."""
    x, weight, _, *settings = step.arguments[:7]
    if not isinstance(weight, np.ndarray) or not isinstance(x, Slot | View):
        return None
    dtype = x.dtype if isinstance(x, Slot) else x.slot.dtype
    return conv2d_pack(np.empty(x.shape, dtype), weight, *settings)


def _needed(steps, output):
    needed, kept = set(slots_of(output)), []
    for step in reversed(steps):
        if needed.intersection(step.writes()):
            needed.update(step.reads())
            kept.append(step)
    return kept[::-1]


def trace(function, arrays):
    """The program of ``function(*arrays)``, and its result.

    What is neither an input nor the result of a kernel is taken for a constant.
    """
    seen = _Trace()
    inputs = seen.inputs(arrays)
    others = sys.getprofile()
    with watching(seen.see):
        try:
            sys.setprofile(seen.follow)
            result = function(*map(Tensor, arrays))
        finally:
            sys.setprofile(others)
    if seen.read is not None:
        raise RuntimeError(
            f"optimize: {type(function).__name__}: {seen.read} makes a number of a "
            "result, and Python would follow it once for all inputs: use arrays, as "
            "in dl.where"
        )
    return Program(inputs, seen.steps, seen.plan(result)), result, seen.made_by


class _Trace:
    """Watches one forward pass and writes its calls down."""

    def __init__(self):
        self.steps, self._known, self._made = [], {}, {}
        self._varying = set()  # slots that depend on the inputs
        self.read = None  # what turned one of those into a number

    def follow(self, frame, event, result):
        """Profiles: who turns results into numbers, who makes arrays by NumPy."""
        code = frame.f_code
        if event == "call" and code in _READS:
            tensor = frame.f_locals["self"]
            if self._varying.intersection(slots_of(self._array(tensor.data))):
                self.read = self.read or _READS[code]
        if event == "return" and _is_op(frame):
            array = result.data if isinstance(result, Tensor) else result
            if isinstance(array, np.ndarray) and self._maker(array) is None:
                self._made[id(array)] = weakref.ref(array), _public(frame)

    def made_by(self, values):
        """The op that gave one of the constants among `values`, or None."""
        for value in _constants(values):
            op = self._maker(value) or self._maker(value.base)
            if op is not None:
                return op
        return None

    def _maker(self, array):
        reference, op = self._made.get(id(array), (None, None))
        return op if reference is not None and reference() is array else None

    def see(self, name, arguments, result):
        op = name.removesuffix("_forward")
        written = [i for i, a in enumerate(arguments) if a is result]
        if written and isinstance(result, np.ndarray):  # in place: a new array here
            i = written[-1]
            arguments = (*arguments[:i], None, *arguments[i + 1 :])
            if self._find(result) is None and self._find(result.base) is not None:
                raise RuntimeError(
                    f"optimize: {op} writes into a view of another result: give it no "
                    "out, or write into the whole array"
                )
        plans = tuple(map(self.plan, arguments))
        step = Step(name, plans, self._results(result), (op,))
        self.steps.append(step)
        if self._varying.intersection(step.reads()):
            self._varying.update(step.writes())

    def _results(self, result):
        if isinstance(result, np.ndarray):
            return self.slot(result)
        if isinstance(result, tuple):
            return tuple(self._results(part) for part in result)
        return None

    def inputs(self, arrays):
        slots = [self.slot(array) for array in arrays]
        self._varying.update(slots)
        return slots

    def slot(self, array):
        slot = Slot(array.shape, array.dtype)
        self._known[id(array)] = weakref.ref(array), slot
        return slot

    def plan(self, value):
        if isinstance(value, Tensor):
            return Wrapped(self.plan(value.data))
        if isinstance(value, (tuple, list)):
            return like(value, [self.plan(part) for part in value])
        if isinstance(value, dict):
            return like_dict(value, self.plan)
        return self._array(value) if isinstance(value, np.ndarray) else value

    def _array(self, array):
        slot = self._find(array)
        if slot is not None:
            return slot
        slot = self._find(array.base)
        if slot is None or array.dtype != slot.dtype:
            return array
        offset = array.ctypes.data - array.base.ctypes.data
        return View(slot, array.shape, array.strides, offset)

    def _find(self, array):
        reference, slot = self._known.get(id(array), (None, None))
        return slot if reference is not None and reference() is array else None


def difference(one, other, made_by):
    """Why two traces of a function are not one program, or None.

    ``made_by(values)`` names the op that made a constant of the first.
    """
    pairs = dict(zip(one.inputs, other.inputs, strict=True))
    for a, b in zip(one.steps, other.steps):
        if a.name != b.name or not _same(a.arguments, b.arguments, pairs):
            return _blame(a.parts[0], made_by(a.arguments))
        pairs.update(zip(a.writes(), b.writes(), strict=True))
    if len(one.steps) != len(other.steps) or not _same(one.output, other.output, pairs):
        return _blame("the result", made_by(one.output))
    return None


def _blame(reader, maker):
    if maker is not None:
        return f"{maker} computes by NumPy, which cannot be written down yet"
    return (
        f"{reader} is given numbers that depend on the input and come from no kernel, "
        "but from NumPy or Python"
    )


def _constants(values):
    if isinstance(values, Wrapped):
        values = values.plan
    if isinstance(values, dict):
        values = list(values.values())
    if isinstance(values, (tuple, list)):
        return [array for value in values for array in _constants(value)]
    return [values] if isinstance(values, np.ndarray) else []


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
