"""Penalties, early stopping, mixup, moving averages."""

import math

import numpy as np
import pytest

import dlcore as dl
from dlcore import nn
from dlcore.optim import EWMA, SGD, ewma
from dlcore.optim.regularization import (
    EarlyStopping,
    elastic_net,
    l1_penalty,
    l2_penalty,
    mixup,
)
from dlcore.testing import gradcheck


def weights(rng, dtype="float64"):
    shapes = [(3, 7), (33,), (), (2, 3, 2)]
    return [dl.Tensor(rng.standard_normal(s).astype(dtype), True) for s in shapes]


def test_penalties(dtype, rng):
    params = weights(rng, dtype)
    flat = np.concatenate([p.data.ravel() for p in params]).astype("f8")
    sizes, squares = np.abs(flat).sum(), (flat**2).sum()
    for got, want in (
        (l1_penalty(params, 0.1), 0.1 * sizes),
        (l2_penalty(params, 0.1), 0.1 * squares),
        (l2_penalty(params, 0.1, half=True), 0.05 * squares),
        (elastic_net(params, 0.1, 0.25), 0.025 * sizes + 0.0375 * squares),
        (elastic_net(iter(params), 0.1, 1.0), 0.1 * sizes),
    ):
        assert got.dtype == dtype and got.shape == ()
        np.testing.assert_allclose(got.data, want, rtol=1e-5)


@pytest.mark.parametrize(
    "penalty",
    [l1_penalty, l2_penalty, lambda w: l2_penalty(w, 0.3, half=True), elastic_net],
)
def test_gradients(rng, penalty):
    x = rng.standard_normal((3, 4))
    x[np.abs(x) < 0.1] = 0.5  # away from the kink of |x|
    assert gradcheck(penalty, x)
    assert gradcheck(lambda a, b: penalty([a, b]), x, x[0] + 5)


def test_the_gradient_at_zero_is_zero():
    w = dl.Tensor([0.0, 2.0], True)
    elastic_net(w, 1.0).backward()
    assert w.grad.tolist() == [0, 1.5]


def test_half_the_squares_are_weight_decay(rng):
    a, b = (dl.Tensor(np.array([1.0, -2.0, 3.0]), True) for _ in range(2))
    l2_penalty(a, 0.3, half=True).backward()
    SGD([a], lr=0.1).step()
    b.grad = dl.Tensor(np.zeros(3))
    SGD([b], lr=0.1, weight_decay=0.3).step()
    np.testing.assert_allclose(a.data, b.data, rtol=1e-12)


def test_the_lasso_leaves_what_matters(rng):
    x = rng.standard_normal((200, 10)).astype("f4")
    target = x[:, :2] @ np.array([[2.0], [-3.0]], "f4")
    model = nn.Linear(10, 1)
    optimizer = SGD(model.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        loss = dl.mse_loss(model(dl.Tensor(x)), target)
        (loss + l1_penalty(model.weight, 0.5)).backward()
        optimizer.step()
    found = np.abs(model.weight.data[0])
    assert found[:2].min() > 1.5 and found[2:].max() < 0.05


@pytest.mark.parametrize("mode", ["min", "max"])
def test_early_stopping(mode):
    sign = 1 if mode == "min" else -1
    model = nn.Linear(1, 1)
    stopping = EarlyStopping(patience=2, min_delta=0.1, mode=mode)
    metrics = [1.0, 0.95, 0.8, math.nan, 0.75, 0.79, 0.1]
    for step, metric in enumerate(metrics):
        model.weight.data[...] = step
        if stopping.step(sign * metric, model):
            break
    assert (step, stopping.best, stopping.best_step) == (5, sign * 0.8, 2)
    assert stopping.stopped and model.weight.data == 2  # the best one's
    assert "best_step=2, stopped=True" in repr(stopping)


def test_early_stopping_without_weights():
    model = nn.Linear(1, 1)
    stopping = EarlyStopping(patience=0, restore_best=False)
    assert not stopping.step(dl.Tensor([1.0]), model)
    model.weight.data[...] = 7
    assert stopping.step(np.float32(1.0), model) and model.weight.data == 7
    first = EarlyStopping(patience=1)
    assert not first.step(math.nan) and first.step(math.nan) and first.best is None


def test_early_stopping_resumes():
    model = nn.Linear(1, 1)
    model.weight.data[...] = 5
    whole = EarlyStopping(patience=2)
    whole.step(0.5, model)
    whole.step(0.6, model)
    again = EarlyStopping(patience=2)
    again.load_state_dict(whole.state_dict())
    model.weight.data[...] = 9
    assert [again.step(0.7, model), again.step(0.7, model)] == [False, True]
    assert model.weight.data == 5
    with pytest.raises(ValueError, match="state_dict must have best, best_step"):
        again.load_state_dict({})


@pytest.fixture
def seed():
    state = dl.get_rng_state()
    dl.manual_seed(3)
    yield
    dl.set_rng_state(state)


def test_mixup_blends(seed, rng, dtype):
    x = rng.standard_normal((40, 3, 2)).astype(dtype)
    labels = rng.integers(0, 5, 40)
    mixed, rows = mixup(x, labels, alpha=1.0, num_classes=5)
    assert mixed.dtype == rows.dtype == dtype and rows.shape == (40, 5)
    # The share is in the rows: that of the own label, or 1 where both are the same.
    share = min(rows[np.arange(40), labels])
    order = [
        int(np.argmin([np.abs(mixed[i] - share * x[i] - (1 - share) * b).max()
                       for b in x]))
        for i in range(40)
    ]  # fmt: skip
    assert sorted(order) == list(range(40))
    eye = np.eye(5)
    np.testing.assert_allclose(
        mixed, share * x + (1 - share) * x[order], rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        rows, share * eye[labels] + (1 - share) * eye[labels[order]], atol=1e-6
    )


def test_mixup_of_tensors_and_targets(seed, rng):
    x = dl.Tensor(rng.standard_normal((6, 4)), True)
    y = rng.standard_normal((6, 1))
    mixed, targets = mixup(x, y)
    assert targets.shape == (6, 1)
    np.testing.assert_allclose(targets.sum(), y.sum())
    mixed.sum().backward()
    np.testing.assert_allclose(x.grad.data, 1)
    same, _ = mixup(x, y, alpha=0)
    np.testing.assert_array_equal(same.data, x.data)


def test_mixup_repeats_and_its_shares(seed):
    x, y = np.arange(2.0)[:, None], np.arange(2.0)
    draws = []
    for start in (1, 1, 2):
        dl.manual_seed(start)
        draws.append([mixup(x, y, 0.4)[1].tolist() for _ in range(300)])
    assert draws[0] == draws[1] != draws[2]
    stats = pytest.importorskip("scipy.stats")
    shares = [max(d) for d in draws[0] if 0 < max(d) < 1]  # the larger of each pair
    law = stats.beta(0.4, 0.4)
    assert stats.kstest(shares, lambda v: 2 * law.cdf(v) - 1).pvalue > 1e-3


def test_moving_averages(rng):
    values = rng.standard_normal((20, 3))
    want, w = [], 0
    for t in range(1, 21):
        w = 0.9 * w + 0.1 * values[t - 1]
        want.append((w, w / (1 - 0.9**t)))
    plain, corrected = map(np.array, zip(*want))
    np.testing.assert_allclose(ewma(values), plain, rtol=1e-12)
    np.testing.assert_allclose(ewma(values, 0.9, True), corrected, rtol=1e-12)
    np.testing.assert_allclose(
        ewma(dl.Tensor(values[:, 0]), 0.9), plain[:, 0], rtol=1e-12
    )
    assert ewma(np.zeros((0, 2))).shape == (0, 2)


def test_moving_averages_as_the_notes_write_them():
    # W_1 = 0.9 W_0 + 0.1 theta_1 from W_0 = 0: a weighted sum, newest first.
    theta = np.array([1.0, 2.0, 3.0])
    want = 0.1 * np.dot([1, 0.9, 0.81], theta[::-1])
    assert ewma(theta)[-1] == pytest.approx(want)


def test_a_moving_average_resumes():
    whole = EWMA(0.7, bias_correction=True)
    assert whole.value is None and "steps=0" in repr(whole)
    for value in (1.0, dl.Tensor([2.0]).sum(), np.float32(3)):
        whole.update(value)
    again = EWMA(0.7, bias_correction=True)
    again.load_state_dict(whole.state_dict())
    assert again.value == whole.value and again.update(5) == whole.update(5)
    rows = EWMA()
    rows.update([1.0, 2.0])
    again = EWMA()
    again.load_state_dict(rows.state_dict())
    np.testing.assert_array_equal(again.update([3, 4]), rows.update([3, 4]))


w = dl.Tensor([1.0], True)
X, LABELS = np.ones((3, 2)), np.array([0, 1, 2])
BAD = [
    (lambda: l1_penalty([]), ValueError, "l1_penalty: params must not be empty"),
    (lambda: l1_penalty(nn.Linear(1, 1)), TypeError, r"pass model.parameters\(\)"),
    (lambda: l2_penalty([np.ones(3)]), TypeError, "must be a Tensor, got ndarray"),
    (lambda: l2_penalty(w, -1), ValueError, "weight must be at least 0 and finite"),
    (lambda: l1_penalty(w, "a"), TypeError, "weight must be a number, got str"),
    (lambda: elastic_net(w, 1, 2), ValueError, "l1_ratio must be from 0 to 1, got 2"),
    (lambda: EarlyStopping(-1), ValueError, "patience must be at least 0, got -1"),
    (lambda: EarlyStopping(1.5), TypeError, "patience must be a whole number"),
    (lambda: EarlyStopping(mode="up"), ValueError, "mode must be 'min' or 'max'"),
    (lambda: EarlyStopping(min_delta=-1), ValueError, "min_delta must be at least 0"),
    (lambda: EarlyStopping().step("a"), TypeError, "metric must be a number, got str"),
    (lambda: mixup(X, LABELS), ValueError, "num_classes must be given"),
    (lambda: mixup(X, LABELS, num_classes=2), ValueError, "from 0 to 1, got 0 to 2"),
    (lambda: mixup(X, LABELS[:2], num_classes=3), ValueError, "one length, got 3 and"),
    (lambda: mixup(X, LABELS, -1), ValueError, "alpha must be at least 0"),
    (lambda: mixup([1.0], LABELS), TypeError, "x must be an array or a Tensor"),
    (lambda: EWMA(1.0), ValueError, r"beta must be of \[0, 1\), got 1.0"),
    (lambda: EWMA(None), TypeError, "beta must be a number, got NoneType"),
    (lambda: EWMA().update("a"), TypeError, "value must be real numbers, got str"),
]


@pytest.mark.parametrize("call, error, match", BAD)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_a_moving_average_keeps_its_shape():
    average = EWMA()
    average.update([1.0, 2.0])
    with pytest.raises(ValueError, match=r"value must have shape \(2,\) as before"):
        average.update(1.0)
