// The mean and the largest of whole planes, forward and backward: each is read or written once, a
// small one by a warp, a large one by a block.

#include "cuda/each.h"
#include "cuda/math.h"
#include "cuda/reduce.h"
#include "kernels/pool.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <int kThreads, class Body>
__global__ void __launch_bounds__(kBlock) plane_kernel(int64_t planes, Body body) {
  constexpr int kPlanes = kBlock / kThreads;  // of a block
  const int64_t first = int64_t(blockIdx.x) * kPlanes + threadIdx.x / kThreads;
  for (int64_t plane = first; plane < planes; plane += int64_t(gridDim.x) * kPlanes)
    body.template plane<kThreads>(plane);
}
template <class Body>
void for_planes(int64_t planes, int64_t n, const Body& body) {
  if (n <= 32 * kWarp)
    launch(plane_kernel<kWarp, Body>, Size{blocks_for(planes, kBlock / kWarp), kBlock}, planes,
           body);
  else
    launch(plane_kernel<kBlock, Body>, Size{blocks_for(planes, 1), kBlock}, planes, body);
}

template <class T>
struct PlaneMean {
  const T* x;
  T* y;
  int64_t n;
  template <int kThreads>
  __device__ void plane(int64_t plane) const {
    const T* const from = x + plane * n;
    const int me = static_cast<int>(threadIdx.x) % kThreads;
    T sum[4] = {};
    int64_t i = me;
    for (; i + 3 * kThreads < n; i += 4 * kThreads)
#pragma unroll
      for (int k = 0; k < 4; ++k) sum[k] += from[i + k * kThreads];
    for (; i < n; i += kThreads) sum[0] += from[i];
    const T total = fold_threads<kThreads>((sum[0] + sum[1]) + (sum[2] + sum[3]), Plus());
    if (me == 0) y[plane] = total / static_cast<T>(n);
  }
};

// y[plane] = the mean of its n elements.
template <class T>
void global_avg_pool_forward(const T* x, T* y, int64_t planes, int64_t n) {
  for_planes(planes, n, PlaneMean<T>{x, y, n});
}

template <class T>
struct SpreadMean {
  const T* dy;
  T* dx;
  int64_t n;
  template <class Index>
  __device__ void at(Index i) const {
    dx[i] = dy[i / static_cast<Index>(n)] / static_cast<T>(n);
  }
};
template <class T>
void global_avg_pool_backward(const T* dy, T* dx, int64_t planes, int64_t n) {
  each(planes * n, planes * n, SpreadMean<T>{dy, dx, n});
}

// NaN is the largest; of equal ones the first place, of NaNs the last.
template <class T>
struct Top {
  T v;
  int64_t at;
};
struct Higher {
  template <class T>
  __device__ Top<T> operator()(const Top<T>& a, const Top<T>& b) const {
    const bool a_nan = a.v != a.v, b_nan = b.v != b.v;
    if (a_nan || b_nan) return a_nan && (!b_nan || a.at > b.at) ? a : b;
    if (a.v == b.v) return a.at < b.at ? a : b;
    return a.v > b.v ? a : b;
  }
};

template <class T>
struct PlaneTop {
  const T* x;
  T* y;
  int64_t* where;
  int64_t n;
  template <int kThreads>
  __device__ void plane(int64_t plane) const {
    const T* const from = x + plane * n;
    const int me = static_cast<int>(threadIdx.x) % kThreads;
    Top<T> top{-kInf<T>, n};
    for (int64_t i = me; i < n; i += kThreads) top = Higher()(top, Top<T>{from[i], i});
    top = fold_threads<kThreads>(top, Higher());
    if (me != 0) return;
    y[plane] = top.v;
    if (where) where[plane] = top.at;
  }
};

// y[plane] = the largest of its n elements, NaN if there is one; where[plane] (may be null) its
// first place, or the last NaN's, which is PyTorch's.
template <class T>
void global_max_pool_forward(const T* x, T* y, int64_t* where, int64_t planes, int64_t n) {
  for_planes(planes, n, PlaneTop<T>{x, y, where, n});
}

template <class T>
struct AtTop {
  const T* dy;
  const int64_t* where;
  T* dx;
  int64_t n;
  template <class Index>
  __device__ void at(Index i) const {
    const Index plane = i / static_cast<Index>(n);
    dx[i] =
        static_cast<Index>(where[plane]) == i - plane * static_cast<Index>(n) ? dy[plane] : T(0);
  }
};
template <class T>
void global_max_pool_backward(const T* dy, const int64_t* where, T* dx, int64_t planes, int64_t n) {
  each(planes * n, planes * n, AtTop<T>{dy, where, dx, n});
}

}  // namespace

DLCORE_CUDA_EXPORT(global_avg_pool_forward)
DLCORE_CUDA_EXPORT(global_avg_pool_backward)
DLCORE_CUDA_EXPORT(global_max_pool_forward)
DLCORE_CUDA_EXPORT(global_max_pool_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
