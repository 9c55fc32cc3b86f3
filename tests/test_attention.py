import numpy as np
import pytest
import reference_attention as reference

import dlcore as dl
from dlcore import _C
from dlcore.testing import assert_close, gradcheck

# (batch, heads, kv_heads, queries, keys, depth, value_depth)
SIZES = [
    (2, 3, 3, 33, 49, 16, 16),
    (1, 2, 2, 5, 300, 64, 64),  # decoding: few queries
    (1, 6, 2, 2, 17, 24, 9),  # and their heads together
    (1, 4, 2, 130, 121, 33, 20),
    (2, 1, 1, 40, 3, 5, 70),
    (1, 1, 1, 1, 1, 1, 1),
    (1, 2, 2, 260, 520, 8, 8),  # more than one block of each
]
MASKS = ["none", "causal", "padding", "bool", "add"]


def inputs(rng, sizes, dtype):
    b, h, kv, n, m, e, ev = sizes
    shapes = (b, h, n, e), (b, kv, m, e), (b, kv, m, ev), (b, h, n, ev)
    return [rng.standard_normal(s).astype(dtype) for s in shapes]


def masked(rng, kind, sizes, dtype):
    """The options of a kind of mask."""
    b, h, _, n, m, _, _ = sizes
    if kind == "causal":
        return {"is_causal": True}
    if kind == "padding":
        return {"attn_mask": rng.random((b, 1, 1, m)) < 0.7}
    if kind == "bool":
        return {"attn_mask": rng.random((b, 1, n, m)) < 0.7}
    if kind == "add":
        return {"attn_mask": rng.standard_normal((h, n, m)).astype(dtype)}
    return {}


def run(q, k, v, dy, **options):
    """The result and all gradients."""
    tensors = [dl.Tensor(x, requires_grad=True) for x in (q, k, v)]
    mask = options.pop("attn_mask", None)
    if mask is not None and mask.dtype != bool:
        mask = dl.Tensor(mask, requires_grad=True)
    gqa = q.shape[:-2] != k.shape[:-2]
    y = dl.scaled_dot_product_attention(*tensors, mask, enable_gqa=gqa, **options)
    y.backward(dy)
    grads = [t.grad.data for t in tensors]
    if isinstance(mask, dl.Tensor):
        grads.append(mask.grad.data)
    return [y.data, *grads]


def close(got, want, ulp=100):
    """Within some roundings of the largest values: sums of terms of about 1."""
    assert got.dtype.kind == "f"
    assert_close(got, want, ulp=ulp, scale=max(1, np.abs(want).max(initial=0)))


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_against_the_reference(isa, dtype, rng, sizes, kind):
    q, k, v, dy = inputs(rng, sizes, dtype)
    options = masked(rng, kind, sizes, dtype)
    y, *grads = run(q, k, v, dy, **options)
    assert y.dtype == dtype
    close(y, reference.attention(q, k, v, **options))
    want = list(reference.gradients(q, k, v, dy, **options))
    want[3] = want[3].sum(0)
    for got, right in zip(grads, want, strict=False):
        close(got, right)


def test_scale(isa, dtype, rng):
    q, k, v, dy = inputs(rng, SIZES[0], dtype)
    for scale in (0.5, -0.3, 0.0, 3):
        y, dq, dk, dv = run(q, k, v, dy, scale=scale)
        close(y, reference.attention(q, k, v, scale=scale))
        want = reference.gradients(q, k, v, dy, scale=scale)
        for got, right in zip((dq, dk, dv), want, strict=False):
            close(got, right)


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize(
    "sizes", [SIZES[0], SIZES[2], SIZES[3], (2, 3, 3, 200, 200, 64, 64)]
)
def test_against_torch(torch, rng, dtype, sizes, kind):
    arrays = inputs(rng, sizes, dtype)
    options = masked(rng, kind, sizes, dtype)
    mine = run(*arrays, **options)

    def theirs(cast):
        q, k, v = (cast(a).requires_grad_() for a in arrays[:3])
        mask = options.get("attn_mask")
        if mask is not None:
            mask = torch.tensor(mask) if mask.dtype == bool else cast(mask)
        y = torch.nn.functional.scaled_dot_product_attention(
            q, k, v, mask, 0.0, options.get("is_causal", False), enable_gqa=True
        )
        y.backward(cast(arrays[3]))
        return [t.detach().numpy() for t in (y, q.grad, k.grad, v.grad)]

    peer = theirs(lambda a: torch.tensor(a))
    exact = theirs(lambda a: torch.tensor(a, dtype=torch.float64))
    for got, other, right in zip(mine[:4], peer, exact, strict=True):
        units = 8 if dtype == "float32" else 32  # of which the exact ones have some too
        slack = units * np.finfo(dtype).eps * max(1, np.abs(right).max())
        assert np.abs(got - right).max() <= 2 * np.abs(other - right).max() + slack


@pytest.mark.parametrize("kind", MASKS)
def test_gradcheck(isa, rng, kind):
    sizes = (1, 2, 1, 9, 7, 3, 4)
    q, k, v, _ = inputs(rng, sizes, "f8")
    options = masked(rng, kind, sizes, "f8")
    mask = options.pop("attn_mask", None)
    f = dl.scaled_dot_product_attention
    if kind == "add":
        gradcheck(lambda *a: f(*a, enable_gqa=True), q, k, v, mask)
    else:
        gradcheck(lambda *a: f(*a, mask, enable_gqa=True, **options), q, k, v)


@pytest.mark.parametrize("queries", [3, 40])
def test_a_query_that_sees_nothing(isa, dtype, rng, queries, request):
    """Zeros and no gradient, as PyTorch."""
    sizes = (1, 2, 2, queries, 50, 8, 8)
    q, k, v, dy = inputs(rng, sizes, dtype)
    keep = rng.random((1, 1, queries, 50)) < 0.6
    keep[..., 1, :] = False
    for mask in (keep, np.where(keep, 0, -np.inf).astype(dtype)):
        y, dq, dk, dv, *_ = run(q, k, v, dy, attn_mask=mask)
        assert (y[..., 1, :] == 0).all()
        assert (dq[..., 1, :] == 0).all()
        for got, want in zip(
            (dq, dk, dv), reference.gradients(q, k, v, dy, keep), strict=False
        ):
            close(got, want)


def test_all_masked_is_zero_in_torch_too(torch):
    q = torch.ones(1, 1, 3, 4)
    mask = torch.zeros(3, 3, dtype=torch.bool)
    y = torch.nn.functional.scaled_dot_product_attention(q, q, q, mask)
    assert (y == 0).all()


@pytest.mark.parametrize("queries", [4, 20])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_special_values(isa, dtype, rng, queries, value):
    q, k, v, dy = inputs(rng, (1, 1, 1, queries, 30, 8, 8), dtype)
    q[0, 0, 2, 3] = value
    q[0, 0, 2, 4:] = 0
    k[..., 3] = np.abs(k[..., 3]) + 0.1
    y, dq, dk, _ = run(q, k, v, dy)
    rows = np.arange(queries) != 2
    assert np.isnan(y[0, 0, 2]).all()
    close(y[:, :, rows], reference.attention(q[:, :, rows], k, v))
    assert np.isnan(dq[0, 0, 2]).all()
    assert np.isnan(dk).all()
    assert np.isfinite(dq[0, 0, rows]).all()


def test_large_scores(isa, dtype, rng):
    """The sums do not overflow, whatever the scores' size."""
    q, k, v, dy = inputs(rng, (1, 1, 1, 20, 300, 8, 8), dtype)
    q *= 300
    y, dq, dk, dv = run(q, k, v, dy)
    want = reference.attention(q, k, v)
    np.testing.assert_allclose(y, want, atol=1e-2 if dtype == "float32" else 1e-10)
    assert all(np.isfinite(d).all() for d in (dq, dk, dv))


@pytest.mark.parametrize(
    "shapes",
    [
        [(2, 0, 4), (2, 3, 4), (2, 3, 5)],
        [(2, 3, 4), (2, 0, 4), (2, 0, 5)],
        [(0, 3, 4), (0, 2, 4), (0, 2, 5)],
        [(2, 3, 4), (2, 2, 4), (2, 2, 0)],
        [(2, 3, 0), (2, 2, 0), (2, 2, 5)],
        [(40, 4), (0, 4), (0, 5)],
    ],
)
def test_empty(isa, dtype, shapes):
    q, k, v = (np.ones(s, dtype) for s in shapes)
    dy = np.ones((*shapes[0][:-1], shapes[2][-1]), dtype)
    y, dq, dk, dv = run(q, k, v, dy)
    assert y.shape == dy.shape
    assert [d.shape for d in (dq, dk, dv)] == shapes
    assert (y == (1 if k.shape[-2] else 0)).all()
    assert (dq == 0).all()


def test_any_leading_axes(rng, dtype):
    f = dl.scaled_dot_product_attention
    q = rng.standard_normal((2, 3, 2, 5, 4)).astype(dtype)
    k = rng.standard_normal((3, 1, 6, 4)).astype(dtype)
    mask = rng.random((2, 1, 1, 5, 6)) < 0.7
    got = f(q, k, k, mask)
    assert got.shape == q.shape
    for i in range(2):
        for j in range(3):
            want = reference.attention(
                q[i, j], np.repeat(k[j], 2, 0), np.repeat(k[j], 2, 0), mask[i, 0]
            )
            close(got[i, j], want)
    close(
        f(q[0, 0, 0], k[0, 0], k[0, 0]),
        reference.attention(q[0, 0, 0], k[0, 0], k[0, 0]),
    )
    np.testing.assert_array_equal(
        f(q, np.repeat(k, 2, 1), np.repeat(k, 2, 1), mask), got
    )
    close(f(q, k, k, mask, enable_gqa=True), got)
    few = rng.standard_normal((2, 1, 5, 4))
    wide = rng.standard_normal((1, 3, 5, 4))
    gradcheck(lambda *a: f(*a), few, wide, wide)


def heads_inside(x):
    """The same values with rows outside of heads in memory."""
    return np.ascontiguousarray(x.swapaxes(1, 2)).swapaxes(1, 2)


@pytest.mark.parametrize("sizes", [SIZES[0], SIZES[1]])
def test_layouts(isa, dtype, rng, sizes):
    arrays = inputs(rng, sizes, dtype)
    want = run(*arrays)
    other = [heads_inside(a) for a in arrays]
    for got, right in zip(run(*other), want, strict=True):
        np.testing.assert_array_equal(got, right)
    y = dl.scaled_dot_product_attention(*other[:3])
    assert y.swapaxes(1, 2).flags.c_contiguous, "laid out as query"
    mask = rng.random((sizes[3], sizes[4])) < 0.7
    want = dl.scaled_dot_product_attention(*arrays[:3], mask)
    same = dl.scaled_dot_product_attention(*arrays[:3], np.asfortranarray(mask))
    np.testing.assert_array_equal(same, want)


def test_dropout(isa, dtype, rng):
    """Each weight is dropped or scaled, the same in backward; the stream of any isa."""
    sizes = (2, 2, 2, 37, 126, 8, 126)
    q, k, _, dy = inputs(rng, sizes, dtype)
    v = np.broadcast_to(np.eye(126, dtype=dtype), (2, 2, 126, 126))
    drop, seen = 0.25, []
    weights = reference.weights(q, k)
    dl.manual_seed(3)
    y, dq, dk, dv = run(q, k, v, dy, dropout_p=drop)
    ratio = y / weights
    dropped = y == 0
    np.testing.assert_allclose(ratio[~dropped], 1 / (1 - drop), rtol=1e-4)
    assert abs(dropped.mean() - drop) < 0.02
    seen = np.where(dropped, 0, 1 / (1 - drop))
    p_dy = weights * dy * seen
    ds = p_dy - weights * p_dy.sum(-1, keepdims=True)
    scale = 8**-0.5
    close(dq, scale * ds @ k)
    close(dk, scale * ds.swapaxes(-1, -2) @ q)
    close(dv, (weights * seen).swapaxes(-1, -2) @ dy)
    few = run(q[:, :, :3], k, v, dy[:, :, :3], dropout_p=drop)[0]
    assert (few == 0).any()
    words = np.packbits(dropped).tobytes()
    assert DROPPED.setdefault("mask", words) == words
    assert not np.array_equal(run(q, k, v, dy, dropout_p=drop)[0], y)


DROPPED: dict = {}  # by the first instruction set and dtype


def test_dropout_of_all(dtype, rng):
    q, k, v, dy = inputs(rng, SIZES[0], dtype)
    for result in run(q, k, v, dy, dropout_p=1.0):
        assert (result == 0).all()


@pytest.mark.parametrize("kind", ["none", "causal", "bool"])
@pytest.mark.parametrize(
    "sizes", [(1, 2, 1, 300, 900, 16, 16), (2, 4, 2, 2, 1100, 16, 16)]
)
def test_same_bits_for_any_threads(threads, rng, sizes, kind):
    arrays = inputs(rng, sizes, "f4")
    options = masked(rng, kind, sizes, "f4")
    results = []
    for count in (1, 2, 3):
        threads(count)
        dl.manual_seed(1)
        results.append(run(*arrays, **options))
        results[-1] += run(*arrays, dropout_p=0.1, **options)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_memory_is_linear():
    """No matrix of scores: what is taken from the cache of memory stays small."""
    x = np.ones((1, 1, 16384, 64), np.float32)
    dl.empty_cache()
    y = dl.scaled_dot_product_attention(x, x, x, is_causal=True)
    assert _C.cached_bytes() < 32 << 20
    del y


q4, k4 = np.ones((2, 3, 5, 8), "f4"), np.ones((2, 3, 7, 8), "f4")
BAD = [
    (
        (q4, k4, k4[..., :6, :]),
        ValueError,
        "value must have key's rows, 7, got value.shape",
    ),
    (
        (q4, k4[..., :6], k4),
        ValueError,
        "key must have query's last axis, 8, got key.shape",
    ),
    ((q4, k4[:, :2], k4[:, :2]), ValueError, "must broadcast before their rows"),
    ((q4, k4.astype("f8"), k4), TypeError, "query and key must have one dtype"),
    (
        (q4.astype("i4"), k4, k4),
        TypeError,
        "query must be float32 or float64, got int32",
    ),
    ((q4, k4, [1.0]), TypeError, "value must be a NumPy array or a Tensor, got list"),
    ((np.ones(8, "f4"), k4, k4), ValueError, "query must have at least 2 axes"),
    ((q4, k4, k4, np.ones((5, 6), bool)), ValueError, "attn_mask must broadcast to"),
    (
        (q4, k4, k4, np.ones((5, 7))),
        TypeError,
        "query and attn_mask must have one dtype",
    ),
    (
        (q4, k4, k4, np.ones((5, 7), int)),
        TypeError,
        "attn_mask must be float32 or float64",
    ),
    ((q4, k4, k4, np.ones((1, 2, 3, 5, 7), bool)), ValueError, "must broadcast to"),
    ((q4, k4, k4, None, 1.5), ValueError, "dropout_p must be from 0 to 1, got 1.5"),
    ((q4, k4, k4, None, np.nan), ValueError, "dropout_p must be from 0 to 1, got"),
    ((q4, k4, k4, None, 0, False, "x"), TypeError, "scale must be a real number"),
    (
        (q4, k4, k4, np.ones((5, 7), bool), 0, True),
        ValueError,
        "attn_mask must be None where is_causal is set",
    ),
    (
        (q4, k4[:, :2], k4[:, :2], None, 0, False, None, True),
        ValueError,
        "key must have heads that divide query's",
    ),
    (
        (q4, k4[:, :1], k4, None, 0, False, None, True),
        ValueError,
        "value must have key's heads, 1",
    ),
]


@pytest.mark.parametrize("arguments, error, match", BAD)
def test_bad_calls(arguments, error, match):
    with pytest.raises(error, match=f"^scaled_dot_product_attention: .*{match}"):
        dl.scaled_dot_product_attention(*arguments)


def test_counted():
    count = dl.count_flops(dl.scaled_dot_product_attention, q4, k4, k4)
    assert count.multiplications == 2 * 3 * 5 * 7 * 16
