"""Rows of a table by their numbers, one by one or in bags."""

import numpy as np

from .. import _C
from ..grad_mode import no_grad
from ..tensor import Tensor, changed, raw, record
from .gather import take
from .inputs import wants
from .reduction import norm
from .row_sparse import RowSparse, add_to_grad, check_leaf
from .shape import one_line, whole


def embedding(
    input,
    weight,
    padding_idx=None,
    max_norm=None,
    norm_type=2.0,
    scale_grad_by_freq=False,
    sparse=False,
):
    """The row of `weight` that each number of `input` names.

    Parameters
    ----------
    input : ndarray or Tensor of int, any shape
        From 0 to the number of rows.
    weight : ndarray or Tensor, shape (rows, dim)
        float32 or float64.
    padding_idx : int, optional
        A row whose gradient stays 0; a negative one counts from the end.
    max_norm : float, optional
        Rows of `input` with a larger norm are first shortened to it, in `weight`.
    norm_type : float, optional
        The p of that norm.
    scale_grad_by_freq : bool, optional
        Divide the gradient of a row by how often `input` names it.
    sparse : bool, optional
        Leave the gradient of the named rows alone in ``weight.grad``, a `RowSparse`.

    Returns
    -------
    ndarray or Tensor, shape (*input.shape, dim)

    Raises
    ------
    IndexError
        If a number is negative or too large, or there is no row `padding_idx`.
    ValueError
        If `weight` has not two axes, or, with `sparse`, is the result of an op.
    TypeError
        If `input` is not an array of whole numbers.

    See Also
    --------
    embedding_bag, dlcore.nn.Embedding

    Notes
    -----
    The gradient of rows named more than once is added up in the order of `input`, and
    each row of it is written once: the same bits for any number of threads. A gradient
    of rows has the same bits; it goes to ``weight.grad`` past the tape, so that
    hooks and what returns gradients do not see it.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> table = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    >>> dl.embedding(np.array([2, 0]), table)
    array([[4., 5.],
           [0., 1.]])
    """
    rows = _check_table("embedding", weight)
    padding = _padding("embedding", padding_idx, rows)
    if max_norm is not None:
        _shorten("embedding", weight, raw(input), max_norm, norm_type)
    plain = padding == -1 and not scale_grad_by_freq and not sparse
    if plain or not wants(weight):
        return take("embedding", weight, 0, input, ("weight", "input"))
    if sparse:
        check_leaf("embedding", weight)
    names = "weight", "input"
    y, numbers = _C.take_rows("embedding", *names, raw(weight), 0, raw(input))

    def backward(dy):
        if sparse:
            options = padding, bool(scale_grad_by_freq)
            found = _C.sum_rows("embedding", dy, numbers, rows, *options)
            add_to_grad(weight, RowSparse(*found, rows))
            return None, None
        options = 1.0, padding, bool(scale_grad_by_freq)
        return _C.add_rows("embedding", dy, 0, numbers, rows, *options), None

    return record(y, (weight, input), backward)


def embedding_bag(
    input,
    weight,
    offsets=None,
    max_norm=None,
    norm_type=2.0,
    scale_grad_by_freq=False,
    mode="mean",
    sparse=False,
    per_sample_weights=None,
    include_last_offset=False,
    padding_idx=None,
):
    """The mean, sum or largest of the rows of `weight` in each bag of numbers.

    Parameters
    ----------
    input : ndarray or Tensor of int, shape (bags, length) or (n,)
        From 0 to the number of rows; with one axis `offsets` cut it into bags.
    weight : ndarray or Tensor, shape (rows, dim)
        float32 or float64.
    offsets : ndarray or Tensor of int, shape (bags,), optional
        Where each bag begins; rises from 0. Equal neighbours make an empty bag.
    max_norm : float, optional
        Rows of `input` with a larger norm are first shortened to it, in `weight`.
    norm_type : float, optional
        The p of that norm.
    scale_grad_by_freq : bool, optional
        Must be False.
    mode : str, optional
        "mean", "sum" or "max".
    sparse : bool, optional
        Leave the gradient of the named rows alone in ``weight.grad``, a `RowSparse`;
        not of the largest.
    per_sample_weights : ndarray or Tensor, shape of input, optional
        Factor of each row, for the sum only.
    include_last_offset : bool, optional
        Whether `offsets` end with the end of the last bag.
    padding_idx : int, optional
        A row that is left out of every bag; a negative one counts from the end.

    Returns
    -------
    ndarray or Tensor, shape (bags, dim)
        An empty bag gives 0. NaN is the largest.

    Raises
    ------
    IndexError
        If a number is negative or too large, or there is no row `padding_idx`.
    ValueError
        If a shape does not fit, `offsets` do not rise, the mode is unknown, or, with
        `sparse`, "max" or `weight` the result of an op.
    TypeError
        If `input` or `offsets` are not arrays of whole numbers.

    Notes
    -----
    The rows are never stored one by one. Of equal largest elements the first has the
    gradient.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> table = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    >>> dl.embedding_bag(np.array([2, 0, 1]), table, np.array([0, 2]))
    array([[2., 3.],
           [2., 3.]])
    """
    op = "embedding_bag"
    rows = _check_table(op, weight)
    if scale_grad_by_freq:
        raise NotImplementedError(f"{op}: scale_grad_by_freq must be False")
    padding = _padding(op, padding_idx, rows)
    if not isinstance(include_last_offset, bool):
        kind = type(include_last_offset).__name__
        raise TypeError(f"{op}: include_last_offset must be True or False, got {kind}")
    want_table, want_scale = wants(weight), wants(per_sample_weights)
    if sparse and mode == "max":
        raise ValueError(f"{op}: sparse must be False with mode='max'")
    if sparse and want_table:
        check_leaf(op, weight)
    numbers, cuts = raw(input), raw(offsets)
    if want_table or want_scale:  # the caller may change his before backward runs
        numbers, cuts = _copied(numbers), _copied(cuts)
    if max_norm is not None:
        _shorten(op, weight, numbers, max_norm, norm_type)
    table, scale = raw(weight), raw(per_sample_weights)
    bags = numbers, cuts
    options = include_last_offset, padding
    y, best = _C.embedding_bag_forward(table, *bags, mode, scale, *options)

    def backward(dy):
        dtable = dscale = None
        if want_table and best is not None:
            dtable = _C.scatter(op, rows, 0, best, dy, True, True)
        elif want_table:
            given = dy, rows, *bags, mode, scale, *options, bool(sparse)
            dtable = _C.embedding_bag_backward(*given)
            if sparse:
                add_to_grad(weight, RowSparse(*dtable, rows))
                dtable = None
        if want_scale:
            dscale = _C.embedding_bag_backward_scale(table, dy, *bags, *options)
        return None, dtable, None, dscale

    return record(y, (input, weight, offsets, per_sample_weights), backward)


def _copied(x):
    return x.copy() if isinstance(x, np.ndarray) else x


def _check_table(op, weight):
    """The number of rows."""
    table = raw(weight)
    if isinstance(table, np.ndarray) and table.ndim != 2:
        raise ValueError(
            f"{op}: weight must have shape (rows, dim), got weight.shape = "
            f"{table.shape}"
        )
    return len(table) if isinstance(table, np.ndarray) else 0


def _padding(op, padding_idx, rows):
    if padding_idx is None:
        return -1
    padding = whole(op, "padding_idx", padding_idx)
    if not -rows <= padding < rows:
        raise IndexError(
            f"{op}: padding_idx must be from {-rows} to {rows - 1}, got {padding}"
        )
    return padding % rows


def _shorten(op, weight, numbers, max_norm, norm_type):
    """Scale the rows that `numbers` name to a norm of at most `max_norm`, in place."""
    for name, value in (("max_norm", max_norm), ("norm_type", norm_type)):
        if not isinstance(value, (int, float, np.number)) or not value > 0:
            raise ValueError(
                f"{op}: {name} must be a number above 0, got {one_line(value)}"
            )
    table = raw(weight)
    if not isinstance(table, np.ndarray) or not table.flags.writeable:
        raise ValueError(f"{op}: weight must be a writable array with max_norm")
    names = "weight", "input"
    _C.take_rows(op, *names, table, 0, numbers)  # checks the numbers
    named = np.unique(numbers)
    with no_grad():
        picked = _C.take_rows(op, *names, table, 0, named)[0]
        norms = norm(picked, norm_type, 1, keepdim=True)
        factor = _C.div(float(max_norm), _C.add(norms, 1e-7))
        long = _C.gt(norms, float(max_norm))
        table[named] = _C.mul(picked, _C.where(long, factor, 1.0))
    if isinstance(weight, Tensor):
        changed((weight,))
