"""Losses of numbers: how far the input is from the target."""

from math import inf

from .. import _C
from ..tensor import raw
from .inputs import short_way
from .loss_element import element_loss, floats, real


@short_way(_C.mse_loss)
def mse_loss(input, target, reduction="mean", weight=None):
    r"""Mean squared error.

    Parameters
    ----------
    input, target : ndarray or Tensor, any shape
        Of one shape and dtype, float32 or float64. Both receive a gradient.
    reduction : {'mean', 'sum', 'none'}, optional
        What becomes of the squares.
    weight : ndarray, optional
        Of the shape of `input`: the weight of each; the mean divides by their sum.

    Returns
    -------
    ndarray or Tensor
        Shape (), or that of `input` for ``'none'``. NaN for the mean of nothing.

    Raises
    ------
    ValueError
        If the shapes differ (nothing is broadcast: that is nearly always a mistake
        here) or `reduction` is not known.
    TypeError
        If the dtypes differ.

    See Also
    --------
    half_mse_loss, l1_loss, huber_loss

    Notes
    -----
    .. math:: \frac{1}{n} \sum_i (x_i - t_i)^2

    Where a gradient of the mean or sum is recorded, forward makes it in the same pass.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.mse_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0])).item()
    2.0
    """
    return _weighted("mse_loss", input, target, reduction, weight)


@short_way(_C.half_mse_loss)
def half_mse_loss(input, target, reduction="sum"):
    r"""Half the sum of the squared errors, whose gradient is the error itself.

    As `mse_loss` for the arguments.

    Notes
    -----
    .. math:: \frac{1}{2} \sum_i (x_i - t_i)^2

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.half_mse_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0])).item()
    2.0
    """
    return element_loss("half_mse_loss", (input, target), reduction)


@short_way(_C.l1_loss)
def l1_loss(input, target, reduction="mean", weight=None):
    r"""Mean absolute error; its gradient is 0 where there is no error.

    As `mse_loss` for the arguments.

    Notes
    -----
    .. math:: \frac{1}{n} \sum_i |x_i - t_i|

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.l1_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0])).item()
    1.0
    """
    return _weighted("l1_loss", input, target, reduction, weight)


def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    r"""Half the squared error, from `delta` on linear.

    Parameters
    ----------
    input, target : ndarray or Tensor, any shape
        Of one shape and dtype, float32 or float64. Both receive a gradient.
    reduction : {'mean', 'sum', 'none'}, optional
        What becomes of the losses.
    delta : float, optional
        The error from which on it is linear; above 0.
    weight : ndarray, optional
        Of the shape of `input`: what each loss is multiplied by.

    Returns
    -------
    ndarray or Tensor
        Shape (), or that of `input` for ``'none'``.

    Raises
    ------
    ValueError
        If the shapes differ, `delta` is not above 0 or `reduction` is not known.
    TypeError
        If the dtypes differ.

    See Also
    --------
    smooth_l1_loss, log_cosh_loss

    Notes
    -----
    With :math:`d = |x - t|`:

    .. math::
        \begin{cases} d^2 / 2 & d < \delta \\
        \delta (d - \delta / 2) & \text{otherwise} \end{cases}

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.huber_loss(np.array([0.5, 3.0]), np.zeros(2), reduction="none")
    array([0.125, 2.5  ])
    """
    op = "huber_loss"
    delta = real(op, "delta", delta)
    if delta <= 0:
        raise ValueError(f"{op}: delta must be above 0, got {delta}")
    # Below |d| = bend it is curve d^2, from there on slope |d| - level.
    level = 0.5 * delta * delta if delta < 1e150 else inf
    numbers = delta, 0.5, delta, 0.0 if level == inf else level
    return element_loss(op, (input, target), reduction, numbers, raw(weight))


def smooth_l1_loss(input, target, reduction="mean", beta=1.0):
    r"""Absolute error, within `beta` of the target a parabola.

    Parameters
    ----------
    input, target : ndarray or Tensor, any shape
        Of one shape and dtype, float32 or float64. Both receive a gradient.
    reduction : {'mean', 'sum', 'none'}, optional
        What becomes of the losses.
    beta : float, optional
        The error from which on it is linear; with 0 it is `l1_loss`.

    Returns
    -------
    ndarray or Tensor
        Shape (), or that of `input` for ``'none'``.

    Raises
    ------
    ValueError
        If the shapes differ, `beta` is negative or `reduction` is not known.
    TypeError
        If the dtypes differ.

    See Also
    --------
    huber_loss

    Notes
    -----
    `huber_loss` over `beta`. With :math:`d = |x - t|`:

    .. math::
        \begin{cases} d^2 / 2 \beta & d < \beta \\
        d - \beta / 2 & \text{otherwise} \end{cases}

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.smooth_l1_loss(np.array([0.5, 3.0]), np.zeros(2), "none", beta=0.5)
    array([0.25, 2.75])
    """
    op = "smooth_l1_loss"
    beta = real(op, "beta", beta, 0)
    numbers = (beta, 0.5 / beta, 1.0, 0.5 * beta) if beta else (0.0, 0.0, 1.0, 0.0)
    return element_loss(op, (input, target), reduction, numbers)


@short_way(_C.msle_loss)
def msle_loss(input, target, reduction="mean"):
    r"""Mean squared logarithmic error: of ratios rather than of differences.

    As `mse_loss` for the arguments; NaN for a number below -1.

    Notes
    -----
    .. math:: \frac{1}{n} \sum_i (\log(1 + x_i) - \log(1 + t_i))^2

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.msle_loss(np.array([np.e - 1]), np.array([0.0])).round(6)
    np.float64(1.0)
    """
    return element_loss("msle_loss", (input, target), reduction)


@short_way(_C.log_cosh_loss)
def log_cosh_loss(input, target, reduction="mean"):
    r"""Half the squared error where it is small, the absolute error where it is large.

    As `mse_loss` for the arguments.

    Notes
    -----
    Smooth everywhere, without a parameter; exact for small errors, no overflow.

    .. math:: \frac{1}{n} \sum_i \log \cosh(x_i - t_i)

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.log_cosh_loss(np.array([0.01, 1000.0]), np.zeros(2), "none").round(6)
    array([5.00000000e-05, 9.99306853e+02])
    """
    return element_loss("log_cosh_loss", (input, target), reduction)


def _weighted(op, input, target, reduction, weight):
    if weight is None:
        return element_loss(op, (input, target), reduction)
    (weight,) = floats(op, ["weight"], weight)
    count = float(_C.sum(weight, None, False))
    return element_loss(op, (input, target), reduction, (), weight, count)
