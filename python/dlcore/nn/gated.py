"""Gated linear units and PReLU as modules."""

import numpy as np

from .. import init as initial
from ..ops import geglu, glu, prelu, reglu, swiglu
from .checks import at_least_one, one_of
from .module import Module
from .parameter import Parameter


class PReLU(Module):
    """``x`` where it is positive, ``weight * x`` elsewhere, with learned weights.

    Parameters
    ----------
    num_parameters : int, optional
        1 for one slope, or the number of channels, axis 1 of the input.
    init : float, optional
        The slopes at first.
    dtype : dtype, optional
        Of the parameters: float32 or float64.

    Attributes
    ----------
    weight : Parameter, shape (num_parameters,)
        The slopes.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.PReLU()(dl.Tensor([-1.0, 2.0])).detach()
    tensor([-0.25,  2.  ])
    """

    def __init__(self, num_parameters=1, init=0.25, dtype=None):
        at_least_one("PReLU", num_parameters=num_parameters)
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(np.empty(num_parameters, dtype or np.float32))
        self.reset_parameters()

    def reset_parameters(self):
        """Set the slopes to `init`."""
        initial.constant_(self.weight, self.init)

    def forward(self, x):
        return prelu(x, self.weight)

    def extra_repr(self):
        return f"num_parameters={self.num_parameters}"


class GLU(Module):
    """``a * sigmoid(b)`` of the two halves along `dim`.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.GLU()(dl.Tensor([2.0, 4.0, 0.0, 1.0]))
    tensor([1.    , 2.9242])
    """

    def __init__(self, dim=-1):
        self.dim = dim

    def forward(self, x):
        return glu(x, self.dim)

    def extra_repr(self):
        return f"dim={self.dim}"


class GEGLU(Module):
    """``a * gelu(b)`` of the two halves along `dim`.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.GEGLU()(dl.Tensor([2.0, 4.0, 0.0, 1.0]))
    tensor([0.    , 3.3654])
    """

    def __init__(self, dim=-1, approximate="none"):
        one_of("GEGLU", "approximate", approximate, ("none", "tanh"))
        self.dim = dim
        self.approximate = approximate

    def forward(self, x):
        return geglu(x, self.dim, self.approximate)

    def extra_repr(self):
        return f"dim={self.dim}, approximate={self.approximate!r}"


class SwiGLU(Module):
    """``a * silu(b)`` of the two halves along `dim`.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.SwiGLU()(dl.Tensor([2.0, 4.0, 0.0, 1.0]))
    tensor([0.    , 2.9242])
    """

    def __init__(self, dim=-1):
        self.dim = dim

    def forward(self, x):
        return swiglu(x, self.dim)

    def extra_repr(self):
        return f"dim={self.dim}"


class ReGLU(Module):
    """``a * relu(b)`` of the two halves along `dim`.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.ReGLU()(dl.Tensor([2.0, 4.0, -1.0, 0.5]))
    tensor([0., 2.])
    """

    def __init__(self, dim=-1):
        self.dim = dim

    def forward(self, x):
        return reglu(x, self.dim)

    def extra_repr(self):
        return f"dim={self.dim}"
