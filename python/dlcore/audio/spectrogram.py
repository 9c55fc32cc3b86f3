"""What models of speech are given: spectrograms, on the mel scale, in dB, as MFCC."""

import math

import numpy as np

from .. import _C
from ..ops import amax, log, matmul, maximum, mul, pow, stft, sub, transpose
from ..ops.shape import as_array, one_line, whole
from ..tensor import raw, record
from .mel import dct_matrix, mel_filter_bank
from .window import hann_window


def spectrogram(
    x,
    n_fft=400,
    hop_length=None,
    win_length=None,
    window=None,
    power=2.0,
    center=True,
    pad_mode="reflect",
    normalized=False,
):
    r"""Power of each frequency of each frame of a signal.

    Parameters
    ----------
    x : ndarray or Tensor, shape (..., L)
        Signals, float32 or float64.
    n_fft : int, optional
        Length of a frame.
    hop_length : int, optional
        How far a frame is behind the one before; default is half of `win_length`.
    win_length : int, optional
        Length of the window; default is `n_fft`.
    window : ndarray, shape (win_length,), optional
        Default is Hann's, see `hann_window`.
    power : float, optional
        2 for the power, 1 for the magnitude.
    center, pad_mode, normalized : optional
        See `dlcore.stft`.

    Returns
    -------
    ndarray or Tensor, shape (..., n_fft // 2 + 1, T)

    Raises
    ------
    ValueError, TypeError
        As `dlcore.stft`; if `power` is not above 0.

    Notes
    -----
    :math:`|Y_{k, t}|^p` of the transform Y. The gradient of a magnitude of 0 is 0.
    float32 holds magnitudes up to 1.8e19: their squares must not overflow.

    Examples
    --------
    >>> import numpy as np
    >>> from dlcore.audio import spectrogram
    >>> x = np.cos(np.pi / 2 * np.arange(64))  # a quarter of the sampling rate
    >>> spectrogram(x, 16)[:, 4].round(2)
    array([ 0.,  0.,  0.,  4., 16.,  4.,  0.,  0.,  0.])
    """
    frames = n_fft, hop_length, win_length, window
    return _turned(
        _spectrogram("spectrogram", x, *frames, power, center, pad_mode, normalized)
    )


def melspectrogram(
    x,
    sample_rate=16000,
    n_fft=400,
    hop_length=None,
    win_length=None,
    n_mels=128,
    f_min=0.0,
    f_max=None,
    mel_scale="htk",
    norm=None,
    window=None,
    power=2.0,
    center=True,
    pad_mode="reflect",
    normalized=False,
):
    r"""Spectrogram on the mel scale.

    Parameters
    ----------
    x : ndarray or Tensor, shape (..., L)
        Signals, float32 or float64.
    sample_rate : float, optional
        In Hz.
    n_fft, hop_length, win_length : optional
        See `spectrogram`.
    n_mels, f_min, f_max, mel_scale, norm : optional
        See `mel_filter_bank`.
    window, power, center, pad_mode, normalized : optional
        See `spectrogram`.

    Returns
    -------
    ndarray or Tensor, shape (..., n_mels, T)

    Raises
    ------
    ValueError, TypeError
        As `spectrogram` and `mel_filter_bank`.

    Examples
    --------
    >>> import numpy as np
    >>> from dlcore.audio import melspectrogram
    >>> melspectrogram(np.zeros(16000, np.float32), n_mels=80).shape
    (80, 81)
    """
    op = "melspectrogram"
    dtype = as_array(op, raw(x), "x").dtype
    frames = n_fft, hop_length, win_length, window
    y = _spectrogram(op, x, *frames, power, center, pad_mode, normalized)
    kind = dtype.char if dtype.char in "fd" else "f"
    bank = mel_filter_bank(
        sample_rate, n_fft, n_mels, f_min, f_max, mel_scale, norm, kind
    )
    return _turned(matmul(y, bank))


def mfcc(x, sample_rate=16000, n_mfcc=40, top_db=80.0, **options):
    r"""Mel-frequency cepstral coefficients.

    Parameters
    ----------
    x : ndarray or Tensor, shape (..., L)
        Signals, float32 or float64.
    sample_rate : float, optional
        In Hz.
    n_mfcc : int, optional
        How many coefficients to keep, at most `n_mels`.
    top_db : float or None, optional
        See `power_to_db`.
    **options
        Of `melspectrogram`: n_fft, hop_length, n_mels, f_max, ...

    Returns
    -------
    ndarray or Tensor, shape (..., n_mfcc, T)

    Raises
    ------
    ValueError, TypeError
        As `melspectrogram`; if `n_mfcc` is not from 1 to `n_mels`.

    Notes
    -----
    The orthonormal DCT-II of the mel spectrogram in dB, M values :math:`s_m` a frame:

    .. math:: c_k = a_k \sum_{m=0}^{M-1} s_m \cos\frac{\pi k (m + 1/2)}{M},
        \qquad a_0 = \sqrt{1 / M}, \quad a_k = \sqrt{2 / M}

    Examples
    --------
    >>> import numpy as np
    >>> from dlcore.audio import mfcc
    >>> mfcc(np.zeros(16000, np.float32), n_mfcc=13).shape
    (13, 81)
    """
    mel = power_to_db(melspectrogram(x, sample_rate, **options), top_db=top_db)
    n_mels, n_mfcc = raw(mel).shape[-2], whole("mfcc", "n_mfcc", n_mfcc)
    if not 1 <= n_mfcc <= n_mels:
        raise ValueError(
            f"mfcc: n_mfcc must be from 1 to n_mels = {n_mels}, got {n_mfcc}"
        )
    return _turned(
        matmul(_turned(mel), dct_matrix(n_mels, n_mfcc, raw(mel).dtype.char))
    )


def power_to_db(s, ref=1.0, amin=1e-10, top_db=80.0):
    r"""Powers in decibels.

    Parameters
    ----------
    s : ndarray or Tensor, any shape
        Powers, float32 or float64.
    ref : float or callable, optional
        What counts as 0 dB: a power, or what is called with the array, as `np.max`.
    amin : float, optional
        What a smaller power counts as, above 0.
    top_db : float or None, optional
        No value lies further below the largest of its spectrogram (the last two axes).

    Returns
    -------
    ndarray or Tensor
        Of the shape of `s`.

    Raises
    ------
    ValueError, TypeError
        If a number does not fit.

    See Also
    --------
    amplitude_to_db

    Notes
    -----
    .. math:: 10 \log_{10} \max(s, a) - 10 \log_{10} \max(r, a)

    The gradient is 0 where a power was raised to `amin`, and goes to the largest value
    where one was raised by `top_db`. NaN stays NaN; with `top_db` it makes its whole
    spectrogram NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from dlcore.audio import power_to_db
    >>> power_to_db(np.array([0.1, 1.0, 10.0]))
    array([-10.,   0.,  10.])
    """
    return _to_db("power_to_db", s, ref, amin, top_db, 10.0)


def amplitude_to_db(s, ref=1.0, amin=1e-5, top_db=80.0):
    r"""Magnitudes in decibels.

    Parameters
    ----------
    s : ndarray or Tensor, any shape
        Magnitudes, float32 or float64, at least 0.
    ref, amin, top_db : optional
        As for `power_to_db`, of magnitudes.

    Returns
    -------
    ndarray or Tensor
        Of the shape of `s`: :math:`20 \log_{10} \max(s, a) - 20 \log_{10} \max(r, a)`.

    Examples
    --------
    >>> import numpy as np
    >>> from dlcore.audio import amplitude_to_db
    >>> amplitude_to_db(np.array([0.1, 1.0, 10.0]))
    array([-20.,   0.,  20.])
    """
    return _to_db("amplitude_to_db", s, ref, amin, top_db, 20.0)


def _spectrogram(
    op, x, n_fft, hop_length, win_length, window, power, center, pad_mode, normalized
):
    """(..., T, F): a frame's frequencies are neighbours in memory."""
    dtype = as_array(op, raw(x), "x").dtype
    win = whole(op, "win_length", n_fft if win_length is None else win_length)
    hop = max(1, win // 2) if hop_length is None else hop_length
    if not _is_number(power) or not power > 0:
        raise ValueError(f"{op}: power must be above 0, got {one_line(power)}")
    if window is None:
        window = hann_window(win, dtype=dtype if dtype.char in "fd" else "f")
    pairs = stft(x, n_fft, hop, win, window, center, pad_mode, normalized)
    y = _sizes_of(transpose(pairs, -2, -3), power == 1)
    return y if power in (1, 2) else pow(y, power / 2)


def _sizes_of(pairs, root):
    array = raw(pairs)
    y = _C.pair_power_forward(array, root)
    return record(y, (pairs,), lambda dy: (_C.pair_power_backward(array, y, dy, root),))


def _to_db(op, s, ref, amin, top_db, factor):
    array = as_array(op, raw(s), "s")
    if not _is_number(amin) or not 0 < amin < math.inf:
        raise ValueError(f"{op}: amin must be above 0, got {one_line(amin)}")
    zero = ref(array) if callable(ref) else ref
    if not _is_number(zero) or not abs(zero) < math.inf:
        raise ValueError(f"{op}: ref must be a finite number, got {one_line(zero)}")
    if top_db is not None and not (_is_number(top_db) and top_db >= 0):
        raise ValueError(
            f"{op}: top_db must be at least 0 or None, got {one_line(top_db)}"
        )
    y = mul(log(maximum(s, amin)), factor / math.log(10))
    y = sub(y, factor * math.log10(max(abs(float(zero)), amin)))
    if top_db is None or array.size == 0:
        return y
    last = tuple(range(array.ndim))[-2:]
    return maximum(y, sub(amax(y, last, keepdim=True), top_db))


def _is_number(value):
    return isinstance(value, int | float | np.integer | np.floating) or (
        isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "fiu"
    )


def _turned(y):
    """The last two axes exchanged, without a copy."""
    return transpose(y, -1, -2)
