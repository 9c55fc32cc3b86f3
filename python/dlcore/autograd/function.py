"""Functions of the user's, with a forward and a backward of his own."""

import functools
import weakref

import numpy as np

from ..convert import gradients_dtype
from ..grad_mode import _mode, enable_grad, no_grad
from ..several import record_several
from ..tensor import Tensor, _constant, raw


class Context:
    """What `Function.forward` leaves for `Function.backward`.

    Attributes
    ----------
    needs_input_grad : tuple of bool
        For each argument of `forward` whether its gradient is wanted.
    saved_tensors : tuple of Tensor
        What `save_for_backward` was given.

    Anything else may be kept as an attribute.
    """

    def __init__(self, needs_input_grad):
        self.needs_input_grad = needs_input_grad
        self._saved, self._outputs = (), ()
        self._without_gradient, self._materialize = (), True

    def save_for_backward(self, *tensors):
        """Keep inputs and results of `forward` (Tensors or None) for `backward`.

        They are as they were there: backward refuses when one was changed in place.
        """
        for x in tensors:
            if not isinstance(x, Tensor | None):
                raise TypeError(
                    "save_for_backward: tensors must be Tensors or None, got "
                    f"{type(x).__name__}: keep it as an attribute of ctx"
                )
        self._saved = tensors

    def mark_non_differentiable(self, *tensors):
        """Say that these results have no gradient."""
        self._without_gradient = tensors

    def set_materialize_grads(self, value):
        """Whether `backward` gets zeros, or None, for a result without a gradient."""
        self._materialize = bool(value)

    @property
    def saved_tensors(self):
        return tuple(self._unpacked(x) for x in self._saved)

    def _unpacked(self, x):
        for made, recorded in self._outputs:
            if x is made:
                if (found := recorded()) is not None:
                    return found
                if _mode.recording:
                    raise RuntimeError(
                        "create_graph: a result that was saved must be kept until then"
                    )
        return x

    def _gradients(self, dys, shapes):
        """The gradients of the results as Tensors."""
        for dy, (shape, dtype) in zip(dys, shapes, strict=True):
            if dy is None and self._materialize:
                yield _constant(np.zeros(shape, dtype))
            else:
                yield dy if dy is None or isinstance(dy, Tensor) else _constant(dy)


class Function:
    """A function with its own gradient: subclass it and call `apply`.

    ``forward(ctx, *args)`` and ``backward(ctx, *gradients)`` are static methods.
    `backward` gets a gradient for each result and returns one, or None, for each
    argument of `forward`, as Tensors or arrays. Made of ops it has a gradient itself;
    otherwise say so with `once_differentiable`.

    Raises
    ------
    RuntimeError
        If `backward` returns another number of gradients, or one of another shape.

    Examples
    --------
    >>> import dlcore as dl
    >>> class Exp(dl.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         y = dl.exp(x)
    ...         ctx.save_for_backward(y)
    ...         return y
    ...
    ...     @staticmethod
    ...     def backward(ctx, dy):
    ...         (y,) = ctx.saved_tensors
    ...         return dy * y
    >>> x = dl.Tensor([0.0], requires_grad=True)
    >>> Exp.apply(x).backward()
    >>> x.grad
    tensor([1.])
    """

    @staticmethod
    def forward(ctx, *args):
        """Compute the results: Tensors or arrays."""
        raise NotImplementedError("Function: forward must be defined")

    @staticmethod
    def backward(ctx, *gradients):
        """Compute the gradients by the arguments from those by the results."""
        raise NotImplementedError("Function: backward must be defined")

    @classmethod
    def apply(cls, *args):
        """Call the function and record its gradient."""
        ctx = Context(tuple(isinstance(a, Tensor) and a.requires_grad for a in args))
        recording = _mode.recording and any(ctx.needs_input_grad)
        with no_grad():
            made = cls.forward(ctx, *args)
        several = isinstance(made, tuple)
        outputs = made if several else (made,)
        for y in outputs:
            if not isinstance(raw(y), np.ndarray):
                raise TypeError(
                    f"{cls.__name__}: forward must return Tensors or arrays, "
                    f"got {type(y).__name__}"
                )
        if not recording:
            return made
        results = cls._record(ctx, args, outputs)
        return results if several else results[0]

    @classmethod
    def _record(cls, ctx, args, outputs):
        name = cls.__name__
        shapes = [(y.shape, y.dtype) for y in outputs]
        saved = [(x, x.data, x._changed) for x in ctx._saved if x is not None]

        def run(dys, recorded):
            for x, data, changed in saved:
                if x._changed != changed or x.data is not data:
                    raise RuntimeError(
                        f"{name}: a saved tensor of shape {x.shape} was changed in "
                        "place: call backward first, or change a clone"
                    )
            with enable_grad() if recorded else no_grad():
                given = cls.backward(ctx, *ctx._gradients(dys, shapes))
            return _checked(name, args, given)

        def backward(*dys):
            return [None if dx is None else raw(dx) for dx in run(dys, False)]

        def recorded(*dys):
            if getattr(cls.backward, "once_differentiable", False):
                raise NotImplementedError(
                    f"create_graph: {name} must have a second derivative, and is "
                    "marked once_differentiable"
                )
            return run(dys, True)

        backward.__qualname__, backward.recorded = name, recorded
        # A Tensor of its own: an argument may be returned as it is.
        arrays = [np.asarray(raw(y)) for y in outputs]
        results = list(record_several(tuple(arrays), args, backward))
        for i, (y, array) in enumerate(zip(outputs, arrays, strict=True)):
            plain = any(y is x for x in ctx._without_gradient)
            if plain or array.dtype.char not in "fd":
                results[i] = _constant(array)
        ctx._outputs = tuple(
            (y, weakref.ref(result)) for y, result in zip(outputs, results, strict=True)
        )
        return tuple(results)


def _checked(name, args, given):
    given = given if isinstance(given, (tuple, list)) else (given,)
    if len(given) != len(args):
        raise RuntimeError(
            f"{name}: backward must return a gradient or None for each of {len(args)} "
            f"arguments of forward, got {len(given)}"
        )
    for x, dx in zip(args, given, strict=True):
        if dx is None or not isinstance(x, Tensor):
            continue
        dtype = gradients_dtype(x.dtype)
        if not isinstance(raw(dx), np.ndarray) or dx.dtype != dtype:
            raise RuntimeError(
                f"{name}: backward must return a {dtype} gradient for an argument of "
                f"shape {x.shape}, got {getattr(dx, 'dtype', type(dx).__name__)}"
            )
        try:
            fits = np.broadcast_shapes(x.shape, dx.shape) == dx.shape
        except ValueError:
            fits = False
        if not fits:
            raise RuntimeError(
                f"{name}: backward must return a gradient of shape {x.shape}, "
                f"got {dx.shape}"
            )
    return given


def once_differentiable(backward):
    """Mark a `Function.backward` that itself has no gradient; it may use NumPy.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> class Sine(dl.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.x = x.data
    ...         return np.sin(x.data)
    ...
    ...     @staticmethod
    ...     @dl.autograd.once_differentiable
    ...     def backward(ctx, dy):
    ...         return dy.data * np.cos(ctx.x)
    >>> x = dl.Tensor([0.0], requires_grad=True)
    >>> Sine.apply(x).backward()
    >>> x.grad
    tensor([1.])
    """

    @functools.wraps(backward)
    def wrapped(ctx, *gradients):
        return backward(ctx, *gradients)

    wrapped.once_differentiable = True
    return wrapped
