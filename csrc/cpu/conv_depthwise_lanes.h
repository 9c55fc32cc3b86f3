// Depthwise convolution with channels in the lanes: kLanes planes are transposed with their padding
// around them, and a pixel of all of them is one vector. A vector is full however narrow the plane,
// whatever the stride and the kernel; for that, 2 of some 9 cycles a pixel go into transposing.
#pragma once

#include "cpu/conv_depthwise.h"
#include "cpu/conv_finish.h"
#include "cpu/gemm_pack.h"
#include "cpu/scratch.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kLaneBytes = 64 << 10;  // of a band of padded rows: some of L2

// The planes in memory, in pixels of kLanes numbers: what the windows of a band of rows reach.
template <class T>
struct LanePlanes {
  static constexpr int64_t L = kLanes<T>;
  const Conv3d& v;
  const Conv2d& c;
  int64_t row, taps, groups;
  int64_t left, width;  // of x that is seen
  Groups bands;         // of rows of results
  int64_t band, rows;   // the most rows of results, of x

  explicit LanePlanes(const Conv3d& v) : v(v), c(v.plane) {
    row = (c.out_w - 1) * c.stride_w + (c.kernel_w - 1) * c.dilation_w + 1;
    taps = v.kernel_d * c.kernel_h * c.kernel_w;
    groups = ceil_div(c.channels, L);
    left = larger(0, -c.pad_left);
    width = larger(0, smaller(c.width, row - c.pad_left) - left);
    const int64_t bytes = v.kernel_d * row * L * static_cast<int64_t>(sizeof(T));
    const int64_t fit = (kLaneBytes / bytes - under(1)) / c.stride_h + 1;
    bands = balanced(c.out_h, larger(8, fit));
    band = bands.size + (bands.larger > 0);
    rows = under(band);
  }
  int64_t under(int64_t n) const {
    return (n - 1) * c.stride_h + (c.kernel_h - 1) * c.dilation_h + 1;
  }
  bool narrow() const { return width < kLineElements<T> / 2; }
  int64_t slab() const { return rows * row * L; }  // of one depth
  int64_t size() const { return v.kernel_d * slab() + narrow() * rows * c.width * L; }
  int64_t volume() const { return v.depth * c.height * c.width; }
  int64_t results() const { return v.out_d * c.out_h * c.out_w; }

  // What the rows first..first+n-1 of results at depth od reach of the channels from x on. Zeros at
  // the ends of rows are there already. Narrow rows are transposed together and then parted.
  DLCORE_INLINE_MEMBER void fill(const T* x, int64_t lanes, int64_t od, int64_t first, int64_t n,
                                 T* to) const {
    T* const all = to + v.kernel_d * slab();
    const int64_t top = first * c.stride_h - c.pad_top, bottom = top + under(n);
    const int64_t begin = larger(top, 0), end = smaller(bottom, c.height);
    for (int64_t q = 0; q < v.kernel_d; ++q, to += slab()) {
      const int64_t z = od * v.stride_d - v.pad_front + q * v.dilation_d;
      if (z < 0 || z >= v.depth || begin >= end) {
        fill_row<T>(T(0), under(n) * row * L, to);
        continue;
      }
      const T* const plane = x + z * c.height * c.width;
      fill_row<T>(T(0), (begin - top) * row * L, to);
      fill_row<T>(T(0), (bottom - end) * row * L, to + (end - top) * row * L);
      if (narrow()) turn(plane + begin * c.width, volume(), lanes, (end - begin) * c.width, all, L);
      for (int64_t h = begin; h < end; ++h) {
        T* const pixels = to + ((h - top) * row + left + c.pad_left) * L;
        if (narrow())
          copy_row<T>(all + ((h - begin) * c.width + left) * L, width * L, pixels);
        else
          turn(plane + h * c.width + left, volume(), lanes, width, pixels, L);
      }
    }
  }
  // Eight short streams are more than the hardware foresees.
  static DLCORE_INLINE_MEMBER void fetch(const T* x, int64_t n) {
    for (int64_t i = 0; i < n; i += kLineElements<T>) __builtin_prefetch(x + i);
  }
  // Where each tap reads, counted from the pixel's first; 0 for taps behind the last.
  void offsets(int64_t n, int64_t* to) const {
    for (int64_t t = 0; t < n; ++t) {
      const int64_t q = t / c.kernel_w / c.kernel_h, r = t / c.kernel_w % c.kernel_h;
      const int64_t at = r * c.dilation_h * row + t % c.kernel_w * c.dilation_w;
      to[t] = t < taps ? q * slab() + at * L : 0;
    }
  }
  static __attribute__((noinline)) void turn(const T* from, int64_t from_row, int64_t rows,
                                             int64_t columns, T* to, int64_t to_row) {
    transpose<T>(from, from_row, rows, columns, to, to_row);
  }
};

// What the pixels of a row of results have in common.
template <class T>
struct LaneRow {
  int64_t step, down, deep;  // numbers of x from pixel to pixel, to the taps a row and a slab on
  int64_t kernel_d, kernel_h, taps;
  const T* w;
  const int64_t* offset;
  Vec<T> start;
  Limits<T> limits;
};

// N pixels of results: a weight that is loaded serves all of them. With K taps in a row, kStride
// pixels apart, so does an element of x.
template <class T, int N, int K, int kStride>
DLCORE_INLINE void lane_pixels(const T* x, const LaneRow<T>& r, T* to) {
  constexpr int64_t L = kLanes<T>;
  Vec<T> sum[N];
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p) sum[p] = r.start;
  if constexpr (K > 0) {
    const T* weights = r.w;
    for (int64_t d = 0; d < r.kernel_d; ++d, x += r.deep) {
      const T* from = x;
      for (int64_t i = 0; i < r.kernel_h; ++i, from += r.down, weights += K * L) {
        Vec<T> w[K];
#pragma GCC unroll 8
        for (int s = 0; s < K; ++s) w[s] = load<T>(weights + s * L);
#pragma GCC unroll 32
        for (int q = 0; q < (N - 1) * kStride + K; ++q) {
          const Vec<T> v = load<T>(from + q * L);
#pragma GCC unroll 8
          for (int s = 0; s < K; ++s)
            if (q >= s && (q - s) % kStride == 0 && (q - s) / kStride < N)
              sum[(q - s) / kStride] += w[s] * v;
        }
      }
    }
  } else {
    for (int64_t t = 0; t < r.taps; ++t) {
      const Vec<T> w = load<T>(r.w + t * L);
      const T* from = x + r.offset[t];
#pragma GCC unroll 8
      for (int p = 0; p < N; ++p) sum[p] += w * load<T>(from + p * r.step);
    }
  }
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p) store<T>(to + p * L, r.limits.of(sum[p]));
}

// A row of n results; the last pixels are computed again where they end it.
template <class T, int N, int K = 0, int kStride = 1>
__attribute__((noinline)) void lane_row(const T* x, const LaneRow<T>& r, int64_t n, T* to) {
  for (int64_t j = 0; j < n; j += N) {
    const int64_t at = smaller(j, n - N);
    lane_pixels<T, N, K, kStride>(x + at * r.step, r, to + at * kLanes<T>);
  }
}

// Most planes in practice are a multiple of 7 wide.
template <class T>
DLCORE_INLINE auto lane_row_for(const Conv3d& v) {
  const Conv2d& c = v.plane;
  if (c.out_w < 4) return lane_row<T, 1>;
  if (c.out_w < 7) return lane_row<T, 4>;
  if (c.dilation_w == 1 && c.stride_w == 1) {
    if (c.kernel_w == 3) return lane_row<T, 7, 3, 1>;
    if (c.kernel_w == 5) return lane_row<T, 7, 5, 1>;
    if (c.kernel_w == 7) return lane_row<T, 7, 7, 1>;
  }
  if (c.dilation_w == 1 && c.stride_w == 2) {
    if (c.kernel_w == 3) return lane_row<T, 7, 3, 2>;
    if (c.kernel_w == 5) return lane_row<T, 7, 5, 2>;
  }
  return lane_row<T, 7>;
}

// y = convolution of x, of as many channels; `backward`: with the taps backwards.
template <class T>
DLCORE_INLINE void lanes_forward(const Conv3d& v, const T* x, const T* weight, const T* bias, T* y,
                                 bool backward, const Finish<T>& finish) {
  constexpr int64_t L = kLanes<T>, kSize = static_cast<int64_t>(sizeof(T));
  const Conv2d& c = v.plane;
  const LanePlanes<T> planes(v);
  const int64_t taps = planes.taps, volume = planes.volume(), bands = planes.bands.count;
  const int64_t items = v.out_d * bands;  // of some channels
  const auto run = lane_row_for<T>(v);
  const Limits<T> limits(finish);
  const int64_t cost =
      (v.kernel_d * planes.rows * c.width + planes.band * c.out_w * (taps + 4)) * 3;
  parallel_for(c.batch * planes.groups * items, grain_for(cost), [&](int64_t begin, int64_t end) {
    const int64_t room = taps + 1 + planes.band * c.out_w;
    Scratch scratch((planes.size() + room * L) * kSize + taps * 8 + 5 * 64);
    T* const all = scratch.take<T>(planes.size());
    T* const w = scratch.take<T>(taps * L);
    T* const start = scratch.take<T>(L);
    T* const results = scratch.take<T>(planes.band * c.out_w * L);
    int64_t* const offset = scratch.take<int64_t>(taps);
    planes.offsets(taps, offset);
    fill_row<T>(T(0), planes.size(), all);
    fill_row<T>(T(0), taps * L, w);
    fill_row<T>(T(0), L, start);
    for (int64_t item = begin; item < end; ++item) {
      const int64_t first = item / items % planes.groups * L;
      const int64_t channel = item / items / planes.groups * c.channels + first;
      const int64_t od = item / bands % v.out_d;
      const int64_t lanes = smaller(L, c.channels - first);
      const int64_t i = planes.bands.begin(item % bands);
      const int64_t n = planes.bands.begin(item % bands + 1) - i;
      planes.turn(weight + first * taps, taps, lanes, taps, w, L);
      for (int64_t t = 0; backward && t < taps / 2; ++t) {
        const Vec<T> v = load<T>(w + t * L);
        store<T>(w + t * L, load<T>(w + (taps - 1 - t) * L));
        store<T>(w + (taps - 1 - t) * L, v);
      }
      if (bias) copy_row<T>(bias + first, lanes, start);
      planes.fill(x + channel * volume, lanes, od, i, n, all);
      if (items == 1 && item + 1 < end)
        planes.fetch(x + (channel + L) * volume,
                     smaller(L, c.batch * c.channels - channel - L) * volume);
      const LaneRow<T> row{c.stride_w * L,
                           c.dilation_h * planes.row * L,
                           planes.slab(),
                           v.kernel_d,
                           c.kernel_h,
                           taps,
                           w,
                           offset,
                           load<T>(start),
                           limits};
      for (int64_t r = 0; r < n; ++r)
        run(all + r * c.stride_h * planes.row * L, row, c.out_w, results + r * c.out_w * L);
      const int64_t to = channel * planes.results() + (od * c.out_h + i) * c.out_w;
      planes.turn(results, L, n * c.out_w, lanes, y + to, planes.results());
      if (!limits.all) finish_rows(finish, y, to, lanes, n * c.out_w, planes.results());
    }
  });
}

// sums[t] += dy times what tap t reads, for kLaneTaps taps and a row of n pixels.
constexpr int kLaneTaps = 9;

template <class T>
__attribute__((noinline)) void lane_taps(const T* x, int64_t x_row, int64_t step,
                                         const int64_t* offset, const T* dy, int64_t rows,
                                         int64_t n, T* sums) {
  constexpr int64_t L = kLanes<T>;
  Vec<T> sum[kLaneTaps];
  const T* from[kLaneTaps];
#pragma GCC unroll 9
  for (int t = 0; t < kLaneTaps; ++t) sum[t] = load<T>(sums + t * L);
  for (int64_t i = 0; i < rows; ++i) {
#pragma GCC unroll 9
    for (int t = 0; t < kLaneTaps; ++t) from[t] = x + i * x_row + offset[t];
    for (int64_t j = 0; j < n; ++j, dy += L) {
      const Vec<T> g = load<T>(dy);
#pragma GCC unroll 9
      for (int t = 0; t < kLaneTaps; ++t) sum[t] += g * load<T>(from[t] + j * step);
    }
  }
#pragma GCC unroll 9
  for (int t = 0; t < kLaneTaps; ++t) store<T>(sums + t * L, sum[t]);
}

template <class T>
DLCORE_INLINE void lanes_weight_gradient(const Conv3d& v, const T* x, const T* dy, T* dw, T* db) {
  constexpr int64_t L = kLanes<T>, kSize = static_cast<int64_t>(sizeof(T));
  const Conv2d& c = v.plane;
  const LanePlanes<T> planes(v);
  const int64_t taps = planes.taps, room = round_up(taps, kLaneTaps);
  const int64_t volume = planes.volume(), pixels = planes.results(), bands = planes.bands.count;
  const int64_t items = v.out_d * bands;
  const int64_t cost = c.batch * (v.kernel_d * volume + pixels * (room + 2)) * 3;
  parallel_for(planes.groups, grain_for(cost), [&](int64_t begin, int64_t end) {
    const int64_t results = planes.band * c.out_w;
    Scratch scratch((planes.size() + (room + results) * L) * kSize + room * 8 + 4 * 64);
    T* const all = scratch.take<T>(planes.size());
    T* const sums = scratch.take<T>(room * L);
    T* const g = scratch.take<T>(results * L);
    int64_t* const offset = scratch.take<int64_t>(room);
    planes.offsets(room, offset);
    fill_row<T>(T(0), planes.size(), all);
    fill_row<T>(T(0), results * L, g);
    for (int64_t group = begin; group < end; ++group) {
      const int64_t first = group * L, lanes = smaller(L, c.channels - first);
      fill_row<T>(T(0), room * L, sums);
      Vec<T> total{};
      for (int64_t item = 0; item < c.batch * items; ++item) {
        const int64_t channel = item / items * c.channels + first, od = item / bands % v.out_d;
        const int64_t i = planes.bands.begin(item % bands);
        const int64_t n = planes.bands.begin(item % bands + 1) - i;
        planes.fill(x + channel * volume, lanes, od, i, n, all);
        planes.turn(dy + channel * pixels + (od * c.out_h + i) * c.out_w, pixels, lanes,
                    n * c.out_w, g, L);
        if (items == 1 && item + 1 < c.batch) {
          planes.fetch(x + (channel + c.channels) * volume, lanes * volume);
          planes.fetch(dy + (channel + c.channels) * pixels, lanes * pixels);
        }
        for (int64_t i = 0; db && i < n * c.out_w; ++i) total += load<T>(g + i * L);
        for (int64_t t = 0; t < room; t += kLaneTaps)
          lane_taps<T>(all, c.stride_h * planes.row * L, c.stride_w * L, offset + t, g, n, c.out_w,
                       sums + t * L);
      }
      planes.turn(sums, L, taps, lanes, dw + first * taps, taps);
      if (db) store_part<T>(db + first, lanes, total);
    }
  });
}

// Whether channels in the lanes pay: planes too narrow for the kernels along rows, kernels that
// these have no code for, and channels enough.
template <class T>
DLCORE_INLINE bool lanes_pay(const Conv3d& v) {
  const Conv2d& c = v.plane;
  if (!kIsFloat<T> || c.out_channels != c.channels || c.groups != c.channels ||
      2 * c.channels < kLanes<T> || c.batch == 0)
    return false;
  const LanePlanes<T> planes(v);
  if (planes.size() * static_cast<int64_t>(sizeof(T)) > 2 * kLaneBytes || c.out_h < 2) return false;
  if (v.kernel_d > 1 || c.stride_h != c.stride_w || c.stride_h > 2) return true;
  return !has_fast_taps<T>(c) || (!kHasStrips && c.out_w <= 14);
}

DLCORE_INLINE Conv3d one_deep(const Conv2d& c) {
  return {c, 1, 1, 1, 1, 1, 0};
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
