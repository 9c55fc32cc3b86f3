// The three transforms of Winograd's F(4x4, 3x3): a tile of 4 x 4 results from 6 x 6 elements of x
// by 36 multiplications instead of 144. y = A^T [(G w G^T) * (B^T x B)] A, summed over channels
// between the brackets. See conv_winograd.cpp.
//
// Toom and Cook's construction at the points 0, +-a, +-b and infinity, a = 5/8, b = 3/2: chosen by
// search for a small error; every constant of A and B is exact. The usual 1 and 2 err twice as
// much.
#pragma once

#include "cpu/conv_direct.h"
#include "cpu/simd.h"
#include "runtime/settings.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int kTile = 4, kPatch = 6, kProducts = kPatch * kPatch;

constexpr double kA = 0.625, kB = 1.5, kA2 = kA * kA, kB2 = kB * kB;
constexpr double kByA = 1 / (2 * kA2 * (kA2 - kB2)), kByB = 1 / (2 * kB2 * (kB2 - kA2));

// v = B^T d.
template <class T>
DLCORE_INLINE void patch_line(const Vec<T>* d, Vec<T>* v) {
  const Vec<T> a_even = d[4] - T(kB2) * d[2], a_odd = T(kA) * (d[3] - T(kB2) * d[1]);
  const Vec<T> b_even = d[4] - T(kA2) * d[2], b_odd = T(kB) * (d[3] - T(kA2) * d[1]);
  v[0] = T(kA2 * kB2) * d[0] + (d[4] - T(kA2 + kB2) * d[2]);
  v[1] = a_even + a_odd;
  v[2] = a_even - a_odd;
  v[3] = b_even + b_odd;
  v[4] = b_even - b_odd;
  v[5] = T(kA2 * kB2) * d[1] + (d[5] - T(kA2 + kB2) * d[3]);
}

// u = G w.
template <class T>
DLCORE_INLINE void weight_line(const Vec<T>* w, Vec<T>* u) {
  const Vec<T> a_even = T(kByA) * w[0] + T(kA2 * kByA) * w[2], a_odd = T(kA * kByA) * w[1];
  const Vec<T> b_even = T(kByB) * w[0] + T(kB2 * kByB) * w[2], b_odd = T(kB * kByB) * w[1];
  u[0] = T(1 / (kA2 * kB2)) * w[0];
  u[1] = a_even + a_odd;
  u[2] = a_even - a_odd;
  u[3] = b_even + b_odd;
  u[4] = b_even - b_odd;
  u[5] = w[2];
}

// y = A^T m.
template <class T>
DLCORE_INLINE void result_line(const Vec<T>* m, Vec<T>* y) {
  const Vec<T> a_sum = m[1] + m[2], a_gap = m[1] - m[2], b_sum = m[3] + m[4], b_gap = m[3] - m[4];
  y[0] = m[0] + a_sum + b_sum;
  y[1] = T(kA) * a_gap + T(kB) * b_gap;
  y[2] = T(kA2) * a_sum + T(kB2) * b_sum;
  y[3] = T(kA * kA2) * a_gap + T(kB * kB2) * b_gap + m[5];
}

// z = A g, for the gradient of the weight: dw = G^T [(A dy A^T) * (B^T x B)] G, summed over tiles.
template <class T>
DLCORE_INLINE void gradient_line(const Vec<T>* g, Vec<T>* z) {
  const Vec<T> a_even = g[0] + T(kA2) * g[2], a_odd = T(kA) * g[1] + T(kA * kA2) * g[3];
  const Vec<T> b_even = g[0] + T(kB2) * g[2], b_odd = T(kB) * g[1] + T(kB * kB2) * g[3];
  z[0] = g[0];
  z[1] = a_even + a_odd;
  z[2] = a_even - a_odd;
  z[3] = b_even + b_odd;
  z[4] = b_even - b_odd;
  z[5] = g[3];
}

// w = G^T u.
template <class T>
DLCORE_INLINE void weight_gradient_line(const Vec<T>* u, Vec<T>* w) {
  const Vec<T> a_sum = T(kByA) * (u[1] + u[2]), a_gap = T(kA * kByA) * (u[1] - u[2]);
  const Vec<T> b_sum = T(kByB) * (u[3] + u[4]), b_gap = T(kB * kByB) * (u[3] - u[4]);
  w[0] = T(1 / (kA2 * kB2)) * u[0] + a_sum + b_sum;
  w[1] = a_gap + b_gap;
  w[2] = T(kA2) * a_sum + T(kB2) * b_sum + u[5];
}

// A line function from kFrom to kTo elements applied to the columns, then to the rows of a square.
// get(i, j) reads element (i, j), put takes the results one after the other, row by row.
template <class T, int kFrom, int kTo, class Line, class Get, class Put>
DLCORE_INLINE void both_ways(const Line& line, const Get& get, const Put& put) {
  Vec<T> half[kTo][kFrom];
#pragma GCC unroll 8
  for (int j = 0; j < kFrom; ++j) {
    Vec<T> in[kFrom], out[kTo];
#pragma GCC unroll 8
    for (int i = 0; i < kFrom; ++i) in[i] = get(i, j);
    line(in, out);
#pragma GCC unroll 8
    for (int i = 0; i < kTo; ++i) half[i][j] = out[i];
  }
#pragma GCC unroll 8
  for (int i = 0; i < kTo; ++i) {
    Vec<T> out[kTo];
    line(half[i], out);
#pragma GCC unroll 8
    for (int j = 0; j < kTo; ++j) put(out[j]);
  }
}

#if defined(__AVX2__) || defined(__aarch64__)
constexpr bool kHasWinograd = true;
#else
constexpr bool kHasWinograd = false;  // CPUs before 2013: 60 KB of code
#endif

// Whether the shape allows it. float64 is asked for its accuracy and stays with the direct ways.
template <class T>
DLCORE_INLINE bool winograd_serves(const Direct& d) {
  return kHasWinograd && kIsFloat<T> && d.groups == 1 && d.kernel_h == 3 && d.kernel_w == 3 &&
         d.stride_h * d.stride_w * d.dilation_h * d.dilation_w == 1 && d.pad_top >= 0 &&
         d.pad_left >= 0 && d.rows >= kLanes<T> && winograd_enabled();
}

// Whether it pays, by the cycles that the parts take in AVX2; in AVX-512 all take half: of one
// image, so that an image gives the same bits in any batch. With fewer channels the error would
// pass twice that of the direct way.
template <class T>
DLCORE_INLINE bool winograd_pays(const Direct& d) {
  if (!winograd_serves<T>(d) || d.channels < 64) return false;
  const auto tiles = static_cast<double>(ceil_div(d.out_h, kTile) * ceil_div(d.out_w, kTile));
  const auto pairs = static_cast<double>(d.channels * d.rows);
  const double transforms = tiles * static_cast<double>(19 * d.channels + 13 * d.rows);
  const double direct = pairs * 0.67 * static_cast<double>(d.out_h * d.out_w);
  return pairs * (2.6 * tiles + 12) + transforms < 0.9 * direct;
}

// The same for the gradient of the weight. Few tiles would make short sums, with larger errors.
template <class T>
DLCORE_INLINE bool winograd_weight_pays(const Direct& d) {
  if (!winograd_serves<T>(d) || d.channels < kLanes<T>) return false;
  const int64_t tiles = d.batch * ceil_div(d.out_h, kTile) * ceil_div(d.out_w, kTile);
  return tiles >= 48 && 3 * tiles * kTile * kTile < 5 * d.batch * d.out_h * d.out_w &&
         d.channels * d.rows >= 1024;
}

}  // namespace

// y = finish(conv(x, weight) + bias); bias may be null. In conv_winograd.cpp.
void winograd_conv(const Direct& d, const float* x, const float* weight, const float* bias,
                   float* y, const Finish<float>& finish);
// dw of the same. In conv_winograd_weight.cpp.
void winograd_weight_gradient(const Direct& d, const float* x, const float* dy, float* dw);

}  // namespace DLCORE_ISA
}  // namespace dlcore
