// What becomes of the elements of a normalized channel, and the way back.
#pragma once

#include "cpu/norm.h"
#include "cpu/simd_math.h"
#include "kernels/norm.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// y = min(max((x - mean) scale + shift + residual, low), high). The vectors hold one channel, or
// one in each lane.
template <class T>
struct Normalizer {
  Vec<T> mean, scale, shift;
  const T* residual;  // null for none
  T low, high;

  DLCORE_INLINE_MEMBER Vec<T> operator()(const T* x, int64_t i, int64_t lanes) const {
    Vec<T> v = before(load_lanes(x + i, lanes) - mean);
    if (residual) v += load_lanes(residual + i, lanes);
    return clamp<T>(v, low, high);
  }
  DLCORE_INLINE_MEMBER Vec<T> before(Vec<T> centred) const {
    return multiply_add<T>(centred, scale, shift);
  }
};

// dz, the gradient of what was cut to [low, high]: dy inside, 0 outside.
template <class T>
struct Gradient {
  const T *x, *y, *dy;  // y may be null without a residual: then x tells what was cut
  Normalizer<T> normalizer;

  DLCORE_INLINE_MEMBER bool cuts() const { return normalizer.low != -kInf<T>; }
  DLCORE_INLINE_MEMBER Vec<T> cut(Vec<T> result, Vec<T> d) const {
    return ((result > normalizer.low) & (result < normalizer.high)) ? d : Vec<T>{};
  }
  DLCORE_INLINE_MEMBER Vec<T> operator()(int64_t i, int64_t lanes) const {
    return cut(y ? load_lanes(y + i, lanes)
                 : normalizer.before(load_lanes(x + i, lanes) - normalizer.mean),
               load_lanes(dy + i, lanes));
  }
};

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
