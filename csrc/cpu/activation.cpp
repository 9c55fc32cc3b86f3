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

// -- gated: y = a f(b) of the halves of x, in pieces that stay in the L1 between the kernels above
// --

constexpr int64_t kGatePiece = 1024;  // elements

template <class T>
struct GateKernels {
  void (*forward)(const T*, T*, int64_t);
  void (*backward)(const T* saved, const T* dy, T* dx, int64_t);
  bool from_output;  // whether `saved` is y
};
template <class T>
DLCORE_INLINE GateKernels<T> kernels_of(Gate gate) {
  switch (gate) {
    case Gate::sigmoid:
      return {sigmoid_forward<T>, sigmoid_backward<T>, true};
    case Gate::gelu:
      return {gelu_forward<T>, gelu_backward<T>, false};
    case Gate::gelu_tanh:
      return {gelu_tanh_forward<T>, gelu_tanh_backward<T>, false};
    case Gate::silu:
      return {silu_forward<T>, silu_backward<T>, false};
    default:
      return {relu_forward<T>, relu_backward<T>, true};
  }
}

// z = x y; z may be x or y.
template <class T>
__attribute__((noinline)) void multiply(const T* x, const T* y, T* z, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) store<T>(z + i, load<T>(x + i) * load<T>(y + i));
  if (i < n)
    store_part<T>(z + i, n - i,
                  load_part<T>(x + i, n - i, T(0)) * load_part<T>(y + i, n - i, T(0)));
}

// body(row, from, n) for every piece of every row.
template <class Body>
DLCORE_INLINE void for_pieces(int64_t rows, int64_t n, const Body& body) {
  const int64_t pieces = ceil_div(n, kGatePiece);
  const int64_t cost = kGeluCost * smaller(n, kGatePiece);
  parallel_for(rows * pieces, grain_for(cost), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t from = i % pieces * kGatePiece;
      body(i / pieces, from, smaller(kGatePiece, n - from));
    }
  });
}

template <class T>
void glu_forward(const T* x, T* y, int64_t rows, int64_t n, Gate gate) {
  const GateKernels<T> f = kernels_of<T>(gate);
  for_pieces(rows, n, [=](int64_t row, int64_t from, int64_t count) {
    const T* a = x + 2 * row * n + from;
    T* to = y + row * n + from;
    f.forward(a + n, to, count);
    multiply<T>(a, to, to, count);
  });
}

// da = dy f(b), db = dy a f'(b).
template <class T>
void glu_backward(const T* x, const T* dy, T* dx, int64_t rows, int64_t n, Gate gate) {
  const GateKernels<T> f = kernels_of<T>(gate);
  for_pieces(rows, n, [=](int64_t row, int64_t from, int64_t count) {
    const int64_t at = 2 * row * n + from;
    const T *a = x + at, *b = a + n, *d = dy + row * n + from;
    T *da = dx + at, *db = da + n;
    T opened[kGatePiece];
    f.forward(b, opened, count);
    multiply<T>(d, opened, da, count);
    multiply<T>(d, a, db, count);
    f.backward(f.from_output ? opened : b, db, db, count);
  });
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
DLCORE_EXPORT(glu_forward)
DLCORE_EXPORT(glu_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
