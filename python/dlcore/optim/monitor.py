"""The sizes of each layer's gradients and updates, step by step."""

import math
from collections.abc import Iterable, Mapping

import numpy as np

from .. import _C
from ..tensor import Tensor


class GradientMonitor:
    r"""Names the layers whose gradients vanish or explode.

    Call `record` once in each step of the training, after ``optimizer.step()`` and
    before the gradients are forgotten.

    Parameters
    ----------
    model : Module, mapping or iterable of (str, Tensor)
        Parameters with names, or what has them: ``named_parameters()``. The layer of
        ``"conv1.weight"`` is ``"conv1"``.
    vanishing, exploding : float, optional
        A layer's gradients vanish where the norm of its gradient over the norm of its
        parameters is less than the one, and explode where it is more than the other or
        not finite.
    window : int, optional
        How many of the last steps count: their median.

    Attributes
    ----------
    layers : list of str
        The layers, in the order of the model.
    steps : int
        How many steps were recorded.

    Raises
    ------
    TypeError, ValueError
        If `model` has no parameters with names, or a bound is out of range.

    Notes
    -----
    A step of plain gradient descent changes a layer by the share
    :math:`\eta \|g\| / \|w\|`. Between :math:`10^{-6}` and :math:`10^3`, the bounds,
    there is a learning rate that trains it. Adam and its kin scale gradients; what they
    really did is the column of updates, of which a share of about
    :math:`10^{-3}` is usual. A step's update is the difference to the parameters at the
    record before: keeping them takes a copy of the model.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.manual_seed(0)
    >>> layers = [
    ...     layer
    ...     for _ in range(12)
    ...     for layer in (dl.nn.Linear(8, 8), dl.nn.Sigmoid())
    ... ]
    >>> model = dl.nn.Sequential(*layers)
    >>> monitor = dl.optim.GradientMonitor(model)
    >>> model(np.ones((4, 8), "float32")).sum().backward()
    >>> monitor.record()
    >>> monitor.vanishing()
    ['0', '2', '4', '6', '8']
    """

    def __init__(self, model, vanishing=1e-6, exploding=1e3, window=20):
        for name, value in (("vanishing", vanishing), ("exploding", exploding)):
            if isinstance(value, str) or not float(value) > 0:
                raise ValueError(
                    f"GradientMonitor: {name} must be a number above 0, got {value!r}"
                )
        if int(window) < 1:
            raise ValueError(
                f"GradientMonitor: window must be at least 1, got {window}"
            )
        self.bounds = float(vanishing), float(exploding)
        self.window = int(window)
        self._params = _named(model)
        self.layers = list(dict.fromkeys(_layer(name) for name in self._params))
        self.steps = 0
        self._places = [self.layers.index(_layer(name)) for name in self._params]
        self._before = None
        self._rows = []  # of each step: gradient, parameter and update norms by layer

    def record(self):
        """Look at the gradients and parameters as they are now.

        Raises
        ------
        ValueError
            If no parameter has a gradient: call it before ``zero_grad``.
        """
        params = list(self._params.values())
        if all(p.grad is None for p in params):
            raise ValueError(
                "GradientMonitor: record: a parameter must have a gradient: call it "
                "after backward and before zero_grad"
            )
        zero = np.zeros(0, np.float32)
        grads = [zero if p.grad is None else p.grad.data for p in params]
        values = [p.data for p in params]
        if self._before is None:
            updates = [zero] * len(params)
            self._before = [np.empty_like(v) for v in values]
        else:
            updates = [_C.sub(v, b, b) for v, b in zip(values, self._before)]
        self._rows.append([self._by_layer(a) for a in (grads, values, updates)])
        for value, before in zip(values, self._before):
            np.copyto(before, value)
        self.steps += 1

    def _by_layer(self, arrays):
        squares = np.zeros(len(self.layers))
        np.add.at(squares, self._places, _C.tensor_norms(arrays, 2.0) ** 2)
        return np.sqrt(squares)

    def history(self, what="gradient"):
        """A norm of every layer in every step.

        Parameters
        ----------
        what : {"gradient", "parameter", "update"}, optional
            Of which the norm is.

        Returns
        -------
        ndarray of float64, shape (steps, layers)
            The first step's update is 0: nothing was recorded before.
        """
        if what not in _KINDS:
            raise ValueError(
                f"GradientMonitor: history: what must be one of {', '.join(_KINDS)}, "
                f"got {what!r}"
            )
        rows = [row[_KINDS.index(what)] for row in self._rows]
        return np.array(rows).reshape(self.steps, len(self.layers))

    def verdicts(self):
        """What to say of each layer.

        Returns
        -------
        dict of str to str
            ``"vanishing"``, ``"exploding"`` or ``"fine"``, by layer.
        """
        low, high = self.bounds
        return {
            layer: "vanishing"
            if share < low
            else "fine"
            if share <= high
            else "exploding"
            for layer, share in zip(self.layers, self._shares("gradient"))
        }

    def vanishing(self):
        """The layers whose gradients vanish: a list of names."""
        return [name for name, said in self.verdicts().items() if said == "vanishing"]

    def exploding(self):
        """The layers whose gradients explode: a list of names."""
        return [name for name, said in self.verdicts().items() if said == "exploding"]

    def _shares(self, what):
        """By layer: the median norm of the last steps, over that of its parameters."""
        if not self.steps:
            return np.zeros(0)
        first = 1 if what == "update" and self.steps > 1 else 0
        norms = self.history(what)[first:][-self.window :]
        sizes = self.history("parameter")[first:][-self.window :]
        shares = norms / np.maximum(sizes, np.finfo(np.float64).tiny)
        shares[(norms == 0) | (sizes == 0)] = norms[(norms == 0) | (sizes == 0)]
        return np.median(shares, axis=0)

    def __repr__(self):
        if not self.steps:
            return f"GradientMonitor of {len(self.layers)} layers, no step yet"
        gradient = np.median(self.history("gradient")[-self.window :], axis=0)
        columns = zip(
            self.layers,
            gradient,
            self._shares("gradient"),
            self._shares("update"),
            self.verdicts().values(),
        )
        width = max(map(len, [*self.layers, "layer"]))
        lines = [
            f"{'layer':{width}}  {'gradient':>9}  {'/ params':>9}  "
            f"{'update / params':>15}  after {self.steps} steps"
        ]
        for name, norm, share, update, said in columns:
            said = "" if said == "fine" else said
            lines.append(
                f"{name:{width}}  {norm:9.2e}  {share:9.2e}  {update:15.2e}  {said}"
            )
        return "\n".join(line.rstrip() for line in lines)

    def plot(self, path=None):
        """Draw the gradient norm of every layer over the steps.

        Parameters
        ----------
        path : str or path, optional
            Where to write the picture; its ending says the format.

        Returns
        -------
        matplotlib.figure.Figure
            Layers that vanish are dashed, those that explode dotted.

        Raises
        ------
        ImportError
            If matplotlib, of the extra ``demo``, is not there.
        ValueError
            If no step was recorded.
        """
        if not self.steps:
            raise ValueError("GradientMonitor: plot: a step must have been recorded")
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise ImportError(
                "GradientMonitor: plot needs matplotlib: pip install matplotlib"
            ) from None
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        axes = figure.add_subplot()
        styles = {"fine": "-", "vanishing": "--", "exploding": ":"}
        verdicts = self.verdicts()
        shades = np.linspace(0, 0.9, len(self.layers))
        for i, name in enumerate(self.layers):
            norms = self.history()[:, i]
            said = verdicts[name]
            axes.plot(
                np.arange(1, self.steps + 1),
                np.where(np.isfinite(norms) & (norms > 0), norms, math.nan),
                styles[said],
                marker="." if self.steps == 1 else None,
                color=(shades[i], 0.3, 1 - shades[i]),
                label=name if said == "fine" else f"{name}: {said}",
            )
        axes.set(xlabel="step", ylabel="norm of the gradient", yscale="log")
        axes.legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5))
        if path is not None:
            figure.savefig(path)
        return figure


_KINDS = ("gradient", "parameter", "update")


def _layer(name):
    return name.rpartition(".")[0] or name


def _named(model):
    given = getattr(model, "named_parameters", None)
    pairs = model.items() if isinstance(model, Mapping) else model
    pairs = given() if given is not None else pairs
    fault = (
        "GradientMonitor: model must have named parameters: a Module, or (name, Tensor)"
    )
    if not isinstance(pairs, Iterable) or isinstance(pairs, (Tensor, np.ndarray)):
        raise TypeError(f"{fault}, got {type(model).__name__}")
    named = {}
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise TypeError(f"{fault}, got {type(pair).__name__}")
        if not isinstance(pair[1], Tensor):
            raise TypeError(f"{fault}, got {pair[0]!r}: {type(pair[1]).__name__}")
        named[str(pair[0])] = pair[1]
    if not named:
        raise ValueError("GradientMonitor: model must have parameters, got none")
    return named
