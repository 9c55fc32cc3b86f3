"""Module: what it holds under which name, modes, casts, states carried over by name."""

import copy
import pickle

import numpy as np
import pytest

from dlcore import Tensor, nn


class Net(nn.Module):
    """Attributes of every kind."""

    def __init__(self):
        self.first = nn.Linear(4, 3)
        self.layers = nn.ModuleList([nn.Linear(3, 3), nn.ReLU()])
        self.scale = nn.Parameter(np.ones(3, np.float32))
        self.nothing = None
        self.register_buffer("mean", np.zeros(3, np.float32))
        self.register_buffer("scratch", np.zeros(2), persistent=False)
        self.register_buffer("absent", None)

    def forward(self, x):
        x = self.first(x)
        for layer in self.layers:
            x = layer(x)
        return x * self.scale


NAMES = ["scale", "first.weight", "first.bias", "layers.0.weight", "layers.0.bias"]


def test_what_a_module_holds():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert len(list(net.parameters())) == 5 and list(net.parameters(recurse=False)) == [
        net.scale
    ]
    assert [name for name, _ in net.named_buffers()] == ["mean", "scratch"]
    modules = ["", "first", "layers", "layers.0", "layers.1"]
    assert [name for name, _ in net.named_modules()] == modules
    assert [name for name, _ in net.named_children()] == ["first", "layers"]
    assert list(net.state_dict()) == [NAMES[0], "mean", *NAMES[1:]]
    assert net.get_submodule("layers.0") is net.layers[0]
    assert net(np.zeros((2, 4), "f")).shape == (2, 3)


def test_keys_are_pytorchs(torch):
    class TorchNet(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Linear(4, 3)
            self.layers = torch.nn.ModuleList([torch.nn.Linear(3, 3), torch.nn.ReLU()])
            self.scale = torch.nn.Parameter(torch.ones(3))
            self.register_buffer("mean", torch.zeros(3))

    assert list(TorchNet().state_dict()) == list(Net().state_dict())


def test_shared_parameter_is_listed_once():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    names = [name for name, _ in net.named_parameters()]
    assert names == ["0.weight", "0.bias", "1.bias"]
    assert len(net.state_dict()) == 4
    shared = nn.Sequential(net[0], net[0])
    assert len(list(shared.modules())) == 2 and len(list(shared.parameters())) == 2


def test_modes_and_freezing():
    net = Net()
    assert net.training and net.eval() is net
    assert not any(module.training for module in net.modules())
    assert net.train() is net and net.layers[0].training
    net.requires_grad_(False)
    assert not net(np.ones((1, 4), "f")).requires_grad
    net.requires_grad_()
    net(np.ones((1, 4), "f")).sum().backward()
    assert net.scale.grad is not None
    net.zero_grad(set_to_none=False)
    assert not net.scale.grad.data.any()
    net.zero_grad()
    assert net.scale.grad is None
    seen = []
    assert net.apply(seen.append) is net and seen[-1] is net and len(seen) == 5


def test_what_is_named_and_found():
    net = Net()
    assert net.get_parameter("layers.0.weight") is net.layers[0].weight
    assert net.get_buffer("mean") is net.mean
    assert net.get_submodule("") is net
    net.again = net.first
    net.layers[0].weight = net.first.weight
    names = [name for name, _ in net.named_modules(remove_duplicate=False)]
    assert names == ["", "first", "layers", "layers.0", "layers.1", "again"]
    assert [name for name, _ in net.named_children()] == ["first", "layers"]
    twice = [name for name, _ in net.named_parameters(remove_duplicate=False)]
    assert twice == [*NAMES, "again.weight", "again.bias"]
    assert next(iter(net.state_dict(prefix="net."))) == "net.scale"
    assert net.state_dict(keep_vars=True)["again.bias"] is net.first.bias


def test_ties_survive_a_copy():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert twin[1].weight is twin[0].weight is not net[0].weight
    twin.load_state_dict({**net.state_dict(), "1.weight": np.ones((3, 3), "f")})
    assert (twin[0].weight.data == 1).all()


def test_registering():
    net = nn.Module()
    net.register_parameter("bias", None)
    assert net.bias is None and not list(net.parameters())
    net.bias = nn.Parameter(np.zeros(2))
    net.register_module("relu", nn.ReLU())
    net.add_module("nothing", None)
    net.register_buffer("mean", np.zeros(2))
    net.mean = nn.Parameter(np.ones(2))
    assert [name for name, _ in net.named_parameters()] == ["bias", "mean"]
    assert not list(net.named_buffers())
    net.register_buffer("count", np.zeros(2))
    del net.count
    assert list(net.state_dict()) == ["bias", "mean"]


def test_casts():
    net = Net()
    net(np.ones((1, 4), "f")).sum().backward()
    assert net.double() is net
    assert all(v.dtype == np.float64 for v in net.state_dict().values())
    assert net.scale.grad.dtype == np.float64
    assert net.float().mean.dtype == np.float32
    assert net.to("cpu", dtype="float64").scale.dtype == np.float64
    assert net.to(Tensor(X)).cpu() is net and net.scale.dtype == np.float32
    with pytest.raises(TypeError, match="must be float32, float64, float16 or"):
        net.to("int64")


def test_state_dict_round_trip(tmp_path):
    one, other = Net(), Net()
    np.savez(tmp_path / "net.npz", **one.state_dict())
    with np.load(tmp_path / "net.npz") as file:
        assert other.load_state_dict(file) == ([], [])
    for name, value in one.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], value)
        assert not np.shares_memory(other.state_dict()[name], value)
    for twin in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert repr(twin) == repr(one) and twin.scale is not one.scale
        np.testing.assert_array_equal(twin.scale.data, one.scale.data)


def test_load_state_dict_changes_nothing_when_it_fails():
    net = Net()
    good = {name: np.full_like(v, 9) for name, v in net.state_dict().items()}
    bad_shape = {**good, "layers.0.bias": np.zeros(7)}
    missing = {name: v for name, v in good.items() if name != "first.weight"}
    for state, match in [
        (bad_shape, r"Net: layers.0.bias must have shape \(3,\), got \(7,\)"),
        (missing, "Net: missing: first.weight"),
        ({**good, "extra": np.zeros(1)}, "Net: unexpected: extra"),
    ]:
        with pytest.raises(RuntimeError, match=match):
            net.load_state_dict(state)
        assert (net.scale.data == 1).all()
    keys = net.load_state_dict({**missing, "extra": np.zeros(1)}, strict=False)
    assert keys.missing_keys == ["first.weight"] and keys.unexpected_keys == ["extra"]
    assert (net.scale.data == 9).all()


X = np.zeros((2, 3), "f")


@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda: nn.Module()(X), NotImplementedError, "Module must define forward"),
        (lambda: Net().get_submodule("a.b"), AttributeError, "no module 'a.b'"),
        (
            lambda: setattr(Net(), "scale", X),
            TypeError,
            "Net: scale must stay a Parameter",
        ),
        (lambda: setattr(Net(), "first", 3), TypeError, "first must stay a Module"),
        (lambda: setattr(Net(), "mean", 3), TypeError, "mean must stay a Tensor"),
        (lambda: Net().get_parameter("mean"), AttributeError, "no parameter 'mean'"),
        (lambda: Net().get_buffer("scale"), AttributeError, "no buffer 'scale'"),
        (lambda: Net().register_buffer("a.b", X), KeyError, "must not be empty or"),
        (lambda: Net().register_buffer("", X), KeyError, "must not be empty or"),
        (lambda: Net().register_buffer("scale", X), KeyError, "is a parameter already"),
        (lambda: Net().register_buffer(3, X), TypeError, "name must be a str, got int"),
        (lambda: Net().register_parameter("w", X), TypeError, "wrap it in nn.Param"),
        (lambda: Net().register_parameter("forward", None), KeyError, "is another"),
        (lambda: Net().add_module("train", nn.ReLU()), KeyError, "is another attr"),
        (lambda: Net().add_module("relu", nn.ReLU), TypeError, "be a Module or None"),
        (lambda: Net().train(3), ValueError, "mode must be True or False, got 3"),
        (lambda: Net().to("cuda"), TypeError, "'cpu', the only device"),
    ],
)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.astype(np.float64), "dtype float32, got float64"),
        (lambda v: v.astype(np.complex64), "dtype float32, got complex64"),
        (lambda v: v[None], "must have shape"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, message):
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    before = {name: p.data.copy() for name, p in model.named_parameters()}
    state = {name: np.full_like(value, 7) for name, value in before.items()}
    state["1.bias"] = change(state["1.bias"])
    with pytest.raises(RuntimeError, match=message):
        model.load_state_dict(state)
    for name, p in model.named_parameters():
        np.testing.assert_array_equal(p.data, before[name])


def test_a_state_that_is_no_mapping():
    with pytest.raises(TypeError, match="state_dict must be a mapping"):
        nn.Linear(2, 2).load_state_dict(None)
