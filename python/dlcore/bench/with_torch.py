"""Each piece of work by PyTorch: functions that return a call.

The variant ``torch-cl`` holds pictures with the channels last; ``torch-fused`` asks for
the fused optimizer. Inputs of forward alone need no gradient.
"""

from functools import partial

import torch
import torch.nn.functional as F

from .torch_low_precision import autocast, linear_int8, lstm_int8  # noqa: F401
from .torch_networks import (  # noqa: F401  (found here by name)
    _from,
    _layout,
    infer,
    infer_encoder,
    train_gpt,
    train_gpt_bf16,
    train_lenet5,
    train_lstm,
    train_mlp,
    train_net,
)


def _both(f, dy, *inputs):
    """Forward and backward of ``f()``; returns the result and the inputs' gradients."""
    for x in inputs:
        x.requires_grad_()

    def call():
        for x in inputs:
            x.grad = None
        y = f()
        y.backward(dy)
        return (y, *(x.grad for x in inputs))

    return call


def _run(case, f, dy, *inputs):
    return f if case.mode == "fwd" else _both(f, dy, *inputs)


def gemm(case, variant, a, b):
    a, b = _from(a), _from(b)
    if case.sizes["layout"][0] == "t":
        a = a.mT
    if case.sizes["layout"][1] == "t":
        b = b.mT
    return partial(torch.matmul, a, b)


def gemm_bf16(case, variant, a, b):
    return autocast(gemm(case, variant, a, b))


def linear_gelu(case, variant, x, weight, bias, dy):
    x, weight, bias, dy = map(_from, (x, weight, bias, dy))
    return _run(case, lambda: F.gelu(F.linear(x, weight, bias)), dy, x, weight, bias)


def conv2d(case, variant, x, weight, dy):
    stride, padding = case.sizes["shape"][4:]
    x, weight, dy = _layout(variant, x, weight, dy)
    return _run(
        case, partial(F.conv2d, x, weight, None, stride, padding), dy, x, weight
    )


def conv(case, variant, x, weight, dy):
    window = case.sizes["window"]
    if x.ndim == 4:
        x, weight, dy = _layout(variant, x, weight, dy)
    else:
        x, weight, dy = map(_from, (x, weight, dy))
    op = getattr(F, case.sizes["op"])
    return _run(case, partial(op, x, weight, **window), dy, x, weight)


def pool(case, variant, x, dy):
    x, dy = _layout(variant, x, dy)
    op = getattr(F, case.sizes["op"])
    return _run(case, partial(op, x, *case.sizes["args"]), dy, x)


def interpolate(case, variant, x, dy):
    x, dy, s = _from(x), _from(dy), case.sizes
    return _run(case, partial(F.interpolate, x, s["out"], mode=s["how"]), dy, x)


def pad(case, variant, x, dy):
    x, dy, s = _from(x), _from(dy), case.sizes
    return _run(case, partial(F.pad, x, s["pad"], s["how"]), dy, x)


def grid_sample(case, variant, x, grid, dy):
    x, grid, dy, how = _from(x), _from(grid), _from(dy), case.sizes["how"]
    call = partial(F.grid_sample, x, grid, how, align_corners=False)
    return _run(case, call, dy, x, grid)


def unary(case, variant, x):
    x = _from(x)
    op = case.sizes["op"]
    if case.mode == "fwd":
        return partial(F.gelu if op == "gelu" else getattr(torch, op), x)
    y = torch.empty_like(x)
    if op == "relu":
        return partial(torch.clamp_min, x, 0, out=y)
    if op == "gelu":
        return partial(torch._C._nn.gelu, x, out=y)
    return partial(getattr(torch, op), x, out=y)


def activation(case, variant, x, dy, weight=None):
    dy = _from(dy)
    inputs = [_from(a) for a in (x, weight) if a is not None]
    call = partial(getattr(F, case.sizes["op"]), *inputs)
    return _run(case, call, dy, *inputs)


def add(case, variant, a, b):
    a, b = _from(a), _from(b)
    if case.mode == "fwd":
        return partial(torch.add, a, b)
    return partial(torch.add, a, b, out=torch.empty_like(a))


def add_rows(case, variant, a, b):
    return partial(torch.add, _from(a), _from(b))


def sum(case, variant, x):
    x, axis = _from(x), case.sizes["axis"]
    return partial(torch.sum, x) if axis is None else partial(torch.sum, x, axis)


def dropout(case, variant, x):
    return partial(F.dropout, _from(x), 0.5, True)


def layer_norm(case, variant, x, weight, bias, dy):
    x, weight, bias, dy = map(_from, (x, weight, bias, dy))
    call = partial(F.layer_norm, x, x.shape[1:], weight, bias)
    return _run(case, call, dy, x, weight, bias)


def rms_norm(case, variant, x, weight, bias, dy):
    x, weight, dy = map(_from, (x, weight, dy))
    return _run(case, partial(F.rms_norm, x, x.shape[1:], weight), dy, x, weight)


def add_layer_norm(case, variant, x, weight, bias, dy, residual):
    x, weight, bias, dy, residual = map(_from, (x, weight, bias, dy, residual))

    def call():
        return F.layer_norm(x + residual, x.shape[1:], weight, bias)

    return _run(case, call, dy, x, weight, bias, residual)


def batch_norm(case, variant, x, weight, bias, dy):
    (x, dy), weight, bias = _layout(variant, x, dy), _from(weight), _from(bias)
    running = torch.zeros_like(bias), torch.ones_like(bias)
    call = partial(F.batch_norm, x, *running, weight, bias, training=True)
    return _run(case, call, dy, x, weight, bias)


def batch_norm_add_relu(case, variant, x, weight, bias, residual, dy):
    x, residual, dy = _layout(variant, x, residual, dy)
    weight, bias = _from(weight), _from(bias)
    running = torch.zeros_like(bias), torch.ones_like(bias)

    def call():
        y = F.batch_norm(x, *running, weight, bias, training=True)
        return F.relu_(y.add_(residual))

    return _run(case, call, dy, x, weight, bias, residual)


def softmax(case, variant, x, dy, labels):
    x, dy = _from(x), _from(dy)
    return _run(case, partial(F.softmax, x, 1), dy, x)


def log_softmax(case, variant, x, dy, labels):
    x, dy = _from(x), _from(dy)
    return _run(case, partial(F.log_softmax, x, 1), dy, x)


def cross_entropy(case, variant, x, dy, labels):
    x, labels = _from(x), _from(labels)
    return _run(case, partial(F.cross_entropy, x, labels), None, x)


def loss(case, variant, x, target):
    x, target = _from(x), _from(target)
    op = getattr(F, case.sizes["op"])
    return _run(case, partial(op, x, target), None, x)


def ctc_loss(case, variant, x, targets, input_lengths, target_lengths):
    x, *given = map(_from, (x, targets, input_lengths, target_lengths))
    return _run(case, lambda: F.ctc_loss(F.log_softmax(x, -1), *given), None, x)


def linear_cross_entropy(case, variant, x, weight, labels):
    x, weight, labels = map(_from, (x, weight, labels))
    call = partial(F.linear_cross_entropy, x, weight, labels)
    return _run(case, call, None, x, weight)


def embedding(case, variant, weight, ids, dy):
    weight, ids, dy = map(_from, (weight, ids, dy))
    return _run(case, partial(F.embedding, ids, weight), dy, weight)


def embedding_bag(case, variant, weight, ids, dy):
    weight, ids, dy = map(_from, (weight, ids, dy))
    call = partial(F.embedding_bag, ids, weight, mode=case.sizes["how"])
    return _run(case, call, dy, weight)


def along_rows(case, variant, x, index, src):
    x, index, src = map(_from, (x, index, src))
    return {
        "topk": lambda: tuple(torch.topk(x, 50)),
        "sort": lambda: torch.sort(x).values,
        "cumsum": lambda: torch.cumsum(x, 1),
        "cumsum0": lambda: torch.cumsum(x, 0),
        "gather": lambda: torch.gather(x, 1, index),
        "scatter_add": lambda: torch.scatter_add(x, 1, index, src),
    }[case.sizes["op"]]


def attention(case, variant, q, k, v, dy):
    q, k, v, dy = map(_from, (q, k, v, dy))
    f = partial(F.scaled_dot_product_attention, is_causal=case.sizes["causal"])
    return _run(case, partial(f, q, k, v), dy, q, k, v)


def stft(case, variant, x, window, dy):
    x, window, dy = map(_from, (x, window, dy))
    given = {"window": window, "return_complex": True}
    spectra = partial(torch.stft, x, case.sizes["n_fft"], case.sizes["hop"], **given)
    return _run(case, lambda: torch.view_as_real(spectra()), dy, x)


def melspectrogram(case, variant, x, window, bank, dy):
    """As torchaudio writes it."""
    x, window, bank, dy = map(_from, (x, window, bank.copy(), dy))
    given = {"window": window, "return_complex": True}
    n_fft, hop = case.sizes["n_fft"], case.sizes["hop"]

    def call():
        power = torch.stft(x, n_fft, hop, **given).abs().pow(2)
        return torch.matmul(power.mT, bank).mT

    return _run(case, call, dy, x)


def roi_align(case, variant, x, rois, dy):
    """As written without torchvision: all samples by grid_sample, then their mean."""
    s, (_, _, height, width) = case.sizes, case.sizes["shape"]
    n, k = s["sampling_ratio"], len(rois)
    x, dy = _from(x), _from(dy)
    at = (torch.arange(s["out"] * n) + 0.5) / (s["out"] * n)
    corners = _from(rois)[:, 1:] * s["scale"]
    across = corners[:, :1] + (corners[:, 2:3] - corners[:, :1]) * at  # pixel + 1/2
    down = corners[:, 1:2] + (corners[:, 3:] - corners[:, 1:2]) * at
    across = (2 * across / width - 1)[:, None].expand(-1, len(at), -1)
    down = (2 * down / height - 1)[:, :, None].expand(-1, -1, len(at))
    grid = torch.stack([across, down], -1).reshape(1, k * len(at), len(at), 2)

    def call():
        y = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
        y = F.avg_pool2d(y, n)[0].unflatten(1, (k, s["out"]))
        return y.transpose(0, 1)

    return _run(case, call, dy, x)


def roi_pool(case, variant, x, rois, dy):
    """As written without torchvision: one adaptive pooling to a region."""
    s, x, dy = case.sizes, _from(x), _from(dy)
    v = _from(rois)[:, 1:] * s["scale"]
    corners = torch.floor(v + 0.5).long().tolist()

    def call():
        return torch.cat(
            [
                F.adaptive_max_pool2d(x[:, :, y1 : y2 + 1, x1 : x2 + 1], s["out"])
                for x1, y1, x2, y2 in corners
            ]
        )

    return _run(case, call, dy, x)


def _steps(optimizer, parameters, gradients):
    parameters = [torch.nn.Parameter(_from(p)) for p in parameters]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = _from(gradient)
    step = optimizer(parameters).step

    def call():
        step()
        return parameters

    return call


def sgd(case, variant, parameters, gradients):
    optimizer = partial(torch.optim.SGD, lr=0.01, momentum=0.9, fused=True)
    return _steps(optimizer, parameters, gradients)


def adam(case, variant, parameters, gradients):
    return _steps(partial(torch.optim.Adam, lr=1e-3, fused=True), parameters, gradients)


def adagrad(case, variant, parameters, gradients):
    optimizer = partial(torch.optim.Adagrad, lr=1e-3, fused=True)
    return _steps(optimizer, parameters, gradients)


def rmsprop(case, variant, parameters, gradients):
    return _steps(partial(torch.optim.RMSprop, lr=1e-3), parameters, gradients)


def linear_row(case, variant, x, weight, bias, dy):
    layer = torch.nn.Linear(10, 16)
    layer.weight.data, layer.bias.data = _from(weight), _from(bias)
    x, dy = _from(x), _from(dy)

    def call():
        layer.weight.grad = layer.bias.grad = None
        y = layer(x)
        y.backward(dy)
        return y, layer.weight.grad, layer.bias.grad

    return call


def penalty(case, variant, x, weights):
    x = _from(x).requires_grad_()
    weights = [_from(w).requires_grad_() for w in weights]

    def call():
        for w in weights:
            w.grad = None
        h = x
        for w in weights[:-1]:
            h = F.leaky_relu(F.conv2d(h, w, None, 2, 1), 0.2)
        y = F.linear(h.flatten(1), weights[-1])
        (dx,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        loss = ((dx.flatten(1).norm(dim=1) - 1) ** 2).mean()
        loss.backward(inputs=weights)
        return (loss, *(w.grad for w in weights))

    return call


def call(case, variant, x, y):
    op, x, y = case.sizes["op"], _from(x), _from(y)
    if op == "softmax":
        return partial(torch.softmax, x, 0)
    if op in ("relu", "exp"):
        return partial(getattr(torch, op), x)
    return partial(getattr(torch, op), x, y)


def _rnn(case, net, x, state, dy):
    net.load_state_dict({name: _from(value) for name, value in state.items()})
    x, dy = _from(x), _from(dy)
    if case.mode == "fwd":
        return torch.inference_mode()(lambda: net(x)[0])
    return _both(lambda: net(x)[0], dy, x, *net.parameters())


def lstm(case, variant, x, state, dy):
    _, _, inputs, hidden, layers, directions = case.sizes["shape"]
    net = torch.nn.LSTM(inputs, hidden, layers, bidirectional=directions == 2)
    return _rnn(case, net, x, state, dy)


infer_lstm = lstm


def gru(case, variant, x, state, dy):
    _, _, inputs, hidden, layers, directions = case.sizes["shape"]
    net = torch.nn.GRU(inputs, hidden, layers, bidirectional=directions == 2)
    return _rnn(case, net, x, state, dy)
