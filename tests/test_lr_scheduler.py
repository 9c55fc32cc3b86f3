"""Schedules of the learning rate: PyTorch, formulas by hand, resuming, bad calls."""

import copy
import math
import pickle

import numpy as np
import pytest

import dlcore as dl
from dlcore.optim import SGD, Adam, lr_scheduler
from dlcore.optim.lr_scheduler import (
    ChainedScheduler,
    CosineAnnealingLR,
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

RATES = (0.5, 0.03)


def half(t):
    return 1 / (1 + 0.01 * t)


SHARED = [  # those that PyTorch has too
    ("LambdaLR", (half,), {}),
    ("LambdaLR", ([half, lambda t: 0.99**t],), {}),
    ("MultiplicativeLR", (lambda t: 0.97 + 0.01 * math.sin(t),), {}),
    ("StepLR", (7,), {"gamma": 0.8}),
    ("StepLR", (1,), {}),
    ("MultiStepLR", ([3, 50, 50, 120],), {"gamma": 0.3}),
    ("ConstantLR", (), {"factor": 0.25, "total_iters": 9}),
    ("ConstantLR", (), {}),
    ("LinearLR", (), {}),
    ("LinearLR", (), {"start_factor": 0.01, "end_factor": 0.6, "total_iters": 150}),
    ("ExponentialLR", (0.98,), {}),
    ("PolynomialLR", (), {}),
    ("PolynomialLR", (170,), {"power": 2.5}),
    ("CosineAnnealingLR", (60,), {}),
    ("CosineAnnealingLR", (31,), {"eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", (9,), {"eta_min": 0.001}),
    ("CosineAnnealingWarmRestarts", (5, 3), {}),
    ("CyclicLR", (0.1, 0.7), {"step_size_up": 13, "step_size_down": 29}),
    ("CyclicLR", ([0.1, 0.2], [0.3, 0.4]), {"step_size_up": 8, "mode": "triangular2"}),
    (
        "CyclicLR",
        (0.0, 1.0),
        {"step_size_up": 7, "mode": "exp_range", "gamma": 0.99},
    ),
    ("CyclicLR", (0.1, 0.7), {"step_size_up": 5, "scale_fn": lambda c: 1 / c}),
    (
        "CyclicLR",
        (0.1, 0.7),
        {"step_size_up": 5, "scale_fn": half, "scale_mode": "iterations"},
    ),
    ("OneCycleLR", (0.9,), {"total_steps": 400}),
    ("OneCycleLR", ([0.9, 0.2],), {"epochs": 20, "steps_per_epoch": 17}),
    (
        "OneCycleLR",
        (0.9,),
        {"total_steps": 333, "three_phase": True, "pct_start": 0.37},
    ),
    (
        "OneCycleLR",
        (0.9,),
        {"total_steps": 301, "anneal_strategy": "linear", "pct_start": 0.0},
    ),
]
OWN = [
    ("InverseTimeLR", (0.3,), {"decay_steps": 4, "staircase": True}),
    ("InverseTimeLR", (0.3,), {}),
    ("InverseSqrtLR", (0.5,), {}),
    ("WarmupLR", (20,), {}),
    ("NoamLR", (64, 30), {}),
]


def ours(kind=SGD, momentum=0.9):
    groups = [
        {"params": [dl.Tensor([1.0], True)], "lr": rate, **_momentum(kind, momentum)}
        for rate in RATES
    ]
    return kind(groups)


def _momentum(kind, momentum):
    return {"momentum": momentum} if kind is SGD else {}


def theirs(torch, kind=SGD):
    groups = [
        {
            "params": [torch.ones(1, requires_grad=True)],
            "lr": rate,
            **_momentum(kind, 0.9),
        }
        for rate in RATES
    ]
    return getattr(torch.optim, kind.__name__)(groups)


def rates(optimizer):
    return [group["lr"] for group in optimizer.param_groups]


def momenta(optimizer):
    return [
        g["momentum"] if "momentum" in g else g["betas"] for g in optimizer.param_groups
    ]


def make(case, optimizer, module=lr_scheduler):
    name, args, options = case
    return getattr(module, name)(optimizer, *args, **options)


def run(schedule, steps):
    out = []
    for _ in range(steps):
        schedule.step()
        out.append(schedule.get_last_lr())
    return out


def by_name(case):
    return case[0]


# -- PyTorch --


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


# -- resuming --


def combined(optimizer):
    chain = ChainedScheduler([make(OWN[3], optimizer), make(SHARED[2], optimizer)])
    return SequentialLR(optimizer, [chain, make(SHARED[23], optimizer)], [40])


@pytest.mark.parametrize("kind", [SGD, Adam])
@pytest.mark.parametrize("case", [*SHARED, *OWN, ("combined", (), {})], ids=by_name)
@pytest.mark.parametrize("order", ["optimizer", "schedule", "only schedule"])
def test_resume_is_exact(case, kind, order):
    def start():
        optimizer = ours(kind)
        beside = ExponentialLR(optimizer, 0.995)
        whole = combined(optimizer) if case[0] == "combined" else make(case, optimizer)
        return optimizer, beside, whole

    def steps(optimizer, beside, schedule):
        out = []
        for _ in range(60):
            beside.step()
            schedule.step()
            out.append((rates(optimizer), copy.copy(momenta(optimizer))))
        return out

    first = start()
    steps(*first)
    saved = pickle.loads(pickle.dumps([part.state_dict() for part in first]))
    again = start()
    order = {"optimizer": [0, 1, 2], "schedule": [1, 2, 0]}.get(order, [1, 2])
    for i in order:
        again[i].load_state_dict(saved[i])
    assert rates(again[0]) == rates(first[0])
    assert momenta(again[0]) == momenta(first[0])
    assert steps(*again) == steps(*first)


def test_plateau_resumes_exactly(rng):
    options = {"patience": 2, "cooldown": 2, "factor": 0.7}
    metrics = rng.standard_normal(80)
    first = ReduceLROnPlateau(ours(), **options)
    for metric in metrics[:37]:
        first.step(metric)
    again = ReduceLROnPlateau(ours(), **options)
    again.load_state_dict(pickle.loads(pickle.dumps(first.state_dict())))
    for metric in metrics[37:]:
        assert rates(first.optimizer) == rates(again.optimizer)
        first.step(metric)
        again.step(metric)
    assert first.state_dict() == again.state_dict()


def test_a_snapshot_does_not_change():
    schedule = StepLR(ours(), 1)
    saved = schedule.state_dict()
    before = copy.deepcopy(saved)
    run(schedule, 3)
    assert saved == before
    schedule.load_state_dict(saved)
    run(schedule, 3)
    assert saved == before


@pytest.mark.parametrize("case", [SHARED[3], SHARED[13], SHARED[2]], ids=by_name)
def test_last_epoch_goes_on_from_initial_lr(case):
    optimizer = ours()
    want = run(make(case, optimizer), 12)
    name, args, options = case
    again = make((name, args, {**options, "last_epoch": 4}), optimizer)
    np.testing.assert_allclose(again.get_last_lr(), want[4], rtol=1e-12)
    np.testing.assert_allclose(run(again, 7), want[5:], rtol=1e-12)


def test_training_follows_the_rate():
    w = dl.Tensor([0.0], True)
    optimizer = SGD([w], lr=1.0)
    schedule = ExponentialLR(optimizer, 0.5)
    for _ in range(4):
        w.grad = dl.Tensor([-1.0])
        optimizer.step()
        schedule.step()
    assert w.item() == 1.875


def test_plateau_takes_a_tensor():
    schedule = ReduceLROnPlateau(ours(), patience=0)
    schedule.step(dl.Tensor(0.5))
    schedule.step(dl.Tensor([0.5], True))
    np.testing.assert_allclose(schedule.get_last_lr(), [0.05, 0.003])


# -- what it looks like; bad calls --


@pytest.mark.parametrize("case", [*SHARED, *OWN], ids=by_name)
def test_repr_names_every_argument(case):
    text = repr(make(case, ours()))
    assert text.startswith(f"{case[0]}(") and "last_epoch=0, lr=[" in text
    assert all(f"{name}=" in text for name in case[2])
    assert "0x" not in text and "\n" not in text


def test_repr():
    schedule = StepLR(SGD([dl.Tensor([1.0], True)], lr=0.5), 3)
    assert repr(schedule) == "StepLR(step_size=3, gamma=0.1, last_epoch=0, lr=[0.5])"
    assert "patience=10" in repr(ReduceLROnPlateau(ours()))
    assert "ExponentialLR(gamma=0.5" in repr(
        ChainedScheduler([ExponentialLR(schedule.optimizer, 0.5)])
    )


BAD = [
    ("StepLR", (0,), {}, "step_size must be at least 1, got 0"),
    ("StepLR", (1.5,), {}, "step_size must be a whole number, got 1.5"),
    ("StepLR", (math.nan,), {}, "step_size must be a whole number, got nan"),
    ("StepLR", (2,), {"gamma": -1}, "gamma must be at least 0, got -1"),
    ("StepLR", (2,), {"gamma": math.inf}, "gamma must be at least 0, got inf"),
    ("StepLR", (2,), {"gamma": "a"}, "gamma must be a number, got str"),
    ("StepLR", (2,), {"last_epoch": 3}, "last_epoch must be -1 where"),
    ("StepLR", (2,), {"last_epoch": -2}, "last_epoch must be at least -1"),
    ("MultiStepLR", (3,), {}, "milestones must be a list of whole numbers, got int"),
    ("MultiStepLR", (["x"],), {}, "each of milestones must be a whole number"),
    ("LambdaLR", (0.5,), {}, "lr_lambda must be a function of the step, got float"),
    ("LambdaLR", ([half],), {}, "lr_lambda must have one value for each of the 2"),
    ("LambdaLR", (lambda t: -1,), {}, "the learning rate must be at least 0"),
    ("MultiplicativeLR", (0.5,), {}, "lr_lambda must be a function"),
    ("ConstantLR", (2.0,), {}, "factor must be from 0 to 1, got 2.0"),
    ("LinearLR", (0.0,), {}, "start_factor must be above 0, got 0"),
    ("LinearLR", (0.1, 1.5), {}, "end_factor must be from 0 to 1, got 1.5"),
    ("CosineAnnealingLR", (0,), {}, "T_max must be at least 1, got 0"),
    ("CosineAnnealingWarmRestarts", (2, 0), {}, "T_mult must be at least 1, got 0"),
    ("CyclicLR", (0.1, 1.0), {"mode": "square"}, "mode must be one of triangular,"),
    ("CyclicLR", (0.1, [1.0]), {}, "max_lr must have one value for each"),
    ("CyclicLR", (0.1, 1.0), {"scale_fn": 2}, "scale_fn must be a function, got int"),
    ("OneCycleLR", (0.1,), {}, "total_steps must be given, or epochs and"),
    ("OneCycleLR", (0.1, 5), {"pct_start": 2}, "pct_start must be from 0 to 1, got 2"),
    ("OneCycleLR", (0.1, 5), {"anneal_strategy": "x"}, "anneal_strategy must be one"),
    ("NoamLR", (0,), {}, "d_model must be at least 1, got 0"),
    ("InverseTimeLR", (-1.0,), {}, "decay_rate must be at least 0"),
    ("ReduceLROnPlateau", ("low",), {}, "mode must be one of min, max, got 'low'"),
    ("ReduceLROnPlateau", (), {"factor": 1.0}, "factor must be less than 1"),
    ("ReduceLROnPlateau", (), {"min_lr": [0.1]}, "min_lr must have one value"),
]


def refused(message, error=(TypeError, ValueError)):
    return pytest.raises(error, match=message.replace("[", r"\["))


@pytest.mark.parametrize("name, args, options, message", BAD)
def test_bad_arguments(name, args, options, message):
    optimizer = ours()
    with refused(f"^{name}: {message}") as caught:
        make((name, args, options), optimizer)
    assert "\n" not in str(caught.value)
    assert rates(optimizer) == list(RATES)


@pytest.mark.parametrize("case", [*SHARED, *OWN], ids=by_name)
def test_needs_an_optimizer(case):
    with refused("optimizer must be an Optimizer, got Linear", TypeError):
        make(case, dl.nn.Linear(2, 2))


def test_momentum_needs_an_optimizer_that_has_one():
    class Plain(dl.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {"lr": 0.1})

    optimizer = Plain([dl.Tensor([1.0], True)])
    with refused("OneCycleLR: optimizer must have momentum or betas, got Plain"):
        make(SHARED[22], optimizer)
    make(("OneCycleLR", (0.9, 5), {"cycle_momentum": False}), optimizer).step()


def test_bad_combinations():
    optimizer, other = ours(), ours()
    a, b = StepLR(optimizer, 2), StepLR(other, 2)
    for call, message in [
        (lambda: ChainedScheduler([]), "schedulers must not be empty"),
        (lambda: ChainedScheduler([a, b]), "must be of the same optimizer"),
        (lambda: ChainedScheduler([a, 3]), "must be a schedule, got int"),
        (lambda: ChainedScheduler([ReduceLROnPlateau(optimizer)]), "follows a metric"),
        (lambda: SequentialLR(optimizer, [a, a], []), "one fewer than the 2"),
        (lambda: SequentialLR(optimizer, [a, a, a], [5, 5]), "must rise, got [5, 5]"),
        (lambda: SequentialLR(optimizer, [a, b], [5]), "must be of the same optimizer"),
        (lambda: SequentialLR(None, [a], []), "must be an Optimizer, got NoneType"),
    ]:
        with refused(message):
            call()


def test_bad_steps_change_nothing():
    schedule = LambdaLR(ours(), lambda t: 1.0 if t < 2 else math.nan)
    schedule.step()
    before = schedule.state_dict()
    with refused("LambdaLR: the learning rate must be at least 0 and finite, got nan"):
        schedule.step()
    with refused("epoch must be at least 0, got -1"):
        schedule.step(-1)
    assert schedule.state_dict() == before
    with refused("metrics must be one number, got list"):
        ReduceLROnPlateau(ours()).step([1.0])
    schedule.optimizer.add_param_group({"params": dl.Tensor([1.0], True)})
    with refused("must have 2 groups as when the schedule was made, got 3"):
        schedule.step()


def test_bad_snapshots():
    schedule = StepLR(ours(), 2)
    saved = schedule.state_dict()
    with refused("state_dict must have last_epoch, start, scale, last_lr, lr"):
        schedule.load_state_dict({"last_epoch": 1})
    with refused("state_dict must be of a StepLR, got one of a CosineAnnealingLR"):
        schedule.load_state_dict(CosineAnnealingLR(ours(), 5).state_dict())
    with refused("state_dict must be of 1 groups, got 2"):
        StepLR(SGD([dl.Tensor([1.0], True)]), 2).load_state_dict(saved)


def test_every_schedule_is_tested():
    tested = {case[0] for case in [*SHARED, *OWN]}
    others = {"SequentialLR", "ChainedScheduler", "ReduceLROnPlateau", "LRScheduler"}
    assert tested | others == set(lr_scheduler.__all__)
