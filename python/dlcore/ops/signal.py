"""Short-time Fourier transform and its inverse.

The transform of a frame is NumPy's; what stands around it, the window, the frames and
their sum where they overlap, is dlcore's. Complex numbers are pairs of real ones along
a last axis of 2, so that they have gradients.
"""

import numpy as np

from .. import _C
from ..tensor import Tensor, raw, record
from .arithmetic import div
from .inputs import wants
from .pad import pad
from .shape import as_array, one_line, reshape, whole


def stft(
    input,
    n_fft,
    hop_length=None,
    win_length=None,
    window=None,
    center=True,
    pad_mode="reflect",
    normalized=False,
    onesided=True,
    return_complex=False,
):
    r"""Short-time Fourier transform: the spectrum of each frame of a signal.

    Parameters
    ----------
    input : ndarray or Tensor, shape (..., L)
        Signals, float32 or float64.
    n_fft : int
        Length of a frame.
    hop_length : int, optional
        How far a frame is behind the one before; default is ``n_fft // 4``.
    win_length : int, optional
        Length of the window, which stands in the middle of the frame; default is
        `n_fft`.
    window : ndarray, shape (win_length,), optional
        What a frame is multiplied with, of the dtype of `input`; default is ones. See
        `dlcore.audio.hann_window`. It receives no gradient.
    center : bool, optional
        Frame t is centred at element ``t * hop_length`` of the signal, which is padded
        with ``n_fft // 2`` elements at both ends; otherwise it begins there.
    pad_mode : {'reflect', 'constant', 'replicate', 'circular'}
        With what, see `pad`.
    normalized : bool, optional
        Divide by the square root of `n_fft`.
    onesided : bool, optional
        Only the frequencies up to half the sampling rate, ``n_fft // 2 + 1``; the
        others are their conjugates.
    return_complex : bool, optional
        Complex numbers (arrays only) instead of pairs of real ones.

    Returns
    -------
    ndarray or Tensor, shape (..., F, T, 2) or (..., F, T)
        Real and imaginary parts, frequency by frame. NaN or infinity in a frame leaves
        none of its frequencies finite.

    Raises
    ------
    ValueError
        If the signal is shorter than a frame, or a length does not fit.
    TypeError
        If a dtype does not fit, or complex numbers are asked of a Tensor.

    See Also
    --------
    istft, dlcore.audio.spectrogram

    Notes
    -----
    With w the window and h the hop:

    .. math:: Y_{k, t} = \sum_{j=0}^{n-1} w_j x_{th + j} e^{-2 \pi i j k / n}

    Backward is the adjoint: the inverse transform, summed up where frames overlap.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = np.cos(np.pi / 2 * np.arange(16))  # a quarter of the sampling rate
    >>> y = dl.stft(x, 8, center=False)
    >>> y.shape
    (5, 5, 2)
    >>> y[:, 0, 0].round(6)
    array([-0., -0.,  4.,  0.,  0.])
    """
    op = "stft"
    signal = as_array(op, raw(input), "input")
    n_fft, hop, win = _lengths(op, n_fft, hop_length, win_length)
    if signal.ndim == 0:
        raise ValueError("stft: input must have at least 1 axis, got input.shape = ()")
    if return_complex and isinstance(input, Tensor):
        raise TypeError(
            "stft: return_complex must be False for a Tensor, which holds real numbers"
        )
    _check_signal(signal, n_fft, center, pad_mode)
    weights = _window(op, window, win, n_fft, signal)
    x = reshape(input, (1, _product(signal.shape[:-1]), signal.shape[-1]))
    if center:
        x = pad(x, (n_fft // 2, n_fft // 2), pad_mode)
    x = reshape(x, raw(x).shape[1:])
    if normalized:
        weights = weights * weights.dtype.type(n_fft**-0.5)
    y = _spectra(x, weights, hop, onesided)
    shape = (*signal.shape[:-1], *raw(y).shape[1:])
    y = reshape(y, shape)
    return y.view(_complex_of(y))[..., 0] if return_complex else y


def istft(
    input,
    n_fft,
    hop_length=None,
    win_length=None,
    window=None,
    center=True,
    normalized=False,
    onesided=None,
    length=None,
):
    r"""Inverse of `stft`: the signal whose spectra are nearest to the given ones.

    Parameters
    ----------
    input : ndarray or Tensor, shape (..., F, T, 2), or complex, shape (..., F, T)
        Spectra as `stft` gives them.
    n_fft, hop_length, win_length, window, center, normalized, onesided : optional
        As they were given to `stft`; `onesided` can be told from F.
    length : int, optional
        Length of the signal; what no frame reaches is 0. Default is what the frames
        hold, without the padding.

    Returns
    -------
    ndarray or Tensor, shape (..., L)

    Raises
    ------
    ValueError
        If the shape or a length does not fit, or the windows leave an element out
        (their squares add up to less than 1e-11 there).
    TypeError
        If a dtype does not fit.

    See Also
    --------
    stft

    Notes
    -----
    With :math:`z_t` the inverse transform of frame t:

    .. math:: x_p = \frac{\sum_t w_{p - th} z_{t, p - th}}{\sum_t w_{p - th}^2}

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = np.arange(8.0)
    >>> dl.istft(dl.stft(x, 4), 4).round(6)
    array([0., 1., 2., 3., 4., 5., 6., 7.])
    """
    op = "istft"
    pairs = as_array(op, raw(input), "input")
    if pairs.dtype.kind == "c":
        parts = pairs.ravel().view(pairs.real.dtype)
        input = pairs = parts.reshape(*pairs.shape, 2)
    n_fft, hop, win = _lengths(op, n_fft, hop_length, win_length)
    if hop > win:
        raise ValueError(
            f"istft: hop_length must be at most win_length = {win}, got {hop}"
        )
    half = n_fft // 2 + 1
    bins = pairs.shape[-3] if pairs.ndim >= 3 else 0
    onesided = bins != n_fft if onesided is None else bool(onesided)
    wanted = half if onesided else n_fft
    if pairs.ndim < 3 or pairs.shape[-1] != 2 or bins != wanted:
        raise ValueError(
            f"istft: input must have shape (..., {wanted}, T, 2) with n_fft = {n_fft}, "
            f"got input.shape = {pairs.shape}"
        )
    weights = _window(op, window, win, n_fft, pairs)
    lead, frames = pairs.shape[:-3], pairs.shape[-2]
    if frames == 0:
        raise ValueError(
            f"istft: input must have at least 1 frame, got input.shape = {pairs.shape}"
        )
    whole_length = (frames - 1) * hop + n_fft
    start = n_fft // 2 if center else 0
    stop = (
        whole_length - start if length is None else start + whole(op, "length", length)
    )
    if not start <= stop < 1 << 48:
        raise ValueError(f"istft: length must be from 0 to 2**48, got {stop - start}")
    stop_sum = min(stop, whole_length)
    sums = _C.window_sum(np.square(weights), hop, frames, whole_length)[start:stop_sum]
    if sums.size and not sums.min() > 1e-11:
        raise ValueError(
            "istft: window must reach every element of the signal, its squares add up "
            f"to {sums.min():.3g} at one: use a shorter hop_length than {hop}"
        )
    if normalized:
        weights = weights * weights.dtype.type(n_fft**0.5)
    x = reshape(input, (_product(lead), *pairs.shape[-3:]))
    y = _signals(x, weights, hop, n_fft, onesided)[:, start:stop_sum]
    y = div(y, sums)
    if stop > stop_sum:
        y = pad(y, (0, stop - max(stop_sum, start)))
    return reshape(y, (*lead, stop - start))


def _lengths(op, n_fft, hop_length, win_length):
    n_fft = whole(op, "n_fft", n_fft)
    if not 1 <= n_fft < 1 << 31:
        raise ValueError(f"{op}: n_fft must be from 1 to 2**31 - 1, got {n_fft}")
    hop = n_fft // 4 if hop_length is None else whole(op, "hop_length", hop_length)
    if not 1 <= hop < 1 << 31:
        raise ValueError(f"{op}: hop_length must be from 1 to 2**31 - 1, got {hop}")
    win = n_fft if win_length is None else whole(op, "win_length", win_length)
    if not 1 <= win <= n_fft:
        raise ValueError(f"{op}: win_length must be from 1 to n_fft, got {win}")
    return n_fft, hop, win


def _window(op, window, win_length, n_fft, like):
    """The window as long as a frame."""
    if like.dtype.char not in "fd":
        raise TypeError(
            f"{op}: input must be float32 or float64, got {like.dtype}"
            + _of_samples(like.dtype)
        )
    if window is None:
        window = np.ones(win_length, like.dtype)
    if wants(window):
        raise ValueError(
            f"{op}: window must not require a gradient: pass its .detach()"
        )
    window = as_array(op, raw(window), "window")
    if window.dtype != like.dtype:
        raise TypeError(
            f"{op}: input and window must have one dtype, got {like.dtype} and "
            f"{window.dtype}: cast with window.astype('{like.dtype}')"
        )
    if window.shape != (win_length,):
        raise ValueError(
            f"{op}: window must have shape ({win_length},), as long as win_length, "
            f"got window.shape = {window.shape}"
        )
    frame = np.zeros(n_fft, like.dtype)
    before = (n_fft - win_length) // 2
    frame[before : before + win_length] = window
    return frame


def _of_samples(kind):
    """How to take samples of whole numbers, as sound files have them."""
    most = {"int16": 15, "int32": 31}.get(kind.name)
    return f": pass (input / 2**{most}).astype('float32')" if most else ""


def _check_signal(signal, n_fft, center, pad_mode):
    """Whether it is long enough for its padding, or without padding for a frame."""
    length, half = signal.shape[-1], n_fft // 2
    least = {"reflect": half + 1, "constant": 1, "replicate": 1, "circular": half}
    if not center:
        least, why = n_fft, "hold a frame of n_fft"
    elif not isinstance(pad_mode, str) or pad_mode not in least:
        raise ValueError(
            f"stft: pad_mode must be one of {', '.join(map(repr, least))}, "
            f"got {one_line(pad_mode)}"
        )
    else:
        least, why = least[pad_mode], f"be padded by n_fft // 2 in mode {pad_mode!r}"
    if length < max(1, least):
        raise ValueError(
            f"stft: input must be at least {max(1, least)} long to {why}, "
            f"got input.shape = {signal.shape}"
        )


def _spectra(x, weights, hop, onesided):
    """(N, L) to (N, F, T, 2), a view of (N, T, F, 2)."""
    n, length = weights.size, raw(x).shape[1]
    frames = _C.frame(raw(x), weights, hop)
    y = _by_bins(_forward(frames, onesided))

    def backward(dy):
        grad = _by_frames(dy)
        if onesided:
            grad = _C.mul(grad, _shares(n, 0.5, grad.dtype))
        frames = _inverse(grad, n, onesided)
        scaled = weights * weights.dtype.type(n)
        return (_C.overlap_add(frames, scaled, hop, length),)

    return record(y, (x,), backward)


def _signals(x, weights, hop, n, onesided):
    """(N, F, T, 2) to (N, L): the inverse transforms under the window, added up."""
    frames = _inverse(_by_frames(raw(x)), n, onesided)
    y = _C.overlap_add(frames, weights, hop, (frames.shape[1] - 1) * hop + n)

    def backward(dy):
        grad = _C.frame(dy, weights * weights.dtype.type(1 / n), hop)
        dx = _forward(grad, onesided)
        if onesided:
            dx = _C.mul(dx, _shares(n, 2, dx.dtype), dx)
        return (_by_bins(dx),)

    return record(y, (x,), backward)


# Elements of the frames that are transformed at once: with their spectra they stay in
# the second-level cache, which halves NumPy's time.
_AT_ONCE = 1 << 17
_HAS_OUT = int(np.__version__.split(".")[0]) >= 2


def _forward(frames, onesided):
    """(N, T, n) to spectra (N, T, 2 F), real and imaginary part of each frequency."""
    batch, count, n = frames.shape
    flat, numbers = frames.reshape(-1, n), 2 * (n // 2 + 1 if onesided else n)
    y = _C.empty(len(flat), numbers, frames.dtype == np.float64)
    z = y.view(_complex_of(y))
    transform, rows = np.fft.rfft if onesided else np.fft.fft, max(1, _AT_ONCE // n)
    for i in range(0, len(flat), rows):
        _into(z[i : i + rows], transform, flat[i : i + rows])
    return y.reshape(batch, count, numbers)


def _inverse(spectra, n, onesided):
    """(N, T, 2 F) to real frames (N, T, n)."""
    batch, count, numbers = spectra.shape
    z = spectra.view(_complex_of(spectra)).reshape(batch * count, numbers // 2)
    frames = _C.empty(len(z), n, spectra.dtype == np.float64)
    if onesided:
        _into(frames, np.fft.irfft, z, n)
    else:
        with np.errstate(all="ignore"):
            np.copyto(frames, np.fft.ifft(z).real)
    return frames.reshape(batch, count, n)


def _into(out, transform, *arguments):
    """NumPy before 2 has no ``out=``, and transforms in float64."""
    with np.errstate(all="ignore"):
        if _HAS_OUT:
            transform(*arguments, out=out)
        else:
            np.copyto(out, transform(*arguments))


def _shares(n, inner, dtype):
    """(2 F,): 1 for the frequencies that have no conjugate, `inner` for the others."""
    shares = np.full(2 * (n // 2 + 1), inner, dtype)
    shares[:2] = 1
    if n % 2 == 0:
        shares[-2:] = 1
    return shares


def _by_bins(spectra):
    """(N, T, 2 F) seen as (N, F, T, 2)."""
    batch, frames, numbers = spectra.shape
    return spectra.reshape(batch, frames, numbers // 2, 2).swapaxes(1, 2)


def _by_frames(pairs):
    """(N, F, T, 2) as contiguous (N, T, 2 F); no copy of what `_by_bins` gave."""
    if pairs.strides[-1] != pairs.itemsize or not pairs.dtype.isnative:
        pairs = np.ascontiguousarray(pairs)
    z = pairs.view(_complex_of(pairs))[..., 0].swapaxes(1, 2)
    return (z if z.flags.c_contiguous else z.copy()).view(pairs.dtype)


def _complex_of(pairs):
    return np.complex64 if pairs.dtype == np.float32 else np.complex128


def _product(shape):
    n = 1
    for size in shape:
        n *= size
    return n
