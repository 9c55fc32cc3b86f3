"""CTC against every path, PyTorch and plain sums over the states."""

import numpy as np
import pytest
import reference_ctc as reference

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

V = 16  # lanes of the widest vector in float32
INF = np.inf


def log_probs(rng, shape, dtype="f8", scale=2.0):
    x = rng.standard_normal(shape) * scale
    return (x - np.logaddexp.reduce(x, -1, keepdims=True)).astype(dtype)


def problem(rng, steps, batch, classes, longest, dtype="f8"):
    """Targets of all lengths, with repeats; steps enough for most of them."""
    x = log_probs(rng, (steps, batch, classes), dtype)
    targets = rng.integers(1, classes, (batch, longest))
    targets[:, ::3] = targets[:, :1]
    lengths = np.linspace(longest, 0, batch).round().astype(int)
    input_lengths = np.minimum(steps, steps - np.arange(batch) % 3)
    return x, targets, input_lengths, lengths


# -- the loss --


@pytest.mark.parametrize("labels", [0, 1, V - 2, V - 1, V, V + 1, 3 * V + 5])
@pytest.mark.parametrize("classes", [2, 5, 37])
def test_loss_and_gradient(isa, dtype, rng, labels, classes):
    steps = 2 * labels + 3
    x = log_probs(rng, (steps, 3, classes), dtype)
    targets = rng.integers(1, classes, (3, labels))
    inputs = np.array([steps, steps - 1, steps])
    t = dl.Tensor(x, requires_grad=True)
    loss = dl.ctc_loss(t, targets, inputs, [labels] * 3, reduction="none")
    assert loss.data.dtype == dtype and loss.shape == (3,)
    loss.backward(np.array([1.0, 2.0, 0.5], dtype))
    for b, (n, dy) in enumerate(zip(inputs, (1.0, 2.0, 0.5))):
        want, slope = reference.ctc_loss(x[:n, b].astype("f8"), targets[b])
        assert_close(loss.data[b], want, ulp=50, scale=1 + abs(want))
        grad = t.grad.data[:, b]
        np.testing.assert_array_equal(grad[n:], 0)
        tolerance = 1e-4 if dtype == "float32" else 1e-11
        np.testing.assert_allclose(grad[:n], dy * slope, atol=tolerance)


def test_every_path(rng):
    x = log_probs(rng, (5, 3))
    for target, want in reference.by_paths(x).items():
        got = dl.ctc_loss(x, np.array(target, int), 5, len(target), reduction="none")
        assert got == pytest.approx(-want)
        assert reference.ctc_loss(x, target)[0] == pytest.approx(-want)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("zero_infinity", [False, True])
@pytest.mark.parametrize("form", ["rows", "one behind the other"])
def test_against_torch(isa, torch, rng, reduction, zero_infinity, form):
    """Zero steps, zero labels and targets that do not fit among the samples."""
    x = rng.standard_normal((30, 7, 11))
    inputs, lengths = (
        np.array([30, 30, 29, 20, 9, 1, 0]),
        np.array([9, 0, 5, 9, 9, 1, 0]),
    )
    targets = rng.integers(1, 11, (7, 9))
    targets[0] = 3
    if form != "rows":
        targets = np.concatenate([r[:n] for r, n in zip(targets, lengths)])
    options = {"reduction": reduction, "zero_infinity": zero_infinity}
    mine = dl.Tensor(x, requires_grad=True)
    theirs = torch.tensor(x, requires_grad=True)
    loss = dl.ctc_loss(dl.log_softmax(mine, -1), targets, inputs, lengths, **options)
    want = torch.nn.functional.ctc_loss(
        torch.log_softmax(theirs, -1),
        *map(torch.tensor, (targets, inputs, lengths)),
        **options,
    )
    np.testing.assert_allclose(loss.data, want.detach().numpy(), rtol=1e-12)
    dy = np.linspace(1, 2, 7) if reduction == "none" else np.array(1.5)
    loss.backward(dy)
    want.backward(torch.tensor(dy))
    np.testing.assert_allclose(mine.grad.data, theirs.grad.numpy(), atol=1e-12)


@pytest.mark.parametrize("blank", [0, 2, 4])
def test_any_blank(torch, rng, blank):
    x = log_probs(rng, (9, 2, 5))
    labels = [c for c in range(5) if c != blank]
    targets = rng.choice(labels, (2, 3))
    got = dl.ctc_loss(x, targets, [9, 8], [3, 2], blank=blank)
    want = torch.nn.functional.ctc_loss(
        torch.tensor(x), torch.tensor(targets), (9, 8), (3, 2), blank=blank
    )
    assert got == pytest.approx(want.item())


def test_more_exact_than_torch(torch, rng):
    """float32 keeps its precision over many steps."""
    x = log_probs(rng, (1000, 1, 40), "f4")
    targets = rng.integers(1, 40, (1, 150))
    results = []
    for kind in ("f4", "f8"):
        t = torch.tensor(x.astype(kind), requires_grad=True)
        z = torch.log_softmax(t, -1)
        loss = torch.nn.functional.ctc_loss(z, torch.tensor(targets), (1000,), (150,))
        loss.backward()
        results.append((loss.item(), t.grad.numpy()))
    t = dl.Tensor(x, requires_grad=True)
    loss = dl.ctc_loss(dl.log_softmax(t, -1), targets, [1000], [150])
    loss.backward()
    (theirs, their_slope), (exact, slope) = results
    assert abs(loss.item() - exact) <= abs(theirs - exact) + 1e-7 * exact
    error = np.abs(t.grad.data - slope).max()
    assert error <= 0.5 * np.abs(their_slope - slope).max()


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_gradcheck(rng, reduction):
    x, targets, inputs, lengths = problem(rng, 9, 4, 5, 4)
    x *= 1.5  # no distribution: the gradient is that of the function as it is
    gradcheck(lambda x: dl.ctc_loss(x, targets, inputs, lengths, 0, reduction), x)


def test_one_sample(torch, rng):
    x, target = log_probs(rng, (7, 5)), np.array([1, 2, 2])
    for lengths in ((7, 3), (np.array(7), np.array(3)), ([7], [3])):
        got = dl.ctc_loss(x, target, *lengths)
        assert got.shape == ()
        assert got == dl.ctc_loss(x[:, None], target[None], [7], [3])
    t = dl.Tensor(x, requires_grad=True)
    loss = dl.ctc_loss(t, target, 7, 3, reduction="none")
    loss.backward(np.array(2.0))
    want = 2 * reference.ctc_loss(x, target)[1]
    np.testing.assert_allclose(t.grad.data, want, atol=1e-12)


def test_backward_twice(rng):
    x, targets, inputs, lengths = problem(rng, 9, 4, 5, 4)
    t = dl.Tensor(x, requires_grad=True)
    loss = dl.ctc_loss(t, targets, inputs, lengths)
    loss.backward(retain_graph=True)
    once = t.grad.data.copy()
    loss.backward()
    np.testing.assert_array_equal(t.grad.data, 2 * once)


@pytest.mark.parametrize("kind", ["int64", "int32", "uint8", ">i4"])
def test_kinds_of_numbers(rng, kind):
    x, targets, inputs, lengths = problem(rng, 9, 4, 5, 4)
    want = dl.ctc_loss(x, targets, inputs, lengths)
    as_kind = [a.astype(kind) for a in (targets, inputs, lengths)]
    assert dl.ctc_loss(x, *as_kind) == want
    assert dl.ctc_loss(x, targets, inputs.tolist(), tuple(lengths)) == want
    assert dl.ctc_loss(x, *map(dl.Tensor, (targets, inputs, lengths))).item() == want
    wide = np.repeat(targets, 2, 1)[:, ::2]
    assert dl.ctc_loss(np.asfortranarray(x), wide, inputs, lengths) == want


def test_what_fills_rows_is_not_read(rng):
    x, targets, inputs, lengths = problem(rng, 9, 4, 5, 4)
    want = dl.ctc_loss(x, targets, inputs, lengths)
    targets[np.arange(4) >= lengths[:, None]] = -1
    assert dl.ctc_loss(x, targets, inputs, lengths) == want


def test_special_values(isa, dtype):
    x = np.log(np.full((4, 1, 3), 1 / 3)).astype(dtype)

    def loss_and_slope(x, target=(1,), **options):
        t = dl.Tensor(x, requires_grad=True)
        loss = dl.ctc_loss(t, np.array([target]), [4], [len(target)], **options)
        loss.backward()
        return loss.item(), t.grad.data

    x[1, 0, 1] = -INF  # not there: the paths without it
    loss, slope = loss_and_slope(x)
    want, want_slope = reference.ctc_loss(x[:, 0].astype("f8"), (1,))
    assert loss == pytest.approx(want, rel=1e-6)
    np.testing.assert_allclose(slope[:, 0], want_slope, atol=1e-6)
    x[:, 0, 0] = x[:, 0, 1] = -INF  # no path
    loss, slope = loss_and_slope(x)
    assert loss == INF and np.isnan(slope).all()
    loss, slope = loss_and_slope(x, zero_infinity=True)
    assert loss == 0 and not slope.any()
    loss, slope = loss_and_slope(x, (1, 1, 1))  # needs five steps
    assert loss == INF and np.isnan(slope).all()
    for value in (np.nan, INF):
        x = np.log(np.full((4, 1, 3), 1 / 3)).astype(dtype)
        x[2, 0, 1] = value
        assert np.isnan(loss_and_slope(x)[0])
    x[2, 0, 1] = 0
    x[2, 0, 2] = np.nan  # not among the labels
    assert np.isfinite(loss_and_slope(x)[0])


def test_nothing(dtype):
    none = np.zeros((5, 0, 3), dtype), np.zeros((0, 2), int), [], []
    assert np.isnan(dl.ctc_loss(*none))
    assert dl.ctc_loss(*none, reduction="sum") == 0
    assert dl.ctc_loss(*none, reduction="none").shape == (0,)
    no_steps = np.zeros((0, 2, 3), dtype)
    got = dl.ctc_loss(no_steps, np.array([1]), [0, 0], [0, 1], reduction="none")
    np.testing.assert_array_equal(got, [0, INF])
    assert not np.signbit(got[0])


def test_same_bits_for_any_threads(threads, rng):
    x, targets, inputs, lengths = problem(rng, 60, 9, 12, 20, "f4")
    results = []
    for count in (1, 2, 3):
        threads(count)
        t = dl.Tensor(x, requires_grad=True)
        loss = dl.ctc_loss(t, targets, inputs, lengths, zero_infinity=True)
        loss.backward()
        found, scores = dl.ctc_beam_search(x, inputs, nbest=3)
        labels = np.concatenate([s for sample in found for s in sample])
        results.append((loss.data, t.grad.data, scores, labels))
    for other in results[1:]:
        for a, b in zip(results[0], other):
            np.testing.assert_array_equal(a, b)


def test_module(rng):
    x, targets, inputs, lengths = problem(rng, 9, 4, 5, 4)
    loss = dl.nn.CTCLoss(reduction="sum")(dl.Tensor(x), targets, inputs, lengths)
    assert loss.item() == dl.ctc_loss(x, targets, inputs, lengths, reduction="sum")
    with pytest.raises(ValueError, match="CTCLoss: reduction must be"):
        dl.nn.CTCLoss(reduction="avg")


# -- decoding --


def test_greedy(isa, dtype, rng):
    x = log_probs(rng, (20, 6, 4), dtype)
    inputs = np.array([20, 19, 1, 0, 20, 7])
    found, scores = dl.ctc_greedy_decode(x, inputs, blank=2)
    for b, n in enumerate(inputs):
        want = reference.collapse(x[:n, b].argmax(-1), 2)
        assert tuple(found[b]) == want and found[b].dtype == np.int64
        assert_close(scores[b], x[:n, b].max(-1).astype("f8").sum(), ulp=4)
    one, score = dl.ctc_greedy_decode(x[:, 0], blank=2)
    np.testing.assert_array_equal(one, found[0])
    assert score == scores[0]


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_wide_beams_are_exact(isa, dtype, rng, classes):
    x = log_probs(rng, (5, 2, classes), dtype)
    found, scores = dl.ctc_beam_search(x, beam_width=400, nbest=10)
    for b in range(2):
        sums = reference.by_paths(x[:, b].astype("f8"))
        best = sorted(sums, key=sums.get, reverse=True)[:10]
        want = [sums[s] for s in best]
        np.testing.assert_allclose(scores[b][: len(best)], want, rtol=1e-5)
        assert [tuple(s) for s in found[b][: len(best)]] == best
        assert (scores[b][len(best) :] == -INF).all()
        assert not any(len(s) for s in found[b][len(best) :])


def beam_search(x, width, blank=0):
    """Prefix beam search over dicts."""
    beam = {(): (0.0, -INF)}
    for row in x:
        sums = {}

        def add(key, by_blank, by_label, sums=sums):
            a, b = sums.get(key, (-INF, -INF))
            sums[key] = np.logaddexp(a, by_blank), np.logaddexp(b, by_label)

        for prefix, (by_blank, by_label) in beam.items():
            total = np.logaddexp(by_blank, by_label)
            add(prefix, total + row[blank], -INF)
            for c in set(range(len(row))) - {blank}:
                if prefix and c == prefix[-1]:
                    add(prefix, -INF, by_label + row[c])
                    add((*prefix, c), -INF, by_blank + row[c])
                else:
                    add((*prefix, c), -INF, total + row[c])
        best = sorted(sums, key=lambda k: -np.logaddexp(*sums[k]))[:width]
        beam = {k: sums[k] for k in best if np.logaddexp(*sums[k]) > -INF}
    return [(k, np.logaddexp(*v)) for k, v in beam.items()]


@pytest.mark.parametrize("width", [1, 2, 5, 16])
@pytest.mark.parametrize("classes", [2, 3, 8, 30])
def test_beam_search(isa, rng, width, classes):
    x = log_probs(rng, (25, 3, classes))
    found, scores = dl.ctc_beam_search(x, [25, 24, 3], width, nbest=width)
    for b, n in enumerate((25, 24, 3)):
        want = beam_search(x[:n, b], width)
        assert [tuple(s) for s in found[b][: len(want)]] == [k for k, _ in want]
        np.testing.assert_allclose(scores[b][: len(want)], [v for _, v in want])


def test_beam_finds_what_the_best_path_misses():
    x = np.log([[0.6, 0.4], [0.6, 0.4]])
    assert dl.ctc_greedy_decode(x)[0].tolist() == []
    (best,), (score,) = dl.ctc_beam_search(x, beam_width=2)
    assert best.tolist() == [1] and np.exp(score) == pytest.approx(0.64)
    assert dl.ctc_loss(x, np.array([1]), 2, 1) == pytest.approx(-score)


def test_decoding_of_special_values(isa, dtype):
    x = np.full((3, 3), -INF, dtype)
    found, scores = dl.ctc_beam_search(x, nbest=2)
    assert (scores == -INF).all() and not any(len(s) for s in found)
    x[:, 1] = 0
    x[1] = [0, -INF, np.nan]
    found, scores = dl.ctc_beam_search(x)
    assert found[0].tolist() == [1, 1] and scores[0] == 0
    found, score = dl.ctc_greedy_decode(x)
    assert found.tolist() == [1, 2, 1] and np.isnan(score)
    t = dl.ctc_greedy_decode(dl.Tensor(x))
    assert isinstance(t[0], dl.Tensor) and isinstance(t[1], dl.Tensor)
    empty = np.zeros((0, 2, 3), dtype)
    assert dl.ctc_beam_search(empty)[1].tolist() == [[0], [0]]
    assert dl.ctc_greedy_decode(empty)[1].tolist() == [0, 0]


# -- bad calls --

X, T = np.zeros((4, 2, 3)), np.array([[1, 2], [2, 1]])
BAD = [
    (lambda: dl.ctc_loss(X[0, 0], T, [4, 4], [2, 2]), ValueError, r"\(T, N, C\) or"),
    (lambda: dl.ctc_loss(X, T, [4, 4], [2, 2], 3), ValueError, "one of the 3 classes"),
    (lambda: dl.ctc_loss(X, T, [4, 5], [2, 2]), ValueError, r"5 at input_lengths\[1\]"),
    (lambda: dl.ctc_loss(X, T, [-1, 4], [2, 2]), ValueError, "from 0 to T = 4, got -1"),
    (lambda: dl.ctc_loss(X, T, [4, 4], [2, 3]), ValueError, "from 0 to S = 2, got 3"),
    (lambda: dl.ctc_loss(X, T, [4], [2, 2]), ValueError, r"shape \(2,\), got input_le"),
    (lambda: dl.ctc_loss(X, T, 4, [2, 2]), ValueError, "one length for each sample"),
    (lambda: dl.ctc_loss(X, T[:1], [4, 4], [2, 2]), ValueError, "targets must have sh"),
    (lambda: dl.ctc_loss(X, T[0], [4, 4], [2, 2]), ValueError, "from 0 to|labels, got"),
    (lambda: dl.ctc_loss(X, T[0], [4, 4], [1, 0]), ValueError, r"s\) = 1 labels"),
    (
        lambda: dl.ctc_loss(X, T + 1, [4, 4], [2, 2]),
        IndexError,
        r"3 at targets\[0, 1\]",
    ),
    (lambda: dl.ctc_loss(X, T - 1, [4, 4], [2, 2]), IndexError, "0 to 2 and not blank"),
    (lambda: dl.ctc_loss(X, np.array([1, -1]), [4, 4], [1, 1]), IndexError, r"ts\[1\]"),
    (lambda: dl.ctc_loss(X, T * 1.0, [4, 4], [2, 2]), TypeError, "int64 or int32, got"),
    (lambda: dl.ctc_loss(X, T, [4.5, 4], [2, 2]), TypeError, "whole number"),
    (lambda: dl.ctc_loss(X, T, [4, 4], [2, 2], 0, "avg"), ValueError, "reduction must"),
    (lambda: dl.ctc_loss(X > 0, T, [4, 4], [2, 2]), TypeError, "float32 or float64"),
    (lambda: dl.ctc_greedy_decode(X, [4]), ValueError, "one length for each sample"),
    (lambda: dl.ctc_greedy_decode(X, blank=-1), ValueError, "blank must be one of"),
    (lambda: dl.ctc_beam_search(X, beam_width=0), ValueError, "beam_width must be at"),
    (lambda: dl.ctc_beam_search(X, nbest=17), ValueError, "from 1 to beam_width = 16"),
    (lambda: dl.ctc_beam_search(X, beam_width=1 << 40), ValueError, "fewer than 2"),
]


@pytest.mark.parametrize("call, error, match", BAD)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()
