"""Losses with a margin, and of embeddings, as modules."""

from ..ops import (
    contrastive_loss,
    cosine_embedding_loss,
    hinge_embedding_loss,
    hinge_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from ..tensor import raw
from .distance import PairwiseDistance
from .loss import Loss


class HingeLoss(Loss):
    """Mean of ``max(0, 1 - t x)``, for targets 1 and -1.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.HingeLoss()(dl.Tensor([0.5, -3.0]), dl.Tensor([1.0, -1.0]))
    tensor(0.25)
    """

    def forward(self, input, target):
        return hinge_loss(input, target, self.reduction)


class SoftMarginLoss(Loss):
    """Mean of ``log(1 + exp(-t x))``, for targets 1 and -1.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.SoftMarginLoss()(dl.Tensor([0.0]), dl.Tensor([1.0]))
    tensor(0.6931)
    """

    def forward(self, input, target):
        return soft_margin_loss(input, target, self.reduction)


class HingeEmbeddingLoss(Loss):
    """Of distances: small for pairs alike (1), at least `margin` for others (-1).

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.HingeEmbeddingLoss()(dl.Tensor([0.25, 0.25]), dl.Tensor([1.0, -1.0]))
    tensor(0.5)
    """

    def __init__(self, margin=1.0, reduction="mean"):
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input, target):
        return hinge_embedding_loss(input, target, self.margin, self.reduction)


class MarginRankingLoss(Loss):
    """How much the right order of two scores is missed.

    Examples
    --------
    >>> import dlcore as dl
    >>> loss = dl.nn.MarginRankingLoss()
    >>> loss(dl.Tensor([1.0]), dl.Tensor([3.0]), dl.Tensor([1.0]))
    tensor(2.)
    """

    def __init__(self, margin=0.0, reduction="mean"):
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input1, input2, target):
        return margin_ranking_loss(input1, input2, target, self.margin, self.reduction)


class MultiMarginLoss(Loss):
    """By how much other classes' scores come too near to the right one's.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.nn.MultiMarginLoss()(dl.Tensor([[0.25, 0.75]]), np.array([1]))
    tensor(0.25)
    """

    def __init__(self, p=1, margin=1.0, weight=None, reduction="mean"):
        super().__init__(reduction)
        self.p = p
        self.margin = margin
        self.register_buffer("weight", weight)

    def forward(self, input, target):
        return multi_margin_loss(
            input, target, self.p, self.margin, raw(self.weight), self.reduction
        )


class MultiLabelMarginLoss(Loss):
    """`MultiMarginLoss` for several right classes, the first -1 ends them.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> loss = dl.nn.MultiLabelMarginLoss()
    >>> loss(dl.Tensor([[0.25, 0.75]]), np.array([[1, -1]]))
    tensor(0.25)
    """

    def forward(self, input, target):
        return multilabel_margin_loss(input, target, self.reduction)


class MultiLabelSoftMarginLoss(Loss):
    """`BCEWithLogitsLoss`, the mean over the classes of each.

    Examples
    --------
    >>> import dlcore as dl
    >>> loss = dl.nn.MultiLabelSoftMarginLoss()
    >>> loss(dl.Tensor([[0.0, 0.0]]), dl.Tensor([[1.0, 0.0]]))
    tensor(0.6931)
    """

    def __init__(self, weight=None, reduction="mean"):
        super().__init__(reduction)
        self.register_buffer("weight", weight)

    def forward(self, input, target):
        return multilabel_soft_margin_loss(
            input, target, raw(self.weight), self.reduction
        )


class CosineEmbeddingLoss(Loss):
    """Pairs alike (1) should point one way, others (-1) should not.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x, y = dl.Tensor([[1.0, 0.0]]), dl.Tensor([[0.0, 1.0]])
    >>> dl.nn.CosineEmbeddingLoss()(x, y, np.array([1]))
    tensor(1.)
    """

    def __init__(self, margin=0.0, reduction="mean"):
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input1, input2, target):
        return cosine_embedding_loss(
            input1, input2, target, self.margin, self.reduction
        )


class ContrastiveLoss(Loss):
    """Pairs alike (1) are drawn together, others (0) pushed `margin` apart.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x, y = dl.Tensor([[0.0, 0.0]]), dl.Tensor([[0.0, 0.5]])
    >>> dl.nn.ContrastiveLoss()(x, y, np.array([0]))
    tensor(0.125)
    """

    def __init__(self, margin=1.0, reduction="mean"):
        super().__init__(reduction)
        self.margin = margin

    def forward(self, x1, x2, target):
        return contrastive_loss(x1, x2, target, self.margin, self.reduction)


class TripletMarginLoss(Loss):
    """An anchor should lie nearer to its like than to another, by a margin.

    Parameters
    ----------
    margin, p, eps, swap, reduction, squared
        As for `triplet_margin_loss`.

    Examples
    --------
    >>> import dlcore as dl
    >>> a, p, n = dl.Tensor([[0.0]]), dl.Tensor([[2.0]]), dl.Tensor([[3.0]])
    >>> dl.nn.TripletMarginLoss(margin=2.0, eps=0.0)(a, p, n)
    tensor(1.)
    """

    def __init__(
        self,
        margin=1.0,
        p=2.0,
        eps=1e-6,
        swap=False,
        reduction="mean",
        *,
        squared=False,
    ):
        super().__init__(reduction)
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap
        self.squared = squared

    def forward(self, anchor, positive, negative):
        return triplet_margin_loss(
            anchor,
            positive,
            negative,
            self.margin,
            self.p,
            self.eps,
            self.swap,
            self.reduction,
            squared=self.squared,
        )


class TripletMarginWithDistanceLoss(Loss):
    """`TripletMarginLoss` with a distance of one's own.

    Examples
    --------
    >>> import dlcore as dl
    >>> loss = dl.nn.TripletMarginWithDistanceLoss(
    ...     distance_function=lambda a, b: dl.amax(dl.abs(a - b), -1), margin=2.0
    ... )
    >>> loss(dl.Tensor([[0.0]]), dl.Tensor([[2.0]]), dl.Tensor([[3.0]]))
    tensor(1.)
    """

    def __init__(
        self, *, distance_function=None, margin=1.0, swap=False, reduction="mean"
    ):
        super().__init__(reduction)
        self.distance_function = distance_function or PairwiseDistance()
        self.margin = margin
        self.swap = swap

    def forward(self, anchor, positive, negative):
        return triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )
