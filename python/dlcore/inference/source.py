"""A program as the source of one Python function.

Steps of a list cost 1 us each; written out, with results in local variables, 0.2 us.
"""

import numpy as np

from .. import _C
from .._C import conv2d_pack  # as it is: no kernel for those who watch
from ..tensor import _constant
from . import arena
from .plan import Slot, View, Wrapped, fitting, like, like_dict, slots_of

_AS_INPUTS = ("scaled_dot_product_attention_forward",)  # whose results lie as those do
_HEAD = {
    "K": _C,
    "view": np.ndarray,
    "wrap": _constant,
    "fit": fitting,
    "like": like,
    "like_dict": like_dict,
}


def compiled(inputs, steps, dying, places, output):
    """``run(block, *arrays)``: the results, for arrays in the order of `inputs`."""
    text = _Text(inputs)
    for step, dead in zip(steps, dying, strict=True):
        text.step(step, dead, places)
    text.lines.append(f"return {text.value(output)}")
    lines = "\n    ".join(text.lines)
    names = ", ".join(["block", *map(text.slot, inputs)])
    exec(f"def run({names}):\n    {lines}", text.names)
    return text.names["run"]


class _Text:
    def __init__(self, inputs):
        self.lines, self.names = [], dict(_HEAD)
        self._slots = {slot: f"s{i}" for i, slot in enumerate(inputs)}

    def step(self, step, dead, places):
        arguments = list(step.arguments)
        if step.name == "conv2d_forward":
            arguments[arena.OUT :] = None, _packed(step)
        words = [self.value(a) for a in arguments]
        if isinstance(step.result, Slot) and step.result in places:
            words[arena.OUT :] = (
                self._place(step.result, places),
                *words[arena.OUT + 1 :],
            )
        for i, name in enumerate(reversed(step.names), 1):
            words[-i] = f"{name}={words[-i]}"
        kernel = isinstance(step.name, str)  # looked up each time: it may be watched
        called = f"K.{step.name}" if kernel else self.constant(step.name)
        self.lines.append(f"{self.target(step.result)} = {called}({', '.join(words)})")
        for slot in slots_of(step.result):
            name = self.slot(slot)
            fit = f"{name} = fit({self.constant(slot)}, {name})"
            if kernel and slot.order is None and step.name not in _AS_INPUTS:
                fit = f"if {name}.shape != {self.constant(slot.shape)}: {fit}"
            self.lines.append(fit)
        if dead:
            self.lines.append(f"del {', '.join(map(self.slot, dead))}")

    def slot(self, slot):
        return self._slots.setdefault(slot, f"s{len(self._slots)}")

    def constant(self, value):
        if value is None or isinstance(value, bool):
            return repr(value)
        name = f"c{len(self.names)}"
        self.names[name] = value
        return name

    def target(self, result):
        """Where results go; `_` for those that are none."""
        if isinstance(result, Slot):
            return self.slot(result)
        if isinstance(result, tuple):
            return f"({', '.join(map(self.target, result))},)"
        return "_"

    def value(self, plan):
        """The expression for what a plan stands for."""
        slots, kind = slots_of(plan), type(plan)
        if not slots:
            return self.constant(plan)
        if kind is Slot:
            return self.slot(plan)
        if kind is View:
            words = map(
                self.constant, (plan.shape, plan.dtype, plan.offset, plan.strides)
            )
            shape, dtype, offset, strides = words
            return (
                f"view({shape}, {dtype}, {self.slot(plan.slot)}, {offset}, {strides})"
            )
        if kind is Wrapped:
            return f"wrap({self.value(plan.plan)})"
        parts = plan.values() if isinstance(plan, dict) else plan
        inner = "".join(f"{self.value(part)}, " for part in parts)
        if kind is list:
            return f"[{inner}]"
        if kind is tuple:
            return f"({inner})"
        word = "like_dict" if isinstance(plan, dict) else "like"
        return f"{word}({self.constant(plan)}, ({inner}))"

    def _place(self, slot, places):
        words = map(self.constant, (slot.shape, slot.dtype))
        return f"view({', '.join(words)}, block, {places[slot]})"


def _packed(step):
    """The weights of a 2-D convolution as its kernel reads them, or None."""
    x, weight, _, *settings = step.arguments[:7]
    if not isinstance(weight, np.ndarray) or not isinstance(x, Slot | View):
        return None
    return conv2d_pack(np.empty(x.shape, x.dtype), weight, *settings)
