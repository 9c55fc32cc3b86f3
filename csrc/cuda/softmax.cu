// Softmax and log-softmax along one axis, forward and backward. x is (outer, n, inner). Bound by
// memory: rows (inner == 1) of up to 16384 floats are read once, columns twice.

#include "cuda/softmax.h"
#include "kernels/softmax.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int kHeld = 8;

template <class T, bool kLog>
struct Forward {
  const T* x;
  T* y;
  int64_t n, inner;

  __device__ static T finish(T v, const Normalizer<T>& s, T scale) {
    if constexpr (kLog)
      return (v - s.shift) - scale;
    else
      return math::exp(v - s.shift) * scale;
  }
  __device__ static T scale_of(const Normalizer<T>& s) {
    if constexpr (kLog)
      return s.log_sum();
    else
      return s.sum == T(0) ? T(0) : T(1) / s.sum;
  }

  template <int kThreads, int kWidth>
  __device__ void row(int64_t r) const {
    const Row<T, kThreads, kWidth, kHeld> row(x + r * n, n);
    const Normalizer<T> s = normalizer_of_row<T>(row);
    const T scale = scale_of(s);
    row.write(y + r * n, [=](T v) { return finish(v, s, scale); });
  }
  __device__ void column(int64_t at, int64_t) const {
    const Normalizer<T> s = normalizer_of_column(x + at, n, inner);
    const T scale = scale_of(s);
    for (int64_t i = at; i < at + n * inner; i += inner) y[i] = finish(x[i], s, scale);
  }
};

template <class T, bool kLog>
void forward(const T* x, T* y, int64_t outer, int64_t n, int64_t inner) {
  const Forward<T, kLog> body{x, y, n, inner};
  if (inner == 1)
    for_rows<T>(outer, n, body, x, y);
  else
    for_columns(outer, n, inner, body);
}

// y = exp(x - max) / sum exp(x - max).  y may be x.  A row of -inf only gives zeros; one with NaN
// or +inf gives NaN.
template <class T>
void softmax_forward(const T* x, T* y, int64_t outer, int64_t n, int64_t inner) {
  forward<T, false>(x, y, outer, n, inner);
}

// y = (x - max) - log(sum exp(x - max)).  y may be x.  A row of -inf only gives -inf.
template <class T>
void log_softmax_forward(const T* x, T* y, int64_t outer, int64_t n, int64_t inner) {
  forward<T, true>(x, y, outer, n, inner);
}

template <class T, bool kLog>
struct Backward {
  const T *y, *dy;
  T* dx;
  int64_t n, inner;

  __device__ static T term(T v, T d) { return kLog ? d : v * d; }
  __device__ static T finish(T v, T d, T sum) {
    return kLog ? d - math::exp(v) * sum : v * (d - sum);
  }

  template <int kThreads, int kWidth>
  __device__ void row(int64_t r) const {
    using Part = Pack<T, kWidth>;
    const Row<T, kThreads, kWidth, kHeld / 2> row(y + r * n, n), gradient(dy + r * n, n);
    T sum = T(0);
    both(row, gradient, [&](int64_t, const Part& v, const Part& d) {
#pragma unroll
      for (int j = 0; j < kWidth; ++j) sum += term(v.v[j], d.v[j]);
    });
    sum = fold_threads<kThreads>(sum, Plus());
    T* const to = dx + r * n;
    both(row, gradient, [&](int64_t at, const Part& v, const Part& d) {
      Part out;
#pragma unroll
      for (int j = 0; j < kWidth; ++j) out.v[j] = finish(v.v[j], d.v[j], sum);
      store(to + at, out);
    });
  }
  __device__ void column(int64_t at, int64_t) const {
    T sum = T(0);
    for (int64_t i = at; i < at + n * inner; i += inner) sum += term(y[i], dy[i]);
    for (int64_t i = at; i < at + n * inner; i += inner) dx[i] = finish(y[i], dy[i], sum);
  }
};

template <class T, bool kLog>
void backward(const T* y, const T* dy, T* dx, int64_t outer, int64_t n, int64_t inner) {
  const Backward<T, kLog> body{y, dy, dx, n, inner};
  if (inner == 1)
    for_rows<T>(outer, n, body, y, dy, dx);
  else
    for_columns(outer, n, inner, body);
}

// dx = y (dy - sum(dy y)).  Needs the output only. dx may be dy.
template <class T>
void softmax_backward(const T* y, const T* dy, T* dx, int64_t outer, int64_t n, int64_t inner) {
  backward<T, false>(y, dy, dx, outer, n, inner);
}

// dx = dy - exp(y) sum(dy).  dx may be dy.
template <class T>
void log_softmax_backward(const T* y, const T* dy, T* dx, int64_t outer, int64_t n, int64_t inner) {
  backward<T, true>(y, dy, dx, outer, n, inner);
}

}  // namespace

DLCORE_CUDA_EXPORT(softmax_forward)
DLCORE_CUDA_EXPORT(softmax_backward)
DLCORE_CUDA_EXPORT(log_softmax_forward)
DLCORE_CUDA_EXPORT(log_softmax_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
