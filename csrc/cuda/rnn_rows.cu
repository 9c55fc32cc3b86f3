// Rows picked by an index: sequences of many lengths to the rows that recurrent layers read, and
// back. Bound by memory.

#include "cuda/each.h"
#include "kernels/rnn.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
struct Placed {
  const T* x;
  const int64_t* index;
  T* y;
  int64_t n;
  T fill;

  template <class Index>
  __device__ void at(Index i) const {
    const Index row = i / static_cast<Index>(n);
    const int64_t from = index[row];
    y[i] = from >= 0 ? x[from * n + (i - row * static_cast<Index>(n))] : fill;
  }
};

template <class T>
void place_rows(const T* x, const int64_t* index, T* y, int64_t rows, int64_t n, T fill) {
  each(rows * n, 0, Placed<T>{x, index, y, n, fill});
}

}  // namespace

DLCORE_CUDA_EXPORT(place_rows)

}  // namespace DLCORE_ISA
}  // namespace dlcore
