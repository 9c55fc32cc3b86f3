"""Adam and AdamW."""

from .. import _C
from .optimizer import Optimizer

_NAMES = ("exp_avg", "exp_avg_sq", "step")
_NAMES_AMSGRAD = (*_NAMES, "max_exp_avg_sq")


class Adam(Optimizer):
    r"""Adam: steps scaled by running moments of the gradient.

    Parameters
    ----------
    params : iterable of Tensor or of dict
        The parameters, or groups of them with options of their own.
    lr : float, optional
        Learning rate.
    betas : tuple of float, optional
        Share of the mean and of the mean square that stays in each step.
    eps : float, optional
        Added to the root of the mean square.
    weight_decay : float, optional
        Added to the gradient, times the parameter.
    amsgrad : bool, optional
        Divide by the largest mean square so far (Reddi et al. 2018).
    maximize : bool, optional
        Climb instead of descend.
    decoupled_weight_decay : bool, optional
        `AdamW`'s weight decay.
    foreach, capturable, differentiable, fused : optional
        PyTorch's choice among its implementations, without effect: every step is one
        native call. `differentiable` must be False.

    Raises
    ------
    ValueError
        If an option is out of range.

    Notes
    -----
    Kingma and Ba, 2015. After step number :math:`t`:

    .. math::
        m = m + (1 - \beta_1) (g - m), \quad v = \beta_2 v + (1 - \beta_2) g^2

        p = p - \eta \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    Examples
    --------
    >>> import dlcore as dl
    >>> w = dl.Tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = dl.optim.Adam([w], lr=0.5)
    >>> w.grad = dl.Tensor([3.0, -3.0])
    >>> optimizer.step()
    >>> w.data.round(4)
    array([0.5, 2.5], dtype=float32)
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0.0,
        amsgrad=False,
        *,
        foreach=None,
        maximize=False,
        capturable=False,
        differentiable=False,
        fused=None,
        decoupled_weight_decay=False,
    ):
        self._refuse_differentiable(differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def _step(self, index, group, params, grads):
        names = _NAMES_AMSGRAD if group["amsgrad"] else _NAMES
        rows = self._remembered(index, names, params)
        beta1, beta2 = group["betas"]
        _C.adam_step(
            [p.data for p in params],
            grads,
            rows[0],
            rows[1],
            rows[3] if group["amsgrad"] else None,
            rows[2],
            group["lr"],
            beta1,
            beta2,
            group["eps"],
            group["weight_decay"],
            bool(group["decoupled_weight_decay"]),
            group["maximize"],
        )


class AdamW(Adam):
    r"""Adam whose weight decay shrinks the parameter instead of entering the moments.

    Parameters
    ----------
    params : iterable of Tensor or of dict
        The parameters, or groups of them with options of their own.
    lr, betas, eps, amsgrad, maximize, foreach, capturable, differentiable, fused
        See `Adam`.
    weight_decay : float, optional
        Each step starts with :math:`p = p (1 - \eta \lambda)` (Loshchilov and Hutter
        2019).

    Raises
    ------
    ValueError
        If an option is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> w = dl.nn.Parameter(np.ones(1, "float32"))
    >>> optimizer = dl.optim.AdamW([w], lr=0.1)
    >>> (w * 2.0).sum().backward()
    >>> optimizer.step()
    >>> bool(w.item() < 1)
    True
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=1e-2,
        amsgrad=False,
        *,
        maximize=False,
        foreach=None,
        capturable=False,
        differentiable=False,
        fused=None,
    ):
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            maximize=maximize,
            differentiable=differentiable,
            decoupled_weight_decay=True,
        )
