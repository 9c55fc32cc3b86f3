"""Whole networks by PyTorch, for `with_torch`."""

from functools import partial

import torch
import torch.nn.functional as F

from .networks import GPT, build

_from = torch.from_numpy


def _layout(variant, *arrays):
    tensors = [_from(a) for a in arrays]
    if variant == "torch-cl":
        last = {4: torch.channels_last, 5: torch.channels_last_3d}
        return [t.contiguous(memory_format=last[t.ndim]) for t in tensors]
    return tensors


def _train(net, optimizer, x, labels, weights):
    with torch.no_grad():
        for parameter, weight in zip(net.parameters(), weights, strict=True):
            parameter.copy_(_from(weight))
    return _training(net, optimizer(net.parameters()), _from(x), _from(labels))


def _training(net, optimizer, x, labels):
    def call():
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    return call


def train_lenet5(case, variant, x, labels, weights):
    nn = torch.nn
    net = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )
    return _train(
        net, partial(torch.optim.SGD, lr=0.01, momentum=0.9), x, labels, weights
    )


def train_mlp(case, variant, x, labels, weights):
    nn = torch.nn
    net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
    fused = True if variant == "torch-fused" else None
    optimizer = partial(torch.optim.Adam, lr=1e-3, fused=fused)
    return _train(net, optimizer, x, labels, weights)


class _Network:
    """A network of `networks.build` in PyTorch's functions."""

    def __init__(self, name, variant, state, training):
        self.name, self.training = name, training
        self.state = {
            name: _layout(variant, a)[0] if a.ndim == 4 else _from(a.copy())
            for name, a in state.items()
        }

    def parameters(self):
        learned = ("weight", "bias")
        return [v for k, v in self.state.items() if k.endswith(learned)]

    def __call__(self, x):
        return build(self.name, self, x)

    def conv(self, x, name, stride, groups):
        w = self.state[name + ".weight"]
        groups = x.shape[1] if groups == "channels" else groups
        return F.conv2d(x, w, None, stride, w.shape[-1] // 2, groups=groups)

    def norm(self, x, name):
        names = ("running_mean", "running_var", "weight", "bias")
        values = [self.state[f"{name}.{n}"] for n in names]
        return F.batch_norm(x, *values, training=self.training)

    def linear(self, x, name):
        return F.linear(x, self.state[name + ".weight"], self.state[name + ".bias"])

    relu = staticmethod(partial(F.relu, inplace=True))
    relu6 = staticmethod(partial(F.relu6, inplace=True))
    max_pool = staticmethod(partial(F.max_pool2d, kernel_size=3, stride=2, padding=1))
    mean = staticmethod(partial(torch.mean, dim=(2, 3)))
    add = staticmethod(torch.add)


def infer(case, variant, x, state):
    net = _Network(case.sizes["net"], variant, state, training=False)
    (x,) = _layout(variant, x)
    return torch.inference_mode()(partial(net, x))


def train_net(case, variant, x, state, labels):
    net = _Network(case.sizes["net"], variant, state, training=True)
    for parameter in net.parameters():
        parameter.requires_grad_()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    return _training(net, optimizer, _layout(variant, x)[0], _from(labels))


def infer_encoder(case, variant, x, state):
    width, heads = x.shape[-1], case.sizes["heads"]
    layer = torch.nn.TransformerEncoderLayer(
        width, heads, 4 * width, activation="gelu", batch_first=True
    )
    net = torch.nn.TransformerEncoder(
        layer, case.sizes["layers"], enable_nested_tensor=False
    )
    net.load_state_dict({name: _from(value) for name, value in state.items()})
    return torch.inference_mode()(partial(net.eval(), _from(x)))


class _GPT:
    """The one of `networks` in PyTorch's functions."""

    def __init__(self, state):
        self.state = {name: _from(a.copy()) for name, a in state.items()}

    def linear(self, x, name):
        state = self.state
        return F.linear(x, state[name + "weight"], state.get(name + "bias"))

    def norm(self, x, name):
        weight, bias = self.state[name + "weight"], self.state[name + "bias"]
        return F.layer_norm(x, weight.shape, weight, bias)

    def block(self, x, at):
        state = self.state
        h = self.norm(x, at + "norm1.")
        h = F.linear(
            h,
            state[at + "self_attn.in_proj_weight"],
            state[at + "self_attn.in_proj_bias"],
        )
        q, k, v = (
            t.unflatten(-1, (GPT.heads, -1)).transpose(1, 2) for t in h.chunk(3, -1)
        )
        h = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        h = h.transpose(1, 2).flatten(2)
        x = x + self.linear(h, at + "self_attn.out_proj.")
        h = F.gelu(self.linear(self.norm(x, at + "norm2."), at + "linear1."))
        return x + self.linear(h, at + "linear2.")

    def __call__(self, x):
        x = F.embedding(x, self.state["embedding.weight"]) + self.state["places"]
        for i in range(GPT.layers):
            x = self.block(x, f"blocks.layers.{i}.")
        return self.linear(self.norm(x, "blocks.norm."), "head.").flatten(0, 1)


def train_gpt(case, variant, x, state, labels):
    net = _GPT(state)
    parameters = [p.requires_grad_() for p in net.state.values()]
    fused = True if variant == "torch-fused" else None
    optimizer = torch.optim.Adam(parameters, lr=1e-4, fused=fused)
    return _training(net, optimizer, _from(x), _from(labels))


def train_gpt_bf16(case, variant, x, state, labels):
    call = train_gpt(case, variant, x, state, labels)
    return torch.autocast("cpu", torch.bfloat16)(call)


def train_lstm(case, variant, x, labels, state):
    s = case.sizes
    first = torch.nn.LSTM(s["characters"], s["hidden"])
    last = torch.nn.Linear(s["hidden"], s["characters"])
    layers = torch.nn.ModuleList([first, last])
    layers.load_state_dict({name: _from(value) for name, value in state.items()})
    optimizer = torch.optim.Adam(layers.parameters(), lr=1e-3)

    def net(x):
        return layers[1](layers[0](x)[0]).flatten(0, 1)

    return _training(net, optimizer, _from(x), _from(labels))
