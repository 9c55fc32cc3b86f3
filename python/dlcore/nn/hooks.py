"""Hooks: functions called around a module's forward and backward."""

import itertools
import weakref

from ..grad_mode import is_grad_enabled
from ..several import record_several
from ..tensor import Tensor, raw

_number = itertools.count()


class Hooks:
    """The hooks of one module, by kind, in the order in which they are called."""

    def __init__(self):
        self.forward_pre = {}
        self.forward = {}
        self.backward_pre = {}
        self.backward = {}


class RemovableHandle:
    """What registering a hook returns: `remove` takes the hook away again.

    A ``with`` block over it removes the hook at its end.
    """

    def __init__(self, module, kind, number):
        self._module = weakref.ref(module)
        self._kind = kind
        self._number = number

    def remove(self):
        """Take the hook away; nothing happens the second time."""
        module = self._module()
        if module is None or module._hooks is None:
            return
        getattr(module._hooks, self._kind).pop(self._number, None)
        if not any(vars(module._hooks).values()):
            del module._hooks

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


class Hookable:
    """The part of a Module that takes hooks."""

    _hooks: Hooks | None = None

    def register_forward_hook(self, hook, *, prepend=False, with_kwargs=False):
        """Call `hook` after every forward.

        Parameters
        ----------
        hook : callable
            ``hook(module, args, output)``, or ``hook(module, args, kwargs, output)``
            `with_kwargs`. What it returns, unless None, takes the output's place.
        prepend : bool, optional
            Before the hooks that are there.
        with_kwargs : bool, optional
            Whether it is given the arguments passed by name.

        Returns
        -------
        RemovableHandle
            ``handle.remove()`` takes the hook away.

        Notes
        -----
        A module without hooks is called as fast as if there were none.

        Examples
        --------
        >>> import dlcore as dl
        >>> layer, seen = dl.nn.ReLU(), []
        >>> def see(module, args, output):
        ...     seen.append(output.shape)
        >>> with layer.register_forward_hook(see):
        ...     y = layer(dl.Tensor([-1.0, 2.0]))
        >>> seen
        [(2,)]
        """
        return _register(self, "forward", hook, prepend, with_kwargs)

    def register_forward_pre_hook(self, hook, *, prepend=False, with_kwargs=False):
        """Call `hook` before every forward.

        ``hook(module, args)`` returns None, or the argument or tuple of arguments that
        forward is to get; `with_kwargs`, ``hook(module, args, kwargs)`` returns None or
        ``(args, kwargs)``. Otherwise as `register_forward_hook`.
        """
        return _register(self, "forward_pre", hook, prepend, with_kwargs)

    def register_full_backward_hook(self, hook, prepend=False):
        """Call `hook` when the gradients of a call's inputs are known.

        ``hook(module, grad_input, grad_output)`` is given a tuple of Tensors, or None
        where there is no gradient, for the positional arguments and for the outputs. A
        tuple that it returns takes `grad_input`'s place. Where no input needs a
        gradient it is called with those of the outputs.
        """
        return _register(self, "backward", hook, prepend)

    def register_full_backward_pre_hook(self, hook, prepend=False):
        """Call `hook` when the gradients of a call's outputs are known.

        ``hook(module, grad_output)`` may return a tuple that takes their place.
        """
        return _register(self, "backward_pre", hook, prepend)


def _register(module, kind, hook, prepend, with_kwargs=False):
    """Add a hook to the module's; returns its handle."""
    if not callable(hook):
        raise TypeError(
            f"register hook: hook must be callable, got {type(hook).__name__}"
        )
    if module._hooks is None:
        module._hooks = Hooks()
    hooks = getattr(module._hooks, kind)
    number = next(_number)
    later = dict(hooks) if prepend else {}
    if prepend:
        hooks.clear()
    hooks[number] = hook, with_kwargs
    hooks.update(later)
    return RemovableHandle(module, kind, number)


def call_with_hooks(module, args, kwargs):
    """The module's forward with its hooks around it."""
    hooks = module._hooks
    for hook, with_kwargs in list(hooks.forward_pre.values()):
        args, kwargs = _before(module, hook, with_kwargs, args, kwargs)
    backward = None
    if (hooks.backward or hooks.backward_pre) and is_grad_enabled():
        backward = _Backward(module)
        args = backward.of_inputs(args)
    result = module.forward(*args, **kwargs)
    for hook, with_kwargs in list(hooks.forward.values()):
        more = (kwargs,) if with_kwargs else ()
        other = hook(module, args, *more, result)
        if other is not None:
            result = other
    return result if backward is None else backward.of_outputs(result)


def _before(module, hook, with_kwargs, args, kwargs):
    if not with_kwargs:
        other = hook(module, args)
        if other is not None:
            args = other if isinstance(other, tuple) else (other,)
        return args, kwargs
    other = hook(module, args, kwargs)
    if other is None:
        return args, kwargs
    if not (isinstance(other, tuple) and len(other) == 2):
        raise RuntimeError(
            f"{type(module).__name__}: a forward pre-hook with_kwargs must return None "
            f"or (args, kwargs), got {type(other).__name__}"
        )
    return other


class _Backward:
    """The gradients of one call of a module, on their way through its hooks.

    Identities at its inputs and outputs see them pass; those of the outputs come first.
    """

    def __init__(self, module):
        self._module = module
        self._hooks = module._hooks
        self._grad_output = None  # stays so where the result is no Tensor or tuple

    def of_inputs(self, args):
        args, needing = _watched(args, self._leave)
        self._count = len(args)
        self._needing = needing
        return args

    def of_outputs(self, result):
        several = isinstance(result, tuple)
        results, needing = _watched(result if several else (result,), self._enter)
        self._results = len(results), needing
        return results if several else results[0]

    def _enter(self, *grads):
        count, needing = self._results
        grads = _spread(grads, count, needing)
        for hook, _ in list(self._hooks.backward_pre.values()):
            grads = _replaced(self._module, hook(self._module, grads), grads)
        self._grad_output = grads
        if not self._needing:
            self._leave()
        return tuple(None if grads[i] is None else raw(grads[i]) for i in needing)

    def _leave(self, *grads):
        if self._grad_output is None:
            return grads
        grads = _spread(grads, self._count, self._needing)
        for hook, _ in list(self._hooks.backward.values()):
            other = hook(self._module, grads, self._grad_output)
            grads = _replaced(self._module, other, grads)
        return tuple(None if grads[i] is None else raw(grads[i]) for i in self._needing)


def _watched(values, backward):
    """The values, those that need a gradient behind an identity; and which they are."""
    needing = [
        i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad
    ]
    if not needing:
        return values, needing
    tensors = tuple(values[i] for i in needing)
    passed = record_several(tuple(t.data for t in tensors), tensors, backward)
    values = list(values)
    for i, tensor in zip(needing, passed, strict=True):
        values[i] = tensor
    return tuple(values), needing


def _spread(grads, count, needing):
    """A gradient, as a Tensor, or None for each of `count` values."""
    spread = [None] * count
    for i, grad in zip(needing, grads, strict=True):
        spread[i] = None if grad is None else Tensor(grad)
    return tuple(spread)


def _replaced(module, other, grads):
    """What a backward hook returned in the place of the gradients."""
    if other is None:
        return grads
    other = other if isinstance(other, tuple) else (other,)
    fits = len(other) == len(grads) and all(
        (new is None) if old is None else (new is None or new.shape == old.shape)
        for new, old in zip(other, grads, strict=False)
    )
    if not fits:
        raise RuntimeError(
            f"{type(module).__name__}: a backward hook must return None or "
            f"{len(grads)} gradients of the shapes that it was given"
        )
    return other
