"""The ops under the names of Tensor's operators and methods: ``x + y``, ``x.sum()``."""

import numpy as np

from .. import ops
from ..grad_mode import is_grad_enabled
from ..tensor import Tensor, changed, raw
from .indexing import getitem

_METHODS = """
    add sub mul div pow matmul maximum minimum neg abs sign exp expm1 log log1p sqrt
    rsqrt reciprocal square erf clamp clip relu leaky_relu sigmoid tanh gelu silu
    softmax log_softmax eq ne lt le gt ge isnan isinf isfinite
    sum mean var std prod max min amax amin argmax argmin norm logsumexp any all
    reshape flatten transpose permute squeeze unsqueeze expand split chunk clone to
    gather scatter scatter_add index_select index_add masked_fill masked_select
    sort argsort topk cumsum cumprod
"""
for _name in _METHODS.split():
    setattr(Tensor, _name, getattr(ops, _name))


def _reflected(op):
    return lambda self, other: op(other, self)


def _in_place(op):
    """``x += y``: in x's memory, or a new tensor where the tape must see the change."""

    def apply(self, other):
        if is_grad_enabled():
            if self.requires_grad and self._node is None:
                raise RuntimeError(
                    "in place: a leaf that requires a gradient may be changed only "
                    "under dl.no_grad()"
                )
            if self.requires_grad or getattr(other, "requires_grad", False):
                return op(self, other)
        op(self.data, raw(other), out=self.data)
        changed((self,))
        return self

    return apply


for _name in ("add", "sub", "mul", "div", "pow", "matmul"):
    _op = getattr(ops, _name)
    _name = _name.replace("div", "truediv")
    setattr(Tensor, f"__{_name}__", _op)
    setattr(Tensor, f"__r{_name}__", _reflected(_op))
    setattr(Tensor, f"__i{_name}__", _in_place(_op))


def _getitem(self, index):
    return getitem(self, index)


def _setitem(self, index, value):
    if is_grad_enabled() and (
        self.requires_grad or (isinstance(value, Tensor) and value.requires_grad)
    ):
        raise RuntimeError(
            "x[index] = value: the gradient would be lost: use dl.where or dl.cat, "
            "or dl.no_grad()"
        )
    index = index if isinstance(index, tuple) else (index,)
    self.data[tuple(raw(part) for part in index)] = raw(value)
    changed((self,))


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
"""
_UFUNCS = {
    getattr(np, name): getattr(ops, mine or name)
    for name, _, mine in (pair.partition("=") for pair in _NUMPYS.split())
}


def _array_ufunc(self, ufunc, method, *inputs, **options):
    """``np.exp(tensor)`` and ``array + tensor``: the op, with its gradient."""
    op = _UFUNCS.get(ufunc) if method == "__call__" else None
    if op is not None and not options:
        return op(*inputs)
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
        sum mean prod max min amax amin any all argmax argmin concatenate stack where
        cumsum cumprod argsort einsum squeeze
        """.split()
    )
}
_WITH_DDOF = {np.var: ops.var, np.std: ops.std}  # 0 by default in NumPy, 1 in PyTorch


def _array_function(self, function, types, args, options):
    """``np.mean(tensor)``: the op, with its gradient; others as for any object."""
    op = _FUNCTIONS.get(function) or _WITH_DDOF.get(function)
    if op is None:
        return function._implementation(*args, **options)
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
    "__setitem__": _setitem,
    "__eq__": _comparable(ops.eq),
    "__ne__": _comparable(ops.ne),
    "__lt__": ops.lt,
    "__le__": ops.le,
    "__gt__": ops.gt,
    "__ge__": ops.ge,
    "__neg__": ops.neg,
    "__abs__": ops.abs,
    "__array_ufunc__": _array_ufunc,
    "__array_function__": _array_function,
    "view": ops.reshape,
    "astype": ops.to,
    "float": lambda self: ops.to(self, "float32"),
    "double": lambda self: ops.to(self, "float64"),
    "T": property(lambda self: ops.permute(self, *reversed(range(self.ndim)))),
    "mT": property(lambda self: ops.transpose(self, -2, -1)),
}
for _name, _value in _SPECIAL.items():
    setattr(Tensor, _name, _value)
