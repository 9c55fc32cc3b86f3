"""Smooth activations of several pieces or with settings, as modules."""

from ..ops import celu, elu, logsigmoid, mish, selu, softplus, softsign, tanhshrink
from .checks import settings
from .module import Module


class ELU(Module):
    """``x`` where it is positive, ``alpha * (exp(x) - 1)`` elsewhere.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.ELU()(dl.Tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.    ])
    """

    def __init__(self, alpha=1.0, inplace=False):
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, x):
        return elu(x, self.alpha)

    def extra_repr(self):
        return settings(self, "alpha")


class CELU(Module):
    """ELU whose slope is 1 at 0, below it ``alpha * (exp(x / alpha) - 1)``.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.CELU(2.0)(dl.Tensor([-1.0, 2.0]))
    tensor([-0.7869,  2.    ])
    """

    def __init__(self, alpha=1.0, inplace=False):
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, x):
        return celu(x, self.alpha)

    def extra_repr(self):
        return settings(self, "alpha")


class SELU(Module):
    """``1.0507 * elu(x, 1.67326)``: layers of it keep mean 0 and variance 1.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.SELU()(dl.Tensor([-1.0, 2.0]))
    tensor([-1.1113,  2.1014])
    """

    def __init__(self, inplace=False):
        self.inplace = inplace

    def forward(self, x):
        return selu(x)

    def extra_repr(self):
        return settings(self)


class Softplus(Module):
    """``log(1 + exp(beta * x)) / beta``; `x` where ``beta * x > threshold``.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.Softplus()(dl.Tensor([-1.0, 2.0]))
    tensor([0.3133, 2.1269])
    """

    def __init__(self, beta=1.0, threshold=20.0):
        self.beta = beta
        self.threshold = threshold

    def forward(self, x):
        return softplus(x, self.beta, self.threshold)

    def extra_repr(self):
        return settings(self, "beta", "threshold")


class LogSigmoid(Module):
    """The logarithm of the logistic function.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.LogSigmoid()(dl.Tensor([-1.0, 2.0]))
    tensor([-1.3133, -0.1269])
    """

    def forward(self, x):
        return logsigmoid(x)


class Mish(Module):
    """``x * tanh(softplus(x))``.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.Mish()(dl.Tensor([-1.0, 2.0]))
    tensor([-0.3034,  1.944 ])
    """

    def __init__(self, inplace=False):
        self.inplace = inplace

    def forward(self, x):
        return mish(x)

    def extra_repr(self):
        return settings(self)


class Softsign(Module):
    """``x / (1 + abs(x))``.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.Softsign()(dl.Tensor([-1.0, 2.0]))
    tensor([-0.5   ,  0.6667])
    """

    def forward(self, x):
        return softsign(x)


class Tanhshrink(Module):
    """``x - tanh(x)``.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.Tanhshrink()(dl.Tensor([-1.0, 2.0]))
    tensor([-0.2384,  1.036 ])
    """

    def forward(self, x):
        return tanhshrink(x)
