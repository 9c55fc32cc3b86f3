# ruff: noqa: E501  (of the calls that are refused, each has one line)
import sys

import numpy as np
import pytest

import dlcore as dl
from dlcore.testing import gradcheck

SIZES = dict(zip("abcdijkn", (2, 3, 4, 2, 3, 5, 4, 1), strict=True))
EQUATIONS = """
ij,jk->ik  ij,kj->ki  ij,kj  ij,ij->  ij,ij->ij  ij,ij->i  i,j->ij  i,i  ij->ji  ij->  ij->j
bij,bjk->bik  bij,bkj->bki  bij,jk->bki  abij,abjk->abik  abij,ac->bcij  ijk,jil->kl
ii->i  ii->  iji->j  iji,jk->k  aab,abc->c  ij,jk,kl->il  ij,jk,kl,ld->di  a,b,c->cab
bnqh,bnkh->bnqk  b...i,bij->b...j  ...ij,...jk->...ik  ...,...->...  i...->...  nj,ij->ij
nj,ij->in  i,ij,j->  i  ba
""".split()


def shapes(equation, dots=(2, 3)):
    sizes = SIZES | {"l": 2, "q": 3, "h": 4}
    for term in equation.partition("->")[0].split(","):
        before, three, after = term.partition("...")
        middle = dots if three else ()
        yield tuple(sizes[c] for c in before) + middle + tuple(sizes[c] for c in after)


@pytest.mark.parametrize("equation", EQUATIONS)
def test_against_numpy(isa, dtype, rng, equation):
    arrays = [rng.standard_normal(s).astype(dtype) for s in shapes(equation)]
    want = np.einsum(equation, *(a.astype(float) for a in arrays))
    got = dl.einsum(equation, *arrays)
    assert got.dtype == dtype and got.shape == want.shape
    np.testing.assert_allclose(
        got, want, rtol=1e-4, atol=1e-5 if dtype == "float32" else 1e-12
    )


@pytest.mark.parametrize("equation", EQUATIONS)
def test_gradients(rng, equation):
    arrays = [rng.standard_normal(s) for s in shapes(equation)]
    gradcheck(lambda *xs: dl.einsum(equation, *xs), *arrays)


@pytest.mark.parametrize("equation", ["ij,jk,kl->il", "bij,bkj->bki", "iji->j"])
def test_against_torch(torch, rng, equation):
    arrays = [rng.standard_normal(s) for s in shapes(equation)]
    ours = [dl.Tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, ty = dl.einsum(equation, ours), torch.einsum(equation, theirs)
    y.sum().backward()
    ty.sum().backward()
    np.testing.assert_allclose(y.data, ty.detach().numpy(), rtol=1e-10)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one.grad.data, other.grad.numpy(), rtol=1e-10)


def test_axes_that_broadcast(rng):
    a, b = rng.standard_normal((2, 1, 3, 4)), rng.standard_normal((5, 4, 2))
    equation = "...ij,...jk->...ik"
    np.testing.assert_allclose(dl.einsum(equation, a, b), a @ b)
    gradcheck(lambda a, b: dl.einsum(equation, a, b), a, b)


def test_small_products_come_first(monkeypatch, rng):
    """(a b) c would make 300 x 300 numbers between, a (b c) 300."""
    module = sys.modules["dlcore.ops.einsum"]
    sizes = []
    real = module.matmul
    monkeypatch.setattr(
        module, "matmul", lambda a, b: sizes.append(len(b.T)) or real(a, b)
    )
    a, b, c = (rng.standard_normal(s) for s in ((300, 2), (2, 300), (300, 1)))
    module.einsum("ij,jk,kl->il", a, b, c)
    assert sizes == [1, 1]


def test_empty(dtype):
    a, b = np.ones((2, 0), dtype), np.ones((0, 3), dtype)
    np.testing.assert_array_equal(dl.einsum("ij,jk->ik", a, b), np.zeros((2, 3)))
    assert dl.einsum("ij,kj->ik", a[:0], a).shape == (0, 2)


A = np.zeros((2, 3), "f4")
REFUSED = [
    (lambda: dl.einsum("ij,jk", A), ValueError, "equation must name as many operands as are given, got 2"),
    (lambda: dl.einsum("ij,ij->k", A, A), ValueError, "the result must name letters of the operands"),
    (lambda: dl.einsum("ij->ii", A), ValueError, "the result must name letters of the operands, each once"),
    (lambda: dl.einsum("ij,jk", A, A), ValueError, "the axes of one letter must have one length, got 3 and 2 for 'j'"),
    (lambda: dl.einsum("ii", A), ValueError, "the axes of one letter must have one length"),
    (lambda: dl.einsum("ijk", A), ValueError, "'ijk' must have a letter for each axis"),
    (lambda: dl.einsum("i", A), ValueError, "'i' must have a letter for each axis"),
    (lambda: dl.einsum("i1", A), ValueError, "equation must be of letters"),
    (lambda: dl.einsum("i.j", A), ValueError, "equation must be of letters"),
    (lambda: dl.einsum("ij->i->j", A), ValueError, "equation must be of letters|the result"),
    (lambda: dl.einsum(3, A), TypeError, "equation must be a str, got int"),
    (lambda: dl.einsum("ij,jk", A, A.T.astype("f8")), TypeError, "operands must have one dtype"),
    (lambda: dl.einsum("ij", A.astype(int)), TypeError, "each operand must be float32 or float64, got int64"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), REFUSED)
def test_refusals(call, error, message):
    with pytest.raises(error, match=f"^einsum: ({message})"):
        call()
