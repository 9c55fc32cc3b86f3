"""Functions of each element that NumPy computes: no network spends its time in them.

Their gradients are made of ops, so that they have gradients themselves.
"""

import math
from collections.abc import Callable

import numpy as np

from .. import _C
from ..tensor import raw, record
from .activation import sigmoid
from .arithmetic import add, div, mul, sub
from .compare import eq, where
from .elementwise import neg, reciprocal, rsqrt, square
from .inputs import array_of, plain, wants
from .shape import as_array, whole

SLOPES: dict[
    str, Callable | None
] = {}  # of `sin` and its like: what makes the slope at x; None where it is 0


def _curve(name, compute, what, slope=None, at=0.5) -> Callable:
    """A function of one array; `at` is where its docstring shows it."""

    def function(x, out=None):
        a = _floats(name, x, whole=slope is None)
        y = _put(name, _quietly(compute if a.dtype.kind == "f" else np.copy, a), x, out)

        def backward(dy, slope=slope):
            return (_C.mul(dy, 0.0 if slope is None else slope(a)),)

        backward.__qualname__ = name
        return record(y, (x,), backward)

    SLOPES[name] = slope
    what += "." if slope else ". The gradient is 0."
    kinds = "float32 or float64" + ", or integers as they are" * (slope is None)
    what = f"{what}\n\nOf {kinds}. `out` is where to put it, for arrays."
    return _named(function, name, what, compute, at)


def _pair(name, compute, what, slopes) -> Callable:
    """A function of two arrays; slope None stands for 1."""

    def function(a, b, out=None):
        p, q = _two(name, a, b)
        y = _put(name, _quietly(compute, p, q), (a, b), out)

        def backward(dy, slopes=slopes):
            return [
                None if not wants(x) else dy if slope is None else _C.mul(dy, slope)
                for x, slope in zip((a, b), slopes(p, q), strict=True)
            ]

        backward.__qualname__ = name
        return record(y, (a, b), backward)

    what += ".\n\nAs `add` for the arguments."
    return _named(function, name, what, compute, -5.0, 3.0)


def _truth(name, compute, what):
    def apply(*inputs):
        arrays = [_real(name, x) for x in inputs]
        _check_broadcast(name, *arrays)
        return plain(compute(*arrays), *inputs)

    one, two = (lambda x: apply(x)), (lambda a, b: apply(a, b))
    function = one if compute.nin == 1 else two
    what += ", as bool.\n\nOf real numbers or bools."
    return _named(function, name, what, compute, *[0.5, 0.0][: compute.nin])


def _named(function, name, what, compute, *at):
    """As if the function were written out, with an example."""
    function.__name__ = function.__qualname__ = name
    function.__code__ = function.__code__.replace(co_name=name)  # for tracebacks
    at = ", ".join(f"np.array([{x}])" for x in at)
    function.__doc__ = (
        f"{what}\n\nExamples\n--------\n>>> import numpy as np\n"
        f">>> import dlcore as dl\n>>> dl.{name}({at}) == np.{compute.__name__}({at})\n"
        "array([ True])\n"
    )
    return function


def _asin_slope(x):
    return rsqrt(sub(1.0, square(x)))


def _squares(a, b):
    """Their sum, and 1 for 0, by which the slope of `atan2` is then 0."""
    y = add(mul(a, a), mul(b, b))
    return where(eq(y, 0.0), 1.0, y)


sin = _curve("sin", np.sin, "Sine", lambda x: cos(x))
cos: Callable = _curve("cos", np.cos, "Cosine", lambda x: neg(sin(x)))
tan: Callable = _curve("tan", np.tan, "Tangent", lambda x: add(square(tan(x)), 1.0))
asin = _curve("asin", np.arcsin, "Inverse sine; NaN beyond -1 and 1", _asin_slope)
acos = _curve(
    "acos",
    np.arccos,
    "Inverse cosine; NaN beyond -1 and 1",
    lambda x: neg(_asin_slope(x)),
)
atan = _curve(
    "atan",
    np.arctan,
    "Inverse tangent",
    lambda x: reciprocal(add(square(x), 1.0)),
)
sinh = _curve("sinh", np.sinh, "Hyperbolic sine", lambda x: cosh(x))
cosh: Callable = _curve("cosh", np.cosh, "Hyperbolic cosine", lambda x: sinh(x))
asinh = _curve(
    "asinh",
    np.arcsinh,
    "Inverse hyperbolic sine",
    lambda x: rsqrt(add(square(x), 1.0)),
)
acosh = _curve(
    "acosh",
    np.arccosh,
    "Inverse hyperbolic cosine; NaN below 1",
    lambda x: rsqrt(sub(square(x), 1.0)),
    1.5,
)
atanh = _curve(
    "atanh",
    np.arctanh,
    "Inverse hyperbolic tangent; NaN beyond -1 and 1",
    lambda x: reciprocal(sub(1.0, square(x))),
)
exp2: Callable = _curve(
    "exp2", np.exp2, "2 to the power of `x`", lambda x: mul(exp2(x), math.log(2))
)
log2 = _curve(
    "log2",
    np.log2,
    "Logarithm to the base 2; -inf at 0, NaN below",
    lambda x: reciprocal(mul(x, math.log(2))),
)
log10 = _curve(
    "log10",
    np.log10,
    "Logarithm to the base 10; -inf at 0, NaN below",
    lambda x: reciprocal(mul(x, math.log(10))),
)
floor = _curve("floor", np.floor, "The next whole number below")
ceil = _curve("ceil", np.ceil, "The next whole number above")
trunc = _curve("trunc", np.trunc, "The next whole number towards 0")
atan2 = _pair(
    "atan2",
    np.arctan2,
    "Angle of the point (b, a), from -pi to pi; the gradient is 0 at (0, 0)",
    lambda a, b: (div(b, _squares(a, b)), div(neg(a), _squares(a, b))),
)
remainder = _pair(
    "remainder",
    np.remainder,
    "What is left of `a` after whole parts of `b`, with the sign of `b`",
    lambda a, b: (None, neg(floor(div(a, b)))),
)
fmod = _pair(
    "fmod",
    np.fmod,
    "What is left of `a` after whole parts of `b`, with the sign of `a`",
    lambda a, b: (None, neg(trunc(div(a, b)))),
)
logaddexp = _pair(
    "logaddexp",
    np.logaddexp,
    "``log(exp(a) + exp(b))`` without overflow",
    lambda a, b: (sigmoid(sub(a, b)), sigmoid(sub(b, a))),
)
PAIRS = "atan2", "remainder", "fmod", "logaddexp"
logical_and = _truth("logical_and", np.logical_and, "Whether both are other than 0")
logical_or = _truth("logical_or", np.logical_or, "Whether one is other than 0")
logical_xor = _truth("logical_xor", np.logical_xor, "Whether one alone is other than 0")
logical_not = _truth("logical_not", np.logical_not, "Whether it is 0")


def round(x, decimals=0, out=None):
    """The nearest whole number, or the nearest of so many decimals; 0.5 to the even.

    The gradient is 0.

    Parameters
    ----------
    x : ndarray or Tensor, any shape
        float32 or float64, or integers.
    decimals : int, optional
        Negative ones round to tens, hundreds and so on.
    out : ndarray, optional
        Where to put the result (arrays only); may be `x`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.round(np.array([0.5, 1.5, -1.2]))
    array([ 0.,  2., -1.])
    """
    a, decimals = _floats("round", x, whole=True), whole("round", "decimals", decimals)
    if not -330 < decimals < 330:
        raise ValueError(f"round: decimals must be from -329 to 329, got {decimals}")
    y = _quietly(np.round, a, decimals)
    y = _put("round", y.copy() if y is a else y, x, out)
    return record(y, (x,), lambda dy: (_C.mul(dy, 0.0),))


def isclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether elements are close, ``abs(a - b) <= atol + rtol * abs(b)``, as bool.

    Parameters
    ----------
    a, b : ndarray, Tensor or number
        Shapes broadcast.
    rtol, atol : float, optional
        How far apart they may be.
    equal_nan : bool, optional
        Whether NaN is close to NaN.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.isclose(np.array([1.0, 2.0]), np.array([1.0 + 1e-9, 2.1]))
    array([ True, False])
    """
    p, q = _real("isclose", a), _real("isclose", b)
    _check_broadcast("isclose", p, q)
    for name, bound in (("rtol", rtol), ("atol", atol)):
        if not isinstance(bound, (int, float, np.number)) or not bound >= 0:
            raise ValueError(f"isclose: {name} must be a number of at least 0")
    bounds = float(rtol), float(atol)
    return plain(_quietly(np.isclose, p, q, *bounds, bool(equal_nan)), a, b)


def allclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether all elements are close, as a bool of Python. As `isclose`."""
    return bool(raw(isclose(a, b, rtol, atol, equal_nan)).all())


def equal(a, b):
    """Whether shape and all elements are the same, as a bool of Python."""
    return bool(np.array_equal(_real("equal", a), _real("equal", b)))


def _quietly(function, *arrays):
    """NumPy's result, without its warnings, as an array where it is a number."""
    with np.errstate(all="ignore"):
        return np.asanyarray(function(*arrays))  # one that `optimize` follows stays so


def _put(op, y, inputs, out):
    """The result, or `out` with it."""
    if out is None:
        return y
    for x in inputs if isinstance(inputs, tuple) else (inputs,):
        raw(x, out)  # which refuses where a gradient is recorded
    if not isinstance(out, np.ndarray) or as_array(op, out, "out").dtype != y.dtype:
        kind = getattr(out, "dtype", type(out).__name__)
        raise TypeError(f"{op}: out must be an array of {y.dtype}, got {kind}")
    if out.shape != y.shape or not out.flags.writeable:
        raise ValueError(
            f"{op}: out must be writable, of shape {y.shape}, got {out.shape}"
        )
    out[...] = y
    return out


def _floats(op, x, name="x", kind="float32", whole=False):
    a = as_array(op, x, name)
    if a.dtype.char not in "fd" and not (whole and a.dtype.kind in "iu"):
        cure = f": cast with {name}.astype('{kind}')" * (a.dtype.kind in "biuf")
        raise TypeError(f"{op}: {name} must be float32 or float64, got {a.dtype}{cure}")
    return a


def _real(op, x):
    a = np.asarray(x) if isinstance(x, (int, float)) else as_array(op, x)
    if a.dtype.kind not in "fiub":
        raise TypeError(f"{op}: x must hold real numbers, got {a.dtype}")
    return a


def _two(op, a, b):
    """Two arrays of one dtype, a number as an array of the other's."""
    given = {"a": a, "b": b}
    is_double = any(getattr(x, "dtype", None) == np.float64 for x in (a, b))
    other = "float64" if is_double else "float32"
    given = {n: x for n, x in given.items() if not isinstance(x, (int, float))} or {
        n: x for n, x in given.items() if isinstance(x, np.generic)
    }
    arrays = [_floats(op, x, n, other) for n, x in given.items()]
    if len({x.dtype for x in arrays}) != 1:
        kinds = ", ".join(str(x.dtype) for x in arrays) or "two numbers"
        cure = ": cast with .astype" * (len(arrays) > 1)
        raise TypeError(f"{op}: a and b must be arrays of one dtype, got {kinds}{cure}")
    _check_broadcast(op, *arrays)
    kind = arrays[0].dtype
    return [array_of(raw(x)).astype(kind, copy=False) for x in (a, b)]


def _check_broadcast(op, *arrays):
    try:
        np.broadcast_shapes(*(a.shape for a in arrays))
    except (ValueError, RuntimeError):  # the latter for more axes than NumPy has
        shapes = ", ".join(str(a.shape) for a in arrays)
        raise ValueError(f"{op}: the shapes must broadcast, got {shapes}") from None
