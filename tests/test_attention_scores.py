"""Additive, general and cosine scores, positions, and the cache of decoding."""

import numpy as np
import pytest
import reference_attention as reference

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

nn = dl.nn
SHAPES = [
    ((2, 5, 8), (2, 7, 8)),
    ((1, 1, 17), (1, 70, 17)),
    ((33, 3), (2, 3)),
    ((2, 1, 4, 33), (3, 6, 33)),
]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_additive_scores(isa, dtype, rng, shapes):
    q, k = (rng.standard_normal(s).astype(dtype) for s in shapes)
    w = rng.standard_normal(q.shape[-1]).astype(dtype)
    got = dl.additive_scores(q, k, w)
    assert got.dtype == dtype
    assert_close(got, reference.additive_scores(q, k, w), 16, np.abs(w).sum() + 1)


@pytest.mark.parametrize("shapes", [SHAPES[0], SHAPES[2], SHAPES[3]], ids=str)
def test_additive_gradient(isa, rng, shapes):
    q, k = (rng.standard_normal(s) for s in shapes)
    gradcheck(dl.additive_scores, q, k, rng.standard_normal(q.shape[-1]))


def test_additive_special_values(isa, dtype):
    q = np.array([[np.inf, -np.inf], [np.nan, 0]], dtype)
    s = dl.additive_scores(q, np.zeros((1, 2), dtype), np.array([2, 3], dtype))
    assert s[0, 0] == -1 and np.isnan(s[1, 0])
    empty = dl.additive_scores(q[:0], np.zeros((3, 2), dtype), np.ones(2, dtype))
    assert empty.shape == (0, 3)
    assert (dl.additive_scores(q[:, :0], q[:, :0], q[0, :0]) == 0).all()


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_cosine_scores(isa, dtype, rng, shapes):
    q, k = (rng.standard_normal(s).astype(dtype) for s in shapes)
    got = dl.cosine_scores(q, k)
    assert got.dtype == dtype
    assert_close(got, reference.cosine_scores(q, k), 8, 1)


def test_cosine_of_zeros_and_gradient(rng):
    zero = dl.cosine_scores(np.zeros((1, 4), "f4"), np.ones((1, 4), "f4"))
    assert zero == 0
    gradcheck(
        dl.cosine_scores, rng.standard_normal((3, 4)), rng.standard_normal((5, 4))
    )


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("shape", [(2, 3, 5, 8), (7, 66), (1, 2), (2, 0, 4)], ids=str)
def test_rotary_embedding(isa, dtype, rng, shape, interleaved):
    x = rng.standard_normal(shape).astype(dtype)
    at = np.arange(3, 3 + shape[-2])
    want = reference.rotated(x, at, 100.0, interleaved)
    for positions in (3, at):
        got = dl.rotary_embedding(x, positions, 100.0, interleaved)
        assert got.dtype == dtype
        assert_close(got, want, 4, 2 + np.abs(x).max(initial=0))


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotary_gradient_and_what_it_is_for(isa, rng, interleaved):
    x = rng.standard_normal((2, 4, 6))
    gradcheck(lambda x: dl.rotary_embedding(x, 5, 50.0, interleaved), x)
    q, k = rng.standard_normal((2, 1, 6))
    scores = [
        dl.rotary_embedding(q, 9 + i, interleaved=interleaved)
        @ dl.rotary_embedding(k, 4 + i, interleaved=interleaved).T
        for i in (0, 7)
    ]
    np.testing.assert_allclose(*scores)


@pytest.mark.parametrize("name", ["additive", "general", "cosine"])
def test_layers(rng, dtype, name):
    layer = {
        "additive": lambda: nn.AdditiveAttention(4, 6, 5, dtype),
        "general": lambda: nn.GeneralAttention(4, 6, dtype),
        "cosine": lambda: nn.CosineAttention(3.0),
    }[name]()
    width = 6 if name == "cosine" else 4
    q = rng.standard_normal((2, 3, width)).astype(dtype)
    k = rng.standard_normal((2, 5, 6)).astype(dtype)
    keep = rng.random((2, 1, 5)) < 0.7
    keep[1] = False
    context, weights = (dl.Tensor(y).data for y in layer(q, k, k, keep))
    state = layer.state_dict()
    if name == "additive":
        hidden = q @ state["query_layer.weight"].T + state["query_layer.bias"]
        inner = k @ state["key_layer.weight"].T
        s = reference.additive_scores(hidden, inner, state["weight"])
    elif name == "general":
        s = q @ state["weight"].T @ k.swapaxes(1, 2)
    else:
        s = 3 * reference.cosine_scores(q, k)
    e = np.exp(s) * keep
    want = e / np.maximum(e.sum(-1, keepdims=True), 1e-30)
    assert_close(weights, want, 100, 1)
    assert_close(context, want @ k.astype(float), 200, 3)
    added = np.where(keep, 0, -np.inf).astype(dtype)
    np.testing.assert_array_equal(dl.Tensor(layer(q, k, k, added)[0]).data, context)


def test_layer_gradients(rng):
    q, k = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 5, 6))
    for layer in (nn.AdditiveAttention(4, 6, 5, "f8"), nn.GeneralAttention(4, 6, "f8")):
        gradcheck(lambda q, k, layer=layer: layer(q, k, k)[0], q, k)
        layer(dl.Tensor(q), dl.Tensor(k), k)[0].sum().backward()
        assert all(np.abs(p.grad.data).max() > 0 for p in layer.parameters())


@pytest.mark.parametrize("batch_first", [False, True])
def test_sinusoidal_positions(dtype, batch_first):
    layer = nn.SinusoidalPositions(20, 6, batch_first, dtype=dtype)
    assert not layer.state_dict()
    x = np.zeros((2, 5, 6) if batch_first else (5, 2, 6), dtype)
    y = layer(x, 3).data
    assert y.dtype == dtype
    rows = y[1] if batch_first else y[:, 1]
    for p in range(5):
        for i in range(3):
            angle = (p + 3) / 10000 ** (2 * i / 6)
            np.testing.assert_allclose(
                rows[p, 2 * i : 2 * i + 2], [np.sin(angle), np.cos(angle)], atol=1e-6
            )
    with pytest.raises(ValueError, match="at most 17 rows and a last axis of 6"):
        layer(np.zeros((18, 18, 6), dtype), 3)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("pieces", [(1,) * 6, (3, 2, 1), (1, 5)])
def test_decoding_with_a_cache(rng, dtype, batch_first, pieces):
    layer = nn.MultiheadAttention(8, 2, batch_first=batch_first, dtype=dtype)
    x = rng.standard_normal((3, 6, 8) if batch_first else (6, 3, 8)).astype(dtype)
    want = layer(x, x, x, None, False, is_causal=True)[0].data
    cache, rows, at = nn.KVCache(3, 2, 8, 4, dtype=dtype), [], 0
    axis = 1 if batch_first else 0
    with dl.no_grad():
        for n in pieces:
            part = np.take(x, np.arange(at, at + n), axis)
            y, weights = layer(
                part, part, part, None, at == 3, is_causal=True, cache=cache
            )
            assert weights is None or weights.shape == (3, n, at + n)
            rows.append(y.data)
            at += n
    got = np.concatenate(rows, axis)
    assert_close(got, want, 50, np.abs(want).max())
    assert cache.length == 6
    cache.reset()
    assert cache.length == 0


def test_a_cache_keeps_in_place(rng):
    cache = nn.KVCache(1, 2, 4, 3, 5)
    k, v = rng.standard_normal((2, 1, 2, 2, 5)).astype("f4")
    keys, values = cache.append(k[..., :3], v)
    assert np.shares_memory(keys, cache.keys) and values.shape == (1, 2, 2, 5)
    more, _ = cache.append(k[:, :, :1, :3], v[:, :, :1])
    assert more.shape == (1, 2, 3, 3) and np.shares_memory(more, keys)
    np.testing.assert_array_equal(more[:, :, :2], k[..., :3])


q2, q3, half = np.ones((2, 4), "f4"), np.ones((3, 5, 4), "f4"), np.ones((5, 4), "f2")
cache = nn.KVCache(1, 2, 4, 3)
token = np.ones((1, 2, 1, 3), "f4")
BAD = [
    (
        lambda: dl.additive_scores(q3, q2, q2[0, :3]),
        ValueError,
        r"weight must have shape \(4,\)",
    ),
    (
        lambda: dl.additive_scores(q2[0], q2, q2[0]),
        ValueError,
        "query must have at least 2",
    ),
    (
        lambda: dl.additive_scores(q3, q3[:2], q2[0]),
        ValueError,
        "must broadcast before",
    ),
    (
        lambda: dl.additive_scores(q3, q3[..., :2], q2[0]),
        ValueError,
        "key must have query's",
    ),
    (
        lambda: dl.additive_scores(half, half, half[0]),
        TypeError,
        "query must be float32 or",
    ),
    (lambda: dl.cosine_scores(q2, q2[:, :3]), ValueError, "must have one last axis"),
    (lambda: dl.cosine_scores(q2, q2, 0.0), ValueError, "eps must be above 0"),
    (lambda: dl.rotary_embedding(q2[:, :3]), ValueError, "the last of even length"),
    (
        lambda: dl.rotary_embedding(q2, np.arange(3)),
        ValueError,
        "positions must have shape",
    ),
    (
        lambda: dl.rotary_embedding(q2, "x"),
        TypeError,
        "positions must be a NumPy array",
    ),
    (lambda: dl.rotary_embedding(q2, base=-1), ValueError, "base must be above 0"),
    (lambda: nn.KVCache(1, 0, 4, 3), ValueError, "heads must be at least 1"),
    (lambda: cache.append(token[0], token), ValueError, "key must have shape"),
    (
        lambda: cache.append(token, token.astype("f8")),
        TypeError,
        "value must be float32",
    ),
    (
        lambda: cache.append(token.repeat(2, 2), token),
        ValueError,
        "value must have key's",
    ),
    (
        lambda: cache.append(*[token.repeat(5, 2)] * 2),
        ValueError,
        "there is room for 4",
    ),
]


@pytest.mark.parametrize("call, error, match", BAD)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()
    assert cache.length == 0
