"""Each piece of work by onnxruntime: functions that return a call."""

import os
import struct
from functools import partial

import numpy as np
import onnxruntime

from .networks import build

_TYPES = {"float32": 1, "int64": 7, "float64": 11}


def _varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def _field(number, value):
    """A field of a protocol buffer: an int as varint, a float, bytes or text."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | 5) + struct.pack("<f", value)
    value = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _attribute(name, value):
    if isinstance(value, (list, tuple)):
        body = b"".join(_field(8, n) for n in value) + _field(20, 7)
    elif isinstance(value, str):
        body = _field(4, value) + _field(20, 3)
    elif isinstance(value, float):
        body = _field(2, value) + _field(20, 1)
    else:
        body = _field(3, value) + _field(20, 2)
    return _field(5, _field(1, name) + body)


def _described(number, name, dtype, ndim):
    dims = b"".join(_field(1, _field(2, f"{name}{i}")) for i in range(ndim))
    tensor = _field(1, _TYPES[dtype]) + _field(2, dims)
    return _field(number, _field(1, name) + _field(2, _field(1, tensor)))


def session(op, inputs, output, opset, **attributes):
    """A call of one ONNX operator on arrays like `inputs`; `output`: (dtype, ndim)."""
    names = [f"x{i}" for i in range(len(inputs))]
    graph = _node(op, names, "y", **attributes)
    described = [(n, str(x.dtype), x.ndim) for n, x in zip(names, inputs, strict=True)]
    made = _session(graph, described, ("y", *output), opset)
    return lambda *arrays: made.run(None, dict(zip(names, arrays, strict=True)))[0]


def _node(op, inputs, output, **attributes):
    output = (output,) if isinstance(output, str) else output
    names = [_field(1, n) for n in inputs] + [_field(2, n) for n in output]
    node = b"".join(names) + _field(4, op)
    return _field(1, node + b"".join(_attribute(*a) for a in attributes.items()))


def _constant(name, array):
    shape = b"".join(_field(1, n) for n in array.shape)
    kind = _field(2, _TYPES[str(array.dtype)])
    return _field(5, shape + kind + _field(8, name) + _field(9, array.tobytes()))


def _session(graph, inputs, output, opset, profile=None):
    graph += _field(2, "graph")
    for described in inputs:
        graph += _described(11, *described)
    graph += _described(12, *output)
    model = _field(1, 8) + _field(8, _field(2, opset)) + _field(7, graph)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    options.log_severity_level = 4
    if profile is not None:  # where to write its times, node by node
        options.enable_profiling, options.profile_file_prefix = True, profile
    return onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])


def softmax(case, variant, x, dy, labels):
    return partial(session("Softmax", (x,), ("float32", 2), 13, axis=1), x)


def log_softmax(case, variant, x, dy, labels):
    return partial(session("LogSoftmax", (x,), ("float32", 2), 13, axis=1), x)


def layer_norm(case, variant, x, weight, bias, dy):
    arrays = x, weight, bias
    call = session("LayerNormalization", arrays, ("float32", 2), 17, epsilon=1e-5)
    return partial(call, *arrays)


def embedding(case, variant, weight, ids, dy):
    arrays = weight, ids
    return partial(session("Gather", arrays, ("float32", 3), 13), *arrays)


def nms(case, variant, boxes, scores):
    arrays = (
        boxes[None],
        scores[None, None],
        np.array([len(boxes)]),
        np.array([case.sizes["threshold"]], np.float32),
    )
    run = session("NonMaxSuppression", arrays, ("int64", 2), 11)
    return lambda: run(*arrays)[:, 2]


def attention(case, variant, q, k, v, dy):
    arrays, causal = (q, k, v), int(case.sizes["causal"])
    run = session("Attention", arrays, ("float32", 4), 23, is_causal=causal)
    return partial(run, *arrays)


def roi_align(case, variant, x, rois, dy):
    s = case.sizes
    arrays = x, rois[:, 1:].copy(), rois[:, 0].astype(np.int64)
    call = session(
        "RoiAlign",
        arrays,
        ("float32", 4),
        16,
        output_height=s["out"],
        output_width=s["out"],
        sampling_ratio=s["sampling_ratio"],
        spatial_scale=float(s["scale"]),
        coordinate_transformation_mode="half_pixel",
    )
    return partial(call, *arrays)


def roi_pool(case, variant, x, rois, dy):
    s = case.sizes
    call = session(
        "MaxRoiPool",
        (x, rois),
        ("float32", 4),
        1,
        pooled_shape=(s["out"], s["out"]),
        spatial_scale=float(s["scale"]),
    )
    return partial(call, x, rois)


class _Graph:
    """A network of `networks.build` as nodes; arrays are the names of values."""

    def __init__(self, state):
        arrays = {k: np.asarray(v) for k, v in state.items() if "tracked" not in k}
        arrays.update({"low": np.float32(0), "high": np.float32(6)})
        self.body = b"".join(_constant(name, a) for name, a in arrays.items())
        self.state, self.values, self.channels = state, 0, 3

    def node(self, op, *inputs, many=None, **attributes):
        """The name of a value, or of `many`."""
        names = [f"y{self.values + i}" for i in range(many or 1)]
        self.values += len(names)
        if many:
            attributes["num_outputs"] = many
        self.body += _node(op, inputs, names, **attributes)
        return names if many else names[0]

    def conv(self, x, name, stride, groups):
        outside, _, *kernel = self.state[name + ".weight"].shape
        attributes = {
            "kernel_shape": kernel,
            "pads": (kernel[0] // 2,) * 4,
            "strides": (stride, stride),
            "group": self.channels if groups == "channels" else groups,
        }
        self.channels = outside
        return self.node("Conv", x, name + ".weight", **attributes)

    def norm(self, x, name):
        parts = ("weight", "bias", "running_mean", "running_var")
        names = [f"{name}.{part}" for part in parts]
        return self.node("BatchNormalization", x, *names, epsilon=1e-5)

    def linear(self, x, name):
        return self.node("Gemm", x, name + ".weight", name + ".bias", transB=1)

    def relu(self, x):
        return self.node("Relu", x)

    def relu6(self, x):
        return self.node("Clip", x, "low", "high")

    def max_pool(self, x):
        window = {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (1,) * 4}
        return self.node("MaxPool", x, **window)

    def mean(self, x):
        return self.node("Flatten", self.node("GlobalAveragePool", x), axis=1)

    def add(self, x, y):
        return self.node("Add", x, y)


def infer(case, variant, x, state):
    """The network as exported: the session folds and fuses what it can."""
    graph = _Graph(state)
    y = build(case.sizes["net"], graph, "x")
    made = _session(graph.body, [("x", "float32", 4)], (y, "float32", 2), 13)
    return lambda: made.run(None, {"x": x})[0]


def infer_encoder(case, variant, x, state):
    """As exported; products of rows have their weights the other way round."""
    width, heads = x.shape[-1], case.sizes["heads"]
    turned = {k: v.T.copy() if v.ndim > 1 else v for k, v in state.items()}
    heads_of = {"heads": np.array([0, 0, heads, width // heads])}
    scale = {
        "scale": np.float32((width // heads) ** -0.5),
        "rows": np.array([0, 0, -1]),
    }
    graph = _Graph({**turned, **heads_of, **scale})

    def linear(x, name, mark="."):
        return graph.add(
            graph.node("MatMul", x, f"{name}{mark}weight"), f"{name}{mark}bias"
        )

    def norm(x, name):
        names = f"{name}.weight", f"{name}.bias"
        return graph.node("LayerNormalization", x, *names, epsilon=1e-5)

    def split(x, perm):
        return graph.node("Transpose", graph.node("Reshape", x, "heads"), perm=perm)

    y = "x"
    for layer in range(case.sizes["layers"]):
        at = f"layers.{layer}."
        packed = linear(y, at + "self_attn.in_proj", "_")
        orders = (0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3)
        q, k, v = map(split, graph.node("Split", packed, many=3, axis=2), orders)
        scores = graph.node("Mul", graph.node("MatMul", q, k), "scale")
        h = graph.node("MatMul", graph.node("Softmax", scores, axis=3), v)
        h = graph.node("Reshape", graph.node("Transpose", h, perm=(0, 2, 1, 3)), "rows")
        y = norm(graph.add(y, linear(h, at + "self_attn.out_proj")), at + "norm1")
        h = graph.node("Gelu", linear(y, at + "linear1"))
        y = norm(graph.add(y, linear(h, at + "linear2")), at + "norm2")
    made = _session(graph.body, [("x", "float32", 3)], (y, "float32", 3), 20)
    return lambda: made.run(None, {"x": x})[0]


def _rnn(case, op, order, x, state, **attributes):
    """Layers of `op`, whose gates have another order than PyTorch's."""
    *_, hidden, layers, directions = case.sizes["shape"]
    graph = _Graph({"shape": np.array([0, 0, -1])})
    y = "x"
    for layer in range(layers):
        ends = ("", "_reverse")[:directions]

        def gates(kind, layer=layer, ends=ends):
            found = (state[f"{kind}_l{layer}{end}"] for end in ends)
            parts = [w.reshape(len(order), hidden, -1)[order] for w in found]
            return np.stack([p.reshape(len(order) * hidden, -1) for p in parts])

        biases = np.concatenate([gates("bias_ih"), gates("bias_hh")], 1)[..., 0]
        weights = {"w": gates("weight_ih"), "r": gates("weight_hh"), "b": biases}
        names = [f"{name}{layer}" for name in weights]
        for name, array in zip(names, weights.values(), strict=True):
            graph.body += _constant(name, array)
        how = "bidirectional" if directions == 2 else "forward"
        y = graph.node(op, y, *names, hidden_size=hidden, direction=how, **attributes)
        y = graph.node("Transpose", y, perm=(0, 2, 1, 3))
        y = graph.node("Reshape", y, "shape")
    made = _session(graph.body, [("x", "float32", 3)], (y, "float32", 3), 14)
    return lambda: made.run(None, {"x": x})[0]


def lstm(case, variant, x, state, dy):
    return _rnn(case, "LSTM", [0, 3, 1, 2], x, state)


infer_lstm = lstm


def gru(case, variant, x, state, dy):
    return _rnn(case, "GRU", [1, 0, 2], x, state, linear_before_reset=1)
