"""Optimizers: one native call steps all parameters of a group, in place; and schedules.

The schedules of the learning rate are in `lr_scheduler`.
"""

from . import lr_scheduler
from .adam import Adam, AdamW
from .optimizer import Optimizer
from .sgd import SGD
from .sparse_adam import SparseAdam

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "SparseAdam", "lr_scheduler"]
