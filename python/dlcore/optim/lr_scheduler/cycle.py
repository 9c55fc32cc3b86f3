"""Schedules by a cosine, and those that go up and down."""

import math

from .scheduler import LRScheduler


def _half_cosine(share):
    """From 1 at share 0 to 0 at share 1."""
    return (1 + math.cos(math.pi * share)) / 2


class _WithMomentum(LRScheduler):
    """Names its rates, and may move the momentum along."""

    def _set_momentum(self, optimizer, cycle_momentum, base, top):
        self.cycle_momentum = bool(cycle_momentum)
        self.base_momentum = self._real("base_momentum", base, 0, 1)
        self.max_momentum = self._real("max_momentum", top, 0, 1)
        for group in self._groups(optimizer):
            if self.cycle_momentum and not group.keys() & {"momentum", "betas"}:
                raise ValueError(
                    f"{self._name}: optimizer must have momentum or betas, got "
                    f"{type(optimizer).__name__}: pass cycle_momentum=False"
                )


class CosineAnnealingLR(LRScheduler):
    r"""The rate falls (and rises again) along a cosine.

    Parameters
    ----------
    optimizer : Optimizer
        The optimizer.
    T_max : int
        Steps from the highest to the lowest rate.
    eta_min : float, optional
        The lowest rate.
    last_epoch : int, optional
        See `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong kind or out of range.

    Notes
    -----
    .. math::
        \eta(t) = \eta_{min} + (\eta_0 - \eta_{min}) \tfrac{1}{2}(1 + \cos(\pi t / T))

    Loshchilov and Hutter 2017 without restarts, as PyTorch's; after :math:`T` it rises.

    Examples
    --------
    >>> import dlcore as dl
    >>> optimizer = dl.optim.SGD([dl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = dl.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)
    >>> for _ in range(4):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.0]
    """

    def __init__(self, optimizer, T_max, eta_min=0.0, last_epoch=-1):
        self.T_max = self._whole("T_max", T_max)
        self.eta_min = self._real("eta_min", eta_min, 0)
        super().__init__(optimizer, last_epoch)

    def _lr(self, t, start, index):
        return self.eta_min + (start - self.eta_min) * _half_cosine(t / self.T_max)


class CosineAnnealingWarmRestarts(LRScheduler):
    r"""The rate falls along a cosine, and starts anew.

    Parameters
    ----------
    optimizer : Optimizer
        The optimizer.
    T_0 : int
        Steps until the first restart.
    T_mult : int, optional
        What each period is longer by, as a factor.
    eta_min : float, optional
        The lowest rate.
    last_epoch : int, optional
        See `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong kind or out of range.

    Notes
    -----
    .. math::
        \eta(t) = \eta_{min}
        + (\eta_0 - \eta_{min}) \tfrac{1}{2}(1 + \cos(\pi t_i / T_i))

    with :math:`t_i` steps since the restart, :math:`T_i` the period. Loshchilov and
    Hutter 2017 (SGDR), as PyTorch's. ``step(epoch + batch / batches)`` moves in
    between.

    Examples
    --------
    >>> import dlcore as dl
    >>> optimizer = dl.optim.SGD([dl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = dl.optim.lr_scheduler.CosineAnnealingWarmRestarts(
    ...     optimizer, T_0=2, T_mult=2
    ... )
    >>> for _ in range(6):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [1.0]
    """

    def __init__(self, optimizer, T_0, T_mult=1, eta_min=0.0, last_epoch=-1):
        self.T_0 = self._whole("T_0", T_0)
        self.T_mult = self._whole("T_mult", T_mult)
        self.eta_min = self._real("eta_min", eta_min, 0)
        super().__init__(optimizer, last_epoch)

    def _lr(self, t, start, index):
        period = self.T_0
        if self.T_mult == 1:
            t %= period
        while t >= period:
            t -= period
            period *= self.T_mult
        return self.eta_min + (start - self.eta_min) * _half_cosine(t / period)


class CyclicLR(_WithMomentum):
    r"""The rate goes up and down between two bounds.

    Parameters
    ----------
    optimizer : Optimizer
        The optimizer.
    base_lr : float or list of float
        The lower bound (of each group).
    max_lr : float or list of float
        The upper bound (of each group).
    step_size_up : int, optional
        Steps from the lower to the upper bound.
    step_size_down : int, optional
        Steps back; as many by default.
    mode : {"triangular", "triangular2", "exp_range"}, optional
        Whether the height stays, halves each cycle, or falls as ``gamma**t``.
    gamma : float, optional
        See "exp_range".
    scale_fn : callable, optional
        Gives the height's factor, instead of `mode`.
    scale_mode : {"cycle", "iterations"}, optional
        Whether `scale_fn` is given the cycle's number, from one, or the step's.
    cycle_momentum : bool, optional
        Move the momentum (of Adam: the first beta) the opposite way.
    base_momentum, max_momentum : float, optional
        Its bounds.
    last_epoch : int, optional
        See `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong kind or out of range.

    Notes
    -----
    .. math:: \eta(t) = \eta_{base} + (\eta_{max} - \eta_{base}) \, x(t) \, s(t)

    with :math:`x` the triangle from 0 to 1 and back and :math:`s` the factor of `mode`.
    The momentum is :math:`\mu_{max} - (\mu_{max} - \mu_{base}) x s`. Smith 2017, as
    PyTorch's. What the optimizer's own rate was does not matter.

    Examples
    --------
    >>> import dlcore as dl
    >>> optimizer = dl.optim.SGD([dl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = dl.optim.lr_scheduler.CyclicLR(
    ...     optimizer, base_lr=0.5, max_lr=1.0, step_size_up=2, cycle_momentum=False
    ... )
    >>> for _ in range(3):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.75]
    """

    def __init__(
        self,
        optimizer,
        base_lr,
        max_lr,
        step_size_up=2000,
        step_size_down=None,
        mode="triangular",
        gamma=1.0,
        scale_fn=None,
        scale_mode="cycle",
        cycle_momentum=True,
        base_momentum=0.8,
        max_momentum=0.9,
        last_epoch=-1,
    ):
        self.base_lr, self.max_lr = base_lr, max_lr
        lows = self._per_group(optimizer, "base_lr", base_lr)
        tops = self._per_group(optimizer, "max_lr", max_lr)
        self._bounds = [
            (self._real("base_lr", low, 0), self._real("max_lr", top, 0))
            for low, top in zip(lows, tops)
        ]
        self.step_size_up = self._whole("step_size_up", step_size_up)
        self.step_size_down = (
            self.step_size_up
            if step_size_down is None
            else self._whole("step_size_down", step_size_down)
        )
        modes = ("triangular", "triangular2", "exp_range")
        self.mode = self._one_of("mode", mode, modes)
        self.gamma = self._real("gamma", gamma, 0)
        if scale_fn is not None and not callable(scale_fn):
            raise TypeError(
                f"{self._name}: scale_fn must be a function, "
                f"got {type(scale_fn).__name__}"
            )
        self.scale_fn = scale_fn
        self.scale_mode = self._one_of(
            "scale_mode", scale_mode, ("cycle", "iterations")
        )
        self._set_momentum(optimizer, cycle_momentum, base_momentum, max_momentum)
        super().__init__(optimizer, last_epoch)

    def _height(self, t):
        """Share of the way up at step `t`, with its factor."""
        up, down = self.step_size_up, self.step_size_down
        cycles, at = divmod(t, up + down)
        share = at / up if at <= up else (up + down - at) / down
        if self.scale_fn is not None:
            return share * self.scale_fn(
                cycles + 1 if self.scale_mode == "cycle" else t
            )
        if self.mode == "triangular2":
            return share / 2**cycles
        return share * self.gamma**t if self.mode == "exp_range" else share

    def _lr(self, t, start, index):
        low, top = self._bounds[index]
        return low + (top - low) * self._height(t)

    def _momentum(self, t, index):
        if not self.cycle_momentum:
            return None
        span = self.max_momentum - self.base_momentum
        return self.max_momentum - span * self._height(t)


class OneCycleLR(_WithMomentum):
    r"""The rate goes up once, then down far below where it began.

    Parameters
    ----------
    optimizer : Optimizer
        The optimizer.
    max_lr : float or list of float
        The highest rate (of each group).
    total_steps : int, optional
        Steps of the cycle.
    epochs, steps_per_epoch : int, optional
        Their product, where `total_steps` is not given.
    pct_start : float, optional
        Share of the steps that go up.
    anneal_strategy : {"cos", "linear"}, optional
        Along a cosine or a straight line.
    cycle_momentum : bool, optional
        Move the momentum (of Adam: the first beta) the opposite way.
    base_momentum, max_momentum : float, optional
        Its bounds.
    div_factor : float, optional
        The first rate is ``max_lr / div_factor``.
    final_div_factor : float, optional
        The last rate is the first over `final_div_factor`.
    three_phase : bool, optional
        Go down to the first rate as fast as up, then to the last.
    last_epoch : int, optional
        See `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong kind or out of range.

    Notes
    -----
    From :math:`a` to :math:`b` in a phase, with :math:`s` the share of it that is over:

    .. math:: \eta = b + (a - b) \tfrac{1}{2} (1 + \cos \pi s)

    or :math:`a + (b - a) s`. Smith and Topin 2019, as PyTorch's. The step of number
    ``total_steps - 1`` is the last; the rate stays afterwards. What the optimizer's own
    rate was does not matter.

    Examples
    --------
    >>> import dlcore as dl
    >>> optimizer = dl.optim.SGD([dl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = dl.optim.lr_scheduler.OneCycleLR(
    ...     optimizer, max_lr=1.0, total_steps=10, pct_start=0.5, cycle_momentum=False
    ... )
    >>> for _ in range(4):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [1.0]
    """

    def __init__(
        self,
        optimizer,
        max_lr,
        total_steps=None,
        epochs=None,
        steps_per_epoch=None,
        pct_start=0.3,
        anneal_strategy="cos",
        cycle_momentum=True,
        base_momentum=0.85,
        max_momentum=0.95,
        div_factor=25.0,
        final_div_factor=1e4,
        three_phase=False,
        last_epoch=-1,
    ):
        self.epochs, self.steps_per_epoch = epochs, steps_per_epoch
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError(
                    f"{self._name}: total_steps must be given, or epochs and "
                    "steps_per_epoch, got neither"
                )
            total_steps = self._whole("epochs", epochs) * self._whole(
                "steps_per_epoch", steps_per_epoch
            )
        self.total_steps = self._whole("total_steps", total_steps)
        self.max_lr = max_lr
        tops = self._per_group(optimizer, "max_lr", max_lr)
        self._tops = [self._real("max_lr", top, 0) for top in tops]
        self.pct_start = self._real("pct_start", pct_start, 0, 1)
        self.anneal_strategy = self._one_of(
            "anneal_strategy", anneal_strategy, ("cos", "linear")
        )
        self.div_factor = self._real("div_factor", div_factor, 1)
        self.final_div_factor = self._real("final_div_factor", final_div_factor, 1)
        self.three_phase = bool(three_phase)
        self._set_momentum(optimizer, cycle_momentum, base_momentum, max_momentum)
        super().__init__(optimizer, last_epoch)

    def _between(self, t, first, top, last):
        """From `first` to `top` to `last`, as far as it is at step `t`."""
        up, end = self.pct_start * self.total_steps - 1, self.total_steps - 1
        phases = [(up, first, top), (end, top, last)]
        if self.three_phase:
            phases[1:] = [(2 * up, top, first), (end, first, last)]
        t, begin = min(t, end), 0
        for stop, a, b in phases:
            if t <= stop:
                share = (t - begin) / (stop - begin) if stop > begin else 1.0
                if self.anneal_strategy == "linear":
                    return a + (b - a) * share
                return b + (a - b) * _half_cosine(share)
            begin = stop

    def _lr(self, t, start, index):
        top = self._tops[index]
        first = top / self.div_factor
        return self._between(t, first, top, first / self.final_div_factor)

    def _momentum(self, t, index):
        if not self.cycle_momentum:
            return None
        return self._between(
            t, self.max_momentum, self.base_momentum, self.max_momentum
        )
