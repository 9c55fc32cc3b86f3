"""Greedy and beam search against every sequence of a small model."""

import itertools

import numpy as np
import pytest

import dlcore as dl
from dlcore.decoding import beam_search, greedy_search

END = 2


def model(rng, vocabulary=4, memory=True):
    """A step whose probabilities depend on the last token and a running state."""
    table = rng.standard_normal((vocabulary, vocabulary)) * 2
    mixing = rng.standard_normal((3, vocabulary))

    def step(tokens, state):
        last = tokens[:, -1]
        scores = table[last]
        if memory:
            state = np.tanh(state * 0.7 + np.eye(vocabulary)[last][:, :3])
            scores = scores + state @ mixing
        return scores - np.logaddexp.reduce(scores, 1, keepdims=True), state

    return step


def start_state(n):
    return np.linspace(-1, 1, 3 * n).reshape(n, 3)


def every_sequence(step, first, state, max_length, vocabulary=4):
    """The sum of the log-probabilities of all that end or are cut, and their length."""
    found = {}
    for length in range(1, max_length + 1):
        for tail in itertools.product(range(vocabulary), repeat=length):
            if END in tail[:-1] or (tail[-1] != END and length < max_length):
                continue
            now, total, tokens = state, 0.0, [first]
            for token in tail:
                log_probs, now = step(np.array([tokens]), now)
                total += log_probs[0, token]
                tokens.append(token)
            found[tail] = total
    return found


def without_end(tail):
    return tuple(t for t in tail if t != END)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0])
def test_wide_beams_find_the_best(rng, alpha):
    step, states = model(rng), start_state(3)
    first = np.array([0, 1, 3])
    found, scores = beam_search(
        step, first, END, 4, beam_width=200, alpha=alpha, nbest=5, state=states
    )
    for i in range(3):
        sums = every_sequence(step, first[i], states[i : i + 1], 4)
        want = {tail: total / len(tail) ** alpha for tail, total in sums.items()}
        best = sorted(want, key=want.get, reverse=True)[:5]
        np.testing.assert_allclose(scores[i], [want[tail] for tail in best])
        assert [tuple(s) for s in found[i]] == [without_end(tail) for tail in best]


def simple_beam_search(step, first, state, max_length, width, alpha):
    """One sample, one row at a time, to the end."""
    beams, aside = [([first], 0.0, state)], []
    for length in range(1, max_length + 1):
        options = []
        for tokens, total, now in beams:
            log_probs, after = step(np.array([tokens]), now)
            for token, value in enumerate(log_probs[0]):
                options.append(([*tokens, token], total + value, after))
        options.sort(key=lambda option: -option[1])
        for tokens, total, _ in options[:width]:
            if tokens[-1] == END:
                aside.append((total / length**alpha, tuple(tokens[1:-1])))
        beams = [option for option in options if option[0][-1] != END][:width]
    for tokens, total, _ in beams:
        aside.append((total / max_length**alpha, tuple(tokens[1:])))
    return sorted(aside, key=lambda pair: -pair[0])[:width]


@pytest.mark.parametrize("width", [1, 2, 3, 7])
@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.0])
def test_beam_search(rng, width, alpha):
    """Stopping early never changes the result; samples do not see each other."""
    step, states = model(rng, 9), start_state(4)
    states = states[:, :3]
    first = np.array([0, 1, 3, 0])
    found, scores = beam_search(
        step, first, END, 8, width, alpha=alpha, nbest=width, state=states
    )
    for i in range(4):
        want = simple_beam_search(step, first[i], states[i : i + 1], 8, width, alpha)
        np.testing.assert_allclose(scores[i][: len(want)], [score for score, _ in want])
        assert [tuple(s) for s in found[i]] == [tokens for _, tokens in want]


def test_greedy(rng):
    step, states = model(rng), start_state(5)
    first = np.array([0, 1, 3, 3, 0])
    found, scores = greedy_search(step, first, END, 6, states)
    for i in range(5):
        tokens, total, now = [first[i]], 0.0, states[i : i + 1]
        while len(tokens) <= 6 and (len(tokens) == 1 or tokens[-1] != END):
            log_probs, now = step(np.array([tokens]), now)
            tokens.append(int(log_probs.argmax()))
            total += log_probs.max()
        assert tuple(found[i]) == without_end(tokens[1:])
        assert scores[i] == pytest.approx(total)
    one, score = beam_search(step, first, END, 6, 1, alpha=0.0, state=states)
    assert all(s >= g - 1e-9 or len(b[0]) for s, g, b in zip(score[:, 0], scores, one))


def test_beam_finds_what_greedy_misses():
    """The notes' point: the most probable first word need not begin the best."""
    table = np.log(
        [[0.05, 0.55, 0.4, 0.0001], [0.3, 0.3, 0.2, 0.2], [1, 1e-9, 1e-9, 1]]
    )

    def step(tokens, state):
        return table[np.minimum(tokens[:, -1], 2)], state

    assert greedy_search(step, [0], 3, 2)[0][0].tolist() == [1, 0]
    found, scores = beam_search(step, [0], 3, 2, 2, alpha=0.0)
    assert found[0][0].tolist()[:1] == [2] and np.exp(scores[0, 0]) == pytest.approx(
        0.4
    )


def test_length_normalization():
    """The sum favours the short sequence, the mean the long one."""
    table = np.log([[1e-9, 0.6, 0.4], [1e-9, 0.7, 0.3], [1, 1, 1]])

    def step(tokens, state):
        return table[tokens[:, -1]], state

    short, _ = beam_search(step, 0, END, 4, 4, alpha=0.0)
    long, _ = beam_search(step, 0, END, 4, 4, alpha=1.0)
    assert short[0][0].tolist() == [] and long[0][0].tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("form", ["tuple", "dict", "Tensor", "reorder"])
def test_forms_of_state(rng, form):
    step, states = model(rng), start_state(3)
    want = beam_search(step, [0, 1, 3], END, 5, 3, state=states)[1]
    wrap = {
        "tuple": lambda s: (s, [None, 5]),
        "dict": lambda s: {"h": s, "kind": "x"},
        "Tensor": dl.Tensor,
        "reorder": lambda s: s.T.copy(),
    }[form]
    peel = {
        "tuple": lambda s: s[0],
        "dict": lambda s: s["h"],
        "Tensor": lambda s: s.data,
        "reorder": lambda s: s.T,
    }[form]

    def wrapped(tokens, state):
        log_probs, state = step(tokens, peel(state))
        return dl.Tensor(log_probs), wrap(state)

    reorder = (lambda s, rows: s[:, rows]) if form == "reorder" else None
    got = beam_search(
        wrapped, [0, 1, 3], END, 5, 3, state=wrap(states), reorder=reorder
    )
    np.testing.assert_array_equal(got[1], want)


def test_edges(rng):
    step, states = model(rng), start_state(2)
    for max_length in (0, 1):
        found, scores = beam_search(step, [0, 1], END, max_length, 3, state=states)
        assert all(len(sample[0]) <= max_length for sample in found)
        assert scores.shape == (2, 1) and np.isfinite(scores).all()
    assert beam_search(step, np.zeros(0, int), END, 5)[0] == []

    def certain(tokens, state):  # NaN is never taken; one sequence only
        return np.tile([0.0, np.nan, -np.inf], (len(tokens), 1)), state

    found, scores = beam_search(certain, [1], END, 3, 2, nbest=2)
    assert [s.tolist() for s in found[0]] == [[0, 0, 0]]
    assert scores.tolist() == [[0, -np.inf]]
    assert greedy_search(certain, [1], END, 3)[0][0].tolist() == [0, 0, 0]


def step(tokens, state):
    return np.zeros((len(tokens), 3)), state


BAD = [
    (lambda: beam_search(step, [0.5], 1, 3), ValueError, "start must be whole numbers"),
    (lambda: beam_search(step, [[0]], 1, 3), ValueError, r"shape \(N,\), got shape"),
    (
        lambda: beam_search(step, [0], 1, -1),
        ValueError,
        "max_length must be at least 0",
    ),
    (
        lambda: beam_search(step, [0], 1, 3, 0),
        ValueError,
        "beam_width must be at least",
    ),
    (lambda: beam_search(step, [0], 1, 3, nbest=5), ValueError, "1 to beam_width = 4"),
    (
        lambda: beam_search(step, [0], 1, 3, alpha=-1),
        ValueError,
        "alpha must be at leas",
    ),
    (lambda: beam_search(step, [0], 1, 3.5), TypeError, "max_length must be a whole"),
    (lambda: beam_search(step, [0], 1, 3, state=print), TypeError, "pass reorder="),
    (
        lambda: beam_search(lambda t, s: (np.zeros(3), s), [0], 1, 3),
        ValueError,
        r"step must return log-probabilities of shape \(1, V\), got shape \(3,\)",
    ),
    (
        lambda: greedy_search(lambda t, s: (np.zeros((2, 3)), s), [0], 1, 3),
        ValueError,
        "greedy_search: step must return",
    ),
]


@pytest.mark.parametrize("call, error, match", BAD)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()
