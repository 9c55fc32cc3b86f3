"""Recurrent layers in float64 NumPy, one step of one sequence at a time."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_step(x, h, c, w_ih, w_hh, b_ih=0, b_hh=0, w_hr=None, peephole=None):
    i, f, g, o = np.split(w_ih @ x + b_ih + w_hh @ h + b_hh, 4)
    p_i, p_f, p_o = np.zeros((3, len(c))) if peephole is None else np.split(peephole, 3)
    i, f = sigmoid(i + p_i * c), sigmoid(f + p_f * c)
    c = f * c + i * np.tanh(g)
    h = sigmoid(o + p_o * c) * np.tanh(c)
    return (h if w_hr is None else w_hr @ h), c


def gru_step(x, h, c, w_ih, w_hh, b_ih=0, b_hh=0, convention="pytorch"):
    n = len(h)
    from_x, from_h = w_ih @ x + b_ih, w_hh @ h + b_hh
    r = sigmoid(from_x[:n] + from_h[:n])
    z = sigmoid(from_x[n : 2 * n] + from_h[n : 2 * n])
    if convention == "pytorch":
        new = np.tanh(from_x[2 * n :] + r * from_h[2 * n :])
    else:
        bias = (b_hh + np.zeros(3 * n))[2 * n :]
        new = np.tanh(from_x[2 * n :] + w_hh[2 * n :] @ (r * h) + bias)
    if convention == "chung":
        return z * new + (1 - z) * h, c
    return (1 - z) * new + z * h, c


def tanh_step(x, h, c, w_ih, w_hh, b_ih=0, b_hh=0):
    return np.tanh(w_ih @ x + b_ih + w_hh @ h + b_hh), c


def relu_step(x, h, c, w_ih, w_hh, b_ih=0, b_hh=0):
    return np.maximum(w_ih @ x + b_ih + w_hh @ h + b_hh, 0), c


def layer(step, x, h0, c0, weights, lengths=None):
    """One layer: (steps, batch, directions * outputs), h_n, c_n.

    `weights`: for each direction the arguments of `step` after h and c, by name.
    """
    x = x.astype("d")
    weights = [{k: as_wide(v) for k, v in one.items()} for one in weights]
    steps, batch = x.shape[:2]
    lengths = [steps] * batch if lengths is None else lengths
    h_n, c_n = h0.astype("d"), c0.astype("d")
    outputs = h_n.shape[2]
    y = np.zeros((steps, batch, len(weights) * outputs))
    for d, mine in enumerate(weights):
        for b in range(batch):
            order = range(lengths[b])
            for t in reversed(order) if d else order:
                h_n[d, b], c_n[d, b] = step(x[t, b], h_n[d, b], c_n[d, b], **mine)
                y[t, b, d * outputs : (d + 1) * outputs] = h_n[d, b]
    return y, h_n, c_n


def as_wide(value):
    return value.astype("d") if isinstance(value, np.ndarray) else value
