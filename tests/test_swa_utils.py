"""Averaged models and SWALR beside PyTorch's."""

import numpy as np
import pytest

import dlcore as dl
from dlcore import nn
from dlcore.optim import SGD, swa_utils
from dlcore.optim.lr_scheduler import ExponentialLR


def pair(torch):
    """The same small model twice, in float64."""
    ours = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).double()
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    theirs.double()
    return ours, theirs


def change(rng, torch, ours, theirs):
    for a, b in zip(ours.parameters(), theirs.parameters()):
        a.data[...] = rng.standard_normal(a.shape)
        b.data.copy_(torch.tensor(a.data))
    for a, b in zip(ours.buffers(), theirs.buffers()):
        a.data[...] = rng.integers(0, 9, a.shape)
        b.copy_(torch.tensor(a.data))


CASES = {
    "default": lambda u: {},
    "swa": lambda u: {"multi_avg_fn": u.get_swa_multi_avg_fn()},
    "swa of one": lambda u: {"avg_fn": u.get_swa_avg_fn()},
    "ema": lambda u: {"multi_avg_fn": u.get_ema_multi_avg_fn(0.9)},
    "ema of one": lambda u: {"avg_fn": u.get_ema_avg_fn(0.9)},
}


# PyTorch's mean of all tensors at once fails on counts.
@pytest.mark.parametrize(
    "case, use_buffers",
    [(case, b) for case in CASES for b in (False, True) if not (b and case == "swa")],
)
def test_follows_torch(torch, rng, case, use_buffers):
    ours, theirs = pair(torch)
    utils = torch.optim.swa_utils
    mine = swa_utils.AveragedModel(
        ours, **CASES[case](swa_utils), use_buffers=use_buffers
    )
    other = utils.AveragedModel(theirs, **CASES[case](utils), use_buffers=use_buffers)
    for _ in range(5):
        change(rng, torch, ours, theirs)
        mine.update_parameters(ours)
        other.update_parameters(theirs)
    state, want = mine.state_dict(), other.state_dict()
    assert state.keys() == want.keys()
    for name in state:
        if use_buffers and name.endswith("num_batches_tracked"):
            continue  # a count: PyTorch averages whole numbers too
        rtol = 1e-6 if case == "swa" else 1e-12  # there a float32 share
        np.testing.assert_allclose(state[name], want[name].numpy(), rtol=rtol)
    x = rng.standard_normal((5, 3))
    with dl.no_grad():
        got = mine.eval()(dl.Tensor(x))
    want = other.eval()(torch.tensor(x)).detach()
    np.testing.assert_allclose(got.data, want.numpy(), rtol=1e-5)


def test_the_model_stays_and_resumes(rng):
    model = nn.Linear(3, 2)
    averaged = swa_utils.AveragedModel(model)
    averaged.update_parameters(model)
    before = model.weight.data.copy()
    averaged.module.weight.data[...] = 9
    np.testing.assert_array_equal(model.weight.data, before)
    again = swa_utils.AveragedModel(model)
    again.load_state_dict(averaged.state_dict())
    for one in (averaged, again):
        one.update_parameters(model)
    np.testing.assert_array_equal(again.module.weight.data, averaged.module.weight.data)
    assert again.n_averaged.item() == 2


def test_update_bn(torch, rng):
    ours, theirs = pair(torch)
    change(rng, torch, ours, theirs)
    batches = [rng.standard_normal((6, 3)) for _ in range(4)]
    ours.eval(), theirs.eval()
    swa_utils.update_bn([(dl.Tensor(b), None) for b in batches], ours)
    torch.optim.swa_utils.update_bn([torch.tensor(b) for b in batches], theirs)
    for a, b in zip(ours.buffers(), theirs.buffers()):
        np.testing.assert_allclose(a.data, b.numpy(), rtol=1e-10)
    assert not ours.training and ours[1].momentum == 0.1
    swa_utils.update_bn([], nn.Linear(1, 1))


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("epochs", [0, 1, 4])
def test_swalr_follows_torch(torch, strategy, epochs):
    def rates(optim, tensor, schedules, utils):
        params = [{"params": [tensor()], "lr": 0.5}, {"params": [tensor()]}]
        optimizer = optim(params, lr=0.1)
        before = schedules.ExponentialLR(optimizer, 0.9)
        swa = utils.SWALR(optimizer, [0.05, 0.2], epochs, strategy)
        seen = []
        for step in range(12):
            optimizer.step()
            (before if step < 4 else swa).step()
            seen.append([g["lr"] for g in optimizer.param_groups])
        return seen

    theirs = torch.optim
    got = rates(SGD, lambda: dl.Tensor([1.0], True), dl.optim.lr_scheduler, swa_utils)
    want = rates(
        theirs.SGD,
        lambda: torch.ones(1, requires_grad=True),
        theirs.lr_scheduler,
        theirs.swa_utils,
    )
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_swalr_resumes():
    def made():
        optimizer = SGD([dl.Tensor([1.0], True)], lr=1.0)
        return ExponentialLR(optimizer, 0.5), swa_utils.SWALR(optimizer, 0.1, 5)

    before, whole = made()
    before.step()
    for _ in range(2):
        whole.step()
    _, again = made()
    again.load_state_dict(whole.state_dict())
    for _ in range(4):
        whole.step()
        again.step()
        assert again.get_last_lr() == whole.get_last_lr()


optimizer = SGD([dl.Tensor([1.0], True)], lr=1.0)
model = nn.Linear(2, 2)
BAD = [
    (lambda: swa_utils.get_ema_multi_avg_fn(1.5), "decay must be from 0 to 1, got 1.5"),
    (lambda: swa_utils.AveragedModel(model, None, max, max), "only one of avg_fn and"),
    (
        lambda: swa_utils.AveragedModel(model).update_parameters(nn.Linear(3, 2)),
        "model must have the parameters of the one that was copied",
    ),
    (lambda: swa_utils.SWALR(optimizer, -1), "swa_lr must be at least 0, got -1"),
    (lambda: swa_utils.SWALR(optimizer, 1, -1), "anneal_epochs must be at least 0"),
    (lambda: swa_utils.SWALR(optimizer, 1, 1, "up"), "must be one of cos, linear"),
]


@pytest.mark.parametrize("call, match", BAD)
def test_bad_calls(call, match):
    with pytest.raises(ValueError, match=match):
        call()
