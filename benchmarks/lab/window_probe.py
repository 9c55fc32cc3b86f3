"""Times what slides a window beside PyTorch and onnxruntime, shape by shape, on 1 thread.

All contenders take turns in one process: on one thread nobody's workers wait. PyTorch has
recycled memory, its faster setting, and the faster of its two layouts counts.

    taskset -c 0 python benchmarks/lab/window_probe.py pool [--mode both] [--only 14x14]
"""

import argparse
import math
import os
import statistics
import sys
import time

RECYCLED = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "34359738368",
    "MALLOC_TOP_PAD_": "268435456",
}

# A line: op, x, then for convolutions weight, and arguments by name.
CASES = {
    "pool": """
        max_pool2d 1x64x112x112 kernel_size=2
        max_pool2d 1x64x112x112 kernel_size=3 stride=2 padding=1
        max_pool2d 1x64x56x56 kernel_size=3 stride=1 padding=1
        max_pool2d 1x256x13x13 kernel_size=3 stride=2
        max_pool2d 1x512x8x8 kernel_size=2
        max_pool2d 1x512x14x14 kernel_size=2
        max_pool2d 64x6x28x28 kernel_size=2
        max_pool2d 64x16x10x10 kernel_size=2
        max_pool2d 1x480x14x14 kernel_size=3 stride=1 padding=1
        max_pool2d 1x832x7x7 kernel_size=3 stride=1 padding=1
        avg_pool2d 1x64x112x112 kernel_size=2
        avg_pool2d 32x64x112x112 kernel_size=2
        avg_pool2d 1x256x28x28 kernel_size=2
        avg_pool2d 1x512x14x14 kernel_size=2
        avg_pool2d 1x64x112x112 kernel_size=3 stride=2 padding=1
        avg_pool2d 1x64x56x56 kernel_size=3 stride=1 padding=1
        avg_pool2d 1x192x35x35 kernel_size=3 stride=1 padding=1
        avg_pool2d 1x1280x8x8 kernel_size=3 stride=1 padding=1
        adaptive_avg_pool2d 1x2048x7x7 output_size=1
        adaptive_avg_pool2d 32x2048x7x7 output_size=1
        adaptive_avg_pool2d 1x512x14x14 output_size=7
        adaptive_avg_pool2d 32x512x14x14 output_size=7
        adaptive_avg_pool2d 1x512x12x12 output_size=7
        adaptive_avg_pool2d 1x256x13x13 output_size=6
        adaptive_avg_pool2d 1x512x60x60 output_size=6
        adaptive_avg_pool2d 1x512x7x7 output_size=7
        adaptive_max_pool2d 1x512x14x14 output_size=7
        adaptive_max_pool2d 1x512x12x12 output_size=7
        max_pool1d 1x64x16000 kernel_size=4
        avg_pool1d 1x64x16000 kernel_size=3 stride=2 padding=1
        max_pool3d 1x32x16x56x56 kernel_size=2
        max_pool3d 1x32x16x56x56 kernel_size=3 stride=2 padding=1
        avg_pool3d 1x32x16x56x56 kernel_size=2
    """,
    "depthwise": """
        conv2d 1x32x112x112 32x1x3x3 padding=1 groups=32
        conv2d 1x64x112x112 64x1x3x3 stride=2 padding=1 groups=64
        conv2d 1x96x112x112 96x1x3x3 stride=2 padding=1 groups=96
        conv2d 1x128x56x56 128x1x3x3 padding=1 groups=128
        conv2d 1x144x56x56 144x1x3x3 stride=2 padding=1 groups=144
        conv2d 1x192x28x28 192x1x3x3 padding=1 groups=192
        conv2d 1x192x28x28 192x1x3x3 stride=2 padding=1 groups=192
        conv2d 1x256x28x28 256x1x3x3 stride=2 padding=1 groups=256
        conv2d 1x512x14x14 512x1x3x3 padding=1 groups=512
        conv2d 1x576x14x14 576x1x3x3 stride=2 padding=1 groups=576
        conv2d 1x960x7x7 960x1x3x3 padding=1 groups=960
        conv2d 1x1024x7x7 1024x1x3x3 padding=1 groups=1024
        conv2d 1x144x56x56 144x1x5x5 stride=2 padding=2 groups=144
        conv2d 1x240x28x28 240x1x5x5 padding=2 groups=240
        conv2d 1x672x14x14 672x1x5x5 padding=2 groups=672
        conv2d 1x672x14x14 672x1x5x5 stride=2 padding=2 groups=672
        conv2d 1x1152x7x7 1152x1x5x5 padding=2 groups=1152
        conv2d 1x96x56x56 96x1x7x7 padding=3 groups=96
        conv2d 1x384x14x14 384x1x7x7 padding=3 groups=384
        conv2d 32x512x14x14 512x1x3x3 padding=1 groups=512
        conv2d 32x144x56x56 144x1x3x3 stride=2 padding=1 groups=144
    """,
    "transpose": """
        conv_transpose1d 1x128x400 128x64x16 stride=8 padding=4
        conv_transpose1d 1x512x32 512x256x16 stride=8 padding=4
        conv_transpose1d 1x64x4096 64x32x4 stride=2 padding=1
        conv_transpose2d 1x256x32x32 256x128x2x2 stride=2
        conv_transpose2d 1x1024x28x28 1024x512x2x2 stride=2
        conv_transpose2d 1x128x112x112 128x64x2x2 stride=2
        conv_transpose2d 16x128x16x16 128x64x4x4 stride=2 padding=1
        conv_transpose2d 16x256x8x8 256x128x4x4 stride=2 padding=1
        conv_transpose2d 16x512x4x4 512x256x4x4 stride=2 padding=1
        conv_transpose2d 16x64x32x32 64x3x4x4 stride=2 padding=1
        conv_transpose2d 1x256x28x28 256x256x4x4 stride=2 padding=1
        conv_transpose2d 1x128x56x56 128x64x3x3 stride=2 padding=1 output_padding=1
        conv_transpose2d 1x64x56x56 64x64x3x3 padding=1
        conv_transpose3d 1x64x8x14x14 64x32x2x2x2 stride=2
        conv_transpose3d 1x64x8x14x14 64x32x4x4x4 stride=2 padding=1
    """,
    "sound": """
        conv1d 16x64x4096 128x64x5 padding=2
        conv1d 1x80x3000 384x80x3 padding=1
        conv1d 1x384x3000 384x384x3 stride=2 padding=1
        conv1d 1x64x16000 64x64x3 padding=2 dilation=2
        conv1d 1x300x64 100x300x3
        conv1d 1x512x499 512x512x3 stride=2
        conv1d 1x256x1000 256x256x1
        conv1d 1x512x200 512x1x31 padding=15 groups=512
    """,
    "film": """
        conv3d 2x16x16x56x56 32x16x3x3x3 padding=1
        conv3d 1x64x8x28x28 64x64x3x3x3 padding=1
        conv3d 1x3x16x112x112 64x3x3x7x7 stride=1,2,2 padding=1,3,3
        conv3d 1x64x16x28x28 128x64x3x3x3 stride=2 padding=1
        conv3d 1x64x8x28x28 144x64x1x3x3 padding=0,1,1
        conv3d 1x144x8x28x28 64x144x3x1x1 padding=1,0,0
        conv3d 1x64x8x28x28 64x1x3x3x3 padding=1 groups=64
        conv3d 1x256x4x14x14 256x256x1x1x1
    """,
}


def numbers(text, mark):
    return tuple(int(n) for n in text.split(mark))


def parsed(line):
    op, *sizes = line.split()
    named = dict(word.split("=") for word in sizes if "=" in word)
    arguments = {k: numbers(v, ",") for k, v in named.items()}
    arguments = {k: v if len(v) > 1 else v[0] for k, v in arguments.items()}
    return op, [numbers(s, "x") for s in sizes if "=" not in s], arguments


def of_dlcore(op, arrays, arguments, backward):
    import dlcore as dl

    function = getattr(dl, op)
    if not backward:
        return lambda: function(*arrays, **arguments)
    leaves = [dl.Tensor(a, True) for a in arrays]
    dy = function(*arrays, **arguments) * 0 + 1

    def run():
        for leaf in leaves:
            leaf.grad = None
        function(*leaves, **arguments).backward(dy)

    return run


def of_torch(op, arrays, arguments, backward, last=False):
    import torch

    function = getattr(torch.nn.functional, op)
    leaves = [torch.from_numpy(a) for a in arrays]
    layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
    if last:
        leaves = [
            a.to(memory_format=layouts[a.ndim]) if a.ndim > 3 else a for a in leaves
        ]
    if not backward:

        def forward():
            with torch.no_grad():
                return function(*leaves, **arguments)

        return forward
    dy = torch.ones_like(function(*leaves, **arguments))
    for leaf in leaves:
        leaf.requires_grad_()

    def run():
        for leaf in leaves:
            leaf.grad = None
        function(*leaves, **arguments).backward(dy)

    return run


def of_onnxruntime(op, arrays, arguments):
    """A convolution whose weights are constants, as in an exported network."""
    from dlcore.bench import with_onnxruntime as ort

    x, weight, bias = arrays
    axes = x.ndim - 2

    def each(name, default):
        value = arguments.get(name, default)
        return value if isinstance(value, tuple) else (value,) * axes

    attributes = {
        "kernel_shape": weight.shape[2:],
        "strides": each("stride", 1),
        "pads": each("padding", 0) * 2,
        "dilations": each("dilation", 1),
        "group": arguments.get("groups", 1),
    }
    kind = "Conv"
    if "transpose" in op:
        kind = "ConvTranspose"
        attributes["output_padding"] = each("output_padding", 0)
    graph = ort._constant("w", weight) + ort._constant("b", bias)
    graph += ort._node(kind, ["x", "w", "b"], "y", **attributes)
    made = ort._session(graph, [("x", "float32", x.ndim)], ("y", "float32", x.ndim), 13)
    return lambda: made.run(None, {"x": x})[0]


def calls_of(line, backward):
    import numpy as np
    import torch

    op, sizes, arguments = parsed(line)
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s, dtype=np.float32) for s in sizes]
    if "conv" in op:
        out = sizes[1][0]
        if "transpose" in op:
            out = sizes[1][1] * arguments.get("groups", 1)
        arrays.append(rng.standard_normal(out, dtype=np.float32))
    calls = {
        "dlcore": of_dlcore(op, arrays, arguments, backward),
        "torch": of_torch(op, arrays, arguments, backward),
    }
    if len(sizes[0]) > 3:
        calls["torch-cl"] = of_torch(op, arrays, arguments, backward, True)
    if not backward:
        if "conv" in op:
            calls["ort"] = of_onnxruntime(op, arrays, arguments)
        ours, theirs = (torch.as_tensor(calls[c]()) for c in ("dlcore", "torch"))
        error = (ours - theirs).abs().max() / theirs.abs().max()
        assert error < 2e-5, f"{line}: the results differ by {error:.1e}"
    return calls


def turns(calls, rounds, budget):
    times = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            call()
            end = time.perf_counter() + budget
            while True:
                start = time.perf_counter()
                call()
                now = time.perf_counter()
                times[name].append(now - start)
                if now > end:
                    break
    return {name: statistics.median(t) for name, t in times.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("family", choices=CASES)
    parser.add_argument("--mode", choices=["fwd", "both"], default="fwd")
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--budget", type=float, default=0.01)
    args = parser.parse_args()
    if any(os.environ.get(k) != v for k, v in RECYCLED.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | RECYCLED)
    import torch

    import dlcore as dl

    torch.set_num_threads(1)
    dl.set_num_threads(1)
    ratios = {"torch": [], "ort": []}
    for line in CASES[args.family].strip().splitlines():
        if args.only not in line:
            continue
        best = turns(calls_of(line, args.mode == "both"), args.rounds, args.budget)
        ours = best.pop("dlcore")
        text = f"{' '.join(line.split()):66s} {ours * 1e6:9.1f} us"
        for peer in ("torch", "ort"):
            if peer in best:
                ratio = min(t for c, t in best.items() if c.startswith(peer)) / ours
                ratios[peer].append(ratio)
                text += f"  {peer} {ratio:5.2f}"
        print(text, flush=True)
    for peer, each in ratios.items():
        if each:
            mean = math.exp(sum(map(math.log, each)) / len(each))
            print(f"{peer}: geometric mean {mean:.2f}, least {min(each):.2f}")


if __name__ == "__main__":
    main()
