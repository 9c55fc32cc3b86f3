// y[i] = f(x[i]...) on contiguous arrays and on broadcast ones. Bound by memory: packs of 16 bytes
// where the pointers allow. y may be any x of its shape.
#pragma once

#include <utility>

#include "cuda/device.h"
#include "kernels/elementwise.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <int kWidth, class Y, class F, class... X>
__global__ void __launch_bounds__(kBlock, 3) map_kernel(Y* y, int64_t n, F f, const X*... x) {
  const auto one = [&](int64_t at, const auto&... in) {
    Pack<Y, kWidth> out;
#pragma unroll
    for (int j = 0; j < kWidth; ++j) out.v[j] = f(in.v[j]...);
    store(y + at, out);
  };
  for (int64_t i = grid_thread(); i < n / kWidth; i += grid_threads())
    one(i * kWidth, load<kWidth>(x + i * kWidth)...);
  const int64_t rest = n / kWidth * kWidth + grid_thread();
  if (kWidth > 1 && rest < n) y[rest] = f(x[rest]...);
}

template <class T, class Y, class F, class... X>
void map(Y* y, int64_t n, F f, const X*... x) {
  const Size size{blocks_for(n, int64_t(kBlock) * kFull<T>), kBlock};
  if (aligned(y, x...))
    launch(map_kernel<kFull<T>, Y, F, X...>, size, y, n, f, x...);
  else
    launch(map_kernel<1, Y, F, X...>, size, y, n, f, x...);
}

// -- broadcast --

// The axes of the output, and the strides of each input along them: 0 repeats; the last is 0 or 1.
template <int kInputs>
struct Walk {
  int ndim;
  int64_t size[kMaxDims];
  int64_t stride[kInputs][kMaxDims];
  bool varies[kInputs];  // along the last axis

  Walk(int ndim_, const int64_t* size_, const int64_t* const (&stride_)[kInputs]) : ndim(ndim_) {
    for (int d = 0; d < ndim; ++d) size[d] = size_[d];
    for (int i = 0; i < kInputs; ++i) {
      for (int d = 0; d < ndim; ++d) stride[i][d] = stride_[i][d];
      varies[i] = stride[i][ndim - 1] != 0;
    }
  }
  int64_t cols() const { return size[ndim - 1]; }
  // Whether every row of input i begins at a whole pack, or is one number.
  bool fits(int i, const void* data, int width) const {
    bool whole = reinterpret_cast<uintptr_t>(data) % 16 == 0;
    for (int d = 0; d < ndim - 1; ++d) whole = whole && stride[i][d] % width == 0;
    return whole || !varies[i];
  }
};

template <int kWidth, class X>
__device__ Pack<X, kWidth> load_or_repeat(const X* at, bool varies) {
  if (varies) return load<kWidth>(at);
  Pack<X, kWidth> same;
#pragma unroll
  for (int j = 0; j < kWidth; ++j) same.v[j] = *at;
  return same;
}

// Index: unsigned where the output has less than 2^31 elements, as 64-bit division is slow.
template <class Index, int kWidth, class Y, class F, class... X>
__global__ void __launch_bounds__(kBlock, 3)
    broadcast_kernel(Y* y, Index packs, Index per_row,
                     const __grid_constant__ Walk<sizeof...(X)> walk, F f, const X*... x) {
  for (Index i = static_cast<Index>(grid_thread()); i < packs;
       i += static_cast<Index>(grid_threads())) {
    Index row = i / per_row;
    const Index col = (i - row * per_row) * kWidth;
    const auto with = [&]<size_t... K>(std::index_sequence<K...>) {
      int64_t offset[] = {walk.varies[K] ? int64_t(col) : 0 ...};
      for (int d = walk.ndim - 2; d >= 0; --d) {
        const Index size = static_cast<Index>(walk.size[d]), above = row / size;
        const int64_t here = row - above * size;
        ((offset[K] += here * walk.stride[K][d]), ...);
        row = above;
      }
      const auto one = [&](const auto&... in) {
        Pack<Y, kWidth> out;
#pragma unroll
        for (int j = 0; j < kWidth; ++j) out.v[j] = f(in.v[j]...);
        store(y + int64_t(i) * kWidth, out);
      };
      one(load_or_repeat<kWidth>(x + offset[K], walk.varies[K])...);
    };
    with(std::index_sequence_for<X...>{});
  }
}

template <class Index, int kWidth, class Y, class F, int kInputs, class... X>
void launch_broadcast(Y* y, int64_t n, const Walk<kInputs>& walk, F f, const X*... x) {
  launch(broadcast_kernel<Index, kWidth, Y, F, X...>, Size{blocks_for(n / kWidth, kBlock), kBlock},
         y, static_cast<Index>(n / kWidth), static_cast<Index>(walk.cols() / kWidth), walk, f,
         x...);
}

template <class T, class Y, class F, int kInputs, class... X>
void broadcast(Y* y, const Walk<kInputs>& walk, F f, const X*... x) {
  int64_t n = 1;
  for (int d = 0; d < walk.ndim; ++d) n *= walk.size[d];
  int i = 0;
  const bool packs =
      walk.cols() % kFull<T> == 0 && aligned(y) && (walk.fits(i++, x, kFull<T>) && ...);
  if (n >= int64_t(1) << 31)
    launch_broadcast<int64_t, 1>(y, n, walk, f, x...);
  else if (packs)
    launch_broadcast<uint32_t, kFull<T>>(y, n, walk, f, x...);
  else
    launch_broadcast<uint32_t, 1>(y, n, walk, f, x...);
}

template <class T, class Y, class F>
void broadcast(const T* a, const T* b, Y* y, const Broadcast& s, F f) {
  broadcast<T>(y, Walk<2>(s.ndim, s.size, {s.stride_a, s.stride_b}), f, a, b);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
