// Embedding bags: the sum, mean or largest of some rows of a table, a thread to a pack of columns
// of a bag. Bound by reading the rows. The gradient of the table is add_rows or scatter, see
// gather.cu.

#include "cuda/each.h"
#include "cuda/reduce.h"
#include "kernels/embedding.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T, int kWidth>
struct Summed {
  const T* weight;
  T* y;
  Bags<T> s;

  template <class Index>
  __device__ void at(Index item) const {
    const Index across = static_cast<Index>(s.dim / kWidth), bag = item / across;
    const Index at = (item - bag * across) * kWidth;
    Pack<T, kWidth> sum{};
    int64_t count = 0;
    for (int64_t i = s.offsets[bag]; i < s.offsets[bag + 1]; ++i) {
      if (s.index[i] == s.padding) continue;
      const Pack<T, kWidth> row = load<kWidth>(weight + s.index[i] * s.dim + at);
      const T factor = s.scale ? s.scale[i] : T(1);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) sum.v[j] += factor * row.v[j];
      ++count;
    }
    const T divisor = s.mode == BagMode::mean ? static_cast<T>(larger(count, 1)) : T(1);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) sum.v[j] /= divisor;
    store(y + int64_t(item) * kWidth, sum);
  }
};

// The largest of each column and its row; NaN wins, the first of equals does.
template <class T>
struct Largest {
  const T* weight;
  T* y;
  int64_t* best;
  Bags<T> s;

  template <class Index>
  __device__ void at(Index item) const {
    const Index bag = item / static_cast<Index>(s.dim);
    const Index at = item - bag * static_cast<Index>(s.dim);
    T top = T(0);
    int64_t place = -1;
    for (int64_t i = s.offsets[bag]; i < s.offsets[bag + 1]; ++i) {
      if (s.index[i] == s.padding) continue;
      const T v = weight[s.index[i] * s.dim + at];
      if (place >= 0 && !(v > top) && !(v != v && top == top)) continue;
      top = v;
      place = s.index[i];
    }
    y[item] = top;
    best[item] = place;
  }
};

template <class T>
void embedding_bag_forward(const T* weight, T* y, int64_t* best, const Bags<T>& s) {
  const int64_t n = s.bags * s.dim;
  if (s.mode == BagMode::max)
    each(n, 0, Largest<T>{weight, y, best, s});
  else if (s.dim % kFull<T> == 0 && aligned(weight, y))
    each(n / kFull<T>, 0, Summed<T, kFull<T>>{weight, y, s});
  else
    each(n, 0, Summed<T, 1>{weight, y, s});
}

// A warp to a bag.
template <class T>
__global__ void __launch_bounds__(kBlock)
    scale_kernel(const T* weight, const T* dy, T* dscale, Bags<T> s) {
  const int64_t lane = threadIdx.x % kWarp;
  for (int64_t bag = grid_thread() / kWarp; bag < s.bags; bag += grid_threads() / kWarp)
    for (int64_t i = s.offsets[bag]; i < s.offsets[bag + 1]; ++i) {
      T sum = T(0);
      for (int64_t at = lane; at < s.dim; at += kWarp)
        sum += weight[s.index[i] * s.dim + at] * dy[bag * s.dim + at];
      sum = warp_fold(sum, Plus());
      if (lane == 0) dscale[i] = s.index[i] == s.padding ? T(0) : sum;
    }
}

template <class T>
void embedding_bag_backward_scale(const T* weight, const T* dy, T* dscale, const Bags<T>& s) {
  launch(scale_kernel<T>, Size{blocks_for(s.bags, kBlock / kWarp), kBlock}, weight, dy, dscale, s);
}

}  // namespace

DLCORE_CUDA_EXPORT(embedding_bag_forward)
DLCORE_CUDA_EXPORT(embedding_bag_backward_scale)

}  // namespace DLCORE_ISA
}  // namespace dlcore
