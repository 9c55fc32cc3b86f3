"""Mixed precision and 8 bits by PyTorch."""

import warnings

import torch

from .torch_networks import _from


def autocast(call):
    """The call under autocast, its result in float32."""
    return torch.autocast("cpu", torch.bfloat16)(lambda: call().float())


def _quantized(net, state):
    net.load_state_dict({name: _from(value) for name, value in state.items()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(net, {type(net)})


def linear_int8(case, variant, x, weight, bias, dy):
    net = torch.nn.Linear(case.sizes["inside"], case.sizes["outside"])
    net, x = _quantized(net, {"weight": weight, "bias": bias}), _from(x)
    return torch.inference_mode()(lambda: net(x))


def lstm_int8(case, variant, x, state, dy):
    _, _, inputs, hidden, layers, _ = case.sizes["shape"]
    net, x = _quantized(torch.nn.LSTM(inputs, hidden, layers), state), _from(x)
    return torch.inference_mode()(lambda: net(x)[0])
