// What softmax and cross-entropy share: the largest element of a row and the sum of exp(x -
// largest), in blocks that stay in L1, so that a row of any length is read from memory once.
#pragma once

#include "cpu/simd_math.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
constexpr int64_t kRowBlock = (int64_t(16) << 10) / static_cast<int64_t>(sizeof(T));

constexpr int64_t kExpCost = 8;  // of an element of softmax, see grain_for

// Whether an output of n elements is stored past the caches.
template <class T>
DLCORE_INLINE bool goes_past_caches(int64_t n) {
  return n * static_cast<int64_t>(sizeof(T)) >= kStreamBytes;
}

// sum of value(i, lanes) over a row, in four chains; `rest` fills the lanes past the end.
template <class T, class Value, class Join>
DLCORE_INLINE Vec<T> fold_row(int64_t n, Vec<T> start, const Value& value, const Join& join) {
  Vec<T> acc[4] = {start, start, start, start};
  int64_t i = 0;
  for (; i + 4 * kLanes<T> <= n; i += 4 * kLanes<T>)
    for (int j = 0; j < 4; ++j) acc[j] = join(acc[j], value(i + j * kLanes<T>, kLanes<T>));
  for (; i + kLanes<T> <= n; i += kLanes<T>) acc[0] = join(acc[0], value(i, kLanes<T>));
  if (i < n) acc[1] = join(acc[1], value(i, n - i));
  return join(join(acc[0], acc[1]), join(acc[2], acc[3]));
}

template <class T>
DLCORE_INLINE Vec<T> load_lanes(const T* p, int64_t lanes, T fill) {
  return lanes == kLanes<T> ? load<T>(p) : load_part<T>(p, lanes, fill);
}
template <class T>
DLCORE_INLINE void store_lanes(T* p, int64_t lanes, Vec<T> v) {
  if (lanes == kLanes<T>)
    store<T>(p, v);
  else
    store_part<T>(p, lanes, v);
}

// The largest element that is not NaN, in every lane; -inf when there is none.
template <class T>
DLCORE_INLINE Vec<T> row_max(const T* x, int64_t n) {
  const auto value = [=](int64_t i, int64_t lanes) {
    return load_lanes<T>(x + i, lanes, -kInf<T>);
  };
  const auto join = [](Vec<T> acc, Vec<T> v) { return max<T>(v, acc); };
  return max_all<T>(fold_row<T>(n, splat<T>(-kInf<T>), value, join));
}

// exp(x - top) loses nothing but must not meet -inf - -inf.
template <class T>
DLCORE_INLINE Vec<T> finite_shift(Vec<T> top) {
  return top == -kInf<T> ? Vec<T>{} : top;
}

// How far ahead of exp the next row, or the next block of a long one, is asked for: without, the
// memory would wait while a row in cache is worked on.
template <class T>
DLCORE_INLINE int64_t row_ahead(int64_t n) {
  constexpr int64_t kLeast = 2048 / static_cast<int64_t>(sizeof(T));
  return larger(kLeast, smaller(n, kRowBlock<T>));
}

// sum of e = exp(x - shift) in every lane; each(i, lanes, e) sees every vector.
template <class T, class Visit>
DLCORE_INLINE Vec<T> exp_sum(const T* x, int64_t n, Vec<T> shift, int64_t ahead,
                             const Visit& each) {
  const auto value = [=](int64_t i, int64_t lanes) {
    __builtin_prefetch(x + i + ahead);
    const Vec<T> e = exp_up_to_40<T>(load_lanes<T>(x + i, lanes, -kInf<T>) - shift);
    each(i, lanes, e);
    return e;
  };
  return sum_all<T>(fold_row<T>(n, Vec<T>{}, value, [](Vec<T> acc, Vec<T> v) { return acc + v; }));
}

// The largest element so far, and the sum of exp(x - finite_shift(top)), in every lane.
template <class T>
struct Running {
  Vec<T> top, sum;

  // A further block's largest element: the new shift.
  DLCORE_INLINE_MEMBER Vec<T> raise(Vec<T> block_top) {
    if (block_top[0] > top[0]) {
      sum *= exp_up_to_40<T>(top - block_top);
      top = block_top;
    }
    return finite_shift<T>(top);
  }
  // log(sum exp(x)) - finite_shift(top); 0 for a row of -inf only, whose log-softmax is then -inf.
  DLCORE_INLINE_MEMBER Vec<T> log_sum() const { return sum == T(0) ? Vec<T>{} : log<T>(sum); }
};

// shifts, unless null, gets the shift of each block; each(i, lanes, e) sees every exp(x - shift).
template <class T, class Visit>
DLCORE_INLINE Running<T> running_row(const T* x, int64_t n, T* shifts, const Visit& each) {
  const int64_t first = smaller(kRowBlock<T>, n);
  Running<T> row;
  row.top = row_max<T>(x, first);
  const Vec<T> shift = finite_shift<T>(row.top);
  if (shifts) shifts[0] = shift[0];
  const int64_t ahead = row_ahead<T>(n);
  row.sum = exp_sum<T>(x, first, shift, ahead, each);
  for (int64_t i = first, b = 1; i < n; i += kRowBlock<T>, ++b) {
    const int64_t block = smaller(kRowBlock<T>, n - i);
    const Vec<T> shift = row.raise(row_max<T>(x + i, block));
    if (shifts) shifts[b] = shift[0];
    row.sum += exp_sum<T>(x + i, block, shift, ahead,
                          [=](int64_t j, int64_t lanes, Vec<T> e) { each(i + j, lanes, e); });
  }
  return row;
}
template <class T>
DLCORE_INLINE Running<T> running_row(const T* x, int64_t n) {
  return running_row<T>(x, n, nullptr, [](int64_t, int64_t, Vec<T>) {});
}

// body(x's offset, lanes) for each vector of columns: neighbours along inner, n elements deep.
template <class T, class Body>
DLCORE_INLINE void for_columns(int64_t outer, int64_t n, int64_t inner, const Body& body) {
  const int64_t vectors = ceil_div(inner, kLanes<T>);
  parallel_for(outer * vectors, grain_for(n * kLanes<T> * kExpCost),
               [=](int64_t begin, int64_t end) {
                 for (int64_t v = begin; v < end; ++v) {
                   const int64_t at = v % vectors * kLanes<T>;
                   body(v / vectors * n * inner + at, smaller(kLanes<T>, inner - at));
                 }
               });
}

// shift is the largest element of each lane (0 for -inf), sum that of exp(x - shift).
template <class T>
struct Column {
  Vec<T> shift, sum;
};

template <class T, class Visit>
DLCORE_INLINE Column<T> running_column(const T* x, int64_t n, int64_t inner, int64_t lanes,
                                       const Visit& each) {
  Vec<T> top = splat<T>(-kInf<T>), sum{};
  for (int64_t i = 0; i < n; ++i) top = max<T>(load_lanes<T>(x + i * inner, lanes, T(0)), top);
  top = finite_shift<T>(top);
  for (int64_t i = 0; i < n; ++i) {
    const Vec<T> e = exp_up_to_40<T>(load_lanes<T>(x + i * inner, lanes, T(0)) - top);
    each(i, e);
    sum += e;
  }
  return {top, sum};
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
