"""dlcore: the kernels of deep learning in one small wheel."""

# ruff: noqa: F403
from . import _C, testing
from ._C import __version__
from .ops import *
from .tensor import Tensor, no_grad
