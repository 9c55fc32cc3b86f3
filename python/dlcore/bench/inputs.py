"""The arrays that every contender of a case is given: equal numbers from one seed."""

import numpy as np

from ..audio import mel_filter_bank
from . import network_inputs
from .cases.optim import resnet50_parameters


def make(case):
    """The inputs of `case` by name."""
    rng = np.random.default_rng(7)

    def normal(*shape, scale=1.0):
        return rng.standard_normal(shape, np.float32) * np.float32(scale)

    kind = "_" + case.kind
    of_kind = globals().get(kind) or getattr(network_inputs, kind)
    return of_kind(normal, rng, case.sizes)


def _gemm(normal, rng, s):
    batch = () if s["batch"] == 1 else (s["batch"],)
    a = (s["m"], s["k"]) if s["layout"][0] == "n" else (s["k"], s["m"])
    b = (s["k"], s["n"]) if s["layout"][1] == "n" else (s["n"], s["k"])
    return {"a": normal(*batch, *a), "b": normal(*batch, *b)}


_gemm_bf16 = _gemm


def _linear_gelu(normal, rng, s):
    return {
        "x": normal(s["rows"], s["inside"]),
        "weight": normal(s["outside"], s["inside"], scale=s["inside"] ** -0.5),
        "bias": normal(s["outside"]),
        "dy": normal(s["rows"], s["outside"]),
    }


_linear_int8 = _linear_gelu


def _conv2d(normal, rng, s):
    channels, size, out_channels, kernel, stride, padding = s["shape"]
    out = (size + 2 * padding - kernel) // stride + 1
    return {
        "x": normal(s["batch"], channels, size, size),
        "weight": normal(out_channels, channels, kernel, kernel, scale=0.05),
        "dy": normal(s["batch"], out_channels, out, out),
    }


def _conv(normal, rng, s):
    return {
        "x": normal(*s["x"]),
        "weight": normal(*s["weight"], scale=0.05),
        "dy": normal(*s["dy"]),
    }


def _pool(normal, rng, s):
    return {"x": normal(*s["x"]), "dy": normal(*s["y"])}


def _interpolate(normal, rng, s):
    batch, channels, *_ = s["shape"]
    return {
        "x": normal(*s["shape"]),
        "dy": normal(batch, channels, s["out"], s["out"]),
    }


def _pad(normal, rng, s):
    batch, channels, height, width = s["shape"]
    left, right, top, bottom = s["pad"]
    return {
        "x": normal(*s["shape"]),
        "dy": normal(batch, channels, top + height + bottom, left + width + right),
    }


def _grid_sample(normal, rng, s):
    batch, _, height, width = s["shape"]
    y, x = np.meshgrid(
        np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij"
    )
    turned = np.stack([0.9 * x - 0.4 * y, 0.4 * x + 0.9 * y], -1).astype(np.float32)
    return {
        "x": normal(*s["shape"]),
        "grid": np.repeat(turned[None], batch, 0),
        "dy": normal(*s["shape"]),
    }


def _unary(normal, rng, s):
    return {"x": normal(s["n"])}


def _activation(normal, rng, s):
    shape = s["shape"]
    inputs = {"dy": normal(*shape), "x": normal(*shape)}
    if s["op"] == "glu":
        inputs["dy"] = normal(*shape[:-1], shape[-1] // 2)
    if s["op"] == "prelu":
        inputs["weight"] = np.full(shape[1], 0.25, np.float32)
    return inputs


def _add(normal, rng, s):
    return {"a": normal(s["n"]), "b": normal(s["n"])}


def _add_rows(normal, rng, s):
    return {"a": normal(s["rows"], s["cols"]), "b": normal(s["cols"])}


def _sum(normal, rng, s):
    return {"x": normal(s["rows"], s["cols"])}


def _dropout(normal, rng, s):
    return {"x": np.ones(s["n"], np.float32)}


def _layer_norm(normal, rng, s):
    rows, cols = s["rows"], s["cols"]
    return {
        "x": normal(rows, cols),
        "weight": normal(cols),
        "bias": normal(cols),
        "dy": normal(rows, cols),
    }


_rms_norm = _layer_norm


def _add_layer_norm(normal, rng, s):
    return _layer_norm(normal, rng, s) | {"residual": normal(s["rows"], s["cols"])}


def _batch_norm(normal, rng, s):
    shape, channels = s["shape"], s["shape"][1]
    return {
        "x": normal(*shape),
        "weight": normal(channels),
        "bias": normal(channels),
        "dy": normal(*shape),
    }


def _batch_norm_add_relu(normal, rng, s):
    return {**_batch_norm(normal, rng, s), "residual": normal(*s["shape"])}


def _softmax(normal, rng, s):
    return {
        "x": normal(s["rows"], s["cols"]),
        "dy": normal(s["rows"], s["cols"]),
        "labels": rng.integers(0, s["cols"], s["rows"]),
    }


_log_softmax = _cross_entropy = _softmax


def _loss(normal, rng, s):
    return {"x": normal(*s["shape"]), "target": np.abs(normal(*s["shape"]))}


def _ctc_loss(normal, rng, s):
    steps, batch, classes = s["shape"]
    return {
        "x": normal(steps, batch, classes),
        "targets": rng.integers(1, classes, (batch, s["labels"])),
        "input_lengths": np.full(batch, steps),
        "target_lengths": np.full(batch, s["labels"]),
    }


def _linear_cross_entropy(normal, rng, s):
    return {
        "x": normal(s["rows"], s["inside"]),
        "weight": normal(s["cols"], s["inside"], scale=s["inside"] ** -0.5),
        "labels": rng.integers(0, s["cols"], s["rows"]),
    }


def _embedding(normal, rng, s):
    return {
        "weight": normal(s["rows"], s["dim"]),
        "ids": rng.integers(0, s["rows"], s["ids"]),
        "dy": normal(*s["ids"], s["dim"]),
    }


def _embedding_bag(normal, rng, s):
    return _embedding(normal, rng, s) | {"dy": normal(s["ids"][0], s["dim"])}


def _along_rows(normal, rng, s):
    rows, cols = s["rows"], s["cols"]
    some = rng.integers(0, cols, (rows, cols // 5))
    return {"x": normal(rows, cols), "index": some, "src": normal(*some.shape)}


def _attention(normal, rng, s):
    return {
        "q": normal(*s["q"]),
        "k": normal(*s["k"]),
        "v": normal(*s["k"]),
        "dy": normal(*s["q"]),
    }


def _stft(normal, rng, s):
    frames = s["length"] // s["hop"] + 1
    return {
        "x": normal(s["batch"], s["length"]),
        "window": np.hanning(s["n_fft"] + 1)[:-1].astype(np.float32),
        "dy": normal(s["batch"], s["n_fft"] // 2 + 1, frames, 2),
    }


def _melspectrogram(normal, rng, s):
    given = _stft(normal, rng, s)
    bank = mel_filter_bank(16000, s["n_fft"], 80)
    dy = normal(s["batch"], 80, given["dy"].shape[2])
    return {**given, "bank": bank, "dy": dy}


def _nms(normal, rng, s):
    centre = rng.uniform(0, s["side"], (s["n"], 2)).astype(np.float32)
    half = rng.uniform(5, 50, (s["n"], 2)).astype(np.float32)
    return {
        "boxes": np.hstack([centre - half, centre + half]),
        "scores": rng.permutation(s["n"]).astype(np.float32) / s["n"],
    }


def _roi_align(normal, rng, s):
    _, channels, height, width = s["shape"]
    image = np.array([width, height]) / s["scale"]
    corner = rng.uniform(0, 0.65, (s["rois"], 2)) * image  # inside the picture
    corners = np.hstack([corner, corner + rng.uniform(0.05, 0.3, corner.shape) * image])
    rois = np.hstack([np.zeros((s["rois"], 1)), np.round(corners)])
    return {
        "x": normal(*s["shape"]),
        "rois": rois.astype(np.float32),
        "dy": normal(s["rois"], channels, s["out"], s["out"]),
    }


_roi_pool = _roi_align


def _sgd(normal, rng, s):
    shapes = resnet50_parameters()
    return {
        "parameters": [normal(*shape, scale=0.1) for shape in shapes],
        "gradients": [normal(*shape, scale=0.01) for shape in shapes],
    }


_adam = _adagrad = _rmsprop = _sgd


def _linear_row(normal, rng, s):
    return {
        "x": normal(1, 10),
        "weight": normal(16, 10, scale=0.3),
        "bias": normal(16),
        "dy": normal(1, 16),
    }


def _penalty(normal, rng, s):
    weights = [normal(k, c, 4, 4, scale=0.25 * c**-0.5) for c, k, _ in s["layers"]]
    channels, size = s["layers"][-1][1:]
    inside = channels * size * size
    weights.append(normal(1, inside, scale=inside**-0.5))
    return {"x": normal(s["batch"], 3, 32, 32), "weights": weights}


def _call(normal, rng, s):
    return {"x": normal(16), "y": normal(16)}
