"""Schedules that start low: warm-ups."""

import math

from .scheduler import LRScheduler


class ConstantLR(LRScheduler):
    r"""A scaled rate for the first steps.

    Parameters
    ----------
    optimizer : Optimizer
        The optimizer.
    factor : float, optional
        The factor, at most 1.
    total_iters : int, optional
        Number of steps until the rate stays.
    last_epoch : int, optional
        See `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong kind or out of range.

    Notes
    -----
    .. math:: \eta(t) = \eta_0 \cdot (c \text{ if } t < T \text{ else } 1)

    PyTorch's.

    Examples
    --------
    >>> import dlcore as dl
    >>> optimizer = dl.optim.SGD([dl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = dl.optim.lr_scheduler.ConstantLR(optimizer, 0.5, total_iters=3)
    >>> for _ in range(2):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer, factor=1 / 3, total_iters=5, last_epoch=-1):
        self.factor = self._real("factor", factor, 0, 1)
        self.total_iters = self._whole("total_iters", total_iters)
        super().__init__(optimizer, last_epoch)

    def _factor(self, t, index):
        return self.factor if t < self.total_iters else 1.0


class LinearLR(LRScheduler):
    r"""A straight line from one factor to another.

    Parameters
    ----------
    optimizer : Optimizer
        The optimizer.
    start_factor : float, optional
        The first factor, above 0.
    end_factor : float, optional
        The last factor.
    total_iters : int, optional
        Number of steps until the rate stays.
    last_epoch : int, optional
        See `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong kind or out of range.

    Notes
    -----
    .. math:: \eta(t) = \eta_0 (a + (b - a) \min(t, T) / T)

    PyTorch's; with the factors given, a warm-up.

    Examples
    --------
    >>> import dlcore as dl
    >>> optimizer = dl.optim.SGD([dl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = dl.optim.lr_scheduler.LinearLR(optimizer, 0.5, total_iters=4)
    >>> for _ in range(2):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.75]
    """

    def __init__(
        self,
        optimizer,
        start_factor=1 / 3,
        end_factor=1.0,
        total_iters=5,
        last_epoch=-1,
    ):
        self.start_factor = self._real("start_factor", start_factor, 0, 1)
        if start_factor == 0:
            raise ValueError(
                f"{self._name}: start_factor must be above 0, got 0: WarmupLR starts "
                "from the first step's share"
            )
        self.end_factor = self._real("end_factor", end_factor, 0, 1)
        self.total_iters = self._whole("total_iters", total_iters)
        super().__init__(optimizer, last_epoch)

    def _factor(self, t, index):
        share = min(t, self.total_iters) / self.total_iters
        return self.start_factor + (self.end_factor - self.start_factor) * share


class WarmupLR(LRScheduler):
    r"""Linear warm-up: the rate rises to its full height, and stays.

    Parameters
    ----------
    optimizer : Optimizer
        The optimizer.
    warmup_steps : int
        The step, counted from one, that has the full rate.
    last_epoch : int, optional
        See `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong kind or out of range.

    Notes
    -----
    .. math:: \eta(t) = \eta_0 \min(1, (t + 1) / n)

    Goyal et al. 2017. In a `ChainedScheduler` it multiplies with a decay.

    Examples
    --------
    >>> import dlcore as dl
    >>> optimizer = dl.optim.SGD([dl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = dl.optim.lr_scheduler.WarmupLR(optimizer, warmup_steps=4)
    >>> for _ in range(2):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.75]
    """

    def __init__(self, optimizer, warmup_steps, last_epoch=-1):
        self.warmup_steps = self._whole("warmup_steps", warmup_steps)
        super().__init__(optimizer, last_epoch)

    def _factor(self, t, index):
        return min(1.0, (t + 1) / self.warmup_steps)


class NoamLR(LRScheduler):
    r"""The Transformer's: linear warm-up, then one over the root of the step.

    Parameters
    ----------
    optimizer : Optimizer
        The optimizer.
    d_model : int
        Width of the model.
    warmup_steps : int, optional
        The step, counted from one, that has the highest rate.
    last_epoch : int, optional
        See `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong kind or out of range.

    Notes
    -----
    .. math:: \eta(t) = \eta_0 d^{-1/2} \min(n^{-1/2}, n w^{-3/2}), \quad n = t + 1

    Vaswani et al. 2017, section 5.3, whose optimizer has ``lr=1.0``.

    Examples
    --------
    >>> import dlcore as dl
    >>> optimizer = dl.optim.SGD([dl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = dl.optim.lr_scheduler.NoamLR(optimizer, d_model=4, warmup_steps=4)
    >>> for _ in range(3):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(self, optimizer, d_model, warmup_steps=4000, last_epoch=-1):
        self.d_model = self._whole("d_model", d_model)
        self.warmup_steps = self._whole("warmup_steps", warmup_steps)
        super().__init__(optimizer, last_epoch)

    def _factor(self, t, index):
        n = t + 1
        rise = n / (self.warmup_steps * math.sqrt(self.warmup_steps))
        return min(1 / math.sqrt(n), rise) / math.sqrt(self.d_model)
