"""Every op once more in float64 NumPy, slow and written to be read."""


import numpy as np

# -- gemm --


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


# -- activation --


def relu(x):
    return np.maximum(x, 0.0)


# -- reduction --


# -- softmax --


# -- loss --


# -- dropout --


def dropout(x, p, words):
    """`words` are the random words of 32 bits, one for each element."""
    keep = words.reshape(x.shape) >= np.rint(p * 2.0**32)
    return np.where(keep, x / (1 - p), 0.0)


# -- optim --
