"""The ops under the names of Tensor's operators and methods: ``x + y``, ``x.sum()``."""

import functools

import numpy as np

from .. import ops
from ..hooks import register_hook
from ..interop import as_numpy, call_on_arrays, export, export_device
from ..tape import backward, retain_grad
from ..tensor import Tensor, raw
from .indexing import getitem
from .whole_numbers import NUMPYS, of_whole_numbers, whole_or_raise

_METHODS = """
    add sub mul div pow matmul maximum minimum neg sign exp expm1 log log1p sqrt
    rsqrt reciprocal square erf relu leaky_relu sigmoid tanh gelu silu
    softmax log_softmax eq ne lt le gt ge isnan isinf isfinite
    sum mean var std prod max min amax amin argmax argmin norm logsumexp any all
    reshape flatten transpose permute squeeze unsqueeze expand split chunk clone
    gather scatter scatter_add index_select index_add masked_fill masked_select
    sort argsort topk cumsum cumprod addmm baddbmm
    sin cos tan asin acos atan sinh cosh asinh acosh atanh exp2 log2 log10
    floor ceil trunc round atan2 remainder fmod logaddexp lerp addcmul addcdiv
    logical_and logical_or logical_xor logical_not isclose allclose equal
    flip roll movedim select narrow unbind tile repeat_interleave tril triu diagonal
    diag outer dot nonzero
"""
for _name in _METHODS.split():
    setattr(Tensor, _name, getattr(ops, _name))
for _method in (backward, retain_grad, register_hook):
    setattr(Tensor, _method.__name__, _method)


def _operators(op, numpy):
    """``x + y`` and ``y + x``; of whole numbers alone they are NumPy's."""
    op = getattr(op, "__wrapped__", op)  # a Tensor has no short way

    def apply(self, other):
        try:
            return op(self, other)
        except TypeError as error:
            return whole_or_raise(error, numpy, self, other)

    def reflected(self, other):
        try:
            return op(other, self)
        except TypeError as error:
            return whole_or_raise(error, numpy, other, self)

    return apply, reflected


def _one_operand(op, numpy):
    op = getattr(op, "__wrapped__", op)

    @functools.wraps(op)
    def apply(self, *out, **options):
        if self.data.dtype.kind in "biu" and not (out or options):
            return of_whole_numbers(numpy, self)
        return op(self, *out, **options)

    return apply


@functools.wraps(getattr(ops.clip, "__wrapped__", ops.clip))
def _clip(self, min=None, max=None, out=None):
    given, y = [x for x in (min, max) if x is not None], None
    if self.data.dtype.kind in "iu" and given and out is None:
        y = of_whole_numbers(
            lambda a, *_: np.clip(a, raw(min), raw(max)), raw(self), *given
        )
    return ops.clip(self, min, max, out) if y is None else y


for _name, _function in NUMPYS.items():
    _apply, _reflected = _operators(getattr(ops, _name), _function)
    _name = _name.replace("div", "truediv")
    setattr(Tensor, f"__{_name}__", _apply)
    setattr(Tensor, f"__r{_name}__", _reflected)


def _getitem(self, index):
    return getitem(self, index)


def _comparable(op):
    """``x == None`` is False, as for any two objects that have nothing in common."""
    kinds = (Tensor, np.ndarray, np.generic, int, float, bool)
    return lambda self, other: (
        op(self, other) if isinstance(other, kinds) else NotImplemented
    )


# NumPy's functions of each element, by name; =op where the op has another.
_NUMPYS = """
    exp expm1 log log1p sqrt square tanh sign reciprocal maximum minimum matmul add
    subtract=sub multiply=mul divide=div power=pow negative=neg absolute=abs isnan isinf
    isfinite equal=eq not_equal=ne less=lt less_equal=le greater=gt greater_equal=ge
    sin cos tan arcsin=asin arccos=acos arctan=atan sinh cosh arcsinh=asinh
    arccosh=acosh arctanh=atanh exp2 log2 log10 floor ceil trunc arctan2=atan2 remainder
    fmod logaddexp logical_and logical_or logical_xor logical_not
"""
_UFUNCS = {
    getattr(np, name): getattr(ops, mine or name)
    for name, _, mine in (pair.partition("=") for pair in _NUMPYS.split())
}


def _array_ufunc(self, ufunc, method, *inputs, **options):
    """``np.exp(tensor)`` and ``array + tensor``: the op, with its gradient."""
    op = _UFUNCS.get(ufunc) if method == "__call__" else None
    if op is not None and not options:
        try:
            return op(*inputs)
        except TypeError as error:
            if ufunc not in NUMPYS.values():
                raise
            return whole_or_raise(error, ufunc, *inputs)
    name = ufunc.__name__ + ("" if method == "__call__" else f".{method}")
    if op is None:
        raise TypeError(
            f"np.{name}: must not be given a Tensor: use an op of dlcore, or pass "
            "x.detach().numpy()"
        )
    raise TypeError(
        f"np.{name}: options must not be given with a Tensor, got {', '.join(options)}"
        + (": for array += tensor write array = array + tensor" * ("out" in options))
    )


# NumPy's functions of whole arrays, by name; the ops know NumPy's words for options.
_FUNCTIONS = {
    getattr(np, name): getattr(ops, mine or name)
    for name, _, mine in (
        pair.partition("=")
        for pair in """
        sum mean prod amax amin any all argmax argmin concatenate stack where
        cumsum cumprod argsort einsum squeeze round isclose allclose tril triu outer
        moveaxis=movedim
        """.split()
    )
}
for _op in (ops.max, ops.min):  # NumPy's give values alone
    _FUNCTIONS[getattr(np, _op.__name__)] = lambda x, axis=None, op=_op, **options: op(
        x, axis=axis, **options
    )
_WITH_DDOF = {np.var: ops.var, np.std: ops.std}  # 0 by default in NumPy, 1 in PyTorch


def _array_function(self, function, types, args, options):
    """``np.mean(tensor)``: the op, with its gradient; others on the array."""
    op = _FUNCTIONS.get(function) or _WITH_DDOF.get(function)
    if op is None:
        mine = function.__name__ if hasattr(ops, function.__name__) else None
        return call_on_arrays(function, args, options, mine)
    if function in _WITH_DDOF:
        options = {"ddof": 0, **options}
    options = {k: v for k, v in options.items() if v is not None}
    if refused := options.keys() & {"dtype", "out", "initial", "casting", "kind"}:
        raise TypeError(
            f"np.{function.__name__}: options must not be given with a Tensor, "
            f"got {', '.join(sorted(refused))}"
        )
    return op(*args, **options)


_SPECIAL = {
    "__getitem__": _getitem,
    "__eq__": _comparable(ops.eq),
    "__ne__": _comparable(ops.ne),
    "__lt__": ops.lt,
    "__le__": ops.le,
    "__gt__": ops.gt,
    "__ge__": ops.ge,
    "__neg__": _one_operand(ops.neg, np.negative),
    **dict.fromkeys(("abs", "__abs__"), _one_operand(ops.abs, np.abs)),
    **dict.fromkeys(("clip", "clamp"), _clip),
    "__array__": as_numpy,
    "__dlpack__": export,
    "__dlpack_device__": export_device,
    "__array_ufunc__": _array_ufunc,
    "__array_function__": _array_function,
    "__pos__": lambda self: self,
    "astype": ops.to,
}
for _name, _value in _SPECIAL.items():
    setattr(Tensor, _name, _value)
