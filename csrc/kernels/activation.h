#pragma once

#include "kernels/signature.h"

namespace dlcore {

enum class Activation : int {
  none,
  relu,
  relu6,  // up to here limits of the sum
  leaky_relu,
  gelu,
  gelu_tanh,
  silu,
  sigmoid,
  tanh
};

// Curves of up to three numbers: what they mean stands beside their formulas in
// cpu/activation_curve.cpp.
enum class Curve : int {
  elu,
  softplus,
  mish,
  hard_sigmoid,
  hard_tanh,
  hard_swish,
  softsign,
  soft_shrink,
  hard_shrink,
  threshold,
  step
};

enum class Gate : int { sigmoid, gelu, gelu_tanh, silu, relu };

// y = f(x) on n elements
SIGNATURE(relu_forward, (const T* x, T* y, int64_t n));
SIGNATURE(relu_backward, (const T* y, const T* dy, T* dx, int64_t n));
SIGNATURE(relu6_forward, (const T* x, T* y, int64_t n));
SIGNATURE(relu6_backward, (const T* y, const T* dy, T* dx, int64_t n));
SIGNATURE(leaky_relu_forward, (const T* x, T* y, int64_t n, T slope));
SIGNATURE(leaky_relu_backward, (const T* x, const T* dy, T* dx, int64_t n, T slope));
SIGNATURE(sigmoid_forward, (const T* x, T* y, int64_t n));
SIGNATURE(sigmoid_backward, (const T* y, const T* dy, T* dx, int64_t n));
SIGNATURE(tanh_forward, (const T* x, T* y, int64_t n));
SIGNATURE(tanh_backward, (const T* y, const T* dy, T* dx, int64_t n));
SIGNATURE(gelu_forward, (const T* x, T* y, int64_t n));
SIGNATURE(gelu_backward, (const T* x, const T* dy, T* dx, int64_t n));
SIGNATURE(gelu_tanh_forward, (const T* x, T* y, int64_t n));
SIGNATURE(gelu_tanh_backward, (const T* x, const T* dy, T* dx, int64_t n));
SIGNATURE(silu_forward, (const T* x, T* y, int64_t n));
SIGNATURE(silu_backward, (const T* x, const T* dy, T* dx, int64_t n));
SIGNATURE(curve_forward, (const T* x, T* y, int64_t n, Curve curve, T a, T b, T c));
SIGNATURE(curve_backward, (const T* x, const T* dy, T* dx, int64_t n, Curve curve, T a, T b, T c));
// x (outer, channels, inner), weight (channels)
SIGNATURE(prelu_forward,
          (const T* x, const T* weight, T* y, int64_t outer, int64_t channels, int64_t inner));
SIGNATURE(prelu_backward, (const T* x, const T* weight, const T* dy, T* dx, T* dweight,
                           int64_t outer, int64_t channels, int64_t inner));
// x (rows, 2, n), y (rows, n)
SIGNATURE(glu_forward, (const T* x, T* y, int64_t rows, int64_t n, Gate gate));
SIGNATURE(glu_backward, (const T* x, const T* dy, T* dx, int64_t rows, int64_t n, Gate gate));

}  // namespace dlcore
