// The gradients of convolution. Most shapes go by conv_channels*.h, 3x3 by Winograd's way
// (conv_winograd*.cpp), 1x1 by matrix products (conv_point.h), dw of few output channels by
// conv_direct_weight.h. The rest are products with the same windows as forward (conv_windows.h):
//   dx = windows^T (weight^T dy): a block of rows of weight^T dy is added back to the places its
//        windows came from while it is in cache;
//   dw = dy columns^T, summed over the pixels in blocks, the blocks in fixed slices.

#include "cpu/conv_channels.h"
#include "cpu/conv_channels_data.h"
#include "cpu/conv_channels_weight.h"
#include "cpu/conv_depthwise.h"
#include "cpu/conv_direct.h"
#include "cpu/conv_direct_weight.h"
#include "cpu/conv_point.h"
#include "cpu/conv_row.h"
#include "cpu/conv_scatter.h"
#include "cpu/conv_windows.h"
#include "cpu/conv_winograd.h"
#include "cpu/gemm_pack.h"
#include "cpu/gemm_tile.h"
#include "kernels/conv.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kDepth = 512;  // out channels of dy packed at once
constexpr int64_t kPanels = 8;   // of kTileCols pixels, side by side
constexpr int64_t kWantedChunks = 16;

// dy as the columns of a 1x1 convolution: pixels in one long row.
DLCORE_INLINE Conv2d flat(const Conv2d& c) {
  const int64_t pixels = c.out_h * c.out_w;
  return {c.batch, c.out_channels, 1, pixels, c.out_channels, 1, pixels, 1, 1, 1, 1, 1, 1, 0,
          0,       c.groups};
}

// How many channels make a block of rows: near `wanted` rows, a multiple of `unit` or a little
// less.
DLCORE_INLINE int64_t channels_in_block(int64_t channels, int64_t taps, int64_t wanted,
                                        int64_t unit) {
  int64_t best = 1;
  double best_waste = 1e9;
  for (int64_t n = 1; n <= channels && (n == 1 || n * taps <= wanted); ++n) {
    const double waste =
        static_cast<double>(round_up(n * taps, unit)) / static_cast<double>(n * taps);
    if (waste <= best_waste) best = n, best_waste = waste;
  }
  return best;
}

// A work item of dx: `images` images, `channels` channels of one group.
template <class T>
struct DataCut {
  int64_t images, image_blocks, channels, channel_blocks, chunks;

  DataCut(const Conv2d& c, const Windows<T>& w) {
    const int64_t in_group = c.channels / c.groups;
    images = smaller(c.batch, larger(1, 1024 / w.pixels()));
    image_blocks = ceil_div(c.batch, images);
    channels = channels_in_block(in_group, w.taps(), 14 * kTileRows, kTileRows);
    channel_blocks = ceil_div(in_group, channels);
    chunks = image_blocks * c.groups * channel_blocks;
  }
};

// dx (of `split` shape when the stride is above 2) for one work item.
template <class T>
DLCORE_INLINE void data_block(const T* dy, const T* weight, T* dx, const Windows<T>& w,
                              const Windows<T>& wy, const DataCut<T>& cut, int64_t chunk) {
  const Conv2d& c = w.c;
  const int64_t group = chunk / cut.channel_blocks % c.groups;
  const int64_t image0 = chunk / cut.channel_blocks / c.groups * cut.images;
  const int64_t images = smaller(cut.images, c.batch - image0);
  const int64_t in_group = c.channels / c.groups, out_group = c.out_channels / c.groups;
  const int64_t channel0 = chunk % cut.channel_blocks * cut.channels;
  const int64_t channels = smaller(cut.channels, in_group - channel0);
  const int64_t taps = w.taps(), window = in_group * taps, rows = channels * taps;
  const int64_t pixels = images * w.pixels();

  const Groups panels = balanced(rows, kTileRows);
  const int64_t depth = smaller(out_group, kDepth);
  const int64_t a_size = a_panel_size<T>(out_group), b_size = b_panel_size<T>(depth);
  const int64_t width = kPanels * kTileCols<T>;
  T* const a = static_cast<T*>(
      buffer_acquire((panels.count * a_size + kPanels * b_size + rows * width) * sizeof(T) +
                     Pieces<T, kTileVectors>::bytes(w) + 64 + Pieces<T, kTileVectors>::bytes(wy)));
  T* const b = a + panels.count * a_size;
  T* const columns = b + kPanels * b_size;
  char* const rest = reinterpret_cast<char*>(columns + rows * width);
  Pieces<T, kTileVectors> to(w, rest);
  Pieces<T, kTileVectors> from(wy, rest + round_up(Pieces<T, kTileVectors>::bytes(w), 64));

  const T* const weights = weight + group * out_group * window + channel0 * taps;
  for (int64_t i = 0; i < panels.count; ++i)
    pack_a_panel<T>(panels.begin(i + 1) - panels.begin(i), out_group, weights + panels.begin(i), 1,
                    window, a + i * a_size);
  T* const target = dx + image0 * w.image + (group * in_group + channel0) * w.plane;
  for (int64_t n = 0; n < images; ++n) fill_row<T>(T(0), channels * w.plane, target + n * w.image);

  const T* const gradient = dy + image0 * wy.image + group * out_group * wy.plane;
  for (int64_t j0 = 0; j0 < pixels; j0 += width) {
    const int64_t n = smaller(width, pixels - j0);
    for (int64_t k0 = 0; k0 < out_group; k0 += kDepth) {
      const int64_t k1 = smaller(k0 + kDepth, out_group);
      for (int64_t j = 0; j < n; j += kTileCols<T>) {
        from.aim(j0 + j, smaller(kTileCols<T>, n - j));
        pack_panel<T>(gradient, wy, from, k0, k1, b + j / kTileCols<T> * b_size);
      }
      for (int64_t i = 0; i < panels.count; ++i)
        for (int64_t j = 0; j < n; j += kTileCols<T>)
          run_tile(Operands::panels, panels.begin(i + 1) - panels.begin(i),
                   smaller(kTileCols<T>, n - j), k1 - k0, a + i * a_size + k0 * kTileRows, 0,
                   b + j / kTileCols<T> * b_size, 0,
                   {columns + panels.begin(i) * width + j, width, T(1), T(k0 > 0), nullptr, 0, 0});
    }
    for (int64_t j = 0; j < n; j += kTileCols<T>) {
      to.aim(j0 + j, smaller(kTileCols<T>, n - j));
      for (int64_t channel = 0; channel < channels; ++channel)
        to.add(target + channel * w.plane, kTileVectors, [=](int64_t tap, int64_t v) {
          return load<T>(columns + (channel * taps + tap) * width + j + v * kLanes<T>);
        });
    }
  }
  buffer_release(a);
}

// dx = the gradient with respect to x.
template <class T>
void conv2d_backward_data(const T* dy, const T* weight, T* dx, const Conv2d& c) {
  if (c.batch == 0) return;
  if (is_depthwise(c)) return depthwise_data_gradient(c, dy, weight, dx);
  if (is_long_row<T>(c, c.out_channels, c.channels)) return row_data_gradient<T>(c, dy, weight, dx);
  if (is_point(c) && skips_pixels(c)) {
    const Conv2d picked = of_picked(c);
    T* const part =
        static_cast<T*>(buffer_acquire(c.batch * c.channels * c.out_h * c.out_w * sizeof(T)));
    conv2d_backward_data<T>(dy, weight, part, picked);
    spread_pixels<T>(c, part, dx);
    return buffer_release(part);
  }
  const int64_t window = c.channels * c.kernel_h * c.kernel_w;
  if (is_whole(c))
    return product<T>(c.batch, window, c.out_channels, dy, c.out_channels, 1, weight, window, 1, dx,
                      false, c.bf16);
  if (is_point(c) && point_products_pay(c)) return point_data_gradient<T>(c, dy, weight, dx);
  const Direct direct = direct_backward(c);
  if constexpr (kIsFloat<T>) {
    const bool whole_steps = c.stride_h == 1 && c.stride_w == 1;
    if (whole_steps && winograd_pays<T>(direct))
      return winograd_conv(direct, dy, weight, nullptr, dx, Finish<T>{});
    if (whole_steps && channels_pay<T>(direct))
      return channel_conv(direct, dy, weight, nullptr, dx, Finish<T>{});
  }
  if (is_point(c) && products_pay(c)) return point_data_gradient<T>(c, dy, weight, dx);
  if constexpr (kIsFloat<T>) {
    const Conv3d flat_volume{c, 1, 1, 1, 1, 1, 0};
    if (scatter_pays(flat_volume)) return scatter_data_gradient(flat_volume, dy, weight, dx);
    if (phases_pay<T>(c)) return phase_data_gradient<T>(c, dy, weight, dx);
    if (direct_pays(c, direct)) return direct_conv(direct, dy, weight, nullptr, dx, Finish<T>{});
  }
  const Windows<T> w(c), wy(flat(c));
  const DataCut<T> cut(c, w);
  const int64_t planes = c.batch * c.channels;
  T* const split =
      w.split ? static_cast<T*>(buffer_acquire(planes * w.plane * sizeof(T))) : nullptr;
  T* const target = w.split ? split : dx;
  parallel_for(cut.chunks, 1, [=](int64_t chunk, int64_t) {
    data_block<T>(dy, weight, target, w, wy, cut, chunk);
  });
  if (!w.split) return;
  const int64_t columns = smaller(c.width, w.row - c.pad_left);
  parallel_for(planes * c.height, grain_for(2 * w.row), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      join_row<T>(split + i * w.row, w.phase_size, c.pad_left, c.stride_w, columns,
                  dx + i * c.width);
      fill_row<T>(T(0), c.width - columns, dx + i * c.width + columns);
    }
  });
  buffer_release(split);
}

// A work item of dw: `channels` channels of one group, blocks of pixels of one slice.
template <class T>
struct WeightCut {
  static constexpr int kVectors = 256 / kLanes<T>;  // 256 pixels are summed up in registers
  static constexpr int64_t kPixels = kVectors * kLanes<T>;
  static constexpr int64_t kStride = kPixels + kLineElements<T>;  // rows in different cache sets
  int64_t channels, channel_blocks, pixels, slices, chunks;

  WeightCut(const Conv2d& c, const Windows<T>& w) {
    const int64_t in_group = c.channels / c.groups;
    channels = channels_in_block(in_group, w.taps(), 256, kTileCols<T>);
    channel_blocks = ceil_div(in_group, channels);
    pixels = c.batch * w.pixels();
    const int64_t blocks = ceil_div(pixels, kPixels);
    slices = smaller(blocks, ceil_div(kWantedChunks, c.groups * channel_blocks));
    chunks = c.groups * channel_blocks * slices;
  }
  int64_t slice_begin(int64_t slice) const {
    return smaller(pixels, balanced_blocks().begin(slice) * kPixels);
  }
  Groups balanced_blocks() const {
    const int64_t blocks = ceil_div(pixels, kPixels);
    return {slices, blocks / slices, blocks % slices};
  }
};

// Rows of `planes` planes (times taps) over the pixels the pieces are aimed at.
template <class T, int kVectors>
DLCORE_INLINE void read_rows(const T* x, const Windows<T>& w, const Pieces<T, kVectors>& pieces,
                             int64_t planes, int64_t n, T* rows, int64_t stride) {
  const int64_t vectors = ceil_div(n, kLanes<T>);
  for (int64_t plane = 0; plane < planes; ++plane, rows += w.taps() * stride)
    pieces.read(x + plane * w.plane, vectors, [=](int64_t tap, int64_t v, Vec<T> value) {
      store<T>(rows + tap * stride + v * kLanes<T>, value);
    });
}

template <class T>
DLCORE_INLINE void weight_block(const T* x, const T* dy, T* dw, const Windows<T>& w,
                                const Windows<T>& wy, const WeightCut<T>& cut, int64_t chunk) {
  using Cut = WeightCut<T>;
  const Conv2d& c = w.c;
  const int64_t block = chunk % cut.channel_blocks;
  const int64_t group = chunk / cut.channel_blocks % c.groups;
  const int64_t slice = chunk / cut.channel_blocks / c.groups;
  const int64_t in_group = c.channels / c.groups, out_group = c.out_channels / c.groups;
  const int64_t channel0 = block * cut.channels;
  const int64_t channels = smaller(cut.channels, in_group - channel0);
  const int64_t taps = w.taps(), window = in_group * taps, rows = channels * taps;

  const Groups panels = balanced(out_group, kTileRows);
  const int64_t b_size = b_panel_size<T>(Cut::kPixels);
  const int64_t b_panels = ceil_div(rows, kTileCols<T>);
  T* const b = static_cast<T*>(buffer_acquire(
      (b_panels * b_size + (out_group + rows) * Cut::kStride) * sizeof(T) +
      Pieces<T, Cut::kVectors>::bytes(w) + 64 + Pieces<T, Cut::kVectors>::bytes(wy)));
  T* const gradients = b + b_panels * b_size;
  T* const columns = gradients + out_group * Cut::kStride;
  char* const rest = reinterpret_cast<char*>(columns + rows * Cut::kStride);
  Pieces<T, Cut::kVectors> of_x(w, rest);
  Pieces<T, Cut::kVectors> of_y(wy, rest + round_up(Pieces<T, Cut::kVectors>::bytes(w), 64));

  T* const target =
      dw + slice * c.out_channels * window + group * out_group * window + channel0 * taps;
  const int64_t begin = cut.slice_begin(slice), end = cut.slice_begin(slice + 1);
  for (int64_t p = begin; p < end; p += Cut::kPixels) {
    const int64_t n = smaller(Cut::kPixels, end - p);
    of_x.aim(p, n);
    read_rows<T>(x + (group * in_group + channel0) * w.plane, w, of_x, channels, n, columns,
                 Cut::kStride);
    of_y.aim(p, n);
    read_rows<T>(dy + group * out_group * wy.plane, wy, of_y, out_group, n, gradients,
                 Cut::kStride);
    for (int64_t j = 0; j < b_panels; ++j)
      pack_b_panel<T>(n, smaller(kTileCols<T>, rows - j * kTileCols<T>),
                      columns + j * kTileCols<T> * Cut::kStride, 1, Cut::kStride, b + j * b_size);
    for (int64_t i = 0; i < panels.count; ++i)
      for (int64_t j = 0; j < b_panels; ++j)
        run_tile(Operands::rows, panels.begin(i + 1) - panels.begin(i),
                 smaller(kTileCols<T>, rows - j * kTileCols<T>), n,
                 gradients + panels.begin(i) * Cut::kStride, Cut::kStride, b + j * b_size,
                 kTileCols<T>,
                 {target + panels.begin(i) * window + j * kTileCols<T>, window, T(1), T(p > begin),
                  nullptr, 0, 0});
  }
  buffer_release(b);
}

// db = the sum of dy over images and pixels.
template <class T>
void conv2d_backward_bias(const T* dy, T* db, const Conv2d& c) {
  const int64_t pixels = c.out_h * c.out_w;
  parallel_for(c.out_channels, grain_for(c.batch * pixels), [=](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      T total = T(0);
      for (int64_t n = 0; n < c.batch; ++n) {
        const T* row = dy + (n * c.out_channels + k) * pixels;
        Vec<T> sum[4] = {};
        int64_t i = 0;
        for (; i + 4 * kLanes<T> <= pixels; i += 4 * kLanes<T>)
          for (int j = 0; j < 4; ++j) sum[j] += load<T>(row + i + j * kLanes<T>);
        for (; i < pixels; i += kLanes<T>)
          sum[0] += load_part<T>(row + i, smaller(kLanes<T>, pixels - i), T(0));
        total += hsum<T>((sum[0] + sum[1]) + (sum[2] + sum[3]));
      }
      db[k] = total;
    }
  });
}

// dw = the gradient with respect to the weight.
template <class T>
void conv2d_backward_weight(const T* x, const T* dy, T* dw, T* db, const Conv2d& c) {
  const int64_t window = c.channels / c.groups * c.kernel_h * c.kernel_w;
  const int64_t size = c.out_channels * window;
  const bool alone = is_depthwise(c) && c.batch > 0;
  const bool done = alone && depthwise_weight_gradient(c, x, dy, dw, db);
  if (db && !done) conv2d_backward_bias<T>(dy, db, c);
  if (alone) return;
  if (c.batch == 0) return fill_row<T>(T(0), size, dw);
  if (is_whole(c))
    return product<T>(c.out_channels, window, c.batch, dy, 1, c.out_channels, x, window, 1, dw,
                      false, c.bf16);
  if (is_point(c) && products_pay(c)) {
    if (!skips_pixels(c)) return point_weight_gradient<T>(c, x, dy, dw);
    T* const picked =
        static_cast<T*>(buffer_acquire(c.batch * c.channels * c.out_h * c.out_w * sizeof(T)));
    pick_pixels<T>(c, x, picked);
    point_weight_gradient<T>(of_picked(c), picked, dy, dw);
    return buffer_release(picked);
  }
  if constexpr (kIsFloat<T>) {
    if (is_long_row<T>(c, c.channels, c.out_channels)) return row_weight_gradient(c, x, dy, dw);
    const Direct direct = direct_forward(c);
    if (winograd_weight_pays<T>(direct)) return winograd_weight_gradient(direct, x, dy, dw);
    if (weight_channels_pay<T>(direct)) return channel_weight_gradient<T>(direct, x, dy, dw);
    if (gradient_pays<T>(c, direct)) return direct_weight_gradient<T>(direct, x, dy, dw);
  }
  const Windows<T> w(c), wy(flat(c));
  const WeightCut<T> cut(c, w);
  const int64_t split_size = w.split ? c.batch * w.image : 0;
  const int64_t part_size = cut.slices > 1 ? cut.slices * size : 0;
  T* const shared = split_size + part_size
                        ? static_cast<T*>(buffer_acquire((split_size + part_size) * sizeof(T)))
                        : nullptr;
  T* const parts = cut.slices > 1 ? shared + split_size : dw;
  if (w.split) split_planes<T>(x, w, c.batch * c.channels, shared);
  const T* const source = w.split ? shared : x;
  parallel_for(cut.chunks, 1, [=](int64_t chunk, int64_t) {
    weight_block<T>(source, dy, parts, w, wy, cut, chunk);
  });
  if (cut.slices > 1) add_slices<T>(parts, cut.slices, size, dw);
  buffer_release(shared);
}

}  // namespace

DLCORE_EXPORT(conv2d_backward_data)
DLCORE_EXPORT(conv2d_backward_weight)
DLCORE_EXPORT(conv2d_backward_bias)

}  // namespace DLCORE_ISA
}  // namespace dlcore
