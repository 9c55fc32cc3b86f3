"""Normalization of channels: over the batch, and within each sample."""

import numpy as np

from ..ops import batch_norm, instance_norm
from ..ops.shape import as_array
from ..tensor import raw
from .checks import at_least_one
from .module import Module, Parameter


class _ChannelNorm(Module):
    """Parameters and running statistics of the channels."""

    def __init__(self, num_features, eps, momentum, affine, track_running_stats, dtype):
        at_least_one(type(self).__name__, num_features=num_features)
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        dtype = dtype or np.float32
        self.weight = Parameter(np.ones(num_features, dtype)) if affine else None
        self.bias = Parameter(np.zeros(num_features, dtype)) if affine else None
        track = track_running_stats
        self.register_buffer(
            "running_mean", np.zeros(num_features, dtype) if track else None
        )
        self.register_buffer(
            "running_var", np.ones(num_features, dtype) if track else None
        )
        self.register_buffer("num_batches_tracked", np.array(0) if track else None)

    def reset_running_stats(self):
        """Set the running mean to 0, the running variance to 1 and the count to 0."""
        reset(self.running_mean, 0)
        reset(self.running_var, 1)
        reset(self.num_batches_tracked, 0)

    def reset_parameters(self):
        """Set the weight to 1, the bias to 0, and reset the running statistics."""
        self.reset_running_stats()
        reset(self.weight, 1)
        reset(self.bias, 0)

    def _check(self, x, *allowed):
        shape = as_array(type(self).__name__, x).shape
        if len(shape) not in allowed:
            raise ValueError(
                f"{type(self).__name__}: x must have "
                f"{' or '.join(map(str, allowed))} axes, got x.shape = {shape}"
            )
        if self.affine or self.track_running_stats:
            single = isinstance(self, _InstanceNorm) and len(shape) < self._axes
            check_channels(self, shape, 0 if single else 1, self.num_features)

    def extra_repr(self):
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_ChannelNorm):
    """Each channel to mean 0 and variance 1 over the batch; see `dlcore.batch_norm`.

    Parameters
    ----------
    num_features : int
        Number of channels.
    eps : float, optional
        Added to the variance.
    momentum : float or None, optional
        Weight of a new batch in the running statistics; with None they are the mean of
        all batches so far.
    affine : bool, optional
        Whether to learn a weight, 1 at first, and a bias, 0 at first.
    track_running_stats : bool, optional
        Whether to keep running statistics, for use in evaluation; without them the
        batch's own are used there too.
    dtype : dtype, optional
        Of parameters and statistics: float32 or float64.

    Notes
    -----
    ``layer(x, activation="relu", residual=y)`` adds `y` and applies the activation in
    the pass that normalizes; both may be left out.
    """

    def __init__(
        self,
        num_features,
        eps=1e-5,
        momentum=0.1,
        affine=True,
        track_running_stats=True,
        dtype=None,
    ):
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, dtype
        )

    def forward(self, x, activation=None, residual=None):
        """Normalize `x`; a residual and an activation may follow in the same pass."""
        self._check(x, *self._axes)
        momentum = 0.0 if self.momentum is None else self.momentum
        tracked = self.num_batches_tracked
        if self.training and tracked is not None:
            tracked.data += 1
            if self.momentum is None:
                momentum = 1 / tracked.item()
        return batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            momentum,
            self.eps,
            activation,
            residual,
        )


class BatchNorm1d(_BatchNorm):
    __doc__ = f"""(N, C) or (N, C, L): {_BatchNorm.__doc__}
    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.BatchNorm1d(4)
    >>> layer(dl.Tensor(np.ones((2, 4, 5), "float32"))).shape
    (2, 4, 5)
    """
    _axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    __doc__ = f"""(N, C, H, W): {_BatchNorm.__doc__}
    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.BatchNorm2d(4)
    >>> x = dl.Tensor(np.ones((2, 4, 3, 3), "float32"))
    >>> layer(x).shape
    (2, 4, 3, 3)
    >>> layer(x, activation="relu", residual=x).shape
    (2, 4, 3, 3)
    """
    _axes = (4,)


class BatchNorm3d(_BatchNorm):
    __doc__ = f"""(N, C, D, H, W): {_BatchNorm.__doc__}
    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.BatchNorm3d(4)
    >>> layer(dl.Tensor(np.ones((2, 4, 3, 3, 3), "float32"))).shape
    (2, 4, 3, 3, 3)
    """
    _axes = (5,)


class _InstanceNorm(_ChannelNorm):
    """Each channel of a sample to mean 0 and variance 1; see `dlcore.instance_norm`.

    Parameters
    ----------
    num_features : int
        Number of channels.
    eps : float, optional
        Added to the variance.
    momentum : float, optional
        Weight of a new batch in the running statistics.
    affine : bool, optional
        Whether to learn a weight, 1 at first, and a bias, 0 at first.
    track_running_stats : bool, optional
        Whether to keep running statistics, for use in evaluation.
    dtype : dtype, optional
        Of parameters and statistics: float32 or float64.
    """

    def __init__(
        self,
        num_features,
        eps=1e-5,
        momentum=0.1,
        affine=False,
        track_running_stats=False,
        dtype=None,
    ):
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, dtype
        )

    def forward(self, x):
        self._check(x, self._axes - 1, self._axes)
        single = raw(x).ndim < self._axes
        y = instance_norm(
            x[None] if single else x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum,
            self.eps,
        )
        return y[0] if single else y


class InstanceNorm1d(_InstanceNorm):
    __doc__ = f"""(N, C, L) or (C, L): {_InstanceNorm.__doc__}
    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.InstanceNorm1d(4)
    >>> layer(dl.Tensor(np.ones((2, 4, 5), "float32"))).shape
    (2, 4, 5)
    """
    _axes = 3


class InstanceNorm2d(_InstanceNorm):
    __doc__ = f"""(N, C, H, W) or (C, H, W): {_InstanceNorm.__doc__}
    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.InstanceNorm2d(4)
    >>> layer(dl.Tensor(np.ones((2, 4, 3, 3), "float32"))).shape
    (2, 4, 3, 3)
    """
    _axes = 4


class InstanceNorm3d(_InstanceNorm):
    __doc__ = f"""(N, C, D, H, W) or (C, D, H, W): {_InstanceNorm.__doc__}
    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.InstanceNorm3d(4)
    >>> layer(dl.Tensor(np.ones((2, 4, 3, 3, 3), "float32"))).shape
    (2, 4, 3, 3, 3)
    """
    _axes = 5


def check_channels(layer, shape, axis, channels):
    if shape[axis] != channels:
        raise ValueError(
            f"{type(layer).__name__}: x must have {channels} channels, "
            f"got x.shape = {shape}"
        )


def reset(tensor, value):
    if tensor is not None:
        tensor.data.fill(value)
