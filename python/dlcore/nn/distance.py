"""Distances as modules."""

from ..ops import cosine_similarity, pairwise_distance
from .module import Module


class CosineSimilarity(Module):
    """Cosine of the angle between vectors along `dim`; see `dlcore.cosine_similarity`.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.CosineSimilarity()(dl.Tensor([[1.0, 0.0]]), dl.Tensor([[0.0, 2.0]]))
    tensor([0.])
    """

    def __init__(self, dim=1, eps=1e-8):
        self.dim = dim
        self.eps = eps

    def forward(self, x1, x2):
        return cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """Distance along the last axis; see `dlcore.pairwise_distance`.

    Examples
    --------
    >>> import dlcore as dl
    >>> layer = dl.nn.PairwiseDistance(p=1, eps=0.0)
    >>> layer(dl.Tensor([[1.0, 5.0]]), dl.Tensor([[0.0, 2.0]]))
    tensor([4.])
    """

    def __init__(self, p=2.0, eps=1e-6, keepdim=False):
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1, x2):
        return pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
