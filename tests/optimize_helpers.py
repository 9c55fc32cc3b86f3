"""What the tests of optimize share."""

import numpy as np

import dlcore as dl
from dlcore import nn


def settle(model, rng):
    """Statistics and weights of a normalization as after training."""
    for module in model.modules():
        if hasattr(module, "running_mean"):
            n = module.running_mean.data.shape
            module.running_mean.data[...] = rng.uniform(-0.5, 0.5, n)
            module.running_var.data[...] = rng.uniform(0.5, 2, n)
            module.weight.data[...] = rng.uniform(0.5, 1.5, n)
            module.bias.data[...] = rng.uniform(-0.5, 0.5, n)
    return model.eval()


def kinds(optimized):
    """What stands in repr: {parts of a kernel: how many there are}."""
    lines = [line.split(" x ") for line in repr(optimized).split("\n") if " x " in line]
    return {parts: int(count) for count, parts in lines}


def check(model, *inputs, tolerance=2e-6):
    """The optimized model gives the model's results; returns what was fused."""
    fast = dl.optimize(model)
    for x in (inputs, [-0.5 * a for a in inputs]):
        with dl.no_grad():
            want = model(*map(dl.Tensor, x)).data
        got = fast(*x)
        assert isinstance(got, dl.Tensor) and got.dtype == want.dtype
        assert abs(got.data - want).max() <= tolerance * abs(want).max()
    return kinds(fast)


class Own(nn.Module):
    """A model whose forward is the given function of (module, x)."""

    def __init__(self, function):
        self.function = function
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.other = nn.Conv2d(4, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.linear = nn.Linear(4, 4)

    def forward(self, *x):
        return self.function(self, *x)


PIECE = np.random.default_rng(5).standard_normal((2, 4, 6, 6)).astype("float32")
