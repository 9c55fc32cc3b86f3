"""CTC by every path of a few steps."""

import itertools

import numpy as np

import dlcore as dl

from .table import add, normal


def _sums(x):
    """The log-probability of every sequence of labels, of (T, C)."""
    sums = {}
    for path in itertools.product(range(x.shape[1]), repeat=len(x)):
        labels = tuple(c for c, _ in itertools.groupby(path) if c)
        term = x[np.arange(len(x)), path].sum()
        sums[labels] = np.logaddexp(sums.get(labels, -np.inf), term)
    return sums


_TARGET = np.array([2, 2, 1])
add(
    "ctc_loss",
    normal((6, 3)),
    lambda x: dl.ctc_loss(x, _TARGET, 6, 3, reduction="sum"),
    lambda x: -_sums(x)[tuple(_TARGET)],
)
add(
    "ctc_greedy_decode",
    normal((6, 3)),
    lambda x: dl.ctc_greedy_decode(x)[1],
    lambda x: x.max(1).sum(),
    gradient=False,
)
add(
    "ctc_beam_search",
    normal((6, 3)),
    lambda x: dl.ctc_beam_search(x, beam_width=500, nbest=5)[1],
    lambda x: np.sort(list(_sums(x).values()))[:-6:-1],
    gradient=False,
)
