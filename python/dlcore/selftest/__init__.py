"""``python -m dlcore selftest``: every op on every instruction set of the user's CPU.

Compares with plain float64 NumPy (`checks`) and checks gradients by differences. For a
machine where something looks wrong: needs no test extras.
"""

import sys

import numpy as np

from .. import _C


def add_arguments(parser):
    """The options of ``selftest``."""
    parser.add_argument("pattern", nargs="*", help="parts of op names; default: all")


def run(args):
    """Prints a table of ops and instruction sets; returns 1 when anything failed."""
    from .checks import CHECKS

    names = dict.fromkeys(check.name for check in CHECKS)
    names = [n for n in names if not args.pattern or any(p in n for p in args.pattern)]
    if not names:
        print(f"selftest: no op matches {' '.join(args.pattern)!r}", file=sys.stderr)
        return 2
    isas = _C.isas()
    print(f"{_C.cpu_name()}: largest error, in roundings of float32")
    print(f"{'op':<20}" + "".join(f"{isa:>14}" for isa in isas), flush=True)
    before, failed = _C.isa(), 0
    try:
        for name in names:
            mine = [check for check in CHECKS if check.name == name]
            cells, reasons = [], {}
            for isa in isas:
                _C.set_isa(isa)
                try:
                    cells.append(f"ok {max(map(examine, mine)):8.3g}")
                except Exception as error:  # whatever an op does, the rest is checked
                    cells.append("FAILED")
                    reason = f"{type(error).__name__}: {error}".splitlines()[0]
                    reasons.setdefault(reason, []).append(isa)
            print(f"{name:<20}" + "".join(f"{c:>14}" for c in cells))
            for reason, where in reasons.items():
                print(f"    {', '.join(where)}: {reason}")
            sys.stdout.flush()
            failed += bool(reasons)
    finally:
        _C.set_isa(before)
    print(f"{len(names) - failed} of {len(names)} ops passed on {', '.join(isas)}")
    return 1 if failed else 0


def examine(check):
    """The largest error of float32 in its roundings; AssertionError past the bound."""
    from ..testing import gradcheck

    for dtype in (np.float64, np.float32):
        inputs = check.inputs(np.random.default_rng(3))
        inputs = [x.astype(dtype) if x.dtype.kind == "f" else x for x in inputs]
        want = check.reference(*(_wide(x) for x in inputs))
        got = check.call(*inputs)
        worst = max(map(_error, _as_tuple(got), _as_tuple(want)), default=0.0)
        if not worst <= check.bound:
            raise AssertionError(
                f"{np.dtype(dtype)}: error of {worst:.3g} roundings of the largest "
                f"value, allowed {check.bound:g}"
            )
    if check.gradient:
        floats = check.inputs(np.random.default_rng(4))
        gradcheck(check.call, *floats)
    return worst


def _wide(x):
    return x.astype(np.float64) if x.dtype.kind == "f" else x


def _as_tuple(result):
    return tuple(result) if isinstance(result, tuple | list) else (result,)


def _error(got, want):
    got, want = np.asarray(getattr(got, "data", got)), np.asarray(want)
    if got.shape != want.shape:
        raise AssertionError(f"shape {got.shape}, expected {want.shape}")
    if got.dtype.kind != "f":
        return float((got != want).sum())
    scale = np.abs(want).max(initial=0.0) or 1.0
    return float(np.abs(got - want).max(initial=0.0) / scale / np.finfo(got.dtype).eps)
