// The register tiles, one copy for all families.

#include "cpu/gemm_tile.h"

#include "cpu/simd_activation.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

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
      Vec<T> v = to.alpha * load_part<T>(sum + i * sum_row + j, rest, T(0));
      if (to.beta != T(0)) v += to.beta * load_part<T>(to.added + i * to.added_row + j, rest, T(0));
      if (e.row_bias) v += e.row_bias[row];
      if (e.col_bias) v += load_part<T>(e.col_bias + col, rest, T(0));
      if (e.residual) v += load_part<T>(e.residual + row * e.residual_row + col, rest, T(0));
      last(v, c + j, row * e.derivative_row + col, rest);
    }
  }
}

template <class T>
__attribute__((noinline)) void finish(const T* sum, int64_t sum_row, int64_t m, int64_t n,
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
    case Activation::relu6:
      return alone([](Vec<T> v) { return relu6<T>(v); });
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
         (!e || (!e->residual && !e->derivative && e->activation <= Activation::relu6)) &&
         (kMaskedStores || n == NV * kLanes<T>);
}

template <class T, int M, int NV>
DLCORE_INLINE void write_tile(Vec<T> (&sum)[M][NV], int64_t n, const TileTarget<T>& to) {
  T* const c = to.c;
  const int64_t c_row = to.c_row;
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
  if (to.beta != T(0)) {
    each([&](Vec<T>& v, int i, int j)
             __attribute__((always_inline)) { v += part(to.added + i * to.added_row, j); });
  }
  if (const Epilogue<T>* e = to.epilogue) {
    if (e->row_bias)
      each([&](Vec<T>& v, int i, int)
               __attribute__((always_inline)) { v += e->row_bias[to.row + i]; });
    if (e->col_bias)
      each([&](Vec<T>& v, int, int j)
               __attribute__((always_inline)) { v += part(e->col_bias + to.col, j); });
    if (e->activation != Activation::none) {
      const Vec<T> high = splat<T>(e->activation == Activation::relu6 ? T(6) : kInf<T>);
      each([&](Vec<T>& v, int, int)
               __attribute__((always_inline)) { v = min<T>(high, relu<T>(v)); });
    }
  }
  each([&](Vec<T>& v, int i, int j) __attribute__((always_inline)) {
    T* at = c + i * c_row + j * kLanes<T>;
    if constexpr (kMaskedStores)
      store_part<T>(at, larger(0, smaller(n - j * kLanes<T>, kLanes<T>)), v);
    else
      store<T>(at, v);
  });
}

// Steps of k between two jumps. 12 FMAs hide 3 instructions of a loop badly: a core that shares its
// front end with a neighbour lost 15 % to them. 28 hide them well, and their code is large.
template <int kFmas>
constexpr int kStepsAtOnce = kTileRows * kTileVectors == 12 && kFmas >= 8 ? 4 : 1;

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
  const T *next = to.added, *ahead = to.ahead ? to.ahead : b;
  const auto stride = [&]() __attribute__((always_inline)) {
    __builtin_prefetch(ahead, 0, 2);
    ahead += to.ahead_step;
#pragma GCC unroll 1
    for (int64_t p = 0; p < kStride; p += kStepsAtOnce<M * NV>) {
      step();
      if constexpr (kStepsAtOnce<M * NV> == 4) step(), step(), step();
    }
  };
  for (int64_t i = 0; i < k / kStride; ++i, next += i < M ? to.added_row : 0) {
    for (int64_t j = 0; j < NV * kLanes<T>; j += kLineElements<T>) __builtin_prefetch(next + j, 1);
    __builtin_prefetch(next + n - 1, 1);
    stride();
  }
#pragma GCC unroll 1
  for (int64_t p = k % kStride; p > 0; --p) step();

  if (finished_in_registers<T, NV>(n, to)) return write_tile<T, M, NV>(sum, n, to);
  alignas(64) T kept[M * NV * kLanes<T>];
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) store<T>(kept + (i * NV + j) * kLanes<T>, sum[i][j]);
  finish<T>(kept, NV * kLanes<T>, M, n, to);
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

template <class T, Operands kFrom>
DLCORE_INLINE TileFunction<T> pick(int64_t m, int64_t n) {
  if (n <= kLanes<T>) return kTiles<T, 1, kFrom>.rows[m - 1];
  if (kTileVectors == 2 || n <= 2 * kLanes<T>) return kTiles<T, 2, kFrom>.rows[m - 1];
  return kTiles<T, kTileVectors, kFrom>.rows[m - 1];
}

DLCORE_INLINE TileFunction<float> pick(Operands from, int64_t m, int64_t n) {
  switch (from) {
    case Operands::panels:
      return pick<float, Operands::panels>(m, n);
    case Operands::columns:
      return pick<float, Operands::columns>(m, n);
    case Operands::rows:
      return pick<float, Operands::rows>(m, n);
  }
  __builtin_unreachable();
}

}  // namespace

void run_tile(Operands from, int64_t m, int64_t n, int64_t k, const float* a, int64_t a_step,
              const float* b, int64_t b_step, const TileTarget<float>& to) {
  pick(from, m, n)(n, k, a, a_step, b, b_step, to);
}
// Panels as columns, whose steps are no constants: a twentieth slower, and 100 KB of code less.
void run_tile(Operands from, int64_t m, int64_t n, int64_t k, const double* a, int64_t a_step,
              const double* b, int64_t b_step, const TileTarget<double>& to) {
  if (from == Operands::panels)
    return pick<double, Operands::columns>(m, n)(n, k, a, kTileRows, b, kTileCols<double>, to);
  const auto tile = from == Operands::columns ? pick<double, Operands::columns>(m, n)
                                              : pick<double, Operands::rows>(m, n);
  tile(n, k, a, a_step, b, b_step, to);
}

void finish_tile(const float* sum, int64_t sum_row, int64_t m, int64_t n,
                 const TileTarget<float>& to) {
  finish<float>(sum, sum_row, m, n, to);
}
void finish_tile(const double* sum, int64_t sum_row, int64_t m, int64_t n,
                 const TileTarget<double>& to) {
  finish<double>(sum, sum_row, m, n, to);
}

}  // namespace DLCORE_ISA
}  // namespace dlcore
