"""Against overfitting: penalties of the weights, early stopping, mixup.

Weight decay is an option of the optimizers, dropout a layer, label smoothing an option
of `dlcore.cross_entropy`.
"""

import copy
import math
from collections.abc import Iterable

import numpy as np

from .. import ops, random
from ..tensor import Tensor, raw


def l1_penalty(params, weight=1.0):
    r"""The sum of the magnitudes of all weights, times `weight`.

    Parameters
    ----------
    params : Tensor or iterable of Tensor
        The weights; biases are usually left out.
    weight : float, optional
        How much the penalty counts, :math:`\lambda`.

    Returns
    -------
    Tensor, shape ()
        To be added to the loss; its gradient is :math:`\lambda\, \mathrm{sign}(w)`,
        0 at 0.

    Raises
    ------
    TypeError, ValueError
        If `params` are no Tensors or none, or `weight` is negative or no number.

    Notes
    -----
    :math:`\lambda \sum_i |w_i|`: the lasso. It makes weights exactly 0 or nearly so.

    Examples
    --------
    >>> import dlcore as dl
    >>> w = dl.Tensor([2.0, -3.0], requires_grad=True)
    >>> dl.optim.regularization.l1_penalty(w, 0.1).backward()
    >>> w.grad
    tensor([ 0.1, -0.1])
    """
    return _penalty("l1_penalty", params, lambda w: ops.norm(w, 1), weight)


def l2_penalty(params, weight=1.0, half=False):
    r"""The sum of the squares of all weights, times `weight`.

    Parameters
    ----------
    params : Tensor or iterable of Tensor
        The weights; biases are usually left out.
    weight : float, optional
        How much the penalty counts, :math:`\lambda`.
    half : bool, optional
        Take half of it: its gradient is :math:`\lambda w`, what an optimizer's
        ``weight_decay=weight`` adds.

    Returns
    -------
    Tensor, shape ()
        To be added to the loss; its gradient is :math:`2 \lambda w`.

    Raises
    ------
    TypeError, ValueError
        If `params` are no Tensors or none, or `weight` is negative or no number.

    Notes
    -----
    :math:`\lambda \sum_i w_i^2`, or :math:`\frac{\lambda}{2} \sum_i w_i^2`: ridge.

    Examples
    --------
    >>> import dlcore as dl
    >>> w = dl.Tensor([2.0, -3.0], requires_grad=True)
    >>> dl.optim.regularization.l2_penalty(w, 0.5).backward()
    >>> w.grad
    tensor([ 2., -3.])
    """
    weight = _weight("l2_penalty", weight) * (0.5 if half else 1.0)
    return _penalty("l2_penalty", params, lambda w: (w * w).sum(), weight)


def elastic_net(params, weight=1.0, l1_ratio=0.5):
    r"""A mixture of the two penalties, as scikit-learn's ElasticNet has it.

    Parameters
    ----------
    params : Tensor or iterable of Tensor
        The weights; biases are usually left out.
    weight : float, optional
        How much the penalty counts, :math:`\lambda`.
    l1_ratio : float, optional
        Share of `l1_penalty`, :math:`r`; 1 is the lasso, 0 ridge.

    Returns
    -------
    Tensor, shape ()
        To be added to the loss.

    Raises
    ------
    TypeError, ValueError
        If `params` are no Tensors or none, `weight` is negative or `l1_ratio` not from
        0 to 1.

    Notes
    -----
    :math:`\lambda (r \sum_i |w_i| + \frac{1 - r}{2} \sum_i w_i^2)` (Zou and Hastie
    2005).

    Examples
    --------
    >>> import dlcore as dl
    >>> w = dl.Tensor([2.0, -4.0], requires_grad=True)
    >>> dl.optim.regularization.elastic_net(w).item()
    8.0
    """
    ratio = _number("elastic_net", "l1_ratio", l1_ratio)
    if not 0 <= ratio <= 1:
        raise ValueError(f"elastic_net: l1_ratio must be from 0 to 1, got {l1_ratio}")
    params = [params] if isinstance(params, Tensor) else params
    params = list(params) if isinstance(params, Iterable) else params
    weight = _weight("elastic_net", weight)
    sizes = _penalty("elastic_net", params, lambda w: ops.norm(w, 1), weight * ratio)
    return sizes + l2_penalty(params, weight * (1 - ratio), half=True)


def _penalty(name, params, of_one, weight):
    weight = _weight(name, weight)
    if not isinstance(params, Iterable) or isinstance(params, np.ndarray):
        cure = ": pass model.parameters()" if hasattr(params, "parameters") else ""
        raise TypeError(
            f"{name}: params must be a list of Tensors, "
            f"got {type(params).__name__}{cure}"
        )
    params = [params] if isinstance(params, Tensor) else list(params)
    if not params:
        raise ValueError(f"{name}: params must not be empty")
    total = None
    for w in params:
        if not isinstance(w, Tensor):
            raise TypeError(
                f"{name}: each of params must be a Tensor, got {type(w).__name__}"
            )
        one = of_one(w)
        total = one if total is None else total + one
    return total * weight


def _number(name, what, value):
    try:
        return float(value if not isinstance(value, str) else None)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name}: {what} must be a number, got {type(value).__name__}"
        ) from None


def _weight(name, value):
    number = _number(name, "weight", value)
    if not 0 <= number < math.inf:
        raise ValueError(f"{name}: weight must be at least 0 and finite, got {value}")
    return number


class EarlyStopping:
    """Tells when a metric has stopped to improve, and brings the best weights back.

    Parameters
    ----------
    patience : int, optional
        How many calls of `step` without improvement are let pass.
    min_delta : float, optional
        By how much the metric must beat the best one.
    mode : {"min", "max"}, optional
        Whether less or more is better.
    restore_best : bool, optional
        Keep a copy of the best weights, and load it when it is time to stop.

    Attributes
    ----------
    best : float or None
        The best metric so far.
    best_step : int
        The call of `step`, counted from 0, that had it; -1 before the first.
    stopped : bool
        Whether it is time to stop.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong kind or out of range.

    Examples
    --------
    >>> import dlcore as dl
    >>> model = dl.nn.Linear(2, 1)
    >>> stopping = dl.optim.regularization.EarlyStopping(patience=1)
    >>> for loss in (0.5, 0.3, 0.4, 0.6, 0.2):
    ...     if stopping.step(loss, model):
    ...         break
    >>> loss, stopping.best, stopping.best_step
    (0.6, 0.3, 1)
    """

    def __init__(self, patience=10, min_delta=0.0, mode="min", restore_best=True):
        name = "EarlyStopping"
        if mode not in ("min", "max"):
            raise ValueError(f"{name}: mode must be 'min' or 'max', got {mode!r}")
        if isinstance(patience, bool) or not isinstance(patience, (int, np.integer)):
            raise TypeError(
                f"{name}: patience must be a whole number, got {patience!r}"
            )
        if patience < 0:
            raise ValueError(f"{name}: patience must be at least 0, got {patience}")
        if not _number(name, "min_delta", min_delta) >= 0:
            raise ValueError(f"{name}: min_delta must be at least 0, got {min_delta}")
        self.patience = int(patience)
        self.min_delta = float(min_delta)
        self.mode = mode
        self.restore_best = bool(restore_best)
        self.best = None
        self.best_step = -1
        self.steps = 0
        self.stopped = False
        self._weights = None

    def __repr__(self):
        return (
            f"EarlyStopping(patience={self.patience}, min_delta={self.min_delta}, "
            f"mode={self.mode!r}, best={self.best}, best_step={self.best_step}, "
            f"stopped={self.stopped})"
        )

    def step(self, metric, model=None):
        """Look at the metric of an epoch.

        Parameters
        ----------
        metric : float or Tensor
            The metric, one number. NaN is no improvement.
        model : Module, optional
            Whose weights are copied when the metric improves (with `restore_best`),
            and brought back when it is time to stop.

        Returns
        -------
        bool
            Whether it is time to stop.

        Raises
        ------
        TypeError
            If `metric` is not a number.
        """
        item = getattr(metric, "item", None)
        value = _number("EarlyStopping", "metric", metric if item is None else item())
        sign = 1 if self.mode == "min" else -1
        better = value == value and (
            self.best is None or sign * (self.best - value) > self.min_delta
        )
        if better:
            self.best, self.best_step = value, self.steps
            if self.restore_best and model is not None:
                self._weights = copy.deepcopy(model.state_dict())
        self.steps += 1
        self.stopped = self.steps - 1 - self.best_step > self.patience
        if self.stopped:
            self.restore(model)
        return self.stopped

    def restore(self, model):
        """Load the best weights into `model`, if a copy was kept."""
        if self._weights is not None and model is not None:
            model.load_state_dict(self._weights)

    def state_dict(self):
        """Where it is, the best weights among it: for `load_state_dict`."""
        kept = {name: getattr(self, name) for name in self._KEPT}
        return {**kept, "weights": copy.deepcopy(self._weights)}

    def load_state_dict(self, state_dict):
        """Go on from a snapshot of `state_dict`."""
        if not isinstance(state_dict, dict) or not {
            *self._KEPT,
            "weights",
        } <= set(state_dict):
            raise ValueError(
                "EarlyStopping: load_state_dict: state_dict must have "
                f"{', '.join([*self._KEPT, 'weights'])}, as state_dict() returns them"
            )
        for name in self._KEPT:
            setattr(self, name, state_dict[name])
        self._weights = copy.deepcopy(state_dict["weights"])

    _KEPT = ("best", "best_step", "steps", "stopped")


def mixup(x, y, alpha=0.2, num_classes=None):
    r"""Blend each example of a batch, and its label, with another one.

    Parameters
    ----------
    x : ndarray or Tensor, shape (n, ...)
        float32 or float64.
    y : ndarray or Tensor, shape (n,) or (n, ...)
        Labels, whole numbers from 0 to below `num_classes`; or what is blended as it
        is: one-hot rows, targets of a regression.
    alpha : float, optional
        Shape of the distribution of the shares; 0 blends nothing.
    num_classes : int, optional
        Number of classes, where `y` are labels.

    Returns
    -------
    x : ndarray or Tensor, shape (n, ...)
        Blended.
    y : ndarray or Tensor, shape (n, num_classes) or that of y
        Blended; of the dtype of `x` where `y` were labels. `dlcore.cross_entropy` takes
        it as probabilities.

    Raises
    ------
    TypeError, ValueError
        If `x` and `y` have different lengths, `alpha` is negative, or labels come
        without `num_classes` or are out of range.

    Notes
    -----
    Zhang et al. 2018: with one share :math:`\lambda` of the batch, of the distribution
    Beta(alpha, alpha), and a random order :math:`\pi`,

    .. math::
        x_i' = \lambda x_i + (1 - \lambda) x_{\pi(i)}, \qquad
        y_i' = \lambda y_i + (1 - \lambda) y_{\pi(i)}

    Random numbers are dlcore's: `dlcore.manual_seed` makes them repeat.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = np.eye(4, dtype="float32")
    >>> x, y = dl.optim.regularization.mixup(x, np.array([0, 1, 1, 0]), num_classes=2)
    >>> y.shape, y.sum(1)
    ((4, 2), array([1., 1., 1., 1.], dtype=float32))
    """
    alpha = _number("mixup", "alpha", alpha)
    if not 0 <= alpha < math.inf:
        raise ValueError(f"mixup: alpha must be at least 0 and finite, got {alpha}")
    for name, value in (("x", x), ("y", y)):
        if not isinstance(value, (Tensor, np.ndarray)) or not value.ndim:
            raise TypeError(
                f"mixup: {name} must be an array or a Tensor of examples, "
                f"got {type(value).__name__}"
            )
    if len(x) != len(y):
        raise ValueError(
            f"mixup: x and y must have one length, got {len(x)} and {len(y)}"
        )
    if raw(y).dtype.kind in "iu":
        y = _one_hot(raw(y), num_classes, raw(x).dtype)
    share = _beta(alpha)
    order = random.randperm(len(x))
    return tuple(a * share + a[order] * (1 - share) for a in (x, y))


def _one_hot(labels, num_classes, dtype):
    if num_classes is None:
        raise ValueError("mixup: num_classes must be given where y are labels")
    if labels.ndim != 1:
        raise ValueError(f"mixup: labels must be (n,), got y.shape = {labels.shape}")
    if labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
        raise ValueError(
            f"mixup: labels must be from 0 to {num_classes - 1}, "
            f"got {labels.min()} to {labels.max()}"
        )
    rows = np.zeros((len(labels), num_classes), dtype)
    rows[np.arange(len(labels)), labels] = 1
    return rows


def _beta(alpha):
    """A number of the distribution Beta(alpha, alpha), by dlcore's random numbers."""
    if alpha == 0:
        return 1.0
    seed = random.randint(0, 2**31, (4,))
    return float(np.random.default_rng([int(s) for s in seed]).beta(alpha, alpha))
