"""Recurrent layers."""

import math

import numpy as np

from .. import init
from ..ops import squeeze, unsqueeze
from ..ops.inputs import array_of
from ..ops.rnn_layers import Form, gru_mode, pair
from ..ops.shape import as_array
from ..tensor import raw
from .checks import at_least_one, one_of
from .module import Module, Parameter
from .rnn_cells import set_forget_bias
from .utils.rnn import PackedSequence


class _Recurrent(Module):
    """What RNN, LSTM and GRU share: parameters by name, and what they are run on."""

    _gates = 1
    _has_cell = False

    def __init__(
        self,
        input_size,
        hidden_size,
        num_layers,
        bias,
        batch_first,
        dropout,
        bidirectional,
        proj_size,
        peephole,
        dtype,
    ):
        name = type(self).__name__
        sizes = {"input_size": input_size, "hidden_size": hidden_size}
        at_least_one(name, num_layers=num_layers, **sizes)
        if not 0 <= dropout <= 1:
            raise ValueError(f"{name}: dropout must be from 0 to 1, got {dropout}")
        if not 0 <= proj_size < hidden_size:
            raise ValueError(
                f"{name}: proj_size must be from 0 to less than hidden_size, "
                f"got {proj_size}"
            )
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bool(bias)
        self.batch_first = bool(batch_first)
        self.dropout = float(dropout)
        self.bidirectional = bool(bidirectional)
        self.proj_size = proj_size
        self.peephole = bool(peephole)
        self._names = []
        rows, outputs = self._gates * hidden_size, proj_size or hidden_size
        for layer in range(num_layers):
            for end in ("", "_reverse")[: 1 + self.bidirectional]:
                inputs = (1 + self.bidirectional) * outputs if layer else input_size
                shapes = {"weight_ih": (rows, inputs), "weight_hh": (rows, outputs)}
                if bias:
                    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                if peephole:
                    shapes["weight_peephole"] = (3 * hidden_size,)
                for kind, shape in shapes.items():
                    self._names.append(f"{kind}_l{layer}{end}")
                    empty = np.empty(shape, dtype or np.float32)
                    setattr(self, self._names[-1], Parameter(empty))
        self.reset_parameters()

    def reset_parameters(self):
        """Draw all parameters anew, uniform in ±1 / sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self._parameters():
            init.uniform_(parameter, -bound, bound)

    def _parameters(self):
        return [getattr(self, name) for name in self._names]

    @property
    def all_weights(self):
        """The parameters, a list for each layer and direction."""
        weights = self._parameters()
        each = len(weights) // (self.num_layers * (1 + self.bidirectional))
        return [weights[i : i + each] for i in range(0, len(weights), each)]

    def _form(self, op, mode):
        return Form(
            op, mode, self.bias, self.num_layers, self.bidirectional, self.peephole
        )

    def _run(self, mode, x, h0, c0, lengths):
        """Output, h_n and c_n for what `forward` was given."""
        op = type(self).__name__
        form = self._form(op, mode)
        args = self._parameters(), self.dropout, self.training
        if isinstance(x, PackedSequence):
            if lengths is not None:
                raise ValueError(f"{op}: lengths must not be given for packed x")
            sizes = array_of(raw(x.batch_sizes)).tolist()
            self._check_inputs(x.data, 2)
            y, *states = form.run_rows(x.data, h0, c0, *args, sizes, x.order)
            return x._replace(data=y), *states
        single = as_array(op, x).ndim == 2
        self._check_inputs(x, 2 if single else 3)
        batch = 0 if self.batch_first else 1
        if single:
            x = unsqueeze(x, batch)
            h0, c0 = (s if s is None else unsqueeze(s, 1) for s in (h0, c0))
        y, *states = form.run(x, h0, c0, *args, self.batch_first, lengths)
        if single:
            y = squeeze(y, batch)
            states = [s if s is None else squeeze(s, 1) for s in states]
        return y, *states

    def _check_inputs(self, x, ndim):
        shape = as_array(type(self).__name__, x).shape
        if len(shape) != ndim or shape[-1] != self.input_size:
            raise ValueError(
                f"{type(self).__name__}: x must have {ndim} axes, the last of "
                f"input_size = {self.input_size}, got x.shape = {shape}"
            )

    def extra_repr(self):
        defaults = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
            "peephole": False,
        }
        changed = (
            f", {name}={getattr(self, name)}"
            for name, default in defaults.items()
            if getattr(self, name) != default
        )
        return f"{self.input_size}, {self.hidden_size}{''.join(changed)}"


class RNN(_Recurrent):
    """Elman's recurrent layers, ``h = tanh(W x + b + V h + b')``.

    Parameters
    ----------
    input_size, hidden_size : int
        Lengths of the last axis of `x` and of the output.
    num_layers : int, optional
        Layers one upon the other.
    nonlinearity : str, optional
        "tanh" or "relu".
    bias : bool, optional
        Whether to add any.
    batch_first : bool, optional
        Whether `x` and the output are (batch, steps, ...).
    dropout : float, optional
        Probability of dropping an output of a layer but the last, in training.
    bidirectional : bool, optional
        Whether a second direction reads from each sequence's end.
    dtype : dtype, optional
        Of the parameters: float32 or float64.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, ... : Parameter
        Of each layer, and with the end ``_reverse`` of its second direction. Uniform in
        ±1 / sqrt(hidden_size) at first.

    See Also
    --------
    dlcore.rnn_tanh

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> output, h_n = dl.nn.RNN(3, 2)(np.zeros((5, 4, 3), "float32"))
    >>> output.shape, h_n.shape
    ((5, 4, 2), (1, 4, 2))
    """

    def __init__(
        self,
        input_size,
        hidden_size,
        num_layers=1,
        nonlinearity="tanh",
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        dtype=None,
    ):
        one_of("RNN", "nonlinearity", nonlinearity, ("tanh", "relu"))
        self.nonlinearity = nonlinearity
        settings = num_layers, bias, batch_first, dropout, bidirectional
        super().__init__(input_size, hidden_size, *settings, 0, False, dtype)

    def forward(self, x, hx=None, lengths=None):
        """Output and h_n; `x` may be a PackedSequence, or one sequence (steps, n)."""
        return self._run(f"rnn_{self.nonlinearity}", x, hx, None, lengths)[:2]


class LSTM(_Recurrent):
    """Long short-term memory layers; see `dlcore.lstm` for the formulas.

    Parameters
    ----------
    input_size, hidden_size : int
        Lengths of the last axis of `x` and of c.
    num_layers, bias, batch_first, dropout, bidirectional
        As for `RNN`.
    proj_size : int, optional
        Length of h, which is then a projection; 0 for none.
    peephole : bool, optional
        Whether the gates look at c.
    forget_bias : float, optional
        First value of the forget gates' bias_ih, whose bias_hh is then 0: around 1 it
        lets a new network remember (Gers et al. 2000). Default is to draw both.
    dtype : dtype, optional
        Of the parameters: float32 or float64.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, weight_hr_l0, ... : Parameter
        As for `RNN`, under PyTorch's names; gates in the order i, f, g, o.
    weight_peephole_l0, ... : Parameter, shape (3 * hidden_size,)
        Of i, f and o.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> layer = dl.nn.LSTM(3, 2, bidirectional=True)
    >>> output, (h_n, c_n) = layer(np.zeros((5, 4, 3), "float32"), lengths=[5, 0, 2, 1])
    >>> output.shape, h_n.shape, c_n.shape
    ((5, 4, 4), (2, 4, 2), (2, 4, 2))
    """

    _gates = 4

    def __init__(
        self,
        input_size,
        hidden_size,
        num_layers=1,
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        proj_size=0,
        peephole=False,
        forget_bias=None,
        dtype=None,
    ):
        self.forget_bias = forget_bias
        settings = num_layers, bias, batch_first, dropout, bidirectional
        extras = proj_size, peephole, dtype
        super().__init__(input_size, hidden_size, *settings, *extras)

    def reset_parameters(self):
        """Draw all parameters anew, uniform in ±1 / sqrt(hidden_size)."""
        super().reset_parameters()
        if self.forget_bias is not None:
            set_forget_bias(self, self.forget_bias)

    def forward(self, x, hx=None, lengths=None):
        """Output and (h_n, c_n); `x` may be a PackedSequence, or one sequence."""
        y, h_n, c_n = self._run("lstm", x, *pair("LSTM", hx), lengths)
        return y, (h_n, c_n)


class GRU(_Recurrent):
    """Layers of gated recurrent units; see `dlcore.gru` for the formulas.

    Parameters
    ----------
    input_size, hidden_size : int
        Lengths of the last axis of `x` and of the output.
    num_layers, bias, batch_first, dropout, bidirectional
        As for `RNN`.
    convention : str, optional
        "pytorch", "cho" or "chung": see `dlcore.gru`.
    dtype : dtype, optional
        Of the parameters: float32 or float64.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, ... : Parameter
        As for `RNN`, under PyTorch's names; gates in the order r, z, n.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> output, h_n = dl.nn.GRU(3, 2, batch_first=True)(np.zeros((4, 5, 3), "float32"))
    >>> output.shape, h_n.shape
    ((4, 5, 2), (1, 4, 2))
    """

    _gates = 3

    def __init__(
        self,
        input_size,
        hidden_size,
        num_layers=1,
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        convention="pytorch",
        dtype=None,
    ):
        self._mode = gru_mode("GRU", convention)
        self.convention = convention
        settings = num_layers, bias, batch_first, dropout, bidirectional
        super().__init__(input_size, hidden_size, *settings, 0, False, dtype)

    def forward(self, x, hx=None, lengths=None):
        """Output and h_n; `x` may be a PackedSequence, or one sequence (steps, n)."""
        return self._run(self._mode, x, hx, None, lengths)[:2]
