"""Networks of every kind for the tests of optimize."""

import numpy as np

import dlcore as dl
from dlcore import nn


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


class Modulated(nn.Module):
    """StyleGAN's convolution: weights that a second input scales."""

    def __init__(self):
        self.weight = nn.Parameter(np.ones((6, 4, 3, 3), np.float32))
        self.style = nn.Linear(5, 4)
        dl.init.normal_(self.weight)

    def forward(self, x, z):
        n = x.shape[0]
        w = self.weight.unsqueeze(0) * (self.style(z).reshape(n, 1, 4, 1, 1) + 1.0)
        w = w * dl.rsqrt((w * w).sum((2, 3, 4), keepdim=True) + 1e-8)
        y = dl.conv2d(
            x.reshape(1, n * 4, 5, 6), w.reshape(n * 6, 4, 3, 3), padding=1, groups=n
        )
        return dl.leaky_relu(y.reshape(n, 6, 5, 6), 0.2)


class Translator(nn.Module):
    """A decoder, step by step, that looks at all states of an encoder."""

    def __init__(self):
        self.tokens, self.encoder = nn.Embedding(11, 8), nn.GRU(8, 8, batch_first=True)
        self.cell, self.last = nn.GRUCell(16, 8), nn.Linear(8, 11)

    def forward(self, i):
        states, h = self.encoder(self.tokens(i))
        h, token, scores = h[0], np.zeros(i.shape[0], np.int64), []
        for _ in range(4):
            weights = dl.softmax((states @ h.unsqueeze(2)).squeeze(2), 1)
            seen = (weights.unsqueeze(2) * states).sum(1)
            h = self.cell(dl.cat([self.tokens(token), seen], 1), h)
            scores.append(self.last(h))
            token = scores[-1].argmax(1)
        return dl.stack(scores, 1)


def floats(*shape):
    return lambda rng, n: (rng.standard_normal((n, *shape), dtype=np.float32),)


def tokens(rng, n):
    return (rng.integers(0, 11, (n, 7)),)


def both(rng, n):
    return tuple(rng.standard_normal((n, t, 16), dtype=np.float32) for t in (5, 4))


def styled(rng, n):
    return floats(4, 5, 6)(rng, n) + floats(5)(rng, n)


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
    "modulated": (Modulated, styled, {"conv2d": 1}),
    "translator": (Translator, tokens, {"rnn": 5, "cat": 4, "argmax": 3}),
    "speech": (Speech, floats(80), {"conv1d + relu": 1, "rnn": 1}),
}
