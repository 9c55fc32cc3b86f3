// What RoI align and RoI pool share: regions of the pictures of a batch.
#pragma once

#include "cpu/scratch.h"
#include "cpu/simd.h"
#include "kernels/roi.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// A row of boxes, (batch index, x1, y1, x2, y2), in the coordinates of the feature map.
struct Region {
  int64_t image;
  double x1, y1, x2, y2;
  bool finite;

  template <class T>
  Region(const T* roi, double scale)
      : image(static_cast<int64_t>(roi[0])),
        x1(static_cast<double>(roi[1]) * scale),
        y1(static_cast<double>(roi[2]) * scale),
        x2(static_cast<double>(roi[3]) * scale),
        y2(static_cast<double>(roi[4]) * scale) {
    finite = within(x1) && within(y1) && within(x2) && within(y2);
  }

 private:
  // Also small enough that sums and products of them stay finite.
  static DLCORE_INLINE_MEMBER bool within(double v) { return v > -1e150 && v < 1e150; }
};

// Exact up to 2^52 in size; larger numbers are whole.
DLCORE_INLINE double floor_of(double v) {
  if (!(v < 0x1p52 && v > -0x1p52)) return v;
  const double i = static_cast<double>(static_cast<int64_t>(v));
  return i > v ? i - 1 : i;
}
DLCORE_INLINE double ceil_of(double v) {
  return -floor_of(-v);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
