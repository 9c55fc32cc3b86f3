"""Schedules of the learning rate: against PyTorch, and formulas by hand."""

import math

import numpy as np
import pytest
from schedule_helpers import (
    RATES,
    SHARED,
    by_name,
    half,
    make,
    momenta,
    ours,
    rates,
    run,
    theirs,
)

import dlcore as dl
from dlcore.optim import SGD, Adam
from dlcore.optim.lr_scheduler import (
    ChainedScheduler,
    ExponentialLR,
    LambdaLR,
    LRScheduler,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
    WarmupLR,
)

# PyTorch warns of a schedule whose step comes before the optimizer's
pytestmark = pytest.mark.filterwarnings("ignore:Detected call of `lr_sched")


@pytest.mark.parametrize("kind", [SGD, Adam])
@pytest.mark.parametrize("case", SHARED, ids=by_name)
def test_follows_torch(torch, case, kind):
    mine, other = ours(kind), theirs(torch, kind)
    a = make(case, mine)
    b = make(case, other, torch.optim.lr_scheduler)
    for _ in range(300):
        np.testing.assert_allclose(rates(mine), rates(other), rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(momenta(mine), momenta(other), rtol=1e-9)
        assert a.get_last_lr() == rates(mine)
        assert a.last_epoch == b.last_epoch
        a.step()
        b.step()


CHAINS = [
    [("ConstantLR", (), {}), ("ExponentialLR", (0.99,), {})],
    [("LinearLR", (), {"total_iters": 20}), ("StepLR", (30,), {}), SHARED[5]],
    [("LinearLR", (), {}), ("CosineAnnealingLR", (250,), {}), SHARED[2]],
]


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("apart", [True, False])
def test_schedules_of_one_optimizer_multiply_as_in_torch(torch, chain, apart):
    mine, other = ours(), theirs(torch)
    a = [make(case, mine) for case in chain]
    b = [make(case, other, torch.optim.lr_scheduler) for case in chain]
    if not apart:
        a, b = [ChainedScheduler(a)], [torch.optim.lr_scheduler.ChainedScheduler(b)]
    for _ in range(240):
        np.testing.assert_allclose(rates(mine), rates(other), rtol=1e-9)
        for schedule in (*a, *b):
            schedule.step()


@pytest.mark.parametrize(
    "parts, milestones",
    [
        ([SHARED[7], SHARED[10]], [20]),
        ([SHARED[8], SHARED[14], SHARED[3], SHARED[15]], [5, 60, 110]),
    ],
)
def test_one_after_another_as_in_torch(torch, parts, milestones):
    mine, other = ours(), theirs(torch)
    theirs_ = torch.optim.lr_scheduler
    a = SequentialLR(mine, [make(case, mine) for case in parts], milestones)
    b = [make(case, other, theirs_) for case in parts]
    b = theirs_.SequentialLR(other, b, milestones)
    for _ in range(250):
        np.testing.assert_allclose(rates(mine), rates(other), rtol=1e-9)
        assert a.get_last_lr() == rates(mine)
        a.step()
        b.step()


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize("cooldown, min_lr", [(0, 0.0), (3, [0.01, 0.002])])
def test_plateau_follows_torch(torch, rng, mode, threshold_mode, cooldown, min_lr):
    options = {
        "mode": mode,
        "threshold_mode": threshold_mode,
        "threshold": 0.02,
        "cooldown": cooldown,
        "min_lr": min_lr,
        "patience": 4,
        "factor": 0.6,
    }
    mine, other = ours(), theirs(torch)
    a = ReduceLROnPlateau(mine, **options)
    b = torch.optim.lr_scheduler.ReduceLROnPlateau(other, **options)
    metrics = rng.standard_normal(300) * np.linspace(3, 0.1, 300)
    metrics[[5, 80]] = np.nan
    for metric in metrics:
        a.step(metric)
        b.step(metric)
        assert rates(mine) == rates(other) == a.get_last_lr()
        assert (a.best, a.num_bad_epochs) == (b.best, b.num_bad_epochs)
        assert a.in_cooldown == b.in_cooldown
    assert rates(mine)[0] < 0.1


def test_fractions_of_an_epoch_as_in_torch(torch):
    mine, other = ours(), theirs(torch)
    case = ("CosineAnnealingWarmRestarts", (3, 2), {"eta_min": 0.01})
    a, b = make(case, mine), make(case, other, torch.optim.lr_scheduler)
    for i in range(200):
        a.step(i / 8)
        b.step(i / 8)
        np.testing.assert_allclose(rates(mine), rates(other), rtol=1e-9)


# -- by hand --


def sequence(case, steps=4, lr=1.0):
    schedule = make(case, SGD([dl.Tensor([1.0], True)], lr=lr, momentum=0.9))
    first = schedule.get_last_lr()
    return [lrs[0] for lrs in [first, *run(schedule, steps - 1)]]


@pytest.mark.parametrize(
    "case, want",
    [
        (("InverseTimeLR", (1.0,), {}), [1, 1 / 2, 1 / 3, 1 / 4]),
        (("InverseTimeLR", (1.0, 2, True), {}), [1, 1, 1 / 2, 1 / 2]),
        (("InverseSqrtLR", (3.0,), {}), [3, 3 / 2**0.5, 3 / 3**0.5, 1.5]),
        (("ExponentialLR", (math.exp(-0.1),), {}), np.exp([0, -0.1, -0.2, -0.3])),
        (("StepLR", (2,), {"gamma": 0.5}), [1, 1, 0.5, 0.5]),
        (("WarmupLR", (3,), {}), [1 / 3, 2 / 3, 1, 1]),
        (("ConstantLR", (0.0, 2), {}), [0, 0, 1, 1]),
        (("NoamLR", (16, 2), {}), np.array([1 / 8**0.5, 0.5**0.5, 3**-0.5, 0.5]) / 4),
        (("PolynomialLR", (2, 2.0), {}), [1, 0.25, 0, 0]),
        (("CosineAnnealingLR", (2,), {}), [1, 0.5, 0, 0.5]),
        (("CosineAnnealingWarmRestarts", (2,), {}), [1, 0.5, 1, 0.5]),
        (("CyclicLR", (1.0, 3.0, 1, 2), {}), [1, 3, 2, 1]),
        (("OneCycleLR", (1.0, 3), {"pct_start": 2 / 3}), [1 / 25, 1, 1 / 25e4]),
        (("MultiplicativeLR", (lambda t: t,), {}), [1, 1, 2, 6]),
    ],
    ids=lambda x: x[0] if isinstance(x, tuple) else "",
)
def test_formulas_by_hand(case, want):
    np.testing.assert_allclose(sequence(case)[: len(want)], want, rtol=1e-12)


def test_inverse_time_decay_of_the_notes():
    got = sequence(("InverseTimeLR", (1.0,), {}), 5, lr=0.2)[1:]
    np.testing.assert_allclose(got, [0.1, 0.067, 0.05, 0.04], atol=5e-4)


def test_one_cycle_stays_at_its_end():
    got = sequence(("OneCycleLR", (1.0, 10), {}), 20)
    assert got[9:] == [got[9]] * 11 and math.isclose(got[9], 1 / 25e4)


def test_nothing_drifts():
    schedule = ExponentialLR(ours(), 0.999)
    run(schedule, 5000)
    assert schedule.get_last_lr() == [rate * 0.999**5000 for rate in RATES]


def test_a_rate_changed_by_hand_is_followed():
    optimizer = ours()
    schedule = StepLR(optimizer, 2, gamma=0.5)
    optimizer.param_groups[0]["lr"] = 0.05
    np.testing.assert_allclose(run(schedule, 2), [[0.05, 0.03], [0.025, 0.015]])
    optimizer.param_groups[0]["lr"] *= 8
    np.testing.assert_allclose(run(schedule, 2)[1], [0.1, 0.0075])


def test_warm_up_multiplies_with_any_decay():
    optimizer = ours()
    parts = [WarmupLR(optimizer, 4), LambdaLR(optimizer, half)]
    got = run(ChainedScheduler(parts), 5)
    want = [min(1, (t + 1) / 4) * half(t) * RATES[0] for t in range(1, 6)]
    np.testing.assert_allclose([lrs[0] for lrs in got], want)


def test_combinations_may_be_nested_and_move_momentum():
    optimizer = ours()
    chain = ChainedScheduler([WarmupLR(optimizer, 2), ExponentialLR(optimizer, 0.5)])
    cycle = make(("OneCycleLR", (1.0, 11), {"pct_start": 0.5}), optimizer)
    schedule = SequentialLR(optimizer, [chain, cycle], [3])
    np.testing.assert_allclose(schedule.get_last_lr()[0], 0.25)
    np.testing.assert_allclose(run(schedule, 2)[1][0], 0.125)
    run(schedule, 1)
    np.testing.assert_allclose(
        [*momenta(optimizer), *rates(optimizer)], [0.95] * 2 + [1 / 25] * 2
    )


def test_a_subclass_gives_its_factor():
    class Slow(LRScheduler):
        def _factor(self, t, index):
            return 1 / (1 + index + t)

    np.testing.assert_allclose(run(Slow(ours()), 1), [[0.25, 0.01]])
