// What attention's forward and backward share: tiles of products through shared memory, kThreads
// threads with kMicro x kMicro results each, and what happens to scores.
#pragma once

#include <type_traits>

#include "cuda/math.h"
#include "cuda/philox.h"
#include "cuda/reduce.h"
#include "kernels/attention.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int kSide = 16, kThreads = kSide * kSide, kDeep = 16;
template <class T>
constexpr int kTile = sizeof(T) == 4 ? 64 : 32;  // queries and keys
template <class T>
constexpr int kMicro = kTile<T> / kSide;
template <class T>
constexpr int kStride = kTile<T> + kFull<T>;  // of a row in shared memory

// Of a block: what a product is staged in, and the weights of the sums that follow it.
template <class T, int kSlice>
constexpr int kRoom =
    2 * kDeep * kStride<T> > kDeep* kSlice ? 2 * kDeep * kStride<T> : kDeep * kSlice;

template <class T>
__device__ T* head_of(const Heads<T>& x, int64_t batch, int64_t head) {
  return x.data + batch * x.batch + head * x.head;
}

// Rows of a matrix, contiguous, `row` elements apart.
template <class T>
struct Rows {
  const T* p;
  int64_t row, count;
};
template <class T, class V>
__device__ Rows<T> rows_from(const Heads<V>& x, int64_t batch, int64_t head, int64_t first,
                             int64_t count) {
  return {head_of(x, batch, head) + first * x.row, x.row, count - first};
}

// A tile's rows, turned: to[e][r], zeros beyond the edges.
template <class T>
__device__ void stage(const Rows<T>& from, int64_t e0, int64_t depth, T* to) {
  const int t = static_cast<int>(threadIdx.x), e = t % kDeep;
#pragma unroll
  for (int r = t / kDeep; r < kTile<T>; r += kThreads / kDeep)
    to[e * kStride<T> + r] =
        r < from.count && e0 + e < depth ? from.p[r * from.row + e0 + e] : T(0);
}

__device__ inline int tile_row() {
  return static_cast<int>(threadIdx.x) / kSide;
}
__device__ inline int tile_column() {
  return static_cast<int>(threadIdx.x) % kSide;
}

// sum[i][j] = a[i] . b[j] for this thread's rows of either.
template <class T>
__device__ void products(const Rows<T>& a, const Rows<T>& b, int64_t depth, T* room,
                         T (&sum)[kMicro<T>][kMicro<T>]) {
  T *const left = room, *const right = room + kDeep * kStride<T>;
#pragma unroll
  for (auto& row : sum)
#pragma unroll
    for (T& s : row) s = T(0);
  for (int64_t e0 = 0; e0 < depth; e0 += kDeep) {
    __syncthreads();
    stage(a, e0, depth, left);
    stage(b, e0, depth, right);
    __syncthreads();
#pragma unroll
    for (int e = 0; e < kDeep; ++e) {
      const auto x = load<kMicro<T>>(left + e * kStride<T> + tile_row() * kMicro<T>);
      const auto y = load<kMicro<T>>(right + e * kStride<T> + tile_column() * kMicro<T>);
#pragma unroll
      for (int i = 0; i < kMicro<T>; ++i)
#pragma unroll
        for (int j = 0; j < kMicro<T>; ++j) sum[i][j] = math::fma(x.v[i], y.v[j], sum[i][j]);
    }
  }
}

// sum[i][c] += the tile's weights[r][i] times rows[r], columns tile_column() + c kSide of kSlice.
template <class T, int kSlice>
__device__ void add_rows(const T* weights, const Rows<T>& rows, int64_t columns, T* room,
                         T (&sum)[kMicro<T>][kSlice / kSide]) {
  for (int r0 = 0; r0 < kTile<T> && r0 < rows.count; r0 += kDeep) {
    __syncthreads();  // the weights are there, the room is free
#pragma unroll 4
    for (int at = static_cast<int>(threadIdx.x); at < kDeep * kSlice; at += kThreads) {
      const int r = at / kSlice, c = at % kSlice;
      room[at] = r0 + r < rows.count && c < columns ? rows.p[(r0 + r) * rows.row + c] : T(0);
    }
    __syncthreads();
#pragma unroll 4
    for (int r = 0; r < kDeep; ++r) {
      const auto w = load<kMicro<T>>(weights + (r0 + r) * kStride<T> + tile_row() * kMicro<T>);
#pragma unroll
      for (int c = 0; c < kSlice / kSide; ++c) {
        const T x = room[r * kSlice + tile_column() + c * kSide];
#pragma unroll
        for (int i = 0; i < kMicro<T>; ++i) sum[i][c] = math::fma(w.v[i], x, sum[i][c]);
      }
    }
  }
}

// This thread's numbers as weights: of column j for row i.
template <class T>
__device__ void put_weights(const T (&w)[kMicro<T>][kMicro<T>], T* weights) {
  __syncthreads();  // the last weights' readers are done
#pragma unroll
  for (int j = 0; j < kMicro<T>; ++j) {
    Pack<T, kMicro<T>> column;
#pragma unroll
    for (int i = 0; i < kMicro<T>; ++i) column.v[i] = w[i][j];
    store(weights + (tile_column() * kMicro<T> + j) * kStride<T> + tile_row() * kMicro<T>, column);
  }
}

// One head's scores; kPlain: neither mask nor dropout.
template <class T, bool kPlain>
struct Scores {
  const Attention<T>& a;
  int64_t batch, head;

  // The score of a product of query and key; -inf of what is hidden or is not there.
  __device__ T of(T product, int64_t query, int64_t key) const {
    if (query >= a.queries || key >= a.keys || (a.causal && key > query)) return -kInf<T>;
    T score = product * a.scale;
    if (!kPlain && (a.bias || a.keep)) {
      const int64_t at =
          batch * a.mask_batch + head * a.mask_head + query * a.mask_row + key * a.mask_col;
      if (a.bias) score += a.bias[at];
      if (a.keep && !a.keep[at]) score = -kInf<T>;
    }
    return score;
  }

  // What dropout makes of kMicro neighbouring keys' probabilities: 0 or drop_scale. A group of
  // random numbers serves 16 queries and 4 keys of a head.
  __device__ Pack<T, kMicro<T>> kept(int64_t query, int64_t key) const {
    Pack<T, kMicro<T>> factor;
    if (kPlain || !a.drop_below) {
#pragma unroll
      for (T& f : factor.v) f = T(1);
      return factor;
    }
    const int64_t across = ceil_div(a.keys, 4), down = ceil_div(a.queries, kGroupCounters);
    const int64_t group =
        ((batch * a.heads + head) * down + query / kGroupCounters) * across + key / 4;
    const Words words =
        philox({a.seed, a.offset, 0}, group * kGroupCounters + query % kGroupCounters);
#pragma unroll
    for (int j = 0; j < kMicro<T>; ++j) {
      const int w = static_cast<int>((key + j) % 4);
      const uint32_t word = w == 0   ? words.word[0]
                            : w == 1 ? words.word[1]
                            : w == 2 ? words.word[2]
                                     : words.word[3];
      factor.v[j] = word >= a.drop_below ? a.drop_scale : T(0);
    }
    return factor;
  }
};

// How many keys the queries before `end` see.
template <class T>
__device__ int64_t keys_seen(const Attention<T>& a, int64_t end) {
  return a.causal ? smaller(a.keys, end) : a.keys;
}

// join over the kSide threads that share rows.
template <class T, class Join>
__device__ T row_fold(T v, Join join) {
#pragma unroll
  for (int lanes = kSide / 2; lanes > 0; lanes /= 2) v = join(v, shuffle_xor(v, lanes));
  return v;
}

template <class T>
__device__ T finite_or_zero(T top) {
  return top == -kInf<T> ? T(0) : top;
}

// Without depth scores are 0, whatever the scale.
template <class A>
A prepared(A a) {
  if (a.depth == 0) a.scale = 1;
  return a;
}

// launch(columns to a block, up to 128; plain; blocks side by side). What is not plain has no room
// for a second block on a multiprocessor.
template <class T, class Launch>
void with_slices(const Attention<T>& a, int64_t columns, const Launch& launch) {
  const auto sliced = [&](auto plain) {
    if (columns <= 64)
      launch(std::integral_constant<int, 64>(), plain, int64_t(1));
    else
      launch(std::integral_constant<int, 128>(), plain, ceil_div(columns, 128));
  };
  if (a.bias || a.keep || a.drop_below)
    sliced(std::false_type());
  else
    sliced(std::true_type());
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
