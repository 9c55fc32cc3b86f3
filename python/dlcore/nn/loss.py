"""Losses as modules."""

from ..ops import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    ctc_loss,
    gaussian_nll_loss,
    huber_loss,
    kl_div,
    l1_loss,
    log_cosh_loss,
    mse_loss,
    msle_loss,
    nll_loss,
    poisson_nll_loss,
    smooth_l1_loss,
)
from ..tensor import raw
from .checks import one_of
from .module import Module


class Loss(Module):
    """What losses have in common: `reduction`, what becomes of those of the batch."""

    _reductions: tuple[str, ...] = ("none", "mean", "sum")

    def __init__(self, reduction="mean"):
        one_of(type(self).__name__, "reduction", reduction, self._reductions)
        self.reduction = reduction


class CrossEntropyLoss(Loss):
    """Softmax and the negative log-likelihood of the right class, in one pass.

    Parameters
    ----------
    weight : array_like, shape (classes,), optional
        Weight of each class.
    ignore_index : int, optional
        A target that does not count.
    reduction : {'mean', 'sum', 'none'}
        What becomes of the losses of the batch.
    label_smoothing : float, optional
        How much of the target is spread evenly over the classes.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> loss = dl.nn.CrossEntropyLoss()
    >>> loss(dl.Tensor([[0.0, 0.0]]), np.array([1]))
    tensor(0.6931)
    """

    def __init__(
        self, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0
    ):
        super().__init__(reduction)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(
                "CrossEntropyLoss: label_smoothing must be from 0 to 1, "
                f"got {label_smoothing}"
            )
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input, target):
        return cross_entropy(
            input,
            target,
            weight=raw(self.weight),
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(Loss):
    """Negative log-likelihood of the right class, given log-probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.nn.NLLLoss()(dl.Tensor([[-1.0, -2.0]]), np.array([1]))
    tensor(2.)
    """

    def __init__(self, weight=None, ignore_index=-100, reduction="mean"):
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index

    def forward(self, input, target):
        return nll_loss(
            input,
            target,
            weight=raw(self.weight),
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class CTCLoss(Loss):
    """How improbable a sequence of labels is, whatever its alignment; see `ctc_loss`.

    Parameters
    ----------
    blank : int, optional
        The class that stands for no label.
    reduction : {'mean', 'sum', 'none'}
        What becomes of the losses of the batch.
    zero_infinity : bool, optional
        Count the loss of a target that does not fit into its steps as 0.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> even = dl.log_softmax(dl.Tensor(np.zeros((2, 1, 2), np.float32)), -1)
    >>> dl.nn.CTCLoss()(even, np.array([[1]]), [2], [1])
    tensor(0.2877)
    """

    def __init__(self, blank=0, reduction="mean", zero_infinity=False):
        super().__init__(reduction)
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(self, log_probs, targets, input_lengths, target_lengths):
        return ctc_loss(
            log_probs,
            targets,
            input_lengths,
            target_lengths,
            blank=self.blank,
            reduction=self.reduction,
            zero_infinity=self.zero_infinity,
        )


class MSELoss(Loss):
    """Mean of the squared differences.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.MSELoss()(dl.Tensor([1.0, 2.0]), dl.Tensor([1.0, 4.0]))
    tensor(2.)
    """

    def forward(self, input, target):
        return mse_loss(input, target, reduction=self.reduction)


class L1Loss(Loss):
    """Mean of the absolute differences.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.L1Loss()(dl.Tensor([1.0, 2.0]), dl.Tensor([1.0, 4.0]))
    tensor(1.)
    """

    def forward(self, input, target):
        return l1_loss(input, target, self.reduction)


class MSLELoss(Loss):
    """Mean of the squared differences of ``log(1 + x)``.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.MSLELoss()(dl.Tensor([1.0, 2.0]), dl.Tensor([1.0, 2.0]))
    tensor(0.)
    """

    def forward(self, input, target):
        return msle_loss(input, target, self.reduction)


class LogCoshLoss(Loss):
    """Mean of ``log(cosh(x - t))``.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.LogCoshLoss()(dl.Tensor([1.0, 2.0]), dl.Tensor([1.0, 2.0]))
    tensor(0.)
    """

    def forward(self, input, target):
        return log_cosh_loss(input, target, self.reduction)


class HuberLoss(Loss):
    """Half the squared difference, from `delta` on linear.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.HuberLoss(delta=2.0)(dl.Tensor([1.0, 4.0]), dl.Tensor([1.0, 1.0]))
    tensor(2.)
    """

    def __init__(self, reduction="mean", delta=1.0):
        super().__init__(reduction)
        self.delta = delta

    def forward(self, input, target):
        return huber_loss(input, target, self.reduction, self.delta)


class SmoothL1Loss(Loss):
    """Absolute difference, within `beta` a parabola.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.SmoothL1Loss()(dl.Tensor([1.0, 4.0]), dl.Tensor([1.0, 1.0]))
    tensor(1.25)
    """

    def __init__(self, reduction="mean", beta=1.0):
        super().__init__(reduction)
        self.beta = beta

    def forward(self, input, target):
        return smooth_l1_loss(input, target, self.reduction, self.beta)


class BCELoss(Loss):
    """Cross-entropy of probabilities that something is so.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.BCELoss()(dl.Tensor([0.5, 0.5]), dl.Tensor([1.0, 0.0]))
    tensor(0.6931)
    """

    def __init__(self, weight=None, reduction="mean"):
        super().__init__(reduction)
        self.register_buffer("weight", weight)

    def forward(self, input, target):
        return binary_cross_entropy(input, target, raw(self.weight), self.reduction)


class BCEWithLogitsLoss(Loss):
    """Sigmoid and `BCELoss` in one, exact for scores of any size.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.BCEWithLogitsLoss()(dl.Tensor([0.0, 0.0]), dl.Tensor([1.0, 0.0]))
    tensor(0.6931)
    """

    def __init__(self, weight=None, reduction="mean", pos_weight=None):
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input, target):
        return binary_cross_entropy_with_logits(
            input, target, raw(self.weight), self.reduction, raw(self.pos_weight)
        )


class KLDivLoss(Loss):
    """Divergence of log-probabilities from a target; see `kl_div`.

    Examples
    --------
    >>> import dlcore as dl
    >>> loss = dl.nn.KLDivLoss(reduction="batchmean")
    >>> loss(dl.Tensor([[-0.5, -1.0]]), dl.Tensor([[1.0, 0.0]]))
    tensor(0.5)
    """

    _reductions = (*Loss._reductions, "batchmean")

    def __init__(self, reduction="mean", log_target=False):
        super().__init__(reduction)
        self.log_target = log_target

    def forward(self, input, target):
        return kl_div(input, target, self.reduction, self.log_target)


class PoissonNLLLoss(Loss):
    """Negative log-likelihood of counts; see `poisson_nll_loss`.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.PoissonNLLLoss()(dl.Tensor([0.0]), dl.Tensor([3.0]))
    tensor(1.)
    """

    def __init__(self, log_input=True, full=False, eps=1e-8, reduction="mean"):
        super().__init__(reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, log_input, target):
        return poisson_nll_loss(
            log_input, target, self.log_input, self.full, self.eps, self.reduction
        )


class GaussianNLLLoss(Loss):
    """Negative log-likelihood of numbers, given means and variances.

    Examples
    --------
    >>> import dlcore as dl
    >>> loss = dl.nn.GaussianNLLLoss()
    >>> loss(dl.Tensor([1.0]), dl.Tensor([3.0]), dl.Tensor([1.0]))
    tensor(2.)
    """

    def __init__(self, *, full=False, eps=1e-6, reduction="mean"):
        super().__init__(reduction)
        self.full = full
        self.eps = eps

    def forward(self, input, target, var):
        return gaussian_nll_loss(
            input, target, var, self.full, self.eps, self.reduction
        )
