"""Audio: spectrograms, mel filters, cepstral coefficients, SpecAugment."""

# ruff: noqa: F401
from ..hints import of_module as _of_module
from .augment import frequency_mask, time_mask
from .mel import hz_to_mel, mel_filter_bank, mel_to_hz
from .spectrogram import (
    amplitude_to_db,
    melspectrogram,
    mfcc,
    power_to_db,
    spectrogram,
)
from .window import hamming_window, hann_window

__all__ = [
    name for name, value in globals().items() if callable(value) and name[0] != "_"
]

__getattr__ = _of_module(globals(), "audio.")


def __dir__():
    return __all__
