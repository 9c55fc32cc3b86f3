#pragma once

#include "kernels/signature.h"

namespace dlcore {

// Regions of x (batch, channels, height, width) become y (rois, channels, out_h, out_w).
struct RoiPool {
  int64_t batch, channels, height, width, rois, out_h, out_w;
  double spatial_scale;
};
struct RoiAlign : RoiPool {
  int64_t sampling_ratio;  // samples of a bin along an axis; 0 or less: one to a pixel
  bool aligned;
};

// `rois` are (count, 5): a batch index and corners. `places` may be null.
SIGNATURE(roi_align_forward, (const T* x, const T* rois, T* y, const RoiAlign& p));
SIGNATURE(roi_align_backward, (const T* dy, const T* rois, T* dx, const RoiAlign& p));
SIGNATURE(roi_pool_forward, (const T* x, const T* rois, T* y, int32_t* places, const RoiPool& p));
SIGNATURE(roi_pool_backward,
          (const T* dy, const T* rois, const int32_t* places, T* dx, const RoiPool& p));

}  // namespace dlcore
