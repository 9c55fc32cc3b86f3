// Attention of a few queries against many keys: what decoding with a cache of keys and values does.
// Bound by reading both once. Keys are cut into pieces by the shape alone; each gives the largest
// score, the sum of exponentials and of values of each query, put together in the pieces' order.
#pragma once

#include "cpu/attention.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kFewQueries = 8;   // that share keys: more are better off as a product
constexpr int64_t kPieceKeys = 512;  // whose scores stay in L1
constexpr int64_t kBlockKeys = 32;   // whose values are in L1 while the queries pass

// In float: double, which is for checks, does without 7 KB of code.
template <class T>
constexpr bool kDecodes = kIsFloat<T>;

template <class T>
DLCORE_INLINE bool decodes(const Attention<T>& a) {
  return a.queries * (a.heads / a.kv_heads) <= kFewQueries && a.drop_below == 0 && a.depth > 0;
}

// Lanes [0, W) of every 2 W from a, then from b.
template <int W, bool kHigh, class V, int... I>
DLCORE_INLINE V halves_of(V a, V b, Lanes<I...>) {
  constexpr int n = sizeof...(I), from = kHigh ? W : 0;
  return __builtin_shufflevector(a, b, (I % (2 * W) < W ? I + from : n + I - W + from)...);
}

// The sums of the lanes of as many vectors as there are lanes.
template <class T, int W = static_cast<int>(kLanes<T> / 2)>
DLCORE_INLINE Vec<T> sums_of(Vec<T>* v) {
#pragma GCC unroll 8
  for (int i = 0; i < W; ++i)
    v[i] = halves_of<W, false>(v[i], v[i + W], AllLanes<T>{}) +
           halves_of<W, true>(v[i], v[i + W], AllLanes<T>{});
  if constexpr (W > 1)
    return sums_of<T, W / 2>(v);
  else
    return v[0];
}

// How far ahead of a core's reads keys and values are asked for, in elements: a line with every
// load, in the order of memory. A block's lines at once would fill up what a core may wait for and
// cost more than they bring. Not in the baseline set, for the sake of its size.
constexpr bool kFetchesAhead = kVectorBytes > 16;
template <class T>
constexpr int64_t kAhead = (int64_t(8) << 10) / static_cast<int64_t>(sizeof(T));

// s[i] = q . k_i for as many keys as there are lanes; depth is whole vectors. kFetches: the keys
// lie one after the other, and this is the first of the queries that share them: eight took a third
// longer when each asked.
template <class T, bool kFetches>
DLCORE_INLINE void dot_keys(const T* q, const T* k, int64_t row, int64_t depth, T* s) {
  Vec<T> sum[kLanes<T>] = {};
  for (int64_t e = 0; e < depth; e += kLanes<T>) {
    const Vec<T> left = load<T>(q + e);
#pragma GCC unroll 16
    for (int i = 0; i < kLanes<T>; ++i) {
      if constexpr (kFetches) __builtin_prefetch(k + kAhead<T> + (e + i) * kLanes<T>);
      sum[i] += left * load<T>(k + i * row + e);
    }
  }
  store<T>(s, sums_of<T>(sum));
}

template <class T>
DLCORE_INLINE T dot_key(const T* q, const T* k, int64_t depth) {
  Vec<T> sum{};
  for (int64_t e = 0; e < depth; e += kLanes<T>)
    sum += load<T>(q + e) * load_part<T>(k + e, smaller(kLanes<T>, depth - e), T(0));
  return hsum<T>(sum);
}

// to += sum of p[i] v_i over kVectors vectors of a row; the last has `lanes` lanes. kFetches as for
// keys.
template <class T, bool kFetches, int kVectors>
DLCORE_INLINE void add_values(const T* p, const T* v, int64_t row, int64_t keys, int64_t lanes,
                              T* to) {
  constexpr int kChains = 2;
  Vec<T> sum[kChains][kVectors] = {};
  const auto add = [&](int64_t i, Vec<T>(&acc)[kVectors]) __attribute__((always_inline)) {
    const Vec<T> weight = splat<T>(p[i]);
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      const T* const from = v + i * row + j * kLanes<T>;
      if constexpr (kFetches) __builtin_prefetch(from + kAhead<T>);
      acc[j] += weight * (j + 1 < kVectors || lanes == kLanes<T> ? load<T>(from)
                                                                 : load_part<T>(from, lanes, T(0)));
    }
  };
  int64_t i = 0;
  for (; i + kChains <= keys; i += kChains)
#pragma GCC unroll 8
    for (int c = 0; c < kChains; ++c) add(i + c, sum[c]);
  for (; i < keys; ++i) add(i, sum[0]);
  for (int j = 0; j < kVectors; ++j) {
    Vec<T> all = load<T>(to + j * kLanes<T>);
    for (int c = 0; c < kChains; ++c) all += sum[c][j];
    store<T>(to + j * kLanes<T>, all);
  }
}

template <class T, bool kFetches>
DLCORE_INLINE void add_values(const Attention<T>& a, const T* p, const T* v, int64_t keys, T* to) {
  int64_t e = 0;
  for (; e + 4 * kLanes<T> <= a.value_depth; e += 4 * kLanes<T>)
    add_values<T, kFetches, 4>(p, v + e, a.v.row, keys, kLanes<T>, to + e);
  for (; e < a.value_depth; e += kLanes<T>)
    add_values<T, kFetches, 1>(p, v + e, a.v.row, keys, smaller(kLanes<T>, a.value_depth - e),
                               to + e);
}

// The queries that share a head of keys and values, and where their pieces' results lie.
template <class T>
struct Few {
  const Attention<T>* a;
  int64_t batch, kv, count, q_row, y_row;  // rows of scratch, whole vectors
  int64_t head(int64_t i) const { return kv * (a->heads / a->kv_heads) + i / a->queries; }
  int64_t query(int64_t i) const { return i % a->queries; }
};

template <class T>
DLCORE_INLINE void mask_row(const Few<T>& f, int64_t i, int64_t key, int64_t keys, T* s) {
  const Attention<T>& a = *f.a;
  const int64_t from =
      f.batch * a.mask_batch + f.head(i) * a.mask_head + f.query(i) * a.mask_row + key * a.mask_col;
  for (int64_t j = 0; a.bias && j < keys; ++j) s[j] += a.bias[from + j * a.mask_col];
  for (int64_t j = 0; a.keep && j < keys; ++j)
    s[j] += a.keep[from + j * a.mask_col] ? T(0) : -kInf<T>;
  if (a.causal)
    for (int64_t j = larger(0, f.query(i) + 1 - key); j < keys; ++j) s[j] = -kInf<T>;
}

// Of keys [key, key + keys): a query's result is its top, its sum and its values, y_row in all.
template <class T>
DLCORE_INLINE void decode_piece(const Few<T>& f, int64_t key, int64_t keys, T* results) {
  const Attention<T>& a = *f.a;
  Scratch scratch((f.count * (f.q_row + kPieceKeys) + 32) * static_cast<int64_t>(sizeof(T)));
  T* q = scratch.take<T>(f.count * f.q_row);
  T* s = scratch.take<T>(f.count * kPieceKeys);
  for (int64_t i = 0; i < f.count; ++i) {
    const T* from = head_of(a.q, f.batch, f.head(i)) + f.query(i) * a.q.row;
    for (int64_t e = 0; e < f.q_row; ++e)
      q[i * f.q_row + e] = e < a.depth ? from[e] * a.scale : T(0);
  }
  const T* k = head_of(a.k, f.batch, f.kv) + key * a.k.row;
  const T* v = head_of(a.v, f.batch, f.kv) + key * a.v.row;
  int64_t j = 0;
  for (; a.depth == f.q_row && j + kLanes<T> <= keys; j += kLanes<T>) {
    for (int64_t i = 0; i < f.count; ++i) {
      const T *const one = q + i * f.q_row, *const block = k + j * a.k.row;
      if (kFetchesAhead && i == 0 && a.k.row == a.depth)
        dot_keys<T, true>(one, block, a.k.row, a.depth, s + j);
      else
        dot_keys<T, false>(one, block, a.k.row, a.depth, s + i * kPieceKeys + j);
    }
  }
  for (; j < keys; ++j)
    for (int64_t i = 0; i < f.count; ++i)
      s[i * kPieceKeys + j] = dot_key<T>(q + i * f.q_row, k + j * a.k.row, a.depth);
  for (int64_t i = 0; i < f.count; ++i) {
    T *row = s + i * kPieceKeys, *to = results + i * f.y_row;
    mask_row<T>(f, i, key, keys, row);
    Vec<T> top = splat<T>(-kInf<T>), sum{};
    const auto each = [&](const auto& use) {
      for (int64_t at = 0; at < keys; at += kLanes<T>) {
        const int64_t lanes = smaller(kLanes<T>, keys - at);
        use(row + at, lanes, load_part<T>(row + at, lanes, -kInf<T>));
      }
    };
    each([&](T*, int64_t, Vec<T> v) { top = max<T>(v, top); });
    top = max_all<T>(top);
    const Vec<T> shift = top == -kInf<T> ? Vec<T>{} : top;
    each([&](T* p, int64_t lanes, Vec<T> v) {
      const Vec<T> e = exp_up_to_40<T>(v - shift);
      store_part<T>(p, lanes, e);
      sum += e;
    });
    for (int64_t e = 0; e < f.y_row; ++e) to[e] = T(0);
    to[0] = top[0];
    to[1] = hsum<T>(sum);
  }
  for (int64_t at = 0; at < keys; at += kBlockKeys) {
    const T* const values = v + at * a.v.row;
    const int64_t n = smaller(kBlockKeys, keys - at);
    for (int64_t i = 0; i < f.count; ++i) {
      const T* const weights = s + i * kPieceKeys + at;
      T* const to = results + i * f.y_row + kLanes<T>;
      if (kFetchesAhead && i == 0 && a.v.row == a.value_depth)
        add_values<T, true>(a, weights, values, n, to);
      else
        add_values<T, false>(a, weights, values, n, to);
    }
  }
}

// The pieces' results of one query, `piece` apart.
template <class T>
DLCORE_INLINE void join_pieces(const Few<T>& f, int64_t i, int64_t pieces, int64_t piece,
                               T* results) {
  const Attention<T>& a = *f.a;
  T top = -kInf<T>, sum = T(0);
  for (int64_t p = 0; p < pieces; ++p)
    if (results[p * piece] > top) top = results[p * piece];
  const T shift = top == -kInf<T> ? T(0) : top;
  for (int64_t p = 0; p < pieces; ++p) {
    T* result = results + p * piece;
    result[0] = exp<T>(splat<T>(result[0] - shift))[0];
    sum += result[0] * result[1];
  }
  const T inverse = sum == T(0) ? T(0) : T(1) / sum;
  T* y = head_of(a.y, f.batch, f.head(i)) + f.query(i) * a.y.row;
  for (int64_t e = 0; e < a.value_depth; e += kLanes<T>) {
    Vec<T> all{};
    for (int64_t p = 0; p < pieces; ++p)
      all += load<T>(results + p * piece + kLanes<T> + e) * results[p * piece];
    store_part<T>(y + e, smaller(kLanes<T>, a.value_depth - e), all * inverse);
  }
  a.lse[(f.batch * a.heads + f.head(i)) * a.queries + f.query(i)] =
      sum == T(0) ? kInf<T> : shift + log<T>(splat<T>(sum))[0];
}

template <class T>
__attribute__((noinline)) void decode(const Attention<T>& a) {
  const int64_t count = a.queries * (a.heads / a.kv_heads), all = a.batch * a.kv_heads;
  const int64_t pieces = larger(1, ceil_div(a.keys, kPieceKeys));
  const Groups keys = {pieces, a.keys / pieces, a.keys % pieces};
  const int64_t y_row = kLanes<T> + round_up(a.value_depth, kLanes<T>);
  const auto few = [&](int64_t i) {
    return Few<T>{&a, i / a.kv_heads, i % a.kv_heads, count, round_up(a.depth, kLanes<T>), y_row};
  };
  const int64_t piece = count * y_row;
  Scratch scratch(all * pieces * piece * static_cast<int64_t>(sizeof(T)));
  T* results = scratch.take<T>(all * pieces * piece);
  parallel_for(all * pieces, grain_for(count * (keys.size + 1) * (a.depth + a.value_depth) / 4),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i)
                   decode_piece<T>(few(i / pieces), keys.begin(i % pieces),
                                   keys.begin(i % pieces + 1) - keys.begin(i % pieces),
                                   results + i * piece);
               });
  parallel_for(all, grain_for(pieces * piece), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      for (int64_t n = 0; n < count; ++n)
        join_pieces<T>(few(i), n, pieces, piece, results + i * pieces * piece + n * y_row);
  });
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
