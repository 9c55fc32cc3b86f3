"""Cells of recurrent layers: one step."""

import math

import numpy as np

from .. import init
from ..ops import gru_cell, lstm_cell, rnn_relu_cell, rnn_tanh_cell, squeeze, unsqueeze
from ..ops.rnn_layers import gru_mode
from ..ops.shape import as_array
from .checks import at_least_one, one_of
from .module import Module, Parameter


def set_forget_bias(module, value):
    """`value` for the forget gates of bias_ih, 0 for those of bias_hh."""
    n = module.hidden_size
    for name, parameter in module.named_parameters():
        if name.startswith("bias_"):
            parameter.data[n : 2 * n] = value if name.startswith("bias_ih") else 0


class _Cell(Module):
    """What the cells share."""

    _gates = 1

    def __init__(self, input_size, hidden_size, bias, dtype):
        sizes = {"input_size": input_size, "hidden_size": hidden_size}
        at_least_one(type(self).__name__, **sizes)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bool(bias)
        rows, dtype = self._gates * hidden_size, dtype or np.float32
        self.weight_ih = Parameter(np.empty((rows, input_size), dtype))
        self.weight_hh = Parameter(np.empty((rows, hidden_size), dtype))
        self.bias_ih = Parameter(np.empty(rows, dtype)) if bias else None
        self.bias_hh = Parameter(np.empty(rows, dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self):
        """Draw all parameters anew, uniform in ±1 / sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _apply(self, cell, x, hx, *extras):
        """One step for a batch, or for one sequence."""
        weights = self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
        if as_array(type(self).__name__, x).ndim != 1:
            return cell(x, hx, *weights, *extras)
        if isinstance(hx, (tuple, list)):
            hx = tuple(unsqueeze(s, 0) for s in hx)
        elif hx is not None:
            hx = unsqueeze(hx, 0)
        new = cell(unsqueeze(x, 0), hx, *weights, *extras)
        if isinstance(new, tuple):
            return tuple(squeeze(s, 0) for s in new)
        return squeeze(new, 0)

    def extra_repr(self):
        note = "" if self.bias else ", bias=False"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            note += f", nonlinearity={self.nonlinearity}"
        return f"{self.input_size}, {self.hidden_size}{note}"


class RNNCell(_Cell):
    """One step of `RNN`.

    Parameters
    ----------
    input_size, hidden_size : int
        Lengths of the last axis of `x` and of h.
    bias : bool, optional
        Whether to add any.
    nonlinearity : str, optional
        "tanh" or "relu".
    dtype : dtype, optional
        Of the parameters: float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.nn.RNNCell(3, 2)(np.zeros((4, 3), "float32")).shape
    (4, 2)
    """

    def __init__(
        self, input_size, hidden_size, bias=True, nonlinearity="tanh", dtype=None
    ):
        one_of("RNNCell", "nonlinearity", nonlinearity, ("tanh", "relu"))
        self.nonlinearity = nonlinearity
        super().__init__(input_size, hidden_size, bias, dtype)

    def forward(self, x, hx=None):
        cell = rnn_tanh_cell if self.nonlinearity == "tanh" else rnn_relu_cell
        return self._apply(cell, x, hx)


class LSTMCell(_Cell):
    """One step of `LSTM`: ``h, c = cell(x, (h, c))``.

    Parameters
    ----------
    input_size, hidden_size : int
        Lengths of the last axis of `x` and of h and c.
    bias : bool, optional
        Whether to add any.
    peephole : bool, optional
        Whether the gates look at c.
    forget_bias : float, optional
        See `LSTM`.
    dtype : dtype, optional
        Of the parameters: float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> h, c = dl.nn.LSTMCell(3, 2)(np.zeros((4, 3), "float32"))
    >>> h.shape, c.shape
    ((4, 2), (4, 2))
    """

    _gates = 4

    def __init__(
        self,
        input_size,
        hidden_size,
        bias=True,
        peephole=False,
        forget_bias=None,
        dtype=None,
    ):
        self.forget_bias = forget_bias
        self.peephole = bool(peephole)
        at_least_one("LSTMCell", hidden_size=hidden_size)
        values = np.empty(3 * hidden_size, dtype or np.float32)
        self.weight_peephole = Parameter(values) if peephole else None
        super().__init__(input_size, hidden_size, bias, dtype)

    def reset_parameters(self):
        """Draw all parameters anew, uniform in ±1 / sqrt(hidden_size)."""
        super().reset_parameters()
        if self.forget_bias is not None:
            set_forget_bias(self, self.forget_bias)

    def forward(self, x, hx=None):
        return self._apply(lstm_cell, x, hx, self.weight_peephole)


class GRUCell(_Cell):
    """One step of `GRU`.

    Parameters
    ----------
    input_size, hidden_size : int
        Lengths of the last axis of `x` and of h.
    bias : bool, optional
        Whether to add any.
    convention : str, optional
        "pytorch", "cho" or "chung": see `dlcore.gru`.
    dtype : dtype, optional
        Of the parameters: float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> dl.nn.GRUCell(3, 2)(np.zeros((4, 3), "float32")).shape
    (4, 2)
    """

    _gates = 3

    def __init__(
        self, input_size, hidden_size, bias=True, convention="pytorch", dtype=None
    ):
        gru_mode("GRUCell", convention)
        self.convention = convention
        super().__init__(input_size, hidden_size, bias, dtype)

    def forward(self, x, hx=None):
        return self._apply(gru_cell, x, hx, self.convention)
