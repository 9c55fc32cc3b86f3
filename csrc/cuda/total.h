// Sums of many terms in double with what their additions lost, in an order that depends on their
// number alone.
#pragma once

#include "cuda/reduce.h"
#include "kernels/loss.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <int kSums>
struct Sums {
  Sum of[kSums];
};
struct JoinSums {
  template <int kSums>
  __device__ Sums<kSums> operator()(Sums<kSums> a, const Sums<kSums>& b) const {
#pragma unroll
    for (int i = 0; i < kSums; ++i) {
      a.of[i].add(b.of[i].sum);
      a.of[i].lost += b.of[i].lost;
    }
    return a;
  }
};

// A block's share of the terms; the last stage, of one block, writes the totals.
template <int kSums, bool kLast, class Add>
__global__ void __launch_bounds__(kBlock, 3)
    total_kernel(int64_t n, int64_t share, Add add, Sums<kSums>* partial, double* totals) {
  const int64_t begin = blockIdx.x * share, end = smaller(begin + share, n);
  Sums<kSums> sums{};
  for (int64_t i = begin + threadIdx.x; i < end; i += kBlock) add(i, sums.of);
  sums = block_fold<kBlock>(sums, JoinSums());
  if (threadIdx.x != 0) return;
  if (kLast)
#pragma unroll
    for (int i = 0; i < kSums; ++i) totals[i] = sums.of[i].value();
  else
    partial[blockIdx.x] = sums;
}

template <int kSums>
struct AddPartial {
  const Sums<kSums>* partial;
  __device__ void operator()(int64_t i, Sum* sums) const {
#pragma unroll
    for (int k = 0; k < kSums; ++k) {
      sums[k].add(partial[i].of[k].sum);
      sums[k].lost += partial[i].of[k].lost;
    }
  }
};

// totals[k] = the sum of what add(i, sums) adds to sums[k] for all i below n.
template <int kSums, class Add>
void total(int64_t n, double* totals, const Add& add) {
  constexpr int64_t kShare = 8 * kBlock;
  if (n <= kShare) {
    launch(total_kernel<kSums, true, Add>, Size{1, kBlock}, n, kShare, add,
           static_cast<Sums<kSums>*>(nullptr), totals);
    return;
  }
  const int64_t share = larger(kShare, ceil_div(n, 1024)), blocks = ceil_div(n, share);
  const Scratch<Sums<kSums>> partial(blocks);
  launch(total_kernel<kSums, false, Add>, Size{static_cast<unsigned>(blocks), kBlock}, n, share,
         add, partial, static_cast<double*>(nullptr));
  launch(total_kernel<kSums, true, AddPartial<kSums>>, Size{1, kBlock}, blocks, blocks,
         AddPartial<kSums>{partial}, static_cast<Sums<kSums>*>(nullptr), totals);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
