"""What the tests of the schedules share: one case or more of each."""

import math

import dlcore as dl
from dlcore.optim import SGD, lr_scheduler

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
