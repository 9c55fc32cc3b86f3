"""Tensor and the tape: the whole of dlcore's automatic differentiation.

An op computes `y` on arrays and calls ``record(y, parents, backward)``. When a parent
needs a gradient, the result carries a node ``[parents, backward, age, changed]``. A
tensor is made after its parents, so `Tensor.backward` visits the nodes youngest first
and needs no other order. Un-broadcasting and adding up happen here and nowhere else.

The operators and methods (``x + y``, ``x.sum()``) are attached by `dlcore.ops.methods`.
"""

import itertools
import math
import os
import threading
from heapq import heappop, heappush
from sys import getrefcount

import numpy as np

from . import _C
from .convert import as_array, text_of
from .grad_mode import _mode

_age = itertools.count(0, -1)  # smaller is younger: the heap gives the smallest first
_NEVER = 1  # older than every age
_accumulating = threading.Lock()
_new = object.__new__


class Tensor:
    """An array that remembers how it was made.

    Parameters
    ----------
    data : array_like
        An array keeps its dtype and its memory is shared; a number or a list becomes
        float32, or int64 and bool when it holds only those.
    requires_grad : bool, optional
        Whether `backward` leaves the gradient of this tensor in `grad`.

    Attributes
    ----------
    data : ndarray
        The values.
    grad : Tensor or None
        What `backward` added up; only leaves (and after `retain_grad`) have one.

    Raises
    ------
    TypeError
        If `data` is not real numbers, is a masked array, or of another floating dtype.
    ValueError
        If `data` is a list of lists of unequal lengths.
    RuntimeError
        If `requires_grad` is asked of integers.

    Examples
    --------
    >>> import dlcore as dl
    >>> x = dl.Tensor([1.0, -2.0], requires_grad=True)
    >>> dl.relu(x).sum().backward()
    >>> x.grad
    tensor([1., 0.])
    """

    __slots__ = ("__weakref__", "_changed", "_node", "data", "grad", "requires_grad")
    __array_ufunc__ = None  # ndarray + Tensor is Tensor.__radd__

    def __init__(self, data, requires_grad=False):
        self.data = data.data if isinstance(data, Tensor) else as_array(data)
        self.grad = None
        self._node = None
        self._changed = _NEVER
        self.requires_grad = False
        if requires_grad:
            self.requires_grad_()

    def backward(self, gradient=None, retain_graph=False):
        """Add the gradient of this tensor to the `grad` of every leaf it depends on.

        Parameters
        ----------
        gradient : array_like, optional
            Gradient of the final result with respect to this tensor, of its shape.
            May be left out for a tensor of one element, where it is 1.
        retain_graph : bool, optional
            Keep what the ops saved, so that backward may run again.

        Raises
        ------
        RuntimeError
            If nothing here needs a gradient, or a part of the graph was used already.
        ValueError
            If `gradient` has another shape.
        """
        if not self.requires_grad:
            raise RuntimeError(
                "backward: no gradient was recorded: make a leaf requires_grad=True"
            )
        if gradient is None:
            if self.data.size != 1:
                raise RuntimeError(
                    "backward: gradient must be given for more than one element, "
                    f"got shape {self.data.shape}: call .sum() or .mean() first"
                )
            dy = np.ones_like(self.data)
        else:
            dy = np.asarray(raw(gradient), dtype=self.data.dtype)
            if dy.shape != self.data.shape:
                raise ValueError(
                    f"backward: gradient must have shape {self.data.shape}, "
                    f"got {dy.shape}"
                )
        if self._node is None:
            _accumulate(self, dy, False)
        else:
            _run(self, dy, retain_graph)

    def requires_grad_(self, requires_grad=True):
        """Ask for the gradient of this leaf, or no longer; returns the tensor."""
        if self._node is not None and not requires_grad:
            raise RuntimeError("requires_grad_: only a leaf can stop: use .detach()")
        if requires_grad and self.data.dtype.char not in "fd":
            raise RuntimeError(
                "requires_grad: only float32 and float64 can require a gradient, "
                f"got {self.data.dtype}"
            )
        self.requires_grad = bool(requires_grad)
        return self

    def retain_grad(self):
        """Let `backward` leave the gradient of this result of an op in `grad` too."""
        if not self.requires_grad:
            raise RuntimeError("retain_grad: this tensor does not require a gradient")
        if self._node is None or hasattr(self._node[1], "retains"):
            return
        backward = self._node[1]

        def retaining(dy):
            _accumulate(self, dy, False)
            return backward(dy)

        retaining.retains = True
        retaining.__qualname__ = backward.__qualname__
        self._node[1] = retaining

    def detach(self):
        """The same memory as a tensor that requires no gradient."""
        return _constant(self.data)

    def numpy(self):
        """The array; shares its memory. RuntimeError if a gradient would be lost."""
        if self.requires_grad:
            raise RuntimeError(
                "numpy: this tensor requires a gradient, which NumPy would lose: "
                "call .detach() first"
            )
        return self.data

    def item(self):
        """The value of a tensor of one element, as a Python number."""
        if self.data.size != 1:
            raise ValueError(
                f"item: the tensor must have one element, got shape {self.data.shape}"
            )
        return self.data.item()

    def tolist(self):
        """The values as nested lists of Python numbers."""
        return self.data.tolist()

    @property
    def shape(self):
        return self.data.shape

    @property
    def ndim(self):
        return self.data.ndim

    @property
    def dtype(self):
        return self.data.dtype

    @property
    def is_leaf(self):
        """True for a tensor that no op made with a gradient."""
        return self._node is None

    def size(self, dim=None):
        """The shape, or the length of one dimension of it."""
        return self.data.shape if dim is None else self.data.shape[dim]

    def dim(self):
        return self.data.ndim

    def numel(self):
        """The number of elements."""
        return self.data.size

    def __len__(self):
        if self.data.ndim == 0:
            raise TypeError("len: a tensor of no dimensions has no length")
        return len(self.data)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __bool__(self):
        if self.data.size != 1:
            raise ValueError(
                "bool: the truth of more than one element is ambiguous, "
                f"got shape {self.data.shape}: call .any() or .all()"
            )
        return bool(self.data)

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        return self.data.__index__()

    def __format__(self, spec):
        return format(self.item() if spec and self.data.size == 1 else str(self), spec)

    __hash__ = object.__hash__  # == compares elements

    def __reduce__(self):
        if self._node is not None:
            raise RuntimeError("copy: only a leaf can be copied or pickled: detach()")
        return _rebuild, (type(self), self.data, self.requires_grad)

    def __repr__(self):
        note = "requires_grad=True" if self.requires_grad else None
        if self._node is not None:
            parents, backward, *_ = self._node
            name = parents[0] if backward is _used else backward.__qualname__
            note = f"grad_fn=<{name.split('.')[0].lstrip('_')}>"
        return text_of(self.data, note)


def tensor(data, dtype=None, requires_grad=False):
    """Make a Tensor from a copy of `data`.

    Parameters
    ----------
    data : array_like
        As for `Tensor`.
    dtype : dtype, optional
        Default is that of an array, float32 for other real numbers.
    requires_grad : bool, optional
        Whether `backward` leaves its gradient in `grad`.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.tensor([1, 2], dtype="float64")
    tensor([1., 2.], dtype=float64)
    """
    array = Tensor(data).data
    return Tensor(array.astype(array.dtype if dtype is None else dtype), requires_grad)


def _rebuild(kind, data, requires_grad):
    tensor = _constant(data, kind)
    tensor.requires_grad = requires_grad
    return tensor


def _run(root, dy, retain_graph):
    age = root._node[2]
    ages, waiting = [age], {age: (root, dy)}
    own = set()  # ages whose gradient is an array of this walk: added to in place
    while ages:
        tensor, dy = waiting.pop(heappop(ages))
        node = tensor._node
        parents, backward, made, changed_at = node
        if changed_at < made:
            _refuse_changed(tensor)
        del tensor  # backward may not need its array
        if not retain_graph:
            node[:3] = (backward.__qualname__,), _used, _YOUNGEST
        for parent, dx in zip(parents, backward(dy), strict=True):
            if not isinstance(parent, Tensor):
                continue
            if parent._changed < made:
                _refuse_changed(parent)
            if dx is None or not parent.requires_grad:
                continue
            if dx.shape != parent.data.shape:
                dx = sum_to(dx, parent.data.shape)
            node = parent._node
            if node is None:
                unshared = getrefcount(dx) <= _UNSHARED
                _accumulate(parent, dx, unshared)
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


def _is_whole(array):
    """Whether nothing but the array itself keeps its memory."""
    return array.flags.carray and not isinstance(array.base, np.ndarray)


def _unlock():
    """In the child of a fork: a thread that it lacks may hold the lock for ever."""
    global _accumulating
    _accumulating = threading.Lock()


os.register_at_fork(after_in_child=_unlock)


def _accumulate(leaf, dx, unshared):
    with _accumulating:
        if leaf.grad is not None:
            if leaf.grad.shape != dx.shape:
                raise RuntimeError(
                    f"backward: grad must have the shape of its tensor, {dx.shape}, "
                    f"got grad.shape = {leaf.grad.shape} (set grad to None)"
                )
            _C.add(leaf.grad.data, dx, leaf.grad.data)
        else:
            unshared = unshared and _is_whole(dx)
            leaf.grad = _constant(dx if unshared else _copy(dx))


def _copy(dx):
    """A large one in memory that is mapped already: a fresh one has page faults."""
    if dx.nbytes < 1 << 20 or not dx.flags.carray:
        return dx.copy()
    return _C.expand(dx, dx.shape)


def changed(tensors):
    """Tell the tape that the memory of these tensors was written.

    `Tensor.backward` then refuses a graph that was recorded before: its ops may have
    saved the old values.
    """
    age = next(_age)
    for tensor in tensors:
        tensor._changed = age
        if tensor._node is not None:
            tensor._node[3] = age


def _refuse_changed(tensor):
    raise RuntimeError(
        f"backward: a tensor of shape {tensor.data.shape} was changed in place after "
        "it was used: call backward first, or change a clone"
    )


def _references():
    for _, dx in zip((None,), (lambda: (np.empty(0),))(), strict=True):
        return getrefcount(dx)


# What getrefcount says in the loop of `_run` of an array that nobody else keeps. Such a
# one becomes a leaf's grad without a copy; one that an op saved or gave twice cannot.
_UNSHARED = _references()


def _used(dy):
    raise RuntimeError(
        "backward: this part of the graph was used already and its memory freed: "
        "run forward again, or pass retain_graph=True the first time"
    )


_YOUNGEST = -math.inf  # a used node is found before anything is added up


def sum_to(dy, shape):
    """The gradient of broadcasting from `shape` to ``dy.shape``."""
    extra = dy.ndim - len(shape)
    dims = list(range(extra))
    dims += [i for i in range(extra, dy.ndim) if shape[i - extra] == 1 != dy.shape[i]]
    if dims:
        dy = _C.sum(dy, dims, not extra)
    return dy if dy.shape == shape else dy.reshape(shape)


def raw(x, out=None):
    """The array of a Tensor; anything else as it is.

    RuntimeError when the result goes to `out` and a gradient would be recorded: what is
    written there would not follow the tape, and may be what backward still needs.
    """
    if not isinstance(x, Tensor):
        return x
    if out is not None and x.requires_grad and _mode.recording:
        raise RuntimeError(
            "out: must not be given where a gradient is recorded: leave it out, pass "
            "x.detach(), or call under dl.no_grad()"
        )
    return x.data


def record(y, parents, backward):
    """Wrap the result of an op.

    Parameters
    ----------
    y : ndarray
        The result.
    parents : tuple
        The op's inputs, Tensors or anything else.
    backward : callable
        ``backward(dy)`` returns a tuple of one array, or None, for each parent. It may
        return `dy` or a view of it, and must not change it. The gradient of a broadcast
        parent may have the shape of the result.

    Returns
    -------
    ndarray or Tensor
        `y` itself when no parent is a Tensor.
    """
    among = False
    for parent in parents:
        if isinstance(parent, Tensor):
            among = True
            if parent.requires_grad and _mode.recording:
                tensor = _new(Tensor)
                tensor.data = y
                tensor.grad = None
                tensor.requires_grad = True
                tensor._node = [parents, backward, next(_age), _NEVER]
                tensor._changed = _NEVER
                return tensor
    return _constant(y) if among else y


def record_several(ys, parents, backward):
    """`record` for an op of several results that one backward serves.

    Parameters
    ----------
    ys : tuple of ndarray
        The results.
    parents : tuple
        As for `record`.
    backward : callable
        ``backward(*dys)``: None for a result that no gradient reached.

    Returns
    -------
    tuple of ndarray or Tensor
    """
    given = [None] * len(ys)

    def together(_):
        dys = given.copy()
        given[:] = [None] * len(ys)
        return backward(*dys)

    together.__qualname__ = backward.__qualname__
    nothing = np.zeros(1, ys[0].dtype)  # each result is younger, and gives first
    joint = record(nothing, parents, together)
    if not isinstance(joint, Tensor) or joint._node is None:
        return tuple(record(y, parents, None) for y in ys)

    def result(i):
        def give(dy):
            given[i] = dy
            return (nothing,)

        give.__qualname__ = backward.__qualname__
        return record(ys[i], (joint,), give)

    return tuple(map(result, range(len(ys))))


def shadow(x):
    """A parent for `record` whose values backward does not read.

    The graph then does not keep the array of the result of an op, only its shape.
    """
    if not isinstance(x, Tensor) or x._node is None:
        return x
    nothing = np.ndarray(x.data.shape, x.data.dtype, bytes(8), 0, (0,) * x.data.ndim)
    tensor = _constant(nothing)
    tensor.requires_grad = True
    tensor._node = x._node
    return tensor


def _constant(y, kind=Tensor):
    """A Tensor of an array, without the checks of its constructor."""
    tensor = _new(kind)
    tensor.data = y
    tensor.grad = None
    tensor.requires_grad = False
    tensor._node = None
    tensor._changed = _NEVER
    return tensor
