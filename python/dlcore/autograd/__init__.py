"""Gradients beyond `Tensor.backward`: `grad`, functions of your own, checkpoints.

Examples
--------
>>> import dlcore as dl
>>> x = dl.Tensor([3.0], requires_grad=True)
>>> (dx,) = dl.autograd.grad(x**3.0, x, create_graph=True)
>>> dl.autograd.grad(dx, x)
(tensor([18.]),)
"""

from ..grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled
from . import (  # noqa: F401
    rules_activation,
    rules_attention,
    rules_elementwise,
    rules_losses,
    rules_norm,
    rules_shape,
    rules_sums,
)
from .anomaly import detect_anomaly
from .checkpoint import checkpoint
from .function import Function, once_differentiable
from .grad import backward, grad
from .penalty import gradient_penalty

__all__ = [
    "Function",
    "backward",
    "checkpoint",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "gradient_penalty",
    "inference_mode",
    "no_grad",
    "once_differentiable",
    "set_grad_enabled",
]


def __dir__():
    return __all__
