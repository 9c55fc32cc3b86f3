"""dlcore: the kernels of deep learning in one small wheel."""

# ruff: noqa: F401, F403
from . import _C, init, optim, random, testing
from ._C import __version__
from .grad_mode import enable_grad, is_grad_enabled, no_grad
from .ops import *
from .random import *
from .runtime import (
    config,
    empty_cache,
    get_cache_limit,
    get_isa,
    get_num_threads,
    set_cache_limit,
    set_isa,
    set_num_threads,
    show_config,
)
from .tensor import Tensor, tensor


def __getattr__(name):
    if name in (
        "data",
        "detection",
        "models",
        "nn",
    ):  # not needed by all: loaded at the first use
        import importlib

        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module 'dlcore' has no attribute {name!r}")
