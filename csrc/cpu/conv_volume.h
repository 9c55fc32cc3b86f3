// Convolution over depth, height and width without columns, results' channels along the lanes.
//
// A block of positions, with all channels that are summed up, is copied with its padding to where
// L2 holds it; a row is cut into the phases of its stride. What a tap reads for neighbouring
// positions is then neighbouring elements, a fixed distance further on, so that the register tile
// of conv_channels_tile.h serves here too: its taps are those of all three axes.
//
// The gradient of x is the same with the channels exchanged. With a stride, the results of one
// phase (those a stride apart) are a convolution of dy by the taps that reach them: nothing is
// multiplied with zeros between two elements of dy.
#pragma once

#include "cpu/conv_channels_tile.h"
#include "cpu/conv_depthwise.h"

namespace dlcore {
namespace DLCORE_ISA {

namespace {

constexpr int64_t kSlabBytes = 256 << 10;  // of a padded block: half an L2
constexpr int64_t kWantedBlocks = 16;

// One axis: `count` positions, `step` elements of the source apart, with `phases` results each.
// Position 0 reads `span` elements from `before` elements ahead of the source's first.
struct VolumeAxis {
  int64_t count, step, phases, before, span;
  int64_t source, results, first;  // result a of position i is phases * i + a - first
  int64_t kernel, dilation;
  bool backward;

  VolumeAxis() = default;
  VolumeAxis(int64_t in, int64_t out, int64_t taps, int64_t stride, int64_t spread, int64_t pad,
             bool back)
      : kernel(taps), dilation(spread), backward(back) {
    const int64_t reach = (taps - 1) * spread;
    if (!back) {
      count = results = out, source = in;
      step = stride, phases = 1, first = 0;
      before = pad, span = reach + 1;
    } else {
      const int64_t skipped = pad / stride;  // positions in the padding only
      results = in, source = out;
      step = 1, phases = stride, first = pad - skipped * stride;
      count = (pad + in + stride - 1) / stride - skipped;
      before = reach / stride - skipped, span = reach / stride + 1;
    }
  }
  // Where tap r of a phase reads, counted from what its position reads first; -1: not of the phase.
  int64_t tap(int64_t phase, int64_t r) const {
    if (!backward) return r * dilation;
    const int64_t at = phase - r * dilation;
    return at % phases ? -1 : span - 1 + at / phases;
  }
};

struct Volume {
  VolumeAxis axis[3];
  int64_t batch, groups, channels, rows;  // summed over and results, of one group
  bool backward;

  Volume(const Conv3d& c, bool back) : backward(back) {
    const Conv2d& p = c.plane;
    axis[0] = {c.depth, c.out_d, c.kernel_d, c.stride_d, c.dilation_d, c.pad_front, back};
    axis[1] = {p.height, p.out_h, p.kernel_h, p.stride_h, p.dilation_h, p.pad_top, back};
    axis[2] = {p.width, p.out_w, p.kernel_w, p.stride_w, p.dilation_w, p.pad_left, back};
    batch = p.batch, groups = p.groups;
    channels = (back ? p.out_channels : p.channels) / groups;
    rows = (back ? p.channels : p.out_channels) / groups;
  }
  int64_t taps() const { return axis[0].kernel * axis[1].kernel * axis[2].kernel; }
  int64_t window() const { return channels * taps(); }
  int64_t source() const { return axis[0].source * axis[1].source * axis[2].source; }
  int64_t results() const { return axis[0].results * axis[1].results * axis[2].results; }
  int64_t phases() const { return axis[0].phases * axis[1].phases * axis[2].phases; }
};

// Blocks of positions, and the padded block that one reads: `channels` volumes.
template <class T>
struct VolumeCut {
  Groups block[3];
  int64_t most[3];  // positions of a block along each axis
  int64_t channels;
  PaddedRows<T> padded;
  int64_t plane, volume;  // of a padded block

  VolumeCut() = default;
  // As few blocks as fit into the cache and are enough for the threads. `shared`: work items that
  // there are for each block.
  VolumeCut(const Volume& v, int64_t channels_, int64_t shared) : channels(channels_) {
    const VolumeAxis *d = v.axis, *h = v.axis + 1, *w = v.axis + 2;
    for (int i = 0; i < 3; ++i) most[i] = v.axis[i].count;
    for (;;) {
      for (int i = 0; i < 3; ++i) {
        block[i] = balanced(v.axis[i].count, most[i]);
        most[i] = block[i].size + (block[i].larger > 0);
      }
      padded = PaddedRows<T>(h->source, w->source, w->before, w->step,
                             most[2] + (w->span - 1) / w->step);
      plane = ((most[1] - 1) * h->step + h->span) * padded.row();
      volume = ((most[0] - 1) * d->step + d->span) * plane;
      const int64_t bytes = channels * volume * static_cast<int64_t>(sizeof(T));
      const int64_t work = most[0] * most[1] * most[2] * v.rows * channels * v.taps();
      const bool idle = count() * shared < kWantedBlocks && work > int64_t(1) << 20;
      if (bytes <= kSlabBytes && !idle) return;
      // The axis that can be halved with the least read twice; rows stay long.
      const int64_t down = most[0] * h->span, across = most[1] * d->span;
      const int axis = most[0] > 1 && (down >= across || most[1] == 1) ? 0 : most[1] > 1 ? 1 : 2;
      if (axis == 2 && most[2] <= 8 * kTileRows) return;
      most[axis] = ceil_div(most[axis], 2);
    }
  }
  int64_t count() const { return block[0].count * block[1].count * block[2].count; }
  int64_t slab() const { return channels * volume; }
};

// A block of positions.
struct VolumeBlock {
  int64_t begin[3], size[3];

  template <class T>
  VolumeBlock(const VolumeCut<T>& cut, int64_t i) {
    for (int a = 2; a >= 0; i /= cut.block[a].count, --a) {
      begin[a] = cut.block[a].begin(i % cut.block[a].count);
      size[a] = cut.block[a].begin(i % cut.block[a].count + 1) - begin[a];
    }
  }
};

// What the block reads of `channels` volumes from x on.
template <class T>
DLCORE_INLINE void pad_volume(const Volume& v, const VolumeCut<T>& cut, const VolumeBlock& b,
                              const T* x, int64_t channels, T* slab) {
  const VolumeAxis *d = v.axis, *h = v.axis + 1, *w = v.axis + 2;
  PaddedRows<T> padded = cut.padded;
  padded.pad = w->before - b.begin[2] * w->step;
  const int64_t front = b.begin[0] * d->step - d->before, top = b.begin[1] * h->step - h->before;
  const int64_t planes = (b.size[0] - 1) * d->step + d->span;
  const int64_t rows = (b.size[1] - 1) * h->step + h->span;
  fill_row<T>(T(0), channels * cut.volume, slab);
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t i = larger(0, -front); i < smaller(planes, d->source - front); ++i)
      pad_block<T>(padded, x + (c * d->source + front + i) * h->source * w->source, top, rows,
                   slab + c * cut.volume + i * cut.plane);
}

// The taps phase by phase: which of the weight's, and where each reads in a padded block.
struct VolumeTaps {
  int64_t* first;  // of each phase, and the end
  int64_t* tap;
  int64_t* offset;
};

template <class T>
DLCORE_INLINE VolumeTaps make_volume_taps(const Volume& v, const VolumeCut<T>& cut) {
  const VolumeAxis *d = v.axis, *h = v.axis + 1, *w = v.axis + 2;
  VolumeTaps t;
  t.first = static_cast<int64_t*>(
      buffer_acquire(static_cast<size_t>(v.phases() + 1 + 2 * v.taps()) * sizeof(int64_t)));
  t.tap = t.first + v.phases() + 1;
  t.offset = t.tap + v.taps();
  int64_t n = 0;
  for (int64_t p = 0; p < v.phases(); ++p) {
    t.first[p] = n;
    for (int64_t i = 0; i < v.taps(); ++i) {
      const int64_t front = d->tap(p / w->phases / h->phases, i / w->kernel / h->kernel);
      const int64_t down = h->tap(p / w->phases % h->phases, i / w->kernel % h->kernel);
      const int64_t right = w->tap(p % w->phases, i % w->kernel);
      if (front < 0 || down < 0 || right < 0) continue;
      t.tap[n] = i;
      t.offset[n++] = front * cut.plane + down * cut.padded.row() + cut.padded.tap(right);
    }
  }
  t.first[v.phases()] = n;
  return t;
}

}  // namespace

// channel_tile of `vectors` vectors and m pixels, nothing fetched ahead. In conv_planes.cpp.
void run_channel_tile(int64_t vectors, int64_t m, const float* x, int64_t channels, int64_t plane,
                      const int64_t* offset, int64_t taps, const float* w, const float* start,
                      int64_t start_row, float* sums);
void run_channel_tile(int64_t vectors, int64_t m, const double* x, int64_t channels, int64_t plane,
                      const int64_t* offset, int64_t taps, const double* w, const double* start,
                      int64_t start_row, double* sums);

}  // namespace DLCORE_ISA
}  // namespace dlcore
