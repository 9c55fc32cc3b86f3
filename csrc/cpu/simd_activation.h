// tanh, sigmoid, erf and what is made of them, on vectors, every lane right for every input:
// limits, not NaN, at +-inf.
//
// Largest errors measured, in units in the last place (tests/test_simd_math.py), any instruction
// set:
//             tanh  sigmoid  erf
//   float      1.1      3.0  2.6
//   double     2.5      2.4  3.1
// gelu: 4.6 eps of |y| in its tail, 2 eps elsewhere, 0 where it is less than eps / 40 (float with
// AVX-512) or below the normal numbers; gelu_tanh, silu: as of exp at an argument rounded once; the
// derivatives: 2 eps absolutely, as they pass through 0.
// Coefficients: benchmarks/lab/fit_math.py, fit_pieces.py.
#pragma once

#include "cpu/simd_math.h"
#include "cpu/simd_pieces.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

#if defined(__AVX512F__)
// A function of pieces at 0 <= h <= kEnd: the piece's terms come by a permutation of two registers.
template <class Pieces>
DLCORE_INLINE Vec<float> by_pieces(Vec<float> h) {
  const __m512i piece = __m512i(
      multiply_add<float>(h, splat<float>(Pieces::kPerUnit), splat<float>(kRounder<float>)));
  const auto of = [&](const float* table) {
    return Vec<float>(
        _mm512_permutex2var_ps(_mm512_load_ps(table), piece, _mm512_load_ps(table + 16)));
  };
  const Vec<float> r = h - of(Pieces::kCentre);
  Vec<float> y = of(Pieces::kTerm[Pieces::kDegree]);
  for (int j = Pieces::kDegree - 1; j >= 0; --j)
    y = multiply_add<float>(y, r, of(Pieces::kTerm[j]));
  return y;
}
#endif

template <class T>
DLCORE_INLINE Vec<T> tanh(Vec<T> x) {
#if defined(__AVX512F__)
  if constexpr (kIsFloat<T>)  // 19 instructions
    return copy_sign<T>(by_pieces<TanhPieces>(min<T>(splat<T>(TanhPieces::kEnd), abs<T>(x))), x);
#endif
  if constexpr (kIsFloat<T>) {
    // 1 - 2 / (e^(2a) + 1), which cancels near 0. A rational of x alone is shorter by ten
    // instructions and wrong by 5 ULP.
    const Vec<T> a = min<T>(splat<T>(T(10)), abs<T>(x));
    const Vec<T> far = T(1) - quotient<T>(splat<T>(T(2)), exp_of_normal<T>(a + a) + T(1));
    const Vec<T> z = a * a;
    const Vec<T> near = polynomial<T>(z, -0.0004590783263, 0.002592816386, -0.008275677766,
                                      0.02166955441, -0.05393094403, 0.1333299892, -0.3333332313);
    return copy_sign<T>(a < T(0.9) ? multiply_add<T>(a * z, near, a) : far, x);
  } else {
    const Vec<T> a = min<T>(splat<T>(T(20)), abs<T>(x));
    const Vec<T> e = expm1<T>(a + a);
    return copy_sign<T>(e / (e + T(2)), x);
  }
}

// e^x / (e^x + 1). e^30 + 1 is e^30, and no inf to divide by.
template <class T>
DLCORE_INLINE Vec<T> sigmoid(Vec<T> x) {
  const Vec<T> e = exp_up_to_40<T>(min<T>(splat<T>(T(kIsFloat<T> ? 30 : 38)), x));
  return quotient<T>(e, e + T(1));
}

// exp(-|x|).
template <class T>
DLCORE_INLINE Vec<T> exp_minus_abs(Vec<T> x) {
  return exp_up_to_40<T>(from_bits<T>(to_bits<T>(x) | to_bits<T>(splat<T>(T(-0.0)))));
}

// sigmoid(x), and its derivative without the cancellation of s (1 - s).
template <class T>
DLCORE_INLINE Vec<T> sigmoid(Vec<T> x, Vec<T>& derivative) {
  const Vec<T> e = exp_minus_abs<T>(x);
  const Vec<T> s = quotient<T>(splat<T>(T(1)), e + T(1));
  const Vec<T> other = e * s;
  derivative = s * other;
  return x < T(0) ? other : s;
}

// Above this h times the normal distribution's upper tail is no longer a normal number, and taken
// for 0: denormal numbers on the way there cost a hundred cycles each.
template <class T>
constexpr T kTailEnd = kIsFloat<T> ? T(13.14) : T(37.6);

// exp(-h^2 / 2) for 0 <= h <= kTailEnd. The square is never rounded: that would cost
// h^2 / 2 ULP.
template <class T>
DLCORE_INLINE Vec<T> exp_minus_half_square(Vec<T> h) {
  const Vec<T> minus_half = h * T(-0.5);
  constexpr T rounder = kRounder<T> + T(kExponentBias<T>);
  const Vec<T> biased = multiply_add<T>(minus_half * h, splat<T>(kLog2E<T>), splat<T>(rounder));
  const Vec<T> n = biased - rounder;
  Vec<T> r;
  if constexpr (kHasFma) {
    r = multiply_add<T>(minus_half, h, n * -kLn2High<T>);
  } else {
    // The upper half of h's bits has an exact square.
    const Bits<T> upper = ~Bits<T>{} << ((kMantissaBits<T> + 1) / 2);
    const Vec<T> high = from_bits<T>(to_bits<T>(h) & upper);
    r = (n * -kLn2High<T> + high * high * T(-0.5)) - (h - high) * (h + high) * T(0.5);
  }
  r = multiply_add<T>(n, splat<T>(-kLn2Low<T>), r);
  return times_power_of_2<T>(exp_reduced<T>(r), n, to_bits<T>(biased));
}

// |x| up to kTailEnd, and e = exp(-x^2 / 2), 0 from there on.
template <class T>
DLCORE_INLINE Vec<T> bell(Vec<T> x, Vec<T>& e) {
  const Vec<T> size = abs<T>(x);
  const Vec<T> h = min<T>(splat<T>(kTailEnd<T>), size);
  e = exp_minus_half_square<T>(h);
  e = size > kTailEnd<T> ? Vec<T>{} : e;
  return h;
}

// (1 - Phi(h)) e / exp(-h^2 / 2), the normal distribution's upper tail when e = exp(-h^2 / 2), for
// 0 <= h <= kTailEnd.
template <class T>
DLCORE_INLINE Vec<T> normal_tail(Vec<T> h, Vec<T> e) {
  if constexpr (kIsFloat<T>) {
    const Vec<T> p = polynomial<T>(h, 0.0008152498499, 0.01095413835, 0.06832047503, 0.2436475862,
                                   0.4999246019, 0.5);
    const Vec<T> q = polynomial<T>(h, 0.002043532049, 0.02745771038, 0.173304578, 0.6380713685,
                                   1.421679185, 1.797733766, 1.0);
    return e * quotient<T>(p, q);
  } else {
    const Vec<T> p = polynomial<T>(
        h, 8.446505878826204842e-7, 0.0000253391834717038532, 0.0003612144537461883046,
        0.003207354724497706974, 0.0195171616517701216, 0.08440126554585786016,
        0.259994147956615515, 0.5533691311981247767, 0.747102184399327988, 0.5000000000000001159);
    const Vec<T> q =
        polynomial<T>(h, 2.117225045799987608e-6, 0.00006351591374033289878,
                      0.0009075475885366594229, 0.008103161925006445329, 0.04982346615050165031,
                      0.2194751870077296165, 0.6988417658075349734, 1.583201576015680571,
                      2.435560631311327265, 2.292088929601562547, 1.0);
    return e * (p / q);
  }
}

template <class T>
DLCORE_INLINE Vec<T> erf(Vec<T> x) {
  const Vec<T> a = min<T>(splat<T>(T(6)), abs<T>(x));
  const Vec<T> z = a * a;
  Vec<T> near;
  if constexpr (kIsFloat<T>)
    near = polynomial<T>(z, 7.853860784e-5, -0.0008010193446, 0.005188327665, -0.02685381192,
                         0.1128358515, -0.3761262582, 1.128379166);
  else
    near = polynomial<T>(z, 5.945260200617796174e-11, -1.136566502864451044e-9,
                         1.465787959730671751e-8, -1.635002518589517617e-7, 1.646097281353705011e-6,
                         -0.00001492559350667134594, 0.0001205533103689035982,
                         -0.0008548326978741940096, 0.005223977624780861714, -0.0268661706450728943,
                         0.1128379167095485749, -0.376126389031837476, 1.128379167095512574);
  // erf(a) = 1 - 2 tail(a sqrt 2), which cancels near 0.
  const Vec<T> h = a * T(1.4142135623730951);
  const Vec<T> far = T(1) - T(2) * normal_tail<T>(h, exp_minus_half_square<T>(h));
  return a < T(1) ? x * near : copy_sign<T>(far, x);
}

template <class T>
DLCORE_INLINE Vec<T> relu(Vec<T> x) {
  return max<T>(Vec<T>{}, x);
}
template <class T>
DLCORE_INLINE Vec<T> relu6(Vec<T> x) {
  return min<T>(splat<T>(6), relu<T>(x));
}

#if defined(__AVX512F__)
// |x| up to `end`, which NaN becomes.
DLCORE_INLINE Vec<float> size_up_to(Vec<float> x, float end) {
  return Vec<float>(_mm512_range_ps(__m512(x), __m512(splat<float>(end)), 2 | 2 << 2));
}
#endif

// x Phi(x) = max(x, 0) - |x| tail(|x|).
template <class T>
DLCORE_INLINE Vec<T> gelu(Vec<T> x) {
#if defined(__AVX512F__)
  if constexpr (kIsFloat<T>)  // 19 instructions
    return relu<T>(x) - by_pieces<GeluPieces>(size_up_to(x, GeluPieces::kEnd));
#endif
  Vec<T> e;
  const Vec<T> h = bell<T>(x, e);
  return relu<T>(x) - normal_tail<T>(h, h * e);
}

// Phi(x) + x phi(x).
template <class T>
DLCORE_INLINE Vec<T> gelu_derivative(Vec<T> x) {
#if defined(__AVX512F__)
  if constexpr (kIsFloat<T>) {
    const Vec<T> left =
        by_pieces<GeluSlopePieces>(min<T>(splat<T>(GeluSlopePieces::kEnd), abs<T>(x)));
    return x < T(0) ? left : T(1) - left;
  }
#endif
  Vec<T> e;
  const Vec<T> h = bell<T>(x, e);
  const Vec<T> left = normal_tail<T>(h, e) - h * e * T(0.3989422804014327);
  return x < T(0) ? left : T(1) - left;
}

// Twice the argument of tanh in 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
constexpr double kGeluSlope = 1.5957691216057308, kGeluCube = 0.044715;
// Where that sigmoid is 0 or 1: past it x * 0 at inf would be NaN.
template <class T>
constexpr T kGeluTanhEnd = T(30);

template <class T>
DLCORE_INLINE Vec<T> gelu_tanh(Vec<T> x) {
  x = max<T>(splat<T>(-kGeluTanhEnd<T>), x);
  const Vec<T> u =
      x * multiply_add<T>(x * x, splat<T>(T(kGeluSlope * kGeluCube)), splat<T>(T(kGeluSlope)));
  return x * sigmoid<T>(u);
}

template <class T>
DLCORE_INLINE Vec<T> gelu_tanh_derivative(Vec<T> x) {
  x = clamp<T>(x, -kGeluTanhEnd<T>, kGeluTanhEnd<T>);
  const Vec<T> z = x * x;
  const Vec<T> u =
      x * multiply_add<T>(z, splat<T>(T(kGeluSlope * kGeluCube)), splat<T>(T(kGeluSlope)));
  const Vec<T> slope =
      multiply_add<T>(z, splat<T>(T(3 * kGeluSlope * kGeluCube)), splat<T>(T(kGeluSlope)));
  Vec<T> derivative;
  const Vec<T> s = sigmoid<T>(u, derivative);
  return multiply_add<T>(x * slope, derivative, s);
}

template <class T>
DLCORE_INLINE Vec<T> silu(Vec<T> x) {
  x = max<T>(splat<T>(kExpBottom<T>), x);
  return x * sigmoid<T>(x);
}

template <class T>
DLCORE_INLINE Vec<T> silu_derivative(Vec<T> x) {
  x = clamp<T>(x, kExpBottom<T>, -kExpBottom<T>);
  Vec<T> derivative;
  const Vec<T> s = sigmoid<T>(x, derivative);
  return multiply_add<T>(x, derivative, s);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
