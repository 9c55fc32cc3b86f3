// Products of words: 32 bits that hold some neighbours along k of a row of A or a column of B (two
// bfloat16), with an instruction that adds a word's products to one sum. Panels and tiles are
// those of gemm_tile.h with words in the place of numbers and as many fewer steps of k.
#pragma once

#include "cpu/gemm_tile.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

using Word = float;  // moved only: what is in it are no floats

constexpr int64_t kWordCols = kTileCols<float>;

// What a tile fetches meanwhile: a line at each step into L2, a row of C at every eighth.
struct Fetched {
  const Word* ahead;
  const float* c;
  int64_t c_row;
};

// sums[i * kWordCols + j] = word products of A and a B panel, `steps` words of k, M rows. Word (i,
// p) of A is a[p * kTileRows + i] of a panel, or a[i * a_row + p] of rows.
template <class Dot, int M>
__attribute__((noinline)) void word_tile(int64_t steps, const Word* a,
                                         [[maybe_unused]] int64_t a_row, const Word* b,
                                         Fetched to_fetch, typename Dot::Sum* sums) {
  using Vector = typename Dot::Vector;
  Vector sum[M][2] = {};
  const auto step = [&]() __attribute__((always_inline)) {
    const __m512i right0 = _mm512_loadu_si512(b), right1 = _mm512_loadu_si512(b + 16);
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
      const __m512i left = _mm512_castps_si512(_mm512_set1_ps(a[Dot::kRows ? i * a_row : i]));
      sum[i][0] = Dot::add(sum[i][0], left, right0);
      sum[i][1] = Dot::add(sum[i][1], left, right1);
    }
    a += Dot::kRows ? 1 : kTileRows;
    b += kWordCols;
  };
#pragma GCC unroll 1
  for (int64_t p = 0; p < steps; ++p, to_fetch.ahead += 2) {
    __builtin_prefetch(to_fetch.ahead, 0, 2);
    if (p % 8 == 0 && p < 8 * M) {
      __builtin_prefetch(to_fetch.c, 1);
      __builtin_prefetch(to_fetch.c + 16, 1);
      __builtin_prefetch(to_fetch.c + 31, 1);
      to_fetch.c += to_fetch.c_row;
    }
    step();
  }
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i) {
    _mm512_store_si512(sums + i * kWordCols, __m512i(sum[i][0]));
    _mm512_store_si512(sums + i * kWordCols + 16, __m512i(sum[i][1]));
  }
}

template <class... Rest>
constexpr int first_of_sizes(int first, Rest...) {
  return first;
}

// Of m rows, with the next larger of some sizes, falling: rows past m must be readable, their sums
// mean nothing.
template <class Dot, int M, int... kSmaller>
DLCORE_INLINE void run_words(int64_t m, int64_t steps, const Word* a, int64_t a_row, const Word* b,
                             const Fetched& to_fetch, typename Dot::Sum* sums) {
  if constexpr (sizeof...(kSmaller) > 0) {
    constexpr int kNext = first_of_sizes(kSmaller...);
    if (m <= kNext) return run_words<Dot, kSmaller...>(m, steps, a, a_row, b, to_fetch, sums);
  }
  word_tile<Dot, M>(steps, a, a_row, b, to_fetch, sums);
}

// What most tiles ask for, in fewer steps than finish_tile's.
DLCORE_INLINE void finish_words(const float* sums, int64_t m, int64_t n,
                                const TileTarget<float>& to) {
  const Epilogue<float>* e = to.epilogue;
  if (to.alpha != 1.0f || (to.beta != 0.0f && to.beta != 1.0f) ||
      (e && (e->row_bias || e->residual || e->derivative || e->activation != Activation::none)))
    return finish_tile(sums, kWordCols, m, n, to);
  const bool adds = to.beta != 0.0f;
  for (int64_t j = 0; j < n; j += kLanes<float>) {
    const int64_t lanes = smaller(n - j, kLanes<float>);
    const Vec<float> bias =
        e && e->col_bias ? load_part(e->col_bias + to.col + j, lanes, 0.0f) : Vec<float>{};
    for (int64_t i = 0; i < m; ++i) {
      Vec<float> v = load(sums + i * kWordCols + j) + bias;
      if (adds) v += load_part(to.added + i * to.added_row + j, lanes, 0.0f);
      store_part(to.c + i * to.c_row + j, lanes, v);
    }
  }
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
