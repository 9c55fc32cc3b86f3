"""Sequences of many lengths: in one padded array, and packed row after row."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...ops import cat, flip
from ...ops.rnn_layers import Lengths, lengths_of, place_rows
from ...ops.shape import as_array, reshape
from ...tensor import Tensor, raw


class PackedSequence(NamedTuple):
    """Sequences without their padding: all first steps, then all second ones.

    `pack_padded_sequence` and `pack_sequence` make it.

    Attributes
    ----------
    data : ndarray or Tensor, shape (sum of the lengths, ...)
        The longest sequence comes first in every step.
    batch_sizes : ndarray of int64
        How many sequences have each step.
    sorted_indices, unsorted_indices : ndarray of int64 or None
        Which sequence is the i-th in `data`; where each sequence is. None: as given.
    """

    data: np.ndarray | Tensor
    batch_sizes: np.ndarray
    sorted_indices: np.ndarray | None = None
    unsorted_indices: np.ndarray | None = None

    @property
    def order(self):
        """(`sorted_indices`, `unsorted_indices`), or None when they do not matter."""
        if self.sorted_indices is None:
            return None
        return self.sorted_indices, self.unsorted_indices


def pack_padded_sequence(input, lengths, batch_first=False, enforce_sorted=True):
    """Pack a padded array.

    Parameters
    ----------
    input : ndarray or Tensor, shape (steps, batch, ...)
        (batch, steps, ...) with `batch_first`.
    lengths : array_like of int, shape (batch,)
        How many steps each sequence has, at least 1.
    batch_first : bool, optional
        Whether the batch is the first axis.
    enforce_sorted : bool, optional
        Whether `lengths` must fall. If not, the result remembers the order.

    Returns
    -------
    PackedSequence

    Raises
    ------
    ValueError
        If a length is 0 or greater than `steps`, or they rise and must not.

    Examples
    --------
    >>> import numpy as np
    >>> from dlcore.nn.utils.rnn import pack_padded_sequence
    >>> x = np.array([[[1.0], [4.0]], [[2.0], [0.0]], [[3.0], [0.0]]])
    >>> packed = pack_padded_sequence(x, [3, 1])
    >>> packed.data.ravel(), packed.batch_sizes
    (array([1., 4., 2., 3.]), array([2, 1, 1]))
    """
    op = "pack_padded_sequence"
    a = as_array(op, input, "input")
    if a.ndim < 2:
        raise ValueError(
            f"{op}: input must have shape (steps, batch, ...), got input.shape = "
            f"{a.shape}"
        )
    first, second, *rest = a.shape
    n = int(np.prod(rest))
    many = Lengths(op, lengths, (first, second, n), batch_first)
    if many.lengths.size and many.lengths.min() < 1:
        raise ValueError(f"{op}: lengths must be at least 1, got {many.lengths.min()}")
    if enforce_sorted and np.any(np.diff(many.lengths) > 0):
        raise ValueError(
            f"{op}: lengths must fall, got {many.lengths.tolist()[:8]}: pass "
            "enforce_sorted=False"
        )
    rows = many.pack(reshape(input, first * second, n))
    data = reshape(rows, raw(rows).shape[0], *rest)
    sizes = np.array(many.sizes, np.int64)
    if enforce_sorted:
        return PackedSequence(data, sizes)
    return PackedSequence(data, sizes, many.order, many.back)


def pad_packed_sequence(
    sequence, batch_first=False, padding_value=0.0, total_length=None
):
    """Undo `pack_padded_sequence`.

    Parameters
    ----------
    sequence : PackedSequence
    batch_first : bool, optional
        Whether the batch is the first axis of the result.
    padding_value : float, optional
        What fills up the shorter ones.
    padding_side : {'right', 'left'}
        Whether it stands after a sequence's end or before its start.
    total_length : int, optional
        Number of steps of the result; default is the longest sequence's.

    Returns
    -------
    padded : ndarray or Tensor, shape (steps, batch, ...)
    lengths : ndarray of int64, shape (batch,)

    Raises
    ------
    ValueError
        If `total_length` is less than the longest sequence's.

    Examples
    --------
    >>> import numpy as np
    >>> from dlcore.nn.utils.rnn import pack_sequence, pad_packed_sequence
    >>> packed = pack_sequence([np.array([1.0, 2.0]), np.array([3.0])])
    >>> pad_packed_sequence(packed, batch_first=True)
    (array([[1., 2.],
           [3., 0.]]), array([2, 1]))
    """
    op = "pad_packed_sequence"
    _check_packed(op, sequence)
    sizes = np.asarray(sequence.batch_sizes)
    steps = len(sizes) if total_length is None else total_length
    if steps < len(sizes):
        raise ValueError(
            f"{op}: total_length must be at least the longest sequence's, "
            f"{len(sizes)}, got {total_length}"
        )
    batch = int(sizes.max(initial=0))
    lengths = (np.arange(batch)[:, None] < sizes).sum(1)
    if sequence.unsorted_indices is not None:
        lengths = lengths[sequence.unsorted_indices]
    shape = raw(sequence.data).shape
    sides = (batch, steps) if batch_first else (steps, batch)
    n = int(np.prod(shape[1:]))
    many = Lengths(op, lengths, (*sides, n), batch_first)
    if sequence.sorted_indices is not None:
        many.reorder(sequence.sorted_indices)
    padded = many.unpack(reshape(sequence.data, shape[0], n), padding_value)
    return reshape(padded, *sides, *shape[1:]), lengths


def pad_sequence(sequences, batch_first=False, padding_value=0.0, padding_side="right"):
    """One array of sequences of many lengths.

    Parameters
    ----------
    sequences : list of ndarray or Tensor, shape (steps, ...) each
        Alike but for their steps.
    batch_first : bool, optional
        Whether the batch is the first axis of the result.
    padding_value : float, optional
        What stands after a sequence's end.

    Returns
    -------
    ndarray or Tensor, shape (longest, batch, ...)

    Raises
    ------
    ValueError
        If there are none, or their shapes differ elsewhere.

    Examples
    --------
    >>> import numpy as np
    >>> from dlcore.nn.utils.rnn import pad_sequence
    >>> pad_sequence([np.ones(1), np.ones(2)], batch_first=True)
    array([[1., 0.],
           [1., 1.]])
    """
    if padding_side not in ("right", "left"):
        raise ValueError(
            "pad_sequence: padding_side must be 'right' or 'left', "
            f"got {padding_side!r}"
        )
    if padding_side == "left":
        backwards = [flip(sequence, 0) for sequence in sequences]
        padded = pad_sequence(backwards, batch_first, padding_value)
        return flip(padded, int(batch_first))
    return pad_packed_sequence(
        _pack("pad_sequence", sequences), batch_first, padding_value
    )[0]


def unpad_sequence(padded_sequences, lengths, batch_first=False):
    """The sequences of a padded array.

    Parameters
    ----------
    padded_sequences : ndarray or Tensor, shape (steps, batch, ...)
    lengths : array_like of int, shape (batch,)
    batch_first : bool, optional

    Returns
    -------
    list of ndarray or Tensor, shape (length, ...) each

    Examples
    --------
    >>> import numpy as np
    >>> from dlcore.nn.utils.rnn import unpad_sequence
    >>> unpad_sequence(np.ones((2, 2)), [1, 2], batch_first=True)
    [array([1.]), array([1., 1.])]
    """
    op = "unpad_sequence"
    shape = as_array(op, padded_sequences, "padded_sequences").shape
    if len(shape) < 2:
        raise ValueError(f"{op}: padded_sequences must have 2 axes, got {shape}")
    batch, steps = shape[:2] if batch_first else shape[1::-1]
    many = lengths_of(op, lengths, batch, steps).tolist()
    if batch_first:
        return [padded_sequences[i, :n] for i, n in enumerate(many)]
    return [padded_sequences[:n, i] for i, n in enumerate(many)]


def pack_sequence(sequences, enforce_sorted=True):
    """Pack sequences of many lengths; see `pack_padded_sequence`.

    Examples
    --------
    >>> import numpy as np
    >>> from dlcore.nn.utils.rnn import pack_sequence
    >>> pack_sequence([np.array([1.0, 2.0]), np.array([3.0])]).data
    array([1., 3., 2.])
    """
    packed = _pack("pack_sequence", sequences)
    if not enforce_sorted:
        return packed
    if np.any(np.diff(packed.sorted_indices) < 0):
        raise ValueError("pack_sequence: lengths must fall: pass enforce_sorted=False")
    return PackedSequence(packed.data, packed.batch_sizes)


def unpack_sequence(packed_sequences):
    """The sequences of a PackedSequence.

    Examples
    --------
    >>> import numpy as np
    >>> from dlcore.nn.utils.rnn import pack_sequence, unpack_sequence
    >>> unpack_sequence(pack_sequence([np.array([1.0, 2.0]), np.array([3.0])]))
    [array([1., 2.]), array([3.])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


def _pack(op, sequences):
    """Sequences as they follow each other, their rows taken step by step."""
    if not isinstance(sequences, Sequence) or not sequences:
        raise ValueError(f"{op}: sequences must be a list of at least one array")
    arrays = [as_array(op, s, "each sequence") for s in sequences]
    if any(a.ndim == 0 or a.shape[1:] != arrays[0].shape[1:] for a in arrays):
        raise ValueError(f"{op}: sequences must have one shape but for their length")
    lengths = [len(a) for a in arrays]
    rest = arrays[0].shape[1:]
    n = int(np.prod(rest))
    many = Lengths(op, lengths, (len(arrays), max(lengths), n), True)
    ends = np.cumsum([0, *lengths])
    sequence, step = np.divmod(many.rows, max(lengths, default=0) or 1)
    index = ends[sequence] + step
    back = np.empty_like(index)
    back[index] = np.arange(len(index))
    joined = reshape(cat(list(sequences)), int(ends[-1]), n)
    data = reshape(place_rows(op, joined, index, back), int(ends[-1]), *rest)
    return PackedSequence(data, np.array(many.sizes, np.int64), many.order, many.back)


def _check_packed(op, sequence):
    if not isinstance(sequence, PackedSequence):
        raise TypeError(
            f"{op}: sequence must be a PackedSequence, got {type(sequence).__name__}"
        )
