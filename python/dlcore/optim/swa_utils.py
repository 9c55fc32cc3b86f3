"""Averages of a model's weights over its training, under PyTorch's names."""

import copy
from itertools import chain

import numpy as np

from .. import _C
from ..convert import is_sixteen
from ..grad_mode import no_grad
from ..nn import Module
from ..nn.batch_norm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from ..tensor import Tensor, changed, raw
from .lr_scheduler.cycle import _half_cosine
from .lr_scheduler.scheduler import LRScheduler
from .masters import master_of

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]


def get_ema_multi_avg_fn(decay=0.999):
    """The exponential average, for ``AveragedModel(multi_avg_fn=...)``.

    Parameters
    ----------
    decay : float, optional
        Share of the average that stays, :math:`d` in :math:`a = d a + (1 - d) w`.

    Returns
    -------
    callable
        Of a list of averages, changed in place in one native call, a list of weights
        and the number of models averaged so far.

    Raises
    ------
    ValueError
        If `decay` is not from 0 to 1.

    Examples
    --------
    >>> import dlcore as dl
    >>> model = dl.nn.Linear(2, 1)
    >>> averaged = dl.optim.swa_utils.AveragedModel(
    ...     model, multi_avg_fn=dl.optim.swa_utils.get_ema_multi_avg_fn(0.99)
    ... )
    >>> averaged.update_parameters(model)
    """
    share = 1 - _decay(decay)
    return lambda averages, weights, _: _average(averages, weights, share)


def get_swa_multi_avg_fn():
    """The plain mean, for ``AveragedModel(multi_avg_fn=...)``.

    Returns
    -------
    callable
        As that of `get_ema_multi_avg_fn`.
    """
    return lambda averages, weights, n: _average(averages, weights, 1 / (int(n) + 1))


def get_ema_avg_fn(decay=0.999):
    """The exponential average of one tensor, for ``AveragedModel(avg_fn=...)``.

    Parameters
    ----------
    decay : float, optional
        Share of the average that stays.

    Returns
    -------
    callable
        Of the average, the weight and the number of models averaged so far: the new
        average.

    Raises
    ------
    ValueError
        If `decay` is not from 0 to 1.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.optim.swa_utils.get_ema_avg_fn(0.5)(1.0, 3.0, 7)
    2.0
    """
    decay = _decay(decay)
    return lambda average, weight, _: decay * average + (1 - decay) * weight


def get_swa_avg_fn():
    """The plain mean of one tensor, for ``AveragedModel(avg_fn=...)``.

    Returns
    -------
    callable
        Of the average, the weight and the number of models averaged so far: the new
        average.

    Examples
    --------
    >>> import dlcore as dl
    >>> dl.optim.swa_utils.get_swa_avg_fn()(1.0, 3.0, 3)
    1.5
    """
    return lambda average, weight, n: average + (weight - average) / (int(n) + 1)


def _decay(decay):
    if not 0 <= decay <= 1:
        raise ValueError(f"get_ema_avg_fn: decay must be from 0 to 1, got {decay}")
    return float(decay)


def _average(averages, weights, share):
    """Each average moves by `share` of the way to its weight."""
    if not averages:
        return
    _C.adaptive_step(
        "average",
        [a.data for a in averages],
        [w.data for w in weights],
        *[None] * 5,
        share,
        *[0.0] * 6,
        False,
        False,
    )


class AveragedModel(Module):
    r"""A copy of a model whose weights are averages of the model's.

    Parameters
    ----------
    model : Module
        Is copied.
    device : optional
        Without effect.
    avg_fn : callable, optional
        Gives the new average of one tensor: see `get_swa_avg_fn`.
    multi_avg_fn : callable, optional
        Changes the averages of all tensors at once: see `get_swa_multi_avg_fn`, which
        is taken when neither is given.
    use_buffers : bool, optional
        Average the buffers too; otherwise they are copied at each update.

    Attributes
    ----------
    module : Module
        The copy; `state_dict` has its names behind ``"module."``.
    n_averaged : Tensor
        How many models were averaged.

    Raises
    ------
    ValueError
        If both functions are given.

    Notes
    -----
    Stochastic weight averaging (Izmailov et al. 2018), or, with
    ``multi_avg_fn=get_ema_multi_avg_fn(decay)``, the exponential average. The first
    update copies the weights.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> model = dl.nn.Linear(2, 1)
    >>> averaged = dl.optim.swa_utils.AveragedModel(model)
    >>> for value in (1.0, 2.0, 6.0):
    ...     _ = dl.init.constant_(model.weight, value)
    ...     averaged.update_parameters(model)
    >>> averaged.module.weight.data
    array([[3., 3.]], dtype=float32)
    """

    def __init__(
        self, model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False
    ):
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError(
                "AveragedModel: only one of avg_fn and multi_avg_fn must be given"
            )
        self.module = copy.deepcopy(model)
        self.register_buffer("n_averaged", np.array(0))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers
        self._masters = {}  # of averages in 16 bits, which a small share would not move

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    def update_parameters(self, model):
        """Take the weights of `model` into the averages.

        Parameters
        ----------
        model : Module
            Of the same parameters as the one given first.

        Raises
        ------
        ValueError
            If its parameters are others in number, shape or dtype; nothing is changed
            then.
        """
        ours, theirs = list(self.module.parameters()), list(model.parameters())
        kept, current = list(self.module.buffers()), list(model.buffers())
        for name, a, b in (("parameters", ours, theirs), ("buffers", kept, current)):
            if [_kind(t) for t in a] != [_kind(t) for t in b]:
                raise ValueError(
                    f"AveragedModel: update_parameters: model must have the {name} of "
                    "the one that was copied"
                )
        if self.use_buffers:
            ours, theirs = [*ours, *kept], [*theirs, *current]
            kept = current = []
        n = self.n_averaged.item()
        real = [n > 0 and _is_real(t.data.dtype) for t in ours]
        for a, b in chain(
            ((a, b) for a, b, r in zip(ours, theirs, real) if not r),
            zip(kept, current),
        ):
            np.copyto(a.data, b.data)
        stored = [a for a, r in zip(ours, real) if r]
        averages = [Tensor(self._wide(a)) for a in stored]
        weights = [Tensor(raw(b)) for b, r in zip(theirs, real) if r]
        if self.avg_fn is not None:
            for a, b in zip(averages, weights):
                new = self.avg_fn(a, b, n)
                np.copyto(a.data, new.data if isinstance(new, Tensor) else new)
        elif averages:
            average = self.multi_avg_fn or get_swa_multi_avg_fn()
            average(averages, weights, n)
        for a, wide in zip(stored, averages):
            if a.data is not wide.data:
                np.copyto(a.data, wide.data, "unsafe")
        self.n_averaged.data += 1
        changed([*ours, *kept])

    def _wide(self, average):
        """What an average is computed in: a float32 copy of one stored in 16 bits."""
        if not is_sixteen(average.data.dtype):
            return average.data
        return master_of(self._masters.setdefault(average, {}), average.data)


def _is_real(dtype):
    return dtype.kind == "f" or is_sixteen(dtype)


def _kind(tensor):
    return tensor.data.shape, tensor.data.dtype


def update_bn(loader, model, device=None):
    """Compute the statistics of batch normalization anew, for averaged weights.

    Parameters
    ----------
    loader : iterable
        Batches for the model, or tuples and lists whose first element is one.
    model : Module
        Its statistics become the plain means over the batches.
    device : optional
        Without effect.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> model = dl.nn.Sequential(dl.nn.BatchNorm1d(2))
    >>> batches = [np.full((4, 2), value, "float32") for value in (1.0, 3.0)]
    >>> dl.optim.swa_utils.update_bn(batches, model)
    >>> model[0].running_mean
    tensor([2., 2.])
    """
    kinds = (BatchNorm1d, BatchNorm2d, BatchNorm3d)
    layers = [
        m
        for m in model.modules()
        if isinstance(m, kinds) and m.running_mean is not None
    ]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    modes = [(m, m.training) for m in model.modules()]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    try:
        model.train()
        with no_grad():
            for batch in loader:
                model(batch[0] if isinstance(batch, (tuple, list)) else batch)
    finally:
        for layer, momentum in zip(layers, momenta):
            layer.momentum = momentum
        for module, mode in modes:
            module.training = mode


class SWALR(LRScheduler):
    r"""The rate goes to a fixed one, and stays.

    Parameters
    ----------
    optimizer : Optimizer
        The optimizer.
    swa_lr : float or list of float
        The last rate (of each group).
    anneal_epochs : int, optional
        Steps until it is reached; 0: at once.
    anneal_strategy : {"cos", "linear"}, optional
        Along a cosine, or straight.
    last_epoch : int, optional
        See `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong kind or out of range.

    Notes
    -----
    :math:`\eta(t) = \eta_0 (1 - a) + \eta_{swa} a`, with :math:`a` from 0 to 1 and
    :math:`\eta_0` the rate at the first step: until then another schedule may have
    changed it. PyTorch's.

    Examples
    --------
    >>> import dlcore as dl
    >>> optimizer = dl.optim.SGD([dl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = dl.optim.swa_utils.SWALR(
    ...     optimizer, 0.5, anneal_epochs=2, anneal_strategy="linear"
    ... )
    >>> for _ in range(3):
    ...     print(schedule.get_last_lr())
    ...     schedule.step()
    [1.0]
    [0.75]
    [0.5]
    """

    def __init__(
        self, optimizer, swa_lr, anneal_epochs=10, anneal_strategy="cos", last_epoch=-1
    ):
        self.swa_lr = swa_lr
        self._ends = [
            self._real("swa_lr", lr, 0)
            for lr in self._per_group(optimizer, "swa_lr", swa_lr)
        ]
        self.anneal_epochs = self._whole("anneal_epochs", anneal_epochs, 0)
        self.anneal_strategy = self._one_of(
            "anneal_strategy", anneal_strategy, ("cos", "linear")
        )
        super().__init__(optimizer, last_epoch)

    def step(self, epoch=None):
        if self.last_epoch == 0:
            self._start = [float(group["lr"]) for group in self._same_groups()]
            self._last_lr = list(self._start)
        super().step(epoch)

    def _lr(self, t, start, index):
        share = min(1.0, t / self.anneal_epochs) if self.anneal_epochs else 1.0
        if self.anneal_strategy == "cos":
            share = 1 - _half_cosine(share)
        return start + (self._ends[index] - start) * share
