"""What stands around the kernels of `rnn`: layers one after another, sequences of many
lengths, the tape.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from .. import _C
from ..grad_mode import autocasts, is_autocast_enabled, is_grad_enabled
from ..several import record_several
from ..tensor import raw, record
from .dropout import dropout as drop
from .indexing import cat, getitem
from .inputs import array_of, wants
from .shape import as_array, reshape, transpose, whole


class Form:
    """What the weights of a recurrent network are.

    Parameters
    ----------
    op : str
        Whose name stands in messages.
    mode : str
        "lstm", "gru", "cho", "chung", "rnn_tanh" or "rnn_relu".
    has_biases, num_layers, bidirectional, peephole
        As for `lstm`.
    """

    def __init__(self, op, mode, has_biases, num_layers, bidirectional, peephole):
        self.op, self.mode = op, mode
        self.layers = whole(op, "num_layers", num_layers)
        if self.layers < 1:
            raise ValueError(f"{op}: num_layers must be at least 1, got {num_layers}")
        self.directions = 2 if bidirectional else 1
        self.biased, self.peephole = bool(has_biases), bool(peephole)

    def split(self, params):
        """`params` as the kernels take them: layer, direction, kind; None if absent."""
        least = 2 + 2 * self.biased + self.peephole
        sets = self.layers * self.directions
        if not isinstance(params, Sequence) or isinstance(params, (str, bytes)):
            raise TypeError(
                f"{self.op}: params must be a list of arrays, got "
                f"{type(params).__name__}"
            )
        each, rest = divmod(len(params), sets)
        most = least + (self.mode == "lstm")
        if rest or not least <= each <= most:
            raise ValueError(
                f"{self.op}: params must be {least} arrays for each of {sets} "
                f"layers and directions, got {len(params)}"
            )
        return [
            [
                self._kinds(params[i * each : (i + 1) * each])
                for i in range(layer * self.directions, (layer + 1) * self.directions)
            ]
            for layer in range(self.layers)
        ]

    def _kinds(self, params):
        params = list(params)
        peephole = params.pop() if self.peephole else None
        biases = params[2:4] if self.biased else [None, None]
        projection = params[4 if self.biased else 2 :] or [None]
        return (*params[:2], *biases, *projection, peephole)

    def run(self, x, h0, c0, params, dropout, train, batch_first, lengths):
        """Output, h_n and c_n, None but for an lstm."""
        a = as_array(self.op, x)
        if a.ndim != 3:
            raise ValueError(
                f"{self.op}: x must have 3 axes (steps, batch, inputs), got x.shape = "
                f"{a.shape}: add a batch axis, x[:, None]"
            )
        if lengths is not None:
            many = Lengths(self.op, lengths, a.shape, batch_first)
            rows = many.pack(reshape(x, a.shape[0] * a.shape[1], a.shape[2]))
            order = many.order, many.back
            args = params, dropout, train, many.sizes, order
            y, h_n, c_n = self.run_rows(rows, h0, c0, *args)
            return many.unpack(y), h_n, c_n
        x = transpose(x, 0, 1) if batch_first else x
        y, h_n, c_n = self._run(x, h0, c0, params, dropout, train, None, 0)
        return transpose(y, 0, 1) if batch_first else y, h_n, c_n

    def run_rows(self, rows, h0, c0, params, dropout, train, sizes, order=None):
        """The same for rows, step by step; `order`: an index of the batch, and back."""
        batch = len(order[0]) if order else max(sizes, default=0)
        if order is not None:
            h0, c0 = (self._ordered(s, *order) for s in (h0, c0))
        args = params, dropout, train, sizes, batch
        y, h_n, c_n = self._run(rows, h0, c0, *args)
        if order is not None:
            h_n, c_n = (self._ordered(s, *order[::-1]) for s in (h_n, c_n))
        return y, h_n, c_n

    def _ordered(self, state, order, back):
        """State with its batch in another order."""
        if state is None:
            return None
        self._check_state(state, len(order))
        sets, batch, n = raw(state).shape
        along = np.arange(sets)[:, None] * batch
        index, inverse = ((along + o).reshape(-1) for o in (order, back))
        rows = reshape(state, sets * batch, n)
        return reshape(place_rows(self.op, rows, index, inverse), sets, batch, n)

    def _check_state(self, state, batch=None):
        a = as_array(self.op, state, "hx")
        sets = self.layers * self.directions
        if a.ndim != 3 or a.shape[0] != sets or batch not in (None, a.shape[1]):
            raise ValueError(
                f"{self.op}: hx must have shape (layers * directions, batch, hidden), "
                f"{sets} x {'batch' if batch is None else batch} x hidden, got "
                f"hx.shape = {a.shape}"
            )

    def _run(self, x, h0, c0, params, dropout, train, sizes, batch):
        dropout = self._probability(dropout)
        last = []
        for state in (h0, c0):
            if state is not None:
                self._check_state(state)
        for layer, weights in enumerate(self.split(params)):
            if layer and dropout:
                x = drop(x, dropout, train)
            h, c = (self._of_layer(s, layer) for s in (h0, c0))
            x, *states = self._layer(x, h, c, weights, sizes, batch, layer)
            last.append(states)
        h_n, *c_n = (
            s[0] if self.layers == 1 else cat(s) for s in zip(*last, strict=True)
        )
        return x, h_n, c_n[0] if c_n else None

    def _probability(self, dropout):
        try:
            dropout = float(dropout)
        except (TypeError, ValueError):
            raise TypeError(
                f"{self.op}: dropout must be a number, got {type(dropout).__name__}"
            ) from None
        if not 0 <= dropout <= 1:
            raise ValueError(f"{self.op}: dropout must be from 0 to 1, got {dropout}")
        return dropout

    def _of_layer(self, state, layer):
        if state is None or self.layers == 1:
            return state
        first = layer * self.directions
        return getitem(state, slice(first, first + self.directions))

    def _layer(self, x, h0, c0, weights, sizes, batch, layer):
        """One call of the kernel: output, h_n and, of an lstm, c_n."""
        flat = tuple(chain.from_iterable(weights))
        parents = x, h0, c0, *flat
        keep = is_grad_enabled() and any(map(wants, parents))
        arrays = [[raw(w) for w in one] for one in weights]
        head = self.op, self.mode, raw(x), raw(h0), raw(c0), arrays, sizes, batch
        low = bool(autocasts) and is_autocast_enabled()
        *results, gates, cells = _C.rnn_forward(*head, layer, keep, low)
        results = tuple(r for r in results if r is not None)
        if not keep:
            return tuple(record(r, parents, None) for r in results)
        y, want_x, want = results[0], wants(x), [wants(w) for w in flat]

        def backward(dy, dh_n, dc_n=None):
            dx, dh0, dc0, dweights = _C.rnn_backward(
                *head, y, gates, cells, dy, dh_n, dc_n, want_x, want, low
            )
            return dx, dh0, dc0, *chain.from_iterable(dweights)

        backward.__qualname__ = self.op
        return record_several(results, parents, backward)


class Lengths:
    """Sequences of many lengths in one array, as rows for the kernels and back.

    Attributes
    ----------
    sizes : list of int
        Of how many sequences there is a row for each step.
    order, back : ndarray of int64
        The longest first: which sequence is the i-th; and where each one is.
    rows, places : ndarray of int64
        Where each row lies in the array; which row lies at each place, -1 for none.
    """

    def __init__(self, op, lengths, shape, batch_first):
        self.op, self.shape = op, shape
        batch, steps = shape[:2] if batch_first else shape[1::-1]
        self.lengths = lengths_of(op, lengths, batch, steps)
        self.batch_first = batch_first
        self.reorder(np.argsort(-self.lengths, kind="stable"))

    def reorder(self, order):
        """Take another order, of lengths that fall."""
        batch, steps = self.shape[:2] if self.batch_first else self.shape[1::-1]
        self.order = np.asarray(order)
        self.back = np.empty_like(self.order)
        self.back[self.order] = np.arange(batch)
        longest = int(self.lengths.max(initial=0))
        has = np.arange(longest)[:, None] < self.lengths[self.order]
        self.sizes = has.sum(1).tolist()
        t, b = np.nonzero(has)
        b = self.order[b]
        self.rows = b * steps + t if self.batch_first else t * batch + b
        self.places = np.full(steps * batch, -1)
        self.places[self.rows] = np.arange(len(self.rows))

    def pack(self, x):
        """(rows, n) of x, whose first two axes are one."""
        n = self.shape[2]
        return place_rows(
            self.op, reshape(x, len(self.places), n), self.rows, self.places
        )

    def unpack(self, y, fill=0.0):
        """(rows, n) where they belong, `fill` everywhere else."""
        n = raw(y).shape[1]
        y = place_rows(self.op, y, self.places, self.rows, fill)
        return reshape(y, *self.shape[:2], n)


def lengths_of(op, lengths, batch, most):
    """An int64 array of lengths, one for each sequence."""
    try:
        lengths = array_of(raw(lengths))
    except ValueError:
        raise TypeError(f"{op}: lengths must be a list of integers") from None
    if lengths.dtype.kind not in "iu" and lengths.size:
        raise TypeError(f"{op}: lengths must be integers, got {lengths.dtype}")
    if lengths.shape != (batch,):
        raise ValueError(
            f"{op}: lengths must have one number for each sequence, shape ({batch},), "
            f"got lengths.shape = {lengths.shape}"
        )
    if lengths.size and not 0 <= lengths.min() <= lengths.max() <= most:
        raise ValueError(
            f"{op}: lengths must be from 0 to the steps of x, {most}, got "
            f"{lengths.min()} to {lengths.max()}"
        )
    return lengths.astype(np.int64)


def place_rows(op, x, index, back, fill=0.0):
    """``x[index]``, `fill` where it is -1; `back` is the index of the gradient."""
    y = _C.place_rows(op, raw(x), index, fill)
    return record(y, (x,), lambda dy: (_C.place_rows(op, dy, back, 0.0),))


def cell(op, mode, x, h, c, weights):
    """One step of one layer: the new states."""
    form = Form(op, mode, True, 1, False, False)
    if as_array(op, x).ndim != 2:
        raise ValueError(
            f"{op}: x must have shape (batch, inputs), got x.shape = {raw(x).shape}"
        )
    states = []
    for state in (h, c):
        if state is not None and as_array(op, state, "hx").ndim != 2:
            raise ValueError(
                f"{op}: hx must have shape (batch, hidden), got hx.shape = "
                f"{raw(state).shape}"
            )
        states.append(None if state is None else reshape(state, 1, *raw(state).shape))
    x = reshape(x, 1, *raw(x).shape)
    _, *last = form._layer(x, *states, [weights], None, 0, -1)
    return tuple(reshape(s, *raw(s).shape[1:]) for s in last)


def pair(op, hx):
    """The h and c of `hx`, which may be None."""
    if hx is None:
        return None, None
    if not isinstance(hx, (tuple, list)) or len(hx) != 2:
        kind = len(hx) if isinstance(hx, (tuple, list)) else type(hx).__name__
        raise TypeError(f"{op}: hx must be a tuple (h, c) or None, got {kind}")
    return tuple(hx)


def gru_mode(op, convention):
    """The mode of a convention of the GRU."""
    if convention not in ("pytorch", "cho", "chung"):
        raise ValueError(
            f"{op}: convention must be 'pytorch', 'cho' or 'chung', got {convention!r}"
        )
    return "gru" if convention == "pytorch" else convention
