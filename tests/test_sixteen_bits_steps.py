"""Optimizers and averages of what is stored in 16 bits: float32 copies, rounded."""

import numpy as np
import pytest

import dlcore as dl
from dlcore import nn

ml_dtypes = pytest.importorskip("ml_dtypes")
BF16 = np.dtype(ml_dtypes.bfloat16)
KINDS = {"float16": np.dtype("float16"), "bfloat16": BF16}
pytestmark = pytest.mark.filterwarnings("ignore:float16 and bfloat16:RuntimeWarning")

OPTIMIZERS = {
    "sgd": lambda p: dl.optim.SGD(p, lr=1e-4, momentum=0.9),
    "adam": lambda p: dl.optim.Adam(p, lr=1e-4),
    "adamw": lambda p: dl.optim.AdamW(p, lr=1e-4, amsgrad=True),
    "lion": lambda p: dl.optim.Lion(p, lr=1e-4),
}


def steps(p, optimizer, n, start=0):
    for i in range(start, start + n):
        g = np.random.default_rng(i).standard_normal(p.shape).astype("f")
        p.grad = dl.Tensor(g)
        optimizer.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_keep_float32_masters(name):
    start = np.linspace(-1, 1, 33).astype(BF16)
    stored = dl.Tensor(start.copy(), requires_grad=True)
    wide = dl.Tensor(start.astype("f"), requires_grad=True)
    memory = stored.data
    pair = OPTIMIZERS[name]([stored]), OPTIMIZERS[name]([wide])
    steps(stored, pair[0], 30)
    steps(wide, pair[1], 30)
    assert stored.data is memory and stored.dtype == BF16
    assert np.array_equal(pair[0].state[stored]["master_param"], wide.data)
    assert np.array_equal(stored.data, wide.data.astype(BF16))
    # to the bit from a snapshot
    twin = dl.Tensor(stored.data.copy(), requires_grad=True)
    resumed = OPTIMIZERS[name]([twin])
    resumed.load_state_dict(pair[0].state_dict())
    steps(twin, resumed, 5, 30)
    steps(wide, pair[1], 5, 30)
    assert np.array_equal(resumed.state[twin]["master_param"], wide.data)


def test_optimizer_sees_what_others_wrote():
    p = dl.Tensor(np.ones(4, BF16), requires_grad=True)
    optimizer = dl.optim.SGD([p], lr=2.0**-12)
    p.grad = dl.Tensor(np.ones(4, "f"))
    optimizer.step()
    assert (p.data == 1).all()  # too small a step for 8 bits, kept in the copy
    p.data[1] = 3
    optimizer.step()
    master = optimizer.state[p]["master_param"]
    assert master.tolist() == [1 - 2**-11, 3 - 2**-12, 1 - 2**-11, 1 - 2**-11]


def test_trains():
    dl.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1)).bfloat16()
    optimizer = dl.optim.Adam(net.parameters(), lr=1e-2)
    x = np.random.default_rng(0).standard_normal((64, 4)).astype("f")
    target = (x**2).sum(1, keepdims=True)
    first = last = None
    for _ in range(150):
        optimizer.zero_grad()
        loss = dl.mse_loss(net(dl.Tensor(x).bfloat16()).float(), target)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        last = loss.item()
        first = first or last
    assert last < 0.2 * first


ROWS = {
    "sgd": lambda p: dl.optim.SGD(p, lr=1e-3),
    "adagrad": lambda p: dl.optim.Adagrad(p, lr=1e-3),
    "sparse_adam": lambda p: dl.optim.SparseAdam(p, lr=1e-3),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ROWS)
def test_steps_of_rows(name, kind):
    stored = nn.Embedding(9, 4, sparse=True).to(kind)
    wide = nn.Embedding(9, 4, sparse=True)
    wide.load_state_dict(stored.state_dict())
    pair = [ROWS[name](net.parameters()) for net in (stored, wide)]
    start = wide.weight.data.copy()
    for i in range(20):
        for net, optimizer in zip((stored, wide), pair, strict=True):
            optimizer.zero_grad()
            net(np.array([1, i % 9, 7])).float().sum().backward()
            optimizer.step()
    assert stored.to(kind).weight.grad.dtype == np.float32
    state = pair[0].state[stored.weight]
    assert abs(wide.weight.data - start).max() > 1e-3
    assert {v.dtype for v in state.values() if v.ndim} == {np.dtype("f4")}
    assert np.array_equal(state["master_param"], wide.weight.data)
    assert np.array_equal(stored.weight.data, wide.weight.data.astype(KINDS[kind]))


@pytest.mark.parametrize("how", ["mean", "ema", "one"])
@pytest.mark.parametrize("kind", KINDS)
def test_averages(kind, how):
    utils = dl.optim.swa_utils
    options = {
        "mean": {},
        "ema": {"multi_avg_fn": utils.get_ema_multi_avg_fn(0.999)},
        "one": {"avg_fn": utils.get_ema_avg_fn(0.999)},
    }[how]
    pair = nn.Linear(3, 2).to(kind), nn.Linear(3, 2)
    averaged = [utils.AveragedModel(net, **options) for net in pair]
    for i in range(100):
        for net, average in zip(pair, averaged, strict=True):
            net.weight.data[...] = 1 + (i > 0)
            average.update_parameters(net)
    stored, wide = (a.module.weight.data for a in averaged)
    assert stored.dtype == KINDS[kind] and 1 < wide[0, 0] < 2
    assert np.array_equal(stored, wide.astype(KINDS[kind]))
