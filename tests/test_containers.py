"""Containers and the layers between others, beside PyTorch's."""

import numpy as np
import pytest

import dlcore as dl
from dlcore import nn
from dlcore.nn.utils import parameters_to_vector, vector_to_parameters
from dlcore.testing import gradcheck


def kinds(module):
    return [(name, type(child).__name__) for name, child in module.named_children()]


ROW_EDITS = {
    "append": lambda m, nn: m.append(nn.Tanh()),
    "extend": lambda m, nn: m.extend([nn.Tanh(), nn.ReLU()]),
    "insert": lambda m, nn: m.insert(1, nn.Tanh()),
    "insert last": lambda m, nn: m.insert(3, nn.Tanh()),
    "pop": lambda m, nn: m.pop(1),
    "delete": lambda m, nn: m.__delitem__(0),
    "delete slice": lambda m, nn: m.__delitem__(slice(0, 2)),
    "replace": lambda m, nn: m.__setitem__(-1, nn.Tanh()),
    "add up": lambda m, nn: m.__iadd__(nn.Sequential(nn.Tanh())),
}


@pytest.mark.parametrize("edit", ROW_EDITS)
@pytest.mark.parametrize("kind", ["Sequential", "ModuleList"])
def test_rows_are_edited_as_pytorchs(torch, kind, edit):
    results = []
    for lib in (nn, torch.nn):
        modules = [lib.Linear(2, 2), lib.ReLU(), lib.Sigmoid()]
        row = (
            lib.Sequential(*modules)
            if kind == "Sequential"
            else lib.ModuleList(modules)
        )
        ROW_EDITS[edit](row, lib)
        results.append((kinds(row), len(row), list(row.state_dict()), repr(row)))
    assert results[0] == results[1]


def test_parts_of_a_sequential():
    net = nn.Sequential({"a": nn.Linear(2, 3), "b": nn.ReLU(), "c": nn.Linear(3, 1)})
    assert kinds(net[1:]) == [("b", "ReLU"), ("c", "Linear")]
    assert net[-1] is net.c and net[0:1].a is net.a and net.b in net
    assert len(net + nn.ModuleList([nn.ReLU()])) == 4 and len(net) == 3
    x = np.ones((1, 2), "f")
    np.testing.assert_array_equal(net[2](net[:2](x)).data, net(x).data)
    assert kinds(net + nn.Sequential(nn.ReLU()))[-1] == ("3", "ReLU")
    twice = nn.Sequential(net.a, net.a)
    assert len(twice) == 2 and len(list(twice.children())) == 1


def test_module_dict_is_pytorchs(torch):
    results = []
    for lib in (nn, torch.nn):
        heads = lib.ModuleDict({"left": lib.Linear(2, 1), "right": lib.ReLU()})
        heads["more"] = lib.Tanh()
        heads.update([("left", lib.Linear(2, 2)), ("last", lib.Identity())])
        popped = heads.pop("right")
        del heads["more"]
        results.append(
            (
                repr(heads),
                repr(popped),
                list(heads),
                list(heads.keys()),
                len(heads),
                "left" in heads,
                list(heads.state_dict()),
                [type(v).__name__ for v in heads.values()],
                [k for k, _ in heads.items()],
            )
        )
        heads.clear()
        assert len(heads) == 0
    assert results[0] == results[1]


def test_parameter_containers_are_pytorchs(torch):
    results = []
    for lib, make in ((nn, dl.tensor), (torch.nn, torch.tensor)):
        weights = lib.ParameterList([lib.Parameter(make([1.0])), make([2.0])])
        weights.append(make([3.0]))
        weights[0] = lib.Parameter(make([4.0]))
        weights += [make([5.0])]
        named = lib.ParameterDict({"a": make([1.0]), "b": lib.Parameter(make([2.0]))})
        named["c"] = lib.Parameter(make([3.0]))
        named.update({"a": lib.Parameter(make([7.0]))})
        named.pop("b")
        results.append(
            (
                [p.item() for p in weights],
                len(weights[1:3]),
                weights[-1].item(),
                list(weights.state_dict()),
                list(named.state_dict()),
                [p.item() for p in named.values()],
                "b" in named,
                [p.requires_grad for p in (*weights, *named.values())],
            )
        )
    assert results[0] == results[1]


def test_popping_a_parameter():
    weights = nn.ParameterList([np.full(1, float(i)) for i in range(3)])
    assert weights.pop(0).item() == 0 and list(weights.state_dict()) == ["0", "1"]
    assert "(1): Parameter containing: [float64 of shape (1,)]" in repr(weights)
    named = nn.ParameterDict([("a", np.zeros(1))])
    assert named.get("b") is None and list(named.keys()) == ["a"]
    named.clear()
    assert len(named) == 0


LAYERS = {
    "Bilinear(3, 4, 5)": [(2, 6, 3), (2, 6, 4)],
    "Bilinear(3, 4, 1, bias=False)": [(7, 3), (7, 4)],
    "Unflatten(1, (2, 3))": [(4, 6, 2)],
    "Unflatten(-1, (2, -1))": [(4, 6)],
    "CosineSimilarity()": [(4, 6), (4, 6)],
    "CosineSimilarity(dim=-1)": [(2, 4, 6), (6,)],
    "PairwiseDistance()": [(4, 6), (4, 6)],
    "PairwiseDistance(p=1, keepdim=True)": [(4, 6), (6,)],
    "PairwiseDistance(p=3.0, eps=1e-3)": [(4, 6), (4, 6)],
}


@pytest.mark.parametrize("code", LAYERS)
def test_layer_is_pytorchs(torch, rng, code):
    mine = eval(f"nn.{code}", {"nn": nn}).double()
    theirs = eval(f"nn.{code}", {"nn": torch.nn}).double()
    assert repr(mine) == repr(theirs)
    theirs.load_state_dict({k: torch.tensor(v) for k, v in mine.state_dict().items()})
    inputs = [rng.standard_normal(shape) for shape in LAYERS[code]]
    xs = [dl.Tensor(x, requires_grad=True) for x in inputs]
    ts = [torch.tensor(x, requires_grad=True) for x in inputs]
    y, z = mine(*xs), theirs(*ts)
    np.testing.assert_allclose(y.detach(), z.detach().numpy(), rtol=1e-12, atol=1e-13)
    dy = rng.standard_normal(y.shape)
    y.backward(dy)
    z.backward(torch.tensor(dy))
    pairs = [*zip(xs, ts), *zip(mine.parameters(), theirs.parameters())]
    for a, b in pairs:
        np.testing.assert_allclose(a.grad, b.grad.numpy(), rtol=1e-11, atol=1e-12)


def test_normalize_is_pytorchs(torch, rng):
    x = rng.standard_normal((3, 4, 5))
    x[0, :, 0] = 0
    for p, dim in ((2.0, 1), (1.0, -1), (3.0, 0)):
        t = torch.tensor(x, requires_grad=True)
        mine = dl.Tensor(x, requires_grad=True)
        want = torch.nn.functional.normalize(t, p, dim)
        y = dl.normalize(mine, p, dim)
        np.testing.assert_allclose(y.detach(), want.detach().numpy(), rtol=1e-13)
    gradcheck(dl.normalize, rng.standard_normal((3, 4)))


def test_likeness_of_nothing(torch):
    zero, one = np.zeros((1, 3)), np.ones((1, 3))
    x = dl.Tensor(zero, requires_grad=True)
    y = dl.cosine_similarity(x, one)
    y.sum().backward()
    t = torch.zeros((1, 3), dtype=torch.float64, requires_grad=True)
    torch.nn.functional.cosine_similarity(t, torch.ones(1, 3).double()).backward()
    assert y.item() == 0
    np.testing.assert_allclose(x.grad, t.grad.numpy(), rtol=1e-12)


def test_lambda():
    net = nn.Sequential(nn.Lambda(dl.square), nn.Lambda(lambda x: x + 1))
    assert net(np.array([2.0, 3.0])).tolist() == [5, 10]
    assert repr(net[0]) == "Lambda(square)"


def test_vectors_of_parameters(torch):
    mine, theirs = nn.Linear(3, 2), torch.nn.Linear(3, 2)
    vector = np.arange(8, dtype="f")
    vector_to_parameters(dl.Tensor(vector), mine.parameters())
    torch.nn.utils.vector_to_parameters(torch.tensor(vector), theirs.parameters())
    for a, b in zip(mine.parameters(), theirs.parameters()):
        np.testing.assert_array_equal(a.detach(), b.detach().numpy())
    flat = parameters_to_vector(mine.parameters())
    np.testing.assert_array_equal(flat.detach(), vector)
    (flat * flat).sum().backward()
    np.testing.assert_array_equal(mine.bias.grad, [12, 14])
    y = mine(np.ones((1, 3), "f")).sum()
    vector_to_parameters(vector, mine.parameters())
    with pytest.raises(RuntimeError, match="was changed in place"):
        y.backward()


X = np.zeros((2, 3), "f")
BAD = [
    (lambda: nn.Sequential(nn.ReLU())[1], IndexError, "index must be from -1 to 0"),
    (lambda: nn.Sequential(nn.ReLU()).append(3), TypeError, "must be Modules, got int"),
    (lambda: nn.Sequential({"a.b": nn.ReLU()}), KeyError, "must not be empty or have"),
    (lambda: nn.Sequential({"forward": nn.ReLU()}), KeyError, "is another attribute"),
    (lambda: nn.ModuleList([nn.ReLU()]).pop(4), IndexError, "ModuleList: index must"),
    (lambda: nn.ModuleList([dl.relu]), TypeError, "wrap it in nn.Lambda"),
    (lambda: nn.ModuleDict({"a": 3}), TypeError, "ModuleDict: modules must be Mod"),
    (lambda: nn.ModuleDict({"a.b": nn.ReLU()}), KeyError, "must not be empty or have"),
    (lambda: nn.ModuleDict({"keys": nn.ReLU()}), KeyError, "is another attribute"),
    (lambda: nn.ModuleDict({3: nn.ReLU()}), TypeError, "name must be a str, got int"),
    (lambda: nn.ModuleDict(3), TypeError, "ModuleDict: must be given a mapping"),
    (lambda: nn.ModuleDict()["a"], KeyError, "a"),
    (lambda: nn.ParameterDict()["a"], KeyError, "a"),
    (lambda: nn.ParameterList([X])[1], IndexError, "ParameterList: index must be"),
    (lambda: nn.ParameterList(["a"]), TypeError, "Tensor"),
    (lambda: nn.Lambda(3), TypeError, "Lambda: function must be callable, got int"),
    (lambda: nn.Bilinear(0, 1, 1), ValueError, "in1_features must be at least 1"),
    (lambda: nn.Bilinear(3, 2, 1)(X, X), ValueError, "must have 3 and 2 columns"),
    (lambda: nn.Bilinear(3, 3, 1)(X, X[:1]), ValueError, "same axes before the last"),
    (lambda: dl.bilinear(X, X, X), ValueError, "weight must have shape"),
    (lambda: dl.bilinear(X, [1], X), TypeError, "x2 must be a NumPy array"),
    (lambda: nn.Unflatten(1, 3), TypeError, "unflattened_size must be a tuple"),
    (lambda: nn.Unflatten("a", (3,)), TypeError, "dim must be an integer"),
    (lambda: nn.Unflatten(1, (2, 2))(X), ValueError, "must hold the 3 elements"),
    (lambda: nn.Unflatten(1, (2, -1))(X), ValueError, "must hold the 3 elements"),
    (lambda: nn.Unflatten(2, (1,))(X), IndexError, "Unflatten: "),
    (
        lambda: vector_to_parameters(X, nn.Linear(2, 2).parameters()),
        ValueError,
        r"vec must have shape \(6,\), got \(2, 3\)",
    ),
]


@pytest.mark.parametrize("call, error, match", BAD)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()
