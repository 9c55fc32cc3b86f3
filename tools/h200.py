#!/usr/bin/env python3
"""Builds, checks and times the CUDA kernels on a GPU in one call of 10 minutes at most.

``tools/h200.py [--budget 540] [--only FAMILY,...] [--out DIR]`` needs nvcc and PyTorch
and writes DIR/results.jsonl as it goes; a table of ratios and goals comes last.
``--dry-run`` needs no GPU: it shows the plan and checks the cases against csrc/kernels.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from h200_cases import FAMILIES, GOALS  # noqa: E402
from h200_sequence import SEQUENCE  # noqa: E402

FAMILIES |= SEQUENCE

STAGES = (  # name, seconds from the start by which it ends
    ("build", 120),
    ("ceilings", 150),
    ("check", 260),
    ("time", 440),
    ("sanitize", 520),
)
PLUGIN = ROOT / "build" / "h200" / "libdlcore_cuda.so"


# -- a worker: one family in a process of its own, as an error of a kernel ends it --


def kernels():
    """kernel(word): the plugin's function, called with tensors, numbers and structs."""
    import ctypes

    library = ctypes.CDLL(str(PLUGIN))
    library.dlcore_cuda_why_not.restype = ctypes.c_char_p
    library.dlcore_cuda_kernel.restype = ctypes.c_void_p
    reason = library.dlcore_cuda_why_not()
    if reason:
        sys.exit(f"h200: {reason.decode()}")

    def prepared(case):
        address = library.dlcore_cuda_kernel(case.word.encode(), 32)
        function = ctypes.CFUNCTYPE(None)(address)
        arguments = []
        for a in case.arguments:
            if hasattr(a, "data_ptr"):
                arguments.append(ctypes.c_void_p(a.data_ptr()))
            else:
                arguments.append(
                    ctypes.byref(a) if isinstance(a, ctypes.Structure) else a
                )
        return lambda: function(*arguments)

    return prepared


def say(**fields):
    print(json.dumps(fields), flush=True)


def check(family):
    import torch

    prepared = kernels()
    make, sizes, _ = FAMILIES[family]
    torch.manual_seed(0)
    for size in sizes:
        case = make(torch, *size)
        for result, _, _ in case.results:
            if family != "adam" and result.is_floating_point():  # which works in place
                result.fill_(float("nan"))
        run = prepared(case)
        run()
        torch.cuda.synchronize()
        first = [r.clone() for r, _, _ in case.results]
        errors = [(r.double() - e).abs().max().item() for r, e, _ in case.results]
        right = all(e <= t for e, (_, _, t) in zip(errors, case.results))
        same = True
        if family != "adam":
            run()
            torch.cuda.synchronize()
            same = all(torch.equal(f, r) for f, (r, _, _) in zip(first, case.results))
        say(stage="check", family=family, size=size, errors=errors, ok=right and same)


def timed(torch, runs, samples=30):
    """Medians in seconds of functions that take turns."""
    times = [[] for _ in runs]
    flush = torch.empty(256 << 20, dtype=torch.uint8, device="cuda")
    for i in range(samples + 5):
        for k, run in enumerate(runs):
            flush.zero_()  # the L2 holds nothing of the last turn
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            run()
            end.record()
            end.synchronize()
            if i >= 5:
                times[k].append(start.elapsed_time(end) / 1e3)
    return [statistics.median(t) for t in times]


def measure(family):
    import torch

    prepared = kernels()
    make, _, sizes = FAMILIES[family]
    for size in sizes:
        case = make(torch, *size)
        runs = [prepared(case), case.peer]
        if case.bytes:
            buffer = torch.empty(case.bytes // 2, dtype=torch.uint8, device="cuda")
            to = torch.empty_like(buffer)
            runs.append(lambda buffer=buffer, to=to: to.copy_(buffer))
        mine, theirs, *copy = timed(torch, runs)
        line = dict(
            stage="time", family=family, size=size, seconds=mine, peer=theirs / mine
        )
        if copy:
            line["copy"] = copy[0] / mine
            line["gbs"] = case.bytes / mine / 1e9
        if case.flops:
            line["tflops"] = case.flops / mine / 1e12
        say(**line)
        del case, runs
        torch.cuda.empty_cache()


def ceilings(_):
    import torch

    x = torch.empty(1 << 30, dtype=torch.uint8, device="cuda").random_(256)
    y = torch.empty_like(x)
    half = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    copy, product = timed(torch, [lambda: y.copy_(x), lambda: half @ half], 10)
    say(
        stage="ceilings",
        gpu=torch.cuda.get_device_name(),
        torch=torch.__version__,
        copy_gbs=2 * x.numel() / copy / 1e9,
        bf16_tflops=2 * 8192**3 / product / 1e12,
    )


WORKERS = {"check": check, "time": measure, "ceilings": ceilings}


# -- the run --


class Run:
    def __init__(self, budget, out):
        self.start, self.budget = time.monotonic(), budget
        self.out = out
        out.mkdir(parents=True, exist_ok=True)
        self.file = (out / "results.jsonl").open("a")
        self.lines = []

    def left(self, stage):
        share = dict(STAGES)[stage] / STAGES[-1][1]
        return share * self.budget - (time.monotonic() - self.start)

    def record(self, line):
        self.lines.append(line)
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()

    def call(self, stage, name, command):
        """Runs a command in what is left of the stage; its JSON lines are recorded."""
        left = self.left(stage)
        if left < 3:
            self.record(dict(stage=stage, name=name, ok=False, why="no time left"))
            return False
        try:
            made = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, timeout=left
            )
        except subprocess.TimeoutExpired:
            self.record(dict(stage=stage, name=name, ok=False, why="took too long"))
            return False
        for line in made.stdout.splitlines():
            if line.startswith("{"):
                self.record(json.loads(line))
        if made.returncode:
            tail = (made.stdout + made.stderr)[-1500:]
            self.record(dict(stage=stage, name=name, ok=False, why=tail))
        return made.returncode == 0

    def worker(self, stage, family, *before):
        command = [*before, sys.executable, __file__, "--worker", stage, family]
        return self.call(stage if not before else "sanitize", family, command)


def build(run):
    folder = PLUGIN.parent
    configure = ["cmake", "--preset", "cuda", "-B", str(folder)]
    configure.append("-DCMAKE_CUDA_ARCHITECTURES=90a-real")
    make = ["cmake", "--build", str(folder), "--target", "dlcore_cuda", "-j"]
    jobs = [*make, str(os.cpu_count())]
    return run.call("build", "cmake", configure) and run.call("build", "nvcc", jobs)


def table(lines):
    checks = [x for x in lines if x["stage"] == "check"]
    wrong = [x for x in checks if not x.get("ok")]
    print(f"{len(checks)} checks, {len(wrong)} wrong")
    for line in wrong + [x for x in lines if "why" in x and x["stage"] != "check"]:
        print(json.dumps(line)[:600])
    print(f"{'family':20} {'size':24} {'us':>9} {'peer':>6} {'copy':>6} {'goal':>6}")
    for x in (x for x in lines if x["stage"] == "time" and "seconds" in x):
        goal = GOALS.get(x["size"][-1] if len(x["size"]) == 2 else None, "")
        print(
            f"{x['family']:20} {str(x['size'])[:24]:24} {x['seconds'] * 1e6:9.1f} "
            f"{x['peer']:6.2f} {x.get('copy', float('nan')):6.2f} {goal!s:>6}"
        )


def whole(run, families):
    if not build(run):
        table(run.lines)
        return 1
    run.worker("ceilings", "all")
    for stage in ("check", "time"):
        for family in families:
            run.worker(stage, family)
    if shutil.which("compute-sanitizer"):
        for tool in ("memcheck", "racecheck", "synccheck"):
            for family in families:
                run.worker("check", family, "compute-sanitizer", "--tool", tool)
    table(run.lines)
    return any(not x.get("ok", True) for x in run.lines)


# -- without a GPU --


class NoTensors:
    """In PyTorch's place: shapes alone, enough to make the arguments of a case."""

    def __getattr__(self, name):
        return NoTensors()

    def __call__(self, *args, **kwargs):
        return NoTensors()

    def __getitem__(self, i):
        return NoTensors()

    def _same(self, *others):
        return NoTensors()

    __add__ = __radd__ = __matmul__ = __pow__ = __mul__ = _same

    def __iter__(self):
        return iter([NoTensors()] * 3)

    def data_ptr(self):
        return 64

    def numel(self):
        return 1


def arguments_of(word):
    """How many a kernel takes, by its signature."""
    for header in sorted((ROOT / "csrc" / "kernels").glob("*.h")):
        found = re.search(
            rf"SIGNATURE\({word},\s*\((.*?)\)\);", header.read_text(), re.S
        )
        if found:
            return re.sub(r"<[^>]*>", "", found[1]).count(",") + 1
    raise ValueError(f"no kernel {word}")


def dry_run(families):
    begin = 0
    for name, end in STAGES:
        print(f"{begin:4d} to {end:4d} s  {name}")
        begin = end
    exported = "".join(f.read_text() for f in (ROOT / "csrc" / "cuda").glob("*.cu"))
    bad = 0
    for family in families:
        make, small, large = FAMILIES[family]
        case = make(NoTensors(), *small[-1])
        wanted, given = arguments_of(case.word), len(case.arguments)
        ok = wanted == given and f"DLCORE_CUDA_EXPORT({case.word})" in exported
        bad += not ok
        print(
            f"{family:20} {case.word}: {len(small)} checks, {len(large)} timings"
            + ("" if ok else f": WRONG, takes {wanted} arguments, gets {given}")
        )
    print(f"ready: {len(families)} families, {bad} wrong")
    return bad != 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--budget", type=float, default=540, help="seconds")
    parser.add_argument("--only", help="families, with commas")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build" / "h200-out")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--worker", nargs=2, metavar=("STAGE", "FAMILY"))
    options = parser.parse_args()
    if options.worker:
        WORKERS[options.worker[0]](options.worker[1])
        return 0
    families = options.only.split(",") if options.only else list(FAMILIES)
    if options.dry_run:
        return dry_run(families)
    return whole(Run(options.budget, options.out), families)


if __name__ == "__main__":
    sys.exit(main())
