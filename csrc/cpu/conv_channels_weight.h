// The gradient of a convolution's weight without columns, output channels along the lanes.
//
// dw[k, c, r, s] is the sum over pixels of dy[k, pixel] x[c, pixel moved by (r, s)]. dy is turned
// once, pixels by panels of output channels, and x copied with its padding; then a register tile is
// a few rows of taps of one channel by a panel of output channels, and a step of the sum is one
// pixel: a broadcast for each tap, at constant distances, and one row of the panel.
//
// A block of dy of some 200 pixels stays in L1 while all channels pass; their sums wait in L2.
#pragma once

#include "cpu/conv_channels.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kPixelBlock = 192;  // rows of a panel of dy: 24 KiB
constexpr int64_t kWeightItems = 16;

// How many rows of kW taps, and of how many vectors, a tile has.
template <int kW>
constexpr int kWeightVectors = (kW + 1) * kTileVectors <= kTileRegisters ? kTileVectors : 1;
template <int kW>
constexpr int weight_rows_at_once() {
  int rows = 3;
  while (rows > 1 && (kW * rows + 1) * kWeightVectors<kW> > kTileRegisters) --rows;
  return rows;
}

// The pixels of one block and where they are in x and dy.
template <class T>
struct PixelBlock {
  int64_t images, rows, cols;
  const T* x;  // the first pixel's window
  int64_t x_image, x_row, x_step, tap_row;
  const T* dy;  // of the panel
  int64_t dy_image;
};

// sums[tap][lane] += products over the pixels of the block, for kR rows of kW taps. dy is fetched
// `ahead` elements further on.
template <class T, int kW, int kR>
__attribute__((noinline)) void weight_tile(const PixelBlock<T>& block, const T* x, const T* dy,
                                           T* sums, int64_t ahead) {
  constexpr int NV = kWeightVectors<kW>;
  const int64_t tap_row = block.tap_row, step = block.x_step, cols = block.cols;
  Vec<T> sum[kR][kW][NV];
#pragma GCC unroll 4
  for (int r = 0; r < kR; ++r)
#pragma GCC unroll 16
    for (int s = 0; s < kW; ++s)
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j)
        sum[r][s][j] = load<T>(sums + (r * kW + s) * kTileCols<T> + j * kLanes<T>);
  for (int64_t image = 0; image < block.images; ++image) {
    const T* row = x + image * block.x_image;
    const T* g = dy + image * block.dy_image;
    for (int64_t oh = 0; oh < block.rows; ++oh, row += block.x_row) {
      const T* a = row;
#pragma GCC unroll 1
      for (int64_t ow = 0; ow < cols; ++ow, a += step, g += kTileCols<T>) {
        Vec<T> right[NV];
        __builtin_prefetch(g + ahead, 0, 2);
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) right[j] = load<T>(g + j * kLanes<T>);
#pragma GCC unroll 4
        for (int r = 0; r < kR; ++r)
#pragma GCC unroll 16
          for (int s = 0; s < kW; ++s) {
            const Vec<T> left = splat<T>(a[r * tap_row + s]);
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) sum[r][s][j] += left * right[j];
          }
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kR; ++r)
#pragma GCC unroll 16
    for (int s = 0; s < kW; ++s)
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j)
        store<T>(sums + (r * kW + s) * kTileCols<T> + j * kLanes<T>, sum[r][s][j]);
}

// All taps of one channel and one panel. x is the channel's plane.
template <class T, int kW, int kR = weight_rows_at_once<kW>()>
DLCORE_INLINE void weight_taps(const PixelBlock<T>& block, const T* x, int64_t kernel_h, T* sums,
                               int64_t ahead) {
  for (; kernel_h >= kR; kernel_h -= kR) {
    for (int64_t j = 0; j < kTileCols<T>; j += kWeightVectors<kW> * kLanes<T>)
      weight_tile<T, kW, kR>(block, x, block.dy + j, sums + j, ahead);
    x += kR * block.tap_row;
    sums += kR * kW * kTileCols<T>;
  }
  if constexpr (kR > 1)
    if (kernel_h > 0) weight_taps<T, kW, kR - 1>(block, x, kernel_h, sums, ahead);
}

// The widths of kernels there are tiles for.
DLCORE_INLINE bool weight_width(int64_t w) {
  return w == 3 || w == 5 || w == 7 || w == 11;
}

// A work item is some images, or a block of rows of one, by some channels: dw of a slice.
template <class T>
struct WeightGradientCut {
  int64_t panels;
  Groups images, rows;  // of slices
  Groups channels;      // of an item
  int64_t slices, items;
  bool shared;               // dy is turned once for all items
  int64_t row, rows_padded;  // of x with its padding, as an item sees it
  int64_t together;          // images of a block of pixels

  explicit WeightGradientCut(const Direct& d) {
    panels = ceil_div(d.rows, kTileCols<T>);
    const int64_t size = d.groups * d.rows * d.window(), pixels = d.out_h * d.out_w;
    const int64_t most = larger(1, smaller(kWeightItems, (int64_t(1) << 20) / size));
    const int64_t image_slices = smaller(d.batch, most);
    const int64_t row_slices =
        d.batch == 1 && d.channels < 16 ? larger(1, smaller(most, d.out_h / 7)) : 1;
    images = balanced(d.batch, ceil_div(d.batch, image_slices));
    rows = balanced(d.out_h, ceil_div(d.out_h, row_slices));
    slices = images.count * rows.count;
    const int64_t blocks = smaller(d.channels, ceil_div(kWeightItems, slices * d.groups));
    channels = balanced(d.channels, ceil_div(d.channels, blocks));
    items = slices * d.groups * channels.count;
    shared = slices == 1 && channels.count > 1;
    row = (d.out_w - 1) * d.stride_w + d.kernel_w;
    rows_padded = d.slab_rows(rows.size + (rows.larger > 0));
    together = smaller(images.size + (images.larger > 0), larger(1, kPixelBlock / pixels));
  }
};

// One panel of dy, pixels by output channels.
template <class T>
DLCORE_INLINE void turn_gradient(const Direct& d, const T* dy, int64_t image, int64_t group,
                                 int64_t panel, int64_t first, int64_t n, T* to) {
  const int64_t row0 = panel * kTileCols<T>, pixels = d.out_h * d.out_w;
  pack_across<T>(dy + ((image * d.groups + group) * d.rows + row0) * pixels + first, pixels,
                 smaller(kTileCols<T>, d.rows - row0), n, to);
}

// Rows first..first+count-1 of a padded plane, uncut, `row` elements each.
template <class T>
DLCORE_INLINE void pad_plain(const Direct& d, const T* x, int64_t first, int64_t count, int64_t row,
                             T* to) {
  const int64_t columns = smaller(d.width, row - d.pad_left);
  for (int64_t i = first; i < first + count; ++i, to += row) {
    const int64_t h = i - d.pad_top;
    if (h < 0 || h >= d.height) {
      fill_row<T>(T(0), row, to);
      continue;
    }
    fill_row<T>(T(0), d.pad_left, to);
    copy_row<T>(x + h * d.width, columns, to + d.pad_left);
    fill_row<T>(T(0), row - d.pad_left - columns, to + d.pad_left + columns);
  }
}

// y[c * y_row + i] = sums[i * kTileCols + c] for i < rows, c < n. Whole blocks of kSumRows rows of
// sums are read.
template <class T>
DLCORE_INLINE void turn_sums(const T* sums, int64_t rows, int64_t n, T* y, int64_t y_row) {
  for (int64_t i = 0; i < rows; i += kSumRows)
    store_across<T>(sums + i * kTileCols<T>, smaller(kSumRows, rows - i), n, y + i, y_row);
}

// Sums that pass all pixels in one block are turned while they are in L1, those of a few channels
// at a time.
template <class T, int kW>
DLCORE_INLINE void weight_item(const Direct& d, const WeightGradientCut<T>& cut, int64_t item,
                               const T* x, const T* dy, const T* turned, T* parts) {
  const int64_t block = item % cut.channels.count, group = item / cut.channels.count % d.groups;
  const int64_t slice = item / cut.channels.count / d.groups;
  const int64_t c0 = cut.channels.begin(block), channels = cut.channels.begin(block + 1) - c0;
  const int64_t i = slice / cut.rows.count, j = slice % cut.rows.count;
  const int64_t oh0 = cut.rows.begin(j), rows = cut.rows.begin(j + 1) - oh0;
  const int64_t begin = cut.images.begin(i), end = cut.images.begin(i + 1);

  const int64_t pixels = d.out_h * d.out_w, own = rows * d.out_w, kCols = kTileCols<T>;
  const int64_t plane = cut.rows_padded * cut.row, taps = d.taps();
  const int64_t step = cut.together > 1 ? rows : larger(1, kPixelBlock / d.out_w);
  const bool at_once = end - begin <= cut.together && rows <= step;
  const int64_t few = at_once ? smaller(channels, larger(1, 144 / taps)) : channels;
  const int64_t panel_size = few * taps * kCols, panel_step = at_once ? 0 : panel_size;
  const int64_t sums_size = panel_size + (cut.panels - 1) * panel_step + kSumSize<T>;
  const int64_t local_size = cut.shared ? 0 : cut.together * cut.panels * own * kCols;
  T* const sums = static_cast<T*>(
      buffer_acquire((sums_size + local_size + cut.together * channels * plane) * sizeof(T)));
  T* const local = sums + sums_size;
  T* const planes = local + local_size;
  T* const part = parts + (slice * d.groups + group) * d.rows * d.window() + c0 * taps;
  const auto finish = [=](int64_t p, int64_t c, int64_t n) {
    turn_sums<T>(sums + p * panel_step, n * taps, smaller(kCols, d.rows - p * kCols),
                 part + p * kCols * d.window() + c * taps, d.window());
  };
  if (!at_once) fill_row<T>(T(0), sums_size, sums);

  for (int64_t n0 = begin; n0 < end; n0 += cut.together) {
    const int64_t images = smaller(cut.together, end - n0);
    for (int64_t n = 0; n < images; ++n) {
      const T* from = x + (((n0 + n) * d.groups + group) * d.channels + c0) * d.height * d.width;
      for (int64_t c = 0; c < channels; ++c)
        pad_plain<T>(d, from + c * d.height * d.width, oh0 * d.stride_h, d.slab_rows(rows), cut.row,
                     planes + (n * channels + c) * plane);
      for (int64_t p = 0; p < cut.panels && !cut.shared; ++p)
        turn_gradient<T>(d, dy, n0 + n, group, p, oh0 * d.out_w, own,
                         local + (n * cut.panels + p) * own * kCols);
    }
    for (int64_t p = 0; p < cut.panels; ++p)
      for (int64_t oh = 0; oh < rows; oh += step) {
        const T* g = cut.shared
                         ? turned + ((n0 * d.groups + group) * cut.panels + p) * pixels * kCols
                         : local + p * own * kCols;
        const PixelBlock<T> pixel_block{
            images,
            smaller(step, rows - oh),
            d.out_w,
            planes + oh * d.stride_h * cut.row,
            channels * plane,
            d.stride_h * cut.row,
            d.stride_w,
            d.dilation_h * cut.row,
            g + oh * d.out_w * kCols,
            (cut.shared ? d.groups * pixels : own) * cut.panels * kCols};
        for (int64_t c1 = 0; c1 < channels; c1 += few) {
          const int64_t n = smaller(few, channels - c1);
          if (at_once) fill_row<T>(T(0), panel_size, sums);
          // The first channels fetch the next block of dy, a half of each of its rows.
          const int64_t ahead = (images > 1 ? own : pixel_block.rows * d.out_w) * kCols;
          for (int64_t c = 0; c < n; ++c)
            weight_taps<T, kW>(pixel_block, pixel_block.x + (c1 + c) * plane, d.kernel_h,
                               sums + p * panel_step + c * taps * kCols,
                               c1 + c < 2 ? ahead + c * kLineElements<T> : 0);
          if (at_once) finish(p, c1, n);
        }
      }
  }
  for (int64_t p = 0; p < cut.panels && !at_once; ++p) finish(p, 0, channels);
  buffer_release(sums);
}

template <class T>
DLCORE_INLINE bool weight_channels_pay(const Direct& d) {
  return weight_width(d.kernel_w) && d.dilation_w == 1 && d.rows >= kLanes<T> && d.out_w >= 4 &&
         d.batch * d.out_h * d.out_w >= 32;
}

// dw = sum of slices.
template <class T>
DLCORE_INLINE void add_slices(const T* parts, int64_t slices, int64_t size, T* dw) {
  parallel_for(size, grain_for(slices), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += kLanes<T>) {
      const int64_t n = smaller(kLanes<T>, end - i);
      Vec<T> sum = load_part<T>(parts + i, n, T(0));
      for (int64_t s = 1; s < slices; ++s) sum += load_part<T>(parts + s * size + i, n, T(0));
      store_part<T>(dw + i, n, sum);
    }
  });
}

template <class T>
DLCORE_INLINE void channel_weight_gradient(const Direct& d, const T* x, const T* dy, T* dw) {
  const WeightGradientCut<T> cut(d);
  const int64_t size = d.groups * d.rows * d.window(), pixels = d.out_h * d.out_w;
  const int64_t panel_size = pixels * kTileCols<T>, sets = d.batch * d.groups * cut.panels;
  const int64_t turned_size = cut.shared ? sets * panel_size : 0;
  T* const turned = static_cast<T*>(
      buffer_acquire((turned_size + (cut.slices > 1 ? cut.slices * size : 0)) * sizeof(T)));
  T* const parts = cut.slices > 1 ? turned + turned_size : dw;
  if (cut.shared) {
    const Groups blocks = balanced(pixels, 512);
    parallel_for(sets * blocks.count, 1, [=](int64_t chunk, int64_t) {
      const int64_t i = chunk / blocks.count, first = blocks.begin(chunk % blocks.count);
      turn_gradient<T>(d, dy, i / cut.panels / d.groups, i / cut.panels % d.groups, i % cut.panels,
                       first, blocks.begin(chunk % blocks.count + 1) - first,
                       turned + i * panel_size + first * kTileCols<T>);
    });
  }
  parallel_for(cut.items, 1, [=](int64_t item, int64_t) {
    switch (d.kernel_w) {
      case 3:
        return weight_item<T, 3>(d, cut, item, x, dy, turned, parts);
      case 5:
        return weight_item<T, 5>(d, cut, item, x, dy, turned, parts);
      case 7:
        return weight_item<T, 7>(d, cut, item, x, dy, turned, parts);
      default:
        return weight_item<T, 11>(d, cut, item, x, dy, turned, parts);
    }
  });
  if (cut.slices > 1) add_slices<T>(parts, cut.slices, size, dw);
  buffer_release(turned);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
