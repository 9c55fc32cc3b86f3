#pragma once

#include "kernels/signature.h"

namespace dlcore {

enum class ResizeMode : int {
  nearest,
  nearest_exact,
  linear,
  cubic,
  area,
  linear_antialias,
  cubic_antialias
};

// One axis of a resize. scale is out / size as the caller gave it; 0 for that of the sizes.
struct ResizeAxis {
  int64_t size, out;
  double scale;
};

// x is (planes, depth, height, width), y the same with the other sizes.
struct Resize {
  ResizeMode mode;
  bool align_corners;
  int64_t planes;
  ResizeAxis depth, height, width;
};

SIGNATURE(resize_forward, (const T* x, T* y, const Resize& p));
SIGNATURE(resize_backward, (const T* dy, T* dx, const Resize& p));

}  // namespace dlcore
