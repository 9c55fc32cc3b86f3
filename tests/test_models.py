"""The models: published sizes and names, and the same numbers as PyTorch's ops give."""

import numpy as np
import pytest

import dlcore as dl

MODELS = dl.models
PARAMETERS = {  # as published, for 1000 classes
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "mobilenet_v1": 4_231_976,
    "mobilenet_v2": 3_504_872,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_as_published(name):
    model = getattr(MODELS, name)()
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]


def random_state(model, rng):
    """Weights and statistics of a network in training: no scale 1, no mean 0."""
    state = {}
    for name, value in model.state_dict().items():
        kind = name.rsplit(".", 1)[1]
        if kind == "num_batches_tracked":
            state[name] = np.array(7)
        elif kind == "running_var" or (kind == "weight" and value.ndim == 1):
            state[name] = rng.uniform(0.5, 1.5, value.shape).astype(value.dtype)
        elif value.ndim == 1:
            state[name] = rng.uniform(-0.3, 0.3, value.shape).astype(value.dtype)
        else:
            drawn = rng.standard_normal(value.shape) / value[0].size ** 0.5
            state[name] = drawn.astype(value.dtype)
    model.load_state_dict(state)
    return state


class TorchNet:
    """The published networks in PyTorch's functions, from a state_dict alone."""

    def __init__(self, torch, state, training=False):
        self.torch, self.F = torch, torch.nn.functional
        self.state = {k: torch.tensor(v) for k, v in state.items()}
        self.training = training
        if training:
            for name, value in self.state.items():
                if name.endswith(("weight", "bias")):
                    value.requires_grad_()

    def conv(self, name, x, stride=1, groups=1):
        w = self.state[name + ".weight"]
        return self.F.conv2d(x, w, None, stride, w.shape[-1] // 2, groups=groups)

    def norm(self, name, x):
        names = ("running_mean", "running_var", "weight", "bias")
        values = [self.state[f"{name}.{n}"] for n in names]
        return self.F.batch_norm(x, *values, training=self.training)

    def linear(self, name, x):
        weight, bias = (self.state[f"{name}.{n}"] for n in ("weight", "bias"))
        return self.F.linear(x, weight, bias)

    def resnet(self, x, layers, bottleneck, small):
        relu = self.torch.relu
        x = relu(self.norm("bn1", self.conv("conv1", x, 1 if small else 2)))
        x = x if small else self.F.max_pool2d(x, 3, 2, 1)
        for stage, blocks in enumerate(layers, 1):
            for block in range(blocks):
                p = f"layer{stage}.{block}."
                stride = 2 if stage > 1 and block == 0 else 1
                around = x
                if p + "downsample.0.weight" in self.state:
                    around = self.conv(p + "downsample.0", x, stride)
                    around = self.norm(p + "downsample.1", around)
                strides = (1, stride, 1) if bottleneck else (stride, 1)
                for i, step in enumerate(strides, 1):
                    x = self.norm(f"{p}bn{i}", self.conv(f"{p}conv{i}", x, step))
                    x = relu(x if i < len(strides) else x + around)
        return self.linear("fc", x.mean((2, 3)))

    def mobilenet_v2(self, x):
        relu6 = self.F.relu6

        def layer(name, x, stride=1, groups=1):
            x = self.conv(name + ".0", x, stride, groups)
            return relu6(self.norm(name + ".1", x))

        x = layer("features.0", x, 2)
        i = 0
        for ratio, _, blocks, stride in MODELS.MobileNetV2.settings:
            for block in range(blocks):
                i += 1
                p, y, at = f"features.{i}.conv.", x, 0
                if ratio != 1:
                    y, at = layer(f"{p}0", y), 1
                y = layer(f"{p}{at}", y, stride if block == 0 else 1, y.shape[1])
                y = self.norm(f"{p}{at + 2}", self.conv(f"{p}{at + 1}", y))
                x = x + y if y.shape == x.shape else y
        x = layer(f"features.{i + 1}", x)
        return self.linear("classifier.1", x.mean((2, 3)))

    def mobilenet_v1(self, x):
        def layer(name, x, stride=1, groups=1):
            x = self.conv(name + ".0", x, stride, groups)
            return self.torch.relu(self.norm(name + ".1", x))

        x = layer("features.0", x, 2)
        for i, (_, stride) in enumerate(MODELS.MobileNetV1.settings, 1):
            x = layer(f"features.{i}.0", x, stride, x.shape[1])
            x = layer(f"features.{i}.1", x)
        return self.linear("classifier.1", x.mean((2, 3)))


RUNS = {
    "resnet18": (64, lambda net, x: net.resnet(x, (2, 2, 2, 2), False, False)),
    "resnet34": (64, lambda net, x: net.resnet(x, (3, 4, 6, 3), False, False)),
    "resnet50": (64, lambda net, x: net.resnet(x, (3, 4, 6, 3), True, False)),
    "mobilenet_v1": (64, lambda net, x: net.mobilenet_v1(x)),
    "mobilenet_v2": (64, lambda net, x: net.mobilenet_v2(x)),
}


@pytest.mark.parametrize("name", RUNS)
def test_logits_are_pytorchs(name, torch, rng):
    size, run = RUNS[name]
    model = getattr(MODELS, name)(num_classes=11).eval()
    net = TorchNet(torch, random_state(model, rng))
    x = rng.standard_normal((2, 3, size, size), dtype=np.float32)
    want = run(net, torch.tensor(x)).numpy()
    got = model(x).data
    assert abs(got - want).max() <= 1e-4 * abs(want).max()


TRAINED = {  # options of the model; width of the pictures
    "resnet18": ({"small_images": True}, 16),
    "mobilenet_v1": ({"width_mult": 0.25, "dropout": 0.0}, 64),
    "mobilenet_v2": ({"width_mult": 0.25, "dropout": 0.0}, 64),
}


@pytest.mark.parametrize("name", TRAINED)
def test_gradients_are_pytorchs(name, torch, rng):
    """Loss, every gradient, and the running statistics after one forward."""
    options, size = TRAINED[name]
    model = getattr(MODELS, name)(num_classes=10, **options).double()
    net = TorchNet(torch, random_state(model, rng), training=True)
    x = rng.standard_normal((4, 3, size, size))
    labels = rng.integers(0, 10, 4)
    loss = dl.cross_entropy(model(x), labels)
    loss.backward()
    if name == "resnet18":
        logits = net.resnet(torch.tensor(x), (2, 2, 2, 2), False, True)
    else:
        logits = RUNS[name][1](net, torch.tensor(x))
    want = net.F.cross_entropy(logits, torch.tensor(labels))
    want.backward()
    assert loss.item() == pytest.approx(want.item(), rel=1e-9)
    for name, p in model.named_parameters():
        expected = net.state[name].grad.numpy()
        error = abs(p.grad.data - expected).max()
        assert error <= 1e-8 * abs(expected).max() + 1e-12, name
    for name, b in model.named_buffers():
        if "running" in name:
            expected = net.state[name].numpy()
            np.testing.assert_allclose(b.data, expected, rtol=1e-9, atol=1e-9)


def test_names_are_those_of_published_weights():
    names = MODELS.resnet18().state_dict()
    assert list(names)[:3] == ["conv1.weight", "bn1.weight", "bn1.bias"]
    assert "layer2.0.downsample.1.running_var" in names
    assert list(names)[-1] == "fc.bias"
    names = MODELS.mobilenet_v2().state_dict()
    for name in ("features.0.0.weight", "features.1.conv.2.bias", "classifier.1.bias"):
        assert name in names
    assert names["features.2.conv.1.0.weight"].shape == (96, 1, 3, 3)


def test_blocks_start_as_the_identity():
    model = MODELS.resnet50(num_classes=2, zero_init_residual=True)
    assert not model.layer3[2].bn3.weight.data.any()
    assert model.layer3[2].bn2.weight.data.all()


def test_widths_are_multiples_of_8():
    model = MODELS.mobilenet_v2(width_mult=0.35)
    widths = {m.out_channels for m in model.modules() if isinstance(m, dl.nn.Conv2d)}
    assert all(width % 8 == 0 for width in widths)
    assert "ReLU6()" in repr(model)
