"""The whole benchmark in one command, kept under results/ and quoted in the docs.

    python benchmarks/run.py               # everything, then render.py
    python benchmarks/run.py --quick       # the same with fewer and shorter turns
    python benchmarks/run.py gemm --quick  # as `python -m dlcore bench`; no rendering

Weighs the newest wheel in dist/ (`python -m build --wheel`).
"""

import json
import re
import sys
import time
from pathlib import Path

import render

from dlcore import _C, __main__

HERE = Path(__file__).resolve().parent
WHEEL_GOAL = 3.0  # MB


def result_path():
    """results/CPU-CPUS-DATE.json."""
    cpu = re.sub(r"\([^)]*\)|\bCPU\b|@.*", " ", _C.cpu_name()).lower()
    name = "-".join(re.findall(r"[a-z0-9]+", cpu)) or "unknown"
    date = time.strftime("%Y-%m-%d", time.gmtime())
    return HERE / "results" / f"{name}-{_C.usable_cpus()}cpu-{date}.json"


def weigh():
    """The wheel's size as a figure like those of `dlcore.bench.process`."""
    row = {"name": "wheel", "why": "what pip downloads", "unit": "MB"}
    row |= {"goal": WHEEL_GOAL, "most": True}
    wheels = sorted(
        (HERE.parent / "dist").glob("*.whl"), key=lambda path: path.stat().st_mtime
    )
    if not wheels:
        return row | {
            "failed": "no wheel in dist/: python -m build --wheel",
            "met": False,
        }
    size = wheels[-1].stat().st_size / 1e6
    return row | {"value": size, "met": size <= WHEEL_GOAL}


def main(arguments):
    """Returns the exit code of the benchmark."""
    if arguments not in ([], ["--quick"]):
        return __main__.main(["bench", *arguments])
    path = result_path()
    path.parent.mkdir(exist_ok=True)
    kept = ["--json", str(path), "--plot", str(path.with_suffix(".png"))]
    code = __main__.main(["bench", *arguments, *kept])
    if code > 1:
        return code
    result = json.loads(path.read_text())
    result["figures"].append(weigh())
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"kept in {path}")
    render.main([str(path)])
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
