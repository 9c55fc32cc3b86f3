"""One contender in its own process: prepares a case, shows its result, takes turns.

Started by `runner.Contender`. In one process with others, the waiting threads of
OpenBLAS and OpenMP would spoil the next contender's time.
"""

import gc
import importlib
import sys
import time
from itertools import repeat
from multiprocessing.connection import Connection

_SAMPLE = 1 << 16  # values of each result that are compared


def best(call, seconds):
    """The shortest of the calls that fit into `seconds`, at least three."""
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def _sample(outputs):
    """Some of the values of each result, as float64."""
    import numpy as np

    samples = []
    for output in outputs if isinstance(outputs, tuple | list) else (outputs,):
        if hasattr(output, "detach"):
            output = output.detach()
        flat = np.asarray(
            getattr(output, "data", output) if _is_tensor(output) else output
        )
        flat = flat.reshape(-1)
        step = max(1, flat.size * min(len(samples) + 1, 8) // _SAMPLE)
        samples.append(flat[:: step | 1].astype(np.float64))
    return samples


def _is_tensor(x):
    return type(x).__module__ == "dlcore.tensor"


class Worker:
    """The case in hand and what a turn of it does."""

    def __init__(self, contender):
        self.variant = contender.removesuffix("+m")
        self.module = importlib.import_module(
            f"{__package__}.with_{self.variant.split('-')[0]}"
        )
        self.call = None

    def prepare(self, case_id):
        """Sets the case up; returns samples of its results."""
        from . import inputs
        from .cases import CASES

        self.call = None
        case = next(case for case in CASES if case.id == case_id)
        self.call = getattr(self.module, case.kind)(
            case, self.variant, **inputs.make(case)
        )
        for _ in range(3 if case.mode == "step" else 1):  # a step shows in the next one
            outputs = self.call()
        samples = _sample(outputs)
        if case.kind == "dropout":  # random: compare its mean and the part kept
            samples = [[s.mean(), (s != 0).mean()] for s in samples]
        del outputs
        self._calibrate()
        return samples

    def _calibrate(self):
        """So many calls between two looks at the clock that the look costs nothing."""
        once = best(self.call, 0.002)
        self.calls = max(1, int(20e-6 / once)) if once < 20e-6 else 1

    def turn(self, seconds):
        """Seconds of one call, in a list, after one that wakes threads and caches."""
        call, calls, times = self.call, self.calls, []
        call()
        gc.collect()
        gc.disable()
        clock = time.perf_counter
        end = clock() + seconds
        while True:
            start = clock()
            for _ in repeat(None, calls):
                call()
            stop = clock()
            times.append((stop - start) / calls)
            if stop >= end:
                break
        gc.enable()
        return times

    def drop(self):
        """Frees the case in hand."""
        self.call = None
        gc.collect()

    def limits(self):
        """What the machine can do, measured now."""
        from . import with_limit

        return with_limit.measure()

    def version(self):
        """Of the contender's library."""
        name = self.variant.split("-")[0]
        library = importlib.import_module({"limit": "dlcore"}.get(name, name))
        return name, library.__version__


def main(contender, descriptor):
    """Answers requests, a method's name and arguments each, until the parent goes."""
    with Connection(descriptor) as parent:
        try:
            _serve(contender, parent)
        except (EOFError, ConnectionError):
            pass


def _serve(contender, parent):
    try:
        worker = Worker(contender)
        parent.send(("ready", worker.version()))
    except ImportError as error:
        parent.send(("error", f"{type(error).__name__}: {error}"))
        return
    while True:
        method, *arguments = parent.recv()
        try:
            answer = "done", getattr(worker, method)(*arguments)
        except Exception as error:
            worker.call = None
            answer = "error", f"{type(error).__name__}: {error}"
        parent.send(answer)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
