"""An array that tells the trace of its thread what NumPy makes of it."""

import operator
import threading

import numpy as np

_thread = threading.local()


def tracing():
    """The trace that this thread is in, or None."""
    return getattr(_thread, "trace", None)


class following:
    """A block in which arrays tell `trace`."""

    def __init__(self, trace):
        self._trace = trace

    def __enter__(self):
        _thread.trace = self._trace

    def __exit__(self, *_):
        _thread.trace = None


class Traced(np.ndarray):
    """What depends on the inputs: views are followed, results of NumPy written down.

    Outside a trace it is an array like others.
    """

    keeps_its_kind = True  # in a Tensor: see dlcore.convert

    def __array_ufunc__(self, ufunc, method, *inputs, out=(None,), **named):
        if not all(isinstance(x, _KNOWN) for x in inputs):
            return NotImplemented
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        result = _call(function, inputs, named)
        return result if out[0] is None else _write(ufunc, out, result, named)

    def __array_function__(self, function, types, args, named):
        if not all(issubclass(kind, np.ndarray) for kind in types):
            return NotImplemented
        if function is np.copyto and len(args) == 2 and not named:
            return _write(function, args[:1], args[1], named)
        if function in _WRITERS:
            return _write(function, (None,), None, named)
        if (out := named.get("out")) is not None:
            named = {key: value for key, value in named.items() if key != "out"}
            return _write(function, (out,), _call(function, args, named), named)
        return _call(function, args, named)

    def __getitem__(self, index):
        return _call(operator.getitem, (self, index), {})

    def __setitem__(self, index, value):
        trace = tracing()
        if trace is not None:
            trace.write(self, index, value)
        else:
            plain(self)[index] = value

    def fill(self, value):
        self[...] = value

    def __repr__(self):
        return repr(plain(self))

    def __str__(self):
        return str(plain(self))


_KNOWN = np.ndarray, np.generic, int, float, complex, bool, list, tuple
_WRITERS = {np.copyto, np.put, np.place, np.putmask, np.put_along_axis}


def plain(value):
    """The same with NumPy's own arrays in the place of traced ones."""
    if isinstance(value, Traced):
        return np.ndarray.view(value, np.ndarray)
    if type(value) in (tuple, list):
        return type(value)(map(plain, value))
    return value


def _call(function, args, named):
    trace = tracing()
    call = plain(list(args)), {key: plain(value) for key, value in named.items()}
    if trace is None:
        return function(*call[0], **call[1])
    trace.before(function, args)
    return trace.after(function, args, named, function(*call[0], **call[1]))


def _write(function, targets, values, named):
    """Put the results of a function where it was told to."""
    if "where" in named or any(target is None for target in targets):
        raise RuntimeError(
            f"optimize: np.{function.__name__} writes into parts of an array, which "
            "cannot be followed: use np.where"
        )
    values = values if isinstance(values, tuple) else (values,)
    trace = tracing()
    for target, value in zip(targets, values, strict=True):
        if trace is not None:
            trace.write(target, ..., value)
        else:
            plain(target)[...] = plain(value)
    return targets[0] if len(targets) == 1 else targets


def _followed(name):
    method = getattr(np.ndarray, name)

    def call(self, *args, **named):
        return _call(method, (self, *args), named)

    return call


def _refused(name, text):
    method = getattr(np.ndarray, name)

    def call(self, *args, **named):
        if (trace := tracing()) is not None:
            trace.number(text)
        return method(plain(self), *args, **named)

    return call


_NUMBERS = {
    "__bool__": "bool(x)",
    "__int__": "int(x)",
    "__float__": "float(x)",
    "__complex__": "complex(x)",
    "__index__": "an index x",
    "__contains__": "in x",
    **{name: f"x.{name}()" for name in ("item", "tolist", "tobytes", "tofile")},
}
_CHANGES = ("sort", "partition", "put", "resize", "setfield", "byteswap")
for _name, _text in _NUMBERS.items():
    setattr(Traced, _name, _refused(_name, _text))
for _name in dir(np.ndarray):
    _plain = callable(getattr(np.ndarray, _name)) and not _name.startswith("_")
    if _name in _CHANGES:
        setattr(Traced, _name, _refused(_name, f"x.{_name}()"))
    elif _name not in vars(Traced) and (
        _plain or _name in ("__copy__", "__deepcopy__")
    ):
        setattr(Traced, _name, _followed(_name))
