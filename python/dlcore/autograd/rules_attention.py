"""Second derivatives of attention: once more by products and a softmax."""

import math

import numpy as np

from .. import ops
from ..tensor import raw
from .recorded import composite, rule, tensor


@rule("attend")
@composite
def _(kept, query, key, value, mask):
    return _attend(tensor(query), tensor(key), tensor(value), mask, kept.options)


@rule("self_attention")
@composite
def _(kept, qkv, mask):
    outer, heads = qkv.shape[:2], kept.heads
    width = qkv.shape[2] // 3
    thirds = ops.reshape(qkv, *outer, 3, heads, width // heads)
    parts = (ops.permute(thirds[:, :, i], *kept.order) for i in range(3))
    y = _attend(*parts, mask, kept.options)
    return ops.reshape(ops.permute(y, *np.argsort(kept.order)), *outer, width)


@rule("additive_scores")
@composite
def _(kept, query, key, weight):
    sums = ops.unsqueeze(tensor(query), -2) + ops.unsqueeze(tensor(key), -3)
    return ops.matmul(ops.tanh(sums), weight)


def _attend(q, k, v, mask, options):
    dropout, causal, scale, grouped = options
    if dropout:
        raise NotImplementedError(
            "create_graph: scaled_dot_product_attention with dropout has no second "
            "derivative"
        )
    if grouped and k.shape[-3] != q.shape[-3]:
        k, v = (_repeated(x, q.shape[-3] // x.shape[-3]) for x in (k, v))
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    scores = ops.matmul(q, ops.transpose(k, -1, -2)) * float(scale)
    if causal:
        seen = np.tri(*scores.shape[-2:], dtype=bool)
        scores = ops.where(seen, scores, -math.inf)
    if mask is not None and raw(mask).dtype == bool:
        scores = ops.where(mask, scores, -math.inf)
    elif mask is not None:
        scores = scores + mask
    return ops.matmul(ops.softmax(scores), v)


def _repeated(x, times):
    """Each head as often as queries share it."""
    *lead, heads, rows, width = x.shape
    wide = ops.expand(ops.unsqueeze(x, -3), *lead, heads, times, rows, width)
    return ops.reshape(wide, *lead, heads * times, rows, width)
