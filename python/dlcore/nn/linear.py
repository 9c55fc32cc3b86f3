"""The fully connected and the bilinear layer; Flatten and Unflatten around them."""

import math

import numpy as np

from .. import init
from ..ops import bilinear, flatten, linear, reshape
from ..ops.shape import check_dim
from ..tensor import raw
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


class Bilinear(Module):
    """``y[k] = x1 @ weight[k] @ x2 + bias[k]``.

    Parameters
    ----------
    in1_features, in2_features, out_features : int
        Lengths of the last axes of `x1`, `x2` and `y`.
    bias : bool, optional
        Whether to add one.
    dtype : dtype, optional
        Of the parameters: float32 or float64.

    Attributes
    ----------
    weight : Parameter, shape (out_features, in1_features, in2_features)
        Uniform in ±1 / sqrt(in1_features) at first.
    bias : Parameter, shape (out_features,), or None
        The same.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.Bilinear(3, 4, 2)
    >>> layer(np.zeros((5, 3), "float32"), np.zeros((5, 4), "float32")).shape
    (5, 2)
    """

    def __init__(self, in1_features, in2_features, out_features, bias=True, dtype=None):
        at_least_one(
            "Bilinear",
            in1_features=in1_features,
            in2_features=in2_features,
            out_features=out_features,
        )
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        dtype = dtype or np.float32
        shape = (out_features, in1_features, in2_features)
        self.weight = Parameter(np.empty(shape, dtype))
        self.bias = Parameter(np.empty(out_features, dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self):
        """Draw the parameters anew."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x1, x2):
        return bilinear(x1, x2, self.weight, self.bias)

    def extra_repr(self):
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
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


class Unflatten(Module):
    """Give a dimension a shape of its own: the way back of `Flatten`.

    Parameters
    ----------
    dim : int
        The dimension.
    unflattened_size : tuple of int
        Its shape; one length may be -1.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.nn.Unflatten(1, (3, 4))(np.ones((2, 12), "float32")).shape
    (2, 3, 4)
    """

    def __init__(self, dim, unflattened_size):
        if not isinstance(dim, (int, np.integer)) or isinstance(dim, bool):
            raise TypeError(f"Unflatten: dim must be an integer, got {dim!r}")
        if not isinstance(unflattened_size, (tuple, list)) or not all(
            isinstance(n, (int, np.integer)) for n in unflattened_size
        ):
            raise TypeError(
                "Unflatten: unflattened_size must be a tuple of integers, "
                f"got {unflattened_size!r}"
            )
        self.dim = dim
        self.unflattened_size = tuple(unflattened_size)

    def forward(self, x):
        shape = raw(x).shape
        dim = check_dim("Unflatten", self.dim, raw(x))
        sizes, n = self.unflattened_size, shape[dim]
        rest = math.prod(size for size in sizes if size != -1)
        if (
            sizes.count(-1) > 1
            or rest < 0
            or (rest != n if -1 not in sizes else n % max(rest, 1))
        ):
            raise ValueError(
                f"Unflatten: unflattened_size must hold the {n} elements of dimension "
                f"{dim}, got {sizes}"
            )
        return reshape(x, shape[:dim] + sizes + shape[dim + 1 :])

    def extra_repr(self):
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
