"""Tensors and the arrays of others: NumPy's protocols, and DLPack without a copy."""

import numpy as np

from .tensor import Tensor


def as_numpy(self, dtype=None, copy=None):
    """``Tensor.__array__``; `copy`: True, False (then never), None (if needed)."""
    array = self.numpy()
    if dtype is None or array.dtype == dtype:
        return array.copy("K") if copy else array
    if copy is False:
        raise ValueError(
            f"__array__: copy must not be False to cast a Tensor from {array.dtype} "
            f"to {np.dtype(dtype)}"
        )
    return array.astype(dtype)


def export(self, **options):
    """``Tensor.__dlpack__``: a capsule of the same memory.

    BufferError if a gradient would be lost, as in PyTorch.
    """
    if self.requires_grad:
        raise BufferError(
            "__dlpack__: this tensor requires a gradient, which would be lost: "
            "call .detach() first"
        )
    return self.data.__dlpack__(**options)


def export_device(self):
    """``Tensor.__dlpack_device__``: the CPU."""
    return self.data.__dlpack_device__()


def from_dlpack(x, *, copy=None):
    """A Tensor on the memory of an array of another library.

    Parameters
    ----------
    x : object with ``__dlpack__``
        On the CPU: a tensor of PyTorch, an array of JAX or NumPy.
    copy : bool, optional
        True for memory of its own; None and False share that of `x`.

    Returns
    -------
    Tensor
        Read only if `x` is, and always with NumPy before 2.1, which cannot tell.

    Raises
    ------
    TypeError
        If `x` has no ``__dlpack__``, or a dtype that no Tensor has.
    BufferError
        If the memory cannot be shared: it is on another device, or a gradient would be
        lost.

    Notes
    -----
    The other way, others call their ``from_dlpack`` on a Tensor.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> a = np.zeros(2, "float32")
    >>> x = dl.from_dlpack(a)
    >>> a[0] = 1
    >>> x
    tensor([1., 0.])
    >>> np.shares_memory(x.data, a)
    True
    """
    if not hasattr(x, "__dlpack__"):
        raise TypeError(
            f"from_dlpack: x must have __dlpack__, got {type(x).__name__}: "
            "dl.Tensor(x) takes lists and numbers"
        )
    try:
        array = np.from_dlpack(x)
    except (BufferError, RuntimeError, TypeError) as error:
        kind = TypeError if "dtype" in str(error).lower() else BufferError
        raise kind(f"from_dlpack: x must be real numbers on the CPU: {error}") from None
    return Tensor(array.copy() if copy else array)


# -- NumPy's functions that no op serves --

# Those whose results have no gradient take the values of a tensor that requires one.
_NO_GRADIENT = {
    np.allclose,
    np.array2string,
    np.array_equal,
    np.array_equiv,
    np.array_repr,
    np.array_str,
    np.argwhere,
    np.can_cast,
    np.count_nonzero,
    np.empty_like,
    np.flatnonzero,
    np.full_like,
    np.isclose,
    np.may_share_memory,
    np.ndim,
    np.nonzero,
    np.ones_like,
    np.result_type,
    np.searchsorted,
    np.shape,
    np.shares_memory,
    np.size,
    np.zeros_like,
}
_WRITE = {
    np.copyto,
    np.fill_diagonal,
    np.place,
    np.put,
    np.put_along_axis,
    np.putmask,
}


def call_on_arrays(function, args, options, op=None):
    """Call a function of NumPy on the arrays of the Tensors that it is given.

    `op` is the name of dlcore's own, if there is one.

    RuntimeError if one requires a gradient that the function would lose; TypeError if
    the function would write to one behind the tape's back.
    """
    if function in _WRITE and isinstance(args[0], Tensor):
        raise TypeError(
            f"np.{function.__name__}: must not write to a Tensor: write x[index] = "
            "value, or pass x.numpy()"
        )
    keep = function in _NO_GRADIENT
    try:
        args = [_plain(arg, keep) for arg in args]
        options = {name: _plain(value, keep) for name, value in options.items()}
    except RuntimeError:
        raise RuntimeError(
            f"np.{function.__name__}: a Tensor that requires a gradient would lose it: "
            + (f"call dl.{op}, or " if op else "")
            + "pass x.detach()"
        ) from None
    return function._implementation(*args, **options)


def _plain(value, keep):
    if isinstance(value, Tensor):
        return value.data if keep else value.numpy()
    if type(value) in (list, tuple):
        return type(value)(_plain(part, keep) for part in value)
    return value
