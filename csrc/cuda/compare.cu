// Comparisons and tests, whose results are bools of one byte, 0 or 1, and choices by them. Bound by
// memory.

#include "cuda/map.h"
#include "kernels/compare.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
void eq(const T* a, const T* b, uint8_t* y, const Broadcast& shape) {
  broadcast(a, b, y, shape, [] __device__(T v, T w) { return uint8_t(v == w); });
}

template <class T>
void ne(const T* a, const T* b, uint8_t* y, const Broadcast& shape) {
  broadcast(a, b, y, shape, [] __device__(T v, T w) { return uint8_t(v != w); });
}

template <class T>
void lt(const T* a, const T* b, uint8_t* y, const Broadcast& shape) {
  broadcast(a, b, y, shape, [] __device__(T v, T w) { return uint8_t(v < w); });
}

template <class T>
void le(const T* a, const T* b, uint8_t* y, const Broadcast& shape) {
  broadcast(a, b, y, shape, [] __device__(T v, T w) { return uint8_t(v <= w); });
}

template <class T>
void isnan(const T* x, uint8_t* y, int64_t n) {
  map<T>(y, n, [] __device__(T v) { return uint8_t(v != v); }, x);
}

template <class T>
void isinf(const T* x, uint8_t* y, int64_t n) {
  map<T>(y, n, [] __device__(T v) { return uint8_t(v - v != v - v && v == v); }, x);
}

// inf - inf and NaN - NaN are NaN.
template <class T>
void isfinite(const T* x, uint8_t* y, int64_t n) {
  map<T>(y, n, [] __device__(T v) { return uint8_t(v - v == T(0)); }, x);
}

// y = condition ? a : b.
template <class T>
void where(const uint8_t* condition, const T* a, const T* b, T* y, const Choice& s) {
  broadcast<T>(
      y, Walk<3>(s.ndim, s.size, {s.stride_c, s.stride_a, s.stride_b}),
      [] __device__(uint8_t chosen, T v, T w) { return chosen ? v : w; }, condition, a, b);
}

}  // namespace

DLCORE_CUDA_EXPORT(eq)
DLCORE_CUDA_EXPORT(ne)
DLCORE_CUDA_EXPORT(lt)
DLCORE_CUDA_EXPORT(le)
DLCORE_CUDA_EXPORT(isnan)
DLCORE_CUDA_EXPORT(isinf)
DLCORE_CUDA_EXPORT(isfinite)
DLCORE_CUDA_EXPORT(where)

}  // namespace DLCORE_ISA
}  // namespace dlcore
