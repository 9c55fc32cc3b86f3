"""Recurrent layers."""

import numpy as np

import dlcore as dl

from .table import add, normal


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _lstm(x, h, c, w_ih, w_hh, b_ih, b_hh):
    h, c, outputs = h[0], c[0], []
    for row in x:
        i, f, g, o = np.split(row @ w_ih.T + b_ih + h @ w_hh.T + b_hh, 4, axis=-1)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        h = _sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs)


def _gru(x, h, w_ih, w_hh, b_ih, b_hh):
    h, outputs = h[0], []
    for row in x:
        r, z, n = np.split(row @ w_ih.T + b_ih, 3, axis=-1)
        r_h, z_h, n_h = np.split(h @ w_hh.T + b_hh, 3, axis=-1)
        z = _sigmoid(z + z_h)
        h = (1 - z) * np.tanh(n + _sigmoid(r + r_h) * n_h) + z * h
        outputs.append(h)
    return np.stack(outputs)


def _rnn(f):
    def outputs(x, h, w_ih, w_hh, b_ih, b_hh):
        h, outputs = h[0], []
        for row in x:
            h = f(row @ w_ih.T + b_ih + h @ w_hh.T + b_hh)
            outputs.append(h)
        return np.stack(outputs)

    return outputs


def _weights(gates):
    return (5 * gates, 3), (5 * gates, 5), (5 * gates,), (5 * gates,)


_X, _H = (3, 2, 3), (1, 2, 5)

add(
    "lstm",
    normal(_X, _H, _H, *_weights(4)),
    lambda x, h, c, *w: dl.lstm(x, (h, c), list(w))[0],
    _lstm,
)
add(
    "gru",
    normal(_X, _H, *_weights(3)),
    lambda x, h, *w: dl.gru(x, h, list(w))[0],
    _gru,
)
for _op, _f in ("rnn_tanh", np.tanh), ("rnn_relu", lambda x: np.maximum(x, 0)):
    add(
        _op,
        normal(_X, _H, *_weights(1)),
        lambda x, h, *w, _op=_op: getattr(dl, _op)(x, h, list(w))[0],
        _rnn(_f),
    )
    add(
        f"{_op}_cell",
        normal((2, 3), (2, 5), *_weights(1)),
        lambda x, h, *w, _op=_op: getattr(dl, f"{_op}_cell")(x, h, *w),
        lambda x, h, *w, _f=_f: _rnn(_f)(x[None], h[None], *w)[0],
    )
add(
    "lstm_cell",
    normal((2, 3), (2, 5), (2, 5), *_weights(4)),
    lambda x, h, c, *w: dl.lstm_cell(x, (h, c), *w)[0],
    lambda x, h, c, *w: _lstm(x[None], h[None], c[None], *w)[0],
)
add(
    "gru_cell",
    normal((2, 3), (2, 5), *_weights(3)),
    lambda x, h, *w: dl.gru_cell(x, h, *w),
    lambda x, h, *w: _gru(x[None], h[None], *w)[0],
)
