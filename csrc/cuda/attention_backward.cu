// Attention backward: probabilities come again from the scores and the log-sum-exp that forward
// kept, so that memory stays linear in length.
//
//   P = exp(scale q k^T + mask - lse)      dV = P^T dY       dP = dY V^T
//   dS = P (dP - rows' sum of dY Y)        dQ = scale dS K   dK = scale dS^T Q
//
// A block owns a tile of the keys, with its rows of dK and dV, and passes all queries; for dQ
// another owns a tile of queries and passes all keys, which makes the scores once more but adds to
// nobody else's sum.

#include "cuda/attention.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// delta = the sum of dY Y of each query, a warp to a row.
template <class T>
__global__ void __launch_bounds__(kBlock)
    delta_kernel(const __grid_constant__ AttentionGradient<T> a, T* delta) {
  const int64_t lane = threadIdx.x % kWarp;
  for (int64_t r = grid_thread() / kWarp; r < a.batch * a.heads * a.queries;
       r += grid_threads() / kWarp) {
    const int64_t head = r / a.queries % a.heads, batch = r / a.queries / a.heads;
    const T* const dy = head_of(a.dy, batch, head) + r % a.queries * a.dy.row;
    const T* const y = head_of(a.y, batch, head) + r % a.queries * a.y.row;
    T sum = T(0);
    for (int64_t e = lane; e < a.value_depth; e += kWarp) sum += dy[e] * y[e];
    sum = warp_fold(sum, Plus());
    if (lane == 0) delta[r] = sum;
  }
}

// The probability of one score.
template <class T, bool kPlain>
__device__ T probability(const Scores<T, kPlain>& s, T product, int64_t query, int64_t key, T lse) {
  return math::exp(s.of(product, query, key) - lse);
}

// A block has kTile keys of a head of keys, and kSlice columns of dK and dV. Two to a
// multiprocessor where the registers do.
template <class T, int kSlice, bool kPlain>
__global__ void __launch_bounds__(kThreads, 1)
    key_gradients_kernel(const __grid_constant__ AttentionGradient<T> a, const T* delta,
                         int64_t slices) {
  constexpr int M = kMicro<T>, C = kSlice / kSide;
  alignas(16) __shared__ T weights[kTile<T> * kStride<T>];
  alignas(16) __shared__ T room[kRoom<T, kSlice>];
  const int64_t column = blockIdx.x % slices * kSlice, item = blockIdx.x / slices;
  const int64_t kv = item % a.kv_heads, batch = item / a.kv_heads % a.batch;
  const int64_t key = item / a.kv_heads / a.batch * kTile<T>, group = a.heads / a.kv_heads;
  const int64_t mine = key + tile_row() * M;  // this thread's first key
  const auto k = rows_from<T>(a.k, batch, kv, key, a.keys);
  const auto v = rows_from<T>(a.v, batch, kv, key, a.keys);

  T dk[M][C] = {}, dv[M][C] = {};
  for (int64_t head = kv * group; head < (kv + 1) * group; ++head) {
    const Scores<T, kPlain> scores{a, batch, head};
    const int64_t rows = (batch * a.heads + head) * a.queries;
    for (int64_t query = a.causal ? key : 0; query < a.queries; query += kTile<T>) {
      Rows<T> q = rows_from<T>(a.q, batch, head, query, a.queries);
      Rows<T> dy = rows_from<T>(a.dy, batch, head, query, a.queries);
      T p[M][M], ds[M][M];
      products(k, q, a.depth, room, p);
      products(v, dy, a.value_depth, room, ds);
#pragma unroll
      for (int j = 0; j < M; ++j) {
        const int64_t at = query + tile_column() * M + j;
        const bool inside = at < a.queries;
        const T lse = inside ? a.lse[rows + at] : kInf<T>, mean = inside ? delta[rows + at] : T(0);
        const auto kept = scores.kept(at, mine);
#pragma unroll
        for (int i = 0; i < M; ++i) {
          const T e = probability(scores, p[i][j], at, mine + i, lse);
          ds[i][j] = e * (ds[i][j] * kept.v[i] - mean);
          p[i][j] = e * kept.v[i];
        }
      }
      put_weights(p, weights);
      dy.p += column;
      add_rows<T, kSlice>(weights, dy, a.value_depth - column, room, dv);
      put_weights(ds, weights);
      q.p += column;
      add_rows<T, kSlice>(weights, q, a.depth - column, room, dk);
    }
  }
#pragma unroll
  for (int i = 0; i < M; ++i) {
    if (mine + i >= a.keys) continue;
    T* const to_k = head_of(a.dk, batch, kv) + (mine + i) * a.dk.row;
    T* const to_v = head_of(a.dv, batch, kv) + (mine + i) * a.dv.row;
#pragma unroll
    for (int c = 0; c < C; ++c) {
      const int64_t at = column + tile_column() + c * kSide;
      if (at < a.depth) to_k[at] = dk[i][c] * a.scale;
      if (at < a.value_depth) to_v[at] = dv[i][c];
    }
  }
}

// Of a multiprocessor: two where the registers do.
template <int kSlice, bool kPlain>
constexpr int kBlocks = kPlain && kSlice == 64 ? 2 : 1;

// A block has kTile queries of a head, and kSlice columns of dQ; the first of a head's has dbias.
template <class T, int kSlice, bool kPlain>
__global__ void __launch_bounds__(kThreads, kBlocks<kSlice, kPlain>)
    query_gradients_kernel(const __grid_constant__ AttentionGradient<T> a, const T* delta,
                           int64_t slices) {
  constexpr int M = kMicro<T>, C = kSlice / kSide;
  alignas(16) __shared__ T weights[kTile<T> * kStride<T>];
  alignas(16) __shared__ T room[kRoom<T, kSlice>];
  const int64_t column = blockIdx.x % slices * kSlice, item = blockIdx.x / slices;
  const int64_t head = item % a.heads, batch = item / a.heads % a.batch;
  const int64_t query = item / a.heads / a.batch * kTile<T>, kv = head / (a.heads / a.kv_heads);
  const int64_t row = query + tile_row() * M;  // this thread's first query
  const Scores<T, kPlain> scores{a, batch, head};
  const auto q = rows_from<T>(a.q, batch, head, query, a.queries);
  const auto dy = rows_from<T>(a.dy, batch, head, query, a.queries);

  T dq[M][C] = {}, lse[M], mean[M];
  const int64_t first = (batch * a.heads + head) * a.queries + row;
#pragma unroll
  for (int i = 0; i < M; ++i) {
    const bool inside = row + i < a.queries;
    lse[i] = inside ? a.lse[first + i] : kInf<T>;
    mean[i] = inside ? delta[first + i] : T(0);
  }
  const int64_t seen = keys_seen(a, query + kTile<T>);
  for (int64_t key = 0; key < seen; key += kTile<T>) {
    const int64_t mine = key + tile_column() * M;  // this thread's first key
    Rows<T> k = rows_from<T>(a.k, batch, kv, key, seen);
    T p[M][M], ds[M][M];
    products(q, k, a.depth, room, p);
    products(dy, rows_from<T>(a.v, batch, kv, key, seen), a.value_depth, room, ds);
#pragma unroll
    for (int i = 0; i < M; ++i) {
      const auto kept = scores.kept(row + i, mine);
#pragma unroll
      for (int j = 0; j < M; ++j) {
        const T e = probability(scores, p[i][j], row + i, mine + j, lse[i]);
        ds[i][j] = e * (ds[i][j] * kept.v[j] - mean[i]);
        if (!kPlain && a.dbias && column == 0 && row + i < a.queries && mine + j < seen)
          a.dbias[(first + i) * a.keys + mine + j] = ds[i][j];
      }
    }
    put_weights(ds, weights);
    k.p += column;
    add_rows<T, kSlice>(weights, k, a.depth - column, room, dq);
  }
#pragma unroll
  for (int i = 0; i < M; ++i) {
    if (row + i >= a.queries) continue;
    T* const to = head_of(a.dq, batch, head) + (row + i) * a.dq.row;
#pragma unroll
    for (int c = 0; c < C; ++c) {
      const int64_t at = column + tile_column() + c * kSide;
      if (at < a.depth) to[at] = dq[i][c] * a.scale;
    }
  }
}

template <class T>
void attention_backward(const AttentionGradient<T>& given) {
  const AttentionGradient<T> a = prepared(given);
  if (a.batch == 0 || a.heads == 0) return;
  const int64_t rows = a.batch * a.heads * a.queries;
  const Scratch<T> delta(rows);
  launch(delta_kernel<T>, Size{blocks_for(rows, kBlock / kWarp), kBlock}, a, delta);
  with_slices(a, larger(a.depth, a.value_depth), [&](auto slice, auto plain, int64_t slices) {
    const int64_t blocks = ceil_div(a.keys, kTile<T>) * a.batch * a.kv_heads * slices;
    launch(key_gradients_kernel<T, slice(), plain()>, Size{static_cast<unsigned>(blocks), kThreads},
           a, delta, slices);
  });
  with_slices(a, a.depth, [&](auto slice, auto plain, int64_t slices) {
    const int64_t blocks = ceil_div(a.queries, kTile<T>) * a.batch * a.heads * slices;
    launch(query_gradients_kernel<T, slice(), plain()>,
           Size{static_cast<unsigned>(blocks), kThreads}, a, delta, slices);
  });
}

}  // namespace

DLCORE_CUDA_EXPORT(attention_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
