"""Modules that hold modules."""

import operator

from .module import Module


class Sequential(Module):
    """Call modules one after the other.

    Parameters
    ----------
    *modules : Module, or one dict of str to Module
        Named "0", "1", ... or by the keys.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.Sequential(dl.nn.Linear(2, 3), dl.nn.ReLU())
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): ReLU()
    )
    """

    def __init__(self, *modules):
        named = enumerate(modules)
        if len(modules) == 1 and isinstance(modules[0], dict):
            named = modules[0].items()
        for name, module in named:
            setattr(self, str(name), _module("Sequential", module))

    def forward(self, x):
        for module in self.__dict__.values():
            if isinstance(module, Module):
                x = module(x)
        return x

    def append(self, module):
        """Add a module at the end; returns the Sequential itself."""
        setattr(self, str(len(self)), _module("Sequential", module))
        return self

    def __len__(self):
        return len(list(self.children()))

    def __iter__(self):
        return self.children()

    def __getitem__(self, index):
        if isinstance(index, slice):
            return type(self)(dict(list(self.named_children())[index]))
        return list(self.children())[index]

    def __setitem__(self, index, module):
        name = list(self.named_children())[operator.index(index)][0]
        setattr(self, name, _module("Sequential", module))


class ModuleList(Module):
    """A list of modules whose parameters are found; it has no forward of its own.

    Parameters
    ----------
    modules : iterable of Module, optional
        Named "0", "1", ...

    Examples
    --------
    >>> import dlcore as dl
    >>> layers = dl.nn.ModuleList([dl.nn.Linear(4, 4), dl.nn.ReLU()])
    >>> len(layers)
    2
    """

    def __init__(self, modules=()):
        self.extend(modules)

    def append(self, module):
        """Add a module at the end; returns the list itself."""
        setattr(self, str(len(self)), _module("ModuleList", module))
        return self

    def extend(self, modules):
        """Add modules at the end; returns the list itself."""
        for module in modules:
            self.append(module)
        return self

    def __len__(self):
        return len(list(self.children()))

    def __iter__(self):
        return self.children()

    def __getitem__(self, index):
        modules = list(self.children())[index]
        return ModuleList(modules) if isinstance(index, slice) else modules

    def __setitem__(self, index, module):
        index = range(len(self))[index]
        setattr(self, str(index), _module("ModuleList", module))


class Identity(Module):
    """Return the input; takes and ignores any settings.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.nn.Identity()(dl.Tensor([1.0]))
    tensor([1.])
    """

    def __init__(self, *args, **kwargs):
        pass

    def forward(self, x):
        return x


def _module(kind, module):
    if not isinstance(module, Module):
        is_class = isinstance(module, type)
        got = getattr(module, "__name__", None)  # of a function
        raise TypeError(
            f"{kind}: modules must be Modules, got "
            + (type(module).__name__ if is_class or not got else f"the function {got}")
            + (": write it with brackets" if is_class else "")
        )
    return module
