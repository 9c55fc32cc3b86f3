// The gradients of the weight and the bias of a depthwise convolution by strips; see
// conv_depthwise_strips.h.
#pragma once

#include "cpu/conv_depthwise_strips.h"

#if defined(__AVX512F__)

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// sums[0..8] += dy times what the taps read, sums[9] += dy, of the rows first..first+n-1 of the
// strip at column j. Only lanes and rows of results count: behind them x may hold what times 0 is
// not 0.
template <class Strip>
DLCORE_INLINE void weight_strip(const Conv2d& c, const Strip& strip, const float* x,
                                const float* dy, int64_t first, int64_t n, int64_t j, Line* sums) {
  const int64_t height = c.height, width = c.width, out_w = c.out_w;
  const auto seen = [=](int64_t h) { return h >= 0 && h < height; };
  const auto add = [&](int r, __mmask16 lanes, Line g, const Line* taps)
                       __attribute__((always_inline)) {
#  pragma GCC unroll 3
                         for (int s = 0; s < 3; ++s)
                           sums[3 * r + s] = fma_lanes(lanes, g, taps[s], sums[3 * r + s]);
                       };
  int64_t h = first * Strip::kStride - c.pad_top;
  const float* row = x + h * width + j * Strip::kStride - c.pad_left;
  const float* from = dy + first * out_w + j;
  Line taps[3];
  if constexpr (Strip::kStride == 1) {
    Line g1{}, g2{};
    __mmask16 lanes1 = 0, lanes2 = 0;
    for (int64_t i = 0; i < n + 2; ++i, ++h, row += width, from += out_w) {
      const __mmask16 lanes = i < n ? strip.results : __mmask16(0);
      const Line g = i < n ? strip.load(from) : Line{};
      sums[9] += g;
      __builtin_prefetch(from + strip.ahead);
      if (seen(h)) {
        strip.read(row, taps);
        add(0, lanes, g, taps);
        add(1, lanes1, g1, taps);
        add(2, lanes2, g2, taps);
      }
      g2 = g1, g1 = g, lanes2 = lanes1, lanes1 = lanes;
    }
  } else {
    Line g = strip.load(from);
    sums[9] += g;
    if (seen(h)) {
      strip.read(row, taps);
      add(0, strip.results, g, taps);
    }
    for (int64_t i = 1; i <= n; ++i) {
      const __mmask16 lanes = i < n ? strip.results : __mmask16(0);
      const Line next = i < n ? strip.load(from += out_w) : Line{};
      sums[9] += next;
      if (seen(++h)) {
        strip.read(row + width, taps);
        add(1, strip.results, g, taps);
      }
      row += 2 * width;
      if (seen(++h)) {
        strip.read(row, taps);
        add(2, strip.results, g, taps);
        add(0, lanes, next, taps);
      }
      g = next;
    }
  }
}

// The sums of the lanes of 4 vectors, in every lane of 128 bits the part of its own lanes.
DLCORE_INLINE Line add_quad(const Line* v) {
  const auto half = [](Line a, Line b) __attribute__((always_inline)) {
    return _mm512_castps_pd(_mm512_add_ps(_mm512_unpacklo_ps(__m512(a), __m512(b)),
                                          _mm512_unpackhi_ps(__m512(a), __m512(b))));
  };
  const __m512d p = half(v[0], v[1]), q = half(v[2], v[3]);
  return Line(_mm512_castpd_ps(_mm512_unpacklo_pd(p, q))) +
         Line(_mm512_castpd_ps(_mm512_unpackhi_pd(p, q)));
}

// dw of 9 taps and db, which may be null, of a plane, and of the next unless the plane is the last.
template <class Strip>
DLCORE_INLINE void store_sums(const Line* sums, bool last, float* dw, float* db) {
#  pragma GCC unroll 3
  for (int q = 0; q < 3; ++q) {
    __m512 v = __m512(add_quad(sums + 4 * q));
    v = _mm512_add_ps(v, _mm512_shuffle_f32x4(v, v, 0xb1));
    if (Strip::kPlanes == 1) v = _mm512_add_ps(v, _mm512_shuffle_f32x4(v, v, 0x4e));
    for (int64_t i = 0; i < Strip::kPlanes - last; ++i) {
      const __m128 of_plane = i ? _mm512_extractf32x4_ps(v, 2) : _mm512_castps512_ps128(v);
      if (q < 2)
        _mm_storeu_ps(dw + 9 * i + 4 * q, of_plane);
      else
        _mm_store_ss(dw + 9 * i + 8, of_plane);
      if (q == 2 && db) db[i] = of_plane[1];
    }
  }
}

// dw and db of the results' channels from begin to end, Strip::kPlanes at a time.
template <class Strip>
__attribute__((noinline)) void weight_strips(const Conv2d& call, const float* x, const float* dy,
                                             float* dw, float* db, int64_t begin, int64_t end) {
  const Conv2d c = call;
  const Groups rows = strip_rows(c);
  const Strip leftmost(c, 0, rows.size, false);
  for (int64_t k = begin * Strip::kPlanes; k < smaller(end * Strip::kPlanes, c.out_channels);
       k += Strip::kPlanes) {
    const bool last = k + Strip::kPlanes > c.out_channels;
    Line sums[12] = {};  // two more, for add_quad
    for (int64_t n = 0; n < c.batch; ++n) {
      const int64_t source = n * c.channels + k * c.channels / c.out_channels;
      for (int64_t b = 0; b < rows.count; ++b)
        for (int64_t j = 0; j < c.out_w; j += kLine)
          weight_strip<Strip>(c, j == 0 && !last ? leftmost : Strip(c, j, rows.size, last),
                              x + source * c.height * c.width,
                              dy + (n * c.out_channels + k) * c.out_h * c.out_w, rows.begin(b),
                              rows.begin(b + 1) - rows.begin(b), j, sums);
    }
    store_sums<Strip>(sums, last, dw + 9 * k, db ? db + k : nullptr);
  }
}

DLCORE_INLINE void weight_planes(const Conv2d& c, const float* x, const float* dy, float* dw,
                                 float* db) {
  const bool twin = is_twin(c);
  const auto run = c.stride_w == 2 ? weight_strips<PartedStrip>
                   : twin          ? weight_strips<TwinStrip>
                                   : weight_strips<ShiftedStrip>;
  parallel_for(ceil_div(c.out_channels, 1 + twin), grain_for(c.batch * strip_cost(c, c.out_h)),
               [&](int64_t begin, int64_t end) { run(c, x, dy, dw, db, begin, end); });
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore

#endif
