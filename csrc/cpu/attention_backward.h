// Attention backward: probabilities come again from the scores and the log-sum-exp that forward
// kept, so that memory stays linear in length; five products of forward's two.
//
//   P = exp(scale q k^T + mask - lse)      dV = P^T dY       dP = dY V^T
//   dS = P (dP - rows' sum of dY Y)        dQ = scale dS K   dK = scale dS^T Q
//
// A part of the keys owns its rows of dK and dV and passes all queries; what it adds to dQ goes to
// a sum of its own, and those are added in order. The parts come from the shape alone.

#pragma once

#include "cpu/attention.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kPartKeys = 3 * kKeyBlock;  // whose panels and sums stay in L2
template <class T>
constexpr int64_t kQueryBlock = 128 / kTileCols<T> * kTileCols<T>;
// Of P and dS: lines that other rows' do not crowd out of L1.
template <class T>
constexpr int64_t kScoreRow = kQueryBlock<T> + kLineElements<T>;

template <class T>
DLCORE_INLINE int64_t panels_of(int64_t n) {
  return ceil_div(n, kTileCols<T>);
}

// What all parts share. dq_t: (part, batch, head, panel of queries, depth, kTileCols).
template <class T>
struct Sums {
  int64_t parts, heads, panels, depth;
  T *dq_t, *delta;
  int64_t size() const { return panels * depth * kTileCols<T>; }
  T* of(int64_t part, int64_t head) const { return dq_t + (part * heads + head) * size(); }
};

template <class T>
DLCORE_INLINE T row_dot(const T* a, const T* b, int64_t n) {
  Vec<T> sum{};
  for (int64_t i = 0; i < n; i += kLanes<T>) {
    const int64_t lanes = smaller(kLanes<T>, n - i);
    sum += load_part<T>(a + i, lanes, T(0)) * load_part<T>(b + i, lanes, T(0));
  }
  return hsum<T>(sum);
}

// Packed keys and values of a part, and its gradients, rows of whole panels of B.
template <class T>
struct Part {
  T *keys[3], *values[3], *turned[3];  // of each block: rows, rows, columns of the keys
  T *dk, *dv;
  int64_t dk_row, dv_row;
};

// Packed queries of a block: columns of B (scaled) and rows of it, and the same of dY.
template <class T>
struct Queries {
  T *q_t, *dy_t, *q, *dy, *lse, *delta, *p, *ds, *mask;
};

template <class T>
DLCORE_INLINE int64_t scratch_elements(const Attention<T>& a) {
  constexpr int64_t C = kTileCols<T>, Q = kQueryBlock<T>;
  const int64_t dk_row = round_up(a.depth, C), dv_row = round_up(a.value_depth, C);
  const int64_t block = row_panels_size<T>(kKeyBlock, a.depth) +
                        row_panels_size<T>(kKeyBlock, a.value_depth) +
                        row_panels_size<T>(a.depth, kKeyBlock);
  return 3 * block + kPartKeys * (dk_row + dv_row) + Q * (a.depth + a.value_depth) +
         Q * (dk_row + dv_row) + 2 * Q + 2 * kKeyBlock * kScoreRow<T> + 2 * kKeyBlock * C +
         32 * kLineElements<T>;
}

template <class T>
DLCORE_INLINE Part<T> take_part(const Attention<T>& a, Scratch& from) {
  Part<T> part;
  part.dk_row = round_up(a.depth, kTileCols<T>);
  part.dv_row = round_up(a.value_depth, kTileCols<T>);
  for (int i = 0; i < 3; ++i) {
    part.keys[i] = from.take<T>(row_panels_size<T>(kKeyBlock, a.depth));
    part.values[i] = from.take<T>(row_panels_size<T>(kKeyBlock, a.value_depth));
    part.turned[i] = from.take<T>(row_panels_size<T>(a.depth, kKeyBlock));
  }
  part.dk = from.take<T>(kPartKeys * part.dk_row);
  part.dv = from.take<T>(kPartKeys * part.dv_row);
  return part;
}

template <class T>
DLCORE_INLINE Queries<T> take_queries(const Attention<T>& a, const Part<T>& part, Scratch& from) {
  constexpr int64_t Q = kQueryBlock<T>;
  Queries<T> block;
  block.q_t = from.take<T>(Q * a.depth);
  block.dy_t = from.take<T>(Q * a.value_depth);
  block.q = from.take<T>(Q * part.dk_row);
  block.dy = from.take<T>(Q * part.dv_row);
  block.lse = from.take<T>(Q);
  block.delta = from.take<T>(Q);
  block.p = from.take<T>(kKeyBlock * kScoreRow<T>);
  block.ds = from.take<T>(kKeyBlock * kScoreRow<T>);
  block.mask = from.take<T>(2 * kKeyBlock * kTileCols<T>);
  return block;
}

template <class T>
[[maybe_unused]] __attribute__((noinline)) void pack_queries(const AttentionGradient<T>& a,
                                                             int64_t batch, int64_t head,
                                                             int64_t query, int64_t count,
                                                             const T* delta, const Queries<T>& to) {
  constexpr int64_t C = kTileCols<T>;
  const T* q = head_of(a.q, batch, head) + query * a.q.row;
  const T* dy = head_of(a.dy, batch, head) + query * a.dy.row;
  for (int64_t l = 0; l < count; l += C) {
    pack_scaled<T>(q + l * a.q.row, a.q.row, smaller(C, count - l), a.depth, a.scale,
                   to.q_t + l * a.depth);
    pack_scaled<T>(dy + l * a.dy.row, a.dy.row, smaller(C, count - l), a.value_depth, T(1),
                   to.dy_t + l * a.value_depth);
  }
  pack_columns<T, C>(q, a.q.row, count, a.depth, to.q, kQueryBlock<T> * C);
  pack_columns<T, C>(dy, a.dy.row, count, a.value_depth, to.dy, kQueryBlock<T> * C);
  const int64_t at = (batch * a.heads + head) * a.queries + query;
  for (int64_t l = 0; l < kQueryBlock<T>; ++l) {  // inf: lanes past the end have no probability
    to.lse[l] = l < count ? a.lse[at + l] : kInf<T>;
    to.delta[l] = l < count ? delta[at + l] : T(0);
  }
}

// P, as dropout leaves it, and dS of a panel of queries.
template <class T>
DLCORE_INLINE void score_gradients(const AttentionGradient<T>& a, const Scores<T>& p,
                                   const Scores<T>& ds, const T* lse, const T* delta) {
  if (a.drop_below) drop_scores<T>(ds);
  for (int64_t l = 0; l < p.width; l += kLanes<T>) {
    const Vec<T> shift = load<T>(lse + l), mean = load<T>(delta + l);
#pragma GCC unroll 2
    for (int64_t i = 0; i < p.keys; ++i) {
      T *score = p.s + i * p.row + l, *slope = ds.s + i * p.row + l;
      const Vec<T> e = exp_up_to_40<T>(load<T>(score) - shift);
      store<T>(score, e);
      store<T>(slope, e * (load<T>(slope) - mean));
    }
  }
  if (a.drop_below) drop_scores<T>(p);
  if (a.dbias)
    turn<T>(ds.s, ds.row, p.keys, p.queries,
            a.dbias + ((p.batch * a.heads + p.head) * a.queries + p.query) * a.keys + p.key,
            a.keys);
}

// to[i] += the queries' sum of scores[i] times their rows, for `keys` keys from `key` on. Of causal
// attention a panel of keys begins with the first query that sees it.
template <class T>
[[maybe_unused]] __attribute__((noinline)) void add_keys(const Scores<T>& at, const T* rows,
                                                         int64_t depth, T* to, int64_t to_row) {
  for (int64_t e = 0; e < depth; e += kTileCols<T>, rows += kQueryBlock<T> * kTileCols<T>)
    for (int64_t i = 0; i < at.keys; i += kTileRows) {
      const int64_t first = at.a->causal ? larger(0, at.key + i - at.query) : 0;
      if (first >= at.queries) break;
      const int64_t width = smaller(round_up(depth - e, kLanes<T>), kTileCols<T>);
      run_tile(Operands::rows, smaller(kTileRows, at.keys - i), width, at.queries - first,
               at.s + i * at.row + first, at.row, rows + first * kTileCols<T>, kTileCols<T>,
               {to + i * to_row + e, to_row, T(1), T(1), nullptr, 0, 0});
    }
}

// One block of keys with one block of queries.
template <class T>
DLCORE_INLINE void pass_block(const AttentionGradient<T>& a, const Scores<T>& all, const T* keys,
                              const T* values, const T* turned, const Queries<T>& block, T* dk,
                              T* dv, const Part<T>& part, T* dq_t) {
  constexpr int64_t C = kTileCols<T>;
  for (int64_t l = 0; l < all.queries; l += C) {
    Scores<T> p = all;
    p.query = all.query + l;
    p.queries = smaller(C, all.queries - l);
    p.width = round_up(p.queries, kLanes<T>);
    // Whole panels of keys: add_keys reads them from the first query that sees their first.
    const int64_t seen = keys_seen<T>(a, p.query + p.queries, all.key, all.keys);
    p.keys = smaller(all.keys, round_up(seen, kTileRows));
    if (p.keys == 0) continue;
    p.s = block.p + l;
    Scores<T> ds = p;
    ds.s = block.ds + l;
    multiply<T>(keys, a_panel_size<T>(a.depth), p.keys, a.depth, block.q_t + l * a.depth, C,
                p.width, p.s, p.row, T(0));
    multiply<T>(values, a_panel_size<T>(a.value_depth), p.keys, a.value_depth,
                block.dy_t + l * a.value_depth, C, p.width, ds.s, p.row, T(0));
    mask_scores<T>(p, block.mask);
    score_gradients<T>(a, p, ds, block.lse + l, block.delta + l);
    multiply<T>(turned, a_panel_size<T>(all.keys), a.depth, p.keys, ds.s, p.row, p.width,
                dq_t + l * a.depth, C, T(1));
  }
  Scores<T> at = all;
  at.s = block.p;
  add_keys<T>(at, block.dy, a.value_depth, dv, part.dv_row);
  at.s = block.ds;
  add_keys<T>(at, block.q, a.depth, dk, part.dk_row);
}

// Keys [begin, end), at most kPartKeys, of a head of keys with all queries.
template <class T>
__attribute__((noinline)) void pass_keys(const AttentionGradient<T>& a, int64_t batch, int64_t kv,
                                         int64_t begin, int64_t end, const Sums<T>& sums,
                                         int64_t number) {
  const int64_t group = a.heads / a.kv_heads;
  Scratch scratch(scratch_elements(a) * static_cast<int64_t>(sizeof(T)));
  const Part<T> part = take_part(a, scratch);
  const Queries<T> block = take_queries(a, part, scratch);
  const auto each_block = [&](const auto& body) {
    for (int64_t key = begin, i = 0; key < end; key += kKeyBlock, ++i)
      body(i, key, smaller(kKeyBlock, end - key));
  };
  each_block([&](int64_t i, int64_t key, int64_t keys) {
    const T* k = head_of(a.k, batch, kv) + key * a.k.row;
    pack_rows<T>(k, a.k.row, keys, a.depth, part.keys[i]);
    pack_columns<T, kTileRows>(k, a.k.row, keys, a.depth, part.turned[i], a_panel_size<T>(keys));
    pack_rows<T>(head_of(a.v, batch, kv) + key * a.v.row, a.v.row, keys, a.value_depth,
                 part.values[i]);
  });
  for (int64_t i = 0; i < (end - begin) * part.dk_row; ++i) part.dk[i] = T(0);
  for (int64_t i = 0; i < (end - begin) * part.dv_row; ++i) part.dv[i] = T(0);

  for (int64_t head = kv * group; head < (kv + 1) * group; ++head) {
    T* dq_t = sums.of(number, batch * a.heads + head);
    const int64_t first = a.causal ? begin / kQueryBlock<T> * kQueryBlock<T> : 0;
    for (int64_t query = first; query < a.queries; query += kQueryBlock<T>) {
      const int64_t queries = smaller(kQueryBlock<T>, a.queries - query);
      pack_queries<T>(a, batch, head, query, queries, sums.delta, block);
      each_block([&](int64_t i, int64_t key, int64_t keys) {
        if (keys_seen<T>(a, query + queries, key, keys) == 0) return;
        const Scores<T> all = {&a, batch, head, query,   queries,
                               0,  key,   keys, nullptr, kScoreRow<T>};
        pass_block<T>(a, all, part.keys[i], part.values[i], part.turned[i], block,
                      part.dk + (key - begin) * part.dk_row, part.dv + (key - begin) * part.dv_row,
                      part, dq_t + query * a.depth);
      });
    }
  }
  for (int64_t i = 0; i < end - begin; ++i) {
    T* dk = head_of(a.dk, batch, kv) + (begin + i) * a.dk.row;
    T* dv = head_of(a.dv, batch, kv) + (begin + i) * a.dv.row;
    for (int64_t e = 0; e < a.depth; e += kLanes<T>)
      store_part<T>(dk + e, smaller(kLanes<T>, a.depth - e),
                    load<T>(part.dk + i * part.dk_row + e) * a.scale);
    __builtin_memcpy(dv, part.dv + i * part.dv_row, static_cast<size_t>(a.value_depth) * sizeof(T));
  }
}

// dq of a panel of queries: the parts' sums, in order.
template <class T>
__attribute__((noinline)) void finish_queries(const AttentionGradient<T>& a, const Sums<T>& sums,
                                              int64_t head, int64_t panel) {
  constexpr int64_t C = kTileCols<T>;
  const int64_t size = a.depth * C, query = panel * C;
  T* all = sums.of(0, head) + panel * size;
  for (int64_t i = 0; i < size; i += kLanes<T>) {
    Vec<T> sum = load<T>(all + i);
    for (int64_t part = 1; part < sums.parts; ++part)
      sum += load<T>(sums.of(part, head) + panel * size + i);
    store<T>(all + i, sum * a.scale);
  }
  turn<T>(all, C, a.depth, smaller(C, a.queries - query),
          head_of(a.dq, head / a.heads, head % a.heads) + query * a.dq.row, a.dq.row);
}

template <class T>
void attention_backward(const AttentionGradient<T>& a) {
  constexpr int64_t C = kTileCols<T>;
  constexpr int64_t kWanted = 8;  // tasks for the threads
  const int64_t heads = a.batch * a.heads, kv_heads = a.batch * a.kv_heads;
  const int64_t slices = ceil_div(a.keys, kPartKeys);
  const Groups parts = balanced(slices, ceil_div(slices, larger(1, kWanted / larger(1, kv_heads))));
  Sums<T> sums = {
      larger(1, parts.count), heads, panels_of<T>(a.queries), a.depth, nullptr, nullptr};
  const int64_t dq_size = sums.parts * heads * sums.size();
  Scratch scratch(
      (dq_size + heads * a.queries + 2 * kLineElements<T>)*static_cast<int64_t>(sizeof(T)));
  sums.dq_t = scratch.take<T>(dq_size);
  sums.delta = scratch.take<T>(heads * a.queries);

  parallel_for(heads * a.queries, grain_for(a.value_depth), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t head = i / a.queries, query = i % a.queries;
      const int64_t b = head / a.heads, h = head % a.heads;
      sums.delta[i] = row_dot<T>(head_of(a.dy, b, h) + query * a.dy.row,
                                 head_of(a.y, b, h) + query * a.y.row, a.value_depth);
    }
  });
  const int64_t work = a.queries * a.keys / sums.parts * (a.depth + a.value_depth);
  parallel_for(kv_heads * sums.parts, grain_for(work / kLanes<T>), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t number = i / kv_heads, b = i % kv_heads / a.kv_heads, kv = i % a.kv_heads;
      const int64_t group = a.heads / a.kv_heads;
      for (int64_t j = 0; j < group * sums.size(); ++j)
        sums.of(number, b * a.heads + kv * group)[j] = T(0);
      for (int64_t s = parts.begin(number); s < parts.begin(number + 1); ++s)
        pass_keys<T>(a, b, kv, s * kPartKeys, smaller((s + 1) * kPartKeys, a.keys), sums, number);
    }
  });
  parallel_for(heads * sums.panels, grain_for(sums.parts * a.depth * C),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i)
                   finish_queries<T>(a, sums, i / sums.panels, i % sums.panels);
               });
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
