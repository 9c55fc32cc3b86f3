#pragma once

#include "kernels/activation.h"
#include "kernels/signature.h"

namespace dlcore {

// x is (batch, channels, height, width), weight (out_channels, channels / groups, kernel_h,
// kernel_w), y (batch, out_channels, out_h, out_w). Padding may differ at the two ends.
struct Conv2d {
  int64_t batch, channels, height, width;
  int64_t out_channels, out_h, out_w;
  int64_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
  int64_t pad_top, pad_left;  // pad_bottom and pad_right follow from out_h and out_w
  int64_t groups;
  bool bf16 = false;  // as in Gemm, for products of matrices as they lie
};

// What becomes of a convolution's sums: y = activation(sums + bias + residual).
template <class T>
struct Finish {
  const T* residual = nullptr;  // laid out as y, and not y; may be null
  Activation activation = Activation::none;
  T slope = T(0);  // of leaky_relu
};

// A Conv2d with a depth: x is (batch, channels, depth, height, width), weight (out_channels,
// channels / groups, kernel_d, kernel_h, kernel_w), y (batch, out_channels, out_d, out_h, out_w).
struct Conv3d {
  Conv2d plane;
  int64_t depth, out_d, kernel_d, stride_d, dilation_d, pad_front;
};

// `packed` may be null.
SIGNATURE(conv2d_forward, (const T* x, const T* weight, const T* bias, T* y, const Conv2d& c,
                           const Finish<T>& finish, const T* packed));
// The weights as conv2d_forward of the same table reads them, made once for many calls. *size is
// how many elements that takes, 0 where it packs none; only that is asked for when packed is null.
SIGNATURE(conv2d_pack, (const T* weight, const Conv2d& c, T* packed, int64_t* size));
SIGNATURE(conv2d_backward_data, (const T* dy, const T* weight, T* dx, const Conv2d& c));
// db, the gradient of the bias, may be null.
SIGNATURE(conv2d_backward_weight, (const T* x, const T* dy, T* dw, T* db, const Conv2d& c));
SIGNATURE(conv2d_backward_bias, (const T* dy, T* db, const Conv2d& c));
SIGNATURE(conv3d_forward, (const T* x, const T* weight, const T* bias, T* y, const Conv3d& c,
                           const Finish<T>& finish));
SIGNATURE(conv3d_backward_data, (const T* dy, const T* weight, T* dx, const Conv3d& c));
SIGNATURE(conv3d_backward_weight, (const T* x, const T* dy, T* dw, const Conv3d& c));
// These ignore out_channels and groups.
SIGNATURE(im2col, (const T* x, T* cols, const Conv2d& c));
SIGNATURE(col2im, (const T* cols, T* x, const Conv2d& c));

}  // namespace dlcore
