"""CTC loss from scores, by way of log-softmax."""

from .case import F32, Case


def ctcs():
    reasons = (
        ((200, 32, 64, 40), "characters of short utterances"),
        ((800, 8, 1000, 120), "word pieces of long ones"),
    )
    for (steps, batch, classes, labels), why in reasons:
        for mode in ("fwd", "fwd+bwd"):
            n = F32 * steps * batch * classes
            both = mode != "fwd"
            yield Case(
                "ctc",
                "ctc " + mode,
                "ctc_loss",
                f"ctc_loss ({steps},{batch},{classes}) S{labels}",
                why,
                mode,
                {"shape": (steps, batch, classes), "labels": labels},
                reads=n,
                writes=n * both,
                tolerance=1e-2,  # rounding of sums that grow with the steps
            )
