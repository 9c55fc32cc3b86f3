"""``python -m dlcore bench``: dlcore against the libraries installed beside it."""

import fnmatch
import json
import os
import platform
import sys
import time

EXAMPLES = """examples:
  python -m dlcore bench                    everything; --quick takes 40 minutes
  python -m dlcore bench gemm               one family
  python -m dlcore bench 'conv2d b1 * 3x3*' --threads 1
  python -m dlcore bench softmax --json softmax.json --plot softmax.png
"""


def add_arguments(parser):
    """The options of ``bench``."""
    parser.epilog = EXAMPLES
    parser.add_argument(
        "pattern",
        nargs="*",
        help="a family, a part of a case's name, a pattern with * and ?; default: all",
    )
    parser.add_argument(
        "--threads",
        type=int,
        nargs="+",
        metavar="N",
        help="default: 1 and all usable CPUs",
    )
    parser.add_argument(
        "--peers",
        nargs="*",
        default=["numpy", "torch", "onnxruntime"],
        choices=["numpy", "torch", "onnxruntime"],
        help="whom to compare with; default: all that are installed",
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter turns")
    parser.add_argument(
        "--list", action="store_true", help="print the cases and why they exist"
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write machine, limits and every case"
    )
    parser.add_argument(
        "--plot", metavar="FILE.png", help="write a chart (needs matplotlib)"
    )


def select(patterns, among):
    """Those that a pattern names, in their order."""

    def hit(item, pattern):
        if any(c in pattern for c in "*?"):
            texts = item.id, item.id.partition(" ")[2]
            return any(fnmatch.fnmatchcase(t + " ", pattern + " *") for t in texts)
        return (
            item.id.startswith(pattern + " ")
            if pattern in families
            else pattern in item.id
        )

    families = {item.id.split()[0] for item in among}
    return [x for x in among if not patterns or any(hit(x, p) for p in patterns)]


def _refuse(message):
    print("bench: " + message, file=sys.stderr)
    return 2


def _progress(items):
    """The items behind a progress bar on a terminal, when tqdm is installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return items, print
    bar = tqdm(items, unit="case", dynamic_ncols=True, leave=False, disable=None)
    return bar, tqdm.write


def _writable(path):
    folder = os.path.dirname(os.path.abspath(path))
    return os.path.isdir(folder) and os.access(folder, os.W_OK)


def run(args):
    """Runs the command; returns its exit code: 1 when a case of dlcore's failed."""
    from .. import _C
    from .cases import CASES, FAMILIES
    from .process import FIGURES

    chosen = select(args.pattern, (*CASES, *FIGURES))
    if not chosen:
        names = ", ".join((*FAMILIES, "process"))
        return _refuse(
            f"no case matches {' '.join(args.pattern)!r}: the families are {names}"
        )
    if args.list:
        for item in chosen:
            print(f"{item.id:<60} {item.why}")
        return 0
    counts = args.threads or sorted({1, _C.num_threads()})
    if min(counts) < 1 or max(counts) > _C.usable_cpus():
        return _refuse(
            f"--threads must be from 1 to {_C.usable_cpus()}, the usable CPUs"
        )
    for path in (args.json, args.plot):
        if path and not _writable(path):
            return _refuse(f"cannot write {path}: no such folder, or not writable")
    if args.plot:
        try:
            import matplotlib  # noqa: F401
        except ImportError:
            return _refuse("--plot needs matplotlib: pip install matplotlib")
    return _run(args, chosen, dict.fromkeys(counts))


def _machine():
    from .. import _C

    return {
        "cpu": _C.cpu_name(),
        "isa": _C.isa(),
        "isas": _C.isas(),
        "usable_cpus": _C.usable_cpus(),
        "cache_bytes": [_C.cache_bytes(level) for level in (1, 2, 3)],
        "compiler": _C.compiler,
        "platform": platform.platform(),
        "python": platform.python_version(),
    }


def _run(args, chosen, counts):
    from . import process, report

    figures = [item for item in chosen if isinstance(item, process.Figure)]
    cases = [item for item in chosen if item not in figures]
    result = {
        "format": 1,
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": _machine(),
        "quick": args.quick,
        "versions": {},
        "limits": {},
        "figures": [],
        "cases": [],
    }

    def keep():
        if args.json:
            _write(result, args.json)

    print(f"{result['machine']['cpu']}, {result['machine']['isa']}", flush=True)
    for figure in figures:
        result["figures"].append(process.run(figure))
        print(process.line(result["figures"][-1]), flush=True)
        keep()
    for threads in counts if cases else ():
        _run_cases(threads, cases, args, result, keep)
    rows = result["cases"]
    result["groups"], result["goals"] = report.groups(rows), report.goals(rows)
    if rows:
        print("\n" + report.summary(rows))
    keep()
    if args.plot:
        report.plot(rows, args.plot)
    failed = [row for row in rows if "dlcore" in row["failed"]]
    return 1 if failed or any("failed" in row for row in result["figures"]) else 0


def _run_cases(threads, cases, args, result, keep):
    """Adds a row for each case; whatever fails is in its row."""
    from . import report
    from .runner import Bench, Failure

    with Bench(threads, args.peers, args.quick) as bench:
        print(f"\n{threads} thread{'s' * (threads > 1)}\n{report.HEAD}", flush=True)
        family = None
        bar, say = _progress(cases)
        for case in bar:
            if case.family != family:
                family = case.family
                try:
                    bench.measure_limits()
                except Failure as failure:
                    say(f"limits: {failure}")
            row = report.judge(bench.run(case), bench.limits)
            result["cases"].append(row)
            result["limits"][str(threads)] = bench.limits
            result["versions"].update(bench.versions())
            say(report.line(row))
            sys.stdout.flush()
            keep()
        for library, why in bench.missing.items():
            print(f"not compared with {library}: {why}")


def _write(result, path):
    """Replaces the file in one move: a stopped run leaves what it has measured."""
    with open(path + ".part", "w") as file:
        json.dump(result, file, indent=1)
        file.write("\n")
    os.replace(path + ".part", path)
