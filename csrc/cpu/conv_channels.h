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

#include "cpu/conv_direct.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kPanelDepth = 160;  // rows of a panel of weights at a time: 20 KiB in L1
constexpr int64_t kFewPixels = 256, kFewPanels = 4;
constexpr int64_t kSumRows = (kTileRows + 3) / 4 * 4;  // turned four by four
template <class T>
constexpr int64_t kSumSize = kSumRows * kTileCols<T>;

// What later tiles read: a line is fetched into L2 at every step. `step` is 0 when there is nothing
// to fetch. Weights of few pixels come from memory or the last cache, 32 rows of them at a time:
// waiting for them would take as long as multiplying.
template <class T>
struct Ahead {
  const T* const* line;
  int64_t step;
};

// sums[i][j] = start[i][j] + the products of M pixels from x with NV vectors of weights.
template <class T, int M, int NV>
__attribute__((noinline)) void channel_tile(const T* x, int64_t channels, int64_t plane,
                                            const int64_t* offset, int64_t taps, const T* w,
                                            const T* start, int64_t start_row, T* sums,
                                            Ahead<T> ahead) {
  Vec<T> sum[M][NV];
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) sum[i][j] = load<T>(start + i * start_row + j * kLanes<T>);
  for (; channels > 0; --channels, x += plane) {
#pragma GCC unroll 1
    for (int64_t tap = 0; tap < taps; ++tap, w += kTileCols<T>) {
      const T* a = x + offset[tap];
      __builtin_prefetch(*ahead.line, 0, 2);
      ahead.line += ahead.step;
      Vec<T> right[NV];
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) right[j] = load<T>(w + j * kLanes<T>);
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i) {
        const Vec<T> left = splat<T>(a[i]);
#pragma GCC unroll 8
        for (int j = 0; j < NV; ++j) sum[i][j] += left * right[j];
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) store<T>(sums + i * kTileCols<T> + j * kLanes<T>, sum[i][j]);
}

template <class T>
using ChannelFunction = void (*)(const T* x, int64_t channels, int64_t plane, const int64_t* offset,
                                 int64_t taps, const T* w, const T* start, int64_t start_row,
                                 T* sums, Ahead<T> ahead);
template <class T>
struct ChannelTable {
  ChannelFunction<T> of[kTileVectors][kTileRows];  // [vectors - 1][pixels - 1]
};
template <class T, int M, int NV>
constexpr void fill_channel(ChannelTable<T>& table) {
  table.of[NV - 1][M - 1] = &channel_tile<T, M, NV>;
  if constexpr (M > 1)
    fill_channel<T, M - 1, NV>(table);
  else if constexpr (NV > 1)
    fill_channel<T, kTileRows, NV - 1>(table);
}
template <class T>
constexpr ChannelTable<T> make_channel() {
  ChannelTable<T> table{};
  fill_channel<T, kTileRows, kTileVectors>(table);
  return table;
}
template <class T>
constexpr ChannelTable<T> kChannel = make_channel<T>();

#if defined(__AVX512F__)
// turned[t][r] = from[r * row + t] for 16 rows r and 4 columns t. Lanes of 128 bits are gathered
// by loads, so that two rounds of shuffles remain: 10 cycles.
DLCORE_INLINE void turn_quad(const float* from, int64_t row, __m512* turned) {
  __m512 r[4];
#  pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    r[j] = _mm512_castps128_ps512(_mm_loadu_ps(from + j * row));
    r[j] = _mm512_mask_broadcast_f32x4(r[j], 0x00f0, _mm_loadu_ps(from + (j + 4) * row));
    r[j] = _mm512_mask_broadcast_f32x4(r[j], 0x0f00, _mm_loadu_ps(from + (j + 8) * row));
    r[j] = _mm512_mask_broadcast_f32x4(r[j], 0xf000, _mm_loadu_ps(from + (j + 12) * row));
  }
  const __m512 low01 = _mm512_unpacklo_ps(r[0], r[1]), high01 = _mm512_unpackhi_ps(r[0], r[1]);
  const __m512 low23 = _mm512_unpacklo_ps(r[2], r[3]), high23 = _mm512_unpackhi_ps(r[2], r[3]);
  const auto join = [](__m512 a, __m512 b, bool high) __attribute__((always_inline)) {
    const __m512d p = _mm512_castps_pd(a), q = _mm512_castps_pd(b);
    return _mm512_castpd_ps(high ? _mm512_unpackhi_pd(p, q) : _mm512_unpacklo_pd(p, q));
  };
  turned[0] = join(low01, low23, false);
  turned[1] = join(low01, low23, true);
  turned[2] = join(high01, high23, false);
  turned[3] = join(high01, high23, true);
}
#endif

// panel[p * kTileCols + r] = from[r * row + p] for r < rows, p < n; whole vectors of the panel are
// written, so that lanes from `rows` on are zero.
template <class T>
DLCORE_INLINE void pack_across(const T* from, int64_t row, int64_t rows, int64_t n, T* panel) {
  constexpr int64_t kCols = kTileCols<T>;
  int64_t r = 0;
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    for (; r + 16 <= rows; r += 16) {
      int64_t p = 0;
      for (; p + 4 <= n; p += 4) {
        __m512 turned[4];
        turn_quad(from + r * row + p, row, turned);
        for (int t = 0; t < 4; ++t) _mm512_storeu_ps(panel + (p + t) * kCols + r, turned[t]);
      }
      if (p < n && n >= 4) {  // once more, from the end
        __m512 turned[4];
        turn_quad(from + r * row + n - 4, row, turned);
        for (int t = 0; t < 4; ++t) _mm512_storeu_ps(panel + (n - 4 + t) * kCols + r, turned[t]);
        p = n;
      }
      for (; p < n; ++p)
        for (int64_t i = r; i < r + 16; ++i) panel[p * kCols + i] = from[i * row + p];
    }
#endif
  transpose<T>(from + r * row, row, rows - r, n, panel + r, kCols);
  if (rows < kCols)
    for (int64_t p = 0; p < n; ++p)
      for (int64_t i = rows; i < kCols; ++i) panel[p * kCols + i] = T(0);
}

// y[c * y_row + i] = sums[i * kTileCols + c] for i < m, c < n.
template <class T>
DLCORE_INLINE void store_across(const T* sums, int64_t m, int64_t n, T* y, int64_t y_row) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    const __mmask16 mask = first_lanes(m, T());
    for (int64_t c = 0; c < n; c += 4) {
      __m512 turned[4];
      turn_quad(sums + c, kTileCols<T>, turned);
      for (int64_t t = 0; t < smaller(4, n - c); ++t)
        _mm512_mask_storeu_ps(y + (c + t) * y_row, mask, turned[t]);
    }
    return;
  }
#endif
  transpose<T>(sums, kTileCols<T>, m, n, y, y_row);
}

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

// The lines that pack_channels will read. Returns how many.
template <class T>
DLCORE_INLINE int64_t list_lines(const Direct& d, const T* weight, int64_t row0, int64_t n,
                                 int64_t first, int64_t channels, const T** line) {
  const int64_t taps = d.taps(), runs = d.backward ? channels : n;
  const int64_t size = d.backward ? n * taps : channels * taps;
  const int64_t step = d.backward ? d.rows * taps : d.window();
  const T* run = weight + (d.backward ? first * step + row0 * taps : row0 * step + first * taps);
  const T** const begin = line;
  for (int64_t r = 0; r < runs; ++r, run += step) {
    for (int64_t i = 0; i < size; i += kLineElements<T>) *line++ = run + i;
    *line++ = run + size - 1;
  }
  return line - begin;
}

// Whether the shape of one image allows it and there are channels and pixels enough. The batch has
// no say: an image gives the same bits in any batch.
template <class T>
DLCORE_INLINE bool channels_pay(const Direct& d) {
  if (d.pad_top < 0 || d.pad_left < 0 || d.window() < 64 || d.out_w < 4) return false;
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
    return ceil_div(steps * kTileCols<T>, kLineElements<T>) + 2 * runs + steps;
  }
};

// One panel of output channels by the pixels of a work item.
template <class T>
struct ChannelWork {
  const T* planes;  // of the first image, from the first row's window on
  int64_t image0, images, oh0, oh1, group, panel;
  const T* packed;  // weights of the panel; null: to be packed, slice by slice
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
  for (int64_t k = 0; k < cut.depth.count; ++k) {
    const int64_t first = cut.depth.begin(k), channels = cut.depth.begin(k + 1) - first;
    const T* w = s.packed + first * d.taps() * kTileCols<T>;
    if (!s.packed) {
      pack_channels<T>(d, call.weight + s.group * d.rows * d.window(), row0, n, first, channels,
                       local);
      w = local;
    }
    const int64_t steps = channels * d.taps();
    int64_t listed = s.packed ? 0 : list_next<T>(d, call, cut, s, k, lines), fetched = 0;
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
            if (call.activation == Activation::relu)
              for (int64_t i = 0; i < m * kTileCols<T>; i += kLanes<T>)
                store<T>(to + i, relu<T>(load<T>(to + i)));
            store_across<T>(to, m, n, y + oh * d.out_w + ow, pixels);
          }
          if (cut.depth.count > 1) to += kSumSize<T>;
        }
    }
  }
}

template <class T>
DLCORE_INLINE void channels_many(const Direct& d, const DirectCall<T>& call,
                                 const ChannelCut<T>& cut) {
  const int64_t panel_size = d.window() * kTileCols<T>, panels = cut.panels;
  T* const packed = static_cast<T*>(buffer_acquire(d.groups * panels * panel_size * sizeof(T)));
  parallel_for(d.groups * panels * cut.depth.count, 1, [=](int64_t chunk, int64_t) {
    const int64_t k = chunk % cut.depth.count, i = chunk / cut.depth.count;
    const int64_t row0 = i % panels * kTileCols<T>, first = cut.depth.begin(k);
    pack_channels<T>(d, call.weight + i / panels * d.rows * d.window(), row0,
                     smaller(kTileCols<T>, d.rows - row0), first, cut.depth.begin(k + 1) - first,
                     packed + i * panel_size + first * d.taps() * kTileCols<T>);
  });
  const int64_t items = cut.images.count * cut.rows.count * d.groups;
  parallel_for(items, 1, [=](int64_t item, int64_t) {
    const int64_t group = item % d.groups, block = item / d.groups % cut.rows.count;
    const int64_t i = item / d.groups / cut.rows.count;
    const int64_t image0 = cut.images.begin(i), images = cut.images.begin(i + 1) - image0;
    const int64_t oh0 = cut.rows.begin(block), oh1 = cut.rows.begin(block + 1);
    T* const planes = static_cast<T*>(buffer_acquire(
        (images * cut.slab + kLineElements<T> + channel_scratch<T>(d, cut)) * sizeof(T)));
    T* const scratch = planes + round_up(images * cut.slab, kLineElements<T>);
    for (int64_t n = 0; n < images; ++n)
      for (int64_t c = 0; c < d.channels; ++c)
        pad_rows<T>(
            d, call.x + (((image0 + n) * d.groups + group) * d.channels + c) * d.height * d.width,
            oh0 * d.stride_h, d.slab_rows(oh1 - oh0), planes + n * cut.slab + c * cut.plane);
    for (int64_t panel = 0; panel < panels; ++panel)
      channel_panel<T>(d, call, cut,
                       {planes, image0, images, oh0, oh1, group, panel,
                        packed + (group * panels + panel) * panel_size},
                       scratch, nullptr);
    buffer_release(planes);
  });
  buffer_release(packed);
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
    channel_panel<T>(d, call, cut,
                     {planes + set * cut.slab + oh0 * d.stride_h * d.row(), set / d.groups, 1, oh0,
                      oh1, set % d.groups, panel, nullptr},
                     scratch, lines);
    buffer_release(memory);
  });
  buffer_release(padded);
}

// y = activation(conv(x, weight) + bias); bias may be null.
template <class T>
DLCORE_INLINE void channel_conv(const Direct& d, const T* x, const T* weight, const T* bias, T* y,
                                Activation activation) {
  int64_t* const offset = direct_offsets(d);
  const DirectCall<T> call{x, weight, bias, y, activation, offset};
  const ChannelCut<T> cut(d);
  if (cut.few)
    channels_few<T>(d, call, cut);
  else
    channels_many<T>(d, call, cut);
  buffer_release(offset);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
