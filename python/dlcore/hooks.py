"""Functions of the user that see, and may change, the gradient of a tensor."""

import itertools
import weakref

from .grad_mode import no_grad
from .tensor import Tensor, _constant, _used, raw

hooked_leaves: dict = {}  # id of a leaf: a reference to it, and its hooks
_number = itertools.count()


class Handle:
    """What `Tensor.register_hook` returns.

    Examples
    --------
    >>> import dlcore as dl
    >>> x = dl.Tensor([1.0], requires_grad=True)
    >>> handle = x.register_hook(lambda dx: dx * 10.0)
    >>> (x * 2.0).backward()
    >>> handle.remove()
    >>> x.grad
    tensor([20.])
    """

    def __init__(self, hooks, hook):
        self._hooks, self._key = hooks, next(_number)
        hooks[self._key] = hook

    def remove(self):
        """Call the hook no longer."""
        self._hooks.pop(self._key, None)


class Hooked:
    """A node's backward, before which hooks see the gradient."""

    def __init__(self, backward):
        self.backward, self.__qualname__ = backward, backward.__qualname__
        self.hooks, self._retain = {}, None

    def retain(self, tensor, accumulate):
        """Leave the gradient in `grad`, after the hooks; the graph keeps no tensor."""
        self._retain = weakref.ref(tensor), accumulate

    def seen(self, dy):
        """The gradient as the hooks leave it."""
        dy = seen_by(self.hooks, dy)
        if self._retain is not None:
            reference, accumulate = self._retain
            if (tensor := reference()) is not None:
                accumulate(tensor, dy, False)
        return dy

    def __call__(self, dy):
        return self.backward(self.seen(dy))


def register_hook(self, hook):
    """Call a function with the gradient of this tensor whenever it is computed.

    Parameters
    ----------
    hook : callable
        ``hook(gradient)`` gets a Tensor, which it must not change, and returns None or
        the gradient that takes its place.

    Returns
    -------
    Handle
        ``handle.remove()`` takes the hook away.

    Raises
    ------
    RuntimeError
        If the tensor does not require a gradient.
    TypeError
        If `hook` cannot be called.

    Examples
    --------
    >>> import dlcore as dl
    >>> x = dl.Tensor([1.0, -2.0], requires_grad=True)
    >>> y = x * 3.0
    >>> handle = y.register_hook(print)
    >>> y.sum().backward()
    tensor([1., 1.])
    """
    if not self.requires_grad:
        raise RuntimeError("register_hook: this tensor does not require a gradient")
    if not callable(hook):
        raise TypeError(
            f"register_hook: hook must be callable, got {type(hook).__name__}"
        )
    if self._node is not None:
        return Handle(hooked(self).hooks, hook)
    key = id(self)
    if key not in hooked_leaves:
        gone = weakref.ref(self, lambda _: hooked_leaves.pop(key, None))
        hooked_leaves[key] = gone, {}
    return Handle(hooked_leaves[key][1], hook)


def hooked(tensor):
    """The `Hooked` of the result of an op."""
    node = tensor._node
    if node[1] is _used:
        raise RuntimeError("hook: this part of the graph was used already")
    if type(node[1]) is not Hooked:
        node[1] = Hooked(node[1])
    return node[1]


def seen_by(hooks, dy):
    """A gradient, an array or (where it is recorded) a Tensor, after the hooks."""
    for hook in tuple(hooks.values()):
        if isinstance(dy, Tensor):
            new = hook(dy)
        else:
            with no_grad():
                new = hook(_constant(dy))
        if new is None:
            continue
        array = raw(new)
        if getattr(array, "shape", None) != dy.shape or array.dtype != dy.dtype:
            raise RuntimeError(
                f"register_hook: hook must return None or a {dy.dtype} gradient of "
                f"shape {dy.shape}, got {getattr(array, 'dtype', type(new).__name__)} "
                f"of shape {getattr(array, 'shape', ())}"
            )
        dy = new if isinstance(dy, Tensor) and isinstance(new, Tensor) else array
    return dy


def seen_by_hooks_of(leaf, dx):
    """The gradient of a leaf after its hooks."""
    reference, hooks = hooked_leaves.get(id(leaf), (None, {}))
    return seen_by(hooks, dx) if reference is not None else dx
