// The gradient of a 3x3 weight by Winograd's F(4x4, 3x3) backwards.
//
// 1. Patches of x and tiles of dy of some rows of tiles are transformed, channels along the lanes:
//      V [slice of channels][product][tile][channel of the slice],
//      Z [panel of output channels][product][tile][output channel of the panel].
// 2. A work item is a slice by a panel: 36 products of channels by tiles by output channels, summed
//    over the tiles in chains of kChain, transformed back and added to what earlier rows left.
#include "cpu/conv_winograd_tile.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kTilesAtOnce = 2 * kChain;  // 20 KiB of V and Z in L1

template <class T>
struct GradientShape {
  TileRows<T> rows;
  int64_t panels, slices;
  int64_t v_product, z_product, u_product;  // strides

  explicit GradientShape(const Direct& d) : rows(d) {
    panels = ceil_div(d.rows, kTileCols<T>);
    slices = ceil_div(d.channels, kSlice<T>);
    v_product = odd_lines<T>(rows.block * rows.tiles_x * kSlice<T>);
    z_product = odd_lines<T>(rows.block * rows.tiles_x * kTileCols<T>);
    u_product = odd_lines<T>(kSlice<T> * kTileCols<T>);
  }
  int64_t sums() const { return kSlice<T> * kTaps * kTileCols<T>; }  // of an item
};

// sums[channel][tap][output channel] (+)= the products of `tiles` tiles.
template <class T>
DLCORE_INLINE void gradient_item(const GradientShape<T>& shape, int64_t channels, int64_t tiles,
                                 const T* v, const T* z, bool add, T* sums) {
  constexpr int64_t kCols = kTileCols<T>;
  T* const u = static_cast<T*>(buffer_acquire(kProducts * shape.u_product * sizeof(T)));
  const Groups rows = balanced(channels, kTileRows);
  for (int64_t e = 0; e < kProducts; ++e)
    for (int64_t t = 0; t < tiles; t += kTilesAtOnce)
      for (int64_t i = 0; i < rows.count; ++i) {
        const int64_t c = rows.begin(i), m = rows.begin(i + 1) - c;
        kWinograd<T, 1, kSlice<T>>.of[m - 1](
            v + e * shape.v_product + t * kSlice<T> + c, z + e * shape.z_product + t * kCols,
            smaller(kTilesAtOnce, tiles - t), kChain, t > 0, u + e * shape.u_product + c * kCols);
      }
  const int64_t product = shape.u_product;
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t lane = 0; lane < kCols; lane += kLanes<T>) {
      const T* const from = u + c * kCols + lane;
      T* put = sums + c * kTaps * kCols + lane;
      both_ways<T, kPatch, 3>(
          weight_gradient_line<T>,
          [=](int i, int j)
              __attribute__((always_inline)) { return load<T>(from + (i * kPatch + j) * product); },
          [&](Vec<T> value) __attribute__((always_inline)) {
            store<T>(put, add ? load<T>(put) + value : value);
            put += kCols;
          });
    }
  buffer_release(u);
}

template <class T>
DLCORE_INLINE void run_gradient(const Direct& d, const T* x, const T* dy, T* dw) {
  constexpr int64_t kCols = kTileCols<T>;
  const GradientShape<T> shape(d);
  const TileRows<T>& rows = shape.rows;
  const int64_t v_slice = kProducts * shape.v_product, z_panel = kProducts * shape.z_product;
  T* const v = static_cast<T*>(buffer_acquire(
      (shape.slices * v_slice + shape.panels * (z_panel + shape.slices * shape.sums())) *
      sizeof(T)));
  T* const z = v + shape.slices * v_slice;
  T* const sums = z + shape.panels * z_panel;
  const auto line = [](const Vec<T>* in, Vec<T>* out)
                        __attribute__((always_inline)) { gradient_line<T>(in, out); };
  for (int64_t first = 0; first < rows.count; first += rows.block) {
    const int64_t count = smaller(rows.block, rows.count - first), tiles = count * rows.tiles_x;
    transform_patches<T>(d, x, rows, first, count, [=](int64_t c0) -> TileTo<T> {
      return {v + c0 / kSlice<T> * v_slice + c0 % kSlice<T>, shape.v_product, kSlice<T>};
    });
    transform_tiles<T, kTile>({dy, d.rows, d.out_h, d.out_w, 0, 0}, rows, first, count, line,
                              [=](int64_t k0) -> TileTo<T> {
                                return {z + k0 / kCols * z_panel, shape.z_product, kCols};
                              });
    const bool last = first + count == rows.count;
    parallel_for(shape.slices * shape.panels, 1, [=](int64_t item, int64_t) {
      const int64_t slice = item / shape.panels, panel = item % shape.panels;
      const int64_t c0 = slice * kSlice<T>, k0 = panel * kCols;
      const int64_t channels = smaller(kSlice<T>, d.channels - c0);
      T* const sum = sums + item * shape.sums();
      gradient_item<T>(shape, channels, tiles, v + slice * v_slice, z + panel * z_panel, first > 0,
                       sum);
      if (last)
        transpose<T>(sum, kCols, channels * kTaps, smaller(kCols, d.rows - k0),
                     dw + k0 * d.window() + c0 * kTaps, d.window());
    });
  }
  buffer_release(v);
}

}  // namespace

void winograd_weight_gradient(const Direct& d, const float* x, const float* dy, float* dw) {
  run_gradient<float>(d, x, dy, dw);
}

}  // namespace DLCORE_ISA
}  // namespace dlcore
