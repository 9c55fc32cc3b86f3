"""The mel scale: frequencies as the ear spaces them."""

import functools

import numpy as np

from ..ops.shape import one_line, whole

# Slaney's scale is linear up to 1000 Hz, which is 15 mel, and from there logarithmic,
# 27 mel to the factor 6.4.
_BREAK, _BREAK_MEL = 1000.0, 15.0
_STEP = np.log(6.4) / 27


def hz_to_mel(frequencies, mel_scale="htk"):
    r"""Frequencies in mel.

    Parameters
    ----------
    frequencies : float or array_like
        In Hz, at least 0.
    mel_scale : {'htk', 'slaney'}
        The formula.

    Returns
    -------
    float or ndarray
        float64.

    Notes
    -----
    ``'htk'``: :math:`2595 \log_{10}(1 + f / 700)`. ``'slaney'``: :math:`3 f / 200` up
    to 1000 Hz, above :math:`15 + 27 \log_{6.4}(f / 1000)`.

    Examples
    --------
    >>> from dlcore.audio import hz_to_mel
    >>> float(hz_to_mel(1000.0, "slaney"))
    15.0
    """
    f = np.asarray(frequencies, np.float64)
    if _scale("hz_to_mel", mel_scale) == "htk":
        return 2595 * np.log10(1 + f / 700)
    above = _BREAK_MEL + np.log(np.maximum(f, _BREAK) / _BREAK) / _STEP
    return np.where(f < _BREAK, f * 3 / 200, above)[()]


def mel_to_hz(mels, mel_scale="htk"):
    """Mel as frequencies in Hz: the inverse of `hz_to_mel`.

    Parameters
    ----------
    mels : float or array_like
        At least 0.
    mel_scale : {'htk', 'slaney'}
        The formula.

    Returns
    -------
    float or ndarray
        float64.

    Examples
    --------
    >>> from dlcore.audio import mel_to_hz
    >>> float(mel_to_hz(15.0, "slaney"))
    1000.0
    """
    m = np.asarray(mels, np.float64)
    if _scale("mel_to_hz", mel_scale) == "htk":
        return 700 * (10 ** (m / 2595) - 1)
    above = _BREAK * np.exp(_STEP * (np.maximum(m, _BREAK_MEL) - _BREAK_MEL))
    return np.where(m < _BREAK_MEL, m * 200 / 3, above)[()]


def mel_filter_bank(
    sample_rate,
    n_fft,
    n_mels=128,
    f_min=0.0,
    f_max=None,
    mel_scale="htk",
    norm=None,
    dtype=np.float32,
):
    r"""Triangles over the frequencies of a spectrum, evenly spaced in mel.

    Parameters
    ----------
    sample_rate : float
        Of the signal, in Hz.
    n_fft : int
        Length of a frame.
    n_mels : int, optional
        Number of filters.
    f_min, f_max : float, optional
        Where the first begins and the last ends, in Hz; default is 0 and half of
        `sample_rate`.
    mel_scale : {'htk', 'slaney'}
        The formula, see `hz_to_mel`.
    norm : {None, 'slaney'}
        Each filter's height is 1, or its area in Hz.
    dtype : dtype, optional
        float32 or float64.

    Returns
    -------
    ndarray, shape (n_fft // 2 + 1, n_mels)
        Read-only: calls with the same arguments share it. A filter narrower than the
        distance of two frequencies may be 0 throughout.

    Raises
    ------
    ValueError, TypeError
        If a number or a word does not fit.

    Notes
    -----
    With :math:`c_0, ..., c_{M+1}` evenly spaced in mel, filter m rises from
    :math:`c_{m-1}` to :math:`c_m` and falls to :math:`c_{m+1}` (in Hz, linearly). With
    ``norm='slaney'`` it is multiplied by :math:`2 / (c_{m+1} - c_{m-1})`.

    Examples
    --------
    >>> from dlcore.audio import mel_filter_bank
    >>> mel_filter_bank(8000, 8, n_mels=2).round(2)
    array([[0.  , 0.  ],
           [0.68, 0.32],
           [0.  , 0.91],
           [0.  , 0.45],
           [0.  , 0.  ]], dtype=float32)
    """
    op = "mel_filter_bank"
    n_fft, n_mels = whole(op, "n_fft", n_fft), whole(op, "n_mels", n_mels)
    if n_fft < 1 or n_mels < 1:
        raise ValueError(
            f"{op}: n_fft and n_mels must be at least 1, got {n_fft} and {n_mels}"
        )
    rate = _number(op, "sample_rate", sample_rate)
    low = _number(op, "f_min", f_min)
    high = rate / 2 if f_max is None else _number(op, "f_max", f_max)
    if not 0 <= low < high <= rate / 2:
        raise ValueError(
            f"{op}: f_min and f_max must be from 0 to half of sample_rate, f_min the "
            f"lower, got {low:g} and {high:g} with sample_rate = {rate:g}"
        )
    if norm not in (None, "slaney"):
        raise ValueError(f"{op}: norm must be None or 'slaney', got {one_line(norm)}")
    scale = _scale(op, mel_scale)
    if np.dtype(dtype).char not in "fd":
        raise TypeError(f"{op}: dtype must be float32 or float64, got {dtype}")
    return _bank(rate, n_fft, n_mels, low, high, scale, norm, np.dtype(dtype).char)


@functools.lru_cache(maxsize=32)
def _bank(rate, n_fft, n_mels, low, high, scale, norm, dtype):
    frequencies = np.arange(n_fft // 2 + 1) * (rate / n_fft)
    ends = np.linspace(hz_to_mel(low, scale), hz_to_mel(high, scale), n_mels + 2)
    corners = mel_to_hz(ends, scale)
    rising = (frequencies[:, None] - corners[:-2]) / np.diff(corners[:-1])
    falling = (corners[2:] - frequencies[:, None]) / np.diff(corners[1:])
    bank = np.maximum(0, np.minimum(rising, falling))
    if norm == "slaney":
        bank *= 2 / (corners[2:] - corners[:-2])
    bank = bank.astype(dtype)
    bank.flags.writeable = False
    return bank


@functools.lru_cache(maxsize=32)
def dct_matrix(n_mels, n_mfcc, dtype):
    """The orthonormal DCT-II, to multiply from the right: (n_mels, n_mfcc)."""
    at = np.arange(n_mels)[:, None] + 0.5
    matrix = np.cos(np.pi / n_mels * at * np.arange(n_mfcc)) * np.sqrt(2 / n_mels)
    matrix[:, 0] *= np.sqrt(0.5)
    matrix = matrix.astype(dtype)
    matrix.flags.writeable = False
    return matrix


def _scale(op, mel_scale):
    if not isinstance(mel_scale, str) or mel_scale not in ("htk", "slaney"):
        raise ValueError(
            f"{op}: mel_scale must be 'htk' or 'slaney', got {one_line(mel_scale)}"
        )
    return mel_scale


def _number(op, name, value):
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(
            f"{op}: {name} must be a number, got {type(value).__name__}"
        ) from None
