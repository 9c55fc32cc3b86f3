"""The axes of a reduction.

`dim` is None for all axes, one axis or a tuple of axes; `axis` is the same. `keepdim`
(or `keepdims`) leaves the reduced axes with length 1.
"""

import operator

from numpy import ndarray


def words(op, dim, keepdim, axis, keepdims):
    """PyTorch's words for dim and keepdim, or NumPy's."""
    if axis is not None and dim is not None:
        raise ValueError(f"{op}: dim and axis must not both be given")
    return dim if axis is None else axis, keepdim if keepdims is None else keepdims


def as_axes(dim):
    """`dim` as NumPy takes it: a tuple instead of a list."""
    return tuple(dim) if isinstance(dim, list) else dim


def is_counted(a):
    """Whether NumPy reduces it: integers and bools."""
    return isinstance(a, ndarray) and a.dtype.kind in "biu"


def kept(dy, a, dim):
    """`dy` with the reduced axes of `a` as axes of length 1."""
    if dim is None:
        return dy.reshape((1,) * a.ndim)
    shape = list(a.shape)
    for d in dim if isinstance(dim, (tuple, list)) else (dim,):
        shape[d] = 1
    return dy.reshape(shape)


def dropped(y, dim):
    """`y` without the reduced axes, kept until now."""
    if dim is None:
        return y.reshape(())
    dims = dim if isinstance(dim, (tuple, list)) else (dim,)
    dims = {operator.index(d) % y.ndim for d in dims}
    return y.reshape([n for d, n in enumerate(y.shape) if d not in dims])


def count(a, y):
    """How many elements of `a` make one of `y`."""
    return a.size // max(y.size, 1)
