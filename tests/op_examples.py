"""A valid call of every public op, for the tests that sweep over all of them."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Example:
    """How to call an op: its arrays, then what follows them."""

    inputs: tuple  # shapes of float32 arrays, or arrays
    options: dict = field(default_factory=dict)
    extra: tuple = ()  # positional, after the arrays
    packed: bool = False  # the arrays go in as one list
    first: tuple = ()  # positional, before the arrays
    form: Callable | None = None  # what else to make of them

    def positional(self, arrays):
        """The arrays as the op takes them."""
        if self.packed:
            return [list(arrays)]
        return self.form(*arrays) if self.form else arrays

    def arrays(self):
        """Fresh arrays with the same values each time."""
        rng = np.random.default_rng(7)
        return [
            one.copy()
            if isinstance(one, np.ndarray)
            else rng.uniform(0.5, 2, one).astype(np.float32)
            for one in self.inputs
        ]


def example(*inputs, **options):
    return Example(inputs, options)


def recurrent(gates, states, **options):
    """Two directions of one layer; cells take a step of one."""
    shapes = [(3, 2, 4), *[(2, 2, 5)] * states]
    for _ in range(2):
        shapes += [(gates * 5, 4), (gates * 5, 5), (gates * 5,), (gates * 5,)]
    options["bidirectional"] = True

    def form(x, *rest):
        hx, params = rest[:states], list(rest[states:])
        return x, hx if states == 2 else hx[0], params

    return Example(tuple(shapes), options, form=form)


def recurrent_cell(gates, states):
    shapes = [(2, 4), *[(2, 5)] * states]
    shapes += [(gates * 5, 4), (gates * 5, 5), (gates * 5,), (gates * 5,)]

    def form(x, *rest):
        hx = rest[:states] if states == 2 else rest[0]
        return x, hx, *rest[states:]

    return Example(tuple(shapes), form=form)


ROWS = (5, 23)
IMAGE = (2, 4, 7, 6)
VOLUME = (2, 4, 7, 6, 5)
BOXES = np.array(
    [[0, 0, 4, 3], [1, 1, 5, 4], [2, 0, 3, 6], [-1, 2, 8, 7], [4, 4, 6, 5]], np.float32
)
SCORES = np.array([0.5, 0.9, 0.25, 0.75, 0.5], np.float32)
CHANCES = np.linspace(0.125, 1, 115, dtype=np.float32).reshape(ROWS)
REGIONS = np.hstack([np.array([[0], [1], [1], [0], [1]], np.float32), BOXES])

NUMBERS = np.array([2, 0, 2])
PLACES = np.array([[0, 1], [2, 2], [0, 0], [4, 3], [1, 4]])

EXAMPLES = {
    # activation, elementwise
    **{
        name: example(ROWS)
        for name in (
            "relu relu6 leaky_relu gelu sigmoid silu tanh elu celu selu softplus mish "
            "logsigmoid softsign tanhshrink step hardsigmoid hardswish hardtanh "
            "softshrink hardshrink abs neg exp expm1 log log1p "
            "sqrt rsqrt reciprocal square sign erf isnan isinf isfinite sin cos tan "
            "asin acos atan sinh cosh asinh acosh atanh exp2 log2 log10 floor ceil "
            "trunc round logical_not"
        ).split()
    },
    **{
        name: example(ROWS, (1, 23))
        for name in (
            "add sub mul div pow maximum minimum eq ne lt le gt ge atan2 remainder "
            "fmod logaddexp logical_and logical_or logical_xor isclose allclose equal"
        ).split()
    },
    "threshold": Example((ROWS,), extra=(0.75, 1.5)),
    "prelu": example(IMAGE, (4,)),
    **{name: example(IMAGE, dim=1) for name in "glu geglu swiglu reglu".split()},
    "clamp": example(ROWS, min=0.75, max=1.5),
    "clip": example(ROWS, min=0.75, max=1.5),
    "where": Example((np.arange(23) % 2 == 0, ROWS, (1, 23))),
    "dropout": example(ROWS, p=0.25),
    "alpha_dropout": example(ROWS, p=0.25),
    "feature_alpha_dropout": example(IMAGE, p=0.25),
    "dropout1d": example((2, 4, 7), p=0.25),
    "dropout2d": example(IMAGE, p=0.25),
    "dropout3d": example(VOLUME, p=0.25),
    # products and distances of vectors
    "bilinear": example((5, 4), (5, 3), (2, 4, 3), (2,)),
    "cosine_similarity": example(ROWS, ROWS, dim=1),
    "pairwise_distance": example(ROWS, ROWS, p=1.5, eps=0.25),
    "normalize": example(ROWS, dim=1),
    # shape, indexing
    "reshape": Example((ROWS,), extra=(23, 5)),
    "flatten": example(IMAGE, start_dim=1, end_dim=-1),
    "permute": Example((IMAGE,), extra=(0, 2, 3, 1)),
    "transpose": example(ROWS, dim0=0, dim1=1),
    "squeeze": example((3, 1, 2), dim=1),
    "unsqueeze": example(ROWS, dim=1),
    "expand": Example(((3, 1),), extra=(2, -1, 4)),
    "clone": example(ROWS),
    "lerp": example(ROWS, ROWS, weight=0.25),
    "addcmul": example(ROWS, ROWS, (1, 23), value=0.5),
    "addcdiv": example(ROWS, ROWS, (1, 23), value=0.5),
    "flip": Example((ROWS,), extra=(0, 1)),
    "roll": example(ROWS, shifts=(2, -1), dims=(0, 1)),
    "movedim": example(IMAGE, source=1, destination=-1),
    "select": example(ROWS, dim=1, index=-1),
    "narrow": example(ROWS, dim=1, start=2, length=5),
    "unbind": example(ROWS, dim=0),
    "tile": Example((ROWS,), extra=(2, 1, 3)),
    "repeat_interleave": example(ROWS, repeats=2, dim=0),
    **{name: example(ROWS) for name in "tril triu diag diagonal nonzero".split()},
    **{name: example((5,), (5,)) for name in ("outer", "dot")},
    "to": example(ROWS, dtype="float64"),
    "cat": Example((ROWS, (2, 23)), {"dim": 0}, packed=True),
    "concatenate": Example((ROWS, (2, 23)), {"dim": 0}, packed=True),
    "stack": Example((ROWS, ROWS), {"dim": 1}, packed=True),
    "split": example(ROWS, split_size_or_sections=2, dim=0),
    "chunk": example(ROWS, chunks=2, dim=1),
    "pad": example(IMAGE, pad=(1, 2)),
    # gather, embedding
    "index_select": Example((ROWS,), extra=(1, NUMBERS)),
    "index_add": Example((ROWS,), extra=(1, NUMBERS, np.ones((5, 3), np.float32))),
    "gather": Example((ROWS,), extra=(1, PLACES)),
    "scatter": Example((ROWS,), extra=(1, PLACES, np.ones((5, 2), np.float32))),
    "scatter_add": Example((ROWS,), extra=(1, PLACES, np.ones((5, 2), np.float32))),
    "one_hot": Example((NUMBERS,), {"num_classes": 5}),
    "masked_fill": Example((ROWS, np.arange(23) % 2 == 0), {"value": 3.0}),
    "masked_select": Example((ROWS, np.arange(23) % 2 == 0)),
    "embedding": Example((PLACES, ROWS), {"padding_idx": 1}),
    "embedding_bag": Example((PLACES, ROWS), {"padding_idx": 1}),
    # sort, einsum
    "sort": example(ROWS, dim=1),
    "argsort": example(ROWS, dim=1, descending=True),
    "topk": Example((ROWS,), {"k": 3, "dim": 1}),
    "cumsum": example(ROWS, dim=1),
    "cumprod": example(ROWS, dim=1),
    "einsum": Example(((5, 7), (7, 4)), first=("ij,jk->ki",)),
    # reduction, softmax, loss
    **{
        name: example(ROWS, dim=1)
        for name in (
            "sum mean prod amax amin argmax argmin var std logsumexp softmax "
            "log_softmax softmin hardmax all any norm"
        ).split()
    },
    "max": example(ROWS, axis=1),
    "min": example(ROWS, axis=1),
    "cross_entropy": Example((ROWS, np.array([3, 0, 22, 7, 7]))),
    "nll_loss": Example((ROWS, np.array([3, 0, 22, 7, 7]))),
    **{
        name: example(ROWS, ROWS)
        for name in (
            "mse_loss half_mse_loss l1_loss huber_loss smooth_l1_loss msle_loss "
            "log_cosh_loss content_loss binary_cross_entropy_with_logits kl_div "
            "sigmoid_focal_loss hinge_loss hinge_embedding_loss soft_margin_loss "
            "poisson_nll_loss multilabel_soft_margin_loss pairwise_distance "
            "cosine_similarity gaussian_kl_loss gan_discriminator_loss"
        ).split()
    },
    "binary_cross_entropy": Example((CHANCES, CHANCES[::-1].copy())),
    "margin_ranking_loss": example(ROWS, ROWS, ROWS),
    "gaussian_nll_loss": example(ROWS, ROWS, ROWS),
    "multi_margin_loss": Example((ROWS, np.array([3, 0, 22, 7, 7]))),
    "multilabel_margin_loss": Example(((3, 4), np.tile([2, 0, -1, 1], (3, 1)))),
    "cosine_embedding_loss": Example((ROWS, ROWS, np.array([1, -1, 1, 1, -1]))),
    "contrastive_loss": Example((ROWS, ROWS, np.array([1, 0, 1, 1, 0]))),
    "triplet_margin_loss": example(ROWS, ROWS, ROWS),
    "triplet_margin_with_distance_loss": example(ROWS, ROWS, ROWS),
    "gram_matrix": example(IMAGE),
    "style_loss": example(IMAGE, IMAGE),
    "vae_loss": example(ROWS, ROWS, (5, 3), (5, 3)),
    "gan_generator_loss": example(ROWS),
    # ctc
    "ctc_loss": Example(
        (
            (7, 2, 5),
            np.array([[1, 1, 4], [3, 2, 0]]),
            np.array([7, 6]),
            np.array([3, 2]),
        )
    ),
    "ctc_greedy_decode": example((7, 2, 5), input_lengths=[7, 6]),
    "ctc_beam_search": example((7, 2, 5), input_lengths=[7, 6], nbest=2),
    "linear_cross_entropy": Example(((5, 7), (7, 7), np.array([3, 0, 6, 2, 2]))),
    # attention
    "scaled_dot_product_attention": example(
        (2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 6), is_causal=True
    ),
    "additive_scores": example((2, 5, 8), (2, 7, 8), (8,)),
    "cosine_scores": example((2, 5, 8), (2, 7, 8)),
    "rotary_embedding": example((2, 5, 8), positions=3),
    # signal
    "stft": example((2, 30), n_fft=8, hop_length=3),
    "istft": example((2, 5, 6, 2), n_fft=8, hop_length=3),
    # gemm
    "matmul": example((2, 5, 7), (7, 3)),
    "mm": example((5, 7), (7, 3)),
    "bmm": example((2, 5, 7), (2, 7, 3)),
    "addmm": example((5, 3), (5, 7), (7, 3)),
    "baddbmm": example((2, 5, 3), (2, 5, 7), (2, 7, 3)),
    "linear": example((5, 7), (3, 7), (3,)),
    # rnn
    "lstm": recurrent(4, 2),
    "gru": recurrent(3, 1),
    "rnn_tanh": recurrent(1, 1),
    "rnn_relu": recurrent(1, 1),
    "lstm_cell": recurrent_cell(4, 2),
    "gru_cell": recurrent_cell(3, 1),
    "rnn_tanh_cell": recurrent_cell(1, 1),
    "rnn_relu_cell": recurrent_cell(1, 1),
    # norm
    "layer_norm": example(ROWS, normalized_shape=23),
    "rms_norm": example(ROWS, normalized_shape=23),
    "add_layer_norm": example(ROWS, ROWS, normalized_shape=23),
    "add_rms_norm": example(ROWS, ROWS, normalized_shape=23),
    "batch_norm": example(IMAGE, (4,), (4,)),
    "group_norm": example(IMAGE, num_groups=2),
    "instance_norm": example(IMAGE),
    "local_response_norm": example(IMAGE, size=3),
    # conv, pool
    "conv1d": example((2, 4, 9), (6, 2, 3), (6,), stride=2, padding=(0, 1), groups=2),
    "conv3d": example((2, 4, 5, 4, 6), (6, 2, 3, 2, 3), (6,), padding=1, groups=2),
    "conv_transpose1d": example((2, 4, 5), (4, 3, 4), (6,), stride=2, groups=2),
    "conv_transpose2d": example(IMAGE, (4, 3, 3, 2), (6,), stride=2, groups=2),
    "conv_transpose3d": example((2, 4, 3, 2, 4), (4, 3, 2, 2, 3), (6,), groups=2),
    "conv2d": example(IMAGE, (6, 2, 3, 2), (6,), stride=2, padding=1, groups=2),
    "im2col": example(IMAGE, kernel_size=3, dilation=1, padding=1, stride=2),
    "unfold": example(IMAGE, kernel_size=3, dilation=1, padding=1, stride=2),
    "col2im": example(
        (2, 36, 12), output_size=(7, 6), kernel_size=3, padding=1, stride=2
    ),
    "fold": example(
        (2, 36, 12), output_size=(7, 6), kernel_size=3, padding=1, stride=2
    ),
    **{
        f"{name}{dims}d": example(
            VOLUME[: 2 + dims], kernel_size=3, stride=2, padding=1
        )
        for name in ("max_pool", "min_pool", "avg_pool")
        for dims in (1, 2, 3)
    },
    **{
        f"lp_pool{dims}d": example(
            VOLUME[: 2 + dims], norm_type=2, kernel_size=3, stride=2
        )
        for dims in (1, 2, 3)
    },
    **{
        f"{name}{dims}d": example(VOLUME[: 2 + dims], output_size=3)
        for name in ("adaptive_avg_pool", "adaptive_max_pool")
        for dims in (1, 2, 3)
    },
    **{
        f"{name}{dims}d": example(VOLUME[: 2 + dims])
        for name in ("global_avg_pool", "global_max_pool")
        for dims in (1, 2, 3)
    },
    **{
        f"max_unpool{dims}d": Example(
            (VOLUME[: 2 + dims], np.zeros(VOLUME[: 2 + dims], np.int64)),
            {"kernel_size": 2},
        )
        for dims in (1, 2, 3)
    },
    # resize, grid_sample
    "interpolate": example(IMAGE, size=(5, 9), mode="bilinear"),
    "pixel_shuffle": example(IMAGE, upscale_factor=2),
    "pixel_unshuffle": example((2, 3, 4, 6), downscale_factor=2),
    "channel_shuffle": example(IMAGE, groups=2),
    "grid_sample": example(IMAGE, (2, 5, 3, 2), padding_mode="border"),
    "affine_grid": example((2, 2, 3), size=(2, 4, 5, 3)),
    # boxes
    "box_convert": Example((BOXES,), {"in_fmt": "xyxy", "out_fmt": "cxcywh"}),
    "box_area": Example((BOXES,)),
    "clip_boxes_to_image": Example((BOXES,), {"size": (5, 7)}),
    "remove_small_boxes": Example((BOXES,), {"min_size": 2}),
    **{
        name: Example((BOXES, BOXES[1:]))
        for name in (
            "box_iou generalized_box_iou distance_box_iou complete_box_iou"
        ).split()
    },
    **{
        name: Example((BOXES, BOXES[::-1].copy()))
        for name in (
            "generalized_box_iou_loss distance_box_iou_loss complete_box_iou_loss"
        ).split()
    },
    "rpn_loss": Example(
        (SCORES, BOXES, np.array([1, 0, -1, 1, 0]), BOXES[::-1].copy())
    ),
    "fast_rcnn_loss": Example(
        ((5, 3), (5, 12), np.array([1, 0, 2, 1, 0]), BOXES[::-1].copy())
    ),
    "yolo_loss": example((2, 3, 3, 13), (2, 3, 3, 8)),
    "encode_boxes": Example((BOXES, BOXES[::-1].copy())),
    "decode_boxes": Example((0.1 * BOXES.repeat(2, 1), BOXES)),
    "grid_anchors": Example((BOXES,), {"grid_size": (2, 3), "stride": (8, 16)}),
    "nms": Example((BOXES, SCORES), {"iou_threshold": 0.25}),
    "batched_nms": Example(
        (BOXES, SCORES, np.array([0, 1, 0, 1, 0])), {"iou_threshold": 0.25}
    ),
    "soft_nms": Example((BOXES, SCORES), {"iou_threshold": 0.25}),
    "roi_align": Example((IMAGE, REGIONS), {"output_size": 2, "sampling_ratio": 2}),
    "roi_pool": Example((IMAGE, REGIONS), {"output_size": 2}),
}

# Errors may name the op by its other word.
ALIASES = {
    "cosine_scores": ["matmul", "rms_norm"],
    "box_area": ["box_convert"],
    "box_iou": ["box_convert"],
    "batched_nms": ["nms"],
    "clip": ["clamp", "where", "lt", "gt"],
    "clamp": ["clip", "where", "lt", "gt"],
    "concatenate": ["cat"],
    "fold": ["col2im"],
    "unfold": ["im2col"],
    **{
        f"{name}_pool{n}d": [f"{kernel}_pool", "abs", f"max_pool{n}d", f"min_pool{n}d"]
        for name, kernel in (
            ("max", "max"),
            ("min", "max"),
            ("avg", "avg"),
            ("lp", "lp"),
            ("adaptive_max", "adaptive_max"),
        )
        for n in (1, 2, 3)
    },
    "content_loss": ["half_mse_loss"],
    "multilabel_soft_margin_loss": ["binary_cross_entropy_with_logits"],
    "triplet_margin_with_distance_loss": ["pairwise_distance"],
    "vae_loss": ["binary_cross_entropy", "half_mse_loss"],
    "rpn_loss": ["smooth_l1_loss"],
    "fast_rcnn_loss": ["smooth_l1_loss"],
    "chunk": ["split"],
    "linear_cross_entropy": ["linear", "cross_entropy"],
    "bilinear": ["linear", "mul", "reshape"],
    "cosine_similarity": ["norm", "sum", "sum_squares", "mul", "clip"],
    "pairwise_distance": ["norm", "pow", "sum", "add", "sub"],
    "normalize": ["norm", "pow", "sum", "sum_squares", "div", "clip", "lt", "where"],
    "einsum": ["reshape"],
    **{f"dropout{n}d": ["dropout", "mul"] for n in (1, 2, 3)},
    "feature_alpha_dropout": ["alpha_dropout", "mul", "add"],
    "softmin": ["neg", "softmax"],
    "tanhshrink": ["tanh", "sub"],
    "hardmax": ["argmax"],
    "masked_fill": ["where"],
    "masked_select": ["getitem"],
    "add": ["mul"],
    "sub": ["mul"],
    "lerp": ["add", "mul", "sub"],
    "addcmul": ["add", "mul"],
    "addcdiv": ["add", "div", "mul"],
    "allclose": ["isclose"],
    "unbind": ["select"],
    **{key: ["getitem"] for key in ("select", "flip")},
    "roll": ["cat", "narrow", "reshape"],
    "repeat_interleave": ["index_select"],
    "tile": ["reshape", "expand"],
    **{key: ["where", "pad", "diagonal"] for key in ("tril", "triu", "diag")},
    "outer": ["mul"],
    "max": ["amax", "maximum", "argmax"],
    "min": ["amin", "minimum", "argmin"],
    "std": ["var"],
    "logsumexp": ["max", "amax", "sum"],
    "norm": ["pow", "sum", "sum_abs", "sum_squares", "amax"],
    **{key: ["matmul"] for key in ("mm", "bmm", "dot")},
    "amax": ["max"],
    "amin": ["min"],
}

# A giant axis is a giant list of views, or is walked by NumPy without a copy: hours.
ONE_BY_ONE = {"split", "unbind", "all", "any", "norm", "nonzero"}
