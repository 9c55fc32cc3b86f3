"""What the schedules share: writing the rate, following others, saving, resuming."""

import inspect
import math

from ..optimizer import Optimizer


class LRScheduler:
    """Base class of the schedules: the rate as a function of the number of steps.

    A subclass gives the factor in ``_factor(t, index)``, or the rate itself in
    ``_lr(t, start, index)``, for step ``t`` and group number ``index``.

    Parameters
    ----------
    optimizer : Optimizer
        Its groups' ``lr`` at this moment are where the schedule starts.
    last_epoch : int, optional
        Go on after this step, from the groups' ``initial_lr``; -1 starts anew. What
        `load_state_dict` does is exact and simpler.

    Attributes
    ----------
    last_epoch : int
        How many steps were taken.
    base_lrs : list of float
        The groups' rates before any schedule.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong kind or out of range.

    Notes
    -----
    The rate is computed anew from its formula at each step, so nothing drifts. When
    somebody else has changed a group's rate since (another schedule, or you), what
    the formula gives is scaled by as much from then on: schedules of one optimizer
    multiply, whichever they are. A rate of zero cannot be scaled: while the formula
    gives zero, what others do is not seen.
    """

    def __init__(self, optimizer, last_epoch=-1):
        groups = self._groups(optimizer)
        self._whole("last_epoch", last_epoch, -1)
        for index, group in enumerate(groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise ValueError(
                    f"{self._name}: last_epoch must be -1 where the optimizer had no "
                    f"schedule (no initial_lr in group {index}), got {last_epoch}"
                )
        self.optimizer = optimizer
        self.base_lrs = [float(group["initial_lr"]) for group in groups]
        lrs = [float(group["lr"]) for group in groups]
        self._start = lrs if last_epoch == -1 else list(self.base_lrs)
        self._go(last_epoch + 1, [1.0] * len(groups))

    @property
    def _name(self):
        return type(self).__name__

    def __repr__(self):
        skip = ("self", "optimizer", "last_epoch")
        names = [n for n in inspect.signature(type(self)).parameters if n not in skip]
        shown = [f"{name}={_shown(getattr(self, name))}" for name in names]
        shown += [f"last_epoch={self.last_epoch}", f"lr={self.get_last_lr()}"]
        return f"{self._name}({', '.join(shown)})"

    # -- the schedule --

    def _factor(self, t, index):
        raise NotImplementedError(f"{self._name} must define _factor or _lr")

    def _lr(self, t, start, index):
        return start * self._factor(t, index)

    def _momentum(self, t, index):
        """The momentum that goes with the rate, or None to leave it alone."""
        return None

    # -- steps --

    def step(self, epoch=None):
        """Set the next rate in every group.

        Parameters
        ----------
        epoch : float, optional
            Jump to this step instead; may be a fraction.

        Raises
        ------
        ValueError
            If the rate would be negative or NaN, or the optimizer got groups meanwhile.
            Nothing is changed then.
        """
        if epoch is not None:
            self._real("epoch", epoch, 0)
        groups = self._same_groups()
        scales = [
            scale * (float(group["lr"]) / lr) if lr not in (0, group["lr"]) else scale
            for scale, lr, group in zip(self._scale, self._last_lr, groups)
        ]
        self._go(self.last_epoch + 1 if epoch is None else epoch, scales)

    def _go(self, t, scales):
        """Be at step `t`, with what the formula gives times `scales`."""
        lrs = [
            scale * float(self._lr(t, start, i))
            for i, (start, scale) in enumerate(zip(self._start, scales))
        ]
        for lr in lrs:
            if not 0 <= lr < math.inf:
                raise ValueError(
                    f"{self._name}: the learning rate must be at least 0 and finite, "
                    f"got {lr} at step {t}"
                )
        self.last_epoch, self._scale = t, scales
        self._write(lrs)
        self._last_lr = lrs

    def _write(self, lrs):
        for i, (group, lr) in enumerate(zip(self.optimizer.param_groups, lrs)):
            group["lr"] = lr
            momentum = self._momentum(self.last_epoch, i)
            if momentum is not None:
                if "betas" in group:
                    group["betas"] = (momentum, *group["betas"][1:])
                else:
                    group["momentum"] = momentum

    def get_last_lr(self):
        """The rates that the schedule set last, one for each group.

        Returns
        -------
        list of float
        """
        return list(self._last_lr)

    # -- saving and resuming --

    _KEPT: tuple[str, ...] = ("last_epoch", "_start", "_scale", "_last_lr")

    def state_dict(self):
        """Where the schedule is: plain numbers, the optimizer's rates among them.

        Returns
        -------
        dict
            For `load_state_dict`. The constructor's arguments are not in it.
        """
        kept = {name.lstrip("_"): _copied(getattr(self, name)) for name in self._KEPT}
        lrs = [float(group["lr"]) for group in self.optimizer.param_groups]
        return {"kind": self._name, **kept, "lr": lrs}

    def load_state_dict(self, state_dict):
        """Go on from a snapshot, to the bit; sets the optimizer's rates too.

        Parameters
        ----------
        state_dict : dict
            From `state_dict` of a schedule made with the same arguments.

        Raises
        ------
        ValueError
            If it is of another schedule or of other groups; nothing is changed then.
        """
        groups = self._same_groups()
        names = {name.lstrip("_"): name for name in self._KEPT}
        if not isinstance(state_dict, dict) or not {*names, "lr"} <= state_dict.keys():
            raise ValueError(
                f"{self._name}: load_state_dict: state_dict must have "
                f"{', '.join([*names, 'lr'])}, as state_dict() returns them"
            )
        kind = state_dict.get("kind", self._name)
        if kind != self._name:
            raise ValueError(
                f"{self._name}: load_state_dict: state_dict must be of a {self._name}, "
                f"got one of a {kind}"
            )
        if len(state_dict["lr"]) != len(groups):
            raise ValueError(
                f"{self._name}: load_state_dict: state_dict must be of "
                f"{len(groups)} groups, got {len(state_dict['lr'])}"
            )
        for key, name in names.items():
            setattr(self, name, _copied(state_dict[key]))
        self._write(state_dict["lr"])

    # -- checks --

    def _groups(self, optimizer):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{self._name}: optimizer must be an Optimizer, "
                f"got {type(optimizer).__name__}"
            )
        return optimizer.param_groups

    def _same_groups(self):
        groups = self.optimizer.param_groups
        if len(groups) != len(self._last_lr):
            raise ValueError(
                f"{self._name}: the optimizer must have {len(self._last_lr)} groups as "
                f"when the schedule was made, got {len(groups)}: make it afterwards"
            )
        return groups

    def _per_group(self, optimizer, name, value):
        """`value` for each group: a list of as many, or one for all."""
        groups = self._groups(optimizer)
        if not isinstance(value, (list, tuple)):
            return [value] * len(groups)
        if len(value) != len(groups):
            raise ValueError(
                f"{self._name}: {name} must have one value for each of the "
                f"{len(groups)} groups, got {len(value)}"
            )
        return list(value)

    def _callables(self, optimizer, name, value):
        functions = self._per_group(optimizer, name, value)
        for function in functions:
            if not callable(function):
                raise TypeError(
                    f"{self._name}: {name} must be a function of the step, "
                    f"got {type(function).__name__}"
                )
        return functions

    def _real(self, name, value, low=-math.inf, high=math.inf):
        """`value`, a number of [low, high]."""
        number = _number(value)
        if number is None:
            raise TypeError(
                f"{self._name}: {name} must be a number, got {type(value).__name__}"
            )
        if not low <= number <= high or math.isinf(number):
            rule = f"at least {low}" if high == math.inf else f"from {low} to {high}"
            rule = "a finite number" if low == -math.inf else rule
            raise ValueError(f"{self._name}: {name} must be {rule}, got {value}")
        return value

    def _whole(self, name, value, low=1):
        """`value`, a whole number from `low` on."""
        number = _number(value)
        if number is None or number != number // 1:
            raise TypeError(
                f"{self._name}: {name} must be a whole number, got {value!r}"
            )
        return int(self._real(name, value, low))

    def _one_of(self, name, value, choices):
        if value not in choices:
            raise ValueError(
                f"{self._name}: {name} must be one of {', '.join(choices)}, "
                f"got {value!r}"
            )
        return value


def _number(value):
    """`value` as a float (NaN and infinity too), or None if it is no number."""
    if isinstance(value, (str, bytes)):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _copied(value):
    return list(value) if isinstance(value, (list, tuple)) else value


def _shown(value):
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_shown, value))}]"
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    return repr(value)
