"""Adamax, NAdam and RAdam: Adam with another norm, Nesterov's momentum, rectified."""

from .adaptive import Adaptive


class Adamax(Adaptive):
    r"""Adam with the largest recent gradient in place of its root mean square.

    Parameters
    ----------
    params : iterable of Tensor or of dict
        The parameters, or groups of them with options of their own.
    lr : float, optional
        Learning rate.
    betas : tuple of float, optional
        Share of the mean and of the largest size that stays in each step.
    eps : float, optional
        Added to the size of the gradient.
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
    Kingma and Ba 2015, section 7.1, as PyTorch's. After step number :math:`t`:

    .. math::
        m = m + (1 - \beta_1) (g - m), \quad
        u = \max(\beta_2 u, |g| + \epsilon), \quad
        p = p - \frac{\eta}{1 - \beta_1^t} \frac{m}{u}

    Examples
    --------
    >>> import dlcore as dl
    >>> w = dl.Tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = dl.optim.Adamax([w], lr=0.5)
    >>> w.grad = dl.Tensor([3.0, -3.0])
    >>> optimizer.step()
    >>> w.data.round(4)
    array([0.5, 2.5], dtype=float32)
    """

    _rule = "Adamax"
    _STATES = ("exp_avg", "exp_inf")

    def __init__(
        self,
        params,
        lr=2e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0.0,
        foreach=None,
        *,
        maximize=False,
        differentiable=False,
        capturable=False,
    ):
        self._refuse_differentiable(differentiable)
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


class NAdam(Adaptive):
    r"""Adam with Nesterov's momentum.

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
    momentum_decay : float, optional
        How fast the momentum rises to its full size, :math:`\psi`.
    decoupled_weight_decay : bool, optional
        Shrink the parameter by :math:`1 - \eta \lambda` first instead (AdamW's).
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
    Dozat 2016, as PyTorch's. With Adam's means :math:`m` and :math:`v` and
    :math:`\mu_t = \beta_1 (1 - 0.96^{t \psi} / 2)`:

    .. math::
        p = p - \eta \Bigl( \frac{1 - \mu_t}{1 - \prod_{i \le t} \mu_i} g
        + \frac{\mu_{t+1}}{1 - \prod_{i \le t+1} \mu_i} m \Bigr)
        \Big/ \bigl(\sqrt{v / (1 - \beta_2^t)} + \epsilon\bigr)

    The product is kept in float64 (PyTorch: float32).

    Examples
    --------
    >>> import dlcore as dl
    >>> w = dl.Tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = dl.optim.NAdam([w], lr=0.5)
    >>> w.grad = dl.Tensor([3.0, -3.0])
    >>> optimizer.step()
    >>> w.data.round(4)
    array([0.4718, 2.5282], dtype=float32)
    """

    _rule = "NAdam"
    _STATES = ("exp_avg", "exp_avg_sq")
    _COUNTS = ("step", "mu_product")

    def __init__(
        self,
        params,
        lr=2e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0.0,
        momentum_decay=4e-3,
        decoupled_weight_decay=False,
        *,
        foreach=None,
        maximize=False,
        capturable=False,
        differentiable=False,
    ):
        self._refuse_differentiable(differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
            },
        )


class RAdam(Adaptive):
    r"""Adam that trusts its mean square only once it is known well enough.

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
    decoupled_weight_decay : bool, optional
        Shrink the parameter by :math:`1 - \eta \lambda` first instead (AdamW's).
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
    Liu et al. 2020, as PyTorch's. With Adam's means :math:`m` and :math:`v`,
    :math:`\rho_\infty = 2 / (1 - \beta_2) - 1` and
    :math:`\rho_t = \rho_\infty - 2 t \beta_2^t / (1 - \beta_2^t)`, where
    :math:`\rho_t > 5`:

    .. math::
        p = p - \eta \, \frac{m}{1 - \beta_1^t} \,
        \frac{\sqrt{1 - \beta_2^t}}{\sqrt{v} + \epsilon}
        \sqrt{\frac{(\rho_t - 4)(\rho_t - 2) \rho_\infty}
        {(\rho_\infty - 4)(\rho_\infty - 2) \rho_t}}

    and in the first steps :math:`p = p - \eta \, m / (1 - \beta_1^t)`.

    Examples
    --------
    >>> import dlcore as dl
    >>> w = dl.Tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = dl.optim.RAdam([w], lr=0.5)
    >>> w.grad = dl.Tensor([3.0, -3.0])
    >>> optimizer.step()
    >>> w.data.round(4)
    array([-0.5,  3.5], dtype=float32)
    """

    _rule = "RAdam"
    _STATES = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0.0,
        decoupled_weight_decay=False,
        *,
        foreach=None,
        maximize=False,
        capturable=False,
        differentiable=False,
    ):
        self._refuse_differentiable(differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
            },
        )
