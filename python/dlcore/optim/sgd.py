"""Stochastic gradient descent."""

import numpy as np

from .. import _C
from .optimizer import Optimizer


class SGD(Optimizer):
    r"""Stochastic gradient descent with momentum.

    Parameters
    ----------
    params : iterable of Tensor or of dict
        The parameters, or groups of them with options of their own.
    lr : float, optional
        Learning rate.
    momentum : float, optional
        Share of the buffer that stays in each step.
    dampening : float, optional
        Share of the gradient that does not enter the buffer (not at its first step).
    weight_decay : float, optional
        Added to the gradient, times the parameter.
    nesterov : bool, optional
        Nesterov's momentum.
    maximize : bool, optional
        Climb instead of descend.
    foreach, differentiable, fused : optional
        PyTorch's choice among its implementations, without effect: every step is one
        native call. `differentiable` must be False.
    ewma : bool, optional
        The buffer is the exponentially weighted average of the gradients, from 0 on.
        dlcore's own.

    Raises
    ------
    ValueError
        If an option is out of range; Nesterov's momentum needs ``momentum > 0`` and
        ``dampening == 0``, `ewma` ``momentum > 0`` and neither of the two.

    Notes
    -----
    With :math:`g` the gradient plus `weight_decay` times the parameter :math:`p`:

    .. math:: b = \mu b + (1 - \tau) g, \qquad p = p - \eta b

    (:math:`b = g` at the first step), or :math:`p = p - \eta (g + \mu b)` with
    Nesterov's momentum (Sutskever et al. 2013, in PyTorch's form).

    Momentum is also taught as an exponentially weighted average,
    :math:`b = \mu b + (1 - \mu) g` from :math:`b = 0` on: that is ``ewma=True``.
    PyTorch has it as ``dampening=momentum``, but for the first step, where its
    :math:`b` is all of :math:`g`. Either way the steps are :math:`1 - \mu` times
    those of PyTorch's plain momentum.

    Examples
    --------
    >>> import dlcore as dl
    >>> w = dl.Tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = dl.optim.SGD([w], lr=0.5)
    >>> w.grad = dl.Tensor([1.0, -1.0])
    >>> optimizer.step()
    >>> w.data
    array([0.5, 2.5], dtype=float32)
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        momentum=0.0,
        dampening=0.0,
        weight_decay=0.0,
        nesterov=False,
        *,
        maximize=False,
        foreach=None,
        differentiable=False,
        fused=None,
        ewma=False,
    ):
        self._refuse_differentiable(differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
                "ewma": ewma,
            },
        )

    def _check(self, group):
        super()._check(group)
        if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
            raise ValueError("SGD: nesterov needs momentum > 0 and dampening = 0")
        if group["momentum"] >= 1 and group["ewma"]:
            raise ValueError(
                f"SGD: momentum must be below 1 with ewma, got {group['momentum']}"
            )
        other = group["momentum"] == 0 or group["dampening"] != 0 or group["nesterov"]
        if group["ewma"] and other:
            raise ValueError(
                "SGD: ewma needs momentum > 0, dampening = 0 and no nesterov"
            )

    def _step(self, index, group, params, grads):
        if group["momentum"] == 0:
            self._call(group, params, grads, None, False)
            return
        if group["ewma"]:
            rows = self._remembered(index, _BUFFER, params)
            self._call(group, params, grads, rows[0], False)
            return
        rows = self._cached(index, _BUFFER, params)
        if rows is None:
            params, grads = self._first_steps(group, params, grads)
            if not params:
                return
            rows = self._collect(index, _BUFFER, params)
        self._call(group, params, grads, rows[0], False)

    def _first_steps(self, group, params, grads):
        """Step the parameters that have no buffer yet; returns the others."""
        new, old = [], []
        for p, grad in zip(params, grads):
            has_one = "momentum_buffer" in self._state.get(p, ())
            (old if has_one else new).append((p, grad))
        if new:
            buffers = [np.empty(p.data.shape, p.data.dtype) for p, _ in new]
            self._call(group, [p for p, _ in new], [g for _, g in new], buffers, True)
            for (p, _), buffer in zip(new, buffers):
                self._state.setdefault(p, {})["momentum_buffer"] = buffer
        return [p for p, _ in old], [grad for _, grad in old]

    def _call(self, group, params, grads, buffers, first):
        _C.sgd_step(
            [p.data for p in params],
            grads,
            buffers,
            group["lr"],
            group["momentum"],
            group["momentum"] if group["ewma"] else group["dampening"],
            group["weight_decay"],
            group["nesterov"],
            group["maximize"],
            first,
        )


_BUFFER = ("momentum_buffer",)
