"""Connectionist temporal classification: the loss, and decoding."""

from .. import _C
from ..grad_mode import is_grad_enabled
from ..tensor import Tensor, raw, record
from .inputs import plain, wants


def ctc_loss(
    log_probs,
    targets,
    input_lengths,
    target_lengths,
    blank=0,
    reduction="mean",
    zero_infinity=False,
):
    r"""CTC loss: how improbable a sequence of labels is, whatever its alignment.

    Parameters
    ----------
    log_probs : ndarray or Tensor, shape (T, N, C) or (T, C)
        Logarithms of the probabilities of the classes at each step, as `log_softmax`
        gives them, float32 or float64.
    targets : ndarray or Tensor, shape (N, S) or (sum(target_lengths),)
        The labels, int64 or int32: rows that are filled up with anything, or one
        sample's behind the other's. None may be the blank.
    input_lengths, target_lengths : ndarray, Tensor or sequence of int, shape (N,)
        How many steps and how many labels each sample has.
    blank : int, optional
        The class that stands for no label.
    reduction : {'mean', 'sum', 'none'}, optional
        What becomes of the losses. The mean divides each by its number of labels first.
    zero_infinity : bool, optional
        Count an infinite loss as 0, with gradient 0.

    Returns
    -------
    ndarray or Tensor
        Shape (), or (N,) for ``'none'``. A target that does not fit into its steps
        (repeated labels need a blank between them) has the loss inf, and NaN for a
        gradient. NaN among the log-probabilities of a sample's labels or blank makes
        its loss NaN. The mean of no sample is NaN.

    Raises
    ------
    IndexError
        If a label is no class, or the blank; names the first.
    ValueError
        If shapes or lengths do not fit or `reduction` is not known.
    TypeError
        If the dtypes do not fit.

    See Also
    --------
    ctc_greedy_decode, ctc_beam_search, log_softmax

    Notes
    -----
    With :math:`B^{-1}(l)` the paths that become the target :math:`l` when repeats and
    then blanks are left out:

    .. math:: -\log \sum_{\pi \in B^{-1}(l)} \prod_t p_t(\pi_t)

    The gradient is that of this function: minus the probability that a path takes a
    class at a step. (PyTorch's has ``exp(log_probs)`` added, which `log_softmax` makes
    0 on the way to its input; there both are the same.) It is made together with the
    loss. Sums run relative to the largest state, so that float32 keeps its precision
    over thousands of steps.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> even = np.log(np.full((2, 1, 2), 0.5))  # 3 of 4 paths give the label 1
    >>> float(np.exp(-dl.ctc_loss(even, np.array([[1]]), [2], [1])).round(4))
    0.75
    """
    given = raw(log_probs), raw(targets), raw(input_lengths), raw(target_lengths)
    options = blank, reduction, zero_infinity
    wanted = wants(log_probs) and is_grad_enabled()
    loss, gradient = _C.ctc_loss(*given, *options, wanted)
    if not isinstance(log_probs, Tensor):
        return loss
    ready = [gradient]

    def backward(dy):
        dx = ready.pop() if ready else _C.ctc_loss(*given, *options, True)[1]
        if dy.ndim == 0 and dy.item() == 1:
            return (dx,)
        return (_C.mul(dx, dy[:, None] if dy.ndim else dy, dx),)

    return record(loss, (log_probs,), backward)


def ctc_greedy_decode(log_probs, input_lengths=None, blank=0):
    r"""The labels of the most probable path.

    Parameters
    ----------
    log_probs : ndarray or Tensor, shape (T, N, C) or (T, C)
        Log-probabilities of the classes at each step, float32 or float64.
    input_lengths : ndarray, Tensor or sequence of int, shape (N,), optional
        How many steps each sample has; default is all.
    blank : int, optional
        The class that stands for no label.

    Returns
    -------
    sequences : list of ndarray or Tensor, int64
        The labels of each sample; of the only one without an axis of samples.
    log_probs : ndarray or Tensor, shape (N,) or ()
        Log-probability of each best path, of which the sequence may have others. NaN
        counts as the largest of a step.

    Raises
    ------
    ValueError
        If shapes or lengths do not fit.
    TypeError
        If the dtypes do not fit.

    See Also
    --------
    ctc_beam_search, ctc_loss

    Notes
    -----
    The most probable class of each step (the first of equals); repeats are left out,
    then blanks.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> path = np.log(np.eye(3)[[1, 1, 0, 1, 2]] * 0.8 + 0.1)
    >>> sequence, score = dl.ctc_greedy_decode(path)
    >>> sequence, score.round(3)
    (array([1, 1, 2]), np.float64(-0.527))
    """
    array = raw(log_probs)
    labels, counts, scores = _C.ctc_greedy_decode(array, raw(input_lengths), blank)
    sequences = [
        plain(row[:count].copy(), log_probs) for row, count in zip(labels, counts)
    ]
    if array.ndim == 2:
        return sequences[0], plain(scores[0], log_probs)
    return sequences, plain(scores, log_probs)


def ctc_beam_search(log_probs, input_lengths=None, beam_width=16, blank=0, nbest=1):
    r"""The most probable sequences of labels, by prefix beam search.

    Parameters
    ----------
    log_probs : ndarray or Tensor, shape (T, N, C) or (T, C)
        Log-probabilities of the classes at each step, float32 or float64.
    input_lengths : ndarray, Tensor or sequence of int, shape (N,), optional
        How many steps each sample has; default is all.
    beam_width : int, optional
        How many sequences are carried from step to step.
    blank : int, optional
        The class that stands for no label.
    nbest : int, optional
        How many sequences to return of each sample.

    Returns
    -------
    sequences : list of list of ndarray or Tensor, int64
        The labels of each sample's best sequences, the best first; without an axis of
        samples the list of the only one. An empty one where there are fewer.
    log_probs : ndarray or Tensor, shape (N, nbest) or (nbest,)
        Log-probability of each sequence: of all its paths that were in the beam. -inf
        where there are fewer sequences.

    Raises
    ------
    ValueError
        If shapes, lengths or numbers do not fit.
    TypeError
        If the dtypes do not fit.

    See Also
    --------
    ctc_greedy_decode, ctc_loss

    Notes
    -----
    Paths that become the same sequence are added up, those that end in a blank and in a
    label apart. With a beam wide enough for all sequences the result is exact: minus
    `ctc_loss` of each. NaN counts as -inf. Sums are kept in float64.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = np.log([[0.6, 0.4], [0.6, 0.4]])  # the best path is blank, blank: 0.36
    >>> sequences, scores = dl.ctc_beam_search(x)
    >>> sequences, np.exp(scores).round(2)
    ([array([1])], array([0.64]))
    """
    array = raw(log_probs)
    labels, counts, scores = _C.ctc_beam_search(
        array, raw(input_lengths), beam_width, blank, nbest
    )
    sequences = [
        [plain(row[:count].copy(), log_probs) for row, count in zip(rows, of_sample)]
        for rows, of_sample in zip(labels, counts)
    ]
    if array.ndim == 2:
        return sequences[0], plain(scores[0], log_probs)
    return sequences, plain(scores, log_probs)
