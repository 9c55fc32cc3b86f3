"""The ops under the names of Tensor's operators and methods: ``x + y``, ``x.sum()``."""

from .. import ops
from ..grad_mode import is_grad_enabled
from ..tensor import Tensor, raw
from .indexing import getitem

_METHODS = """
abs exp log sqrt relu sigmoid tanh gelu silu leaky_relu softmax log_softmax
add sub mul div pow neg matmul maximum minimum clamp
sum mean var std prod max min amax amin argmax argmin any all
reshape flatten transpose permute squeeze unsqueeze expand split chunk clone to
""".split()

for _name in _METHODS:
    if hasattr(ops, _name):
        setattr(Tensor, _name, getattr(ops, _name))


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
        return self

    return apply


_OPERATORS = {"add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "pow": "pow"}
for _name, _op in _OPERATORS.items():
    if hasattr(ops, _op):
        _op = getattr(ops, _op)
        setattr(Tensor, f"__{_name}__", _op)
        setattr(Tensor, f"__r{_name}__", _reflected(_op))
        setattr(Tensor, f"__i{_name}__", _in_place(_op))

Tensor.__getitem__ = _getitem
Tensor.__setitem__ = _setitem
Tensor.view = ops.reshape
Tensor.float = lambda self: ops.to(self, "float32")
Tensor.double = lambda self: ops.to(self, "float64")
Tensor.T = property(lambda self: ops.permute(self, *reversed(range(self.ndim))))
Tensor.mT = property(lambda self: ops.transpose(self, -2, -1))
