"""The adaptive optimizers in plain NumPy: step(options, state, t, p, g) -> new p."""

import numpy as np


def adagrad(o, s, t, p, g):
    s["sum"] = s["sum"] + g**2
    lr = o["lr"] / (1 + (t - 1) * o["lr_decay"])
    return p - lr * g / (np.sqrt(s["sum"]) + o["eps"])


def adadelta(o, s, t, p, g):
    rho, eps = o["rho"], o["eps"]
    s["square_avg"] = rho * s["square_avg"] + (1 - rho) * g**2
    d = np.sqrt(s["acc_delta"] + eps) / np.sqrt(s["square_avg"] + eps) * g
    s["acc_delta"] = rho * s["acc_delta"] + (1 - rho) * d**2
    return p - o["lr"] * d


def rmsprop(o, s, t, p, g):
    alpha = o["alpha"]
    s["square_avg"] = alpha * s["square_avg"] + (1 - alpha) * g**2
    variance = s["square_avg"]
    if o["centered"]:
        s["grad_avg"] = alpha * s["grad_avg"] + (1 - alpha) * g
        variance = np.maximum(variance - s["grad_avg"] ** 2, 0)
    d = g / (np.sqrt(variance) + o["eps"])
    if o["momentum"] > 0:
        d = s["momentum_buffer"] = o["momentum"] * s["momentum_buffer"] + d
    return p - o["lr"] * d


def adamax(o, s, t, p, g):
    beta1, beta2 = o["betas"]
    s["exp_avg"] = beta1 * s["exp_avg"] + (1 - beta1) * g
    s["exp_inf"] = np.maximum(beta2 * s["exp_inf"], np.abs(g) + o["eps"])
    return p - o["lr"] / (1 - beta1**t) * s["exp_avg"] / s["exp_inf"]


def moments(o, s, g):
    beta1, beta2 = o["betas"]
    s["exp_avg"] = beta1 * s["exp_avg"] + (1 - beta1) * g
    s["exp_avg_sq"] = beta2 * s["exp_avg_sq"] + (1 - beta2) * g**2
    return s["exp_avg"], s["exp_avg_sq"]


def nadam(o, s, t, p, g):
    m, v = moments(o, s, g)
    beta1, beta2 = o["betas"]

    def momentum(t):
        return beta1 * (1 - 0.5 * 0.96 ** (t * o["momentum_decay"]))

    product = np.prod([momentum(i) for i in range(1, t + 1)])
    after = product * momentum(t + 1)
    step = (1 - momentum(t)) / (1 - product) * g + momentum(t + 1) / (1 - after) * m
    return p - o["lr"] * step / (np.sqrt(v / (1 - beta2**t)) + o["eps"])


def radam(o, s, t, p, g):
    m, v = moments(o, s, g)
    beta1, beta2 = o["betas"]
    step = o["lr"] * m / (1 - beta1**t)
    top = 2 / (1 - beta2) - 1
    length = top - 2 * t * beta2**t / (1 - beta2**t)
    if length <= 5:
        return p - step
    r = (length - 4) * (length - 2) * top / ((top - 4) * (top - 2) * length)
    return p - step * np.sqrt(r * (1 - beta2**t)) / (np.sqrt(v) + o["eps"])


def lamb(o, s, t, p, g):
    m, v = moments(o, s, g)
    beta1, beta2 = o["betas"]
    u = m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + o["eps"])
    u = u + o["weight_decay"] * p
    sizes = np.sqrt((p**2).sum()), np.sqrt((u**2).sum())
    ratio = sizes[0] / sizes[1] if all(sizes) else 1.0
    return p - o["lr"] * ratio * u


def lion(o, s, t, p, g):
    beta1, beta2 = o["betas"]
    way = np.sign(beta1 * s["exp_avg"] + (1 - beta1) * g)
    s["exp_avg"] = beta2 * s["exp_avg"] + (1 - beta2) * g
    return p * (1 - o["lr"] * o["weight_decay"]) - o["lr"] * way


RULES = {
    "Adagrad": adagrad,
    "Adadelta": adadelta,
    "RMSprop": rmsprop,
    "Adamax": adamax,
    "NAdam": nadam,
    "RAdam": radam,
    "LAMB": lamb,
    "Lion": lion,
}


class Stepper:
    """Steps float64 parameters in place, with the options of a group."""

    def __init__(self, name, params, options):
        self.name, self.params, self.options = name, params, options
        start = options.get("initial_accumulator_value", 0.0)
        names = ("sum", "square_avg", "acc_delta", "grad_avg", "momentum_buffer")
        names += ("exp_avg", "exp_inf", "exp_avg_sq")
        self.states = [{n: np.full_like(p, start) for n in names} for p in params]
        self.t = 0

    def __call__(self, grads):
        self.t += 1
        o = self.options
        for p, g, s in zip(self.params, grads, self.states):
            g = -g if o["maximize"] else g
            if o.get("decoupled_weight_decay"):
                p *= 1 - o["lr"] * o["weight_decay"]
            elif self.name not in ("LAMB", "Lion"):
                g = g + o["weight_decay"] * p
            p[...] = RULES[self.name](o, s, self.t, p, g)
