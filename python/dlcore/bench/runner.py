"""Runs cases: each contender in its own process, verified first, then turn by turn."""

import os
import statistics
import subprocess
import sys
import time
from multiprocessing.connection import Pipe

import numpy as np

from .. import _C

PAUSE = (
    0.04  # seconds between turns: OpenBLAS's and OpenMP's threads stop waiting for work
)
PATIENCE = 180  # seconds for one answer
RECYCLING = {  # glibc keeps freed memory instead of giving it back page by page
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(32 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
}
LARGE = 16 << 20  # bytes written from which recycled memory matters


class Failure(Exception):
    """A contender that cannot do the case; the message says why."""


class Contender:
    """A child process that takes turns at one case after another."""

    def __init__(self, name, threads):
        self.name, self.threads = name, threads
        self.process = None

    def start(self):
        """Starts the process; `Failure` when its library is missing."""
        environment = dict(os.environ)
        cpus = sorted(os.sched_getaffinity(0))
        if self.threads != _C.usable_cpus():
            for library in ("OMP", "MKL", "OPENBLAS", "DLCORE"):
                environment[library + "_NUM_THREADS"] = str(self.threads)
        if self.name.endswith("+m"):
            environment.update(RECYCLING)
        here, there = Pipe()
        if self.threads < _C.usable_cpus():
            os.sched_setaffinity(
                0, cpus[-self.threads :]
            )  # inherited; interrupts favour CPU 0
        try:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    __package__ + ".worker",
                    self.name,
                    str(there.fileno()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[there.fileno()],
                env=environment,
                start_new_session=True,  # Ctrl-C is for the parent to decide
            )
        finally:
            os.sched_setaffinity(0, cpus)
        there.close()
        self.pipe = here
        try:
            self.package, self.version = self._answer()
        except Failure:
            self.stop()
            raise

    def ask(self, method, *arguments):
        """The answer of `Worker.method`; starts the process when there is none."""
        if self.process is None:
            self.start()
        try:
            self.pipe.send((method, *arguments))
        except OSError:
            self.stop()
            raise Failure("the process ended") from None
        return self._answer()

    def _answer(self):
        try:
            if not self.pipe.poll(PATIENCE):
                raise EOFError
            kind, value = self.pipe.recv()
        except (EOFError, OSError):
            code = self.stop()
            raise Failure(f"no answer; the process ended with {code}") from None
        if kind == "error":
            raise Failure(value)
        return value

    def stop(self):
        """Ends the process; returns its exit status."""
        process, self.process = self.process, None
        if process is None:
            return None
        self.pipe.close()
        try:
            return process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def peers_of(case, wanted):
    """Who competes in `case`, with recycled memory too where that matters."""
    peers = [p for p in case.peers if p.split("-")[0] in (*wanted, "dlcore")]
    if case.writes >= LARGE and case.mode != "out=":
        peers += [p + "+m" for p in peers if p.startswith("torch")]
    if passes_plainly(case):
        peers.append("limit")
    return peers


def passes_plainly(case):
    """Whether a plain pass over the case's own arrays takes turns beside the others."""
    if case.group == "attention decode":  # what is left in cache after them counts
        return True
    return case.mode == "out=" and case.kind == "unary" and case.writes >= LARGE


def difference(samples, reference):
    """The largest error relative to the largest value, over all results."""
    if len(samples) != len(reference):
        return float("inf")
    worst = 0.0
    for got, want in zip(samples, reference, strict=True):
        got, want = np.asarray(got), np.asarray(want)
        if got.shape != want.shape:
            return float("inf")
        error = float(np.abs(got - want).max(initial=0.0))
        worst = max(worst, error / (float(np.abs(want).max(initial=0.0)) or 1.0))
        if np.isnan(error):
            return float("inf")
    return worst


class Bench:
    """The contenders of one number of threads, and how long each gets."""

    def __init__(self, threads, peers, quick=False):
        self.threads, self.peers = threads, peers
        self.rounds, self.turn, self.budget = (
            (3, 0.004, 1.0) if quick else (9, 0.012, 4.0)
        )
        self.pause = PAUSE if threads > 1 else 0.001
        self.contenders, self.limits, self.missing = {}, {}, {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for contender in self.contenders.values():
            contender.stop()

    def contender(self, name):
        """The process of that name."""
        if name not in self.contenders:
            self.contenders[name] = Contender(name, self.threads)
        return self.contenders[name]

    def measure_limits(self):
        """Once more; the best of all measurements counts."""
        for name, value in self.contender("dlcore").ask("limits").items():
            self.limits[name] = max(value, self.limits.get(name, 0.0))

    def versions(self):
        """Of the libraries that took part."""
        return {c.package: c.version for c in self.contenders.values() if c.process}

    def run(self, case):
        """A row of the report; a contender that fails is named there, none raises."""
        row = {
            "family": case.family,
            "group": case.group,
            "name": case.name,
            "mode": case.mode,
            "why": case.why,
            "threads": self.threads,
            "flops": case.flops,
            "bytes": case.reads + case.writes,
            "times": {},
            "failed": {},
        }
        samples = self._prepare(case, row["failed"])
        peers = [name for name in samples if name not in ("dlcore", "limit")]
        if "dlcore" in samples and peers:
            error = max(difference(samples["dlcore"], samples[name]) for name in peers)
            row["difference"] = error
            if not error <= case.tolerance:
                row["failed"]["dlcore"] = (
                    f"differs from the peer by {error:.1e} of the largest value, "
                    f"allowed {case.tolerance:.0e}: not timed"
                )
                return row
        self._time(list(samples), row)
        return row

    def _prepare(self, case, failed):
        samples = {}
        for name in ("dlcore", *peers_of(case, self.peers)):
            library = name.removesuffix("+m").split("-")[0]
            if library in self.missing:
                continue
            try:
                samples[name] = self.contender(name).ask("prepare", case.id)
            except Failure as failure:
                if "ModuleNotFoundError" in str(failure) and library in str(failure):
                    self.missing[library] = str(failure)
                else:
                    failed[name] = str(failure)
        return samples

    def _time(self, names, row):
        medians = {name: [] for name in names}
        end = time.perf_counter() + self.budget
        for turn in range(self.rounds):
            fastest = min((min(m) for m in medians.values() if m), default=0.0)
            for name in names:
                times = medians[name]
                if turn >= 3 and (
                    time.perf_counter() > end or min(times) > 4 * fastest
                ):
                    continue  # far behind: three rounds say so
                time.sleep(self.pause)
                try:
                    times.append(
                        statistics.median(self.contender(name).ask("turn", self.turn))
                    )
                except Failure as failure:
                    row["failed"][name] = str(failure)
                    times.append(float("inf"))
        for name, times in medians.items():
            if name not in row["failed"]:
                row["times"][name] = {
                    "median": statistics.median(times),
                    "lowest": min(times),
                    "highest": max(times),
                    "rounds": len(times),
                }
            contender = self.contender(name)
            if contender.process is not None:
                try:
                    contender.ask("drop")
                except Failure:
                    contender.stop()
