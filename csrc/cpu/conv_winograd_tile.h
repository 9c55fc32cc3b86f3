// What the Winograd kernels share: images to transformed tiles, and the register tile that
// multiplies them.
#pragma once

#include "cpu/conv_channels.h"
#include "cpu/conv_winograd.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kTaps = 9;
template <class T>
constexpr int64_t kSlice = 64 / kTileCols<T> * kTileCols<T>;  // channels of V side by side
constexpr int64_t kChain = 32, kShortChain = 16;              // products added one after the other
constexpr int64_t kPartTiles = 128;                           // 0.3 MB of sums
constexpr int64_t kPatchBytes = int64_t(4) << 20;             // of V, in the last cache
constexpr int64_t kSlabBytes = 40 << 10;  // of an image, channels along the lanes

// Strides of an odd number of lines: the 36 places of a tile lie in different sets of L1.
template <class T>
DLCORE_INLINE int64_t odd_lines(int64_t elements) {
  return (ceil_div(elements, kLineElements<T>) | 1) * kLineElements<T>;
}

// Rows of tiles, counted through the batch.
template <class T>
struct TileRows {
  int64_t tiles_y, tiles_x, count;
  int64_t block;  // of them, transformed at once
  int64_t slab;   // of them, of one image, with channels along the lanes
  int64_t row;    // pixels of a padded row

  explicit TileRows(const Direct& d) {
    tiles_y = ceil_div(d.out_h, kTile), tiles_x = ceil_div(d.out_w, kTile);
    count = d.batch * tiles_y;
    const int64_t slices = ceil_div(d.channels, kSlice<T>);
    const int64_t tile_bytes = kProducts * slices * kSlice<T> * static_cast<int64_t>(sizeof(T));
    block = smaller(count, larger(part(), kPatchBytes / (tile_bytes * tiles_x)));
    row = tiles_x * kTile + kPatch - kTile;
    const int64_t line_bytes = row * kTileCols<T> * static_cast<int64_t>(sizeof(T));
    slab = smaller(tiles_y, larger(1, (kSlabBytes / line_bytes - 2) / kTile));
  }
  int64_t part() const { return larger(1, kPartTiles / tiles_x); }
};

// Images whose tiles of kSize x kSize elements, kTile apart, are transformed to 6 x 6 products.
template <class T>
struct TileSource {
  const T* x;
  int64_t channels, height, width, pad_top, pad_left;
};

// Where transformed tiles go: [product][tile][channel].
template <class T>
struct TileTo {
  T* v;
  int64_t product, tile;  // strides
};

// `count` rows of tiles of one image, from row ty on, for one panel of channels from x on.
template <class T, int kSize, class Line>
DLCORE_INLINE void transform_slab(const TileSource<T>& from, const TileRows<T>& rows, const T* x,
                                  int64_t channels, int64_t ty, int64_t count, const Line& line,
                                  T* slab, const TileTo<T>& to) {
  constexpr int64_t kCols = kTileCols<T>;
  const int64_t columns = smaller(from.width, rows.row - from.pad_left);
  T* out = slab;
  for (int64_t i = 0; i < count * kTile + kSize - kTile; ++i, out += rows.row * kCols) {
    const int64_t h = ty * kTile + i - from.pad_top;
    if (h < 0 || h >= from.height) {
      fill_row<T>(T(0), rows.row * kCols, out);
      continue;
    }
    fill_row<T>(T(0), from.pad_left * kCols, out);
    pack_across<T>(x + h * from.width, from.height * from.width, channels, columns,
                   out + from.pad_left * kCols);
    fill_row<T>(T(0), (rows.row - from.pad_left - columns) * kCols,
                out + (from.pad_left + columns) * kCols);
  }
  const int64_t step = to.product, down = rows.row * kCols;
  T* v = to.v;
  for (int64_t i = 0; i < count; ++i)
    for (int64_t tx = 0; tx < rows.tiles_x; ++tx, v += to.tile)
      for (int64_t lane = 0; lane < kCols; lane += kLanes<T>) {
        const T* const corner = slab + i * kTile * down + tx * kTile * kCols + lane;
        T* put = v + lane;
        both_ways<T, kSize, kPatch>(
            line,
            [=](int r, int c)
                __attribute__((always_inline)) { return load<T>(corner + r * down + c * kCols); },
            [&](Vec<T> value) __attribute__((always_inline)) {
              store<T>(put, value);
              put += step;
            });
      }
}

// All channels of rows of tiles first..first+count-1 of the batch. place(c0) is where the panel of
// channels from c0 on goes.
template <class T, int kSize, class Line, class Place>
DLCORE_INLINE void transform_tiles(const TileSource<T>& from, const TileRows<T>& rows,
                                   int64_t first, int64_t count, const Line& line,
                                   const Place& place) {
  const int64_t panels = ceil_div(from.channels, kTileCols<T>);
  parallel_for(ceil_div(count, rows.slab) * panels, 1, [=](int64_t item, int64_t) {
    const int64_t c0 = item % panels * kTileCols<T>, begin = item / panels * rows.slab;
    const int64_t end = smaller(count, begin + rows.slab);
    const TileTo<T> to = place(c0);
    T* const slab = static_cast<T*>(
        buffer_acquire((rows.slab * kTile + kSize - kTile) * rows.row * kTileCols<T> * sizeof(T)));
    for (int64_t i = begin, n; i < end; i += n) {
      const int64_t image = (first + i) / rows.tiles_y, ty = (first + i) % rows.tiles_y;
      n = smaller(end - i, rows.tiles_y - ty);
      transform_slab<T, kSize>(from, rows,
                               from.x + (image * from.channels + c0) * from.height * from.width,
                               smaller(kTileCols<T>, from.channels - c0), ty, n, line, slab,
                               {to.v + i * rows.tiles_x * to.tile, to.product, to.tile});
    }
    buffer_release(slab);
  });
}

// The patches of x.
template <class T, class Place>
DLCORE_INLINE void transform_patches(const Direct& d, const T* x, const TileRows<T>& rows,
                                     int64_t first, int64_t count, const Place& place) {
  const auto line = [](const Vec<T>* in, Vec<T>* out)
                        __attribute__((always_inline)) { patch_line<T>(in, out); };
  transform_tiles<T, kPatch>({x, d.channels, d.height, d.width, d.pad_top, d.pad_left}, rows, first,
                             count, line, place);
}

// sums[i][lane] (+)= the sum over k of v[i * kRow + k * kStep] * u[k][lane] for M rows i, in chains
// of `chain`.
template <class T, int M, int64_t kRow, int64_t kStep>
__attribute__((noinline)) void winograd_tile(const T* v, const T* u, int64_t depth, int64_t chain,
                                             bool add, T* sums) {
  constexpr int NV = kTileVectors;
  for (int64_t p = 0; p < depth; p += chain, add = true) {
    Vec<T> sum[M][NV] = {};
    const int64_t end = smaller(depth - p, chain);
#pragma GCC unroll 4
    for (int64_t k = 0; k < end; ++k, v += kStep, u += kTileCols<T>) {
      Vec<T> right[NV];
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) right[j] = load<T>(u + j * kLanes<T>);
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i) {
        const Vec<T> left = splat<T>(v[i * kRow]);
#pragma GCC unroll 8
        for (int j = 0; j < NV; ++j) sum[i][j] += left * right[j];
      }
    }
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) {
        T* const to = sums + i * kTileCols<T> + j * kLanes<T>;
        store<T>(to, add ? load<T>(to) + sum[i][j] : sum[i][j]);
      }
  }
}

template <class T>
using WinogradFunction = void (*)(const T* v, const T* u, int64_t depth, int64_t chain, bool add,
                                  T* sums);
template <class T>
struct WinogradTable {
  WinogradFunction<T> of[kTileRows];
};
template <class T, int M, int64_t kRow, int64_t kStep>
constexpr void fill_winograd(WinogradTable<T>& table) {
  table.of[M - 1] = &winograd_tile<T, M, kRow, kStep>;
  if constexpr (M > 1) fill_winograd<T, M - 1, kRow, kStep>(table);
}
template <class T, int64_t kRow, int64_t kStep>
constexpr WinogradTable<T> make_winograd() {
  WinogradTable<T> table{};
  fill_winograd<T, kTileRows, kRow, kStep>(table);
  return table;
}
template <class T, int64_t kRow, int64_t kStep>
constexpr WinogradTable<T> kWinograd = make_winograd<T, kRow, kStep>();

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
