"""Every op once more in float64 NumPy, slow and written to be read."""

import math

import numpy as np

# -- gemm --


def linear(x, weight, bias=None, activation="none", residual=None, slope=0.01):
    z = x.astype("d") @ weight.T.astype("d")
    z = z if bias is None else z + bias
    return activated(activation, z if residual is None else z + residual, slope)


def activated(activation, z, slope=0.01):
    if activation == "none":
        return z
    if activation == "leaky_relu":
        return np.where(z > 0, z, slope * z)
    return {
        "relu": lambda: np.maximum(z, 0),
        "relu6": lambda: np.clip(z, 0, 6),
        "gelu": lambda: z * 0.5 * (1 + np.vectorize(math.erf, otypes="d")(z / 2**0.5)),
        "gelu_tanh": lambda: (
            z * 0.5 * (1 + np.tanh((2 / np.pi) ** 0.5 * (z + 0.044715 * z**3)))
        ),
        "silu": lambda: z / (1 + np.exp(-z)),
        "sigmoid": lambda: 1 / (1 + np.exp(-z)),
        "tanh": lambda: np.tanh(z),
    }[activation]()


# -- conv --


def windows(x, kernel, stride, dilation):
    """All windows of a padded x: (N, C, out_h, out_w, kh, kw)."""
    span_h, span_w = (d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(x, (span_h, span_w), axis=(2, 3))
    return view[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def im2col(x, kernel, dilation=(1, 1), padding=(0, 0), stride=(1, 1)):
    x = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    w = windows(x, kernel, stride, dilation)
    n, c, oh, ow, kh, kw = w.shape
    return w.transpose(0, 1, 4, 5, 2, 3).reshape(n, c * kh * kw, oh * ow)


def conv2d(
    x, weight, bias=None, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1
):
    """One window at a time, from the definition."""
    x = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    w = windows(x, weight.shape[2:], stride, dilation)
    n, c, oh, ow = w.shape[:4]
    k = weight.shape[0] // groups
    y = np.zeros((n, weight.shape[0], oh, ow))
    for g in range(groups):
        inside = slice(g * c // groups, (g + 1) * c // groups)
        outside = slice(g * k, (g + 1) * k)
        y[:, outside] = np.einsum("ncijrs,kcrs->nkij", w[:, inside], weight[outside])
    return y if bias is None else y + bias[:, None, None]


# -- pool --


def max_pool2d(x, kernel, stride, padding=(0, 0), dilation=(1, 1)):
    x = np.pad(
        x,
        ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2),
        constant_values=-np.inf,
    )
    return windows(x, kernel, stride, dilation).max((4, 5))


def avg_pool2d(x, kernel, stride, padding=(0, 0), count_include_pad=True):
    pad = ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2)
    total = windows(np.pad(x, pad), kernel, stride, (1, 1)).sum((4, 5))
    if count_include_pad:
        return total / (kernel[0] * kernel[1])
    inside = windows(np.pad(np.ones_like(x), pad), kernel, stride, (1, 1)).sum((4, 5))
    return total / inside


# -- elementwise --


def erf(x):
    """Abramowitz and Stegun 7.1.5 to 7.1.14 are short of digits: the C library's."""
    return np.vectorize(math.erf, otypes=[np.float64])(x)


def maximum_gradient(a, b, dy):
    """Half each where equal."""
    share = np.where(a > b, 1.0, np.where(a == b, 0.5, 0.0))
    return dy * share, dy * (1 - share)


# -- activation --


def relu(x):
    return np.maximum(x, 0.0)


def relu6(x):
    return np.clip(x, 0.0, 6.0)


def leaky_relu(x, negative_slope=0.01):
    return np.where(x > 0, x, negative_slope * x)


def sigmoid(x):
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small, 1.0) / (1 + small)


def gelu(x):
    """X Phi(x) by the complementary error function, good on the left side too."""
    tail = np.vectorize(math.erfc, otypes=[np.float64])(np.abs(x) / np.sqrt(2)) / 2
    return x * np.where(x < 0, tail, 1 - tail)


def gelu_tanh(x):
    return x * sigmoid(2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))


def silu(x):
    return x * sigmoid(x)


# -- norm --


def normalize(x, axes, eps):
    mean = x.mean(axes, keepdims=True)
    return (x - mean) / np.sqrt(np.square(x - mean).mean(axes, keepdims=True) + eps)


def per_channel(values, x):
    """(C,) so that it broadcasts to x of (N, C, ...)."""
    return values.reshape(-1, *[1] * (x.ndim - 2))


def layer_norm(x, weight, bias, eps):
    axes = tuple(range(x.ndim - weight.ndim, x.ndim))
    return normalize(x, axes, eps) * weight + bias


def rms_norm(x, weight, eps):
    axes = tuple(range(x.ndim - weight.ndim, x.ndim))
    return x / np.sqrt(np.square(x).mean(axes, keepdims=True) + eps) * weight


def batch_norm(x, weight, bias, eps):
    axes = (0, *range(2, x.ndim))
    return normalize(x, axes, eps) * per_channel(weight, x) + per_channel(bias, x)


def running_statistics(x, mean, var, momentum):
    axes = (0, *range(2, x.ndim))
    new_mean, new_var = x.mean(axes), x.var(axes, ddof=1)
    keep = 1 - momentum
    return keep * mean + momentum * new_mean, keep * var + momentum * new_var


def group_norm(x, groups, weight, bias, eps):
    rows = x.reshape(len(x), groups, -1)
    y = normalize(rows, 2, eps).reshape(x.shape)
    return y * per_channel(weight, x) + per_channel(bias, x)


def local_response_norm(x, size, alpha, beta, k):
    before, channels = size // 2, x.shape[1]
    d = np.empty_like(x)
    for c in range(channels):
        window = x[:, max(0, c - before) : max(0, c - before + size)]
        d[:, c] = k + alpha / size * np.square(window).sum(1)
    return x / d**beta


# -- reduction --


def logsumexp(x, axis):
    top = np.max(x, axis=axis, keepdims=True)
    return np.log(np.sum(np.exp(x - top), axis=axis)) + np.squeeze(top, axis)


# -- softmax --


def softmax(x, dim=-1):
    e = np.exp(x - x.max(dim, keepdims=True))
    return e / e.sum(dim, keepdims=True)


def log_softmax(x, dim=-1):
    shifted = x - x.max(dim, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(dim, keepdims=True))


def softmax_gradient(x, dy, dim=-1):
    y = softmax(x, dim)
    return y * (dy - (dy * y).sum(dim, keepdims=True))


def log_softmax_gradient(x, dy, dim=-1):
    return dy - softmax(x, dim) * dy.sum(dim, keepdims=True)


# -- loss --


def reduce(losses, reduction, count=None):
    if reduction == "none":
        return losses
    total = losses.sum()
    return (
        total / (losses.size if count is None else count)
        if reduction == "mean"
        else total
    )


def class_weights(target, weight, ignore_index, classes):
    """For each target: its class (0 where ignored) and its weight (0 where ignored)."""
    counts = target != ignore_index
    safe = np.where(counts, target, 0)
    weight = np.ones(classes) if weight is None else weight
    return safe, np.where(counts, weight[safe], 0.0), counts


def nll_loss(x, target, weight=None, ignore_index=-100, reduction="mean"):
    """Log-probabilities x of shape (N, C, ...)."""
    t, w, _ = class_weights(target, weight, ignore_index, x.shape[1])
    picked = np.take_along_axis(x, t[:, None], 1)[:, 0]
    return reduce(np.where(w != 0, -w * picked, 0.0), reduction, w.sum())


def cross_entropy(
    x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0
):
    log_p, classes = log_softmax(x, 1), x.shape[1]
    _, w, counts = class_weights(target, weight, ignore_index, classes)
    hard = nll_loss(log_p, target, weight, ignore_index, "none")
    each = np.ones(classes) if weight is None else weight
    each = each.reshape(-1, *[1] * (x.ndim - 2))
    even = np.where(counts, -(log_p * each).sum(1) / classes, 0.0)
    losses = (1 - label_smoothing) * hard + label_smoothing * even
    return reduce(losses, reduction, w.sum())


# -- dropout --


def dropout(x, p, words):
    """`words` are the random words of 32 bits, one for each element."""
    keep = words.reshape(x.shape) >= np.rint(p * 2.0**32)
    return np.where(keep, x / (1 - p), 0.0)


# -- optim --


class SGD:
    def __init__(
        self,
        params,
        lr,
        momentum=0,
        dampening=0,
        weight_decay=0,
        nesterov=False,
        maximize=False,
    ):
        self.__dict__.update(locals())
        self.buffers = [None] * len(params)

    def __call__(self, grads):
        for i, (p, g) in enumerate(zip(self.params, grads)):
            g = (-g if self.maximize else g) + self.weight_decay * p
            b = self.buffers[i]
            b = g if b is None else self.momentum * b + (1 - self.dampening) * g
            self.buffers[i] = b
            p[...] = p - self.lr * (g + self.momentum * b if self.nesterov else b)


class Adam:
    def __init__(
        self,
        params,
        lr,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        amsgrad=False,
        maximize=False,
        decoupled=False,
    ):
        self.__dict__.update(locals())
        self.m = [np.zeros_like(p) for p in params]
        self.v = [np.zeros_like(p) for p in params]
        self.top = [np.zeros_like(p) for p in params]
        self.t = 0

    def __call__(self, grads):
        self.t += 1
        beta1, beta2 = self.betas
        for i, (p, g) in enumerate(zip(self.params, grads)):
            g = -g if self.maximize else g
            if self.decoupled:
                p[...] = p * (1 - self.lr * self.weight_decay)
            else:
                g = g + self.weight_decay * p
            self.m[i] = beta1 * self.m[i] + (1 - beta1) * g
            self.v[i] = beta2 * self.v[i] + (1 - beta2) * g**2
            self.top[i] = np.maximum(self.top[i], self.v[i])
            v = self.top[i] if self.amsgrad else self.v[i]
            m_hat, v_hat = self.m[i] / (1 - beta1**self.t), v / (1 - beta2**self.t)
            p[...] = p - self.lr * m_hat / (np.sqrt(v_hat) + self.eps)
