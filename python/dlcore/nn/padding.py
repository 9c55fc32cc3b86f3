"""Padding as modules."""

import numpy as np

from ..ops import pad
from .module import Module


class _Padding(Module):
    """What all have in common: a number for each end of the last dimensions."""

    _dims: int
    _mode: str

    def __init__(self, padding):
        name, ends = type(self).__name__, 2 * self._dims
        if isinstance(padding, (int, np.integer)):
            padding = (padding,) * ends
        padding = tuple(padding) if isinstance(padding, (tuple, list)) else ()
        if len(padding) != ends or not all(
            isinstance(n, (int, np.integer)) for n in padding
        ):
            raise TypeError(
                f"{name}: padding must be an integer or {ends} of them, "
                "(before, after) for the last dimension, then for the one before"
            )
        self.padding = padding

    def forward(self, x):
        return pad(x, self.padding, self._mode)

    def extra_repr(self):
        return f"{self.padding}"


class _ConstantPad(_Padding):
    _mode = "constant"

    def __init__(self, padding, value):
        super().__init__(padding)
        self.value = value

    def forward(self, x):
        return pad(x, self.padding, self._mode, self.value)

    def extra_repr(self):
        return f"padding={self.padding}, value={self.value}"


class _ZeroPad(_ConstantPad):
    def __init__(self, padding):
        super().__init__(padding, 0.0)

    def extra_repr(self):
        return f"{self.padding}"


class ConstantPad1d(_ConstantPad):
    """`value` around the last dimension.

    Parameters
    ----------
    padding : int or 2 of int
        (left, right); negative numbers crop.
    value : float
        What is added.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = dl.Tensor(np.ones((2, 4), "float32"))
    >>> dl.nn.ConstantPad1d(1, 0.5)(x).shape
    (2, 6)
    """

    _dims = 1


class ConstantPad2d(_ConstantPad):
    """`value` around the last two dimensions.

    Parameters
    ----------
    padding : int or 4 of int
        (left, right, top, bottom); negative numbers crop.
    value : float
        What is added.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = dl.Tensor(np.ones((2, 4, 4), "float32"))
    >>> dl.nn.ConstantPad2d(1, 0.5)(x).shape
    (2, 6, 6)
    """

    _dims = 2


class ConstantPad3d(_ConstantPad):
    """`value` around the last three dimensions.

    Parameters
    ----------
    padding : int or 6 of int
        (left, right, top, bottom, front, back); negative numbers crop.
    value : float
        What is added.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = dl.Tensor(np.ones((2, 4, 4, 4), "float32"))
    >>> dl.nn.ConstantPad3d(1, 0.5)(x).shape
    (2, 6, 6, 6)
    """

    _dims = 3


class ZeroPad1d(_ZeroPad):
    """Zeros around the last dimension.

    Parameters
    ----------
    padding : int or 2 of int
        (left, right); negative numbers crop.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = dl.Tensor(np.ones((2, 4), "float32"))
    >>> dl.nn.ZeroPad1d(1)(x).shape
    (2, 6)
    """

    _dims = 1


class ZeroPad2d(_ZeroPad):
    """Zeros around the last two dimensions.

    Parameters
    ----------
    padding : int or 4 of int
        (left, right, top, bottom); negative numbers crop.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = dl.Tensor(np.ones((2, 4, 4), "float32"))
    >>> dl.nn.ZeroPad2d(1)(x).shape
    (2, 6, 6)
    """

    _dims = 2


class ZeroPad3d(_ZeroPad):
    """Zeros around the last three dimensions.

    Parameters
    ----------
    padding : int or 6 of int
        (left, right, top, bottom, front, back); negative numbers crop.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = dl.Tensor(np.ones((2, 4, 4, 4), "float32"))
    >>> dl.nn.ZeroPad3d(1)(x).shape
    (2, 6, 6, 6)
    """

    _dims = 3


class ReflectionPad1d(_Padding):
    """The input mirrored at the ends of the last dimension.

    Parameters
    ----------
    padding : int or 2 of int
        (left, right); negative numbers crop.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = dl.Tensor(np.ones((2, 4), "float32"))
    >>> dl.nn.ReflectionPad1d(1)(x).shape
    (2, 6)
    """

    _dims = 1
    _mode = "reflect"


class ReflectionPad2d(_Padding):
    """The input mirrored at the ends of the last two dimensions.

    Parameters
    ----------
    padding : int or 4 of int
        (left, right, top, bottom); negative numbers crop.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = dl.Tensor(np.ones((2, 4, 4), "float32"))
    >>> dl.nn.ReflectionPad2d(1)(x).shape
    (2, 6, 6)
    """

    _dims = 2
    _mode = "reflect"


class ReflectionPad3d(_Padding):
    """The input mirrored at the ends of the last three dimensions.

    Parameters
    ----------
    padding : int or 6 of int
        (left, right, top, bottom, front, back); negative numbers crop.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = dl.Tensor(np.ones((2, 4, 4, 4), "float32"))
    >>> dl.nn.ReflectionPad3d(1)(x).shape
    (2, 6, 6, 6)
    """

    _dims = 3
    _mode = "reflect"


class ReplicationPad1d(_Padding):
    """The end elements repeated around the last dimension.

    Parameters
    ----------
    padding : int or 2 of int
        (left, right); negative numbers crop.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = dl.Tensor(np.ones((2, 4), "float32"))
    >>> dl.nn.ReplicationPad1d(1)(x).shape
    (2, 6)
    """

    _dims = 1
    _mode = "replicate"


class ReplicationPad2d(_Padding):
    """The end elements repeated around the last two dimensions.

    Parameters
    ----------
    padding : int or 4 of int
        (left, right, top, bottom); negative numbers crop.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = dl.Tensor(np.ones((2, 4, 4), "float32"))
    >>> dl.nn.ReplicationPad2d(1)(x).shape
    (2, 6, 6)
    """

    _dims = 2
    _mode = "replicate"


class ReplicationPad3d(_Padding):
    """The end elements repeated around the last three dimensions.

    Parameters
    ----------
    padding : int or 6 of int
        (left, right, top, bottom, front, back); negative numbers crop.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = dl.Tensor(np.ones((2, 4, 4, 4), "float32"))
    >>> dl.nn.ReplicationPad3d(1)(x).shape
    (2, 6, 6, 6)
    """

    _dims = 3
    _mode = "replicate"


class CircularPad1d(_Padding):
    """The input from the other end around the last dimension.

    Parameters
    ----------
    padding : int or 2 of int
        (left, right); negative numbers crop.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = dl.Tensor(np.ones((2, 4), "float32"))
    >>> dl.nn.CircularPad1d(1)(x).shape
    (2, 6)
    """

    _dims = 1
    _mode = "circular"


class CircularPad2d(_Padding):
    """The input from the other end around the last two dimensions.

    Parameters
    ----------
    padding : int or 4 of int
        (left, right, top, bottom); negative numbers crop.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = dl.Tensor(np.ones((2, 4, 4), "float32"))
    >>> dl.nn.CircularPad2d(1)(x).shape
    (2, 6, 6)
    """

    _dims = 2
    _mode = "circular"


class CircularPad3d(_Padding):
    """The input from the other end around the last three dimensions.

    Parameters
    ----------
    padding : int or 6 of int
        (left, right, top, bottom, front, back); negative numbers crop.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = dl.Tensor(np.ones((2, 4, 4, 4), "float32"))
    >>> dl.nn.CircularPad3d(1)(x).shape
    (2, 6, 6, 6)
    """

    _dims = 3
    _mode = "circular"
