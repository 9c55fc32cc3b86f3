"""One element at a time, sums, dropout, calls that are nothing but overhead."""

from .case import F32, Case


def elementwise():
    for n in (100_000, 10_000_000):
        why = (
            "fits the caches"
            if n < 1_000_000
            else "bound by memory, and by fresh pages"
        )
        for mode in ("fwd", "out="):
            for op in ("relu", "gelu", "sigmoid", "tanh", "exp"):
                yield Case(
                    "elementwise",
                    f"elementwise {n:.0e} {mode}".replace("+0", ""),
                    "unary",
                    f"{op} {n:.0e}".replace("+0", ""),
                    why,
                    mode,
                    {"op": op, "n": n},
                    peers=("torch",) if op == "gelu" else ("numpy", "torch"),
                    reads=F32 * n,
                    writes=F32 * n,
                )
    for mode in ("fwd", "out="):
        yield Case(
            "elementwise",
            "elementwise other",
            "add",
            "add 1e7",
            "two inputs, one output",
            mode,
            {"n": 10_000_000},
            peers=("numpy", "torch"),
            reads=2 * F32 * 1e7,
            writes=F32 * 1e7,
        )
    yield Case(
        "elementwise",
        "elementwise other",
        "add_rows",
        "add (4096,1000)+(1000,)",
        "a bias: one row broadcast",
        sizes={"rows": 4096, "cols": 1000},
        peers=("numpy", "torch"),
        reads=F32 * 4096e3,
        writes=F32 * 4096e3,
    )
    for axis in (None, 0, 1):
        yield Case(
            "elementwise",
            "elementwise other",
            "sum",
            f"sum (4096,1000) axis {axis}",
            "whole, down the columns, along the rows",
            sizes={"rows": 4096, "cols": 1000, "axis": axis},
            peers=("numpy", "torch"),
            reads=F32 * 4096e3,
            tolerance=1e-4,
        )
    yield Case(
        "elementwise",
        "elementwise other",
        "dropout",
        "dropout p=0.5 1e6",
        "random numbers, one a value",
        sizes={"n": 1_000_000},
        peers=("numpy", "torch"),
        reads=F32 * 1e6,
        writes=F32 * 1e6,
        tolerance=1e-2,
    )


def calls():
    for op in ("relu", "add", "maximum", "exp", "softmax"):
        yield Case(
            "call",
            "call",
            "call",
            f"{op} on 16 elements",
            "what a call costs before any arithmetic",
            sizes={"op": op},
            peers=("torch",) if op == "softmax" else ("numpy", "torch"),
        )
