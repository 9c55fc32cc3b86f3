"""Spectra of speech: a batch of signals at 16 kHz."""

from .case import F32, Case


def signals():
    batch, length = 16, 80_000  # five seconds
    reasons = (
        ("stft", 400, 160, "frames of 25 ms, 10 ms apart: speech recognition"),
        ("stft", 1024, 256, "a power of two, a quarter apart: speech synthesis"),
        ("melspectrogram", 400, 160, "what an acoustic model is given"),
    )
    for op, n_fft, hop, why in reasons:
        for mode in ("fwd", "fwd+bwd"):
            frames, both = length // hop + 1, mode != "fwd"
            rows = 2 * (n_fft // 2 + 1) if op == "stft" else 80
            out = F32 * batch * frames * rows
            yield Case(
                "signal",
                f"{op} {mode}",
                op,
                f"{op} ({batch},{length}) n{n_fft} hop{hop}",
                why,
                mode,
                {"batch": batch, "length": length, "n_fft": n_fft, "hop": hop},
                reads=F32 * batch * length + both * out,
                writes=out + both * F32 * batch * length,
            )
