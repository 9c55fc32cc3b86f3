// Sums over chunks that depend on the shape alone, added in order, in double and compensated: the
// same few weights over and over would round to the same side thousands of times.
#pragma once

#include "cpu/simd.h"
#include "kernels/loss.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// totals[j] = sum of what body(begin, end, sums) adds to sums[j], over chunks of [0, n).
template <int kSums, class Body>
DLCORE_INLINE void sum_chunks(int64_t n, int64_t grain, double* totals, const Body& body) {
  const int64_t chunks = ceil_div(n, grain);
  Sum* const sums =
      static_cast<Sum*>(buffer_acquire(static_cast<size_t>(chunks * kSums + 1) * sizeof(Sum)));
  parallel_for(n, grain, [=](int64_t begin, int64_t end) {
    Sum* const mine = sums + begin / grain * kSums;
    for (int j = 0; j < kSums; ++j) mine[j] = Sum{};
    body(begin, end, mine);
  });
  for (int j = 0; j < kSums; ++j) {
    Sum all{};
    for (int64_t c = 0; c < chunks; ++c) {
      all.add(sums[c * kSums + j].sum);
      all.lost += sums[c * kSums + j].lost;
    }
    totals[j] = all.value();
  }
  buffer_release(sums);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
