// Activations of one number and their derivatives, with limits, not NaN, at infinities.
#pragma once

#include "cuda/math.h"
#include "kernels/activation.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
__device__ T relu(T x) {
  return x > T(0) || x != x ? x : T(0);
}
template <class T>
__device__ T relu6(T x) {
  return x > T(6) ? T(6) : relu(x);
}

// x Phi(x): 0 far below.
template <class T>
__device__ T gelu(T x) {
  x = x < T(-40) ? T(-40) : x;
  return x * math::normal_below(x);
}
template <class T>
__device__ T gelu_derivative(T x) {
  x = math::clamp(x, T(-40), T(40));
  return math::normal_below(x) + x * math::normal_density(x);
}

// The derivative of sigmoid, without the cancellation of s (1 - s).
template <class T>
__device__ T sigmoid_derivative(T x) {
  const T e = math::exp(-math::abs(x)), s = T(1) / (T(1) + e);
  return e * s * s;
}

// Twice the argument of tanh in 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
constexpr double kGeluSlope = 1.5957691216057308, kGeluCube = 0.044715;
template <class T>
__device__ T gelu_tanh(T x) {
  x = x < T(-30) ? T(-30) : x;
  return x * math::sigmoid(x * (x * x * T(kGeluSlope * kGeluCube) + T(kGeluSlope)));
}
template <class T>
__device__ T gelu_tanh_derivative(T x) {
  x = math::clamp(x, T(-30), T(30));
  const T z = x * x, u = x * (z * T(kGeluSlope * kGeluCube) + T(kGeluSlope));
  const T slope = z * T(3 * kGeluSlope * kGeluCube) + T(kGeluSlope);
  return x * slope * sigmoid_derivative(u) + math::sigmoid(u);
}

// Below this e^x is 0.
template <class T>
constexpr T kExpBottom = sizeof(T) == 4 ? T(-104) : T(-746);
template <class T>
__device__ T silu(T x) {
  x = x < kExpBottom<T> ? kExpBottom<T> : x;
  return x * math::sigmoid(x);
}
template <class T>
__device__ T silu_derivative(T x) {
  x = math::clamp(x, kExpBottom<T>, -kExpBottom<T>);
  return x * sigmoid_derivative(x) + math::sigmoid(x);
}

template <class T>
__device__ T activate(Activation activation, T x, T slope) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return relu(x);
    case Activation::relu6:
      return relu6(x);
    case Activation::leaky_relu:
      return x > T(0) ? x : x * slope;
    case Activation::gelu:
      return gelu(x);
    case Activation::gelu_tanh:
      return gelu_tanh(x);
    case Activation::silu:
      return silu(x);
    case Activation::sigmoid:
      return math::sigmoid(x);
    case Activation::tanh:
      return math::tanh(x);
  }
  return x;
}

// Of those whose backward does not do with the output: by the input x.
template <class T>
__device__ T activation_derivative(Activation activation, T x, T slope) {
  switch (activation) {
    case Activation::leaky_relu:
      return x > T(0) ? T(1) : slope;
    case Activation::gelu:
      return gelu_derivative(x);
    case Activation::gelu_tanh:
      return gelu_tanh_derivative(x);
    case Activation::silu:
      return silu_derivative(x);
    default:
      return T(1);
  }
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
