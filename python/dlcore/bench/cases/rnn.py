"""Recurrent layers."""

from .case import F32, Case

_GATES = {"lstm": 4, "gru": 3}
# steps, batch, inputs, hidden, layers, directions
_SHAPES = (
    ((64, 32, 256, 256, 1, 1), "a training batch: bound by multiply-adds"),
    ((128, 1, 512, 512, 1, 1), "one sequence: the weights are read at every step"),
    ((64, 32, 256, 256, 2, 2), "two layers of two directions"),
    ((16, 8, 64, 64, 1, 1), "small: hand-over and gates in equal parts"),
)


def rnns():
    for op in ("lstm", "gru"):
        for shape, why in _SHAPES:
            for mode in ("fwd", "fwd+bwd"):
                yield _rnn(op, mode, shape, why)


def _rnn(op, mode, shape, why):
    steps, batch, inputs, hidden, layers, directions = shape
    both, gates = mode != "fwd", _GATES[op]
    sums = gates * hidden * steps * batch * directions
    weights = flops = 0
    for layer in range(layers):
        width = (directions * hidden if layer else inputs) + hidden
        flops += 2.0 * sums * width
        weights += gates * hidden * directions * width
    kind = "1 layer" if layers == 1 else "2 layers, 2 directions"
    size = f"T{steps} B{batch} I{inputs} H{hidden}"
    x = steps * batch * inputs
    y = steps * batch * hidden * directions
    return Case(
        op,
        f"{op} B{batch} {mode}" if layers == 1 else f"{op} deep {mode}",
        op,
        f"{size} {kind}",
        why,
        mode,
        {"shape": shape},
        peers=("torch",) if both else ("torch", "onnxruntime"),
        flops=flops * (3 if both else 1),
        reads=F32 * (x + weights + both * (y + weights)),
        writes=F32 * (y + both * (x + weights)),
        tolerance=1e-4,
    )


def training_of_rnns():
    steps, batch, hidden, characters = 64, 32, 256, 96
    each = 4 * hidden * (characters + hidden) + hidden * characters
    yield Case(
        "train",
        "train lstm",
        "train_lstm",
        f"LSTM of characters T{steps} b{batch} H{hidden} Adam",
        "a language model: one LSTM between one-hot characters and their scores",
        "step",
        {"steps": steps, "batch": batch, "hidden": hidden, "characters": characters},
        flops=6.0 * steps * batch * each,
        tolerance=1e-3,
    )
