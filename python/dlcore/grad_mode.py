"""Whether the tape records, for each thread by itself: `no_grad`, `enable_grad`."""

import functools
import inspect
import threading


class _Mode(threading.local):
    def __init__(self):
        self.recording = True
        self.anomaly = None  # who looks for NaN: see dlcore.autograd.anomaly
        self.before = []  # what was before each block that this thread is in
        self.casting = False  # see dlcore.autocast


_mode = _Mode()
anomalies: list = []  # the blocks of all threads: empty, a walk need not ask its own
autocasts: list = []  # likewise those that switch autocast on
_RUN_LATER = (
    inspect.isgeneratorfunction,
    inspect.iscoroutinefunction,
    inspect.isasyncgenfunction,
)


class _Recording:
    """A block, or a decorated function, in which the tape is on or off."""

    def __new__(cls, function=None):
        if function is not None and not callable(function):
            kind = type(function).__name__
            raise TypeError(f"{cls.__name__}: function must be callable, got {kind}")
        block = object.__new__(cls)
        return block if function is None else block(function)

    def __enter__(self):
        _mode.before.append(_mode.recording)
        _mode.recording = self._recording

    def __exit__(self, *_):
        _mode.recording = _mode.before.pop()

    def __call__(self, function):
        return in_block(type(self).__name__, type(self), function)


def in_block(name, block, function):
    """A function that runs in a block of its own, which `block` makes, at each call."""
    if any(runs_later(function) for runs_later in _RUN_LATER):
        raise TypeError(
            f"{name}: function must run when it is called, got a "
            "generator or coroutine: write the block inside it"
        )

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        with block():
            return function(*args, **kwargs)

    return wrapped


class no_grad(_Recording):
    """A block in which nothing is recorded; also a decorator.

    Examples
    --------
    >>> import dlcore as dl
    >>> x = dl.Tensor([1.0], requires_grad=True)
    >>> with dl.no_grad():
    ...     print(dl.relu(x))
    tensor([1.])
    """

    _recording = False


class enable_grad(_Recording):
    """A block inside `no_grad` that records again; also a decorator."""

    _recording = True


class inference_mode(no_grad):
    """PyTorch's other word for `no_grad`: a tensor made in it may be used anywhere."""


class set_grad_enabled(_Recording):
    """Record from here on, or no longer; as a block, until its end. Also a decorator.

    Parameters
    ----------
    mode : bool
        Whether to record.

    Examples
    --------
    >>> import dlcore as dl
    >>> x = dl.Tensor([1.0], requires_grad=True)
    >>> with dl.set_grad_enabled(False):
    ...     print(dl.relu(x))
    tensor([1.])
    """

    def __new__(cls, mode):
        return object.__new__(cls)

    def __init__(self, mode):
        self._recording, self._before = bool(mode), _mode.recording
        _mode.recording = self._recording

    def __enter__(self):
        # The first block ends with what was before this object was made.
        before = _mode.recording if self._before is None else self._before
        _mode.before.append(before)
        _mode.recording, self._before = self._recording, None

    def __call__(self, function):
        _mode.recording = self._before
        mode = self._recording
        return (enable_grad if mode else no_grad)(function)


def is_grad_enabled():
    """Whether this thread records gradients."""
    return _mode.recording


def is_autocast_enabled():
    """Whether this thread multiplies in bfloat16: see `autocast`."""
    return _mode.casting
