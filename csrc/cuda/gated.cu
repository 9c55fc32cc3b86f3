// Gated activations: y = a f(b) of the halves of x. Bound by memory.

#include "cuda/activation.h"
#include "cuda/each.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// What a gate lets through and its derivative there.
template <class T, Gate kGate>
__device__ T opened(T b) {
  if constexpr (kGate == Gate::sigmoid) return math::sigmoid(b);
  if constexpr (kGate == Gate::gelu) return gelu(b);
  if constexpr (kGate == Gate::gelu_tanh) return gelu_tanh(b);
  if constexpr (kGate == Gate::silu) return silu(b);
  return relu(b);
}
template <class T, Gate kGate>
__device__ T opened_slope(T b) {
  if constexpr (kGate == Gate::sigmoid) {
    const T s = math::sigmoid(b);
    return s * (T(1) - s);
  }
  if constexpr (kGate == Gate::gelu) return gelu_derivative(b);
  if constexpr (kGate == Gate::gelu_tanh) return gelu_tanh_derivative(b);
  if constexpr (kGate == Gate::silu) return silu_derivative(b);
  return b > T(0) ? T(1) : T(0);
}

template <class T, Gate kGate, int kWidth>
struct Gated {
  const T* x;
  T* y;
  int64_t n;

  template <class Index>
  __device__ void at(Index i) const {
    const int64_t at = int64_t(i) * kWidth;
    const Index row = i / static_cast<Index>(n / kWidth);
    const int64_t from = at + int64_t(row) * n;
    const Pack<T, kWidth> a = load<kWidth>(x + from), b = load<kWidth>(x + from + n);
    Pack<T, kWidth> out;
#pragma unroll
    for (int j = 0; j < kWidth; ++j) out.v[j] = a.v[j] * opened<T, kGate>(b.v[j]);
    store(y + at, out);
  }
};

// da = dy f(b), db = dy a f'(b).
template <class T, Gate kGate, int kWidth>
struct GatedBackward {
  const T *x, *dy;
  T* dx;
  int64_t n;

  template <class Index>
  __device__ void at(Index i) const {
    const int64_t at = int64_t(i) * kWidth;
    const Index row = i / static_cast<Index>(n / kWidth);
    const int64_t from = at + int64_t(row) * n;
    const Pack<T, kWidth> a = load<kWidth>(x + from), b = load<kWidth>(x + from + n);
    const Pack<T, kWidth> d = load<kWidth>(dy + at);
    Pack<T, kWidth> da, db;
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      da.v[j] = d.v[j] * opened<T, kGate>(b.v[j]);
      db.v[j] = d.v[j] * a.v[j] * opened_slope<T, kGate>(b.v[j]);
    }
    store(dx + from, da);
    store(dx + from + n, db);
  }
};

template <class T, Gate kGate, int kWidth>
void launch_glu(const T* x, const T* dy, T* y, int64_t packs, int64_t n) {
  if (dy)
    each(packs, 0, GatedBackward<T, kGate, kWidth>{x, dy, y, n});
  else
    each(packs, 0, Gated<T, kGate, kWidth>{x, y, n});
}

// Backward where dy is not null.
template <class T, Gate kGate>
void glu(const T* x, const T* dy, T* y, int64_t rows, int64_t n) {
  const int64_t all = rows * n;
  if (n % kFull<T> == 0 && aligned(x, y) && (!dy || aligned(dy)))
    launch_glu<T, kGate, kFull<T>>(x, dy, y, all / kFull<T>, n);
  else
    launch_glu<T, kGate, 1>(x, dy, y, all, n);
}

template <class T>
void glu(const T* x, const T* dy, T* y, int64_t rows, int64_t n, Gate gate) {
  switch (gate) {
    case Gate::sigmoid:
      return glu<T, Gate::sigmoid>(x, dy, y, rows, n);
    case Gate::gelu:
      return glu<T, Gate::gelu>(x, dy, y, rows, n);
    case Gate::gelu_tanh:
      return glu<T, Gate::gelu_tanh>(x, dy, y, rows, n);
    case Gate::silu:
      return glu<T, Gate::silu>(x, dy, y, rows, n);
    case Gate::relu:
      return glu<T, Gate::relu>(x, dy, y, rows, n);
  }
}

template <class T>
void glu_forward(const T* x, T* y, int64_t rows, int64_t n, Gate gate) {
  glu<T>(x, nullptr, y, rows, n, gate);
}

template <class T>
void glu_backward(const T* x, const T* dy, T* dx, int64_t rows, int64_t n, Gate gate) {
  glu<T>(x, dy, dx, rows, n, gate);
}

}  // namespace

DLCORE_CUDA_EXPORT(glu_forward)
DLCORE_CUDA_EXPORT(glu_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
