// Packing: operands of any layout into the panels of gemm_tile.h. Reads every element once;
// transposing costs about a quarter of a cycle an element, copying a tenth.
#pragma once

#include "cpu/gemm_tile.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

typedef float Quad __attribute__((vector_size(16)));
typedef float LooseQuad __attribute__((vector_size(16), aligned(4), may_alias));
typedef double Pair __attribute__((vector_size(16)));
typedef double LoosePair __attribute__((vector_size(16), aligned(8), may_alias));

// to[p * to_row + r] = from[r * from_row + p] for a square of 16-byte vectors, which shuffle twice
// as often in a cycle as the widest ones.
constexpr int64_t kSquareBytes = 16;
template <class T>
constexpr int64_t kSquare = kSquareBytes / static_cast<int64_t>(sizeof(T));

DLCORE_INLINE void transpose_square(const float* from, int64_t from_row, float* to,
                                    int64_t to_row) {
  Quad r[4];
  for (int i = 0; i < 4; ++i) r[i] = *reinterpret_cast<const LooseQuad*>(from + i * from_row);
  const Quad low01 = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5);
  const Quad high01 = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
  const Quad low23 = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
  const Quad high23 = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
  const Quad t[4] = {__builtin_shufflevector(low01, low23, 0, 1, 4, 5),
                     __builtin_shufflevector(low01, low23, 2, 3, 6, 7),
                     __builtin_shufflevector(high01, high23, 0, 1, 4, 5),
                     __builtin_shufflevector(high01, high23, 2, 3, 6, 7)};
  for (int i = 0; i < 4; ++i) *reinterpret_cast<LooseQuad*>(to + i * to_row) = t[i];
}

DLCORE_INLINE void transpose_square(const double* from, int64_t from_row, double* to,
                                    int64_t to_row) {
  const Pair a = *reinterpret_cast<const LoosePair*>(from);
  const Pair b = *reinterpret_cast<const LoosePair*>(from + from_row);
  *reinterpret_cast<LoosePair*>(to) = __builtin_shufflevector(a, b, 0, 2);
  *reinterpret_cast<LoosePair*>(to + to_row) = __builtin_shufflevector(a, b, 1, 3);
}

// to[p * to_row + r] = from[r * from_row + p] for r < rows, p < cols.
template <class T>
DLCORE_INLINE void transpose(const T* from, int64_t from_row, int64_t rows, int64_t cols, T* to,
                             int64_t to_row) {
  constexpr int64_t kSide = kSquare<T>;
  int64_t r = 0;
  for (; r + kSide <= rows; r += kSide) {
    int64_t p = 0;
    for (; p + kSide <= cols; p += kSide)
      transpose_square(from + r * from_row + p, from_row, to + p * to_row + r, to_row);
    for (; p < cols; ++p)
      for (int64_t i = 0; i < kSide; ++i) to[p * to_row + r + i] = from[(r + i) * from_row + p];
  }
  for (; r < rows; ++r)
    for (int64_t p = 0; p < cols; ++p) to[p * to_row + r] = from[r * from_row + p];
}

// One A panel: m <= kTileRows rows by k. Element (i, p) is a[i * a_row + p * a_col].
template <class T>
DLCORE_INLINE void pack_a_panel(int64_t m, int64_t k, const T* a, int64_t a_row, int64_t a_col,
                                T* panel) {
  if (a_col == 1) {
    transpose<T>(a, a_row, m, k, panel, kTileRows);
  } else if (a_row == 1 && m == kTileRows) {
    for (int64_t p = 0; p < k; ++p)
      __builtin_memcpy(panel + p * kTileRows, a + p * a_col, kTileRows * sizeof(T));
  } else {
    for (int64_t p = 0; p < k; ++p)
      for (int64_t i = 0; i < m; ++i) panel[p * kTileRows + i] = a[i * a_row + p * a_col];
  }
}

// One B panel: k by n <= kTileCols columns. Element (p, j) is b[p * b_row + j * b_col].
template <class T>
DLCORE_INLINE void pack_b_panel(int64_t k, int64_t n, const T* b, int64_t b_row, int64_t b_col,
                                T* panel) {
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
    transpose<T>(b, b_col, n, k, panel, kCols);
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
