// The gradient of a depthwise convolution's weight: for each tap, the sum over images and pixels of
// dy times what the tap reads. The sums stay vectors over the pixels' lanes until a weight's
// pixels are all in them.

#include "cpu/conv_depthwise_lanes.h"
#include "cpu/conv_depthwise_strips_weight.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kRowsAtOnce = 4;  // of dy at once
constexpr int kTapsAtOnce = 6;

// Which lanes of the last vector of a row count: it may begin before the row's last whole vector
// ended, where other lanes have been summed up already.
template <class T>
DLCORE_INLINE Mask<T> tail_lanes(int64_t n) {
  Vec<T> lane;
  for (int64_t i = 0; i < kLanes<T>; ++i) lane[i] = static_cast<T>(i);
  const int64_t rest = n % kLanes<T>;
  return n < kLanes<T> ? Mask<T>(lane < splat<T>(static_cast<T>(rest)))
                       : Mask<T>(lane >= splat<T>(static_cast<T>(kLanes<T> - rest)));
}

// body(j, part): the vectors of a row of n elements; the last, partial one begins at
// larger(0, n - lanes) and `part` says that only tail_lanes count.
template <class T, class Body>
DLCORE_INLINE void each_vector(int64_t n, const Body& body) {
  int64_t j = 0;
  for (; j + kLanes<T> <= n; j += kLanes<T>) body(j, [](Vec<T> v) { return v; }, false);
  if (j == n) return;
  const Mask<T> counts = tail_lanes<T>(n);
  body(larger(0, n - kLanes<T>), [=](Vec<T> v) { return counts ? v : Vec<T>{}; }, true);
}

// sums[t] += the products of R rows of dy, out_w elements each, for 3 x 3 taps.
template <class T, int kStride, int R>
__attribute__((noinline)) void weight_rows(const T* x, int64_t row, int64_t phase, const T* dy,
                                           int64_t out_w, T* sums) {
  Vec<T> sum[9];
#pragma GCC unroll 9
  for (int t = 0; t < 9; ++t) sum[t] = load<T>(sums + t * kLanes<T>);
  each_vector<T>(out_w, [&](int64_t j, auto keep, bool part) __attribute__((always_inline)) {
    Vec<T> g[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
      g[r] = part && out_w < kLanes<T> ? load_part<T>(dy + r * out_w, out_w, T(0))
                                       : keep(load<T>(dy + r * out_w + j));
    const T* from = x + j;
#pragma GCC unroll 16
    for (int i = 0; i < (R - 1) * kStride + 3; ++i, from += row)
#pragma GCC unroll 3
      for (int s = 0; s < 3; ++s) {
        const Vec<T> v = keep(load<T>(from + s % kStride * phase + s / kStride));
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r)
          if (i - r * kStride >= 0 && i - r * kStride < 3)
            sum[(i - r * kStride) * 3 + s] += g[r] * v;
      }
  });
#pragma GCC unroll 9
  for (int t = 0; t < 9; ++t) store<T>(sums + t * kLanes<T>, sum[t]);
}

template <class T, int kStride>
DLCORE_INLINE void weight_block(const T* x, int64_t row, int64_t phase, const T* dy, int64_t rows,
                                int64_t out_w, T* sums) {
  int64_t i = 0;
  for (; i + kRowsAtOnce <= rows; i += kRowsAtOnce)
    weight_rows<T, kStride, kRowsAtOnce>(x + i * kStride * row, row, phase, dy + i * out_w, out_w,
                                         sums);
  for (; i < rows; ++i)
    weight_rows<T, kStride, 1>(x + i * kStride * row, row, phase, dy + i * out_w, out_w, sums);
}

// sums += the products of a block of rows for kTapsAtOnce taps that read at `offset`.
template <class T>
__attribute__((noinline)) void any_taps(const T* x, int64_t step, const int64_t* offset,
                                        const T* dy, int64_t rows, int64_t out_w, T* sums) {
  Vec<T> sum[kTapsAtOnce];
#pragma GCC unroll 8
  for (int t = 0; t < kTapsAtOnce; ++t) sum[t] = load<T>(sums + t * kLanes<T>);
  for (int64_t i = 0; i < rows; ++i, x += step, dy += out_w)
    each_vector<T>(out_w, [&](int64_t j, auto keep, bool part) __attribute__((always_inline)) {
      const Vec<T> g =
          part && out_w < kLanes<T> ? load_part<T>(dy, out_w, T(0)) : keep(load<T>(dy + j));
#pragma GCC unroll 8
      for (int t = 0; t < kTapsAtOnce; ++t) sum[t] += g * keep(load<T>(x + offset[t] + j));
    });
#pragma GCC unroll 8
  for (int t = 0; t < kTapsAtOnce; ++t) store<T>(sums + t * kLanes<T>, sum[t]);
}

// How the work of a weight is cut. An item is one output channel, all images.
template <class T>
struct Cut {
  bool fast;
  PaddedRows<T> padded;
  Groups rows;  // of dy, of a block
  int64_t span, slab, sums;

  explicit Cut(const Conv2d& c) {
    fast = !kHasStrips && has_fast_taps<T>(c) && c.stride_h == c.stride_w && c.stride_h <= 2;
    padded =
        PaddedRows<T>(c.height, c.width, c.pad_left, c.stride_w,
                      round_up(c.out_w, kLanes<T>) + (c.kernel_w - 1) * c.dilation_w / c.stride_w);
    span = (c.kernel_h - 1) * c.dilation_h + 1;
    const int64_t bytes = padded.row() * static_cast<int64_t>(sizeof(T));
    rows =
        balanced(c.out_h, larger(2 * kRowsAtOnce, (kBlockBytes / bytes - span) / c.stride_h + 1));
    slab = ((rows.size + (rows.larger > 0) - 1) * c.stride_h + span) * padded.row();
    sums = round_up(c.kernel_h * c.kernel_w, kTapsAtOnce) * kLanes<T>;
  }
};

template <class T>
DLCORE_INLINE void add_block(const Conv2d& c, const Cut<T>& cut, const T* x, const int64_t* offset,
                             const T* dy, int64_t rows, T* sums) {
  const int64_t row = cut.padded.row(), phase = cut.padded.phase_size;
  if constexpr (kIsFloat<T> && !kHasStrips) {
    if (cut.fast)
      return c.stride_h == 1 ? weight_block<T, 1>(x, row, phase, dy, rows, c.out_w, sums)
                             : weight_block<T, 2>(x, row, phase, dy, rows, c.out_w, sums);
  }
  for (int64_t t = 0; t * kLanes<T> < cut.sums; t += kTapsAtOnce)
    any_taps<T>(x, c.stride_h * row, offset + t, dy, rows, c.out_w, sums + t * kLanes<T>);
}

template <class T>
bool weight_gradient(const Conv2d& c, const T* x, const T* dy, T* dw, [[maybe_unused]] T* db) {
  if constexpr (kIsFloat<T>) {
    if (lanes_pay<T>(one_deep(c))) {
      lanes_weight_gradient<T>(one_deep(c), x, dy, dw, db);
      return db;
    }
#if defined(__AVX512F__)
    if (strips_pay(c)) {
      weight_planes(c, x, dy, dw, db);
      return db;
    }
#endif
  }
  const Cut<T> cut(c);
  const int64_t many = c.out_channels / c.channels, taps = c.kernel_h * c.kernel_w;
  const int64_t padded_taps = cut.sums / kLanes<T>;
  const int64_t size = cut.sums + cut.slab + kLineElements<T>;
  const int64_t bytes = round_up(size * static_cast<int64_t>(sizeof(T)), 64);
  const int64_t cost = c.batch * c.out_h * c.out_w * (taps + 4) / 8;
  parallel_for(c.out_channels, grain_for(cost), [=](int64_t begin, int64_t end) {
    T* const sums = static_cast<T*>(buffer_acquire(bytes + 8 * padded_taps));
    T* const slab = sums + cut.sums;
    int64_t* const offset = reinterpret_cast<int64_t*>(reinterpret_cast<char*>(sums) + bytes);
    for (int64_t t = 0; t < padded_taps; ++t) {
      const int64_t right = t % c.kernel_w * c.dilation_w;
      offset[t] =
          t < taps ? t / c.kernel_w * c.dilation_h * cut.padded.row() + cut.padded.tap(right) : 0;
    }
    fill_row<T>(T(0), size, sums);
    for (int64_t k = begin; k < end; ++k) {
      fill_row<T>(T(0), cut.sums, sums);
      for (int64_t n = 0; n < c.batch; ++n)
        for (int64_t b = 0; b < cut.rows.count; ++b) {
          const int64_t first = cut.rows.begin(b), rows = cut.rows.begin(b + 1) - first;
          pad_block<T>(cut.padded, x + (n * c.channels + k / many) * c.height * c.width,
                       first * c.stride_h - c.pad_top, (rows - 1) * c.stride_h + cut.span, slab);
          add_block<T>(c, cut, slab, offset,
                       dy + ((n * c.out_channels + k) * c.out_h + first) * c.out_w, rows, sums);
        }
      for (int64_t t = 0; t < taps; ++t) dw[k * taps + t] = hsum<T>(load<T>(sums + t * kLanes<T>));
    }
    buffer_release(sums);
  });
  return false;
}

}  // namespace

bool depthwise_weight_gradient(const Conv2d& c, const float* x, const float* dy, float* dw,
                               float* db) {
  return weight_gradient<float>(c, x, dy, dw, db);
}
bool depthwise_weight_gradient(const Conv2d& c, const double* x, const double* dy, double* dw,
                               double* db) {
  return weight_gradient<double>(c, x, dy, dw, db);
}

void depthwise_volume_weight(const Conv3d& c, const float* x, const float* dy, float* dw) {
  lanes_weight_gradient<float>(c, x, dy, dw, nullptr);
}

}  // namespace DLCORE_ISA
}  // namespace dlcore
