"""Reductions."""

import numpy as np

import dlcore as dl

from .table import PLANE, add, apart, normal

for _op in ("sum", "mean"):
    for _axis in (None, 0, 1):
        add(
            _op,
            normal(PLANE),
            lambda x, _op=_op, _axis=_axis: getattr(dl, _op)(x, dim=_axis),
            lambda x, _op=_op, _axis=_axis: getattr(np, _op)(x, axis=_axis),
        )
for _op in ("max", "min"):
    add(
        "a" + _op,
        apart(PLANE),
        lambda x, _op=_op: getattr(dl, "a" + _op)(x, dim=1),
        lambda x, _op=_op: getattr(np, _op)(x, axis=1),
    )
    add(
        "arg" + _op,
        apart(PLANE),
        lambda x, _op=_op: getattr(dl, "arg" + _op)(x, dim=1),
        lambda x, _op=_op: getattr(np, "arg" + _op)(x, axis=1),
        gradient=False,
    )

add("prod", apart(PLANE), lambda x: dl.prod(x, 1), lambda x: x.prod(1), bound=200)
add("max", apart(PLANE), lambda x: dl.max(x), lambda x: x.max())
add("min", apart(PLANE), lambda x: dl.min(x), lambda x: x.min())
add("var", normal(PLANE), lambda x: dl.var(x, 1), lambda x: x.var(1, ddof=1))
add("std", normal(PLANE), lambda x: dl.std(x, 1), lambda x: x.std(1, ddof=1))
add("norm", normal(PLANE), lambda x: dl.norm(x), np.linalg.norm)
add(
    "logsumexp",
    normal(PLANE),
    lambda x: dl.logsumexp(x, 1),
    lambda x: np.log(np.exp(x).sum(1)),
)
for _op in ("any", "all"):
    add(
        _op,
        lambda rng: [rng.integers(-1, 2, (9, 2)).astype(float)],
        lambda x, _op=_op: getattr(dl, _op)(x, 1),
        lambda x, _op=_op: getattr(np, _op)(x, 1),
        gradient=False,
    )
