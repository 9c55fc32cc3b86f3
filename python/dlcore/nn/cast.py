"""A module's parameters and buffers in another dtype."""

import numpy as np

from ..convert import as_array, gradients_dtype, is_sixteen
from ..ops.row_sparse import RowSparse
from ..ops.shape import dtype_among


def cast(module, given):
    """`Module.to` of dtypes, devices and Tensors; the last dtype counts."""
    dtype = dtype_among("to", *given)
    if dtype is None:
        return
    if dtype not in (np.float32, np.float64) and not is_sixteen(dtype):
        raise TypeError(
            f"to: dtype must be float32, float64, float16 or bfloat16, got {dtype}"
        )
    wide = gradients_dtype(dtype)
    for tensor in module.parameters():
        tensor.data = as_array(tensor.data.astype(dtype, copy=False))
        grad = tensor.grad
        if isinstance(grad, RowSparse):
            grad.values = grad.values.astype(wide, copy=False)
        elif grad is not None:
            grad.data = grad.data.astype(wide, copy=False)
    for tensor in module.buffers():
        if tensor.data.dtype.kind == "f":
            tensor.data = tensor.data.astype(wide, copy=False)
