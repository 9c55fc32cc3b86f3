// The gradient of the weight of a convolution over three axes, without columns.
//
// dw[k, c, tap] is the sum over positions of dy[k, position] times what the tap reads. dy is turned
// block by block, positions by panels of output channels, and x padded as in conv_volume.h; a
// register tile is kTileRows taps (of one or several channels) by a panel, and a step of the sum is
// one position: a broadcast for each tap and one row of the panel. Sums wait in L2 while a block of
// dy of some 200 positions stays in L1.

#include "cpu/conv_channels_weight.h"
#include "cpu/conv_volume.h"
#include "kernels/conv.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kPositions = 192;  // of a turned block of dy: 12 or 24 KiB
constexpr int64_t kItems = 16;

// Rows of positions, `cols` each: those of x a row apart, those of dy one after the other.
template <class T>
struct PositionRows {
  const T *x, *dy;
  int64_t rows, cols, x_row;
};

// sums[i][lane] += x[offset[i] + position] dy[position][lane] over all positions.
template <class T>
__attribute__((noinline)) void tap_tile(const PositionRows<T>& p, const int64_t* offset, T* sums) {
  constexpr int M = kTileRows, NV = kTileVectors;
  Vec<T> sum[M][NV];
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) sum[i][j] = load<T>(sums + i * kTileCols<T> + j * kLanes<T>);
  const T* g = p.dy;
  for (int64_t row = 0; row < p.rows; ++row) {
    const T* a[M];
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) a[i] = p.x + row * p.x_row + offset[i];
#pragma GCC unroll 1
    for (int64_t col = 0; col < p.cols; ++col, g += kTileCols<T>) {
      Vec<T> right[NV];
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) right[j] = load<T>(g + j * kLanes<T>);
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i) {
        const Vec<T> left = splat<T>(a[i][col]);
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) sum[i][j] += left * right[j];
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) store<T>(sums + i * kTileCols<T> + j * kLanes<T>, sum[i][j]);
}

// A work item is some channels of a group by a slice: some blocks of some images.
template <class T>
struct WeightPlan {
  Volume v;
  VolumeCut<T> cut;
  Groups channels, slices;  // of an item; of blocks, counted through the batch
  int64_t most_channels;
  int64_t panels, window;  // taps of the most channels, whole tiles
  int64_t* offset;         // of all taps of those channels

  explicit WeightPlan(const Volume& volume) : v(volume) {
    const int64_t size = v.groups * v.rows * v.window();
    const int64_t most = larger(1, smaller(kItems, (int64_t(1) << 21) / size));
    channels = balanced(v.channels, v.channels);
    cut = VolumeCut<T>(v, v.channels, v.batch);
    const int64_t blocks = v.batch * cut.count();
    slices = balanced(blocks, ceil_div(blocks, most));
    if (slices.count * v.groups < kItems)
      channels = balanced(
          v.channels, ceil_div(v.channels, smaller(v.channels, kItems / slices.count / v.groups)));
    panels = ceil_div(v.rows, kTileCols<T>);
    most_channels = channels.size + (channels.larger > 0);
    window = round_up(most_channels * v.taps(), kTileRows);
  }
  int64_t sums_size() const { return panels * window * kTileCols<T> + kSumSize<T>; }
};

// One panel of dy, the positions of a block by output channels.
template <class T>
DLCORE_INLINE void turn_block(const WeightPlan<T>& plan, const VolumeBlock& b, const T* dy,
                              int64_t panel, T* turned) {
  const Volume& v = plan.v;
  const int64_t row0 = panel * kTileCols<T>, n = smaller(kTileCols<T>, v.rows - row0);
  for (int64_t i = 0; i < b.size[0]; ++i)
    for (int64_t j = 0; j < b.size[1]; ++j, turned += b.size[2] * kTileCols<T>)
      pack_across<T>(dy + row0 * v.results() +
                         ((b.begin[0] + i) * v.axis[1].count + b.begin[1] + j) * v.axis[2].count +
                         b.begin[2],
                     v.results(), n, b.size[2], turned);
}

// sums += the products of one block. The rows of a plane are taken together while L1 holds them.
template <class T>
DLCORE_INLINE void add_products(const WeightPlan<T>& plan, const VolumeBlock& b, int64_t taps,
                                const T* slab, const T* turned, T* sums) {
  const int64_t step = larger(1, kPositions / b.size[2]), x_row = plan.cut.padded.row();
  for (int64_t i = 0; i < b.size[0]; ++i)
    for (int64_t j = 0; j < b.size[1]; j += step) {
      const PositionRows<T> rows{
          slab + i * plan.v.axis[0].step * plan.cut.plane + j * plan.v.axis[1].step * x_row,
          turned + (i * b.size[1] + j) * b.size[2] * kTileCols<T>, smaller(step, b.size[1] - j),
          b.size[2], plan.v.axis[1].step * x_row};
      for (int64_t t = 0; t < taps; t += kTileRows)
        tap_tile<T>(rows, plan.offset + t, sums + t * kTileCols<T>);
    }
}

template <class T>
DLCORE_INLINE void volume_weight_item(const WeightPlan<T>& plan, int64_t item, const T* x,
                                      const T* dy, T* parts) {
  const Volume& v = plan.v;
  const VolumeCut<T>& cut = plan.cut;
  const int64_t part = item % plan.channels.count, group = item / plan.channels.count % v.groups;
  const int64_t slice = item / plan.channels.count / v.groups;
  const int64_t c0 = plan.channels.begin(part), channels = plan.channels.begin(part + 1) - c0;
  const int64_t taps = channels * v.taps();
  const int64_t slab_size = round_up(plan.most_channels * cut.volume, kLineElements<T>);
  const int64_t turned_size = cut.most[0] * cut.most[1] * cut.most[2] * kTileCols<T>;
  T* const sums =
      static_cast<T*>(buffer_acquire((plan.sums_size() + turned_size + slab_size) * sizeof(T)));
  T* const turned = sums + plan.sums_size();
  T* const slab = turned + turned_size;
  fill_row<T>(T(0), plan.sums_size(), sums);
  for (int64_t i = plan.slices.begin(slice); i < plan.slices.begin(slice + 1); ++i) {
    const VolumeBlock block(cut, i % cut.count());
    const int64_t set = i / cut.count() * v.groups + group;  // image and group
    pad_volume<T>(v, cut, block, x + (set * v.channels + c0) * v.source(), channels, slab);
    for (int64_t p = 0; p < plan.panels; ++p) {
      turn_block<T>(plan, block, dy + set * v.rows * v.results(), p, turned);
      add_products<T>(plan, block, taps, slab, turned, sums + p * plan.window * kTileCols<T>);
    }
  }
  T* const to = parts + (slice * v.groups + group) * v.rows * v.window() + c0 * v.taps();
  for (int64_t p = 0; p < plan.panels; ++p)
    for (int64_t t = 0; t < taps; t += kSumRows)
      store_across<T>(sums + (p * plan.window + t) * kTileCols<T>, smaller(kSumRows, taps - t),
                      smaller(kTileCols<T>, v.rows - p * kTileCols<T>),
                      to + p * kTileCols<T> * v.window() + t, v.window());
  buffer_release(sums);
}

// dw = the gradient with respect to the weight: the slices' sums added in their order.
template <class T>
void conv3d_backward_weight(const T* x, const T* dy, T* dw, const Conv3d& c) {
  const Volume v(c, false);
  const int64_t size = v.groups * v.rows * v.window();
  if (v.batch == 0) return fill_row<T>(T(0), size, dw);
  if constexpr (kIsFloat<T>)
    if (depthwise_volume_pays(c)) return depthwise_volume_weight(c, x, dy, dw);
  WeightPlan<T> plan(v);
  const VolumeTaps taps = make_volume_taps<T>(v, plan.cut);
  const int64_t slices = plan.slices.count, parts_size = slices > 1 ? slices * size : 0;
  const int64_t offset_bytes = round_up(plan.window * 8, 64);
  char* const shared = static_cast<char*>(buffer_acquire(offset_bytes + parts_size * sizeof(T)));
  plan.offset = reinterpret_cast<int64_t*>(shared);
  for (int64_t i = 0; i < plan.window; ++i) {
    const int64_t channel = smaller(i / v.taps(), plan.most_channels - 1);
    plan.offset[i] = channel * plan.cut.volume + taps.offset[i % v.taps()];
  }
  T* const parts = slices > 1 ? reinterpret_cast<T*>(shared + offset_bytes) : dw;
  parallel_for(slices * v.groups * plan.channels.count, 1,
               [=](int64_t item, int64_t) { volume_weight_item<T>(plan, item, x, dy, parts); });
  if (slices > 1) add_slices<T>(parts, slices, size, dw);
  buffer_release(shared);
  buffer_release(taps.first);
}

}  // namespace

DLCORE_EXPORT(conv3d_backward_weight)

}  // namespace DLCORE_ISA
}  // namespace dlcore
