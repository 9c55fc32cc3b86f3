"""Adagrad, Adadelta and RMSprop: steps scaled by the size of past gradients."""

from .. import _C
from .optimizer import Optimizer


class Adaptive(Optimizer):
    """Base of the optimizers that `_C.adaptive_step` steps.

    A subclass names its rule and what it remembers of a parameter.
    """

    _rule = ""
    _STATES: tuple[str, ...] = ()
    _COUNTS: tuple[str, ...] = ("step",)

    def _states(self, group):
        """Which of `_STATES` this group has."""
        return self._STATES

    def _step(self, index, group, params, grads):
        names = (*self._states(group), *self._COUNTS)
        start = group.get("initial_accumulator_value", 0.0)
        rows = self._remembered(index, names, params, start)
        kept = dict(zip(names, rows))
        states = [kept.get(name) for name in self._STATES]
        beta1, beta2 = group.get("betas", (0.0, 0.0))
        _C.adaptive_step(
            self._rule,
            [p.data for p in params],
            grads,
            *states,
            *[None] * (3 - len(states)),
            kept.get("step"),
            kept.get("mu_product"),
            group["lr"],
            beta1,
            group.get("rho", group.get("alpha", beta2)),
            group.get("eps", 0.0),
            group["weight_decay"],
            group.get("momentum", 0.0),
            group.get("lr_decay", group.get("momentum_decay", 0.0)),
            bool(group.get("decoupled_weight_decay", False)),
            group["maximize"],
        )


class Adagrad(Adaptive):
    r"""Adagrad: each element's steps shrink with the gradients it has had.

    Parameters
    ----------
    params : iterable of Tensor or of dict
        The parameters, or groups of them with options of their own.
    lr : float, optional
        Learning rate.
    lr_decay : float, optional
        The rate of step :math:`t`, counted from 0, is ``lr / (1 + t * lr_decay)``.
    weight_decay : float, optional
        Added to the gradient, times the parameter.
    initial_accumulator_value : float, optional
        What the sum of squares starts from.
    eps : float, optional
        Added to the root of the sum.
    maximize : bool, optional
        Climb instead of descend.
    foreach, differentiable, fused : optional
        PyTorch's choice among its implementations, without effect: every step is one
        native call. `differentiable` must be False.

    Raises
    ------
    ValueError
        If an option is out of range.

    Notes
    -----
    Duchi, Hazan and Singer 2011, as PyTorch's:

    .. math:: s = s + g^2, \qquad p = p - \eta_t \, g / (\sqrt{s} + \epsilon)

    Examples
    --------
    >>> import dlcore as dl
    >>> w = dl.Tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = dl.optim.Adagrad([w], lr=0.5)
    >>> w.grad = dl.Tensor([3.0, -3.0])
    >>> optimizer.step()
    >>> w.data.round(4)
    array([0.5, 2.5], dtype=float32)
    """

    _rule = "Adagrad"
    _STATES = ("sum",)

    def __init__(
        self,
        params,
        lr=1e-2,
        lr_decay=0.0,
        weight_decay=0.0,
        initial_accumulator_value=0.0,
        eps=1e-10,
        foreach=None,
        *,
        maximize=False,
        differentiable=False,
        fused=None,
    ):
        self._refuse_differentiable(differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "maximize": maximize,
            },
        )


class Adadelta(Adaptive):
    r"""Adadelta: steps in the parameter's own units.

    Parameters
    ----------
    params : iterable of Tensor or of dict
        The parameters, or groups of them with options of their own.
    lr : float, optional
        What the step is multiplied by.
    rho : float, optional
        Share of the running means that stays in each step.
    eps : float, optional
        Added to both means before the root.
    weight_decay : float, optional
        Added to the gradient, times the parameter.
    maximize : bool, optional
        Climb instead of descend.
    foreach, capturable, differentiable : optional
        PyTorch's choice among its implementations, without effect: every step is one
        native call. `differentiable` must be False.

    Raises
    ------
    ValueError
        If an option is out of range.

    Notes
    -----
    Zeiler 2012, as PyTorch's:

    .. math::
        v = \rho v + (1 - \rho) g^2, \quad
        d = \sqrt{u + \epsilon} / \sqrt{v + \epsilon} \; g, \quad
        u = \rho u + (1 - \rho) d^2, \quad p = p - \eta d

    Examples
    --------
    >>> import dlcore as dl
    >>> w = dl.Tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = dl.optim.Adadelta([w], eps=0.01)
    >>> w.grad = dl.Tensor([3.0, -3.0])
    >>> optimizer.step()
    >>> w.data.round(4)
    array([0.6855, 2.3145], dtype=float32)
    """

    _rule = "Adadelta"
    _STATES = ("square_avg", "acc_delta")

    def __init__(
        self,
        params,
        lr=1.0,
        rho=0.9,
        eps=1e-6,
        weight_decay=0.0,
        foreach=None,
        *,
        capturable=False,
        maximize=False,
        differentiable=False,
    ):
        self._refuse_differentiable(differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "rho": rho,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
        )

    def _check(self, group):
        super()._check(group)
        if group["rho"] > 1:
            raise ValueError(f"{self._name}: rho must be at most 1, got {group['rho']}")


class RMSprop(Adaptive):
    r"""RMSprop: steps divided by the running root mean square of the gradient.

    Parameters
    ----------
    params : iterable of Tensor or of dict
        The parameters, or groups of them with options of their own.
    lr : float, optional
        Learning rate.
    alpha : float, optional
        Share of the mean square that stays in each step.
    eps : float, optional
        Added to the root of the mean square.
    weight_decay : float, optional
        Added to the gradient, times the parameter.
    momentum : float, optional
        Share of the buffer of scaled gradients that stays in each step.
    centered : bool, optional
        Divide by the standard deviation: the mean square less the mean's square.
    maximize : bool, optional
        Climb instead of descend.
    foreach, capturable, differentiable : optional
        PyTorch's choice among its implementations, without effect: every step is one
        native call. `differentiable` must be False.

    Raises
    ------
    ValueError
        If an option is out of range.

    Notes
    -----
    Hinton 2012, as PyTorch's:

    .. math::
        v = \alpha v + (1 - \alpha) g^2, \quad
        b = \mu b + g / (\sqrt{v - m^2} + \epsilon), \quad p = p - \eta b

    with :math:`m` the mean of the gradients, 0 unless `centered`. Where rounding makes
    the variance negative, PyTorch's step is NaN; here it counts as 0.

    Examples
    --------
    >>> import dlcore as dl
    >>> w = dl.Tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = dl.optim.RMSprop([w], lr=0.05)
    >>> w.grad = dl.Tensor([3.0, -3.0])
    >>> optimizer.step()
    >>> w.data.round(4)
    array([0.5, 2.5], dtype=float32)
    """

    _rule = "RMSprop"
    _STATES = ("square_avg", "grad_avg", "momentum_buffer")

    def __init__(
        self,
        params,
        lr=1e-2,
        alpha=0.99,
        eps=1e-8,
        weight_decay=0.0,
        momentum=0.0,
        centered=False,
        capturable=False,
        foreach=None,
        maximize=False,
        differentiable=False,
    ):
        self._refuse_differentiable(differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
        )

    def _states(self, group):
        has = (True, group["centered"], group["momentum"] > 0)
        return tuple(name for name, there in zip(self._STATES, has) if there)
