"""Does training keep memory?  steps_probe.py [steps]

Resident memory over training steps whose shapes change from step to step: a
convolution, a recurrent layer and attention, a loss and Adam. After a warm-up it should
stay flat within 2 MiB: nothing of a step's graph may outlive it, and the cache of
buffers must not grow with the number of shapes.
"""

import re
import sys
from pathlib import Path

import numpy as np

import dlcore as dl

nn = dl.nn


def resident():
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) / 1024


class Network(nn.Module):
    def __init__(self):
        self.conv = nn.Conv1d(4, 16, 3, padding=1)
        self.norm = nn.BatchNorm1d(16)
        self.rnn = nn.GRU(16, 16, batch_first=True)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.last = nn.Linear(16, 5)

    def forward(self, x):
        h = dl.relu(self.norm(self.conv(x))).transpose(1, 2)
        h, _ = self.rnn(h)
        h, _ = self.attention(h, h, h, need_weights=False)
        return self.last(dl.dropout(h, 0.1).mean(1))


def main(steps=10_000):
    rng = np.random.default_rng(0)
    network = Network()
    optimizer = dl.optim.Adam(network.parameters(), 1e-3)
    shapes = rng.integers((2, 1), (17, 65), (int(steps), 2))
    least, most = np.inf, 0
    for step, (batch, length) in enumerate(shapes):
        x = dl.Tensor(rng.standard_normal((batch, 4, length), np.float32))
        loss = dl.cross_entropy(network(x), rng.integers(0, 5, batch))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if step >= len(shapes) // 10 and step % 100 == 0:
            now = resident()
            least, most = min(least, now), max(most, now)
        if step % (len(shapes) // 10) == 0:
            print(f"step {step:6}  {resident():7.2f} MiB  loss {loss.item():.3f}")
    print(f"after the first tenth: from {least:.2f} to {most:.2f} MiB")


if __name__ == "__main__":
    main(*sys.argv[1:])
