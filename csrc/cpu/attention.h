// What attention's forward and backward share: blocks of scores, and what happens to them.
//
// Scores lie transposed: keys one below the other, queries along the lanes. Maxima, sums and
// exponentials of a query then stay in its lane, and a block of scores is a packed panel of B for
// the product that follows. A block is kKeyBlock keys by one panel of queries and stays in L1.
#pragma once

#include "cpu/gemm_pack.h"
#include "cpu/scratch.h"
#include "cpu/simd_math.h"
#include "kernels/attention.h"
#include "kernels/random.h"
#include "runtime/random.h"

namespace dlcore {
namespace DLCORE_ISA {

extern random_bits_signature<float>* const random_bits_f32;

namespace {

constexpr int64_t kKeyBlock = 120 / kTileRows * kTileRows;  // whole panels, whole groups of dropout
constexpr int64_t kDropQueries = kGroupCounters, kDropKeys = 4;  // of a group of random numbers

template <class T>
DLCORE_INLINE T* head_of(const Heads<T>& x, int64_t batch, int64_t head) {
  return x.data + batch * x.batch + head * x.head;
}

// Scores of keys [key, key + keys) with queries [query, query + queries) of one head, in `width`
// lanes: s[i * row + l].
template <class T>
struct Scores {
  const Attention<T>* a;
  int64_t batch, head, query, queries, width, key, keys;
  T* s;
  int64_t row;
};

// to[p * to_row + r] = from[r * from_row + p]. Meanwhile `ahead`, unless null, is fetched.
template <class T>
[[maybe_unused]] __attribute__((noinline)) void turn(const T* from, int64_t from_row, int64_t rows,
                                                     int64_t cols, T* to, int64_t to_row,
                                                     const T* ahead = nullptr) {
  transpose<T>(from, from_row, rows, cols, to, to_row, ahead);
}

// Rows of A, `depth` long, in panels of kTileRows.
template <class T>
DLCORE_INLINE void pack_rows(const T* rows, int64_t row, int64_t count, int64_t depth, T* panels) {
  for (int64_t i = 0; i < count; i += kTileRows, panels += a_panel_size<T>(depth))
    turn<T>(rows + i * row, row, smaller(kTileRows, count - i), depth, panels, kTileRows,
            i + kTileRows < count ? rows + (i + kTileRows) * row : nullptr);
}

// Rows [begin, end), `depth` long, into L2.
template <class T>
DLCORE_INLINE void fetch_rows(const T* rows, int64_t row, int64_t begin, int64_t end,
                              int64_t depth) {
  for (int64_t i = begin; i < end; ++i)
    for (int64_t e = 0; e < depth; e += kLineElements<T>)
      __builtin_prefetch(rows + i * row + e, 0, 2);
}

// Columns [0, depth) of `count` rows, kWide of them to a panel, the panels `size` apart; zeros past
// the last column.
template <class T, int64_t kWide>
[[maybe_unused]] __attribute__((noinline)) void pack_columns(const T* rows, int64_t row,
                                                             int64_t count, int64_t depth,
                                                             T* panels, int64_t size) {
  for (int64_t e = 0; e < depth; e += kWide, panels += size)
    for (int64_t p = 0; p < count; ++p)
      for (int64_t i = 0; i < kWide; i += kLanes<T>) {
        const int64_t wanted = smaller(kLanes<T>, kWide - i);
        const int64_t known = larger(0, smaller(wanted, depth - e - i));
        store_part<T>(panels + p * kWide + i, wanted,
                      load_part<T>(rows + p * row + e + i, known, T(0)));
      }
}

template <class T>
DLCORE_INLINE int64_t row_panels_size(int64_t count, int64_t depth) {
  return ceil_div(count, kTileRows) * a_panel_size<T>(depth);
}

// Rows as the columns of a panel of B, times scale; zeros for those past `count`. Fetches the rows
// that follow.
template <class T>
[[maybe_unused]] __attribute__((noinline)) void pack_scaled(const T* rows, int64_t row,
                                                            int64_t count, int64_t depth, T scale,
                                                            T* panel) {
  turn<T>(rows, row, count, depth, panel, kTileCols<T>, rows + count * row);
  for (int64_t p = 0; p < depth; ++p, panel += kTileCols<T>) {
    for (int64_t l = count; l < kTileCols<T>; ++l) panel[l] = T(0);
    for (int64_t l = 0; l < kTileCols<T>; l += kLanes<T>)
      store<T>(panel + l, load<T>(panel + l) * scale);
  }
}

// to = beta to + A B: `count` rows of A in panels of kTileRows, `size` apart, `depth` long; `width`
// columns of B, whose rows are b_row apart.
template <class T>
[[maybe_unused]] __attribute__((noinline)) void multiply(const T* panels, int64_t size,
                                                         int64_t count, int64_t depth, const T* b,
                                                         int64_t b_row, int64_t width, T* to,
                                                         int64_t to_row, T beta) {
  for (int64_t i = 0; i < count; i += kTileRows, panels += size, to += kTileRows * to_row)
    run_tile(b_row == kTileCols<T> ? Operands::panels : Operands::columns,
             smaller(kTileRows, count - i), width, depth, panels, kTileRows, b, b_row,
             {to, to_row, T(1), beta, nullptr, 0, 0});
}

template <class T>
[[maybe_unused]] __attribute__((noinline)) void hide_future(const Scores<T>& at) {
  alignas(64) T lanes[kLanes<T>];
  for (int64_t i = 0; i < kLanes<T>; ++i) lanes[i] = static_cast<T>(i);
  const Vec<T> lane = load<T>(lanes);
  for (int64_t i = larger(0, at.query + 1 - at.key); i < at.keys; ++i)
    for (int64_t l = 0; l < at.width; l += kLanes<T>) {
      T* s = at.s + i * at.row + l;
      const T first = static_cast<T>(at.key + i - at.query - l);  // of the lanes that see the key
      store<T>(s, lane >= first ? load<T>(s) : splat<T>(-kInf<T>));
    }
}

// The mask's values for the block, transposed, through `room` of two blocks.
template <class T>
DLCORE_INLINE const T* turned_mask(const Scores<T>& at, int64_t from, T* room) {
  const Attention<T>& a = *at.a;
  T* const turned = room + kKeyBlock * kTileCols<T>;
  if (a.bias && a.mask_col == 1) {
    turn<T>(a.bias + from, a.mask_row, at.queries, at.keys, turned, kTileCols<T>);
    return turned;
  }
  for (int64_t l = 0; l < at.queries; ++l, from += a.mask_row)
    for (int64_t i = 0; i < at.keys; ++i)
      room[l * kKeyBlock + i] = a.bias                          ? a.bias[from + i * a.mask_col]
                                : a.keep[from + i * a.mask_col] ? T(0)
                                                                : -kInf<T>;
  turn<T>(room, kKeyBlock, at.queries, at.keys, turned, kTileCols<T>);
  return turned;
}

template <class T>
[[maybe_unused]] __attribute__((noinline)) void add_mask(const Scores<T>& at, T* room) {
  const Attention<T>& a = *at.a;
  const int64_t from =
      at.batch * a.mask_batch + at.head * a.mask_head + at.query * a.mask_row + at.key * a.mask_col;
  const T* turned = a.mask_row == 0 ? nullptr : turned_mask(at, from, room);
  for (int64_t i = 0; i < at.keys; ++i) {
    T value{};
    if (!turned)
      value = a.bias                          ? a.bias[from + i * a.mask_col]
              : a.keep[from + i * a.mask_col] ? T(0)
                                              : -kInf<T>;
    for (int64_t l = 0; l < at.width; l += kLanes<T>) {
      T* s = at.s + i * at.row + l;
      const Vec<T> v = turned ? load<T>(turned + i * kTileCols<T> + l) : splat<T>(value);
      store<T>(s, load<T>(s) + v);
    }
  }
}

// The mask and what causality hides, -inf.
template <class T>
DLCORE_INLINE void mask_scores(const Scores<T>& at, T* room) {
  if (at.a->bias || at.a->keep) add_mask(at, room);
  if (at.a->causal && at.key + at.keys > at.query + 1) hide_future(at);
}

// As many words as lanes, each in a lane.
DLCORE_INLINE Bits<float> words_of(const uint32_t* words, float) {
  Bits<float> bits;
  __builtin_memcpy(&bits, words, sizeof bits);
  return bits;
}
DLCORE_INLINE Bits<double> words_of(const uint32_t* words, double) {
  typedef uint32_t Half __attribute__((vector_size(kVectorBytes / 2)));
  Half half;
  __builtin_memcpy(&half, words, sizeof half);
  return __builtin_convertvector(half, Bits<double>);
}

// Zeros where dropout drops, the rest times its scale. A group of random numbers serves 16 queries
// and 4 keys of a head, whatever the instruction set; those of further keys follow.
template <class T>
[[maybe_unused]] __attribute__((noinline)) void drop_scores(const Scores<T>& at) {
  const Attention<T>& a = *at.a;
  const int64_t across = ceil_div(a.keys, kDropKeys);
  const int64_t down = ceil_div(a.queries, kDropQueries);
  const int64_t first = (at.batch * a.heads + at.head) * down;
  uint32_t words[kKeyBlock * kDropQueries];
  for (int64_t q = at.query / kDropQueries * kDropQueries; q < at.query + at.width;
       q += kDropQueries) {
    const int64_t group = (first + q / kDropQueries) * across + at.key / kDropKeys;
    random_bits_f32(words, round_up(at.keys, kDropKeys) * kDropQueries, a.seed,
                    a.offset + static_cast<uint64_t>(group * kGroupCounters), 0);
    for (int64_t j = 0; j < kDropQueries; j += kLanes<T>) {
      const int64_t lane = q + j - at.query;
      for (int64_t i = 0; lane >= 0 && lane < at.width && i < at.keys; ++i) {
        T* s = at.s + i * at.row + lane;
        const Mask<T> keep = words_of(words + i * kDropQueries + j, T()) >= a.drop_below;
        store<T>(s, keep ? load<T>(s) * a.drop_scale : Vec<T>{});
      }
    }
  }
}

// Keys that some query before `query` + `queries` sees, of `keys` from `key` on.
template <class T>
DLCORE_INLINE int64_t keys_seen(const Attention<T>& a, int64_t end_of_queries, int64_t key,
                                int64_t keys) {
  return a.causal ? larger(0, smaller(keys, end_of_queries - key)) : keys;
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
