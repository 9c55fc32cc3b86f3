"""What the optimizers share: groups of parameters, their state, saving and resuming."""

import copy
from collections.abc import Iterable, Sized

import numpy as np

from ..convert import gradients_dtype, sixteen
from ..grad_mode import enable_grad
from ..tensor import Tensor, changed
from .masters import masters
from .rows import step_rows

# Which of PyTorch's implementations to take: here every step is one native call.
_IGNORED = ("foreach", "fused", "capturable", "differentiable")
# Options that older snapshots and PyTorch's may lack.
_NOT_IN_ALL = ("decoupled_weight_decay", "ewma")
# What is remembered of a parameter as one number, and where it starts.
_SCALARS = {"step": 0, "mu_product": 1.0}
_NUMBERS = (
    "lr",
    "weight_decay",
    "eps",
    "momentum",
    "dampening",
    "lr_decay",
    "initial_accumulator_value",
    "momentum_decay",
    "alpha",
    "rho",
)


class Optimizer:
    """Base class of the optimizers.

    A subclass steps a group in ``_step(index, group, params, grads)``.

    Parameters
    ----------
    params : iterable of Tensor or of dict
        The parameters; or groups ``{"params": [...], "lr": ...}`` with options of
        their own.
    defaults : dict
        Options of the groups that do not set them.

    Attributes
    ----------
    param_groups : list of dict
        The groups with all their options; an option may be changed between steps.
    state : dict
        What is remembered of each parameter, by parameter; of one stored in 16 bits
        also its float32 copy, ``"master_param"``, which is what steps change.
    """

    def __init__(self, params, defaults):
        self.defaults = defaults
        self.param_groups = []
        self._state = {}
        self._rows = {}  # by group: what it remembers, as the lists that a step takes
        if isinstance(params, Tensor):
            raise TypeError(f"{self._name}: params must be a list of Tensors: pass [x]")
        if not isinstance(params, Iterable):
            raise TypeError(
                f"{self._name}: params must be a list of Tensors, "
                f"got {type(params).__name__}{_cure(params)}"
            )
        params = list(params)
        if not params:
            raise ValueError(f"{self._name}: params must not be empty")
        if not isinstance(params[0], dict):
            params = [{"params": params}]
        for group in params:
            self.add_param_group(group)

    @property
    def _name(self):
        return type(self).__name__

    def __repr__(self):
        lines = [f"{self._name} ("]
        for i, group in enumerate(self.param_groups):
            options = (f"{k}={v}" for k, v in group.items() if k != "params")
            lines.append(f"  {i}: {len(group['params'])} tensors, {', '.join(options)}")
        return "\n".join([*lines, ")"])

    def add_param_group(self, group):
        """Add parameters with options of their own.

        Parameters
        ----------
        group : dict
            ``{"params": Tensor or list of Tensor, option: value, ...}``

        Raises
        ------
        TypeError
            If a parameter is not a leaf Tensor, or an option is not known.
        ValueError
            If a parameter is in a group already, or an option is out of range.
        """
        if not isinstance(group, dict):
            raise TypeError(
                f"{self._name}: a parameter group must be a dict, "
                f"got {type(group).__name__}"
            )
        group = {k: v for k, v in group.items() if k not in _IGNORED}
        params = group.get("params", ())
        params = [params] if isinstance(params, Tensor) else list(params)
        unknown = group.keys() - self.defaults.keys() - {"params", "initial_lr"}
        if unknown:
            raise TypeError(f"{self._name}: unknown option {sorted(unknown)[0]!r}")
        known = {id(p) for other in self.param_groups for p in other["params"]}
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(
                    f"{self._name}: a parameter must be a Tensor, "
                    f"got {type(p).__name__}{_cure(p)}"
                )
            if p._node is not None:
                raise ValueError(
                    f"{self._name}: a parameter must be a leaf, got a result of an op"
                )
            if id(p) in known:
                raise ValueError(f"{self._name}: a parameter appears twice")
            known.add(id(p))
        group = {**self.defaults, **group, "params": params}
        self._check(group)
        self.param_groups.append(group)

    def _check(self, group):
        """Raise for options out of range; subclasses add theirs."""
        for name in _NUMBERS:
            if name in group:
                value = self._number(name, group[name])
                if name != "dampening" and not value >= 0:
                    raise ValueError(
                        f"{self._name}: {name} must be at least 0, got {group[name]}"
                    )
        if "betas" in group:
            self._check_betas(group["betas"])

    def _check_betas(self, betas):
        if not isinstance(betas, Sized):
            raise TypeError(f"{self._name}: betas must be two numbers, got {betas!r}")
        values = [self._number("each of betas", beta) for beta in betas]
        if len(values) != 2 or not all(0 <= beta < 1 for beta in values):
            raise ValueError(
                f"{self._name}: betas must be two numbers of [0, 1), got {betas}"
            )

    def _refuse_differentiable(self, differentiable):
        if differentiable:
            raise NotImplementedError(
                f"{self._name}: differentiable must be False: a step is not recorded"
            )

    def _number(self, name, value):
        try:
            return float(value if not isinstance(value, str) else None)
        except (TypeError, ValueError):
            raise TypeError(
                f"{self._name}: {name} must be a number, got {type(value).__name__}"
            ) from None

    def zero_grad(self, set_to_none=True):
        """Forget the gradients.

        Parameters
        ----------
        set_to_none : bool, optional
            Set `grad` to None (the default: the next backward writes instead of
            adding); otherwise fill it with zeros.
        """
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    p.grad = Tensor(np.zeros_like(p.grad.data))

    def step(self, closure=None):
        """Change every parameter that has a gradient, in place.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss anew (and the gradients) and returns it.

        Returns
        -------
        Tensor or None
            What `closure` returned.

        Raises
        ------
        ValueError, TypeError
            If a parameter or its gradient cannot be stepped: read-only, not contiguous,
            of another shape or dtype. Nothing of its group is changed then.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for i, group in enumerate(self.param_groups):
            if not sixteen:
                self._step_group(i, group)
                continue
            with masters(self._state, group["params"]):
                self._step_group(i, group)
        return loss

    def _step_group(self, i, group):
        params = group["params"]
        try:
            grads = [p.grad.data for p in params]
        except AttributeError:  # some have no gradient
            params = [p for p in params if p.grad is not None]
            params, stepped = step_rows(self, group, params)
            changed(stepped)
            self._check_gradients(params)
            if not params:
                return
            grads = [p.grad.data for p in params]
        self._step(i, group, params, grads)
        changed(params)

    @property
    def state(self):
        self._rows = {}  # whoever asks for it may change it: the next step looks again
        return self._state

    def _cached(self, index, names, params):
        """The lists of `_collect` if the step before was over the same parameters."""
        rows = self._rows.get(index)
        if rows is None or rows[0] != names or rows[1] != [*map(id, params)]:
            return None
        return rows[2]

    def _remembered(self, index, names, params, start=0.0):
        """A list for each of `names`, which begin as `start`, for each of `params`."""
        if (rows := self._cached(index, names, params)) is not None:
            return rows
        for p in params:
            kept = self._state.setdefault(p, {})
            for name in names:
                if name in kept:
                    continue
                if name in _SCALARS:
                    kept[name] = np.array(_SCALARS[name])
                else:
                    kept[name] = np.full(p.data.shape, start, p.data.dtype)
        return self._collect(index, names, params)

    def _collect(self, index, names, params):
        """A list for each of `names`: what is remembered of each of `params`."""
        rows = [[self._state[p][name] for p in params] for name in names]
        self._rows[index] = names, [*map(id, params)], rows
        return rows

    def state_dict(self):
        """A snapshot for `load_state_dict`, in PyTorch's layout; arrays are copies.

        Returns
        -------
        dict
            ``{"state": {number: {name: array}}, "param_groups": [{..., "params":
            [number, ...]}]}``; parameters are numbered in the order of the groups.
        """
        number = {}
        for group in self.param_groups:
            for p in group["params"]:
                number[id(p)] = len(number)
        state = {
            number[id(p)]: {name: value.copy() for name, value in kept.items()}
            for p, kept in self._state.items()
        }
        groups = [
            {
                **copy.deepcopy(_options(group)),
                "params": [number[id(p)] for p in group["params"]],
            }
            for group in self.param_groups
        ]
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict):
        """Go on from a snapshot: options and what was remembered, to the bit.

        Parameters
        ----------
        state_dict : dict
            From `state_dict` of an optimizer over parameters of the same shapes.

        Raises
        ------
        ValueError
            If the kind of optimizer, the groups or the shapes do not fit; nothing is
            changed then.
        """
        try:
            groups = state_dict["param_groups"]
            state_dict["state"]
        except (KeyError, TypeError):
            raise ValueError(
                f"{self._name}: load_state_dict: state_dict must have state and "
                "param_groups, as state_dict() returns them"
            ) from None
        sizes = [len(group["params"]) for group in self.param_groups]
        theirs = [len(group["params"]) for group in groups]
        if sizes != theirs:
            raise ValueError(
                f"{self._name}: load_state_dict: the groups must have as many "
                f"parameters as the optimizer's, {sizes}, got {theirs}"
            )
        for group in groups:
            known = {*group, *_NOT_IN_ALL}
            if lacking := sorted(self.defaults.keys() - known):
                raise ValueError(
                    f"{self._name}: load_state_dict: state_dict must be that of an "
                    f"optimizer of the same kind, got one without {', '.join(lacking)}"
                )
        params = [p for group in self.param_groups for p in group["params"]]
        numbers = [n for group in groups for n in group["params"]]
        state = {}
        for n, p in zip(numbers, params):
            if n in state_dict["state"]:
                state[p] = self._load(n, p, state_dict["state"][n])
        merged = [
            {**mine, **copy.deepcopy(_options(group, mine)), "params": mine["params"]}
            for mine, group in zip(self.param_groups, groups)
        ]
        for group in merged:
            self._check(group)
        self._state = state
        self._rows = {}
        for mine, group in zip(self.param_groups, merged):
            mine.update(group)

    def _check_gradients(self, params):
        for p in params:
            if not isinstance(p.grad, Tensor):
                raise TypeError(
                    f"{self._name}: grad must be a Tensor or None, got "
                    f"{type(p.grad).__name__}"
                )

    def _load(self, number, p, kept):
        loaded = {}
        for name, value in kept.items():
            if value is None:
                continue
            if name in _SCALARS:
                loaded[name] = np.array(type(_SCALARS[name])(value))
                continue
            value = np.array(
                np.asarray(value), gradients_dtype(p.data.dtype), order="C"
            )
            if value.shape != p.data.shape:
                raise ValueError(
                    f"{self._name}: load_state_dict: {name} of parameter {number} must "
                    f"have shape {p.data.shape}, got {value.shape}"
                )
            loaded[name] = value
        return loaded


def _cure(thing):
    """What to pass in place of a model, of named parameters or of a method."""
    if hasattr(thing, "parameters") or isinstance(thing, tuple):
        return ": pass model.parameters()"
    return ": call it" if callable(thing) else ""


def _options(group, known=None):
    """The options of a group; with `known`, only those it has too."""
    return {
        name: value
        for name, value in group.items()
        if name != "params" and (known is None or name in known)
    }
