// Packing: operands of any layout into the panels of gemm_tile.h. Reads every element once. From
// cache, by its shuffles, transposing 8 x 8 costs some 0.15 cycles an element; from L3 both this
// and copying wait for memory.
#pragma once

#include "cpu/gemm_tile.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

typedef float Quad __attribute__((vector_size(16)));
typedef float LooseQuad __attribute__((vector_size(16), aligned(4), may_alias));
typedef double Pair __attribute__((vector_size(16)));
typedef double LoosePair __attribute__((vector_size(16), aligned(8), may_alias));

// A square of kSide x kSide: to[p * to_row + r] = from[r * from_row + p].
template <class T>
struct Square;

template <>
struct Square<float> {
  static constexpr int64_t kSide = 4;
  DLCORE_INLINE_MEMBER static void transpose(const float* from, int64_t from_row, float* to,
                                             int64_t to_row) {
    Quad r[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) r[i] = *reinterpret_cast<const LooseQuad*>(from + i * from_row);
    const Quad low01 = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5);
    const Quad high01 = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
    const Quad low23 = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
    const Quad high23 = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
    const Quad t[4] = {__builtin_shufflevector(low01, low23, 0, 1, 4, 5),
                       __builtin_shufflevector(low01, low23, 2, 3, 6, 7),
                       __builtin_shufflevector(high01, high23, 0, 1, 4, 5),
                       __builtin_shufflevector(high01, high23, 2, 3, 6, 7)};
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) *reinterpret_cast<LooseQuad*>(to + i * to_row) = t[i];
  }
};

template <>
struct Square<double> {
  static constexpr int64_t kSide = 2;
  DLCORE_INLINE_MEMBER static void transpose(const double* from, int64_t from_row, double* to,
                                             int64_t to_row) {
    const Pair a = *reinterpret_cast<const LoosePair*>(from);
    const Pair b = *reinterpret_cast<const LoosePair*>(from + from_row);
    *reinterpret_cast<LoosePair*>(to) = __builtin_shufflevector(a, b, 0, 2);
    *reinterpret_cast<LoosePair*>(to + to_row) = __builtin_shufflevector(a, b, 1, 3);
  }
};

#if defined(__AVX__)
typedef float Oct __attribute__((vector_size(32)));
typedef float LooseOct __attribute__((vector_size(32), aligned(4), may_alias));
typedef double Four __attribute__((vector_size(32)));
typedef double LooseFour __attribute__((vector_size(32), aligned(8), may_alias));

// Twice the side: two rows share a register, put side by side by the loads.
template <class T>
struct LargeSquare;

template <>
struct LargeSquare<float> {
  static constexpr int64_t kSide = 8;
  DLCORE_INLINE_MEMBER static void transpose(const float* from, int64_t from_row, float* to,
                                             int64_t to_row) {
#  pragma GCC unroll 2
    for (int half = 0; half < 2; ++half, from += 4, to += 4 * to_row) {
      Oct r[4];
#  pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const Quad low = *reinterpret_cast<const LooseQuad*>(from + i * from_row);
        const Quad high = *reinterpret_cast<const LooseQuad*>(from + (i + 4) * from_row);
        r[i] = __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
      }
      const Oct low01 = __builtin_shufflevector(r[0], r[1], 0, 8, 1, 9, 4, 12, 5, 13);
      const Oct high01 = __builtin_shufflevector(r[0], r[1], 2, 10, 3, 11, 6, 14, 7, 15);
      const Oct low23 = __builtin_shufflevector(r[2], r[3], 0, 8, 1, 9, 4, 12, 5, 13);
      const Oct high23 = __builtin_shufflevector(r[2], r[3], 2, 10, 3, 11, 6, 14, 7, 15);
      const Oct t[4] = {__builtin_shufflevector(low01, low23, 0, 1, 8, 9, 4, 5, 12, 13),
                        __builtin_shufflevector(low01, low23, 2, 3, 10, 11, 6, 7, 14, 15),
                        __builtin_shufflevector(high01, high23, 0, 1, 8, 9, 4, 5, 12, 13),
                        __builtin_shufflevector(high01, high23, 2, 3, 10, 11, 6, 7, 14, 15)};
#  pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) *reinterpret_cast<LooseOct*>(to + i * to_row) = t[i];
    }
  }
};

template <>
struct LargeSquare<double> {
  static constexpr int64_t kSide = 4;
  DLCORE_INLINE_MEMBER static void transpose(const double* from, int64_t from_row, double* to,
                                             int64_t to_row) {
#  pragma GCC unroll 2
    for (int half = 0; half < 2; ++half, from += 2, to += 2 * to_row) {
      Four r[2];
#  pragma GCC unroll 4
      for (int i = 0; i < 2; ++i) {
        const Pair low = *reinterpret_cast<const LoosePair*>(from + i * from_row);
        const Pair high = *reinterpret_cast<const LoosePair*>(from + (i + 2) * from_row);
        r[i] = __builtin_shufflevector(low, high, 0, 1, 2, 3);
      }
      *reinterpret_cast<LooseFour*>(to) = __builtin_shufflevector(r[0], r[1], 0, 4, 2, 6);
      *reinterpret_cast<LooseFour*>(to + to_row) = __builtin_shufflevector(r[0], r[1], 1, 5, 3, 7);
    }
  }
};
#else
template <class T>
using LargeSquare = Square<T>;
#endif

// At least a square of rows and columns; the last squares overlap those before them. A line of
// every row is used up before the next: rows a multiple of 4 KiB apart share one set of L1.
template <class T, class Turn>
DLCORE_INLINE void transpose_by(const T* from, int64_t from_row, int64_t rows, int64_t cols, T* to,
                                int64_t to_row, const T* ahead) {
  constexpr int64_t kSide = Turn::kSide, kLine = kLineElements<T>;
  for (int64_t p0 = 0; p0 < cols; p0 += kLine) {
    for (int64_t r = 0; ahead && r < rows; ++r) __builtin_prefetch(ahead + r * from_row + p0, 0, 2);
    for (int64_t r0 = 0; r0 < rows; r0 += kSide) {
      const int64_t r = smaller(r0, rows - kSide);
      for (int64_t p = p0; p < smaller(p0 + kLine, cols); p += kSide) {
        const int64_t q = smaller(p, cols - kSide);
        Turn::transpose(from + r * from_row + q, from_row, to + q * to_row + r, to_row);
      }
    }
  }
}

// to[p * to_row + r] = from[r * from_row + p] for r < rows, p < cols. Meanwhile the same of `ahead`
// is fetched into L2, unless it is null: rows far apart come without the hardware's foresight.
template <class T>
DLCORE_INLINE void transpose(const T* from, int64_t from_row, int64_t rows, int64_t cols, T* to,
                             int64_t to_row, const T* ahead = nullptr) {
  const int64_t side = smaller(rows, cols);
  if (side >= LargeSquare<T>::kSide)
    return transpose_by<T, LargeSquare<T>>(from, from_row, rows, cols, to, to_row, ahead);
  if (side >= Square<T>::kSide)
    return transpose_by<T, Square<T>>(from, from_row, rows, cols, to, to_row, ahead);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t p = 0; p < cols; ++p) to[p * to_row + r] = from[r * from_row + p];
}

constexpr int64_t kPanelsAtOnce = 4;  // packed together where they lie side by side in memory

// kPanelsAtOnce panels of kWide elements a step of k, from corner[i] on, `step` apart.
template <class T, int64_t kWide>
DLCORE_INLINE void pack_panels(int64_t k, const T* const (&corner)[kPanelsAtOnce], int64_t step,
                               T* panels, int64_t size) {
  for (int64_t p = 0; p < k; ++p)
#pragma GCC unroll 4
    for (int64_t i = 0; i < kPanelsAtOnce; ++i)
      __builtin_memcpy(panels + i * size + p * kWide, corner[i] + p * step, kWide * sizeof(T));
}

// One A panel: m <= kTileRows rows by k. Element (i, p) is a[i * a_row + p * a_col]. `ahead` is
// what will be packed next, or null.
template <class T>
DLCORE_INLINE void pack_a_panel(int64_t m, int64_t k, const T* a, int64_t a_row, int64_t a_col,
                                T* panel, const T* ahead = nullptr) {
  if (a_col == 1) {
    transpose<T>(a, a_row, m, k, panel, kTileRows, ahead);
  } else if (a_row == 1 && m == kTileRows) {
    for (int64_t p = 0; p < k; ++p)
      __builtin_memcpy(panel + p * kTileRows, a + p * a_col, kTileRows * sizeof(T));
  } else {
    for (int64_t p = 0; p < k; ++p)
      for (int64_t i = 0; i < m; ++i) panel[p * kTileRows + i] = a[i * a_row + p * a_col];
  }
}

// One B panel: k by n <= kTileCols columns. Element (p, j) is b[p * b_row + j * b_col]. `ahead` is
// what will be packed next, whole, or null.
template <class T>
DLCORE_INLINE void pack_b_panel(int64_t k, int64_t n, const T* b, int64_t b_row, int64_t b_col,
                                T* panel, const T* ahead = nullptr) {
  constexpr int64_t kCols = kTileCols<T>;
  if (b_col == 1 && n == kCols) {
    for (int64_t p = 0; p < k; ++p)
      for (int64_t j = 0; j < kCols; j += kLanes<T>)
        store<T>(panel + p * kCols + j, load<T>(b + p * b_row + j));
    return;
  }
  if (b_col == 1 && kMaskedStores) {
    for (int64_t p = 0; p < k; ++p)
      for (int64_t j = 0; j < kCols; j += kLanes<T>)
        store<T>(panel + p * kCols + j,
                 load_part<T>(b + p * b_row + j, larger(0, smaller(n - j, kLanes<T>)), T(0)));
    return;
  }
  if (b_row == 1) {
    transpose<T>(b, b_col, n, k, panel, kCols, ahead);
  } else {
    for (int64_t p = 0; p < k; ++p)
      for (int64_t j = 0; j < n; ++j) panel[p * kCols + j] = b[p * b_row + j * b_col];
  }
  for (int64_t p = 0; n < kCols && p < k; ++p)
    for (int64_t j = n; j < kCols; ++j) panel[p * kCols + j] = T(0);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
