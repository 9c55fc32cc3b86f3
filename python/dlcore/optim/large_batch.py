"""LAMB and Lion: for large batches; PyTorch has neither."""

from .adaptive import Adaptive


class LAMB(Adaptive):
    r"""Adam whose steps are scaled, tensor by tensor, to the size of the parameters.

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
        Share of the parameter in the step, before it is scaled.
    maximize : bool, optional
        Climb instead of descend.

    Raises
    ------
    ValueError
        If an option is out of range.

    Notes
    -----
    You et al. 2020. With Adam's means :math:`m` and :math:`v`, for each tensor:

    .. math::
        u = \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}
        + \lambda p, \qquad p = p - \eta \frac{\|p\|}{\|u\|} u

    The ratio is 1 where a norm is 0. Norms are added up in float64.

    Examples
    --------
    >>> import dlcore as dl
    >>> w = dl.Tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = dl.optim.LAMB([w], lr=0.1, weight_decay=0.0)
    >>> w.grad = dl.Tensor([3.0, -3.0])
    >>> optimizer.step()
    >>> w.data.round(4)
    array([0.8419, 2.1581], dtype=float32)
    """

    _rule = "LAMB"
    _STATES = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-6,
        weight_decay=1e-2,
        *,
        maximize=False,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
        )


class Lion(Adaptive):
    r"""Lion: steps of one size, by the sign of the momentum.

    Parameters
    ----------
    params : iterable of Tensor or of dict
        The parameters, or groups of them with options of their own.
    lr : float, optional
        Size of the step: about a tenth of what Adam would take.
    betas : tuple of float, optional
        Share of the mean in the sign, and share of it that stays in each step.
    weight_decay : float, optional
        Each step starts with :math:`p = p (1 - \eta \lambda)`.
    maximize : bool, optional
        Climb instead of descend.

    Raises
    ------
    ValueError
        If an option is out of range.

    Notes
    -----
    Chen et al. 2023:

    .. math::
        p = p - \eta \, \mathrm{sign}(\beta_1 m + (1 - \beta_1) g), \qquad
        m = \beta_2 m + (1 - \beta_2) g

    Examples
    --------
    >>> import dlcore as dl
    >>> w = dl.Tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = dl.optim.Lion([w], lr=0.5)
    >>> w.grad = dl.Tensor([3.0, -3.0])
    >>> optimizer.step()
    >>> w.data.round(4)
    array([0.5, 2.5], dtype=float32)
    """

    _rule = "Lion"
    _STATES = ("exp_avg",)
    _COUNTS = ()

    def __init__(
        self,
        params,
        lr=1e-4,
        betas=(0.9, 0.99),
        weight_decay=0.0,
        *,
        maximize=False,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
        )

    def _step(self, index, group, params, grads):
        super()._step(index, {**group, "decoupled_weight_decay": True}, params, grads)
