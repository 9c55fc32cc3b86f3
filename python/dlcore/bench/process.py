"""Figures of a whole process: what an import costs and loads, what the demo reaches."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from .. import _C

_IMPORT = """
import json, sys, time
import numpy

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

def libraries():
    with open("/proc/self/maps") as file:
        return {line.split()[-1] for line in file if ".so" in line}

memory, files, start = resident(), libraries(), time.perf_counter()
import dlcore
seconds = time.perf_counter() - start
extra = sorted(libraries() - files)
print(json.dumps([seconds * 1e3, (resident() - memory) / 1e6, extra]))
"""
_SYSTEM = ("/lib", "/usr/lib")


@dataclass(frozen=True)
class Figure:
    """One number with a goal."""

    id: str
    why: str
    unit: str
    goal: float
    most: bool  # the goal is an upper bound
    measure: Callable


@cache  # three figures of the same nine processes
def _imports():
    """Imports as users have them: compiled once, by the first run or by pip."""
    environment = dict(os.environ)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", _IMPORT]
    with tempfile.TemporaryDirectory() as environment["PYTHONPYCACHEPREFIX"]:
        runs = [
            subprocess.run(command, capture_output=True, check=True, env=environment)
            for _ in range(10)
        ]
    return [json.loads(run.stdout) for run in runs[1:]]


def _import_time():
    return statistics.median(milliseconds for milliseconds, _, _ in _imports())


def _import_memory():
    return statistics.median(megabytes for _, megabytes, _ in _imports())


def _libraries():
    """How many shared libraries come with dlcore beyond its own and the system's."""
    own = os.path.realpath(_C.__file__), *_SYSTEM, os.path.realpath(sys.base_prefix)
    return len([name for name in _imports()[0][2] if not name.startswith(own)])


def _demo():
    """The held-out accuracy in percent; the wall time must be below 30 s as well."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = [sys.executable, "-m", "dlcore", "demo"]
        run = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=120
        )
        seconds = time.perf_counter() - start
    lines = run.stdout.strip().splitlines()
    if run.returncode or not lines or not lines[-1].startswith("test accuracy:"):
        tail = (run.stderr or run.stdout).strip().splitlines()
        raise RuntimeError(f"the demo ended with {run.returncode}: {tail[-1:]}")
    return 100 * float(lines[-1].split(":")[1]), seconds


FIGURES = (
    Figure("process import time", "on top of NumPy's", "ms", 40, True, _import_time),
    Figure(
        "process import memory", "on top of NumPy's", "MB", 15, True, _import_memory
    ),
    Figure("process libraries", "beyond the system's", "", 0, True, _libraries),
    Figure(
        "process demo accuracy", "LeNet-5 on held-out digits", "%", 98.5, False, _demo
    ),
)


def run(figure):
    """A row: the value, whether it meets its goal, or why there is none."""
    row = {
        "name": figure.id,
        "why": figure.why,
        "unit": figure.unit,
        "goal": figure.goal,
    }
    row["most"] = figure.most
    try:
        value = figure.measure()
    except Exception as error:
        return row | {"failed": f"{type(error).__name__}: {error}", "met": False}
    if isinstance(value, tuple):
        value, row["seconds"] = value
    met = value <= figure.goal if figure.most else value >= figure.goal
    return row | {"value": value, "met": met and row.get("seconds", 0) <= 30}


def line(row):
    """One figure as text."""
    if "failed" in row:
        return f"{row['name']:<28} FAILED  {row['failed']}"
    seconds = f" in {row['seconds']:.1f} s" if "seconds" in row else ""
    bound = "at most" if row["most"] else "at least"
    return (
        f"{row['name']:<28} {row['value']:.4g} {row['unit']}{seconds}: goal {bound} "
        f"{row['goal']:g}, {'met' if row['met'] else 'NOT MET'} ({row['why']})"
    )
