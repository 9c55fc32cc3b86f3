// Rows picked by an index: sequences of many lengths to the rows that recurrent layers read, and
// back. Bound by memory.

#include "cuda/device.h"
#include "kernels/rnn.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
__global__ void __launch_bounds__(kBlock)
    place_kernel(const T* x, const int64_t* index, T* y, int64_t rows, int64_t n, T fill) {
  for (int64_t i = grid_thread(); i < rows * n; i += grid_threads()) {
    const int64_t row = i / n, from = index[row];
    y[i] = from >= 0 ? x[from * n + i - row * n] : fill;
  }
}

template <class T>
void place_rows(const T* x, const int64_t* index, T* y, int64_t rows, int64_t n, T fill) {
  launch(place_kernel<T>, Size{blocks_for(rows * n, kBlock), kBlock}, x, index, y, rows, n, fill);
}

}  // namespace

DLCORE_CUDA_EXPORT(place_rows)

}  // namespace DLCORE_ISA
}  // namespace dlcore
