"""Calls of kernels as they happen, for those who count or trace them.

Every op looks its kernel up in `_C` when it is called. While somebody watches, a
function that tells him stands in the kernel's place, and the short ways past the ops
are closed; while nobody does, a call costs nothing more.
"""

import functools
import inspect
import os
import threading

from . import _C

_lock = threading.Lock()
_kernels = {name: value for name, value in vars(_C).items() if inspect.isroutine(value)}
_watchers: list = []  # (thread, function, alone)


class watching:
    """A block in which each kernel that this thread calls is told to `see`.

    Parameters
    ----------
    see : callable
        ``see(name, arguments, result)`` after the call; what it returns, if anything,
        takes the place of the result.
    alone : bool, optional
        Whether those who watched this thread before are told nothing meanwhile.
    """

    def __init__(self, see, alone=False):
        self._watcher = threading.get_ident(), see, alone

    def __enter__(self):
        try:
            with _lock:
                _watchers.append(self._watcher)
                _tell()
        except BaseException:  # Ctrl-C, after which nobody calls __exit__
            self.__exit__()
            raise

    def __exit__(self, *_):
        with _lock:
            _watchers[:] = [w for w in _watchers if w is not self._watcher]
            _tell()


_telling: bool | None = False  # None: an interrupt came between


def _tell():
    """Functions that tell stand in the kernels' places, or the kernels themselves."""
    global _telling
    on = bool(_watchers)
    if _telling is on:
        return
    _telling = None
    _C.open_short_ways(not on)
    for name, kernel in _kernels.items():
        setattr(_C, name, _told(name, kernel) if on else kernel)
    _telling = on


def _forget_other_threads():
    """In the child of a fork: one of them may hold the lock for ever."""
    global _lock, _telling
    _lock, _telling = threading.Lock(), None
    _watchers[:] = [w for w in _watchers if w[0] == threading.get_ident()]
    _tell()


os.register_at_fork(after_in_child=_forget_other_threads)


def _told(name, kernel):
    @functools.wraps(kernel)
    def call(*arguments, **named):
        result = kernel(*arguments, **named)
        thread = threading.get_ident()
        for watcher, see, alone in reversed(tuple(_watchers)):
            if watcher == thread:
                told = see(name, (*arguments, *named.values()), result)
                result = result if told is None else told
                if alone:
                    break
        return result

    return call
