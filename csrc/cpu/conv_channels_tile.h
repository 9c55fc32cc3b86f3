// The register tile of conv_channels.h, pixels by output channels, and the two turns it asks for:
// weights packed across, sums stored across. In AVX-512 both go 16 x 4 at a time.
#pragma once

#include "cpu/gemm_pack.h"
#include "cpu/gemm_tile.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kSumRows = (kTileRows + 3) / 4 * 4;  // turned four by four
template <class T>
constexpr int64_t kSumSize = kSumRows * kTileCols<T>;

// What later tiles read: a line is fetched into L2 at every step. `step` is 0 when there is nothing
// to fetch. Weights of few pixels come from memory or the last cache, 32 rows of them at a time:
// waiting for them would take as long as multiplying.
template <class T>
struct Ahead {
  const T* const* line;
  int64_t step;
};

// sums[i][j] = start[i][j] + the products of M pixels from x with NV vectors of weights.
template <class T, int M, int NV>
__attribute__((noinline)) void channel_tile(const T* x, int64_t channels, int64_t plane,
                                            const int64_t* offset, int64_t taps, const T* w,
                                            const T* start, int64_t start_row, T* sums,
                                            Ahead<T> ahead) {
  Vec<T> sum[M][NV];
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) sum[i][j] = load<T>(start + i * start_row + j * kLanes<T>);
  for (; channels > 0; --channels, x += plane) {
#pragma GCC unroll 1
    for (int64_t tap = 0; tap < taps; ++tap, w += kTileCols<T>) {
      const T* a = x + offset[tap];
      __builtin_prefetch(*ahead.line, 0, 2);
      ahead.line += ahead.step;
      Vec<T> right[NV];
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) right[j] = load<T>(w + j * kLanes<T>);
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i) {
        const Vec<T> left = splat<T>(a[i]);
#pragma GCC unroll 8
        for (int j = 0; j < NV; ++j) sum[i][j] += left * right[j];
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) store<T>(sums + i * kTileCols<T> + j * kLanes<T>, sum[i][j]);
}

template <class T>
using ChannelFunction = void (*)(const T* x, int64_t channels, int64_t plane, const int64_t* offset,
                                 int64_t taps, const T* w, const T* start, int64_t start_row,
                                 T* sums, Ahead<T> ahead);
template <class T>
struct ChannelTable {
  ChannelFunction<T> of[kTileVectors][kTileRows];  // [vectors - 1][pixels - 1]
};
template <class T, int M, int NV>
constexpr void fill_channel(ChannelTable<T>& table) {
  table.of[NV - 1][M - 1] = &channel_tile<T, M, NV>;
  if constexpr (M > 1)
    fill_channel<T, M - 1, NV>(table);
  else if constexpr (NV > 1)
    fill_channel<T, kTileRows, NV - 1>(table);
}
template <class T>
constexpr ChannelTable<T> make_channel() {
  ChannelTable<T> table{};
  fill_channel<T, kTileRows, kTileVectors>(table);
  return table;
}
template <class T>
constexpr ChannelTable<T> kChannel = make_channel<T>();

#if defined(__AVX512F__)
// turned[t][r] = from[r * row + t] for 16 rows r and 4 columns t. Lanes of 128 bits are gathered
// by loads, so that two rounds of shuffles remain: 10 cycles.
DLCORE_INLINE void turn_quad(const float* from, int64_t row, __m512* turned) {
  __m512 r[4];
#  pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    r[j] = _mm512_castps128_ps512(_mm_loadu_ps(from + j * row));
    r[j] = _mm512_mask_broadcast_f32x4(r[j], 0x00f0, _mm_loadu_ps(from + (j + 4) * row));
    r[j] = _mm512_mask_broadcast_f32x4(r[j], 0x0f00, _mm_loadu_ps(from + (j + 8) * row));
    r[j] = _mm512_mask_broadcast_f32x4(r[j], 0xf000, _mm_loadu_ps(from + (j + 12) * row));
  }
  const __m512 low01 = _mm512_unpacklo_ps(r[0], r[1]), high01 = _mm512_unpackhi_ps(r[0], r[1]);
  const __m512 low23 = _mm512_unpacklo_ps(r[2], r[3]), high23 = _mm512_unpackhi_ps(r[2], r[3]);
  const auto join = [](__m512 a, __m512 b, bool high) __attribute__((always_inline)) {
    const __m512d p = _mm512_castps_pd(a), q = _mm512_castps_pd(b);
    return _mm512_castpd_ps(high ? _mm512_unpackhi_pd(p, q) : _mm512_unpacklo_pd(p, q));
  };
  turned[0] = join(low01, low23, false);
  turned[1] = join(low01, low23, true);
  turned[2] = join(high01, high23, false);
  turned[3] = join(high01, high23, true);
}
#endif

// panel[p * kTileCols + r] = from[r * row + p] for r < rows, p < n; whole vectors of the panel are
// written, so that lanes from `rows` on are zero.
template <class T>
DLCORE_INLINE void pack_across(const T* from, int64_t row, int64_t rows, int64_t n, T* panel) {
  constexpr int64_t kCols = kTileCols<T>;
  int64_t r = 0;
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    for (; r + 16 <= rows; r += 16) {
      int64_t p = 0;
      for (; p + 4 <= n; p += 4) {
        __m512 turned[4];
        turn_quad(from + r * row + p, row, turned);
        for (int t = 0; t < 4; ++t) _mm512_storeu_ps(panel + (p + t) * kCols + r, turned[t]);
      }
      if (p < n && n >= 4) {  // once more, from the end
        __m512 turned[4];
        turn_quad(from + r * row + n - 4, row, turned);
        for (int t = 0; t < 4; ++t) _mm512_storeu_ps(panel + (n - 4 + t) * kCols + r, turned[t]);
        p = n;
      }
      for (; p < n; ++p)
        for (int64_t i = r; i < r + 16; ++i) panel[p * kCols + i] = from[i * row + p];
    }
#endif
  transpose<T>(from + r * row, row, rows - r, n, panel + r, kCols);
  if (rows < kCols)
    for (int64_t p = 0; p < n; ++p)
      for (int64_t i = rows; i < kCols; ++i) panel[p * kCols + i] = T(0);
}

// y[c * y_row + i] = sums[i * kTileCols + c] for i < m, c < n.
template <class T>
DLCORE_INLINE void store_across(const T* sums, int64_t m, int64_t n, T* y, int64_t y_row) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    const __mmask16 mask = first_lanes(m, T());
    for (int64_t c = 0; c < n; c += 4) {
      __m512 turned[4];
      turn_quad(sums + c, kTileCols<T>, turned);
      for (int64_t t = 0; t < smaller(4, n - c); ++t)
        _mm512_mask_storeu_ps(y + (c + t) * y_row, mask, turned[t]);
    }
    return;
  }
#endif
  transpose<T>(sums, kTileCols<T>, m, n, y, y_row);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
