// Mean, variance and rows of results: what every normalization is made of.
#pragma once

#include "cpu/simd.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// Elements whose sums are made at once: they stay in L1 for the second pass, and no lane adds up
// more than some hundred floats before the sum goes to a double.
template <class T>
constexpr int64_t kBlock = (int64_t(16) << 10) / static_cast<int64_t>(sizeof(T));

template <class T>
DLCORE_INLINE Vec<T> load_lanes(const T* p, int64_t lanes, T fill = T(0)) {
  return lanes == kLanes<T> ? load<T>(p) : load_part<T>(p, lanes, fill);
}
template <class T>
DLCORE_INLINE void store_lanes(T* p, int64_t lanes, Vec<T> v) {
  if (lanes == kLanes<T>)
    store<T>(p, v);
  else
    store_part<T>(p, lanes, v);
}

// kSums sums in four independent vectors each.
template <class T, int kSums>
struct Sums {
  Vec<T> part[4][kSums] = {};

  // step(i, lanes, sums) adds elements [i, i + lanes) of n.
  template <class Step>
  DLCORE_INLINE_MEMBER void add(int64_t n, const Step& step) {
    constexpr int64_t L = kLanes<T>;
    int64_t i = 0;
    for (; i + 4 * L <= n; i += 4 * L)
      for (int64_t j = 0; j < 4; ++j) step(i + j * L, L, part[j]);
    for (; i + L <= n; i += L) step(i, L, part[0]);
    if (i < n) step(i, n - i, part[1]);
  }
  DLCORE_INLINE_MEMBER double total(int k) const {
    return static_cast<double>(hsum<T>((part[0][k] + part[1][k]) + (part[2][k] + part[3][k])));
  }
};

// body(pointer, pieces, n) on the blocks of `pieces` rows of n elements, `stride` apart: several
// short rows, or a part of a long one.
template <class T, class Body>
DLCORE_INLINE void for_blocks(int64_t pieces, int64_t stride, int64_t n, const Body& body) {
  if (n <= kBlock<T>) {
    const int64_t step = larger(1, kBlock<T> / larger(n, 1));
    for (int64_t p = 0; p < pieces; p += step) body(p * stride, smaller(step, pieces - p), n);
    return;
  }
  for (int64_t p = 0; p < pieces; ++p)
    for (int64_t i = 0; i < n; i += kBlock<T>)
      body(p * stride + i, int64_t(1), smaller(kBlock<T>, n - i));
}

// Sum of squared distances from the mean, in m2.
struct Moments {
  double count = 0, mean = 0, m2 = 0;

  // Chan, Golub and LeVeque's merge.
  DLCORE_INLINE_MEMBER void merge(double n, double other_mean, double other_m2) {
    if (count == 0) {
      count = n, mean = other_mean, m2 = other_m2;
      return;
    }
    const double both = count + n, delta = other_mean - mean;
    mean += delta * (n / both);
    m2 += other_m2 + delta * delta * (count * n / both);
    count = both;
  }
  DLCORE_INLINE_MEMBER double variance() const { return (m2 < 0 ? 0 : m2) / count; }
};

// Asks for the lines of n elements, to be read or written soon.
template <class T, bool kWritten = false>
DLCORE_INLINE void fetch_row(const T* p, int64_t n) {
  constexpr int64_t kLine = 64 / static_cast<int64_t>(sizeof(T));
  for (int64_t i = 0; i < n; i += kLine) __builtin_prefetch(p + i, kWritten);
  __builtin_prefetch(p + n - 1, kWritten);
}

// Two passes over each block while it is in L1. The second also adds up what the rounding of the
// first one's mean left over, and corrects mean and m2 by it. The pieces of `sets` <= kMost sets,
// n elements each, lie side by side: passed over together, memory is read in longer runs.
// fetch(at, n) is told in time of every row of n elements that is read; fetch.line(at), when it has
// one, of every vector.
template <int kMost, class T, class Fetch>
DLCORE_INLINE void moments(const T* x, int64_t sets, int64_t pieces, int64_t stride, int64_t n,
                           const Fetch& fetch, Moments* all) {
  for_blocks<T>(pieces, stride, n, [&](int64_t at, int64_t rows, int64_t cols) {
    Sums<T, 1> first[kMost];
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t s = 0; s < sets; ++s) {
        const int64_t row = at + r * stride + s * n;
        fetch(row, cols);
        first[s].add(cols, [=](int64_t i, int64_t lanes, Vec<T>* sum) {
          if constexpr (requires { fetch.line(row + i); }) fetch.line(row + i);
          sum[0] += load_lanes(x + row + i, lanes);
        });
      }
    const double count = static_cast<double>(rows * cols);
    T mean[kMost];
    for (int64_t s = 0; s < sets; ++s) mean[s] = static_cast<T>(first[s].total(0) / count);
    Sums<T, 2> second[kMost];
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t s = 0; s < sets; ++s)
        second[s].add(cols, [=, from = x + at + r * stride + s * n, mean = mean[s]](
                                int64_t i, int64_t lanes, Vec<T>* sum) {
          const Vec<T> d = load_lanes(from + i, lanes, mean) - mean;
          sum[0] += d;
          sum[1] += d * d;
        });
    for (int64_t s = 0; s < sets; ++s) {
      const double rest = second[s].total(0);
      all[s].merge(count, static_cast<double>(mean[s]) + rest / count,
                   second[s].total(1) - rest * rest / count);
    }
  });
}

// Of one set.
template <class T, class Fetch>
DLCORE_INLINE Moments moments(const T* x, int64_t pieces, int64_t stride, int64_t n,
                              const Fetch& fetch) {
  Moments all;
  moments<1>(x, 1, pieces, stride, n, fetch, &all);
  return all;
}

template <class T>
DLCORE_INLINE T reciprocal_root(double variance, double eps) {
  return static_cast<T>(1 / __builtin_sqrt(variance + eps));
}

// y[i] = f(i, lanes) for n elements. Past the caches, whole lines only; the caller fences.
template <class T, class F>
DLCORE_INLINE void write_row(T* y, int64_t n, bool past_caches, const F& f) {
  constexpr int64_t L = kLanes<T>, kLine = 64 / static_cast<int64_t>(sizeof(T));
  int64_t i = 0;
  if (past_caches && n >= 16 * kLine) {
    const int64_t bytes_to_line = static_cast<int64_t>(-reinterpret_cast<uintptr_t>(y) & 63);
    const int64_t to_line = bytes_to_line / static_cast<int64_t>(sizeof(T));
    for (; i < to_line; i += L) {
      const int64_t part = smaller(L, to_line - i);
      store_lanes<T>(y + i, part, f(i, part));
    }
    i = to_line;
    for (; i + kLine <= n; i += kLine)
      for (int64_t j = 0; j < kLine; j += L) stream<T>(y + i + j, f(i + j, L));
  }
  for (; i + L <= n; i += L) store<T>(y + i, f(i, L));
  if (i < n) store_part<T>(y + i, n - i, f(i, n - i));
}

template <class T>
DLCORE_INLINE bool goes_past_caches(int64_t n) {
  return n * static_cast<int64_t>(sizeof(T)) >= kStreamBytes;
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
