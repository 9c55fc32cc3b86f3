"""Optimizers: one native call steps all parameters of a group, in place; and schedules.

The schedules of the learning rate are in `lr_scheduler`, averages of weights in
`swa_utils`, penalties, early stopping and mixup in `regularization`; `GradientMonitor`
names layers whose gradients vanish or explode.
"""

from ..hints import of_module as _of_module
from . import lr_scheduler, regularization, swa_utils
from .adam import Adam, AdamW
from .adam_variants import Adamax, NAdam, RAdam
from .adaptive import Adadelta, Adagrad, RMSprop
from .ewma import EWMA, ewma
from .large_batch import LAMB, Lion
from .monitor import GradientMonitor
from .optimizer import Optimizer
from .sgd import SGD
from .sparse_adam import SparseAdam

__all__ = [
    "EWMA",
    "LAMB",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "GradientMonitor",
    "Lion",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "SparseAdam",
    "ewma",
    "lr_scheduler",
    "regularization",
    "swa_utils",
]

__getattr__ = _of_module(globals(), "optim.")
