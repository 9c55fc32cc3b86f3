import numpy as np
import pytest
import reference_rnn as reference

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

STEPS = {
    "lstm": reference.lstm_step,
    "gru": reference.gru_step,
    "rnn_tanh": reference.tanh_step,
    "rnn_relu": reference.relu_step,
}
# steps, batch, inputs, hidden: around the vector and the tile, alone, many, one step
SIZES = [
    (1, 1, 1, 1),
    (1, 5, 3, 17),
    (4, 1, 5, 7),
    (5, 3, 33, 37),
    (2, 15, 4, 32),
    (3, 70, 2, 16),
    (2, 1, 3, 130),
]
OPTIONS = [
    ("lstm", {}),
    ("lstm", {"projection": 3}),
    ("lstm", {"peephole": True}),
    ("lstm", {"projection": 3, "peephole": True}),
    ("gru", {}),
    ("gru", {"convention": "cho"}),
    ("gru", {"convention": "chung"}),
    ("rnn_tanh", {}),
    ("rnn_relu", {}),
]


class Case:
    """Inputs of one layer, for dlcore and for the reference."""

    def __init__(self, rng, op, sizes, dtype="float64", directions=1, bias=True, **how):
        self.op, self.how, self.bias, self.directions = op, how, bias, directions
        steps, batch, inputs, hidden = sizes
        gates = {"lstm": 4, "gru": 3}.get(op, 1)
        outputs = min(how.get("projection", hidden), hidden)

        def normal(*shape, scale=1.0):
            return (rng.standard_normal(shape) * scale).astype(dtype)

        self.x = normal(steps, batch, inputs)
        self.h0 = normal(directions, batch, outputs)
        self.c0 = normal(directions, batch, hidden)
        self.weights = []
        for _ in range(directions):
            rows, scale = gates * hidden, hidden**-0.5
            mine = {
                "w_ih": normal(rows, inputs, scale=scale),
                "w_hh": normal(rows, outputs, scale=scale),
            }
            if bias:
                mine |= {"b_ih": normal(rows), "b_hh": normal(rows)}
            if "projection" in how:
                mine["w_hr"] = normal(outputs, hidden, scale=scale)
            if "peephole" in how:
                mine["peephole"] = normal(3 * hidden)
            self.weights.append(mine)

    @property
    def params(self):
        return [w for mine in self.weights for w in mine.values()]

    def arrays(self):
        states = (self.h0, self.c0) if self.op == "lstm" else (self.h0,)
        return [self.x, *states, *self.params]

    def call(self, x, *rest, **options):
        """dlcore's, on what `arrays` gives."""
        options = {**self.how, **options}
        options.pop("projection", None)
        states = 2 if self.op == "lstm" else 1
        hx, params = rest[:states], list(rest[states:])
        hx = tuple(hx) if states == 2 else hx[0]
        options |= {"has_biases": self.bias, "bidirectional": self.directions == 2}
        return getattr(dl, self.op)(x, hx, params, **options)

    def want(self, lengths=None):
        weights = self.weights
        if self.op == "gru":
            extra = {"convention": self.how.get("convention", "pytorch")}
            weights = [{**mine, **extra} for mine in weights]
        y, h, c = reference.layer(
            STEPS[self.op], self.x, self.h0, self.c0, weights, lengths
        )
        return (y, h, c) if self.op == "lstm" else (y, h)


def check(got, want, ulp):
    for g, w in zip(got, want, strict=True):
        assert_close(g, w, ulp=ulp, scale=1 + np.abs(w))


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("op, how", OPTIONS)
def test_against_the_definition(isa, dtype, rng, op, how, sizes):
    for directions in (1, 2):
        case = Case(rng, op, sizes, dtype, directions, **how)
        got = case.call(*case.arrays())
        assert all(a.dtype == dtype for a in got)
        check(got, case.want(), ulp=100)


@pytest.mark.parametrize("op, how", OPTIONS)
def test_lengths(isa, rng, op, how):
    case = Case(rng, op, (5, 4, 3, 7), directions=2, **how)
    lengths = [2, 0, 5, 2]
    want = case.want(lengths)
    for b, n in enumerate(lengths):
        case.x[n:, b] = np.nan
    check(case.call(*case.arrays(), lengths=lengths), want, ulp=100)
    x, *rest = case.arrays()
    batch_first = np.ascontiguousarray(x.swapaxes(0, 1))
    got = case.call(batch_first, *rest, lengths=lengths, batch_first=True)
    check((got[0].swapaxes(0, 1), *got[1:]), want, ulp=100)


def test_batch_first(rng):
    case = Case(rng, "gru", (5, 4, 3, 7))
    x, *rest = case.arrays()
    y, h = case.call(x.swapaxes(0, 1).copy(), *rest, batch_first=True)
    want = case.call(x, *rest)
    np.testing.assert_array_equal(y.swapaxes(0, 1), want[0])
    np.testing.assert_array_equal(h, want[1])


def joined(results):
    """One Tensor of several."""
    return dl.cat([r.reshape(-1) for r in results])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("lengths", [None, [3, 0, 1]])
@pytest.mark.parametrize("op, how", OPTIONS)
def test_gradient(isa, rng, op, how, lengths, bias):
    case = Case(rng, op, (3, 3, 2, 5), directions=2, bias=bias, **how)
    gradcheck(lambda *a: joined(case.call(*a, lengths=lengths)), *case.arrays())


@pytest.mark.parametrize("op, how", OPTIONS)
def test_gradient_of_one_sequence_and_of_one_step(isa, rng, op, how):
    for sizes in ((3, 1, 2, 9), (1, 2, 3, 4), (1, 1, 2, 3)):
        case = Case(rng, op, sizes, **how)
        gradcheck(lambda *a, c=case: joined(c.call(*a)), *case.arrays())


@pytest.mark.parametrize("op, how", OPTIONS)
def test_gradient_of_float32(isa, rng, op, how):
    """Long depths, more rows than a tile, more units than a block: as in float64."""
    gradients = {}
    for dtype in ("float32", "float64"):
        case = Case(np.random.default_rng(3), op, (6, 33, 40, 100), dtype, 2, **how)
        inputs = [dl.Tensor(a, requires_grad=True) for a in case.arrays()]
        y = joined(case.call(*inputs))
        weights = np.random.default_rng(4).standard_normal(y.shape)
        y.backward(weights.astype(dtype))
        gradients[dtype] = [x.grad.data for x in inputs]
    for got, want in zip(gradients["float32"], gradients["float64"], strict=True):
        assert_close(got, want, ulp=100, scale=np.abs(want).max())


@pytest.mark.parametrize("op", STEPS)
def test_parts_of_the_gradient(rng, op):
    """Only x, only a weight, only h_n: the same as of all at once."""
    case = Case(rng, op, (4, 3, 5, 6))
    arrays = case.arrays()
    everything = [dl.Tensor(a, requires_grad=True) for a in arrays]
    case.call(*everything)[1].sum().backward()
    for i, one in enumerate(everything):
        inputs = list(arrays)
        inputs[i] = dl.Tensor(arrays[i], requires_grad=True)
        case.call(*inputs)[1].sum().backward()
        np.testing.assert_array_equal(inputs[i].grad.data, one.grad.data)


def test_backward_twice(rng):
    case = Case(rng, "lstm", (4, 3, 5, 6))
    inputs = [dl.Tensor(a, requires_grad=True) for a in case.arrays()]
    y, h, c = case.call(*inputs)
    y.sum().backward(retain_graph=True)
    once = [x.grad.data.copy() for x in inputs]
    y.sum().backward(retain_graph=True)
    for x, one in zip(inputs, once, strict=True):
        np.testing.assert_array_equal(x.grad.data, 2 * one)
    (h.sum() + c.sum()).backward()
    assert repr(y).endswith("grad_fn=<lstm>)")


@pytest.mark.parametrize("op, how", OPTIONS)
def test_same_bits_for_any_number_of_threads(rng, threads, op, how):
    case = Case(rng, op, (7, 60, 40, 96), "float32", 2, **how)
    results = []
    for n in (1, 2, 3):
        threads(n)
        inputs = [dl.Tensor(a, requires_grad=True) for a in case.arrays()]
        got = case.call(*inputs, lengths=[7 - i % 5 for i in range(60)])
        joined(got).sum().backward()
        results.append([r.data for r in got] + [x.grad.data for x in inputs])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("op", STEPS)
def test_truncated_backpropagation_and_state(rng, op):
    """A sequence in two parts is the whole; a detached state stops the gradient."""
    case = Case(rng, op, (6, 2, 3, 5))
    x, *rest = case.arrays()
    states = 2 if op == "lstm" else 1
    whole = case.call(x, *rest)
    first = case.call(x[:2], *rest)
    second = case.call(x[2:], *first[1:], *rest[states:])
    check((np.concatenate([first[0], second[0]]), *second[1:]), whole, ulp=20)
    early = dl.Tensor(x[:2], requires_grad=True)
    last = [s.detach() for s in case.call(early, *rest)[1:]]
    late = dl.Tensor(x[2:], requires_grad=True)
    case.call(late, *last, *rest[states:])[0].sum().backward()
    assert early.grad is None and late.grad is not None


def test_layers_and_dropout(rng):
    first = Case(rng, "gru", (4, 3, 5, 6), directions=2)
    second = Case(rng, "gru", (4, 3, 12, 6), directions=2)
    hx = np.concatenate([first.h0, second.h0])
    params = first.params + second.params
    options = {"num_layers": 2, "bidirectional": True}
    y, h = dl.gru(first.x, hx, params, **options)
    inner, h_first = first.call(*first.arrays())
    want, h_second = second.call(inner, second.h0, *second.params)
    np.testing.assert_array_equal(y, want)
    np.testing.assert_array_equal(h, np.concatenate([h_first, h_second]))
    same = dl.gru(first.x, hx, params, **options, dropout=0.5, train=False)[0]
    np.testing.assert_array_equal(y, same)
    dl.manual_seed(3)
    dropped = dl.gru(first.x, hx, params, **options, dropout=0.5, train=True)[0]
    assert not np.array_equal(y, dropped)
    gradcheck(
        lambda x, h, *p: joined(dl.gru(x, h, list(p), **options)),
        first.x,
        hx,
        *params,
    )


@pytest.mark.parametrize("op, how", OPTIONS)
def test_cells(isa, rng, dtype, op, how):
    if "projection" in how:
        return
    case = Case(rng, op, (1, 3, 5, 7), dtype, **how)
    extra = [case.how[k] for k in ("convention",) if k in case.how]
    hx = (case.h0[0], case.c0[0]) if op == "lstm" else case.h0[0]
    got = getattr(dl, f"{op}_cell")(case.x[0], hx, *case.params, *extra)
    want = case.call(*case.arrays())[1:]
    for g, w in zip(got if op == "lstm" else (got,), want, strict=True):
        np.testing.assert_array_equal(g, w[0])


def test_without_states_they_are_zeros(rng):
    for op in STEPS:
        case = Case(rng, op, (3, 2, 5, 7))
        case.h0[...], case.c0[...] = 0, 0
        want = case.call(*case.arrays())
        for lengths in (None, [3, 3]):
            got = getattr(dl, op)(case.x, None, case.params, lengths=lengths)
            for g, w in zip(got, want, strict=True):
                np.testing.assert_array_equal(g, w)


def test_empty(isa, dtype):
    w = [np.ones((8, 3), dtype), np.ones((8, 2), dtype)]
    for steps, batch in ((0, 2), (3, 0), (0, 0)):
        x = dl.Tensor(np.ones((steps, batch, 3), dtype), requires_grad=True)
        h = np.ones((1, batch, 2), dtype)
        params = [dl.Tensor(a, requires_grad=True) for a in w]
        y, h_n, c_n = dl.lstm(x, (h, h), params, has_biases=False)
        assert y.shape == (steps, batch, 2)
        np.testing.assert_array_equal(h_n.data, h)
        np.testing.assert_array_equal(c_n.data, h)
        (y.sum() + h_n.sum()).backward()
        assert x.grad.shape == x.shape and not params[0].grad.data.any()
    y, h_n, _ = dl.lstm(
        np.ones((3, 2, 3), dtype), None, w, has_biases=False, lengths=[0, 0]
    )
    assert not y.any() and not h_n.any()
    x = np.ones((2, 2, 0), dtype)
    y = dl.rnn_tanh(x, None, [np.ones((2, 0), dtype), w[1][:2]], has_biases=False)[0]
    assert not y.any()


@pytest.mark.parametrize("op", STEPS)
def test_nan_stays_in_its_sequence(isa, rng, op):
    case = Case(rng, op, (5, 17, 3, 20), "float32")
    clean = case.call(*case.arrays())[0]
    case.x[2, 3] = np.nan
    case.x[1, 4] = np.inf
    y = case.call(*case.arrays())[0]
    assert np.isnan(y[2:, 3]).all()
    np.testing.assert_array_equal(y[:2, 3], clean[:2, 3])
    if op in ("lstm", "gru"):
        assert np.isfinite(y[:1, 4]).all()
    others = [b for b in range(17) if b not in (3, 4)]
    np.testing.assert_array_equal(y[:, others], clean[:, others])


def test_large_sums_saturate(isa, dtype):
    w = [np.full((8, 1), 1e4, dtype), np.zeros((8, 2), dtype)]
    y, _, c = dl.lstm(np.ones((3, 1, 1), dtype), None, w, has_biases=False)
    np.testing.assert_array_equal(c, np.full((1, 1, 2), 3, dtype))
    assert_close(y[:, 0, 0], np.tanh([1.0, 2.0, 3.0]), ulp=4)
