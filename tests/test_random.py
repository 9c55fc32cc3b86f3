import numpy as np
import pytest

import dlcore as dl
from dlcore import _C

# Random123's kat_vectors for philox4x32-10: counter, key, result.
KNOWN = [
    ((0,) * 4, (0,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (
        (0xFFFFFFFF,) * 4,
        (0xFFFFFFFF,) * 2,
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.fixture(autouse=True)
def seeded():
    before = dl.get_rng_state()
    dl.manual_seed(2024)
    yield
    dl.set_rng_state(before)


def pair(low, high):
    return low | high << 32


def philox(counter, key):
    """Philox4x32-10 on Python's integers."""
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [b >> 32 ^ c[1] ^ k[0], b % 2**32, a >> 32 ^ c[3] ^ k[1], a % 2**32]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c


@pytest.mark.parametrize("counter, key, want", KNOWN)
def test_known_answers(isa, counter, key, want):
    words = _C.random_bits(64, pair(*key), pair(*counter[:2]), pair(*counter[2:]))
    assert tuple(words[::16]) == want  # word w of counter j is at 16 w + j
    assert tuple(philox(counter, key)) == want


def test_every_word_of_two_groups(isa):
    seed, offset = 2**63 + 12345, 2**32 - 5  # the carry into the counter's second word
    words = _C.random_bits(100, seed, offset, 7).tolist()
    key = (seed % 2**32, seed >> 32)
    blocks = []
    for group in range(2):
        of = [
            philox(((c := offset + 16 * group + j) % 2**32, c >> 32, 7, 0), key)
            for j in range(16)
        ]
        blocks += [of[j][w] for w in range(4) for j in range(16)]
    assert words == blocks[:100]


@pytest.mark.parametrize("draw", [dl.rand, dl.randn])
@pytest.mark.parametrize("n", [0, 1, 31, 32, 63, 64, 65, 1000, 70_001])
def test_the_same_bits_everywhere(draw, dtype, n, threads):
    results = []
    for isa in _C.isas():
        for count in (1, 2, 3):
            before = _C.isa()
            _C.set_isa(isa)
            threads(count)
            dl.manual_seed(5)
            results.append(draw(n, dtype=dtype))
            _C.set_isa(before)
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


def test_a_draw_goes_on_where_the_last_ended():
    a, b = dl.rand(100), dl.rand(100)
    dl.manual_seed(2024)
    whole = dl.rand(228)  # a draw takes whole groups of 64
    np.testing.assert_array_equal(a, whole[:100])
    np.testing.assert_array_equal(b, whole[128:])


def test_state_round_trip():
    dl.rand(10)
    state = dl.get_rng_state()
    first = dl.randn(50)
    dl.set_rng_state(state)
    np.testing.assert_array_equal(first, dl.randn(50))
    dl.manual_seed(-1)
    assert dl.get_rng_state().tolist() == [2**64 - 1, 0]


def test_uniform_is_uniform(isa, dtype):
    stats = pytest.importorskip("scipy.stats", reason="needs the extra test")
    u = dl.rand(200_000, dtype=dtype)
    assert u.dtype == dtype and 0 <= u.min() and u.max() < 1
    assert stats.kstest(u.astype("f8"), "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 0.01
    bits = 24 if dtype == "float32" else 53
    steps = u.astype("f8") * 2.0**bits
    assert (steps == np.floor(steps)).all() and (steps % 2 == 1).any()


def test_normal_is_normal(isa, dtype):
    stats = pytest.importorskip("scipy.stats", reason="needs the extra test")
    z = dl.randn(400_000, dtype=dtype).astype("f8")
    assert stats.kstest(z, "norm").pvalue > 1e-3
    for limit in (2.0, 3.0, 4.0):
        want = 2 * stats.norm.sf(limit) * z.size
        assert abs((abs(z) > limit).sum() - want) < 4 * np.sqrt(want)
    assert abs(np.corrcoef(z[:-16], z[16:])[0, 1]) < 0.01  # the two of a pair


def test_normal_follows_box_and_muller(isa):
    z = dl.randn(64).astype("f8").reshape(2, 2, 16)
    words = _C.random_bits(64, 2024, 0, 0).astype("f8").reshape(2, 2, 16)
    radius = np.sqrt(-2 * np.log((np.floor(words[:, 0] / 2) + 0.5) / 2**31))
    angle = 2 * np.pi * words[:, 1] / 2**32
    np.testing.assert_allclose(z[:, 0], radius * np.cos(angle), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(z[:, 1], radius * np.sin(angle), rtol=1e-5, atol=1e-6)


def test_scaled_draws(dtype):
    u = dl.random.uniform(-3.0, 5.0, (40, 50), dtype)
    assert u.shape == (40, 50) and u.dtype == dtype and -3 <= u.min() and u.max() <= 5
    z = dl.random.normal(10.0, 0.5, 10_000, dtype)
    assert abs(z.mean() - 10) < 0.02 and abs(z.std() - 0.5) < 0.02
    assert dl.random.uniform().shape == ()
    assert dl.rand((2, 3)).shape == dl.rand(2, 3).shape == (2, 3)


def test_bernoulli():
    mean = dl.bernoulli(0.3, 100_000).mean()
    assert abs(mean - 0.3) < 0.006
    p = np.array([[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]])
    np.testing.assert_array_equal(dl.bernoulli(p), p)


def test_integers():
    n = dl.randint(-2, 3, (50, 100))
    assert n.dtype == np.int64 and sorted(set(n.ravel().tolist())) == [-2, -1, 0, 1, 2]
    assert abs((n == 1).mean() - 0.2) < 0.03
    assert dl.randint(-(2**63), 2**63 - 1, 3).shape == (3,)
    for size in (0, 1, 2, 1000):
        order = dl.randperm(size)
        np.testing.assert_array_equal(np.sort(order), np.arange(size))
    firsts = np.array([dl.randperm(3)[0] for _ in range(3000)])
    assert np.abs(np.bincount(firsts) - 1000).max() < 130


BAD = [
    (lambda: dl.manual_seed(2**64), ValueError, "seed must fit into 64 bits"),
    (lambda: dl.set_rng_state([1, 2, 3]), ValueError, "what get_rng_state returned"),
    (lambda: dl.rand(-1), ValueError, "size must not be negative, got -1"),
    (lambda: dl.rand(1 << 64), ValueError, "uniform: the sizes multiply to more than"),
    (lambda: dl.rand(2.5), TypeError, None),
    (lambda: dl.rand(2**40, 2**40), ValueError, "more than an array can hold"),
    (lambda: dl.rand(2, dtype="int32"), TypeError, "float32 or float64, got int32"),
    (lambda: dl.random.uniform(2, 1), ValueError, "low <= high, got 2 and 1"),
    (lambda: dl.random.normal(0, -1), ValueError, "std must be at least 0, got -1"),
    (lambda: dl.random.normal(0, np.nan), ValueError, "std must be at least 0"),
    (lambda: dl.bernoulli([0.5, 1.5]), ValueError, "got 1.5 at flat index 1"),
    (lambda: dl.bernoulli([np.nan]), ValueError, "p must be from 0 to 1"),
    (lambda: dl.bernoulli([0.5, 0.5], 3), ValueError, "p must be one number"),
    (lambda: dl.randint(3, 3), ValueError, "high must exceed low"),
    (lambda: dl.randperm(-1), ValueError, "n must be at least 0"),
]


@pytest.mark.parametrize("call, error, match", BAD)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()
