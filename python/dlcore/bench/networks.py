"""Networks as lists of ops, from which peers build theirs: see `build`."""

import numpy as np

from .. import models, nn, ops

OPTIONS = {  # of the function of that name in dlcore.models
    "resnet18": {},
    "resnet18 small": {"num_classes": 10, "small_images": True},
    "resnet50": {},
    "mobilenet_v2": {},
}
MULTIPLICATIONS = {  # of one picture, 32x32 where small
    "resnet18": 1_814_073_344,
    "resnet18 small": 555_422_720,
    "resnet50": 4_089_184_256,
    "mobilenet_v2": 300_774_272,
}
PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet18 small": 11_173_962,
    "resnet50": 25_557_032,
    "mobilenet_v2": 3_504_872,
}


class GPT(nn.Module):
    """A small language model of decoder blocks, normalization first."""

    layers, width, heads, length, words = 4, 256, 8, 128, 256

    def __init__(self):
        block = nn.TransformerEncoderLayer(
            self.width,
            self.heads,
            4 * self.width,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.embedding = nn.Embedding(self.words, self.width)
        self.places = nn.Parameter(np.zeros((self.length, self.width), np.float32))
        norm = nn.LayerNorm(self.width)
        self.blocks = nn.TransformerEncoder(block, self.layers, norm)
        self.head = nn.Linear(self.width, self.words, bias=False)

    def forward(self, x):
        x = ops.add(self.embedding(x), self.places)
        x = self.head(self.blocks(x, is_causal=True))
        return ops.reshape(x, -1, self.words)


def encoder(sizes):
    """Encoder layers of dlcore."""
    width, heads = sizes["shape"][-1], sizes["heads"]
    layer = nn.TransformerEncoderLayer(
        width, heads, 4 * width, activation="gelu", batch_first=True
    )
    return nn.TransformerEncoder(layer, sizes["layers"])


def network(name):
    """The one of dlcore."""
    return getattr(models, name.split()[0])(**OPTIONS[name])


def build(name, peer, x):
    """What the network makes of `x` by the methods of `peer`.

    Those are ``conv(x, name, stride, groups)``, where groups may be ``"channels"``,
    ``norm(x, name)``, ``linear(x, name)``, ``relu(x)``, ``relu6(x)``, ``max_pool(x)``,
    ``mean(x)`` and ``add(x, y)``. Names are those of the state.
    """
    kept = x
    for op, *settings in _mobilenet_v2() if name == "mobilenet_v2" else _resnet(name):
        if op == "keep":
            kept = x
        elif op == "swap":
            x, kept = kept, x
        elif op == "add":
            x = peer.add(x, kept)
        else:
            x = getattr(peer, op)(x, *settings)
    return x


def _layer(conv, norm, stride=1, groups=1, activation=None):
    yield "conv", conv, stride, groups
    yield "norm", norm
    if activation:
        yield (activation,)


def _resnet(name):
    small, deep = name.endswith("small"), name == "resnet50"
    yield from _layer("conv1", "bn1", 1 if small else 2, 1, "relu")
    if not small:
        yield ("max_pool",)
    inside = 64
    for stage, blocks in enumerate((3, 4, 6, 3) if deep else (2, 2, 2, 2)):
        width = 64 << stage
        for block in range(blocks):
            at, stride = f"layer{stage + 1}.{block}.", 2 if stage and not block else 1
            outside = 4 * width if deep else width
            yield ("keep",)
            if stride != 1 or inside != outside:
                yield from _layer(f"{at}downsample.0", f"{at}downsample.1", stride)
                yield ("swap",)
            strides = (1, stride, 1) if deep else (stride, 1)
            for i, step in enumerate(strides, 1):
                last = i == len(strides)
                yield from _layer(
                    f"{at}conv{i}", f"{at}bn{i}", step, 1, None if last else "relu"
                )
            yield ("add",)
            yield ("relu",)
            inside = outside
    yield ("mean",)
    yield "linear", "fc"


def _mobilenet_v2():
    yield from _layer("features.0.0", "features.0.1", 2, 1, "relu6")
    inside, i = 32, 1
    for ratio, outside, blocks, first in models.MobileNetV2.settings:
        for block in range(blocks):
            at, stride = f"features.{i}.conv.", 1 if block else first
            around = stride == 1 and inside == outside
            if around:
                yield ("keep",)
            j = 0
            if ratio != 1:
                yield from _layer(f"{at}0.0", f"{at}0.1", 1, 1, "relu6")
                j = 1
            yield from _layer(f"{at}{j}.0", f"{at}{j}.1", stride, "channels", "relu6")
            yield from _layer(f"{at}{j + 1}", f"{at}{j + 2}")
            if around:
                yield ("add",)
            inside, i = outside, i + 1
    yield from _layer(f"features.{i}.0", f"features.{i}.1", 1, 1, "relu6")
    yield ("mean",)
    yield "linear", "classifier.1"
