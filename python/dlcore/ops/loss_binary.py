"""Losses of yes and no."""

from .loss_element import element_loss, real, reduced, spread
from .reduction import mean
from .shape import as_array


def binary_cross_entropy(input, target, weight=None, reduction="mean"):
    r"""Cross-entropy of probabilities that something is so.

    Parameters
    ----------
    input : ndarray or Tensor, any shape
        Probabilities, from 0 to 1, float32 or float64.
    target : ndarray or Tensor
        Of the shape and dtype of `input`: 1 for yes, 0 for no, or between. Both receive
        a gradient.
    weight : ndarray, optional
        What each loss is multiplied by; broadcasts to the shape of `input`.
    reduction : {'mean', 'sum', 'none'}, optional
        What becomes of the losses.

    Returns
    -------
    ndarray or Tensor
        Shape (), or that of `input` for ``'none'``. NaN stays NaN.

    Raises
    ------
    ValueError
        If the shapes differ, an input is not from 0 to 1 or `reduction` is not known.
    TypeError
        If the dtypes differ.

    See Also
    --------
    binary_cross_entropy_with_logits

    Notes
    -----
    .. math:: -w (t \log x + (1 - t) \log(1 - x))

    As in PyTorch the logarithms are at least -100, and the gradient of `input` divides
    by at least 1e-12, so that both are finite at 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> p = np.array([0.5, 0.0, 0.0])
    >>> dl.binary_cross_entropy(p, np.array([1.0, 0.0, 1.0]), reduction="none").round(4)
    array([  0.6931,   0.    , 100.    ])
    """
    op = "binary_cross_entropy"
    weight = spread(op, "weight", weight, input)
    return element_loss(op, (input, target), reduction, weight=weight)


def binary_cross_entropy_with_logits(
    input, target, weight=None, reduction="mean", pos_weight=None
):
    r"""Sigmoid and `binary_cross_entropy` in one, exact for scores of any size.

    Parameters
    ----------
    input : ndarray or Tensor, any shape
        Scores (logits), float32 or float64.
    target : ndarray or Tensor
        Of the shape and dtype of `input`: 1 for yes, 0 for no, or between. Both receive
        a gradient.
    weight : ndarray, optional
        What each loss is multiplied by; broadcasts to the shape of `input`.
    reduction : {'mean', 'sum', 'none'}, optional
        What becomes of the losses.
    pos_weight : ndarray, optional
        What a yes counts, such as the number of noes for each; broadcasts likewise.

    Returns
    -------
    ndarray or Tensor
        Shape (), or that of `input` for ``'none'``. 0 where an infinite score is right.

    Raises
    ------
    ValueError
        If shapes do not fit or `reduction` is not known.
    TypeError
        If the dtypes differ.

    See Also
    --------
    binary_cross_entropy, sigmoid_focal_loss, multilabel_soft_margin_loss

    Notes
    -----
    With :math:`p` the pos_weight and :math:`\sigma` the sigmoid:

    .. math:: -w (p t \log \sigma(x) + (1 - t) \log \sigma(-x))

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.binary_cross_entropy_with_logits(np.zeros(2), np.array([1.0, 0.0])).round(4)
    np.float64(0.6931)
    """
    op = "binary_cross_entropy_with_logits"
    weight = spread(op, "weight", weight, input)
    counts = spread(op, "pos_weight", pos_weight, input)
    return element_loss(op, (input, target, counts), reduction, weight=weight)


def multilabel_soft_margin_loss(input, target, weight=None, reduction="mean"):
    r"""`binary_cross_entropy_with_logits`, the mean over the classes of each.

    Parameters
    ----------
    input : ndarray or Tensor, shape (..., C)
        Scores of the classes, float32 or float64.
    target : ndarray or Tensor
        Of the same shape and dtype: 1 for the classes that are there, 0 for others.
    weight : ndarray, shape (C,), optional
        Weight of each class.
    reduction : {'mean', 'sum', 'none'}, optional
        What becomes of the losses.

    Returns
    -------
    ndarray or Tensor
        Shape (), or (...) for ``'none'``.

    Raises
    ------
    ValueError
        If shapes do not fit or `reduction` is not known.
    TypeError
        If the dtypes differ.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.multilabel_soft_margin_loss(np.zeros((1, 3)), np.ones((1, 3))).round(4)
    np.float64(0.6931)
    """
    op = "multilabel_soft_margin_loss"
    if as_array(op, input, "input").ndim == 0:
        raise ValueError(f"{op}: input must have an axis of classes, got shape ()")
    losses = binary_cross_entropy_with_logits(input, target, weight, "none")
    return reduced(op, mean(losses, -1), reduction)


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    r"""Binary cross-entropy of scores that counts what is nearly right less.

    Parameters
    ----------
    inputs : ndarray or Tensor, any shape
        Scores (logits), float32 or float64.
    targets : ndarray or Tensor
        Of the same shape and dtype: 1 for yes, 0 for no. Both receive a gradient.
    alpha : float, optional
        What a yes counts, from 0 to 1, a no the rest; -1: both count 1.
    gamma : float, optional
        How much less; 0 is plain cross-entropy.
    reduction : {'none', 'mean', 'sum'}, optional
        What becomes of the losses.

    Returns
    -------
    ndarray or Tensor
        Shape (), or that of `inputs` for ``'none'``.

    Raises
    ------
    ValueError
        If the shapes differ, `alpha` is neither -1 nor from 0 to 1, `gamma` is negative
        or `reduction` is not known.
    TypeError
        If the dtypes differ.

    See Also
    --------
    binary_cross_entropy_with_logits

    Notes
    -----
    With :math:`p_t` the probability of what is right:

    .. math:: -\alpha_t (1 - p_t)^\gamma \log p_t

    T.-Y. Lin et al., `Focal Loss for Dense Object Detection
    <https://arxiv.org/abs/1708.02002>`_, 2017. As torchvision's `sigmoid_focal_loss
    <https://docs.pytorch.org/vision/stable/generated/torchvision.ops.sigmoid_focal_loss.html>`_.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.sigmoid_focal_loss(np.array([0.0, 3.0]), np.ones(2)).round(6)
    array([4.3322e-02, 2.7000e-05])
    """
    op = "sigmoid_focal_loss"
    alpha, gamma = real(op, "alpha", alpha), real(op, "gamma", gamma, 0)
    if not 0 <= alpha <= 1 and alpha != -1:
        raise ValueError(f"{op}: alpha must be from 0 to 1, or -1, got {alpha}")
    return element_loss(op, (inputs, targets), reduction, (alpha, gamma))
