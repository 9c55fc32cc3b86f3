"""optimize: models that keep something from call to call, and calls of many shapes."""

import copy
import warnings

import numpy as np
import pytest
from optimize_helpers import PIECE, Own, check

import dlcore as dl
from dlcore import nn

SHARED = np.zeros(PIECE.shape, "float32")


class Keeps(nn.Module):
    """Forward is the given function of (module, x); with state of every kind."""

    def __init__(self, function):
        self.function = function
        self.register_buffer("n", np.zeros(1, "float32"))
        self.k = np.zeros(PIECE.shape, "float32")
        self.several = {"k": [np.zeros(PIECE.shape, "float32")]}
        self.part = nn.BatchNorm2d(4)
        self.weight = nn.Parameter(np.ones(PIECE.shape, "float32"))
        self.cache = nn.KVCache(2, 4, 64, 6)
        self.count = 0

    def forward(self, *x):
        return self.function(self, *x)


def fills(m, x):
    m.k[:] = x * 2
    return x + m.k


def counts(m, x):
    m.n.add_(1)
    return x + m.n


def below(m, x):
    m.part.running_mean.data[...] = np.asarray(x.data).mean((0, 2, 3))
    return m.part(x)


def in_a_list(m, x):
    y = x + m.several["k"][0]
    m.several["k"][0] += np.asarray(x.data)
    return y


def learns(m, x):
    y = x * m.weight
    m.weight.data[...] += 1
    return y


def writes_only(m, x):
    m.k[:] = x
    return x * 2


def reads_and_overwrites(m, x):
    y = x + m.k
    dl.exp(x, out=m.k)
    return y


def outside(m, x):
    SHARED[:] = x * 2
    return x + SHARED


def own_array(m, x):
    k = np.zeros(x.shape, "float32")
    y = x + k
    k += np.asarray(x.data)
    return y + k


def appends(m, x):
    return dl.scaled_dot_product_attention(x, *m.cache.append(x, x))


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (fills, "forward changes its own k in place: take the state as an argument"),
        (counts, "its own n in place"),
        (below, r"its own part\.running_mean in place"),
        (in_a_list, r"its own several\['k'\]\[0\] in place"),
        (learns, "its own weight in place"),
        (writes_only, "its own k in place"),
        (reads_and_overwrites, "its own k in place"),
        (outside, "an array in place that is read before: take the state"),
        (own_array, r"or build the array with dl\.cat, dl\.stack or dl\.where"),
        (appends, "KVCache is state and grows: call the model itself for decoding"),
    ],
)
@pytest.mark.parametrize("zeros", [False, True])
def test_state_changed_in_place(function, reason, zeros):
    SHARED[:] = 0
    fast = dl.optimize(Keeps(function))
    (frozen,) = fast._of
    before = copy.deepcopy(frozen.state_dict())
    for _ in range(2):  # what a refused call has changed, the next does not see
        with pytest.raises(RuntimeError, match=f"optimize: Keeps: .*{reason}") as error:
            fast(PIECE * (not zeros))
        assert "\n" not in str(error.value)
        assert not frozen.k.any() and not frozen.several["k"][0].any()
        assert not frozen.cache.keys.any() and frozen.cache.length == 0
    if function is not learns:
        for name, value in frozen.state_dict().items():
            np.testing.assert_array_equal(value, before[name])


def sets(m, x):
    m.k = np.tanh(x.data + m.k)
    return dl.relu(m.k)


def numbers(m, x):
    m.count += 1
    return x * m.count


@pytest.mark.parametrize(("function", "name"), [(sets, "k"), (numbers, "count")])
def test_state_set_anew(function, name):
    fast = dl.optimize(Keeps(function))
    before = dict(vars(fast._of[0]))
    with pytest.raises(RuntimeError, match=f"or forward reads its own {name} and sets"):
        fast(PIECE)
    assert vars(fast._of[0]) == before


def lazily(m, x):
    if not hasattr(m, "mask"):
        m.mask = np.tri(x.shape[-1], dtype="float32")
    return x * m.mask


def room(m, x):
    dl.exp(x, out=m.k)
    return dl.Tensor(m.k) * 2.0


def constants(m, x):
    scale = dl.ones(6)
    scale += 1
    scale.mul_(2)
    return x * scale


def last(m, x):
    m.last = y = x * 2.0
    return y


@pytest.mark.parametrize("function", [lazily, room, constants, last])
def test_what_is_no_state(function):
    check(Keeps(function), PIECE)


def test_caches_as_arguments():
    model = Own(lambda m, x, cache: x)
    for cache in (nn.KVCache(1, 1, 4, 4), [nn.KVCache(1, 1, 4, 4)]):
        with pytest.raises(TypeError, match="KVCache is state and grows: call the"):
            dl.optimize(model, PIECE, cache)


def test_arrays_filled_in_place():
    def forward(m, x):
        made = np.zeros(x.shape, "float32")
        made[:, 0] = x[:, 1] * 2
        return dl.relu(made)

    with pytest.raises(RuntimeError, match=r"written into an array made in forward: b"):
        dl.optimize(Own(forward), PIECE)


def test_many_shapes():
    fast = dl.optimize(nn.Sequential(nn.Linear(4, 3), nn.ReLU()))
    (frozen,) = fast._of
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in range(1, 33):
            fast(np.ones((n, 4), "f"))
    programs = dict(fast._programs)
    with pytest.warns(UserWarning, match="pad inputs to a few shapes") as warned:
        for n in range(33, 36):
            x = np.full((n, 4), 0.5, "f")
            got = fast(x)
            assert type(got) is dl.Tensor and not got.requires_grad
            np.testing.assert_array_equal(got.data, frozen(x).data)
    assert len(warned) == 1 and warned[0].filename == __file__
    assert fast._programs == programs and len(programs) == 16
    fast(np.ones((32, 4), "f"))  # by its program


@pytest.mark.filterwarnings("ignore:optimize.*ever new shapes")
def test_many_shapes_change_nothing():
    """Neither what is given nor the model itself, as by a program."""

    def forward(m, x):
        x += 1
        return [x, m.linear.weight, {"twice": dl.relu(x) * 2.0}]

    fast = dl.optimize(Own(forward))
    for n in range(40):
        x = np.full(n, 0.5, "f")
        one, weight, two = fast(x)
        assert (x == 0.5).all() and (one.data == 1.5).all()
        assert (two["twice"].data == 3).all()
        weight.data[...] = 7
    assert not (fast._of[0].linear.weight.data == 7).any()


def test_numbers_are_told_apart_to_the_bit():
    class Ratio(nn.Module):
        def forward(self, x, k):
            return x / k

    fast, x = dl.optimize(Ratio()), np.ones(2, np.float32)
    assert fast(x, 0.0).data[0] == np.inf and fast(x, -0.0).data[0] == -np.inf
    for _ in range(3):
        assert np.isnan(fast(x, float("nan")).data).all()
    assert repr(fast).count("nan") == 1
