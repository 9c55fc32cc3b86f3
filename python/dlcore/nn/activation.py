"""Activations as modules."""

from ..ops import (
    gelu,
    leaky_relu,
    log_softmax,
    relu,
    relu6,
    sigmoid,
    silu,
    softmax,
    softmin,
    tanh,
)
from ..tensor import raw
from .checks import one_of
from .module import Module


class ReLU(Module):
    """``max(x, 0)``. `inplace` is PyTorch's; the result is always new.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.ReLU()(dl.Tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def __init__(self, inplace=False):
        self.inplace = inplace

    def forward(self, x):
        return relu(x)

    def extra_repr(self):
        return "inplace=True" if self.inplace else ""


class ReLU6(Module):
    """``min(max(x, 0), 6)``.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.ReLU6()(dl.Tensor([-1.0, 2.0, 9.0]))
    tensor([0., 2., 6.])
    """

    def __init__(self, inplace=False):
        self.inplace = inplace

    def forward(self, x):
        return relu6(x)

    def extra_repr(self):
        return "inplace=True" if self.inplace else ""


class LeakyReLU(Module):
    """``x`` where it is positive, ``negative_slope * x`` elsewhere.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.LeakyReLU(0.25)(dl.Tensor([-1.0, 2.0]))
    tensor([-0.25,  2.  ])
    """

    def __init__(self, negative_slope=0.01, inplace=False):
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, x):
        return leaky_relu(x, self.negative_slope)

    def extra_repr(self):
        inplace = ", inplace=True" if self.inplace else ""
        return f"negative_slope={self.negative_slope}{inplace}"


class Sigmoid(Module):
    """``1 / (1 + exp(-x))``.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.Sigmoid()(dl.Tensor([-1.0, 2.0]))
    tensor([0.2689, 0.8808])
    """

    def forward(self, x):
        return sigmoid(x)


class Tanh(Module):
    """Hyperbolic tangent.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.Tanh()(dl.Tensor([-1.0, 2.0]))
    tensor([-0.7616,  0.964 ])
    """

    def forward(self, x):
        return tanh(x)


class GELU(Module):
    """``x`` times the normal distribution function of `x`; ``approximate='tanh'``.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.GELU()(dl.Tensor([-1.0, 2.0]))
    tensor([-0.1587,  1.9545])
    """

    def __init__(self, approximate="none"):
        one_of("GELU", "approximate", approximate, ("none", "tanh"))
        self.approximate = approximate

    def forward(self, x):
        return gelu(x, approximate=self.approximate)

    def extra_repr(self):
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    """``x * sigmoid(x)``, also known as Swish.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.SiLU()(dl.Tensor([-1.0, 2.0]))
    tensor([-0.2689,  1.7616])
    """

    def __init__(self, inplace=False):
        self.inplace = inplace

    def forward(self, x):
        return silu(x)

    def extra_repr(self):
        return "inplace=True" if self.inplace else ""


class Softmax(Module):
    """Positive and summing to 1 along `dim`.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.Softmax(dim=-1)(dl.Tensor([[0.0, 0.0]]))
    tensor([[0.5, 0.5]])
    """

    def __init__(self, dim=-1):
        self.dim = dim

    def forward(self, x):
        return softmax(x, self.dim)

    def extra_repr(self):
        return f"dim={self.dim}"


class Softmin(Module):
    """Softmax of ``-x`` along `dim`.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.Softmin(dim=-1)(dl.Tensor([[0.0, 0.0]]))
    tensor([[0.5, 0.5]])
    """

    def __init__(self, dim=-1):
        self.dim = dim

    def forward(self, x):
        return softmin(x, self.dim)

    def extra_repr(self):
        return f"dim={self.dim}"


class Softmax2d(Module):
    """Softmax over the channels of a picture, shape (n, channels, h, w) or without n.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.nn.Softmax2d()(np.zeros((4, 1, 1))).ravel()
    array([0.25, 0.25, 0.25, 0.25])
    """

    def forward(self, x):
        shape = raw(x).shape
        if len(shape) not in (3, 4):
            raise ValueError(
                f"Softmax2d: x must have 3 or 4 axes, got x.shape = {shape}"
            )
        return softmax(x, -3)


class LogSoftmax(Module):
    """The logarithm of softmax along `dim`.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.LogSoftmax(dim=-1)(dl.Tensor([[0.0, 0.0]]))
    tensor([[-0.6931, -0.6931]])
    """

    def __init__(self, dim=-1):
        self.dim = dim

    def forward(self, x):
        return log_softmax(x, self.dim)

    def extra_repr(self):
        return f"dim={self.dim}"
