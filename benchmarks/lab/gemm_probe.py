"""GEMM against NumPy and PyTorch: python gemm_probe.py [--threads N] [group ...]

Each peer runs in a process of its own, called in turn, so that no peer's threads spin
beside another's and drift of the machine hits all alike. Prints the median of each, the
rate of dlcore, its fraction of the FMA peak of the same run, and the ratio to the faster
peer.
"""

import argparse
import json
import os
import subprocess
import sys
import time

SQUARES = [1024, 1023, 1500, 2048, 2049]
GROUPS = {
    "large": [(n, n, n, t) for n in SQUARES for t in ("NN", "NT", "TN", "TT")],
    "square": [(n, n, n, "NN") for n in (1024, 1500, 2048)],
    "small": [
        (n, n, n, t)
        for n in (64, 96, 100, 128, 192, 200, 256)
        for t in ("NN", "NT", "TN")
    ],
    "skinny": [(m, 4096, 4096, t) for m in (1, 2, 4, 8) for t in ("NN", "NT")],
    "few": [(m, 4096, 4096, t) for m in (12, 16, 32) for t in ("NN", "NT")],
    "odd": [
        (64, 3072, 768, "NN"),
        (64, 3072, 768, "NT"),
        (8192, 64, 64, "NN"),
        (4096, 8, 4096, "NN"),
        (4096, 1, 4096, "NN"),
        (4096, 1, 4096, "TN"),
        (512, 3072, 768, "NT"),
        (1000, 1000, 1, "NN"),
        (16, 16, 16, "NN"),
    ],
    "batched": [("batch", 64, 128, 128, 64), ("batch", 512, 16, 16, 16)],
    "linear": [("linear", 512, 3072, 768, mode) for mode in ("forward", "both")],
}


def worker(peer, threads):
    import numpy as np

    rng = np.random.default_rng(0)
    cache = {}

    def prepare(case):
        if case[0] == "linear":
            _, rows, outs, ins, mode = case
            return linear(peer, rng, rows, outs, ins, mode)
        if case[0] == "batch":
            _, count, m, n, k = case
            shapes = (count, m, k), (count, k, n)
            layout = "NN"
        else:
            m, n, k, layout = case
            shapes = (
                (k, m) if layout[0] == "T" else (m, k),
                (n, k) if layout[1] == "T" else (k, n),
            )
        a, b = (rng.standard_normal(s, dtype=np.float32) for s in shapes)
        if peer == "torch":
            import torch

            a, b = torch.from_numpy(a), torch.from_numpy(b)
        a = a.T if layout[0] == "T" else a
        b = b.T if layout[1] == "T" else b
        if peer == "torch":
            return lambda: torch.matmul(a, b)
        if peer == "numpy":
            return lambda: np.matmul(a, b)
        import dlcore as dl

        return lambda: dl.matmul(a, b)

    if peer == "torch":
        import torch

        torch.set_num_threads(threads)
    elif peer == "dlcore":
        from dlcore import _C

        _C.set_num_threads(threads)
    for line in sys.stdin:
        case = tuple(json.loads(line))
        if case == ("peak",):
            print(json.dumps(fma_peak()), flush=True)
            continue
        if case not in cache:
            cache.clear()
            cache[case] = prepare(case)
        call = cache[case]
        call()
        start = time.perf_counter()
        call()
        once = time.perf_counter() - start
        times = []
        for _ in range(5 if once < 0.02 else 2):
            loops = max(1, int(0.002 / once))
            start = time.perf_counter()
            for _ in range(loops):
                call()
            times.append((time.perf_counter() - start) / loops)
        print(json.dumps(times), flush=True)


def fma_peak():
    from dlcore import _C

    best = 0.0
    for _ in range(5):
        start = time.perf_counter()
        flops = _C.probe_fma(64)
        best = max(best, flops / (time.perf_counter() - start))
    return best


def linear(peer, rng, rows, outs, ins, mode):
    import numpy as np

    x, w, b, dy = (
        rng.standard_normal(s, dtype=np.float32)
        for s in ((rows, ins), (outs, ins), (outs,), (rows, outs))
    )
    w /= ins**0.5  # gelu's tails would be denormal: slow everywhere
    if peer == "torch":
        import torch

        x, w, b, dy = (torch.from_numpy(v) for v in (x, w, b, dy))
        leaves = [v.requires_grad_(mode == "both") for v in (x, w, b)]

        def call():
            y = torch.nn.functional.gelu(torch.nn.functional.linear(x, w, b))
            if mode == "both":
                for v in leaves:
                    v.grad = None
                y.backward(dy)

    elif peer == "dlcore":
        import dlcore as dl

        leaves = [dl.Tensor(v, requires_grad=mode == "both") for v in (x, w, b)]

        def call():
            y = dl.linear(*leaves, activation="gelu")
            if mode == "both":
                for v in leaves:
                    v.grad = None
                y.backward(dy)

    else:

        def call():
            raise SystemExit("no NumPy peer")

    return call


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", default=["square"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", default="dlcore,numpy,torch")
    parser.add_argument("--worker")
    args = parser.parse_args()
    if args.worker:
        return worker(args.worker, args.threads)
    names = (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "DLCORE_NUM_THREADS",
    )
    env = dict(os.environ, **dict.fromkeys(names, str(args.threads)))
    pin = ["taskset", "-c", "1"] if args.threads == 1 else []
    peers = args.peers.split(",")
    processes = {
        peer: subprocess.Popen(
            [
                *pin,
                sys.executable,
                __file__,
                "--worker",
                peer,
                "--threads",
                str(args.threads),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
        )
        for peer in peers
    }

    def ask(peer, case):
        processes[peer].stdin.write(json.dumps(case) + "\n")
        processes[peer].stdin.flush()
        return json.loads(processes[peer].stdout.readline())

    peak = ask("dlcore", ("peak",))
    print(f"FMA peak {peak / 1e9:.1f} GFLOP/s, {args.threads} thread(s)")
    print(
        "| case | "
        + " | ".join(f"{p} us" for p in peers)
        + " | GFLOP/s | of peak | ratio |"
    )
    ratios = []
    for case in [case for group in args.groups for case in GROUPS[group]]:
        asked = [p for p in peers if not (case[0] == "linear" and p == "numpy")]
        times = {peer: [] for peer in asked}
        for _ in range(args.rounds):
            for peer in asked:
                times[peer] += ask(peer, case)
                if args.threads > 1:
                    time.sleep(0.005)  # let the peer's threads go to sleep
        median = {p: sorted(t)[len(t) // 2] for p, t in times.items()}
        sizes = [v for v in case if isinstance(v, int)]
        flops = 2.0 * (3 if case[-1] == "both" else 1)
        for size in sizes:
            flops *= size
        rate = flops / median["dlcore"]
        others = [median[p] for p in asked if p != "dlcore"]
        ratio = min(others) / median["dlcore"] if others else float("nan")
        ratios.append(ratio)
        cells = " | ".join(
            f"{median[p] * 1e6:.1f}" if p in median else "-" for p in peers
        )
        name = " ".join(str(v) for v in case)
        figures = f"{rate / 1e9:.1f} | {rate / peak:.3f} | {ratio:.2f}"
        print(f"| {name} | {cells} | {figures} |", flush=True)
    product = 1.0
    for ratio in ratios:
        product *= ratio
    print(f"geometric mean of the ratios: {product ** (1 / len(ratios)):.3f}")
    for process in processes.values():
        process.stdin.close()
        process.wait()


if __name__ == "__main__":
    main()
