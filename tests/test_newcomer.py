"""What a newcomer tries: mistakes are answered in one line with the cure."""

import numpy as np
import pytest

import dlcore as dl

ONES = np.ones(3, np.float32)
IMAGE = np.ones((1, 1, 3, 3), np.float32)
TENSOR = dl.Tensor(ONES)


@pytest.mark.parametrize(
    "call, exception, message",
    [
        (lambda: dl.Tensor(np.ones(2, "f2")), TypeError, "astype.np.float32"),
        (lambda: dl.Tensor(np.ones(2, np.longdouble)), TypeError, "astype.np.float32"),
        (lambda: dl.Tensor([[1], [2, 3]]), ValueError, "lists of one length"),
        (lambda: dl.sum(ONES, 0, axis=0), ValueError, "not both be given"),
        (lambda: dl.cat([ONES], dim=1, axis=0), ValueError, "not both be given"),
        (lambda: dl.manual_seed("a"), TypeError, "must be a whole number, got str"),
        (lambda: dl.manual_seed(1.5), TypeError, "must be a whole number, got float"),
        (lambda: dl.no_grad(3), TypeError, "must be callable, got int"),
        (lambda: dl.conv2d(IMAGE, IMAGE, stride=True), TypeError, "stride must be an"),
        (
            lambda: dl.testing.gradcheck(dl.add, (ONES, ONES)),
            TypeError,
            "pass them one by one",
        ),
        (
            lambda: dl.testing.gradcheck(lambda x: (x, x), ONES),
            TypeError,
            "must return a Tensor, got tuple",
        ),
        (
            lambda: dl.testing.gradcheck(lambda x: 1.0, ONES),
            TypeError,
            "must return a Tensor, got float",
        ),
        (
            lambda: dl.testing.gradcheck(lambda x: x * x.detach(), ONES),
            AssertionError,
            r"at \(2,\): got 0",
        ),
    ],
)
def test_answers(call, exception, message):
    with pytest.raises(exception, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_losses_are_arrays_that_ops_take():
    scores, target = np.ones((2, 3), np.float32), np.array([0, 1])
    losses = (
        dl.cross_entropy(scores, target),
        dl.nll_loss(scores, target),
        dl.mse_loss(scores, scores),
    )
    for loss in (*losses, dl.sum(scores), dl.mean(scores)):
        assert type(loss) is np.ndarray and loss.shape == ()
        assert abs(dl.exp(loss) - np.exp(loss)) < 1e-3


def test_scalars_of_numpy_are_arrays_without_axes():
    for kind in (np.float32, np.float64):
        y = dl.relu(kind(2))
        assert type(y) is np.ndarray and y.shape == () and y.dtype == kind and y == 2
    assert dl.reshape(np.float32(1), (1, 1)).shape == (1, 1)
    with pytest.raises(TypeError, match="must be float32 or float64, got float16"):
        dl.relu(np.float16(1))


def test_astype_is_to():
    assert TENSOR.astype("float64").dtype == np.float64


def test_capitals_of_an_instruction_set():
    before = dl.get_isa()
    try:
        dl.set_isa("BASELINE")
        assert dl.get_isa() == "baseline"
    finally:
        dl.set_isa(before)


def test_repr_after_backward_names_the_op():
    loss = dl.relu(dl.Tensor(ONES, requires_grad=True)).sum()
    before = repr(loss)
    loss.backward()
    assert repr(loss) == before == "tensor(3., grad_fn=<sum>)"


def test_names_of_the_package():
    names = dir(dl)
    assert names == sorted(dl.__all__) and all(hasattr(dl, name) for name in names)
    assert {"relu", "Tensor", "no_grad", "nn", "data", "optim", "testing"} < set(names)
    assert not {"ops", "convert", "grad_mode", "runtime"} & set(names)
    assert dir(dl.testing) == ["assert_close", "gradcheck"]
