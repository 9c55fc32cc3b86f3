// Convolution without columns, for many output channels: they lie along the lanes.
//
// x is copied once with its padding in place, a row of it split into `stride_w` phases, so that
// what a tap reads for neighbouring output pixels is neighbouring elements. A register tile is
// kTileRows neighbouring pixels of one output row by kTileCols output channels: a step of the sum
// is one broadcast for each pixel and one row of a panel of weights. There is no waste at the ends
// of rows: 56, 28, 14 and 7 pixels are whole tiles. In return weights are packed across (16 x 4 at
// a time) and tiles are turned when they are stored: 100 cycles in 14 k, so k should be large.
//
// The sum runs over channels, then taps, in one order however the work is cut.
//
// The gradient of x is the same with the channels exchanged and the taps read backwards.
#pragma once

#include "cpu/conv_channels_tile.h"
#include "cpu/conv_direct.h"
#include "cpu/rows.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kPanelDepth = 160;  // rows of a panel of weights at a time: 20 KiB in L1
constexpr int64_t kFewPixels = 256, kFewPanels = 4;

// Rows first..first+count-1 of a padded plane, counted from the top of the padding.
template <class T>
DLCORE_INLINE void pad_rows(const Direct& d, const T* x, int64_t first, int64_t count, T* to) {
  const int64_t row = d.row(), columns = smaller(d.width, row - d.pad_left);
  for (int64_t i = first; i < first + count; ++i, to += row) {
    const int64_t h = i - d.pad_top;
    if (h < 0 || h >= d.height) {
      fill_row<T>(T(0), row, to);
    } else if (d.stride_w == 1) {
      fill_row<T>(T(0), d.pad_left, to);
      copy_row<T>(x + h * d.width, columns, to + d.pad_left);
      fill_row<T>(T(0), row - d.pad_left - columns, to + d.pad_left + columns);
    } else {
      fill_row<T>(T(0), row, to);
      split_row<T>(x + h * d.width, columns, d.pad_left, d.stride_w, to, d.phase_size());
    }
  }
}

// Channels first..first+channels-1 of the weights of results row0..row0+n-1 of a group.
template <class T>
DLCORE_INLINE void pack_channels(const Direct& d, const T* weight, int64_t row0, int64_t n,
                                 int64_t first, int64_t channels, T* panel) {
  const int64_t taps = d.taps();
  if (!d.backward)
    return pack_across<T>(weight + row0 * d.window() + first * taps, d.window(), n, channels * taps,
                          panel);
  for (int64_t c = first; c < first + channels; ++c, panel += taps * kTileCols<T>) {
    const T* from = weight + (c * d.rows + row0) * taps;
    if (taps > 1) {
      pack_across<T>(from, taps, n, taps, panel);
    } else {
      copy_row<T>(from, n, panel);
      fill_row<T>(T(0), kTileCols<T> - n, panel + n);
    }
  }
}

template <class T>
DLCORE_INLINE const T** list_run(const T* run, int64_t size, const T** line) {
  for (int64_t i = 0; i < size; i += kLineElements<T>) *line++ = run + i;
  *line++ = run + size - 1;
  return line;
}

// The lines that pack_channels will read. Returns how many.
template <class T>
DLCORE_INLINE int64_t list_lines(const Direct& d, const T* weight, int64_t row0, int64_t n,
                                 int64_t first, int64_t channels, const T** line) {
  const int64_t taps = d.taps(), runs = d.backward ? channels : n;
  const int64_t size = d.backward ? n * taps : channels * taps;
  const int64_t step = d.backward ? d.rows * taps : d.window();
  const T* run = weight + (d.backward ? first * step + row0 * taps : row0 * step + first * taps);
  const T** const begin = line;
  for (int64_t r = 0; r < runs; ++r, run += step) line = list_run<T>(run, size, line);
  return line - begin;
}

// Whether the shape of one image allows it and there are channels and pixels enough. The batch has
// no say: an image gives the same bits in any batch.
template <class T>
DLCORE_INLINE bool channels_pay(const Direct& d) {
  if (d.pad_top < 0 || d.pad_left < 0 || d.window() < 24 || d.out_w < 4) return false;
  if (d.taps() > 1) return d.rows >= kLanes<T>;
  return d.in_place() && d.out_w <= kFewPixels && d.rows >= kFewPanels * kTileCols<T>;
}

// How the work is cut. With many pixels, a work item is some images or a block of rows of one: it
// pads its own planes; the weights are packed once for all. With few pixels (`few`), a work item
// is a panel of output channels: it packs its own weights, the planes are padded once for all (of a
// 1x1 convolution they are x itself).
template <class T>
struct ChannelCut {
  int64_t panels;
  bool few;
  Groups images, rows;  // of a work item
  Groups depth;         // channels of a slice of the sum
  Groups across;        // pixels of a row over tiles
  int64_t plane, slab;  // of an item: a plane, all planes of an image

  explicit ChannelCut(const Direct& d) {
    const int64_t pixels = d.out_h * d.out_w;
    panels = ceil_div(d.rows, kTileCols<T>);
    few = d.batch * pixels <= 4 * kFewPixels && panels >= kFewPanels;
    const int64_t together = larger(1, smaller(ceil_div(256, pixels), d.batch / 8));
    images = balanced(d.batch, few ? 1 : together);
    const int64_t items = images.count * d.groups * (few ? panels : 1);
    const int64_t blocks = larger(1, smaller(ceil_div(few ? 8 : 16, items), d.out_h / 7));
    rows = balanced(d.out_h, ceil_div(d.out_h, blocks));
    depth = balanced(d.channels, larger(1, kPanelDepth / d.taps()));
    across = balanced(d.out_w, kTileRows);
    const int64_t most = rows.size + (rows.larger > 0);
    plane = few ? d.plane() : d.slab_rows(most) * d.row();
    slab = plane * d.channels;
  }
  int64_t most_images() const { return images.size + (images.larger > 0); }
  int64_t most_tiles() const {
    return most_images() * (rows.size + (rows.larger > 0)) * across.count;
  }
  int64_t most_depth() const { return depth.size + (depth.larger > 0); }
  int64_t most_lines(const Direct& d) const {
    const int64_t steps = most_depth() * d.taps(), runs = larger(most_depth(), kTileCols<T>);
    const int64_t weights = ceil_div(steps * kTileCols<T>, kLineElements<T>) + 2 * runs;
    const int64_t rows_read = larger(1, smaller(d.height, plane / d.row()));
    const int64_t lines_of_run = ceil_div(rows_read * d.width, kLineElements<T>) + 1;
    return weights + ceil_div(most_images() * d.channels, panels * depth.count) * lines_of_run +
           steps;
  }
};

// One panel of output channels by the pixels of a work item.
template <class T>
struct ChannelWork {
  const T* planes;  // of the first image, from the first row's window on
  int64_t image0, images, oh0, oh1, group, panel;
  const T* packed;  // weights of the panel; null: to be packed, slice by slice
  const T* next_x;  // of the work item that follows: so many runs, one in each plane of x
  int64_t next_runs, next_size;
};

template <class T>
DLCORE_INLINE int64_t channel_scratch(const Direct& d, const ChannelCut<T>& cut) {
  return kTileCols<T> + kSumSize<T> * (cut.depth.count > 1 ? cut.most_tiles() : 1) +
         (cut.few ? cut.most_depth() * d.taps() * kTileCols<T> : 0);
}

// What is packed after slice k: the next one, or the first of the next panel.
template <class T>
DLCORE_INLINE int64_t list_next(const Direct& d, const DirectCall<T>& call,
                                const ChannelCut<T>& cut, const ChannelWork<T>& s, int64_t k,
                                const T** lines) {
  const bool same = k + 1 < cut.depth.count;
  const int64_t row0 = (s.panel + !same) * kTileCols<T>, slice = same ? k + 1 : 0;
  if (row0 >= d.rows) return 0;
  const int64_t first = cut.depth.begin(slice);
  return list_lines<T>(d, call.weight + s.group * d.rows * d.window(), row0,
                       smaller(kTileCols<T>, d.rows - row0), first,
                       cut.depth.begin(slice + 1) - first, lines);
}

// With packed weights: the next slice of them when L2 does not hold all, and the panel's share of
// what the next work item pads.
template <class T>
DLCORE_INLINE int64_t list_far(const Direct& d, const DirectCall<T>& call, const ChannelCut<T>& cut,
                               const ChannelWork<T>& s, int64_t k, const T** lines) {
  const T** line = lines;
  const bool same = k + 1 < cut.depth.count;
  const int64_t slice = same ? k + 1 : 0, row = d.taps() * kTileCols<T>;
  const int64_t bytes = d.window() * d.rows * static_cast<int64_t>(sizeof(T));
  const bool far = bytes > int64_t(1) << 20 || call.packed;  // these lie there since the last call
  if (far && (same || s.panel + 1 < cut.panels))
    line = list_run<T>(s.packed + (same ? cut.depth.begin(slice) : d.channels) * row,
                       (cut.depth.begin(slice + 1) - cut.depth.begin(slice)) * row, line);
  const int64_t units = cut.panels * cut.depth.count, unit = s.panel * cut.depth.count + k;
  const int64_t end = s.next_runs * (unit + 1) / units;
  for (int64_t i = s.next_runs * unit / units; i < end; ++i)
    line = list_run<T>(s.next_x + i * d.height * d.width, s.next_size, line);
  return line - lines;
}

template <class T>
DLCORE_INLINE void channel_panel(const Direct& d, const DirectCall<T>& call,
                                 const ChannelCut<T>& cut, const ChannelWork<T>& s, T* scratch,
                                 const T** lines) {
  const int64_t row0 = s.panel * kTileCols<T>, n = smaller(kTileCols<T>, d.rows - row0);
  const int64_t results = s.group * d.rows + row0, pixels = d.out_h * d.out_w;
  T* const start = scratch;
  T* const sums = start + kTileCols<T>;
  T* const local = sums + kSumSize<T> * (cut.depth.count > 1 ? cut.most_tiles() : 1);
  fill_row<T>(T(0), kTileCols<T>, start);
  if (call.bias) copy_row<T>(call.bias + results, n, start);
  const auto* tiles = kChannel<T>.of[ceil_div(n, kLanes<T>) - 1];
  const T* const nothing = start;
  const Limits<T> limits(call.finish);
  for (int64_t k = 0; k < cut.depth.count; ++k) {
    const int64_t first = cut.depth.begin(k), channels = cut.depth.begin(k + 1) - first;
    const T* w = s.packed + first * d.taps() * kTileCols<T>;
    if (!s.packed) {
      pack_channels<T>(d, call.weight + s.group * d.rows * d.window(), row0, n, first, channels,
                       local);
      w = local;
    }
    const int64_t steps = channels * d.taps();
    const int64_t listed =
        s.packed ? list_far<T>(d, call, cut, s, k, lines) : list_next<T>(d, call, cut, s, k, lines);
    int64_t fetched = 0;
    for (int64_t i = 0; i < steps && listed > 0; ++i) lines[listed + i] = start;
    T* to = sums;
    for (int64_t image = 0; image < s.images; ++image) {
      T* const y = call.y + ((s.image0 + image) * d.groups * d.rows + results) * pixels;
      const T* x = s.planes + image * cut.slab + first * cut.plane;
      for (int64_t oh = s.oh0; oh < s.oh1; ++oh, x += d.stride_h * d.row())
        for (int64_t t = 0; t < cut.across.count; ++t) {
          const int64_t ow = cut.across.begin(t), m = cut.across.begin(t + 1) - ow;
          tiles[m - 1](x + ow, channels, cut.plane, call.offset, d.taps(), w, k ? to : start,
                       k ? kTileCols<T> : 0, to,
                       fetched < listed ? Ahead<T>{lines + fetched, 1} : Ahead<T>{&nothing, 0});
          fetched += steps;
          if (k == cut.depth.count - 1) {
            limits.apply(to, m * kTileCols<T>);
            store_across<T>(to, m, n, y + oh * d.out_w + ow, pixels);
          }
          if (cut.depth.count > 1) to += kSumSize<T>;
        }
    }
  }
  if (limits.all) return;
  for (int64_t image = s.image0; image < s.image0 + s.images; ++image)
    finish_rows(call.finish, call.y,
                (image * d.groups * d.rows + results) * pixels + s.oh0 * d.out_w, n,
                (s.oh1 - s.oh0) * d.out_w, pixels);
}

// The weights of all groups, panel after panel.
template <class T>
DLCORE_INLINE int64_t channels_size(const Direct& d, const ChannelCut<T>& cut) {
  return d.groups * cut.panels * d.window() * kTileCols<T>;
}
template <class T>
DLCORE_INLINE void pack_all_channels(const Direct& d, const ChannelCut<T>& cut, const T* weight,
                                     T* packed) {
  const int64_t panel_size = d.window() * kTileCols<T>, panels = cut.panels;
  parallel_for(d.groups * panels * cut.depth.count, 1, [=](int64_t chunk, int64_t) {
    const int64_t k = chunk % cut.depth.count, i = chunk / cut.depth.count;
    const int64_t row0 = i % panels * kTileCols<T>, first = cut.depth.begin(k);
    pack_channels<T>(d, weight + i / panels * d.rows * d.window(), row0,
                     smaller(kTileCols<T>, d.rows - row0), first, cut.depth.begin(k + 1) - first,
                     packed + i * panel_size + first * d.taps() * kTileCols<T>);
  });
}

template <class T>
DLCORE_INLINE void channels_many(const Direct& d, const DirectCall<T>& call,
                                 const ChannelCut<T>& cut) {
  const int64_t panel_size = d.window() * kTileCols<T>, panels = cut.panels;
  T* const own =
      static_cast<T*>(buffer_acquire((call.packed ? 0 : channels_size<T>(d, cut)) * sizeof(T)));
  if (!call.packed) pack_all_channels<T>(d, cut, call.weight, own);
  const T* const packed = call.packed ? call.packed : own;
  const int64_t items = cut.images.count * cut.rows.count * d.groups;
  parallel_for(items, 1, [=](int64_t item, int64_t) {
    const int64_t group = item % d.groups, block = item / d.groups % cut.rows.count;
    const int64_t i = item / d.groups / cut.rows.count;
    const int64_t image0 = cut.images.begin(i), images = cut.images.begin(i + 1) - image0;
    const int64_t oh0 = cut.rows.begin(block), oh1 = cut.rows.begin(block + 1);
    const int64_t lines_bytes =
        round_up(cut.most_lines(d) * static_cast<int64_t>(sizeof(const T*)), 64);
    void* const memory = buffer_acquire(
        lines_bytes +
        (images * cut.slab + kLineElements<T> + channel_scratch<T>(d, cut)) * sizeof(T));
    const T** const lines = static_cast<const T**>(memory);
    T* const planes = reinterpret_cast<T*>(static_cast<char*>(memory) + lines_bytes);
    T* const scratch = planes + round_up(images * cut.slab, kLineElements<T>);
    // What the item after this one reads.
    const int64_t after = (item + 1) / cut.rows.count, block1 = (item + 1) % cut.rows.count;
    const bool last = d.groups > 1 || item + 1 == items;
    const int64_t top = cut.rows.begin(block1) * d.stride_h - d.pad_top;
    const int64_t h0 = larger(0, smaller(top, d.height - 1));
    const int64_t rows1 = cut.rows.begin(block1 + 1) - cut.rows.begin(block1);
    const int64_t h1 = larger(h0 + 1, smaller(d.height, top + d.slab_rows(rows1)));
    const int64_t image1 = last ? 0 : cut.images.begin(after);
    const T* const next = call.x + image1 * d.channels * d.height * d.width + h0 * d.width;
    const int64_t next_runs = last ? 0 : (cut.images.begin(after + 1) - image1) * d.channels;
    const int64_t next_size = (h1 - h0) * d.width;
    for (int64_t n = 0; n < images; ++n)
      for (int64_t c = 0; c < d.channels; ++c)
        pad_rows<T>(
            d, call.x + (((image0 + n) * d.groups + group) * d.channels + c) * d.height * d.width,
            oh0 * d.stride_h, d.slab_rows(oh1 - oh0), planes + n * cut.slab + c * cut.plane);
    for (int64_t panel = 0; panel < panels; ++panel)
      channel_panel<T>(d, call, cut,
                       {planes, image0, images, oh0, oh1, group, panel,
                        packed + (group * panels + panel) * panel_size, next, next_runs, next_size},
                       scratch, lines);
    buffer_release(memory);
  });
  buffer_release(own);
}

template <class T>
DLCORE_INLINE void channels_few(const Direct& d, const DirectCall<T>& call,
                                const ChannelCut<T>& cut) {
  const int64_t planes_count = d.in_place() ? 0 : d.batch * d.groups * d.channels;
  T* const padded = static_cast<T*>(buffer_acquire(planes_count * cut.plane * sizeof(T)));
  parallel_for(planes_count, grain_for(2 * cut.plane), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      pad_rows<T>(d, call.x + i * d.height * d.width, 0, d.plane_rows(), padded + i * cut.plane);
  });
  const T* const planes = d.in_place() ? call.x : padded;
  const int64_t items = d.batch * d.groups * cut.panels * cut.rows.count;
  parallel_for(items, 1, [=](int64_t item, int64_t) {
    const int64_t block = item % cut.rows.count, panel = item / cut.rows.count % cut.panels;
    const int64_t set = item / cut.rows.count / cut.panels;  // image and group
    const int64_t oh0 = cut.rows.begin(block), oh1 = cut.rows.begin(block + 1);
    const int64_t lines_bytes =
        round_up(cut.most_lines(d) * static_cast<int64_t>(sizeof(const T*)), 64);
    void* const memory = buffer_acquire(lines_bytes + channel_scratch<T>(d, cut) * sizeof(T));
    const T** const lines = static_cast<const T**>(memory);
    T* const scratch = reinterpret_cast<T*>(static_cast<char*>(memory) + lines_bytes);
    const int64_t at = (set % d.groups * cut.panels + panel) * d.window() * kTileCols<T>;
    const T* const packed = call.packed ? call.packed + at : nullptr;
    channel_panel<T>(d, call, cut,
                     {planes + set * cut.slab + oh0 * d.stride_h * d.row(), set / d.groups, 1, oh0,
                      oh1, set % d.groups, panel, packed, nullptr, 0, 0},
                     scratch, lines);
    buffer_release(memory);
  });
  buffer_release(padded);
}

}  // namespace

// y = finish(conv(x, weight) + bias); bias and packed may be null. In conv_planes.cpp.
void channel_conv(const Direct& d, const float* x, const float* weight, const float* bias, float* y,
                  const Finish<float>& finish, const float* packed = nullptr);
// The weights for `packed`. Returns their size; only that is asked for when `packed` is null.
int64_t channel_pack(const Direct& d, const float* weight, float* packed);

}  // namespace DLCORE_ISA
}  // namespace dlcore
