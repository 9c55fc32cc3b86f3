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

#include "cpu/simd_activation.h"
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

  bool any() const {
    return row_bias || col_bias || residual || derivative || activation != Activation::none;
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
  const T* ahead = nullptr;  // what later tiles read: k / 8 lines of it are fetched
};

// `last` takes what goes into the activation, where the result belongs and its offset from
// `derivative`.
template <class T, class F>
DLCORE_INLINE void finish_with(const T* sum, int64_t sum_row, int64_t m, int64_t n,
                               const TileTarget<T>& to, const Epilogue<T>& e, const F& last) {
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
      last(v, c + j, row * e.derivative_row + col, rest);
    }
  }
}

// alpha, beta and the epilogue on sums over k that lie in memory. Whole vectors of `sum` are read.
template <class T>
__attribute__((noinline)) void finish_tile(const T* sum, int64_t sum_row, int64_t m, int64_t n,
                                           const TileTarget<T>& to) {
  static constexpr Epilogue<T> kNothing{};
  const Epilogue<T>& e = to.epilogue ? *to.epilogue : kNothing;
  const auto finish = [&](const auto& last) { finish_with<T>(sum, sum_row, m, n, to, e, last); };
  const auto alone = [&](const auto& f) {  // none, or one whose derivative follows from the output
    finish([&](Vec<T> v, T* c, int64_t, int64_t rest) { store_part<T>(c, rest, f(v)); });
  };
  const auto with = [&](const auto& f, const auto& derivative) {
    if (e.derivative)  // f and its derivative share most of their work
      finish([&](Vec<T> v, T* c, int64_t at, int64_t rest) {
        store_part<T>(c, rest, f(v));
        store_part<T>(e.derivative + at, rest, derivative(v));
      });
    else
      alone(f);
  };
  switch (e.activation) {
    case Activation::none:
      return alone([](Vec<T> v) { return v; });
    case Activation::relu:
      return alone([](Vec<T> v) { return relu<T>(v); });
    case Activation::sigmoid:
      return alone([](Vec<T> v) { return sigmoid<T>(v); });
    case Activation::tanh:
      return alone([](Vec<T> v) { return tanh<T>(v); });
    case Activation::leaky_relu:
      return with([&](Vec<T> v) { return v > T(0) ? v : v * e.slope; },
                  [&](Vec<T> v) { return v > T(0) ? splat<T>(T(1)) : splat<T>(e.slope); });
    case Activation::gelu:
      return with([](Vec<T> v) { return gelu<T>(v); },
                  [](Vec<T> v) { return gelu_derivative<T>(v); });
    case Activation::gelu_tanh:
      return with([](Vec<T> v) { return gelu_tanh<T>(v); },
                  [](Vec<T> v) { return gelu_tanh_derivative<T>(v); });
    case Activation::silu:
      return with([](Vec<T> v) { return silu<T>(v); },
                  [](Vec<T> v) { return silu_derivative<T>(v); });
  }
}

// Whether write_tile can finish n of NV vectors: what layers ask for, done on the registers.
template <class T, int NV>
DLCORE_INLINE bool finished_in_registers(int64_t n, const TileTarget<T>& to) {
  const Epilogue<T>* e = to.epilogue;
  return to.alpha == T(1) && (to.beta == T(0) || to.beta == T(1)) &&
         (!e || (!e->residual && !e->derivative &&
                 (e->activation == Activation::none || e->activation == Activation::relu))) &&
         (kMaskedStores || n == NV * kLanes<T>);
}

template <class T, int M, int NV>
DLCORE_INLINE void write_tile(Vec<T> (&sum)[M][NV], int64_t n, const TileTarget<T>& to) {
  const auto each = [&](const auto& f) __attribute__((always_inline)) {
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) f(sum[i][j], i, j);
  };
  const auto part = [&](const T* p, int j) __attribute__((always_inline)) {
    const int64_t rest = larger(0, smaller(n - j * kLanes<T>, kLanes<T>));
    return kMaskedStores ? load_part<T>(p + j * kLanes<T>, rest, T(0)) : load<T>(p + j * kLanes<T>);
  };
  if (to.beta != T(0))
    each([&](Vec<T>& v, int i, int j)
             __attribute__((always_inline)) { v += part(to.c + i * to.c_row, j); });
  if (const Epilogue<T>* e = to.epilogue) {
    if (e->row_bias)
      each([&](Vec<T>& v, int i, int)
               __attribute__((always_inline)) { v += e->row_bias[to.row + i]; });
    if (e->col_bias)
      each([&](Vec<T>& v, int, int j)
               __attribute__((always_inline)) { v += part(e->col_bias + to.col, j); });
    if (e->activation == Activation::relu)
      each([](Vec<T>& v, int, int) __attribute__((always_inline)) { v = relu<T>(v); });
  }
  each([&](Vec<T>& v, int i, int j) __attribute__((always_inline)) {
    T* at = to.c + i * to.c_row + j * kLanes<T>;
    if constexpr (kMaskedStores)
      store_part<T>(at, larger(0, smaller(n - j * kLanes<T>, kLanes<T>)), v);
    else
      store<T>(at, v);
  });
}

// Where a tile finds A and B.
enum class Operands {
  panels,   // both packed: the steps are constants
  columns,  // element (i, p) of A at a[p * a_step + i]
  rows,     // element (i, p) of A at a[i * a_step + p]
};

// M rows by NV vectors. B's rows are b_step apart. n may be less than NV vectors.
template <class T, int M, int NV, Operands kFrom>
__attribute__((noinline)) void tile(int64_t n, int64_t k, const T* a, int64_t a_step, const T* b,
                                    int64_t b_step, const TileTarget<T>& to) {
  if constexpr (kFrom == Operands::panels) {
    a_step = kTileRows;
    b_step = kTileCols<T>;
  }
  Vec<T> sum[M][NV] = {};
  const auto step = [&]() __attribute__((always_inline)) {
    Vec<T> right[NV];
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) right[j] = load<T>(b + j * kLanes<T>);
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
      const Vec<T> left = splat<T>(a[kFrom == Operands::rows ? i * a_step : i]);
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) sum[i][j] += left * right[j];
    }
    a += kFrom == Operands::rows ? 1 : a_step;
    b += b_step;
  };
  // A row of C is fetched every kStride steps: all at once they would fill the miss buffers, and
  // the panels, which come from L2, would wait.
  constexpr int64_t kStride = 8;
  const T *next = to.c, *ahead = to.ahead ? to.ahead : b;
  int64_t p = 0;
  for (; p + kStride <= k; p += kStride) {
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) __builtin_prefetch(next + j * kLanes<T>, 1);
    __builtin_prefetch(next + n - 1, 1);
    __builtin_prefetch(ahead, 0, 2);
    ahead += kLineElements<T>;
    next += p < (M - 1) * kStride ? to.c_row : 0;
#pragma GCC unroll 1
    for (int64_t q = 0; q < kStride; ++q) step();
  }
#pragma GCC unroll 1
  for (; p < k; ++p) step();

  if (finished_in_registers<T, NV>(n, to)) return write_tile<T, M, NV>(sum, n, to);
  alignas(64) T kept[M * NV * kLanes<T>];
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) store<T>(kept + (i * NV + j) * kLanes<T>, sum[i][j]);
  finish_tile<T>(kept, NV * kLanes<T>, M, n, to);
}

template <class T>
using TileFunction = void (*)(int64_t n, int64_t k, const T* a, int64_t a_step, const T* b,
                              int64_t b_step, const TileTarget<T>& to);
template <class T>
struct TileTable {
  TileFunction<T> rows[kTileRows];
};

template <class T, int NV, Operands kFrom, int M>
constexpr void fill_tiles(TileTable<T>& table) {
  table.rows[M - 1] = &tile<T, M, NV, kFrom>;
  if constexpr (M > 1) fill_tiles<T, NV, kFrom, M - 1>(table);
}
template <class T, int NV, Operands kFrom>
constexpr TileTable<T> make_tiles() {
  TileTable<T> table{};
  fill_tiles<T, NV, kFrom, kTileRows>(table);
  return table;
}
template <class T, int NV, Operands kFrom>
constexpr TileTable<T> kTiles = make_tiles<T, NV, kFrom>();

// One tile, 1 <= m <= kTileRows, 1 <= n <= kTileCols, k >= 0. Whole vectors of B's rows must be
// readable.
template <class T, Operands kFrom>
DLCORE_INLINE void run_tile(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_step, const T* b,
                            int64_t b_step, const TileTarget<T>& to) {
  if (n <= kLanes<T>)
    kTiles<T, 1, kFrom>.rows[m - 1](n, k, a, a_step, b, b_step, to);
  else if (kTileVectors == 2 || n <= 2 * kLanes<T>)
    kTiles<T, 2, kFrom>.rows[m - 1](n, k, a, a_step, b, b_step, to);
  else
    kTiles<T, kTileVectors, kFrom>.rows[m - 1](n, k, a, a_step, b, b_step, to);
}

// One tile of packed panels.
template <class T>
DLCORE_INLINE void panel_tile(int64_t m, int64_t n, int64_t k, const T* a_panel, const T* b_panel,
                              const TileTarget<T>& to) {
  run_tile<T, Operands::panels>(m, n, k, a_panel, 0, b_panel, 0, to);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
