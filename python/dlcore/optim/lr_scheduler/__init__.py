"""Schedules of the learning rate, under PyTorch's names.

Call ``schedule.step()`` after the optimizer's step: once an epoch, or once a batch, as
the schedule's numbers count.
"""

from ...hints import of_module as _of_module
from .combine import ChainedScheduler, SequentialLR
from .cycle import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    OneCycleLR,
)
from .decay import (
    ExponentialLR,
    InverseSqrtLR,
    InverseTimeLR,
    LambdaLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from .plateau import ReduceLROnPlateau
from .scheduler import LRScheduler
from .warmup import ConstantLR, LinearLR, NoamLR, WarmupLR

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "InverseSqrtLR",
    "InverseTimeLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "NoamLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
    "WarmupLR",
]

__getattr__ = _of_module(globals(), "lr_scheduler.")
