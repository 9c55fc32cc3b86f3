"""A reader of pickles that imports nothing and runs nothing of what they name.

A pickle is a program for a machine with a stack. This one knows the instructions that
data needs. A name (``collections.OrderedDict``) must be in the table that the caller
gives, and means what that table says: a constant, or a function of the caller's that
checks its arguments; another one is refused, or stands for itself as an `Unknown`.
Nothing else can be reached from a pickle, and what it builds has the types dict, list,
tuple, set, str, bytes, int, float, bool, None and the caller's.
"""

import struct

from .files import Fault

_SCALARS = (str, int, float, bool, bytes, type(None))
_LONGEST_INT = 255  # bytes
_LONGEST_NAME = 1024


class Function(str):
    """A name in a pickle that may be called, until it is."""

    __slots__ = ()


class Unknown:
    """What stands where a pickle asks for a name that weights do not need.

    Attributes
    ----------
    name : str
        ``"argparse.Namespace"``. Nothing of that name was looked for, or run.
    arguments : tuple or None
        What it was to be called with, if it was.
    state : object
        What it was to be filled with, mostly the dict of its attributes.
    items : list
        What was to be put into it, if it was a list or dict.
    """

    __slots__ = ("arguments", "items", "name", "state")

    def __init__(self, name, arguments=None):
        self.name, self.arguments = name, arguments
        self.state, self.items = None, []

    def __repr__(self):
        return f"<{self.name}, not loaded>"


class Unpickler:
    """Reads one pickle.

    Parameters
    ----------
    data : bytes-like
        Where the pickle is.
    start : int
        Its first byte.
    names : dict of str to object
        What dotted names mean: a function that REDUCE may call, or a constant.
    persistent : callable, optional
        ``persistent(id)`` gives what a persistent id stands for.
    build : callable, optional
        ``build(made, state)`` gives a state to what a function of the table made.
    strict : bool, optional
        Whether another name is a Fault; else it becomes an `Unknown`.
    """

    def __init__(self, data, start, names, persistent=None, build=None, strict=True):
        self._data, self.position = data, start
        self._names, self._strict = names, strict
        self._persistent, self._build_other = persistent or _refuse, build or _refuse

    def load(self):
        """The object; `position` is then behind the pickle."""
        self._stack, self._marks, self._memo = [], [], {}
        try:
            while True:
                (code,) = self._take(1)
                if code == _STOP:
                    return self._stack.pop()
                if code not in _DO:
                    raise Fault(
                        f"is damaged: its pickle has the instruction {code}, which "
                        "weights do not need"
                    )
                _DO[code](self)
        except IndexError:
            raise Fault("is damaged: its pickle takes more than there is") from None

    # -- what the instructions are made of --

    def _take(self, count):
        start, self.position = self.position, self.position + count
        if self.position > len(self._data):
            raise Fault("is cut off in the middle of its pickle")
        return bytes(self._data[start : self.position])

    def _number(self, form):
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _text(self, count):
        try:
            return self._take(count).decode()
        except UnicodeDecodeError:
            raise Fault("is damaged: a text in its pickle is not UTF-8") from None

    def _line(self):
        start = self.position
        length = bytes(self._data[start : start + _LONGEST_NAME]).find(b"\n")
        if length < 0:
            raise Fault("is damaged: a name in its pickle has no end")
        text = self._text(length)
        self.position += 1
        return text

    def _items(self):
        """What was pushed since the last mark."""
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _push(self, value):
        self._stack.append(value)

    def _fill(self, kind, put, items):
        """Put items into what is on the stack, if it is of that kind."""
        into = self._stack[-1]
        if type(into) is Unknown:
            into.items.extend(items)
        elif type(into) is kind:
            put(into, items)
        else:
            raise Fault(f"is damaged: its pickle fills what is no {kind.__name__}")

    def _keep(self, number):
        self._memo[number] = self._stack[-1]

    def _recall(self, number):
        if number not in self._memo:
            raise Fault("is damaged: its pickle recalls what it did not keep")
        self._stack.append(self._memo[number])

    def _name(self, module, name):
        dotted = f"{module}.{name}"
        if dotted in self._names:
            meaning = self._names[dotted]
            self._push(Function(dotted) if callable(meaning) else meaning)
        elif not self._strict:
            self._push(Unknown(dotted))
        else:
            raise Fault(
                f"asks for {dotted[:100]!a}, which weights do not need: nothing of the "
                "file was run or loaded (in PyTorch, save model.state_dict() alone; or "
                "pass strict=False)"
            )

    def call(self, function, arguments):
        """What a function of the table gives."""
        if type(function) is Unknown and type(arguments) is tuple:
            return Unknown(function.name, arguments)
        if type(function) is not Function or type(arguments) is not tuple:
            raise Fault("is damaged: its pickle calls what is no function")
        try:
            return self._names[function](*arguments)
        except TypeError:
            raise Fault(f"is damaged: arguments of {function}") from None

    # -- instructions of more than a line --

    def _reduce(self):
        arguments, function = self._stack.pop(), self._stack.pop()
        self._stack.append(self.call(function, arguments))

    def _build(self):
        """A state: of a dict, such as an OrderedDict's attributes, it is left out."""
        state, made = self._stack.pop(), self._stack[-1]
        if type(made) is Unknown:
            made.state = state
        elif type(made) is not dict:
            self._build_other(made, state)

    def _pop(self, count):
        """The last objects, in their order."""
        if len(self._stack) < count:
            raise IndexError
        popped = self._stack[-count:]
        del self._stack[-count:]
        return popped

    def _dict(self):
        items = self._items()
        self._push({})
        self._fill(dict, _set_items, items)

    def _long(self, form):
        count = self._number(form)
        if not 0 <= count <= _LONGEST_INT:
            raise Fault(f"is damaged: a whole number of {count} bytes")
        self._stack.append(int.from_bytes(self._take(count), "little", signed=True))

    def _mark(self):
        self._marks.append(self._stack)
        self._stack = []

    def _global(self):
        module = self._line()
        self._name(module, self._line())

    def _stack_global(self):
        name, module = self._stack.pop(), self._stack.pop()
        if type(name) is not str or type(module) is not str:
            raise Fault("is damaged: a name in its pickle is no text")
        self._name(module, name)

    def _persist(self):
        self._stack.append(self._persistent(self._stack.pop()))


def _hashable(key):
    """A key; no deep tuple, whose hash would take the C stack."""
    if type(key) in _SCALARS:
        return key
    if type(key) is tuple and all(type(part) in _SCALARS for part in key):
        return key
    raise Fault("is damaged: a key in its pickle must be a text or a number")


def _set_items(into, items):
    if len(items) % 2:
        raise Fault("is damaged: its pickle has a key without a value")
    for key, value in zip(items[::2], items[1::2]):
        into[_hashable(key)] = value


def _add_items(into, items):
    into.update(hashables(items))


def hashables(items):
    """A set."""
    if type(items) not in (list, tuple):
        raise Fault("is damaged: a set in its pickle must be made of a list")
    return {_hashable(item) for item in items}


def _refuse(*_):
    raise Fault("is damaged: its pickle asks for what weights do not need")


def _constant(value):
    return lambda self: self._push(value)


def _fresh(kind):
    return lambda self: self._push(kind())


def _scalar(form):
    return lambda self: self._push(self._number(form))


def _string(form):
    return lambda self: self._push(self._text(self._number(form)))


def _binary(form):
    return lambda self: self._push(self._take(self._number(form)))


_STOP = ord(".")
_DO = {
    0x80: lambda self: self._take(1),  # PROTO
    0x95: lambda self: self._take(8),  # FRAME
    ord("("): Unpickler._mark,
    ord("0"): lambda self: self._stack.pop(),
    ord("1"): lambda self: self._items(),
    ord("2"): lambda self: self._push(self._stack[-1]),
    ord("N"): _constant(None),
    0x88: _constant(True),
    0x89: _constant(False),
    ord("J"): _scalar("<i"),
    ord("K"): _scalar("<B"),
    ord("M"): _scalar("<H"),
    ord("G"): _scalar(">d"),
    0x8A: lambda self: self._long("<B"),
    0x8B: lambda self: self._long("<i"),
    ord("X"): _string("<I"),
    0x8C: _string("<B"),
    0x8D: _string("<Q"),
    ord("T"): _string("<I"),  # texts of Python 2
    ord("U"): _string("<B"),
    ord("B"): _binary("<I"),
    ord("C"): _binary("<B"),
    0x8E: _binary("<Q"),
    0x96: _binary("<Q"),
    ord("]"): _fresh(list),
    ord("}"): _fresh(dict),
    0x8F: _fresh(set),
    ord(")"): _constant(()),
    ord("a"): lambda self: self._fill(list, list.extend, self._pop(1)),
    ord("e"): lambda self: self._fill(list, list.extend, self._items()),
    ord("l"): lambda self: self._push(self._items()),
    ord("t"): lambda self: self._push(tuple(self._items())),
    0x85: lambda self: self._push(tuple(self._pop(1))),
    0x86: lambda self: self._push(tuple(self._pop(2))),
    0x87: lambda self: self._push(tuple(self._pop(3))),
    ord("d"): Unpickler._dict,
    ord("s"): lambda self: self._fill(dict, _set_items, self._pop(2)),
    ord("u"): lambda self: self._fill(dict, _set_items, self._items()),
    0x90: lambda self: self._fill(set, _add_items, self._items()),
    0x91: lambda self: self._push(frozenset(hashables(self._items()))),
    ord("q"): lambda self: self._keep(self._number("<B")),
    ord("r"): lambda self: self._keep(self._number("<I")),
    0x94: lambda self: self._keep(len(self._memo)),
    ord("h"): lambda self: self._recall(self._number("<B")),
    ord("j"): lambda self: self._recall(self._number("<I")),
    ord("c"): Unpickler._global,
    0x93: Unpickler._stack_global,
    ord("R"): Unpickler._reduce,
    0x81: Unpickler._reduce,  # NEWOBJ
    ord("b"): Unpickler._build,
    ord("Q"): Unpickler._persist,
}
