// Sums and the like over a warp and over a block: always the same tree, so always the same bits.
#pragma once

#include "cuda/device.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr unsigned kAllLanes = 0xffffffffu;

// What is shuffled: a few words, each by itself.
template <class V>
__device__ V shuffle_xor(V v, int lanes) {
#ifdef __CUDACC__
  if constexpr (sizeof(V) == 4 || sizeof(V) == 8) {
    if constexpr (std::is_arithmetic_v<V>) return __shfl_xor_sync(kAllLanes, v, lanes);
  }
  constexpr int kWords = sizeof(V) / 4;
  unsigned word[kWords];
  memcpy(word, &v, sizeof(V));
#  pragma unroll
  for (int i = 0; i < kWords; ++i) word[i] = __shfl_xor_sync(kAllLanes, word[i], lanes);
  memcpy(&v, word, sizeof(V));
  return v;
#else
  return __shfl_xor_sync(kAllLanes, v, lanes);
#endif
}

// join over the 32 lanes, in all of them. join(a, b) must be join(b, a) to the bit.
template <class V, class Join>
__device__ V warp_fold(V v, Join join) {
#ifdef __CUDACC__
#  pragma unroll
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) v = join(v, shuffle_xor(v, lanes));
  return v;
#else  // the same tree in one exchange
  return shim::exchange(kAllLanes, v,
                        [=](V* all, unsigned) {
                          V next[kWarp];
                          for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) {
                            for (int i = 0; i < kWarp; ++i) next[i] = join(all[i], all[i ^ lanes]);
                            for (int i = 0; i < kWarp; ++i) all[i] = next[i];
                          }
                        },
                        {"warp_fold", __FILE__, __LINE__});
#endif
}

// join over a block of kThreads, a power of two of at least one warp, in all of them. It may be
// called again at once.
template <int kThreads, class V, class Join>
__device__ V block_fold(V v, Join join) {
  v = warp_fold(v, join);
  if constexpr (kThreads > kWarp) {
    constexpr int kWarps = kThreads / kWarp;
    __shared__ V partial[kWarps];
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    __syncthreads();  // the last fold's readers are done
    if (threadIdx.x % kWarp == 0) partial[warp] = v;
    __syncthreads();
    v = partial[0];
    for (int w = 1; w < kWarps; ++w) v = join(v, partial[w]);
  }
  return v;
}

template <int kThreads, class V, class Join>
__device__ V fold_threads(V v, Join join) {
  if constexpr (kThreads == kWarp)
    return warp_fold(v, join);
  else
    return block_fold<kThreads>(v, join);
}

struct Plus {
  template <class V>
  __device__ V operator()(V a, V b) const {
    return a + b;
  }
};
// NaN loses.
struct Larger {
  template <class V>
  __device__ V operator()(V a, V b) const {
    return a > b || b != b ? a : b;
  }
};

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
