"""The walk that is recorded: gradients as Tensors that have gradients themselves.

An op's backward works on arrays and leaves no trace. Here a rule takes its place,
found by the name of the function that made the backward: it computes the same gradients
by ops, from the op's inputs and from what the backward keeps. So the tape pays nothing
for second derivatives until somebody asks for them.
"""

from contextlib import nullcontext
from functools import partial
from heapq import heappop, heappush
from types import SimpleNamespace

from .. import _C, ops
from ..grad_mode import _mode, enable_grad
from ..hooks import Hooked
from ..tape import _YOUNGEST, refuse_changed, refuse_written, sum_to
from ..tensor import Tensor, _used, op_name, record
from ..wanted import LeafSums, Wanted
from ..writes import writes

add = ops.add
_rules: dict = {}  # by "mul" or "conv._convolve", who made the backward


def rule(*names):
    """Make a function the rule of the backwards that these functions of `ops` make.

    It is called with the gradient (a Tensor), the inputs of the op, and a namespace of
    what the backward keeps; it returns for each input a gradient, a function that makes
    it when it is needed, or None.
    """

    def of(function):
        _rules.update(dict.fromkeys(names, function))
        return function

    return of


def walk(ages, waiting, sink, wanted, retain_graph):
    """As `dlcore.tape.walk`, with Tensors for gradients."""
    anomaly, written = _mode.anomaly, writes.youngest
    with enable_grad(), nullcontext() if anomaly is None else anomaly.in_backward():
        while ages:
            tensor, dy = waiting.pop(heappop(ages))
            node = tensor._node
            parents, backward, made, changed_at = node
            if changed_at < made:
                refuse_changed(tensor)
            if written < made:
                refuse_written(made, tensor, parents)
            if wanted is not None:
                dy, backward = wanted.arrived(tensor, dy)
                if backward is None:
                    continue
            elif type(backward) is Hooked:
                dy, backward = backward.seen(dy), backward.backward
            if backward is _used:
                _used(dy)
            need = [_is_needed(parent, wanted) for parent in parents]
            slopes = _slopes(backward, dy, parents, need, tensor)
            if not retain_graph:
                node[:3] = (op_name(node),), _used, _YOUNGEST
            for parent, dx in zip(parents, slopes, strict=True):
                if isinstance(parent, Tensor) and parent._changed < made:
                    refuse_changed(parent)
                if dx is None or not _is_needed(parent, wanted):
                    continue
                dx = dx() if callable(dx) else dx
                dx = sum_to(dx, parent.data.shape, ops.sum)
                if anomaly is not None:
                    anomaly.examine(backward, made, (dx,))
                if parent._node is None:
                    sink(parent, dx, False)
                    continue
                age = parent._node[2]
                if age in waiting:
                    dx = add(waiting[age][1], dx)
                else:
                    heappush(ages, age)
                waiting[age] = parent, dx


def _is_needed(parent, wanted):
    if not isinstance(parent, Tensor) or not parent.requires_grad:
        return False
    return wanted is None or wanted.leads(parent)


def _slopes(backward, dy, parents, need, result):
    of_its_own = getattr(backward, "recorded", None)
    if of_its_own is not None:
        return of_its_own(dy)
    root, kept = backward.__qualname__.split(".")[0], _kept(backward)
    package, _, module = backward.__module__.rpartition(".")
    own = package in (ops.__name__, __package__)
    by_rule = own and (_rules.get(f"{module}.{root}") or _rules.get(root))
    if not by_rule:
        raise NotImplementedError(
            f"create_graph: {getattr(kept, 'op', root)} must have a second derivative, "
            "and has none: compose it of other ops, or write an autograd.Function"
        )
    # The result that stands for a shadow has no values.
    kept.result = None if isinstance(result.data.base, bytes) else result
    return by_rule(dy, parents, kept, need)


def result_of(kept, op, *arguments):
    """The result of the op, whose gradient goes through it; computed if need be."""
    return op(*arguments) if kept.result is None else kept.result


def _kept(backward):
    """What a function captured or has as defaults, by name."""
    code = backward.__code__
    cells = [cell.cell_contents for cell in backward.__closure__ or ()]
    kept = dict(zip(code.co_freevars, cells, strict=True))
    defaults = backward.__defaults__ or ()
    arguments = code.co_varnames[: code.co_argcount]
    kept.update(zip(arguments[len(arguments) - len(defaults) :], defaults, strict=True))
    kept.update(looks_up=code.co_names, backward=backward)
    return SimpleNamespace(**kept)


# -- what most rules are made of --


def composite(f):
    """The rule of an op that ``f(kept, *inputs)`` does once more, by ops with rules.

    Backward goes through it; ``kept.shape`` is the shape of the result.
    """

    def slopes(dy, parents, kept, need):
        kept.shape = dy.shape
        doubles = [_double(p) if n else p for p, n in zip(parents, need, strict=True)]
        y = f(kept, *doubles)
        inputs = [d for d, n in zip(doubles, need, strict=True) if n]
        others = [
            p
            for p, n in zip(parents, need, strict=True)
            if not n and isinstance(p, Tensor) and p.requires_grad
        ]
        wanted, sums = Wanted(inputs, others), LeafSums()
        if y._node is not None:
            age = y._node[2]
            walk([age], {age: (y, dy)}, sums, wanted, True)
        return [wanted.found(d) if n else None for d, n in zip(doubles, need)]

    return slopes


def _double(x):
    """The same tensor as the result of an op, where a walk can end."""
    return record(x.data, (x,), lambda dy: (dy,))


@rule("recorded._double")
def _(dy, parents, kept, need):
    return (dy,)


def linear_map(there, back, x):
    """An op that is linear in `x`: the arrays ``there(x)``, with gradient ``back``."""

    def backward(dy, there=there, back=back):
        return (back(dy),)

    return record(there(x.data), (x,), backward)


@rule("recorded.linear_map")
def _(dy, parents, kept, need):
    return (linear_map(kept.back, kept.there, dy),)


def trilinear(kernels, i, a, b):
    """One of three functions that are the gradients of one form, linear in each input.

    ``kernels[i](a, b)`` is the form's gradient by its input i, where `a` is the input
    after it and `b` that before it, in a circle: of a convolution these are the result,
    the gradient of `x` and that of the weight.
    """
    j, k = (i + 1) % 3, (i + 2) % 3
    p, q = a.data, b.data

    def backward(dy, kernels=kernels, i=i):
        return kernels[j](q, dy), kernels[k](dy, p)

    return record(kernels[i](p, q), (a, b), backward)


@rule("recorded.trilinear")
def _(dy, parents, kept, need):
    a, b = map(tensor, parents)
    return (
        partial(trilinear, kept.kernels, kept.j, b, dy),
        partial(trilinear, kept.kernels, kept.k, dy, a),
    )


def softplus(x):
    """``log(1 + exp(x))``, which formulas need and no op need have."""
    a = tensor(x).data
    y = _C.add(_C.relu_forward(a), _C.log1p(_C.exp(_C.neg(_C.abs(a)))))
    return record(y, (x,), lambda dy, a=a: (_C.mul(dy, _C.sigmoid_forward(a)),))


@rule("recorded.softplus")
def _(dy, parents, kept, need):
    return (dy * ops.sigmoid(parents[0]),)


def tensor(x):
    """A constant for those that take only Tensors."""
    return x if isinstance(x, Tensor) else Tensor(x)
