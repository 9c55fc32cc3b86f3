"""Inference of Transformers and recurrent networks, as `dlcore.optimize` makes it."""

from .case import F32, Case


def inference():
    for batch, length in ((1, 128), (1, 1)):
        layers, width = 4, 256
        rows, weights = batch * length, layers * 12 * width**2
        yield Case(
            "infer",
            f"infer encoder T{length}",
            "infer_encoder",
            f"encoder {layers} layers d{width} h8 b{batch} T{length}",
            "a Transformer: " + ("one sentence" if length > 1 else "one token"),
            sizes={"layers": layers, "shape": (batch, length, width), "heads": 8},
            peers=("torch", "onnxruntime"),
            flops=2.0 * rows * (weights + layers * 2 * length * width),
            reads=F32 * (weights + rows * width),
            writes=F32 * rows * width,
            tolerance=1e-4,
        )
    steps, inputs, hidden = 64, 128, 256
    weights = 8 * hidden * (inputs + hidden) + 8 * hidden * 3 * hidden
    yield Case(
        "infer",
        "infer lstm",
        "infer_lstm",
        f"LSTM 2 layers 2 directions T{steps} b1 I{inputs} H{hidden}",
        "a recurrent network: the weights are read at every step",
        sizes={"shape": (steps, 1, inputs, hidden, 2, 2)},
        peers=("torch", "onnxruntime"),
        flops=2.0 * steps * weights,
        reads=F32 * (weights + steps * inputs),
        writes=F32 * steps * 2 * hidden,
        tolerance=1e-4,
    )
