"""Weights packed once: the same bits as weights packed by every call."""

import numpy as np
import pytest

import dlcore as dl
from dlcore import _C, nn

SHAPES = [
    # (batch, channels, side), (results, kernel), stride, padding, groups
    ((1, 512, 14), (128, 1), 1, 0, 1),  # a product
    ((2, 128, 28), (70, 1), 2, 0, 2),  # of every second pixel, in groups
    ((1, 400, 17), (131, 1), 1, 0, 1),  # two slices of the sum
    ((1, 160, 7), (256, 1), 1, 0, 1),  # results along the lanes, few pixels
    ((3, 64, 13), (96, 3), 2, 1, 1),
    ((9, 48, 30), (50, 3), 2, 1, 2),  # many
    ((1, 3, 40), (30, 7), 2, 3, 1),  # windows
    ((2, 70, 3), (66, 2), 1, 0, 1),  # few columns
]


def call(x, weight, stride, padding, groups, packed=None):
    settings = (stride, stride), (padding, padding), (1, 1), groups
    finish = "relu", None, 0.01, None
    return _C.conv2d_forward(x, weight, None, *settings, *finish, packed)


def pack(x, weight, stride, padding, groups):
    return _C.conv2d_pack(
        x, weight, (stride, stride), (padding, padding), (1, 1), groups
    )


@pytest.mark.parametrize("case", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_bits(rng, isa, case, dtype):
    (batch, channels, side), (results, kernel), *settings = case
    x = rng.normal(size=(batch, channels, side, side)).astype(dtype)
    groups = settings[-1]
    weight = rng.normal(size=(results, channels // groups, kernel, kernel))
    weight = weight.astype(dtype)
    packed = pack(x, weight, *settings)
    want = call(x, weight, *settings)
    np.testing.assert_array_equal(call(x, weight, *settings, packed), want)


def test_it_is_read(rng):
    """Or every test here would pass without."""
    x = rng.normal(size=(1, 512, 14, 14)).astype("float32")
    weight = rng.normal(size=(128, 512, 1, 1)).astype("float32")
    packed = pack(x, weight, 1, 0, 1)
    packed[100:] = 0
    assert np.count_nonzero(call(x, weight, 1, 0, 1, packed)) < 128 * 14 * 14 // 4


def test_of_another_shape_is_not_read(rng):
    x = rng.normal(size=(1, 512, 14, 14)).astype("float32")
    weight = rng.normal(size=(128, 512, 1, 1)).astype("float32")
    want = call(x, weight, 1, 0, 1)
    other = pack(x[:, :100].copy(), weight[:, :100].copy(), 1, 0, 1)
    ruined = pack(x, weight, 1, 0, 1)
    ruined[:16] = 0
    for packed in (other, ruined, np.zeros(3, "float32"), np.zeros(9), None):
        np.testing.assert_array_equal(call(x, weight, 1, 0, 1, packed), want)
    with pytest.raises(TypeError, match="conv2d: packed must be"):
        call(x, weight, 1, 0, 1, "weights")


@pytest.mark.skipif(len(_C.isas()) < 2, reason="one instruction set")
def test_an_optimized_model_follows_the_settings(rng):
    model = nn.Sequential(nn.Conv2d(64, 96, 1), nn.ReLU(), nn.Conv2d(96, 64, 3)).eval()
    x = rng.normal(size=(1, 64, 16, 16)).astype("float32")
    fast, before = dl.optimize(model, x), (dl.get_isa(), dl.get_winograd())
    try:
        for name in [*_C.isas(), before[0]]:
            for winograd in (True, False):
                dl.set_isa(name)
                dl.set_winograd(winograd)
                np.testing.assert_array_equal(fast(x).data, model(x).data)
    finally:
        dl.set_isa(before[0])
        dl.set_winograd(before[1])
