"""dlcore: the kernels of deep learning in one small wheel.

Ops (``dl.relu``, ``dl.conv2d``, ``dl.softmax``, ...) take NumPy arrays and give NumPy
arrays; given a `Tensor` they give a Tensor and record its gradient.

- ``nn``, ``optim``, ``init``: layers, optimizers, first weights, under PyTorch's names
- ``data``, ``models``, ``detection``: digits to train on, LeNet-5 to ResNet-152, boxes
- ``audio``, ``decoding``: mel spectrograms and MFCC; greedy and beam search
- ``io``: weights and checkpoints in safetensors, PyTorch's files read without it
- ``autograd``: `grad`, `checkpoint`, `detect_anomaly`, functions of your own
- ``random``: `manual_seed`, `rand`, `randn`, ...; ``testing``: `testing.gradcheck`
- `count_flops`, `summary`: what a model computes; `optimize`: a fused copy of it
- `set_num_threads`, `set_isa`, `show_config`: what serves the calls

Examples
--------
>>> import numpy as np
>>> import dlcore as dl
>>> x = dl.Tensor(np.ones((2, 3)), requires_grad=True)
>>> dl.tanh(x).sum().backward()
>>> x.grad.shape
(2, 3)
"""

# ruff: noqa: F401, F403
from types import ModuleType

from . import _C, hints, init, random
from ._C import __version__
from .create import *
from .grad_mode import (
    enable_grad,
    inference_mode,
    is_autocast_enabled,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from .interop import from_dlpack
from .ops import *
from .precision import autocast
from .random import *
from .runtime import (
    config,
    empty_cache,
    get_cache_limit,
    get_isa,
    get_num_threads,
    get_winograd,
    set_cache_limit,
    set_isa,
    set_num_threads,
    set_winograd,
    show_config,
)
from .tensor import Tensor, tensor

_LAZY = (
    "audio",
    "autograd",
    "cuda",
    "data",
    "decoding",
    "detection",
    "io",
    "models",
    "nn",
    "optim",
    "testing",
)  # not needed by all: at the first use
_LAZY_FUNCTIONS = {
    "checkpoint": "autograd",
    "count_flops": "flops",
    "detect_anomaly": "autograd",
    "grad": "autograd",
    "optimize": "inference",
    "quantize_dynamic": "quantization",
    "summary": "summarize",
}
_MODULES = ("init", "random")
__all__ = sorted(
    {
        name
        for name, value in (
            *globals().items(),
            *((name, None) for name in (*_LAZY, *_LAZY_FUNCTIONS)),
        )
        if not name.startswith("_")
        and name != "ModuleType"
        and (not isinstance(value, ModuleType) or name in _MODULES)
    }
)


def __dir__():
    return __all__


def __getattr__(name):
    import importlib

    if name in _LAZY:
        return importlib.import_module(f".{name}", __name__)
    if name in _LAZY_FUNCTIONS:
        module = importlib.import_module(f".{_LAZY_FUNCTIONS[name]}", __name__)
        globals()[name] = getattr(module, name)
        return globals()[name]
    raise hints.missing("module 'dlcore'", "dl.", name, __all__)
