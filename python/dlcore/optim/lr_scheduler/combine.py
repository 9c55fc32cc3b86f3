"""Schedules made of schedules: one after another, or all at once."""

from bisect import bisect_right

from .plateau import ReduceLROnPlateau
from .scheduler import LRScheduler


class _Combined(LRScheduler):
    """Starts from the groups' initial_lr; its parts serve as formulas only."""

    def _check_parts(self, optimizer, schedulers):
        schedulers = list(schedulers)
        if not schedulers:
            raise ValueError(f"{self._name}: schedulers must not be empty")
        for part in schedulers:
            if not isinstance(part, LRScheduler):
                raise TypeError(
                    f"{self._name}: each of schedulers must be a schedule, "
                    f"got {type(part).__name__}"
                )
            if isinstance(part, ReduceLROnPlateau):
                raise ValueError(
                    f"{self._name}: schedulers must not have a ReduceLROnPlateau, "
                    "which follows a metric: step it beside"
                )
            if optimizer is not None and part.optimizer is not optimizer:
                raise ValueError(
                    f"{self._name}: each of schedulers must be of the same optimizer, "
                    f"got a {part._name} of another"
                )
        return schedulers

    def _restart(self, optimizer, last_epoch):
        for group in self._groups(optimizer):
            group["lr"] = group["initial_lr"]
        super().__init__(optimizer, last_epoch)


class SequentialLR(_Combined):
    r"""One schedule after another; each counts its steps from its milestone.

    Parameters
    ----------
    optimizer : Optimizer
        The one of all `schedulers`.
    schedulers : list of LRScheduler
        Step the `SequentialLR` only: these serve as formulas.
    milestones : list of int
        The step at which the next schedule begins, from ``initial_lr`` again.
    last_epoch : int, optional
        See `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        If the schedules are of other optimizers, one follows a metric, or the
        milestones do not rise or are not one fewer than the schedules.

    Notes
    -----
    From milestone :math:`m_k` on: :math:`\eta(t) = \eta_k(t - m_k)`. PyTorch's.

    Examples
    --------
    >>> import dlcore as dl
    >>> from dlcore.optim.lr_scheduler import *
    >>> optimizer = dl.optim.SGD([dl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> warm = WarmupLR(optimizer, warmup_steps=2)
    >>> schedule = SequentialLR(optimizer, [warm, ExponentialLR(optimizer, 0.5)], [2])
    >>> for _ in range(4):
    ...     print(schedule.get_last_lr())
    ...     schedule.step()
    [0.5]
    [1.0]
    [1.0]
    [0.5]
    """

    def __init__(self, optimizer, schedulers, milestones, last_epoch=-1):
        self._groups(optimizer)
        self.schedulers = self._check_parts(optimizer, schedulers)
        self.milestones = [self._whole("each of milestones", m) for m in milestones]
        if len(self.milestones) != len(self.schedulers) - 1:
            raise ValueError(
                f"{self._name}: milestones must be one fewer than the "
                f"{len(self.schedulers)} schedulers, got {len(self.milestones)}"
            )
        if self.milestones != sorted(set(self.milestones)):
            raise ValueError(
                f"{self._name}: milestones must rise, got {self.milestones}"
            )
        self._restart(optimizer, last_epoch)

    def _now(self, t):
        """The schedule of step `t` and its own count."""
        k = bisect_right(self.milestones, t)
        return self.schedulers[k], t - self.milestones[k - 1] if k else t

    def _lr(self, t, start, index):
        part, t = self._now(t)
        return part._lr(t, start, index)

    def _momentum(self, t, index):
        part, t = self._now(t)
        return part._momentum(t, index)


class ChainedScheduler(_Combined):
    r"""Several schedules at once: each starts from what the one before gives.

    Parameters
    ----------
    schedulers : list of LRScheduler
        Step the `ChainedScheduler` only: these serve as formulas.
    optimizer : Optimizer, optional
        The one of all `schedulers`.

    Raises
    ------
    TypeError, ValueError
        If the schedules are of other optimizers, or one follows a metric.

    Notes
    -----
    Their factors multiply, :math:`\eta(t) = \eta_0 \prod_k f_k(t)`, those of
    `LambdaLR` and `CosineAnnealingWarmRestarts` too (which in PyTorch, where the
    name is from, forget what came before). `CyclicLR` and `OneCycleLR` name their
    rates, whatever came before: put them first.

    Examples
    --------
    >>> import dlcore as dl
    >>> from dlcore.optim.lr_scheduler import *
    >>> optimizer = dl.optim.SGD([dl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> warm = WarmupLR(optimizer, warmup_steps=2)
    >>> schedule = ChainedScheduler([warm, ExponentialLR(optimizer, 0.5)])
    >>> for _ in range(3):
    ...     print(schedule.get_last_lr())
    ...     schedule.step()
    [0.5]
    [0.5]
    [0.25]
    """

    def __init__(self, schedulers, optimizer=None):
        parts = self._check_parts(optimizer, schedulers)
        self.schedulers = self._check_parts(parts[0].optimizer, parts)
        self._restart(parts[0].optimizer, -1)

    def _lr(self, t, start, index):
        for part in self.schedulers:
            start = part._lr(t, start, index)
        return start

    def _momentum(self, t, index):
        momentum = None
        for part in self.schedulers:
            given = part._momentum(t, index)
            momentum = momentum if given is None else given
        return momentum
