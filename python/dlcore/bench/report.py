"""From times to ratios, fractions of the limit, means and goals; text and chart."""

import math

from .goals import GOALS


def judge(row, limits):
    """Adds best peer, ratios, rate and fraction of the limit to a timed row."""
    times = {name: t["median"] for name, t in row["times"].items()}
    mine = times.pop("dlcore", None)
    copied = times.pop("limit", None)
    if mine is None:
        return row
    recycled = {name: t for name, t in times.items() if name.endswith("+m")}
    default = {name: t for name, t in times.items() if name not in recycled}
    if default:
        row["best_peer"] = min(default, key=default.get)
        row["ratio"] = default[row["best_peer"]] / mine
    if recycled:
        row["recycled_ratio"] = min(times.values()) / mine
    if row["flops"]:
        row["rate"], row["unit"] = row["flops"] / mine / 1e9, "GFLOP/s"
    elif row["bytes"]:
        row["rate"], row["unit"] = row["bytes"] / mine / 1e9, "GB/s"
    if copied:
        row["of_limit"] = copied / mine
    elif limits and "unit" in row:
        row["of_limit"] = least_time(row, limits) / mine
    return row


def least_time(row, limits):
    """Seconds that the machine needs at least: the slower of arithmetic and memory."""
    arithmetic = row["flops"] / limits["fma float32"]
    if not row["bytes"]:
        return arithmetic
    footprints = sorted(
        {int(name.split()[-1]) for name in limits if name.startswith("read ")}
    )
    nearest = min(footprints, key=lambda size: abs(math.log(size / row["bytes"])))
    passes = [name for name in limits if name.endswith(f" {nearest}")]
    if row["mode"] != "step":  # only an optimizer writes where it has read
        passes = [name for name in passes if not name.startswith("update")]
    return max(arithmetic, row["bytes"] / max(limits[name] for name in passes))


def mean(values):
    """The geometric mean."""
    return math.exp(math.fsum(map(math.log, values)) / len(values))


def _value(row, measure):
    if measure == "microseconds":
        return (
            row["times"]["dlcore"]["median"] * 1e6 if "dlcore" in row["times"] else None
        )
    return row.get(measure)


def goals(rows):
    """What each group with a goal reached, for each number of threads."""
    reached = []
    for goal in GOALS:
        for threads in sorted({row["threads"] for row in rows}):
            group = [
                r for r in rows if (r["group"], r["threads"]) == (goal.group, threads)
            ]
            values = [
                v for row in group if (v := _value(row, goal.measure)) is not None
            ]
            if not values:
                continue
            upward = goal.measure != "microseconds"
            worst = min if upward else max
            got = mean(values) if goal.statistic == "mean" else worst(values)
            complete = len(values) == len(group)
            reached.append(
                {
                    "group": goal.group,
                    "threads": threads,
                    "goal": goal.text,
                    "value": goal.value,
                    "got": got,
                    "met": complete
                    and (got >= goal.value if upward else got <= goal.value),
                    "cases": len(values),
                    "missing": len(group) - len(values),
                }
            )
    return reached


def groups(rows):
    """Geometric means by group and number of threads."""
    keys = dict.fromkeys((row["group"], row["threads"]) for row in rows)
    table = []
    for group, threads in keys:
        members = [r for r in rows if (r["group"], r["threads"]) == (group, threads)]
        entry = {"group": group, "threads": threads, "cases": len(members)}
        for measure in ("ratio", "recycled_ratio", "of_limit"):
            values = [row[measure] for row in members if measure in row]
            if values:
                entry[measure] = mean(values)
                if measure == "ratio":
                    entry["worst"] = min(values)
        table.append(entry)
    return table


# -- text ------------------------------------------------------------------------------


def seconds(value):
    """Three digits and a unit."""
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


HEAD = (
    f"{'case':<44} {'mode':<7} {'dlcore':>8} {'rate':>13} {'of limit':>8}  "
    f"{'best peer':>20} {'ratio':>7} {'recycled':>8}"
)


def line(row):
    """One row of the table."""
    start = f"{row['family'] + ' ' + row['name']:<44} {row['mode']:<7} "
    if "dlcore" not in row["times"]:
        return start + "FAILED  " + row["failed"].get("dlcore", "not timed")
    mine = seconds(row["times"]["dlcore"]["median"])
    rate = f"{row['rate']:.3g} {row['unit']}" if "rate" in row else ""
    limit = f"{row['of_limit']:.0%}" if "of_limit" in row else ""
    peer = ratio = ""
    if "best_peer" in row:
        peer = f"{seconds(row['times'][row['best_peer']]['median'])} {row['best_peer']}"
        ratio = f"{row['ratio']:.2f}x"
    recycled = f"{row['recycled_ratio']:.2f}x" if "recycled_ratio" in row else ""
    text = (
        f"{start}{mine:>8} {rate:>13} {limit:>8}  {peer:>20} {ratio:>7} {recycled:>8}"
    )
    others = {name: why for name, why in row["failed"].items() if name != "dlcore"}
    return "\n".join(
        [text.rstrip(), *(f"    {name}: {why}" for name, why in others.items())]
    )


def _times(value):
    return f"{value:.2f}x" if value is not None else ""


def summary(rows):
    """Means by group, then goals."""
    layout = "{:<24} {:>7} {:>5} {:>7} {:>7} {:>8} {:>8}"
    head = (
        "geometric means",
        "threads",
        "cases",
        "ratio",
        "worst",
        "recycled",
        "of limit",
    )
    lines = [layout.format(*head)]
    for g in groups(rows):
        ratios = (_times(g.get(name)) for name in ("ratio", "worst", "recycled_ratio"))
        limit = f"{g['of_limit']:.0%}" if "of_limit" in g else ""
        lines.append(
            layout.format(g["group"], g["threads"], g["cases"], *ratios, limit)
        )
    lines += ["", "goals"]
    for g in goals(rows):
        lack = f", {g['missing']} cases missing" if g["missing"] else ""
        verdict = "met" if g["met"] else "NOT MET"
        lines.append(
            f"{g['group']:<22} {g['threads']} thread{'s' * (g['threads'] > 1)}: "
            f"goal {g['goal']}, got {g['got']:.4g}: {verdict}{lack}"
        )
    return "\n".join(lines)


# -- chart -----------------------------------------------------------------------------


def plot(rows, path):
    """A bar for each case: how many times as fast as the best peer."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = [row for row in rows if "ratio" in row]
    counts = sorted({row["threads"] for row in rows})
    names = list(dict.fromkeys(f"{r['family']} {r['name']} {r['mode']}" for r in rows))
    figure, axes = plt.subplots(
        figsize=(9, 1.5 + 0.22 * len(names) * max(1, len(counts)))
    )
    height = 0.8 / max(1, len(counts))
    for i, threads in enumerate(counts):
        mine = {
            f"{r['family']} {r['name']} {r['mode']}": r["ratio"]
            for r in rows
            if r["threads"] == threads
        }
        at = [j + i * height for j, name in enumerate(names) if name in mine]
        label = f"{threads} thread{'s' * (threads > 1)}"
        axes.barh(
            at, [mine[name] for name in names if name in mine], height, label=label
        )
    axes.axvline(1.0, color="black", linewidth=1)
    axes.set_yticks(
        [j + height * (len(counts) - 1) / 2 for j in range(len(names))], names
    )
    axes.tick_params(axis="y", labelsize=7)
    axes.set_ylim(-0.6, max(len(names), 1) - 0.1)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("times as fast as the best peer (log scale)")
    if counts:
        axes.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
