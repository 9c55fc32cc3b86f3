"""Windows: what a frame of a signal is multiplied with before its transform."""

import numpy as np

from ..ops.shape import whole


def hann_window(window_length, periodic=True, dtype=np.float32):
    r"""Hann's window.

    Parameters
    ----------
    window_length : int
        Number of elements.
    periodic : bool, optional
        One period of the cosine, as a transform wants it; otherwise both ends are 0.
    dtype : dtype, optional
        float32 or float64.

    Returns
    -------
    ndarray, shape (window_length,)

    Raises
    ------
    ValueError, TypeError
        If `window_length` is no whole number, or negative.

    Notes
    -----
    With n the length, or one less where not `periodic`:

    .. math:: w_i = \frac{1}{2} - \frac{1}{2} \cos \frac{2 \pi i}{n}

    Examples
    --------
    >>> from dlcore.audio import hann_window
    >>> hann_window(4)
    array([0. , 0.5, 1. , 0.5], dtype=float32)
    """
    return _cosine("hann_window", window_length, periodic, 0.5, dtype)


def hamming_window(window_length, periodic=True, dtype=np.float32):
    r"""Hamming's window.

    Parameters
    ----------
    window_length, periodic, dtype : optional
        As for `hann_window`.

    Returns
    -------
    ndarray, shape (window_length,)

    Notes
    -----
    .. math:: w_i = 0.54 - 0.46 \cos \frac{2 \pi i}{n}

    Examples
    --------
    >>> from dlcore.audio import hamming_window
    >>> hamming_window(4).round(2)
    array([0.08, 0.54, 1.  , 0.54], dtype=float32)
    """
    return _cosine("hamming_window", window_length, periodic, 0.54, dtype)


def _cosine(op, length, periodic, level, dtype):
    length = whole(op, "window_length", length)
    if length < 0:
        raise ValueError(f"{op}: window_length must be at least 0, got {length}")
    if length == 1:
        return np.ones(1, dtype)
    period = length if periodic else length - 1
    turns = np.arange(length) / max(period, 1)
    return (level - (1 - level) * np.cos(2 * np.pi * turns)).astype(dtype)
