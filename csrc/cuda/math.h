// Mathematics of one number, float or double, right for every input: CUDA's functions are within
// one or two units in the last place; the shim takes the C library's.
#pragma once

#include "cuda/device.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
constexpr T kInf = T(__builtin_huge_val());

namespace math {

#define DLCORE_MATH(name, of_float, of_double) \
  __device__ inline float name(float x) {      \
    return of_float;                           \
  }                                            \
  __device__ inline double name(double x) {    \
    return of_double;                          \
  }
DLCORE_MATH(exp, ::expf(x), ::exp(x))
DLCORE_MATH(expm1, ::expm1f(x), ::expm1(x))
DLCORE_MATH(log, ::logf(x), ::log(x))
DLCORE_MATH(log1p, ::log1pf(x), ::log1p(x))
DLCORE_MATH(erf, ::erff(x), ::erf(x))
#ifdef __CUDACC__
DLCORE_MATH(tanh, ::tanhf(x), ::tanh(x))
#else  // glibc's tanhf is wrong by two units
DLCORE_MATH(tanh, static_cast<float>(::tanh(static_cast<double>(x))), ::tanh(x))
#endif
DLCORE_MATH(sqrt, ::sqrtf(x), ::sqrt(x))
DLCORE_MATH(abs, ::fabsf(x), ::fabs(x))
DLCORE_MATH(sin, ::sinf(x), ::sin(x))
DLCORE_MATH(cos, ::cosf(x), ::cos(x))
#undef DLCORE_MATH

__device__ inline float pow(float x, float y) {
  return ::powf(x, y);
}
__device__ inline double pow(double x, double y) {
  return ::pow(x, y);
}
template <class T>
__device__ T rsqrt(T x) {
  return T(1) / sqrt(x);
}
template <class T>
__device__ T fma(T a, T b, T c) {
  if constexpr (sizeof(T) == 4)
    return ::fmaf(a, b, c);
  else
    return ::fma(a, b, c);
}

// NaN is handed on from either.
template <class T>
__device__ T max(T a, T b) {
  return a > b || a != a ? a : b;
}
template <class T>
__device__ T min(T a, T b) {
  return a < b || a != a ? a : b;
}
template <class T>
__device__ T clamp(T x, T low, T high) {
  return x < low ? low : x > high ? high : x;
}
template <class T>
__device__ T sign(T x) {
  return x > T(0) ? T(1) : x < T(0) ? T(-1) : x;
}

// exp(-x^2), with what rounding took off the square, which far out would count many times.
template <class T>
__device__ T exp_minus_square(T x) {
  const T bounded = clamp(x, T(-40), T(40)), square = bounded * bounded;
  return exp(-square) * (T(1) - fma(bounded, bounded, -square));
}

// Phi(x), the normal distribution's share below x. What rounding took off x sqrt(1/2) is put back:
// in the tail it would count x^2 times.
template <class T>
__device__ T normal_below(T x) {
  constexpr T kRoot = T(0.70710678118654752440);
  constexpr T kRest = sizeof(T) == 4 ? T(1.2101617485882341e-8) : T(-4.833646656726457e-17);
  const T bounded = clamp(x, T(-40), T(40));
  const T h = -bounded * kRoot;
  const T lost = fma(-bounded, kRoot, -h) - bounded * kRest;
  T tail;
  if constexpr (sizeof(T) == 4)
    tail = ::erfcf(h);
  else
    tail = ::erfc(h);
  if (h > T(1)) tail -= tail * T(2) * h * lost;  // erfc(h + d) is erfc(h) (1 - 2 h d) there
  return T(0.5) * tail;
}
// Its density.
template <class T>
__device__ T normal_density(T x) {
  return T(0.39894228040143267794) * exp(T(-0.5) * x * x);
}

template <class T>
__device__ T sigmoid(T x) {
  const T e = exp(-abs(x));
  return (x < T(0) ? e : T(1)) / (T(1) + e);
}

}  // namespace math

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
