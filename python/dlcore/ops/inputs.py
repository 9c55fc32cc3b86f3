"""What ops ask of their inputs."""

import functools

import numpy as np

from .. import _C
from ..tensor import Tensor


def short_way(binding):
    """Give a function its short way: plain arrays go straight to the binding.

    The parameters that the function shares with the binding, the leading ones and those
    of one name, must mean the same to both. On 16 elements it takes 70 ns off 270.
    """

    def of(function):
        way = _C.ShortWay(binding, function)
        return functools.update_wrapper(way, function)

    return of


def wants(x):
    """Whether an input needs a gradient."""
    return isinstance(x, Tensor) and x.requires_grad


def plain(y, *inputs):
    """A result without a gradient: a Tensor when an input is one."""
    if any(isinstance(x, Tensor) for x in inputs):
        return Tensor(y)
    return array_of(y)


def array_of(y):
    """What NumPy gave: an array as it is, a number as one."""
    return y if isinstance(y, np.ndarray) else np.asarray(y)
