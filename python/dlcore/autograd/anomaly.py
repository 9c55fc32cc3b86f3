"""Who made the first NaN or infinity."""

import sys
import threading
from contextlib import contextmanager
from functools import partial

import numpy as np

from ..grad_mode import _mode, anomalies
from ..tensor import change_clock, raw
from ..watch import watching

_ASK = ("isnan", "isinf", "isfinite", "eq", "ne", "lt", "le", "gt", "ge")


class detect_anomaly:
    """A block in which the first NaN or infinity raises, forward or backward.

    Forward, it is the result of a kernel that has NaN, or has infinity though nothing
    it was given has; backward, the gradient that an op gives. The message names the
    op, the module that called it and the line. Everything is looked at: computing
    takes a few times as long.

    Parameters
    ----------
    check_nan : bool, optional
        False looks at nothing.

    Raises
    ------
    RuntimeError
        As said.

    Examples
    --------
    >>> import dlcore as dl
    >>> x = dl.Tensor([-1.0], requires_grad=True)
    >>> try:
    ...     with dl.detect_anomaly():
    ...         y = dl.sqrt(x)
    ... except RuntimeError as error:
    ...     print(str(error).split(", called")[0])
    detect_anomaly: sqrt made the first NaN
    """

    def __init__(self, check_nan=True):
        self._check = check_nan
        self._watching = None

    def __enter__(self):
        self._before = _mode.anomaly
        if self._check:
            _mode.anomaly = _Anomaly()
            self._watching = watching(_mode.anomaly.see)
            self._watching.__enter__()
            _note_ages(partial(anomalies.append, _mode.anomaly))
        return self

    def __exit__(self, *_):
        if self._check:
            _note_ages(partial(anomalies.remove, _mode.anomaly))
            self._watching.__exit__()
        _mode.anomaly = self._before


class _Anomaly:
    """What one block has seen."""

    def __init__(self):
        self.places = {}  # age of a node: who recorded it
        self._in_backward = 0

    def see(self, name, arguments, result):
        """Look at a call of a kernel."""
        if self._in_backward or name in _ASK:
            return
        results = list(_floats(result))
        given = [a for a in _floats(arguments) if not any(a is r for r in results)]
        op = name.removesuffix("_forward")
        for array in results:
            if np.isfinite(array).all():
                continue
            has_nan = np.isnan(array).any()
            if has_nan and any(np.isnan(a).any() for a in given):
                raise RuntimeError(
                    f"detect_anomaly: {op} was given NaN, which no op made, "
                    f"called {_place()}"
                )
            if has_nan or all(np.isfinite(a).all() for a in given):
                what = "NaN" if has_nan else "infinity"
                raise RuntimeError(
                    f"detect_anomaly: {op} made the first {what}, called {_place()}"
                )

    @contextmanager
    def in_backward(self):
        """A block whose kernels are not looked at, but the gradients they make."""
        self._in_backward += 1
        try:
            yield
        finally:
            self._in_backward -= 1

    def examined(self, backward, made):
        """A node's backward that looks at what it gives."""

        def looking(dy):
            with self.in_backward():
                gradients = backward(dy)
            self.examine(backward, made, gradients)
            return gradients

        looking.__qualname__ = backward.__qualname__
        return looking

    def examine(self, backward, made, gradients):
        """Raise if a gradient is not finite."""
        for array in _floats([raw(g) for g in gradients]):
            if not np.isfinite(array).all():
                what = "NaN" if np.isnan(array).any() else "infinity"
                op = backward.__qualname__.split(".")[0].lstrip("_")
                place = self.places.get(made, "before the block")
                raise RuntimeError(
                    f"detect_anomaly: the gradient of {op} is the first with {what}; "
                    f"{op} was called {place}"
                )


def _floats(values):
    for value in values if isinstance(values, (tuple, list)) else (values,):
        if isinstance(value, (tuple, list)):
            yield from _floats(value)
        elif isinstance(value, float) or (
            isinstance(value, np.ndarray) and value.dtype.kind == "f"
        ):
            yield value


def _place():
    """Module, file and line of the innermost caller outside the package."""
    from ..nn import Module

    package = __name__.partition(".")[0]
    frame, module, line, modules = sys._getframe(1), None, "", []
    while frame is not None:
        inside = frame.f_globals.get("__name__", "").partition(".")[0] == package
        if not line and not inside:
            line = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        if frame.f_code is Module.__call__.__code__:
            modules.append(frame.f_locals["self"])
        frame = frame.f_back
    if not modules:
        return f"at {line}"
    module, root = modules[0], modules[-1]
    names = {id(m): name for name, m in root.named_modules()}
    name = f"module {names[id(module)]} " if names.get(id(module)) else ""
    return f"in {name}({type(module).__name__}), at {line}"


# -- the clock of the tape, which tells who recorded what --

_lock = threading.Lock()


class _Noting:
    """The tape's clock while a block is open: it notes who asks for an age."""

    def __init__(self, clock):
        self.clock = clock

    def __next__(self):
        age = next(self.clock)
        if _mode.anomaly is not None and _mode.recording:
            _mode.anomaly.places[age] = _place()
        return age


def _note_ages(change):
    """Another block is open, or one less."""

    def noting(clock):
        clock = clock.clock if isinstance(clock, _Noting) else clock
        return _Noting(clock) if anomalies else clock

    with _lock:
        change()
        change_clock(noting)
