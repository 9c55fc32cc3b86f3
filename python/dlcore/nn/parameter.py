"""Parameter: the Tensor that a Module lists among what it learns."""

from ..tensor import Tensor


class Parameter(Tensor):
    """A Tensor that a Module lists among its parameters.

    Parameters
    ----------
    data : array_like
        As for `Tensor`.
    requires_grad : bool, optional
        False for one that stays as it is.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.nn.Parameter(np.zeros(2, "float32")).requires_grad
    True
    """

    __slots__ = ()

    def __init__(self, data, requires_grad=True):
        super().__init__(data, requires_grad)

    def __repr__(self):
        return "Parameter containing:\n" + super().__repr__()
