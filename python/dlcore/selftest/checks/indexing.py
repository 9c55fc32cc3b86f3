"""Embedding, picking, sorting and sums of products."""

import numpy as np

import dlcore as dl

from .table import PLANE, add, apart, normal

_ROWS = np.array([3, 0, 3, 4])
_PLACES = np.array([[0, 1], [2, 2], [0, 0], [4, 3], [1, 4]])
_MASK = np.arange(23) % 3 == 0


def _with_places(x, src, add):
    y = x.copy()
    for place in np.ndindex(_PLACES.shape):
        at = place[0], _PLACES[place]
        y[at] = y[at] * add + src[place]
    return y


def _added(x, source):
    y = x.copy()
    for i, row in zip(_ROWS, source, strict=True):
        y[i] += row
    return y


add(
    "embedding", normal(PLANE), lambda w: dl.embedding(_PLACES, w), lambda w: w[_PLACES]
)
for _mode in ("sum", "mean", "max"):
    add(
        "embedding_bag",
        apart(PLANE),
        lambda w, _mode=_mode: dl.embedding_bag(_PLACES, w, mode=_mode),
        lambda w, _mode=_mode: getattr(w[_PLACES], _mode)(1),
    )
add(
    "index_select",
    normal(PLANE),
    lambda x: dl.index_select(x, 0, _ROWS),
    lambda x: x[_ROWS],
)
add(
    "index_add",
    normal(PLANE, (4, 23)),
    lambda x, source: dl.index_add(x, 0, _ROWS, source),
    _added,
)
add(
    "gather",
    normal(PLANE),
    lambda x: dl.gather(x, 1, _PLACES),
    lambda x: np.take_along_axis(x, _PLACES, 1),
)
for _op, _adds in (("scatter", False), ("scatter_add", True)):
    add(
        _op,
        normal(PLANE, (5, 2)),
        lambda x, src, _op=_op: getattr(dl, _op)(x, 1, _PLACES, src),
        lambda x, src, _adds=_adds: _with_places(x, src, _adds),
    )
add(
    "one_hot",
    lambda rng: [rng.integers(0, 5, PLANE).astype(float)],
    lambda x: dl.to(dl.one_hot(dl.to(x, "int64"), 5), x.dtype),
    lambda x: (x[..., None] == np.arange(5)).astype(float),
    gradient=False,
)
add(
    "masked_fill",
    normal(PLANE),
    lambda x: dl.masked_fill(x, _MASK, 2.0),
    lambda x: np.where(_MASK, 2.0, x),
)
add(
    "masked_select",
    normal(PLANE),
    lambda x: dl.masked_select(x, _MASK),
    lambda x: x[:, _MASK].reshape(-1),
)
add("sort", apart(PLANE), lambda x: dl.sort(x, 1)[0], lambda x: np.sort(x, 1))
add(
    "argsort",
    apart(PLANE),
    lambda x: dl.argsort(x, 1),
    lambda x: np.argsort(x, 1),
    gradient=False,
)
add("topk", apart(PLANE), lambda x: dl.topk(x, 2)[0], lambda x: -np.sort(-x, 1)[:, :2])
add("cumsum", normal(PLANE), lambda x: dl.cumsum(x, 1), lambda x: np.cumsum(x, 1))
add("cumprod", normal(PLANE), lambda x: dl.cumprod(x, 1), lambda x: np.cumprod(x, 1))
for _equation, _shapes in (
    ("bij,bjk->bki", ((2, 5, 7), (2, 7, 3))),
    ("iij,jk,k->i", ((3, 3, 5), (5, 7), (7,))),
):
    add(
        "einsum",
        normal(*_shapes),
        lambda *xs, _equation=_equation: dl.einsum(_equation, *xs),
        lambda *xs, _equation=_equation: np.einsum(_equation, *xs),
    )
add(
    "hardmax",
    apart(PLANE),
    lambda x: dl.hardmax(x, 1),
    lambda x: (x == x.max(1, keepdims=True)).astype(float),
)
