"""The bilinear form of two vectors, by a matrix product."""

from ..tensor import raw
from .arithmetic import mul
from .gemm import linear
from .shape import as_array, reshape


def bilinear(x1, x2, weight, bias=None):
    """Bilinear form of two vectors, ``y[..., k] = x1 @ weight[k] @ x2 + bias[k]``.

    Parameters
    ----------
    x1 : ndarray or Tensor, shape (..., in1)
        float32 or float64.
    x2 : ndarray or Tensor, shape (..., in2)
        The other axes are those of `x1`.
    weight : ndarray or Tensor, shape (out, in1, in2)
    bias : ndarray or Tensor, shape (out,), optional

    Returns
    -------
    ndarray or Tensor, shape (..., out)

    Raises
    ------
    ValueError
        If the shapes do not go together.
    TypeError
        If the dtypes differ or are not float32 or float64.

    Notes
    -----
    One product of the matrix of all ``x1[i] * x2[j]`` with the weights: `in1 * in2`
    numbers for each pair of vectors.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x1, x2 = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    >>> dl.bilinear(x1, x2, np.eye(2)[None])
    array([11.])
    """
    for name, x in (("x1", x1), ("x2", x2), ("weight", weight)):
        as_array("bilinear", x, name)
    shape1, shape2, sizes = raw(x1).shape, raw(x2).shape, raw(weight).shape
    if len(sizes) != 3:
        raise ValueError(
            f"bilinear: weight must have shape (out, in1, in2), got {sizes}"
        )
    if not (shape1 and shape2) or shape1[:-1] != shape2[:-1]:
        raise ValueError(
            "bilinear: x1 and x2 must have the same axes before the last, "
            f"got x1.shape = {shape1} and x2.shape = {shape2}"
        )
    if (shape1[-1], shape2[-1]) != sizes[1:]:
        raise ValueError(
            f"bilinear: x1 and x2 must have {sizes[1]} and {sizes[2]} columns as "
            f"weight.shape = {sizes} has, got {shape1[-1]} and {shape2[-1]}"
        )
    n = sizes[1] * sizes[2]
    pairs = mul(reshape(x1, *shape1, 1), reshape(x2, *shape2[:-1], 1, shape2[-1]))
    return linear(reshape(pairs, *shape1[:-1], n), reshape(weight, sizes[0], n), bias)
