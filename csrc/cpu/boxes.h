// Boxes as vectors: (n, 4) in memory, one vector for each of the four columns in registers.
#pragma once

#include "cpu/rows.h"
#include "cpu/simd.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// Corners of kLanes boxes, or any four columns.
template <class T>
struct Box {
  Vec<T> x1, y1, x2, y2;

  DLCORE_INLINE_MEMBER Vec<T> width() const { return x2 - x1; }
  DLCORE_INLINE_MEMBER Vec<T> height() const { return y2 - y1; }
  DLCORE_INLINE_MEMBER Vec<T> area() const { return width() * height(); }
};

template <class T>
DLCORE_INLINE Box<T> columns_of(Vec<T> a, Vec<T> b, Vec<T> c, Vec<T> d) {
  const Vec<T> xs = even_of(a, b, AllLanes<T>{}), more_xs = even_of(c, d, AllLanes<T>{});
  const Vec<T> ys = odd_of(a, b, AllLanes<T>{}), more_ys = odd_of(c, d, AllLanes<T>{});
  return {even_of(xs, more_xs, AllLanes<T>{}), even_of(ys, more_ys, AllLanes<T>{}),
          odd_of(xs, more_xs, AllLanes<T>{}), odd_of(ys, more_ys, AllLanes<T>{})};
}

// The first n boxes (1 <= n <= lanes) from p; the other lanes are empty boxes at 0.
template <class T>
DLCORE_INLINE Box<T> load_boxes(const T* p, int64_t n) {
  constexpr int64_t L = kLanes<T>;
  if (n == L)
    return columns_of<T>(load<T>(p), load<T>(p + L), load<T>(p + 2 * L), load<T>(p + 3 * L));
  Vec<T> part[4] = {};
  for (int64_t i = 0; i < 4 && i * L < 4 * n; ++i)
    part[i] = load_part<T>(p + i * L, smaller(L, 4 * n - i * L), T(0));
  return columns_of<T>(part[0], part[1], part[2], part[3]);
}

template <class T>
DLCORE_INLINE void store_boxes(T* p, int64_t n, const Box<T>& box) {
  constexpr int64_t L = kLanes<T>;
  const Vec<T> xs = zip_low_of(box.x1, box.x2, AllLanes<T>{});
  const Vec<T> more_xs = zip_high_of(box.x1, box.x2, AllLanes<T>{});
  const Vec<T> ys = zip_low_of(box.y1, box.y2, AllLanes<T>{});
  const Vec<T> more_ys = zip_high_of(box.y1, box.y2, AllLanes<T>{});
  const Vec<T> part[4] = {zip_low_of(xs, ys, AllLanes<T>{}), zip_high_of(xs, ys, AllLanes<T>{}),
                          zip_low_of(more_xs, more_ys, AllLanes<T>{}),
                          zip_high_of(more_xs, more_ys, AllLanes<T>{})};
  if (n == L)
    for (int64_t i = 0; i < 4; ++i) store<T>(p + i * L, part[i]);
  else
    for (int64_t i = 0; i < 4 && i * L < 4 * n; ++i)
      store_part<T>(p + i * L, smaller(L, 4 * n - i * L), part[i]);
}

// Whole vectors or the first n lanes of a column.
template <class T>
DLCORE_INLINE Vec<T> load_lanes(const T* p, int64_t n) {
  return n == kLanes<T> ? load<T>(p) : load_part<T>(p, n, T(0));
}
template <class T>
DLCORE_INLINE void store_lanes(T* p, int64_t n, Vec<T> v) {
  if (n == kLanes<T>)
    store<T>(p, v);
  else
    store_part<T>(p, n, v);
}

// body(i, count) for vectors of boxes i to i + count, on the pool. `cost` is one box's.
template <class T, class Body>
DLCORE_INLINE void each_vector_of_boxes(int64_t n, int64_t cost, const Body& body) {
  parallel_for(n, map_grain(n, cost), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += kLanes<T>) body(i, smaller(kLanes<T>, end - i));
  });
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
