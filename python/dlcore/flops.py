"""How many operations a model takes: counted kernel by kernel while it runs."""

import inspect
import sys
from dataclasses import dataclass, field
from math import prod

import numpy as np

from .nn import Module
from .watch import watching


@dataclass
class Count:
    """What some calls took together.

    Attributes
    ----------
    calls : int
        Of kernels.
    multiplications : int
        Multiply-adds of convolutions and matrix products (also known as MACs).
    flops : int
        Two for a multiplication, and those of all other ops.
    bytes : int
        Of the arrays read and written, each once for each call.
    """

    calls: int = 0
    multiplications: int = 0
    flops: int = 0
    bytes: int = 0

    def __add__(self, other):
        return Count(
            self.calls + other.calls,
            self.multiplications + other.multiplications,
            self.flops + other.flops,
            self.bytes + other.bytes,
        )


@dataclass(repr=False)
class Flops:
    """The result of `count_flops`; prints as a table.

    Attributes
    ----------
    rows : dict of (str, str) to Count
        What each op (``"conv2d"``, ``"relu backward"``) took in each module, by its
        dotted name. Work that no module called is in ``""``.
    """

    rows: dict = field(default_factory=dict)

    @property
    def total(self):
        """All together, a `Count`."""
        return sum(self.rows.values(), Count())

    @property
    def multiplications(self):
        return self.total.multiplications

    @property
    def flops(self):
        return self.total.flops

    @property
    def bytes(self):
        return self.total.bytes

    def by_op(self):
        """A `Count` for each op."""
        return self._by(1)

    def by_module(self, depth=None):
        """A `Count` for each module, or for those `depth` names down together."""
        return self._by(0, depth)

    def table(self, counts=None):
        """The text that `repr` shows, of ops; or of another dict of Counts."""
        counts = self.by_op() if counts is None else counts
        lines = [("", "calls", "multiplications", "flops", "bytes")]
        for name, c in (*counts.items(), ("total", sum(counts.values(), Count()))):
            numbers = _short(c.multiplications), _short(c.flops), _short(c.bytes, "B")
            lines.append((name, str(c.calls), *numbers))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
            for line in lines
        )

    def _by(self, part, depth=None):
        counts = {}
        for key, count in self.rows.items():
            name = ".".join(key[part].split(".")[:depth])
            counts[name] = counts.get(name, Count()) + count
        return counts

    def __repr__(self):
        return self.table()


def count_flops(function, *inputs):
    """Run a model once and count what its kernels compute and move.

    Parameters
    ----------
    function : Module or callable
        What to run; backward is counted too where `function` calls it.
    *inputs : ndarray, Tensor or anything else
        What to call it with.

    Returns
    -------
    Flops
        `multiplications`, `flops` and `bytes` of all, `by_op()`, `by_module()`.

    Notes
    -----
    A convolution, transposed or not, of any number of dimensions and groups, multiplies
    each element of its smaller side (the output; transposed: the input) with one
    filter. Padding counts as work. A multiplication is two flops; bias, residual and
    activation one for each element, as is an element of any other op, with these
    exceptions: pooling one for each element of a window, normalization 2 with given and
    7 with its own statistics, softmax and losses 5, a gate of a recurrent layer 6.
    Attention has two products forward and five backward, masked scores counted too,
    and 5 for each score. Indexing, copies and what forward does in NumPy are not
    counted.

    Examples
    --------
    The 5x5 convolution of an Inception block, and the same through 16 channels:

    >>> import numpy as np
    >>> import dlcore as dl
    >>> x = np.zeros((1, 192, 28, 28), "float32")
    >>> wide = dl.nn.Conv2d(192, 32, 5, padding=2, bias=False)
    >>> dl.count_flops(wide, x).multiplications
    120422400
    >>> narrow = dl.nn.Sequential(
    ...     dl.nn.Conv2d(192, 16, 1, bias=False),
    ...     dl.nn.Conv2d(16, 32, 5, padding=2, bias=False),
    ... )
    >>> dl.count_flops(narrow, x)
            calls  multiplications    flops     bytes
    conv2d      2          12.44 M  24.89 M  866.3 kB
    total       2          12.44 M  24.89 M  866.3 kB
    """
    check_call("count_flops", function, inputs)
    rows = {}
    modules = function.named_modules() if isinstance(function, Module) else ()
    names = {module: name for name, module in modules}

    def see(name, arguments, result):
        if name == "conv2d_forward":
            arguments = arguments[:11]  # packed weights are the weights once more
        arrays = {id(a): a for a in _arrays((arguments, result))}
        if not arrays:
            return
        op, _, way = name.removesuffix("_forward").partition("_backward")
        op += " backward" if "_backward" in name else way
        multiplications, others = _work(name, arguments, result)
        key = _caller(names), op
        rows[key] = rows.get(key, Count()) + Count(
            1,
            multiplications,
            2 * multiplications + others,
            sum(a.nbytes for a in arrays.values()),
        )

    with watching(see):
        function(*inputs)
    return Flops(rows)


def check_call(op, function, inputs):
    """Raise for what cannot be called so."""
    if not callable(function):
        raise TypeError(
            f"{op}: function must be a Module or callable, "
            f"got {type(function).__name__}"
        )
    called = function.forward if isinstance(function, Module) else function
    try:
        signature = inspect.signature(called)
    except ValueError:  # one written in C may have none
        return
    try:
        signature.bind(*inputs)
    except TypeError as error:
        raise TypeError(
            f"{op}: inputs must be what the model takes, got {len(inputs)} "
            f"({error}): {op}(model, x)"
        ) from None


def _arrays(values):
    for value in values if isinstance(values, (tuple, list)) else (values,):
        if isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from _arrays(value)


def _caller(names):
    """Name of the innermost module that is being called."""
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code is Module.__call__.__code__:
            module = frame.f_locals["self"]
            return names.get(module, type(module).__name__)
        frame = frame.f_back
    return ""


# -- the work of a kernel: multiplications, and all other flops --


def _work(name, arguments, result):
    for kernels, work in _WORK.items():
        if name.startswith(kernels):
            return work(name, arguments, result)
    return 0, max((a.size for a in _arrays((arguments, result))), default=0)


def _word(activation):
    return None if activation == "none" else activation


def _conv(name, arguments, y):
    x, weight, bias = arguments[:3]
    transposed = "transpose" in name
    extras = (bias,) if transposed else (bias, arguments[8], _word(arguments[7]))
    fused = sum(extra is not None for extra in extras)
    return (x if transposed else y).size * prod(weight.shape[1:]), fused * y.size


def _conv_backward(name, arguments, result):
    dy, x, weight, *_ = arguments
    side = x if "transpose" in name else dy
    dx, dw, db = result
    products = (dx is not None) + (dw is not None)
    return products * side.size * prod(weight.shape[1:]), (db is not None) * dy.size


def _matmul(name, arguments, y):
    return y.size * arguments[0].shape[-1], 0


def _addmm(name, arguments, y):
    added, a = arguments[2:4]
    return y.size * a.shape[-1], (added is not None) * y.size


def _linear(name, arguments, result):
    x, weight, bias, residual, activation, *_ = arguments
    y = result[0]
    extras = (bias, residual, _word(activation))
    fused = sum(extra is not None for extra in extras)
    return x.size * weight.shape[0], fused * y.size


def _linear_backward(name, arguments, result):
    x, weight, kept, dy, *_ = arguments
    dx, dw, db, _ = result
    products = (dx is not None) + (dw is not None)
    others = (db is not None) + (kept is not None)
    return products * x.size * weight.shape[0], others * dy.size


def _rnn(name, arguments, result):
    x, weights = arguments[2], arguments[5]
    each = sum(w.size for one in weights for w in one if w is not None and w.ndim > 1)
    gates = sum(one[0].shape[0] for one in weights)  # one for each sum, 5 for its gate
    passes = 2 if "backward" in name else 1
    rows = x.size // max(x.shape[-1], 1)
    return passes * rows * each, 6 * rows * gates


def _pool(name, arguments, result):
    dims, kernel = arguments[1], arguments[4 if name.startswith("lp") else 3]
    taps = kernel**dims if isinstance(kernel, int) else prod(kernel)
    return 0, (result[0] if isinstance(result, tuple) else result).size * taps


def _normalize(name, arguments, result):
    given = name.startswith(("batch_norm", "instance_norm")) and not arguments[5]
    work = 2 if given and "forward" in name else 7
    if name == "batch_norm_forward":
        residual, activation = arguments[8:]
        work += (residual is not None) + (activation not in (None, "none"))
    elif name == "batch_norm_backward":
        work += arguments[7] not in (None, "none")
    return 0, arguments[0].size * work


def _attention(name, arguments, result):
    query, key, value = arguments[:3]
    scores = query.size // max(1, query.shape[-1]) * key.shape[-2]
    depth, value_depth = query.shape[-1], value.shape[-1]
    if "backward" in name:
        return scores * (3 * depth + 2 * value_depth), 5 * scores
    return scores * (depth + value_depth), 5 * scores


def _additive_scores(name, arguments, result):
    query, key = arguments[:2]
    terms = query.size * key.shape[-2]
    return terms * (3 if "backward" in name else 1), terms * 8


def _exponential(name, arguments, result):
    return 0, 5 * arguments[0].size


def _element_loss(name, arguments, result):
    return 0, 5 * arguments[1].size


def _nothing(name, arguments, result):
    return 0, 0


_CONVS = "conv", "conv_transpose"
_WORK = {
    tuple(f"{kind}{n}d_backward" for kind in _CONVS for n in (1, 2, 3)): _conv_backward,
    tuple(f"{kind}{n}d_forward" for kind in _CONVS for n in (1, 2, 3)): _conv,
    ("matmul",): _matmul,
    ("addmm",): _addmm,
    ("linear_forward",): _linear,
    ("linear_backward",): _linear_backward,
    ("rnn_forward", "rnn_backward"): _rnn,
    ("max_pool_forward", "avg_pool_forward", "lp_pool_forward"): _pool,
    tuple(
        f"{kind}_norm_{way}"
        for kind in ("batch", "instance", "layer", "group", "rms")
        for way in ("forward", "backward")
    ): _normalize,
    ("softmax_", "log_softmax_", "cross_entropy_", "nll_loss_", "ctc_"): _exponential,
    ("element_loss_",): _element_loss,
    ("scaled_dot_product_attention_",): _attention,
    ("additive_scores_",): _additive_scores,
    (
        "im2col",
        "take_rows",
        "gather",
        "scatter",
        "sort",
        "topk",
        "one_hot",
        "place_rows",
        "expand",
        "where",
        "uniform",
        "normal",
        "random_bits",
    ): _nothing,
}

_UNITS = (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")


def _short(n, of=""):
    for size, unit in _UNITS:
        if n >= size:
            return f"{n / size:.4g} {unit}{of}"
    return f"{n} {of}".rstrip()
