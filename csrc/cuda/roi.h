// What RoI align and RoI pool share: regions of the pictures of a batch.
#pragma once

#include "cuda/each.h"
#include "cuda/math.h"
#include "kernels/roi.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
constexpr T kNan = T(__builtin_nan(""));

// A row of boxes, (batch index, x1, y1, x2, y2), in the coordinates of the feature map.
struct Region {
  int64_t image;
  double x1, y1, x2, y2;
  bool finite;

  template <class T>
  __device__ Region(const T* roi, double scale)
      : image(static_cast<int64_t>(roi[0])),
        x1(static_cast<double>(roi[1]) * scale),
        y1(static_cast<double>(roi[2]) * scale),
        x2(static_cast<double>(roi[3]) * scale),
        y2(static_cast<double>(roi[4]) * scale) {
    finite = within(x1) && within(y1) && within(x2) && within(y2);
  }

 private:
  // Also small enough that sums and products of them stay finite.
  __device__ static bool within(double v) { return v > -1e150 && v < 1e150; }
};

// A coordinate as a pixel from `low` to `high`.
__device__ inline int pixel_of(double v, int64_t low, int64_t high) {
  if (!(v > static_cast<double>(low))) return static_cast<int>(low);
  return static_cast<int>(v < static_cast<double>(high) ? v : static_cast<double>(high));
}

// The pixels that a region may have to do with: rows [top, bottom), columns [left, right).
struct Reach {
  int image, top, bottom, left, right;
  __device__ bool has(int64_t n, int y, int x) const {
    return image == n && y >= top && y < bottom && x >= left && x < right;
  }
};

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
