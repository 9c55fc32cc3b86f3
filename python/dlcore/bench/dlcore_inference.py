"""Optimized networks by dlcore, for `with_dlcore`."""

from functools import partial

import dlcore as dl

from .networks import encoder, network


def infer(case, variant, x, state):
    net = network(case.sizes["net"])
    net.load_state_dict(state)
    return partial(dl.optimize(net, x), x)


def infer_encoder(case, variant, x, state):
    net = encoder(case.sizes)
    net.load_state_dict(state)
    return partial(dl.optimize(net, x), x)


def infer_lstm(case, variant, x, state, dy):
    _, _, inputs, hidden, layers, directions = case.sizes["shape"]
    net = dl.nn.LSTM(inputs, hidden, layers, bidirectional=directions == 2)
    net.load_state_dict(state)
    fast = dl.optimize(net, x)
    return lambda: fast(x)[0]
