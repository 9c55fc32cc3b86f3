"""A linear layer and cross-entropy in one: the scores are never held all at once."""

import numpy as np

from .. import _C
from ..grad_mode import autocasts, is_autocast_enabled, is_grad_enabled
from ..tensor import raw, record
from .inputs import wants
from .shape import as_array

_OP = "linear_cross_entropy"
_SCORES = 1 << 24  # of a chunk: 64 MB in float32
_LEAST_ROWS = 128  # of a chunk: fewer, and the products are bound by reading the weight


def linear_cross_entropy(
    input,
    linear_weight,
    target,
    *,
    linear_bias=None,
    weight=None,
    reduction="mean",
    ignore_index=-100,
    label_smoothing=0.0,
):
    """``cross_entropy(linear(input, linear_weight, linear_bias), target)`` in chunks.

    Parameters
    ----------
    input : ndarray or Tensor, shape (in,) or (N, in)
        float32 or float64.
    linear_weight : ndarray or Tensor, shape (C, in)
    target : ndarray or Tensor of int, shape () or (N,)
        The right class of each row.
    linear_bias : ndarray or Tensor, shape (C,), optional
    weight : ndarray, shape (C,), optional
        Weight of each class.
    reduction : {'mean', 'sum', 'none'}, optional
        As for `cross_entropy`.
    ignore_index : int, optional
        A target that does not count.
    label_smoothing : float, optional
        How much of the target is spread evenly over the classes.

    Returns
    -------
    ndarray or Tensor
        Shape (), or that of `target` for ``'none'``.

    Raises
    ------
    IndexError
        If a target is neither a class nor `ignore_index`.
    ValueError
        If shapes do not fit or `reduction` is not known.
    TypeError
        If the dtypes do not fit.

    See Also
    --------
    cross_entropy, linear

    Notes
    -----
    Of a language model's scores, N rows of C words, some 64 MB at a time exist. Where a
    gradient is recorded, forward makes it chunk by chunk while the scores are there
    (for ``'none'`` backward makes the scores again).

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> x, w = np.zeros((2, 3)), np.zeros((4, 3))
    >>> dl.linear_cross_entropy(x, w, np.array([2, 0])).round(4)
    np.float64(1.3863)
    """
    x, w = as_array(_OP, input, "input"), as_array(_OP, linear_weight, "linear_weight")
    b, classes = raw(linear_bias), as_array(_OP, target, "target").copy()
    _check(x, w, classes)
    single = x.ndim == 1
    if single:
        x, classes = x[None], np.reshape(classes, 1)
    want = wants(input), wants(linear_weight), wants(linear_bias)
    chunks = _Chunks(x, w, b, classes, raw(weight), ignore_index, label_smoothing)
    recorded = is_grad_enabled() and any(want)
    parents = input, linear_weight, linear_bias, target
    if reduction == "none":
        loss = chunks.losses()

        def remade(dy):
            return _shaped(chunks.gradients(want, dy.reshape(-1)), single)

        return record(loss.reshape(x.shape[:1] if not single else ()), parents, remade)
    total, count, made = chunks.total(reduction, want if recorded else ())
    share = 1.0 if reduction == "sum" else 1 / count if count else np.nan
    loss = np.asarray(total * share, x.dtype)

    def backward(dy):
        scale = dy.item() * share
        return _shaped([None if g is None else _C.mul(g, scale) for g in made], single)

    return record(loss, parents, backward)


def _check(x, w, classes):
    """What one chunk could not tell of the whole."""
    if x.ndim not in (1, 2):
        raise ValueError(
            f"{_OP}: input must have shape (N, in) or (in,), "
            f"got input.shape = {x.shape}"
        )
    if w.ndim != 2:
        raise ValueError(
            f"{_OP}: linear_weight must have shape (C, in), got "
            f"linear_weight.shape = {w.shape}"
        )
    if classes.shape != x.shape[:-1] or classes.dtype.kind not in "iu":
        raise ValueError(
            f"{_OP}: target must be whole numbers of shape {x.shape[:-1]}, "
            f"got {classes.dtype} of shape {classes.shape}"
        )


def _shaped(gradients, single):
    dx, dw, db = gradients
    return dx[0] if single and dx is not None else dx, dw, db, None


class _Chunks:
    """The rows, some at a time."""

    def __init__(self, x, w, b, classes, weight, ignore_index, smoothing):
        self.x, self.w, self.b, self.classes = x, w, b, classes
        self.options = weight, ignore_index
        self.smoothing = smoothing
        self.low = bool(autocasts) and is_autocast_enabled()

    def parts(self):
        rows = len(self.x)
        step = max(_LEAST_ROWS, _SCORES // max(1, len(self.w)))
        # The first also when there is no row: it checks the arguments.
        return [slice(i, min(i + step, rows)) for i in range(0, max(rows, 1), step)]

    def scores(self, part):
        given = self.x[part], self.w, self.b
        return _C.linear_forward(*given, None, None, 0.01, False, self.low)[0]

    def forward(self, part, reduction, gradient):
        return _C.cross_entropy_forward(
            self.scores(part),
            self.classes[part],
            *self.options,
            reduction,
            self.smoothing,
            gradient,
        )

    def losses(self):
        made = [self.forward(part, "none", False)[0] for part in self.parts()]
        return made[0] if len(made) == 1 else np.concatenate(made)

    def total(self, reduction, want):
        """The sum of the losses, that of their weights, and the sum's gradients."""
        total = count = 0.0
        made = _Gradients(self, want) if want else None
        if reduction not in ("sum", "mean"):
            self.forward(slice(0, 0), reduction, False)  # refuses
        for part in self.parts():
            loss, _, n, slope = self.forward(part, "sum", bool(want))
            total, count = total + float(loss), count + n
            if made is not None:
                made.add(part, slope)
        return total, count, made.all if made else (None,) * 3

    def gradients(self, want, dy):
        made = _Gradients(self, want)
        for part in self.parts():
            scores, classes = self.scores(part), self.classes[part]
            given = *self.options, "none", self.smoothing
            normalizer, n = _C.cross_entropy_forward(scores, classes, *given, False)[
                1:3
            ]
            made.add(
                part,
                _C.cross_entropy_backward(
                    scores, classes, *given, normalizer, n, dy[part]
                ),
            )
        return made.all


class _Gradients:
    """Those of input, linear_weight and linear_bias, of the chunks so far."""

    def __init__(self, chunks, want):
        self.chunks, self.want = chunks, want
        want_x, want_w, want_b = want
        dx = np.empty_like(chunks.x) if want_x else None
        dw = np.zeros_like(chunks.w, order="C") if want_w else None
        db = np.zeros_like(chunks.b, order="C") if want_b else None
        self.all = dx, dw, db

    def add(self, part, slope):
        dx, dw, db = self.all
        x, w = self.chunks.x[part], self.chunks.w
        if dx is not None:
            dx[part] = _C.matmul(slope, w, None, self.chunks.low)
        if dw is not None:
            _C.addmm(_OP, 2, dw, slope.T, x, 1, 1, dw, self.chunks.low)
        if db is not None:
            _C.add(db, _C.sum(slope, 0, False), db)
