// Attention forward, memory linear in length: tiles of keys pass by a tile of queries, each of
// which keeps the largest score so far, the sum of exponentials and the sum of values (the online
// softmax; Milakov and Gimelshein 2018, Dao et al. 2022). Of causal attention no tile of the future
// is touched. On the ordinary units, for any depth.

#include "cuda/attention.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// A block has kTile queries of a head and kSlice columns of its values.
template <class T, int kSlice, bool kPlain>
__global__ void __launch_bounds__(kThreads, kPlain ? 2 : 1)
    attention_kernel(const __grid_constant__ Attention<T> a, int64_t tiles, int64_t slices) {
  constexpr int M = kMicro<T>, C = kSlice / kSide;
  alignas(16) __shared__ T weights[kTile<T> * kStride<T>];
  alignas(16) __shared__ T room[kRoom<T, kSlice>];
  const int64_t slice = blockIdx.x % slices, item = blockIdx.x / slices;
  const int64_t heads = a.batch * a.heads, batch = item % heads / a.heads;
  // The last queries of causal attention see the most keys: first.
  const int64_t query = (tiles - 1 - item / heads) * kTile<T>, column = slice * kSlice;
  const int64_t head = item % a.heads, kv = head / (a.heads / a.kv_heads);
  const Scores<T, kPlain> scores{a, batch, head};
  const auto q = rows_from<T>(a.q, batch, head, query, a.queries);
  const int64_t row = query + tile_row() * M;  // this thread's first query

  T values[M][C] = {}, top[M], sum[M];
#pragma unroll
  for (int i = 0; i < M; ++i) top[i] = -kInf<T>, sum[i] = T(0);
  const int64_t seen = keys_seen(a, query + kTile<T>);
  for (int64_t key = 0; key < seen; key += kTile<T>) {
    const int64_t mine = key + tile_column() * M;  // this thread's first key
    T s[M][M];
    products(q, rows_from<T>(a.k, batch, kv, key, seen), a.depth, room, s);
#pragma unroll
    for (int i = 0; i < M; ++i) {
      T largest = top[i];
#pragma unroll
      for (int j = 0; j < M; ++j) {
        s[i][j] = scores.of(s[i][j], row + i, mine + j);
        largest = Larger()(s[i][j], largest);
      }
      largest = row_fold(largest, Larger());
      const T shift = finite_or_zero(largest), factor = math::exp(top[i] - shift);
      top[i] = largest;
      T own = T(0);
#pragma unroll
      for (int j = 0; j < M; ++j) {
        s[i][j] = math::exp(s[i][j] - shift);
        own += s[i][j];
      }
      sum[i] = sum[i] * factor + row_fold(own, Plus());
#pragma unroll
      for (int c = 0; c < C; ++c) values[i][c] *= factor;
      const auto kept = scores.kept(row + i, mine);
#pragma unroll
      for (int j = 0; j < M; ++j) s[i][j] *= kept.v[j];
    }
    put_weights(s, weights);
    Rows<T> v = rows_from<T>(a.v, batch, kv, key, seen);
    v.p += column;
    add_rows<T, kSlice>(weights, v, a.value_depth - column, room, values);
  }
#pragma unroll
  for (int i = 0; i < M; ++i) {
    if (row + i >= a.queries) continue;
    const T inverse = sum[i] == T(0) ? T(0) : T(1) / sum[i];
    T* const y = head_of(a.y, batch, head) + (row + i) * a.y.row;
#pragma unroll
    for (int c = 0; c < C; ++c) {
      const int64_t at = column + tile_column() + c * kSide;
      if (at < a.value_depth) y[at] = values[i][c] * inverse;
    }
    if (slice == 0 && tile_column() == 0)
      a.lse[(batch * a.heads + head) * a.queries + row + i] =
          sum[i] == T(0) ? kInf<T> : finite_or_zero(top[i]) + math::log(sum[i]);
  }
}

// -- decoding: a few queries against many keys, which are cut into pieces --

constexpr int64_t kFewQueries = 8;  // that share keys
constexpr int kPieceKeys = 256;     // of a block
constexpr int kKeysAtOnce = 4;      // of a warp
constexpr int kColumns = 64;        // of values, side by side

// What pieces leave: (batch, head of keys, piece, query) tops, sums and rows of values.
template <class T>
struct Pieces {
  T *top, *sum, *values;
  int64_t count, queries;  // pieces of all keys; queries that share keys
};

// Query i of those that share a head of keys: its head and its number there.
template <class T>
__device__ int64_t head_of_few(const Attention<T>& a, int64_t kv, int64_t i) {
  return kv * (a.heads / a.kv_heads) + i / a.queries;
}

template <class T, int kFew>
__global__ void __launch_bounds__(kThreads, 2)
    decode_kernel(const __grid_constant__ Attention<T> a, Pieces<T> to) {
  __shared__ T s[kFew][kPieceKeys];
  __shared__ T partial[kThreads / kColumns][kColumns];
  const int64_t piece = blockIdx.x % to.count, item = blockIdx.x / to.count;
  const int64_t batch = item / a.kv_heads, kv = item % a.kv_heads;
  const int64_t key = piece * kPieceKeys;
  const int keys = static_cast<int>(larger(0, smaller(kPieceKeys, a.keys - key)));
  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = threadIdx.x % kWarp;
  const T* q[kFew];  // a row for each query; of those past the last, the first again
#pragma unroll
  for (int i = 0; i < kFew; ++i) {
    const int64_t few = i < to.queries ? i : 0;
    q[i] = head_of(a.q, batch, head_of_few(a, kv, few)) + few % a.queries * a.q.row;
  }

  const T* const k = head_of(a.k, batch, kv) + key * a.k.row;
  for (int j = warp * kKeysAtOnce; j < keys; j += kThreads / kWarp * kKeysAtOnce) {
    T sum[kFew][kKeysAtOnce] = {};
    for (int64_t e = lane; e < a.depth; e += kWarp) {
      T x[kKeysAtOnce];
#pragma unroll
      for (int n = 0; n < kKeysAtOnce; ++n) x[n] = j + n < keys ? k[(j + n) * a.k.row + e] : T(0);
#pragma unroll
      for (int i = 0; i < kFew; ++i) {
        const T own = q[i][e];
#pragma unroll
        for (int n = 0; n < kKeysAtOnce; ++n) sum[i][n] = math::fma(own, x[n], sum[i][n]);
      }
    }
#pragma unroll
    for (int i = 0; i < kFew; ++i)
#pragma unroll
      for (int n = 0; n < kKeysAtOnce; ++n) {
        const T all = warp_fold(sum[i][n], Plus());
        if (lane == 0 && i < to.queries && j + n < keys)
          s[i][j + n] =
              Scores<T, false>{a, batch, head_of_few(a, kv, i)}.of(all, i % a.queries, key + j + n);
      }
  }
  __syncthreads();

  const int64_t first = (item * to.count + piece) * to.queries;
  if (warp < to.queries) {
    T top = -kInf<T>, sum = T(0);
    for (int j = lane; j < keys; j += kWarp) top = Larger()(s[warp][j], top);
    top = warp_fold(top, Larger());
    for (int j = lane; j < keys; j += kWarp) {
      const T e = math::exp(s[warp][j] - finite_or_zero(top));
      s[warp][j] = e;
      sum += e;
    }
    sum = warp_fold(sum, Plus());
    if (lane == 0) {
      to.top[first + warp] = top;
      to.sum[first + warp] = sum;
    }
  }
  __syncthreads();

  const T* const v = head_of(a.v, batch, kv) + key * a.v.row;
  const int slice = static_cast<int>(threadIdx.x) / kColumns, c = threadIdx.x % kColumns;
  for (int64_t column = 0; column < a.value_depth; column += kColumns) {
    T sum[kFew] = {};
    if (column + c < a.value_depth)
      for (int j = slice; j < keys; j += kThreads / kColumns) {
        const T x = v[j * a.v.row + column + c];
#pragma unroll
        for (int i = 0; i < kFew; ++i)
          if (i < to.queries) sum[i] = math::fma(s[i][j], x, sum[i]);
      }
#pragma unroll
    for (int i = 0; i < kFew; ++i) {
      if (i >= to.queries) break;
      __syncthreads();
      partial[slice][c] = sum[i];
      __syncthreads();
      if (slice != 0 || column + c >= a.value_depth) continue;
      T all = sum[i];
      for (int p = 1; p < kThreads / kColumns; ++p) all += partial[p][c];
      to.values[(first + i) * a.value_depth + column + c] = all;
    }
  }
}

// One element of a query's result; its first thread has the log-sum-exp too.
template <class T>
__global__ void __launch_bounds__(kBlock)
    join_kernel(const __grid_constant__ Attention<T> a, Pieces<T> from) {
  const int64_t columns = larger(1, a.value_depth), rows = a.batch * a.kv_heads * from.queries;
  for (int64_t at = grid_thread(); at < rows * columns; at += grid_threads()) {
    const int64_t c = at % columns, i = at / columns % from.queries;
    const int64_t item = at / columns / from.queries, batch = item / a.kv_heads;
    const int64_t head = head_of_few(a, item % a.kv_heads, i);
    const int64_t first = item * from.count * from.queries + i;
    const int64_t end = first + from.count * from.queries;
    T top = -kInf<T>, sum = T(0), value = T(0);
    for (int64_t p = first; p < end; p += from.queries) top = Larger()(from.top[p], top);
    const T shift = finite_or_zero(top);
    for (int64_t p = first; p < end; p += from.queries) {
      const T factor = math::exp(from.top[p] - shift);
      sum += factor * from.sum[p];
      if (c < a.value_depth) value += factor * from.values[p * a.value_depth + c];
    }
    if (c < a.value_depth)
      head_of(a.y, batch, head)[i % a.queries * a.y.row + c] =
          sum == T(0) ? T(0) : value * (T(1) / sum);
    if (c == 0)
      a.lse[(batch * a.heads + head) * a.queries + i % a.queries] =
          sum == T(0) ? kInf<T> : shift + math::log(sum);
  }
}

template <class T>
void decode(const Attention<T>& a) {
  const int64_t all = a.batch * a.kv_heads, queries = a.queries * (a.heads / a.kv_heads);
  const int64_t count = larger(1, ceil_div(a.keys, kPieceKeys)), rows = all * count * queries;
  const Scratch<T> top(rows), sum(rows), values(rows * a.value_depth);
  const Pieces<T> pieces{top, sum, values, count, queries};
  const Size size{static_cast<unsigned>(all * count), kThreads};
  if (queries == 1)
    launch(decode_kernel<T, 1>, size, a, pieces);
  else if (queries <= 4)
    launch(decode_kernel<T, 4>, size, a, pieces);
  else
    launch(decode_kernel<T, kFewQueries>, size, a, pieces);
  launch(join_kernel<T>, Size{blocks_for(all * queries * larger(1, a.value_depth), kBlock), kBlock},
         a, pieces);
}

// y = dropout(softmax(scale q k^T + mask)) v. A query whose scores are all -inf, or without keys,
// gives zeros; one with a score of NaN or +inf gives NaN.
template <class T>
void attention_forward(const Attention<T>& given) {
  const Attention<T> a = prepared(given);
  if (a.batch == 0 || a.heads == 0 || a.queries == 0) return;
  if (a.queries * (a.heads / a.kv_heads) <= kFewQueries && a.drop_below == 0) return decode(a);
  const int64_t tiles = ceil_div(a.queries, kTile<T>);
  with_slices(a, a.value_depth, [&](auto slice, auto plain, int64_t slices) {
    launch(attention_kernel<T, slice(), plain()>,
           Size{static_cast<unsigned>(tiles * a.batch * a.heads * slices), kThreads}, a, tiles,
           slices);
  });
}

}  // namespace

DLCORE_CUDA_EXPORT(attention_forward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
