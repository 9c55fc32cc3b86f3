// Rows picked by an index: sequences of many lengths to the rows that recurrent layers read, and
// back. Bound by memory.

#include "cpu/simd.h"
#include "kernels/rnn.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
void place_rows(const T* x, const int64_t* index, T* y, int64_t rows, int64_t n, T fill) {
  parallel_for(rows, grain_for(n), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      T* to = y + i * n;
      if (index[i] >= 0)
        memcpy(to, x + index[i] * n, static_cast<size_t>(n) * sizeof(T));
      else
        for (int64_t j = 0; j < n; ++j) to[j] = fill;
    }
  });
}

}  // namespace

DLCORE_EXPORT(place_rows)

}  // namespace DLCORE_ISA
}  // namespace dlcore
