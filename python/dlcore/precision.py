"""Mixed precision: products in bfloat16, everything else in float32."""

import functools
import warnings

from . import _C
from .grad_mode import _mode, autocasts, in_block


class autocast:
    """A block in which products round their inputs to bfloat16; also a decorator.

    Products are `linear`, `matmul`, `mm`, `bmm`, `addmm`, `baddbmm`, `einsum`, 1 x 1
    convolutions, those of a recurrent layer with the inputs of all steps, and what is
    made of them, forward and backward: backward multiplies as the forward did,
    wherever it is called. Sums over k, and all other ops, are float32, and so are the
    arrays: no weight or activation is stored in bfloat16, and no scaling of the loss is
    needed. float64 stays as it is.

    Parameters
    ----------
    device_type : str, optional
        ``"cpu"``, as in PyTorch, or the dtype itself.
    dtype : dtype or str, optional
        ``"bfloat16"``, the only one; ``torch.bfloat16`` too.
    enabled : bool, optional
        False: a block in which products are float32 again.

    Raises
    ------
    ValueError
        If the dtype is not bfloat16, or the device is not the CPU.

    Notes
    -----
    Blocks nest, and count for the thread that is in them alone. A product is rounded
    where that makes it faster: not one of fewer than 32 rows, columns or terms. On a
    CPU without the instructions (AVX-512 BF16), products stay float32, and a warning
    says so once.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = np.full((64, 64), 1.001, "float32")
    >>> with dl.autocast("bfloat16"):
    ...     y = dl.matmul(x, x)
    >>> y.dtype
    dtype('float32')
    """

    def __init__(self, device_type="cpu", dtype=None, enabled=True):
        name = getattr(device_type, "__name__", str(device_type))
        if dtype is None and ("float" in name or "int" in name or name == "half"):
            dtype = device_type
        elif name != "cpu":
            raise ValueError(
                "autocast: device_type must be 'cpu', the only device, or a dtype, "
                f"got {name!r}"
            )
        dtype = "bfloat16" if dtype is None else getattr(dtype, "__name__", str(dtype))
        dtype = dtype.removeprefix("torch.")
        if dtype != "bfloat16":
            raise ValueError(
                f"autocast: dtype must be 'bfloat16', got {dtype!r}: no other one is "
                "faster than float32 on a CPU"
            )
        self._enabled = bool(enabled)

    def __enter__(self):
        _mode.before.append(_mode.casting)
        if self._enabled:
            if not _C.has_bf16():
                _warn()
            autocasts.append(self)
        _mode.casting = self._enabled
        return self

    def __exit__(self, *_):
        _mode.casting = _mode.before.pop()
        if self._enabled:
            autocasts.remove(self)

    def __call__(self, function):
        block = functools.partial(type(self), enabled=self._enabled)
        return in_block("autocast", block, function)


@functools.cache
def _warn():
    warnings.warn(
        "autocast: this CPU, or the instruction set chosen, has no products of "
        "bfloat16 (AVX-512 BF16): they stay float32",
        RuntimeWarning,
        stacklevel=3,
    )
