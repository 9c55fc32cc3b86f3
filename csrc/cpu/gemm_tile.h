// The register tile of GEMM: C[m x n] = epilogue(alpha * A B + beta * C) for m <= kTileRows,
// n <= kTileCols and any k. Everything matrix-shaped is made of it.
//
// Layout of packed operands, for those who fill panels themselves:
//   A panel  kTileRows rows of A, k-major: element (i, p) at panel[p * kTileRows + i].
//   B panel  kTileCols columns of B, k-major: element (p, j) at panel[p * kTileCols + j].
// Both start at a multiple of 64 bytes; the next panel starts a_panel_size(k) or b_panel_size(k)
// elements further. Columns n..kTileCols-1 of a B panel are read but never reach C: fill them with
// zeros. Rows m..kTileRows-1 of an A panel are never read: rows may be spread evenly over panels
// (balanced()). Nothing follows the last k.
//
// Cost: 14 x 32 in AVX-512 is 28 FMAs for 16 loads a step of k; two FMA ports and two load ports
// then wait for the FMAs alone. The other tiles are the largest that fit the register file.
#pragma once

#include "cpu/simd.h"
#include "shapes.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kTileRows = 14;  // 28 accumulators, 2 of B, 1 of A: 31 of 32 registers
constexpr int kTileVectors = 2;
#elif defined(__AVX2__)
constexpr int kTileRows = 6;  // 12 + 2 + 1 of 16
constexpr int kTileVectors = 2;
#elif defined(__aarch64__)
constexpr int kTileRows = 8;  // 24 + 3 + 2 of 32
constexpr int kTileVectors = 3;
#else
constexpr int kTileRows = 4;  // 8 + 2 + 1, and one for the product before it is added, of 16
constexpr int kTileVectors = 2;
#endif

#if defined(__AVX512F__)
constexpr bool kMaskedStores = true;  // a part of a vector is stored as fast as a whole one
#else
constexpr bool kMaskedStores = false;
#endif

template <class T>
constexpr int64_t kTileCols = kTileVectors * kLanes<T>;

template <class T>
constexpr int64_t kLineElements = 64 / static_cast<int64_t>(sizeof(T));

template <class T>
DLCORE_INLINE int64_t a_panel_size(int64_t k) {
  return round_up(kTileRows * k, kLineElements<T>);
}
template <class T>
DLCORE_INLINE int64_t b_panel_size(int64_t k) {
  return round_up(kTileCols<T> * k, kLineElements<T>);
}

// n things over the fewest groups of at most `most`, sizes differing by one at most.
struct Groups {
  int64_t count, size, larger;  // the first `larger` groups have size + 1
  int64_t begin(int64_t g) const { return g * size + (g < larger ? g : larger); }
};
DLCORE_INLINE Groups balanced(int64_t n, int64_t most) {
  const int64_t count = n ? ceil_div(n, most) : 0;
  return count ? Groups{count, n / count, n % count} : Groups{0, 0, 0};
}

// What happens to alpha * A B + beta * C when the sum over k is complete, in this order:
// + row_bias[i] + col_bias[j] + residual[i][j]; kept in pre_activation; activation.
// Rows and columns count from the corner of the whole product. Any pointer may be null.
template <class T>
struct Epilogue {
  const T* row_bias;
  const T* col_bias;
  const T* residual;
  int64_t residual_row;
  T* pre_activation;
  int64_t pre_activation_row;
  Activation activation;
  T slope;  // of leaky_relu

  bool any() const {
    return row_bias || col_bias || residual || pre_activation || activation != Activation::none;
  }
};

// Where a tile goes: c is its corner, (row, col) its place in the product. beta == 0 never reads
// C; beta == 1 adds to what an earlier part of k left. The epilogue is null but for the last part.
template <class T>
struct TileTarget {
  T* c;
  int64_t c_row;
  T alpha, beta;
  const Epilogue<T>* epilogue;
  int64_t row, col;
};

template <class T>
DLCORE_INLINE Vec<T> activate(Vec<T> v, Activation activation, T slope) {
  switch (activation) {
    case Activation::relu:
      return max<T>(Vec<T>{}, v);
    case Activation::leaky_relu:
      return v > T(0) ? v : v * slope;
    default:
      return v;
  }
}

// The epilogue on a tile of plain products, kTileVectors * lanes (or wider) apart in `sum`.
template <class T>
__attribute__((noinline)) void finish_tile(const T* sum, int64_t sum_row, int64_t m, int64_t n,
                                           const TileTarget<T>& to) {
  static constexpr Epilogue<T> kNothing{};
  const Epilogue<T>& e = to.epilogue ? *to.epilogue : kNothing;
  for (int64_t i = 0; i < m; ++i) {
    const int64_t row = to.row + i;
    T* c = to.c + i * to.c_row;
    for (int64_t j = 0; j < n; j += kLanes<T>) {
      const int64_t rest = smaller(n - j, kLanes<T>), col = to.col + j;
      Vec<T> v = to.alpha * load<T>(sum + i * sum_row + j);
      if (to.beta != T(0)) v += to.beta * load_part<T>(c + j, rest, T(0));
      if (e.row_bias) v += e.row_bias[row];
      if (e.col_bias) v += load_part<T>(e.col_bias + col, rest, T(0));
      if (e.residual) v += load_part<T>(e.residual + row * e.residual_row + col, rest, T(0));
      if (e.pre_activation)
        store_part<T>(e.pre_activation + row * e.pre_activation_row + col, rest, v);
      store_part<T>(c + j, rest, activate<T>(v, e.activation, e.slope));
    }
  }
}

// c = alpha * sum, + beta * c when kAdd.
template <class T, int M, int NV, bool kAdd>
DLCORE_INLINE void write_tile(const Vec<T> (&sum)[M][NV], int64_t n, const TileTarget<T>& to) {
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i) {
    T* c = to.c + i * to.c_row;
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) {
      T* at = c + j * kLanes<T>;
      const int64_t rest = larger(0, smaller(n - j * kLanes<T>, kLanes<T>));
      Vec<T> v = to.alpha * sum[i][j];
      if constexpr (kAdd)
        v += to.beta * (kMaskedStores ? load_part<T>(at, rest, T(0)) : load<T>(at));
      if constexpr (kMaskedStores)
        store_part<T>(at, rest, v);
      else
        store<T>(at, v);
    }
  }
}

// M rows by NV vectors. A is a panel (element (i, p) at a[p * a_step + i]) or, when kRows, rows
// read in place (a[i * a_step + p]). B rows are b_step apart. n may be less than NV vectors.
template <class T, int M, int NV, bool kRows>
__attribute__((noinline)) void tile(int64_t n, int64_t k, const T* a, int64_t a_step, const T* b,
                                    int64_t b_step, const TileTarget<T>& to) {
  for (int i = 0; i < M; ++i)
    for (int64_t line = 0; line < n; line += kLineElements<T>)
      __builtin_prefetch(to.c + i * to.c_row + line, 1);

  Vec<T> sum[M][NV] = {};
  for (int64_t p = 0; p < k; ++p) {
    Vec<T> right[NV];
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) right[j] = load<T>(b + j * kLanes<T>);
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
      const Vec<T> left = splat<T>(a[kRows ? i * a_step : i]);
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) sum[i][j] += left * right[j];
    }
    a += kRows ? 1 : a_step;
    b += b_step;
  }

  if (!to.epilogue && (kMaskedStores || n == NV * kLanes<T>)) {
    if (to.beta == T(0))
      write_tile<T, M, NV, false>(sum, n, to);
    else
      write_tile<T, M, NV, true>(sum, n, to);
    return;
  }
  alignas(64) T plain[M * NV * kLanes<T>];
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) store<T>(plain + (i * NV + j) * kLanes<T>, sum[i][j]);
  finish_tile<T>(plain, NV * kLanes<T>, M, n, to);
}

template <class T>
using TileFunction = void (*)(int64_t n, int64_t k, const T* a, int64_t a_step, const T* b,
                              int64_t b_step, const TileTarget<T>& to);
template <class T>
struct TileTable {
  TileFunction<T> rows[kTileRows];
};

template <class T, int NV, bool kRows, int M>
constexpr void fill_tiles(TileTable<T>& table) {
  table.rows[M - 1] = &tile<T, M, NV, kRows>;
  if constexpr (M > 1) fill_tiles<T, NV, kRows, M - 1>(table);
}
template <class T, int NV, bool kRows>
constexpr TileTable<T> make_tiles() {
  TileTable<T> table{};
  fill_tiles<T, NV, kRows, kTileRows>(table);
  return table;
}
template <class T, int NV, bool kRows>
constexpr TileTable<T> kTiles = make_tiles<T, NV, kRows>();

// One tile, 1 <= m <= kTileRows, 1 <= n <= kTileCols, k >= 0. A is a panel, or with kRows rows
// read in place; B rows are b_step apart, whole tile columns of them readable.
template <class T, bool kRows>
DLCORE_INLINE void run_tile(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_step, const T* b,
                            int64_t b_step, const TileTarget<T>& to) {
  if (n <= kLanes<T>)
    kTiles<T, 1, kRows>.rows[m - 1](n, k, a, a_step, b, b_step, to);
  else if (kTileVectors == 2 || n <= 2 * kLanes<T>)
    kTiles<T, 2, kRows>.rows[m - 1](n, k, a, a_step, b, b_step, to);
  else
    kTiles<T, kTileVectors, kRows>.rows[m - 1](n, k, a, a_step, b, b_step, to);
}

// One tile of packed panels.
template <class T>
DLCORE_INLINE void panel_tile(int64_t m, int64_t n, int64_t k, const T* a_panel, const T* b_panel,
                              const TileTarget<T>& to) {
  run_tile<T, false>(m, n, k, a_panel, kTileRows, b_panel, kTileCols<T>, to);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
