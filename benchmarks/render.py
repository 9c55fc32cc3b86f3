"""Writes a result's figures into the docs, so that they quote what a command printed.

    python benchmarks/render.py results/FILE.json

Replaces what stands between the marks `<!-- benchmark -->` and `<!-- /benchmark -->` in
docs/performance.md (everything) and README.md (the short table).
"""

import json
import re
import sys
from pathlib import Path

from dlcore.bench.report import seconds

ROOT = Path(__file__).resolve().parent.parent
MARKED = re.compile(r"(<!-- benchmark -->\n).*?(<!-- /benchmark -->)", re.DOTALL)

# group -> how the README calls it
SHORT = {
    "gemm large": "matrix product, 1024 and up",
    "gemm small": "matrix product, 64 to 256",
    "gemm skinny": "2, 4, 8 rows times 4096x4096",
    "linear fwd+bwd": "linear + bias + GELU, forward and backward",
    "conv2d fwd": "conv2d, ResNet-50's shapes, forward",
    "conv2d fwd+bwd": "conv2d, ResNet-50's shapes, forward and backward",
    "pool fwd": "pooling, forward",
    "elementwise 1e5 fwd": "relu, gelu, sigmoid, tanh, exp on 100,000 elements",
    "elementwise 1e7 fwd": "the same on 10 million elements",
    "softmax fwd": "softmax, log-softmax, cross-entropy, forward",
    "softmax fwd+bwd": "the same, forward and backward",
    "optim": "SGD and Adam on 25.6 million parameters",
    "train lenet5": "LeNet-5, one training step of 64",
    "train mlp": "a 16-32-4 network, one step of Adam",
    "call": "one call on 16 elements",
}


def table(head, rows):
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def machine(result):
    """One sentence: where and with what."""
    m, v = result["machine"], result["versions"]
    libraries = ("numpy", "torch", "onnxruntime")
    peers = ", ".join(f"{name} {v[name]}" for name in libraries if name in v)
    return (
        f"{m['cpu']}, {m['usable_cpus']} CPUs, {m['isa']}; dlcore {v['dlcore']} "
        f"against {peers}; Python {m['python']}; {result['date'][:10]}"
        f"{', fewer and shorter turns (--quick)' if result['quick'] else ''}."
        f"{_again(result)}"
    )


def _again(result):
    runs = [
        f"{again['cases']} of {again['date'][:16].replace('T', ' ')} UTC"
        for again in result.get("again", [])
    ]
    if not runs:
        return ""
    return (
        f" Of the {len(result['cases'])} timings some were taken again after their "
        f"code had changed: {', '.join(runs)}."
    )


def _by_group(result):
    threads = sorted({g["threads"] for g in result["groups"]})
    groups = {}
    for g in result["groups"]:
        groups.setdefault(g["group"], {})[g["threads"]] = g
    return threads, groups


def _ratio(entry, key="ratio"):
    return f"{entry[key]:.2f}" if entry and key in entry else "-"


def short(result):
    """The README's table."""
    threads, groups = _by_group(result)
    head = ["", *(f"{n} thread{'s' * (n > 1)}" for n in threads)]
    rows = [
        [text, *(_ratio(groups[group].get(n)) for n in threads)]
        for group, text in SHORT.items()
        if group in groups
    ]
    return "\n\n".join(
        [
            "How many times as fast as the faster of NumPy and PyTorch "
            "(geometric means; above 1 is faster):",
            table(head, rows),
            machine(result),
        ]
    )


def goals(result):
    """Every goal and what was reached."""
    rows = [
        [
            g["group"],
            g["threads"],
            g["goal"],
            f"{g['got']:.4g}",
            "yes" if g["met"] else "**no**",
        ]
        for g in result["goals"]
    ]
    for f in result["figures"]:
        got = f"{f['value']:.3g}" if "value" in f else f.get("failed")
        got += f" in {f['seconds']:.0f} s" if "seconds" in f else ""
        goal = f"{'at most' if f['most'] else 'at least'} {f['goal']:g} {f['unit']}"
        rows.append([f["name"], "", goal, got, "yes" if f["met"] else "**no**"])
    return table(["group", "threads", "goal", "reached", "met"], rows)


def limits(result):
    """What the machine can do."""
    names = dict.fromkeys(name for found in result["limits"].values() for name in found)
    threads = list(result["limits"])
    rows = []
    for name in names:
        unit = "GFLOP/s" if name.startswith("fma") else "GB/s"
        *words, size = name.split()
        text = (
            name
            if size.startswith("float")
            else f"{' '.join(words)}, {int(size) >> 10} KiB"
        )
        values = (f"{result['limits'][n].get(name, 0) / 1e9:.1f}" for n in threads)
        rows.append([text, *values, unit])
    return table(
        ["limit", *(f"{n} thread{'s' * (n != '1')}" for n in threads), "unit"], rows
    )


def cases(rows):
    """Every case of one number of threads."""
    lines = []
    for r in rows:
        name = f"{r['family']} {r['name']} {r['mode']}"
        if "dlcore" not in r["times"]:
            lines.append(
                [name, r["failed"].get("dlcore", "not timed"), "", "", "", "", ""]
            )
            continue
        peer = r.get("best_peer")
        lines.append(
            [
                name,
                seconds(r["times"]["dlcore"]["median"]),
                f"{r['rate']:.3g} {r['unit']}" if "rate" in r else "",
                f"{r['of_limit']:.0%}" if "of_limit" in r else "",
                f"{seconds(r['times'][peer]['median'])} {peer}" if peer else "",
                _ratio(r),
                _ratio(r, "recycled_ratio"),
            ]
        )
    head = ["case", "dlcore", "rate", "of limit", "best peer", "ratio", "recycled"]
    return table(head, lines)


def weak(result):
    """Where a peer is faster."""
    slow = sorted(
        (r for r in result["cases"] if r.get("ratio", 1) < 1), key=lambda r: r["ratio"]
    )
    if not slow:
        return "None: no peer was faster in any case."
    rows = [
        [
            f"{r['family']} {r['name']} {r['mode']}",
            r["threads"],
            r["best_peer"],
            _ratio(r),
        ]
        for r in slow
    ]
    return table(["case", "threads", "faster peer", "ratio"], rows)


def full(result):
    """The tables of docs/performance.md."""
    parts = [machine(result), "### Goals", goals(result)]
    parts += ["### Weak spots: where a peer is faster", weak(result)]
    parts += ["### Limits, measured in the same run", limits(result)]
    for n in sorted({r["threads"] for r in result["cases"]}):
        parts.append(f"### Every case, {n} thread{'s' * (n > 1)}")
        parts.append(cases([r for r in result["cases"] if r["threads"] == n]))
    return "\n\n".join(parts)


def insert(path, text):
    """Between the marks of one file."""
    before = path.read_text()
    after, found = MARKED.subn(lambda m: f"{m[1]}\n{text}\n\n{m[2]}", before)
    if found:
        path.write_text(after)
    print(f"wrote {path}" if found else f"{path}: no <!-- benchmark --> marks")


def main(arguments):
    """Renders one result into both files."""
    if len(arguments) != 1:
        raise SystemExit("usage: python benchmarks/render.py results/FILE.json")
    result = json.loads(Path(arguments[0]).read_text())
    insert(ROOT / "docs" / "performance.md", full(result))
    insert(ROOT / "README.md", short(result))


if __name__ == "__main__":
    main(sys.argv[1:])
