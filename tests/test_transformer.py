"""Multi-head attention and the transformer's layers, against PyTorch's."""

import numpy as np
import pytest

import dlcore as dl
from dlcore.testing import gradcheck

nn = dl.nn
pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor")


def shared(torch, layer, other, rng, dtype):
    """Both layers with one set of random weights."""
    state = {
        name: rng.standard_normal(value.shape).astype(dtype) * value.shape[-1] ** -0.5
        for name, value in layer.state_dict().items()
    }
    layer.load_state_dict(state)
    other.load_state_dict({name: torch.tensor(value) for name, value in state.items()})


def compare(torch, mine, theirs, inputs, rng, layer, other, ulp=300):
    """Results and the gradients of inputs and weights."""
    xs = [dl.Tensor(x, requires_grad=True) for x in inputs]
    ts = [torch.tensor(x, requires_grad=True) for x in inputs]
    y, want = mine(*xs), theirs(*ts)
    dy = rng.standard_normal(want.shape).astype(inputs[0].dtype)
    y.backward(dy)
    want.backward(torch.tensor(dy))
    close(y.data, want.detach().numpy(), ulp)
    for x, t in zip(xs, ts, strict=True):
        close(x.grad.data, t.grad.numpy(), ulp)
    grads = {name: p.grad for name, p in other.named_parameters()}
    for name, p in layer.named_parameters():
        if grads[name] is not None:
            close(p.grad.data, grads[name].numpy(), ulp)


def close(got, want, ulp):
    assert got.shape == want.shape
    bound = ulp * np.finfo(got.dtype).eps * max(1, np.abs(want).max(initial=0))
    assert np.abs(got - want).max(initial=0) <= bound


def masks(kind, rng, torch, dtype):
    """attn_mask and key_padding_mask of N = 3, L = 5, S = 7, for both."""
    pair = rng.random((5, 7)) < 0.3
    padding = rng.random((3, 7)) < 0.3
    pair[:, 0] = padding[:, 0] = False
    each = rng.random((6, 5, 7)) < 0.3
    each[..., 0] = False
    added = rng.standard_normal((5, 7)).astype(dtype)
    attn, pad = {
        "none": (None, None),
        "pairs": (pair, None),
        "padding": (None, padding),
        "both": (pair, padding),
        "each head": (each, None),
        "added": (added, None),
        "added to both": (added, np.where(padding, -np.inf, 0).astype(dtype)),
    }[kind]
    return attn, pad, *(None if m is None else torch.tensor(m) for m in (attn, pad))


KINDS = ["none", "pairs", "padding", "both", "each head", "added", "added to both"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("need_weights", [False, True])
def test_cross_attention(torch, rng, dtype, kind, need_weights):
    settings = {"kdim": 6, "vdim": 4} if kind == "both" else {}
    layer = nn.MultiheadAttention(8, 2, dtype=dtype, **settings)
    other = torch.nn.MultiheadAttention(8, 2, dtype=getattr(torch, dtype), **settings)
    shared(torch, layer, other, rng, dtype)
    widths = (layer.kdim, layer.vdim)
    inputs = [
        rng.standard_normal(s).astype(dtype)
        for s in ((5, 3, 8), (7, 3, widths[0]), (7, 3, widths[1]))
    ]
    attn, pad, their_attn, their_pad = masks(kind, rng, torch, dtype)
    compare(
        torch,
        lambda *x: layer(*x, pad, need_weights, attn)[0],
        lambda *x: other(*x, their_pad, need_weights, their_attn)[0],
        inputs,
        rng,
        layer,
        other,
    )
    for average in (True, False):
        weights = layer(*inputs, pad, True, attn, average)[1]
        tensors = [torch.tensor(x) for x in inputs]
        want = other(*tensors, their_pad, True, their_attn, average)[1]
        close(weights.data, want.detach().numpy(), 100)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    "settings", [{}, {"bias": False}, {"add_bias_kv": True}, {"add_zero_attn": True}]
)
def test_self_attention(torch, rng, dtype, batch_first, causal, settings):
    layer = nn.MultiheadAttention(
        12, 3, batch_first=batch_first, dtype=dtype, **settings
    )
    other = torch.nn.MultiheadAttention(
        12, 3, batch_first=batch_first, dtype=getattr(torch, dtype), **settings
    )
    shared(torch, layer, other, rng, dtype)
    x = rng.standard_normal((4, 4, 12)).astype(dtype)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(4).to(
        other.out_proj.weight
    )
    for need_weights in (False, True):
        # PyTorch takes the hint for the appended key too, which it then hides.
        hint = causal and not ({"add_bias_kv", "add_zero_attn"} & settings.keys())
        mine = {"need_weights": need_weights, "is_causal": causal}
        theirs = {
            "need_weights": need_weights,
            "attn_mask": mask if causal else None,
            "is_causal": hint,
        }
        compare(
            torch,
            lambda x, options=mine: layer(x, x, x, **options)[0],
            lambda x, options=theirs: other(x, x, x, **options)[0],
            [x],
            rng,
            layer,
            other,
        )


def test_causal_with_padding(torch, rng, dtype):
    layer = nn.MultiheadAttention(8, 2, batch_first=True, dtype=dtype)
    x = dl.Tensor(rng.standard_normal((3, 6, 8)).astype(dtype))
    padding = np.arange(6) >= np.array([[6], [4], [5]])
    causal = ~np.tri(6, dtype=bool)
    want = layer(x, x, x, padding, True, causal)[0]
    got = layer(x, x, x, padding, False, None, True, True)[0]
    close(got.data, want.data, 50)


def test_without_a_batch(torch, rng):
    layer, x = nn.MultiheadAttention(8, 2), rng.standard_normal((5, 8)).astype("f4")
    padding = np.array([False, False, True, False, False])
    y, weights = layer(x, x, x, padding)
    want, more = layer(x[:, None], x[:, None], x[:, None], padding[None])
    assert weights.shape == (5, 5)
    close(y.data, want.data[:, 0], 10)
    close(weights.data, more.data[0], 10)
    close(layer(x, x, x, padding, False)[0].data, y.data, 10)


def test_attention_gradcheck(rng):
    layer = nn.MultiheadAttention(4, 2, dtype="f8")
    x, m = rng.standard_normal((3, 2, 4)), rng.standard_normal((3, 3))
    gradcheck(lambda x, m: layer(x, x, x, None, False, m)[0], x, m)


def test_dropout_of_weights(rng):
    layer = nn.MultiheadAttention(8, 2, 0.5)
    x = rng.standard_normal((5, 3, 8)).astype("f4")
    for need_weights in (False, True):
        once = layer(x, x, x, None, need_weights)[0].data
        assert not np.array_equal(once, layer(x, x, x, None, need_weights)[0].data)
    layer.eval()
    same = [layer(x, x, x, None, w)[0].data for w in (False, True)]
    close(same[0], same[1], 20)


LAYERS = [
    {},
    {"norm_first": True, "activation": "gelu"},
    {"batch_first": True, "bias": False},
]


@pytest.mark.parametrize("settings", LAYERS)
def test_encoder(torch, rng, dtype, settings):
    def build(nn, dtype):
        layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, dtype=dtype, **settings)
        norm = nn.LayerNorm(8, dtype=dtype) if settings.get("norm_first") else None
        return nn.TransformerEncoder(layer, 2, norm, enable_nested_tensor=False)

    layer, other = build(nn, dtype), build(torch.nn, getattr(torch, dtype))
    shared(torch, layer, other, rng, dtype)
    n, length = (4, 5) if settings.get("batch_first") else (5, 4)
    x = rng.standard_normal((4, 5, 8)).astype(dtype)
    padding = np.zeros((n, length), bool)
    padding[1, -1] = True
    mask = torch.nn.Transformer.generate_square_subsequent_mask(length)
    compare(
        torch,
        lambda x: layer(x, mask.numpy().astype(dtype), padding),
        lambda x: other(
            x,
            mask.to(getattr(torch, dtype)),
            torch.zeros(n, length, dtype=getattr(torch, dtype)).masked_fill(
                torch.tensor(padding), -torch.inf
            ),
        ),
        [x],
        rng,
        layer,
        other,
        ulp=2000,
    )


@pytest.mark.parametrize("settings", LAYERS)
def test_transformer(torch, rng, dtype, settings):
    sizes = (8, 2, 1, 2, 16, 0.0)
    layer = nn.Transformer(*sizes, dtype=dtype, **settings)
    other = torch.nn.Transformer(*sizes, dtype=getattr(torch, dtype), **settings)
    assert list(layer.state_dict()) == list(other.state_dict())
    shared(torch, layer, other, rng, dtype)
    inputs = [rng.standard_normal(s).astype(dtype) for s in ((4, 4, 8), (4, 4, 8))]
    mask = nn.Transformer.generate_square_subsequent_mask(4, dtype)
    padding = np.zeros((4, 4), bool)
    padding[0, 2:] = True
    compare(
        torch,
        lambda s, t: layer(s, t, tgt_mask=mask, memory_key_padding_mask=padding),
        lambda s, t: other(
            s,
            t,
            tgt_mask=torch.tensor(mask.data),
            memory_key_padding_mask=torch.tensor(padding),
        ),
        inputs,
        rng,
        layer,
        other,
        ulp=2000,
    )


def test_dropout_of_a_layer(rng):
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.5)
    x = dl.Tensor(rng.standard_normal((5, 3, 8)).astype("f4"), requires_grad=True)
    assert not np.array_equal(layer(x).data, layer(x).data)
    layer(x).sum().backward()
    assert np.isfinite(x.grad.data).all()
    layer.eval()
    np.testing.assert_array_equal(layer(x).data, layer(x).data)


def test_copies_are_apart():
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 1, 4), 2)
    first, second = (layer.linear1.weight for layer in encoder.layers)
    np.testing.assert_array_equal(first.data, second.data)
    assert not np.shares_memory(first.data, second.data)
    model = nn.Transformer(4, 1, 2, 1, 4)
    first, second = (layer.linear1.weight for layer in model.encoder.layers)
    assert not np.array_equal(first.data, second.data)


x = np.ones((5, 3, 8), "f4")
layer = nn.MultiheadAttention(8, 2)
BAD = [
    (
        lambda: nn.MultiheadAttention(8, 3),
        ValueError,
        "num_heads must divide embed_dim",
    ),
    (lambda: nn.MultiheadAttention(0, 1), ValueError, "embed_dim must be at least 1"),
    (
        lambda: nn.MultiheadAttention(8, 2, 2.0),
        ValueError,
        "dropout must be from 0 to 1",
    ),
    (
        lambda: layer(x[..., :4], x, x),
        ValueError,
        "query must have 2 or 3 axes, the last",
    ),
    (lambda: layer(x, x[0], x), ValueError, "key must have as many axes as query"),
    (lambda: layer(x, x, x[:4]), ValueError, "value must have key's rows"),
    (
        lambda: layer(x, x, x, np.ones((3, 4), bool)),
        ValueError,
        "key_padding_mask must",
    ),
    (
        lambda: layer(x, x, x, attn_mask=np.ones((4, 5), bool)),
        ValueError,
        "attn_mask must have shape",
    ),
    (
        lambda: nn.TransformerEncoderLayer(8, 2, activation="step"),
        ValueError,
        "activation must be 'relu', 'gelu' or a function",
    ),
    (
        lambda: nn.TransformerEncoder(nn.Identity(), 0),
        ValueError,
        "num_layers must be at least 1",
    ),
]


@pytest.mark.parametrize("call, error, match", BAD)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()
