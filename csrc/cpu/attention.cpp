// Attention forward, memory linear in length: blocks of keys pass by a group of queries, each of
// which keeps the largest score so far, the sum of exponentials and the sum of values (the online
// softmax; Milakov and Gimelshein 2018, Dao et al. 2022).
//
// A group is up to kGroupPanels panels of queries of one head: it, its sums and a packed block of
// keys and values stay in L2, and packing is some 2 % of the products. Of causal attention no block
// of the future is touched. Softmax is a tenth of the time at a depth of 64.

#include "cpu/attention.h"

#include "cpu/attention_backward.h"
#include "cpu/attention_decode.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kGroupPanels = 16;

// Four chains of join over m rows of a column of vectors.
template <class T, class Value, class Join>
DLCORE_INLINE Vec<T> fold_rows(int64_t m, Vec<T> start, const Value& value, const Join& join) {
  Vec<T> acc[4] = {start, start, start, start};
  int64_t i = 0;
  for (; i + 4 <= m; i += 4)
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) acc[j] = join(acc[j], value(i + j));
  for (; i < m; ++i) acc[0] = join(acc[0], value(i));
  return join(join(acc[0], acc[1]), join(acc[2], acc[3]));
}

template <class T>
DLCORE_INLINE Vec<T> finite_or_zero(Vec<T> top) {
  return top == -kInf<T> ? Vec<T>{} : top;
}

// What a panel of queries has gathered: `values` is (value_depth, kTileCols).
template <class T>
struct Gathered {
  T *values, *top, *sum;
};

// Scores to exp(score - top). A new top scales what was gathered before.
template <class T>
DLCORE_INLINE void exp_scores(const Scores<T>& at, const Gathered<T>& to) {
  for (int64_t l = 0; l < at.width; l += kLanes<T>) {
    T* const s = at.s + l;
    const Vec<T> before = load<T>(to.top + l);
    const Vec<T> top = fold_rows<T>(
        at.keys, before,
        [&](int64_t i) __attribute__((always_inline)) { return load<T>(s + i * at.row); },
        [](Vec<T> acc, Vec<T> v) __attribute__((always_inline)) { return max<T>(v, acc); });
    const Vec<T> shift = finite_or_zero<T>(top);
    Vec<T> sum = load<T>(to.sum + l);
    if (max_all<T>(top > before ? splat<T>(T(1)) : Vec<T>{})[0] != T(0)) {
      const Vec<T> factor = exp_up_to_40<T>(before - shift);
      sum *= factor;
      store<T>(to.top + l, top);
      for (int64_t e = 0; e < at.a->value_depth; ++e) {
        T* value = to.values + e * kTileCols<T> + l;
        store<T>(value, load<T>(value) * factor);
      }
    }
    sum += fold_rows<T>(
        at.keys, Vec<T>{},
        [&](int64_t i) __attribute__((always_inline)) {
          const Vec<T> e = exp_up_to_40<T>(load<T>(s + i * at.row) - shift);
          store<T>(s + i * at.row, e);
          return e;
        },
        [](Vec<T> acc, Vec<T> v) __attribute__((always_inline)) { return acc + v; });
    store<T>(to.sum + l, sum);
  }
}

// y and lse of the panel's queries.
template <class T>
__attribute__((noinline)) void finish_panel(const Scores<T>& at, const Gathered<T>& from) {
  const Attention<T>& a = *at.a;
  T* const y = head_of(a.y, at.batch, at.head) + at.query * a.y.row;
  for (int64_t i = 0; i < at.queries; ++i)
    for (int64_t e = 0; e < a.value_depth; e += kLineElements<T>)
      __builtin_prefetch(y + i * a.y.row + e, 1);
  T* lse = a.lse + (at.batch * a.heads + at.head) * a.queries + at.query;
  for (int64_t l = 0; l < at.width; l += kLanes<T>) {
    const Vec<T> sum = load<T>(from.sum + l);
    const Vec<T> inverse = sum == T(0) ? Vec<T>{} : T(1) / sum;
    for (int64_t e = 0; e < a.value_depth; ++e) {
      T* value = from.values + e * kTileCols<T> + l;
      store<T>(value, load<T>(value) * inverse);
    }
    const Vec<T> shift = finite_or_zero<T>(load<T>(from.top + l));
    const Vec<T> all = sum == T(0) ? splat<T>(kInf<T>) : shift + log<T>(sum);
    store_part<T>(lse + l, smaller(kLanes<T>, at.queries - l), all);
  }
  turn<T>(from.values, kTileCols<T>, a.value_depth, at.queries, y, a.y.row);
}

// The scratch of a group of queries.
template <class T>
struct Room {
  T *queries, *values, *top, *sum;  // of each panel
  T *key_panels, *value_panels, *scores, *mask;

  static int64_t elements(const Attention<T>& a, int64_t panels) {
    const int64_t mask = a.bias || a.keep ? 2 : 0;
    return panels * kTileCols<T> * (a.depth + a.value_depth + 2) +
           row_panels_size<T>(kKeyBlock, a.depth) + row_panels_size<T>(a.value_depth, kKeyBlock) +
           (1 + mask) * kKeyBlock * kTileCols<T> + 8 * kLineElements<T>;
  }
  Room(const Attention<T>& a, int64_t panels, Scratch& from) {
    constexpr int64_t C = kTileCols<T>;
    queries = from.take<T>(panels * C * a.depth);
    values = from.take<T>(panels * C * a.value_depth);
    top = from.take<T>(panels * C);
    sum = from.take<T>(panels * C);
    key_panels = from.take<T>(row_panels_size<T>(kKeyBlock, a.depth));
    value_panels = from.take<T>(row_panels_size<T>(a.value_depth, kKeyBlock));
    scores = from.take<T>(kKeyBlock * C);
    mask = scores + kKeyBlock * C;
  }
  Gathered<T> gathered(const Attention<T>& a, int64_t panel) const {
    constexpr int64_t C = kTileCols<T>;
    return {values + panel * C * a.value_depth, top + panel * C, sum + panel * C};
  }
};

// Queries [begin, end) of a head.
template <class T>
DLCORE_INLINE void attend(const Attention<T>& a, int64_t batch, int64_t head, int64_t begin,
                          int64_t end) {
  constexpr int64_t C = kTileCols<T>;
  const int64_t panels = ceil_div(end - begin, C), kv = head / (a.heads / a.kv_heads);
  Scratch scratch(Room<T>::elements(a, panels) * static_cast<int64_t>(sizeof(T)));
  const Room<T> room(a, panels, scratch);
  const auto panel_at = [&](int64_t p, int64_t key, int64_t keys) {
    const int64_t query = begin + p * C, queries = smaller(C, end - query);
    return Scores<T>{&a,  batch, head,        query, queries, round_up(queries, kLanes<T>),
                     key, keys,  room.scores, C};
  };
  for (int64_t p = 0; p < panels; ++p) {
    const Scores<T> at = panel_at(p, 0, 0);
    pack_scaled<T>(head_of(a.q, batch, head) + at.query * a.q.row, a.q.row, at.queries, a.depth,
                   a.scale, room.queries + p * C * a.depth);
  }
  for (int64_t i = 0; i < panels * C; ++i) room.top[i] = -kInf<T>, room.sum[i] = T(0);
  for (int64_t i = 0; i < panels * C * a.value_depth; ++i) room.values[i] = T(0);

  const int64_t seen = keys_seen(a, end, 0, a.keys);
  for (int64_t key = 0; key < seen; key += kKeyBlock) {
    const int64_t block = smaller(kKeyBlock, seen - key);
    pack_rows<T>(head_of(a.k, batch, kv) + key * a.k.row, a.k.row, block, a.depth, room.key_panels);
    pack_columns<T, kTileRows>(head_of(a.v, batch, kv) + key * a.v.row, a.v.row, block,
                               a.value_depth, room.value_panels, a_panel_size<T>(block));
    const int64_t next = key + block, ahead = smaller(kKeyBlock, seen - next);
    for (int64_t p = 0; p < panels; ++p) {
      const int64_t from = next + p * ahead / panels, to_row = next + (p + 1) * ahead / panels;
      fetch_rows<T>(head_of(a.k, batch, kv), a.k.row, from, to_row, a.depth);
      fetch_rows<T>(head_of(a.v, batch, kv), a.v.row, from, to_row, a.value_depth);
      const int64_t keys = keys_seen(a, smaller(begin + (p + 1) * C, end), key, block);
      if (keys == 0) continue;
      const Scores<T> at = panel_at(p, key, keys);
      const Gathered<T> to = room.gathered(a, p);
      multiply<T>(room.key_panels, a_panel_size<T>(a.depth), keys, a.depth,
                  room.queries + p * C * a.depth, C, at.width, at.s, C, T(0));
      mask_scores<T>(at, room.mask);
      exp_scores<T>(at, to);
      if (a.drop_below) drop_scores<T>(at);
      // The panels are `block` keys deep, of which the first `keys` count.
      multiply<T>(room.value_panels, a_panel_size<T>(block), a.value_depth, keys, at.s, C, at.width,
                  to.values, C, T(1));
    }
  }
  for (int64_t p = 0; p < panels; ++p) finish_panel<T>(panel_at(p, 0, 0), room.gathered(a, p));
}

// y = dropout(softmax(scale q k^T + mask)) v. A query whose scores are all -inf, or without keys,
// gives zeros; one with a score of NaN or +inf gives NaN.
template <class T>
void attention_forward(const Attention<T>& a) {
  if constexpr (kDecodes<T>)
    if (decodes(a)) return decode<T>(a);
  constexpr int64_t C = kTileCols<T>;
  constexpr int64_t kWanted = 16;  // tasks for the threads
  const int64_t all_heads = a.batch * a.heads, panels = ceil_div(a.queries, C);
  const Groups groups =
      balanced(panels, larger(1, smaller(kGroupPanels, panels * all_heads / kWanted)));
  const int64_t cost = groups.size * C * a.keys * (a.depth + a.value_depth);
  // The last queries of causal attention see the most keys: first.
  parallel_for(groups.count * all_heads, grain_for(cost / kLanes<T>),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i) {
                   const int64_t g = groups.count - 1 - i / all_heads, head = i % all_heads;
                   attend<T>(a, head / a.heads, head % a.heads, groups.begin(g) * C,
                             smaller(groups.begin(g + 1) * C, a.queries));
                 }
               });
}

}  // namespace

DLCORE_EXPORT(attention_forward)
DLCORE_EXPORT(attention_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
