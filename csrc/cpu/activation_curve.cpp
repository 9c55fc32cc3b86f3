// Activations of several pieces or with settings. For the size of the code one function to a curve,
// each vector's formula in it once, and one loop over the threads for all of them. Bound by memory
// from the L2 on. y may be x and dx may be dy or x.

#include "cpu/simd_activation.h"
#include "kernels/activation.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kCost = 4;                           // of an element, in elements copied
constexpr int64_t kStep = kVectorBytes == 16 ? 1 : 2;  // vectors at a time: iterations overlap too
constexpr int64_t kPiece = 1 << 10;  // elements on their way past the caches, in the L1
template <class T>
constexpr int64_t kBlock = kStep * kLanes<T>;

template <class T>
struct Numbers {
  T a, b, c;
};

// y of n elements, whole blocks, from x and, backward, dy; forward it is given x twice.
template <class T>
using Span = void (*)(const T* x, const T* dy, T* y, int64_t n, const Numbers<T>& numbers);

template <class T, class F>
DLCORE_INLINE void span(const T* x, const T* dy, T* y, int64_t n, const F& f) {
  for (int64_t i = 0; i < n; i += kBlock<T>) {
    Vec<T> v[kStep];
    for (int64_t j = 0; j < kStep; ++j)
      v[j] = f(load<T>(x + i + j * kLanes<T>), load<T>(dy + i + j * kLanes<T>));
    for (int64_t j = 0; j < kStep; ++j) store<T>(y + i + j * kLanes<T>, v[j]);
  }
}

// A curve: forward(v) and backward(v, d) on vectors, of the numbers it was made of.
template <class T, template <class> class C>
void forward(const T* x, const T* dy, T* y, int64_t n, const Numbers<T>& numbers) {
  const C<T> curve{numbers};
  span<T>(x, dy, y, n, [=](Vec<T> v, Vec<T>) { return curve.forward(v); });
}
template <class T, template <class> class C>
void backward(const T* x, const T* dy, T* dx, int64_t n, const Numbers<T>& numbers) {
  const C<T> curve{numbers};
  span<T>(x, dy, dx, n, [=](Vec<T> v, Vec<T> d) { return curve.backward(v, d); });
}

#define DLCORE_CURVE DLCORE_INLINE_MEMBER Vec<T>

// a x where x > 0, else b (exp(c x) - 1): ELU, SELU, CELU.
template <class T>
struct Elu : Numbers<T> {
  DLCORE_CURVE forward(Vec<T> v) const {
    return v > T(0) ? v * this->a : expm1<T>(v * this->c) * this->b;
  }
  DLCORE_CURVE backward(Vec<T> v, Vec<T> d) const {
    return d * (v > T(0) ? splat<T>(this->a) : exp<T>(v * this->c) * (this->b * this->c));
  }
};

// log(1 + e) for 0 <= e <= 1, as a series of s = e / (2 + e): nothing cancels.
template <class T>
DLCORE_INLINE Vec<T> log1p_up_to_1(Vec<T> e) {
  const Vec<T> s = quotient<T>(e, e + T(2));
  const Vec<T> z = s * s;
  if constexpr (kIsFloat<T>)
    return s * polynomial<T>(z, 0.2817833572, 0.2796060259, 0.4002491029, 0.6666631468, 2.0);
  else
    return s * polynomial<T>(z, 0.1779700393845545485, 0.09872679845295913477,
                             0.1359299234843133159, 0.153634870638623838, 0.1818287216302701549,
                             0.2222219038695847763, 0.28571429121878565, 0.3999999999517733442,
                             0.6666666666668303197, 2.0);
}

// log(1 + exp(a x)) c, with c = 1 / a; x where a x > b. With a = -1 logsigmoid.
template <class T>
struct Softplus : Numbers<T> {
  DLCORE_CURVE forward(Vec<T> v) const {
    const Vec<T> t = v * this->a;
    const Vec<T> curved = relu<T>(t) + log1p_up_to_1<T>(exp_minus_abs<T>(t));
    return t > this->b ? v : curved * this->c;
  }
  DLCORE_CURVE backward(Vec<T> v, Vec<T> d) const {
    const Vec<T> t = v * this->a;
    return t > this->b ? d : d * sigmoid<T>(t);
  }
};

// x tanh(softplus(x)) = x n / (n + 2) with e = exp(x) and n = e (e + 2), which is 1 in float and
// double where x is cut.
template <class T>
struct Mish : Numbers<T> {
  DLCORE_CURVE forward(Vec<T> v) const {
    v = max<T>(splat<T>(kExpBottom<T>), v);
    const Vec<T> e = exp_up_to_40<T>(min<T>(splat<T>(T(20)), v));
    const Vec<T> n = e * (e + T(2));
    return v * quotient<T>(n, n + T(2));
  }
  // n / (n + 2) + 4 x e (1 + e) / (n + 2)^2
  DLCORE_CURVE backward(Vec<T> v, Vec<T> d) const {
    v = clamp<T>(v, kExpBottom<T>, T(20));
    const Vec<T> e = exp_up_to_40<T>(v);
    const Vec<T> n = e * (e + T(2));
    const Vec<T> r = quotient<T>(splat<T>(T(1)), n + T(2));
    return d * (r * (n + v * T(4) * r * (e * (e + T(1)))));
  }
};

// min(max(x + 3, 0), 6) / 6.
template <class T>
struct HardSigmoid : Numbers<T> {
  DLCORE_CURVE forward(Vec<T> v) const { return clamp<T>(v + T(3), T(0), T(6)) * T(1.0 / 6); }
};

// min(max(x, b), c). dx = a dy where b < x < c: of the hard sigmoid too.
template <class T>
struct HardTanh : Numbers<T> {
  DLCORE_CURVE forward(Vec<T> v) const { return clamp<T>(v, this->b, this->c); }
  DLCORE_CURVE backward(Vec<T> v, Vec<T> d) const {
    return ((v > this->b) & (v < this->c)) ? d * this->a : Vec<T>{};
  }
};

// x min(max(x + 3, 0), 6) / 6; 0, its limit, at -inf.
template <class T>
struct HardSwish : Numbers<T> {
  DLCORE_CURVE forward(Vec<T> v) const {
    v = max<T>(splat<T>(T(-3)), v);
    return v * (min<T>(splat<T>(T(6)), v + T(3)) * T(1.0 / 6));
  }
  DLCORE_CURVE backward(Vec<T> v, Vec<T> d) const {
    const Vec<T> bent = v > T(-3) ? d * (v * T(1.0 / 3) + T(0.5)) : v <= T(-3) ? Vec<T>{} : v;
    return v >= T(3) ? d : bent;
  }
};

// x / (1 + |x|); -1 and 1 at -inf and inf.
template <class T>
struct Softsign : Numbers<T> {
  DLCORE_CURVE forward(Vec<T> v) const {
    v = clamp<T>(v, T(-0x1p100), T(0x1p100));
    return v / (abs<T>(v) + T(1));
  }
  DLCORE_CURVE backward(Vec<T> v, Vec<T> d) const {
    const Vec<T> r = T(1) / (abs<T>(v) + T(1));
    return d * (r * r);
  }
};

// 0 where |x| <= a, else x, or nearer to 0 by a.
template <class T>
struct HardShrink : Numbers<T> {
  DLCORE_CURVE forward(Vec<T> v) const { return abs<T>(v) <= this->a ? Vec<T>{} : v; }
  DLCORE_CURVE backward(Vec<T> v, Vec<T> d) const { return abs<T>(v) <= this->a ? Vec<T>{} : d; }
};
template <class T>
struct SoftShrink : Numbers<T> {
  DLCORE_CURVE forward(Vec<T> v) const { return v - clamp<T>(v, -this->a, this->a); }
};

// x where x > a, else b; NaN stays NaN.
template <class T>
struct Threshold : Numbers<T> {
  DLCORE_CURVE forward(Vec<T> v) const { return v <= this->a ? splat<T>(this->b) : v; }
  DLCORE_CURVE backward(Vec<T> v, Vec<T> d) const { return v <= this->a ? Vec<T>{} : d; }
};

// 1 where x >= a, else 0; NaN stays NaN. dx = 0.
template <class T>
struct Step : Numbers<T> {
  DLCORE_CURVE forward(Vec<T> v) const {
    const Vec<T> low = v < this->a ? Vec<T>{} : v;
    return v >= this->a ? splat<T>(T(1)) : low;
  }
  DLCORE_CURVE backward(Vec<T>, Vec<T>) const { return Vec<T>{}; }
};
#undef DLCORE_CURVE

template <class T>
DLCORE_INLINE void copy_past_caches(const T* from, T* to, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) stream<T>(to + i, load<T>(from + i));
  std::memcpy(to + i, from + i, static_cast<size_t>(n - i) * sizeof(T));
}

// f on n elements: what is no whole block goes through copies.
template <class T>
__attribute__((noinline)) void apply(Span<T> f, const T* x, const T* dy, T* y, int64_t n,
                                     const Numbers<T>& numbers) {
  const int64_t whole = n - n % kBlock<T>;
  f(x, dy, y, whole, numbers);
  if (whole == n) return;
  T parts[2][kBlock<T>] = {};
  const size_t rest = static_cast<size_t>(n - whole) * sizeof(T);
  std::memcpy(parts[0], x + whole, rest);
  std::memcpy(parts[1], dy + whole, rest);
  f(parts[0], parts[1], parts[0], kBlock<T>, numbers);
  std::memcpy(y + whole, parts[0], rest);
}

// f on all of x, on the pool.
template <class T>
__attribute__((noinline)) void run(Span<T> f, const T* x, const T* dy, T* y, int64_t n,
                                   const Numbers<T>& numbers) {
  const bool past_caches = n * static_cast<int64_t>(sizeof(T)) >= kStreamBytes && x != y &&
                           dy != y && reinterpret_cast<uintptr_t>(y) % 64 == 0;
  parallel_for(n, map_grain(n, kCost), [=, &numbers](int64_t begin, int64_t end) {
    if (!past_caches) return apply<T>(f, x + begin, dy + begin, y + begin, end - begin, numbers);
    T piece[kPiece];
    for (int64_t i = begin; i < end; i += kPiece) {
      const int64_t count = smaller(kPiece, end - i);
      apply<T>(f, x + i, dy + i, piece, count, numbers);
      copy_past_caches<T>(piece, y + i, count);
    }
    stream_fence();
  });
}

template <class T>
DLCORE_INLINE Span<T> forward_of(Curve curve) {
  switch (curve) {
    case Curve::elu:
      return forward<T, Elu>;
    case Curve::softplus:
      return forward<T, Softplus>;
    case Curve::mish:
      return forward<T, Mish>;
    case Curve::hard_sigmoid:
      return forward<T, HardSigmoid>;
    case Curve::hard_tanh:
      return forward<T, HardTanh>;
    case Curve::hard_swish:
      return forward<T, HardSwish>;
    case Curve::softsign:
      return forward<T, Softsign>;
    case Curve::soft_shrink:
      return forward<T, SoftShrink>;
    case Curve::hard_shrink:
      return forward<T, HardShrink>;
    case Curve::threshold:
      return forward<T, Threshold>;
    default:
      return forward<T, Step>;
  }
}

template <class T>
DLCORE_INLINE Span<T> backward_of(Curve curve) {
  switch (curve) {
    case Curve::elu:
      return backward<T, Elu>;
    case Curve::softplus:
      return backward<T, Softplus>;
    case Curve::mish:
      return backward<T, Mish>;
    case Curve::hard_swish:
      return backward<T, HardSwish>;
    case Curve::softsign:
      return backward<T, Softsign>;
    case Curve::soft_shrink:
    case Curve::hard_shrink:
      return backward<T, HardShrink>;
    case Curve::threshold:
      return backward<T, Threshold>;
    case Curve::step:
      return backward<T, Step>;
    default:
      return backward<T, HardTanh>;
  }
}

template <class T>
void curve_forward(const T* x, T* y, int64_t n, Curve curve, T a, T b, T c) {
  run<T>(forward_of<T>(curve), x, x, y, n, {a, b, c});
}

template <class T>
void curve_backward(const T* x, const T* dy, T* dx, int64_t n, Curve curve, T a, T b, T c) {
  run<T>(backward_of<T>(curve), x, dy, dx, n, {a, b, c});
}

}  // namespace

DLCORE_EXPORT(curve_forward)
DLCORE_EXPORT(curve_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
