"""Every module that PyTorch has too: how to make it, and what to call it with.

A case is the arguments of the class as text (``nn`` is either library's) and the
inputs: a shape stands for normal numbers, an array for itself, a list for an array that
needs no gradient.
"""

import numpy as np

SEQ, IMAGE, VOLUME = (2, 4, 7), (2, 4, 7, 6), (2, 4, 5, 6, 4)
ROWS, WORDS = (3, 6), np.array([[1, 0, 4], [2, 2, 3]])
POSITIVE = np.linspace(0.1, 0.9, 18).reshape(ROWS)
LABELS, SIGNS = np.array([1, 5, 2]), np.array([1.0, -1.0, 1.0])
SEVERAL = np.array([[2, 0, -1, 0, 0, 0]] * 3)
WIDE = np.sign(np.sin(np.arange(18.0))).reshape(ROWS)
STEPS = (5, 2, 4)  # steps, batch, features
MEMORY = (4, 2, 4)


def each(name, *cases):
    """The same arguments for one, two and three axes, with the inputs of each."""
    inputs = {1: SEQ, 2: IMAGE, 3: VOLUME}
    return {f"{name}{n}d": [(c, inputs[n]) for c in cases] for n in (1, 2, 3)}


CONV = (
    "4, 6, 3",
    "4, 6, 3, stride=2, padding=1, groups=2, bias=False",
    "4, 8, 2, padding='same', dilation=2, groups=4",
    "4, 2, 3, 1, 2, padding_mode='circular'",
    "4, 2, 3, 1, 2, padding_mode='reflect'",
    "4, 2, 3, 1, 2, padding_mode='replicate'",
)
CURVES = """ReLU ReLU6 LeakyReLU ELU SELU CELU Sigmoid LogSigmoid Tanh GELU SiLU Mish
    Softsign Tanhshrink Hardsigmoid Hardswish Hardtanh Softshrink Hardshrink Softplus
    Softmin Softmax LogSoftmax Identity Flatten GLU""".split()
DROPOUTS = "Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout"
DROPPED = {"Dropout1d": SEQ, "Dropout2d": IMAGE, "Dropout3d": VOLUME}
UNPOOLED = np.arange(0, 12, 2).reshape(1, 1, 6)

MODULES = {
    # activations
    **{name: [("", ROWS)] for name in CURVES},
    **{name: [("dim=0", ROWS)] for name in ("Softmin", "Softmax", "LogSoftmax", "GLU")},
    "GLU": [("", ROWS), ("1", IMAGE)],
    "Softmax": [("1", IMAGE), ("-1", ROWS)],
    "LogSoftmax": [("1", IMAGE), ("dim=-1", ROWS)],
    "Softmax2d": [("", IMAGE)],
    "LeakyReLU": [("0.3", ROWS)],
    "ELU": [("0.5", ROWS)],
    "CELU": [("0.5", ROWS)],
    "GELU": [("", ROWS), ("'tanh'", ROWS)],
    "Hardtanh": [("-0.5, 0.25", ROWS)],
    "Softplus": [("2, 1.5", ROWS)],
    "Softshrink": [("0.25", ROWS)],
    "Hardshrink": [("0.25", ROWS)],
    "Threshold": [("0.1, 3.0", ROWS)],
    "PReLU": [("", ROWS), ("4, 0.1", IMAGE)],
    **{
        name: [("0.0", DROPPED.get(name, IMAGE)), ("0.5", DROPPED.get(name, IMAGE))]
        for name in DROPOUTS.split()
    },
    # linear, shape, distance
    "Linear": [("6, 5", ROWS), ("6, 2, bias=False", (2, 3, 6)), ("6, 1", (6,))],
    "Bilinear": [("6, 4, 5", ROWS, (3, 4)), ("6, 6, 2, False", ROWS, ROWS)],
    "Flatten": [("", IMAGE), ("0, -2", IMAGE)],
    "Unflatten": [("1, (2, 3)", ROWS)],
    "CosineSimilarity": [("", ROWS, ROWS), ("0, 1e-3", ROWS, ROWS)],
    "PairwiseDistance": [("", ROWS, ROWS), ("1.0, 0.1, True", ROWS, ROWS)],
    # convolutions
    **each("Conv", *CONV),
    **each(
        "ConvTranspose",
        "4, 6, 3",
        "4, 6, 3, stride=2, padding=1, output_padding=1, groups=2, bias=False",
        "4, 2, 2, dilation=2",
    ),
    "Unfold": [("(3, 2), 1, 1, 2", IMAGE)],
    "Fold": [("(5, 6), 2, padding=1, stride=2", (2, 8, 12))],
    # pooling
    **each(
        "MaxPool", "2", "3, 2, 1, ceil_mode=True", "2, 1, 0, 2, return_indices=True"
    ),
    **each("AvgPool", "2", "3, 2, 1, True, False"),
    **each("LPPool", "3, 2"),
    **each("AdaptiveAvgPool", "3"),
    **each("AdaptiveMaxPool", "3", "2, True"),
    "MaxUnpool1d": [("2", (1, 1, 6), UNPOOLED)],
    "MaxUnpool2d": [("2", (1, 1, 1, 3), UNPOOLED[:, :, None, :3])],
    "MaxUnpool3d": [("2", (1, 1, 1, 1, 3), UNPOOLED[:, :, None, None, :3])],
    # normalization
    **each("BatchNorm", "4", "4, 1e-3, None", "4, affine=False", "4, bias=False"),
    **each(
        "InstanceNorm",
        "4",
        "4, 1e-3, 0.2, True, True",
        "4, affine=True, bias=False",
    ),
    "LayerNorm": [("6", ROWS), ("(7, 6), 1e-3", IMAGE), ("6, bias=False", ROWS)],
    "GroupNorm": [("2, 4", IMAGE), ("4, 4, bias=False", SEQ), ("1, 4, affine=0", SEQ)],
    "RMSNorm": [("6", ROWS), ("(7, 6), 1e-3", IMAGE)],
    "LocalResponseNorm": [("3", IMAGE), ("2, 0.1, 0.5, 2.0", SEQ)],
    # padding, resizing
    **each("ConstantPad", "2, 0.5", "1, -1.0"),
    **{
        f"{kind}{name}": cases
        for kind in ("Zero", "Reflection", "Replication", "Circular")
        for name, cases in each("Pad", "1", "2").items()
    },
    "PixelShuffle": [("2", IMAGE)],
    "PixelUnshuffle": [("2", (2, 3, 4, 6))],
    "ChannelShuffle": [("2", IMAGE)],
    "Upsample": [
        ("scale_factor=2", IMAGE),
        ("size=(9, 5), mode='bilinear', align_corners=True", IMAGE),
        ("scale_factor=(1.5, 2.0), mode='bicubic'", IMAGE),
        ("size=9, mode='linear'", SEQ),
        ("scale_factor=2, mode='trilinear'", VOLUME),
    ],
    "UpsamplingNearest2d": [("scale_factor=2", IMAGE)],
    "UpsamplingBilinear2d": [("(9, 5)", IMAGE)],
    # embedding
    "Embedding": [("5, 3", WORDS), ("5, 3, 0", WORDS), ("5, 3, _freeze=True", WORDS)],
    "EmbeddingBag": [
        ("5, 3", WORDS),
        ("5, 3, mode='sum', padding_idx=0", WORDS),
        ("5, 3, mode='max'", WORDS),
    ],
    # recurrent
    "RNN": [("4, 3", STEPS), ("4, 3, 2, 'relu', batch_first=True", STEPS)],
    "LSTM": [
        ("4, 3", STEPS),
        ("4, 3, 2, bidirectional=True", STEPS),
        ("4, 3, proj_size=2, bias=False", STEPS),
    ],
    "GRU": [("4, 3", STEPS), ("4, 3, 2, batch_first=True, bidirectional=True", STEPS)],
    "RNNCell": [("4, 3", (2, 4), (2, 3)), ("4, 3, nonlinearity='relu'", (2, 4))],
    "LSTMCell": [("4, 3", (2, 4)), ("4, 3, False", (2, 4))],
    "GRUCell": [("4, 3", (2, 4), (2, 3))],
    # attention
    "MultiheadAttention": [
        ("4, 2", STEPS, STEPS, STEPS),
        ("4, 2, bias=False, batch_first=True", STEPS, STEPS, STEPS),
        ("4, 2, kdim=3, vdim=6", STEPS, (4, 2, 3), (4, 2, 6)),
        ("4, 2, add_bias_kv=True, add_zero_attn=True", STEPS, STEPS, STEPS),
    ],
    "TransformerEncoderLayer": [
        ("4, 2, 8, 0.0", STEPS),
        ("4, 2, 8, 0.0, 'gelu', norm_first=True, batch_first=True", STEPS),
    ],
    "TransformerDecoderLayer": [
        ("4, 2, 8, 0.0", STEPS, MEMORY),
        ("4, 2, 8, 0.0, norm_first=True, bias=False", STEPS, MEMORY),
    ],
    "TransformerEncoder": [
        (
            "nn.TransformerEncoderLayer(4, 2, 8, 0.0), 2, nn.LayerNorm(4), "
            "enable_nested_tensor=False",
            STEPS,
        )
    ],
    "TransformerDecoder": [
        ("nn.TransformerDecoderLayer(4, 2, 8, 0.0), 2", STEPS, MEMORY)
    ],
    "Transformer": [("4, 2, 1, 2, 8, 0.0, norm_first=True", MEMORY, STEPS)],
    "Sequential": [
        ("nn.Linear(6, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 2))", ROWS)
    ],
    # losses
    **{name: [("", ROWS, ROWS)] for name in ("L1Loss", "MSELoss", "SmoothL1Loss")},
    "L1Loss": [("reduction='none'", ROWS, ROWS), ("", ROWS, ROWS)],
    "MSELoss": [("reduction='sum'", ROWS, ROWS), ("", ROWS, ROWS)],
    "SmoothL1Loss": [("beta=0.5", ROWS, ROWS), ("", ROWS, ROWS)],
    "HuberLoss": [("delta=0.5", ROWS, ROWS)],
    "BCELoss": [("", POSITIVE, POSITIVE[::-1].copy())],
    "BCEWithLogitsLoss": [("", ROWS, POSITIVE), ("reduction='sum'", ROWS, POSITIVE)],
    "KLDivLoss": [
        ("reduction='batchmean'", ROWS, POSITIVE),
        ("log_target=True, reduction='sum'", ROWS, ROWS),
    ],
    "NLLLoss": [("", ROWS, LABELS), ("ignore_index=5, reduction='sum'", ROWS, LABELS)],
    "CrossEntropyLoss": [
        ("label_smoothing=0.1", ROWS, LABELS),
        ("ignore_index=5", ROWS, LABELS),
        ("reduction='none'", IMAGE, np.arange(84).reshape(2, 7, 6) % 4),
        ("reduction='sum'", ROWS, POSITIVE),
    ],
    "PoissonNLLLoss": [("", ROWS, POSITIVE), ("False, True", POSITIVE, POSITIVE)],
    "GaussianNLLLoss": [("full=True", ROWS, ROWS, POSITIVE)],
    "HingeEmbeddingLoss": [("0.75", ROWS, WIDE)],
    "SoftMarginLoss": [("", ROWS, WIDE.tolist())],
    "MultiMarginLoss": [("2, 0.5", ROWS, LABELS)],
    "MultiLabelMarginLoss": [("", ROWS, SEVERAL)],
    "MultiLabelSoftMarginLoss": [("", ROWS, POSITIVE)],
    "MarginRankingLoss": [("0.5", ROWS, ROWS, WIDE)],
    "CosineEmbeddingLoss": [("0.1", ROWS, ROWS, SIGNS)],
    "TripletMarginLoss": [("0.5, swap=True", ROWS, ROWS, ROWS)],
    "TripletMarginWithDistanceLoss": [("margin=0.5", ROWS, ROWS, ROWS)],
    "AdaptiveLogSoftmaxWithLoss": [("6, 6, [2, 4], div_value=2.0", ROWS, LABELS)],
}
TOLERANCES = {"Hardsigmoid": 1e-7}  # PyTorch's slope of 1/6 is that of float32
# In a table of their own elsewhere, or without anything to compute.
ELSEWHERE = {
    "Module": "test_module.py",
    "CTCLoss": "test_ctc.py",  # PyTorch's gradient is that of normalized inputs
    **dict.fromkeys(
        ("ModuleList", "ModuleDict", "ParameterList", "ParameterDict"),
        "test_containers.py",
    ),
}
# Only here: which test proves them.
OWN = {
    "AdditiveAttention": "test_attention_scores.py",
    "ContrastiveLoss": "test_loss_modules.py",
    "CosineAttention": "test_attention_scores.py",
    "GEGLU": "test_gated.py",
    "GeneralAttention": "test_attention_scores.py",
    "HingeLoss": "test_loss_modules.py",
    "Lambda": "test_containers.py",
    "LogCoshLoss": "test_loss_modules.py",
    "MSLELoss": "test_loss_modules.py",
    **{f"MinPool{n}d": "test_pool_modules.py" for n in (1, 2, 3)},
    "ReGLU": "test_gated.py",
    "RoIAlign": "test_roi.py",
    "RoIPool": "test_roi.py",
    "SeparableConv2d": "test_conv_modules.py",
    "SinusoidalPositions": "test_attention_scores.py",
    "Step": "test_activation_curves.py",
    "SwiGLU": "test_gated.py",
}
# PyTorch's that are not here, and why.
LACKING = {
    "sizes found at the first call": [
        *(f"LazyBatchNorm{n}d" for n in (1, 2, 3)),
        *(f"LazyInstanceNorm{n}d" for n in (1, 2, 3)),
        *(f"LazyConv{n}d" for n in (1, 2, 3)),
        *(f"LazyConvTranspose{n}d" for n in (1, 2, 3)),
        "LazyLinear",
    ],
    "several devices": ["DataParallel", "SyncBatchNorm"],
    "old names": ["Container", "CrossMapLRN2d", "NLLLoss2d"],
    "bases": ["RNNBase", "RNNCellBase"],
    "random slopes and windows": [
        "FractionalMaxPool2d",
        "FractionalMaxPool3d",
        "RReLU",
    ],
    "a function here: linear_cross_entropy": ["LinearCrossEntropyLoss"],
}
