// Rows of a matrix, each the work of one warp or of one block, which keeps the first part of it in
// registers: what fits there is read from memory once. What is beyond is read again, from the L2.
#pragma once

#include "cuda/reduce.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int kLongRow = 512;  // threads of a block that has a row to itself

// One thread's part of a row of n numbers: packs of kWidth, of which n is a multiple, kThreads
// packs apart; the first kHeld of them in registers.
template <class T, int kThreads, int kWidth, int kHeld>
struct Row {
  using Part = Pack<T, kWidth>;
  static constexpr int kStep = kThreads * kWidth;

  const T* x;
  int64_t n;
  int first, near;  // this thread's first number; how many there are of those that are held
  Part held[kHeld];

  __device__ Row(const T* x_, int64_t n_)
      : x(x_),
        n(n_),
        first(static_cast<int>(threadIdx.x) % kThreads * kWidth),
        near(static_cast<int>(smaller(n_, kHeld * kStep))) {
#pragma unroll
    for (int k = 0; k < kHeld; ++k)
      if (first + k * kStep < near) held[k] = load<kWidth>(x + first + k * kStep);
  }

  // The row is x + other from here on, which goes to `sum` too.
  __device__ void add(const T* other, T* sum) {
    const T* const before = x;
    const auto one = [&](int64_t at, Part part) {
      const Part more = load<kWidth>(other + at);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) part.v[j] += more.v[j];
      store(sum + at, part);
      return part;
    };
#pragma unroll
    for (int k = 0; k < kHeld; ++k)
      if (first + k * kStep < near) held[k] = one(first + k * kStep, held[k]);
#pragma unroll 1
    for (int64_t at = int64_t(first) + kHeld * kStep; at < n; at += kStep)
      one(at, load<kWidth>(before + at));
    x = sum;
  }

  // f(place, pack) for each of this thread's packs.
  template <class F>
  __device__ void each(F f) const {
#pragma unroll
    for (int k = 0; k < kHeld; ++k)
      if (first + k * kStep < near) f(first + k * kStep, held[k]);
#pragma unroll 1
    for (int64_t at = int64_t(first) + kHeld * kStep; at < n; at += kStep)
      f(at, load<kWidth>(x + at));
  }

  // join over the row of lift(x), in all threads.
  template <class V, class Lift, class Join>
  __device__ V fold(V start, Lift lift, Join join) const {
    V v = start;
    each([&](int64_t, const Part& part) {
#pragma unroll
      for (int j = 0; j < kWidth; ++j) v = join(v, lift(part.v[j]));
    });
    return fold_threads<kThreads>(v, join);
  }

  template <class F>
  __device__ void write(T* y, F f) const {
    each([&](int64_t at, const Part& part) {
      Part out;
#pragma unroll
      for (int j = 0; j < kWidth; ++j) out.v[j] = f(part.v[j]);
      store(y + at, out);
    });
  }
};

// f(place, pack, pack) for each of this thread's packs of two rows of one length.
template <class T, int kThreads, int kWidth, int kHeld, class F>
__device__ void both(const Row<T, kThreads, kWidth, kHeld>& a,
                     const Row<T, kThreads, kWidth, kHeld>& b, F f) {
  constexpr int kStep = kThreads * kWidth;
#pragma unroll
  for (int k = 0; k < kHeld; ++k)
    if (a.first + k * kStep < a.near) f(a.first + k * kStep, a.held[k], b.held[k]);
#pragma unroll 1
  for (int64_t at = int64_t(a.first) + kHeld * kStep; at < a.n; at += kStep)
    f(at, load<kWidth>(a.x + at), load<kWidth>(b.x + at));
}

// body.row<kThreads, kWidth>(r) for every row, by all threads of a warp or of a block.
template <int kThreads, int kWidth, class Body>
__global__ void __launch_bounds__(kThreads == kWarp ? kBlock : kThreads, kThreads == kWarp ? 2 : 1)
    row_kernel(int64_t rows, Body body) {
  constexpr int kRows = kThreads == kWarp ? kBlock / kWarp : 1;  // of a block
  const int64_t mine = int64_t(blockIdx.x) * kRows + threadIdx.x / kThreads;
  for (int64_t r = mine; r < rows; r += int64_t(gridDim.x) * kRows)
    body.template row<kThreads, kWidth>(r);
}

template <int kWidth, class Body>
void launch_rows(int64_t rows, int64_t n, const Body& body) {
  if (n <= kWarp * kWidth * 8)
    launch(row_kernel<kWarp, kWidth, Body>, Size{blocks_for(rows, kBlock / kWarp), kBlock}, rows,
           body);
  else
    launch(row_kernel<kLongRow, kWidth, Body>, Size{blocks_for(rows, 1), kLongRow}, rows, body);
}

// `data`: what is read and written in packs.
template <class T, class Body, class... Data>
void for_rows(int64_t rows, int64_t n, const Body& body, const Data*... data) {
  if (n % kFull<T> == 0 && aligned(data...))
    launch_rows<kFull<T>>(rows, n, body);
  else
    launch_rows<1>(rows, n, body);
}

// body.column(place of the first element in (outer, n, inner), outer * inner's index) for each.
template <class Body>
__global__ void __launch_bounds__(kBlock, 2)
    column_kernel(int64_t outer, int64_t n, int64_t inner, Body body) {
  for (int64_t i = grid_thread(); i < outer * inner; i += grid_threads())
    body.column(i / inner * n * inner + i % inner, i);
}
template <class Body>
void for_columns(int64_t outer, int64_t n, int64_t inner, const Body& body) {
  launch(column_kernel<Body>, Size{blocks_for(outer * inner, kBlock), kBlock}, outer, n, inner,
         body);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
