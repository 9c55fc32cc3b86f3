// Convolution with stride 1 and few output channels without columns, pixels along the lanes (for
// many see conv_channels.h): x is copied once into planes with their padding in place, rows of
// `row` elements. Output pixels are then one flat run of positions through those rows, and what tap
// (r, s) reads for neighbouring positions is neighbouring elements, a fixed distance further on:
// every operand of the register tile is one unaligned load. The positions between the end of an
// output row and the start of the next are computed and never stored: a waste of (row - out_w) /
// row, against columns packed once for every tap (conv.cpp).
//
// The sum over channels and taps stays in registers from the bias to the activation, in the same
// order however the work is cut.
//
// The gradient of x is the same with the channels exchanged and the taps read backwards.
#pragma once

#include "cpu/conv_finish.h"
#include "cpu/gemm_pack.h"
#include "cpu/rows.h"
#include "kernels/activation.h"
#include "kernels/conv.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int kMostVectors = 4;  // of positions in a tile of few rows
constexpr int kTileRegisters = (kTileRows + 1) * kTileVectors;  // sums and a row of B

// How many vectors of positions a tile of m rows has.
constexpr int direct_vectors(int64_t m) {
  int n = kMostVectors;
  while (n > 1 && (m + 1) * n > kTileRegisters) --n;
  return n;
}

}  // namespace

// A convolution with stride 1: of x with the weight, or of dy for the gradient of x.
struct Direct {
  int64_t batch, groups;
  int64_t channels, height, width;  // summed over; of one group
  int64_t rows, out_h, out_w;       // results; of one group
  int64_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
  bool backward;

  DLCORE_INLINE_MEMBER int64_t taps() const { return kernel_h * kernel_w; }
  DLCORE_INLINE_MEMBER int64_t window() const { return channels * taps(); }
  // A row is cut into phases: element i of the padded row is element i / stride_w of phase
  // i % stride_w.
  DLCORE_INLINE_MEMBER int64_t phase_size() const {
    return out_w + (kernel_w - 1) * dilation_w / stride_w;
  }
  DLCORE_INLINE_MEMBER int64_t row() const { return phase_size() * stride_w; }
  DLCORE_INLINE_MEMBER int64_t slab_rows(int64_t n) const {  // what n output rows read
    return (n - 1) * stride_h + (kernel_h - 1) * dilation_h + 1;
  }
  DLCORE_INLINE_MEMBER int64_t plane_rows() const { return slab_rows(out_h); }
  DLCORE_INLINE_MEMBER int64_t plane() const { return plane_rows() * row(); }
  DLCORE_INLINE_MEMBER int64_t positions() const { return (out_h - 1) * row() + out_w; }
  DLCORE_INLINE_MEMBER bool in_place() const {  // x needs no padding and no phases
    return taps() == 1 && stride_h == 1 && stride_w == 1 && pad_top == 0 && pad_left == 0 &&
           height == out_h && width == out_w;
  }
};

namespace {

// A 1x1 convolution that takes every pixel sees one long row.
DLCORE_INLINE Direct in_one_row(Direct d) {
  if (!d.in_place()) return d;
  d.width = d.out_w = d.height * d.width;
  d.height = d.out_h = 1;
  return d;
}

DLCORE_INLINE Direct direct_forward(const Conv2d& c) {
  return in_one_row({c.batch, c.groups, c.channels / c.groups, c.height, c.width,
                     c.out_channels / c.groups, c.out_h, c.out_w, c.kernel_h, c.kernel_w,
                     c.stride_h, c.stride_w, c.dilation_h, c.dilation_w, c.pad_top, c.pad_left,
                     false});
}
DLCORE_INLINE Direct direct_backward(const Conv2d& c) {
  return in_one_row({c.batch, c.groups, c.out_channels / c.groups, c.out_h, c.out_w,
                     c.channels / c.groups, c.height, c.width, c.kernel_h, c.kernel_w, 1, 1,
                     c.dilation_h, c.dilation_w, (c.kernel_h - 1) * c.dilation_h - c.pad_top,
                     (c.kernel_w - 1) * c.dilation_w - c.pad_left, true});
}

// Whether the shape of one image and the stride allow it and the waste is worth it. The batch has
// no say: an image gives the same bits in any batch.
DLCORE_INLINE bool direct_pays(const Conv2d& c, const Direct& d) {
  if (c.stride_h != 1 || c.stride_w != 1 || d.taps() == 1 || d.pad_top < 0 || d.pad_left < 0)
    return false;
  if (d.plane_rows() < d.pad_top + d.height || d.row() < d.pad_left + d.width) return false;
  const double waste = static_cast<double>(d.row()) / static_cast<double>(d.out_w);
  const double packing = 7.5 / static_cast<double>(d.rows);
  return waste <= 1.1 + packing;
}

// sums[i][j] = bias[i] + the products of M rows of a with NV vectors of positions from x. Of each
// channel, `skipped` rows of a are passed over.
template <class T, int M, int NV>
__attribute__((noinline)) void direct_tile(const T* a, const T* x, int64_t channels, int64_t plane,
                                           const int64_t* offset, int64_t taps, int64_t skipped,
                                           const T* bias, T* sums) {
  Vec<T> sum[M][NV];
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) sum[i][j] = bias ? splat<T>(bias[i]) : Vec<T>{};
  for (; channels > 0; --channels, x += plane, a += skipped * kTileRows) {
#pragma GCC unroll 1
    for (int64_t tap = 0; tap < taps; ++tap, a += kTileRows) {
      const T* b = x + offset[tap];
      Vec<T> right[NV];
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) right[j] = load<T>(b + j * kLanes<T>);
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
    for (int j = 0; j < NV; ++j) store<T>(sums + (i * NV + j) * kLanes<T>, sum[i][j]);
}

template <class T>
using DirectFunction = void (*)(const T* a, const T* x, int64_t channels, int64_t plane,
                                const int64_t* offset, int64_t taps, int64_t skipped, const T* bias,
                                T* sums);
template <class T>
struct DirectTable {
  DirectFunction<T> of[kTileRows][kMostVectors];  // [rows - 1][vectors - 1]
};
template <class T, int M, int NV>
constexpr void fill_direct(DirectTable<T>& table) {
  table.of[M - 1][NV - 1] = &direct_tile<T, M, NV>;
  if constexpr (NV > 1)
    fill_direct<T, M, NV - 1>(table);
  else if constexpr (M > 1)
    fill_direct<T, M - 1, direct_vectors(M - 1)>(table);
}
template <class T>
constexpr DirectTable<T> make_direct() {
  DirectTable<T> table{};
  fill_direct<T, kTileRows, direct_vectors(kTileRows)>(table);
  return table;
}
template <class T>
constexpr DirectTable<T> kDirect = make_direct<T>();

template <class T>
struct DirectCall {
  const T *x, *weight, *bias;
  T* y;
  Finish<T> finish;
  const int64_t* offset;      // of each tap from a position
  const T* packed = nullptr;  // all weights, as pack_all_channels gives them
};

// Rows first..first+m-1 of a group's weights as a panel: channel by channel, tap by tap.
template <class T>
DLCORE_INLINE void pack_direct(const Direct& d, const T* weight, int64_t first, int64_t m,
                               T* panel) {
  if (!d.backward)
    return pack_a_panel<T>(m, d.window(), weight + first * d.window(), d.window(), 1, panel);
  for (int64_t channel = 0; channel < d.channels; ++channel)
    transpose<T>(weight + (channel * d.rows + first) * d.taps(), d.taps(), m, d.taps(),
                 panel + channel * d.taps() * kTileRows, kTileRows);
}

// One plane with its padding.
template <class T>
DLCORE_INLINE void pad_plane(const Direct& d, const T* x, T* to) {
  const int64_t row = d.row(), right = row - d.pad_left - d.width;
  fill_row<T>(T(0), d.pad_top * row + d.pad_left, to);
  to += d.pad_top * row + d.pad_left;
  for (int64_t h = 0; h < d.height; ++h, to += row) {
    copy_row<T>(x + h * d.width, d.width, to);
    fill_row<T>(T(0), right, to + d.width);
    if (h + 1 < d.height) fill_row<T>(T(0), d.pad_left, to + d.width + right);
  }
  fill_row<T>(T(0), (d.plane_rows() - d.pad_top - d.height) * row, to - d.pad_left);
}

// Positions first..first+n-1 of m rows of sums to their places in y, which begin at y[at].
template <class T>
DLCORE_INLINE void store_positions(const Direct& d, const DirectCall<T>& call, const T* sums,
                                   int64_t stride, int64_t m, int64_t first, int64_t n,
                                   int64_t at) {
  const int64_t pixels = d.out_h * d.out_w;
  int64_t h = first / d.row(), w = first % d.row();
  for (int64_t done = 0; done < n; ++h, w = 0) {
    const int64_t count = smaller(d.out_w - w, n - done);
    const int64_t to = at + h * d.out_w + w;
    for (int64_t i = 0; i < m; ++i)
      copy_row<T>(sums + i * stride + done, count, call.y + to + i * pixels);
    if (call.finish.residual) finish_rows(call.finish, call.y, to, m, count, pixels);
    done += d.row() - w;
  }
}

// The taps, in the order of the panels, that meet x and not only its padding above or below.
struct TapRange {
  int64_t first, count;
};
DLCORE_INLINE TapRange taps_of_row(const Direct& d, int64_t oh) {
  const int64_t top = d.pad_top - oh, bottom = top + d.height;
  const int64_t r0 = smaller(larger(0, ceil_div(larger(0, top), d.dilation_h)), d.kernel_h);
  const int64_t r1 = larger(r0, smaller(d.kernel_h, ceil_div(larger(0, bottom), d.dilation_h)));
  return {(d.backward ? d.kernel_h - r1 : r0) * d.kernel_w, (r1 - r0) * d.kernel_w};
}

// Whether row by row, without the taps that meet padding, takes fewer steps than all positions in
// one run: the gradient of x of a small image has nearly half of its taps in the padding.
template <class T>
DLCORE_INLINE bool rows_pay(const Direct& d) {
  int64_t steps = 0;
  for (int64_t oh = 0; oh < d.out_h; ++oh) steps += taps_of_row(d, oh).count;
  return ceil_div(d.out_w, kLanes<T>) * steps < ceil_div(d.positions(), kLanes<T>) * d.taps();
}

// A panel of m rows by one tile of positions from `first` on, at most direct_vectors(m) vectors.
template <class T>
DLCORE_INLINE void direct_positions(const Direct& d, const DirectCall<T>& call, const T* a,
                                    const T* planes, int64_t row0, int64_t m, int64_t first,
                                    int64_t n, const TapRange& taps, int64_t at) {
  alignas(64) T sums[(kTileRegisters + 1) * kLanes<T>];
  const int64_t vectors = ceil_div(n, kLanes<T>), stride = vectors * kLanes<T>;
  kDirect<T>.of[m - 1][vectors - 1](
      a + taps.first * kTileRows, planes + first, d.channels, d.plane(), call.offset + taps.first,
      taps.count, d.taps() - taps.count, call.bias ? call.bias + row0 : nullptr, sums);
  if (!call.finish.residual && call.finish.activation != Activation::none)
    finish_rows(call.finish, sums, 0, m, stride, stride);
  store_positions<T>(d, call, sums, stride, m, first, n, at);
}

// A panel of m rows by positions first..last-1 of one image's padded planes, or by all, row by row;
// row0 counts through the groups.
template <class T>
DLCORE_INLINE void direct_block(const Direct& d, const DirectCall<T>& call, const T* a,
                                const T* planes, int64_t image, int64_t row0, int64_t m,
                                int64_t first, int64_t last, bool by_rows) {
  const int64_t at = (image * d.groups * d.rows + row0) * d.out_h * d.out_w;
  const int64_t width = direct_vectors(m) * kLanes<T>;
  if (!by_rows) {
    for (int64_t p = first; p < last; p += width)
      direct_positions<T>(d, call, a, planes, row0, m, p, smaller(width, last - p), {0, d.taps()},
                          at);
    return;
  }
  for (int64_t oh = 0; oh < d.out_h; ++oh) {
    const TapRange taps = taps_of_row(d, oh);
    for (int64_t ow = 0; ow < d.out_w; ow += width)
      direct_positions<T>(d, call, a, planes, row0, m, oh * d.row() + ow,
                          smaller(width, d.out_w - ow), taps, at);
  }
}

// What a tile reads beyond the last plane.
template <class T>
constexpr int64_t kDirectSlack = kMostVectors * kLanes<T>;

// Many images: a work item is a few of them. It pads one image after the other in place; the
// weights are packed once for all.
template <class T>
DLCORE_INLINE void direct_images(const Direct& d, const DirectCall<T>& call, const Groups& panels,
                                 int64_t image_cost) {
  const int64_t a_size = a_panel_size<T>(d.window()), count = d.groups * panels.count;
  const int64_t plane = d.plane(), channels = d.groups * d.channels;
  T* const a = static_cast<T*>(buffer_acquire(count * a_size * sizeof(T)));
  parallel_for(count, grain_for(d.window() * kTileRows), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = panels.begin(i % panels.count);
      pack_direct<T>(d, call.weight + i / panels.count * d.rows * d.window(), first,
                     panels.begin(i % panels.count + 1) - first, a + i * a_size);
    }
  });
  const int64_t grain = larger(1, smaller(grain_for(image_cost), ceil_div(d.batch, 16)));
  const bool by_rows = rows_pay<T>(d);
  parallel_for(d.batch, grain, [=](int64_t begin, int64_t end) {
    T* const planes =
        static_cast<T*>(buffer_acquire((d.channels * plane + kDirectSlack<T>)*sizeof(T)));
    fill_row<T>(T(0), kDirectSlack<T>, planes + d.channels * plane);
    for (int64_t image = begin; image < end; ++image)
      for (int64_t group = 0; group < d.groups; ++group) {
        const T* x = call.x + (image * channels + group * d.channels) * d.height * d.width;
        for (int64_t i = 0; i < d.channels; ++i)
          pad_plane<T>(d, x + i * d.height * d.width, planes + i * plane);
        for (int64_t i = 0; i < panels.count; ++i)
          direct_block<T>(d, call, a + (group * panels.count + i) * a_size, planes, image,
                          group * d.rows + panels.begin(i), panels.begin(i + 1) - panels.begin(i),
                          0, d.positions(), by_rows);
      }
    buffer_release(planes);
  });
  buffer_release(a);
}

// Few images: all planes are padded first; a work item is one panel of rows, which it packs, by a
// block of positions.
template <class T>
DLCORE_INLINE void direct_panels(const Direct& d, const DirectCall<T>& call, const Groups& panels,
                                 int64_t image_cost) {
  const int64_t plane = d.plane(), count = d.batch * d.groups * d.channels;
  T* const planes = static_cast<T*>(buffer_acquire((count * plane + kDirectSlack<T>)*sizeof(T)));
  fill_row<T>(T(0), kDirectSlack<T>, planes + count * plane);
  parallel_for(count, grain_for(2 * plane), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      pad_plane<T>(d, call.x + i * d.height * d.width, planes + i * plane);
  });
  // A block of 768 positions and more pays for packing the weights again.
  constexpr int64_t kUnit = 12 * kLanes<T>;
  const int64_t units = ceil_div(d.positions(), kUnit);
  const int64_t wanted = ceil_div(20, panels.count * d.groups * d.batch);
  const int64_t blocks = larger(1, smaller(wanted, units / 4));
  const Groups cut = balanced(units, ceil_div(units, blocks));
  const int64_t items = d.batch * d.groups * cut.count * panels.count;
  const int64_t item_cost = image_cost / (d.groups * cut.count * panels.count);
  parallel_for(items, grain_for(item_cost), [=](int64_t begin, int64_t end) {
    T* const a = static_cast<T*>(buffer_acquire(a_panel_size<T>(d.window()) * sizeof(T)));
    for (int64_t item = begin; item < end; ++item) {
      const int64_t i = item % panels.count, block = item / panels.count % cut.count;
      const int64_t set = item / panels.count / cut.count;  // of planes: image and group
      const int64_t image = set / d.groups, group = set % d.groups;
      const int64_t first = panels.begin(i), m = panels.begin(i + 1) - first;
      pack_direct<T>(d, call.weight + group * d.rows * d.window(), first, m, a);
      direct_block<T>(d, call, a, planes + set * d.channels * plane, image, group * d.rows + first,
                      m, cut.begin(block) * kUnit,
                      smaller(d.positions(), cut.begin(block + 1) * kUnit), false);
    }
    buffer_release(a);
  });
  buffer_release(planes);
}

// Where each tap of the weight reads, counted from the first: to be released.
DLCORE_INLINE int64_t* direct_offsets(const Direct& d) {
  int64_t* const offset = static_cast<int64_t*>(buffer_acquire(d.taps() * sizeof(int64_t)));
  for (int64_t tap = 0; tap < d.taps(); ++tap) {
    const int64_t at = d.backward ? d.taps() - 1 - tap : tap;
    const int64_t right = at % d.kernel_w * d.dilation_w;
    offset[tap] = at / d.kernel_w * d.dilation_h * d.row() + right % d.stride_w * d.phase_size() +
                  right / d.stride_w;
  }
  return offset;
}

}  // namespace

// y = finish(conv(x, weight) + bias); bias may be null. In conv_planes.cpp.
void direct_conv(const Direct& d, const float* x, const float* weight, const float* bias, float* y,
                 const Finish<float>& finish);

}  // namespace DLCORE_ISA
}  // namespace dlcore
