"""Files: their bytes, read or mapped; and how one takes the place of another."""

import contextlib
import mmap
import os
import stat

import numpy as np


class Fault(ValueError):
    """What is wrong with a file; whoever opened it adds which file (`naming`)."""


@contextlib.contextmanager
def naming(op, path):
    """Turn a Fault into a ValueError that begins with the op and the file."""
    try:
        yield
    except Fault as fault:
        raise ValueError(f"{op}: {os.fspath(path)} {fault}") from None


def _open(path, flags):
    """Not to wait for who writes to a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


class Source:
    """A file to read from; every piece is checked against its size.

    Parameters
    ----------
    path : path_like
        A regular file.
    mapped : bool, optional
        Give views of the mapped file instead of copies. What is written to them stays
        in memory. They outlive `close`.
    """

    def __init__(self, path, mapped=False):
        self.file = open(path, "rb", opener=_open)
        try:
            status = os.fstat(self.file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise Fault("must be a regular file")
            self.size = status.st_size
            self._map = None
            if mapped and self.size:
                number = self.file.fileno()
                memory = mmap.mmap(number, self.size, access=mmap.ACCESS_COPY)
                self._map = np.frombuffer(memory, np.uint8)
        except BaseException:
            self.file.close()
            raise

    def array(self, start, count):
        """`count` bytes from `start` on, as an array of its own or of the map."""
        if not 0 <= start <= start + count <= self.size:
            raise Fault(
                f"is cut off: it has {self.size} bytes, {start + count} are needed"
            )
        if self._map is not None:
            return self._map[start : start + count]
        array = np.empty(count, np.uint8)
        self.file.seek(start)
        if self.file.readinto(memoryview(array)) != count:
            raise Fault("became shorter while it was read")
        return array

    def bytes(self, start, count):
        """`count` bytes from `start` on."""
        return self.array(start, count).tobytes()

    def close(self):
        self.file.close()
        self._map = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@contextlib.contextmanager
def replacing(path):
    """A binary file that takes the place of `path` when the block ends without error.

    It is written beside `path` under another name, flushed to the disk and then renamed
    in one step: whenever the process or the machine stops, `path` is the old file or
    the new one, whole. A killed process leaves a file named ``.dlcore-*.part``.
    """
    target = os.path.realpath(path)  # a link stays a link
    folder = os.path.dirname(target)
    part = os.path.join(folder, f".dlcore-{os.urandom(8).hex()}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    number = os.open(part, flags, 0o666)
    try:
        with open(number, "wb") as file:
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(number, stat.S_IMODE(os.stat(target).st_mode))
            yield file
            file.flush()
            os.fsync(number)
        os.replace(part, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)
        raise
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)  # the new name itself
    finally:
        os.close(number)
