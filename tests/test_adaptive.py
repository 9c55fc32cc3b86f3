"""The adaptive softmax against PyTorch's and against its own log-probabilities."""

import numpy as np
import pytest

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

LAYER = dl.nn.AdaptiveLogSoftmaxWithLoss


def layer(rng, dtype="float64", **options):
    made = LAYER(16, 100, [10, 40], div_value=2.0, dtype=dtype, **options)
    for parameter in made.parameters():
        parameter.data[...] = rng.standard_normal(parameter.shape)
    return made


@pytest.mark.parametrize("head_bias", [False, True])
def test_is_pytorchs(torch, rng, dtype, head_bias):
    mine = layer(rng, dtype, head_bias=head_bias)
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(
        16, 100, [10, 40], 2.0, head_bias, dtype=getattr(torch, dtype)
    )
    state = {name: torch.tensor(value) for name, value in mine.state_dict().items()}
    theirs.load_state_dict(state)
    x = rng.standard_normal((30, 16)).astype(dtype)
    target = rng.integers(0, 100, 30)
    ours, other = dl.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    output, loss = mine(ours, target)
    want, want_loss = theirs(other, torch.tensor(target))
    loss.backward()
    want_loss.backward()
    pairs = [
        (output, want),
        (loss, want_loss),
        (mine.log_prob(x), theirs.log_prob(torch.tensor(x))),
        (ours.grad, other.grad),
        *((p.grad, q.grad) for p, q in zip(mine.parameters(), theirs.parameters())),
    ]
    for got, wanted in pairs:
        wanted = wanted.detach().numpy()
        assert_close(got.data, wanted, ulp=256, scale=1 + np.abs(wanted))
    best = theirs.predict(torch.tensor(x)).numpy()
    np.testing.assert_array_equal(mine.predict(x).data, best)


def test_one_row_is_a_batch_of_one(rng):
    mine, x = layer(rng), rng.standard_normal(16)
    for target in (3, 20, 99):
        output, loss = mine(x, np.array(target))
        whole, _ = mine(x[None], np.array([target]))
        assert output.shape == loss.shape == ()
        assert output.item() == whole.data[0] == -loss.item()
        assert_close(mine.log_prob(x)[target].item(), output.item(), ulp=64)
    assert mine.predict(x).item() == mine.predict(x[None]).data[0]


def test_probabilities_add_up(rng):
    total = np.exp(layer(rng).log_prob(rng.standard_normal((5, 16))).data).sum(1)
    assert_close(total, np.ones(5), ulp=64)


def test_gradient(rng):
    mine, target = layer(rng), np.array([1, 9, 10, 39, 40, 99])
    x = rng.standard_normal((6, 16))
    gradcheck(lambda x: mine(x, target).loss, x)
    everything_frequent = np.array([0, 1, 2, 3, 4, 5])
    gradcheck(lambda x: mine(x, everything_frequent).output, x)


X, T = np.zeros((2, 16)), np.array([0, 99])
REFUSED = [
    (lambda m: m(X[:, :3], T), ValueError, r"input must have shape \(N, 16\)"),
    (lambda m: m(X, T[:1]), ValueError, "target_ must have a class for each row"),
    (lambda m: m(X, T + 1), IndexError, "target_ must be from 0 to 99, got 1 to 100"),
    (lambda m: m(X, T - 1), IndexError, "target_ must be from 0 to 99, got -1 to 98"),
    (lambda m: LAYER(4, 9, []), ValueError, "cutoffs must rise from 1 to below"),
    (lambda m: LAYER(4, 9, [3, 3]), ValueError, "cutoffs must rise from 1 to below"),
    (lambda m: LAYER(4, 9, [9]), ValueError, "cutoffs must rise from 1 to below"),
    (lambda m: LAYER(4, 9, [2, 3]), ValueError, r"in_features // .* must be at least"),
]


@pytest.mark.parametrize("call, error, message", REFUSED)
def test_refusals(rng, call, error, message):
    with pytest.raises(error, match=f"^AdaptiveLogSoftmaxWithLoss: {message}"):
        call(layer(rng))
