// Local response norm (Krizhevsky, Sutskever and Hinton 2012): each element over a power of the
// mean square of its neighbours, the channels around it at the same place. x is (batch, channels,
// size). Neighbours of a place are neighbours in a warp; the channels of a window meet in L1.

#include "cuda/each.h"
#include "cuda/math.h"
#include "kernels/norm.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// d^-beta. AlexNet's 3/4 takes two roots.
template <class T>
__device__ T negative_power(T d, T beta) {
  if (beta == T(0.75)) {
    const T root = math::sqrt(d);
    return T(1) / (root * math::sqrt(root));
  }
  return math::pow(d, -beta);
}

template <class T>
struct LocalWindow {
  LocalNorm p;
  T alpha, beta, k;  // alpha over the window's size

  // The sum of f(place) over the channels [c - before, c + after] of element i.
  template <class Index, class F>
  __device__ T sum(Index i, int64_t before, int64_t after, const F& f) const {
    const int64_t c = i / static_cast<Index>(p.size) % static_cast<Index>(p.channels);
    const int64_t low = -smaller(c, before), high = smaller(after, p.channels - 1 - c);
    T sum = T(0);
    for (int64_t j = low; j <= high; ++j) sum += f(int64_t(i) + j * p.size);
    return sum;
  }
  // k + alpha / window * sum of squares of the window.
  template <class Index>
  __device__ T denominator(const T* x, Index i) const {
    return math::fma(sum(i, p.before, p.after, [=](int64_t j) { return x[j] * x[j]; }), alpha, k);
  }
};

template <class T>
struct LocalForward {
  const T* x;
  T* y;
  LocalWindow<T> window;
  template <class Index>
  __device__ void at(Index i) const {
    y[i] = x[i] * negative_power(window.denominator(x, i), window.beta);
  }
};

template <class T>
LocalWindow<T> window_of(const LocalNorm& p, double alpha, double beta, double k) {
  const T scale = static_cast<T>(alpha / static_cast<double>(p.before + p.after + 1));
  return {p, scale, static_cast<T>(beta), static_cast<T>(k)};
}

// y = x / d^beta, d = k + alpha / window * sum of squares over the window.
template <class T>
void local_norm_forward(const T* x, T* y, const LocalNorm& p, double alpha, double beta, double k) {
  const int64_t n = p.batch * p.channels * p.size;
  each(n, n, LocalForward<T>{x, y, window_of<T>(p, alpha, beta, k)});
}

template <class T>
struct LocalDirect {
  const T *x, *dy;
  T *dx, *shared;
  LocalWindow<T> window;
  template <class Index>
  __device__ void at(Index i) const {
    const T d = window.denominator(x, i), g = dy[i] * negative_power(d, window.beta);
    dx[i] = g;
    shared[i] = g * x[i] / d;
  }
};
template <class T>
struct LocalShared {
  const T *x, *shared;
  T* dx;
  LocalWindow<T> window;
  T slope;
  template <class Index>
  __device__ void at(Index i) const {
    const auto take = [=, this](int64_t j) { return shared[j]; };
    dx[i] -= x[i] * slope * window.sum(i, window.p.after, window.p.before, take);
  }
};

// dx[i] = dy[i] d[i]^-beta - 2 beta alpha / window x[i] (sum of dy[j] x[j] d[j]^(-beta - 1) over
// the j whose window holds i).
template <class T>
void local_norm_backward(const T* x, const T* dy, T* dx, const LocalNorm& p, double alpha,
                         double beta, double k) {
  const int64_t n = p.batch * p.channels * p.size;
  const LocalWindow<T> window = window_of<T>(p, alpha, beta, k);
  const Scratch<T> shared(n);
  each(n, n, LocalDirect<T>{x, dy, dx, shared, window});
  each(n, n, LocalShared<T>{x, shared, dx, window, static_cast<T>(2 * beta) * window.alpha});
}

}  // namespace

DLCORE_CUDA_EXPORT(local_norm_forward)
DLCORE_CUDA_EXPORT(local_norm_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
