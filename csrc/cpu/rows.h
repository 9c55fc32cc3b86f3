// Every s-th element of a row, and back: what makes a window with a stride read whole vectors.
//
// A split row holds `stride` phases, phase_size elements apart: element i of the padded row lies in
// phase i % stride at i / stride. The row itself begins at element `first`, after the padding.
#pragma once

#include "cpu/simd.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class V, int... I>
DLCORE_INLINE V even_of(V a, V b, Lanes<I...>) {
  return __builtin_shufflevector(a, b, (2 * I)...);
}
template <class V, int... I>
DLCORE_INLINE V odd_of(V a, V b, Lanes<I...>) {
  return __builtin_shufflevector(a, b, (2 * I + 1)...);
}
template <class V, int... I>
DLCORE_INLINE V zip_low_of(V a, V b, Lanes<I...>) {
  constexpr int n = sizeof...(I);
  return __builtin_shufflevector(a, b, (I / 2 + (I % 2) * n)...);
}
template <class V, int... I>
DLCORE_INLINE V zip_high_of(V a, V b, Lanes<I...>) {
  constexpr int n = sizeof...(I);
  return __builtin_shufflevector(a, b, (n / 2 + I / 2 + (I % 2) * n)...);
}

// The same in an order of which one shuffle is enough, within the halves of a register with AVX2;
// in_order brings it about.
template <class T>
DLCORE_INLINE Vec<T> even_mixed(Vec<T> a, Vec<T> b) {
#if defined(__AVX2__) && !defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return __builtin_shufflevector(a, b, 0, 2, 8, 10, 4, 6, 12, 14);
  else
    return __builtin_shufflevector(a, b, 0, 4, 2, 6);
#else
  return even_of(a, b, AllLanes<T>{});
#endif
}
template <class T>
DLCORE_INLINE Vec<T> odd_mixed(Vec<T> a, Vec<T> b) {
#if defined(__AVX2__) && !defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return __builtin_shufflevector(a, b, 1, 3, 9, 11, 5, 7, 13, 15);
  else
    return __builtin_shufflevector(a, b, 1, 5, 3, 7);
#else
  return odd_of(a, b, AllLanes<T>{});
#endif
}
template <class V>
DLCORE_INLINE V in_order(V v) {
#if defined(__AVX2__) && !defined(__AVX512F__)
  if constexpr (sizeof(v[0]) == 4)
    return __builtin_shufflevector(v, v, 0, 1, 4, 5, 2, 3, 6, 7);
  else
    return __builtin_shufflevector(v, v, 0, 2, 1, 3);
#else
  return v;
#endif
}

template <class T>
DLCORE_INLINE void copy_row(const T* x, int64_t n, T* y) {
  int64_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) store<T>(y + i, load<T>(x + i));
  if (i < n) store_part<T>(y + i, n - i, load_part<T>(x + i, n - i, T(0)));
}

template <class T>
DLCORE_INLINE void fill_row(T value, int64_t n, T* y) {
  int64_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) store<T>(y + i, splat<T>(value));
  if (i < n) store_part<T>(y + i, n - i, splat<T>(value));
}

// even[i] = x[2 i] and odd[i] = x[2 i + 1], for n elements of x.
template <class T>
DLCORE_INLINE void split_pairs(const T* x, int64_t n, T* even, T* odd) {
  constexpr int64_t L = kLanes<T>;
  int64_t i = 0;
  for (; 2 * (i + L) <= n; i += L) {
    const Vec<T> a = load<T>(x + 2 * i), b = load<T>(x + 2 * i + L);
    store<T>(even + i, even_of(a, b, AllLanes<T>{}));
    store<T>(odd + i, odd_of(a, b, AllLanes<T>{}));
  }
  const int64_t rest = n - 2 * i;
  if (rest == 0) return;
  const Vec<T> a = load_part<T>(x + 2 * i, smaller(rest, L), T(0));
  const Vec<T> b = rest > L ? load_part<T>(x + 2 * i + L, rest - L, T(0)) : Vec<T>{};
  store_part<T>(even + i, (rest + 1) / 2, even_of(a, b, AllLanes<T>{}));
  store_part<T>(odd + i, rest / 2, odd_of(a, b, AllLanes<T>{}));
}

template <class T>
DLCORE_INLINE void join_pairs(const T* even, const T* odd, int64_t n, T* x) {
  constexpr int64_t L = kLanes<T>;
  int64_t i = 0;
  for (; 2 * (i + L) <= n; i += L) {
    const Vec<T> a = load<T>(even + i), b = load<T>(odd + i);
    store<T>(x + 2 * i, zip_low_of(a, b, AllLanes<T>{}));
    store<T>(x + 2 * i + L, zip_high_of(a, b, AllLanes<T>{}));
  }
  const int64_t rest = n - 2 * i;
  if (rest == 0) return;
  const Vec<T> a = load_part<T>(even + i, (rest + 1) / 2, T(0));
  const Vec<T> b = load_part<T>(odd + i, rest / 2, T(0));
  store_part<T>(x + 2 * i, smaller(rest, L), zip_low_of(a, b, AllLanes<T>{}));
  if (rest > L) store_part<T>(x + 2 * i + L, rest - L, zip_high_of(a, b, AllLanes<T>{}));
}

// phase[k][i] = x[4 i + k], for n elements of x; phases lie phase_size apart.
template <class T>
DLCORE_INLINE void split_quads(const T* x, int64_t n, T* phases, int64_t phase_size) {
  constexpr int64_t L = kLanes<T>;
  constexpr AllLanes<T> all{};
  int64_t i = 0;
  for (; 4 * (i + L) <= n; i += L) {
    const T* from = x + 4 * i;
    const Vec<T> a = load<T>(from), b = load<T>(from + L), c = load<T>(from + 2 * L),
                 d = load<T>(from + 3 * L);
    const Vec<T> even0 = even_of(a, b, all), even1 = even_of(c, d, all);
    const Vec<T> odd0 = odd_of(a, b, all), odd1 = odd_of(c, d, all);
    store<T>(phases + i, even_of(even0, even1, all));
    store<T>(phases + phase_size + i, even_of(odd0, odd1, all));
    store<T>(phases + 2 * phase_size + i, odd_of(even0, even1, all));
    store<T>(phases + 3 * phase_size + i, odd_of(odd0, odd1, all));
  }
  for (int64_t j = 4 * i; j < n; ++j) phases[j % 4 * phase_size + j / 4] = x[j];
}

// The n elements of x into their places of a split row; the padding around is the caller's.
template <class T>
DLCORE_INLINE void split_row(const T* x, int64_t n, int64_t first, int64_t stride, T* split,
                             int64_t phase_size) {
  if (n <= 0) return;
  if (stride == 1) return copy_row<T>(x, n, split + first);
  if (stride == 2) {
    if (first % 2) {
      split[phase_size + first / 2] = *x++;
      ++first, --n;
    }
    return split_pairs<T>(x, n, split + first / 2, split + phase_size + first / 2);
  }
  if (stride == 4 && first == 0) return split_quads<T>(x, n, split, phase_size);
  for (int64_t k = 0; k < stride && k < n; ++k) {
    T* phase = split + (first + k) % stride * phase_size + (first + k) / stride;
    for (int64_t i = k; i < n; i += stride) *phase++ = x[i];
  }
}

// The way back.
template <class T>
DLCORE_INLINE void join_row(const T* split, int64_t phase_size, int64_t first, int64_t stride,
                            int64_t n, T* x) {
  if (n <= 0) return;
  if (stride == 1) return copy_row<T>(split + first, n, x);
  if (stride == 2) {
    if (first % 2) {
      *x++ = split[phase_size + first / 2];
      ++first, --n;
    }
    return join_pairs<T>(split + first / 2, split + phase_size + first / 2, n, x);
  }
  for (int64_t k = 0; k < stride && k < n; ++k) {
    const T* phase = split + (first + k) % stride * phase_size + (first + k) / stride;
    for (int64_t i = k; i < n; i += stride) x[i] = *phase++;
  }
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
