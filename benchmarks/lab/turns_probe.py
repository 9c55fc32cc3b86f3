"""dlcore and PyTorch by turns in one process: turns_probe.py GROUP [threads] [seconds].

For the cases of a group of the benchmark ("batch_norm fwd+bwd", "train resnet18") the
median milliseconds of dlcore, PyTorch and PyTorch with the channels last, and by what
factor the better of PyTorch's is slower. `python -m dlcore bench` gives each a process
of its own; this is the quick look for one thread, where none disturbs the others.
"""

import statistics
import sys
import time

import torch

import dlcore as dl
from dlcore.bench import inputs, with_dlcore, with_torch
from dlcore.bench.cases import CASES

CONTENDERS = (with_dlcore, "dlcore"), (with_torch, "torch"), (with_torch, "torch-cl")


def medians(case, seconds):
    calls = [
        getattr(module, case.kind)(case, variant, **inputs.make(case))
        for module, variant in CONTENDERS
    ]
    times = [[] for _ in calls]
    for call in calls:
        call()
    end = time.perf_counter() + seconds
    while len(times[0]) < 3 or time.perf_counter() < end:
        for call, own in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            own.append(time.perf_counter() - start)
    return [1e3 * statistics.median(own) for own in times]


def main(group, threads=1, seconds=0.6):
    dl.set_num_threads(int(threads))
    torch.set_num_threads(int(threads))
    ratios = []
    for case in (case for case in CASES if case.group == group):
        ours, *theirs = medians(case, float(seconds))
        ratios.append(min(theirs) / ours)
        shown = "".join(f"{t:9.2f}" for t in (ours, *theirs))
        print(f"{case.name:42}{shown}  {ratios[-1]:.2f}", flush=True)
    print(f"geometric mean {statistics.geometric_mean(ratios):.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
