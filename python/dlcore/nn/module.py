"""Module: parameters, buffers and other modules under their attribute names.

A Module keeps no registry. What it holds is found in its ``__dict__``, in the order of
assignment, when somebody asks; reading an attribute and calling cost what Python costs.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ..ops.shape import as_dtype
from ..tensor import Tensor, changed


class Parameter(Tensor):
    """A Tensor that a Module lists among its parameters.

    Parameters
    ----------
    data : array_like
        As for `Tensor`.
    requires_grad : bool, optional
        False for one that stays as it is.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.nn.Parameter(np.zeros(2, "float32")).requires_grad
    True
    """

    __slots__ = ()

    def __init__(self, data, requires_grad=True):
        super().__init__(data, requires_grad)

    def __repr__(self):
        return "Parameter containing:\n" + super().__repr__()


class LoadedKeys(NamedTuple):
    """What `Module.load_state_dict` did not find, and what it did not use."""

    missing_keys: list
    unexpected_keys: list


class Module:
    """Base of all layers and models.

    Assign Parameters and Modules to attributes, in ``__init__`` or anywhere, and define
    `forward`.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> class Scale(dl.nn.Module):
    ...     def __init__(self):
    ...         self.factor = dl.nn.Parameter(np.full(1, 2.0))
    ...
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> Scale()(np.array([3.0]))
    tensor([6.], dtype=float64, grad_fn=<mul>)
    """

    training = True
    # name: persistent; an instance with buffers has its own
    _buffers: dict[str, bool] = {}  # noqa: RUF012

    def forward(self, *args):
        raise NotImplementedError(f"{type(self).__name__} must define forward")

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    def __setattr__(self, name, value):
        if isinstance(self.__dict__.get(name), Parameter) and not (
            value is None or isinstance(value, Parameter)
        ):
            raise TypeError(
                f"{type(self).__name__}: {name} must stay a Parameter or None, "
                f"got {type(value).__name__}: assign to {name}.data"
            )
        object.__setattr__(self, name, value)

    def register_buffer(self, name, tensor, persistent=True):
        """Hold an array that is state but is not learned, such as a running mean.

        Parameters
        ----------
        name : str
            The attribute.
        tensor : Tensor, array_like or None
            Its value.
        persistent : bool, optional
            Whether it belongs to `state_dict`.
        """
        if "_buffers" not in self.__dict__:
            self._buffers = {}
        self._buffers[name] = persistent
        setattr(self, name, tensor if tensor is None else Tensor(tensor))

    def register_parameter(self, name, param):
        """Hold a Parameter or None as the attribute `name`."""
        setattr(self, name, param)

    def add_module(self, name, module):
        """Hold a module as the attribute `name`."""
        setattr(self, name, module)

    def named_children(self):
        """The modules held directly, with their names."""
        for name, value in self.__dict__.items():
            if isinstance(value, Module):
                yield name, value

    def children(self):
        """The modules held directly."""
        return (module for _, module in self.named_children())

    def named_modules(self, prefix="", memo=None):
        """The module and all below it, each once, with dotted names."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        memo.add(self)
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(_join(prefix, name), memo)

    def modules(self):
        """The module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self, prefix="", recurse=True):
        """All parameters, each once, with dotted names: the keys of `state_dict`."""
        yield from self._named(prefix, recurse, Module._own_parameters)

    def parameters(self, recurse=True):
        """All parameters, each once."""
        return (parameter for _, parameter in self.named_parameters("", recurse))

    def named_buffers(self, prefix="", recurse=True):
        """All buffers, each once, with dotted names."""
        yield from self._named(prefix, recurse, Module._own_buffers)

    def buffers(self, recurse=True):
        """All buffers, each once."""
        return (buffer for _, buffer in self.named_buffers("", recurse))

    def _named(self, prefix, recurse, own):
        seen = set()
        for path, module in self.named_modules(prefix) if recurse else [(prefix, self)]:
            for name, tensor in own(module):
                if tensor not in seen:
                    seen.add(tensor)
                    yield _join(path, name), tensor

    def _own_parameters(self):
        return [(k, v) for k, v in self.__dict__.items() if isinstance(v, Parameter)]

    def _own_buffers(self):
        held = ((name, self.__dict__[name]) for name in self._buffers)
        return [(name, buffer) for name, buffer in held if buffer is not None]

    def get_submodule(self, target):
        """The module of a dotted name.

        Raises
        ------
        AttributeError
            If there is none.
        """
        module = self
        for name in target.split(".") if target else ():
            module = getattr(module, name, None)
            if not isinstance(module, Module):
                raise AttributeError(f"get_submodule: there is no module {target!r}")
        return module

    def _state(self, prefix=""):
        """The Tensors of `state_dict`; a shared one under each of its names."""
        state = {prefix + name: value for name, value in self._own_parameters()}
        for name, buffer in self._own_buffers():
            if self._buffers[name]:
                state[prefix + name] = buffer
        for name, child in self.named_children():
            state.update(child._state(f"{prefix}{name}."))
        return state

    def state_dict(self):
        """The array of every parameter and persistent buffer, under PyTorch's names.

        Returns
        -------
        dict of str to ndarray
            The arrays share the module's memory: copy what must stay as it is.
        """
        return {name: tensor.data for name, tensor in self._state().items()}

    def load_state_dict(self, state_dict, strict=True):
        """Copy values into parameters and buffers by name.

        Parameters
        ----------
        state_dict : mapping of str to array_like
            From `state_dict` of such a module, here or in PyTorch.
        strict : bool, optional
            Whether a name that is missing or unexpected is an error.

        Returns
        -------
        LoadedKeys
            ``(missing_keys, unexpected_keys)``.

        Raises
        ------
        RuntimeError
            If a name, a shape or a dtype does not fit; then nothing was copied.
        TypeError
            If `state_dict` is no mapping.
        """
        own = self._state()
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                "load_state_dict: state_dict must be a mapping of names to arrays, got "
                f"{type(state_dict).__name__}"
            )
        keys = LoadedKeys(
            [name for name in own if name not in state_dict],
            [name for name in state_dict if name not in own],
        )
        faults = []
        if strict and keys.missing_keys:
            faults.append(f"missing: {', '.join(keys.missing_keys)}")
        if strict and keys.unexpected_keys:
            faults.append(f"unexpected: {', '.join(keys.unexpected_keys)}")
        values = {k: _as_values(v) for k, v in state_dict.items() if k in own}
        faults += [
            f"{name} must have shape {own[name].data.shape}, got {value.shape}"
            for name, value in values.items()
            if value.shape != own[name].data.shape
        ]
        faults += [
            f"{name} must have dtype {own[name].data.dtype}, got {value.dtype} "
            "(cast with .astype)"
            for name, value in values.items()
            if not np.can_cast(value.dtype, own[name].data.dtype, "safe")
        ]
        if faults:
            raise RuntimeError(
                f"load_state_dict: {type(self).__name__}: {'; '.join(faults)}"
            )
        for name, value in values.items():
            np.copyto(own[name].data, value)
        changed(own.values())
        return keys

    def train(self, mode=True):
        """Training mode on or off for this module and all below it; returns itself."""
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self):
        """The same as ``train(False)``."""
        return self.train(False)

    def zero_grad(self, set_to_none=True):
        """Forget the gradients of all parameters, or set them to zero."""
        for parameter in self.parameters():
            if set_to_none or parameter.grad is None:
                parameter.grad = None
            else:
                parameter.grad.data.fill(0)

    def requires_grad_(self, requires_grad=True):
        """Freeze or unfreeze all parameters; returns the module itself."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def apply(self, fn):
        """Call `fn` on every module, the innermost first; returns the module itself."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def to(self, dtype):
        """Cast all floating-point parameters and buffers; returns the module itself.

        ``"cpu"`` is where they are already.
        """
        dtype = as_dtype("to", dtype)
        if dtype is None:
            return self
        if dtype.char not in "fd":
            raise TypeError(f"to: dtype must be float32 or float64, got {dtype}")
        for tensor in [*self.parameters(), *self.buffers()]:
            if tensor.data.dtype.kind == "f":
                tensor.data = tensor.data.astype(dtype, copy=False)
                if tensor.grad is not None:
                    tensor.grad.data = tensor.grad.data.astype(dtype, copy=False)
        return self

    def float(self):
        """The same as ``to("float32")``."""
        return self.to(np.float32)

    def double(self):
        """The same as ``to("float64")``."""
        return self.to(np.float64)

    def extra_repr(self):
        """What stands between the brackets of `repr`: the settings."""
        return ""

    def __repr__(self):
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [
            f"({name}): {child!r}".replace("\n", "\n  ")
            for name, child in self.named_children()
        ]
        if not children and len(lines) < 2:
            return f"{type(self).__name__}({extra})"
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines + children) + "\n)"


def _join(prefix, name):
    return f"{prefix}.{name}" if prefix else name


def _as_values(value):
    return value.data if isinstance(value, Tensor) else np.asarray(value)
