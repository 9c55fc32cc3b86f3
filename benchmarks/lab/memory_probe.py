"""How much memory a training step takes: memory_probe.py [case of the benchmark] [runs].

For dlcore and PyTorch, each in a process of its own and by turns: by how much the
resident memory grew at its peak over three steps, above what it was when the network,
its optimizer and the inputs were made. The case is "train resnet18" by default.
"""

import importlib
import re
import statistics
import subprocess
import sys
from pathlib import Path

from dlcore.bench import inputs
from dlcore.bench.cases import CASES

STEPS = 3
CONTENDERS = "dlcore", "torch-cl", "torch"


def resident(which):
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{which}:\s+(\d+) kB", status).group(1)) / 1024


def measure(group, contender):
    case = next(case for case in CASES if case.group == group)
    module = importlib.import_module(f"dlcore.bench.with_{contender.split('-')[0]}")
    step = getattr(module, case.kind)(case, contender, **inputs.make(case))
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = resident("VmRSS")
    for _ in range(STEPS):
        step()
    print(resident("VmHWM") - before)


def main(group="train resnet18", runs=3):
    grown = {contender: [] for contender in CONTENDERS}
    for _ in range(int(runs)):
        for contender, values in grown.items():
            command = sys.executable, __file__, "child", group, contender
            done = subprocess.run(command, capture_output=True, check=True)
            values.append(float(done.stdout))
    least = min(statistics.median(v) for k, v in grown.items() if k != "dlcore")
    for contender, values in grown.items():
        print(f"{contender:9} {statistics.median(values):7.1f} MiB  {values}")
    print(
        f"dlcore / the better of PyTorch's: {statistics.median(grown['dlcore']) / least:.2f}"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        measure(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
