"""A model for inference: its kernels in the fewest passes over memory."""

import copy
import warnings

import numpy as np

from ..grad_mode import no_grad
from ..nn import Module
from ..tensor import Tensor, raw
from ..watch import watching
from .fuse import fuse
from .inputs import filled, key_of, text_of
from .program import difference
from .state import State
from .trace import trace
from .traced import tracing

_KEPT = 16  # programs, one to the shapes of a call; and as many are given up


def optimize(model, *examples, **named):
    """An inference copy of a model: fewer kernels, the same results.

    Parameters
    ----------
    model : Module
        Stays as it is; the copy is of its present weights, in evaluation mode.
    *examples : optional
        Inputs of the shapes that are to be called later; otherwise the first call with
        a shape takes the time of several. As in all calls: arrays and Tensors, None,
        numbers and words, and tuples, lists and dicts of them.
    **named : optional
        Examples of what is given by name.

    Returns
    -------
    Optimized
        Called like the model, under `no_grad` or not; `repr` shows what was fused.

    Raises
    ------
    TypeError
        If `model` is no Module, or an input of another kind.
    RuntimeError
        If `forward` makes a number or a truth of what depends on the input (``if
        x.sum() > 0``, ``float(x)``, ``x.item()``), or a shape (``x[x > 0]``), or draws
        random numbers, or changes arrays of the model (a buffer, a cache): the op or
        the array and the cure are named.

    Notes
    -----
    The first call with inputs of some shapes, dtypes and settings runs the copy and
    writes down which kernels it calls and what NumPy makes of arrays in between: views,
    `cat`, `stack`, copies, arithmetic on ``x.data``. In this program

    - batch normalization is folded into the weights of the layer before it, and
      residual and activation are added in passing by convolutions and linear layers;
    - a sum before a layer or RMS normalization is made by its kernel;
    - linear layers of one input (queries, keys, values) are one product;
    - what does not depend on the input is computed once;
    - weights of convolutions, and linear ones of up to 1 MiB, are laid out once as
      their kernels read them, which takes that memory again;
    - results on the way share one block.

    Later calls run the program alone: no module, no Tensor. Several threads may call it
    at once. Weights edited in place afterwards change nothing here: the copy has its
    own; optimize again. Inputs are separate arrays that stay as they are: what forward
    writes into one is seen in the results alone. Dropout is off, as in evaluation mode;
    `dropout` with ``training=True`` is refused.

    The programs of the last 16 shapes are kept. Who has called 32 gets no more: with
    other shapes the copy itself is run, module by module, and one warning says so. Pad
    sizes that vary from call to call to a few, and pass numbers that vary as arrays.

    Python's ``if`` and ``for`` in `forward` are followed once for each shape, so they
    may depend on shapes and settings, not on values. Values that leave the arrays by a
    way that is not seen (``np.asarray(x.data)`` and then NumPy) are noticed by a second
    input, which must call the same kernels with the same constants and give the model's
    results; a branch on rare values may go unseen there. Where the model does not take
    its numbers, it is the first input with its rows from the last. A model that is
    refused because it changes its arrays has their values back, but for parameters.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> model = dl.models.resnet18(num_classes=10, small_images=True)
    >>> fast = dl.optimize(model)
    >>> fast(np.zeros((1, 3, 8, 8), "float32")).shape
    (1, 10)
    """
    if not isinstance(model, Module):
        kind = type(model).__name__
        raise TypeError(f"optimize: model must be a Module, got {kind}")
    made = Optimized(model)
    if examples or named:
        made(*examples, **named)
    return made


class Optimized(Module):
    """What `optimize` returns: only to be called.

    Raises
    ------
    RuntimeError
        If a gradient would be recorded, or if it is trained, loaded or changed: do that
        with the model and optimize it again.
    """

    training = False

    def __init__(self, model):
        frozen = copy.deepcopy(model).eval().requires_grad_(False)
        self.__dict__.update(_of=[frozen], _programs={}, _folded={})
        self.__dict__.update(_given_up=0, _warned=False)

    def forward(self, *inputs, **named):
        if tracing() is not None:  # of a model that this one is a part of
            return self._of[0](*inputs, **named)
        arrays: list = []
        key = key_of(inputs, named, arrays)
        program = self._programs.get(key)
        if program is None:
            if self._given_up >= _KEPT:
                return self._unfused((inputs, named), arrays)
            with watching(lambda *_: None, alone=True):  # who counts, counts one call
                program = self._traced((inputs, named), arrays)
            self._programs[key] = program
            for old in list(self._programs)[:-_KEPT]:
                self._programs.pop(old, None)  # another thread may have done it
                self.__dict__["_given_up"] += 1
        return program.run(arrays)

    @no_grad()
    def _unfused(self, given, arrays):
        (model,) = self._of
        if not self._warned:
            self.__dict__["_warned"] = True
            warnings.warn(
                f"optimize: {type(model).__name__} is called with ever new shapes "
                "or settings, which from now on run without a program of their own: "
                f"pad inputs to a few shapes, at most {_KEPT}, and pass numbers that "
                "vary as arrays",
                stacklevel=5,
            )
        args, named = filled(given, (Tensor(a.copy()) for a in arrays))
        return copy.deepcopy(model(*args, **named))  # none of the memory of the model

    def _traced(self, given, arrays):
        state = State(self._of[0])
        try:
            return self._program(given, arrays, state)
        except BaseException:
            state.restore()
            raise

    @no_grad()
    def _program(self, given, arrays, state):
        (model,) = self._of
        first = [np.array(a, order="C") for a in arrays]
        program, _ = trace(model, given, first, state)
        try:
            others = [_other(a) for a in arrays]
            again, want = trace(model, given, [a.copy() for a in others], state)
        except (ValueError, IndexError):  # numbers that the model does not take
            others = [np.array(a[::-1] if a.ndim else a, order="C") for a in arrays]
            again, want = trace(model, given, [a.copy() for a in others], state)
        reason = difference(program, again)
        if reason is not None:
            reason = state.instead(reason)
            raise RuntimeError(f"optimize: {type(model).__name__}: {reason}")
        program = fuse(program, self._folded)
        if not _agree(program.run(others), want):
            raise RuntimeError(
                f"optimize: {type(model).__name__} gives other results when its "
                "kernels are called again: forward changes arrays in a way that is not "
                "seen: use the results of ops instead"
            )
        return program

    def __getstate__(self):
        # Another thread may add a program; what is folded is known by addresses.
        programs = self._programs.copy()
        return {
            **self.__dict__,
            "_programs": programs,
            "_folded": {},
        }  # keys: addresses

    def __setattr__(self, name, value):
        if name != "training":  # which a module around it sets: it stays as it is
            self._refuse(f"setting {name}")

    def train(self, mode=True):
        """Refused but for ``train(False)``."""
        if mode:
            self._refuse("train")
        return self

    def state_dict(self):
        """Refused: the model itself has the weights under their names."""
        self._refuse("state_dict")

    def load_state_dict(self, state_dict, strict=True):
        """Refused."""
        self._refuse("load_state_dict")

    def to(self, *args, **options):
        """Refused."""
        self._refuse("to")

    def requires_grad_(self, requires_grad=True):
        """Refused but for ``requires_grad_(False)``."""
        if requires_grad:
            self._refuse("requires_grad_")
        return self

    def _refuse(self, what):
        raise RuntimeError(
            f"optimize: {what}: an optimized model is fixed: change the model it was "
            "made from and optimize it again"
        )

    def __repr__(self):
        lines = [f"Optimized({type(self._of[0]).__name__})"]
        for key, program in list(self._programs.items()):
            calls = sum(len(step.parts) for step in program.steps)
            lines.append(
                f"  {text_of(key)}: {calls} ops in {len(program.steps)} kernels"
            )
            for parts, count in _kinds(program).items():
                lines.append(f"    {count:3} x {' + '.join(parts)}")
        if len(lines) == 1:
            lines.append("  nothing yet: the first call of each shape is written down")
        return "\n".join(lines)


def _kinds(program):
    kinds: dict = {}
    for step in program.steps:
        kinds[step.parts] = kinds.get(step.parts, 0) + 1
    return kinds


def _other(array):
    """Another input of the same kind of numbers, finite, each one different."""
    turned = np.array(np.flip(array), order="C")
    if array.dtype.kind == "b":
        return np.logical_not(array, out=turned)
    if array.dtype.kind == "f":
        ramp = np.linspace(-1, 1, array.size, dtype=array.dtype).reshape(array.shape)
        np.subtract(ramp, np.where(np.isfinite(turned), turned, 0), out=turned)
    if array.dtype.kind in "fiu":  # an index that is in its range stays there
        near = np.where(array > 0, array - 1, array + 1)
        np.copyto(turned, near, where=turned == array)
    return turned


def _agree(got, want):
    if isinstance(want, dict):
        return all(_agree(got[key], want[key]) for key in want)
    if isinstance(want, (tuple, list)):
        return all(map(_agree, got, want))
    if not isinstance(want, Tensor | np.ndarray):
        return True  # a constant: `difference` has seen it
    got, want = (np.asarray(raw(v), np.float64) for v in (got, want))
    rough = np.abs(want[np.isfinite(want)]).max(initial=1e-6)
    return np.allclose(got, want, rtol=0, atol=1e-3 * rough, equal_nan=True)
