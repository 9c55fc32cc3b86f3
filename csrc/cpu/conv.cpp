// Convolution. 3x3 with many channels takes Winograd's way (conv_winograd.cpp), 1x1 of many pixels
// is a product of the matrices as they lie (conv_point.h). Most other shapes are multiplied from x
// with its padding in place, output channels along the lanes (conv_channels.h), or pixels, where
// output channels are few (conv_direct.h). The rest is one product here: y (out_channels x pixels)
// = weight (out_channels x window) * columns (window x pixels). The columns never exist in memory:
// conv_windows.h packs them straight into the panels of the product. The gradients are in
// conv_backward.cpp.

#include "kernels/conv.h"

#include "cpu/conv_channels.h"
#include "cpu/conv_depthwise.h"
#include "cpu/conv_direct.h"
#include "cpu/conv_point.h"
#include "cpu/conv_row.h"
#include "cpu/conv_windows.h"
#include "cpu/conv_winograd.h"
#include "cpu/gemm_pack.h"
#include "cpu/gemm_tile.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kDepth = 512;     // rows of the columns packed at once
constexpr int64_t kMostPanels = 8;  // of them, side by side: 512 KiB in float, half an L2

// How the product of one group is cut. With many pixels, a work item is a block of pixels of some
// images with all rows: it packs its own columns, the weights are packed once for all. With few
// pixels (`few`), a work item is a block of rows with all pixels: it packs its own weights, the
// columns are packed once for all.
template <class T>
struct Cut {
  int64_t rows, channels, window;  // of one product
  bool merged;                     // columns run through the whole batch
  int64_t columns, images;
  Groups depth;  // whole channels, at most kDepth rows of columns
  Groups row_panels;
  bool few;
  Groups column_blocks, image_blocks, row_blocks;  // of panels, images, row panels

  Cut(const Conv2d& c, const Windows<T>& w) {
    rows = c.out_channels / c.groups;
    channels = c.channels / c.groups;
    window = channels * w.taps();
    merged = c.batch > 1 && w.pixels() % kTileCols<T> != 0 && w.pixels() < 1024 &&
             (channels >= 16 || w.pixels() < 32);
    columns = merged ? c.batch * w.pixels() : w.pixels();
    images = merged ? 1 : c.batch;
    depth = balanced(channels, larger(1, kDepth / w.taps()));
    row_panels = balanced(rows, kTileRows);

    const int64_t panels = ceil_div(columns, kTileCols<T>);
    few = images == 1 && panels <= 16 && row_panels.count >= 4;
    column_blocks =
        balanced(panels, few ? panels : larger(1, smaller(kMostPanels, panels * images / 16)));
    const int64_t wanted = ceil_div(32, column_blocks.count * c.groups);
    image_blocks = balanced(images, larger(1, ceil_div(images, wanted)));
    row_blocks = balanced(row_panels.count, few ? ceil_div(row_panels.count, 8) : row_panels.count);
  }
  int64_t depth_rows(const Windows<T>& w) const {
    return (depth.size + (depth.larger > 0)) * w.taps();
  }
};

// The weights of all groups in panels of rows, k-major.
template <class T>
DLCORE_INLINE void pack_weights(const T* weight, const Conv2d& c, const Cut<T>& cut, T* packed) {
  const int64_t panels = cut.row_panels.count;
  parallel_for(
      c.groups * panels, grain_for(cut.window * kTileRows), [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t first = cut.row_panels.begin(i % panels);
          const int64_t m = cut.row_panels.begin(i % panels + 1) - first;
          pack_a_panel<T>(m, cut.window, weight + (i / panels * cut.rows + first) * cut.window,
                          cut.window, 1, packed + i * a_panel_size<T>(cut.window));
        }
      });
}

// Channels first..last-1 of one panel of columns. x is the group's first plane.
template <class T>
DLCORE_INLINE void pack_columns(const T* x, const Windows<T>& w,
                                const Pieces<T, kTileVectors>& pieces, int64_t column, int64_t n,
                                int64_t first, int64_t last, T* panel) {
  if (w.whole)
    pack_b_panel<T>((last - first) * w.taps(), n, x + column * w.image + first * w.plane, 1,
                    w.image, panel);
  else
    pack_panel<T>(x, w, pieces, first, last, panel);
}

template <class T>
struct Call {
  const T *x, *weight, *bias;  // x of `split` shape when the stride is above 2
  T* y;
  Finish<T> finish;
  const T* packed;  // all weights in panels, or null

  // Of an image. Merged columns get their residual when they are in their places.
  Epilogue<T> epilogue(const Windows<T>& w, bool merged, int64_t image) const {
    if (merged && finish.residual) return {bias, nullptr, nullptr, 0, nullptr, 0, {}, T(0)};
    const int64_t at = image * w.c.out_channels * w.pixels();
    return {bias,
            nullptr,
            finish.residual ? finish.residual + at : nullptr,
            w.pixels(),
            nullptr,
            0,
            finish.activation,
            finish.slope};
  }
};

// A block of results of merged columns to their images. `rows` rows from row0 of y's channels.
template <class T>
DLCORE_INLINE void place_columns(const T* block, int64_t width, int64_t rows, int64_t row0,
                                 int64_t column0, int64_t columns, const Windows<T>& w,
                                 const Call<T>& call) {
  const int64_t pixels = w.pixels(), channels = w.c.out_channels;
  const auto finish = [&](int64_t at, int64_t m, int64_t n, int64_t step) {
    if (call.finish.residual) finish_rows(call.finish, call.y, at, m, n, step);
  };
  if (pixels == 1) {
    const int64_t at = column0 * channels + row0;
    transpose<T>(block, width, rows, columns, call.y + at, channels);
    return finish(at, columns, rows, channels);
  }
  for (int64_t j = 0; j < columns;) {
    const int64_t n = (column0 + j) / pixels, p = (column0 + j) % pixels;
    const int64_t run = smaller(pixels - p, columns - j);
    const int64_t at = (n * channels + row0) * pixels + p;
    for (int64_t row = 0; row < rows; ++row)
      copy_row<T>(block + row * width + j, run, call.y + at + row * pixels);
    finish(at, rows, run, pixels);
    j += run;
  }
}

// One row of tiles: m rows of weights in a panel by panels of columns side by side.
template <class T>
DLCORE_INLINE void tile_row(int64_t m, int64_t columns, int64_t k, const T* a, const T* b,
                            int64_t b_size, TileTarget<T> to) {
  for (int64_t j = 0; j < columns; j += kTileCols<T>, b += b_size) {
    run_tile(Operands::panels, m, smaller(columns - j, kTileCols<T>), k, a, 0, b, 0, to);
    to.c += kTileCols<T>;
    to.added += kTileCols<T>;
    to.col += kTileCols<T>;
  }
}

// One block of pixels of some images, all rows.
template <class T>
DLCORE_INLINE void pixel_block(const Call<T>& call, const Windows<T>& w, const Cut<T>& cut,
                               const T* weights, int64_t chunk) {
  const Conv2d& c = w.c;
  const int64_t image_block = chunk % cut.image_blocks.count;
  const int64_t block = chunk / cut.image_blocks.count % cut.column_blocks.count;
  const int64_t group = chunk / cut.image_blocks.count / cut.column_blocks.count;
  const int64_t panel0 = cut.column_blocks.begin(block);
  const int64_t panels = cut.column_blocks.begin(block + 1) - panel0;
  const int64_t column0 = panel0 * kTileCols<T>, width = panels * kTileCols<T>;
  const int64_t columns = smaller(width, cut.columns - column0);

  const int64_t b_size = b_panel_size<T>(cut.depth_rows(w));
  const int64_t local_size = cut.merged ? cut.rows * width : 0;
  const int64_t pieces_size = round_up(Pieces<T, kTileVectors>::bytes(w), 64);
  T* const b = static_cast<T*>(
      buffer_acquire((panels * b_size + local_size) * sizeof(T) + panels * pieces_size));
  T* const local = b + panels * b_size;
  Pieces<T, kTileVectors> pieces[kMostPanels];
  for (int64_t j = 0; j < panels; ++j) {
    pieces[j] = {w, reinterpret_cast<char*>(local + local_size) + j * pieces_size};
    if (!w.whole)
      pieces[j].aim(column0 + j * kTileCols<T>, smaller(kTileCols<T>, columns - j * kTileCols<T>));
  }

  const int64_t row0 = group * cut.rows;
  for (int64_t image = cut.image_blocks.begin(image_block);
       image < cut.image_blocks.begin(image_block + 1); ++image) {
    const Epilogue<T> epilogue = call.epilogue(w, cut.merged, image);
    const T* x = call.x + image * w.image + group * cut.channels * w.plane;
    T* const y = call.y + (image * c.out_channels + row0) * w.pixels() + column0;
    for (int64_t d = 0; d < cut.depth.count; ++d) {
      const int64_t first = cut.depth.begin(d), last = cut.depth.begin(d + 1);
      for (int64_t j = 0; j < panels; ++j)
        pack_columns<T>(x, w, pieces[j], column0 + j * kTileCols<T>,
                        smaller(kTileCols<T>, columns - j * kTileCols<T>), first, last,
                        b + j * b_size);
      const bool finish = epilogue.any() && d == cut.depth.count - 1;
      for (int64_t i = 0; i < cut.row_panels.count; ++i) {
        const int64_t row = cut.row_panels.begin(i), m = cut.row_panels.begin(i + 1) - row;
        const T* a = weights + (group * cut.row_panels.count + i) * a_panel_size<T>(cut.window);
        T* const to = cut.merged ? local + row * width : y + row * w.pixels();
        tile_row<T>(m, columns, (last - first) * w.taps(), a + first * w.taps() * kTileRows, b,
                    b_size,
                    {to, cut.merged ? width : w.pixels(), T(1), T(d > 0),
                     finish ? &epilogue : nullptr, row0 + row, column0});
      }
    }
  }
  if (cut.merged) place_columns<T>(local, width, cut.rows, row0, column0, columns, w, call);
  buffer_release(b);
}

// All columns of a group in panels, for row_block.
template <class T>
DLCORE_INLINE void pack_all_columns(const Call<T>& call, const Windows<T>& w, const Cut<T>& cut,
                                    T* packed) {
  const int64_t panels = ceil_div(cut.columns, kTileCols<T>), size = b_panel_size<T>(cut.window);
  const int64_t blocks = larger(1, smaller(cut.channels, 8 / panels));
  const Groups channels = balanced(cut.channels, ceil_div(cut.channels, blocks));
  parallel_for(w.c.groups * panels * channels.count, 1, [=](int64_t chunk, int64_t) {
    const int64_t block = chunk % channels.count, j = chunk / channels.count % panels;
    const int64_t group = chunk / channels.count / panels;
    const int64_t column = j * kTileCols<T>, n = smaller(kTileCols<T>, cut.columns - column);
    void* const memory = buffer_acquire(Pieces<T, kTileVectors>::bytes(w));
    Pieces<T, kTileVectors> pieces(w, memory);
    if (!w.whole) pieces.aim(column, n);
    const int64_t first = channels.begin(block);
    pack_columns<T>(call.x + group * cut.channels * w.plane, w, pieces, column, n, first,
                    channels.begin(block + 1),
                    packed + (group * panels + j) * size + first * w.taps() * kTileCols<T>);
    buffer_release(memory);
  });
}

// One block of rows, all pixels.
template <class T>
DLCORE_INLINE void row_block(const Call<T>& call, const Windows<T>& w, const Cut<T>& cut,
                             const T* packed, int64_t chunk) {
  const int64_t group = chunk / cut.row_blocks.count, block = chunk % cut.row_blocks.count;
  const int64_t panel0 = cut.row_blocks.begin(block), panel1 = cut.row_blocks.begin(block + 1);
  const int64_t first = cut.row_panels.begin(panel0), rows = cut.row_panels.begin(panel1) - first;
  const int64_t width = round_up(cut.columns, kTileCols<T>);
  const int64_t b_size = b_panel_size<T>(cut.window), row0 = group * cut.rows;
  const T* const b = packed + group * width / kTileCols<T> * b_size;
  const T* const weight = call.weight + row0 * cut.window;

  const int64_t a_size = a_panel_size<T>(call.packed ? 0 : cut.depth_rows(w));
  T* const own =
      static_cast<T*>(buffer_acquire((a_size + (cut.merged ? rows * width : 0)) * sizeof(T)));
  T* const local = own + a_size;
  const Epilogue<T> epilogue = call.epilogue(w, cut.merged, 0);
  for (int64_t d = 0; d < cut.depth.count; ++d) {
    const int64_t k0 = cut.depth.begin(d) * w.taps(), k = cut.depth.begin(d + 1) * w.taps() - k0;
    const bool finish = epilogue.any() && d == cut.depth.count - 1;
    for (int64_t i = panel0; i < panel1; ++i) {
      const int64_t row = cut.row_panels.begin(i), m = cut.row_panels.begin(i + 1) - row;
      const T* a = own;
      if (call.packed)
        a = call.packed + (group * cut.row_panels.count + i) * a_panel_size<T>(cut.window) +
            k0 * kTileRows;
      else
        pack_a_panel<T>(m, k, weight + row * cut.window + k0, cut.window, 1, own);
      T* const to = cut.merged ? local + (row - first) * width : call.y + (row0 + row) * w.pixels();
      tile_row<T>(m, cut.columns, k, a, b + k0 * kTileCols<T>, b_size,
                  {to, cut.merged ? width : w.pixels(), T(1), T(d > 0),
                   finish ? &epilogue : nullptr, row0 + row, 0});
    }
  }
  if (cut.merged) place_columns<T>(local, width, rows, row0 + first, 0, cut.columns, w, call);
  buffer_release(own);
}

enum class Way { depthwise, row, point, winograd, channels, direct, windows };

// Of a 1x1 convolution that skips pixels: the way for those it reads. float64 has one way for most
// shapes: the others would be 70 KB more.
template <class T>
DLCORE_INLINE Way way_of(const Conv2d& c, const Direct& direct) {
  if (is_depthwise(c)) return Way::depthwise;
  if (is_long_row<T>(c, c.channels, c.out_channels)) return Way::row;
  if (is_point(c) && point_products_pay(c)) return Way::point;
  if (!kIsFloat<T>) return Way::windows;
  if (winograd_pays<T>(direct)) return Way::winograd;
  if (channels_pay<T>(direct)) return Way::channels;
  return direct_pays(c, direct) ? Way::direct : Way::windows;
}

template <class T>
DLCORE_INLINE bool picks_pixels(const Conv2d& c) {
  return is_point(c) && skips_pixels(c) && !is_depthwise(c) &&
         !is_long_row<T>(c, c.channels, c.out_channels);
}

template <class T>
DLCORE_INLINE int64_t panels_size(const Conv2d& c, const Cut<T>& cut) {
  return c.groups * cut.row_panels.count * a_panel_size<T>(cut.window);
}

template <class T>
void windows_forward(const T* x, const T* weight, const T* bias, T* y, const Conv2d& c,
                     const Finish<T>& finish, const T* packed) {
  const Windows<T> w(c);
  const Cut<T> cut(c, w);
  const int64_t split_size = w.split ? c.batch * w.image : 0;
  const int64_t columns_size = ceil_div(cut.columns, kTileCols<T>) * b_panel_size<T>(cut.window);
  const int64_t shared_size = cut.few   ? c.groups * columns_size
                              : !packed ? panels_size<T>(c, cut)
                                        : 0;
  T* const split = static_cast<T*>(buffer_acquire((split_size + shared_size) * sizeof(T)));
  T* const shared = split + split_size;
  if (w.split) split_planes<T>(x, w, c.batch * c.channels, split);
  const Call<T> call{w.split ? split : x, weight, bias, y, finish, packed};
  if (cut.few) {
    pack_all_columns<T>(call, w, cut, shared);
    parallel_for(c.groups * cut.row_blocks.count, 1,
                 [=](int64_t chunk, int64_t) { row_block<T>(call, w, cut, shared, chunk); });
  } else {
    if (!packed) pack_weights<T>(weight, c, cut, shared);
    const T* const weights = packed ? packed : shared;
    parallel_for(c.groups * cut.column_blocks.count * cut.image_blocks.count, 1,
                 [=](int64_t chunk, int64_t) { pixel_block<T>(call, w, cut, weights, chunk); });
  }
  buffer_release(split);
}

// y = finish(conv(x, weight) + bias); bias may be null.
template <class T>
void conv2d_forward(const T* x, const T* weight, const T* bias, T* y, const Conv2d& c,
                    const Finish<T>& finish, const T* packed) {
  if (c.batch == 0) return;
  if (picks_pixels<T>(c)) {
    T* const picked =
        static_cast<T*>(buffer_acquire(c.batch * c.channels * c.out_h * c.out_w * sizeof(T)));
    pick_pixels<T>(c, x, picked);
    conv2d_forward<T>(picked, weight, bias, y, of_picked(c), finish, packed);
    return buffer_release(picked);
  }
  const Direct direct = direct_forward(c);
  const Way way = way_of<T>(c, direct);
  if (way == Way::depthwise) return depthwise_forward(c, x, weight, bias, y, finish);
  if (way == Way::row) return row_forward<T>(c, x, weight, bias, y, finish);
  if (way == Way::point) return point_forward<T>(c, x, weight, bias, y, finish, packed);
  if constexpr (kIsFloat<T>) {
    if (way == Way::winograd) return winograd_conv(direct, x, weight, bias, y, finish);
    if (way == Way::channels) return channel_conv(direct, x, weight, bias, y, finish, packed);
    if (way == Way::direct) return direct_conv(direct, x, weight, bias, y, finish);
  }
  windows_forward<T>(x, weight, bias, y, c, finish, packed);
}

template <class T>
void conv2d_pack(const T* weight, const Conv2d& given, T* packed, int64_t* size) {
  *size = 0;  // also of Winograd's, four times as large: reading costs what making them does
  if (given.batch == 0) return;
  const Conv2d c = picks_pixels<T>(given) ? of_picked(given) : given;
  const Direct direct = direct_forward(c);
  const Way way = way_of<T>(c, direct);
  if (way == Way::point) {
    *size = pack_point<T>(c, weight, packed);
  } else if (way == Way::channels) {
    if constexpr (kIsFloat<T>) *size = channel_pack(direct, weight, packed);
  } else if (way == Way::windows) {
    const Cut<T> cut(c, Windows<T>(c));
    *size = panels_size<T>(c, cut);
    if (packed) pack_weights<T>(weight, c, cut, packed);
  }
}

}  // namespace

DLCORE_EXPORT(conv2d_forward)
DLCORE_EXPORT(conv2d_pack)

}  // namespace DLCORE_ISA
}  // namespace dlcore
