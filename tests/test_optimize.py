"""optimize: the same results in fewer kernels, whatever the model."""

import copy
import pickle
import sys
import threading
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
from optimize_helpers import PIECE, Own, check, settle

import dlcore as dl
from dlcore import nn
from dlcore.inference import _other


@pytest.mark.parametrize(
    ("name", "size", "fused"),
    [
        (
            "resnet18",
            64,
            {
                "conv2d + batch_norm + relu": 9,
                "max_pool": 1,
                "conv2d + batch_norm + add + relu": 8,
                "conv2d + batch_norm": 3,
                "adaptive_avg_pool": 1,
                "linear": 1,
            },
        ),
        (
            "resnet50",
            64,
            {
                "conv2d + batch_norm + relu": 33,
                "max_pool": 1,
                "conv2d + batch_norm + add + relu": 16,
                "conv2d + batch_norm": 4,
                "adaptive_avg_pool": 1,
                "linear": 1,
            },
        ),
        (
            "mobilenet_v2",
            64,
            {
                "conv2d + batch_norm + relu6": 35,
                "conv2d + batch_norm + add": 10,
                "conv2d + batch_norm": 7,
                "adaptive_avg_pool": 1,
                "linear": 1,
            },
        ),
        (
            "mobilenet_v1",
            64,
            {
                "conv2d + batch_norm + relu": 27,
                "adaptive_avg_pool": 1,
                "linear": 1,
            },
        ),
    ],
)
@pytest.mark.parametrize("batch", [1, 3])
def test_networks(isa, rng, name, size, fused, batch):
    model = settle(getattr(dl.models, name)(num_classes=7), rng)
    x = rng.standard_normal((batch, 3, size, size), dtype=np.float32)
    assert check(model, x, tolerance=2e-5) == fused


def test_float64(rng):
    model = settle(dl.models.resnet18(num_classes=5, small_images=True).double(), rng)
    check(model, rng.standard_normal((2, 3, 16, 16)), tolerance=1e-13)


ACTIVATIONS = {
    "relu": nn.ReLU(),
    "relu6": nn.ReLU6(),
    "leaky_relu": nn.LeakyReLU(0.3),
    "gelu": nn.GELU(),
    "gelu_tanh": nn.GELU("tanh"),
    "silu": nn.SiLU(),
    "sigmoid": nn.Sigmoid(),
    "tanh": nn.Tanh(),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_activations_of_conv_and_linear(rng, name, bias):
    dl.manual_seed(0)  # results near 0 would differ by more than a rounding of them
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=bias),
        nn.BatchNorm2d(8),
        ACTIVATIONS[name],
        nn.Flatten(),
        nn.Linear(8 * 36, 10, bias=bias),
        nn.BatchNorm1d(10),
        ACTIVATIONS[name],
        nn.Linear(10, 4),
        ACTIVATIONS[name],
    )
    x = rng.standard_normal((5, 3, 6, 6), dtype=np.float32)
    assert check(settle(model, rng), x) == {
        f"conv2d + batch_norm + {name}": 1,
        f"linear + batch_norm + {name}": 1,
        f"linear + {name}": 1,
    }


@pytest.mark.parametrize(
    ("function", "fused"),
    [
        # what is read twice is not fused
        (
            lambda m, x: m.norm(y := m.conv(x)) + y,
            {"conv2d": 1, "batch_norm": 1, "add": 1},
        ),
        (lambda m, x: (y := m.conv(x)) + y, {"conv2d": 1, "add": 1}),
        # both sides of a sum are convolutions: the one that comes last adds
        (
            lambda m, x: dl.relu(m.conv(x) + m.norm(m.other(x))),
            {"conv2d": 1, "conv2d + batch_norm + add + relu": 1},
        ),
        (
            lambda m, x: m.other(dl.relu(x)) + dl.silu(m.norm(m.conv(x))),
            {"relu": 1, "conv2d + batch_norm + silu": 1, "conv2d + add": 1},
        ),
        # a sum of another shape is broadcast, not a residual
        (
            lambda m, x: m.conv(x) + m.linear(x.mean((2, 3))).reshape(2, 4, 1, 1),
            {"conv2d": 1, "mean": 1, "linear": 1, "add": 1},
        ),
        # after the activation nothing more fits
        (
            lambda m, x: m.norm(dl.relu(m.conv(x))) + x,
            {"conv2d + relu": 1, "batch_norm": 1, "add": 1},
        ),
        (
            lambda m, x: m.norm(m.conv(x) + x),
            {"conv2d + add": 1, "batch_norm": 1},
        ),
        # views between two kernels
        (
            lambda m, x: dl.relu(m.conv(x).reshape(2, -1)).permute(1, 0),
            {"conv2d": 1, "relu": 1},
        ),
        (lambda m, x: dl.exp(m.conv(x)[:, 1:3, ::2]), {"conv2d": 1, "exp": 1}),
        (lambda m, x: m.conv(x.permute(0, 1, 3, 2)) * 2.0, {"conv2d": 1, "mul": 1}),
        # numbers that do not depend on the input
        (lambda m, x: m.conv(x) + PIECE, {"conv2d + add": 1}),
        # a residual that is a view
        (
            lambda m, x: dl.relu6(m.conv(x) + x.permute(0, 1, 3, 2)),
            {"conv2d + add + relu6": 1},
        ),
        (lambda m, x: dl.maximum(m.conv(x), np.float32(0.1)), None),
        # activations that the model fused itself
        (
            lambda m, x: dl.conv2d(x, m.conv.weight, padding=1, activation="relu"),
            {"conv2d + relu": 1},
        ),
        (
            lambda m, x: dl.relu(
                dl.conv2d(x, m.conv.weight, padding=1, residual=x), out=None
            ),
            {"conv2d + add + relu": 1},
        ),
        (
            lambda m, x: dl.conv2d(x, m.conv.weight, padding=1, activation="none") + x,
            {"conv2d + add": 1},
        ),
        (
            lambda m, x: dl.linear(
                x.permute(0, 2, 3, 1).mean(1), m.linear.weight, activation="tanh"
            ),
            {"mean": 1, "linear + tanh": 1},
        ),
        # normalization of a linear layer's other axis
        (
            lambda m, x: m.norm(m.linear(x[..., :4].mean(2)).unsqueeze(-1)),
            {"mean": 1, "linear": 1, "batch_norm": 1},
        ),
        # weights that are computed, once
        (
            lambda m, x: dl.relu(dl.conv2d(x, m.conv.weight * 2.0, m.conv.bias)),
            {"conv2d + relu": 1},
        ),
        (lambda m, x: x, {}),
        (lambda m, x: m.conv(x.detach()) if x.shape[0] else x, {"conv2d": 1}),
    ],
)
def test_own_forward(rng, function, fused):
    model = settle(Own(function), rng)
    x = rng.standard_normal((2, 4, 6, 6), dtype=np.float32)
    got = check(model, x)
    assert fused is None or got == fused


def test_in_place_and_dead_ops(rng):
    def forward(m, x):
        y = m.conv(x)
        dl.exp(y)  # nobody needs it
        y += x
        y *= 2.0
        return dl.sum(y, 1)

    got = check(settle(Own(forward), rng), PIECE)
    assert got == {"conv2d + add": 1, "mul": 1, "sum": 1}


Pair = namedtuple("Pair", "first second")


def test_input_changed_in_place(rng):
    def forward(model, x):
        x += 1
        return model.conv(x)

    x = PIECE.copy()
    fast = dl.optimize(Own(forward), x)
    assert np.array_equal(fast(x), fast(x)) and np.array_equal(x, PIECE)


def test_a_part_of_another_model():
    fast = dl.optimize(nn.Linear(3, 4))
    model = nn.Sequential(fast, nn.Linear(4, 2)).train()
    assert model[1].training and not fast.training
    model(dl.Tensor(np.ones((2, 3), "float32"))).sum().backward()
    assert list(model.state_dict()) == ["1.weight", "1.bias"]
    assert model.eval() is model
    check(model, np.ones((2, 3), "float32"))


def test_results_in_containers(rng):
    def forward(m, x, y):
        z = m.conv(x)
        made = OrderedDict(sum=z + y, both=(z, [dl.relu(y)]), same=x)
        made["pairs"] = Pair(z, y)
        return made

    fast = dl.optimize(settle(Own(forward), rng))
    a, b = PIECE, PIECE[::-1]
    got, want = fast(a, b), forward(fast._of[0], dl.Tensor(a), dl.Tensor(b))
    assert type(got) is OrderedDict and type(got["pairs"]) is Pair
    assert list(got) == ["sum", "both", "same", "pairs"]
    for g, w in (
        (got["sum"], want["sum"]),
        (got["both"][0], want["both"][0]),
        (got["both"][1][0], want["both"][1][0]),
        (got["same"], want["same"]),
        (got["pairs"].second, want["pairs"].second),
    ):
        np.testing.assert_array_equal(g.data, w.data)


def test_results_beside_arrays(rng):
    fast = dl.optimize(settle(Own(lambda m, x: Pair(m.conv(x), ("conv", None))), rng))
    got = fast(PIECE)
    assert type(got) is Pair and got.second == ("conv", None)
    np.testing.assert_array_equal(got.first.data, fast._of[0](PIECE).first.data)


def test_inputs_of_every_kind(rng):
    fast = dl.optimize(settle(Own(lambda m, x, s: m.conv(x) * s), rng))
    scale = np.array(2.0, "float32")
    want = fast._of[0](PIECE, scale).data
    for x in (PIECE, PIECE.astype(">f4"), np.asfortranarray(PIECE)):
        np.testing.assert_array_equal(fast(x, scale).data, want)
    double = dl.optimize(Own(lambda m, s: s * 2.0), scale)
    assert double(scale).shape == ()
    with pytest.raises(TypeError, match="masked"):
        double(np.ma.array([1.0, 2.0], mask=[True, False]))


@pytest.mark.parametrize("kind", ["int64", "uint8", "bool", "float32"])
@pytest.mark.parametrize("value", [0, 1, -0.5, np.nan])
def test_the_second_input_is_another(kind, value):
    if value == value or kind == "float32":
        one = np.full(1, value).astype(kind)
        for example in (one, one.reshape(()), one.repeat(3), one[:0]):
            other = _other(example)
            assert other.shape == example.shape and other.dtype == example.dtype
            assert not np.shares_memory(other, example)
            assert example.size == 0 or not np.isnan(other).any()
            assert example.size == 0 or (other != example).all()


@pytest.mark.filterwarnings("ignore:optimize.*ever new shapes")
def test_threads_may_call_at_once(rng):
    fast = dl.optimize(nn.ReLU())
    failed = []

    def call(first):
        try:
            for n in range(first, first + 60):
                assert fast(np.ones(n % 40, "float32")).shape == (n % 40,)
        except Exception as error:
            failed.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        crowd = [threading.Thread(target=call, args=(7 * i,)) for i in range(6)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not failed


def test_results_of_two_calls_are_two_arrays(rng):
    fast = dl.optimize(settle(Own(lambda m, x: m.conv(x)), rng))
    first = fast(PIECE)
    kept = first.data.copy()
    fast(-PIECE)
    np.testing.assert_array_equal(first.data, kept)


def test_every_shape_has_its_program(rng):
    model = settle(dl.models.resnet18(num_classes=3, small_images=True), rng)
    fast = dl.optimize(model, np.zeros((1, 3, 8, 8), "float32"))
    assert repr(fast).count("ops in") == 1
    x = rng.standard_normal((4, 3, 12, 8), dtype=np.float32)
    want = model(x).data
    for given in (x, dl.Tensor(x), np.asfortranarray(x)):
        np.testing.assert_allclose(fast(given).data, want, rtol=1e-4, atol=1e-5)
    assert "(4, 3, 12, 8): 67 ops in 22 kernels" in repr(fast)
    weights = {
        id(step.arguments[1]) for p in fast._programs.values() for step in p.steps
    }
    assert len(fast._folded) == 20 and len(weights) < 60  # folded once for all shapes


def test_the_model_stays_as_it_is(rng):
    model = dl.models.resnet18(num_classes=3, small_images=True)
    before = copy.deepcopy(model.state_dict())
    fast = dl.optimize(model)
    x = rng.standard_normal((2, 3, 8, 8), dtype=np.float32)
    first = fast(x).data
    assert model.training and model.layer1[0].bn1.training
    assert all(p.requires_grad for p in model.parameters())
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    for p in model.parameters():
        p.data[...] = 0  # the copy is of the weights at that time
    np.testing.assert_array_equal(fast(x).data, first)


def test_threads_give_the_same_bits(threads, rng):
    model = settle(dl.models.resnet18(num_classes=3), rng)
    fast = dl.optimize(model)
    x = rng.standard_normal((3, 3, 64, 64), dtype=np.float32)
    results = []
    for n in (1, 2, 3):
        threads(n)
        results.append(fast(x).data.tobytes())
    assert len(set(results)) == 1


def test_flops_of_the_optimized(rng):
    model = settle(dl.models.resnet18(num_classes=3, small_images=True), rng)
    x = np.zeros((1, 3, 8, 8), "float32")
    fast = dl.count_flops(dl.optimize(model, x), x)
    slow = dl.count_flops(model, x)
    assert fast.multiplications == slow.multiplications
    assert fast.flops < slow.flops and fast.bytes < slow.bytes
    assert fast.total.calls == 22 and slow.total.calls == 42


def test_flops_of_a_first_call(rng):
    model = settle(dl.models.resnet18(num_classes=3, small_images=True), rng)
    x = np.zeros((1, 3, 8, 8), "float32")
    first, later = (dl.count_flops(fast, x) for fast in [dl.optimize(model)] * 2)
    assert first.total == later.total and first.total.calls == 22


def test_numbers_that_are_the_models_own(rng):
    model = settle(Own(lambda m, x: m.conv(x) * float(m.linear.bias.sum())), rng)
    assert check(model, PIECE) == {"conv2d": 1, "mul": 1}


def test_copies_and_pickles(rng):
    fast = dl.optimize(settle(dl.models.LeNet5(), rng), np.zeros((1, 1, 28, 28), "f4"))
    x = rng.standard_normal((1, 1, 28, 28), dtype=np.float32)
    for twin in (copy.deepcopy(fast), pickle.loads(pickle.dumps(fast))):
        np.testing.assert_array_equal(twin(x).data, fast(x).data)


@pytest.mark.parametrize("groups, kernel", [(1, 3), (2, 3), (1, 1)])
def test_an_empty_batch(isa, groups, kernel):
    model = nn.Conv2d(64, 64, kernel, groups=groups)
    x = np.zeros((0, 64, 9, 9), "float32")
    assert dl.optimize(model)(x).shape == model(x).shape
