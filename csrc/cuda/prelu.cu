// PReLU: x where it is positive, weight x elsewhere, with a weight for each channel or for all.
// Bound by memory: backward reads x and dy once.

#include "cuda/columns.h"
#include "cuda/each.h"
#include "cuda/reduce.h"
#include "kernels/activation.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
struct Bent {
  const T *x, *weight;
  T* y;
  int64_t channels, inner;

  template <class Index>
  __device__ void at(Index i) const {
    const T v = x[i];
    const Index c = i / static_cast<Index>(inner) % static_cast<Index>(channels);
    y[i] = v > T(0) ? v : v * weight[c];
  }
};

// y may be x.
template <class T>
void prelu_forward(const T* x, const T* weight, T* y, int64_t outer, int64_t channels,
                   int64_t inner) {
  each(outer * channels * inner, 0, Bent<T>{x, weight, y, channels, inner});
}

// Writes dx of one element and gives what it adds to its weight's gradient.
template <class T>
struct Slope {
  const T *x, *weight, *dy;
  T* dx;
  __device__ T at(int64_t i, int64_t channel) const {
    const T v = x[i], d = dy[i];
    dx[i] = v > T(0) ? d : d * weight[channel];
    return v > T(0) ? T(0) : v * d;
  }
};

// Channels are the last axis.
template <class T>
__global__ void __launch_bounds__(kWarp* kTall)
    last_axis_kernel(Slope<T> slope, int64_t rows, int64_t channels, int64_t share, T* sums) {
  const int64_t begin = blockIdx.y * share, end = smaller(begin + share, rows);
  sum_column(begin, end, channels, sums + blockIdx.y * channels,
             [&](int64_t r, int64_t c) { return slope.at(r * channels + c, c); });
}

// A block's share of one channel, whose elements are (outer, inner).
template <class T>
__global__ void __launch_bounds__(kBlock)
    channel_kernel(Slope<T> slope, int64_t outer, int64_t inner, int64_t share, T* sums) {
  const int64_t channels = gridDim.x, c = blockIdx.x;
  const int64_t begin = blockIdx.y * share, end = smaller(begin + share, outer * inner);
  T sum = T(0);
  for (int64_t i = begin + threadIdx.x; i < end; i += kBlock) {
    const int64_t o = i / inner;
    sum += slope.at((o * channels + c) * inner + i - o * inner, c);
  }
  sum = block_fold<kBlock>(sum, Plus());
  if (threadIdx.x == 0) sums[blockIdx.y * channels + c] = sum;
}

// dx = dy or weight dy, and dweight the sum of x dy where x is not positive. dx may be dy.
template <class T>
void prelu_backward(const T* x, const T* weight, const T* dy, T* dx, T* dweight, int64_t outer,
                    int64_t channels, int64_t inner) {
  const Slope<T> slope{x, weight, dy, dx};
  const bool last = inner == 1 && channels > 1;
  const int64_t n = outer * inner, least = last ? 64 : 16 * kBlock;
  const int64_t share = larger(least, ceil_div(n, 256)), shares = larger(1, ceil_div(n, share));
  const Scratch<T> sums(shares * channels);
  const unsigned down = static_cast<unsigned>(shares);
  if (last)
    launch(last_axis_kernel<T>,
           Size{dim3(static_cast<unsigned>(ceil_div(channels, kWarp)), down), dim3(kWarp, kTall)},
           slope, outer, channels, share, sums);
  else
    launch(channel_kernel<T>, Size{dim3(static_cast<unsigned>(channels), down), kBlock}, slope,
           outer, inner, share, sums);
  join_columns<T, 1>(sums, shares, channels, {{dweight}});
}

}  // namespace

DLCORE_CUDA_EXPORT(prelu_forward)
DLCORE_CUDA_EXPORT(prelu_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
