"""An optimized model beside the model itself and PyTorch's, in turns.

python benchmarks/lab/optimize_probe.py [threads]

The median of 40 turns, each the best of three calls.
"""

import sys
import time
from statistics import median

import numpy as np
import torch

import dlcore as dl


def turns(calls, times=40):
    taken = {name: [] for name in calls}
    for _ in range(times):
        for name, call in calls.items():
            time.sleep(0.002)  # the waiting threads of the one before
            call()
            best = []
            for _ in range(3):
                start = time.perf_counter()
                call()
                best.append(time.perf_counter() - start)
            taken[name].append(min(best))
    return {name: median(one) * 1e6 for name, one in taken.items()}


def encoder(kit, width):
    layer = kit.TransformerEncoderLayer(
        width, 8, 4 * width, activation="gelu", batch_first=True
    )
    return kit.TransformerEncoder(layer, 4)


def cases():
    for shape in ((1, 128, 256), (8, 128, 256), (1, 16, 256), (1, 1, 256)):
        yield f"encoder, 4 layers {shape}", lambda kit: encoder(kit, 256), shape
    for steps, batch, inputs, hidden in ((64, 1, 128, 256), (64, 16, 128, 256)):

        def deep(kit, sizes=(inputs, hidden)):
            return kit.LSTM(*sizes, num_layers=2, bidirectional=True)

        shape = steps, batch, inputs
        yield f"LSTM, 2 layers, 2 directions, {hidden} {shape}", deep, shape
    yield "MLP 16-32-4 (8, 16)", mlp, (8, 16)


def mlp(kit):
    return kit.Sequential(kit.Linear(16, 32), kit.ReLU(), kit.Linear(32, 4))


def main(threads):
    dl.set_num_threads(threads)
    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    for name, make, shape in cases():
        x = rng.standard_normal(shape, dtype=np.float32)
        ours, theirs, given = make(dl.nn).eval(), make(torch.nn).eval(), dl.Tensor(x)
        fast, tensor = dl.optimize(ours, x), torch.from_numpy(x)
        calls = {
            "module": lambda: ours(given),
            "optimized": lambda: fast(x),
            "torch": lambda: theirs(tensor),
        }
        with dl.no_grad(), torch.inference_mode():
            found = turns(calls)
        words = (f"{key} {us:8.1f} us" for key, us in found.items())
        print(
            f"{name:55}",
            *words,
            f"{found['module'] / found['optimized']:.2f} of module",
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
