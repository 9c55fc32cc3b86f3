"""MNIST's IDX files, plain or gzipped, from a folder of the user's."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from .split import Split

_UNSIGNED_BYTE = 0x08  # the third byte of an IDX file: the kind of its elements
_MOST_BYTES = 1 << 32  # a header that promises more is not believed


def mnist(directory):
    """Read a data set in MNIST's four files.

    Parameters
    ----------
    directory : str or path
        Holds ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
        ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``, each plain or with
        ``.gz``; also Fashion-MNIST and others in this form.

    Returns
    -------
    Split
        ``train_images`` of shape (n, 1, height, width), ``train_labels``,
        ``test_images``, ``test_labels``.

    Raises
    ------
    FileNotFoundError
        Naming the file that is missing.
    ValueError
        If a file is truncated, too long, no IDX file, or does not fit the others.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise FileNotFoundError(f"mnist: there is no folder {directory}")
    train = _part(directory, "train")
    test = _part(directory, "t10k")
    if train[0].shape[1:] != test[0].shape[1:]:
        raise ValueError(
            "mnist: training and test images must have one size, "
            f"got {train[0].shape[2:]} and {test[0].shape[2:]}"
        )
    return Split(*train, *test)


def _part(directory, name):
    path = _find(directory, f"{name}-images", 3)
    images = read_idx(path, 3)
    labels = read_idx(_find(directory, f"{name}-labels", 1), 1)
    if len(images) != len(labels):
        raise ValueError(
            f"mnist: {path.name} has {len(images)} images, "
            f"but there are {len(labels)} labels"
        )
    if images.size == 0:
        raise ValueError(f"mnist: {path.name} has no images")
    return images[:, None].astype(np.float32) / 255, labels.astype(np.int64)


def _find(directory, stem, ndim):
    for joint in "-.":  # both spellings are in circulation
        for end in ("", ".gz"):
            path = directory / f"{stem}{joint}idx{ndim}-ubyte{end}"
            if path.is_file():
                return path
    raise FileNotFoundError(
        f"mnist: there is no {stem}-idx{ndim}-ubyte or {stem}-idx{ndim}-ubyte.gz "
        f"in {directory}"
    )


def read_idx(path, ndim):
    """The array in an IDX file of unsigned bytes.

    Parameters
    ----------
    path : str or path
        Read through gzip when it ends in ``.gz``.
    ndim : int
        How many dimensions it must have.

    Returns
    -------
    ndarray of uint8
    """
    path = Path(path)
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            header = file.read(4 + 4 * ndim)
            shape = _shape(path.name, header, ndim)
            size = math.prod(shape)
            content = file.read(size + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"mnist: {path.name} is damaged or no gzip file: {error}"
        ) from None
    if len(content) != size:
        raise ValueError(
            f"mnist: {path.name} must hold {size} bytes for shape {shape}, it is "
            + ("too long" if len(content) > size else f"truncated at {len(content)}")
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _shape(name, header, ndim):
    if header[:4] != bytes((0, 0, _UNSIGNED_BYTE, ndim)):
        raise ValueError(
            f"mnist: {name} must start with 00 00 08 {ndim:02x} (an IDX file of bytes "
            f"with {ndim} dimensions), got {header[:4].hex(' ') or 'nothing'}"
        )
    if len(header) < 4 + 4 * ndim:
        raise ValueError(f"mnist: {name} is truncated in its header")
    shape = tuple(int(n) for n in np.frombuffer(header[4:], ">u4"))
    if math.prod(shape) > _MOST_BYTES:
        raise ValueError(f"mnist: {name} has a damaged header: shape {shape}")
    return shape
