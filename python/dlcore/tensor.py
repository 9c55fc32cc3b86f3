"""Tensor and the tape: the whole of dlcore's automatic differentiation.

An op computes `y` on arrays and calls ``record(y, parents, backward)``. When a parent needs a
gradient, the result carries a node ``(parents, backward)``; `Tensor.backward` walks the nodes
in reverse order. Un-broadcasting and adding up happen here and nowhere else.
"""

import threading

import numpy as np

from . import _C


class _Mode(threading.local):
    recording = True


_mode = _Mode()


class Tensor:
    """An array that remembers how it was made.

    Parameters
    ----------
    data : array_like
        float32 or float64 is kept as it is (not copied); anything else becomes float32.
    requires_grad : bool, optional
        Whether `backward` leaves the gradient of this tensor in `grad`.

    Examples
    --------
    >>> import dlcore as dl
    >>> x = dl.Tensor([1.0, -2.0], requires_grad=True)
    >>> dl.relu(x).sum().backward()
    >>> x.grad
    tensor([1., 0.])
    """

    __slots__ = ("__weakref__", "_node", "data", "grad", "requires_grad")
    __array_ufunc__ = None  # ndarray + Tensor is Tensor.__radd__

    def __init__(self, data, requires_grad=False):
        if isinstance(data, Tensor):
            data = data.data
        data = np.asarray(data)
        if data.dtype.char not in "fd":
            data = data.astype(np.float32)
        self.data = data
        self.requires_grad = requires_grad
        self.grad = None
        self._node = None

    def backward(self, gradient=None):
        """Add the gradient of this tensor to the `grad` of every leaf it depends on.

        Parameters
        ----------
        gradient : array_like, optional
            Gradient of the final result with respect to this tensor, of its shape.
            May be left out for a tensor of one element, where it is 1.

        Raises
        ------
        RuntimeError
            If nothing here needs a gradient, or a part of the graph was used already.
        """
        if not self.requires_grad:
            raise RuntimeError(
                "backward: no gradient was recorded: make a leaf with requires_grad=True"
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
                    f"backward: gradient must have shape {self.data.shape}, got {dy.shape}"
                )
        _run(self, dy)


def _order(root):
    """The tensors under `root` that need a gradient, each after all that it depends on."""
    order, seen, stack = [], set(), [(root, False)]
    while stack:
        tensor, done = stack.pop()
        if done:
            order.append(tensor)
        elif id(tensor) not in seen:
            seen.add(id(tensor))
            stack.append((tensor, True))
            if tensor._node is not None:
                for parent in tensor._node[0]:
                    if isinstance(parent, Tensor) and parent.requires_grad:
                        stack.append((parent, False))
    return order


def _run(root, dy):
    gradients = {id(root): dy}
    own = set()  # ids whose gradient is an array of this walk: may be added to in place
    for tensor in reversed(_order(root)):
        dy = gradients.pop(id(tensor), None)
        if dy is None:
            continue
        if tensor._node is None:
            _accumulate(tensor, dy, id(tensor) in own)
            continue
        parents, backward = tensor._node
        tensor._node = _USED
        for parent, dx in zip(parents, backward(dy)):
            if dx is None or not isinstance(parent, Tensor) or not parent.requires_grad:
                continue
            if dx.shape != parent.data.shape:
                dx = sum_to(dx, parent.data.shape)
            key = id(parent)
            before = gradients.get(key)
            if before is None:
                gradients[key] = dx
            elif key in own:
                _C.add(before, dx, before)
            else:
                gradients[key] = _C.add(before, dx)
                own.add(key)


def _accumulate(leaf, dy, own):
    if leaf.grad is not None:
        _C.add(leaf.grad.data, dy, leaf.grad.data)
    else:
        leaf.grad = Tensor(dy if own else dy.copy())


def _used(dy):
    raise RuntimeError(
        "backward: this part of the graph was used already and its memory freed: "
        "run forward again"
    )


_USED = ((), _used)


def sum_to(dy, shape):
    """The gradient of broadcasting from `shape` to ``dy.shape``."""
    extra = dy.ndim - len(shape)
    dims = [i for i, n in enumerate(dy.shape) if i < extra or (shape[i - extra] == 1 and n != 1)]
    return _C.sum(dy, dims, False).reshape(shape) if dims else dy.reshape(shape)


def raw(x):
    """The array of a Tensor; anything else as it is."""
    return x.data if isinstance(x, Tensor) else x


def record(y, parents, backward):
    """Wrap the result of an op.

    Parameters
    ----------
    y : ndarray
        The result.
    parents : tuple
        The op's inputs, Tensors or anything else.
    backward : callable
        ``backward(dy)`` returns one array, or None, for each parent.

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
                return _wrap(y, (parents, backward))
    return _wrap(y, None) if among else y


def _wrap(y, node):
    tensor = Tensor.__new__(Tensor)
    tensor.data = y
    tensor.grad = None
    tensor.requires_grad = node is not None
    tensor._node = node
    return tensor


class no_grad:
    """A block in which nothing is recorded; also a decorator."""

    def __enter__(self):
        self._before = _mode.recording
        _mode.recording = False

    def __exit__(self, *_):
        _mode.recording = self._before
