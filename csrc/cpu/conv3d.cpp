// Convolution over three axes and its gradient of x; see conv_volume.h.

#include "cpu/conv_finish.h"
#include "cpu/conv_scatter.h"
#include "cpu/conv_volume.h"
#include "kernels/conv.h"

namespace dlcore {
namespace DLCORE_ISA {

namespace {

constexpr int64_t kSliceRows = 160;  // of a panel of weights at a time: 20 KiB in L1

template <class T>
struct VolumeCall {
  Volume v;
  VolumeCut<T> cut;
  VolumeTaps taps;
  const T *x, *weight, *bias;
  T* y;
  Finish<T> finish;
  int64_t panels, panel_size;
};

// A panel of weights, phase by phase; in each, channel by channel, tap by tap.
template <class T>
DLCORE_INLINE void pack_panel_of(const VolumeCall<T>& call, int64_t i, int64_t first, int64_t last,
                                 T* packed) {
  const Volume& v = call.v;
  const int64_t taps = v.taps(), row0 = i % call.panels * kTileCols<T>;
  const int64_t n = smaller(kTileCols<T>, v.rows - row0), group = i / call.panels;
  const T* const weight = call.weight + group * v.rows * v.window();
  T* const turned = static_cast<T*>(buffer_acquire(taps * kTileCols<T> * sizeof(T)));
  for (int64_t c = first; c < last; ++c) {
    if (v.backward)
      pack_across<T>(weight + (c * v.rows + row0) * taps, taps, n, taps, turned);
    else
      pack_across<T>(weight + row0 * v.window() + c * taps, v.window(), n, taps, turned);
    for (int64_t p = 0; p < v.phases(); ++p) {
      const int64_t begin = call.taps.first[p], count = call.taps.first[p + 1] - begin;
      T* const to = packed + (begin * v.channels + c * count) * kTileCols<T>;
      for (int64_t t = 0; t < count; ++t)
        copy_row<T>(turned + call.taps.tap[begin + t] * kTileCols<T>, kTileCols<T>,
                    to + t * kTileCols<T>);
    }
  }
  buffer_release(turned);
}

// One panel of results by one block of positions.
template <class T>
struct VolumeWork {
  const VolumeBlock& block;
  int64_t image, group, panel;
  const T *slab, *weights;
  T *start, *sums, *lines;
  Groups across;
  int64_t line;  // elements of a phase of a row of `lines`
};

// The result's row of position (i, j) and phases (a, b), from the first result's on; null: none.
template <class T>
DLCORE_INLINE T* result_row(const VolumeCall<T>& call, const VolumeWork<T>& s, int64_t i, int64_t j,
                            int64_t a, int64_t b) {
  const VolumeAxis *d = call.v.axis, *h = call.v.axis + 1, *w = call.v.axis + 2;
  const int64_t z = d->phases * (s.block.begin[0] + i) + a - d->first;
  const int64_t y = h->phases * (s.block.begin[1] + j) + b - h->first;
  if (z < 0 || z >= d->results || y < 0 || y >= h->results) return nullptr;
  const int64_t row0 = s.panel * kTileCols<T>;
  return call.y + ((s.image * call.v.groups + s.group) * call.v.rows + row0) * call.v.results() +
         (z * h->results + y) * w->results;
}

// Calls body(i, j, row of the result) for all rows of a block that are results.
template <class T, class Body>
DLCORE_INLINE void each_result_row(const VolumeCall<T>& call, const VolumeWork<T>& s, int64_t a,
                                   int64_t b, const Body& body) {
  for (int64_t i = 0; i < s.block.size[0]; ++i)
    for (int64_t j = 0; j < s.block.size[1]; ++j)
      if (T* const row = result_row(call, s, i, j, a, b)) body(i, j, row);
}

// The results of one phase: to y, or with several phases in a row to `lines`.
template <class T>
DLCORE_INLINE void volume_phase(const VolumeCall<T>& call, const VolumeWork<T>& s, int64_t n,
                                int64_t a, int64_t b, int64_t c) {
  const Volume& v = call.v;
  const VolumeAxis *h = v.axis + 1, *w = v.axis + 2;
  const int64_t phase = (a * h->phases + b) * w->phases + c;
  const int64_t begin = call.taps.first[phase], taps = call.taps.first[phase + 1] - begin;
  const T* const weights = s.weights + begin * v.channels * kTileCols<T>;
  const Groups depth = balanced(v.channels, larger(1, kSliceRows / larger(1, taps)));
  const Limits<T> limits(call.finish);
  for (int64_t k = 0; k < depth.count; ++k) {
    const int64_t first = depth.begin(k), channels = depth.begin(k + 1) - first;
    const bool last = k == depth.count - 1;
    T* to = s.sums;
    each_result_row(
        call, s, a, b, [&](int64_t i, int64_t j, T* row) __attribute__((always_inline)) {
          const T* from = s.slab + first * call.cut.volume + i * v.axis[0].step * call.cut.plane +
                          j * h->step * call.cut.padded.row();
          for (int64_t t = 0; t < s.across.count; ++t) {
            const int64_t at = s.across.begin(t), m = s.across.begin(t + 1) - at;
            run_channel_tile(ceil_div(n, kLanes<T>), m, from + at, channels, call.cut.volume,
                             call.taps.offset + begin, taps, weights + first * taps * kTileCols<T>,
                             k ? to : s.start, k ? kTileCols<T> : 0, to);
            if (last) limits.apply(to, m * kTileCols<T>);
            if (last && w->phases == 1)
              store_across<T>(to, m, n, row + s.block.begin[2] + at, v.results());
            else if (last)
              store_across<T>(
                  to, m, n,
                  s.lines + ((i * s.block.size[1] + j) * kTileCols<T> * w->phases + c) * s.line +
                      at,
                  w->phases * s.line);
            if (depth.count > 1) to += kSumSize<T>;
          }
        });
  }
}

// The phases of each row side by side.
template <class T>
DLCORE_INLINE void join_lines(const VolumeCall<T>& call, const VolumeWork<T>& s, int64_t n,
                              int64_t a, int64_t b) {
  const VolumeAxis& w = call.v.axis[2];
  const int64_t begin = w.phases * s.block.begin[2] - w.first;
  const int64_t low = larger(0, begin);
  const int64_t high = smaller(w.results, begin + w.phases * s.block.size[2]);
  each_result_row(call, s, a, b, [&](int64_t i, int64_t j, T* row) {
    const T* from = s.lines + (i * s.block.size[1] + j) * kTileCols<T> * w.phases * s.line;
    for (int64_t r = 0; r < n; ++r)
      join_row<T>(from + r * w.phases * s.line, s.line, low - begin, w.phases, high - low,
                  row + r * call.v.results() + low);
  });
}

template <class T>
DLCORE_INLINE void volume_item(const VolumeCall<T>& call, const T* packed, int64_t item,
                               int64_t first_panel, int64_t last_panel) {
  const Volume& v = call.v;
  const VolumeCut<T>& cut = call.cut;
  const VolumeBlock block(cut, item % cut.count());
  const int64_t set = item / cut.count();  // image and group
  const VolumeAxis& w = v.axis[2];
  const Groups across = balanced(block.size[2], kTileRows);
  const int64_t positions = block.size[0] * block.size[1];
  const int64_t line = round_up(block.size[2], kLanes<T>) + kLineElements<T>;
  const int64_t sums_size = positions * across.count * kSumSize<T>;
  const int64_t lines_size = w.phases == 1 ? 0 : positions * kTileCols<T> * w.phases * line;
  const int64_t slab_size = round_up(cut.slab(), kLineElements<T>);
  T* const slab = static_cast<T*>(
      buffer_acquire((slab_size + kTileCols<T> + sums_size + lines_size) * sizeof(T)));
  T* const start = slab + slab_size;
  T* const sums = start + kTileCols<T>;
  pad_volume<T>(v, cut, block, call.x + set * v.channels * v.source(), v.channels, slab);
  for (int64_t panel = first_panel; panel < last_panel; ++panel) {
    const int64_t row0 = panel * kTileCols<T>, n = smaller(kTileCols<T>, v.rows - row0);
    const int64_t group = set % v.groups;
    fill_row<T>(T(0), kTileCols<T>, start);
    if (call.bias) copy_row<T>(call.bias + group * v.rows + row0, n, start);
    const VolumeWork<T> work{block,
                             set / v.groups,
                             group,
                             panel,
                             slab,
                             packed + (group * call.panels + panel) * call.panel_size,
                             start,
                             sums,
                             sums + sums_size,
                             across,
                             line};
    for (int64_t a = 0; a < v.axis[0].phases; ++a)
      for (int64_t b = 0; b < v.axis[1].phases; ++b) {
        for (int64_t c = 0; c < w.phases; ++c) volume_phase<T>(call, work, n, a, b, c);
        if (w.phases > 1) join_lines<T>(call, work, n, a, b);
      }
    if (Limits<T>(call.finish).all) continue;
    each_result_row(call, work, 0, 0, [&](int64_t, int64_t, T* row) {  // of forward: one phase
      finish_rows(call.finish, call.y, row + block.begin[2] - call.y, n, block.size[2],
                  v.results());
    });
  }
  buffer_release(slab);
}

template <class T>
void convolve_volume(const Volume& v, const T* x, const T* weight, const T* bias, T* y,
                     const Finish<T>& finish) {
  VolumeCall<T> call{v, {}, {}, x, weight, bias, y, finish, 0, 0};
  call.panels = ceil_div(v.rows, kTileCols<T>);
  call.panel_size = v.window() * kTileCols<T>;
  call.cut = VolumeCut<T>(v, v.channels, v.batch * v.groups * call.panels);
  call.taps = make_volume_taps<T>(v, call.cut);
  const int64_t count = v.groups * call.panels;
  T* const packed = static_cast<T*>(buffer_acquire(count * call.panel_size * sizeof(T)));
  const Groups some = balanced(v.channels, larger(1, ceil_div(1024, v.taps())));
  parallel_for(count * some.count, 1, [=](int64_t i, int64_t) {
    const int64_t panel = i / some.count, part = i % some.count;
    pack_panel_of<T>(call, panel, some.begin(part), some.begin(part + 1),
                     packed + panel * call.panel_size);
  });
  // Few blocks: some panels of one are a work item.
  const int64_t blocks = v.batch * v.groups * call.cut.count();
  const int64_t wanted = blocks >= kWantedBlocks ? 1 : ceil_div(kWantedBlocks, blocks);
  const Groups panels = balanced(call.panels, ceil_div(call.panels, wanted));
  parallel_for(blocks * panels.count, 1, [=](int64_t i, int64_t) {
    volume_item<T>(call, packed, i / panels.count, panels.begin(i % panels.count),
                   panels.begin(i % panels.count + 1));
  });
  buffer_release(packed);
  buffer_release(call.taps.first);
}

// With a stride of 1, dx is the convolution of dy with the taps backwards.
DLCORE_INLINE Conv3d turned_around(const Conv3d& c) {
  Conv3d back = c;
  Conv2d& p = back.plane;
  back.depth = c.out_d, p.height = c.plane.out_h, p.width = c.plane.out_w;
  back.out_d = c.depth, p.out_h = c.plane.height, p.out_w = c.plane.width;
  back.pad_front = (c.kernel_d - 1) * c.dilation_d - c.pad_front;
  p.pad_top = (p.kernel_h - 1) * p.dilation_h - p.pad_top;
  p.pad_left = (p.kernel_w - 1) * p.dilation_w - p.pad_left;
  return back;
}

// y = finish(conv(x, weight) + bias); bias may be null.
template <class T>
void conv3d_forward(const T* x, const T* weight, const T* bias, T* y, const Conv3d& c,
                    const Finish<T>& finish) {
  if (c.plane.batch == 0) return;
  if constexpr (kIsFloat<T>)
    if (depthwise_volume_pays(c)) return depthwise_volume(c, x, weight, bias, y, false, finish);
  convolve_volume<T>(Volume(c, false), x, weight, bias, y, finish);
}

// dx = the gradient with respect to x.
template <class T>
void conv3d_backward_data(const T* dy, const T* weight, T* dx, const Conv3d& c) {
  if (c.plane.batch == 0) return;
  if constexpr (kIsFloat<T>) {
    const Conv3d back = turned_around(c);
    if (c.stride_d * c.plane.stride_h * c.plane.stride_w == 1 && depthwise_volume_pays(back))
      return depthwise_volume(back, dy, weight, nullptr, dx, true, {});
  }
  if (scatter_pays(c)) return scatter_data_gradient(c, dy, weight, dx);
  convolve_volume<T>(Volume(c, true), dy, weight, nullptr, dx, {});
}

}  // namespace

DLCORE_EXPORT(conv3d_forward)
DLCORE_EXPORT(conv3d_backward_data)

}  // namespace DLCORE_ISA
}  // namespace dlcore
