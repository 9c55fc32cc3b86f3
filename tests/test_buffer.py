"""The buffer cache: blocks come back, stay within the limit, outlive their maker."""

import gc
import subprocess
import sys

import numpy as np
import pytest

import dlcore as dl
from dlcore import _C

SIZES = [
    1 << 12,
    100_003,
    (1 << 20) + 1,
    3 << 20,
]  # floats; the last two come out of segments


@pytest.fixture(autouse=True)
def empty():
    limit = dl.get_cache_limit()
    gc.collect()
    dl.empty_cache()
    yield
    dl.set_cache_limit(limit)
    dl.empty_cache()


def address(x):
    return x.__array_interface__["data"][0]


@pytest.mark.parametrize("n", SIZES)
def test_aligned_and_writable(n):
    for _ in range(20):  # every colour
        y = dl.relu(np.ones(n, np.float32))
        assert address(y) % 64 == 0
        assert y.flags.c_contiguous and y.flags.writeable
        y += 1
        assert (y == 2).all()


@pytest.mark.parametrize("n", SIZES)
def test_a_block_comes_back(n):
    x = np.ones(n, np.float32)
    y = dl.relu(x)
    at = address(y)
    assert _C.cached_bytes() == 0
    del y
    held = _C.cached_bytes()
    assert x.nbytes <= held <= 1.25 * x.nbytes + 256
    y = dl.relu(x)
    assert address(y) == at
    assert _C.cached_bytes() == 0


def test_empty_cache():
    del_me = [dl.relu(np.ones(n, np.float32)) for n in SIZES * 3]
    del del_me
    assert _C.cached_bytes() > 0
    dl.empty_cache()
    assert _C.cached_bytes() == 0


def test_neighbours_become_one():
    made = [dl.relu(np.ones(2 << 20, np.float32)) for _ in range(12)]  # 8 MiB each
    del made
    held = _C.cached_bytes()
    wide = dl.relu(np.ones(10 << 20, np.float32))
    assert _C.cached_bytes() <= held - wide.nbytes


def test_blocks_do_not_overlap(rng):
    live = {}
    for i in range(600):
        if live and rng.random() < 0.5:
            mark = rng.choice(list(live))
            assert (live.pop(mark) == mark).all()
        if i % 97 == 0:
            dl.empty_cache()
        n = int(2 ** rng.uniform(8, 21))
        live[i] = dl.relu(np.full(n, i, np.float32))
    for mark, x in live.items():
        assert (x == mark).all()


def test_limit():
    dl.set_cache_limit(1 << 20)
    assert dl.get_cache_limit() == 1 << 20
    for _ in range(5):
        many = [dl.relu(np.ones(50_000, np.float32)) for _ in range(20)]
        del many
        assert 0 < _C.cached_bytes() <= 1 << 20
    dl.set_cache_limit(0)
    assert _C.cached_bytes() == 0
    dl.relu(np.ones(50_000, np.float32))
    assert _C.cached_bytes() == 0


@pytest.mark.parametrize(
    ("nbytes", "exception", "match"),
    [
        (-1, ValueError, "^set_cache_limit: nbytes must be at least 0, got -1$"),
        (1 << 70, ValueError, "^set_cache_limit: nbytes must fit into 64 bits$"),
        ("1", TypeError, "^set_cache_limit: nbytes must be a whole number, got str$"),
    ],
)
def test_set_cache_limit_refuses(nbytes, exception, match):
    with pytest.raises(exception, match=match):
        dl.set_cache_limit(nbytes)


def test_views_keep_the_block():
    view = dl.relu(np.arange(100_000, dtype=np.float32))[::-1]
    others = [dl.relu(np.full(100_000, 7, np.float32)) for _ in range(3)]
    assert view[0] == 99_999
    assert all((y == 7).all() for y in others)


def test_arrays_outlive_the_module():
    code = (
        "import sys, numpy as np, dlcore as dl\n"
        "y = dl.relu(np.ones(100_000, 'f'))\n"
        "for name in [n for n in sys.modules if n.startswith('dlcore')]:\n"
        "    del sys.modules[name]\n"
        "del dl; import gc; gc.collect(); print(int(y.sum()))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stdout.strip(), run.stderr) == (0, "100000", "")


def test_no_memory_is_one_line():
    huge = np.broadcast_to(np.float32(1), (1 << 44,))
    with pytest.raises(MemoryError):
        dl.relu(huge)


@pytest.mark.not_under("asan", "tsan", reason="RLIMIT_AS stops the shadow memory")
def test_no_memory_for_the_result():
    code = (
        "import resource, numpy as np, dlcore as dl\n"
        "x = np.ones(64 << 20, 'f'); used = 1 << 29\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used, used))\n"
        "try: dl.relu(x)\n"
        "except MemoryError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "relu: no memory for a result of shape (67108864,)", (
        run.stderr
    )
