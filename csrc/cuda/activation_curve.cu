// Activations of several pieces or with settings. Bound by memory. y may be x and dx may be dy or
// x.

#include "cuda/activation.h"
#include "cuda/map.h"
#include "kernels/activation.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// A curve: y(v) and dx(v, d), of up to three numbers.
template <class T>
struct Numbers {
  T a, b, c;
};

// a x where x > 0, else b (exp(c x) - 1): ELU, SELU, CELU.
template <class T>
struct Elu : Numbers<T> {
  __device__ T y(T v) const { return v > T(0) ? v * this->a : math::expm1(v * this->c) * this->b; }
  __device__ T dx(T v, T d) const {
    return d * (v > T(0) ? this->a : math::exp(v * this->c) * (this->b * this->c));
  }
};

// log(1 + exp(a x)) c, with c = 1 / a; x where a x > b. With a = -1 logsigmoid.
template <class T>
struct Softplus : Numbers<T> {
  __device__ T y(T v) const {
    const T t = v * this->a;
    const T curved = relu(t) + math::log1p(math::exp(-math::abs(t)));
    return t > this->b ? v : curved * this->c;
  }
  __device__ T dx(T v, T d) const {
    const T t = v * this->a;
    return t > this->b ? d : d * math::sigmoid(t);
  }
};

// x tanh(softplus(x)) = x n / (n + 2) with e = exp(x) and n = e (e + 2), which is 1 in float and
// double where x is cut.
template <class T>
struct Mish : Numbers<T> {
  __device__ T y(T v) const {
    v = math::max(kExpBottom<T>, v);
    const T e = math::exp(v > T(20) ? T(20) : v), n = e * (e + T(2));
    return v * (n / (n + T(2)));
  }
  // n / (n + 2) + 4 x e (1 + e) / (n + 2)^2
  __device__ T dx(T v, T d) const {
    v = math::clamp(v, kExpBottom<T>, T(20));
    const T e = math::exp(v), n = e * (e + T(2)), r = T(1) / (n + T(2));
    return d * (r * (n + v * T(4) * r * (e * (e + T(1)))));
  }
};

// min(max(x, b), c). dx = a dy where b < x < c.
template <class T>
struct HardTanh : Numbers<T> {
  __device__ T y(T v) const { return math::clamp(v, this->b, this->c); }
  __device__ T dx(T v, T d) const { return v > this->b && v < this->c ? d * this->a : T(0); }
};

// min(max(x + 3, 0), 6) / 6.
template <class T>
struct HardSigmoid : HardTanh<T> {
  __device__ T y(T v) const { return math::clamp(v + T(3), T(0), T(6)) * T(1.0 / 6); }
};

// x min(max(x + 3, 0), 6) / 6; 0, its limit, at -inf.
template <class T>
struct HardSwish : Numbers<T> {
  __device__ T y(T v) const {
    v = math::max(T(-3), v);
    return v * (math::min(T(6), v + T(3)) * T(1.0 / 6));
  }
  __device__ T dx(T v, T d) const {
    return v >= T(3) ? d : v > T(-3) ? d * (v * T(1.0 / 3) + T(0.5)) : v <= T(-3) ? T(0) : v;
  }
};

// x / (1 + |x|); -1 and 1 at -inf and inf.
template <class T>
struct Softsign : Numbers<T> {
  __device__ T y(T v) const {
    v = math::clamp(v, T(-0x1p100), T(0x1p100));
    return v / (math::abs(v) + T(1));
  }
  __device__ T dx(T v, T d) const {
    const T r = T(1) / (math::abs(v) + T(1));
    return d * (r * r);
  }
};

// 0 where |x| <= a, else x, or nearer to 0 by a.
template <class T>
struct HardShrink : Numbers<T> {
  __device__ T y(T v) const { return math::abs(v) <= this->a ? T(0) : v; }
  __device__ T dx(T v, T d) const { return math::abs(v) <= this->a ? T(0) : d; }
};
template <class T>
struct SoftShrink : HardShrink<T> {
  __device__ T y(T v) const { return v - math::clamp(v, -this->a, this->a); }
};

// x where x > a, else b; NaN stays NaN.
template <class T>
struct Threshold : Numbers<T> {
  __device__ T y(T v) const { return v <= this->a ? this->b : v; }
  __device__ T dx(T v, T d) const { return v <= this->a ? T(0) : d; }
};

// 1 where x >= a, else 0; NaN stays NaN. dx = 0.
template <class T>
struct Step : Numbers<T> {
  __device__ T y(T v) const { return v >= this->a ? T(1) : v < this->a ? T(0) : v; }
  __device__ T dx(T, T) const { return T(0); }
};

template <class C>
struct CurveForward {
  C curve;
  template <class T>
  __device__ T operator()(T v) const {
    return curve.y(v);
  }
};
template <class C>
struct CurveBackward {
  C curve;
  template <class T>
  __device__ T operator()(T v, T d) const {
    return curve.dx(v, d);
  }
};

// Forward where dy is null.
template <class T, template <class> class C>
void run(const T* x, const T* dy, T* y, int64_t n, const Numbers<T>& numbers) {
  C<T> curve;
  static_cast<Numbers<T>&>(curve) = numbers;
  if (dy)
    map<T>(y, n, CurveBackward<C<T>>{curve}, x, dy);
  else
    map<T>(y, n, CurveForward<C<T>>{curve}, x);
}

template <class T>
void run(const T* x, const T* dy, T* y, int64_t n, Curve curve, const Numbers<T>& numbers) {
  switch (curve) {
    case Curve::elu:
      return run<T, Elu>(x, dy, y, n, numbers);
    case Curve::softplus:
      return run<T, Softplus>(x, dy, y, n, numbers);
    case Curve::mish:
      return run<T, Mish>(x, dy, y, n, numbers);
    case Curve::hard_sigmoid:
      return run<T, HardSigmoid>(x, dy, y, n, numbers);
    case Curve::hard_tanh:
      return run<T, HardTanh>(x, dy, y, n, numbers);
    case Curve::hard_swish:
      return run<T, HardSwish>(x, dy, y, n, numbers);
    case Curve::softsign:
      return run<T, Softsign>(x, dy, y, n, numbers);
    case Curve::soft_shrink:
      return run<T, SoftShrink>(x, dy, y, n, numbers);
    case Curve::hard_shrink:
      return run<T, HardShrink>(x, dy, y, n, numbers);
    case Curve::threshold:
      return run<T, Threshold>(x, dy, y, n, numbers);
    case Curve::step:
      return run<T, Step>(x, dy, y, n, numbers);
  }
}

template <class T>
void curve_forward(const T* x, T* y, int64_t n, Curve curve, T a, T b, T c) {
  run<T>(x, nullptr, y, n, curve, {a, b, c});
}

template <class T>
void curve_backward(const T* x, const T* dy, T* dx, int64_t n, Curve curve, T a, T b, T c) {
  run<T>(x, dy, dx, n, curve, {a, b, c});
}

}  // namespace

DLCORE_CUDA_EXPORT(curve_forward)
DLCORE_CUDA_EXPORT(curve_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
