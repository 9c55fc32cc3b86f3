// Activations, one element at a time: forward reads x and writes y, backward reads y (or x) and dy
// and writes dx. Bound by memory; see simd.h for the stores past the caches.

#include "cpu/simd.h"
#include "kernels.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kChunk = int64_t(1) << 15;  // elements: 128 KiB of x in float, half an L2 with y

template <class T, class F>
DLCORE_INLINE void map(const T* x, T* y, int64_t n, const F& f) {
  const bool past_caches = x != y && n * static_cast<int64_t>(sizeof(T)) >= kStreamBytes;
  parallel_for(n, kChunk, [=](int64_t begin, int64_t end) {
    map_range<T>(x + begin, y + begin, end - begin, past_caches, f);
  });
}

// y = max(x, 0). NaN stays NaN. y may be x.
template <class T>
void relu_forward(const T* x, T* y, int64_t n) {
  map<T>(x, y, n, [](Vec<T> v) { return max<T>(Vec<T>{}, v); });
}

// dx = dy where y > 0, else 0. dx may be dy.
template <class T>
void relu_backward(const T* y, const T* dy, T* dx, int64_t n) {
  parallel_for(n, kChunk, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) dx[i] = y[i] > 0 ? dy[i] : T(0);
  });
}

}  // namespace

DLCORE_EXPORT(relu_forward)
DLCORE_EXPORT(relu_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
