"""Matrix products."""

import numpy as np

import dlcore as dl

from .elementwise import UNARY
from .table import add, normal

add("matmul", normal((7, 19), (19, 33)), lambda a, b: dl.matmul(a, b), np.matmul)
add("matmul", normal((2, 1, 3, 5), (4, 5, 6)), lambda a, b: dl.matmul(a, b), np.matmul)
add("mm", normal((7, 19), (19, 33)), lambda a, b: dl.mm(a, b), np.matmul)
add("bmm", normal((3, 7, 19), (3, 19, 5)), lambda a, b: dl.bmm(a, b), np.matmul)
for _op, _batch in ("addmm", ()), ("baddbmm", (3,)):
    add(
        _op,
        normal((5,), (*_batch, 7, 19), (*_batch, 19, 5)),
        lambda x, a, b, _op=_op: getattr(dl, _op)(x, a, b, beta=0.5, alpha=2),
        lambda x, a, b: 0.5 * x + 2 * (a @ b),
    )
add("mm", normal((3, 40), (40, 5)), lambda a, b: dl.mm(a, b), np.matmul)
add("bmm", normal((3, 4, 5), (3, 5, 6)), lambda a, b: dl.bmm(a, b), np.matmul)
add(
    "addmm",
    normal((4, 6), (4, 5), (5, 6)),
    lambda c, a, b: dl.addmm(c, a, b, beta=0.5, alpha=2),
    lambda c, a, b: 0.5 * c + 2 * (a @ b),
)
add(
    "baddbmm",
    normal((3, 4, 6), (3, 4, 5), (3, 5, 6)),
    lambda c, a, b: dl.baddbmm(c, a, b, beta=0.5, alpha=2),
    lambda c, a, b: 0.5 * c + 2 * (a @ b),
)
add(
    "linear",
    normal((5, 9), (17, 9), (17,)),
    lambda x, w, b: dl.linear(x, w, b, activation="gelu"),
    lambda x, w, b: UNARY["gelu"](x @ w.T + b),
)
add(
    "linear",
    normal((5, 9), (17, 9), (17,)),
    lambda x, w, b: dl.linear(x, w, b),
    lambda x, w, b: x @ w.T + b,
)
add(
    "bilinear",
    normal((5, 4), (5, 3), (2, 4, 3), (2,)),
    lambda a, b, w, bias: dl.bilinear(a, b, w, bias),
    lambda a, b, w, bias: np.einsum("ni,kij,nj->nk", a, w, b) + bias,
)
add(
    "normalize",
    normal((5, 4)),
    lambda x: dl.normalize(x),
    lambda x: x / np.linalg.norm(x, axis=1, keepdims=True),
)
