"""Mixed precision and 8 bits by dlcore; the variant ``dlcore-f32`` is float32."""

from functools import partial

import dlcore as dl


def under_autocast(work):
    """The same piece of work under autocast."""

    def low(case, variant, **given):
        call = work(case, variant, **given)
        return call if variant == "dlcore-f32" else dl.autocast("bfloat16")(call)

    return low


def _quantized(variant, net, state):
    net.load_state_dict(state)
    net.requires_grad_(False)
    return net if variant == "dlcore-f32" else dl.quantize_dynamic(net)


def linear_int8(case, variant, x, weight, bias, dy):
    net = dl.nn.Linear(case.sizes["inside"], case.sizes["outside"])
    return partial(_quantized(variant, net, {"weight": weight, "bias": bias}), x)


def lstm_int8(case, variant, x, state, dy):
    _, _, inputs, hidden, layers, _ = case.sizes["shape"]
    net = _quantized(variant, dl.nn.LSTM(inputs, hidden, layers), state)
    return lambda: net(x)[0]
