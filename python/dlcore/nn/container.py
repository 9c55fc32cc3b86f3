"""Modules that hold modules."""

import itertools
import operator
from collections.abc import Mapping

from .module import Module


class _Row(Module):
    """A list of modules, or of another kind, named by their places."""

    _kind: type = Module

    def append(self, item):
        """Add one at the end; returns the container itself."""
        setattr(self, str(len(self)), self._checked(item))
        return self

    def extend(self, items):
        """Add some at the end; returns the container itself."""
        for item in [self._checked(item) for item in items]:
            self.append(item)
        return self

    def insert(self, index, item):
        """Put one before that at `index`: all are numbered anew."""
        items = list(self)
        items.insert(operator.index(index), self._checked(item))
        self._number(items)
        return self

    def pop(self, index=-1):
        """Take one out and return it: the others are numbered anew."""
        item = self[operator.index(index)]
        del self[index]
        return item

    def __len__(self):
        return len(self._held(self._kind))

    def __iter__(self):
        return iter([item for _, item in self._held(self._kind)])

    def __contains__(self, item):
        return any(item is held for held in self)

    def __getitem__(self, index):
        held = self._held(self._kind)
        if isinstance(index, slice):
            return self._part(held[index])
        return held[self._place(index)][1]

    def __setitem__(self, index, item):
        name = self._held(self._kind)[self._place(index)][0]
        setattr(self, name, self._checked(item))

    def __delitem__(self, index):
        items = list(self)
        del items[index if isinstance(index, slice) else self._place(index)]
        self._number(items)

    def __iadd__(self, other):
        return self.extend(other)

    def __add__(self, other):
        return self._part(self._held(self._kind)).extend(other)

    def _place(self, index):
        n, at = len(self), operator.index(index)
        if not -n <= at < n:
            kind = type(self).__name__
            raise IndexError(f"{kind}: index must be from {-n} to {n - 1}, got {at}")
        return at

    def _number(self, items):
        for name, _ in self._held(self._kind):
            delattr(self, name)
        for i, item in enumerate(items):
            setattr(self, str(i), item)

    def _part(self, held):
        return type(self)(item for _, item in held)

    def _checked(self, item):
        return _module(type(self).__name__, item)


class Sequential(_Row):
    """Call modules one after the other.

    It is a list: ``net[0]``, ``net[1:]``, ``net.append(module)``, ``insert``,
    ``extend``, ``pop``, ``del net[0]``, ``net + [module]``.

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
            self.add_module(str(name), _module("Sequential", module))

    def forward(self, x):
        for module in self.__dict__.values():
            if isinstance(module, Module):
                x = module(x)
        return x

    def _part(self, held):
        return type(self)(dict(held))  # under their names


class ModuleList(_Row):
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

    def __init__(self, modules=None):
        self.extend(() if modules is None else modules)

    def __repr__(self):
        """Those that follow each other and look alike are shown once."""
        if not len(self):
            return f"{type(self).__name__}()"
        lines, i = [], 0
        for text, alike in itertools.groupby(map(repr, self)):
            n = len(list(alike))
            head = f"({i}): " if n == 1 else f"({i}-{i + n - 1}): {n} x "
            lines.append((head + text).replace("\n", "\n  "))
            i += n
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"


class _Named(Module):
    """A dict of modules, or of another kind."""

    _kind: type = Module

    def update(self, items):
        """Add or replace those of a mapping or of pairs."""
        for name, item in _pairs(type(self).__name__, items):
            self[name] = item

    def pop(self, name):
        """Take one out and return it."""
        item = self[name]
        delattr(self, name)
        return item

    def get(self, name, default=None):
        """That of a name, or `default`."""
        return dict(self.items()).get(name, default)

    def clear(self):
        """Take all out."""
        for name in list(self):
            delattr(self, name)

    def __getitem__(self, name):
        return dict(self.items())[name]

    def __delitem__(self, name):
        self.pop(name)

    def __len__(self):
        return len(self._held(self._kind))

    def __iter__(self):
        return iter(self.keys())

    def __contains__(self, name):
        return name in self.keys()

    def keys(self):
        """The names."""
        return self.items().mapping.keys()

    def values(self):
        """What they name."""
        return self.items().mapping.values()

    def items(self):
        """Pairs of names and what they name."""
        return dict(self._held(self._kind)).items()


class ModuleDict(_Named):
    """Modules under names whose parameters are found; it has no forward of its own.

    Parameters
    ----------
    modules : mapping of str to Module, or pairs, optional
        Their order is kept.

    Raises
    ------
    KeyError
        If a name is empty, has a dot or is an attribute of every module.

    Examples
    --------
    >>> import dlcore as dl
    >>> heads = dl.nn.ModuleDict({"left": dl.nn.Linear(2, 1), "right": dl.nn.ReLU()})
    >>> list(heads), heads["right"]
    (['left', 'right'], ReLU())
    """

    def __init__(self, modules=None):
        self.update(() if modules is None else modules)

    def __setitem__(self, name, module):
        self.add_module(name, _module("ModuleDict", module))


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


class Lambda(Module):
    """A function as a module, for a place where a module must stand.

    Parameters
    ----------
    function : callable
        Called with what the module is called with.

    Examples
    --------
    >>> import dlcore as dl
    >>> net = dl.nn.Sequential(dl.nn.Lambda(lambda x: x * 2), dl.nn.ReLU())
    >>> net(dl.Tensor([-1.0, 2.0]))
    tensor([0., 4.])
    """

    def __init__(self, function):
        if not callable(function):
            kind = type(function).__name__
            raise TypeError(f"Lambda: function must be callable, got {kind}")
        self.function = function

    def forward(self, *args, **kwargs):
        return self.function(*args, **kwargs)

    def extra_repr(self):
        return getattr(self.function, "__name__", repr(self.function))


def _pairs(kind, named):
    """The items of a mapping, a ModuleDict, a ParameterDict or of pairs."""
    if isinstance(named, Mapping) or hasattr(named, "items"):
        return list(named.items())
    try:
        return [(name, value) for name, value in named]
    except (TypeError, ValueError):
        raise TypeError(
            f"{kind}: must be given a mapping or pairs of names and values"
        ) from None


def _module(kind, module):
    if not isinstance(module, Module):
        is_class = isinstance(module, type)
        got = getattr(module, "__name__", None)  # of a function
        raise TypeError(
            f"{kind}: modules must be Modules, got "
            + (type(module).__name__ if is_class or not got else f"the function {got}")
            + (": write it with brackets" if is_class else "")
            + (": wrap it in nn.Lambda" if got and not is_class else "")
        )
    return module
