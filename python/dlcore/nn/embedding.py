"""Tables of vectors: Embedding and EmbeddingBag."""

import numpy as np

from .. import _C, init
from ..grad_mode import no_grad
from ..ops import embedding, embedding_bag
from ..tensor import Tensor
from .checks import at_least_one
from .module import Module, Parameter


def _on_lines(shape, dtype):
    """An empty array on a line of the cache: a row off it touches a line more."""
    if dtype not in (np.float32, np.float64):
        return np.empty(shape, dtype)
    return _C.empty(*shape, dtype == np.float64)


class _Table(Module):
    """What both share: the table and its first values."""

    def __init__(
        self,
        num_embeddings,
        embedding_dim,
        padding_idx,
        max_norm,
        norm_type,
        scale_grad_by_freq,
        sparse,
        _weight,
        dtype,
    ):
        name = type(self).__name__
        at_least_one(name, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise IndexError(
                    f"{name}: padding_idx must be from {-num_embeddings} to "
                    f"{num_embeddings - 1}, got {padding_idx}"
                )
            padding_idx %= num_embeddings
        self.padding_idx = padding_idx
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        shape = num_embeddings, embedding_dim
        if _weight is None:
            self.weight = Parameter(_on_lines(shape, np.dtype(dtype or np.float32)))
            self.reset_parameters()
        else:
            self.weight = Parameter(_weight)
            if self.weight.shape != shape:
                raise ValueError(
                    f"{name}: _weight must have shape {shape}, got {self.weight.shape}"
                )

    def reset_parameters(self):
        """Draw the table anew; the row `padding_idx` is 0."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0

    @classmethod
    def from_pretrained(cls, embeddings, freeze=True, **options):
        """A module with a given table.

        Parameters
        ----------
        embeddings : ndarray or Tensor, shape (num_embeddings, embedding_dim)
            Shared, not copied.
        freeze : bool, optional
            Whether the table does without gradients.
        **options
            As for the module: `padding_idx`, `max_norm`, ...
        """
        table = embeddings.data if isinstance(embeddings, Tensor) else embeddings
        if not isinstance(table, np.ndarray) or table.ndim != 2:
            raise ValueError(
                f"{cls.__name__}: embeddings must be an array of two axes, got "
                f"{getattr(table, 'shape', type(table).__name__)}"
            )
        made = cls(*table.shape, _weight=table, **options)
        made.weight.requires_grad_(not freeze)
        return made

    def extra_repr(self):
        mode = f", mode={self.mode!r}" if hasattr(self, "mode") else ""
        note = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{mode}{note}"


class Embedding(_Table):
    """The row of a table that each number names.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        Rows and columns of the table.
    padding_idx : int, optional
        A row that is 0 at first and has no gradient.
    max_norm : float, optional
        Rows with a larger norm are shortened to it when they are used.
    norm_type : float, optional
        The p of that norm.
    scale_grad_by_freq : bool, optional
        Divide the gradient of a row by how often it was named.
    sparse : bool, optional
        Whether the gradient of the table is that of the named rows alone, see
        `dlcore.nn.functional.embedding`.
    dtype : dtype, optional
        Of the table: float32 or float64.

    Attributes
    ----------
    weight : Parameter, shape (num_embeddings, embedding_dim)
        Standard normal at first.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.nn.Embedding(10, 3, padding_idx=0)(np.array([[1, 2, 0]])).shape
    (1, 3, 3)
    """

    def __init__(
        self,
        num_embeddings,
        embedding_dim,
        padding_idx=None,
        max_norm=None,
        norm_type=2.0,
        scale_grad_by_freq=False,
        sparse=False,
        _weight=None,
        _freeze=False,
        dtype=None,
    ):
        super().__init__(
            num_embeddings,
            embedding_dim,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight,
            dtype,
        )
        if _freeze:
            self.weight.requires_grad_(False)

    def forward(self, input):
        return embedding(
            input,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.sparse,
        )


class EmbeddingBag(_Table):
    """The mean, sum or largest of the rows of each bag of numbers.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        Rows and columns of the table.
    max_norm : float, optional
        Rows with a larger norm are shortened to it when they are used.
    norm_type : float, optional
        The p of that norm.
    scale_grad_by_freq : bool, optional
        Must be False.
    mode : str, optional
        "mean", "sum" or "max".
    sparse : bool, optional
        Whether the gradient of the table is that of the named rows alone, see
        `dlcore.nn.functional.embedding_bag`; not of the largest.
    include_last_offset : bool, optional
        Whether the offsets end with the end of the last bag.
    padding_idx : int, optional
        A row that is left out of every bag.
    dtype : dtype, optional
        Of the table: float32 or float64.

    Attributes
    ----------
    weight : Parameter, shape (num_embeddings, embedding_dim)
        Standard normal at first.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.nn.EmbeddingBag(10, 3)(np.array([1, 2, 4]), np.array([0, 2])).shape
    (2, 3)
    """

    def __init__(
        self,
        num_embeddings,
        embedding_dim,
        max_norm=None,
        norm_type=2.0,
        scale_grad_by_freq=False,
        mode="mean",
        sparse=False,
        _weight=None,
        include_last_offset=False,
        padding_idx=None,
        dtype=None,
    ):
        if mode not in ("mean", "sum", "max"):
            raise ValueError(
                f"EmbeddingBag: mode must be 'mean', 'sum' or 'max', got {mode!r}"
            )
        super().__init__(
            num_embeddings,
            embedding_dim,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight,
            dtype,
        )
        self.mode, self.include_last_offset = mode, include_last_offset

    def forward(self, input, offsets=None, per_sample_weights=None):
        return embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            self.sparse,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )
