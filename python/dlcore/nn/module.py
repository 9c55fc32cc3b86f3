"""Module: parameters, buffers and other modules under their attribute names.

A Module keeps no registry. What it holds is found in its ``__dict__``, in the order of
assignment, when somebody asks; reading an attribute and calling cost what Python costs.
"""

import numpy as np

from ..convert import as_array, gradients_dtype, is_sixteen
from ..ops.shape import dtype_among
from ..tensor import Tensor
from .hooks import Hookable, call_with_hooks
from .parameter import Parameter
from .state import load


class Module(Hookable):
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
        if self._hooks is not None:
            return call_with_hooks(self, args, kwargs)
        if kwargs:
            return self.forward(*args, **kwargs)
        return self.forward(*args)  # an empty dict less pays for the look at hooks

    def __setattr__(self, name, value):
        if value is not None:
            self._check_stays(name, value)
        object.__setattr__(self, name, value)

    def __delattr__(self, name):
        object.__delattr__(self, name)
        self._buffers.pop(name, None)

    def _check_stays(self, name, value):
        """TypeError when a parameter, buffer or module would become another thing."""
        held = self.__dict__.get(name)
        kinds = ()
        if isinstance(held, Parameter):
            kinds, cure = (Parameter,), f": assign an array to {name}.data"
        elif isinstance(held, Module):
            kinds, cure = (Module, Parameter), ""
        elif name in self._buffers:
            kinds, cure = (
                (Tensor, Module),
                ": assign an array to its .data, or a Tensor",
            )
        if kinds and not isinstance(value, kinds):
            raise TypeError(
                f"{type(self).__name__}: {name} must stay a {_word(held)} or None, "
                f"got {type(value).__name__}{cure}"
            )
        if isinstance(value, (Parameter, Module)):
            self._buffers.pop(name, None)

    def _check_name(self, name, kind):
        """TypeError or KeyError unless `kind` may be registered under the name."""
        op = type(self).__name__
        if not isinstance(name, str):
            raise TypeError(f"{op}: name must be a str, got {type(name).__name__}")
        if not name or "." in name:
            raise KeyError(f"{op}: name must not be empty or have dots, got {name!r}")
        held = getattr(self, name, None)
        if held is not None and not isinstance(held, kind):
            raise KeyError(f"{op}: {name} is another attribute already")

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

        Raises
        ------
        KeyError
            If the name has a dot or is another attribute's.
        """
        self._check_name(name, Tensor)
        if isinstance(getattr(self, name, None), Parameter):
            raise KeyError(f"{type(self).__name__}: {name} is a parameter already")
        buffer = tensor if tensor is None else Tensor(tensor)
        if "_buffers" not in self.__dict__:
            self._buffers = {}
        self._buffers[name] = persistent
        setattr(self, name, buffer)

    def register_parameter(self, name, param):
        """Hold a Parameter or None as the attribute `name`."""
        self._check_name(name, Parameter)
        if not (param is None or isinstance(param, Parameter)):
            raise TypeError(
                f"{type(self).__name__}: {name} must be a Parameter or None, got "
                f"{type(param).__name__}: wrap it in nn.Parameter"
            )
        setattr(self, name, param)

    def add_module(self, name, module):
        """Hold a module or None as the attribute `name`."""
        self._check_name(name, Module)
        if not (module is None or isinstance(module, Module)):
            raise TypeError(
                f"{type(self).__name__}: {name} must be a Module or None, "
                f"got {type(module).__name__}"
            )
        setattr(self, name, module)

    register_module = add_module

    def _held(self, kind):
        return [(k, v) for k, v in self.__dict__.items() if isinstance(v, kind)]

    def named_children(self):
        """The modules held directly, each once, with their names."""
        seen = set()
        for name, module in self._held(Module):
            if module not in seen:
                seen.add(module)
                yield name, module

    def children(self):
        """The modules held directly, each once."""
        return (module for _, module in self.named_children())

    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        """The module and all below it, each once, with dotted names.

        A module held twice has both names when not `remove_duplicate`.
        """
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in self._held(Module):
            yield from child.named_modules(memo, _join(prefix, name), remove_duplicate)

    def modules(self):
        """The module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """All parameters, each once, with dotted names: the keys of `state_dict`."""
        own = Module._own_parameters
        yield from self._named(prefix, recurse, remove_duplicate, own)

    def parameters(self, recurse=True):
        """All parameters, each once."""
        return (parameter for _, parameter in self.named_parameters("", recurse))

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """All buffers, each once, with dotted names."""
        own = Module._own_buffers
        yield from self._named(prefix, recurse, remove_duplicate, own)

    def buffers(self, recurse=True):
        """All buffers, each once."""
        return (buffer for _, buffer in self.named_buffers("", recurse))

    def _named(self, prefix, recurse, remove_duplicate, own):
        seen = set()
        below = self.named_modules(None, prefix, remove_duplicate)
        for path, module in below if recurse else [(prefix, self)]:
            for name, tensor in own(module):
                if tensor not in seen:
                    if remove_duplicate:
                        seen.add(tensor)
                    yield _join(path, name), tensor

    def _own_parameters(self):
        return self._held(Parameter)

    def _own_buffers(self):
        held = ((name, self.__dict__[name]) for name in self._buffers)
        return [(name, buffer) for name, buffer in held if buffer is not None]

    def get_submodule(self, target):
        """The module of a dotted name; itself for an empty one.

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

    def get_parameter(self, target):
        """The parameter of a dotted name; AttributeError if there is none."""
        path, _, name = target.rpartition(".")
        parameter = getattr(self.get_submodule(path), name, None)
        if not isinstance(parameter, Parameter):
            raise AttributeError(f"get_parameter: there is no parameter {target!r}")
        return parameter

    def get_buffer(self, target):
        """The buffer of a dotted name; AttributeError if there is none."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if name not in module._buffers:
            raise AttributeError(f"get_buffer: there is no buffer {target!r}")
        return getattr(module, name)

    def _state(self, prefix=""):
        """The Tensors of `state_dict`; a shared one under each of its names."""
        state = {prefix + name: value for name, value in self._own_parameters()}
        for name, buffer in self._own_buffers():
            if self._buffers[name]:
                state[prefix + name] = buffer
        for name, child in self._held(Module):
            state.update(child._state(f"{prefix}{name}."))
        return state

    def state_dict(self, *, prefix="", keep_vars=False):
        """The array of every parameter and persistent buffer, under PyTorch's names.

        Parameters
        ----------
        prefix : str, optional
            What the names begin with.
        keep_vars : bool, optional
            The Parameters and Tensors themselves instead of their arrays.

        Returns
        -------
        dict of str to ndarray
            The arrays share the module's memory: copy what must stay as it is.
        """
        state = self._state(prefix)
        return state if keep_vars else {name: t.data for name, t in state.items()}

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
        return load(type(self).__name__, self._state(), state_dict, strict)

    def train(self, mode=True):
        """Training mode on or off for this module and all below it; returns itself."""
        if not isinstance(mode, (bool, np.bool_)):
            raise ValueError(f"train: mode must be True or False, got {mode!r}")
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

    def to(self, *args, device=None, dtype=None):
        """Cast all floating-point parameters and buffers; returns the module itself.

        Parameters
        ----------
        *args : dtype, "cpu" or Tensor
            ``to(dtype)``, ``to("cpu", dtype)``, or ``to(tensor)`` for its dtype. They
            are on the CPU already.
        device, dtype : optional
            The same by name.

        Raises
        ------
        TypeError
            If the dtype is not of floating-point numbers, or the device not the CPU.
        ImportError
            If it is bfloat16 and the package ml_dtypes is missing.

        Notes
        -----
        float16 and bfloat16 store the parameters in half the memory; ops compute on
        float32 copies. Gradients, and buffers, which gather statistics, are float32.
        """
        dtype = dtype_among("to", *args, device, dtype)
        if dtype is None:
            return self
        narrow = is_sixteen(dtype)
        if dtype not in (np.float32, np.float64) and not narrow:
            raise TypeError(
                f"to: dtype must be float32, float64, float16 or bfloat16, got {dtype}"
            )
        wide = gradients_dtype(dtype)
        for tensor in self.parameters():
            tensor.data = as_array(tensor.data.astype(dtype, copy=False))
            if tensor.grad is not None:
                tensor.grad.data = tensor.grad.data.astype(wide, copy=False)
        for tensor in self.buffers():
            if tensor.data.dtype.kind == "f":
                tensor.data = tensor.data.astype(wide, copy=False)
        return self

    def float(self):
        """The same as ``to("float32")``."""
        return self.to(np.float32)

    def double(self):
        """The same as ``to("float64")``."""
        return self.to(np.float64)

    def half(self):
        """The same as ``to("float16")``."""
        return self.to(np.float16)

    def bfloat16(self):
        """The same as ``to("bfloat16")``."""
        return self.to("bfloat16")

    def cpu(self):
        """The module itself: it is there already."""
        return self

    def extra_repr(self):
        """What stands between the brackets of `repr`: the settings."""
        return ""

    def __repr__(self):
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [
            f"({name}): {child!r}".replace("\n", "\n  ")
            for name, child in self._held(Module)
        ]
        if not children and len(lines) < 2:
            return f"{type(self).__name__}({extra})"
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines + children) + "\n)"


def _join(prefix, name):
    return f"{prefix}.{name}" if prefix else name


def _word(held):
    kinds = {Parameter: "Parameter", Module: "Module"}
    return next((word for k, word in kinds.items() if isinstance(held, k)), "Tensor")
