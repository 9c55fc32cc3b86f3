// Depthwise convolution, also with several results to a channel: each result is a sum over the taps
// of one plane, so nothing is shared between channels and a product of matrices would compute with
// rows of one. The planes are convolved as they are, pixels along the lanes.
//
// A block of rows of a plane is copied with its padding to where L1 holds it: 1 of some 6 cycles a
// vector, and every tap of every pixel is then a plain load.
#pragma once

#include "cpu/gemm_tile.h"
#include "cpu/rows.h"
#include "kernels/conv.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kBlockBytes = 20 << 10;  // of padded rows at a time

// Whether a call is for these kernels. One channel with several results is no worse off as rows of
// a product.
DLCORE_INLINE bool is_depthwise(const Conv2d& c) {
  return c.channels == c.groups && (c.groups > 1 || c.out_channels == 1);
}

#if defined(__AVX512F__)
constexpr bool kHasStrips = true;  // conv_depthwise_strips.h instead of conv_depthwise_rows.h
#else
constexpr bool kHasStrips = false;
#endif

// 3x3 has code of its own along rows, in float32: in float64 it would be 50 KB more.
template <class T>
DLCORE_INLINE bool has_fast_taps(const Conv2d& c) {
  return kIsFloat<T> && c.kernel_h == 3 && c.kernel_w == 3 && c.dilation_h * c.dilation_w == 1;
}

// even[i] = p[2 i] and odd[i] = p[2 i + 1] for i < lanes.
template <class T>
DLCORE_INLINE void split_vectors(const T* p, Vec<T>& even, Vec<T>& odd) {
#if defined(__AVX2__) && !defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {  // halves put side by side by the loads: one shuffle each
    const auto halves = [](const float* low, const float* high) __attribute__((always_inline)) {
      return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low)), _mm_loadu_ps(high), 1);
    };
    const __m256 a = halves(p, p + 8), b = halves(p + 4, p + 12);
    even = Vec<T>(_mm256_shuffle_ps(a, b, 0x88));
    odd = Vec<T>(_mm256_shuffle_ps(a, b, 0xdd));
    return;
  }
#endif
  const Vec<T> a = load<T>(p), b = load<T>(p + kLanes<T>);
  even = even_of(a, b, AllLanes<T>{});
  odd = odd_of(a, b, AllLanes<T>{});
}

// As copy_row; a last part of a vector is copied with what lies before it. With less than a vector
// in all, zeros are written behind.
template <class T>
DLCORE_INLINE void copy_whole(const T* x, int64_t n, T* y) {
  if (n >= kLanes<T>) {
    int64_t i = 0;
    for (; i + kLanes<T> <= n; i += kLanes<T>) store<T>(y + i, load<T>(x + i));
    if (i < n) store<T>(y + n - kLanes<T>, load<T>(x + n - kLanes<T>));
  } else if (n > 0) {
    store<T>(y, load_part<T>(x, n, T(0)));
  }
}

// As split_row with a stride of 2, likewise.
template <class T>
DLCORE_INLINE void split_whole(const T* x, int64_t n, int64_t first, T* to, int64_t phase_size) {
  constexpr int64_t L = kLanes<T>;
  if (n <= 0) return;
  T* const even = to + first % 2 * phase_size + first / 2;  // of x[0], x[2], ...
  T* const odd = to + (first + 1) % 2 * phase_size + (first + 1) / 2;
  Vec<T> a, b;
  if (n >= 2 * L) {
    for (int64_t i = 0; i + 2 * L <= n; i += 2 * L) {
      split_vectors<T>(x + i, a, b);
      store<T>(even + i / 2, a);
      store<T>(odd + i / 2, b);
    }
    const int64_t i = n - 2 * L;
    if (n % (2 * L) == 0) return;
    split_vectors<T>(x + i, a, b);
    store<T>((i % 2 ? odd : even) + i / 2, a);
    store<T>(i % 2 ? even + i / 2 + 1 : odd + i / 2, b);
    return;
  }
  a = load_part<T>(x, smaller(n, L), T(0));
  b = n > L ? load_part<T>(x + L, n - L, T(0)) : Vec<T>{};
  store<T>(even, even_of(a, b, AllLanes<T>{}));
  store<T>(odd, odd_of(a, b, AllLanes<T>{}));
}

// Rows of a plane with their padding, cut into `stride` phases (1: uncut). The first element of a
// row lies `pad` elements before x. What is written once stays: the zeros at the ends of rows.
template <class T>
struct PaddedRows {
  int64_t height, width, pad, stride, phase_size;

  PaddedRows() = default;
  // A phase holds `least` elements and more, so that no phase is written over with the one before.
  PaddedRows(int64_t rows, int64_t columns, int64_t before, int64_t step, int64_t least)
      : height(rows), width(columns), pad(before), stride(step) {
    phase_size = round_up(larger(least, (before + 1) / step + kLanes<T>), kLineElements<T>);
  }
  int64_t row() const { return stride * phase_size; }
  int64_t tap(int64_t right) const { return right % stride * phase_size + right / stride; }
};

// Rows top..top+count-1 of x.
template <class T>
DLCORE_INLINE void pad_block(const PaddedRows<T>& p, const T* x, int64_t top, int64_t count,
                             T* to) {
  const int64_t skipped = larger(0, -p.pad), first = larger(0, p.pad), row = p.row();
  const int64_t n = smaller(p.width - skipped, row - first);
  for (int64_t h = top; h < top + count; ++h, to += row) {
    if (h < 0 || h >= p.height)
      fill_row<T>(T(0), row, to);
    else if (p.stride == 1)
      copy_whole<T>(x + h * p.width + skipped, n, to + first);
    else if (p.stride == 2)
      split_whole<T>(x + h * p.width + skipped, n, first, to, p.phase_size);
    else
      split_row<T>(x + h * p.width + skipped, n, first, p.stride, to, p.phase_size);
  }
}

// Taps that are not known when this is compiled: where each reads, counted from the pixel.
template <class T>
struct Taps {
  int64_t count;
  const int64_t* offset;
  const T* weight;
};

}  // namespace

// In conv_depthwise.cpp and conv_depthwise_weight.cpp.
void depthwise_forward(const Conv2d& c, const float* x, const float* weight, const float* bias,
                       float* y, const Finish<float>& finish);
void depthwise_forward(const Conv2d& c, const double* x, const double* weight, const double* bias,
                       double* y, const Finish<double>& finish);
void depthwise_data_gradient(const Conv2d& c, const float* dy, const float* weight, float* dx);
void depthwise_data_gradient(const Conv2d& c, const double* dy, const double* weight, double* dx);
// Whether db, which may be null, was computed in passing.
bool depthwise_weight_gradient(const Conv2d& c, const float* x, const float* dy, float* dw,
                               float* db);
bool depthwise_weight_gradient(const Conv2d& c, const double* x, const double* dy, double* dw,
                               double* db);

// The same over three axes: with as many channels of y as of x, in float32. `backward`: with the
// taps backwards.
bool depthwise_volume_pays(const Conv3d& c);
void depthwise_volume(const Conv3d& c, const float* x, const float* weight, const float* bias,
                      float* y, bool backward, const Finish<float>& finish);
void depthwise_volume_weight(const Conv3d& c, const float* x, const float* dy, float* dw);

}  // namespace DLCORE_ISA
}  // namespace dlcore
