"""Softmax over very many classes, most of them rare."""

from collections import namedtuple

import numpy as np

from ..grad_mode import no_grad
from ..ops import (
    add,
    argmax,
    concatenate,
    cross_entropy,
    index_add,
    index_select,
    linear_cross_entropy,
    log_softmax,
    mean,
    neg,
    unsqueeze,
)
from ..ops.shape import as_array
from ..tensor import Tensor, raw
from .checks import at_least_one
from .container import ModuleList, Sequential
from .linear import Linear
from .module import Module

AdaptiveOutput = namedtuple("AdaptiveOutput", ("output", "loss"))


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-softmax in two steps: among frequent classes and clusters, then in a cluster.

    With half a million of classes and Zipf's law most targets are among the first few
    thousand, and only they are looked at; the rare ones get narrower features (Grave
    et al. 2017). Classes are numbered by falling frequency.

    Parameters
    ----------
    in_features : int
        Length of a row of the input.
    n_classes : int
    cutoffs : sequence of int
        Rising, below `n_classes`: the first class of each cluster. Classes below the
        first are frequent.
    div_value : float, optional
        Cluster i has ``in_features // div_value**(i + 1)`` features.
    head_bias : bool, optional
        Whether the first step has a bias.
    dtype : dtype, optional
        Of the parameters: float32 or float64.

    Attributes
    ----------
    head : Linear
        To the frequent classes and a number for each cluster.
    tail : ModuleList of Sequential
        Of each cluster, two Linear.

    Raises
    ------
    ValueError
        If `cutoffs` do not rise from 1 to below `n_classes`.

    See Also
    --------
    dlcore.linear_cross_entropy

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.AdaptiveLogSoftmaxWithLoss(16, 1000, [50, 200])
    >>> output, loss = layer(np.zeros((4, 16), "float32"), np.array([0, 60, 999, 3]))
    >>> output.shape, loss.shape
    ((4,), ())
    """

    def __init__(
        self,
        in_features,
        n_classes,
        cutoffs,
        div_value=4.0,
        head_bias=False,
        dtype=None,
    ):
        name = type(self).__name__
        at_least_one(name, in_features=in_features, n_classes=n_classes)
        cutoffs = [int(c) for c in cutoffs]
        if not cutoffs or np.diff([0, *cutoffs, n_classes]).min() < 1:
            raise ValueError(
                f"{name}: cutoffs must rise from 1 to below n_classes, {n_classes}, "
                f"got {cutoffs}"
            )
        self.in_features, self.n_classes = in_features, n_classes
        self.cutoffs = [*cutoffs, n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size, self.n_clusters = cutoffs[0], len(cutoffs)
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, head_bias, dtype)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            size = self.cutoffs[i + 1] - self.cutoffs[i]
            width = int(in_features // div_value ** (i + 1))
            at_least_one(name, **{f"in_features // div_value ** {i + 1}": width})
            first = Linear(in_features, width, False, dtype)
            self.tail.append(Sequential(first, Linear(width, size, False, dtype)))

    def reset_parameters(self):
        """Draw the parameters anew."""
        self.head.reset_parameters()
        for first, second in self.tail:
            first.reset_parameters()
            second.reset_parameters()

    def forward(self, input_, target_):
        """Log-probabilities of the targets, and their negative mean.

        Parameters
        ----------
        input_ : ndarray or Tensor, shape (N, in_features) or (in_features,)
        target_ : ndarray or Tensor of int, shape (N,) or ()

        Returns
        -------
        output : Tensor, of the shape of `target_`
        loss : Tensor, shape ()

        Raises
        ------
        ValueError
            If the shapes do not fit.
        IndexError
            If a target is no class.
        """
        x, target = self._rows(input_), raw(target_)
        target = as_array(type(self).__name__, target, "target_").reshape(-1)
        count = raw(x).shape[0]
        if target.shape != (count,) or raw(target_).ndim != raw(input_).ndim - 1:
            raise ValueError(
                f"{type(self).__name__}: target_ must have a class for each row of "
                f"input_, got {raw(target_).shape} and {raw(input_).shape}"
            )
        if target.size and not 0 <= target.min() <= target.max() < self.n_classes:
            raise IndexError(
                f"{type(self).__name__}: target_ must be from 0 to "
                f"{self.n_classes - 1}, got {target.min()} to {target.max()}"
            )
        cluster = np.searchsorted(self.cutoffs, target, "right") - 1
        first = np.where(cluster < 0, target, self.shortlist_size + cluster)
        losses = cross_entropy(self.head(x), first, reduction="none")
        for i, (narrow, last) in enumerate(self.tail):
            rows = np.flatnonzero(cluster == i)
            if rows.size:
                part = linear_cross_entropy(
                    narrow(index_select(x, 0, rows)),
                    last.weight,
                    target[rows] - self.cutoffs[i],
                    reduction="none",
                )
                losses = index_add(losses, 0, rows, part)
        output = neg(losses)
        loss = mean(losses)
        return AdaptiveOutput(output if raw(input_).ndim == 2 else output[0], loss)

    def log_prob(self, input):
        """Log-probabilities of all classes, shape (N, n_classes)."""
        x = self._rows(input)
        head = log_softmax(self.head(x), 1)
        parts = [head[:, : self.shortlist_size]]
        for i, layers in enumerate(self.tail):
            among = unsqueeze(head[:, self.shortlist_size + i], 1)
            parts.append(add(log_softmax(layers(x), 1), among))
        y = concatenate(parts, 1)
        return y if raw(input).ndim == 2 else y[0]

    def predict(self, input):
        """The likeliest class of each row, shape (N,); no gradient."""
        with no_grad():
            x = self._rows(input)
            best = raw(argmax(self.head(x), 1)).copy()
            rows = np.flatnonzero(best >= self.shortlist_size)
            if rows.size:
                scores = self.log_prob(index_select(x, 0, rows))
                best[rows] = raw(argmax(scores, 1))
        return Tensor(best if raw(input).ndim == 2 else best[0])

    def _rows(self, x):
        a = as_array(type(self).__name__, raw(x), "input")
        if a.ndim not in (1, 2) or a.shape[-1] != self.in_features:
            raise ValueError(
                f"{type(self).__name__}: input must have shape (N, {self.in_features}) "
                f"or ({self.in_features},), got input.shape = {a.shape}"
            )
        return x if a.ndim == 2 else unsqueeze(x, 0)
