"""The public functions: arrays in, arrays out; Tensors in, Tensors out."""

# ruff: noqa: F401
from .activation import gelu, leaky_relu, relu, relu6, sigmoid, silu, tanh
from .activation_hard import (
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    softshrink,
    step,
    threshold,
)
from .activation_soft import (
    celu,
    elu,
    logsigmoid,
    mish,
    selu,
    softplus,
    softsign,
    tanhshrink,
)
from .arithmetic import (
    add,
    addcdiv,
    addcmul,
    div,
    lerp,
    maximum,
    minimum,
    mul,
    pow,
    sub,
)
from .attention import scaled_dot_product_attention
from .attention_scores import additive_scores, cosine_scores, rotary_embedding
from .bilinear import bilinear
from .box_coding import decode_boxes, encode_boxes, grid_anchors
from .box_iou import (
    box_iou,
    complete_box_iou,
    complete_box_iou_loss,
    distance_box_iou,
    distance_box_iou_loss,
    generalized_box_iou,
    generalized_box_iou_loss,
)
from .boxes import box_area, box_convert, clip_boxes_to_image, remove_small_boxes
from .by_numpy import (
    acos,
    acosh,
    allclose,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    ceil,
    cos,
    cosh,
    equal,
    exp2,
    floor,
    fmod,
    isclose,
    log2,
    log10,
    logaddexp,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    remainder,
    round,
    sin,
    sinh,
    tan,
    trunc,
)
from .compare import eq, ge, gt, isfinite, isinf, isnan, le, lt, ne, where
from .conv import conv1d, conv2d, conv3d
from .conv_transpose import conv_transpose1d, conv_transpose2d, conv_transpose3d
from .ctc import ctc_beam_search, ctc_greedy_decode, ctc_loss
from .distance import cosine_similarity, normalize, pairwise_distance
from .dropout import (
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    feature_alpha_dropout,
)
from .einsum import einsum
from .elementwise import (
    abs,
    clamp,
    clip,
    erf,
    exp,
    expm1,
    log,
    log1p,
    neg,
    reciprocal,
    rsqrt,
    sign,
    sqrt,
    square,
)
from .embedding import embedding, embedding_bag
from .extreme import all, amax, amin, any, argmax, argmin, max, min
from .gated import geglu, glu, prelu, reglu, swiglu
from .gather import gather, index_add, index_select, one_hot, scatter, scatter_add
from .gemm import addmm, baddbmm, bmm, linear, matmul, mm
from .grid_sample import affine_grid, grid_sample
from .im2col import col2im, fold, im2col, unfold
from .indexing import cat, chunk, concatenate, split, stack
from .linear_loss import linear_cross_entropy
from .loss import cross_entropy, nll_loss
from .loss_binary import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    multilabel_soft_margin_loss,
    sigmoid_focal_loss,
)
from .loss_detection import fast_rcnn_loss, rpn_loss, yolo_loss
from .loss_embedding import (
    contrastive_loss,
    cosine_embedding_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from .loss_generative import (
    content_loss,
    gan_discriminator_loss,
    gan_generator_loss,
    gaussian_kl_loss,
    gram_matrix,
    style_loss,
    vae_loss,
)
from .loss_likelihood import gaussian_nll_loss, kl_div, poisson_nll_loss
from .loss_margin import (
    hinge_embedding_loss,
    hinge_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    soft_margin_loss,
)
from .loss_regression import (
    half_mse_loss,
    huber_loss,
    l1_loss,
    log_cosh_loss,
    mse_loss,
    msle_loss,
    smooth_l1_loss,
)
from .masked import masked_fill, masked_select
from .nms import batched_nms, nms, soft_nms
from .norm import (
    add_layer_norm,
    add_rms_norm,
    batch_norm,
    group_norm,
    layer_norm,
    rms_norm,
)
from .norm_channels import instance_norm, local_response_norm
from .pad import pad
from .pool import (
    max_pool1d,
    max_pool2d,
    max_pool3d,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
    min_pool1d,
    min_pool2d,
    min_pool3d,
)
from .pool_adaptive import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    global_avg_pool1d,
    global_avg_pool2d,
    global_avg_pool3d,
    global_max_pool1d,
    global_max_pool2d,
    global_max_pool3d,
)
from .pool_average import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
)
from .rearrange import (
    diag,
    diagonal,
    dot,
    flip,
    movedim,
    narrow,
    nonzero,
    outer,
    repeat_interleave,
    roll,
    select,
    tile,
    tril,
    triu,
    unbind,
)
from .reduction import logsumexp, mean, norm, prod, std, sum, var
from .resize import interpolate
from .rnn import (
    gru,
    gru_cell,
    lstm,
    lstm_cell,
    rnn_relu,
    rnn_relu_cell,
    rnn_tanh,
    rnn_tanh_cell,
)
from .roi import roi_align, roi_pool
from .shape import (
    clone,
    expand,
    flatten,
    permute,
    reshape,
    squeeze,
    to,
    transpose,
    unsqueeze,
)
from .shuffle import channel_shuffle, pixel_shuffle, pixel_unshuffle
from .signal import istft, stft
from .softmax import hardmax, log_softmax, softmax, softmin
from .sort import argsort, cumprod, cumsum, sort, topk

from . import in_place, methods, views  # isort: skip

__all__ = [name for name, value in globals().items() if callable(value)]
