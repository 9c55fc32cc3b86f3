"""Losses as modules."""

from ..ops import cross_entropy, ctc_loss, mse_loss, nll_loss
from .checks import one_of
from .module import Module

_REDUCTIONS = ("none", "mean", "sum")


class CrossEntropyLoss(Module):
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
        one_of("CrossEntropyLoss", "reduction", reduction, _REDUCTIONS)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(
                "CrossEntropyLoss: label_smoothing must be from 0 to 1, "
                f"got {label_smoothing}"
            )
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.reduction = reduction
        self.label_smoothing = label_smoothing

    def forward(self, input, target):
        return cross_entropy(
            input,
            target,
            weight=None if self.weight is None else self.weight.data,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(Module):
    """Negative log-likelihood of the right class, given log-probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.nn.NLLLoss()(dl.Tensor([[-1.0, -2.0]]), np.array([1]))
    tensor(2.)
    """

    def __init__(self, weight=None, ignore_index=-100, reduction="mean"):
        one_of("NLLLoss", "reduction", reduction, _REDUCTIONS)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.reduction = reduction

    def forward(self, input, target):
        return nll_loss(
            input,
            target,
            weight=None if self.weight is None else self.weight.data,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class CTCLoss(Module):
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
        one_of("CTCLoss", "reduction", reduction, _REDUCTIONS)
        self.blank = blank
        self.reduction = reduction
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


class MSELoss(Module):
    """Mean of the squared differences.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.MSELoss()(dl.Tensor([1.0, 2.0]), dl.Tensor([1.0, 4.0]))
    tensor(2.)
    """

    def __init__(self, reduction="mean"):
        one_of("MSELoss", "reduction", reduction, _REDUCTIONS)
        self.reduction = reduction

    def forward(self, input, target):
        return mse_loss(input, target, reduction=self.reduction)
