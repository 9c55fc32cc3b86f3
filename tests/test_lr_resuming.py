"""Schedules: going on from a snapshot, what they look like, bad calls."""

import copy
import math
import pickle

import numpy as np
import pytest
from schedule_helpers import (
    OWN,
    RATES,
    SHARED,
    by_name,
    half,
    make,
    momenta,
    ours,
    rates,
    run,
)

import dlcore as dl
from dlcore.optim import SGD, Adam, lr_scheduler
from dlcore.optim.lr_scheduler import (
    ChainedScheduler,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)


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
