// Depthwise 3 x 3 convolution and its gradients by strips, float32 with AVX-512. A strip is a
// vector of results wide and runs down a plane, so that every row of x is loaded once. x lies where
// it lies: masks that a strip keeps leave out the padding, and what the taps read side by side is
// shifted and parted in registers.
#pragma once

#include "cpu/conv_depthwise_rows.h"

#if defined(__AVX512F__)

namespace dlcore {
namespace DLCORE_ISA {
namespace {

using Line = Vec<float>;
constexpr int64_t kLine = kLanes<float>;

// The lanes l with 0 <= at + l < n.
DLCORE_INLINE __mmask16 lanes_inside(int64_t at, int64_t n) {
  const auto first = [](int64_t k) { return first_lanes(smaller(larger(k, 0), kLine), 0.f); };
  return first(n - at) & ~first(-at);
}
DLCORE_INLINE Line load_lanes(__mmask16 lanes, const float* p) {
  return Line(_mm512_maskz_loadu_ps(lanes, p));
}
// Lanes kFrom.. of low, then of high.
template <int kFrom>
DLCORE_INLINE Line joined(Line high, Line low) {
  return Line(_mm512_alignr_epi32(__m512i(high), __m512i(low), kFrom));
}
DLCORE_INLINE Line fma_lanes(__mmask16 lanes, Line a, Line b, Line sum) {
  return Line(_mm512_mask3_fmadd_ps(__m512(a), __m512(b), __m512(sum), lanes));
}

// read() gives what a row of taps reads of a row of x, `row` being where the first result's first
// tap reads. Rows `ahead`, of the next block, are asked for meanwhile.

// Results of one plane.
struct OneStrip {
  static constexpr int64_t kPlanes = 1;
  int64_t ahead;
  __mmask16 here, next, results;

  DLCORE_INLINE_MEMBER Line load(const float* p) const { return load_lanes(results, p); }
  DLCORE_INLINE_MEMBER void store(float* p, Line v) const {
    _mm512_mask_storeu_ps(p, results, __m512(v));
  }
};

// Stride 1.
struct ShiftedStrip : OneStrip {
  static constexpr int64_t kStride = 1;

  ShiftedStrip(const Conv2d& c, int64_t j, int64_t block, bool) {
    ahead = block * c.width;
    here = lanes_inside(j - c.pad_left, c.width);
    next = lanes_inside(j - c.pad_left + kLine, c.width);
    results = lanes_inside(j, c.out_w);
  }
  DLCORE_INLINE_MEMBER void read(const float* row, Line* taps) const {
    const Line after = load_lanes(next, row + kLine);
    __builtin_prefetch(row + ahead);
    taps[0] = load_lanes(here, row);
    taps[1] = joined<1>(after, taps[0]);
    taps[2] = joined<2>(after, taps[0]);
  }
};

// Stride 2.
struct PartedStrip : OneStrip {
  static constexpr int64_t kStride = 2;
  __mmask16 before;

  PartedStrip(const Conv2d& c, int64_t j, int64_t block, bool) {
    ahead = block * 2 * c.width;
    const int64_t at = 2 * j - c.pad_left;
    before = lanes_inside(at - 15, c.width) & 0x8000;
    here = lanes_inside(at + 1, c.width);
    next = lanes_inside(at + 1 + kLine, c.width);
    results = lanes_inside(j, c.out_w);
  }
  DLCORE_INLINE_MEMBER void read(const float* row, Line* taps) const {
    const Line a = load_lanes(here, row + 1), b = load_lanes(next, row + 1 + kLine);
    __builtin_prefetch(row + ahead);
    __builtin_prefetch(row + ahead + kLine);
    taps[1] = even_of(a, b, AllLanes<float>{});
    taps[2] = odd_of(a, b, AllLanes<float>{});
    taps[0] = joined<15>(taps[2], load_lanes(before, row - 15));
  }
};

// Stride 1, rows of at most 7 as wide as those of x: a row of one plane and a row of the next
// (unless the plane is the `last`), each with a zero behind it.
struct TwinStrip {
  static constexpr int64_t kStride = 1, kPlanes = 2, kApart = kLine / 2;
  int64_t ahead, source, target;  // of the next plane, so that it falls into the upper lanes
  __mmask16 lower, upper, results;

  TwinStrip(const Conv2d& c, int64_t, int64_t, bool last) {
    ahead = 8 * c.height * c.width;
    source = c.height * c.width - kApart, target = c.out_h * c.out_w - kApart;
    lower = lanes_inside(0, c.width);
    upper = last ? __mmask16(0) : static_cast<__mmask16>(lower << kApart);
    results = lower | upper;
  }
  DLCORE_INLINE_MEMBER Line both(const float* p, int64_t next) const {
    return Line(_mm512_mask_loadu_ps(__m512(load_lanes(lower, p)), upper, p + next));
  }
  DLCORE_INLINE_MEMBER void read(const float* row, Line* taps) const {
    __builtin_prefetch(row + ahead);
    taps[1] = both(row + 1, source);
    taps[0] = joined<15>(taps[1], Line{});
    taps[2] = joined<1>(Line{}, taps[1]);
  }
  DLCORE_INLINE_MEMBER Line load(const float* p) const { return both(p, target); }
  DLCORE_INLINE_MEMBER void store(float* p, Line v) const {
    _mm512_mask_storeu_ps(p, lower, __m512(v));
    _mm512_mask_storeu_ps(p + target, upper, __m512(v));
  }
};

DLCORE_INLINE bool is_twin(const Conv2d& c) {
  return c.stride_w == 1 && c.width < kLine / 2 && c.out_w == c.width && c.pad_left == 1 &&
         c.out_channels == c.channels;
}

DLCORE_INLINE Line row_sum(const Line* w, const Line* taps, Line sum) {
  return sum + w[0] * taps[0] + w[1] * taps[1] + w[2] * taps[2];
}

// What the results of a plane are made of.
struct StripSums {
  Line w[9], start, low, high;
  bool bounded;  // a branch costs less than two comparisons, which take the multiplications' ports

  DLCORE_INLINE_MEMBER Line limited(Line v) const {
    return bounded ? min<float>(high, max<float>(low, v)) : v;
  }
};

// Rows first..first+n-1 of the strip at column j.
template <class Strip>
DLCORE_INLINE void forward_strip(const Conv2d& c, const Strip& strip, const StripSums& s,
                                 const float* x, int64_t first, int64_t n, int64_t j, float* y) {
  const int64_t height = c.height, width = c.width, out_w = c.out_w;
  const auto seen = [=](int64_t h) { return h >= 0 && h < height; };
  int64_t h = first * Strip::kStride - c.pad_top;
  const float* row = x + h * width + j * Strip::kStride - c.pad_left;
  float* to = y + first * out_w + j;
  Line taps[3], sum = s.start;
  if constexpr (Strip::kStride == 1) {
    Line next = s.start;
    for (int64_t i = -2; i < n; ++i, ++h, row += width) {
      Line done = sum;
      sum = next, next = s.start;
      if (seen(h)) {
        strip.read(row, taps);
        done = row_sum(s.w + 6, taps, done);
        sum = row_sum(s.w + 3, taps, sum);
        next = row_sum(s.w, taps, next);
      }
      if (i < 0) continue;
      strip.store(to, s.limited(done));
      to += out_w;
    }
  } else {
    if (seen(h)) {
      strip.read(row, taps);
      sum = row_sum(s.w, taps, sum);
    }
    for (int64_t i = 0; i < n; ++i, to += out_w) {
      Line next = s.start;
      if (seen(++h)) {
        strip.read(row + width, taps);
        sum = row_sum(s.w + 3, taps, sum);
      }
      row += 2 * width;
      if (seen(++h)) {
        strip.read(row, taps);
        sum = row_sum(s.w + 6, taps, sum);
        next = row_sum(s.w, taps, next);
      }
      strip.store(to, s.limited(sum));
      sum = next;
    }
  }
}

// Rows of results between which strips turn back: their x and y stay in L1.
DLCORE_INLINE Groups strip_rows(const Conv2d& c) {
  return balanced(c.out_h, larger(8, (4 << 10) / (c.stride_w * c.out_w)));
}
DLCORE_INLINE int64_t strip_cost(const Conv2d& c, int64_t rows) {
  return (rows + 2) * ceil_div(c.out_w, kLine) * 12 * (1 + c.stride_w);
}

// What belongs to a plane and to the next, in the lanes of each.
template <class Strip>
DLCORE_INLINE Line of_planes(float plane, float next) {
  if constexpr (Strip::kPlanes == 1) return splat<float>(plane);
  return Line(_mm512_mask_mov_ps(__m512(splat<float>(plane)), 0xff00, __m512(splat<float>(next))));
}

// Blocks begin..end-1 of rows of planes.
template <class Strip>
__attribute__((noinline)) void forward_strips(const PlaneCall<float>& call, const Groups& rows,
                                              int64_t begin, int64_t end) {
  const Conv2d c = call.c;
  const Limits<float> limits(call.finish);
  const Strip leftmost(c, 0, rows.size, false);
  StripSums s;
  s.low = splat<float>(limits.low), s.high = splat<float>(limits.high);
  s.bounded = limits.low == 0;
  for (int64_t item = begin; item < end; ++item) {
    const int64_t plane = item / rows.count * Strip::kPlanes;
    const bool last = plane + Strip::kPlanes > c.batch * c.out_channels;
    const int64_t first = rows.begin(item % rows.count);
    const int64_t n = rows.begin(item % rows.count + 1) - first;
    const float *const weight = call.weights(plane), *const next = call.weights(plane + 1);
#  pragma GCC unroll 9
    for (int t = 0; t < 9; ++t) {
      const int at = call.backward ? 8 - t : t;
      s.w[t] = of_planes<Strip>(weight[at], next[at]);
    }
    s.start = of_planes<Strip>(call.start(plane), call.start(plane + 1));
    float* const y = call.y + plane * c.out_h * c.out_w;
    for (int64_t j = 0; j < c.out_w; j += kLine)
      forward_strip<Strip>(c, j == 0 && !last ? leftmost : Strip(c, j, rows.size, last), s,
                           call.source(plane), first, n, j, y);
    if (!limits.all)
      finish_rows(call.finish, call.y, (plane * c.out_h + first) * c.out_w, Strip::kPlanes - last,
                  n * c.out_w, c.out_h * c.out_w);
  }
}

DLCORE_INLINE void forward_planes(const PlaneCall<float>& call) {
  const Conv2d& c = call.c;
  const bool twin = is_twin(c);
  const auto run = c.stride_w == 2 ? forward_strips<PartedStrip>
                   : twin          ? forward_strips<TwinStrip>
                                   : forward_strips<ShiftedStrip>;
  const Groups rows = strip_rows(c);
  const int64_t planes = ceil_div(c.batch * c.out_channels, 1 + twin);
  parallel_for(planes * rows.count, grain_for(strip_cost(c, rows.size)),
               [&](int64_t begin, int64_t end) { run(call, rows, begin, end); });
}

// dx of a stride of 2: two rows of dx, 2 i - pad_top and the next, come of rows i and i - 1 of dy,
// and 32 columns, from 2 j - pad_left on, of columns j - 1 to j + 15.
DLCORE_INLINE void data_strip(const Conv2d& c, const Line* w, const float* dy, int64_t first,
                              int64_t n, int64_t j, float* dx) {
  const int64_t out_w = c.out_w, width = c.width, at = 2 * j - c.pad_left;
  const __mmask16 here = lanes_inside(j, out_w), left = lanes_inside(j - 1, out_w);
  const __mmask16 low = lanes_inside(at, width), high = lanes_inside(at + kLine, width);
  const AllLanes<float> all;
  const auto seen = [&](int64_t i) { return i >= 0 && i < c.out_h; };
  const auto store = [&](int64_t h, Line even, Line odd) __attribute__((always_inline)) {
    if (h < 0 || h >= c.height) return;
    float* const to = dx + h * width + at;
    _mm512_mask_storeu_ps(to, low, __m512(zip_low_of(even, odd, all)));
    _mm512_mask_storeu_ps(to + kLine, high, __m512(zip_high_of(even, odd, all)));
  };
  Line above = {}, above_left = {};
  for (int64_t i = first - 1; i < first + n; ++i) {
    const float* const from = dy + i * out_w + j;
    const Line a = seen(i) ? load_lanes(here, from) : Line{};
    const Line b = seen(i) ? load_lanes(left, from - 1) : Line{};
    if (i >= first) {
      store(2 * i - c.pad_top, w[0] * a + w[2] * b + w[6] * above + w[8] * above_left,
            w[1] * a + w[7] * above);
      store(2 * i + 1 - c.pad_top, w[3] * a + w[5] * b, w[4] * a);
    }
    above = a, above_left = b;
  }
}

DLCORE_INLINE void data_planes(const Conv2d& c, const float* dy, const float* weight, float* dx) {
  const int64_t top = c.pad_top / 2;
  const Groups rows =
      balanced(ceil_div(c.pad_top + c.height, 2) - top, larger(8, (2 << 10) / c.width));
  const int64_t cost = 2 * strip_cost(c, rows.size);
  parallel_for(c.batch * c.channels * rows.count, grain_for(cost), [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t plane = item / rows.count, first = rows.begin(item % rows.count);
      const int64_t n = rows.begin(item % rows.count + 1) - first;
      Line w[9];
#  pragma GCC unroll 9
      for (int t = 0; t < 9; ++t) w[t] = splat<float>(weight[plane % c.channels * 9 + t]);
      for (int64_t j = 0; 2 * j < c.pad_left + c.width; j += kLine)
        data_strip(c, w, dy + plane * c.out_h * c.out_w, top + first, n, j,
                   dx + plane * c.height * c.width);
    }
  });
}

DLCORE_INLINE bool strips_pay(const Conv2d& c) {
  return has_fast_taps<float>(c) && c.stride_h == c.stride_w && c.stride_h <= 2;
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore

#endif
