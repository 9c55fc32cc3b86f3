"""The fully connected layer, and Flatten in front of it."""

import math

import numpy as np

from .. import init
from ..ops import flatten, linear
from .checks import at_least_one
from .module import Module, Parameter


class Linear(Module):
    """``y = x @ weight.T + bias``.

    Parameters
    ----------
    in_features, out_features : int
        Lengths of the last axis of `x` and of `y`.
    bias : bool, optional
        Whether to add one.
    dtype : dtype, optional
        Of the parameters: float32 or float64.

    Attributes
    ----------
    weight : Parameter, shape (out_features, in_features)
        Uniform in ±1 / sqrt(in_features) at first.
    bias : Parameter, shape (out_features,), or None
        The same.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.nn.Linear(3, 2)(np.zeros((5, 3), "float32")).shape
    (5, 2)
    """

    def __init__(self, in_features, out_features, bias=True, dtype=None):
        at_least_one("Linear", in_features=in_features, out_features=out_features)
        self.in_features = in_features
        self.out_features = out_features
        dtype = dtype or np.float32
        self.weight = Parameter(np.empty((out_features, in_features), dtype))
        self.bias = Parameter(np.empty(out_features, dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self):
        """Draw the parameters anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features)
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x):
        return linear(x, self.weight, self.bias)

    def extra_repr(self):
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Flatten(Module):
    """Merge the dimensions from `start_dim` to `end_dim`; see `dlcore.flatten`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.Flatten()
    >>> layer(dl.Tensor(np.ones((2, 3, 4), "float32"))).shape
    (2, 12)
    """

    def __init__(self, start_dim=1, end_dim=-1):
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x):
        return flatten(x, self.start_dim, self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
