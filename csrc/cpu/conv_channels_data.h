// The gradient of x of a convolution with a stride, input channels along the lanes.
//
// The results (stride_h i + a, stride_w j + b) of one phase (a, b) are a convolution of dy, with
// stride 1, by the taps that reach them: every stride-th row and column of the kernel. So no
// product is computed twice or with a zero between two elements of dy. The phases of a row are
// joined when all are there.
#pragma once

#include "cpu/conv_channels.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// One phase: its taps in the lists of Phases.
struct Phase {
  int64_t first, taps;
};

template <class T>
struct PhaseCut {
  int64_t channels, results;       // of dy and of x, in one group
  int64_t rows, cols;              // of a phase
  int64_t pad_top, pad_left;       // of dy
  int64_t row, plane_rows, plane;  // of dy with its padding
  int64_t panels;
  Groups row_blocks, across;
  bool packed_once;

  explicit PhaseCut(const Conv2d& c) {
    channels = c.out_channels / c.groups;
    results = c.channels / c.groups;
    rows = ceil_div(c.height, c.stride_h);
    cols = ceil_div(c.width, c.stride_w);
    pad_top = ceil_div(larger(0, (c.kernel_h - 1) * c.dilation_h - c.pad_top), c.stride_h);
    pad_left = ceil_div(larger(0, (c.kernel_w - 1) * c.dilation_w - c.pad_left), c.stride_w);
    plane_rows = pad_top + rows + (c.stride_h - 1 + c.pad_top) / c.stride_h;
    row = pad_left + cols + (c.stride_w - 1 + c.pad_left) / c.stride_w;
    plane = plane_rows * row;
    panels = ceil_div(results, kTileCols<T>);
    const int64_t blocks = ceil_div(kWantedItems, c.batch * c.groups * panels);
    row_blocks = balanced(rows, larger(larger(1, smaller(rows, 7)), ceil_div(rows, blocks)));
    across = balanced(cols, kTileRows);
    packed_once = c.batch * row_blocks.count > 1;
  }
  static constexpr int64_t kWantedItems = 8;
  int64_t window(const Conv2d& c) const { return channels * c.kernel_h * c.kernel_w; }
  int64_t block_rows() const { return row_blocks.size + (row_blocks.larger > 0); }
};

// The taps of each phase, phase by phase, and where they read. Returns what to release.
struct Phases {
  Phase* phase;     // [stride_h * stride_w]
  int64_t* tap;     // of the weight
  int64_t* offset;  // in a plane of dy
};
template <class T>
DLCORE_INLINE Phases make_phases(const Conv2d& c, const PhaseCut<T>& cut) {
  const int64_t count = c.stride_h * c.stride_w, taps = c.kernel_h * c.kernel_w;
  Phases p;
  p.phase = static_cast<Phase*>(
      buffer_acquire(static_cast<size_t>(count) * sizeof(Phase) + 2 * taps * sizeof(int64_t)));
  p.tap = reinterpret_cast<int64_t*>(p.phase + count);
  p.offset = p.tap + taps;
  int64_t n = 0;
  for (int64_t i = 0; i < count; ++i) {
    p.phase[i].first = n;
    for (int64_t tap = 0; tap < taps; ++tap) {
      const int64_t down = i / c.stride_w + c.pad_top - tap / c.kernel_w * c.dilation_h;
      const int64_t right = i % c.stride_w + c.pad_left - tap % c.kernel_w * c.dilation_w;
      if (down % c.stride_h != 0 || right % c.stride_w != 0) continue;
      p.tap[n] = tap;
      p.offset[n++] =
          (cut.pad_top + down / c.stride_h) * cut.row + cut.pad_left + right / c.stride_w;
    }
    p.phase[i].taps = n - p.phase[i].first;
  }
  return p;
}

// A panel of weights, phase by phase; in each, channel by channel, tap by tap.
template <class T>
DLCORE_INLINE void pack_phases(const Conv2d& c, const PhaseCut<T>& cut, const Phases& phases,
                               const T* weight, int64_t panel, T* packed) {
  const int64_t taps = c.kernel_h * c.kernel_w, count = c.stride_h * c.stride_w;
  const int64_t row0 = panel * kTileCols<T>, n = smaller(kTileCols<T>, cut.results - row0);
  T* const turned = static_cast<T*>(buffer_acquire(taps * kTileCols<T> * sizeof(T)));
  for (int64_t k = 0; k < cut.channels; ++k) {
    pack_across<T>(weight + (k * cut.results + row0) * taps, taps, n, taps, turned);
    for (int64_t i = 0; i < count; ++i) {
      const Phase p = phases.phase[i];
      T* const to = packed + (p.first * cut.channels + k * p.taps) * kTileCols<T>;
      for (int64_t t = 0; t < p.taps; ++t)
        copy_row<T>(turned + phases.tap[p.first + t] * kTileCols<T>, kTileCols<T>,
                    to + t * kTileCols<T>);
    }
  }
  buffer_release(turned);
}

template <class T>
struct PhaseScratch {
  const T* zeros;
  T* sums;   // of all tiles of a phase
  T* lines;  // [result][row][phase of the row][column]
};

// One phase of a block of rows: its results to their places in `lines`.
template <class T>
DLCORE_INLINE void phase_block(const PhaseCut<T>& cut, const Phase& phase, const int64_t* offset,
                               const T* planes, const T* packed, int64_t rows, int64_t n,
                               const PhaseScratch<T>& s, T* lines, int64_t line,
                               int64_t lines_row) {
  const Groups depth = balanced(cut.channels, larger(1, kPanelDepth / larger(1, phase.taps)));
  const auto* tiles = kChannel<T>.of[ceil_div(n, kLanes<T>) - 1];
  for (int64_t k = 0; k < depth.count; ++k) {
    const int64_t first = depth.begin(k), channels = depth.begin(k + 1) - first;
    const T* w = packed + (phase.first * cut.channels + first * phase.taps) * kTileCols<T>;
    T* to = s.sums;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t t = 0; t < cut.across.count; ++t, to += kSumSize<T>) {
        const int64_t at = cut.across.begin(t), m = cut.across.begin(t + 1) - at;
        tiles[m - 1](planes + first * cut.plane + i * cut.row + at, channels, cut.plane,
                     offset + phase.first, phase.taps, w, k ? to : s.zeros, k ? kTileCols<T> : 0,
                     to, {&s.zeros, 0});
        if (k == depth.count - 1) store_across<T>(to, m, n, lines + i * line + at, lines_row);
      }
  }
}

template <class T>
DLCORE_INLINE void phase_item(const Conv2d& c, const PhaseCut<T>& cut, const Phases& phases,
                              const T* planes, const T* weight, const T* packed, int64_t item,
                              T* dx) {
  const int64_t block = item % cut.row_blocks.count,
                panel = item / cut.row_blocks.count % cut.panels;
  const int64_t set = item / cut.row_blocks.count / cut.panels;  // image and group
  const int64_t i0 = cut.row_blocks.begin(block), i1 = cut.row_blocks.begin(block + 1);
  const int64_t row0 = panel * kTileCols<T>, n = smaller(kTileCols<T>, cut.results - row0);
  const int64_t line = c.stride_w * cut.cols, lines_row = cut.block_rows() * line;
  const int64_t sums_size = cut.block_rows() * cut.across.count * kSumSize<T>;
  const int64_t panel_size = cut.window(c) * kTileCols<T>;

  T* const sums = static_cast<T*>(buffer_acquire(
      (sums_size + kTileCols<T> + (packed ? 0 : panel_size) + kTileCols<T> * lines_row) *
      sizeof(T)));
  T* const zeros = sums + sums_size;
  T* const local = zeros + kTileCols<T>;
  T* const lines = local + (packed ? 0 : panel_size);
  fill_row<T>(T(0), kTileCols<T>, zeros);
  const T* w = packed + (set % c.groups * cut.panels + panel) * panel_size;
  if (!packed) {
    pack_phases<T>(c, cut, phases, weight + set % c.groups * cut.results * cut.window(c), panel,
                   local);
    w = local;
  }
  for (int64_t a = 0; a < c.stride_h; ++a) {
    const int64_t rows = smaller(i1, ceil_div(c.height - a, c.stride_h)) - i0;
    for (int64_t b = 0; b < c.stride_w; ++b)
      phase_block<T>(cut, phases.phase[a * c.stride_w + b], phases.offset,
                     planes + set * cut.channels * cut.plane + i0 * cut.row, w, rows, n,
                     {zeros, sums, lines}, lines + b * cut.cols, line, lines_row);
    T* const to = dx + (set * cut.results + row0) * c.height * c.width;
    for (int64_t r = 0; r < n; ++r)
      for (int64_t i = 0; i < rows; ++i)
        join_row<T>(lines + r * lines_row + i * line, cut.cols, 0, c.stride_w, c.width,
                    to + (r * c.height + (i0 + i) * c.stride_h + a) * c.width);
  }
  buffer_release(sums);
}

template <class T>
DLCORE_INLINE bool phases_pay(const Conv2d& c) {
  const int64_t taps = ceil_div(c.kernel_h, c.stride_h) * ceil_div(c.kernel_w, c.stride_w);
  return (c.stride_h > 1 || c.stride_w > 1) && c.channels / c.groups >= kLanes<T> &&
         c.width >= 4 * c.stride_w && c.out_channels / c.groups * taps >= 64;
}

// dx = the gradient with respect to x.
template <class T>
DLCORE_INLINE void phase_data_gradient(const Conv2d& c, const T* dy, const T* weight, T* dx) {
  const PhaseCut<T> cut(c);
  const Phases phases = make_phases<T>(c, cut);
  const int64_t planes_count = c.batch * c.out_channels, panels = c.groups * cut.panels;
  const int64_t planes_size = round_up(planes_count * cut.plane, kLineElements<T>);
  const int64_t panel_size = cut.window(c) * kTileCols<T>;
  T* const planes = static_cast<T*>(
      buffer_acquire((planes_size + (cut.packed_once ? panels * panel_size : 0)) * sizeof(T)));
  T* const packed = cut.packed_once ? planes + planes_size : nullptr;
  parallel_for(planes_count, grain_for(2 * cut.plane), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      T* to = planes + i * cut.plane;
      const int64_t columns = smaller(c.out_w, cut.row - cut.pad_left);
      for (int64_t h = -cut.pad_top; h < cut.plane_rows - cut.pad_top; ++h, to += cut.row) {
        fill_row<T>(T(0), cut.row, to);
        if (h >= 0 && h < c.out_h)
          copy_row<T>(dy + (i * c.out_h + h) * c.out_w, columns, to + cut.pad_left);
      }
    }
  });
  if (packed)
    parallel_for(panels, 1, [=](int64_t i, int64_t) {
      pack_phases<T>(c, cut, phases, weight + i / cut.panels * cut.results * cut.window(c),
                     i % cut.panels, packed + i * panel_size);
    });
  parallel_for(c.batch * panels * cut.row_blocks.count, 1, [=](int64_t item, int64_t) {
    phase_item<T>(c, cut, phases, planes, weight, packed, item, dx);
  });
  buffer_release(planes);
  buffer_release(phases.phase);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
