// 1x1 convolutions with a stride are those of the pixels they read; their gradients, and those of
// windows that are the whole image, are products of the matrices as they lie.
#pragma once

#include "cpu/rows.h"
#include "cpu/simd.h"
#include "kernels/conv.h"
#include "kernels/gemm.h"

namespace dlcore {
namespace DLCORE_ISA {

// One product, not empty, + row_bias[i] before the activation. In gemm.cpp.
void gemm_with_row_bias(const Gemm<float>& g, const float* row_bias);
void gemm_with_row_bias(const Gemm<double>& g, const double* row_bias);
// A for Gemm::packed_a. Returns its size; only that is asked for when `packed` is null.
int64_t pack_rows(const Gemm<float>& g, float* packed);
int64_t pack_rows(const Gemm<double>& g, double* packed);

namespace {

DLCORE_INLINE bool is_point(const Conv2d& c) {
  return c.kernel_h == 1 && c.kernel_w == 1 && c.pad_top == 0 && c.pad_left == 0 &&
         (c.out_h - 1) * c.stride_h < c.height && (c.out_w - 1) * c.stride_w < c.width;
}

// Whether x has pixels that the windows skip.
DLCORE_INLINE bool skips_pixels(const Conv2d& c) {
  return c.out_h != c.height || c.out_w != c.width;
}

// The same convolution of the pixels it reads.
DLCORE_INLINE Conv2d of_picked(Conv2d c) {
  c.height = c.out_h;
  c.width = c.out_w;
  c.stride_h = c.stride_w = 1;
  return c;
}

// The window is all of x.
DLCORE_INLINE bool is_whole(const Conv2d& c) {
  return c.groups == 1 && c.out_h * c.out_w == 1 && c.kernel_h == c.height &&
         c.kernel_w == c.width && c.pad_top == 0 && c.pad_left == 0 &&
         c.dilation_h * c.dilation_w == 1;
}

// picked = every stride-th pixel of x.
template <class T>
DLCORE_INLINE void pick_pixels(const Conv2d& c, const T* x, T* picked) {
  parallel_for(c.batch * c.channels, grain_for(c.out_h * c.width), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      for (int64_t h = 0; h < c.out_h; ++h) {
        const T* row = x + (i * c.height + h * c.stride_h) * c.width;
        T* to = picked + (i * c.out_h + h) * c.out_w;
        int64_t w = 0;
        if (c.stride_w == 1) copy_row<T>(row, w = c.out_w, to);
        if (c.stride_w == 2)
          for (; 2 * (w + kLanes<T>) <= c.width; w += kLanes<T>)
            store<T>(to + w, even_of(load<T>(row + 2 * w), load<T>(row + 2 * w + kLanes<T>),
                                     AllLanes<T>{}));
        for (; w < c.out_w; ++w) to[w] = row[w * c.stride_w];
      }
  });
}

// The adjoint: the pixels back to their places in x, zeros between.
template <class T>
DLCORE_INLINE void spread_pixels(const Conv2d& c, const T* picked, T* x) {
  const int64_t phase = ceil_div(c.width, c.stride_w);
  parallel_for(c.batch * c.channels, grain_for(c.height * c.width),
               [=](int64_t begin, int64_t end) {
                 T* const split = static_cast<T*>(buffer_acquire(phase * c.stride_w * sizeof(T)));
                 fill_row<T>(T(0), phase * c.stride_w, split);
                 for (int64_t i = begin; i < end; ++i)
                   for (int64_t h = 0; h < c.height; ++h) {
                     T* const row = x + (i * c.height + h) * c.width;
                     if (h % c.stride_h != 0 || h / c.stride_h >= c.out_h) {
                       fill_row<T>(T(0), c.width, row);
                       continue;
                     }
                     copy_row<T>(picked + (i * c.out_h + h / c.stride_h) * c.out_w, c.out_w, split);
                     join_row<T>(split, phase, 0, c.stride_w, c.width, row);
                   }
                 buffer_release(split);
               });
}

// C (m, n) = activation(A B + row_bias + residual), or C += A B. Element (i, p) of A is
// a[i * a_row + p * a_col], B likewise.
template <class T>
DLCORE_INLINE void product(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_row,
                           int64_t a_col, const T* b, int64_t b_row, int64_t b_col, T* c, bool add,
                           bool bf16, const T* row_bias = nullptr, const Finish<T>& finish = {},
                           const T* packed_a = nullptr) {
  Gemm<T> g{};
  g.bf16 = bf16;
  g.packed_a = packed_a;
  g.m = m, g.n = n, g.k = k;
  g.a = a, g.a_row = a_row, g.a_col = a_col;
  g.b = b, g.b_row = b_row, g.b_col = b_col;
  g.c = c, g.c_row = n;
  g.alpha = T(1), g.beta = T(add);
  g.residual = finish.residual;
  g.activation = finish.activation, g.slope = finish.slope;
  g.batch = 1;
  gemm_with_row_bias(g, row_bias);
}

// Whether each image's product is large enough to be cut for the threads by itself.
DLCORE_INLINE bool products_pay(const Conv2d& c) {
  const int64_t channels = c.channels / c.groups, results = c.out_channels / c.groups;
  return c.batch * c.groups == 1 || channels * results * c.out_h * c.out_w >= int64_t(1) << 20;
}

// Whether y, or dx, of a 1x1 convolution that takes every pixel is better the product of the
// matrices as they lie. Not with small images, which threads should share, and not where few pixels
// share a packing of the weights: 7 x 7 fill three vectors of four in AVX-512, 14 x 14 one of two
// at their end, and long sums with output channels along the lanes (conv_channels.h) take a sixth
// less. The batch has no say: an image gives the same bits in any batch.
DLCORE_INLINE bool point_products_pay(const Conv2d& c) {
  constexpr bool kWide = kVectorBytes == 64;
  const int64_t channels = c.channels / c.groups, results = c.out_channels / c.groups;
  const int64_t pixels = c.out_h * c.out_w;
  if (kWide && pixels <= 256 && channels >= 192 && results >= 192) return false;
  return pixels >= (kWide ? 64 : 32) && channels * results * pixels >= int64_t(1) << 20;
}

// The weights of all groups in panels. Returns their size; only that when `packed` is null.
template <class T>
DLCORE_INLINE int64_t pack_point(const Conv2d& c, const T* weight, T* packed) {
  Gemm<T> g{};
  g.m = c.out_channels / c.groups, g.k = c.channels / c.groups;
  g.a_row = g.k, g.a_col = 1;
  g.alpha = T(1);
  const int64_t size = pack_rows(g, static_cast<T*>(nullptr));
  for (int64_t i = 0; packed && i < c.groups; ++i) {
    g.a = weight + i * g.m * g.k;
    pack_rows(g, packed + i * size);
  }
  return c.groups * size;
}

template <class T>
DLCORE_INLINE void point_forward(const Conv2d& c, const T* x, const T* weight, const T* bias, T* y,
                                 const Finish<T>& finish, const T* packed) {
  const int64_t channels = c.channels / c.groups, results = c.out_channels / c.groups;
  const int64_t pixels = c.out_h * c.out_w;
  const int64_t size = packed ? pack_point<T>(c, weight, nullptr) / c.groups : 0;
  Finish<T> last = finish;
  for (int64_t i = 0; i < c.batch * c.groups; ++i) {
    const int64_t row0 = i % c.groups * results;
    if (finish.residual) last.residual = finish.residual + i * results * pixels;
    product<T>(results, pixels, channels, weight + row0 * channels, channels, 1,
               x + i * channels * pixels, pixels, 1, y + i * results * pixels, false, c.bf16,
               bias ? bias + row0 : nullptr, last, packed ? packed + i % c.groups * size : nullptr);
  }
}

// dx of a 1x1 convolution that takes every pixel: weight^T dy, image by image.
template <class T>
DLCORE_INLINE void point_data_gradient(const Conv2d& c, const T* dy, const T* weight, T* dx) {
  const int64_t channels = c.channels / c.groups, results = c.out_channels / c.groups;
  const int64_t pixels = c.out_h * c.out_w;
  for (int64_t i = 0; i < c.batch * c.groups; ++i)
    product<T>(channels, pixels, results, weight + i % c.groups * results * channels, 1, channels,
               dy + i * results * pixels, pixels, 1, dx + i * channels * pixels, false, c.bf16);
}

// dw: the sum of dy x^T over the images.
template <class T>
DLCORE_INLINE void point_weight_gradient(const Conv2d& c, const T* x, const T* dy, T* dw) {
  const int64_t channels = c.channels / c.groups, results = c.out_channels / c.groups;
  const int64_t pixels = c.out_h * c.out_w;
  for (int64_t i = 0; i < c.batch * c.groups; ++i)
    product<T>(results, channels, pixels, dy + i * results * pixels, pixels, 1,
               x + i * channels * pixels, 1, pixels, dw + i % c.groups * results * channels,
               i >= c.groups, c.bf16);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
