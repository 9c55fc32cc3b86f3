// Embedding bags: the sum, mean or largest of some rows of a table, made in registers while the
// rows pass by. Bound by reading them. The gradient of the table is add_rows or scatter, see
// gather.cpp.

#include "kernels/embedding.h"

#include "cpu/simd.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kAhead = 16;  // rows that are asked for ahead

// Asks for kVectors vectors, from element `at` on, of the row that comes kAhead places after i.
template <class T, int kVectors>
DLCORE_INLINE void fetch_ahead(const T* weight, const Bags<T>& s, int64_t i, int64_t at) {
  const int64_t next = smaller(i + kAhead, s.offsets[s.bags] - 1);
  const T* const row = weight + s.index[next] * s.dim + at;
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; v += static_cast<int>(larger(1, 64 / kVectorBytes)))
    __builtin_prefetch(row + v * kLanes<T>);
  __builtin_prefetch(row + kVectors * kLanes<T> - 1);  // of rows that do not begin on a line
}

template <class T>
DLCORE_INLINE Vec<T> load_lanes(const T* p, int64_t lanes) {
  return lanes == kLanes<T> ? load<T>(p) : load_part<T>(p, lanes, T(0));
}
template <class T>
DLCORE_INLINE void store_lanes(T* p, int64_t lanes, Vec<T> v) {
  if (lanes == kLanes<T>)
    store<T>(p, v);
  else
    store_part<T>(p, lanes, v);
}

// kVectors neighbouring vectors of one bag's sum or mean, or the first `lanes` of one.
template <class T, int kVectors>
DLCORE_INLINE void sum_columns(const T* weight, T* y, Bags<T> s, int64_t bag, int64_t at,
                               int64_t lanes) {
  Vec<T> sum[kVectors] = {};
  int64_t count = 0;
  for (int64_t i = s.offsets[bag]; i < s.offsets[bag + 1]; ++i) {
    fetch_ahead<T, kVectors>(weight, s, i, at);
    if (s.index[i] == s.padding) continue;
    const T* const row = weight + s.index[i] * s.dim + at;
    const T factor = s.scale ? s.scale[i] : T(1);
    for (int v = 0; v < kVectors; ++v) sum[v] += factor * load_lanes(row + v * kLanes<T>, lanes);
    ++count;
  }
  const T divisor = s.mode == BagMode::mean ? static_cast<T>(larger(count, 1)) : T(1);
  for (int v = 0; v < kVectors; ++v)
    store_lanes<T>(y + at + v * kLanes<T>, lanes, sum[v] / divisor);
}

// The largest of each column and its row; NaN wins, the first of equals does.
template <class T>
DLCORE_INLINE void max_columns(const T* weight, T* y, int64_t* best, const Bags<T>& s, int64_t bag,
                               int64_t at, int64_t lanes) {
  const int64_t begin = s.offsets[bag], size = s.offsets[bag + 1] - begin;
  Vec<T> top{};
  Mask<T> place = ~Mask<T>{};  // in the bag: -1 for none
  for (int64_t i = 0; i < size; ++i) {
    fetch_ahead<T, 1>(weight, s, begin + i, at);
    if (s.index[begin + i] == s.padding) continue;
    const Vec<T> v = load_lanes(weight + s.index[begin + i] * s.dim + at, lanes);
    const Mask<T> higher = (place < 0) | (v > top) | ((v != v) & (top == top));
    top = higher ? v : top;
    place = higher ? Mask<T>{} + static_cast<decltype(place[0] + 0)>(i) : place;
  }
  store_lanes<T>(y + at, lanes, top);
  for (int64_t j = 0; j < lanes; ++j) best[at + j] = place[j] < 0 ? -1 : s.index[begin + place[j]];
}

template <class T>
DLCORE_INLINE int64_t bag_grain(const Bags<T>& s) {
  return grain_for(s.dim * (1 + s.offsets[s.bags] / larger(s.bags, 1)));
}

template <class T>
void embedding_bag_forward(const T* weight, T* y, int64_t* best, const Bags<T>& s) {
  parallel_for(s.bags, bag_grain(s), [=, &s](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      T* const to = y + b * s.dim;
      int64_t at = 0;
      if (s.mode != BagMode::max) {
        for (; at + 8 * kLanes<T> <= s.dim; at += 8 * kLanes<T>)
          sum_columns<T, 8>(weight, to, s, b, at, kLanes<T>);
        for (; at + 4 * kLanes<T> <= s.dim; at += 4 * kLanes<T>)
          sum_columns<T, 4>(weight, to, s, b, at, kLanes<T>);
      }
      for (; at < s.dim; at += kLanes<T>) {
        const int64_t lanes = smaller(kLanes<T>, s.dim - at);
        if (s.mode == BagMode::max)
          max_columns<T>(weight, to, best + b * s.dim, s, b, at, lanes);
        else
          sum_columns<T, 1>(weight, to, s, b, at, lanes);
      }
    }
  });
}

template <class T>
void embedding_bag_backward_scale(const T* weight, const T* dy, T* dscale, const Bags<T>& s) {
  parallel_for(s.bags, bag_grain(s), [=, &s](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b)
      for (int64_t i = s.offsets[b]; i < s.offsets[b + 1]; ++i) {
        Vec<T> sum[2] = {};
        const T *const row = weight + s.index[i] * s.dim, *const d = dy + b * s.dim;
        for (int64_t at = 0, v = 0; at < s.dim; at += kLanes<T>, v ^= 1) {
          fetch_ahead<T, 1>(weight, s, i, at);
          const int64_t lanes = smaller(kLanes<T>, s.dim - at);
          sum[v] += load_lanes(row + at, lanes) * load_lanes(d + at, lanes);
        }
        dscale[i] = s.index[i] == s.padding ? T(0) : hsum<T>(sum[0] + sum[1]);
      }
  });
}

}  // namespace

DLCORE_EXPORT(embedding_bag_forward)
DLCORE_EXPORT(embedding_bag_backward_scale)

}  // namespace DLCORE_ISA
}  // namespace dlcore
