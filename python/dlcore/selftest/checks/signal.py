"""Short-time Fourier transform."""

import numpy as np

import dlcore as dl

from .table import add, normal

_WINDOW = 1 + np.arange(8) / 8


def _frames(x):
    x = np.pad(x, ((0, 0), (4, 4)), "reflect")
    return np.stack([x[:, t : t + 8] for t in range(0, x.shape[1] - 7, 3)], 1)


def _stft(x):
    y = np.fft.rfft(_frames(x) * _WINDOW).swapaxes(1, 2)
    return np.stack([y.real, y.imag], -1)


def _istft(y):
    z = np.fft.irfft((y[..., 0] + 1j * y[..., 1]).swapaxes(1, 2)) * _WINDOW
    total, weights = np.zeros((2, 23)), np.zeros(23)
    for t in range(6):
        total[:, 3 * t : 3 * t + 8] += z[:, t]
        weights[3 * t : 3 * t + 8] += _WINDOW**2
    return (total / weights)[:, 4:-4]


add(
    "stft",
    normal((2, 20)),
    lambda x: dl.stft(x, 8, 3, window=_WINDOW.astype(x.dtype)),
    _stft,
)
add(
    "istft",
    normal((2, 5, 6, 2)),
    lambda y: dl.istft(y, 8, 3, window=_WINDOW.astype(y.dtype)),
    _istft,
)
