// A convolution over one long row goes to the kernels over three axes, which cut it along the row:
// a block stays in L2, and one image is enough for all threads.
#pragma once

#include "cpu/simd.h"
#include "kernels/conv.h"

namespace dlcore {
namespace DLCORE_ISA {

extern conv3d_forward_signature<float>* const conv3d_forward_f32;
extern conv3d_forward_signature<double>* const conv3d_forward_f64;
extern conv3d_backward_data_signature<float>* const conv3d_backward_data_f32;
extern conv3d_backward_data_signature<double>* const conv3d_backward_data_f64;
extern conv3d_backward_weight_signature<float>* const conv3d_backward_weight_f32;

namespace {

// Whether there are channels enough; `channels` are summed over, `results` lie along the lanes.
template <class T>
DLCORE_INLINE bool is_long_row(const Conv2d& c, int64_t channels, int64_t results) {
  return c.height == 1 && c.out_h == 1 && c.kernel_h == 1 && c.pad_top == 0 && c.kernel_w > 1 &&
         c.out_w >= 256 && channels / c.groups * c.kernel_w >= 64 * c.stride_w &&
         results / c.groups >= kLanes<T>;
}

template <class T>
DLCORE_INLINE void row_forward(const Conv2d& c, const T* x, const T* weight, const T* bias, T* y,
                               const Finish<T>& finish) {
  const Conv3d row{c, 1, 1, 1, 1, 1, 0};
  if constexpr (sizeof(T) == sizeof(float))
    conv3d_forward_f32(x, weight, bias, y, row, finish);
  else
    conv3d_forward_f64(x, weight, bias, y, row, finish);
}

template <class T>
DLCORE_INLINE void row_data_gradient(const Conv2d& c, const T* dy, const T* weight, T* dx) {
  const Conv3d row{c, 1, 1, 1, 1, 1, 0};
  if constexpr (sizeof(T) == sizeof(float))
    conv3d_backward_data_f32(dy, weight, dx, row);
  else
    conv3d_backward_data_f64(dy, weight, dx, row);
}

// In float32: float64 would need another kernel in its set.
DLCORE_INLINE void row_weight_gradient(const Conv2d& c, const float* x, const float* dy,
                                       float* dw) {
  conv3d_backward_weight_f32(x, dy, dw, {c, 1, 1, 1, 1, 1, 0});
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
