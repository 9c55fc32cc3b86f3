"""SpecAugment (Park et al. 2019): bands of a spectrogram left out, for training."""

import math
import numbers

import numpy as np

from ..ops import where
from ..ops.shape import as_array, one_line, whole
from ..random import uniform
from ..tensor import raw


def time_mask(x, max_width, num_masks=1, value=0.0, p=1.0):
    """Leave out stretches of time.

    Parameters
    ----------
    x : ndarray or Tensor, shape (..., F, T)
        Spectrograms; each has its own stretches.
    max_width : int
        A stretch is 0 to `max_width` frames wide, evenly distributed, and lies
        anywhere.
    num_masks : int, optional
        How many stretches; they may overlap.
    value : float, optional
        What stands there instead.
    p : float, optional
        No stretch is wider than this part of all frames.

    Returns
    -------
    ndarray or Tensor
        Of the shape of `x`, which stays as it is.

    Raises
    ------
    ValueError, TypeError
        If a number does not fit, or `x` has fewer than 2 axes.

    See Also
    --------
    frequency_mask

    Notes
    -----
    Random numbers are dlcore's: `dlcore.manual_seed` repeats them.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.manual_seed(1)
    >>> dl.audio.time_mask(np.ones((1, 8)), 4)
    array([[1., 1., 1., 0., 0., 0., 0., 1.]])
    """
    return _mask("time_mask", x, -1, max_width, num_masks, value, p)


def frequency_mask(x, max_width, num_masks=1, value=0.0):
    """Leave out bands of frequencies.

    Parameters
    ----------
    x : ndarray or Tensor, shape (..., F, T)
        Spectrograms; each has its own bands.
    max_width : int
        A band is 0 to `max_width` frequencies wide, evenly distributed, and lies
        anywhere.
    num_masks, value : optional
        As for `time_mask`.

    Returns
    -------
    ndarray or Tensor
        Of the shape of `x`, which stays as it is.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.manual_seed(1)
    >>> dl.audio.frequency_mask(np.ones((8, 2)), 4)[:, 0]
    array([1., 1., 1., 0., 0., 0., 0., 1.])
    """
    return _mask("frequency_mask", x, -2, max_width, num_masks, value, 1.0)


def _mask(op, x, axis, max_width, num_masks, value, p):
    array = as_array(op, raw(x))
    if array.ndim < 2:
        raise ValueError(
            f"{op}: x must have shape (..., F, T), got x.shape = {array.shape}"
        )
    max_width = whole(op, "max_width", max_width)
    num_masks = whole(op, "num_masks", num_masks)
    if max_width < 0 or num_masks < 0:
        raise ValueError(
            f"{op}: max_width and num_masks must be at least 0, "
            f"got {max_width} and {num_masks}"
        )
    if not isinstance(p, numbers.Real) or not 0 <= p <= 1:
        raise ValueError(f"{op}: p must be from 0 to 1, got {one_line(p)}")
    if not isinstance(value, numbers.Real):
        raise TypeError(f"{op}: value must be a number, got {type(value).__name__}")
    length = array.shape[axis]
    widest = min(max_width, math.floor(p * length))
    draws = uniform(size=(2, num_masks, *array.shape[:-2], 1), dtype=np.float64)
    width = np.floor(draws[0] * (widest + 1))
    start = np.floor(draws[1] * (length - width + 1))
    at = np.arange(length)
    left_out = ((at >= start) & (at < start + width)).any(0)
    left_out = np.expand_dims(left_out, -2 if axis == -1 else -1)
    return where(left_out, array.dtype.type(value), x)
