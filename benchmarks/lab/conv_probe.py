"""Times conv2d shape by shape beside PyTorch (contiguous and channels_last).

Each contender lives in its own process; they take turns on every shape, several rounds,
and the medians are compared. PyTorch runs with recycled memory, its faster setting.

    python benchmarks/lab/conv_probe.py --threads 1 --mode fwd --only 3x3 --rounds 3
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time

# (batch, channels, size, out_channels, kernel, stride, padding)
RESNET50 = [
    (1, 3, 224, 64, 7, 2, 3),
    (1, 64, 56, 64, 1, 1, 0),
    (1, 64, 56, 64, 3, 1, 1),
    (1, 64, 56, 256, 1, 1, 0),
    (1, 256, 56, 64, 1, 1, 0),
    (1, 256, 56, 128, 1, 1, 0),
    (1, 128, 56, 128, 3, 2, 1),
    (1, 128, 28, 512, 1, 1, 0),
    (1, 256, 56, 512, 1, 2, 0),
    (1, 512, 28, 128, 1, 1, 0),
    (1, 128, 28, 128, 3, 1, 1),
    (1, 512, 28, 256, 1, 1, 0),
    (1, 256, 28, 256, 3, 2, 1),
    (1, 256, 14, 1024, 1, 1, 0),
    (1, 512, 28, 1024, 1, 2, 0),
    (1, 1024, 14, 256, 1, 1, 0),
    (1, 256, 14, 256, 3, 1, 1),
    (1, 1024, 14, 512, 1, 1, 0),
    (1, 512, 14, 512, 3, 2, 1),
    (1, 512, 7, 2048, 1, 1, 0),
    (1, 1024, 14, 2048, 1, 2, 0),
    (1, 2048, 7, 512, 1, 1, 0),
    (1, 512, 7, 512, 3, 1, 1),
]
OTHERS = [
    (32, 64, 56, 64, 3, 1, 1),
    (32, 128, 28, 128, 3, 1, 1),
    (32, 256, 14, 256, 3, 1, 1),
    (32, 512, 7, 512, 3, 1, 1),
    (1, 3, 224, 64, 11, 4, 2),
    (64, 1, 28, 6, 5, 1, 2),
    (64, 6, 14, 16, 5, 1, 0),
    (64, 16, 5, 120, 5, 1, 0),
]
RECYCLED = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "34359738368",
    "MALLOC_TOP_PAD_": "268435456",
}


def name_of(shape):
    n, c, size, k, kernel, stride, _ = shape
    return f"b{n} {c}x{size}x{size}->{k} {kernel}x{kernel}s{stride}"


def flops(shape):
    n, c, size, k, kernel, stride, pad = shape
    out = (size + 2 * pad - kernel) // stride + 1
    return 2.0 * n * c * k * kernel * kernel * out * out


def call_of(contender, shape, mode, threads):
    import numpy as np

    n, c, size, k, kernel, stride, pad = shape
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, c, size, size), dtype=np.float32)
    w = rng.standard_normal((k, c, kernel, kernel), dtype=np.float32)
    b = rng.standard_normal(k, dtype=np.float32)
    backward = mode == "fwd+bwd"
    need_dx = c not in (1, 3)  # images need no gradient
    if contender == "dlcore":
        import dlcore as dl

        dl.set_num_threads(threads)
        if not backward:
            return lambda: dl.conv2d(x, w, b, stride, pad)
        x, w, b = dl.Tensor(x, need_dx), dl.Tensor(w, True), dl.Tensor(b, True)
        dy = np.ones_like(dl.conv2d(x, w, b, stride, pad).data)

        def run():
            w.grad = b.grad = x.grad = None
            dl.conv2d(x, w, b, stride, pad).backward(dy)

        return run
    import torch

    torch.set_num_threads(threads)
    x, w, b = (torch.from_numpy(a) for a in (x, w, b))
    if contender == "torch-cl":
        x, w = (t.to(memory_format=torch.channels_last) for t in (x, w))
    conv = torch.nn.functional.conv2d
    if not backward:

        def forward():
            with torch.no_grad():
                conv(x, w, b, stride, pad)

        return forward
    x.requires_grad_(need_dx), w.requires_grad_(), b.requires_grad_()
    dy = torch.ones_like(conv(x, w, b, stride, pad))

    def both():
        w.grad = b.grad = x.grad = None
        conv(x, w, b, stride, pad).backward(dy)

    return both


def serve(contender, mode, threads, budget):
    shape, call = None, None
    for line in sys.stdin:
        wanted = tuple(json.loads(line))
        if wanted != shape:
            shape, call = wanted, call_of(contender, wanted, mode, threads)
            call()
        call()
        times, end = [], time.perf_counter() + budget
        while len(times) < 3 or time.perf_counter() < end:
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        print(statistics.median(times), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--mode", choices=["fwd", "fwd+bwd"], default="fwd")
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--budget", type=float, default=0.05)
    parser.add_argument("--contenders", default="dlcore,torch,torch-cl")
    parser.add_argument("--serve", default="")
    args = parser.parse_args()
    if args.serve:
        serve(args.serve, args.mode, args.threads, args.budget)
        return

    contenders = args.contenders.split(",")
    workers = {}
    for contender in contenders:
        command = [sys.executable, __file__, "--serve", contender, "--mode", args.mode]
        command += ["--threads", str(args.threads), "--budget", str(args.budget)]
        if args.threads == 1:
            command = ["taskset", "-c", "1", *command]
        env = dict(os.environ, **(RECYCLED if contender != "dlcore" else {}))
        workers[contender] = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )
    ratios = []
    for shape in RESNET50 + OTHERS:
        if args.only not in name_of(shape):
            continue
        times = {contender: [] for contender in contenders}
        for _ in range(args.rounds):
            for contender, worker in workers.items():
                worker.stdin.write(json.dumps(shape) + "\n")
                worker.stdin.flush()
                times[contender].append(float(worker.stdout.readline()))
                time.sleep(0.01 if args.threads == 1 else 0.05)  # spinning threads
        best = {contender: statistics.median(t) for contender, t in times.items()}
        work = flops(shape) * (1 if args.mode == "fwd" else 3)
        text = "  ".join(f"{c} {t * 1e6:9.1f} us" for c, t in best.items())
        rate = work / best["dlcore"] / 1e9
        if len(best) > 1:
            ratio = min(t for c, t in best.items() if c != "dlcore") / best["dlcore"]
            ratios.append(ratio)
            text += f"  ratio {ratio:5.2f}"
        print(f"{name_of(shape):32s} {text}  {rate:6.1f} GFLOP/s", flush=True)
    if ratios:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(f"geometric mean {mean:.3f}, least {min(ratios):.3f}")
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()


if __name__ == "__main__":
    main()
