"""Modules that hold parameters."""

from .container import _Named, _Row
from .parameter import Parameter


class ParameterList(_Row):
    """A list of parameters that are found; it is not called.

    Parameters
    ----------
    values : iterable of Parameter or array_like, optional
        Named "0", "1", ...; what is no Parameter becomes one.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> weights = dl.nn.ParameterList([np.zeros((2, 3), "float32") for _ in range(2)])
    >>> len(weights), list(weights.state_dict())
    (2, ['0', '1'])
    """

    _kind = Parameter

    def __init__(self, values=None):
        self.extend(() if values is None else values)

    def _checked(self, item):
        return _parameter(item)

    def extra_repr(self):
        return _lines(self)


class ParameterDict(_Named):
    """Parameters under names that are found; it is not called.

    Parameters
    ----------
    parameters : mapping of str to Parameter or array_like, or pairs, optional
        What is no Parameter becomes one. Their order is kept.

    Raises
    ------
    KeyError
        If a name is empty, has a dot or is an attribute of every module.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> scales = dl.nn.ParameterDict({"left": np.ones(3, "float32")})
    >>> list(scales), scales["left"].shape
    (['left'], (3,))
    """

    _kind = Parameter

    def __init__(self, parameters=None):
        self.update(() if parameters is None else parameters)

    def __setitem__(self, name, value):
        self.register_parameter(name, _parameter(value))

    def extra_repr(self):
        return _lines(self)


def _parameter(value):
    return value if isinstance(value, Parameter) else Parameter(value)


def _lines(module):
    return "\n".join(
        f"({name}): Parameter containing: [{p.dtype} of shape {p.shape}]"
        for name, p in module._own_parameters()
    )
