// GEMM of numbers rounded to bfloat16, sums in float32, with the dot products of AVX-512 BF16: two
// multiply-adds where float32 has one. Rounding happens while the operands are packed, which here
// they always are; blocks are those of gemm_blocked.h.

#include "cpu/gemm_pack.h"
#include "cpu/gemm_words.h"
#include "cpu/scratch.h"
#include "kernels/gemm.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kDepth = 512;          // of a slice of k: a B panel of it, 32 KiB, stays in L1
constexpr int64_t kBlockRows = 3072;     // of A packed at a time
constexpr int64_t kBlockCols = 4096;     // of B; with few rows fewer, which stay in cache
constexpr int64_t kBlockPanels = 24;     // of A that stay in L2: 340 KiB
constexpr int64_t kChunkWork = 1 << 19;  // multiply-adds worth handing to another thread

struct Bf16Dot {
  static constexpr bool kRows = false;
  using Vector = __m512;
  using Sum = float;
  DLCORE_INLINE_MEMBER static __m512 add(__m512 sum, __m512i a, __m512i b) {
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
  }
};

// The bfloat16 of 32 floats: those of `low`, then those of `high`.
DLCORE_INLINE __m512i rounded(Vec<float> low, Vec<float> high) {
  return (__m512i)_mm512_cvtne2ps_pbh(__m512(high), __m512(low));
}

DLCORE_INLINE Vec<float> first_of(const float* p, int64_t n) {
  return load_part(p, larger(0, smaller(n, kLanes<float>)), 0.0f);
}

// A panel of `wide` rows whose k run along memory: row i at from + i * row. kSpan words at a time
// are rounded in the rows' order, then turned.
DLCORE_INLINE void pack_along(const float* from, int64_t row, int64_t rows, int64_t k, Word* panel,
                              int64_t wide) {
  constexpr int64_t kSpan = 32, kRow = kSpan + 16;
  alignas(64) Word words[kWordCols * kRow];
  for (int64_t p = 0; p < k; p += 2 * kSpan, panel += kSpan * wide) {
    const int64_t rest = smaller(2 * kSpan, k - p);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t q = 0; q < rest; q += 32) {
        const float* at = from + i * row + p + q;
        for (int64_t line = 0; line < 32; line += 16) __builtin_prefetch(at + 2 * kSpan + line);
        const bool whole = rest - q >= 32;
        const Vec<float> low = whole ? load(at) : first_of(at, rest - q);
        const Vec<float> high = whole ? load(at + 16) : first_of(at + 16, rest - q - 16);
        _mm512_store_si512(words + i * kRow + q / 2, rounded(low, high));
      }
    transpose<Word>(words, kRow, rows, ceil_div(rest, 2), panel, wide);
  }
}

// Panels that are packed together: where each begins and ends among the rows of A or columns of B.
constexpr int64_t kAtOnce = 4;
struct Lines {
  int64_t count, begin[kAtOnce + 1];
};

// Panels of `wide` rows that lie side by side: step p at from + p * step. Together, so that memory
// is read in runs of several lines.
DLCORE_INLINE void pack_across(const float* from, int64_t step, const Lines& lines, int64_t k,
                               Word* panels, int64_t size, int64_t wide) {
  alignas(64) uint16_t order[32];
  for (int i = 0; i < 16; ++i) {
    order[2 * i] = static_cast<uint16_t>(i);
    order[2 * i + 1] = static_cast<uint16_t>(i + 16);
  }
  const __m512i pairs = _mm512_load_si512(order);
  __mmask16 known[kAtOnce][2], room[2];
  for (int i = 0; i < 2; ++i) {
    const auto lanes = [&](int64_t n) {
      return first_lanes(larger(0, smaller(n - 16 * i, 16)), 0.0f);
    };
    room[i] = lanes(wide);
    for (int64_t j = 0; j < lines.count; ++j)
      known[j][i] = lanes(lines.begin[j + 1] - lines.begin[j]);
  }
  const auto each = [&](int64_t p, const auto& high) __attribute__((always_inline)) {
    for (int64_t j = 0; j < lines.count; ++j) {
      const float* at = from + p * step + lines.begin[j];
      Word* const to = panels + j * size + p / 2 * wide;
#pragma GCC unroll 2
      for (int i = 0; i < 2; ++i) {
        const __m512 low = _mm512_maskz_loadu_ps(known[j][i], at + 16 * i);
        const __m512i words = (__m512i)_mm512_cvtne2ps_pbh(high(known[j][i], at + 16 * i), low);
        _mm512_mask_storeu_epi32(to + 16 * i, room[i], _mm512_permutexvar_epi16(pairs, words));
      }
    }
  };
  int64_t p = 0;
  for (; p + 1 < k; p += 2)
    each(p, [&](__mmask16 lanes, const float* at)
                __attribute__((always_inline)) { return _mm512_maskz_loadu_ps(lanes, at + step); });
  if (p < k) each(p, [](__mmask16, const float*) { return _mm512_setzero_ps(); });
}

// Rows of A or columns of B: number i's element p at from[i * apart + p * along].
__attribute__((noinline)) void pack(const float* from, int64_t apart, int64_t along,
                                    const Lines& lines, int64_t k, Word* panels, int64_t size,
                                    int64_t wide) {
  if (along != 1) return pack_across(from, along, lines, k, panels, size, wide);
  for (int64_t j = 0; j < lines.count; ++j)
    pack_along(from + lines.begin[j] * apart, apart, lines.begin[j + 1] - lines.begin[j], k,
               panels + j * size, wide);
}

struct Slice {
  const Gemm<float>* g;
  const float *a, *b;
  int64_t k, steps;  // of the slice: numbers, words
  Word *packed_a, *packed_b;
  int64_t first_panel, panels;  // of A: whole ones, but for the last
  int64_t first_col, cols, col_panels;
  TileTarget<float> to;  // of the product's corner

  int64_t a_size() const { return round_up(kTileRows * steps, 16); }
  int64_t b_size() const { return kWordCols * steps; }
  int64_t row(int64_t panel) const { return smaller((first_panel + panel) * kTileRows, g->m); }
};

// f(first panel, lines) for groups of kAtOnce of `panels` panels, the lines from begin(panel) on.
template <class Begin, class F>
DLCORE_INLINE void each_group(int64_t panels, int64_t cost, const Begin& begin_of, const F& f) {
  parallel_for(
      ceil_div(panels, kAtOnce), grain_for(kAtOnce * cost), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin * kAtOnce; i < smaller(end * kAtOnce, panels); i += kAtOnce) {
          Lines lines = {smaller(kAtOnce, panels - i), {}};
          for (int64_t j = 0; j <= lines.count; ++j) lines.begin[j] = begin_of(i + j);
          f(i, lines);
        }
      });
}

DLCORE_INLINE void pack_a(const Slice& s) {
  each_group(
      s.panels, kTileRows * s.k / 4, [&](int64_t i) { return s.row(i); },
      [&](int64_t i, const Lines& lines) {
        pack(s.a, s.g->a_row, s.g->a_col, lines, s.k, s.packed_a + i * s.a_size(), s.a_size(),
             kTileRows);
      });
}

DLCORE_INLINE void pack_b(const Slice& s) {
  each_group(
      s.col_panels, kWordCols * s.k / 4,
      [&](int64_t j) { return s.first_col + smaller(j * kWordCols, s.cols); },
      [&](int64_t j, const Lines& lines) {
        pack(s.b, s.g->b_col, s.g->b_row, lines, s.k, s.packed_b + j * s.b_size(), s.b_size(),
             kWordCols);
      });
}

// The tiles of row panels [i0, i1) and column panels [j0, j1).
__attribute__((noinline)) void run_tiles(const Slice& s, int64_t i0, int64_t i1, int64_t j0,
                                         int64_t j1) {
  alignas(64) float sums[kTileRows * kWordCols];
  for (int64_t j = j0; j < j1; ++j) {
    const int64_t col = s.first_col + j * kWordCols;
    const Word* b = s.packed_b + j * s.b_size();
    const Word* ahead = j + 1 < j1 ? b + s.b_size() : b;
    for (int64_t i = i0; i < i1; ++i) {
      const int64_t row = s.row(i);
      const int64_t m = s.row(i + 1) - row;
      const int64_t n = smaller(kWordCols, s.first_col + s.cols - col);
      const int64_t fetched = smaller((i - i0) * (s.steps / 8) * 16, s.b_size() - 16);
      TileTarget<float> to = s.to;
      to.c += row * to.c_row + col;
      to.added += row * to.added_row + col;
      to.row = row, to.col = col;
      run_words<Bf16Dot, kTileRows, kTileRows / 2>(m, s.steps, s.packed_a + i * s.a_size(), 0, b,
                                                   {ahead + fetched, to.added, to.added_row}, sums);
      finish_words(sums, m, n, to);
    }
  }
}

DLCORE_INLINE void multiply(const Slice& s) {
  const int64_t work = s.panels * kTileRows * s.cols * s.k;
  const int64_t wanted = smaller(48, larger(1, work / kChunkWork));
  const Groups rows = balanced(s.panels, kBlockPanels);
  const int64_t cuts = smaller(s.col_panels, ceil_div(wanted, rows.count));
  const Groups cols = balanced(s.col_panels, ceil_div(s.col_panels, cuts));
  parallel_for(rows.count * cols.count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      const int64_t i = c / cols.count, j = c % cols.count;
      run_tiles(s, rows.begin(i), rows.begin(i + 1), cols.begin(j), cols.begin(j + 1));
    }
  });
}

void gemm_bf16(const Gemm<float>& g, int64_t number, const float* row_bias) {
  const int64_t at = number * g.m * g.c_row;
  const Epilogue<float> whole = {row_bias,
                                 g.bias,
                                 g.residual ? g.residual + at : nullptr,
                                 g.c_row,
                                 g.derivative ? g.derivative + at : nullptr,
                                 g.c_row,
                                 g.activation,
                                 g.slope};
  // A sum that begins with its residual has less to finish.
  const bool begins = whole.residual && !whole.derivative && g.beta == 0.0f;
  Epilogue<float> last = whole;
  if (begins) last.residual = nullptr;

  const Groups slices = balanced(g.k, kDepth);
  const Groups row_blocks = balanced(ceil_div(g.m, kTileRows), kBlockRows / kTileRows);
  const int64_t panels = row_blocks.size + (row_blocks.larger > 0);
  const int64_t cols = smaller(g.m <= 256 ? kBlockCols / 4 : kBlockCols, g.n);
  const int64_t steps = ceil_div(slices.size + 1, 2);
  Slice s{};
  s.g = &g;
  const int64_t a_room = panels * round_up(kTileRows * steps, 16);
  const int64_t b_room = ceil_div(cols, kWordCols) * kWordCols * steps;
  Scratch scratch((a_room + b_room) * 4 + 128);
  s.packed_a = scratch.take<Word>(a_room);
  s.packed_b = scratch.take<Word>(b_room);
  for (s.first_col = 0; s.first_col < g.n; s.first_col += cols) {
    s.cols = smaller(cols, g.n - s.first_col);
    s.col_panels = ceil_div(s.cols, kWordCols);
    for (int64_t p = 0; p < slices.count; ++p) {
      const int64_t k = slices.begin(p);
      s.k = slices.begin(p + 1) - k;
      s.steps = ceil_div(s.k, 2);
      s.a = g.a + (g.a_batch ? g.a_batch[number] : 0) + k * g.a_col;
      s.b = g.b + (g.b_batch ? g.b_batch[number] : 0) + k * g.b_row;
      const bool residual = p == 0 && begins;
      s.to = {g.c + at,
              g.c_row,
              g.alpha,
              p == 0 && !begins ? g.beta : 1.0f,
              p == slices.count - 1 && last.any() ? &last : nullptr,
              0,
              0};
      s.to.added = residual ? whole.residual : s.to.c;
      s.to.added_row = g.c_row;
      pack_b(s);
      for (int64_t i = 0; i < row_blocks.count; ++i) {
        s.first_panel = row_blocks.begin(i);
        s.panels = row_blocks.begin(i + 1) - s.first_panel;
        pack_a(s);
        multiply(s);
      }
    }
  }
}

}  // namespace

DLCORE_EXPORT_DOT(gemm_bf16)

}  // namespace DLCORE_ISA
}  // namespace dlcore
