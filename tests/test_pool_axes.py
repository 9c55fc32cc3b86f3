"""Pooling over one, two and three axes, with every option, adaptive, and back."""

import numpy as np
import pytest
import reference_pool as reference

import dlcore as dl
from dlcore.testing import assert_close, gradcheck

# sizes, kernel, stride, padding, dilation
WINDOWS = [
    ((37,), (3,), (2,), (1,), (1,)),
    ((64,), (4,), (4,), (0,), (1,)),
    ((131,), (5,), (1,), (2,), (2,)),
    ((7,), (3,), (5,), (1,), (1,)),
    ((14, 14), (2, 2), (2, 2), (0, 0), (1, 1)),
    ((13, 35), (3, 2), (2, 3), (1, 1), (2, 1)),
    ((9, 66), (2, 3), (1, 2), (0, 1), (1, 2)),
    ((6, 7, 17), (2, 2, 2), (2, 2, 2), (0, 0, 0), (1, 1, 1)),
    ((5, 9, 33), (3, 3, 3), (2, 2, 2), (1, 1, 1), (1, 1, 1)),
    ((7, 6, 20), (2, 3, 4), (3, 1, 4), (1, 0, 2), (2, 2, 1)),
    ((8, 9, 10), (7, 7, 7), (1, 2, 3), (3, 3, 3), (1, 1, 1)),  # more taps than 256
]
# sizes, output_size
PARTS = [
    ((30,), (7,)),
    ((5,), (11,)),
    ((14, 14), (7, 7)),
    ((12, 33), (7, 5)),
    ((9, 20), (3, 20)),
    ((5, 7, 9), (2, 3, 4)),
    ((4, 6, 8), (1, 1, 1)),
]


def op(name, dims):
    return getattr(dl, f"{name}{dims}d")


def numbers(rng, sizes, dtype, special=True):
    """With ties, NaN and infinities."""
    x = np.round(rng.standard_normal((2, 3, *sizes)), 1).astype(dtype)
    if special:
        x[0, :2].flat[rng.integers(0, x[0, :2].size, x.size // 20)] = np.nan
        x[1].flat[rng.integers(0, x[1].size, x.size // 5)] = -np.inf
    return x


def magnitude(f, x):
    return f(np.abs(x).astype(np.float64))


@pytest.mark.parametrize("sizes, kernel, stride, padding, dilation", WINDOWS)
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("name", ["max_pool", "min_pool"])
def test_extremes(
    isa, dtype, rng, name, sizes, kernel, stride, padding, dilation, ceil_mode
):
    x = numbers(rng, sizes, dtype)
    window = kernel, stride, padding, dilation, ceil_mode
    places = [
        reference.positions(*one, ceil_mode)
        for one in zip(sizes, kernel, stride, padding, dilation, strict=True)
    ]
    want, want_indices = getattr(reference, name)(x, places)
    f = op(name, len(sizes))
    y, indices = f(x, *window, return_indices=True)
    np.testing.assert_array_equal(y, want)
    np.testing.assert_array_equal(indices, want_indices)
    np.testing.assert_array_equal(f(x, *window), want)

    t = dl.Tensor(numbers(rng, sizes, dtype, special=False), requires_grad=True)
    y = f(t, *window)
    dy = rng.standard_normal(y.shape).astype(dtype)
    y.backward(dy)
    sign = 1 if name == "max_pool" else -1
    want = reference.max_pool_gradient(sign * t.data, places, dy)
    np.testing.assert_allclose(t.grad.data, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sizes, kernel, stride, padding, dilation", WINDOWS)
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("count_include_pad", [False, True])
def test_averages(
    isa,
    dtype,
    rng,
    sizes,
    kernel,
    stride,
    padding,
    dilation,
    ceil_mode,
    count_include_pad,
):
    x = numbers(rng, sizes, dtype, special=False)
    places = [
        reference.positions(*one, 1, ceil_mode)
        for one in zip(sizes, kernel, stride, padding, strict=True)
    ]
    args = kernel, stride, padding, ceil_mode, count_include_pad
    f = op("avg_pool", len(sizes))

    def want(x):
        return reference.avg_pool(x, places, padding, count_include_pad)

    assert_close(f(x, *args), want(x.astype("d")), scale=magnitude(want, x))
    if len(sizes) == 1:
        return

    def sums(x):
        return reference.avg_pool(x, places, divisor=3)

    y = f(x, *args, divisor_override=3)
    assert_close(y, sums(x.astype("d")), scale=magnitude(sums, x))


@pytest.mark.parametrize("sizes, kernel, stride, padding, dilation", WINDOWS)
@pytest.mark.parametrize("norm_type", [1, 2, 3, 1.5])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_norms(
    isa, dtype, rng, sizes, kernel, stride, padding, dilation, norm_type, ceil_mode
):
    x = rng.uniform(0.1, 2, (2, 3, *sizes)).astype(dtype)
    places = [
        reference.positions(*one, 0, 1, ceil_mode)
        for one in zip(sizes, kernel, stride, strict=True)
    ]
    y = op("lp_pool", len(sizes))(x, norm_type, kernel, stride, ceil_mode)
    assert_close(y, reference.lp_pool(x.astype("d"), norm_type, places))


def test_infinite_norms(rng):
    x = rng.standard_normal((2, 3, 8, 9))
    np.testing.assert_array_equal(
        dl.lp_pool2d(x, np.inf, 3, 2), dl.max_pool2d(np.abs(x), 3, 2)
    )
    np.testing.assert_array_equal(
        dl.lp_pool2d(x, -np.inf, 3, 2), dl.min_pool2d(np.abs(x), 3, 2)
    )


@pytest.mark.parametrize("sizes, parts", PARTS)
def test_adaptive(isa, dtype, rng, sizes, parts):
    x = numbers(rng, sizes, dtype)
    places = [
        reference.adaptive_positions(*one) for one in zip(sizes, parts, strict=True)
    ]
    want, want_indices = reference.max_pool(x, places)
    f = op("adaptive_max_pool", len(sizes))
    y, indices = f(x, parts, return_indices=True)
    np.testing.assert_array_equal(y, want)
    np.testing.assert_array_equal(indices, want_indices)
    np.testing.assert_array_equal(f(x, parts), want)

    x = numbers(rng, sizes, dtype, special=False)

    def mean(x):
        return reference.avg_pool(x, places, count_include_pad=False)

    y = op("adaptive_avg_pool", len(sizes))(x, parts)
    assert_close(y, mean(x.astype("d")), scale=magnitude(mean, x))


@pytest.mark.parametrize("sizes", [(9,), (5, 6), (3, 4, 5)])
def test_global(isa, dtype, rng, sizes):
    x = numbers(rng, sizes, dtype, special=False)
    axes = tuple(range(2, x.ndim))
    want = x.mean(axes, dtype="d", keepdims=True)
    scale = np.abs(x).mean(axes, dtype="d", keepdims=True)
    assert_close(op("global_avg_pool", len(sizes))(x), want, scale=scale)
    y = op("global_max_pool", len(sizes))(x)
    np.testing.assert_array_equal(y, x.max(axes, keepdims=True))


@pytest.mark.parametrize("planes", [1, 3, 4, 8, 17])
@pytest.mark.parametrize("n", [1, 7, 8, 33, 200])
def test_means_of_many_planes(isa, dtype, rng, planes, n):
    """Planes are summed a vector's width at a time."""
    x = rng.standard_normal((planes, n)).astype(dtype)
    want = x.mean(1, dtype="d", keepdims=True)
    y = dl.global_avg_pool1d(x)
    assert_close(y, want, scale=np.abs(x).mean(1, dtype="d", keepdims=True))
    alone = np.concatenate([dl.global_avg_pool1d(row[None]) for row in x])
    np.testing.assert_array_equal(y, alone)


@pytest.mark.parametrize(
    "size, window",
    [
        ((7, 7), (3, 1, 1)),
        ((13, 13), (3, 2)),
        ((14, 14), (2,)),
        ((21, 19), (2,)),
        ((9, 30), (2, 1)),
        ((5, 8), (3, 4, 1)),
        ((40, 50), (3, 2, 1)),
        ((6, 1300), (5, 3, 2)),
    ],
)
@pytest.mark.parametrize("name", ["max_pool2d", "min_pool2d", "avg_pool2d"])
def test_a_plane_does_not_see_the_others(isa, dtype, rng, size, window, name):
    """Small planes are reduced several at a time, up to a last, smaller group."""
    x = rng.standard_normal((1, 21, *size)).astype(dtype)
    x[0, 5, 2, 3] = np.nan
    together = dl.Tensor(x, True)
    y = getattr(dl, name)(together, *window)
    dy = rng.standard_normal(y.data.shape).astype(dtype)
    y.backward(dy)
    for i in range(21):
        alone = dl.Tensor(x[:, i : i + 1], True)
        one = getattr(dl, name)(alone, *window)
        one.backward(dy[:, i : i + 1])
        bound = {"rtol": 1e-5, "atol": 1e-6}
        np.testing.assert_allclose(y.data[:, i : i + 1], one.data, **bound)
        ours, lone = together.grad.data[:, i : i + 1], alone.grad.data
        np.testing.assert_allclose(ours, lone, **bound)


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_a_window_beyond_the_plane_in_ceil_mode(torch, rng, name):
    x = rng.standard_normal((2, 9, 3, 12)).astype(np.float32)
    ours, theirs = dl.Tensor(x, True), torch.tensor(x, requires_grad=True)
    y = getattr(dl, name)(ours, (5, 2), 3, ceil_mode=True)
    want = getattr(torch.nn.functional, name)(theirs, (5, 2), 3, ceil_mode=True)
    np.testing.assert_allclose(y.data, want.detach().numpy(), rtol=1e-6)
    y.backward(y.data)
    want.backward(torch.tensor(y.data))
    np.testing.assert_allclose(ours.grad.data, theirs.grad.numpy(), rtol=1e-5)
    with pytest.raises(ValueError, match="must fit into the padded height"):
        getattr(dl, name)(x, (5, 2), 2, ceil_mode=True)


def test_a_window_spread_beyond_the_axis_is_not_all_of_it():
    """As many taps as elements, but not all of them inside."""
    x = np.array([[[1.0, 2.0]]])
    y, i = dl.max_pool1d(x, 2, 2, 0, 2, True, True)
    assert y.item() == 1 and i.item() == 0
    assert dl.min_pool1d(-x, 2, 2, 0, 2, True).item() == -1
    x = np.array([[[1.0, 5, 2], [6, 9, 7], [3, 8, 4]]])
    assert dl.max_pool2d(x, 3, 3, 0, 2, True).item() == 4


def test_output_size_none_keeps_an_axis(rng):
    x = rng.standard_normal((2, 3, 6, 8))
    assert dl.adaptive_avg_pool2d(x, (None, 2)).shape == (2, 3, 6, 2)
    np.testing.assert_array_equal(dl.adaptive_max_pool2d(x, None), x)


@pytest.mark.parametrize("sizes, kernel, stride, padding, dilation", WINDOWS)
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_oracle(torch, rng, sizes, kernel, stride, padding, dilation, ceil_mode):
    dims = len(sizes)
    functional = torch.nn.functional
    base = rng.permutation(6 * int(np.prod(sizes))).reshape(2, 3, *sizes) + 1.0
    calls = {
        "max_pool": (kernel, stride, padding, dilation, ceil_mode),
        "avg_pool": (kernel, stride, padding, ceil_mode, True),
        "lp_pool": (2, kernel, stride, ceil_mode),
    }
    if dims == 1:
        calls["lp_pool"] = (2, kernel[0], stride[0], ceil_mode)
    for name, args in calls.items():
        theirs = torch.tensor(base, requires_grad=True)
        want = getattr(functional, f"{name}{dims}d")(theirs, *args)
        ours = dl.Tensor(base, requires_grad=True)
        y = op(name, dims)(ours, *args)
        np.testing.assert_allclose(y.data, want.detach().numpy(), rtol=1e-12)
        dy = rng.standard_normal(y.shape)
        y.backward(dy)
        want.backward(torch.tensor(dy))
        np.testing.assert_allclose(
            ours.grad.data, theirs.grad.numpy(), rtol=1e-10, atol=1e-12
        )


@pytest.mark.parametrize("sizes, parts", PARTS)
@pytest.mark.parametrize("name", ["adaptive_avg_pool", "adaptive_max_pool"])
def test_adaptive_oracle(torch, rng, sizes, parts, name):
    dims = len(sizes)
    base = rng.standard_normal((2, 3, *sizes))
    theirs = torch.tensor(base, requires_grad=True)
    want = getattr(torch.nn.functional, f"{name}{dims}d")(theirs, parts)
    ours = dl.Tensor(base, requires_grad=True)
    y = op(name, dims)(ours, parts)
    np.testing.assert_allclose(y.data, want.detach().numpy(), rtol=1e-12, atol=1e-13)
    dy = rng.standard_normal(y.shape)
    y.backward(dy)
    want.backward(torch.tensor(dy))
    np.testing.assert_allclose(ours.grad.data, theirs.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    "size, kernel, stride, padding",
    [((5, 6), 3, 2, 1), ((6, 5), 2, 3, 1), ((7, 8), 4, 3, 2), ((4, 4), 3, 3, 1)],
)
def test_divisors_of_windows_over_the_edge(torch, rng, size, kernel, stride, padding):
    """With ceil_mode the padding counts, what lies past it does not."""
    x = rng.standard_normal((1, 2, *size))
    for include in (False, True):
        args = kernel, stride, padding, True, include
        want = torch.nn.functional.avg_pool2d(torch.tensor(x), *args).numpy()
        np.testing.assert_allclose(dl.avg_pool2d(x, *args), want, rtol=1e-12)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_gradients(isa, rng, dims):
    sizes = (7, 5, 6)[:dims]
    x = rng.permutation(2 * int(np.prod(sizes))).reshape(1, 2, *sizes) / 10.0 + 0.5
    for args in [(2,), (3, 2, 1), (2, 1, 0)]:
        gradcheck(lambda x, a=args: op("max_pool", dims)(x, *a), x)
        gradcheck(lambda x, a=args: op("min_pool", dims)(x, *a), x)
        gradcheck(lambda x, a=args: op("avg_pool", dims)(x, *a, ceil_mode=True), x)
    for norm_type in (1, 2, 2.5):
        gradcheck(lambda x, p=norm_type: op("lp_pool", dims)(x, p, 2, 1), x)
    gradcheck(lambda x: op("adaptive_avg_pool", dims)(x, 3), x)
    gradcheck(lambda x: op("adaptive_max_pool", dims)(x, 3), x)
    y, indices = op("max_pool", dims)(x, 2, return_indices=True)
    gradcheck(lambda y: op("max_unpool", dims)(y, indices, 2, output_size=sizes), y)


def test_norm_of_zeros_has_no_gradient():
    x = dl.Tensor(np.zeros((1, 1, 4)), requires_grad=True)
    dl.lp_pool1d(x, 2, 2).backward(np.ones((1, 1, 2)))
    np.testing.assert_array_equal(x.grad.data, 0)


@pytest.mark.parametrize("sizes", [(9,), (8, 7), (4, 6, 5)])
def test_unpool(isa, dtype, torch, rng, sizes):
    dims = len(sizes)
    x = rng.standard_normal((2, 3, *sizes)).astype(dtype)
    y, indices = op("max_pool", dims)(x, 2, return_indices=True)
    back = op("max_unpool", dims)(y, indices, 2, output_size=sizes)
    np.testing.assert_array_equal(back, reference.max_unpool(y, indices, sizes))
    want = getattr(torch.nn.functional, f"max_unpool{dims}d")(
        torch.tensor(y), torch.tensor(indices), 2, output_size=sizes
    )
    np.testing.assert_array_equal(back, want.numpy())
    assert op("max_unpool", dims)(y, indices, 2, output_size=(2, 3, *sizes)).shape == (
        2,
        3,
        *sizes,
    )


@pytest.mark.parametrize("sizes", [(1000,), (40, 30), (8, 20, 18)])
def test_same_bits_for_any_threads(threads, rng, sizes):
    x = rng.standard_normal((5, 7, *sizes)).astype(np.float32)
    results = []
    for n in (1, 2, 3):
        threads(n)
        t = dl.Tensor(x, requires_grad=True)
        dims = len(sizes)
        total = op("lp_pool", dims)(op("max_pool", dims)(t, 3, 2, 1), 2, 3, 2)
        total = op("adaptive_avg_pool", dims)(total, 3)
        total.backward(np.ones_like(total.data))
        results.append((total.data.tobytes(), t.grad.data.tobytes()))
    assert results[0] == results[1] == results[2]
