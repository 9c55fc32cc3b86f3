// Layers with weights of 8 bits, for inference: the inputs of a row are rounded to 8 bits when they
// are used, products are added up in 32, with the dot products of AVX-512 VNNI: four multiply-adds
// where float32 has one, and a quarter of the memory to read, which is what counts with few rows.

#include "kernels/int8.h"

#include "cpu/gemm_words.h"
#include "cpu/scratch.h"
#include "cpu/simd_activation.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kChunkWords = 1 << 15;  // of weights, times panels of rows: worth another thread

struct Int8Dot {
  static constexpr bool kRows = true;
  using Vector = __m512i;
  using Sum = int32_t;
  DLCORE_INLINE_MEMBER static __m512i add(__m512i sum, __m512i a, __m512i b) {
    return _mm512_dpbusd_epi32(sum, a, b);
  }
};

// Rows rounded to bytes: x = scale * (q - zero).
struct Bytes {
  uint8_t* q;
  int64_t row;
  float* scale;
  int32_t* zero;

  // An odd number of lines: rows a power of 2 apart would share a few sets of L1.
  static int64_t row_of(int64_t k) { return (ceil_div(k, 64) | 1) * 64; }
  static int64_t size(int64_t rows, int64_t k) {
    return (rows + kTileRows) * row_of(k) + 8 * rows + 192;
  }
  Bytes(int64_t rows, int64_t k, Scratch& from) : row(row_of(k)) {
    q = from.take<uint8_t>((rows + kTileRows) * row);  // tiles read on
    scale = from.take<float>(rows);
    zero = from.take<int32_t>(rows);
  }
  const Word* words(int64_t r) const { return reinterpret_cast<const Word*>(q + r * row); }
};

__attribute__((noinline)) void round_row(const float* x, int64_t k, const Bytes& to, int64_t r) {
  Vec<float> low{}, high{}, fault{};
  for (int64_t p = 0; p < k; p += 16) {
    const Vec<float> v = load_part(x + p, smaller(k - p, 16), 0.0f);
    low = min<float>(v, low), high = max<float>(v, high);
    fault += v - v;  // NaN of what is not finite
  }
  const float top = max_all<float>(high)[0], bottom = -max_all<float>(-low)[0];
  // Both finite: what spreads over less than 255 of the smallest normal numbers counts as 0.
  const float scale = top / 255 - bottom / 255, inverse = scale >= 1.2e-38f ? 1 / scale : 0;
  const __m512i zero = _mm512_set1_epi32(static_cast<int32_t>(-bottom * inverse + 0.5f));
  for (int64_t p = 0; p < k; p += 16) {
    const Vec<float> v = load_part(x + p, smaller(k - p, 16), 0.0f) * inverse;
    const __m512i level = _mm512_add_epi32(_mm512_cvtps_epi32(__m512(v)), zero);
    const __m128i byte = _mm512_cvtusepi32_epi8(_mm512_max_epi32(level, _mm512_setzero_si512()));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to.q + r * to.row + p), byte);
  }
  to.scale[r] = scale + hsum<float>(fault);
  to.zero[r] = _mm512_cvtsi512_si32(zero);
}

DLCORE_INLINE void round_rows(const float* x, int64_t rows, int64_t k, const Bytes& to) {
  parallel_for(rows, grain_for(k / 4), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) round_row(x + r * k, k, to, r);
  });
}

// Columns [0, lanes) of what sums of row r stand for; `weight` begins at the panel's column.
DLCORE_INLINE Vec<float> product_of(const int32_t* sums, const Int8Weight& weight, int64_t column,
                                    int64_t lanes, const Bytes& x, int64_t r) {
  const __mmask16 mask = first_lanes(lanes, 0.0f);
  const __m512i offset = _mm512_mullo_epi32(_mm512_set1_epi32(x.zero[r]),
                                            _mm512_maskz_loadu_epi32(mask, weight.sum + column));
  const __m512i sum = _mm512_sub_epi32(_mm512_load_si512(sums), offset);
  const Vec<float> scale = load_part(weight.scale + column, lanes, 0.0f) * x.scale[r];
  return Vec<float>(_mm512_cvtepi32_ps(sum)) * scale;
}

DLCORE_INLINE const Word* panel_of(const Int8Weight& w, int64_t panel) {
  return reinterpret_cast<const Word*>(w.panels) + panel * ceil_div(w.k, kInt8Word) * kInt8Rows;
}

// The tile of `rows` rows of x from row on, and a panel.
__attribute__((noinline)) void multiply(const Int8Weight& w, const Bytes& x, int64_t row,
                                        int64_t rows, int64_t panel, const Fetched& to_fetch,
                                        int32_t* sums) {
  run_words<Int8Dot, kTileRows, 8, 4, 2, 1>(rows, ceil_div(w.k, kInt8Word), x.words(row), x.row / 4,
                                            panel_of(w, panel), to_fetch, sums);
}

void linear_int8(const float* x, const Int8Weight& w, const float* bias, float* y, int64_t m) {
  const int64_t steps = ceil_div(w.k, kInt8Word), panels = ceil_div(w.n, kInt8Rows);
  Scratch scratch(Bytes::size(m, w.k));
  const Bytes bytes(m, w.k, scratch);
  round_rows(x, m, w.k, bytes);
  // Blocks of rows whose bytes stay in L2 pass all panels.
  const Groups blocks = balanced(ceil_div(m, kTileRows), 24);
  const int64_t groups = blocks.size + (blocks.larger > 0);
  const int64_t grain = larger(1, kChunkWords / larger(1, steps * kInt8Rows * groups / 8));
  const Groups cuts = balanced(panels, grain);
  parallel_for(blocks.count * cuts.count, 1, [&](int64_t task, int64_t) {
    alignas(64) int32_t sums[kTileRows * kWordCols];
    const int64_t block = task / cuts.count, cut = task % cuts.count;
    for (int64_t j = cuts.begin(cut); j < cuts.begin(cut + 1); ++j)
      for (int64_t i = blocks.begin(block); i < blocks.begin(block + 1); ++i) {
        const int64_t row = i * kTileRows, rows = smaller(kTileRows, m - row);
        const int64_t column = j * kInt8Rows;
        float* const to = y + row * w.n + column;
        multiply(w, bytes, row, rows, j, {panel_of(w, smaller(j + 1, panels - 1)), to, w.n}, sums);
        for (int64_t v = 0; v < smaller(kInt8Rows, w.n - column); v += 16) {
          const int64_t lanes = smaller(w.n - column - v, 16);
          const Vec<float> start = bias ? load_part(bias + column + v, lanes, 0.0f) : Vec<float>{};
          for (int64_t r = 0; r < rows; ++r)
            store_part(
                to + r * w.n + v, lanes,
                start + product_of(sums + r * kWordCols + v, w, column + v, lanes, bytes, row + r));
        }
      }
  });
}

// A block of 32 units of some sequences: i, f, o = sigmoid, g = tanh, c = f c + i g, h = o tanh(c).
DLCORE_INLINE void lstm_block(const LstmInt8<float>& l, const Bytes& h, int64_t block, int64_t row0,
                              int64_t r0, int64_t r1) {
  const Int8Weight& w = l.weight;
  const int64_t n = w.k, panels = ceil_div(n, kInt8Rows), u0 = block * kInt8Rows;
  alignas(64) int32_t sums[4][kTileRows * kWordCols];
  for (int64_t g = 0; g < 4; ++g)
    multiply(w, h, r0, r1 - r0, g * panels + block,
             {panel_of(w, smaller(g + 1, 3) * panels + block), l.c + r0 * n + u0, n}, sums[g]);
  for (int64_t r = r0; r < r1; ++r)
    for (int64_t u = u0; u < smaller(u0 + kInt8Rows, n); u += 16) {
      const int64_t lanes = smaller(n - u, 16);
      Vec<float> gate[4];
#pragma GCC unroll 1
      for (int64_t g = 0; g < 4; ++g) {
        const Vec<float> z =
            load_part(l.gates + (row0 + r) * 4 * n + g * n + u, lanes, 0.0f) +
            product_of(sums[g] + (r - r0) * kWordCols + u - u0, w, g * n + u, lanes, h, r);
        gate[g] = g == 2 ? tanh<float>(z) : sigmoid<float>(z);
      }
      const Vec<float> c = gate[1] * load_part(l.c + r * n + u, lanes, 0.0f) + gate[0] * gate[2];
      const Vec<float> state = gate[3] * tanh<float>(c);
      store_part(l.c + r * n + u, lanes, c);
      store_part(l.h + r * n + u, lanes, state);
      store_part(l.y + (row0 + r) * n + u, lanes, state);
    }
}

void lstm_int8(const LstmInt8<float>& l) {
  const int64_t n = l.weight.k, blocks = ceil_div(n, kInt8Rows);
  Scratch scratch(Bytes::size(l.batch, n));
  const Bytes bytes(l.batch, n, scratch);
  for (int64_t i = 0; i < l.steps; ++i) {
    const int64_t t = l.reverse ? l.steps - 1 - i : i;
    const int64_t row0 = l.first[t], count = l.first[t + 1] - row0;
    round_rows(l.h, count, n, bytes);
    const int64_t groups = ceil_div(count, kTileRows);
    const int64_t cost = smaller(count, kTileRows) * n * kInt8Rows / 8;
    parallel_for(blocks * groups, grain_for(cost), [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t r0 = task % groups * kTileRows;
        lstm_block(l, bytes, task / groups, row0, r0, smaller(r0 + kTileRows, count));
      }
    });
  }
}

}  // namespace

DLCORE_EXPORT_DOT(linear_int8)
DLCORE_EXPORT_DOT(lstm_int8)

}  // namespace DLCORE_ISA
}  // namespace dlcore
