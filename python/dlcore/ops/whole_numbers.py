"""Operators of whole numbers and bools, counts and indices: NumPy computes them."""

import operator

import numpy as np

from ..tensor import Tensor, _constant, raw
from .inputs import array_of

NUMPYS = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "pow": np.power,
    "matmul": np.matmul,
}


def of_whole_numbers(function, *operands):
    """NumPy's result of integers, bools and numbers, floating ones as float32.

    None where an operand is of floating point or no number at all.
    """
    arrays = [raw(x) for x in operands]
    if not all(map(_is_whole, arrays)):
        return None
    with np.errstate(all="ignore"):
        y = array_of(function(*arrays))
    return _constant(y.astype(np.float32) if y.dtype.kind == "f" else y)


def _is_whole(x):
    if isinstance(x, (int, float, np.floating)):
        return True
    return isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "biu"


def whole_or_raise(error, function, *operands):
    """`of_whole_numbers`, or the op's error, whose cure names the other's dtype."""
    if (y := of_whole_numbers(function, *operands)) is not None:
        return y
    if any(getattr(x, "dtype", None) == np.float64 for x in operands):
        error = TypeError(str(error).replace("'float32'", "'float64'"))
    raise error from None


def _of_floats(name, x, y):
    """``x % y`` and ``x // y``, whose ops are above this file."""
    from .. import ops

    return ops.remainder(x, y) if name == "mod" else ops.floor(ops.div(x, y))


def _operator(name, function, reflected=False):
    """An operator of whole numbers; ``%`` and ``//`` are those of floats too."""

    def apply(self, *others):
        given = [*others, self] if reflected else [self, *others]
        if name in ("mod", "floordiv"):
            y = of_whole_numbers(function, *given)
            return _of_floats(name, *given) if y is None else y
        if any(
            isinstance(x, (float, np.floating)) or not _is_whole(raw(x)) for x in given
        ):
            raise TypeError(
                f"{name}: both must be bool or integer, got "
                f"{', '.join(str(np.asarray(raw(x)).dtype) for x in given)}"
            )
        return of_whole_numbers(function, *given)

    return apply


for _name in ("and", "or", "xor", "floordiv", "mod"):
    _function = getattr(operator, f"__{_name}__")
    setattr(Tensor, f"__{_name}__", _operator(_name, _function))
    setattr(Tensor, f"__r{_name}__", _operator(_name, _function, True))
setattr(Tensor, "__invert__", _operator("invert", operator.__invert__))  # noqa: B010
