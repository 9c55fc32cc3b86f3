"""Cases of tools/h200.py of the sequence families: attention, orders, scans, tables."""

import ctypes

from h200_cases import FLOAT, INT, PTR, Case


class Heads(ctypes.Structure):
    _fields_ = [("data", PTR), *((n, INT) for n in ("batch", "head", "row"))]

    @classmethod
    def of(cls, x, heads, rows, depth):
        """Of a contiguous tensor (batch, heads, rows, depth)."""
        return cls(x.data_ptr(), heads * rows * depth, rows * depth, depth)


class Attention(ctypes.Structure):
    _fields_ = [
        *((n, INT) for n in ("batch", "heads", "kv_heads", "queries", "keys")),
        *((n, INT) for n in ("depth", "value_depth")),
        *((n, Heads) for n in ("q", "k", "v")),
        *((n, PTR) for n in ("bias", "keep")),
        *((n, INT) for n in ("mask_batch", "mask_head", "mask_row", "mask_col")),
        *(("causal", ctypes.c_bool), ("scale", FLOAT)),
        *(("drop_below", ctypes.c_uint32), ("drop_scale", FLOAT)),
        *((n, ctypes.c_uint64) for n in ("seed", "offset")),
        *(("y", Heads), ("lse", PTR)),
    ]


class AttentionGradient(ctypes.Structure):
    _fields_ = [
        ("forward", Attention),
        *((n, Heads) for n in ("dy", "dq", "dk", "dv")),
        ("dbias", PTR),
    ]


class RowSums(ctypes.Structure):
    _fields_ = [
        *((n, INT) for n in ("outer", "rows", "sources", "inner")),
        *((n, PTR) for n in ("index", "source", "scale")),
        *((n, INT) for n in ("count", "padding")),
        *(("mean", ctypes.c_bool), ("alpha", FLOAT)),
    ]


def _heads(torch, batch, heads, rows, depth):
    x = torch.randn(batch, heads, rows, depth, device="cuda")
    return x, Heads.of(x, heads, rows, depth)


def _attention(torch, batch, heads, queries, keys, depth, causal):
    (q, of_q), (y, of_y) = (_heads(torch, batch, heads, queries, depth) for _ in "qy")
    (k, of_k), (v, of_v) = (_heads(torch, batch, heads, keys, depth) for _ in "kv")
    lse = torch.empty(batch, heads, queries, device="cuda")
    a = Attention(batch, heads, heads, queries, keys, depth, depth, of_q, of_k, of_v)
    a.causal, a.scale, a.y, a.lse = causal, depth**-0.5, of_y, lse.data_ptr()
    return a, (q, k, v), (y, lse)


def attention(torch, batch, heads, queries, keys, depth, causal):
    a, (q, k, v), (y, lse) = _attention(
        torch, batch, heads, queries, keys, depth, causal
    )
    f = torch.nn.functional.scaled_dot_product_attention
    right = f(q.double(), k.double(), v.double(), is_causal=causal)
    return Case(
        "attention_forward",
        [a],
        [(y, right, 1e-5)],
        lambda: f(q, k, v, is_causal=causal),
        flops=4 * batch * heads * queries * keys * depth // (2 if causal else 1),
        keep=[q, k, v, lse],
    )


def attention_backward(torch, batch, heads, queries, keys, depth, causal):
    a, (q, k, v), (y, lse) = _attention(
        torch, batch, heads, queries, keys, depth, causal
    )
    dy, of_dy = _heads(torch, batch, heads, queries, depth)
    (dq, of_dq), (dk, of_dk), (dv, of_dv) = (
        _heads(torch, batch, heads, rows, depth) for rows in (queries, keys, keys)
    )
    leaves = [t.double().requires_grad_() for t in (q, k, v)]
    f = torch.nn.functional.scaled_dot_product_attention
    out = f(*leaves, is_causal=causal)
    right = torch.autograd.grad(out, leaves, dy.double())
    y.copy_(out.detach())
    scores = q.double() @ k.double().transpose(-1, -2) * a.scale
    if causal:
        hidden = torch.ones(queries, keys, device="cuda").triu(1).bool()
        scores = scores.masked_fill(hidden, float("-inf"))
    lse.copy_(torch.logsumexp(scores, -1))
    peers = [t.clone().requires_grad_() for t in (q, k, v)]
    peer = f(*peers, is_causal=causal)
    products = 5 * 2 * batch * heads * queries * keys * depth
    return Case(
        "attention_backward",
        [AttentionGradient(a, of_dy, of_dq, of_dk, of_dv, None)],
        [(d, right[i], 1e-4) for i, d in enumerate((dq, dk, dv))],
        lambda: torch.autograd.grad(peer, peers, dy, retain_graph=True),
        flops=products // (2 if causal else 1),
        keep=[q, k, v, y, lse, dy],
    )


def sort(torch, rows, cols):
    x = torch.randn(rows, cols, device="cuda")
    y = torch.empty_like(x)
    index = torch.empty(rows, cols, device="cuda", dtype=torch.int64)
    right = torch.sort(x.double(), stable=True)
    return Case(
        "sort",
        [x, y, index, INT(rows), INT(cols), INT(1), ctypes.c_bool(False)],
        [(y, right.values, 0.0), (index, right.indices, 0.0)],
        lambda: torch.sort(x, stable=True),
        bytes=16 * rows * cols,
    )


def topk(torch, rows, cols):
    x, k = torch.randn(rows, cols, device="cuda"), min(50, cols)
    y = torch.empty(rows, k, device="cuda")
    index = torch.empty(rows, k, device="cuda", dtype=torch.int64)
    right = torch.topk(x.double(), k)
    largest = ctypes.c_bool(True)
    return Case(
        "topk",
        [x, y, index, INT(rows), INT(cols), INT(1), INT(k), largest],
        [(y, right.values, 0.0)],
        lambda: torch.topk(x, k),
        bytes=4 * rows * cols,
    )


def cumsum(torch, rows, cols):
    x = torch.randn(rows, cols, device="cuda")
    y = torch.empty_like(x)
    return Case(
        "cumsum",
        [x, y, INT(rows), INT(cols), INT(1), ctypes.c_bool(False)],
        [(y, x.double().cumsum(1), 1e-3)],
        lambda: torch.cumsum(x, 1),
        bytes=8 * rows * cols,
    )


def embedding_gradient(torch, count, cols):
    rows = 50000
    index = torch.randint(rows, (count,), device="cuda")
    x, y = (torch.randn(n, cols, device="cuda") for n in (count, rows))
    zeros = torch.zeros(rows, cols, device="cuda")
    s = RowSums(1, rows, count, cols, index.data_ptr(), None, None, count, -1)
    s.alpha = 1.0
    return Case(
        "add_rows",
        [x, PTR(), y, s],
        [(y, zeros.double().index_add(0, index, x.double()), 1e-4)],
        lambda: zeros.index_add(0, index, x),
        bytes=4 * cols * (count + rows),
        keep=[index],
    )


LINES_SMALL = ((1, 1), (3, 5), (7, 1000), (5, 2048), (3, 2049), (2, 100003))
LINES_LARGE = ((1 << 16, 1024), (64, 1 << 20), (1, 1 << 26))
HEADS_SMALL = (
    (1, 1, 1, 1, 8, False),
    (2, 3, 70, 130, 40, False),
    (1, 2, 65, 65, 64, True),
)
HEADS_LARGE = tuple(
    (4, 16, n, n, d, c) for n, d in ((1024, 64), (4096, 128)) for c in (False, True)
)
SEQUENCE = {
    "attention": (
        attention,
        HEADS_SMALL,
        (*HEADS_LARGE, (16, 16, 1, 16384, 128, False)),
    ),
    "attention_backward": (attention_backward, HEADS_SMALL, HEADS_LARGE[:2]),
    "sort": (sort, LINES_SMALL, LINES_LARGE),
    "topk": (topk, LINES_SMALL, LINES_LARGE),
    "cumsum": (cumsum, LINES_SMALL, LINES_LARGE),
    "embedding_gradient": (
        embedding_gradient,
        ((1, 4), (1001, 33)),
        ((1 << 16, 768), (1 << 20, 64)),
    ),
}
