"""Activations with settings, gated and learned ones; the plain ones are elementwise."""

from .case import F32, Case


def activations():
    """Channels of feature maps that fit the caches."""
    shape = (16, 64, 1024)  # 1M numbers
    n = F32 * 1024 * 1024
    for op in ("elu", "softplus", "mish", "hardswish", "glu", "prelu"):
        for mode in ("fwd", "fwd+bwd"):
            out = n / 2 if op == "glu" else n
            yield Case(
                "activation",
                f"activation {mode}",
                "activation",
                op,
                "a formula of several pieces, two inputs or learned slopes",
                mode,
                {"op": op, "shape": shape},
                reads=n if mode == "fwd" else 2 * n + out,
                writes=out if mode == "fwd" else n + out,
                tolerance=1e-4 if op == "prelu" else 1e-5,
            )
