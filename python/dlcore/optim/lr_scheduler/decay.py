"""Schedules that only fall (or do as a function says)."""

import math
from bisect import bisect_right
from collections.abc import Iterable

from .scheduler import LRScheduler


class LambdaLR(LRScheduler):
    r"""The initial rate times a function of the step.

    Parameters
    ----------
    optimizer : Optimizer
        The optimizer.
    lr_lambda : callable or list of callable
        Gives the factor of a step's number (for each group); the same at each call.
    last_epoch : int, optional
        See `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong kind or out of range.

    Notes
    -----
    .. math:: \eta(t) = \eta_0 f(t)

    PyTorch's, except that it multiplies with other schedules instead of undoing them.

    Examples
    --------
    >>> import dlcore as dl
    >>> optimizer = dl.optim.SGD([dl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = dl.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 1 / (1 + t))
    >>> for _ in range(3):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(self, optimizer, lr_lambda, last_epoch=-1):
        self.lr_lambda = lr_lambda
        self._functions = self._callables(optimizer, "lr_lambda", lr_lambda)
        super().__init__(optimizer, last_epoch)

    def _factor(self, t, index):
        return self._functions[index](t)


class MultiplicativeLR(LRScheduler):
    r"""Each step multiplies the rate by a function of its number.

    Parameters
    ----------
    optimizer : Optimizer
        The optimizer.
    lr_lambda : callable or list of callable
        Gives the factor of a step's number (for each group); the same at each call.
    last_epoch : int, optional
        See `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong kind or out of range.

    Notes
    -----
    .. math:: \eta(t) = \eta_0 \prod_{s=1}^{t} f(s)

    PyTorch's.

    Examples
    --------
    >>> import dlcore as dl
    >>> optimizer = dl.optim.SGD([dl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = dl.optim.lr_scheduler.MultiplicativeLR(optimizer, lambda t: 0.5)
    >>> for _ in range(3):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.125]
    """

    def __init__(self, optimizer, lr_lambda, last_epoch=-1):
        self.lr_lambda = lr_lambda
        self._functions = self._callables(optimizer, "lr_lambda", lr_lambda)
        self._products = [(0, 1.0)] * len(self._functions)  # so far: steps, product
        super().__init__(optimizer, last_epoch)

    def _factor(self, t, index):
        done, product = self._products[index]
        if t < done:
            done, product = 0, 1.0
        for s in range(done + 1, math.floor(t) + 1):
            done, product = s, product * self._functions[index](s)
        self._products[index] = done, product
        return product


class StepLR(LRScheduler):
    r"""A staircase: the rate falls by a factor every so many steps.

    Parameters
    ----------
    optimizer : Optimizer
        The optimizer.
    step_size : int
        Steps between two falls.
    gamma : float, optional
        The factor.
    last_epoch : int, optional
        See `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong kind or out of range.

    Notes
    -----
    .. math:: \eta(t) = \eta_0 \gamma^{\lfloor t / s \rfloor}

    PyTorch's; known as step decay or discrete staircase.

    Examples
    --------
    >>> import dlcore as dl
    >>> optimizer = dl.optim.SGD([dl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = dl.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for _ in range(5):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(self, optimizer, step_size, gamma=0.1, last_epoch=-1):
        self.step_size = self._whole("step_size", step_size)
        self.gamma = self._real("gamma", gamma, 0)
        super().__init__(optimizer, last_epoch)

    def _factor(self, t, index):
        return self.gamma ** (t // self.step_size)


class MultiStepLR(LRScheduler):
    r"""The rate falls by a factor at each milestone.

    Parameters
    ----------
    optimizer : Optimizer
        The optimizer.
    milestones : list of int
        Steps at which it falls; one named twice counts twice.
    gamma : float, optional
        The factor.
    last_epoch : int, optional
        See `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong kind or out of range.

    Notes
    -----
    .. math:: \eta(t) = \eta_0 \gamma^{n(t)}

    with :math:`n(t)` the number of milestones up to :math:`t`. PyTorch's.

    Examples
    --------
    >>> import dlcore as dl
    >>> optimizer = dl.optim.SGD([dl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = dl.optim.lr_scheduler.MultiStepLR(optimizer, [2, 3], gamma=0.5)
    >>> for _ in range(3):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(self, optimizer, milestones, gamma=0.1, last_epoch=-1):
        if not isinstance(milestones, Iterable):
            raise TypeError(
                f"{self._name}: milestones must be a list of whole numbers, "
                f"got {type(milestones).__name__}"
            )
        self.milestones = sorted(
            self._whole("each of milestones", m, 0) for m in milestones
        )
        self.gamma = self._real("gamma", gamma, 0)
        super().__init__(optimizer, last_epoch)

    def _factor(self, t, index):
        return self.gamma ** bisect_right(self.milestones, t)


class ExponentialLR(LRScheduler):
    r"""Each step multiplies the rate by the same factor.

    Parameters
    ----------
    optimizer : Optimizer
        The optimizer.
    gamma : float
        The factor.
    last_epoch : int, optional
        See `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong kind or out of range.

    Notes
    -----
    .. math:: \eta(t) = \eta_0 \gamma^t

    PyTorch's. Written as :math:`\eta_0 e^{-\lambda t}`, pass ``gamma=math.exp(-rate)``.

    Examples
    --------
    >>> import dlcore as dl
    >>> optimizer = dl.optim.SGD([dl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = dl.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> for _ in range(3):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.125]
    """

    def __init__(self, optimizer, gamma, last_epoch=-1):
        self.gamma = self._real("gamma", gamma, 0)
        super().__init__(optimizer, last_epoch)

    def _factor(self, t, index):
        return self.gamma**t


class InverseTimeLR(LRScheduler):
    r"""The rate falls as one over the number of steps.

    Parameters
    ----------
    optimizer : Optimizer
        The optimizer.
    decay_rate : float
        How fast.
    decay_steps : int, optional
        Steps that count as one.
    staircase : bool, optional
        Whether it falls every `decay_steps` steps only.
    last_epoch : int, optional
        See `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong kind or out of range.

    Notes
    -----
    .. math:: \eta(t) = \frac{\eta_0}{1 + k t / n}

    with :math:`t / n` rounded down for a staircase. Keras's inverse time decay.

    Examples
    --------
    >>> import dlcore as dl
    >>> optimizer = dl.optim.SGD([dl.Tensor([1.0], requires_grad=True)], lr=0.2)
    >>> schedule = dl.optim.lr_scheduler.InverseTimeLR(optimizer, decay_rate=1.0)
    >>> for _ in range(3):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.05]
    """

    def __init__(
        self, optimizer, decay_rate, decay_steps=1, staircase=False, last_epoch=-1
    ):
        self.decay_rate = self._real("decay_rate", decay_rate, 0)
        self.decay_steps = self._whole("decay_steps", decay_steps)
        self.staircase = bool(staircase)
        super().__init__(optimizer, last_epoch)

    def _factor(self, t, index):
        n = self.decay_steps
        return 1 / (1 + self.decay_rate * (t // n if self.staircase else t / n))


class InverseSqrtLR(LRScheduler):
    r"""The rate falls as one over the root of the number of the epoch.

    Parameters
    ----------
    optimizer : Optimizer
        The optimizer.
    k : float, optional
        A factor of all rates.
    last_epoch : int, optional
        See `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong kind or out of range.

    Notes
    -----
    .. math:: \eta(t) = \eta_0 \frac{k}{\sqrt{t + 1}}

    where the first epoch is number one, :math:`t + 1`.

    Examples
    --------
    >>> import dlcore as dl
    >>> optimizer = dl.optim.SGD([dl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = dl.optim.lr_scheduler.InverseSqrtLR(optimizer)
    >>> for _ in range(3):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer, k=1.0, last_epoch=-1):
        self.k = self._real("k", k, 0)
        super().__init__(optimizer, last_epoch)

    def _factor(self, t, index):
        return self.k / math.sqrt(t + 1)


class PolynomialLR(LRScheduler):
    r"""The rate falls to zero as a power of the steps left.

    Parameters
    ----------
    optimizer : Optimizer
        The optimizer.
    total_iters : int, optional
        Number of steps until it is zero.
    power : float, optional
        The power; 1 is a straight line.
    last_epoch : int, optional
        See `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong kind or out of range.

    Notes
    -----
    .. math:: \eta(t) = \eta_0 (1 - \min(t, T) / T)^p

    PyTorch's.

    Examples
    --------
    >>> import dlcore as dl
    >>> optimizer = dl.optim.SGD([dl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = dl.optim.lr_scheduler.PolynomialLR(optimizer, 4, power=2.0)
    >>> for _ in range(2):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(self, optimizer, total_iters=5, power=1.0, last_epoch=-1):
        self.total_iters = self._whole("total_iters", total_iters)
        self.power = self._real("power", power, 0)
        super().__init__(optimizer, last_epoch)

    def _factor(self, t, index):
        return (1 - min(t, self.total_iters) / self.total_iters) ** self.power
