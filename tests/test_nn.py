"""Layers and losses: PyTorch's numbers, reprs and training."""

import numpy as np
import pytest

import dlcore as dl
from dlcore import nn

REPRS = {
    "Linear(3, 2)": "Linear(in_features=3, out_features=2, bias=True)",
    "Linear(3, 2, bias=False)": "",
    "Conv2d(1, 6, 5, padding=2)": "",
    "Conv2d(4, 8, (3, 1), 2, 1, (2, 2), groups=2, bias=False)": "",
    "Conv2d(4, 8, 3, padding='same')": "",
    "Conv1d(4, 8, 3, 2, 1, padding_mode='reflect')": "",
    "Conv3d(4, 8, (1, 3, 3), padding=(0, 1, 1), dilation=2, groups=4)": "",
    "ConvTranspose1d(4, 8, 16, 8, 4, bias=False)": "",
    "ConvTranspose2d(4, 8, 3, 2, 1, 1, groups=2)": "",
    "ConvTranspose3d(4, 8, 2, 2, dilation=3)": "",
    "MaxPool2d(2)": "",
    "MaxPool2d((3, 2), 2, 1, ceil_mode=True)": "",
    "AvgPool2d(2)": "",
    "AdaptiveAvgPool2d(1)": "",
    "ReLU()": "",
    "ReLU(inplace=True)": "",
    "LeakyReLU(0.2)": "",
    "Sigmoid()": "",
    "Tanh()": "",
    "GELU()": "",
    "GELU('tanh')": "",
    "SiLU()": "",
    "Softmax(dim=1)": "",
    "LogSoftmax(dim=1)": "",
    "Dropout(0.3)": "",
    "Flatten()": "",
    "Identity()": "",
    "CrossEntropyLoss()": "",
    "MSELoss()": "",
    "NLLLoss()": "",
    "Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU(), nn.Linear(3, 1)))": "",
    "ModuleList([nn.Linear(2, 3), nn.ReLU()])": "",
}


@pytest.mark.parametrize("code", REPRS)
def test_repr_is_pytorchs(torch, code):
    ours = eval(f"nn.{code}", {"nn": nn})
    theirs = eval(f"nn.{code}", {"nn": torch.nn})
    assert repr(ours) == repr(theirs)
    assert not REPRS[code] or repr(ours) == REPRS[code]


@pytest.mark.parametrize("bias", [True, False])
def test_initial_weights_are_pytorchs_distribution(torch, bias):
    dl.manual_seed(0)
    for ours, theirs in [
        (nn.Linear(200, 150, bias), torch.nn.Linear(200, 150, bias)),
        (
            nn.Conv2d(20, 30, 5, groups=2, bias=bias),
            torch.nn.Conv2d(20, 30, 5, groups=2, bias=bias),
        ),
    ]:
        bound = theirs.weight.abs().max().item()
        assert np.abs(ours.weight.data).max() == pytest.approx(bound, rel=1e-3)
        want = theirs.weight.std().item()
        assert ours.weight.data.std() == pytest.approx(want, rel=0.02)
        if bias:
            assert np.abs(ours.bias.data).max() <= bound * (1 + 1e-3)
            want = theirs.bias.std().item()
            assert ours.bias.data.std() == pytest.approx(want, rel=0.3)


def both(torch, code, dtype="float64"):
    """The same model here and in PyTorch, with the same weights."""
    ours = eval(code, {"nn": nn}).to(dtype)
    theirs = eval(code, {"nn": torch.nn}).to(getattr(torch, dtype))
    state = {k: torch.from_numpy(v.copy()) for k, v in ours.state_dict().items()}
    theirs.load_state_dict(state)
    return ours, theirs


LAYERS = {
    "nn.Linear(5, 7)": (3, 5),
    "nn.Linear(5, 7, bias=False)": (2, 3, 5),
    "nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2)": (2, 4, 7, 8),
    "nn.Conv2d(2, 3, (3, 5), padding='same', dilation=(1, 2))": (2, 2, 9, 8),
    "nn.MaxPool2d(3, 2, 1)": (2, 3, 7, 8),
    "nn.AvgPool2d(3, 2, 1, count_include_pad=False)": (2, 3, 7, 8),
    "nn.AdaptiveAvgPool2d(1)": (2, 3, 6, 4),
    "nn.LeakyReLU(0.2)": (3, 5),
    "nn.Sigmoid()": (3, 5),
    "nn.Tanh()": (3, 5),
    "nn.GELU()": (3, 5),
    "nn.GELU('tanh')": (3, 5),
    "nn.SiLU()": (3, 5),
    "nn.Softmax(dim=1)": (3, 5),
    "nn.LogSoftmax(dim=0)": (3, 5),
    "nn.Flatten()": (3, 2, 2),
    "nn.Identity()": (3, 5),
    "nn.Dropout(0.0)": (3, 5),
    "nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))": (3, 5),
}


@pytest.mark.parametrize("code", LAYERS)
def test_layer(torch, rng, code):
    ours, theirs = both(torch, code)
    x = rng.standard_normal(LAYERS[code])
    x1 = dl.Tensor(x, requires_grad=True)
    x2 = torch.from_numpy(x).requires_grad_()
    y1, y2 = ours(x1), theirs(x2)
    np.testing.assert_allclose(y1.data, y2.detach().numpy(), rtol=1e-12, atol=1e-13)
    dy = rng.standard_normal(y1.shape)
    y1.backward(dy)
    y2.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(x1.grad, x2.grad.numpy(), rtol=1e-12, atol=1e-13)
    for (name, p1), p2 in zip(
        ours.named_parameters(), theirs.parameters(), strict=True
    ):
        want = p2.grad.numpy()
        np.testing.assert_allclose(p1.grad, want, rtol=1e-12, atol=1e-13, err_msg=name)


LOSSES = {
    "nn.CrossEntropyLoss()": "classes",
    "nn.CrossEntropyLoss(reduction='sum', label_smoothing=0.1)": "classes",
    "nn.CrossEntropyLoss(ignore_index=1, reduction='none')": "classes",
    "nn.NLLLoss()": "classes",
    "nn.MSELoss()": "numbers",
    "nn.MSELoss(reduction='sum')": "numbers",
}


@pytest.mark.parametrize("code", LOSSES)
def test_loss(torch, rng, code):
    x = rng.standard_normal((6, 4))
    target = rng.integers(0, 4, 6)
    if LOSSES[code] == "numbers":
        target = rng.standard_normal((6, 4))
    x1 = dl.Tensor(x, requires_grad=True)
    x2 = torch.from_numpy(x).requires_grad_()
    y1 = eval(code, {"nn": nn})(x1, target)
    y2 = eval(code, {"nn": torch.nn})(x2, torch.from_numpy(target))
    np.testing.assert_allclose(y1.data, y2.detach().numpy(), rtol=1e-12)
    y1.sum().backward()
    y2.sum().backward()
    np.testing.assert_allclose(x1.grad, x2.grad.numpy(), rtol=1e-12, atol=1e-15)


def test_class_weights(torch, rng):
    x, target = rng.standard_normal((6, 4)), rng.integers(0, 4, 6)
    weight = rng.uniform(0.5, 2, 4)
    for name in ("CrossEntropyLoss", "NLLLoss"):
        ours = getattr(nn, name)(weight).double()(dl.Tensor(x), target)
        theirs = getattr(torch.nn, name)(torch.from_numpy(weight))(
            torch.from_numpy(x), torch.from_numpy(target)
        )
        assert ours.item() == pytest.approx(theirs.item(), rel=1e-12)


TRAINED = {
    "SGD": dict(lr=0.05, momentum=0.9, weight_decay=1e-3),
    "Adam": dict(lr=0.01),
    "AdamW": dict(lr=0.01, weight_decay=0.1),
}


@pytest.mark.parametrize("name", TRAINED)
def test_twenty_steps_are_pytorchs(torch, rng, name):
    ours, theirs = both(
        torch,
        "nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),"
        " nn.Flatten(), nn.Linear(36, 16), nn.Tanh(), nn.Linear(16, 5))",
    )
    o1 = getattr(dl.optim, name)(ours.parameters(), **TRAINED[name])
    o2 = getattr(torch.optim, name)(theirs.parameters(), **TRAINED[name])
    x, target = rng.standard_normal((8, 1, 6, 6)), rng.integers(0, 5, 8)
    losses = []
    for _ in range(20):
        loss1 = nn.CrossEntropyLoss()(ours(x), target)
        loss2 = torch.nn.CrossEntropyLoss()(
            theirs(torch.from_numpy(x)), torch.from_numpy(target)
        )
        for optimizer, loss in ((o1, loss1), (o2, loss2)):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses.append((loss1.item(), loss2.item()))
    np.testing.assert_allclose(*np.transpose(losses), rtol=1e-9)
    for key, want in theirs.state_dict().items():
        got = ours.state_dict()[key]
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-8, atol=1e-10)


def test_small_net_overfits_one_batch(rng):
    dl.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
    optimizer = dl.optim.Adam(net.parameters(), lr=0.01)
    x, target = rng.standard_normal((16, 8)).astype("f"), rng.integers(0, 4, 16)
    for _ in range(200):
        loss = nn.functional.cross_entropy(net(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.01


def test_logistic_regression(rng):
    """Two clouds, one neuron: the line between them is found."""
    dl.manual_seed(0)
    label = np.repeat([0.0, 1.0], 500)
    x = rng.standard_normal((1000, 2)) + 2 * label[:, None] - 1
    model = nn.Linear(2, 1, dtype="float64")
    optimizer = dl.optim.SGD(model.parameters(), lr=1.0)
    for _ in range(100):
        p = model(x).sigmoid().squeeze(1)
        loss = -(label * p.log() + (1 - label) * (1 - p).log()).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert ((p.data > 0.5) == label).mean() > 0.9
    weight = model.weight.data[0]  # the clouds differ by (2, 2): both weights are 2
    np.testing.assert_allclose(weight, 2, rtol=0.2)


def test_dropout_obeys_the_mode():
    dl.manual_seed(0)
    drop, x = nn.Dropout(0.5), np.ones(1000, "f")
    assert 400 < (drop(x) == 0).sum() < 600
    np.testing.assert_array_equal(drop.eval()(x), x)


def test_lenet5():
    net = dl.models.LeNet5()
    counts = [p.numel() for p in net.parameters()]
    assert counts == [150, 6, 2400, 16, 48000, 120, 10080, 84, 840, 10]
    assert sum(counts) == 61706
    assert net(np.zeros((3, 1, 28, 28), "f")).shape == (3, 10)


def test_lenet5_is_the_same_network_in_pytorch(torch, rng):
    ours = dl.models.LeNet5().double()
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(1, 6, 5, padding=2),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(6, 16, 5),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(400, 120),
        torch.nn.ReLU(),
        torch.nn.Linear(120, 84),
        torch.nn.ReLU(),
        torch.nn.Linear(84, 10),
    ).double()
    with torch.no_grad():
        for p, value in zip(
            theirs.parameters(), ours.state_dict().values(), strict=True
        ):
            p.copy_(torch.from_numpy(value))
    x, target = rng.standard_normal((4, 1, 28, 28)), np.array([3, 1, 4, 1])
    loss1 = nn.CrossEntropyLoss()(ours(x), target)
    loss2 = torch.nn.CrossEntropyLoss()(
        theirs(torch.from_numpy(x)), torch.from_numpy(target)
    )
    assert loss1.item() == pytest.approx(loss2.item(), rel=1e-12)
    loss1.backward()
    loss2.backward()
    for p1, p2 in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p1.grad, p2.grad.numpy(), rtol=1e-9, atol=1e-14)


X = np.zeros((2, 3), "f")
BAD = [
    (lambda: nn.Linear(0, 3), ValueError, "Linear: in_features must be at least 1"),
    (lambda: nn.Linear(3, 2.5), TypeError, "Linear: out_features must be an integer"),
    (lambda: nn.Linear(4, 2)(X), ValueError, "linear: "),
    (lambda: nn.Linear(3, 2)(X.astype("d")), TypeError, "linear: "),
    (lambda: nn.Conv2d(3, 4, 0), ValueError, "Conv2d: kernel_size must be at least 1"),
    (lambda: nn.Conv2d(3, 4, 3, 0), ValueError, "Conv2d: stride must be at least 1"),
    (lambda: nn.Conv2d(3, 4, (3, 3, 3)), TypeError, "Conv2d: kernel_size must be an"),
    (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "must be divisible by groups"),
    (lambda: nn.Conv2d(3, 4, 3, 2, "same"), ValueError, "must have stride 1"),
    (lambda: nn.Conv2d(3, 4, 3, padding="x"), ValueError, "padding must be one of"),
    (lambda: nn.Conv2d(3, 4, 3)(X), ValueError, "conv2d: "),
    (lambda: nn.MaxPool2d(-1), ValueError, "MaxPool2d: kernel_size must be at least"),
    (lambda: nn.AvgPool2d(2, 0), ValueError, "AvgPool2d: stride must be at least 1"),
    (lambda: nn.Dropout(1.5), ValueError, "Dropout: p must be from 0 to 1, got 1.5"),
    (lambda: nn.GELU("x"), ValueError, "GELU: approximate must be one of"),
    (lambda: nn.MSELoss("x"), ValueError, "MSELoss: reduction must be one of"),
    (lambda: nn.Sequential(nn.ReLU), TypeError, "got type: write it with brackets"),
    (lambda: nn.Sequential(nn.ReLU(), 3), TypeError, "must be Modules, got int"),
    (lambda: nn.ModuleList([dl.relu]), TypeError, "got the function relu"),
]


@pytest.mark.parametrize("call, error, match", BAD)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()
