"""The ops under the name PyTorch users look for."""

from ..ops import *  # noqa: F403
