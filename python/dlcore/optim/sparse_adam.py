"""Adam for tables of which few rows are used."""

import math

from .adam import Adam


class SparseAdam(Adam):
    r"""Adam that steps the named rows of a table alone, their moments with them.

    For parameters whose gradient is a `RowSparse`: the weight of an `Embedding` or
    `EmbeddingBag` with ``sparse=True``.

    Parameters
    ----------
    params, lr, betas, eps, maximize
        See `Adam`.

    Raises
    ------
    ValueError
        If an option is out of range.
    TypeError
        By `step`, if a gradient is an array.

    Notes
    -----
    PyTorch's form, in which :math:`\epsilon` is added to the root of the second moment
    before its correction. The moments of a row that is not named do not fade.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> table = dl.nn.Embedding(1000, 2, sparse=True)
    >>> optimizer = dl.optim.SparseAdam(table.parameters(), lr=0.1)
    >>> before = table.weight[3].detach().numpy().copy()
    >>> table(np.array([3])).sum().backward()
    >>> optimizer.step()
    >>> (before - table.weight[3].detach().numpy()).round(3)
    array([0.1, 0.1], dtype=float32)
    """

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, *, maximize=False
    ):
        super().__init__(params, lr, betas, eps, maximize=maximize)

    def _step(self, index, group, params, grads):
        if index is not None:
            raise TypeError(
                "SparseAdam: grad must be one of rows: take sparse=True in the "
                "embedding, or Adam"
            )
        kept = self._state.get(params[0])
        step = 1 + (int(kept["step"]) if kept else 0)
        eps = group["eps"] / math.sqrt(1 - group["betas"][1] ** step)
        super()._step(index, {**group, "eps": eps}, params, grads)
