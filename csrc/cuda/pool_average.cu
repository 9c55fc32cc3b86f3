// Average and power-average (Lp) pooling over windows, forward and backward.

#include "cuda/math.h"
#include "cuda/pool.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// By how many elements a window's sum is divided: those inside the padded input, or inside the
// input itself; or always `divisor`.
struct Counts {
  bool include_pad;
  int64_t divisor;
  int64_t high[3];

  explicit Counts(const AvgPool& p)
      : include_pad(p.include_pad), divisor(p.divisor), high{p.d.high, p.h.high, p.w.high} {}

  template <class I>
  __device__ I along(const Axis<I>& a, I o, int64_t pad_behind) const {
    const I start = a.begin(o);
    if (a.stride == 0 || !include_pad) return a.end_tap(o, start) - a.first_tap(start);
    const I left = a.size + I(pad_behind) - start;
    return left < a.kernel ? left : a.kernel;
  }
  template <class T, class I>
  __device__ T of(const Axes<I>& axes, I od, I oh, I ow) const {
    if (divisor) return static_cast<T>(divisor);
    return static_cast<T>(along(axes.d, od, high[0]) * along(axes.h, oh, high[1])) *
           static_cast<T>(along(axes.w, ow, high[2]));
  }
};

// v^exponent.
template <class T>
__device__ T raised(T v, T exponent) {
  if (exponent == T(1)) return v;
  if (exponent == T(2)) return v * v;
  if (exponent == T(0.5)) return math::sqrt(v);
  return math::pow(v, exponent);
}

struct Mean {
  template <class T>
  __device__ T take(T v) const {
    return v;
  }
  template <class T>
  __device__ T finish(T sum, T count) const {
    return sum / count;
  }
};
template <class T>
struct PowerMean {
  T norm, size;  // of a window
  __device__ T take(T v) const { return raised(v, norm); }
  __device__ T finish(T sum, T count) const { return raised(sum * (size / count), 1 / norm); }
};

template <class T, class Op>
struct Reduced {
  const T* x;
  T* y;
  Pool p;
  Counts counts;
  Op op;

  template <class Index>
  __device__ void at(Index i) const {
    using I = Place<Index>;
    const Axes<I> axes(p);
    const Places<Index> o(i, p.d.out, p.h.out, p.w.out);
    const T* const plane = x + int64_t(o.outer) * (p.d.size * p.h.size * p.w.size);
    T sum = T(0);
    axes.each_element(I(o.d), I(o.h), I(o.w), [&](I place, I) { sum += op.take(plane[place]); });
    y[i] = op.finish(sum, counts.of<T>(axes, I(o.d), I(o.h), I(o.w)));
  }
};

// y = sum of each window / its divisor.
template <class T>
void avg_pool_forward(const T* x, T* y, const AvgPool& p) {
  each(p.planes * out_size(p), largest_of(p), Reduced<T, Mean>{x, y, p, Counts(p), {}});
}

// y = (the mean of v^norm times the window's size)^(1 / norm), as PyTorch defines it: with windows
// that are cut off at the edge, not quite the norm of their elements.
template <class T>
void lp_pool_forward(const T* x, T* y, const AvgPool& p, T norm_type) {
  const PowerMean<T> op{norm_type, static_cast<T>(taps_of(p))};
  each(p.planes * out_size(p), largest_of(p), Reduced<T, PowerMean<T>>{x, y, p, Counts(p), op});
}

// dx = the sum of slope(place in y) / divisor over the windows that hold an element, times its own
// factor.
template <class T, class Slope>
struct Spread {
  T* dx;
  Pool p;
  Counts counts;
  Slope slope;

  template <class Index>
  __device__ void at(Index i) const {
    using I = Place<Index>;
    const Axes<I> axes(p);
    const Places<Index> e(i, p.d.size, p.h.size, p.w.size);
    const int64_t plane = int64_t(e.outer) * (p.d.out * p.h.out * p.w.out);
    T sum = T(0);
    axes.each_window(I(e.d), I(e.h), I(e.w), [&](I place, I, I od, I oh, I ow) {
      sum += slope.of(plane + place) / counts.of<T>(axes, od, oh, ow);
    });
    dx[i] = slope.times_own(sum, i);
  }
};

template <class T>
struct MeanSlope {
  const T* dy;
  __device__ T of(int64_t o) const { return dy[o]; }
  __device__ T times_own(T sum, int64_t) const { return sum; }
};
// Of x: x^(norm - 1) times that of the mean, of dy size y^(1 - norm), 0 where y is 0.
template <class T>
struct PowerSlope {
  const T *x, *y, *dy;
  T norm, size;
  __device__ T of(int64_t o) const {
    const T v = y[o];
    if (v == T(0)) return T(0);
    return dy[o] * (norm == T(2) ? T(1) / v : norm == T(1) ? T(1) : math::pow(v, 1 - norm)) * size;
  }
  __device__ T times_own(T sum, int64_t i) const {
    return norm == T(1) ? sum : sum * raised(x[i], norm - 1);
  }
};

template <class T>
void avg_pool_backward(const T* dy, T* dx, const AvgPool& p) {
  each(p.planes * in_size(p), largest_of(p), Spread<T, MeanSlope<T>>{dx, p, Counts(p), {dy}});
}

template <class T>
void lp_pool_backward(const T* x, const T* y, const T* dy, T* dx, const AvgPool& p, T norm_type) {
  const PowerSlope<T> slope{x, y, dy, norm_type, static_cast<T>(taps_of(p))};
  each(p.planes * in_size(p), largest_of(p), Spread<T, PowerSlope<T>>{dx, p, Counts(p), slope});
}

}  // namespace

DLCORE_CUDA_EXPORT(avg_pool_forward)
DLCORE_CUDA_EXPORT(avg_pool_backward)
DLCORE_CUDA_EXPORT(lp_pool_forward)
DLCORE_CUDA_EXPORT(lp_pool_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
