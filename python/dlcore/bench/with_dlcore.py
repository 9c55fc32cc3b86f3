"""Each piece of work by dlcore: functions that return a call."""

from functools import partial

import numpy as np

import dlcore as dl

from .dlcore_inference import infer, infer_encoder, infer_lstm  # noqa: F401
from .low_precision import linear_int8, lstm_int8, under_autocast  # noqa: F401
from .networks import GPT, network


def _run(case, f, dy, *inputs):
    """``f(*inputs)``; or with backward, the result and the inputs' gradients."""
    if case.mode == "fwd":
        return partial(f, *inputs)
    inputs = [dl.Tensor(x, requires_grad=True) for x in inputs]

    def call():
        for x in inputs:
            x.grad = None
        y = f(*inputs)
        y.backward(dy)
        return (y, *(x.grad for x in inputs))

    return call


def gemm(case, variant, a, b):
    if case.sizes["layout"][0] == "t":
        a = a.swapaxes(-1, -2)
    if case.sizes["layout"][1] == "t":
        b = b.swapaxes(-1, -2)
    return partial(dl.matmul, a, b)


gemm_bf16 = under_autocast(gemm)


def linear_gelu(case, variant, x, weight, bias, dy):
    return _run(case, partial(dl.linear, activation="gelu"), dy, x, weight, bias)


def conv2d(case, variant, x, weight, dy):
    stride, padding = case.sizes["shape"][4:]
    return _run(case, partial(dl.conv2d, stride=stride, padding=padding), dy, x, weight)


def conv(case, variant, x, weight, dy):
    window = case.sizes["window"]
    op = getattr(dl, case.sizes["op"])
    return _run(case, partial(op, **window), dy, x, weight)


def pool(case, variant, x, dy):
    op, args = getattr(dl, case.sizes["op"]), case.sizes["args"]
    return _run(case, lambda x: op(x, *args), dy, x)


def interpolate(case, variant, x, dy):
    s = case.sizes
    return _run(case, lambda x: dl.interpolate(x, s["out"], mode=s["how"]), dy, x)


def pad(case, variant, x, dy):
    s = case.sizes
    return _run(case, lambda x: dl.pad(x, s["pad"], s["how"]), dy, x)


def grid_sample(case, variant, x, grid, dy):
    how = case.sizes["how"]
    return _run(case, lambda x, grid: dl.grid_sample(x, grid, how), dy, x, grid)


def unary(case, variant, x):
    op = getattr(dl, case.sizes["op"])
    return (
        partial(op, x, out=np.empty_like(x)) if case.mode == "out=" else partial(op, x)
    )


def activation(case, variant, x, dy, weight=None):
    inputs = [a for a in (x, weight) if a is not None]
    return _run(case, getattr(dl, case.sizes["op"]), dy, *inputs)


def add(case, variant, a, b):
    return partial(dl.add, a, b, out=np.empty_like(a) if case.mode == "out=" else None)


def add_rows(case, variant, a, b):
    return partial(dl.add, a, b)


def sum(case, variant, x):
    return partial(dl.sum, x, axis=case.sizes["axis"])


def dropout(case, variant, x):
    return partial(dl.dropout, x, 0.5)


def layer_norm(case, variant, x, weight, bias, dy):
    return _run(
        case, lambda x, w, b: dl.layer_norm(x, x.shape[1], w, b), dy, x, weight, bias
    )


def rms_norm(case, variant, x, weight, bias, dy):
    return _run(case, lambda x, w: dl.rms_norm(x, x.shape[1], w), dy, x, weight)


def add_layer_norm(case, variant, x, weight, bias, dy, residual):
    def call(x, w, b, z):
        return dl.add_layer_norm(x, z, x.shape[1], w, b)[0]

    return _run(case, call, dy, x, weight, bias, residual)


def batch_norm(case, variant, x, weight, bias, dy):
    running = np.zeros_like(bias), np.ones_like(bias)
    return _run(
        case,
        lambda x, w, b: dl.batch_norm(x, *running, w, b, training=True),
        dy,
        x,
        weight,
        bias,
    )


def batch_norm_add_relu(case, variant, x, weight, bias, residual, dy):
    running = np.zeros_like(bias), np.ones_like(bias)

    def call(x, w, b, residual):
        end = {"activation": "relu", "residual": residual}
        return dl.batch_norm(x, *running, w, b, training=True, **end)

    return _run(case, call, dy, x, weight, bias, residual)


def softmax(case, variant, x, dy, labels):
    return _run(case, lambda x: dl.softmax(x, 1), dy, x)


def log_softmax(case, variant, x, dy, labels):
    return _run(case, lambda x: dl.log_softmax(x, 1), dy, x)


def cross_entropy(case, variant, x, dy, labels):
    return _run(case, lambda x: dl.cross_entropy(x, labels), None, x)


def loss(case, variant, x, target):
    op = getattr(dl, case.sizes["op"])
    return _run(case, lambda x: op(x, target), None, x)


def ctc_loss(case, variant, x, targets, input_lengths, target_lengths):
    given = targets, input_lengths, target_lengths
    return _run(case, lambda x: dl.ctc_loss(dl.log_softmax(x, -1), *given), None, x)


def linear_cross_entropy(case, variant, x, weight, labels):
    def call(x, w):
        return dl.linear_cross_entropy(x, w, labels)

    return _run(case, call, None, x, weight)


def embedding(case, variant, weight, ids, dy):
    return _run(case, lambda w: dl.embedding(ids, w), dy, weight)


def embedding_bag(case, variant, weight, ids, dy):
    how = case.sizes["how"]
    return _run(case, lambda w: dl.embedding_bag(ids, w, mode=how), dy, weight)


def along_rows(case, variant, x, index, src):
    return {
        "topk": lambda: tuple(dl.topk(x, 50)),
        "sort": lambda: dl.sort(x).values,
        "cumsum": lambda: dl.cumsum(x, 1),
        "cumsum0": lambda: dl.cumsum(x, 0),
        "gather": lambda: dl.gather(x, 1, index),
        "scatter_add": lambda: dl.scatter_add(x, 1, index, src),
    }[case.sizes["op"]]


def attention(case, variant, q, k, v, dy):
    causal = case.sizes["causal"]
    f = partial(dl.scaled_dot_product_attention, is_causal=causal)
    return _run(case, f, dy, q, k, v)


def stft(case, variant, x, window, dy):
    given = case.sizes["n_fft"], case.sizes["hop"], None, window
    return _run(case, lambda x: dl.stft(x, *given), dy, x)


def melspectrogram(case, variant, x, window, bank, dy):
    given = 16000, case.sizes["n_fft"], case.sizes["hop"]
    return _run(case, lambda x: dl.audio.melspectrogram(x, *given, n_mels=80), dy, x)


def nms(case, variant, boxes, scores):
    return partial(dl.nms, boxes, scores, case.sizes["threshold"])


def roi_align(case, variant, x, rois, dy):
    s = case.sizes
    args = s["out"], s["scale"], s["sampling_ratio"], True
    return _run(case, lambda x: dl.roi_align(x, rois, *args), dy, x)


def roi_pool(case, variant, x, rois, dy):
    s = case.sizes
    return _run(case, lambda x: dl.roi_pool(x, rois, s["out"], s["scale"]), dy, x)


def _steps(optimizer, parameters, gradients):
    parameters = [dl.Tensor(p, requires_grad=True) for p in parameters]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = dl.Tensor(gradient)
    step = optimizer(parameters).step

    def call():
        step()
        return parameters

    return call


def sgd(case, variant, parameters, gradients):
    return _steps(partial(dl.optim.SGD, lr=0.01, momentum=0.9), parameters, gradients)


def adam(case, variant, parameters, gradients):
    return _steps(partial(dl.optim.Adam, lr=1e-3), parameters, gradients)


def adagrad(case, variant, parameters, gradients):
    return _steps(partial(dl.optim.Adagrad, lr=1e-3), parameters, gradients)


def rmsprop(case, variant, parameters, gradients):
    return _steps(partial(dl.optim.RMSprop, lr=1e-3), parameters, gradients)


def _train(net, optimizer, x, labels, weights):
    for parameter, weight in zip(net.parameters(), weights, strict=True):
        parameter.data[...] = weight
    return _training(net, optimizer(net.parameters()), x, labels)


def _training(net, optimizer, x, labels):
    def call():
        optimizer.zero_grad()
        loss = dl.cross_entropy(net(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    return call


def train_lenet5(case, variant, x, labels, weights):
    nn = dl.nn
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
    return _train(net, partial(dl.optim.SGD, lr=0.01, momentum=0.9), x, labels, weights)


def train_mlp(case, variant, x, labels, weights):
    nn = dl.nn
    net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
    return _train(net, partial(dl.optim.Adam, lr=1e-3), x, labels, weights)


def linear_row(case, variant, x, weight, bias, dy):
    layer = dl.nn.Linear(10, 16)
    layer.weight, layer.bias = map(dl.nn.Parameter, (weight, bias))
    x = dl.Tensor(x)

    def call():
        layer.weight.grad = layer.bias.grad = None
        y = layer(x)
        y.backward(dy)
        return y, layer.weight.grad, layer.bias.grad

    return call


def penalty(case, variant, x, weights):
    x = dl.Tensor(x, requires_grad=True)
    weights = [dl.Tensor(w, requires_grad=True) for w in weights]

    def call():
        for w in weights:
            w.grad = None
        h = x
        for w in weights[:-1]:
            h = dl.leaky_relu(dl.conv2d(h, w, None, 2, 1), 0.2)
        y = dl.linear(dl.flatten(h, 1), weights[-1])
        (dx,) = dl.grad(y.sum(), x, create_graph=True)
        lengths = dl.norm(dl.flatten(dx, 1), 2, 1)
        loss = dl.square(lengths - 1.0).mean()
        loss.backward(inputs=weights)
        return (loss, *(w.grad for w in weights))

    return call


def train_net(case, variant, x, state, labels):
    net = network(case.sizes["net"])
    net.load_state_dict(state)
    optimizer = dl.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    return _training(net, optimizer, x, labels)


def train_gpt(case, variant, x, state, labels):
    net = GPT()
    net.load_state_dict(state)
    optimizer = dl.optim.Adam(net.parameters(), lr=1e-4)
    return _training(net, optimizer, x, labels)


train_gpt_bf16 = under_autocast(train_gpt)


def call(case, variant, x, y):
    op = case.sizes["op"]
    if op == "softmax":
        return partial(dl.softmax, x, 0)
    if op in ("relu", "exp"):
        return partial(getattr(dl, op), x)
    return partial(getattr(dl, op), x, y)


def _rnn(case, net, x, state, dy):
    net.load_state_dict(state)
    if case.mode == "fwd":
        net.requires_grad_(False)
        return lambda: net(x)[0]
    x = dl.Tensor(x, requires_grad=True)
    leaves = [x, *net.parameters()]

    def call():
        for leaf in leaves:
            leaf.grad = None
        y = net(x)[0]
        y.backward(dy)
        return (y, *(leaf.grad for leaf in leaves))

    return call


def lstm(case, variant, x, state, dy):
    _, _, inputs, hidden, layers, directions = case.sizes["shape"]
    net = dl.nn.LSTM(inputs, hidden, layers, bidirectional=directions == 2)
    return _rnn(case, net, x, state, dy)


def gru(case, variant, x, state, dy):
    _, _, inputs, hidden, layers, directions = case.sizes["shape"]
    net = dl.nn.GRU(inputs, hidden, layers, bidirectional=directions == 2)
    return _rnn(case, net, x, state, dy)


def train_lstm(case, variant, x, labels, state):
    s = case.sizes
    first = dl.nn.LSTM(s["characters"], s["hidden"])
    layers = dl.nn.ModuleList([first, dl.nn.Linear(s["hidden"], s["characters"])])
    layers.load_state_dict(state)
    optimizer = dl.optim.Adam(layers.parameters(), lr=1e-3)

    def net(x):
        return layers[1](layers[0](x)[0]).reshape(-1, s["characters"])

    return _training(net, optimizer, x, labels)
