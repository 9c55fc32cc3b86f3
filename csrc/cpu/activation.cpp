// Activations, one element at a time: forward reads x and writes y, backward reads y (or x) and dy
// and writes dx. Bound by memory from the L2 on; in the L1 by some 4 (relu) to 40 (gelu without
// AVX-512) instructions per vector. y may be x and dx may be dy, y or x, in every kernel here.

#include "kernels/activation.h"

#include "cpu/simd_activation.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// In elements copied, for the size of the chunks.
constexpr int64_t kCopyCost = 1, kExpCost = 4, kGeluCost = 6;

template <class T>
void relu_forward(const T* x, T* y, int64_t n) {
  map<T>(y, n, kCopyCost, [](Vec<T> v) { return relu<T>(v); }, x);
}

// dx = dy where y > 0, else 0.
template <class T>
void relu_backward(const T* y, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, kCopyCost, [](Vec<T> v, Vec<T> d) { return v > T(0) ? d : Vec<T>{}; }, y, dy);
}

// y = min(max(x, 0), 6). NaN stays NaN. y may be x.
template <class T>
void relu6_forward(const T* x, T* y, int64_t n) {
  map<T>(y, n, kCopyCost, [](Vec<T> v) { return relu6<T>(v); }, x);
}

// dx = dy where 0 < y < 6, else 0. dx may be dy.
template <class T>
void relu6_backward(const T* y, const T* dy, T* dx, int64_t n) {
  const auto slope = [](Vec<T> v, Vec<T> d) { return ((v > T(0)) & (v < T(6))) ? d : Vec<T>{}; };
  map<T>(dx, n, kCopyCost, slope, y, dy);
}

// y = x where x > 0, else slope * x.
template <class T>
void leaky_relu_forward(const T* x, T* y, int64_t n, T slope) {
  map<T>(y, n, kCopyCost, [=](Vec<T> v) { return v > T(0) ? v : v * slope; }, x);
}

template <class T>
void leaky_relu_backward(const T* x, const T* dy, T* dx, int64_t n, T slope) {
  map<T>(dx, n, kCopyCost, [=](Vec<T> v, Vec<T> d) { return v > T(0) ? d : d * slope; }, x, dy);
}

template <class T>
void sigmoid_forward(const T* x, T* y, int64_t n) {
  map<T>(y, n, kExpCost, [](Vec<T> v) { return sigmoid<T>(v); }, x);
}

template <class T>
void sigmoid_backward(const T* y, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, kCopyCost, [](Vec<T> v, Vec<T> d) { return d * (v * (T(1) - v)); }, y, dy);
}

template <class T>
void tanh_forward(const T* x, T* y, int64_t n) {
  map<T>(y, n, kExpCost, [](Vec<T> v) { return tanh<T>(v); }, x);
}

template <class T>
void tanh_backward(const T* y, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, kCopyCost, [](Vec<T> v, Vec<T> d) { return d * (T(1) - v * v); }, y, dy);
}

template <class T>
void gelu_forward(const T* x, T* y, int64_t n) {
  map<T>(y, n, kGeluCost, [](Vec<T> v) { return gelu<T>(v); }, x);
}

template <class T>
void gelu_backward(const T* x, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, kGeluCost, [](Vec<T> v, Vec<T> d) { return d * gelu_derivative<T>(v); }, x, dy);
}

template <class T>
void gelu_tanh_forward(const T* x, T* y, int64_t n) {
  map<T>(y, n, kGeluCost, [](Vec<T> v) { return gelu_tanh<T>(v); }, x);
}

template <class T>
void gelu_tanh_backward(const T* x, const T* dy, T* dx, int64_t n) {
  map<T>(
      dx, n, kGeluCost, [](Vec<T> v, Vec<T> d) { return d * gelu_tanh_derivative<T>(v); }, x, dy);
}

template <class T>
void silu_forward(const T* x, T* y, int64_t n) {
  map<T>(y, n, kExpCost, [](Vec<T> v) { return silu<T>(v); }, x);
}

template <class T>
void silu_backward(const T* x, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, kExpCost, [](Vec<T> v, Vec<T> d) { return d * silu_derivative<T>(v); }, x, dy);
}

}  // namespace

DLCORE_EXPORT(relu_forward)
DLCORE_EXPORT(relu_backward)
DLCORE_EXPORT(relu6_forward)
DLCORE_EXPORT(relu6_backward)
DLCORE_EXPORT(leaky_relu_forward)
DLCORE_EXPORT(leaky_relu_backward)
DLCORE_EXPORT(sigmoid_forward)
DLCORE_EXPORT(sigmoid_backward)
DLCORE_EXPORT(tanh_forward)
DLCORE_EXPORT(tanh_backward)
DLCORE_EXPORT(gelu_forward)
DLCORE_EXPORT(gelu_backward)
DLCORE_EXPORT(gelu_tanh_forward)
DLCORE_EXPORT(gelu_tanh_backward)
DLCORE_EXPORT(silu_forward)
DLCORE_EXPORT(silu_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
