"""optimize: whole networks, and whatever is joined, viewed or computed by NumPy."""

import copy
import pickle
import threading

import numpy as np
import pytest
from optimize_helpers import PIECE, Own, check, kinds, settle

import dlcore as dl
from dlcore import nn

ATTENTION = "scaled_dot_product_attention"


class UNet(nn.Module):
    """Two levels down and up, joined across."""

    def __init__(self):
        def block(ins, outs):
            conv = nn.Conv2d(ins, outs, 3, padding=1)
            return nn.Sequential(conv, nn.BatchNorm2d(outs), nn.ReLU())

        self.down1, self.down2, self.middle = block(3, 4), block(4, 8), block(8, 8)
        self.up2, self.up1 = (
            nn.ConvTranspose2d(8, 8, 2, 2),
            nn.ConvTranspose2d(8, 4, 2, 2),
        )
        self.join2, self.join1, self.last = (
            block(16, 8),
            block(8, 4),
            nn.Conv2d(4, 2, 1),
        )

    def forward(self, x):
        one = self.down1(x)
        two = self.down2(dl.max_pool2d(one, 2))
        y = self.up2(self.middle(dl.max_pool2d(two, 2)))
        y = self.up1(self.join2(dl.cat([two, y], 1)))
        return self.last(self.join1(dl.cat([one, y], dim=1)))


class Dense(nn.Module):
    """DenseNet's block: each layer reads all that came before."""

    def __init__(self):
        self.norms = nn.ModuleList(nn.BatchNorm2d(3 + 4 * i) for i in range(3))
        self.convs = nn.ModuleList(
            nn.Conv2d(3 + 4 * i, 4, 3, padding=1, bias=False) for i in range(3)
        )

    def forward(self, x):
        every = [x]
        for norm, conv in zip(self.norms, self.convs):
            every.append(conv(dl.relu(norm(dl.cat(every, 1)))))
        return dl.adaptive_avg_pool2d(dl.cat(every, 1), 1).flatten(1)


class Inception(nn.Module):
    """Branches of several widths, one of them pooled, joined."""

    def __init__(self):
        self.one, self.three = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 3, padding=1)
        self.reduce, self.five = nn.Conv2d(3, 2, 1), nn.Conv2d(2, 4, 5, padding=2)
        self.pooled = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        branches = [self.one(x), self.three(x), self.five(dl.relu(self.reduce(x)))]
        branches.append(self.pooled(dl.max_pool2d(x, 3, 1, 1)))
        return dl.relu(dl.cat(branches, 1))


class GPT(nn.Module):
    """Written by hand: three products for queries, keys and values."""

    def __init__(self, norm=nn.LayerNorm):
        self.tokens, self.places = nn.Embedding(11, 16), nn.Embedding(12, 16)
        self.q, self.k, self.v, self.o = (nn.Linear(16, 16) for _ in range(4))
        self.first, self.second = norm(16), norm(16)
        self.up, self.down = nn.Linear(16, 32), nn.Linear(32, 16)

    def forward(self, i):
        batch, steps = i.shape
        x = self.tokens(i) + self.places(np.arange(steps))
        h = self.first(x)
        q, k, v = (
            of(h).reshape(batch, steps, 2, 8).transpose(1, 2)
            for of in (self.q, self.k, self.v)
        )
        y = dl.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(y.transpose(1, 2).reshape(batch, steps, 16))
        x = x + self.down(dl.gelu(self.up(self.second(x))))
        return x @ self.tokens.weight.T


class Masked(nn.Module):
    """An encoder whose padding is known by a token."""

    def __init__(self):
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True)
        self.tokens, self.body = nn.Embedding(11, 16), nn.TransformerEncoder(layer, 2)
        self.places = nn.SinusoidalPositions(12, 16, batch_first=True)

    def forward(self, i):
        x = self.places(self.tokens(i))
        return self.body(x, src_key_padding_mask=i == 0)[:, 0]


class Recurrent(nn.Module):
    def __init__(self, kind, **options):
        self.body = kind(6, 8, num_layers=2, bidirectional=True, **options)
        self.last = nn.Linear(16, 3)

    def forward(self, x):
        y, state = self.body(x)
        h = state[0] if isinstance(state, tuple) else state
        return self.last(y) + dl.cat([h[-2], h[-1]], 1)[..., :3].unsqueeze(0)


class Pair(nn.Module):
    """A decoder over an encoder, as in translation."""

    def __init__(self):
        self.body = nn.Transformer(16, 2, 2, 2, 32, batch_first=True)

    def forward(self, x, y):
        mask = nn.Transformer.generate_square_subsequent_mask(y.shape[1])
        return self.body(x, y, tgt_mask=mask, tgt_is_causal=True)


class Speech(nn.Module):
    """Spectrum, convolution, recurrence."""

    def __init__(self):
        self.conv, self.body = nn.Conv1d(9, 8, 3, padding=1), nn.GRU(8, 6)

    def forward(self, x):
        z = dl.stft(x, 16, 8, window=np.hanning(16).astype(np.float32))
        power = dl.log1p((z * z).sum(-1))
        return dl.log_softmax(
            self.body(dl.relu(self.conv(power)).permute(2, 0, 1))[0], -1
        )


def floats(*shape):
    return lambda rng, n: (rng.standard_normal((n, *shape), dtype=np.float32),)


def tokens(rng, n):
    return (rng.integers(0, 11, (n, 7)),)


def both(rng, n):
    return tuple(rng.standard_normal((n, t, 16), dtype=np.float32) for t in (5, 4))


NETWORKS = {
    "unet": (UNet, floats(3, 8, 12), {"conv_transpose2d": 2, "cat": 2}),
    "dense": (Dense, floats(3, 6, 6), {"cat": 4}),
    "inception": (Inception, floats(3, 7, 5), {"conv2d + relu": 1, "cat": 1}),
    "gpt": (
        GPT,
        tokens,
        {"linear + linear + linear": 1, "linear + gelu": 1, "linear + add": 2},
    ),
    "gpt_rms": (lambda: GPT(nn.RMSNorm), tokens, {"linear + linear + linear": 1}),
    "masked": (Masked, tokens, {"linear + relu": 2, "linear + add": 4}),
    "encoder": (
        lambda: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(16, 2, 32, activation="gelu"), 2
        ),
        floats(3, 16),
        {"linear": 2, "linear + add": 4, "linear + gelu": 2},
    ),
    "pair": (Pair, both, {" + ".join(["linear"] * 4): 1, "linear + relu": 4}),
    "lstm": (lambda: Recurrent(nn.LSTM), floats(3, 6), {"rnn": 2}),
    "gru": (lambda: Recurrent(nn.GRU), floats(3, 6), {"rnn": 2}),
    "lstm_peephole": (
        lambda: Recurrent(nn.LSTM, batch_first=False, peephole=True),
        floats(3, 6),
        {"rnn": 2},
    ),
    "speech": (Speech, floats(80), {"conv1d + relu": 1, "rnn": 1}),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_at_several_batch_sizes(isa, rng, name):
    make, inputs, fused = NETWORKS[name]
    dl.manual_seed(1)
    model = settle(make(), rng)
    fast = dl.optimize(model)
    for n in (2, 1, 5, 2):
        given = inputs(rng, n)
        with dl.no_grad():
            want = model(*map(dl.Tensor, given)).data
        for x in (given, tuple(map(dl.Tensor, given))):
            got = fast(*x)
            assert got.dtype == want.dtype
            np.testing.assert_allclose(got.data, want, rtol=2e-5, atol=1e-5)
    assert repr(fast).count("ops in") == 3
    assert fused.items() <= kinds(dl.optimize(model, *inputs(rng, 2))).items()


@pytest.mark.parametrize("name", ["gpt", "lstm", "pair"])
def test_float64(rng, name):
    make, inputs, _ = NETWORKS[name]
    model = make().double().eval()
    given = [x.astype(float) if x.dtype.kind == "f" else x for x in inputs(rng, 3)]
    want = model(*map(dl.Tensor, given)).data
    np.testing.assert_allclose(dl.optimize(model)(*given).data, want, 1e-12, 1e-13)


@pytest.mark.parametrize(
    "function",
    [
        # every op that joins, cuts, copies or picks
        lambda m, x: dl.stack([x * 2.0, m.conv(x)], 1).sum(2),
        lambda m, x: dl.cat(dl.split(m.conv(x), [1, 3], 1)[::-1], 1),
        lambda m, x: dl.cat([c * 2.0 for c in m.conv(x).chunk(3, 3)], 3),
        lambda m, x: dl.relu(m.conv(x).repeat(1, 2, 1, 1)),
        lambda m, x: x.sum((2, 3), keepdim=True).expand(-1, -1, 6, 6) + x,
        lambda m, x: m.linear(x.permute(0, 2, 3, 1).reshape(-1, 4)),
        lambda m, x: m.linear(x.permute(0, 2, 1, 3).flatten(1)[:, ::36]),
        lambda m, x: m.conv(x).masked_fill(x > 0, -1.0) + x.clone(),
        lambda m, x: dl.where(x > 0.5, m.conv(x), x.to("float64").to("float32")),
        lambda m, x: x.gather(1, dl.Tensor(np.zeros((2, 1, 6, 6), int))) * 2.0,
        lambda m, x: dl.pad(m.conv(x), (1, 2, 0, 1), "reflect"),
        lambda m, x: dl.einsum("nchw,ndhw->ncd", x, m.conv(x)),
        lambda m, x: dl.topk(m.conv(x), 3)[0] + dl.sort(x)[0][..., :3],
        lambda m, x: x[:, [0, 2, 0]] + x[:, 1:2, 0, None] * x[:, :1, :, -1:],
        lambda m, x: x[np.arange(2), x.data.argmax(1)[:, 0, 0]].unsqueeze(0),
        lambda m, x: m.linear.weight[x.argmax(1)],
        lambda m, x: dl.one_hot(x.argmax(1), 4).to("float32") @ m.linear.weight,
        lambda m, x: dl.Tensor(np.cos(x.data) + np.roll(x.data, 1, 3).max(0)),
        lambda m, x: dl.Tensor(np.where(x.data > 0, x.data, 0) @ x.data.swapaxes(2, 3)),
        lambda m, x: dl.Tensor(x.data.clip(-1, 1).mean(1, keepdims=True)) + x,
        lambda m, x: dl.Tensor(
            np.add.reduce(x.data, axis=1, keepdims=True) + np.ones_like(x.data)
        ),
        lambda m, x: dl.Tensor(np.concatenate(np.split(x.data[..., ::-1], 2, 1))),
        # writing in place
        lambda m, x: dl.Tensor(np.negative(y := m.conv(x).data, out=y)),
        lambda m, x: written(m.conv(x), x),
        lambda m, x: written(m.conv(x).permute(0, 2, 3, 1), x.permute(0, 2, 3, 1)),
    ],
)
def test_views_and_copies(rng, function):
    x = rng.standard_normal((2, 4, 6, 6), dtype=np.float32)
    check(settle(Own(function), rng), x)


def written(y, x):
    kept = y * 1.0
    flat = kept.reshape(-1)
    y[:, 1] = x[:, 0] * 2.0
    y += 1.0
    y.data[0, :, 0] = np.exp(x.data[1, :, 1])
    np.multiply(y.data, 2, out=y.data)
    y.clamp_(-3, 3)
    dl.clip(flat, -0.5, 0.5, out=flat.data if isinstance(flat, dl.Tensor) else flat)
    return kept + y


def test_a_sum_and_its_norm(rng):
    def forward(m, x):
        total = dl.exp(x) + x.permute(0, 1, 3, 2)
        y = dl.layer_norm(total, 6)
        return y * total + dl.rms_norm(total + y, 6)

    got = check(Own(forward), PIECE, tolerance=5e-6)
    assert got["add + layer_norm"] == 1 and got["add + rms_norm"] == 1


def test_one_product_for_several_layers(rng):
    class Heads(nn.Module):
        def __init__(self):
            self.a, self.b, self.c = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 4)

        def forward(self, x):
            return self.use(self.a(x), self.b(x), self.c(x))

    model, joined = Heads(), "linear + linear + linear"
    x = rng.standard_normal((3, 5, 8), dtype=np.float32)
    for use, together in (
        (lambda a, b, c: dl.scaled_dot_product_attention(a, b, c), True),
        (lambda a, b, c: dl.matmul(dl.matmul(a, b.transpose(1, 2)), c), True),
        (
            lambda a, b, c: dl.cat([a[:, ::2, 1:6:2], b[:, :3, :3], c[:, :3, :3]], 2),
            True,
        ),
        (
            lambda a, b, c: (
                dl.matmul(a.reshape(3, 20, 2), b.reshape(3, 2, 20)) + c[0, 0, 0]
            ),
            False,
        ),
        (lambda a, b, c: (dl.matmul(a, b.transpose(1, 2)), c), False),  # c is a result
    ):
        model.use = use
        want = model(dl.Tensor(x))
        fast = dl.optimize(model, x)
        assert (joined in kinds(fast)) is together
        got = fast(x)
        if isinstance(got, tuple):
            got, want = got[0], want[0]
        np.testing.assert_allclose(got.data, want.data, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (lambda: nn.Conv1d(4, 6, 3), (2, 4, 9)),
        (lambda: nn.Conv3d(4, 6, 2, bias=False), (2, 4, 3, 5, 4)),
        (lambda: nn.ConvTranspose1d(4, 6, 3, 2, groups=2), (2, 4, 5)),
        (lambda: nn.ConvTranspose2d(4, 6, 2, 2), (2, 4, 5, 3)),
        (lambda: nn.ConvTranspose3d(4, 6, 2, groups=2, bias=False), (2, 4, 3, 2, 4)),
    ],
)
def test_normalization_after_other_convolutions(rng, layer, x):
    layer, x = layer(), rng.standard_normal(x, dtype=np.float32)
    norm = getattr(nn, f"BatchNorm{x.ndim - 2}d")(6)
    got = check(settle(nn.Sequential(layer, norm, nn.ReLU()), rng), x)
    name = f"conv{x.ndim - 2}d"
    if "Transpose" in type(layer).__name__:
        assert got == {f"conv_transpose{x.ndim - 2}d + batch_norm": 1, "relu": 1}
    else:
        assert got == {f"{name} + batch_norm + relu": 1}


def test_settings_and_containers(rng):
    lstm = nn.LSTM(5, 4, 2).eval()
    x, h, c = (
        rng.standard_normal(s, dtype="f") for s in ((6, 2, 5), (4, 2, 4), (4, 2, 4))
    )
    h, c = h[:2], c[:2]
    fast = dl.optimize(lstm, x, (h, c))
    for given, named in (
        (((h, c),), {}),
        ((None,), {}),
        (((c, h),), {"lengths": [6, 3]}),
        (((dl.Tensor(h), c),), {"lengths": [2, 5]}),
    ):
        got, want = fast(x, *given, **named), lstm(x, *given, **named)
        np.testing.assert_allclose(got[0].data, want[0].data, 1e-5, 1e-6)
        np.testing.assert_allclose(got[1][1].data, want[1][1].data, 1e-5, 1e-6)
    shown = repr(fast)
    assert "(6, 2, 5), tuple((2, 2, 4), (2, 2, 4)): " in shown
    assert "lengths=list(6, 3): " in shown and shown.count("ops in") == 4

    attention = nn.MultiheadAttention(8, 2).eval()
    x = rng.standard_normal((3, 2, 8), dtype=np.float32)
    fast = dl.optimize(attention, x, x, x, need_weights=False)
    for named in ({"need_weights": False}, {"attn_mask": np.eye(3, k=1) > 0}, {}):
        got, want = fast(x, x, x, **named), attention(x, x, x, **named)
        np.testing.assert_allclose(got[0].data, want[0].data, 1e-5, 1e-6)
        assert (got[1] is None) is (want[1] is None)
    numbers = Own(lambda m, x, n: x * n["by"])
    fast = dl.optimize(numbers)
    for n in (1, True, 1.5, 2):  # 1 == True, and yet another setting
        assert (fast(PIECE, {"by": n}).data == PIECE * n).all()
    assert repr(fast).count("ops in") == 4


def test_a_constant_result_is_a_copy():
    fast = dl.optimize(Own(lambda m, x: (m.linear.bias, x * 1.0)), PIECE)
    first = fast(PIECE)[0].data
    kept = first.copy()
    first += 1
    np.testing.assert_array_equal(fast(PIECE)[0].data, kept)


def test_editing_weights_in_place(rng):
    model = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).eval()
    x = rng.standard_normal((2, 3, 16), dtype=np.float32)
    fast = dl.optimize(model, x)
    first = fast(x).data
    for p in model.parameters():
        p.data[...] = 0  # nothing to the program, for shapes that are new to it neither
    np.testing.assert_array_equal(fast(x).data, first)
    np.testing.assert_allclose(fast(x[:1]).data, first[:1], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(dl.optimize(model)(x).data, model(x).data)


def test_dropout_is_off(rng):
    model = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.5).train()
    x = rng.standard_normal((3, 2, 16), dtype=np.float32)
    fast = dl.optimize(model)
    np.testing.assert_allclose(fast(x).data, model.eval()(x).data, rtol=1e-5, atol=1e-6)


def test_threads_may_call_one_program_at_once(rng):
    model = GPT().eval()
    inputs = [rng.integers(0, 11, (2, 7)) for _ in range(4)]
    want = [model(dl.Tensor(i)).data for i in inputs]
    fast, failed = dl.optimize(model, inputs[0]), []

    def call(k):
        try:
            for _ in range(30):
                np.testing.assert_allclose(fast(inputs[k]).data, want[k], 1e-4, 1e-5)
        except Exception as error:
            failed.append(error)

    crowd = [threading.Thread(target=call, args=(k,)) for k in range(4)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert not failed


def test_a_part_of_another_optimized(rng):
    x = rng.standard_normal((2, 3, 8, 12), dtype=np.float32)
    model = nn.Sequential(dl.optimize(settle(UNet(), rng), x), nn.Flatten())
    want = model(x).data
    np.testing.assert_allclose(dl.optimize(model)(x).data, want, rtol=1e-5, atol=1e-6)


def test_copies_and_pickles(rng):
    for name in ("unet", "gpt", "lstm"):
        make, inputs, _ = NETWORKS[name]
        x = inputs(rng, 2)
        fast = dl.optimize(make().eval(), *x)
        for twin in (copy.deepcopy(fast), pickle.loads(pickle.dumps(fast))):
            np.testing.assert_array_equal(twin(*x).data, fast(*x).data)


def test_flops_of_a_first_call(rng):
    model, x = GPT().eval(), rng.integers(0, 11, (2, 7))
    plain = dl.count_flops(model, x)
    fast = dl.optimize(model)
    first, later = dl.count_flops(fast, x), dl.count_flops(fast, x)
    assert first.total == later.total
    assert first.multiplications == plain.multiplications
    assert first.total.calls < plain.total.calls


def test_shapes_that_depend_on_values():
    """By chance both inputs of the trace give one shape."""
    model = Own(lambda m, x: dl.Tensor(np.repeat(x.data, 2, x.data.ndim - 1)))
    assert dl.optimize(model)(PIECE).shape == (2, 4, 6, 12)

    def forward(m, x):
        return dl.Tensor(np.repeat(x.data, (x.data > 99).astype(int)))

    fast = dl.optimize(Own(forward))
    assert fast(np.zeros(2, "f")).shape == (0,)
    with pytest.raises(RuntimeError, match="it depends on values"):
        fast(np.full(2, 100, "f"))


def test_what_forward_kept_is_an_array_like_others():
    class Keeps(nn.Module):
        def forward(self, x):
            self.last = x.data
            return x * 2.0

    fast = dl.optimize(Keeps(), PIECE)
    kept = fast._of[0].last
    kept += 1
    kept[0] = 0
    assert float(kept.sum()) == float(np.sum(kept)) and bool((kept[0] == 0).all())
    assert "array" in repr(kept) and str(kept) and np.add(kept, 1, out=kept) is kept
