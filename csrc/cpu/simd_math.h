// exp, log, powers on vectors, every lane right for every input: NaN stays NaN, results overflow to
// inf and underflow through the denormals to 0 as rounding asks.
//
// Largest errors measured, in units in the last place (tests/test_simd_math.py), any instruction
// set:
//             exp  expm1  log  log1p
//   float     1.2    1.7  0.8    1.5
//   double    1.2    1.8  0.8    1.5
// Coefficients: benchmarks/lab/fit_math.py. a * b + c is an FMA where the CPU has one.
#pragma once

#include "cpu/simd.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

#if defined(__FMA__) || defined(__aarch64__)
constexpr bool kHasFma = true;
#else
constexpr bool kHasFma = false;
#endif

// Adding and subtracting it rounds to a whole number, whose low bits are then the sum's.
template <class T>
constexpr T kRounder = kIsFloat<T> ? T(0x1.8p23) : T(0x1.8p52);
template <class T>
constexpr int kMantissaBits = kIsFloat<T> ? 23 : 52;
template <class T>
constexpr int kExponentBias = kIsFloat<T> ? 127 : 1023;

// ln 2 in two parts: a whole number of up to 11 bits times the first is exact.
template <class T>
constexpr T kLn2High = kIsFloat<T> ? T(0x1.62e4p-1) : T(0x1.62e42fefap-1);
template <class T>
constexpr T kLn2Low = kIsFloat<T> ? T(0x1.7f7d1cp-20) : T(0x1.cf79abc9e3b3ap-40);
template <class T>
constexpr T kLog2E = T(0x1.71547652b82fep0);

// Past these exp is inf and 0.
template <class T>
constexpr T kExpTop = kIsFloat<T> ? T(89) : T(710);
template <class T>
constexpr T kExpBottom = kIsFloat<T> ? T(-104) : T(-746);

template <class T>
DLCORE_INLINE Vec<T> from_bits(Bits<T> bits) {
  return Vec<T>(bits);
}
template <class T>
DLCORE_INLINE Bits<T> to_bits(Vec<T> v) {
  return Bits<T>(v);
}
template <class T>
DLCORE_INLINE Vec<T> abs(Vec<T> v) {
  return from_bits<T>(to_bits<T>(v) & ~to_bits<T>(splat<T>(T(-0.0))));
}
template <class T>
DLCORE_INLINE Vec<T> copy_sign(Vec<T> size, Vec<T> sign) {
  const Bits<T> bit = to_bits<T>(splat<T>(T(-0.0)));
  return from_bits<T>((to_bits<T>(size) & ~bit) | (to_bits<T>(sign) & bit));
}

// Within [low, high]; NaN stays NaN.
template <class T>
DLCORE_INLINE Vec<T> clamp(Vec<T> x, T low, T high) {
  return min<T>(splat<T>(high), max<T>(splat<T>(low), x));
}

// a * b + c, rounded once where the CPU can; never split by the compiler.
template <class T>
DLCORE_INLINE Vec<T> multiply_add(Vec<T> a, Vec<T> b, Vec<T> c) {
#if defined(__AVX512F__)
  if constexpr (kIsFloat<T>)
    return Vec<T>(_mm512_fmadd_ps(__m512(a), __m512(b), __m512(c)));
  else
    return Vec<T>(_mm512_fmadd_pd(__m512d(a), __m512d(b), __m512d(c)));
#elif defined(__FMA__)
  if constexpr (kIsFloat<T>)
    return Vec<T>(_mm256_fmadd_ps(__m256(a), __m256(b), __m256(c)));
  else
    return Vec<T>(_mm256_fmadd_pd(__m256d(a), __m256d(b), __m256d(c)));
#elif defined(__aarch64__)
  if constexpr (kIsFloat<T>)
    return Vec<T>(vfmaq_f32(float32x4_t(c), float32x4_t(a), float32x4_t(b)));
  else
    return Vec<T>(vfmaq_f64(float64x2_t(c), float64x2_t(a), float64x2_t(b)));
#else
  return a * b + c;
#endif
}

// c[n-1] x^(n-1) + ... + c[1] x + c[0], the highest coefficient first in the list.
template <class T>
DLCORE_INLINE Vec<T> horner(Vec<T>, Vec<T> sum) {
  return sum;
}
template <class T, class... Rest>
DLCORE_INLINE Vec<T> horner(Vec<T> x, Vec<T> sum, double next, Rest... rest) {
  return horner<T>(x, multiply_add<T>(sum, x, splat<T>(static_cast<T>(next))), rest...);
}
template <class T, class... Rest>
DLCORE_INLINE Vec<T> polynomial(Vec<T> x, double first, Rest... rest) {
  return horner<T>(x, splat<T>(static_cast<T>(first)), rest...);
}

template <class T>
DLCORE_INLINE Vec<T> sqrt(Vec<T> x) {
#if defined(__AVX512F__)
  if constexpr (kIsFloat<T>)
    return Vec<T>(_mm512_sqrt_ps(__m512(x)));
  else
    return Vec<T>(_mm512_sqrt_pd(__m512d(x)));
#elif defined(__AVX2__)
  if constexpr (kIsFloat<T>)
    return Vec<T>(_mm256_sqrt_ps(__m256(x)));
  else
    return Vec<T>(_mm256_sqrt_pd(__m256d(x)));
#elif defined(__x86_64__)
  if constexpr (kIsFloat<T>)
    return Vec<T>(_mm_sqrt_ps(__m128(x)));
  else
    return Vec<T>(_mm_sqrt_pd(__m128d(x)));
#elif defined(__aarch64__)
  if constexpr (kIsFloat<T>)
    return Vec<T>(vsqrtq_f32(float32x4_t(x)));
  else
    return Vec<T>(vsqrtq_f64(float64x2_t(x)));
#else
  for (int64_t i = 0; i < kLanes<T>; ++i)
    x[i] = kIsFloat<T> ? __builtin_sqrtf(x[i]) : __builtin_sqrt(x[i]);
  return x;
#endif
}

template <class T>
DLCORE_INLINE Vec<T> rsqrt(Vec<T> x) {
  return T(1) / sqrt<T>(x);
}

// a / b for normal, finite b: within 0.6 ULP. 512-bit division takes 16 cycles, this takes 4.
template <class T>
DLCORE_INLINE Vec<T> quotient(Vec<T> a, Vec<T> b) {
#if defined(__AVX512F__)
  if constexpr (kIsFloat<T>) {
    const Vec<T> inverse = Vec<T>(_mm512_rcp14_ps(__m512(b)));
    const Vec<T> q = a * inverse;
    return multiply_add<T>(multiply_add<T>(-b, q, a), inverse, q);
  }
#endif
  return a / b;
}

// x = n ln 2 + r for a whole n and |r| <= ln(2) / 2; the low bits of the result are n + bias.
template <class T>
DLCORE_INLINE Bits<T> split_by_ln2(Vec<T> x, int bias, Vec<T>& n, Vec<T>& r) {
  const T rounder = kRounder<T> + T(bias);
  const Vec<T> biased = multiply_add<T>(x, splat<T>(kLog2E<T>), splat<T>(rounder));
  n = biased - rounder;
  r = multiply_add<T>(n, splat<T>(-kLn2High<T>), x);
  r = multiply_add<T>(n, splat<T>(-kLn2Low<T>), r);
  return to_bits<T>(biased);
}

// p * 2^n for normal 2^n; `bits` end in n + kExponentBias. A product, so that NaN stays NaN.
template <class T>
DLCORE_INLINE Vec<T> times_power_of_2(Vec<T> p, [[maybe_unused]] Vec<T> n,
                                      [[maybe_unused]] Bits<T> bits) {
#if defined(__AVX512F__)
  if constexpr (kIsFloat<T>)
    return Vec<T>(_mm512_scalef_ps(__m512(p), __m512(n)));
  else
    return Vec<T>(_mm512_scalef_pd(__m512d(p), __m512d(n)));
#else
  return p * from_bits<T>(bits << kMantissaBits<T>);
#endif
}

// e^r on |r| <= ln(2) / 2.
template <class T>
DLCORE_INLINE Vec<T> exp_reduced(Vec<T> r) {
  if constexpr (kIsFloat<T>)
    return polynomial<T>(r, 0.001395049057, 0.008368889355, 0.04166620581, 0.1666651884,
                         0.5000000095, 1.0, 1.0);
  else
    return polynomial<T>(r, 2.511786155041010229e-8, 2.763128051076090366e-7,
                         2.75572163010544359e-6, 0.00002480148994165303398,
                         0.0001984126991738090327, 0.001388888894701655257, 0.008333333333307207531,
                         0.04166666666651541563, 0.1666666666666669906, 0.5000000000000012742, 1.0,
                         1.0);
}

#if defined(__AVX512F__)
alignas(64) constexpr float kSixteenthPowers[16] = {
    0x1p0f,        0x1.0b5586p0f, 0x1.172b84p0f, 0x1.2387a6p0f, 0x1.306fe0p0f, 0x1.3dea64p0f,
    0x1.4bfdaep0f, 0x1.5ab07ep0f, 0x1.6a09e6p0f, 0x1.7a1148p0f, 0x1.8ace54p0f, 0x1.9c4918p0f,
    0x1.ae89fap0f, 0x1.c199bep0f, 0x1.d5818ep0f, 0x1.ea4afap0f};

// e^x for every x in 11 instructions: x = n / 16 ln 2 + r, 2^(n / 16) from a table of 16. Past the
// ends n is inf and r NaN or anything; r taken to its range leaves 2^n to decide.
DLCORE_INLINE Vec<float> exp_by_table(Vec<float> x) {
  constexpr float kSixteenths = 0x1.8p19f;  // rounds to them, as kRounder to whole numbers
  const Vec<float> biased =
      multiply_add<float>(x, splat<float>(kLog2E<float>), splat<float>(kSixteenths));
  const Vec<float> n = biased - kSixteenths;
  Vec<float> r = multiply_add<float>(n, splat<float>(-kLn2High<float>), x);
  r = multiply_add<float>(n, splat<float>(-kLn2Low<float>), r);
  r = Vec<float>(_mm512_range_ps(__m512(r), __m512(splat<float>(0.03125f)), 2));  // the smaller |r|
  const Vec<float> power =
      Vec<float>(_mm512_permutexvar_ps(__m512i(biased), _mm512_load_ps(kSixteenthPowers)));
  const Vec<float> e =
      multiply_add<float>(power * r, polynomial<float>(r, 0.1666705845, 0.5000162187, 1.0), power);
  return Vec<float>(_mm512_scalef_ps(__m512(e), __m512(n)));  // by 2^floor(n)
}
#endif

// e^x where that is a normal number.
template <class T>
DLCORE_INLINE Vec<T> exp_of_normal(Vec<T> x) {
#if defined(__AVX512F__)
  if constexpr (kIsFloat<T>) return exp_by_table(x);
#endif
  Vec<T> n, r;
  const Bits<T> bits = split_by_ln2<T>(x, kExponentBias<T>, n, r);
  return times_power_of_2<T>(exp_reduced<T>(r), n, bits);
}

// e^x for x <= 40 or NaN: times 2^64 it is always normal.
template <class T>
DLCORE_INLINE Vec<T> exp_up_to_40(Vec<T> x) {
#if defined(__AVX512F__)
  if constexpr (kIsFloat<T>) return exp_by_table(x);
#endif
  Vec<T> n, r;
  const Bits<T> bits =
      split_by_ln2<T>(max<T>(splat<T>(kExpBottom<T>), x), kExponentBias<T> + 64, n, r);
  return times_power_of_2<T>(exp_reduced<T>(r), n + T(64), bits) * T(0x1p-64);
}

template <class T>
DLCORE_INLINE Vec<T> exp(Vec<T> x) {
#if defined(__AVX512F__)
  if constexpr (kIsFloat<T>) return exp_by_table(x);
#endif
  Vec<T> n, r;
  const Bits<T> bits =
      split_by_ln2<T>(clamp<T>(x, kExpBottom<T>, kExpTop<T>), 2 * kExponentBias<T>, n, r);
  const Vec<T> p = exp_reduced<T>(r);
#if defined(__AVX512F__)
  return times_power_of_2<T>(p, n, bits);
#else
  // In two factors, as 2^n itself may overflow or be denormal. The first keeps p normal.
  const Bits<T> first = (bits >> 1) << kMantissaBits<T>;
  const Bits<T> second = (bits << kMantissaBits<T>)-first;
  return p * from_bits<T>(first) * from_bits<T>(second);
#endif
}

template <class T>
DLCORE_INLINE Vec<T> expm1(Vec<T> x) {
  const Vec<T> kept = x;
  x = clamp<T>(x, T(-40), kExpTop<T>);
  const Vec<T> biased = multiply_add<T>(x, splat<T>(kLog2E<T>), splat<T>(kRounder<T>));
  const Vec<T> n = biased - kRounder<T>;
  Vec<T> r = multiply_add<T>(n, splat<T>(-kLn2High<T>), x);
  r = multiply_add<T>(n, splat<T>(-kLn2Low<T>), r);
  Vec<T> tail;
  if constexpr (kIsFloat<T>)
    tail =
        polynomial<T>(r, 0.001395049057, 0.008368889355, 0.04166620581, 0.1666651884, 0.5000000095);
  else
    tail = polynomial<T>(r, 2.511786155041010229e-8, 2.763128051076090366e-7,
                         2.75572163010544359e-6, 0.00002480148994165303398,
                         0.0001984126991738090327, 0.001388888894701655257, 0.008333333333307207531,
                         0.04166666666651541563, 0.1666666666666669906, 0.5000000000000012742);
  const Vec<T> small = multiply_add<T>(r * r, tail, r);
  // 2 (2^(n-1) small + 2^(n-1) - 1/2): 2^n itself may overflow.
  const Bits<T> minus_1 = to_bits<T>(splat<T>(T(0.5)));
  const Vec<T> half = from_bits<T>((to_bits<T>(biased) << kMantissaBits<T>)+minus_1);
  const Vec<T> y = multiply_add<T>(half, small, half - T(0.5));
  return n == T(0) ? (r == T(0) ? kept : small) : y + y;
}

// The logarithm of a positive normal number is (whole power of 2) ln 2 + log(1 + f).
template <class T>
DLCORE_INLINE void split_power_of_2(Vec<T> x, Vec<T>& power, Vec<T>& f) {
  const T root_half = T(0x1.6a09e667f3bcdp-1);
  const Bits<T> one = to_bits<T>(splat<T>(T(1)));
  const Bits<T> base = to_bits<T>(splat<T>(root_half));
  const Bits<T> raised = to_bits<T>(x) + (one - base);
  const Bits<T> mantissa =
      one ^ to_bits<T>(splat<T>(kIsFloat<T> ? T(0x1.fffffep0) : T(0x1.fffffffffffffp0)));
  const Bits<T> exponent = raised >> kMantissaBits<T>;
  f = from_bits<T>((raised & mantissa) + base) - T(1);
  const Bits<T> whole = to_bits<T>(splat<T>(kRounder<T>)) + exponent;
  power = from_bits<T>(whole) - (kRounder<T> + T(kExponentBias<T>));
}

template <class T>
DLCORE_INLINE Vec<T> log(Vec<T> x) {
  const Mask<T> denormal = x < std::numeric_limits<T>::min();
  const Vec<T> lifted = denormal ? x * (kIsFloat<T> ? T(0x1p23) : T(0x1p52)) : x;
  Vec<T> power, f;
  split_power_of_2<T>(lifted, power, f);
  power = denormal ? power - T(kMantissaBits<T>) : power;
  Vec<T> y;
  if constexpr (kIsFloat<T>) {
    const Vec<T> tail =
        polynomial<T>(f, 0.0691554024, -0.1178986604, 0.1187292607, -0.1238433473, 0.1421866378,
                      -0.1666925186, 0.2000222632, -0.2499998658, 0.3333331045);
    const Vec<T> square = f * f;
    Vec<T> rest = multiply_add<T>(power, splat<T>(kLn2Low<T>), square * f * tail);
    rest = multiply_add<T>(square, splat<T>(T(-0.5)), rest);
    y = multiply_add<T>(power, splat<T>(kLn2High<T>), f + rest);
  } else {
    const Vec<T> s = f / (f + T(2));
    const Vec<T> z = s * s;
    const Vec<T> tail =
        z * polynomial<T>(z, 0.1479610534063419435, 0.1531403584706221238, 0.1818356486613051704,
                          0.2222219856349794531, 0.2857142874247472707, 0.39999999999414322,
                          0.666666666666673446);
    const Vec<T> half_square = f * f * T(0.5);
    const Vec<T> rest = multiply_add<T>(power, splat<T>(kLn2Low<T>), s * (half_square + tail));
    y = multiply_add<T>(power, splat<T>(kLn2High<T>), f - (half_square - rest));
  }
  y = x == T(0) ? splat<T>(-kInf<T>) : y;
  y = x < kInf<T> ? y : x;  // inf and NaN
  return x < T(0) ? splat<T>(std::numeric_limits<T>::quiet_NaN()) : y;
}

template <class T>
DLCORE_INLINE Vec<T> log1p(Vec<T> x) {
  const Vec<T> u = x + T(1);
  // log(u) + what x + 1 lost, over u.
  const Vec<T> lost = u - T(1);
  const Vec<T> y = log<T>(u) + (x - lost) / u;
  const Mask<T> plain = (u > T(0)) & (u < kInf<T>);
  return lost == T(0) ? x : plain ? y : log<T>(u);
}
// -1, 0 or 1; NaN stays NaN.
template <class T>
DLCORE_INLINE Vec<T> sign(Vec<T> x) {
  const Vec<T> one = copy_sign<T>(splat<T>(T(1)), x);
  return ((x > T(0)) | (x < T(0))) ? one : x;
}

// |x|^y in double with the sign of a negative x for odd y, NaN for y that is no whole number.
DLCORE_INLINE Vec<double> power_by_log(Vec<double> x, Vec<double> y) {
  const Vec<double> size = abs<double>(x);
  const Vec<double> one = splat<double>(1);
  const Vec<double> magnitude =
      ((size == 1.0) & (y == y)) ? one : exp<double>(y * log<double>(size));
  // Floats of 2^25 and more are even.
  const Vec<double> times = min<double>(splat<double>(0x1p25), abs<double>(y));
  const Vec<double> half = times * 0.5;
  const Mask<double> whole = (times + kRounder<double>)-kRounder<double> == times;
  const Mask<double> even = (half + kRounder<double>)-kRounder<double> == half;
  const Vec<double> result = whole & ~even ? copy_sign<double>(magnitude, x) : magnitude;
  const Mask<double> undefined = (x < 0.0) & (size < kInf<double>)&~whole;
  return ((y == 0.0) | (x == 1.0)) ? one
         : undefined               ? splat<double>(std::numeric_limits<double>::quiet_NaN())
                                   : result;
}

// x^y as IEEE 754 has it: float within 0.6 ULP, through double; double by the C library.
// Not inlined: it is as long as all the loops around it.
template <class T>
[[maybe_unused]] __attribute__((noinline)) Vec<T> power(Vec<T> x, Vec<T> y) {
  if constexpr (kIsFloat<T>) {
    typedef float Half __attribute__((vector_size(kVectorBytes / 2)));
    Half xs[2], ys[2], zs[2];
    std::memcpy(xs, &x, sizeof x);
    std::memcpy(ys, &y, sizeof y);
    for (int i = 0; i < 2; ++i)
      zs[i] = __builtin_convertvector(power_by_log(__builtin_convertvector(xs[i], Vec<double>),
                                                   __builtin_convertvector(ys[i], Vec<double>)),
                                      Half);
    Vec<T> z;
    std::memcpy(&z, zs, sizeof z);
    return z;
  } else {
    for (int64_t i = 0; i < kLanes<T>; ++i) x[i] = __builtin_pow(x[i], y[i]);
    return x;
  }
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
