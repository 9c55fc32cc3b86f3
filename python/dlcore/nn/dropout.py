"""Dropout as a module."""

from ..ops import dropout
from .module import Module


class Dropout(Module):
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

    def __init__(self, p=0.5, inplace=False):
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p must be from 0 to 1, got {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, x):
        return dropout(x, self.p, self.training)

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"
