"""A model layer by layer: shapes, parameters, work, time, nearness to the limit."""

import statistics
import threading
import time
from dataclasses import dataclass, field

import numpy as np

from . import _C
from .flops import Count, _short, check_call, count_flops
from .grad_mode import no_grad
from .nn import Module
from .random import get_rng_state, set_rng_state
from .tensor import Tensor

_timing = threading.Lock()
_limits: dict = {}  # by instruction set and number of threads


@dataclass
class Layer:
    """What one module does itself, without the modules inside it.

    Attributes
    ----------
    name : str
        The dotted name in the model; ``""`` is the model itself.
    type : str
        Its class.
    output_shape : tuple or None
        Of its last call; a list of them where it gives several arrays.
    parameters : int
        Elements of its parameters; a shared one counts where it is found first.
    calls, flops, bytes : int
        Calls of the module; see `Count`.
    ms : float or None
        Milliseconds in all its calls of one pass, the median of several passes.
    of_limit : float or None
        The least time that this machine needs for `flops` and `bytes`, over `ms`.
    """

    name: str
    type: str
    output_shape: object = None
    parameters: int = 0
    calls: int = 0
    flops: int = 0
    bytes: int = 0
    ms: float | None = None
    of_limit: float | None = None


@dataclass(repr=False)
class Summary:
    """The result of `summary`; prints as a table.

    Attributes
    ----------
    rows : list of Layer
        In the order of `Module.named_modules`.
    total : Layer
        All together.
    """

    rows: list = field(default_factory=list)
    total: Layer | None = None

    def __repr__(self):
        head = "layer", "type", "output", "parameters", "flops", "bytes", "ms", "limit"
        lines = [head, *map(_line, [*self.rows, self.total])]
        widths = [max(map(len, column)) for column in zip(*lines)]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if i < 3 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths))
            ).rstrip()
            for line in lines
        )


def _line(row):
    worked = row.flops or row.bytes
    return (
        row.name,
        row.type,
        "" if row.output_shape is None else str(row.output_shape),
        f"{row.parameters:,}" if row.parameters else "",
        _short(row.flops) if worked else "",
        _short(row.bytes, "B") if worked else "",
        "" if row.ms is None else f"{row.ms:.3f}",
        "" if row.of_limit is None else f"{row.of_limit:.0%}",
    )


def summary(model, *inputs, seconds=0.5):
    """What each layer of a model gives, holds, computes, moves and takes.

    Parameters
    ----------
    model : Module
        It runs forward, without gradients, in the mode it is in.
    *inputs : ndarray, Tensor or anything else
        What to call it with.
    seconds : float, optional
        How long to time it, in three passes at least. 0 leaves out time and limit.

    Returns
    -------
    Summary
        `rows`, one `Layer` for each module, and `total`; prints as a table.

    Raises
    ------
    TypeError
        If `model` is no Module, or does not take `inputs`.

    Notes
    -----
    A row is what the module does itself: a block's row has the sum and the activation
    that its `forward` adds to its layers. The limit is what ``python -m dlcore bench``
    measures, arithmetic or memory, whichever is slower; to measure it takes some two
    seconds, once. FLOPs are those of `count_flops`, so a convolution by Winograd's
    way may come out above 100%. A tiny layer takes what Python takes. Buffers and the
    random numbers are afterwards as they were.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> model = dl.nn.Sequential(dl.nn.Linear(64, 100), dl.nn.ReLU())
    >>> dl.summary(model, np.zeros((8, 64), "float32"), seconds=0)
    layer  type        output    parameters    flops     bytes  ms  limit
           Sequential  (8, 100)
    0      Linear      (8, 100)       6,500  103.2 k  31.25 kB
    1      ReLU        (8, 100)                  800    6.4 kB
    total                             6,500    104 k  37.65 kB
    """
    if not isinstance(model, Module):
        raise TypeError(f"summary: model must be a Module, got {type(model).__name__}")
    check_call("summary", model, inputs)
    kept = [(buffer, buffer.data.copy()) for buffer in model.buffers()]
    state = get_rng_state()
    try:
        with no_grad():
            counts = count_flops(model, *inputs).by_module()
            rows = _rows(model, counts)
            _run(model, inputs, seconds, rows)
    finally:
        set_rng_state(state)
        for buffer, data in kept:
            np.copyto(buffer.data, data)
    total = _total(rows)
    if seconds > 0:
        limits = _measured_limits(model)
        for row in [*rows, total]:
            _judge(row, limits)
    return Summary(rows, total)


def _rows(model, counts):
    rows, seen = [], set()
    for name, module in model.named_modules():
        own = [p for p in module.parameters(recurse=False) if id(p) not in seen]
        seen.update(map(id, own))
        count = counts.pop(name, Count())
        size = sum(p.data.size for p in own)
        row = Layer(
            name, type(module).__name__, None, size, 0, count.flops, count.bytes
        )
        rows.append(row)
    for count in counts.values():  # of modules that the model does not list
        rows[0].flops += count.flops
        rows[0].bytes += count.bytes
    return rows


def _run(model, inputs, seconds, rows):
    """Fill in shapes, calls and times."""
    names = {module: row for (_, module), row in zip(model.named_modules(), rows)}
    with _timing, _Watch() as watch:
        model(*inputs)
        for module, (calls, _, result) in watch.take().items():
            if module in names:
                names[module].calls = calls
                names[module].output_shape = _shape(result)
        passes = []
        end = time.perf_counter() + seconds
        while seconds > 0 and (len(passes) < 3 or time.perf_counter() < end):
            model(*inputs)
            taken = dict.fromkeys(names, 0.0)
            for module, (_, own, _) in watch.take().items():
                taken[module if module in names else model] += own
            passes.append(taken)
    for module, row in names.items():
        if passes and row.calls:
            row.ms = statistics.median(taken[module] for taken in passes) * 1e3


class _Watch:
    """Sees each call of a module by this thread: how often, how long, what it gave."""

    def __enter__(self):
        self._plain = plain = Module.__call__
        self._calls, thread = {}, threading.get_ident()
        inside, clock, calls = [], time.perf_counter, self._calls

        def __call__(self, *args, **kwargs):
            if threading.get_ident() != thread:
                return plain(self, *args, **kwargs)
            inside.append(0.0)
            start = clock()
            try:
                result = plain(self, *args, **kwargs)
            finally:
                taken = clock() - start
                own = taken - inside.pop()
                if inside:
                    inside[-1] += taken
            count, before, _ = calls.get(self, (0, 0.0, None))
            calls[self] = count + 1, before + own, result
            return result

        Module.__call__ = __call__
        return self

    def __exit__(self, *_):
        Module.__call__ = self._plain

    def take(self):
        """(calls, seconds, last result) by module since the last time."""
        taken = dict(self._calls)
        self._calls.clear()
        return taken


def _shape(result):
    if isinstance(result, (Tensor, np.ndarray)):
        return result.shape
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, (tuple, list)):
        return [shape for part in result if (shape := _shape(part)) is not None]
    return None


def _total(rows):
    total = Layer("total", "", None)
    for name in ("parameters", "calls", "flops", "bytes"):
        setattr(total, name, sum(getattr(row, name) for row in rows))
    times = [row.ms for row in rows if row.ms is not None]
    total.ms = sum(times) if times else None
    return total


def _measured_limits(model):
    from .bench.with_limit import measure

    key = _C.isa(), _C.num_threads()
    if key not in _limits:
        _limits[key] = measure()
    limits = dict(_limits[key])
    if any(p.data.dtype == np.float64 for p in model.parameters()):
        limits["fma float32"] = limits["fma float64"]
    return limits


def _judge(row, limits):
    from .bench.report import least_time

    if row.ms and (row.flops or row.bytes):
        work = {"flops": row.flops, "bytes": row.bytes, "mode": "forward"}
        row.of_limit = least_time(work, limits) * 1e3 / row.ms
