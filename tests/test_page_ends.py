"""Kernels read inside their arrays only: a page that is closed lies beside each."""

import ctypes
import mmap
import subprocess
import sys

import numpy as np
import pytest
from op_examples import EXAMPLES
from test_bad_input import call, same

import dlcore as dl
from dlcore import _C

PAGE = mmap.PAGESIZE
SIDES = ("before", "after")


def beside_a_closed_page(array, side):
    """A copy of the array that ends where a page closes, or begins after one."""
    size = -(-max(array.nbytes, 1) // PAGE) * PAGE
    memory = mmap.mmap(-1, size + PAGE)  # stays mapped: the array keeps it
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    closed = start if side == "before" else start + size
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    assert protect(closed, PAGE, 0) == 0
    offset = PAGE if side == "before" else size - array.nbytes
    placed = np.ndarray(array.shape, array.dtype, memory, offset)
    placed[...] = array
    return placed


def results(name, place):
    """Of the op, and its gradients where it has any."""
    arrays = [place(a) for a in EXAMPLES[name].arrays()]
    leaves = [dl.Tensor(a, a.dtype.kind == "f") for a in arrays]
    y = call(name, leaves)
    y = y[0] if isinstance(y, (tuple, list)) else y
    if getattr(y, "requires_grad", False):
        y.backward(place(np.full(y.shape, 0.5, y.dtype)))
    return call(name, arrays), [x.grad for x in leaves if x.grad is not None]


def try_all(side):
    for name in EXAMPLES:
        print(name, flush=True)
        got = results(name, lambda a: beside_a_closed_page(a, side))
        assert same(got, results(name, np.copy)), name


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("isa", _C.isas())
def test_every_op(isa, side):
    """In a process of its own: what it printed last is the op that touched the page."""
    code = f"import test_page_ends as t; t._C.set_isa({isa!r}); t.try_all({side!r})"
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=__file__.rpartition("/")[0],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout.split()[-1:] + run.stderr.split("\n")[-4:]


def test_a_closed_page_is_closed():
    code = (
        "import test_page_ends as t; a = t.np.zeros(3);"
        "b = t.beside_a_closed_page(a, 'after'); print(b.sum(), flush=True);"
        "t.ctypes.string_at(b.ctypes.data, b.nbytes + 1)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=__file__.rpartition("/")[0],
        capture_output=True,
        text=True,
    )
    assert run.stdout == "0.0\n" and run.returncode != 0
