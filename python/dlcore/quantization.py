"""Weights of 8 bits for inference: a quarter of the memory, and faster products.

A weight's row is rounded to 127 levels on either side of 0. What a layer is given is
rounded, row by row, to 256 levels between the row's extremes when it comes; the sums
are whole numbers of 32 bits and exact.
"""

import copy
import functools
import warnings

import numpy as np

from . import _C, nn
from .grad_mode import is_grad_enabled
from .nn.module import Module
from .ops import linear
from .ops.inputs import wants
from .ops.rnn_layers import Form
from .ops.shape import as_array
from .tensor import raw, record

_ROWS, _WORD = 32, 4  # of a panel: see csrc/kernels/int8.h


def quantize_dynamic(
    model, qconfig_spec=None, dtype="qint8", mapping=None, inplace=False
):
    """A copy of a model for inference whose layers have weights of 8 bits.

    Parameters
    ----------
    model : Module
        In float32, or stored in 16 bits.
    qconfig_spec : type, str, or set of them, optional
        Which layers, by class or by name in the model: `nn.Linear` and `nn.LSTM`, which
        is the default.
    dtype : str, optional
        ``"qint8"``, the only one.
    mapping : None, optional
        PyTorch's; must not be given.
    inplace : bool, optional
        Change `model` itself.

    Returns
    -------
    Module
        The model, with `DynamicQuantizedLinear` and `DynamicQuantizedLSTM` in the
        places of those layers. It has no gradients: the parameters of its other layers
        are frozen, as by ``requires_grad_(False)``.

    Raises
    ------
    TypeError
        If `model` is no Module, is what `optimize` returned, or has float64 weights, or
        a class or dtype has no such layer.
    ValueError
        If a weight is not finite, or a name is not the model's.

    Notes
    -----
    An LSTM with a projection or peepholes stays as it is, and so does the `out_proj` of
    an `nn.MultiheadAttention`, as in PyTorch. Without the instructions (AVX-512 VNNI)
    the layers compute in float32 from the rounded weights, which takes longer, and a
    warning says so once.

    Examples
    --------
    >>> import dlcore as dl
    >>> net = dl.nn.Sequential(dl.nn.Linear(8, 4), dl.nn.ReLU())
    >>> dl.quantize_dynamic(net, {dl.nn.Linear})
    Sequential(
      (0): DynamicQuantizedLinear(in_features=8, out_features=4, bias=True, dtype=qint8)
      (1): ReLU()
    )
    """
    if not isinstance(model, Module):
        kind = type(model).__name__
        raise TypeError(f"{_OP}: model must be a Module, got {kind}")
    if type(model).__name__ == "Optimized":
        raise TypeError(
            f"{_OP}: model must not be what dl.optimize returned: quantize first, "
            "dl.optimize(dl.quantize_dynamic(model))"
        )
    if isinstance(qconfig_spec, (type, str)):
        qconfig_spec = {qconfig_spec}
    if mapping is not None or str(dtype).rpartition(".")[2] not in ("qint8", "int8"):
        raise TypeError(f"{_OP}: dtype must be 'qint8', and mapping None, got {dtype}")
    wanted = set(_LAYERS) if qconfig_spec is None else set(qconfig_spec)
    for one in wanted - set(_LAYERS):
        if not isinstance(one, str):
            name = getattr(one, "__name__", one)
            raise TypeError(f"{_OP}: {name} has no form of 8 bits: Linear, LSTM do")
        try:
            model.get_submodule(one)
        except AttributeError:
            raise ValueError(f"{_OP}: the model has no layer {one!r}") from None
    model = model if inplace else copy.deepcopy(model)
    return _replaced(model, wanted, "", False, {}).requires_grad_(False)


_OP = "quantize_dynamic"


def _replaced(module, wanted, name, chosen, done):
    """The module, or what takes its place; a shared one is replaced once."""
    chosen = chosen or name in wanted
    if id(module) in done:
        return done[id(module)][1]
    new, kind = module, _LAYERS.get(type(module))
    if kind is not None and (chosen or type(module) in wanted) and kind.serves(module):
        try:
            new = kind(module)
        except (TypeError, ValueError) as error:
            place = f"layer {name!r}" if name else "the model"
            raise type(error)(f"{_OP}: {place}: {error}") from None
        if module._hooks is not None:
            new._hooks = module._hooks
    done[id(module)] = module, new
    for key, child in list(module._held(Module)):
        if isinstance(module, nn.MultiheadAttention):
            break
        path = f"{name}.{key}" if name else key
        other = _replaced(child, wanted, path, chosen, done)
        if other is not child:
            module.add_module(key, other)
    return new


# -- a weight --


def _rounded(weight, parts=1):
    """Panels of int8, the scale and the sum of each row; `parts` begin panels."""
    w = np.asarray(raw(weight))
    if w.dtype != np.float32:
        raise TypeError(
            f"a weight must be float32, got {w.dtype}: call model.float() first"
        )
    if not np.isfinite(w).all():
        raise ValueError("a weight must be finite")
    n, k = w.shape
    scale = abs(w).max(1, initial=0) / np.float32(127)
    q = np.rint(w / np.where(scale > 0, scale, 1)[:, None]).astype(np.int8)
    each, words = n // parts, -(-k // _WORD)
    rows = -(-each // _ROWS) * _ROWS
    full = np.zeros((parts, rows, words * _WORD), np.int8)
    full[:, :each, :k] = q.reshape(parts, each, k)
    panels = full.reshape(-1, _ROWS, words, _WORD).swapaxes(1, 2)
    return _aligned(panels), scale, q.sum(1, dtype=np.int32)


def _aligned(array):
    """A copy that begins at a line of the cache."""
    memory = np.empty(array.size + 63, np.int8)
    begin = -memory.ctypes.data % 64
    copied = memory[begin : begin + array.size].reshape(array.shape)
    copied[...] = array
    return copied


def _restored(panels, scale, k, parts=1):
    """The float32 weight that they stand for."""
    full = panels.swapaxes(1, 2).reshape(parts, -1, panels.shape[1] * _WORD)
    each = len(scale) // parts
    q = full[:, :each, :k].reshape(len(scale), k)
    return q * scale[:, None]


class _Quantized(Module):
    """What both layers share: rounded weights as buffers."""

    def _keep(self, name, weight, parts=1):
        for part, array in zip(_PARTS, _rounded(weight, parts), strict=True):
            self.register_buffer(f"{name}_{part}", array)

    def _weight(self, name):
        return tuple(getattr(self, f"{name}_{part}").data for part in _PARTS)


_PARTS = "panels", "scale", "sum"


def _check_no_gradient(op, *inputs):
    if is_grad_enabled() and any(map(wants, inputs)):
        raise RuntimeError(
            f"{op}: x must not require a gradient, which layers of 8 bits do not have: "
            "call under dl.no_grad()"
        )


@functools.cache
def _warn():
    warnings.warn(
        f"{_OP}: this CPU, or the instruction set chosen, has no products of 8 bits "
        "(AVX-512 VNNI): layers compute in float32, slower than unquantized ones",
        RuntimeWarning,
        stacklevel=4,
    )


# -- the layers --


class DynamicQuantizedLinear(_Quantized):
    """``y = x @ weight.T + bias`` with a weight of 8 bits.

    Parameters
    ----------
    layer : nn.Linear
        Whose weight is rounded.

    Attributes
    ----------
    weight_panels : Tensor of int8
        The weight as the kernel reads it.
    weight_scale, weight_sum : Tensor, shape (out_features,)
        What a unit of a row stands for; the sum of its whole numbers.
    bias : Tensor, shape (out_features,), or None
        In float32.
    """

    def __init__(self, layer):
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self._keep("weight", layer.weight)
        bias = None if layer.bias is None else np.array(raw(layer.bias))
        self.register_buffer("bias", bias)
        self.training = layer.training

    @staticmethod
    def serves(layer):
        return layer.in_features <= 1 << 16

    def weight(self):
        """The float32 weight that the 8 bits stand for."""
        panels, scale, _ = self._weight("weight")
        return _restored(panels, scale, self.in_features)

    def forward(self, x):
        bias = None if self.bias is None else self.bias.data
        if type(x) is not np.ndarray:
            _check_no_gradient("DynamicQuantizedLinear", x)
        shape = getattr(x, "shape", None)
        if shape is not None and shape[-1:] != (self.in_features,):
            raise ValueError(
                "DynamicQuantizedLinear: x must have shape (..., in_features) = (..., "
                f"{self.in_features}), got x.shape = {shape}"
            )
        if not _C.has_int8():
            _warn()
            return record(linear(raw(x), self.weight(), bias), (x,), None)
        panels, scale = self.weight_panels.data, self.weight_scale.data
        y = _C.linear_int8(raw(x), panels, scale, self.weight_sum.data, bias)
        return record(y, (x,), None)

    def extra_repr(self):
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}, dtype=qint8"
        )


class DynamicQuantizedLSTM(_Quantized, nn.LSTM):
    """An `nn.LSTM` with weights of 8 bits; called like one.

    Parameters
    ----------
    layer : nn.LSTM
        Without projection and peepholes.
    """

    def __init__(self, layer):
        for name in _SETTINGS:
            setattr(self, name, getattr(layer, name))
        self.training = layer.training
        self._names = []
        for end, (ih, hh, *biases) in zip(self._ends(), layer.all_weights, strict=True):
            self._keep(f"weight_ih{end}", ih)
            self._keep(f"weight_hh{end}", hh, 4)
            bias = sum(raw(b) for b in biases) if biases else None
            self.register_buffer(f"bias{end}", bias)

    @staticmethod
    def serves(layer):
        return (
            not layer.proj_size
            and not layer.peephole
            and max(layer.input_size, 2 * layer.hidden_size) <= 1 << 16
        )

    def _ends(self):
        ends = ("", "_reverse")[: 1 + self.bidirectional]
        return [f"_l{i}{end}" for i in range(self.num_layers) for end in ends]

    def _form(self, op, mode):
        return _Form(op, self)

    def extra_repr(self):
        return f"{super().extra_repr()}, dtype=qint8"


_SETTINGS = (
    "input_size hidden_size num_layers bias batch_first dropout bidirectional "
    "proj_size peephole forget_bias"
).split()


class _Form(Form):
    """Layers one after another, each by the kernels of 8 bits."""

    def __init__(self, op, net):
        super().__init__(op, "lstm", True, net.num_layers, net.bidirectional, False)
        self.net = net

    def split(self, params):
        ends = self.net._ends()
        step = self.directions
        return [ends[i : i + step] for i in range(0, len(ends), step)]

    def _layer(self, x, h0, c0, ends, sizes, batch, layer):
        _check_no_gradient(self.op, x, h0, c0)
        if not _C.has_int8():
            _warn()
            weights = [self._float(end, raw(x).shape[-1]) for end in ends]
            given = map(raw, (x, h0, c0))
            made = super()._layer(*given, weights, sizes, batch, layer)
            return tuple(record(r, (x,), None) for r in made)
        a, n = as_array(self.op, x), self.net.hidden_size
        if sizes is None:
            steps, batch = a.shape[:2]
            first = [t * batch for t in range(steps + 1)]
        else:
            first = np.cumsum([0, *sizes]).tolist()
        rows = a.reshape(first[-1], a.shape[-1])
        shape = self.directions, batch, n
        for name, s in (("h0", h0), ("c0", c0)):
            if s is not None and s.shape != shape:
                raise ValueError(
                    f"{self.op}: {name} must have shape (directions, batch, hidden) = "
                    f"{shape}, got {name}.shape = {s.shape}"
                )
        none = np.zeros(shape, np.float32)
        h0, c0 = (none if s is None else raw(s) for s in (h0, c0))
        made = []
        for d, end in enumerate(ends):
            bias = getattr(self.net, f"bias{end}")
            ih, hh = (self.net._weight(f"weight_{kind}{end}") for kind in ("ih", "hh"))
            gates = _C.linear_int8(rows, *ih, None if bias is None else bias.data)
            made.append(_C.lstm_int8(gates, *hh, h0[d], c0[d], first, d == 1))
        if len(made) == 1:
            y, h_n, c_n = made[0]
            results = y, h_n[None], c_n[None]
        else:
            ys, h_ns, c_ns = zip(*made, strict=True)
            results = np.concatenate(ys, -1), np.stack(h_ns), np.stack(c_ns)
        y = results[0].reshape(*a.shape[:-1], self.directions * n)
        return tuple(record(r, (x,), None) for r in (y, *results[1:]))

    def _float(self, end, inputs):
        ih, hh = (self.net._weight(f"weight_{kind}{end}") for kind in ("ih", "hh"))
        bias = getattr(self.net, f"bias{end}")
        zeros = None if bias is None else np.zeros_like(bias.data)
        return (
            _restored(*ih[:2], inputs),
            _restored(*hh[:2], self.net.hidden_size, 4),
            None if bias is None else bias.data,
            zeros,
            None,
            None,
        )


_LAYERS = {nn.Linear: DynamicQuantizedLinear, nn.LSTM: DynamicQuantizedLSTM}
