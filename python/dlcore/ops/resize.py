"""Pictures and signals in another size."""

import math

import numpy as np

from .. import _C
from ..tensor import record
from .shape import as_array, one_line, whole

_MODES = (
    "nearest",
    "nearest-exact",
    "linear",
    "bilinear",
    "bicubic",
    "trilinear",
    "area",
)
_INTERPOLATING = ("linear", "bilinear", "bicubic", "trilinear")
_MOST = 1 << 40  # elements along an axis


def interpolate(
    input,
    size=None,
    scale_factor=None,
    mode="nearest",
    align_corners=None,
    recompute_scale_factor=None,
    antialias=False,
):
    r"""Resize the axes after the channels.

    Parameters
    ----------
    input : ndarray or Tensor, shape (N, C, W), (N, C, H, W) or (N, C, D, H, W)
        float32 or float64.
    size : int or tuple of int, optional
        Of the result, for all axes or for each.
    scale_factor : float or tuple of float, optional
        In place of `size`: by how much the size grows, rounded down.
    mode : str, optional
        ``nearest`` (the element at or before a place, as OpenCV), ``nearest-exact``
        (the nearest, as Pillow), ``linear`` (3 axes), ``bilinear``, ``bicubic`` (4),
        ``trilinear`` (5), ``area`` (the mean of what an element covers).
    align_corners : bool, optional
        Interpolating modes only: whether the centres of the end elements stay at the
        ends, in place of their outer edges.
    recompute_scale_factor : bool, optional
        Whether places follow from the two sizes, not from `scale_factor`.
    antialias : bool, optional
        ``bilinear`` and ``bicubic`` only: whether the filter grows with the step, so
        that a smaller picture counts every pixel.

    Returns
    -------
    ndarray or Tensor
        `input` with the new size.

    Raises
    ------
    ValueError
        If both or none of `size` and `scale_factor` are given, a size is below 1, or an
        option does not go with the mode.
    TypeError
        If `input` is not an array of float32 or float64, or a number is none.

    See Also
    --------
    dlcore.nn.Upsample, grid_sample

    Notes
    -----
    With :math:`s` the step (size of the input over that of the result, or
    :math:`1 / scale\_factor`), element o lies at :math:`s (o + 1/2) - 1/2`, with
    `align_corners` at :math:`o (n - 1) / (m - 1)`; ``nearest`` takes
    :math:`\lfloor s o \rfloor`. Bicubic is Keys' filter with a = -3/4, antialiased with
    a = -1/2. As PyTorch's `interpolate
    <https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.interpolate.html>`_,
    with the same roundings of the places. The gradient is the adjoint.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = np.array([[[1.0, 3.0]]])
    >>> dl.interpolate(x, size=4)
    array([[[1., 1., 3., 3.]]])
    >>> dl.interpolate(x, scale_factor=2, mode="linear")
    array([[[1. , 1.5, 2.5, 3. ]]])
    """
    a = as_array("interpolate", input, "input")
    if not isinstance(mode, str) or mode not in _MODES:
        raise ValueError(
            f"interpolate: mode must be one of {', '.join(_MODES)}, "
            f"got {one_line(mode)}"
        )
    if align_corners is not None and mode not in _INTERPOLATING:
        raise ValueError(
            "interpolate: align_corners must go with mode linear, bilinear, bicubic "
            f"or trilinear, got mode {mode!r}"
        )
    size, scales = _sizes(a, size, scale_factor)
    if recompute_scale_factor or mode == "area":
        if recompute_scale_factor and not any(scales):
            raise ValueError(
                "interpolate: recompute_scale_factor must not be given with a size"
            )
        scales = [0.0] * len(size)
    options = size, scales, mode, bool(align_corners), bool(antialias)
    y = _C.resize_forward(a, *options)
    shape = a.shape
    return record(y, (input,), lambda dy: (_C.resize_backward(dy, shape, *options),))


def _sizes(a, size, scale_factor):
    """The size of each axis after the channels, and what scales give it (0: none)."""
    axes = a.ndim - 2
    if not 1 <= axes <= 3:
        raise ValueError(
            "interpolate: input must have axes (batch, channels) and 1 to 3 more, "
            f"got input.shape = {a.shape}"
        )
    if size is None and scale_factor is None:
        raise ValueError("interpolate: size or scale_factor must be given")
    if size is not None and scale_factor is not None:
        raise ValueError("interpolate: size and scale_factor must not both be given")
    if size is not None:
        size = [whole("interpolate", "size", n) for n in _each("size", size, axes)]
        scales = [0.0] * axes
    else:
        scales = _each("scale_factor", scale_factor, axes)
        scales = [_scale(scale) for scale in scales]
        size = [
            math.floor(min(float(n) * scale, float(_MOST)))
            for n, scale in zip(a.shape[2:], scales)
        ]
    if not all(1 <= n < _MOST for n in size):
        raise ValueError(
            f"interpolate: the size must be from 1 to 2^40, got {tuple(size)} "
            f"for input.shape = {a.shape}"
        )
    return size, scales


def _each(name, value, axes):
    if not isinstance(value, (tuple, list)):
        return (value,) * axes
    if len(value) != axes:
        raise ValueError(
            f"interpolate: {name} must have {axes} numbers, one for each axis after "
            f"the channels, got {len(value)}"
        )
    return value


def _scale(value):
    if not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(
            f"interpolate: scale_factor must be a number, got {type(value).__name__}"
        )
    if not 0 < value < math.inf:
        raise ValueError(
            f"interpolate: scale_factor must be above 0, got {one_line(value)}"
        )
    return float(min(value, _MOST))
