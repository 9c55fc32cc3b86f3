"""Signal processing from the definitions, one frame and one filter at a time."""

import numpy as np


def frames(x, n_fft, hop, center=True, pad_mode="reflect"):
    """(L,) to (T, n_fft)."""
    if center:
        mode = {"replicate": "edge", "circular": "wrap"}.get(pad_mode, pad_mode)
        x = np.pad(x, n_fft // 2, mode)
    count = 1 + (len(x) - n_fft) // hop
    return np.stack([x[t * hop : t * hop + n_fft] for t in range(count)])


def centred(window, n_fft):
    before = (n_fft - len(window)) // 2
    return np.pad(window, (before, n_fft - len(window) - before))


def dft(n, bins):
    """(bins, n)."""
    k, j = np.ogrid[:bins, :n]
    return np.exp(-2j * np.pi * (k * j % n) / n)


def stft(
    x,
    n_fft,
    hop,
    window,
    center=True,
    pad_mode="reflect",
    normalized=False,
    onesided=True,
):
    """(L,) to complex (F, T)."""
    bins = n_fft // 2 + 1 if onesided else n_fft
    under = frames(x, n_fft, hop, center, pad_mode) * centred(window, n_fft)
    return dft(n_fft, bins) @ under.T * (n_fft**-0.5 if normalized else 1)


def istft(y, n_fft, hop, window, center=True):
    """Complex (n_fft, T), all frequencies, to (L,)."""
    w = centred(window, n_fft)
    length = (y.shape[1] - 1) * hop + n_fft
    total, weights = np.zeros(length), np.zeros(length)
    for t, spectrum in enumerate(y.T):
        frame = (dft(n_fft, n_fft).conj().T @ spectrum).real / n_fft
        total[t * hop : t * hop + n_fft] += w * frame
        weights[t * hop : t * hop + n_fft] += w**2
    cut = slice(n_fft // 2, length - n_fft // 2) if center else slice(None)
    return total[cut] / weights[cut]


def hz_to_mel(f, scale):
    if scale == "htk":
        return 2595 * np.log10(1 + f / 700)
    return 3 * f / 200 if f < 1000 else 15 + 27 * np.log(f / 1000) / np.log(6.4)


def mel_to_hz(m, scale):
    if scale == "htk":
        return 700 * (10 ** (m / 2595) - 1)
    return 200 * m / 3 if m < 15 else 1000 * 6.4 ** ((m - 15) / 27)


def mel_filter_bank(rate, n_fft, n_mels, f_min, f_max, scale, norm):
    low, high = hz_to_mel(f_min, scale), hz_to_mel(f_max, scale)
    corners = [
        mel_to_hz(low + (high - low) * i / (n_mels + 1), scale)
        for i in range(n_mels + 2)
    ]
    bank = np.zeros((n_fft // 2 + 1, n_mels))
    for m in range(n_mels):
        left, centre, right = corners[m : m + 3]
        for k in range(n_fft // 2 + 1):
            f = k * rate / n_fft
            if left < f <= centre:
                bank[k, m] = (f - left) / (centre - left)
            elif centre < f < right:
                bank[k, m] = (right - f) / (right - centre)
        if norm == "slaney":
            bank[:, m] *= 2 / (right - left)
    return bank
