// Where the places of a grid lie in x, and what they are made of: for grid_sample.
#pragma once

#include "cuda/math.h"
#include "kernels/grid_sample.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr double kFarthest = 0x1p40;  // pixels: farther ones are as far

template <class T>
__device__ T floor_of(T v) {
  const T i = static_cast<T>(static_cast<int64_t>(v));
  return i > v ? i - 1 : i;
}

// One axis of x: from a coordinate of the grid, -1 to 1, to pixels.
template <class T>
struct GridAxis {
  int64_t size;
  SamplePadding padding;
  bool align;

  __device__ T pixels_to_one() const { return static_cast<T>(align ? size - 1 : size) / 2; }
  __device__ T pixel(T v) const {
    if (v != v) v = -1;
    v = align ? (v + 1) / 2 * static_cast<T>(size - 1) : ((v + 1) * static_cast<T>(size) - 1) / 2;
    const T far = static_cast<T>(kFarthest);
    return v > far ? far : v < -far ? -far : v;
  }
  // The place inside that a pixel's coordinate stands for, and its slope there: 0, 1 or -1.
  __device__ T inside(T v, T& slope) const {
    slope = 1;
    if (padding == SamplePadding::zeros) return v;
    if (padding == SamplePadding::reflection) v = reflected(v, slope);
    const T last = static_cast<T>(size - 1);
    if (v > 0 && v < last) return v;
    slope = 0;
    return v > 0 ? last : T(0);
  }

 private:
  // Mirrored at the centres of the end pixels, or at their outer edges.
  __device__ T reflected(T v, T& slope) const {
    const T low = align ? T(0) : T(-0.5), span = static_cast<T>(align ? size - 1 : size);
    if (span == 0) {
      slope = 0;
      return 0;
    }
    v -= low;
    if (v < 0) v = -v, slope = -slope;
    const T times = floor_of(v / span), rest = v - times * span;
    if (static_cast<int64_t>(times) % 2 == 0) return rest + low;
    slope = -slope;
    return span - rest + low;
  }
};

// Keys' cubic filter, a = -3/4, of |x| < 1 and of 1 <= |x| < 2, and its derivative.
template <class T>
__device__ T keys_near(T x) {
  return (T(1.25) * x - T(2.25)) * x * x + T(1);
}
template <class T>
__device__ T keys_far(T x) {
  return ((T(-0.75) * x + T(3.75)) * x - T(6)) * x + T(3);
}
template <class T>
__device__ T keys_near_slope(T x) {
  return (T(3.75) * x - T(4.5)) * x;
}
template <class T>
__device__ T keys_far_slope(T x) {
  return (T(-2.25) * x + T(7.5)) * x - T(6);
}

// The taps of one place along one axis: 1 (nearest), 2 (linear) or 4 (cubic); `slope` is of the
// weight to the coordinate of the grid.
template <class T, int kTaps>
struct Along {
  int64_t at[kTaps];  // -1: outside, worth 0
  T weight[kTaps], slope[kTaps];

  __device__ void find(const GridAxis<T>& a, T coordinate) {
    const T pixel = a.pixel(coordinate), scale = a.pixels_to_one();
    T turn;
    if constexpr (kTaps == 4) {
      const T whole = floor_of(pixel), part = pixel - whole, rest = T(1) - part;
#pragma unroll
      for (int k = 0; k < 4; ++k)
        set(k, a, static_cast<int64_t>(a.inside(whole + static_cast<T>(k - 1), turn)));
      weight[0] = keys_far(part + T(1)), slope[0] = keys_far_slope(part + T(1)) * scale;
      weight[1] = keys_near(part), slope[1] = keys_near_slope(part) * scale;
      weight[2] = keys_near(rest), slope[2] = -keys_near_slope(rest) * scale;
      weight[3] = keys_far(rest + T(1)), slope[3] = -keys_far_slope(rest + T(1)) * scale;
    } else {
      const T at = a.inside(pixel, turn), whole = floor_of(at), part = at - whole;
      const int64_t low = static_cast<int64_t>(whole);
      if constexpr (kTaps == 1) {  // halves to the even pixel
        set(0, a, low + (part > T(0.5) || (part == T(0.5) && low % 2 != 0)));
        weight[0] = T(1), slope[0] = T(0);
      } else {
        set(0, a, low);
        set(1, a, low + 1);
        weight[0] = 1 - part, slope[0] = -turn * scale;
        weight[1] = part, slope[1] = turn * scale;
      }
    }
  }

 private:
  __device__ void set(int k, const GridAxis<T>& a, int64_t place) {
    at[k] = place >= 0 && place < a.size ? place : -1;
  }
};

// The taps of a place along each axis: x, y and, for three axes, z.
template <class T, int kTaps, int kAxes>
struct Place {
  static constexpr int kDeep = kAxes == 3 ? kTaps : 1, kAll = kTaps * kTaps * kDeep;
  Along<T, kTaps> x, y;
  Along<T, kDeep> z;

  __device__ Place(const GridSample& p, const T* grid) {
    x.find({p.width, p.padding, p.align_corners}, grid[0]);
    y.find({p.height, p.padding, p.align_corners}, grid[1]);
    if constexpr (kAxes == 3) {
      z.find({p.depth, p.padding, p.align_corners}, grid[2]);
    } else {
      z.at[0] = 0;
      z.weight[0] = T(1), z.slope[0] = T(0);
    }
  }
  // body(offset in a plane of x; -1: outside, number of the tap, k, j, i) for each tap.
  template <class Body>
  __device__ void each(const GridSample& p, const Body& body) const {
#pragma unroll
    for (int k = 0; k < kDeep; ++k)
#pragma unroll
      for (int j = 0; j < kTaps; ++j)
#pragma unroll
        for (int i = 0; i < kTaps; ++i) {
          const bool inside = z.at[k] >= 0 && y.at[j] >= 0 && x.at[i] >= 0;
          body(inside ? (z.at[k] * p.height + y.at[j]) * p.width + x.at[i] : -1,
               (k * kTaps + j) * kTaps + i, k, j, i);
        }
  }
};

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
