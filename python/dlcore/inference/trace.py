"""One forward pass, written down: kernels, and what NumPy makes in between."""

import operator
import sys
import weakref

import numpy as np

from ..tensor import Tensor
from ..watch import watching
from .inputs import filled
from .plan import Slot, Step, View, Wrapped, constants_of, like, like_dict, slots_of
from .program import Program
from .state import owner_of
from .traced import Traced, following, plain

_OPS = "dlcore.ops.", "dlcore.nn.utils.rnn"
_OURS = "dlcore.", "numpy"
_BY_VALUES = {
    np.nonzero,
    np.argwhere,
    np.flatnonzero,
    np.unique,
    np.compress,
    np.extract,
    np.ndarray.nonzero,
    np.ndarray.compress,
}
_OF_SHAPES = {
    np.shape,
    np.ndim,
    np.size,
    np.result_type,
    np.can_cast,
    np.shares_memory,
    np.may_share_memory,
    np.array2string,
}
_RANDOM = "bernoulli", "dropout_forward", "alpha_dropout_forward", "normal", "uniform"
_ATTENTION = "scaled_dot_product_attention_forward"
_view = np.ndarray.view  # whatever the array's own does


def trace(function, given, arrays, state):
    """The program of ``function(*args, **named)``, and its result.

    `given` are args and named, `arrays` those to take in them. What is neither one of
    them nor made of one is taken for a constant, which `state` watches over.
    """
    seen = _Trace(type(function).__name__, state)
    inputs = [seen.slot(array) for array in arrays]
    args, named = filled(given, (Tensor(a.view(Traced)) for a in arrays))
    with watching(seen.see), following(seen):
        result = function(*args, **named)
    seen.check()
    if seen.refused is not None:  # and forward went on without a word
        seen.refuse(seen.refused)
    output = seen.own(seen.plan(result))
    return Program(inputs, seen.steps, output), result


def assigned(whole, place, index, value):
    """A copy of an array with other values at an index of it, or of a view of it."""
    made = whole.copy()
    if place is None:
        made[index] = value
        return made
    shape, dtype, offset, strides = place
    target = np.ndarray(shape, dtype, made, offset, strides)
    target[index] = value
    return made


class _Trace:
    """Watches one forward pass and writes its calls down."""

    def __init__(self, name, state):
        self.steps: list = []
        self._name, self._state = name, state
        self.refused = None
        self._slots: dict = {}  # of the memory that depends on the inputs, by its owner

    # -- told by kernels and by traced arrays --

    def see(self, name, arguments, result):
        """A kernel's call; the result as those who go on with it should have it."""
        op = name.removesuffix("_forward")
        if name in _RANDOM or (name == _ATTENTION and arguments[4] > 0):
            self.refuse(
                f"{op} draws random numbers: pass training=False or p=0, or draw them "
                "outside and pass them in"
            )
        plans = tuple(map(self.plan, arguments))
        if not slots_of(plans):
            return None
        if isinstance(result, int | float):
            self.number(op)
        into = [i for i, a in enumerate(arguments) if a is result]
        if not into or not isinstance(result, np.ndarray):
            made, results = self._results(result)
            self._add(Step(name, plans, results, (op,)))
            return made
        i = into[-1]
        plans = (*plans[:i], None, *plans[i + 1 :])  # in place: a new array here
        slot = Slot(result.shape, result.dtype)
        self._add(Step(name, plans, slot, (op,)))
        self._put(result, ..., slot)
        return _view(result, Traced)

    def before(self, function, args):
        """Refuse what gives arrays of a shape that depends on values."""
        index = args[1] if function is operator.getitem else ()
        index = index if isinstance(index, tuple) else (index,)
        by_mask = any(isinstance(i, Traced) and i.dtype == bool for i in index)
        alone = function is np.where and len(args) == 1
        if function in _BY_VALUES or alone or by_mask:
            self.refuse(
                f"the shape of the result of {_who(function)} depends on values, and "
                "a program's shapes are fixed: use arrays of one shape, as in dl.where"
            )

    def after(self, function, args, named, result):
        """What NumPy made of traced arrays; the result as others should have it."""
        if function in _OF_SHAPES:
            return result
        made, results = self._results(result)
        if made is result and result is not None:  # neither arrays nor NumPy's numbers
            self.number(_who(function))
        if slots_of(results):
            plans = tuple(map(self.plan, (*args, *named.values())))
            step = Step(
                function, plans, results, (_who(function, first=False),), tuple(named)
            )
            self._add(step)
        return made

    def number(self, who):
        """Refuse to make a number, or a truth, of a result."""
        op = _who(None)
        who = who if op.startswith("np.") or op == who else f"{op}: {who}"
        self.refuse(
            f"{who} makes a number of a result, and Python would follow it once for "
            "all inputs: use arrays, as in dl.where"
        )

    def write(self, array, index, value):
        """``array[index] = value``, into a traced array."""
        planned, index_planned = self.plan(value), self.plan(index)
        plain(array)[plain(index)] = plain(value)
        self._put(array, index_planned, planned)

    def own(self, plan):
        """A result without constants: whoever gets it may write into it."""
        if isinstance(plan, Wrapped):
            return Wrapped(self.own(plan.plan))
        if isinstance(plan, (tuple, list)):
            return like(plan, [self.own(part) for part in plan])
        if isinstance(plan, dict):
            return like_dict(plan, map(self.own, plan.values()))
        if not isinstance(plan, np.ndarray):
            return plan
        slot = Slot(plan.shape, plan.dtype)
        self._add(Step(np.array, (plan,), slot, ("the result",)))
        return slot

    def check(self):
        """Refuse what has changed the model, or numbers that are taken for constant."""
        reason = self._state.changed(lambda owner: self._find(owner) is not None)
        if reason is not None:
            self.refuse(reason)

    def _add(self, step):
        self.steps.append(step)
        for array in constants_of(step.arguments):
            self._state.take(owner_of(array))

    def refuse(self, reason):
        self.refused = reason
        raise RuntimeError(f"optimize: {self._name}: {reason}")

    # -- memory and its slots --

    def _put(self, array, index, value):
        """Memory was written: from here on it is another slot."""
        owner = owner_of(array)
        slot, place = self._find(owner), self._array(array)
        same = isinstance(value, Slot) and index is ...
        same = same and (value.shape, value.dtype) == (array.shape, array.dtype)
        if slot is None:
            if not (same and array.flags.c_contiguous and array.nbytes == owner.nbytes):
                self.refuse(
                    "a part of an array of the model's is written in passing: build "
                    "it with dl.cat, dl.stack or dl.where"
                )
        elif not (same and place is slot):
            if place is slot:
                place = None
            else:
                place = place.shape, place.dtype, place.offset, place.strides
            arguments, value = (slot, place, index, value), Slot(slot.shape, slot.dtype)
            self._add(Step(assigned, arguments, value, ("copy",)))
        self._slots[id(owner)] = weakref.ref(owner), value

    def _results(self, result):
        """A result as others should have it, and as a step has it."""
        if isinstance(result, np.generic):
            result = np.asarray(result)
        if isinstance(result, np.ndarray):
            if self._find(owner_of(result)) is not None:
                return _view(result, Traced), None
            if not result.transpose(_order(result)).flags.c_contiguous:
                result = np.array(result, order="C")
            return _view(result, Traced), self.slot(result)
        if isinstance(result, tuple | list) and result:
            pairs = [self._results(part) for part in result]
            if any(made is not part for (made, _), part in zip(pairs, result)):
                made = like(result, [made for made, _ in pairs])
                return made, tuple(plan for _, plan in pairs)
        return result, None

    def slot(self, array):
        owner = owner_of(array)
        order = None if array.flags.c_contiguous else _order(array)
        shape = array.shape if order is None else array.transpose(order).shape
        slot = Slot(shape, array.dtype, order)
        self._slots[id(owner)] = weakref.ref(owner), slot
        return slot

    def plan(self, value):
        if isinstance(value, Tensor):
            return Wrapped(self.plan(value.data))
        if isinstance(value, (tuple, list)):
            return like(value, [self.plan(part) for part in value])
        if isinstance(value, dict):
            return like_dict(value, map(self.plan, value.values()))
        return self._array(value) if isinstance(value, np.ndarray) else value

    def _array(self, array):
        """A slot, a view of one, or the array itself."""
        owner = owner_of(array)
        slot = self._find(owner)
        if slot is None:
            return plain(array)
        same = array.shape == slot.shape and array.dtype == slot.dtype
        if same and array.flags.c_contiguous:
            return slot
        offset = array.ctypes.data - owner.ctypes.data if array.size else 0
        return View(slot, array.shape, array.strides, offset, array.dtype)

    def _find(self, owner):
        reference, slot = self._slots.get(id(owner), (None, None))
        return slot if reference is not None and reference() is owner else None


def _order(array):
    """The axes from the widest stride to the narrowest."""
    return tuple(sorted(range(array.ndim), key=lambda i: -array.strides[i]))


def _who(function, first=True):
    """The op that calls NumPy now, or NumPy's function where that is no op.

    Of ops that call one another the innermost; or the one that was called `first`.
    """
    found = None
    frame = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        name = frame.f_code.co_name.strip("_")
        if module.startswith(_OPS) and not name.startswith("<"):
            found = name
            if not first and not frame.f_code.co_name.startswith("_"):
                break
        elif found or not module.startswith(_OURS):
            break
        frame = frame.f_back
    return found or f"np.{getattr(function, '__name__', function)}"
