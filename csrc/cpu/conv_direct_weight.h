// The gradient of a convolution's weight for stride 1 and few output channels, without columns.
//
// An image is copied with its padding, and a row of dy meets, for the tap (r, s), the padded row
// r further down from element s: loads where the columns would be packed. A sum stays a vector
// over the pixels' lanes until all images of a slice are in it.
#pragma once

#include "cpu/conv_direct.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kGradientRows = 4, kGradientTaps = 5;  // 20 of 32 registers hold sums
#else
constexpr int kGradientRows = 2, kGradientTaps = 5;  // 10 of 16
#endif
constexpr int64_t kGradientChannels = 16;      // more are better packed once for all
constexpr int64_t kGradientBytes = 128 << 10;  // of an image with its padding
constexpr int64_t kImagesAtOnce = 4;           // between two visits of the sums

// The sizes of one slice's work.
template <class T>
struct GradientCut {
  int64_t window, padded_window;
  int64_t x_image, dy_row, dy_image;
  int64_t sums_row;
  int64_t per_slice, slices;

  explicit GradientCut(const Direct& d) {
    window = d.window();
    padded_window = round_up(window, kGradientTaps);
    x_image = round_up(d.channels * d.plane() + kLanes<T>, kLineElements<T>);
    dy_row = round_up(d.out_w, kLanes<T>);
    dy_image = d.rows * d.out_h * dy_row;
    sums_row = padded_window * kLanes<T>;
    per_slice = ceil_div(d.batch, 16);
    slices = ceil_div(d.batch, per_slice);
  }
};

template <class T>
DLCORE_INLINE bool gradient_pays(const Conv2d& c, const Direct& d) {
  return d.groups == 1 && d.batch >= 8 && d.rows <= kGradientChannels && c.stride_h == 1 &&
         c.stride_w == 1 && d.taps() > 1 && d.plane_rows() >= d.pad_top + d.height &&
         d.row() >= d.pad_left + d.width && 2 * d.out_w >= kLanes<T> &&
         d.channels * d.plane() * static_cast<int64_t>(sizeof(T)) <= kGradientBytes;
}

// sums[m][t] += row m of dy times x moved by offset t, over some images.
template <class T, int M>
__attribute__((noinline)) void gradient_tile(const Direct& d, const GradientCut<T>& cut,
                                             int64_t images, const T* dy, const T* x,
                                             const int64_t* offset, T* sums) {
  Vec<T> sum[M][kGradientTaps];
#pragma GCC unroll 4
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 5
    for (int t = 0; t < kGradientTaps; ++t)
      sum[m][t] = load<T>(sums + m * cut.sums_row + t * kLanes<T>);
  const auto add = [&](const T* g, const T* from, auto value_of) __attribute__((always_inline)) {
    Vec<T> gradient[M];
#pragma GCC unroll 4
    for (int m = 0; m < M; ++m) gradient[m] = load<T>(g + m * d.out_h * cut.dy_row);
#pragma GCC unroll 5
    for (int t = 0; t < kGradientTaps; ++t) {
      const Vec<T> value = value_of(from + offset[t]);
#pragma GCC unroll 4
      for (int m = 0; m < M; ++m) sum[m][t] += gradient[m] * value;
    }
  };
  const int64_t whole = d.out_w / kLanes<T>, rest = d.out_w % kLanes<T>;
  Mask<T> inside;
  for (int64_t i = 0; i < kLanes<T>; ++i) inside[i] = i < rest ? -1 : 0;
  for (int64_t n = 0; n < images; ++n, dy += cut.dy_image, x += cut.x_image)
    for (int64_t oh = 0; oh < d.out_h; ++oh) {
      const T* g = dy + oh * cut.dy_row;
      const T* from = x + oh * d.row();
      for (int64_t v = 0; v < whole; ++v, g += kLanes<T>, from += kLanes<T>)
        add(g, from, [](const T* p) { return load<T>(p); });
      // Past the end of a row dy is 0, but x may be infinite.
      if (rest) add(g, from, [=](const T* p) { return inside ? load<T>(p) : Vec<T>{}; });
    }
#pragma GCC unroll 4
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 5
    for (int t = 0; t < kGradientTaps; ++t)
      store<T>(sums + m * cut.sums_row + t * kLanes<T>, sum[m][t]);
}

template <class T, int M>
DLCORE_INLINE void gradient_rows(const Direct& d, const GradientCut<T>& cut, int64_t m,
                                 int64_t images, const T* dy, const T* x, const int64_t* offset,
                                 T* sums) {
  if constexpr (M > 1)
    if (m < M) return gradient_rows<T, M - 1>(d, cut, m, images, dy, x, offset, sums);
  for (int64_t t = 0; t < cut.window; t += kGradientTaps)
    gradient_tile<T, M>(d, cut, images, dy, x, offset + t, sums + t * kLanes<T>);
}

// part = dw over the images of one slice.
template <class T>
DLCORE_INLINE void gradient_slice(const Direct& d, const GradientCut<T>& cut, int64_t slice,
                                  const T* x, const T* dy, const int64_t* offset, T* part) {
  T* const padded = static_cast<T*>(buffer_acquire(
      (kImagesAtOnce * (cut.x_image + cut.dy_image) + d.rows * cut.sums_row) * sizeof(T)));
  T* const gradients = padded + kImagesAtOnce * cut.x_image;
  T* const sums = gradients + kImagesAtOnce * cut.dy_image;
  fill_row<T>(T(0), d.rows * cut.sums_row, sums);
  const int64_t end = smaller(d.batch, (slice + 1) * cut.per_slice);
  for (int64_t n0 = slice * cut.per_slice; n0 < end; n0 += kImagesAtOnce) {
    const int64_t images = smaller(kImagesAtOnce, end - n0);
    for (int64_t n = 0; n < images; ++n) {
      T* const image = padded + n * cut.x_image;
      for (int64_t channel = 0; channel < d.channels; ++channel)
        pad_plane<T>(d, x + ((n0 + n) * d.channels + channel) * d.height * d.width,
                     image + channel * d.plane());
      fill_row<T>(T(0), cut.x_image - d.channels * d.plane(), image + d.channels * d.plane());
    }
    const T* from = dy + n0 * d.rows * d.out_h * d.out_w;
    T* to = gradients;
    for (int64_t i = 0; i < images * d.rows * d.out_h; ++i, from += d.out_w, to += cut.dy_row) {
      copy_row<T>(from, d.out_w, to);
      fill_row<T>(T(0), cut.dy_row - d.out_w, to + d.out_w);
    }
    for (int64_t k = 0; k < d.rows; k += kGradientRows)
      gradient_rows<T, kGradientRows>(d, cut, smaller(kGradientRows, d.rows - k), images,
                                      gradients + k * d.out_h * cut.dy_row, padded, offset,
                                      sums + k * cut.sums_row);
  }
  for (int64_t k = 0; k < d.rows; ++k)
    for (int64_t t = 0; t < cut.window; ++t)
      part[k * cut.window + t] = hsum<T>(load<T>(sums + k * cut.sums_row + t * kLanes<T>));
  buffer_release(padded);
}

// dw: the images in fixed slices.
template <class T>
DLCORE_INLINE void direct_weight_gradient(const Direct& d, const T* x, const T* dy, T* dw) {
  const GradientCut<T> cut(d);
  const int64_t size = d.rows * cut.window, offsets_bytes = cut.padded_window * 8;
  T* const parts = static_cast<T*>(
      buffer_acquire(round_up(cut.slices * size, kLineElements<T>) * sizeof(T) + offsets_bytes));
  int64_t* const offset =
      reinterpret_cast<int64_t*>(parts + round_up(cut.slices * size, kLineElements<T>));
  for (int64_t i = 0; i < cut.window; ++i) {
    const int64_t tap = i % d.taps();
    offset[i] = i / d.taps() * d.plane() + tap / d.kernel_w * d.dilation_h * d.row() +
                tap % d.kernel_w * d.dilation_w;
  }
  for (int64_t i = cut.window; i < cut.padded_window; ++i) offset[i] = 0;
  parallel_for(cut.slices, 1, [=](int64_t slice, int64_t) {
    gradient_slice<T>(d, cut, slice, x, dy, offset, parts + slice * size);
  });
  for (int64_t i = 0; i < size; i += kLanes<T>) {
    const int64_t n = smaller(kLanes<T>, size - i);
    Vec<T> sum = load_part<T>(parts + i, n, T(0));
    for (int64_t s = 1; s < cut.slices; ++s) sum += load_part<T>(parts + s * size + i, n, T(0));
    store_part<T>(dw + i, n, sum);
  }
  buffer_release(parts);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
