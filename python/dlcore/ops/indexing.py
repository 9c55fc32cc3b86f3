"""Ops that pick and join numbers: indexing, cat, split."""

import math

import numpy as np

from .. import _C
from ..convert import gradients_dtype
from ..tensor import Tensor, record
from .inputs import array_of
from .shape import as_array, as_stored, check_dim, one_axis, whole

_SIMPLE = (int, np.integer, slice, type(None), type(...))  # names no element twice


def cat(tensors, dim=0, axis=None):
    """Join along a dimension that exists.

    Parameters
    ----------
    tensors : sequence of ndarray or Tensor
        Of one dtype, and of one shape except in `dim`.
    dim : int, optional
        Where to join; `axis` is the same.

    Raises
    ------
    ValueError
        If the shapes differ elsewhere, or there is nothing to join.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.cat([np.zeros((2, 1)), np.ones((2, 2))], dim=1)
    array([[0., 1., 1.],
           [0., 1., 1.]])
    """
    arrays = _arrays("cat", tensors)
    dim = check_dim("cat", one_axis("cat", dim, 0, axis), arrays[0])
    try:
        y = np.concatenate(arrays, dim)
    except ValueError:
        raise ValueError(
            f"cat: tensors must have one shape except in dim {dim}, "
            f"got {', '.join(str(a.shape) for a in arrays)}"
        ) from None
    if all(isinstance(t, np.ndarray) for t in tensors):
        return y
    ends = np.cumsum([a.shape[dim] for a in arrays])[:-1]
    return record(y, tuple(tensors), lambda dy: tuple(np.split(dy, ends, dim)))


concatenate = cat


def stack(tensors, dim=0, axis=None):
    """Join along a new dimension.

    Parameters
    ----------
    tensors : sequence of ndarray or Tensor
        Of one dtype and shape.
    dim : int, optional
        Where the new dimension goes; `axis` is the same.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.stack([np.zeros(2), np.ones(2)]).shape
    (2, 2)
    """
    arrays = _arrays("stack", tensors)
    dim = check_dim("stack", one_axis("stack", dim, 0, axis), arrays[0][None])
    if any(a.shape != arrays[0].shape for a in arrays):
        raise ValueError(
            "stack: tensors must have one shape, "
            f"got {', '.join(str(a.shape) for a in arrays)}"
        )
    y = np.stack(arrays, dim)
    return record(y, tuple(tensors), lambda dy: tuple(np.moveaxis(dy, dim, 0)))


def split(x, split_size_or_sections, dim=0):
    """Cut into pieces of a length (the last may be shorter), or of the given lengths.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> [len(piece) for piece in dl.split(np.zeros(5), 2)]
    [2, 2, 1]
    """
    a = as_stored("split", x)
    dim = check_dim("split", dim, a)
    n, sections = a.shape[dim], split_size_or_sections
    if isinstance(sections, (tuple, list)):
        sections = [whole("split", "each section", s) for s in sections] or [0]
    else:
        sections = whole("split", "split_size_or_sections", sections)
        if sections < 1:
            raise ValueError(f"split: the size must be at least 1, got {sections}")
        sections = [min(sections, n - i) for i in range(0, n, sections)] or [0]
    if sum(sections) != n or min(sections) < 0:
        raise ValueError(
            f"split: the sections must add up to {n}, the length of dim {dim} "
            f"of x.shape = {a.shape}, got {list(sections)}"
        )
    pieces, start = [], 0
    for length in sections:
        index = (slice(None),) * dim + (slice(start, start + length),)
        pieces.append(getitem(x, index))
        start += length
    return tuple(pieces)


def chunk(x, chunks, dim=0):
    """Cut into at most `chunks` pieces of equal length (the last may be shorter).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> [len(piece) for piece in dl.chunk(np.zeros(5), 2)]
    [3, 2]
    """
    a = as_stored("chunk", x)
    chunks = whole("chunk", "chunks", chunks)
    if chunks < 1:
        raise ValueError(f"chunk: chunks must be at least 1, got {chunks}")
    return split(x, max(1, -(-a.shape[check_dim("chunk", dim, a)] // chunks)), dim)


def getitem(x, index):
    """``x[index]`` with NumPy's rules; Tensors may be used as indices.

    Notes
    -----
    The gradient of repeated indices is added up in the order of the index: the same
    bits in every run.
    """
    a = as_stored("getitem", x)
    parts = index if isinstance(index, tuple) else (index,)
    repeats = False
    if not all(isinstance(p, _SIMPLE) for p in parts):
        index = parts = tuple(_index(p) for p in parts)
        repeats = any(isinstance(p, np.ndarray) and p.dtype != bool for p in parts)
        for part in parts:
            if hasattr(part, "keeps_its_kind"):  # only its own indexing is seen
                a = a.view(type(part))
    y = array_of(a[index])

    def backward(dy):
        if repeats:
            return (_added_up(dy, a, parts),)
        dx = np.zeros_like(a, gradients_dtype(a.dtype))
        dx[index] = dy
        return (dx,)

    return record(y, (x,), backward)


def _added_up(dy, a, parts):
    """The gradient of ``a[parts]`` where an element may be named more than once."""
    leading = [p for p in parts if isinstance(p, np.ndarray)]
    if len(leading) == len(parts) and all(p.dtype != bool for p in leading):
        # Numbers for the first axes: whole rows are added.
        rows, row = a.shape[: len(parts)], a.shape[len(parts) :]
        counted = [np.where(p < 0, p + n, p) for p, n in zip(parts, rows, strict=True)]
        numbers = np.ravel_multi_index(np.broadcast_arrays(*counted), rows)
    else:
        rows, row = a.shape, ()
        numbers = np.arange(a.size).reshape(a.shape)[parts]
    dy = np.ascontiguousarray(dy).reshape(*numbers.shape, *row)
    return _C.add_rows("getitem", dy, 0, numbers, math.prod(rows)).reshape(a.shape)


def _arrays(op, tensors):
    if not isinstance(tensors, (list, tuple)) or not tensors:
        raise ValueError(f"{op}: tensors must be a list of at least one array")
    arrays = [as_array(op, t) for t in tensors]
    if any(a.dtype != arrays[0].dtype for a in arrays):
        raise TypeError(
            f"{op}: tensors must have one dtype, "
            f"got {', '.join(str(a.dtype) for a in arrays)}: cast with .astype"
        )
    return arrays


def _index(part):
    """An index of its own: the caller may change his before backward runs."""
    part = part.data if isinstance(part, Tensor) else part
    if isinstance(part, np.ndarray):
        return part.copy()
    return np.array(part) if isinstance(part, list) else part
