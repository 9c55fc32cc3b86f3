"""Where the time of an optimized model goes, layer by layer, beside onnxruntime's.

python benchmarks/lab/inference_probe.py resnet50 [batch [size [repeats]]]

Both run in this process and take turns; every layer's time is the median of its runs.
"""

import json
import sys
import tempfile
import time
from math import prod
from pathlib import Path
from statistics import median

import numpy as np

import dlcore as dl
from dlcore.bench import networks, with_onnxruntime
from dlcore.watch import watching


def label(kernel, stride, x, w, groups):
    k, kind = f"{kernel}x{kernel}s{stride}", "dw " if groups > 1 else ""
    return f"conv {kind}{k} {x[1]}x{x[2]} -> {w}"


def ours(fast, x, repeats):
    """{label: [calls, seconds of all of them, flops]} of one run."""
    seen, marks = [], []

    def see(name, arguments, result):
        marks.append((time.perf_counter(), name, arguments, result))

    for _ in range(repeats + 2):
        marks.clear()
        with watching(see):
            start = time.perf_counter()
            fast(x)
        times = [start, *(mark[0] for mark in marks)]
        seen.append(np.diff(times))
    rows = {}
    for seconds, (_, name, arguments, result) in zip(
        np.median(seen[2:], axis=0), marks, strict=True
    ):
        key, flops = name.removesuffix("_forward"), 0
        if name == "conv2d_forward":
            w, stride, groups = arguments[1], arguments[3], arguments[6]
            stride = stride[0] if isinstance(stride, tuple) else stride
            flops = 2 * result.size * w[0].size
            key = label(w.shape[2], stride, arguments[0].shape, w.shape[0], groups)
        row = rows.setdefault(key, [0, 0.0, 0])
        for i, more in enumerate((1, seconds, flops)):
            row[i] += more
    return rows


def session(name, state, profile=None):
    """onnxruntime's call for the network; with `profile`, the path of its trace."""
    graph = with_onnxruntime._Graph(state)
    y = networks.build(name, graph, "x")
    inputs, output = [("x", "float32", 4)], (y, "float32", 2)
    return with_onnxruntime._session(graph.body, inputs, output, 13, profile)


def theirs(name, state, x, repeats):
    """The same rows of onnxruntime, from its own profile."""
    with tempfile.TemporaryDirectory() as folder:
        made = session(name, state, str(Path(folder) / "profile"))
        for _ in range(repeats + 2):
            made.run(None, {"x": x})
        events = json.loads(Path(made.end_profiling()).read_text())
    times, what = {}, {}
    for event in events:
        node = event.get("name", "")
        if event.get("cat") != "Node" or not node.endswith("_kernel_time"):
            continue
        times.setdefault(node, []).append(event["dur"] * 1e-6)
        what[node] = event["args"]
    rows = {}
    for node, seconds in times.items():
        args = what[node]
        shapes = [next(iter(s.values())) for s in args["input_type_shape"]]
        out = next(iter(args["output_type_shape"][0].values()))
        key = args["op_name"]
        if "Conv" in key:
            stride = round(shapes[0][2] / out[2])
            groups = shapes[0][1] // shapes[1][1] if shapes[1][1] < shapes[0][1] else 1
            key = label(shapes[1][2], stride, shapes[0], out[1], groups)
        row = rows.setdefault(key, [0, 0.0, 0])
        row[0] += 1
        row[1] += median(seconds[2:])
    return rows


def table(mine, other):
    print(f"{'ms':>8} {'ort':>8} {'ort/ms':>7}")
    for key in sorted({**mine, **other}, key=lambda k: -mine.get(k, (0, 0))[1]):
        count, seconds, flops = mine.get(key, (0, 0.0, 0))
        _, peer, _ = other.get(key, (0, 0.0, 0))
        rate = f"{flops / seconds / 1e9:6.1f} GFLOP/s" if flops else ""
        ratio = f"{peer / seconds:7.2f}" if peer and seconds else " " * 7
        print(
            f"{seconds * 1e3:8.3f} {peer * 1e3:8.3f} {ratio} {count or '':3} x {key:<34}"
            f" {rate}"
        )
    sums = [sum(row[1] for row in rows.values()) * 1e3 for rows in (mine, other)]
    print(f"{sums[0]:8.3f} {sums[1]:8.3f} {sums[1] / sums[0]:7.2f}")


def main(name="resnet50", batch="1", size="224", repeats="15"):
    repeats = int(repeats)
    x = np.random.default_rng(0).standard_normal(
        (int(batch), 3, int(size), int(size)), dtype=np.float32
    )
    model = networks.network(name).eval()
    state = model.state_dict()
    fast = dl.optimize(model, x)
    peer = session(name, state)
    np.testing.assert_allclose(
        fast(x).data, peer.run(None, {"x": x})[0], rtol=1e-3, atol=1e-3
    )
    calls = (lambda: fast(x)), (lambda: peer.run(None, {"x": x}))
    times = [[], []]
    for _ in range(repeats + 2):
        for seconds, call in zip(times, calls, strict=True):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
    mine, other = (median(seconds[2:]) * 1e3 for seconds in times)
    print(
        f"{name} {x.shape}: {mine:.2f} ms, onnxruntime {other:.2f} ms: "
        f"{other / mine:.2f} times as fast"
    )
    table(ours(fast, x, repeats), theirs(name, state, x, repeats))


if __name__ == "__main__":
    main(*sys.argv[1:])
