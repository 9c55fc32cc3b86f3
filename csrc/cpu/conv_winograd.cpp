// 3x3 convolution with stride 1 by Winograd's F(4x4, 3x3), forward and for the gradient of x.
//
// 1. The patches of some rows of tiles are transformed into
//      V [slice of channels][product][tile][channel of the slice],
//    channels along the lanes.
// 2. A work item is a panel of output channels by a part of those tiles. Slice by slice it
//    transforms its weights and multiplies: 36 products of tiles x channels by channels x panel,
//    whose sums M [product][tile][output channel] stay in L2, as do the weights.
// 3. It transforms the sums back and turns them into rows of y.
//
// The weights are transformed once for at most kPartTiles tiles: 100 cycles for 8 of them against
// 4.5 a tile. The sum over channels is cut into chains of kChain, for dx of kShortChain, that are
// added in order, as long chains make most of the error: see docs/numerics.md.

#include "cpu/conv_winograd_tile.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
struct WinogradCut {
  TileRows<T> rows;
  int64_t part;  // rows of tiles of a work item
  int64_t panels, slices;
  int64_t v_product, u_product, m_product;  // strides

  explicit WinogradCut(const Direct& d) : rows(d) {
    panels = ceil_div(d.rows, kTileCols<T>);
    slices = ceil_div(d.channels, kSlice<T>);
    const int64_t parts =
        larger(ceil_div(rows.block, rows.part()), smaller(ceil_div(8, panels), rows.block));
    part = ceil_div(rows.block, parts);
    v_product = odd_lines<T>(rows.block * rows.tiles_x * kSlice<T>);
    u_product = odd_lines<T>(kSlice<T> * kTileCols<T>);
    m_product = odd_lines<T>(part * rows.tiles_x * kTileCols<T>);
  }
};

// U of a panel of output channels and one slice; `turned` has room for its weights.
template <class T>
DLCORE_INLINE void transform_weights(const Direct& d, const WinogradCut<T>& cut, const T* weight,
                                     int64_t panel, int64_t first, int64_t channels, T* turned,
                                     T* u) {
  constexpr int64_t kCols = kTileCols<T>;
  const int64_t row0 = panel * kCols;
  pack_channels<T>(d, weight, row0, smaller(kCols, d.rows - row0), first, channels, turned);
  const int64_t last = d.backward ? kTaps - 1 : 0, step = d.backward ? -kCols : kCols;
  const int64_t product = cut.u_product;
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t lane = 0; lane < kCols; lane += kLanes<T>) {
      const T* const from = turned + (c * kTaps + last) * kCols + lane;
      T* put = u + c * kCols + lane;
      both_ways<T, 3, kPatch>(
          weight_line<T>,
          [=](int i, int j)
              __attribute__((always_inline)) { return load<T>(from + (i * 3 + j) * step); },
          [&](Vec<T> value) __attribute__((always_inline)) {
            store<T>(put, value);
            put += product;
          });
    }
}

// One row of tiles back: 4 rows of results, pixels by output channels.
template <class T>
DLCORE_INLINE void transform_results(const WinogradCut<T>& cut, const T* m, const T* bias,
                                     const Limits<T>& limits, T* lines) {
  constexpr int64_t kCols = kTileCols<T>;
  const int64_t product = cut.m_product, line = cut.rows.tiles_x * kTile * kCols;
  for (int64_t tx = 0; tx < cut.rows.tiles_x; ++tx, m += kCols, lines += kTile * kCols)
    for (int64_t lane = 0; lane < kCols; lane += kLanes<T>) {
      const Vec<T> start = load<T>(bias + lane);
      const T* const from = m + lane;
      T* put = lines + lane;
      int at = 0;
      both_ways<T, kPatch, kTile>(
          result_line<T>,
          [=](int i, int j)
              __attribute__((always_inline)) { return load<T>(from + (i * kPatch + j) * product); },
          [&](Vec<T> value) __attribute__((always_inline)) {
            store<T>(put, limits.of(value + start));
            put += ++at % kTile ? kCols : line - (kTile - 1) * kCols;
          });
    }
}

// A panel of output channels by rows of tiles first..first+count-1 of the batch, whose patches v
// points at.
template <class T>
DLCORE_INLINE void winograd_item(const Direct& d, const DirectCall<T>& call,
                                 const WinogradCut<T>& cut, int64_t panel, int64_t first,
                                 int64_t count, const T* v) {
  constexpr int64_t kCols = kTileCols<T>;
  const int64_t row0 = panel * kCols, n = smaller(kCols, d.rows - row0);
  const int64_t line = cut.rows.tiles_x * kTile * kCols;
  T* const turned = static_cast<T*>(
      buffer_acquire((kTaps * kSlice<T> * kCols + kProducts * (cut.u_product + cut.m_product) +
                      kCols + kTile * line) *
                     sizeof(T)));
  T* const u = turned + kTaps * kSlice<T> * kCols;
  T* const m = u + kProducts * cut.u_product;
  T* const bias = m + kProducts * cut.m_product;
  T* const lines = bias + kCols;
  fill_row<T>(T(0), kCols, bias);
  if (call.bias) copy_row<T>(call.bias + row0, n, bias);

  const int64_t chain = d.backward ? kShortChain : kChain;
  const Groups tiles = balanced(count * cut.rows.tiles_x, kTileRows);
  for (int64_t s = 0; s < cut.slices; ++s, v += kProducts * cut.v_product) {
    const int64_t channels = smaller(kSlice<T>, d.channels - s * kSlice<T>);
    transform_weights<T>(d, cut, call.weight, panel, s * kSlice<T>, channels, turned, u);
    for (int64_t e = 0; e < kProducts; ++e)
      for (int64_t i = 0; i < tiles.count; ++i) {
        const int64_t at = tiles.begin(i), size = tiles.begin(i + 1) - at;
        kWinograd<T, kSlice<T>, 1>.of[size - 1](v + e * cut.v_product + at * kSlice<T>,
                                                u + e * cut.u_product, channels, chain, s > 0,
                                                m + e * cut.m_product + at * kCols);
      }
  }

  const int64_t pixels = d.out_h * d.out_w;
  const Limits<T> limits(call.finish);
  for (int64_t i = 0; i < count; ++i) {
    transform_results<T>(cut, m + i * cut.rows.tiles_x * kCols, bias, limits, lines);
    const int64_t image = (first + i) / cut.rows.tiles_y,
                  oh = (first + i) % cut.rows.tiles_y * kTile;
    const int64_t at = (image * d.rows + row0) * pixels + oh * d.out_w;
    const int64_t rows = smaller(kTile, d.out_h - oh);
    for (int64_t r = 0; r < rows; ++r)
      transpose<T>(lines + r * line, kCols, d.out_w, n, call.y + at + r * d.out_w, pixels);
    if (!limits.all) finish_rows(call.finish, call.y, at, n, rows * d.out_w, pixels);
  }
  buffer_release(turned);
}

template <class T>
DLCORE_INLINE void run_winograd(const Direct& d, const DirectCall<T>& call) {
  const WinogradCut<T> cut(d);
  const TileRows<T>& rows = cut.rows;
  T* const patches =
      static_cast<T*>(buffer_acquire(cut.slices * kProducts * cut.v_product * sizeof(T)));
  const auto place = [=](int64_t c0) -> TileTo<T> {
    return {patches + c0 / kSlice<T> * kProducts * cut.v_product + c0 % kSlice<T>, cut.v_product,
            kSlice<T>};
  };
  for (int64_t first = 0; first < rows.count; first += rows.block) {
    const int64_t count = smaller(rows.block, rows.count - first);
    transform_patches<T>(d, call.x, rows, first, count, place);
    parallel_for(ceil_div(count, cut.part) * cut.panels, 1, [=](int64_t item, int64_t) {
      const int64_t begin = item / cut.panels * cut.part;
      winograd_item<T>(d, call, cut, item % cut.panels, first + begin,
                       smaller(cut.part, count - begin),
                       patches + begin * cut.rows.tiles_x * kSlice<T>);
    });
  }
  buffer_release(patches);
}

}  // namespace

void winograd_conv(const Direct& d, const float* x, const float* weight, const float* bias,
                   float* y, const Finish<float>& finish) {
  run_winograd<float>(d, {x, weight, bias, y, finish, nullptr});
}

}  // namespace DLCORE_ISA
}  // namespace dlcore
