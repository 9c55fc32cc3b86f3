"""Sequences from a model that gives the next token's probabilities."""

import numpy as np

from .convert import as_array
from .ops.shape import one_line, whole
from .tensor import Tensor, raw


def greedy_search(step, start, end, max_length, state=None):
    """Take the most probable token, over and over.

    Parameters
    ----------
    step, start, end, max_length, state : as for `beam_search`
        The model, and where it begins and ends.

    Returns
    -------
    sequences : list of ndarray, int64
        Of each sample the tokens between `start` and `end`.
    log_probs : ndarray, shape (N,), float64
        The sum of the log-probabilities of each, that of `end` among them.

    See Also
    --------
    beam_search

    Examples
    --------
    >>> import numpy as np
    >>> from dlcore.decoding import greedy_search
    >>> table = np.log([[0.1, 0.8, 0.1], [0.2, 0.1, 0.7], [0.3, 0.3, 0.4]])
    >>> def step(tokens, state):
    ...     return table[tokens[:, -1]], state
    >>> sequences, scores = greedy_search(step, [0], 2, 5)
    >>> sequences, np.exp(scores).round(2)
    ([array([1])], array([0.56]))
    """
    tokens = _first("greedy_search", start, max_length)
    scores = np.zeros(len(tokens))
    ended = np.zeros(len(tokens), bool)
    for _ in range(max_length):
        if ended.all():
            break
        log_probs, state = _ask("greedy_search", step, tokens, state)
        best = log_probs.argmax(1)
        scores += np.where(ended, 0, log_probs[np.arange(len(tokens)), best])
        best[ended] = end
        tokens = np.concatenate([tokens, best[:, None]], 1)
        ended |= best == end
    return [_between(row, end) for row in tokens], scores


def beam_search(
    step,
    start,
    end,
    max_length,
    beam_width=4,
    alpha=1.0,
    nbest=1,
    state=None,
    reorder=None,
):
    r"""Find probable sequences by carrying the best few from token to token.

    Parameters
    ----------
    step : callable
        ``step(tokens, state)`` gets the tokens so far, int64 of shape (R, t), the start
        among them, and returns the log-probabilities of the next one, shape (R, V), and
        the state to be given next time. All rows of all samples go in together; the
        first call has one row for each sample.
    start : int, or array_like of int, shape (N,)
        The first token of each sample.
    end : int
        The token that ends a sequence.
    max_length : int
        The most tokens behind `start`; a sequence is cut there.
    beam_width : int, optional
        How many sequences are carried.
    alpha : float, optional
        How much the length counts, from 0 (the sum of the log-probabilities, which
        favours short sequences) to 1 (their mean).
    nbest : int, optional
        How many sequences to return of each sample.
    state : optional
        What `step` is given first: arrays, Tensors, or tuples, lists and dicts of them,
        whose first axis is that of the rows.
    reorder : callable, optional
        ``reorder(state, rows)`` returns the state of these rows of the last step's, for
        states of another form.

    Returns
    -------
    sequences : list of list of ndarray, int64
        Of each sample the tokens between `start` and `end`, the best sequence first.
        Shorter where fewer were found.
    scores : ndarray, shape (N, nbest), float64
        Of each sequence; -inf where there is none.

    Raises
    ------
    ValueError, TypeError
        If a number does not fit, or `step` returns another shape.

    See Also
    --------
    greedy_search, dlcore.ctc_beam_search

    Notes
    -----
    The score of a sequence of T tokens, `end` among them:

    .. math:: \frac{1}{T^\alpha} \sum_{t=1}^T \log P(y_t | y_1, \ldots, y_{t-1})

    Each step keeps the `beam_width` best sequences that go on, by the sum; one that
    ends among the `beam_width` best is put aside. A sample is done when as many are put
    aside and none that goes on could still be better. NaN counts as -inf.

    Examples
    --------
    >>> import numpy as np
    >>> from dlcore.decoding import beam_search
    >>> table = np.log([[0.1, 0.6, 0.3], [0.3, 0.4, 0.3], [0.3, 0.3, 0.4]])
    >>> def step(tokens, state):
    ...     return table[tokens[:, -1]], state
    >>> sequences, scores = beam_search(step, [0], 2, 5, alpha=0.0)
    >>> sequences[0][0], np.exp(scores).round(2)  # greedy: 1, 1, 1, 1, 1
    (array([], dtype=int64), array([[0.3]]))
    """
    op = "beam_search"
    tokens = _first(op, start, max_length)
    _check_numbers(op, beam_width, alpha, nbest)
    reorder = _take if reorder is None else reorder
    aside = [[] for _ in tokens]  # (score, tokens) of each sample, the best first
    owner, sums = np.arange(len(tokens)), np.zeros(len(tokens))  # of each row
    for length in range(1, max_length + 1):
        if not len(owner):
            break
        log_probs, state = _ask(op, step, tokens, state)
        going = []  # (row, token, sum)
        for sample in np.unique(owner):
            mine = np.flatnonzero(owner == sample)
            best = _continue(sums[mine, None] + log_probs[mine], beam_width, end)
            for at, total in best[1]:
                score = total / length**alpha
                _put_aside(aside[sample], score, tokens[mine[at], 1:], beam_width)
            if not _done(aside[sample], best[0], max_length**alpha, beam_width):
                going += [(mine[at], token, total) for at, token, total in best[0]]
        rows = np.array([row for row, _, _ in going], np.int64)
        added = np.array([token for _, token, _ in going], np.int64)
        owner, sums = owner[rows], np.array([total for _, _, total in going])
        tokens = np.concatenate([tokens[rows], added[:, None]], 1)
        if len(rows):
            state = reorder(state, rows)
    for sample, total, row in zip(owner, sums, tokens):  # cut
        score = total / max(1, max_length) ** alpha
        _put_aside(aside[sample], score, row[1:], beam_width)
    scores = np.full((len(aside), nbest), -np.inf)
    for sample, best in enumerate(aside):
        scores[sample, : len(best)] = [score for score, _ in best[:nbest]]
    return [[row for _, row in best[:nbest]] for best in aside], scores


def _continue(sums, width, end):
    """What the sums (R, V) of a sample's rows go on with, and end with.

    No more than one of a row's continuations ends: the best 2 * width have enough.
    """
    going, ending = [], []
    classes = sums.shape[1]
    for rank, at in enumerate(_largest(sums.ravel(), 2 * width)):
        row, token = divmod(int(at), classes)
        if token != end:
            going.append((row, token, sums[row, token]))
        elif rank < width:
            ending.append((row, sums[row, token]))
    return going[:width], ending


def _first(op, start, max_length):
    """The tokens before the first step, (N, 1)."""
    if whole(op, "max_length", max_length) < 0:
        raise ValueError(f"{op}: max_length must be at least 0, got {max_length}")
    tokens = np.atleast_1d(as_array(raw(start)))
    if tokens.ndim != 1 or tokens.dtype.kind not in "iu":
        raise ValueError(
            f"{op}: start must be whole numbers of shape (N,), "
            f"got shape {tokens.shape}, {tokens.dtype}"
        )
    return tokens.astype(np.int64)[:, None]


def _check_numbers(op, beam_width, alpha, nbest):
    if whole(op, "beam_width", beam_width) < 1:
        raise ValueError(f"{op}: beam_width must be at least 1, got {beam_width}")
    if not 1 <= whole(op, "nbest", nbest) <= beam_width:
        raise ValueError(
            f"{op}: nbest must be from 1 to beam_width = {beam_width}, got {nbest}"
        )
    if not isinstance(alpha, int | float) or not 0 <= alpha < np.inf:
        raise ValueError(f"{op}: alpha must be at least 0, got {one_line(alpha)}")


def _ask(op, step, tokens, state):
    log_probs, state = step(tokens, state)
    log_probs = np.asarray(raw(log_probs), np.float64)
    if log_probs.ndim != 2 or len(log_probs) != len(tokens) or not log_probs.shape[1]:
        raise ValueError(
            f"{op}: step must return log-probabilities of shape ({len(tokens)}, V), "
            f"got shape {log_probs.shape}"
        )
    return np.where(np.isnan(log_probs), -np.inf, log_probs), state


def _largest(values, count):
    """Places of the largest above -inf, the largest first, of equals the first."""
    if count < values.size:
        least = np.partition(values, -count)[-count]
        among = np.flatnonzero(values >= least)
    else:
        among = np.arange(values.size)
    among = among[values[among] > -np.inf]
    return among[np.argsort(-values[among], kind="stable")][:count]


def _put_aside(aside, score, tokens, most):
    aside.append((score, tokens))
    aside.sort(key=lambda pair: -pair[0])
    del aside[most:]


def _done(aside, going, divisor, beam_width):
    """Whether nothing that goes on can be better than what was put aside."""
    most = max((total for _, _, total in going), default=-np.inf)
    if len(aside) < beam_width or most > 0:
        return False
    return most / divisor <= aside[-1][0]


def _between(tokens, end):
    """Without the first token, and the end with what follows it."""
    at = np.flatnonzero(tokens[1:] == end)
    return tokens[1:][: at[0]] if len(at) else tokens[1:]


def _take(state, rows):
    """These rows of every array of a state."""
    if isinstance(state, np.ndarray | Tensor):
        return state[rows]
    if isinstance(state, tuple | list):
        taken = (_take(part, rows) for part in state)
        return (
            type(state)(taken) if type(state) in (tuple, list) else type(state)(*taken)
        )
    if isinstance(state, dict):
        return {name: _take(part, rows) for name, part in state.items()}
    if state is None or isinstance(state, bool | int | float | str):
        return state
    raise TypeError(
        f"beam_search: state must be arrays, or tuples, lists and dicts of them, got "
        f"{type(state).__name__}: pass reorder=, which takes rows of it"
    )
