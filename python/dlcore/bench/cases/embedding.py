"""Rows of tables, single elements, orders and sums along rows."""

from .case import F32, Case

_TABLES = (
    ((50000, 256), (64, 128), "a language model's words, a batch of 64 lines"),
    ((32000, 768), (8, 512), "wide rows, a longer context"),
)


def embeddings():
    for (rows, dim), ids, why in _TABLES:
        read = F32 * ids[0] * ids[1] * dim
        for mode in ("fwd", "fwd+bwd"):
            both = mode != "fwd"
            yield Case(
                "embedding",
                "embedding " + mode,
                "embedding",
                f"embedding ({rows},{dim}) ids {ids[0]}x{ids[1]}",
                why,
                mode,
                {"rows": rows, "dim": dim, "ids": ids},
                peers=("torch",) if both else ("numpy", "torch", "onnxruntime"),
                reads=read * (1 + both),
                writes=read + F32 * rows * dim * both,
            )
    rows, dim, ids = 100_000, 64, (2048, 20)
    for how in ("sum", "mean", "max"):
        for mode in ("fwd", "fwd+bwd"):
            both = mode != "fwd"
            yield Case(
                "embedding",
                "embedding_bag " + mode,
                "embedding_bag",
                f"embedding bag {how} ({rows},{dim}) {ids[0]}x{ids[1]}",
                "a table past every cache; 20 rows to a bag",
                mode,
                {"rows": rows, "dim": dim, "ids": ids, "how": how},
                reads=F32 * dim * (ids[0] * ids[1] + ids[0] * both),
                writes=F32 * dim * (ids[0] + rows * both),
            )


_LINES = (
    ("topk", (128, 32000), "the 50 best of a language model's words"),
    ("sort", (64, 10000), "rows in the second-level cache"),
    ("sort", (2000, 100), "short rows"),
    ("cumsum", (4096, 1000), "along rows"),
    ("cumsum0", (1000, 4096), "along columns"),
    ("gather", (4096, 1000), "one of a row in five"),
    ("scatter_add", (4096, 1000), "one of a row in five, repeated ones among them"),
)


def orders():
    for op, (rows, cols), why in _LINES:
        n = F32 * rows * cols
        yield Case(
            "sort",
            op,
            "along_rows",
            f"{op} ({rows},{cols})",
            why,
            "fwd",
            {"rows": rows, "cols": cols, "op": op},
            peers=("numpy", "torch") if op in ("sort", "cumsum") else ("torch",),
            reads=n,
            writes=n,
        )
