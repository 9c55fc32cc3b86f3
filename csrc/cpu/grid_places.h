// Where the places of a grid lie in x, and what they are made of: for grid_sample.
#pragma once

#include "cpu/scratch.h"
#include "cpu/simd.h"
#include "kernels/grid_sample.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kMostAlong = 4;     // taps of a place along one axis
constexpr int64_t kMostTaps = 16;     // of a place: 4 x 4, or 2 x 2 x 2
constexpr int64_t kPlaces = 128;      // that are looked up at once, for all channels
constexpr double kFarthest = 0x1p40;  // pixels: farther ones are as far

template <class T>
DLCORE_INLINE T floor_of(T v) {
  const T i = static_cast<T>(static_cast<int64_t>(v));
  return i > v ? i - 1 : i;
}

// One axis of x: from a coordinate of the grid, -1 to 1, to pixels.
template <class T>
struct GridAxis {
  int64_t size;
  SamplePadding padding;
  bool align;

  T pixels_to_one() const { return static_cast<T>(align ? size - 1 : size) / 2; }
  T pixel(T v) const {
    if (v != v) v = -1;
    v = align ? (v + 1) / 2 * static_cast<T>(size - 1) : ((v + 1) * static_cast<T>(size) - 1) / 2;
    const T far = static_cast<T>(kFarthest);
    return v > far ? far : v < -far ? -far : v;
  }
  // The place inside that a pixel's coordinate stands for, and its slope there: 0, 1 or -1.
  T inside(T v, T& slope) const {
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
  T reflected(T v, T& slope) const {
    const T low = align ? T(0) : T(-0.5), span = static_cast<T>(align ? size - 1 : size);
    if (span == 0) {
      slope = 0;
      return 0;
    }
    v -= low;
    if (v < 0) v = -v, slope = -slope;
    const T times = floor_of<T>(v / span), rest = v - times * span;
    if (static_cast<int64_t>(times) % 2 == 0) return rest + low;
    slope = -slope;
    return span - rest + low;
  }
};

// The taps of one place along one axis; `slope` is of the weight to the coordinate of the grid.
template <class T>
struct Along {
  int64_t count;
  int64_t at[kMostAlong];  // -1: outside, worth 0
  T weight[kMostAlong], slope[kMostAlong];
};

// Keys' cubic filter, a = -3/4, of |x| < 1 and of 1 <= |x| < 2, and its derivative. V is T or a
// vector of it.
template <class T, class V>
DLCORE_INLINE V keys_near(V x) {
  return (T(1.25) * x - T(2.25)) * x * x + T(1);
}
template <class T, class V>
DLCORE_INLINE V keys_far(V x) {
  return ((T(-0.75) * x + T(3.75)) * x - T(6)) * x + T(3);
}
template <class T, class V>
DLCORE_INLINE V keys_near_slope(V x) {
  return (T(3.75) * x - T(4.5)) * x;
}
template <class T, class V>
DLCORE_INLINE V keys_far_slope(V x) {
  return (T(-2.25) * x + T(7.5)) * x - T(6);
}
// The weights of the four pixels around a place `part` behind the second, and their slopes.
template <class T, class V>
DLCORE_INLINE void keys_weights(V part, V* weight, V* slope) {
  const V rest = T(1) - part;
  weight[0] = keys_far<T>(part + T(1)), slope[0] = keys_far_slope<T>(part + T(1));
  weight[1] = keys_near<T>(part), slope[1] = keys_near_slope<T>(part);
  weight[2] = keys_near<T>(rest), slope[2] = -keys_near_slope<T>(rest);
  weight[3] = keys_far<T>(rest + T(1)), slope[3] = -keys_far_slope<T>(rest + T(1));
}

template <class T>
DLCORE_INLINE void find_along(const GridAxis<T>& a, SampleMode mode, T coordinate, Along<T>& to) {
  const auto tap = [&](int64_t k, int64_t at, T weight, T slope) {
    to.at[k] = at >= 0 && at < a.size ? at : -1;
    to.weight[k] = weight, to.slope[k] = slope;
  };
  const T pixel = a.pixel(coordinate), scale = a.pixels_to_one();
  T slope;
  if (mode == SampleMode::bicubic) {
    const T whole = floor_of<T>(pixel);
    T weight[4], slopes[4];
    keys_weights<T>(pixel - whole, weight, slopes);
    to.count = 4;
    for (int64_t k = 0; k < 4; ++k) {
      const T at = a.inside(whole + static_cast<T>(k - 1), slope);
      tap(k, static_cast<int64_t>(at), weight[k], slopes[k] * scale);
    }
    return;
  }
  const T at = a.inside(pixel, slope), whole = floor_of<T>(at), part = at - whole;
  const int64_t low = static_cast<int64_t>(whole);
  if (mode == SampleMode::nearest) {  // halves to the even pixel
    to.count = 1;
    return tap(0, low + (part > T(0.5) || (part == T(0.5) && low % 2 != 0)), T(1), T(0));
  }
  to.count = 2;
  tap(0, low, 1 - part, -slope * scale);
  tap(1, low + 1, part, slope * scale);
}

// The taps of a place along each axis: x, y and, or with one tap of 1, z.
template <class T>
struct Place {
  Along<T> x, y, z;

  Place(const GridSample& p, const T* grid) {
    find_along<T>({p.width, p.padding, p.align_corners}, p.mode, grid[0], x);
    find_along<T>({p.height, p.padding, p.align_corners}, p.mode, grid[1], y);
    if (p.axes == 3)
      find_along<T>({p.depth, p.padding, p.align_corners}, p.mode, grid[2], z);
    else
      z.count = 1, z.at[0] = 0, z.weight[0] = 1, z.slope[0] = 0;
  }
  // Calls body(offset in a plane of x, k, j, i) for each tap inside.
  template <class Body>
  DLCORE_INLINE_MEMBER void each(const GridSample& p, const Body& body) const {
    for (int64_t k = 0; k < z.count; ++k)
      for (int64_t j = 0; j < y.count; ++j)
        for (int64_t i = 0; i < x.count; ++i)
          if (z.at[k] >= 0 && y.at[j] >= 0 && x.at[i] >= 0)
            body((z.at[k] * p.height + y.at[j]) * p.width + x.at[i], k, j, i);
  }
};

// The taps of kPlaces places of any kind, first[j] to first[j + 1] of place j.
template <class T>
class AnyTaps {
 public:
  static constexpr int64_t kRuns = 1;  // as many blocks of places at once: what fits L2

  void find(const GridSample& p, const T* grid, int64_t places, bool slopes) {
    count_ = places, axes_ = p.axes, copies_ = p.mode == SampleMode::nearest;
    int64_t used = 0;
    for (int64_t j = 0; j < places; ++j) {
      first_[j] = used;
      const Place<T> place(p, grid + j * p.axes);
      place.each(p, [&](int64_t offset, int64_t c, int64_t b, int64_t a) {
        const T wx = place.x.weight[a], wy = place.y.weight[b], wz = place.z.weight[c];
        at_[used] = offset;
        weight_[used] = wx * wy * wz;
        if (slopes) {
          slope_[0][used] = place.x.slope[a] * wy * wz;
          slope_[1][used] = place.y.slope[b] * wx * wz;
          slope_[2][used] = place.z.slope[c] * wx * wy;
        }
        ++used;
      });
    }
    first_[places] = used;
  }

  void sample(const T* plane, T* y) const {
    if (copies_)
      for (int64_t j = 0; j < count_; ++j)
        y[j] = first_[j + 1] > first_[j] ? plane[at_[first_[j]]] : T(0);
    else
      for (int64_t j = 0; j < count_; ++j) y[j] = sum(weight_, plane, j);
  }

  // plane += dy at the places, one after the other.
  void give_back(const T* dy, T* plane) const {
    for (int64_t j = 0; j < count_; ++j)
      for (int64_t k = first_[j]; k < first_[j + 1]; ++k) plane[at_[k]] += weight_[k] * dy[j];
  }

  // moves[axis] += dy times the slope of the samples along each axis.
  void add_moves(const T* dy, const T* plane, T (*moves)[kPlaces]) const {
    for (int64_t j = 0; j < count_; ++j)
      for (int axis = 0; axis < axes_; ++axis)
        moves[axis][j] += dy[j] * sum(slope_[axis], plane, j);
  }

 private:
  DLCORE_INLINE_MEMBER T sum(const T* factors, const T* plane, int64_t j) const {
    T total = 0;
    for (int64_t k = first_[j]; k < first_[j + 1]; ++k) total += factors[k] * plane[at_[k]];
    return total;
  }

  int64_t count_;
  int axes_;
  bool copies_;
  int64_t first_[kPlaces + 1];
  int64_t at_[kPlaces * kMostTaps];
  T weight_[kPlaces * kMostTaps];
  T slope_[3][kPlaces * kMostTaps];  // of the weight along x, y and z
};

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
