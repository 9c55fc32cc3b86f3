"""dlcore.audio against its formulas and SciPy."""

import numpy as np
import pytest
import reference_signal as reference
import scipy.fft
import scipy.signal

import dlcore as dl
from dlcore import audio
from dlcore.testing import assert_close, gradcheck


def tones(rng, *shape, dtype="f8"):
    return rng.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("n", [0, 1, 2, 7, 400])
@pytest.mark.parametrize("periodic", [False, True])
def test_windows(dtype, n, periodic):
    for name in ("hann", "hamming"):
        got = getattr(audio, f"{name}_window")(n, periodic, dtype)
        want = scipy.signal.get_window(name, n, periodic) if n else np.zeros(0)
        assert got.dtype == dtype
        np.testing.assert_allclose(
            got, want, atol=1e-6 if dtype == "float32" else 1e-15
        )


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_mel_scale(scale):
    f = np.array([0.0, 10, 440, 999.9, 1000, 1000.1, 8000])
    mel = audio.hz_to_mel(f, scale)
    np.testing.assert_allclose(mel, [reference.hz_to_mel(x, scale) for x in f])
    np.testing.assert_allclose(audio.mel_to_hz(mel, scale), f, atol=1e-10)
    assert audio.hz_to_mel(1000.0, "htk") == pytest.approx(999.9855)


@pytest.mark.parametrize("scale", ["htk", "slaney"])
@pytest.mark.parametrize("norm", [None, "slaney"])
@pytest.mark.parametrize("rate, n_fft, n_mels", [(16000, 400, 80), (22050, 513, 17)])
def test_mel_filter_bank(scale, norm, rate, n_fft, n_mels):
    options = {"mel_scale": scale, "norm": norm}
    got = audio.mel_filter_bank(
        rate, n_fft, n_mels, 20.0, 7600.0, dtype="f8", **options
    )
    want = reference.mel_filter_bank(rate, n_fft, n_mels, 20.0, 7600.0, scale, norm)
    np.testing.assert_allclose(got, want, atol=1e-9)
    again = audio.mel_filter_bank(
        rate, n_fft, n_mels, 20.0, 7600.0, dtype="f8", **options
    )
    assert again is got and not got.flags.writeable
    full = audio.mel_filter_bank(rate, n_fft, n_mels, **options)
    assert full.dtype == np.float32
    want = reference.mel_filter_bank(rate, n_fft, n_mels, 0, rate / 2, scale, norm)
    np.testing.assert_allclose(full, want, atol=1e-6)


@pytest.mark.parametrize("power", [1.0, 2.0, 1.5])
@pytest.mark.parametrize("n", [1, 15, 16, 17, 53])
def test_spectrogram(isa, dtype, rng, power, n):
    """Frames of 2 n: n + 1 frequencies, around the vector's width."""
    x = tones(rng, 2, 9 * n + 40, dtype=dtype)
    window = audio.hann_window(2 * n, dtype=dtype) + 1
    got = audio.spectrogram(x, 2 * n, n, window=window, power=power)
    for row, one in zip(x.astype("f8"), got):
        y = np.abs(reference.stft(row, 2 * n, n, window.astype("f8")))
        assert_close(one, y**power, ulp=50, scale=np.abs(y).max() ** power)


def test_spectrogram_against_torch(torch, rng):
    x = tones(rng, 2, 3, 900, dtype="f4")
    got = audio.spectrogram(x)
    z = torch.stft(
        torch.tensor(x.reshape(6, -1)),
        400,
        200,
        window=torch.hann_window(400),
        return_complex=True,
    )
    want = z.abs().pow(2).numpy().reshape(2, 3, 201, -1)
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4 * want.max())


@pytest.mark.parametrize("power", [1.0, 2.0, 1.5])
def test_gradients(isa, rng, power):
    x = tones(rng, 2, 20)
    options = {"n_fft": 8, "hop_length": 3, "power": power}
    gradcheck(lambda x: audio.spectrogram(x, **options), x)
    options["n_mels"] = 5
    gradcheck(lambda x: audio.melspectrogram(x, 8000, **options), x)
    gradcheck(lambda x: audio.mfcc(x, 8000, 3, top_db=10.0, **options), x)


def test_gradient_of_silence(dtype):
    x = dl.Tensor(np.zeros(50, dtype), requires_grad=True)
    for power in (1.0, 2.0):
        audio.spectrogram(x, 16, power=power).sum().backward()
    assert not x.grad.data.any()


@pytest.mark.parametrize("scale, norm", [("htk", None), ("slaney", "slaney")])
def test_mel_and_mfcc(isa, dtype, rng, scale, norm):
    x = tones(rng, 2, 3000, dtype=dtype)
    options = {"n_fft": 256, "hop_length": 100, "n_mels": 23}
    options |= {"mel_scale": scale, "norm": norm}
    mel = audio.melspectrogram(x, 8000, **options)
    cepstra = audio.mfcc(x, 8000, 13, **options)
    bank = reference.mel_filter_bank(8000, 256, 23, 0, 4000, scale, norm)
    window = scipy.signal.get_window("hann", 256)
    for i, row in enumerate(x.astype("f8")):
        want = bank.T @ np.abs(reference.stft(row, 256, 100, window)) ** 2
        assert_close(mel[i], want, ulp=100, scale=want.max())
        db = 10 * np.log10(np.maximum(want, 1e-10))
        db = np.maximum(db, db.max() - 80)
        want = scipy.fft.dct(db, type=2, norm="ortho", axis=0)[:13]
        tolerance = 2e-2 if dtype == "float32" else 1e-9
        np.testing.assert_allclose(cepstra[i], want, atol=tolerance)
    assert mel.dtype == dtype and cepstra.dtype == dtype


@pytest.mark.parametrize("ref", [1.0, 0.1, np.max])
@pytest.mark.parametrize("top_db", [None, 30.0, 0.0])
def test_decibels(dtype, rng, ref, top_db):
    s = rng.uniform(0, 2, (2, 5, 7)).astype(dtype) ** 8
    s[0, 0, 0] = 0
    for function, factor, amin in (
        (audio.power_to_db, 10, 1e-10),
        (audio.amplitude_to_db, 20, 1e-5),
    ):
        zero = ref(s) if callable(ref) else ref
        want = factor * np.log10(np.maximum(s.astype("f8"), amin) / zero)
        if top_db is not None:
            want = np.maximum(want, want.max((1, 2), keepdims=True) - top_db)
        got = function(s, ref, top_db=top_db)
        assert got.dtype == dtype
        assert_close(got, want, ulp=4, scale=100)


def test_decibels_of_special_values(dtype):
    s = np.array([0.0, np.inf, np.nan, 1.0], dtype)
    got = audio.power_to_db(s, top_db=None)
    assert_close(got, np.array([-100, np.inf, np.nan, 0]), ulp=4)
    assert audio.power_to_db(np.zeros((0, 3), dtype)).shape == (0, 3)
    assert audio.power_to_db(np.array(10.0, dtype)) == 10


# -- SpecAugment --


def runs(line):
    """Lengths of the stretches of 0."""
    edges = np.flatnonzero(np.diff(np.concatenate([[1], line, [1]])))
    return np.diff(edges)[::2]


@pytest.mark.parametrize("function, axis", [("time_mask", -1), ("frequency_mask", -2)])
def test_masks(dtype, function, axis):
    dl.manual_seed(3)
    x = np.ones((300, 2, 11, 13), dtype)
    y = getattr(audio, function)(x, 4)
    assert y.dtype == dtype and x.all()
    lines = y.reshape(600, 11, 13)
    other = 1 if axis == -1 else 2
    assert (lines == lines.max(other, keepdims=True)).all()  # the whole band
    lines = lines.max(other)
    widths = np.array([runs(line).sum() for line in lines])
    assert set(widths) == {0, 1, 2, 3, 4}
    assert (np.bincount(widths) > 80).all()  # of 120 on average
    assert all(len(runs(line)) <= 1 for line in lines)
    places = np.bincount(np.concatenate([np.flatnonzero(line == 0) for line in lines]))
    assert (places > 20).all()  # anywhere
    dl.manual_seed(3)
    np.testing.assert_array_equal(getattr(audio, function)(x, 4), y)


def test_many_masks_and_their_limit():
    dl.manual_seed(1)
    x = np.ones((50, 4, 20), np.float32)
    y = audio.time_mask(x, 20, num_masks=3, value=-1.0, p=0.1)
    widths = (y[:, 0] == -1).sum(1)
    assert widths.max() <= 6 and (widths > 2).any() and set(y.flat) == {1.0, -1.0}
    np.testing.assert_array_equal(audio.time_mask(x, 0), x)
    np.testing.assert_array_equal(audio.time_mask(x, 5, num_masks=0), x)
    assert audio.time_mask(x, 100).shape == x.shape
    assert audio.frequency_mask(np.ones((0, 3)), 2).shape == (0, 3)


def test_gradient_of_a_mask():
    dl.manual_seed(5)
    x = dl.Tensor(np.ones((3, 8, 9), np.float32), requires_grad=True)
    y = audio.frequency_mask(audio.time_mask(x, 5), 5, value=7.0)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, y.data == 1)


X = np.zeros(400)
BAD = [
    (lambda: audio.spectrogram(X, power=0), ValueError, "^spectrogram: power must be"),
    (lambda: audio.spectrogram(X, power="2"), ValueError, "power must be above 0"),
    (lambda: audio.spectrogram([0.0]), TypeError, "^spectrogram: x must be"),
    (lambda: audio.melspectrogram(X, 0), ValueError, "f_min and f_max must be from 0"),
    (
        lambda: audio.melspectrogram(X, f_max=9e3),
        ValueError,
        "got 0 and 9000 with samp",
    ),
    (lambda: audio.melspectrogram(X, "8k"), TypeError, "sample_rate must be a number"),
    (
        lambda: audio.melspectrogram(X, n_mels=0),
        ValueError,
        "at least 1, got 400 and 0",
    ),
    (lambda: audio.melspectrogram(X, norm="area"), ValueError, "None or 'slaney', got"),
    (
        lambda: audio.mel_filter_bank(8e3, 8, mel_scale="x"),
        ValueError,
        "mel_scale must",
    ),
    (
        lambda: audio.mel_filter_bank(8e3, 8, dtype="i4"),
        TypeError,
        "float32 or float64",
    ),
    (lambda: audio.hz_to_mel(1.0, "mel"), ValueError, "'htk' or 'slaney', got 'mel'"),
    (lambda: audio.mfcc(X, n_mfcc=129), ValueError, "from 1 to n_mels = 128, got 129"),
    (lambda: audio.mfcc(X, n_mfcc=0), ValueError, "n_mfcc must be from 1"),
    (lambda: audio.power_to_db(X, amin=0), ValueError, "amin must be above 0, got 0"),
    (
        lambda: audio.power_to_db(X, ref=np.nan),
        ValueError,
        "ref must be a finite number",
    ),
    (lambda: audio.power_to_db(X, top_db=-1), ValueError, "top_db must be at least 0"),
    (lambda: audio.hann_window(-1), ValueError, "window_length must be at least 0"),
    (
        lambda: audio.time_mask(X, 3),
        ValueError,
        r"\(..., F, T\), got x.shape = \(400,\)",
    ),
    (lambda: audio.time_mask(X[None], -1), ValueError, "max_width and num_masks must"),
    (lambda: audio.time_mask(X[None], 1.5), TypeError, "max_width must be a whole"),
    (lambda: audio.time_mask(X[None], 1, p=2), ValueError, "p must be from 0 to 1"),
    (lambda: audio.frequency_mask(X[None], 1, value="0"), TypeError, "value must be"),
]


@pytest.mark.parametrize("call, error, match", BAD)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()
