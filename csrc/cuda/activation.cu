// Activations, one element at a time: forward reads x and writes y, backward reads y (or x) and dy
// and writes dx. Bound by memory. y may be x and dx may be dy, y or x, in every kernel here.

#include "cuda/activation.h"
#include "cuda/map.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
void relu_forward(const T* x, T* y, int64_t n) {
  map<T>(y, n, [] __device__(T v) { return relu(v); }, x);
}

template <class T>
void relu_backward(const T* y, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, [] __device__(T v, T d) { return v > T(0) ? d : T(0); }, y, dy);
}

template <class T>
void relu6_forward(const T* x, T* y, int64_t n) {
  map<T>(y, n, [] __device__(T v) { return relu6(v); }, x);
}

template <class T>
void relu6_backward(const T* y, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, [] __device__(T v, T d) { return v > T(0) && v < T(6) ? d : T(0); }, y, dy);
}

template <class T>
void leaky_relu_forward(const T* x, T* y, int64_t n, T slope) {
  map<T>(y, n, [=] __device__(T v) { return v > T(0) ? v : v * slope; }, x);
}

template <class T>
void leaky_relu_backward(const T* x, const T* dy, T* dx, int64_t n, T slope) {
  map<T>(dx, n, [=] __device__(T v, T d) { return v > T(0) ? d : d * slope; }, x, dy);
}

template <class T>
void sigmoid_forward(const T* x, T* y, int64_t n) {
  map<T>(y, n, [] __device__(T v) { return math::sigmoid(v); }, x);
}

template <class T>
void sigmoid_backward(const T* y, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, [] __device__(T v, T d) { return d * (v * (T(1) - v)); }, y, dy);
}

template <class T>
void tanh_forward(const T* x, T* y, int64_t n) {
  map<T>(y, n, [] __device__(T v) { return math::tanh(v); }, x);
}

template <class T>
void tanh_backward(const T* y, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, [] __device__(T v, T d) { return d * (T(1) - v * v); }, y, dy);
}

template <class T>
void gelu_forward(const T* x, T* y, int64_t n) {
  map<T>(y, n, [] __device__(T v) { return gelu(v); }, x);
}

template <class T>
void gelu_backward(const T* x, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, [] __device__(T v, T d) { return d * gelu_derivative(v); }, x, dy);
}

template <class T>
void gelu_tanh_forward(const T* x, T* y, int64_t n) {
  map<T>(y, n, [] __device__(T v) { return gelu_tanh(v); }, x);
}

template <class T>
void gelu_tanh_backward(const T* x, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, [] __device__(T v, T d) { return d * gelu_tanh_derivative(v); }, x, dy);
}

template <class T>
void silu_forward(const T* x, T* y, int64_t n) {
  map<T>(y, n, [] __device__(T v) { return silu(v); }, x);
}

template <class T>
void silu_backward(const T* x, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, [] __device__(T v, T d) { return d * silu_derivative(v); }, x, dy);
}

}  // namespace

DLCORE_CUDA_EXPORT(relu_forward)
DLCORE_CUDA_EXPORT(relu_backward)
DLCORE_CUDA_EXPORT(relu6_forward)
DLCORE_CUDA_EXPORT(relu6_backward)
DLCORE_CUDA_EXPORT(leaky_relu_forward)
DLCORE_CUDA_EXPORT(leaky_relu_backward)
DLCORE_CUDA_EXPORT(sigmoid_forward)
DLCORE_CUDA_EXPORT(sigmoid_backward)
DLCORE_CUDA_EXPORT(tanh_forward)
DLCORE_CUDA_EXPORT(tanh_backward)
DLCORE_CUDA_EXPORT(gelu_forward)
DLCORE_CUDA_EXPORT(gelu_backward)
DLCORE_CUDA_EXPORT(gelu_tanh_forward)
DLCORE_CUDA_EXPORT(gelu_tanh_backward)
DLCORE_CUDA_EXPORT(silu_forward)
DLCORE_CUDA_EXPORT(silu_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
