"""First values of parameters. Each function fills its argument and returns it.

The numbers come from dlcore's own generator: `dlcore.manual_seed` makes them repeat.
A weight has shape (out, in) or (out, in / groups, height, width); its fan-in is what
one output sums over, its fan-out what one input feeds.

Examples
--------
>>> import numpy as np
>>> import dlcore as dl
>>> dl.init.constant_(np.empty(2), 0.5)
array([0.5, 0.5])
"""

import math

import numpy as np

from . import random
from .hints import of_module as _of_module
from .tensor import raw


def constant_(tensor, val):
    """Every element `val`."""
    raw(tensor)[...] = val
    return tensor


def zeros_(tensor):
    """Every element 0."""
    return constant_(tensor, 0)


def ones_(tensor):
    """Every element 1."""
    return constant_(tensor, 1)


def uniform_(tensor, a=0.0, b=1.0):
    """Uniform in [a, b)."""
    array = raw(tensor)
    array[...] = random.uniform(a, b, array.shape, array.dtype)
    return tensor


def normal_(tensor, mean=0.0, std=1.0):
    """Normal with the given mean and standard deviation."""
    array = raw(tensor)
    array[...] = random.normal(mean, std, array.shape, array.dtype)
    return tensor


def trunc_normal_(tensor, mean=0.0, std=1.0, a=-2.0, b=2.0):
    """Normal, drawn again where it falls outside [a, b].

    Raises
    ------
    ValueError
        If `a` is not below `b`, or `std` is not positive.
    """
    if not a < b or not std > 0:
        raise ValueError(
            "trunc_normal_: a must be below b and std positive, "
            f"got a = {a}, b = {b}, std = {std}"
        )
    array = raw(tensor)
    low, high = (a - mean) / std, (b - mean) / std
    kept = np.empty(0)
    while kept.size < array.size:
        drawn = _propose(low, high, array.size - kept.size)
        kept = np.concatenate([kept, drawn])
    array[...] = (mean + std * kept).clip(a, b).reshape(array.shape)
    return tensor


def _propose(low, high, n):
    """About `n` draws of a standard normal, without those outside [low, high]."""
    n += 16  # so that a few more rounds suffice for a small array
    inside = math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2))
    if inside > 0.5:
        z = random.normal(0.0, 1.0, (2 * n,), np.float64)
        return z[(z >= low) & (z <= high)][: n - 16]
    # Most of the curve is outside: propose evenly, accept by its height. Ten deviations
    # past the nearer end it has no weight left.
    top = min(max(low, 0.0), high)  # where the curve is highest
    low, high = max(low, top - 10), min(high, top + 10)
    z = random.uniform(low, high, (4 * n,), np.float64)
    height = np.exp((top * top - z * z) / 2)
    return z[random.uniform(0.0, 1.0, (4 * n,), np.float64) < height][: n - 16]


def calculate_gain(nonlinearity, param=None):
    """The factor that keeps the variance through a nonlinearity.

    Parameters
    ----------
    nonlinearity : str
        'linear', 'conv1d' to 'conv3d', 'conv_transpose1d' to 'conv_transpose3d',
        'sigmoid', 'tanh', 'relu', 'leaky_relu' or 'selu'.
    param : float, optional
        The negative slope of 'leaky_relu'; default 0.01.

    Examples
    --------
    >>> import dlcore as dl
    >>> round(dl.init.calculate_gain("relu"), 4)
    1.4142
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2 / (1 + slope * slope))
    if nonlinearity not in _GAINS:
        raise ValueError(
            f"calculate_gain: nonlinearity must be one of "
            f"{(*_GAINS, 'leaky_relu')}, got {nonlinearity!r}"
        )
    return _GAINS[nonlinearity]


_GAINS = {
    "linear": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv3d": 1.0,
    "conv_transpose1d": 1.0,
    "conv_transpose2d": 1.0,
    "conv_transpose3d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 3 / 4,
}


def xavier_uniform_(tensor, gain=1.0):
    """Uniform with variance ``gain**2 * 2 / (fan_in + fan_out)`` (Glorot 2010)."""
    return _uniform(tensor, gain * math.sqrt(2 / sum(_fans("xavier_uniform_", tensor))))


def xavier_normal_(tensor, gain=1.0):
    """Normal with variance ``gain**2 * 2 / (fan_in + fan_out)`` (Glorot 2010)."""
    std = gain * math.sqrt(2 / sum(_fans("xavier_normal_", tensor)))
    return normal_(tensor, 0.0, std)


def kaiming_uniform_(tensor, a=0.0, mode="fan_in", nonlinearity="leaky_relu"):
    """Uniform with variance ``gain**2 / fan`` (He 2015).

    Parameters
    ----------
    tensor : Tensor or ndarray
        The weight to fill.
    a : float, optional
        The negative slope of 'leaky_relu'; 0 is ReLU.
    mode : {'fan_in', 'fan_out'}
        Keep the variance forward or backward.
    nonlinearity : str, optional
        For `calculate_gain`.
    """
    return _uniform(tensor, _he("kaiming_uniform_", tensor, a, mode, nonlinearity))


def kaiming_normal_(tensor, a=0.0, mode="fan_in", nonlinearity="leaky_relu"):
    """Normal with variance ``gain**2 / fan`` (He 2015); see `kaiming_uniform_`."""
    std = _he("kaiming_normal_", tensor, a, mode, nonlinearity)
    return normal_(tensor, 0.0, std)


def lecun_uniform_(tensor):
    """Uniform with variance ``1 / fan_in`` (LeCun 1998)."""
    return _uniform(tensor, math.sqrt(1 / _fans("lecun_uniform_", tensor)[0]))


def lecun_normal_(tensor):
    """Normal with variance ``1 / fan_in`` (LeCun 1998)."""
    return normal_(tensor, 0.0, math.sqrt(1 / _fans("lecun_normal_", tensor)[0]))


def orthogonal_(tensor, gain=1.0):
    """Orthonormal rows, or columns where there are fewer of them (Saxe 2013).

    Dimensions after the first are taken as one.
    """
    array = raw(tensor)
    _fans("orthogonal_", tensor)
    rows, cols = array.shape[0], array.size // max(1, array.shape[0])
    z = random.normal(0.0, 1.0, (max(rows, cols), min(rows, cols)), np.float64)
    q, r = np.linalg.qr(z)
    q *= np.sign(np.diag(r))  # without it the distribution is not uniform
    array[...] = gain * (q if rows >= cols else q.T).reshape(array.shape)
    return tensor


def eye_(tensor):
    """The identity matrix, as far as it reaches.

    Raises
    ------
    ValueError
        If `tensor` has not 2 dimensions.
    """
    array = raw(tensor)
    if array.ndim != 2:
        raise ValueError(
            f"eye_: tensor must have 2 dimensions, got tensor.shape = {array.shape}"
        )
    array[...] = np.eye(*array.shape)
    return tensor


def dirac_(tensor, groups=1):
    """The weight of a convolution that passes its input on (of odd kernel, padded).

    As many channels of each group as there are inputs are the inputs, the rest 0.

    Parameters
    ----------
    tensor : Tensor or ndarray, shape (out, in / groups, ...)
        The weight to fill, of a 1-D, 2-D or 3-D convolution.
    groups : int, optional
        Groups of the convolution.

    Raises
    ------
    ValueError
        If `tensor` has other than 3 to 5 dimensions, or `groups` does not divide `out`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.init.dirac_(np.empty((1, 1, 3)))
    array([[[0., 1., 0.]]])
    """
    array = raw(tensor)
    if not 3 <= array.ndim <= 5:
        raise ValueError(
            "dirac_: tensor must have 3, 4 or 5 dimensions, "
            f"got tensor.shape = {array.shape}"
        )
    if groups < 1 or array.shape[0] % groups:
        raise ValueError(
            f"dirac_: groups must divide the {array.shape[0]} outputs, got {groups}"
        )
    array[...] = 0
    per_group = array.shape[0] // groups
    same = np.arange(min(per_group, array.shape[1]))
    middle = tuple(size // 2 for size in array.shape[2:])
    for start in range(0, array.shape[0], per_group or 1):
        array[(start + same, same, *middle)] = 1
    return tensor


def sparse_(tensor, sparsity, std=0.01):
    """Normal of deviation `std`, with a share `sparsity` of each column 0.

    Martens 2010. The zeros, ``ceil(sparsity * rows)`` of them, are drawn for each
    column.

    Raises
    ------
    ValueError
        If `tensor` has not 2 dimensions, or `sparsity` is not from 0 to 1.
    """
    array = raw(tensor)
    if array.ndim != 2:
        raise ValueError(
            f"sparse_: tensor must have 2 dimensions, got tensor.shape = {array.shape}"
        )
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparse_: sparsity must be from 0 to 1, got {sparsity}")
    normal_(tensor, 0.0, std)
    rows, cols = array.shape
    # Argsort of random numbers: an order of the rows for each column.
    order = np.argsort(random.uniform(0.0, 1.0, (rows, cols), np.float64), axis=0)
    zeros = math.ceil(sparsity * rows)
    array[order[:zeros], np.arange(cols)] = 0
    return tensor


glorot_uniform_ = xavier_uniform_
glorot_normal_ = xavier_normal_
he_uniform_ = kaiming_uniform_
he_normal_ = kaiming_normal_


def _uniform(tensor, std):
    bound = math.sqrt(3) * std
    return uniform_(tensor, -bound, bound)


def _he(name, tensor, a, mode, nonlinearity):
    fans = dict(zip(("fan_in", "fan_out"), _fans(name, tensor), strict=True))
    if mode not in fans:
        raise ValueError(f"{name}: mode must be 'fan_in' or 'fan_out', got {mode!r}")
    return calculate_gain(nonlinearity, a) / math.sqrt(fans[mode])


def _fans(name, tensor):
    shape = raw(tensor).shape
    if len(shape) < 2 or 0 in shape:
        raise ValueError(
            f"{name}: tensor must have at least 2 dimensions and no empty one, "
            f"got tensor.shape = {shape}"
        )
    receptive = math.prod(shape[2:])
    return shape[1] * receptive, shape[0] * receptive


__getattr__ = _of_module(globals(), "init.")
