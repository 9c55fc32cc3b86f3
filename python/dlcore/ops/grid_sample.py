"""Pictures sampled anywhere, and grids of places from affine maps."""

import numpy as np

from .. import _C
from ..tensor import raw, record
from .gemm import matmul
from .inputs import wants
from .shape import as_array, one_line, reshape, transpose, whole


def grid_sample(
    input, grid, mode="bilinear", padding_mode="zeros", align_corners=False
):
    r"""Values at the places of a grid.

    Parameters
    ----------
    input : ndarray or Tensor, shape (N, C, H, W) or (N, C, D, H, W)
        float32 or float64.
    grid : ndarray or Tensor, shape (N, H_out, W_out, 2) or (N, D_out, H_out, W_out, 3)
        Places (x, y) or (x, y, z), of the same dtype; -1 and 1 are the two ends of an
        axis. NaN counts as -1.
    mode : {'bilinear', 'nearest', 'bicubic'}
        Between the pixels; bilinear is trilinear in five axes, bicubic is for four.
    padding_mode : {'zeros', 'border', 'reflection'}
        Outside: 0, the nearest pixel, or the picture mirrored.
    align_corners : bool, optional
        Whether -1 and 1 are the centres of the end pixels, in place of their outer
        edges.

    Returns
    -------
    ndarray or Tensor, shape (N, C, H_out, W_out) or (N, C, D_out, H_out, W_out)

    Raises
    ------
    ValueError
        If the shapes do not fit or a mode is unknown.
    TypeError
        If the dtypes differ.

    See Also
    --------
    affine_grid, interpolate

    Notes
    -----
    A coordinate v of an axis of n pixels lies at pixel :math:`((v + 1) n - 1) / 2`,
    with `align_corners` at :math:`(v + 1) (n - 1) / 2`. ``nearest`` takes the even one
    of two as near, and gives `grid` no gradient. Bicubic is Keys' filter with
    a = -3/4. M. Jaderberg et al., `Spatial Transformer Networks
    <https://arxiv.org/abs/1506.02025>`_, 2015; as PyTorch's `grid_sample
    <https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.grid_sample.html>`_.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = np.array([[[[1.0, 3.0]]]])
    >>> dl.grid_sample(x, np.array([[[[0.0, 0.0], [0.5, 0.0]]]]))
    array([[[[2., 3.]]]])
    """
    x, places = raw(input), raw(grid)
    options = mode, padding_mode, bool(align_corners)
    y = _C.grid_sample_forward(x, places, *options)

    def backward(dy):
        need = wants(input), wants(grid)
        return _C.grid_sample_backward(dy, x, places, *need, *options)

    return record(y, (input, grid), backward)


def affine_grid(theta, size, align_corners=False):
    r"""The grid of places that affine maps send the pixels of a result to.

    Parameters
    ----------
    theta : ndarray or Tensor, shape (N, 2, 3) or (N, 3, 4)
        One map for each picture, float32 or float64.
    size : tuple of int
        (N, C, H, W) or (N, C, D, H, W) of the result of `grid_sample`.
    align_corners : bool, optional
        As in `grid_sample`.

    Returns
    -------
    ndarray or Tensor, shape (N, H, W, 2) or (N, D, H, W, 3)
        :math:`\theta (x, y, 1)^T` of each pixel's coordinates x and y, from -1 to 1.

    Raises
    ------
    ValueError
        If `theta` and `size` do not fit, or a size is below 1.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> turn = np.array([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]])
    >>> dl.affine_grid(turn, (1, 1, 1, 2))
    array([[[[ 0. , -0.5],
             [ 0. ,  0.5]]]])
    """
    a = as_array("affine_grid", theta)
    if not isinstance(size, (tuple, list)) or len(size) not in (4, 5):
        raise ValueError(
            "affine_grid: size must be (N, C, H, W) or (N, C, D, H, W), "
            f"got {one_line(size)}"
        )
    batch, _, *lengths = (whole("affine_grid", "each length of size", n) for n in size)
    axes = len(lengths)
    if a.shape != (batch, axes, axes + 1) or a.dtype not in (np.float32, np.float64):
        raise ValueError(
            f"affine_grid: theta must have shape {(batch, axes, axes + 1)} and be "
            f"float32 or float64, got theta.shape = {a.shape} of {a.dtype}"
        )
    if not all(1 <= n < 1 << 31 for n in lengths):
        raise ValueError(
            f"affine_grid: size must be from 1 to 2^31, got {one_line(size)}"
        )
    try:
        places = np.ones((*lengths, axes + 1), a.dtype)
    except ValueError:
        raise ValueError(
            f"affine_grid: size must be of an array that fits, got {one_line(size)}"
        ) from None
    for axis, n in enumerate(lengths):
        line = np.linspace(-1, 1, n, dtype=a.dtype) if n > 1 else np.zeros(1, a.dtype)
        if not align_corners:
            line = line * a.dtype.type((n - 1) / n)
        shape = [1] * axes
        shape[axis] = n
        places[..., axes - 1 - axis] = line.reshape(shape)
    grid = matmul(places.reshape(-1, axes + 1), transpose(theta, 1, 2))
    return reshape(grid, batch, *lengths, axes)
