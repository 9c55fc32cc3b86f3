"""The schedule that follows a metric."""

import math

from .scheduler import LRScheduler


class ReduceLROnPlateau(LRScheduler):
    r"""A smaller rate when a metric has stopped to improve.

    Parameters
    ----------
    optimizer : Optimizer
        The optimizer.
    mode : {"min", "max"}, optional
        Whether less or more is better.
    factor : float, optional
        What the rate is multiplied by.
    patience : int, optional
        How many steps without improvement are let pass.
    threshold : float, optional
        By how much the metric must beat the best one.
    threshold_mode : {"rel", "abs"}, optional
        Whether `threshold` is a share of the best one or a difference.
    cooldown : int, optional
        Steps after a reduction in which nothing is counted.
    min_lr : float or list of float, optional
        The rate is not reduced below (for each group).
    eps : float, optional
        A reduction by no more than this is not made.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong kind or out of range.

    Notes
    -----
    An improvement is :math:`m < b (1 - \theta)` or :math:`m < b - \theta`; with "max",
    :math:`m > b (1 + \theta)` or :math:`m > b + \theta`. NaN is none. PyTorch's.

    Examples
    --------
    >>> import dlcore as dl
    >>> optimizer = dl.optim.SGD([dl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = dl.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
    >>> for loss in (0.5, 0.4, 0.4, 0.4):
    ...     schedule.step(loss)
    >>> schedule.get_last_lr()
    [0.1]
    """

    _KEPT = ("last_epoch", "_last_lr", "best", "num_bad_epochs", "cooldown_counter")

    def __init__(
        self,
        optimizer,
        mode="min",
        factor=0.1,
        patience=10,
        threshold=1e-4,
        threshold_mode="rel",
        cooldown=0,
        min_lr=0.0,
        eps=1e-8,
    ):
        groups = self._groups(optimizer)
        self.optimizer = optimizer
        self.mode = self._one_of("mode", mode, ("min", "max"))
        self.factor = self._real("factor", factor, 0, 1)
        if factor == 1:
            raise ValueError(f"{self._name}: factor must be less than 1, got 1")
        self.patience = self._whole("patience", patience, 0)
        self.threshold = self._real("threshold", threshold, 0)
        self.threshold_mode = self._one_of(
            "threshold_mode", threshold_mode, ("rel", "abs")
        )
        self.cooldown = self._whole("cooldown", cooldown, 0)
        self.min_lr = min_lr
        self._min_lrs = [
            self._real("min_lr", low, 0)
            for low in self._per_group(optimizer, "min_lr", min_lr)
        ]
        self.eps = self._real("eps", eps, 0)
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        self.last_epoch = 0
        self._last_lr = [float(group["lr"]) for group in groups]

    def step(self, metrics):
        """Look at the metric, and reduce the rate of every group if it is time.

        Parameters
        ----------
        metrics : float or Tensor
            The metric, one number.

        Raises
        ------
        TypeError
            If `metrics` is not a number.
        ValueError
            If the optimizer got groups meanwhile.
        """
        groups = self._same_groups()
        item = getattr(metrics, "item", None)
        try:
            metric = float(metrics if item is None else item())
        except (TypeError, ValueError):
            raise TypeError(
                f"{self._name}: metrics must be one number, "
                f"got {type(metrics).__name__}"
            ) from None
        self.last_epoch += 1
        if self._improves(metric):
            self.best = metric
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group, low in zip(groups, self._min_lrs):
                lr = max(float(group["lr"]) * self.factor, low)
                if group["lr"] - lr > self.eps:
                    group["lr"] = lr
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = [float(group["lr"]) for group in groups]

    @property
    def in_cooldown(self):
        """Whether a reduction was so short ago that nothing is counted."""
        return self.cooldown_counter > 0

    def _improves(self, metric):
        sign = 1 if self.mode == "min" else -1
        if self.threshold_mode == "rel":
            bar = self.best * (1 - sign * self.threshold)
        else:
            bar = self.best - sign * self.threshold
        return sign * metric < sign * bar
