"""The arrays of cases that run or train a network; see `inputs`."""

import numpy as np

from .networks import GPT, encoder, network


def _infer(normal, rng, s):
    state = {}
    for name, value in network(s["net"]).state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[name] = value
        elif value.ndim > 1:
            state[name] = normal(*value.shape, scale=(2 / value[0].size) ** 0.5)
        elif name.endswith(("running_var", "weight")):
            state[name] = rng.uniform(0.5, 1, value.shape).astype(np.float32)
        else:
            state[name] = normal(*value.shape, scale=0.1)
    return {"x": normal(s["batch"], 3, s["size"], s["size"]), "state": state}


def _train_net(normal, rng, s):
    given = _infer(normal, rng, s)
    classes = list(given["state"].values())[-1].size
    return {**given, "labels": rng.integers(0, classes, s["batch"])}


def _state(normal, net):
    return {
        name: normal(*value.shape, scale=0.1 * value.shape[-1] ** -0.5)
        if value.ndim > 1
        else np.ones_like(value) * name.endswith("weight")
        for name, value in net.state_dict().items()
    }


def _infer_encoder(normal, rng, s):
    return {"x": normal(*s["shape"]), "state": _state(normal, encoder(s))}


def _train_gpt(normal, rng, s):
    state = _state(normal, GPT())
    words = rng.integers(0, GPT.words, (2, s["batch"], GPT.length))
    return {"x": words[0], "state": state, "labels": words[1].ravel()}


_train_gpt_bf16 = _train_gpt


def _train_lenet5(normal, rng, s):
    return {
        "x": normal(s["batch"], 1, 28, 28),
        "labels": rng.integers(0, 10, s["batch"]),
        "weights": [
            normal(*shape, scale=0.1)
            for shape in (
                (6, 1, 5, 5),
                (6,),
                (16, 6, 5, 5),
                (16,),
                (120, 400),
                (120,),
                (84, 120),
                (84,),
                (10, 84),
                (10,),
            )
        ],
    }


def _train_mlp(normal, rng, s):
    return {
        "x": normal(s["batch"], 16),
        "labels": rng.integers(0, 4, s["batch"]),
        "weights": [
            normal(*shape, scale=0.2) for shape in ((32, 16), (32,), (4, 32), (4,))
        ],
    }


def _rnn(normal, s, gates):
    steps, batch, inputs, hidden, layers, directions = s["shape"]
    state, rows = {}, gates * hidden
    for layer in range(layers):
        width = directions * hidden if layer else inputs
        for end in ("", "_reverse")[:directions]:
            name = f"_l{layer}{end}"
            state["weight_ih" + name] = normal(rows, width, scale=width**-0.5)
            state["weight_hh" + name] = normal(rows, hidden, scale=hidden**-0.5)
            state["bias_ih" + name] = normal(rows, scale=0.1)
            state["bias_hh" + name] = normal(rows, scale=0.1)
    return {
        "x": normal(steps, batch, inputs),
        "state": state,
        "dy": normal(steps, batch, directions * hidden),
    }


def _lstm(normal, rng, s):
    return _rnn(normal, s, 4)


_infer_lstm = _lstm_int8 = _lstm


def _gru(normal, rng, s):
    return _rnn(normal, s, 3)


def _train_lstm(normal, rng, s):
    rows, characters = s["steps"] * s["batch"], s["characters"]
    text = rng.integers(0, characters, rows + s["batch"])
    shape = s["steps"], s["batch"], characters, s["hidden"], 1, 1
    state = _rnn(normal, {"shape": shape}, 4)["state"]
    net = {f"0.{name}": value for name, value in state.items()}
    net["1.weight"] = normal(characters, s["hidden"], scale=s["hidden"] ** -0.5)
    net["1.bias"] = np.zeros(characters, np.float32)
    x = np.eye(characters, dtype=np.float32)[text[:rows]]
    return {
        "x": x.reshape(s["steps"], s["batch"], characters),
        "labels": text[s["batch"] :],
        "state": net,
    }
