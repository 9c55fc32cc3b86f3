"""Activations made of straight pieces, as modules."""

from ..ops import (
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    softshrink,
    step,
    threshold,
)
from .checks import settings
from .module import Module


class Step(Module):
    """The perceptron's step, 1 where ``x >= threshold``, else 0.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.Step()(dl.Tensor([-1.0, 2.0]))
    tensor([0., 1.])
    """

    def __init__(self, threshold=0.0):
        self.threshold = threshold

    def forward(self, x):
        return step(x, self.threshold)

    def extra_repr(self):
        return settings(self, "threshold")


class Hardsigmoid(Module):
    """``min(max(x + 3, 0), 6) / 6``.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.Hardsigmoid()(dl.Tensor([-1.0, 2.0]))
    tensor([0.3333, 0.8333])
    """

    def __init__(self, inplace=False):
        self.inplace = inplace

    def forward(self, x):
        return hardsigmoid(x)

    def extra_repr(self):
        return settings(self)


class Hardswish(Module):
    """``x * min(max(x + 3, 0), 6) / 6``.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.Hardswish()(dl.Tensor([-1.0, 2.0]))
    tensor([-0.3333,  1.6667])
    """

    def __init__(self, inplace=False):
        self.inplace = inplace

    def forward(self, x):
        return hardswish(x)

    def extra_repr(self):
        return settings(self)


class Hardtanh(Module):
    """Limit to the range from `min_val` to `max_val`.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.Hardtanh()(dl.Tensor([-1.0, 2.0]))
    tensor([-1.,  1.])
    """

    def __init__(self, min_val=-1.0, max_val=1.0, inplace=False):
        if max_val <= min_val:
            raise ValueError(
                f"Hardtanh: max_val must be above min_val, got {max_val} and {min_val}"
            )
        self.min_val = min_val
        self.max_val = max_val
        self.inplace = inplace

    def forward(self, x):
        return hardtanh(x, self.min_val, self.max_val)

    def extra_repr(self):
        return settings(self, "min_val", "max_val")


class Softshrink(Module):
    """`x`, nearer to 0 by `lambd`: 0 from ``-lambd`` to `lambd`.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.Softshrink()(dl.Tensor([-1.0, 2.0]))
    tensor([-0.5,  1.5])
    """

    def __init__(self, lambd=0.5):
        self.lambd = lambd

    def forward(self, x):
        return softshrink(x, self.lambd)

    def extra_repr(self):
        return f"{self.lambd}"


class Hardshrink(Module):
    """`x`, but 0 from ``-lambd`` to `lambd`.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.Hardshrink(1.0)(dl.Tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def __init__(self, lambd=0.5):
        self.lambd = lambd

    def forward(self, x):
        return hardshrink(x, self.lambd)

    def extra_repr(self):
        return f"{self.lambd}"


class Threshold(Module):
    """`x` where it is above `threshold`, else `value`.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.Threshold(0.5, 9.0)(dl.Tensor([-1.0, 2.0]))
    tensor([9., 2.])
    """

    def __init__(self, threshold, value, inplace=False):
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, x):
        return threshold(x, self.threshold, self.value)

    def extra_repr(self):
        return settings(self, "threshold", "value")
