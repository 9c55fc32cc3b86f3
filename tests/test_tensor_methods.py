"""Tensor's methods and operators beside PyTorch's."""

import numpy as np
import pytest

import dlcore as dl
from dlcore.testing import gradcheck

# Each is called with a tensor of shape (2, 3, 4) and one of (3, 4), of either library.
METHODS = {
    "arithmetic": lambda x, y: (x + y) * (x - y) / (y + 2) ** 2,
    "reflected": lambda x, y: 2 + x * 3 - (1 - y) + 6 / x + 2**x,
    "positive": lambda x, y: +x - -x,
    "matmul": lambda x, y: x @ y.T,
    "T": lambda x, y: y.T,
    "mT": lambda x, y: x.mT,
    "t": lambda x, y: y.t(),
    "reshape": lambda x, y: x.reshape(4, 6) + x.reshape((4, -1)),
    "view": lambda x, y: x.view(6, -1) * x.view(6, 4),
    "view_as": lambda x, y: x.reshape(12, 2)[:6].view_as(y),
    "reshape_as": lambda x, y: x[0].reshape_as(y),
    "expand_as": lambda x, y: y.expand_as(x),
    "ravel": lambda x, y: x.ravel(),
    "flatten": lambda x, y: x.flatten(1),
    "permute": lambda x, y: x.permute(2, 0, 1),
    "transpose": lambda x, y: x.transpose(0, -1),
    "swapaxes": lambda x, y: x.swapaxes(0, 1),
    "movedim": lambda x, y: x.movedim(0, -1),
    "movedim back": lambda x, y: x.movedim(2, 0),
    "squeeze": lambda x, y: x.unsqueeze(1).squeeze(1),
    "expand": lambda x, y: y[:, None].expand(-1, 5, 4),
    "repeat": lambda x, y: y.repeat(2, 3),
    "repeat new": lambda x, y: y.repeat(2, 1, 2),
    "select": lambda x, y: x.select(1, -1),
    "narrow": lambda x, y: x.narrow(2, 1, 2),
    "narrow from the end": lambda x, y: x.narrow(-1, -2, 2),
    "unbind": lambda x, y: x.unbind(1)[2],
    "split": lambda x, y: x.split(2, dim=1)[1],
    "chunk": lambda x, y: x.chunk(2, dim=2)[0],
    "index": lambda x, y: x[0],
    "index of each": lambda x, y: x[1, 2, 3],
    "slice": lambda x, y: x[:, 1:, ::2],
    "dots": lambda x, y: x[..., -1],
    "new axis": lambda x, y: x[:, None],
    "mask": lambda x, y: x[x > 1],
    "numbers": lambda x, y: x[[1, 0, 1]],
    "iteration": lambda x, y: [row * 2 for row in x][1],
    "sum": lambda x, y: x.sum(),
    "sum of dims": lambda x, y: x.sum((0, 2), keepdim=True),
    "mean": lambda x, y: x.mean(dim=1),
    "var": lambda x, y: x.var(dim=-1),
    "std": lambda x, y: x.std(-1, correction=0),
    "prod": lambda x, y: x.prod(1),
    "amax": lambda x, y: x.amax(1) + x.amin(1),
    "max of all": lambda x, y: x.max() - x.min(),
    "norm": lambda x, y: x.norm() + y.norm(1),
    "logsumexp": lambda x, y: x.logsumexp(1),
    "cumsum": lambda x, y: x.cumsum(1),
    "softmax": lambda x, y: x.softmax(-1) + x.log_softmax(1),
    "unary": lambda x, y: x.exp().log1p().sqrt().rsqrt().reciprocal().square().neg(),
    "activations": lambda x, y: (x - 1).relu() + x.sigmoid() + x.tanh().abs(),
    "clamp": lambda x, y: x.clamp(0.7, 1.5) + x.clip(max=1.2),
    "pow": lambda x, y: x.pow(2) + x**0.5 + x**y,
    "maximum": lambda x, y: x.maximum(y) + x.minimum(y),
    "masked_fill": lambda x, y: x.masked_fill(x > 1, 0.5),
    "clone": lambda x, y: x.clone() * x,
    "contiguous": lambda x, y: x.mT.contiguous(),
    "dot": lambda x, y: x[0, 0].dot(y[1]),
    "mm": lambda x, y: x[0].mm(y.T) + x.bmm(x.mT).sum(),
    "double": lambda x, y: x.double() + y.type_as(x),
    "sort": lambda x, y: x.sort(-1).values,
    "topk": lambda x, y: x.topk(2, -1).values,
    "gather": lambda x, y: x.gather(2, x.argsort(-1)),
    **{
        name: lambda x, y, name=name: getattr(x / 3, name)()
        for name in "sin cos tan asin acos atan sinh cosh asinh atanh exp2".split()
    },
    "logarithms": lambda x, y: x.log2() + y.log10() + (x + 1).acosh(),
    "whole": lambda x, y: x.floor() + x.ceil() * x - x.trunc() + x.round(),
    "round": lambda x, y: x * x.round(decimals=1),
    "atan2": lambda x, y: x.atan2(y),
    "remainder": lambda x, y: (x - 1.2).remainder(y) + (x - 1.2).fmod(y),
    "% and //": lambda x, y: x % y + (x * 3) % 2 + 7 % x + x // 0.3 * x,
    "logaddexp": lambda x, y: x.logaddexp(y),
    "lerp": lambda x, y: x.lerp(y, 0.3) + x.lerp(y, x),
    "addcmul": lambda x, y: x.addcmul(x, y, value=0.5).addcdiv(x, y, value=-2),
    "alpha": lambda x, y: x.add(y, alpha=2).sub(y, alpha=0.5),
    "limits": lambda x, y: x.clamp(y, max=y + 0.1) + x.clamp_min(1) + x.clamp_max(1.2),
    "flip": lambda x, y: x.flip(0, -1) + x.flip(dims=(1,)),
    "roll": lambda x, y: x.roll(2) + x.roll((1, -5), (0, 2)),
    "movedim of several": lambda x, y: x.movedim((0, 1), (-1, 0)),
    "tile": lambda x, y: y.tile(2) + y.tile((1, 2)),
    "tile new": lambda x, y: y.tile(2, 1, 3),
    "repeat_interleave": lambda x, y: x.repeat_interleave(2, 1),
    "repeat_interleave of all": lambda x, y: y.repeat_interleave(3),
    "tril": lambda x, y: x.tril() + x.triu(1) + x.tril(-1) + x.triu(9) + x.tril(-9),
    "diagonal": lambda x, y: x.diagonal(1, -1, 0),
    "diagonal below": lambda x, y: y.diagonal(-1),
    "diag": lambda x, y: y.diag(1) * y[0, :3].diag().sum(),
    "diag of a vector": lambda x, y: y[0].diag(2) * y[1].diag(-2),
    "outer": lambda x, y: y[0].outer(x[1, 2]),
    "mv": lambda x, y: y.mv(x[0, 0]) * y[:, :3].trace(),
    "max of a dim": lambda x, y: x.max(1).values + x.min(1)[0],
    "max kept": lambda x, y: x.max(-1, keepdim=True).values,
    "max of two": lambda x, y: x.max(y) + x.min(y),
    "unbiased": lambda x, y: x.var(1, unbiased=False) + x.std(1, False),
    "unflatten": lambda x, y: x.unflatten(2, (2, -1)),
    "where": lambda x, y: x.where(x > 1, y),
    "addmm": lambda x, y: x[0].addmm(y, y.T @ y, beta=0.5),
}
FACTS = {
    "argmax": lambda x, y: (x.argmax().item(), x.argmin(1).tolist()),
    "max": lambda x, y: [
        x.max(1).indices.tolist(),
        x.min(2, True).indices.tolist(),
        x.argsort(-1).max(1).values.tolist(),
        x.max(0)._fields if hasattr(x.max(0), "_fields") else ("values", "indices"),
    ],
    "logical": lambda x, y: [
        m.tolist()
        for m in (
            (x > 1).logical_and(y > 1),
            (x - x).logical_or(y),
            x.logical_xor(y),
            (x > 1).logical_not(),
        )
    ],
    "isclose": lambda x, y: x.isclose(x + (x > 1).double() * 1e-7).tolist(),
    "nonzero as tuple": lambda x, y: x[(x > 1).nonzero(as_tuple=True)].tolist(),
    "unbind of whole": lambda x, y: [t.tolist() for t in y.argsort(-1).unbind(1)],
    "whole numbers move": lambda x, y: [
        t.tolist()
        for i in (y.argsort(-1),)
        for t in (i.flip(0), i.roll(1, 0), i.tril(), i[0].diag(1), i.tile(2))
    ],
    "kinds": lambda x, y: (x.is_floating_point(), x.is_cuda, (x > 1).all().item()),
    "new_full": lambda x, y: (
        x.new_full((2,), 3.5).tolist(),
        x.new_tensor([1, 2]).tolist(),
    ),
    "comparison": lambda x, y: [
        m.tolist() for m in (x > y, x >= 1, x < y, x <= 1, x == x, x != y)
    ],
    "masks": lambda x, y: [
        m.tolist() for m in ((x > 1) & (y > 1), (x > 1) | (y > 1), ~(x > 1))
    ],
    "exclusive or": lambda x, y: ((x > 1) ^ (y > 1)).tolist(),
    "any, all": lambda x, y: ((x > 1).any().item(), (x > 0).all().item()),
    "size": lambda x, y: (tuple(x.size()), x.size(1), x.dim(), x.ndim, tuple(x.shape)),
    "count": lambda x, y: (x.numel(), x.nelement(), len(x), x.element_size()),
    "bytes": lambda x, y: (x.nbytes, x.itemsize),
    "item": lambda x, y: (
        x[0, 0, 0].item(),
        float(y[0, 0]),
        int(y[1, 1]),
        bool(y[0, 0]),
    ),
    "tolist": lambda x, y: x.tolist(),
    "dtypes": lambda x, y: [
        str(t.dtype).removeprefix("torch.")
        for t in (x.float(), x.long(), x.int(), x.bool(), x.double())
    ],
    "whole": lambda x, y: (x * 10).long().tolist(),
    "is_contiguous": lambda x, y: (x.is_contiguous(), x.mT.is_contiguous()),
    "nonzero": lambda x, y: (x > 1).nonzero().tolist(),
    "equal": lambda x, y: (x.equal(x.clone()), x.equal(y), x.allclose(x + 1e-9)),
    "new": lambda x, y: (x.new_zeros(2, 2).tolist(), x.new_ones((3,)).tolist()),
    "counts": lambda x, y: [
        (n.tolist(), str(n.dtype).removeprefix("torch."))
        for i in (x.argmax(-1),)
        for n in (
            *(i + 1, 2 - i, i * i, i / 2, 6 / (i + 1), i // 2, i % 3, 7 // (i + 1)),
            *(i**2, -i, abs(-i), (x > 1).sum() / 24, (x > 1).sum() + 0.5, i * True),
            *((-i).abs(), i.clamp(1), i.clip(0, 1), i.clamp(max=0), i.clamp(0.5)),
            *(i.floor(), i.ceil(), i.round(), i.trunc(), i % 2.5, i // 0.5, i * 0.5),
        )
    ],
    "leaf": lambda x, y: (
        x.is_leaf,
        (x * 2).is_leaf,
        x.requires_grad,
        x.grad_fn is None,
    ),
    "cpu": lambda x, y: (x.cpu() is x, str(x.device)),
    "contains": lambda x, y: (x[0, 1, 2].item() in x, 5.0 in x),
    "to": lambda x, y: [
        str(t.dtype).removeprefix("torch.")
        for t in (
            *(x.to(x.long()), x.to("cpu"), x.to("cpu", x.long().dtype), x.to(x.dtype)),
            *(x.to(device="cpu"), x.to(device="cpu", dtype=x.int().dtype)),
        )
    ],
    "format": lambda x, y: f"{x[0, 0, 0]:.3f}",
}


def numbers():
    rng = np.random.default_rng(3)
    return rng.uniform(0.5, 2, (2, 3, 4)), rng.uniform(0.5, 2, (3, 4))


@pytest.mark.parametrize("name", METHODS)
def test_methods(torch, name):
    f, (a, b) = METHODS[name], numbers()
    want = f(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    got = f(dl.Tensor(a), dl.Tensor(b))
    assert type(got) is dl.Tensor and got.shape == want.shape
    np.testing.assert_allclose(got.data, want, rtol=1e-12)
    gradcheck(f, a, b)


@pytest.mark.parametrize("name", FACTS)
def test_facts(torch, name):
    f, (a, b) = FACTS[name], numbers()
    mine = [dl.Tensor(t, requires_grad=name == "leaf") for t in (a, b)]
    theirs = [torch.from_numpy(t) for t in (a, b)]
    if name == "leaf":
        theirs[0].requires_grad_()
    assert f(*mine) == f(*theirs)


@pytest.mark.parametrize("kind", [np.float32, np.float64, float])
def test_floating_scalars_take_integers_as_numbers_do(kind):
    i, a = dl.arange(1, 4), np.arange(1.0, 4)
    for got, want in (
        (kind(2) * i, 2 * a),
        (i / kind(2), a / 2),
        (kind(2) - i, 2 - a),
        (i % kind(2), a % 2),
        (i ** kind(2), a**2),
    ):
        assert type(got) is dl.Tensor and got.dtype == np.float32
        np.testing.assert_array_equal(got.data, want)
    assert (dl.ones(2) % kind(0.75)).dtype == np.float32


@pytest.mark.parametrize("name", ["floor", "ceil", "round", "trunc", "abs"])
def test_a_whole_result_has_memory_of_its_own(name):
    i = dl.arange(3)
    y = getattr(i, name)()
    y += 1
    assert i.tolist() == [0, 1, 2] and y.tolist() == [1, 2, 3]


def test_slope_of_an_angle_is_zero_at_the_origin(torch):
    for lib, make in ((dl, dl.Tensor), (torch, torch.from_numpy)):
        a, b = (make(np.zeros(2)).requires_grad_() for _ in "ab")
        lib.atan2(a, b).sum().backward()
        assert a.grad.tolist() == b.grad.tolist() == [0.0, 0.0]
    a, b = (dl.Tensor(np.zeros(2), requires_grad=True) for _ in "ab")
    slopes = dl.grad(dl.atan2(a, b).sum(), (a, b), create_graph=True)
    for second in dl.grad(sum(s.sum() for s in slopes), (a, b)):
        assert dl.isfinite(second).all()


@pytest.mark.parametrize("name", ["sin", "floor", "round", "atan2", "remainder"])
def test_out(name):
    op, inputs = getattr(dl, name), [np.array([1.5, -0.4])]
    if name in ("atan2", "remainder"):
        inputs.append(np.array([2.0, 0.7]))
    want, out = op(*inputs), np.zeros(2)
    assert op(*inputs, out=out) is out
    np.testing.assert_array_equal(out, want)
    assert op(*inputs, out=inputs[0]) is inputs[0]
    np.testing.assert_array_equal(inputs[0], want)
    with pytest.raises(TypeError, match=f"{name}: out must be an array of float64"):
        op(*inputs, out=np.zeros(2, "f"))
    with pytest.raises(TypeError, match=f"{name}: out must be .*, got list"):
        op(*inputs, out=[0.0, 0.0])
    with pytest.raises(ValueError, match=rf"{name}: out .* \(2,\), got \(3,\)"):
        op(*inputs, out=np.zeros(3))
    with pytest.raises(RuntimeError, match="out: must not be given where a gradient"):
        op(dl.Tensor(inputs[0], requires_grad=True), *inputs[1:], out=out)


@pytest.mark.parametrize(
    "call, error, match",
    [
        (
            lambda x: x.t(),
            ValueError,
            r"t: x must have at most 2 axes, got .*\(2, 3, 4\)",
        ),
        (lambda x: x.flip(0, 0), ValueError, r"flip: a dimension must be named once"),
        (lambda x: x.roll((1, 2), 0), ValueError, "roll: shifts must be one for each"),
        (lambda x: x.movedim(0, (0, 1)), ValueError, "must be of one length"),
        (lambda x: x.tile(-1), ValueError, "tile: each of dims must be at least 0"),
        (lambda x: x[0, 0].tril(), ValueError, "tril: x must have at least 2 axes"),
        (lambda x: x.diagonal(0, 1, 1), ValueError, "dim1 and dim2 must differ"),
        (lambda x: x.diag(), ValueError, "diag: x must have 1 or 2 axes"),
        (lambda x: x.outer(x), ValueError, "outer: both must be vectors"),
        (lambda x: x.select(0, 2), IndexError, "select: index must fit dim 0"),
        (lambda x: x.max((0, 1)), TypeError, r"max: dim must be .* take amax"),
        (lambda x: x.max(0, axis=1), ValueError, "max: dim and axis must not both"),
        (lambda x: x.argsort().sin(), TypeError, "sin: x must be float32 or float64"),
        (lambda x: (x > 0) * x, TypeError, r"mul: a must .* a.astype\('float64'\)"),
        (lambda x: x.float() - x.long(), TypeError, r"sub: .* b.astype\('float32'\)"),
        (lambda x: x.data + x.long(), TypeError, r"add: .* b.astype\('float64'\)"),
        (lambda x: x.atan2(x.long()), TypeError, r"atan2: b .* b.astype\('float64'\)"),
        (lambda x: x.long().sin(), TypeError, r"sin: .* x.astype\('float32'\)"),
        (lambda x: x.atan2(x.float()), TypeError, "atan2: .* of one dtype, got float6"),
        (lambda x: x.atan2(x[0, 0, :3]), ValueError, "atan2: the shapes must broadcas"),
        (lambda x: x.repeat_interleave(-1), ValueError, "repeats must be at least 0"),
        (lambda x: x.repeat_interleave(1.5), TypeError, "repeats must be whole number"),
        (lambda x: x.repeat(2), ValueError, "repeat: sizes must be a number for each"),
        (lambda x: x.narrow(1, 2, 2), ValueError, "narrow: start and length must stay"),
        (lambda x: x.select(3, 0), IndexError, "select: dim must be from -3 to 2"),
        (lambda x: x.dot(x), ValueError, "dot: both must be vectors"),
        (
            lambda x: x & True,
            TypeError,
            "and: both must be bool or integer, got float64",
        ),
        (lambda x: ~x, TypeError, "invert: both must be bool or integer"),
        (lambda x: x.reshape(5), ValueError, "reshape: shape must hold 24 elements"),
        (lambda x: x.fill_([1, 2]), ValueError, "fill_: value must be a number"),
        (
            lambda x: x.copy_(np.ones(5)),
            ValueError,
            r"copy_: src must broadcast to shape",
        ),
    ],
)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call(dl.Tensor(numbers()[0]))
