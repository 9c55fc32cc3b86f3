// Those of n numbers that a rule keeps, in their order: the work of one block.
#pragma once

#include "cuda/reduce.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int kCompact = 1024;  // threads

// to(place, i) for every i that keeps(i), place by place; *count is their number.
template <class Rule>
__global__ void __launch_bounds__(kCompact, 1)
    compact_kernel(int64_t n, Rule rule, int64_t* count) {
  __shared__ int before[kCompact / kWarp + 1];  // of each warp; the last is of all
  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = threadIdx.x % kWarp;
  int64_t kept = 0;
  for (int64_t first = 0; first < n; first += kCompact) {
    const int64_t i = first + threadIdx.x;
    const bool keeps = i < n && rule.keeps(i);
    const unsigned votes = __ballot_sync(kAllLanes, keeps);
    if (lane == 0) before[warp] = __popc(votes);
    __syncthreads();
    if (threadIdx.x == 0) {
      int sum = 0;
      for (int w = 0; w <= kCompact / kWarp; ++w) {
        const int here = w < kCompact / kWarp ? before[w] : 0;
        before[w] = sum;
        sum += here;
      }
    }
    __syncthreads();
    if (keeps) rule.to(kept + before[warp] + __popc(votes & ((1u << lane) - 1)), i);
    kept += before[kCompact / kWarp];
    __syncthreads();
  }
  if (threadIdx.x == 0) *count = kept;
}
template <class Rule>
void compact(int64_t n, const Rule& rule, int64_t* count) {
  launch(compact_kernel<Rule>, Size{1, kCompact}, n, rule, count);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
