"""What a program's kernels read and write, before there are arrays."""

import copy
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Slot:
    """A C-contiguous array that every run makes anew.

    Where the result itself lies in another order, `order` are the axes that make it so.
    """

    shape: tuple
    dtype: np.dtype
    order: tuple | None = None


@dataclass(frozen=True, eq=False)
class View:
    """The memory of a slot's C-contiguous array in another shape."""

    slot: Slot
    shape: tuple
    strides: tuple
    offset: int
    dtype: np.dtype


@dataclass(frozen=True, eq=False)
class Wrapped:
    """A result that the model gives as a Tensor."""

    plan: object


@dataclass(frozen=True, eq=False)
class Step:
    """One call of a kernel; `parts` are the calls of the model that it stands for."""

    name: object  # of a kernel; or a function of NumPy's
    arguments: tuple  # Slots, Views and constants
    result: object  # a Slot; or a tuple of them, of None and of constants
    parts: tuple
    names: tuple = ()  # of the last arguments, those given by name

    def reads(self):
        """The slots among the arguments, a repeated one as often."""
        return slots_of(self.arguments)

    def writes(self):
        return slots_of(self.result)


def slots_of(values):
    if isinstance(values, Slot):
        return [values]
    if isinstance(values, View):
        return [values.slot]
    if isinstance(values, Wrapped):
        return slots_of(values.plan)
    if isinstance(values, dict):
        values = list(values.values())
    if isinstance(values, (tuple, list)):
        return [slot for value in values for slot in slots_of(value)]
    return []


def constants_of(values):
    """The arrays among them that every run has as they are."""
    if isinstance(values, np.ndarray):
        return [values]
    if isinstance(values, Wrapped):
        return constants_of(values.plan)
    if isinstance(values, dict):
        values = list(values.values())
    if isinstance(values, (tuple, list)):
        return [array for value in values for array in constants_of(value)]
    return []


def like(sequence, parts):
    """The parts as a sequence of the same kind, a named tuple perhaps."""
    kind = type(sequence)
    return kind(*parts) if hasattr(kind, "_fields") else kind(parts)


def like_dict(mapping, parts):
    """The parts in order as a dict of the same kind, ordered perhaps."""
    made = copy.copy(mapping)
    made.update(zip(mapping, parts, strict=True))
    return made


def fitting(slot, result):
    """A result as the steps after it know it."""
    if slot.order is not None:
        result = result.transpose(slot.order)
    if result.shape != slot.shape:
        raise RuntimeError(
            f"optimize: a result has shape {result.shape} and had {slot.shape} when "
            "the program was made: it depends on values"
        )
    if not result.flags.c_contiguous:
        return np.array(result, order="C")
    return result if isinstance(result, np.ndarray) else np.asarray(result)
