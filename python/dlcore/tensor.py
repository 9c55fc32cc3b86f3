"""Tensor, and how an op is written on the tape.

An op computes `y` on arrays and calls ``record(y, parents, backward)``. When a parent
needs a gradient, the result carries a node ``[parents, backward, age, changed]``; the
walk over the nodes is in `dlcore.tape`. The operators and methods (``x + y``,
``x.sum()``) are attached by `dlcore.ops.methods`.
"""

import itertools
from operator import attrgetter

import numpy as np

from .convert import (
    as_array,
    check_device,
    check_flag,
    check_grad,
    dtype_of,
    is_sixteen,
    set_data,
    sixteen,
    storage_of,
    text_of,
    widened,
)
from .grad_mode import _mode

clock = itertools.count(0, -1)  # the age of a node; smaller is younger
_NEVER = 1  # older than every age
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

    __slots__ = ("__weakref__", "_changed", "_data", "_grad", "_node", "requires_grad")
    __array_ufunc__ = None  # ndarray + Tensor is Tensor.__radd__

    def __init__(self, data, requires_grad=False):
        check_flag(requires_grad)
        self._data = data.data if isinstance(data, Tensor) else as_array(data)
        self._grad = None
        self._node = None
        self._changed = _NEVER
        self.requires_grad = False
        if requires_grad:
            self.requires_grad_()

    def _set_grad(self, value):
        array = check_grad(self, value)
        self._grad = value if array is None else _constant(array)

    data = property(attrgetter("_data"), set_data)  # the fastest that can be checked
    grad = property(attrgetter("_grad"), _set_grad)

    def requires_grad_(self, requires_grad=True):
        """Ask for the gradient of this leaf, or no longer; returns the tensor."""
        if self._node is not None and not requires_grad:
            raise RuntimeError("requires_grad_: only a leaf can stop: use .detach()")
        dtype = self.data.dtype
        if requires_grad and dtype.char not in "fd" and not is_sixteen(dtype):
            raise RuntimeError(
                "requires_grad: only floating-point numbers can require a gradient, "
                f"got {dtype}"
            )
        self.requires_grad = bool(requires_grad)
        return self

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

    @property
    def grad_fn(self):
        """The op that made this tensor with a gradient; None for a leaf."""
        return None if self._node is None else GradFn(self._node)

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
            note = f"grad_fn={self.grad_fn}"
        return text_of(self.data, note)


class GradFn:
    """How a tensor was made, for those who look at a graph.

    Examples
    --------
    >>> import dlcore as dl
    >>> x = dl.Tensor([1.0], requires_grad=True)
    >>> y = dl.exp(x * 2.0)
    >>> y.grad_fn, y.grad_fn.next_functions
    (<exp>, ((<mul>, 0),))
    """

    def __init__(self, node):
        self._node = node

    def name(self):
        """The op's name."""
        return op_name(self._node)

    @property
    def next_functions(self):
        """(GradFn or None, 0) of each input that needs a gradient; None for a leaf."""
        parents = [p for p in self._node[0] if isinstance(p, Tensor)]
        return tuple((p.grad_fn, 0) for p in parents if p.requires_grad)

    def __repr__(self):
        return f"<{self.name()}>"


def op_name(node):
    """The name of the op that a node stands for."""
    parents, backward, *_ = node
    name = parents[0] if backward is _used else backward.__qualname__
    return name.split(".")[0].lstrip("_")


def tensor(data, dtype=None, requires_grad=False, *, device=None):
    """Make a Tensor from a copy of `data`.

    Parameters
    ----------
    data : array_like
        As for `Tensor`.
    dtype : dtype, optional
        Default is that of an array, float32 for other real numbers.
    requires_grad : bool, optional
        Whether `backward` leaves its gradient in `grad`.
    device : str, optional
        The CPU is the only one.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.tensor([1, 2], dtype="float64")
    tensor([1., 2.], dtype=float64)
    """
    check_device("tensor", device)
    array = Tensor(data).data
    kind = array.dtype if dtype is None else dtype_of("tensor", dtype)
    return Tensor(array.astype(kind), requires_grad)


def _rebuild(kind, data, requires_grad):
    tensor = _constant(data, kind)
    tensor.requires_grad = requires_grad
    return tensor


def change_clock(change):
    """Put ``change(clock)`` in the place of the clock."""
    global clock
    clock = change(clock)


def changed(tensors):
    """Tell the tape that the memory of these tensors was written.

    `Tensor.backward` then refuses a graph that was recorded before: its ops may have
    saved the old values.
    """
    age = next(clock)
    for tensor in tensors:
        tensor._changed = age
        if tensor._node is not None:
            tensor._node[3] = age


def _used(dy):
    raise RuntimeError(
        "backward: this part of the graph was used already and its memory freed: "
        "run forward again, or pass retain_graph=True the first time"
    )


def raw(x, out=None):
    """The array of a Tensor, as float32 if it is stored in 16 bits; others as they are.

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
    return widened(x._data) if sixteen else x._data


def record(y, parents, backward, as_stored=True):
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
    as_stored : bool, optional
        Whether the result of parents that are all stored in one dtype of 16 bits is
        rounded to it; gradients are float32.

    Returns
    -------
    ndarray or Tensor
        `y` itself when no parent is a Tensor.
    """
    if sixteen and as_stored:
        y = _stored(y, parents)
    among = False
    for parent in parents:
        if isinstance(parent, Tensor):
            among = True
            if parent.requires_grad and _mode.recording:
                tensor = _new(Tensor)
                tensor._data = y
                tensor._grad = None
                tensor.requires_grad = True
                tensor._node = [parents, backward, next(clock), _NEVER]
                tensor._changed = _NEVER
                return tensor
    return _constant(y) if among else y


def _stored(y, parents):
    if y.dtype != np.float32 or not any(isinstance(p, Tensor) for p in parents):
        return y
    arrays = (p.data if isinstance(p, Tensor) else p for p in parents)
    kind = storage_of(a for a in arrays if isinstance(a, np.ndarray) and a.ndim)
    return y if kind is None else y.astype(kind)


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
    tensor._data = y
    tensor._grad = None
    tensor.requires_grad = False
    tensor._node = None
    tensor._changed = _NEVER
    return tensor
