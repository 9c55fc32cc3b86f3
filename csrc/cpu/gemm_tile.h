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
#include "kernels/activation.h"

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

}  // namespace

// What happens to alpha * A B + beta * C when the sum over k is complete, in this order:
// + row_bias[i] + col_bias[j] + residual[i][j]; activation, whose derivative is kept.
// Rows and columns count from the corner of the whole product. Any pointer may be null.
template <class T>
struct Epilogue {
  const T* row_bias;
  const T* col_bias;
  const T* residual;
  int64_t residual_row;
  T* derivative;
  int64_t derivative_row;
  Activation activation;
  T slope;  // of leaky_relu

  DLCORE_INLINE_MEMBER bool any() const {
    return row_bias || col_bias || residual || derivative || activation != Activation::none;
  }
};

// Where a tile goes: c is its corner, (row, col) its place in the product. beta == 0 never reads
// C; beta == 1 adds to what an earlier part of k left. The epilogue is null but for the last part.
// beta is multiplied with `added`, which may be a residual in the place of C.
template <class T>
struct TileTarget {
  T* c;
  int64_t c_row;
  T alpha, beta;
  const Epilogue<T>* epilogue;
  int64_t row, col;
  const T* ahead = nullptr;  // what later tiles read: k / 8 lines of it are fetched into L2
  int64_t ahead_step = kLineElements<T>;
  const T* added = c;
  int64_t added_row = c_row;
};

// Where a tile finds A and B.
enum class Operands {
  panels,   // both packed: the steps are constants
  columns,  // element (i, p) of A at a[p * a_step + i]
  rows,     // element (i, p) of A at a[i * a_step + p]
};

// One tile, 1 <= m <= kTileRows, 1 <= n <= kTileCols, k >= 0. Whole vectors of B's rows must be
// readable. The steps of panels are constants: pass 0.
void run_tile(Operands from, int64_t m, int64_t n, int64_t k, const float* a, int64_t a_step,
              const float* b, int64_t b_step, const TileTarget<float>& to);
void run_tile(Operands from, int64_t m, int64_t n, int64_t k, const double* a, int64_t a_step,
              const double* b, int64_t b_step, const TileTarget<double>& to);

// alpha, beta and the epilogue on sums over k that lie in memory, perhaps where c is.
void finish_tile(const float* sum, int64_t sum_row, int64_t m, int64_t n,
                 const TileTarget<float>& to);
void finish_tile(const double* sum, int64_t sum_row, int64_t m, int64_t n,
                 const TileTarget<double>& to);

}  // namespace DLCORE_ISA
}  // namespace dlcore
