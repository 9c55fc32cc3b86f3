"""Gradients of gradients: every rule, ops that have none."""

import numpy as np
import pytest
from op_examples import EXAMPLES

import dlcore as dl
from dlcore import nn
from dlcore.testing import gradgradcheck


def normal(*shape):
    return np.random.default_rng(sum(shape) + 7).standard_normal(shape)


def positive(*shape):
    return np.random.default_rng(sum(shape) + 8).uniform(0.5, 2, shape)


X = normal(3, 4)
CLASSES, SCALE = np.array([1, 0, 3]), positive(4)
PLACES = np.array([[0, 0], [1, 2], [3, 3]])


def squared(f, **options):
    """Of a linear op, so that there is a second derivative to see."""
    return lambda *inputs: dl.square(f(*inputs, **options))


def along(f, *options, **named):
    return lambda x: f(x, *options, **named)


CASES = {
    **{
        name: (getattr(dl, name), X)
        for name in (
            "neg abs sign exp expm1 square erf relu relu6 leaky_relu sigmoid tanh gelu "
            "silu softmax log_softmax hardmax clone"
        ).split()
    },
    **{
        name: (getattr(dl, name), positive(3, 4))
        for name in "log log1p sqrt rsqrt reciprocal".split()
    },
    **{
        name: (getattr(dl, name), X, positive(4))
        for name in "add sub mul div maximum minimum".split()
    },
    **{
        name: (getattr(dl, name), X / 4)
        for name in (
            "sin cos tan asin acos atan sinh cosh asinh atanh exp2 floor round"
        ).split()
    },
    "acosh": (dl.acosh, positive(3, 4) + 1),
    **{name: (getattr(dl, name), positive(3, 4)) for name in ("log2", "log10")},
    **{
        name: (getattr(dl, name), X, positive(4))
        for name in "atan2 remainder fmod logaddexp".split()
    },
    "a number's remainder": (lambda x: dl.square(dl.remainder(5.0, x)), positive(3)),
    "max of axes": (along(dl.max, axis=(0, 2)), normal(2, 3, 4)),
    "min of all": (dl.min, X),
    "max of a dim": (squared(lambda x: dl.max(x, 1).values), X),
    "tril": (squared(dl.tril), X),
    "diag": (squared(dl.diag, diagonal=1), X[0]),
    "diagonal of a dim": (squared(dl.diagonal), X),
    "roll, flip": (squared(lambda x: dl.roll(dl.flip(x, 1), 1, 0)), X),
    "limits": (squared(lambda x, y: dl.clip(x, y, 0.7)), X, -positive(4)),
    "gelu tanh": (along(dl.gelu, "tanh"), X),
    "clip": (along(dl.clip, -0.5, 0.7), X),
    "pow": (dl.pow, positive(3, 4), normal(4)),
    "pow of numbers": (lambda x: x**3 + x**0 + x**2 + 2.0**x, X),
    "where": (lambda a, b: dl.square(dl.where(X > 0, a, b)), X, normal(4)),
    "masked_fill": (squared(lambda x: dl.masked_fill(x, X > 0, 3.0)), X),
    # reductions
    **{
        f"{name} {how}": (along(getattr(dl, name), dim, keepdim=keep), normal(2, 3, 4))
        for name in "sum mean var std prod amax amin logsumexp".split()
        for how, dim, keep in (
            ("of all", None, False),
            ("kept", (0, 2), True),
            ("last", -1, False),
        )
    },
    "prod with zeros": (along(dl.prod, 1), X * (np.arange(4) > 1)),
    **{f"norm {p}": (along(dl.norm, p, 1), X) for p in (1, 2, 3, np.inf)},
    "cumsum": (squared(dl.cumsum, dim=1), X),
    "sort": (squared(lambda x: dl.sort(x, 1).values), X),
    "topk": (squared(lambda x: dl.topk(x, 2).values), X),
    # products
    "matmul": (dl.matmul, X, normal(4, 2)),
    "matrix, vector": (dl.matmul, X, normal(4)),
    "vector, matrices": (dl.matmul, normal(4), normal(2, 4, 3)),
    "vector, vector": (dl.matmul, normal(4), normal(4)),
    "matmul broadcast": (dl.matmul, normal(2, 1, 3, 4), normal(3, 4, 2)),
    "addmm": (
        lambda *t: dl.addmm(*t, beta=0.5, alpha=2),
        normal(2),
        X,
        normal(4, 2),
    ),
    "einsum": (lambda a, b: dl.einsum("ij,jk->ki", a, b), X, normal(4, 2)),
    "diagonal": (squared(lambda a: dl.einsum("ii->i", a)), normal(3, 3)),
    **{
        f"linear {f}": (
            lambda x, w, b, z, f=f: dl.linear(x, w, b, f, z, 0.2),
            *(normal(2, 3), normal(4, 3), normal(4), normal(2, 4)),
        )
        for f in (None, "relu", "leaky_relu", "gelu", "gelu_tanh", "silu", "tanh")
    },
    # convolutions
    **{
        f"conv2d {f}": (
            lambda x, w, b, f=f: dl.conv2d(x, w, b, 2, 1, activation=f),
            *(normal(2, 2, 5, 4), normal(3, 2, 3, 2), normal(3)),
        )
        for f in (None, "relu", "leaky_relu", "sigmoid")
    },
    "conv2d residual": (
        lambda x, w, b, z: dl.conv2d(x, w, b, residual=z, activation="tanh"),
        *(normal(1, 2, 4, 4), normal(2, 2, 3, 3), normal(2), normal(1, 2, 2, 2)),
    ),
    "conv2d groups": (
        lambda x, w: dl.conv2d(x, w, None, dilation=2, groups=2, padding="same"),
        *(normal(1, 2, 4, 5), normal(4, 1, 3, 3)),
    ),
    "conv2d unbatched": (dl.conv2d, normal(2, 4, 5), normal(4, 2, 3, 3), normal(4)),
    "conv1d": (
        lambda *t: dl.conv1d(*t, padding=(1, 0)),
        *(normal(2, 3, 5), normal(4, 3, 2), normal(4)),
    ),
    "conv3d": (dl.conv3d, normal(1, 2, 3, 3, 3), normal(2, 2, 2, 2, 2), normal(2)),
    "conv_transpose2d": (
        lambda *t: dl.conv_transpose2d(*t, 2, 1, 1),
        *(normal(1, 2, 3, 3), normal(2, 3, 3, 3), normal(3)),
    ),
    "conv_transpose1d": (
        lambda *t: dl.conv_transpose1d(*t, stride=2),
        *(normal(1, 2, 3), normal(2, 3, 3), normal(3)),
    ),
    # attention, signals
    "additive_scores": (
        dl.additive_scores,
        normal(2, 3, 4),
        normal(2, 5, 4),
        normal(4),
    ),
    "rotary_embedding": (squared(dl.rotary_embedding, positions=3), normal(2, 3, 4)),
    "stft": (squared(dl.stft, n_fft=4, hop_length=3), normal(1, 13)),
    "istft": (squared(dl.istft, n_fft=4, hop_length=2), normal(1, 3, 5, 2)),
    "max_unpool1d": (
        squared(dl.max_unpool1d, indices=np.array([[[1, 2]]]), kernel_size=2),
        normal(1, 1, 2),
    ),
    **{
        f"attention {how}": (
            lambda *t, o=options: dl.scaled_dot_product_attention(*t, **o),
            *(normal(1, 4, 3, 2), normal(1, heads, 5, 2), normal(1, heads, 5, 3)),
            *more,
        )
        for how, heads, options, *more in (
            ("plain", 4, {"scale": 0.5}),
            ("causal", 4, {"is_causal": True}),
            ("grouped", 2, {"enable_gqa": True}),
            ("masked", 4, {"attn_mask": normal(3, 5) > 0}),
            ("with a mask that is learned", 4, {}, normal(3, 5)),
        )
    },
    # losses
    **{
        f"{name} {how}": (lambda *t, f=f, how=how: f(*t, reduction=how), X, *more)
        for name, f, *more in (
            ("mse_loss", dl.mse_loss, normal(3, 4) * 2),
            (
                "cross_entropy",
                lambda x, reduction: dl.cross_entropy(
                    x, CLASSES, SCALE, 0, reduction, 0.1
                ),
            ),
            (
                "nll_loss",
                lambda x, reduction: dl.nll_loss(x, CLASSES, SCALE, 0, reduction),
            ),
        )
        for how in ("mean", "sum", "none")
    },
    "cross_entropy": (lambda x: dl.cross_entropy(x, CLASSES), X),
    "cross_entropy of pictures": (
        lambda x: dl.cross_entropy(x, np.array([[0, 1], [2, -100]])),
        normal(2, 3, 2),
    ),
    "cross_entropy of one": (lambda x: dl.cross_entropy(x, np.array(1)), normal(3)),
    "cross_entropy of probabilities": (dl.cross_entropy, X, positive(3, 4)),
    # normalization
    "layer_norm": (lambda x, *t: dl.layer_norm(x, 4, *t), X, SCALE, normal(4)),
    "layer_norm of two axes": (
        lambda x, *t: dl.layer_norm(x, (3, 4), *t),
        *(normal(2, 3, 4), positive(3, 4), normal(3, 4)),
    ),
    "rms_norm": (lambda x, w: dl.rms_norm(x, 4, w), X, SCALE),
    "add_layer_norm": (
        lambda x, z, *t: sum(dl.add_layer_norm(x, z, 4, *t)),
        *(X, normal(3, 4) * 2, SCALE, normal(4)),
    ),
    "add_rms_norm": (
        lambda x, z, w: sum(dl.add_rms_norm(x, z, 4, w)),
        *(X, normal(3, 4) * 2, SCALE),
    ),
    "batch_norm": (
        lambda x, *t: dl.batch_norm(x, None, None, *t, training=True),
        *(normal(4, 3, 2), positive(3), normal(3)),
    ),
    "batch_norm fused": (
        lambda x, w, b, z: dl.batch_norm(
            x, None, None, w, b, True, activation="relu", residual=z
        ),
        *(normal(4, 3, 2), positive(3), normal(3), normal(4, 3, 2) * 2),
    ),
    "batch_norm running": (
        lambda x, *t: dl.batch_norm(x, np.ones(3), np.full(3, 2.0), *t),
        *(normal(4, 3, 2), positive(3), normal(3)),
    ),
    "group_norm": (
        lambda x, *t: dl.group_norm(x, 2, *t),
        *(normal(2, 4, 3), positive(4), normal(4)),
    ),
    "instance_norm": (
        lambda x, *t: dl.instance_norm(x, None, None, *t),
        *(normal(2, 3, 4), positive(3), normal(3)),
    ),
    "instance_norm running": (
        lambda x, *t: dl.instance_norm(x, np.ones(3), np.full(3, 2.0), *t, False),
        *(normal(2, 3, 4), positive(3), normal(3)),
    ),
    "local_response_norm": (
        lambda x: dl.local_response_norm(x, 3, 0.5) + dl.local_response_norm(x, 2, 0.5),
        normal(2, 5, 3),
    ),
    # shapes, indexing
    "reshape": (squared(lambda x: dl.flatten(dl.reshape(x, 2, 6))), X),
    "permute": (squared(lambda x: dl.permute(x, 2, 0, 1).mT), normal(2, 3, 2)),
    "squeeze": (squared(lambda x: dl.squeeze(dl.unsqueeze(x, 1))), X),
    "expand": (squared(lambda x: dl.expand(x, 2, 3, 4)), normal(3, 1)),
    "cat": (squared(lambda *t: dl.cat(t, 1)), X, normal(3, 2)),
    "stack": (squared(lambda *t: dl.stack(t, 1)), X, normal(3, 4) * 2),
    "split": (squared(lambda x: dl.split(x, 3, 1)[0]), X),
    "slices": (squared(lambda x: x[1:, None, ::2]), X),
    "repeated numbers": (squared(lambda x: x[np.array([0, 0, 2])]), X),
    "a mask": (squared(lambda x: x[X > 0]), X),
    "gather": (squared(lambda x: dl.gather(x, 1, PLACES)), X),
    "gather in part": (squared(lambda x: dl.gather(x, 1, PLACES[:2])), X),
    "index_select": (squared(lambda x: dl.index_select(x, 1, CLASSES)), X),
    "index_add": (
        squared(lambda x, s: dl.index_add(x, 0, CLASSES[:2], s, alpha=2)),
        *(X, normal(2, 4)),
    ),
    "scatter_add": (
        squared(lambda x, s: dl.scatter_add(x, 1, PLACES, s)),
        *(X, normal(3, 2)),
    ),
    "scatter": (
        squared(lambda x, s: dl.scatter(x, 1, PLACES[:2, :1], s)),
        *(X, normal(3, 2)),
    ),
    "embedding": (
        squared(lambda w: dl.embedding(PLACES, w, padding_idx=1)),
        normal(4, 2),
    ),
    # pictures
    **{
        f"pad {mode}": (squared(along(dl.pad, (1, 2), mode)), normal(1, 2, 4))
        for mode in ("constant", "reflect", "replicate", "circular")
    },
    "interpolate": (
        squared(dl.interpolate, size=(5, 3), mode="bilinear"),
        normal(1, 2, 3, 4),
    ),
    **{
        name: (squared(f), normal(1, 2, 5, 4))
        for name, f in {
            "avg_pool2d": along(dl.avg_pool2d, 3, 2, 1),
            "adaptive_avg_pool2d": along(dl.adaptive_avg_pool2d, 2),
            "global_avg_pool2d": dl.global_avg_pool2d,
            "max_pool2d": along(dl.max_pool2d, 3, 2, 1),
            "min_pool2d": along(dl.min_pool2d, 2),
            "adaptive_max_pool2d": along(dl.adaptive_max_pool2d, 2),
            "im2col": along(dl.im2col, 2),
        }.items()
    },
    "avg_pool1d": (squared(dl.avg_pool1d, kernel_size=2), normal(1, 2, 5)),
    "pixel_shuffle": (squared(dl.pixel_shuffle, upscale_factor=2), normal(1, 4, 2, 2)),
    "pixel_unshuffle": (
        squared(dl.pixel_unshuffle, downscale_factor=2),
        normal(1, 1, 4, 4),
    ),
    "channel_shuffle": (squared(dl.channel_shuffle, groups=2), normal(1, 4, 2)),
    "col2im": (squared(dl.col2im, output_size=(3, 3), kernel_size=2), normal(1, 8, 4)),
}


@pytest.mark.parametrize("name", CASES)
def test_second_derivatives(name):
    f, *inputs = CASES[name]
    gradgradcheck(f, *inputs)


def test_third_derivatives():
    x = dl.Tensor(np.array([0.3, -1.2]), requires_grad=True)
    y = dl.tanh(x).sum()
    for _ in range(3):
        (y,) = dl.grad(y.sum(), x, create_graph=True)
    t = np.tanh(x.data)
    want = -2 * (1 - t**2) * (1 - 3 * t**2)
    np.testing.assert_allclose(y.data, want, rtol=1e-12)


def test_second_derivative_of_dropout():
    dl.manual_seed(3)
    x = dl.Tensor(normal(50), requires_grad=True)
    y = dl.dropout(x, 0.4)
    (dx,) = dl.grad(dl.square(y).sum(), x, create_graph=True)
    (ddx,) = dl.grad(dx.sum(), x)
    np.testing.assert_allclose(ddx.data, 2 / 0.6**2 * (y.data != 0))


# Ops that have a gradient, and no second one.
WITHOUT = {
    *"embedding_bag linear_cross_entropy ctc_loss".split(),
    *"lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell".split(),
    *"rnn_relu_cell grid_sample roi_align roi_pool".split(),
    *"box_convert box_area clip_boxes_to_image box_iou".split(),
    *"generalized_box_iou distance_box_iou complete_box_iou".split(),
    *"generalized_box_iou_loss distance_box_iou_loss complete_box_iou_loss".split(),
    *"encode_boxes decode_boxes".split(),
    *"lp_pool1d lp_pool2d lp_pool3d cumprod".split(),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_op_has_a_second_derivative_or_says_that_it_has_none(name):
    example = EXAMPLES[name]
    arrays = example.arrays()
    tensors = [
        dl.Tensor(a, a.dtype.kind == "f") if isinstance(a, np.ndarray) else a
        for a in arrays
    ]
    given = example.positional(tensors)
    made = getattr(dl, name)(*example.first, *given, *example.extra, **example.options)
    while isinstance(made, (tuple, list)):
        made = made[0]
    if not isinstance(made, dl.Tensor) or not made.requires_grad:
        pytest.skip("has no gradient")
    inputs = [t for t in tensors if getattr(t, "requires_grad", False)]
    if name == "sigmoid_focal_loss":
        pytest.skip("targets above 1, which its gradient does not follow")
    if name in WITHOUT:
        with pytest.raises(NotImplementedError, match="must have a second derivative"):
            dl.grad(made.sum(), inputs, create_graph=True, allow_unused=True)
        return
    plain = dl.grad(made.sum(), inputs, retain_graph=True, allow_unused=True)
    recorded = dl.grad(made.sum(), inputs, create_graph=True, allow_unused=True)
    for dx, same in zip(plain, recorded, strict=True):
        got, want = (0.0 if g is None else g.data for g in (same, dx))
        np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-5)


def test_an_op_without_a_second_derivative_is_named():
    x = dl.Tensor(normal(1, 1, 4, 4), requires_grad=True)
    grid = dl.Tensor(normal(1, 2, 2, 2), requires_grad=True)
    y = dl.grid_sample(x * 2.0, grid)
    with pytest.raises(NotImplementedError, match="create_graph: grid_sample must"):
        dl.grad(y.sum(), x, create_graph=True)
    layer = nn.LSTM(3, 2)
    y = layer(dl.Tensor(normal(4, 1, 3).astype("f"), requires_grad=True))[0]
    with pytest.raises(NotImplementedError, match="create_graph: LSTM must have"):
        y.sum().backward(create_graph=True)


def test_second_derivative_of_self_attention():
    layer = nn.MultiheadAttention(4, 2, batch_first=True).double()
    gradgradcheck(lambda x: layer(x, x, x, need_weights=False)[0], normal(2, 3, 4))
    q = dl.Tensor(normal(1, 1, 3, 2), requires_grad=True)
    y = dl.scaled_dot_product_attention(q, q, q, dropout_p=0.5)
    with pytest.raises(NotImplementedError, match="with dropout has no second"):
        dl.grad(y.sum(), q, create_graph=True)
