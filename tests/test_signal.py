"""Short-time Fourier transform against its definition and PyTorch."""

import numpy as np
import pytest
import reference_signal as reference

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

MODES = ["reflect", "constant", "replicate", "circular"]


def window_of(rng, n, dtype="f8"):
    return rng.uniform(0.2, 1, n).astype(dtype)


def as_complex(pairs):
    return pairs[..., 0] + 1j * pairs[..., 1]


@pytest.mark.parametrize(
    "n_fft, hop", [(1, 1), (2, 1), (7, 3), (16, 4), (30, 40), (64, 9)]
)
@pytest.mark.parametrize("center", [False, True])
def test_stft(isa, dtype, rng, n_fft, hop, center):
    x = rng.standard_normal((2, 101)).astype(dtype)
    window = window_of(rng, n_fft, dtype)
    got = dl.stft(x, n_fft, hop, window=window, center=center)
    assert got.dtype == dtype and got.shape[-1] == 2
    for row, one in zip(x, got):
        want = reference.stft(row.astype("f8"), n_fft, hop, window.astype("f8"), center)
        size = np.abs(want).max(initial=1)
        np.testing.assert_allclose(
            as_complex(one.astype("f8")), want, atol=8 * np.finfo(dtype).eps * size
        )


@pytest.mark.parametrize("pad_mode", MODES)
@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("onesided", [False, True])
@pytest.mark.parametrize("win", [None, 11, 12])
def test_stft_options(torch, rng, pad_mode, normalized, onesided, win):
    x = rng.standard_normal(50)
    window = window_of(rng, win or 16)
    options = {"pad_mode": pad_mode, "normalized": normalized, "onesided": onesided}
    got = dl.stft(x, 16, 5, win, window, return_complex=True, **options)
    want = reference.stft(x, 16, 5, window, **options)
    np.testing.assert_allclose(got, want, atol=1e-12)
    theirs = torch.stft(
        torch.tensor(x),
        16,
        5,
        win,
        torch.tensor(window),
        return_complex=True,
        **options,
    )
    assert got.shape == theirs.shape and got.dtype == np.complex128
    np.testing.assert_allclose(got, theirs.numpy(), atol=1e-12)


def test_defaults_are_those_of_torch(torch, rng):
    x = rng.standard_normal((2, 60)).astype("f4")
    want = torch.stft(torch.tensor(x), 20, return_complex=True, window=torch.ones(20))
    got = dl.stft(x, 20, return_complex=True)
    assert got.dtype == np.complex64
    np.testing.assert_allclose(got, want.numpy(), atol=1e-5)
    back = torch.istft(want, 20, window=torch.ones(20))
    np.testing.assert_allclose(dl.istft(got, 20), back.numpy(), atol=1e-5)


def test_leading_axes(rng):
    x = rng.standard_normal((2, 3, 40))
    got = dl.stft(x, 8)
    assert got.shape == (2, 3, 5, 21, 2)
    np.testing.assert_array_equal(got[1, 2], dl.stft(x[1, 2], 8))
    np.testing.assert_allclose(dl.istft(got, 8), x, atol=1e-12)
    assert dl.stft(np.zeros((0, 40)), 8).shape == (0, 5, 21, 2)
    assert dl.istft(np.zeros((0, 5, 21, 2)), 8).shape == (0, 40)


@pytest.mark.parametrize("n_fft, hop", [(2, 1), (7, 3), (16, 4), (64, 9)])
@pytest.mark.parametrize("center", [False, True])
def test_istft(isa, dtype, rng, n_fft, hop, center):
    y = rng.standard_normal((n_fft, 9)) + 1j * rng.standard_normal((n_fft, 9))
    window = window_of(rng, n_fft, dtype)
    got = dl.istft(
        y.astype("c8" if dtype == "float32" else "c16"),
        n_fft,
        hop,
        window=window,
        center=center,
        onesided=False,
    )
    want = reference.istft(y, n_fft, hop, window.astype("f8"), center)
    assert got.dtype == dtype
    assert_close(got, want, ulp=50, scale=np.abs(want).max())


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("length", [None, 40, 47, 60])
@pytest.mark.parametrize("form", ["complex", "pairs", "Tensor"])
@pytest.mark.filterwarnings("ignore:The length of signal")
def test_istft_options(torch, rng, normalized, length, form):
    """No signal's spectra: the nearest one's."""
    y = rng.standard_normal((2, 9, 10)) + 1j * rng.standard_normal((2, 9, 10))
    win = 16 if length == 60 else 12  # which reaches the end
    window = window_of(rng, win)
    options = {"normalized": normalized, "length": length}
    given = y if form == "complex" else np.stack([y.real, y.imag], -1)
    given = dl.Tensor(given) if form == "Tensor" else given
    got = dl.istft(given, 16, 5, win, window, **options)
    got = got.data if form == "Tensor" else got
    want = torch.istft(torch.tensor(y), 16, 5, win, torch.tensor(window), **options)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want.numpy(), atol=1e-12)


@pytest.mark.parametrize("n_fft", [8, 9])
@pytest.mark.parametrize("onesided", [False, True])
def test_there_and_back(rng, n_fft, onesided):
    x = rng.standard_normal((3, 50))
    window = window_of(rng, n_fft)
    y = dl.stft(x, n_fft, 3, None, window, onesided=onesided)
    back = dl.istft(y, n_fft, 3, None, window, onesided=onesided, length=50)
    np.testing.assert_allclose(back, x, atol=1e-12)


@pytest.mark.parametrize("n_fft", [6, 7])
@pytest.mark.parametrize("onesided", [False, True])
@pytest.mark.parametrize("center", [False, True])
def test_gradients(isa, rng, n_fft, onesided, center):
    window = window_of(rng, 5)
    options = {"center": center, "normalized": True, "onesided": onesided}
    given = n_fft, 2, 5, window
    gradcheck(lambda x: dl.stft(x, *given, **options), rng.standard_normal((2, 13)))
    bins = n_fft // 2 + 1 if onesided else n_fft
    y = rng.standard_normal((2, bins, 4, 2))
    edge = {} if center else {"window": np.ones(n_fft), "win_length": n_fft}
    given = {"hop_length": 2, "win_length": 5, "window": window, **options, **edge}
    gradcheck(lambda y: dl.istft(y, n_fft, **given, length=8), y)


def test_gradient_against_torch(torch, rng):
    x = rng.standard_normal((2, 400)).astype("f4")
    window = window_of(rng, 64, "f4")
    mine, theirs = dl.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y = dl.stft(mine, 64, 16, window=window)
    z = torch.stft(theirs, 64, 16, window=torch.tensor(window), return_complex=True)
    dy = rng.standard_normal(y.shape).astype("f4")
    y.backward(dy)
    torch.view_as_real(z).backward(torch.tensor(dy))
    np.testing.assert_allclose(mine.grad.data, theirs.grad.numpy(), atol=2e-4)


def test_window_against_scipy(rng):
    from scipy.signal import ShortTimeFFT

    x, window = rng.standard_normal(100), window_of(rng, 16)
    want = ShortTimeFFT(window, 4, 1, fft_mode="onesided").stft(x, p0=2, p1=20)
    got = dl.stft(x, 16, 4, window=window, center=False, return_complex=True)
    phase = np.exp(-2j * np.pi * np.arange(9) * 8 / 16)[
        :, None
    ]  # theirs is from the middle
    np.testing.assert_allclose(got[:, :18], want * phase, atol=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_special_values(dtype, value):
    x = np.zeros(40, dtype)
    x[20] = value
    got = dl.stft(x, 8, 8, center=False)
    assert not np.isfinite(got[:, 2]).all(-1).any()
    assert not got[:, [0, 1, 3, 4]].any()


def test_same_bits_for_any_threads(threads, rng):
    x = rng.standard_normal((3, 20000)).astype("f4")
    results = []
    for count in (1, 2, 3):
        threads(count)
        t = dl.Tensor(x, requires_grad=True)
        y = dl.stft(t, 64, 16)
        z = dl.istft(y, 64, 16)
        (z * z).sum().backward()
        results.append((y.data, z.data, t.grad.data))
    for other in results[1:]:
        for a, b in zip(results[0], other):
            np.testing.assert_array_equal(a, b)


X = np.zeros(20)
Y = np.zeros((5, 6, 2))
BAD = [
    (
        lambda: dl.stft(X[:4], 8),
        ValueError,
        "at least 5 long to be padded by n_fft // 2",
    ),
    (
        lambda: dl.stft(X[:7], 8, center=False),
        ValueError,
        "at least 8 long to hold a fr",
    ),
    (lambda: dl.stft(X, 0), ValueError, "n_fft must be from 1"),
    (lambda: dl.stft(X, 8, 0), ValueError, "hop_length must be from 1"),
    (lambda: dl.stft(X, 3), ValueError, "hop_length must be from 1 to .* got 0"),
    (
        lambda: dl.stft(X, 8, win_length=9),
        ValueError,
        "win_length must be from 1 to n_",
    ),
    (lambda: dl.stft(X, 8.5), TypeError, "n_fft must be a whole number, got float"),
    (lambda: dl.stft(X, 8, window=np.ones(7)), ValueError, r"window.shape = \(7,\)"),
    (lambda: dl.stft(X, 8, window=np.ones(8, "f4")), TypeError, "must have one dtype"),
    (lambda: dl.stft(X, 8, pad_mode="edge"), ValueError, "pad_mode must be one of"),
    (lambda: dl.stft(X + 0j, 8), TypeError, "float32 or float64, got complex128"),
    (lambda: dl.stft(X > 0, 8), TypeError, "float32 or float64, got bool"),
    (lambda: dl.stft(np.array(1.0), 8), ValueError, "at least 1 axis"),
    (
        lambda: dl.stft(dl.Tensor(X), 8, return_complex=True),
        TypeError,
        "return_complex must be False for a Tensor",
    ),
    (
        lambda: dl.stft(X, 8, window=dl.Tensor(np.ones(8), requires_grad=True)),
        ValueError,
        "window must not require a gradient",
    ),
    (lambda: dl.istft(Y, 10), ValueError, r"shape \(..., 6, T, 2\) with n_fft = 10"),
    (lambda: dl.istft(Y[..., :1], 8), ValueError, "input must have shape"),
    (lambda: dl.istft(Y[:, :0], 8), ValueError, "at least 1 frame"),
    (
        lambda: dl.istft(Y, 8, 9),
        ValueError,
        "hop_length must be at most win_length = 8",
    ),
    (
        lambda: dl.istft(Y, 8, length=-1),
        ValueError,
        "length must be from 0 to 2.* got -1",
    ),
    (lambda: dl.istft(Y, 8, 8, window=np.eye(8)[0]), ValueError, "reach every element"),
    (lambda: dl.istft(Y, 8, window=np.ones(8, "f4")), TypeError, "must have one dtype"),
]


@pytest.mark.parametrize("call, error, match", BAD)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()
