"""The whole benchmark in one command, kept under results/ and quoted in the docs.

    python benchmarks/run.py               # everything, then render.py
    python benchmarks/run.py --quick       # the same with fewer and shorter turns
    python benchmarks/run.py gemm --quick  # as `python -m dlcore bench`; no rendering
    python benchmarks/run.py --again 'conv*'  # quick; in the place of the kept ones

Weighs the newest wheel in dist/ (`python -m build --wheel`).
"""

import json
import re
import sys
import tempfile
import time
from pathlib import Path

import render

from dlcore import _C, __main__
from dlcore.bench import report

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


def _key(row):
    return tuple(row[k] for k in ("family", "group", "name", "mode", "threads"))


def again(patterns):
    """Time some cases of the newest result of this machine anew: their code changed."""
    machine = result_path().name.removesuffix(
        time.strftime("%Y-%m-%d.json", time.gmtime())
    )
    kept = sorted((HERE / "results").glob(f"{machine}*.json"))
    if not kept:
        print("nothing is kept of this machine yet: run without --again")
        return 2
    result = json.loads(kept[-1].read_text())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "again.json"
        code = __main__.main(["bench", *patterns, "--quick", "--json", str(path)])
        if code > 1:
            return code
        new = json.loads(path.read_text())
    rows = list({_key(row): row for row in result["cases"] + new["cases"]}.values())
    figures = {f["name"]: f for f in [*result["figures"], *new["figures"], weigh()]}
    result |= {"cases": rows, "figures": list(figures.values())}
    result |= {"groups": report.groups(rows), "goals": report.goals(rows)}
    result["again"] = [
        *result.get("again", []),
        {"date": new["date"], "cases": len(new["cases"])},
    ]
    keep(result, kept[-1])
    return 0


def keep(result, path):
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"kept in {path}")
    render.main([str(path)])


def main(arguments):
    """Returns the exit code of the benchmark."""
    if arguments[:1] == ["--again"]:
        return again(arguments[1:])
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
    keep(result, path)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
