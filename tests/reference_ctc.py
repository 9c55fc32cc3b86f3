"""CTC by its definition, every path one by one, and by sums over its states."""

import itertools

import numpy as np


def collapse(path, blank=0):
    """The labels of a path: repeats left out, then blanks."""
    return tuple(c for c, _ in itertools.groupby(path) if c != blank)


def by_paths(log_probs, blank=0):
    """The log-probability of every sequence that a path of (T, C) can become."""
    steps, classes = log_probs.shape
    sums = {}
    for path in itertools.product(range(classes), repeat=steps):
        term = sum(log_probs[t, c] for t, c in enumerate(path))
        key = collapse(path, blank)
        sums[key] = np.logaddexp(sums.get(key, -np.inf), term)
    return sums


def ctc_loss(log_probs, target, blank=0):
    """Minus the log-probability of one target, and its derivative; (T, C) given."""
    steps, classes = log_probs.shape
    if steps == 0:
        return (np.inf if len(target) else 0.0), np.zeros((0, classes))
    states = [blank]
    for label in map(int, target):
        states += [label, blank]
    count = len(states)

    def before(s):  # the states that lead to s
        skip = s >= 2 and states[s] != blank and states[s] != states[s - 2]
        return [s] + [s - 1] * (s >= 1) + [s - 2] * skip

    emission = log_probs[:, states]
    ahead = np.full((steps, count), -np.inf)  # all paths up to a state, with it
    ahead[0, :2] = emission[0, :2]
    for t in range(1, steps):
        for s in range(count):
            ahead[t, s] = np.logaddexp.reduce(ahead[t - 1, before(s)]) + emission[t, s]
    behind = np.full((steps, count), -np.inf)  # all paths from a state on, without it
    behind[-1, -2:] = 0
    for t in range(steps - 1, 0, -1):
        for s in range(count):
            term = behind[t, s] + emission[t, s]
            for b in before(s):
                behind[t - 1, b] = np.logaddexp(behind[t - 1, b], term)
    loss = -np.logaddexp.reduce(ahead[-1, -2:])
    slope = np.zeros((steps, classes))
    for s in range(count):
        slope[:, states[s]] -= np.exp(ahead[:, s] + behind[:, s] + loss)
    return loss, slope
