"""Dropout as modules."""

from ..ops import (
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    feature_alpha_dropout,
)
from .module import Module


class _Dropout(Module):
    """What all have: `p`, from 0 to 1, and PyTorch's `inplace`."""

    def __init__(self, p=0.5, inplace=False):
        if not 0 <= p <= 1:
            kind = type(self).__name__
            raise ValueError(f"{kind}: p must be from 0 to 1, got {p}")
        self.p = p
        self.inplace = inplace

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """In training, zero each element with probability `p` and scale the rest up.

    Parameters
    ----------
    p : float, optional
        From 0 to 1.
    inplace : bool, optional
        PyTorch's; the result is always new.

    Examples
    --------
    >>> import dlcore as dl
    >>> layer = dl.nn.Dropout(0.5).eval()
    >>> layer(dl.Tensor([1.0, 2.0]))
    tensor([1., 2.])
    """

    def forward(self, x):
        return dropout(x, self.p, self.training)


class Dropout1d(_Dropout):
    """`Dropout` of whole channels of (n, channels, length); see `dlcore.dropout1d`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> np.unique(dl.nn.Dropout1d(0.5)(np.ones((9, 9, 4))))
    array([0., 2.])
    """

    def forward(self, x):
        return dropout1d(x, self.p, self.training)


class Dropout2d(_Dropout):
    """`Dropout` of whole channels of pictures; see `dlcore.dropout2d`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> np.unique(dl.nn.Dropout2d(0.5)(np.ones((9, 9, 4, 4))))
    array([0., 2.])
    """

    def forward(self, x):
        return dropout2d(x, self.p, self.training)


class Dropout3d(_Dropout):
    """`Dropout` of whole channels of volumes; see `dlcore.dropout3d`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> np.unique(dl.nn.Dropout3d(0.5)(np.ones((9, 9, 4, 4, 4))))
    array([0., 2.])
    """

    def forward(self, x):
        return dropout3d(x, self.p, self.training)


class AlphaDropout(_Dropout):
    """Dropout that keeps mean 0 and variance 1; see `dlcore.alpha_dropout`.

    Examples
    --------
    >>> import dlcore as dl
    >>> layer = dl.nn.AlphaDropout(0.5).eval()
    >>> layer(dl.Tensor([1.0, 2.0]))
    tensor([1., 2.])
    """

    def forward(self, x):
        return alpha_dropout(x, self.p, self.training)


class FeatureAlphaDropout(_Dropout):
    """`AlphaDropout` of whole channels; see `dlcore.feature_alpha_dropout`.

    Examples
    --------
    >>> import dlcore as dl
    >>> layer = dl.nn.FeatureAlphaDropout(0.5).eval()
    >>> layer(dl.Tensor([[1.0, 2.0]]))
    tensor([[1., 2.]])
    """

    def forward(self, x):
        return feature_alpha_dropout(x, self.p, self.training)
