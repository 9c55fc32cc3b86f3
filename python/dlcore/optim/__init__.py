"""Optimizers: one native call steps all parameters of a group, in place; and schedules.

The schedules of the learning rate are in `lr_scheduler`, averages of weights in
`swa_utils`, penalties, early stopping and mixup in `regularization`; `GradientMonitor`
names layers whose gradients vanish or explode.
"""

from . import lr_scheduler
from .adam import Adam, AdamW
from .adam_variants import Adamax, NAdam, RAdam
from .adaptive import Adadelta, Adagrad, RMSprop
from .large_batch import LAMB, Lion
from .optimizer import Optimizer
from .sgd import SGD

__all__ = [
    "LAMB",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "lr_scheduler",
]
