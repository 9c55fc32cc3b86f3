"""The walk over the tape: `Tensor.backward`, `grad`, hooks.

A tensor is made after its parents, so the walk visits the nodes youngest first and
needs no other order. Un-broadcasting and adding up happen here and nowhere else. With
``create_graph=True`` `dlcore.autograd.recorded` walks in its place, on Tensors.
"""

import importlib
import math
import os
import threading
from heapq import heappop, heappush
from sys import getrefcount

import numpy as np

from . import _C
from .convert import gradients_dtype
from .grad_mode import _mode, anomalies
from .hooks import hooked, hooked_leaves
from .tensor import Tensor, _constant, _used, raw
from .wanted import LeafSums, Wanted
from .writes import writes

_accumulating = threading.Lock()


def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
    """Add the gradient of this tensor to the `grad` of every leaf it depends on.

    Parameters
    ----------
    gradient : array_like, optional
        Gradient of the final result with respect to this tensor, of its shape.
        May be left out for a tensor of one element, where it is 1.
    retain_graph : bool, optional
        Keep what the ops saved, so that backward may run again. Default is
        `create_graph`.
    create_graph : bool, optional
        Record the gradients themselves, so that they have gradients.
    inputs : Tensor or sequence of Tensor, optional
        Where to leave gradients; nothing is done for others. Default is all leaves.

    Raises
    ------
    RuntimeError
        If nothing here needs a gradient, or a part of the graph was used already.
    ValueError
        If `gradient` has another shape.
    NotImplementedError
        If `create_graph` meets an op without a second derivative.
    """
    dy = first_gradient("backward", self, gradient, create_graph)
    node = self._node
    if inputs is None and not create_graph and not hooked_leaves and node is not None:
        age = node[2]
        walk([age], {age: (self, dy)}, accumulate, None, retain_graph)
    else:
        start([self], [dy], retain_graph, create_graph, inputs)


def start(tensors, gradients, retain_graph, create_graph, inputs):
    """Walk from several tensors and leave the gradients in `grad`."""
    if inputs is not None:
        inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
        if not inputs:
            raise RuntimeError("backward: inputs must not be empty")
        found = gradients_of(
            "backward", tensors, inputs, gradients, retain_graph, create_graph
        )
        for x, dx in zip(inputs, found, strict=True):
            if dx is not None:
                accumulate_recorded(x, dx, False)
        return
    sums = LeafSums(None if create_graph else accumulate)
    _walk_from(tensors, gradients, sums, None, retain_graph, create_graph)
    for leaf, dx, _ in sums.leave():
        accumulate_recorded(leaf, dx, False)


def gradients_of(op, outputs, inputs, gradients, retain_graph, create_graph):
    """The gradients with respect to `inputs`, as arrays or (recorded) Tensors."""
    for x in inputs:
        if not isinstance(x, Tensor) or not x.requires_grad:
            raise RuntimeError(f"{op}: each of inputs must be a Tensor with a gradient")
    wanted, sums = Wanted(inputs), LeafSums()
    _walk_from(outputs, gradients, sums, wanted, retain_graph, create_graph)
    for leaf, dx, unshared in sums.leave():
        wanted.put(leaf, dx if unshared or create_graph else dx.copy())
    return [wanted.found(x) for x in inputs]


def _walk_from(tensors, gradients, sums, wanted, retain_graph, create_graph):
    waiting = {}
    total = _recorded().add if create_graph else _C.add
    sums.add = total
    for tensor, dy in zip(tensors, gradients, strict=True):
        if wanted is not None and not wanted.leads(tensor):
            continue
        if tensor._node is None:
            sums(tensor, dy, False)
            continue
        age = tensor._node[2]
        if age in waiting:
            dy = total(waiting[age][1], dy)
        waiting[age] = tensor, dy
    retain_graph = create_graph if retain_graph is None else retain_graph
    way = _recorded().walk if create_graph else walk
    way(sorted(waiting), waiting, sums, wanted, retain_graph)


def _recorded():
    """The walk that is recorded: made of ops, which stand on this file."""
    return importlib.import_module(".autograd.recorded", __package__)


def first_gradient(op, tensor, gradient, create_graph):
    """The gradient to start from, checked."""
    if not tensor.requires_grad:
        raise RuntimeError(
            f"{op}: no gradient was recorded: make a leaf requires_grad=True"
        )
    y = tensor._data
    dtype = gradients_dtype(y.dtype)
    if gradient is None:
        if y.size != 1:
            raise RuntimeError(
                f"{op}: gradient must be given for more than one element, "
                f"got shape {y.shape}: call .sum() or .mean() first"
            )
        dy = np.ones_like(y, dtype)
    else:
        dy = np.asarray(raw(gradient), dtype=dtype)
        if dy.shape != y.shape:
            raise ValueError(
                f"{op}: gradient must have shape {y.shape}, got {dy.shape}"
            )
    if not create_graph:
        return dy
    same = isinstance(gradient, Tensor) and gradient.dtype == dtype
    return gradient if same else _constant(dy)


def walk(ages, waiting, sink, wanted, retain_graph):
    """Visit the nodes from the youngest to the oldest.

    Parameters
    ----------
    ages : list of int
        The keys of `waiting`, as a heap.
    waiting : dict
        Age of a node: its tensor and the gradient that reached it so far.
    sink : callable
        ``sink(leaf, dx, unshared)`` for each gradient of a leaf.
    wanted : Wanted or None
        Which gradients are asked for; None for those of all leaves.
    retain_graph : bool
        Whether the nodes stay as they are.
    """
    own = set()  # ages whose gradient is an array of this walk: added to in place
    anomaly, written = _mode.anomaly if anomalies else None, writes.youngest
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
        del tensor  # backward may not need its array
        if anomaly is not None:
            backward = anomaly.examined(backward, made)
        if not retain_graph:
            node[:3] = (backward.__qualname__,), _used, _YOUNGEST
        for parent, dx in zip(parents, backward(dy), strict=True):
            if not isinstance(parent, Tensor):
                continue
            if parent._changed < made:
                refuse_changed(parent)
            if dx is None or not parent.requires_grad:
                continue
            if wanted is not None and not wanted.leads(parent):
                continue
            if dx.shape != parent._data.shape:
                dx = sum_to(dx, parent._data.shape)
            node = parent._node
            if node is None:
                unshared = getrefcount(dx) <= _UNSHARED
                sink(parent, dx, unshared)
                continue
            age = node[2]
            if age not in waiting:
                waiting[age] = parent, dx
                heappush(ages, age)
                continue
            before = waiting[age][1]
            if age in own:
                _C.add(before, dx, before)
                continue
            unshared = getrefcount(dx) <= _UNSHARED and _is_whole(dx)
            waiting[age] = parent, _C.add(before, dx, dx if unshared else None)
            own.add(age)


_YOUNGEST = -math.inf  # a used node is found before anything is added up


def _is_whole(array):
    """Whether nothing but the array itself keeps its memory."""
    return array.flags.carray and not isinstance(array.base, np.ndarray)


def _references():
    for _, dx in zip((None,), (lambda: (np.empty(0),))(), strict=True):
        return getrefcount(dx)


# What getrefcount says in the loop of `walk` of an array that nobody else keeps. Such a
# one becomes a leaf's grad without a copy; one that an op saved or gave twice cannot.
_UNSHARED = _references()


def sum_to(dy, shape, total=None):
    """The gradient of broadcasting from `shape` to ``dy.shape``; by another sum."""
    extra = dy.ndim - len(shape)
    dims = list(range(extra))
    dims += [i for i in range(extra, dy.ndim) if shape[i - extra] == 1 != dy.shape[i]]
    if dims:
        dy = (total or _C.sum)(dy, dims, not extra)
    return dy if dy.shape == shape else dy.reshape(shape)


def retain_grad(self):
    """Let `backward` leave the gradient of this result of an op in `grad` too."""
    if not self.requires_grad:
        raise RuntimeError("retain_grad: this tensor does not require a gradient")
    if self._node is not None:
        hooked(self).retain(self, accumulate_recorded)


def refuse_changed(tensor):
    raise RuntimeError(
        f"backward: a tensor of shape {tensor.data.shape} was changed in place after "
        "it was used: call backward first, or change a clone"
    )


def refuse_written(made, tensor, parents):
    if (through := writes.since(made, (tensor, *parents))) is not None:
        refuse_changed(through)


# -- what reaches the leaves --


def _unlock():
    """In the child of a fork: a thread that it lacks may hold the lock for ever."""
    global _accumulating
    _accumulating = threading.Lock()


os.register_at_fork(after_in_child=_unlock)


def accumulate(leaf, dx, unshared):
    """Add an array to the `grad` of a tensor."""
    with _accumulating:
        before = leaf._grad
        if before is None:
            unshared = unshared and _is_whole(dx)
            leaf._grad = _constant(dx if unshared else _copy(dx))
        elif before.shape != dx.shape:
            _refuse_grad(before, dx)
        elif before._node is not None:
            leaf._grad = _constant(_C.add(before.data, dx))
        else:
            try:
                _C.add(before.data, dx, before.data)
            except ValueError:  # the user's array, which is read-only
                leaf._grad = _constant(_C.add(before.data, dx))


def accumulate_recorded(leaf, dx, unshared):
    """Add an array or a Tensor with a graph to the `grad` of a tensor."""
    if not isinstance(dx, Tensor):
        return accumulate(leaf, dx, unshared)
    with _accumulating:
        if leaf.grad is not None and leaf.grad.shape != dx.shape:
            _refuse_grad(leaf.grad, dx)
        leaf.grad = dx if leaf.grad is None else _recorded().add(leaf.grad, dx)


def _refuse_grad(grad, dx):
    raise RuntimeError(
        f"backward: grad must have the shape of its tensor, {dx.shape}, "
        f"got grad.shape = {grad.shape} (set grad to None)"
    )


def _copy(dx):
    """A large one in memory that is mapped already: a fresh one has page faults."""
    if dx.nbytes < 1 << 20 or not dx.flags.carray:
        return dx.copy()
    return _C.expand(dx, dx.shape)
