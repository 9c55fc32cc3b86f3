"""Normalization of rows, of groups of channels, of neighbouring channels."""

import numpy as np

from ..ops import group_norm, layer_norm, local_response_norm, rms_norm
from ..ops.shape import as_array
from .batch_norm import check_channels, reset
from .checks import at_least_one
from .module import Module, Parameter


class LayerNorm(Module):
    """Each row of the last axes to mean 0 and variance 1; see `dlcore.layer_norm`.

    Parameters
    ----------
    normalized_shape : int or tuple of int
        The last axes of the input.
    eps : float, optional
        Added to the variance.
    elementwise_affine : bool, optional
        Whether to learn a weight, 1 at first, and a bias, 0 at first.
    bias : bool, optional
        Whether there is a bias.
    dtype : dtype, optional
        Of the parameters: float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.LayerNorm(8)
    >>> layer(dl.Tensor(np.ones((2, 8), "float32"))).shape
    (2, 8)
    """

    def __init__(
        self,
        normalized_shape,
        eps=1e-5,
        elementwise_affine=True,
        bias=True,
        dtype=None,
    ):
        self.normalized_shape = _shape("LayerNorm", normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        dtype = dtype or np.float32
        self.weight = self.bias = None
        if elementwise_affine:
            self.weight = Parameter(np.ones(self.normalized_shape, dtype))
            if bias:
                self.bias = Parameter(np.zeros(self.normalized_shape, dtype))

    def reset_parameters(self):
        """Set the weight to 1 and the bias to 0."""
        reset(self.weight, 1)
        reset(self.bias, 0)

    def forward(self, x):
        return layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}"
        )


class RMSNorm(Module):
    """Each row over the root of its mean square; see `dlcore.rms_norm`.

    Parameters
    ----------
    normalized_shape : int or tuple of int
        The last axes of the input.
    eps : float, optional
        Added to the mean square; the dtype's epsilon by default.
    elementwise_affine : bool, optional
        Whether to learn a weight, 1 at first.
    dtype : dtype, optional
        Of the parameter: float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.RMSNorm(8)
    >>> layer(dl.Tensor(np.ones((2, 8), "float32"))).shape
    (2, 8)
    """

    def __init__(self, normalized_shape, eps=None, elementwise_affine=True, dtype=None):
        self.normalized_shape = _shape("RMSNorm", normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.weight = None
        if elementwise_affine:
            ones = np.ones(self.normalized_shape, dtype or np.float32)
            self.weight = Parameter(ones)

    def reset_parameters(self):
        """Set the weight to 1."""
        reset(self.weight, 1)

    def forward(self, x):
        return rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self):
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}"
        )


class GroupNorm(Module):
    """Each group of channels of a sample to mean 0, variance 1; `dlcore.group_norm`.

    Parameters
    ----------
    num_groups, num_channels : int
        The first divides the second.
    eps : float, optional
        Added to the variance.
    affine : bool, optional
        Whether to learn a weight, 1 at first, and a bias, 0 at first.
    dtype : dtype, optional
        Of the parameters: float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.GroupNorm(2, 4)
    >>> layer(dl.Tensor(np.ones((1, 4, 3, 3), "float32"))).shape
    (1, 4, 3, 3)
    """

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True, dtype=None):
        at_least_one("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ValueError(
                "GroupNorm: num_groups must divide num_channels, "
                f"got {num_groups} and {num_channels}"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        dtype = dtype or np.float32
        self.weight = Parameter(np.ones(num_channels, dtype)) if affine else None
        self.bias = Parameter(np.zeros(num_channels, dtype)) if affine else None

    def reset_parameters(self):
        """Set the weight to 1 and the bias to 0."""
        reset(self.weight, 1)
        reset(self.bias, 0)

    def forward(self, x):
        shape = as_array("GroupNorm", x).shape
        if len(shape) > 1:
            check_channels(self, shape, 1, self.num_channels)
        return group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, "
            f"affine={self.affine}"
        )


class LocalResponseNorm(Module):
    """Over a power of the neighbours' squares; see `dlcore.local_response_norm`.

    Parameters
    ----------
    size : int
        Number of channels around each.
    alpha, beta, k : float, optional
        Of the formula ``x / (k + alpha * mean square) ** beta``.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.LocalResponseNorm(3)
    >>> layer(dl.Tensor(np.ones((1, 4, 3, 3), "float32"))).shape
    (1, 4, 3, 3)
    """

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1.0):
        at_least_one("LocalResponseNorm", size=size)
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, x):
        return local_response_norm(x, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self):
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


def _shape(layer, value):
    sizes = (value,) if isinstance(value, (int, np.integer)) else tuple(value)
    for size in sizes:
        at_least_one(layer, normalized_shape=size)
    return sizes
