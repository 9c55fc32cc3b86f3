"""The ops under the name PyTorch users look for."""

from ..hints import of_module as _of_module
from ..ops import *  # noqa: F403

__getattr__ = _of_module(globals(), "nn.functional.")
