// All tensors of a network as one long row of elements, cut into chunks of one size, so that
// hundreds of small tensors cost as little as one large one.
#pragma once

#include "cpu/simd_math.h"
#include "kernels/optim.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// update(tensor, begin, end) over the elements [0, start[count]), a piece of one tensor at a time.
template <class Update>
DLCORE_INLINE void for_each_piece(int64_t count, const int64_t* start, const Update& update) {
  parallel_for(start[count], kOptimChunk, [=](int64_t begin, int64_t end) {
    int64_t low = 0, high = count;  // start[low] <= begin < start[high]
    while (high - low > 1) {
      const int64_t middle = (low + high) / 2;
      (start[middle] <= begin ? low : high) = middle;
    }
    for (int64_t t = low; begin < end; ++t) {
      const int64_t stop = smaller(end, start[t + 1]);
      if (begin < stop) update(t, begin - start[t], stop - start[t]);
      begin = larger(begin, stop);
    }
  });
}

// Where a piece's number goes: another place for each, as from one piece to the next the chunk or
// the tensor is another.
DLCORE_INLINE int64_t piece_place(const int64_t* start, int64_t tensor, int64_t begin) {
  return (start[tensor] + begin) / kOptimChunk + tensor;
}

// join(a, b) over the numbers of one tensor's pieces, in their order.
template <class Join>
DLCORE_INLINE double join_pieces(const int64_t* start, int64_t tensor, const double* partial,
                                 const Join& join) {
  double joined = 0;
  if (start[tensor] == start[tensor + 1]) return joined;
  const int64_t last = piece_place(start, tensor, start[tensor + 1] - start[tensor] - 1);
  for (int64_t i = piece_place(start, tensor, 0); i <= last; ++i) joined = join(joined, partial[i]);
  return joined;
}

// Sums of floats in double: nothing overflows, and how long the sum is hardly counts.
template <class T, class F>
DLCORE_INLINE void in_double(Vec<T> v, const F& f) {
  if constexpr (kIsFloat<T>) {
    typedef float Half __attribute__((vector_size(kVectorBytes / 2)));
    Half halves[2];
    std::memcpy(halves, &v, sizeof v);
    f(0, __builtin_convertvector(halves[0], Vec<double>));
    f(1, __builtin_convertvector(halves[1], Vec<double>));
  } else {
    f(0, v);
  }
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
