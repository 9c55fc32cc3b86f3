"""Vector functions against float64 (float32) and long double (float64), in ULP."""

import warnings

import numpy as np
import pytest
import reference

import dlcore as dl

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    LONG = np.finfo(np.longdouble).precision > np.finfo(np.float64).precision

# name: function, reference in a wider type, largest error in ULP in float32 and float64
EXACT = {
    "exp": (dl.exp, np.exp, 1.2, 1.3),
    "expm1": (dl.expm1, np.expm1, 1.8, 1.9),
    "log": (dl.log, np.log, 0.9, 0.9),
    "log1p": (dl.log1p, np.log1p, 1.6, 1.6),
    "tanh": (dl.tanh, np.tanh, 1.1, 2.6),
    "sigmoid": (dl.sigmoid, reference.sigmoid, 3.0, 2.6),
    "sqrt": (dl.sqrt, np.sqrt, 0.51, 0.51),
    "rsqrt": (dl.rsqrt, lambda x: 1 / np.sqrt(x), 1.6, 1.6),
    "reciprocal": (dl.reciprocal, lambda x: 1 / x, 0.51, 0.51),
}


def inputs(dtype, rng):
    """All exponents, both signs, denormals, infinities, NaN; and the common range."""
    if dtype == "float32":
        bits = np.arange(0, 2**32, 4099, dtype=np.uint64).astype(np.uint32)
        everywhere, far = bits.view(np.float32), 105
    else:
        bits = rng.integers(0, 2**64, 2**17, dtype=np.uint64)
        everywhere, far = bits.view(np.float64), 750
    near = [rng.uniform(-s, s, 30000).astype(dtype) for s in (1e-3, 1, 5, 20, far)]
    special = np.array([0, -0.0, 1, -1, np.inf, -np.inf, np.nan], dtype)
    return np.concatenate([everywhere, *near, special])


def ulps(got, want):
    """Error in spacings of the rounded reference; inf where special values differ."""
    rounded = want.astype(got.dtype)
    spacing = np.spacing(np.abs(rounded))
    spacing = np.where(spacing > 0, spacing, np.finfo(got.dtype).smallest_subnormal)
    error = np.abs(got.astype(want.dtype) - want) / spacing.astype(want.dtype)
    same = (got == rounded) | (np.isnan(got) & np.isnan(want))
    return np.where(
        same & ~np.isfinite(error), 0, np.where(np.isnan(error), np.inf, error)
    )


@pytest.mark.parametrize("name", EXACT)
@np.errstate(all="ignore")
def test_error_in_ulp(isa, dtype, rng, name):
    function, exact, bound32, bound64 = EXACT[name]
    if dtype == "float64" and not LONG:
        pytest.skip("long double is no wider than float64 here")
    x = inputs(dtype, rng)
    wide = np.float64 if dtype == "float32" else np.longdouble
    error = ulps(function(x), exact(x.astype(wide)))
    worst = np.argmax(error)
    bound = bound32 if dtype == "float32" else bound64
    assert error[worst] <= bound, f"{error[worst]} ULP at {x[worst]!r}"


@np.errstate(all="ignore")
def test_erf_error(isa, dtype, rng):
    special = pytest.importorskip("scipy.special", reason="needs the extra test")
    x = inputs(dtype, rng)
    error = ulps(dl.erf(x), special.erf(x.astype(np.float64)))
    assert error.max() <= 3.2, x[np.argmax(error)]


@pytest.mark.parametrize("name", ["gelu", "gelu_tanh", "silu"])
@np.errstate(all="ignore")
def test_error_of_the_gated_units(isa, dtype, rng, name):
    """X times a probability: 2 eps of the larger of |y| and 1, from -inf to inf."""
    special = pytest.importorskip("scipy.special", reason="needs the extra test")
    exact = {
        "gelu": lambda x: x * special.ndtr(x),
        "gelu_tanh": reference.gelu_tanh,
        "silu": reference.silu,
    }[name]
    x = inputs(dtype, rng)
    x = x[np.isfinite(x)]
    y = dl.gelu(x, "tanh") if name == "gelu_tanh" else getattr(dl, name)(x)
    want = exact(x.astype(np.float64))
    error = np.abs(y - want) / np.maximum(1, np.abs(want)) / np.finfo(dtype).eps
    assert error[np.isfinite(want)].max() <= 2.5


@pytest.mark.parametrize(
    "function, at_inf, at_minus_inf",
    [
        (dl.exp, np.inf, 0),
        (dl.expm1, np.inf, -1),
        (dl.log, np.inf, np.nan),
        (dl.log1p, np.inf, np.nan),
        (dl.tanh, 1, -1),
        (dl.sigmoid, 1, 0),
        (dl.erf, 1, -1),
        (dl.gelu, np.inf, 0),
        (lambda x: dl.gelu(x, "tanh"), np.inf, 0),
        (dl.silu, np.inf, 0),
    ],
)
def test_infinities_and_nan(isa, dtype, function, at_inf, at_minus_inf):
    for n in (1, 40):  # a part of a vector, whole vectors
        x = np.tile(np.array([np.inf, -np.inf, np.nan], dtype), n)
        want = np.tile(np.array([at_inf, at_minus_inf, np.nan], dtype), n)
        assert np.array_equal(function(x), want, equal_nan=True)


@np.errstate(all="ignore")
def test_pow_against_the_c_library(isa, dtype, rng):
    special = np.array(
        [0, -0.0, 1, -1, 2, 3, -2, -3, 0.5, -0.5, np.inf, -np.inf, np.nan]
    )
    base, exponent = np.meshgrid(special, special)
    base = np.concatenate(
        [base.ravel(), rng.uniform(0, 20, 5000), rng.uniform(-9, 9, 5000)]
    )
    exponent = np.concatenate(
        [exponent.ravel(), rng.uniform(-30, 30, 5000), rng.integers(-9, 9, 5000)]
    )
    base, exponent = base.astype(dtype), exponent.astype(dtype)
    want = np.power(base.astype(np.float64), exponent.astype(np.float64))
    got = dl.pow(base, exponent)
    assert ulps(got, want).max() <= (0.6 if dtype == "float32" else 1)
    zero = want == 0
    assert np.array_equal(np.signbit(got[zero]), np.signbit(want[zero]))
