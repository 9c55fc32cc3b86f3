// Convolution as one matrix product: y (out_channels x pixels) = weight (out_channels x window) *
// columns (window x pixels). The columns never exist in memory: conv_windows.h packs them straight
// into the panels of the product. The gradients are in conv_backward.cpp.

#include "cpu/conv_windows.h"
#include "cpu/gemm_pack.h"
#include "cpu/gemm_tile.h"
#include "kernels.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kDepth = 512;     // rows of the columns packed at once
constexpr int64_t kMostPanels = 8;  // of them, side by side: 512 KiB in float
constexpr int64_t kWantedChunks = 16;

// How the product of one group is cut: over images, blocks of panels and blocks of rows.
template <class T>
struct Cut {
  int64_t rows, window, columns, images;  // of one product
  bool merged;                            // columns run through the whole batch
  int64_t channels_at_once;               // whole channels, kDepth rows of columns
  int64_t panels, panels_at_once, column_blocks;
  Groups row_panels;
  int64_t row_blocks, row_panels_at_once;

  Cut(const Conv2d& c, const Windows<T>& w) {
    rows = c.out_channels / c.groups;
    const int64_t channels = c.channels / c.groups;
    window = channels * w.taps();
    merged = c.batch > 1 && w.pixels() % kTileCols<T> != 0 && w.pixels() < 1024;
    columns = merged ? c.batch * w.pixels() : w.pixels();
    images = merged ? 1 : c.batch;
    const Groups depth = balanced(channels, larger(1, kDepth / w.taps()));
    channels_at_once = depth.size + (depth.larger > 0);

    panels = ceil_div(columns, kTileCols<T>);
    const int64_t products = images * c.groups;
    panels_at_once = larger(1, smaller(kMostPanels, panels * products / kWantedChunks));
    column_blocks = ceil_div(panels, panels_at_once);
    row_panels = balanced(rows, kTileRows);
    const int64_t wanted = ceil_div(kWantedChunks, larger(1, column_blocks * products));
    row_panels_at_once = ceil_div(row_panels.count, smaller(wanted, row_panels.count));
    row_blocks = ceil_div(row_panels.count, row_panels_at_once);
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

// y = activation(conv(x, weight) + bias); bias may be null.
template <class T>
void conv2d_forward(const T* x, const T* weight, const T* bias, T* y, const Conv2d& c,
                    Activation activation) {
  const Windows<T> w(c);
  const Cut<T> cut(c, w);
  const int64_t pixels = w.pixels(), panels = cut.row_panels.count;
  const int64_t split_size = w.split ? c.batch * w.image : 0;
  const int64_t weight_size = c.groups * panels * a_panel_size<T>(cut.window);
  T* const shared = static_cast<T*>(buffer_acquire((split_size + weight_size) * sizeof(T)));
  T* const packed = shared + split_size;  // a split row is whole vectors: aligned
  if (w.split) split_planes<T>(x, w, c.batch * c.channels, shared);
  const T* const source = w.split ? shared : x;
  pack_weights<T>(weight, c, cut, packed);

  const int64_t chunks = c.groups * cut.images * cut.column_blocks * cut.row_blocks;
  const int64_t channels = c.channels / c.groups;
  parallel_for(chunks, 1, [=](int64_t chunk, int64_t) {
    const int64_t row_block = chunk % cut.row_blocks;
    const int64_t column_block = chunk / cut.row_blocks % cut.column_blocks;
    const int64_t image = chunk / cut.row_blocks / cut.column_blocks % cut.images;
    const int64_t group = chunk / cut.row_blocks / cut.column_blocks / cut.images;
    const int64_t column0 = column_block * cut.panels_at_once * kTileCols<T>;
    const int64_t columns = smaller(cut.columns - column0, cut.panels_at_once * kTileCols<T>);
    const int64_t panel0 = row_block * cut.row_panels_at_once;
    const int64_t panel1 = smaller(panel0 + cut.row_panels_at_once, panels);
    const int64_t row0 = cut.row_panels.begin(panel0), row1 = cut.row_panels.begin(panel1);

    const int64_t b_size = b_panel_size<T>(cut.channels_at_once * w.taps());
    const int64_t width = round_up(columns, kTileCols<T>);
    const int64_t local_size = cut.merged ? (row1 - row0) * width : 0;
    T* const b =
        static_cast<T*>(buffer_acquire((cut.panels_at_once * b_size + local_size) * sizeof(T) +
                                       Pieces<T, kTileVectors>::bytes(w)));
    T* const local = b + cut.panels_at_once * b_size;
    Pieces<T, kTileVectors> pieces(w, local + local_size);

    const T* from = source + image * w.image + group * channels * w.plane;
    T* const to = cut.merged
                      ? local
                      : y + (image * c.out_channels + group * cut.rows + row0) * pixels + column0;
    const int64_t to_row = cut.merged ? width : pixels;
    const Epilogue<T> epilogue{bias, nullptr, nullptr, 0, nullptr, 0, activation, T(0)};
    const bool finish = epilogue.any();

    for (int64_t ch = 0; ch < channels; ch += cut.channels_at_once) {
      const int64_t ch1 = smaller(ch + cut.channels_at_once, channels);
      const int64_t k0 = ch * w.taps(), k = (ch1 - ch) * w.taps();
      const Epilogue<T>* last = finish && ch1 == channels ? &epilogue : nullptr;
      for (int64_t j = 0; j < columns; j += kTileCols<T>) {
        pieces.aim(column0 + j, smaller(columns - j, kTileCols<T>));
        pack_panel<T>(from, w, pieces, ch, ch1, b + j / kTileCols<T> * b_size);
      }
      for (int64_t i = panel0; i < panel1; ++i) {
        const int64_t row = cut.row_panels.begin(i), m = cut.row_panels.begin(i + 1) - row;
        const T* a = packed + (group * panels + i) * a_panel_size<T>(cut.window) + k0 * kTileRows;
        for (int64_t j = 0; j < columns; j += kTileCols<T>)
          panel_tile<T>(m, smaller(columns - j, kTileCols<T>), k, a, b + j / kTileCols<T> * b_size,
                        {to + (row - row0) * to_row + j, to_row, T(1), T(ch > 0), last,
                         group * cut.rows + row, column0 + j});
      }
    }

    for (int64_t j = 0; cut.merged && j < columns;) {
      const int64_t n = (column0 + j) / pixels, p = (column0 + j) % pixels;
      const int64_t run = smaller(pixels - p, columns - j);
      for (int64_t row = row0; row < row1; ++row)
        copy_row<T>(local + (row - row0) * width + j, run,
                    y + (n * c.out_channels + group * cut.rows + row) * pixels + p);
      j += run;
    }
    buffer_release(b);
  });
  buffer_release(shared);
}

}  // namespace

DLCORE_EXPORT(conv2d_forward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
