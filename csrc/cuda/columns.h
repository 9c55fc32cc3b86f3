// Sums down columns, for gradients of what is added to every row: shares of the rows first, then
// the shares, always in the same order.
#pragma once

#include "cuda/device.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// 32 columns by kTall rows at a time.
constexpr int kTall = 8;

// to[c] = the sum of value(i, c) over i from begin to end.
template <class T, class Value>
__device__ void sum_column(int64_t begin, int64_t end, int64_t cols, T* to, Value value) {
  const int64_t c = int64_t(blockIdx.x) * kWarp + threadIdx.x;
  __shared__ T partial[kTall][kWarp];
  T sum = T(0);
  if (c < cols)
    for (int64_t i = begin + threadIdx.y; i < end; i += kTall) sum += value(i, c);
  partial[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y == 0 && c < cols) {
    for (int t = 1; t < kTall; ++t) sum += partial[t][threadIdx.x];
    to[c] = sum;
  }
}

// The shares' sums, (count, kSums, cols), become one each; a null one is left out.
template <class T, int kSums>
struct Columns {
  T* to[kSums];
};
template <class T, int kSums>
__global__ void __launch_bounds__(kWarp* kTall)
    join_columns_kernel(const T* partial, int64_t count, int64_t cols,
                        const __grid_constant__ Columns<T, kSums> sums) {
  const int64_t which = blockIdx.y;
  if (!sums.to[which]) return;
  sum_column(0, count, cols, sums.to[which],
             [&](int64_t i, int64_t c) { return partial[(i * kSums + which) * cols + c]; });
}
template <class T, int kSums>
void join_columns(const T* partial, int64_t count, int64_t cols, const Columns<T, kSums>& sums) {
  launch(join_columns_kernel<T, kSums>,
         Size{dim3(static_cast<unsigned>(ceil_div(cols, kWarp)), kSums), dim3(kWarp, kTall)},
         partial, count, cols, sums);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
