"""Where the time of an optimized model goes, kernel by kernel.

python benchmarks/lab/inference_probe.py resnet50 [batch [size [repeats]]]
"""

import sys
import time
from math import prod
from statistics import median

import numpy as np

import dlcore as dl
from dlcore import _C
from dlcore.inference import program as programs


def timed(program, arrays, repeats):
    """Seconds of each step: the median over the repeats, in the order of the run."""
    times = [[] for _ in program.steps]
    for _ in range(repeats + 2):
        values = dict(zip(program.inputs, arrays, strict=True))
        for i, (step, dying) in enumerate(zip(program.steps, program._dying)):
            arguments = [programs._value(a, values) for a in step.arguments]
            start = time.perf_counter()
            result = getattr(_C, step.name)(*arguments)
            times[i].append(time.perf_counter() - start)
            programs._keep(step.result, result, values)
            del arguments, result
            for slot in dying:
                del values[slot]
    return [median(t[2:]) for t in times]


def main(name="resnet50", batch="1", size="224", repeats="9"):
    x = np.random.default_rng(0).standard_normal(
        (int(batch), 3, int(size), int(size)), dtype=np.float32
    )
    fast = dl.optimize(getattr(dl.models, name)(), x)
    (program,) = fast._programs.values()
    rows = {}
    for step, seconds in zip(program.steps, timed(program, [x], int(repeats))):
        work, label = 0, " + ".join(step.parts)
        if step.name == "conv2d_forward":
            x_, w, _, stride, *_, groups = step.arguments[:7]
            work = 2 * prod(step.result.shape) * w[0].size
            plus = "".join(
                f" +{p}" for p in step.parts if p in ("add", "relu", "relu6")
            )
            kind = "dw" if groups > 1 else ""
            k, s = w.shape[2], stride[0] if isinstance(stride, tuple) else stride
            label = f"conv {k}x{k}s{s}{kind} {x_.shape[1]}x{x_.shape[2]}->{w.shape[0]}{plus}"
        count, total, flops = rows.get(label, (0, 0.0, 0))
        rows[label] = count + 1, total + seconds, flops + work
    whole = sum(total for _, total, _ in rows.values())
    for label, (count, total, flops) in sorted(rows.items(), key=lambda r: -r[1][1]):
        rate = f"{flops / total / 1e9:7.1f} GFLOP/s" if flops else ""
        print(
            f"{total * 1e3:8.2f} ms {total / whole:6.1%} {count:3} x {label:<44} {rate}"
        )
    print(f"{whole * 1e3:8.2f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])
