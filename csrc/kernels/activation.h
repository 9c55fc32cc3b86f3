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

}  // namespace dlcore
