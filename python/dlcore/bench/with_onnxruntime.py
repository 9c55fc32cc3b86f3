"""Each piece of work by onnxruntime: functions that return a call."""

import os
import struct
from functools import partial

import numpy as np
import onnxruntime

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
    node = b"".join(_field(1, n) for n in names) + _field(2, "y") + _field(4, op)
    node += b"".join(_attribute(*item) for item in attributes.items())
    graph = _field(1, node) + _field(2, "graph")
    for name, x in zip(names, inputs, strict=True):
        graph += _described(11, name, str(x.dtype), x.ndim)
    graph += _described(12, "y", *output)
    model = _field(1, 8) + _field(8, _field(2, opset)) + _field(7, graph)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    options.log_severity_level = 4
    made = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    return lambda *arrays: made.run(None, dict(zip(names, arrays, strict=True)))[0]


def nms(case, variant, boxes, scores):
    arrays = (
        boxes[None],
        scores[None, None],
        np.array([len(boxes)]),
        np.array([case.sizes["threshold"]], np.float32),
    )
    run = session("NonMaxSuppression", arrays, ("int64", 2), 11)
    return lambda: run(*arrays)[:, 2]


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
