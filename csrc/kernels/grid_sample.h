#pragma once

#include "kernels/signature.h"

namespace dlcore {

enum class SampleMode : int { nearest, bilinear, bicubic };
enum class SamplePadding : int { zeros, border, reflection };

// x is (batch, channels, depth, height, width), the grid (batch, out_d, out_h, out_w, axes) of
// places (x, y) or (x, y, z), y (batch, channels, out_d, out_h, out_w).
struct GridSample {
  SampleMode mode;
  SamplePadding padding;
  bool align_corners;
  int axes;                                            // 2: depth and out_d are 1; or 3
  int64_t batch, channels, depth, height, width, out;  // out: places of one sample
};

// dx or dgrid may be null.
SIGNATURE(grid_sample_forward, (const T* x, const T* grid, T* y, const GridSample& p));
SIGNATURE(grid_sample_backward,
          (const T* dy, const T* x, const T* grid, T* dx, T* dgrid, const GridSample& p));

}  // namespace dlcore
