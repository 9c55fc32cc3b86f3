// Depthwise 3 x 3 convolution along rows, float32 without AVX-512: kRows rows of results share what
// they read, from a copy of x with its padding.
#pragma once

#include "cpu/conv_depthwise.h"
#include "cpu/conv_finish.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kRows = 4;  // of results at once: 9 weights, 4 sums, 1 of x in 16 registers

// Planes of x, `height` by `width`, become planes of y, `out_h` by `out_w`.
template <class T>
struct PlaneCall {
  Conv2d c;  // c.out_channels planes of y to an image
  const T *x, *weight, *bias;
  T* y;
  int64_t sources;  // planes of x summed up in one of y
  int64_t shared;   // planes of y that read the same of x
  bool backward;    // the taps are read backwards
  Finish<T> finish;

  int64_t taps() const { return c.kernel_h * c.kernel_w; }
  const T* source(int64_t plane) const { return x + plane * sources / shared * c.height * c.width; }
  const T* weights(int64_t plane) const {
    return weight + plane % c.out_channels * sources * taps();
  }
  T start(int64_t plane) const { return bias ? bias[plane % c.out_channels] : T(0); }
};

// A work item is a block of rows of one plane of y. work(item's plane, first row, rows, scratch).
template <class T, class Work>
DLCORE_INLINE void each_block(const PlaneCall<T>& call, int64_t row, int64_t scratch,
                              const Work& work) {
  const Conv2d& c = call.c;
  const int64_t bytes = call.sources * row * static_cast<int64_t>(sizeof(T));
  const int64_t span = (c.kernel_h - 1) * c.dilation_h + 1;
  const int64_t fit = (kBlockBytes / bytes - span) / c.stride_h + 1;
  const Groups rows = balanced(c.out_h, larger(2 * kRows, fit));
  const int64_t slab_rows = (rows.size + (rows.larger > 0) - 1) * c.stride_h + span;
  const int64_t slab = slab_rows * row, size = call.sources * slab + 4 * kLanes<T>;
  const int64_t cost = (rows.size + 1) * c.out_w * (call.sources * call.taps() + 4) / 8;
  parallel_for(c.batch * c.out_channels * rows.count, grain_for(cost),
               [=](int64_t begin, int64_t end) {
                 const bool done = Limits<T>(call.finish).all;
                 T* const planes = static_cast<T*>(buffer_acquire((size + scratch) * sizeof(T)));
                 fill_row<T>(T(0), size + scratch, planes);
                 for (int64_t item = begin; item < end; ++item) {
                   const int64_t first = rows.begin(item % rows.count);
                   const int64_t n = rows.begin(item % rows.count + 1) - first;
                   work(item / rows.count, first, n, planes, slab, planes + size);
                   const int64_t at = (item / rows.count * c.out_h + first) * c.out_w;
                   if (!done) finish_rows(call.finish, call.y, at, 1, n * c.out_w, 0);
                 }
                 buffer_release(planes);
               });
}

// n results, fewer than there are lanes perhaps. Without masked stores what lies behind, before
// `limit`, is written later.
template <class T>
DLCORE_INLINE void store_results(T* y, int64_t n, Vec<T> v, const T* limit) {
  if (!kMaskedStores && y + kLanes<T> <= limit)
    store<T>(y, v);
  else if (n > 0)
    store_part<T>(y, smaller(n, kLanes<T>), v);
}

// kRows rows of results, a vector of each at a time. Without masked stores the last begin where
// they end with the row. `phase` is the size of one of a row of x.
template <class T, int kStride>
__attribute__((noinline)) void fast_rows(const T* x, int64_t row, int64_t phase, const T* weight,
                                         int64_t step, T start, const Limits<T>& limits,
                                         int64_t out_w, T* y, const T* limit) {
  constexpr int kReads = (kRows - 1) * kStride + 3;
  Vec<T> w[9];
#pragma GCC unroll 9
  for (int t = 0; t < 9; ++t) w[t] = splat<T>(weight[t * step]);
  const int64_t last =
      kMaskedStores ? round_up(out_w, kLanes<T>) - kLanes<T> : larger(0, out_w - kLanes<T>);
  for (int64_t j = 0;; j = smaller(j + kLanes<T>, last)) {
    Vec<T> sum[kRows];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) sum[r] = splat<T>(start);
#pragma GCC unroll 16
    for (int i = 0; i < kReads; ++i) {
      const T* const from = x + i * row + j;
#pragma GCC unroll 3
      for (int s = 0; s < 3; ++s) {
        Vec<T> v = load<T>(from + s % kStride * phase + s / kStride);
        asm("" : DLCORE_REGISTER(v));  // or every use would load it again
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r)
          if (i - r * kStride >= 0 && i - r * kStride < 3)
            sum[r] += w[(i - r * kStride) * 3 + s] * v;
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r)
      store_results<T>(y + r * out_w + j, out_w - j, limits.of(sum[r]), limit);
    if (j == last) return;
  }
}

// 3 x 3: the weights fit into the registers.
template <class T, int kStride>
void fast_planes(const PlaneCall<T>& call) {
  const Conv2d& c = call.c;
  const PaddedRows<T> padded(c.height, c.width, c.pad_left, kStride,
                             larger(c.out_w, kLanes<T>) + 2 / kStride);
  const int64_t row = padded.row();
  const Limits<T> limits(call.finish);
  each_block<T>(call, row, 0,
                [=](int64_t plane, int64_t first, int64_t rows, T* planes, int64_t, T*) {
                  pad_block<T>(padded, call.source(plane), first * kStride - c.pad_top,
                               (rows - 1) * kStride + 3, planes);
                  const T* weight = call.weights(plane) + (call.backward ? 8 : 0);
                  T* const y = call.y + (plane * c.out_h + first) * c.out_w;
                  for (int64_t i = 0; i < rows; i += kRows) {
                    const int64_t at = smaller(i, rows - kRows);
                    fast_rows<T, kStride>(planes + at * kStride * row, row, padded.phase_size,
                                          weight, call.backward ? -1 : 1, call.start(plane), limits,
                                          c.out_w, y + at * c.out_w, y + rows * c.out_w);
                  }
                });
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
