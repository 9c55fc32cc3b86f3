// Sums over channels or planes of a tensor, in two steps whose order depends on the shape alone: a
// block adds up a part of one, and whoever needs the sum adds up the parts.
#pragma once

#include "cuda/reduce.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// `count` units, each of `pieces` rows of `size` elements `stride` apart; unit u begins at u *
// between.
struct Units {
  int64_t count, pieces, size, stride, between;

  // Each channel of (batch, channels, size), over the batch.
  static Units channels(int64_t batch, int64_t channels, int64_t size) {
    return {channels, batch, size, channels * size, size};
  }
  // What lies together.
  static Units rows(int64_t count, int64_t size) { return {count, 1, size, size, size}; }

  __host__ __device__ int64_t elements() const { return pieces * size; }
  // A block's part: read twice, it should stay in L1.
  static constexpr int64_t kPart = 8192;
  __host__ __device__ int64_t parts() const { return larger(1, ceil_div(elements(), kPart)); }

  // body(place) for this thread's elements of a part of unit u; after every few call flush().
  template <int kThreads, class Body, class Flush>
  __device__ void each(int64_t u, int64_t part, const Body& body, const Flush& flush) const {
    constexpr int64_t kFew = 16;
    const int64_t begin = part * kPart, end = smaller(begin + kPart, elements());
    int64_t i = begin + int64_t(threadIdx.x) % kThreads;
    // Of element i: its piece, and its place in it.
    int64_t piece = pieces == 1 || i >= end ? 0 : i / size, at = i - piece * size;
    while (i < end) {
      const int64_t stop = smaller(end, i + kFew * kThreads);
      for (; i < stop; i += kThreads) {
        body(u * between + piece * stride + at);
        at += kThreads;
        while (at >= size && piece < pieces) at -= size, ++piece;
      }
      flush();
    }
  }
};

// Sums of a few floats, then of doubles.
template <class T, int kSums>
struct PartSums {
  T few[kSums] = {};
  double all[kSums] = {};
  __device__ void flush() {
#pragma unroll
    for (int k = 0; k < kSums; ++k) {
      all[k] += static_cast<double>(few[k]);
      few[k] = T(0);
    }
  }
  template <int kThreads>
  __device__ void fold() {
#pragma unroll
    for (int k = 0; k < kSums; ++k) all[k] = fold_threads<kThreads>(all[k], Plus());
  }
};

constexpr int64_t kSmallUnit = 1024;  // elements: the work of a warp

// body.part<kThreads>(unit, part) by all threads of a block, or of a warp for small units.
template <int kThreads, class Body>
__global__ void __launch_bounds__(kBlock, 2)
    part_kernel(int64_t items, int64_t parts, const __grid_constant__ Body body) {
  constexpr int kEach = kBlock / kThreads;
  const int64_t first = int64_t(blockIdx.x) * kEach + threadIdx.x / kThreads;
  for (int64_t i = first; i < items; i += int64_t(gridDim.x) * kEach)
    body.template part<kThreads>(i / parts, i % parts);
}
template <class Body>
void each_part(const Units& units, const Body& body) {
  const int64_t parts = units.parts(), items = units.count * parts;
  if (units.elements() <= kSmallUnit)
    launch(part_kernel<kWarp, Body>, Size{blocks_for(items, kBlock / kWarp), kBlock}, items, parts,
           body);
  else
    launch(part_kernel<kBlock, Body>, Size{blocks_for(items, 1), kBlock}, items, parts, body);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
