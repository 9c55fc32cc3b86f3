// Arithmetic on arrays: two inputs broadcast to one output, and functions of one input. Bound by
// memory. The output may be an input that has its shape.

#include "cuda/map.h"
#include "cuda/math.h"
#include "kernels/elementwise.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// -- two inputs --

template <class T>
void add(const T* a, const T* b, T* y, const Broadcast& shape) {
  broadcast(a, b, y, shape, [] __device__(T v, T w) { return v + w; });
}

template <class T>
void sub(const T* a, const T* b, T* y, const Broadcast& shape) {
  broadcast(a, b, y, shape, [] __device__(T v, T w) { return v - w; });
}

template <class T>
void mul(const T* a, const T* b, T* y, const Broadcast& shape) {
  broadcast(a, b, y, shape, [] __device__(T v, T w) { return v * w; });
}

template <class T>
void div(const T* a, const T* b, T* y, const Broadcast& shape) {
  broadcast(a, b, y, shape, [] __device__(T v, T w) { return v / w; });
}

// NaN where either is NaN.
template <class T>
void maximum(const T* a, const T* b, T* y, const Broadcast& shape) {
  broadcast(a, b, y, shape, [] __device__(T v, T w) { return v > w || v != v ? v : w; });
}

template <class T>
void minimum(const T* a, const T* b, T* y, const Broadcast& shape) {
  broadcast(a, b, y, shape, [] __device__(T v, T w) { return v < w || v != v ? v : w; });
}

// The derivative of max(a, b) by a: 1 where a > b, 1/2 where they are equal, else 0.
template <class T>
void maximum_slope(const T* a, const T* b, T* y, const Broadcast& shape) {
  broadcast(a, b, y, shape, [] __device__(T v, T w) {
    return v > w ? T(1) : v == w ? T(0.5) : T(0);
  });
}

template <class T>
void pow(const T* a, const T* b, T* y, const Broadcast& shape) {
  broadcast(a, b, y, shape, [] __device__(T v, T w) { return math::pow(v, w); });
}

// y = a, repeated along the axes where a's stride is 0.
template <class T>
void expand(const T* a, T* y, const Broadcast& s) {
  broadcast<T>(y, Walk<1>(s.ndim, s.size, {s.stride_a}), [] __device__(T v) { return v; }, a);
}

// -- one input --

template <class T>
void exp(const T* x, T* y, int64_t n) {
  map<T>(y, n, [] __device__(T v) { return math::exp(v); }, x);
}

template <class T>
void expm1(const T* x, T* y, int64_t n) {
  map<T>(y, n, [] __device__(T v) { return math::expm1(v); }, x);
}

template <class T>
void log(const T* x, T* y, int64_t n) {
  map<T>(y, n, [] __device__(T v) { return math::log(v); }, x);
}

template <class T>
void log1p(const T* x, T* y, int64_t n) {
  map<T>(y, n, [] __device__(T v) { return math::log1p(v); }, x);
}

template <class T>
void erf(const T* x, T* y, int64_t n) {
  map<T>(y, n, [] __device__(T v) { return math::erf(v); }, x);
}

template <class T>
void sqrt(const T* x, T* y, int64_t n) {
  map<T>(y, n, [] __device__(T v) { return math::sqrt(v); }, x);
}

template <class T>
void rsqrt(const T* x, T* y, int64_t n) {
  map<T>(y, n, [] __device__(T v) { return math::rsqrt(v); }, x);
}

template <class T>
void reciprocal(const T* x, T* y, int64_t n) {
  map<T>(y, n, [] __device__(T v) { return T(1) / v; }, x);
}

template <class T>
void square(const T* x, T* y, int64_t n) {
  map<T>(y, n, [] __device__(T v) { return v * v; }, x);
}

template <class T>
void abs(const T* x, T* y, int64_t n) {
  map<T>(y, n, [] __device__(T v) { return math::abs(v); }, x);
}

template <class T>
void neg(const T* x, T* y, int64_t n) {
  map<T>(y, n, [] __device__(T v) { return -v; }, x);
}

// -1, 0 or 1; NaN stays NaN.
template <class T>
void sign(const T* x, T* y, int64_t n) {
  map<T>(y, n, [] __device__(T v) { return math::sign(v); }, x);
}

template <class T>
void clip(const T* x, T* y, int64_t n, T low, T high) {
  map<T>(y, n, [=] __device__(T v) { return math::clamp(v, low, high); }, x);
}

// -- gradients of one input, from the output y or the input x, whichever is shorter --

template <class T>
void expm1_backward(const T* y, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, [] __device__(T v, T d) { return d * v + d; }, y, dy);
}

template <class T>
void log1p_backward(const T* x, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, [] __device__(T v, T d) { return d / (v + T(1)); }, x, dy);
}

// 2 / sqrt(pi) exp(-x^2) dy.
template <class T>
void erf_backward(const T* x, const T* dy, T* dx, int64_t n) {
  map<T>(
      dx, n,
      [] __device__(T v, T d) { return d * (math::exp_minus_square(v) * T(1.1283791670955126)); },
      x, dy);
}

template <class T>
void sqrt_backward(const T* y, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, [] __device__(T v, T d) { return d * T(0.5) / v; }, y, dy);
}

template <class T>
void rsqrt_backward(const T* y, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, [] __device__(T v, T d) { return d * T(-0.5) * (v * v * v); }, y, dy);
}

template <class T>
void reciprocal_backward(const T* y, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, [] __device__(T v, T d) { return -d * (v * v); }, y, dy);
}

template <class T>
void square_backward(const T* x, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, [] __device__(T v, T d) { return d * (v + v); }, x, dy);
}

// 0 at 0.
template <class T>
void abs_backward(const T* x, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, [] __device__(T v, T d) { return d * math::sign(v); }, x, dy);
}

// dy on and within the limits, 0 beyond.
template <class T>
void clip_backward(const T* x, const T* dy, T* dx, int64_t n, T low, T high) {
  map<T>(dx, n, [=] __device__(T v, T d) { return v >= low && v <= high ? d : T(0); }, x, dy);
}

}  // namespace

DLCORE_CUDA_EXPORT(add)
DLCORE_CUDA_EXPORT(sub)
DLCORE_CUDA_EXPORT(mul)
DLCORE_CUDA_EXPORT(div)
DLCORE_CUDA_EXPORT(maximum)
DLCORE_CUDA_EXPORT(minimum)
DLCORE_CUDA_EXPORT(maximum_slope)
DLCORE_CUDA_EXPORT(pow)
DLCORE_CUDA_EXPORT(expand)
DLCORE_CUDA_EXPORT(exp)
DLCORE_CUDA_EXPORT(expm1)
DLCORE_CUDA_EXPORT(log)
DLCORE_CUDA_EXPORT(log1p)
DLCORE_CUDA_EXPORT(erf)
DLCORE_CUDA_EXPORT(sqrt)
DLCORE_CUDA_EXPORT(rsqrt)
DLCORE_CUDA_EXPORT(reciprocal)
DLCORE_CUDA_EXPORT(square)
DLCORE_CUDA_EXPORT(abs)
DLCORE_CUDA_EXPORT(neg)
DLCORE_CUDA_EXPORT(sign)
DLCORE_CUDA_EXPORT(clip)
DLCORE_CUDA_EXPORT(expm1_backward)
DLCORE_CUDA_EXPORT(log1p_backward)
DLCORE_CUDA_EXPORT(erf_backward)
DLCORE_CUDA_EXPORT(sqrt_backward)
DLCORE_CUDA_EXPORT(rsqrt_backward)
DLCORE_CUDA_EXPORT(reciprocal_backward)
DLCORE_CUDA_EXPORT(square_backward)
DLCORE_CUDA_EXPORT(abs_backward)
DLCORE_CUDA_EXPORT(clip_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
