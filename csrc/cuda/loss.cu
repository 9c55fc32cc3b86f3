// Losses of classes with their gradients. Cross-entropy is softmax and negative log-likelihood in
// one: forward reads the scores once and keeps two numbers of each row, or the gradient too;
// backward reads them once and writes once. Rows as in softmax.cu.

#include "cuda/softmax.h"
#include "cuda/total.h"
#include "kernels/loss.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int kHeld = 8;

// One target's loss from what is known of its row: x = x_t, sum = sum of w (x - shift).
template <class T>
__device__ T class_loss(const ClassLoss<T>& s, int64_t t, T x, T shift, T log_sum, T sum) {
  const T weight = s.weight ? s.weight[t] : T(1);
  const T loss = weight * ((shift - x) + log_sum);
  if (s.smoothing == T(0)) return loss;
  const T even = (s.weight_sum * log_sum - sum) / static_cast<T>(s.n);
  return (T(1) - s.smoothing) * loss + s.smoothing * even;
}

// The gradient of a row: softmax * all - every * w, and at the target - one more.
template <class T>
struct Slope {
  T all, every, one;
  __device__ Slope(const ClassLoss<T>& s, int64_t t, T g)
      : every(g * s.smoothing / static_cast<T>(s.n)),
        one(g * (T(1) - s.smoothing) * (s.weight ? s.weight[t] : T(1))) {
    all = one + every * s.weight_sum;
  }
  __device__ T at(const ClassLoss<T>& s, int64_t i, int64_t t, T softmax) const {
    const T d =
        softmax * all - (s.smoothing == T(0) ? T(0) : every * (s.weight ? s.weight[i] : T(1)));
    return i == t ? d - one : d;
  }
};

// Forward where `value` is not null: loss, normalizer (shift and log_sum: log-softmax is (x -
// shift)
// - log_sum) and, unless dx is null, the gradient; else backward, from the normalizer.
template <class T, bool kForward>
struct CrossEntropy {
  const T* x;
  T *value, *normalizer;
  const T* dy;
  int64_t dy_step;
  T scale;
  T* dx;
  ClassLoss<T> s;

  __device__ T incoming(int64_t r) const { return kForward ? scale : dy[r * dy_step] * scale; }

  template <int kThreads, int kWidth>
  __device__ void row(int64_t r) const {
    using Part = Pack<T, kWidth>;
    const int64_t t = s.target[r];
    const bool first = threadIdx.x % kThreads == 0;
    if (t == s.ignore_index) {  // its row is not read
      if (kForward && first) value[r] = T(0);
      for (int64_t i = int64_t(threadIdx.x) % kThreads * kWidth; dx && i < s.n;
           i += kThreads * kWidth)
        store(dx + r * s.n + i, Part{});
      return;
    }
    const T* const scores = x + r * s.n;
    const Row<T, kThreads, kWidth, kHeld> row(scores, s.n);
    T shift, log_sum;
    if constexpr (kForward) {
      const Normalizer<T> known = normalizer_of_row<T>(row);
      shift = known.shift;
      log_sum = known.log_sum();
      T sum = T(0);
      if (s.smoothing != T(0)) {
        row.each([&](int64_t at, const Part& part) {
#pragma unroll
          for (int j = 0; j < kWidth; ++j)
            sum += (part.v[j] - shift) * (s.weight ? s.weight[at + j] : T(1));
        });
        sum = fold_threads<kThreads>(sum, Plus());
      }
      if (first) {
        value[r] = class_loss(s, t, scores[t], shift, log_sum, sum);
        normalizer[2 * r] = shift;
        normalizer[2 * r + 1] = log_sum;
      }
      if (!dx) return;
    } else {
      shift = normalizer[2 * r];
      log_sum = normalizer[2 * r + 1];
    }
    const Slope<T> slope(s, t, incoming(r));
    T* const to = dx + r * s.n;
    row.each([&](int64_t at, const Part& part) {
      Part out;
#pragma unroll
      for (int j = 0; j < kWidth; ++j)
        out.v[j] = slope.at(s, at + j, t, math::exp((part.v[j] - shift) - log_sum));
      store(to + at, out);
    });
  }

  __device__ void column(int64_t at, int64_t r) const {
    const int64_t t = s.target[r];
    if (t == s.ignore_index) {
      if (kForward) value[r] = T(0);
      for (int64_t i = 0; dx && i < s.n; ++i) dx[at + i * s.inner] = T(0);
      return;
    }
    if (kForward) {
      const Normalizer<T> known = normalizer_of_column(x + at, s.n, s.inner);
      T sum = T(0);
      for (int64_t i = 0; s.smoothing != T(0) && i < s.n; ++i)
        sum += (x[at + i * s.inner] - known.shift) * (s.weight ? s.weight[i] : T(1));
      normalizer[2 * r] = known.shift;
      normalizer[2 * r + 1] = known.log_sum();
      value[r] = class_loss(s, t, x[at + t * s.inner], known.shift, known.log_sum(), sum);
      if (!dx) return;
    }
    const T shift = normalizer[2 * r], log_sum = normalizer[2 * r + 1];
    const Slope<T> slope(s, t, incoming(r));
    for (int64_t i = 0; i < s.n; ++i)
      dx[at + i * s.inner] = slope.at(s, i, t, math::exp((x[at + i * s.inner] - shift) - log_sum));
  }
};

// The losses and the weights of their targets.
template <class T>
struct AddLoss {
  const T* value;
  const int64_t* target;
  const T* weight;
  int64_t ignore_index;
  __device__ void operator()(int64_t i, Sum* sums) const {
    const int64_t t = target[i];
    if (t == ignore_index) return;
    sums[0].add(static_cast<double>(value[i]));
    sums[1].add(weight ? static_cast<double>(weight[t]) : 1.0);
  }
};
template <class T>
void add_losses(const T* value, double* totals, const ClassLoss<T>& s) {
  total<2>(s.outer * s.inner, totals, AddLoss<T>{value, s.target, s.weight, s.ignore_index});
}

template <class T, bool kForward>
void walk(const CrossEntropy<T, kForward>& body) {
  const ClassLoss<T>& s = body.s;
  if (s.inner > 1)
    for_columns(s.outer, s.n, s.inner, body);
  else if (body.dx)
    for_rows<T>(s.outer, s.n, body, body.x, body.dx);
  else
    for_rows<T>(s.outer, s.n, body, body.x);
}

// loss = w_t (lse - x_t); with smoothing (1 - smoothing) of it and smoothing / n times the sum of
// w (lse - x) over all classes. dx, unless null, gets the gradient of scale times the sum of the
// losses.
template <class T>
void cross_entropy_forward(const T* x, T* loss, T* normalizer, T* dx, T scale, double* totals,
                           const ClassLoss<T>& s) {
  const Scratch<T> own(loss ? 1 : s.outer * s.inner);
  T* const value = loss ? loss : own;
  walk(CrossEntropy<T, true>{x, value, normalizer, nullptr, 0, scale, dx, s});
  add_losses(value, totals, s);
}

template <class T>
void cross_entropy_backward(const T* x, const T* normalizer, const T* dy, int64_t dy_step, T scale,
                            T* dx, const ClassLoss<T>& s) {
  walk(CrossEntropy<T, false>{x, nullptr, const_cast<T*>(normalizer), dy, dy_step, scale, dx, s});
}

template <class T>
__global__ void __launch_bounds__(kBlock) nll_kernel(const T* x, T* value, ClassLoss<T> s) {
  for (int64_t r = grid_thread(); r < s.outer * s.inner; r += grid_threads()) {
    const int64_t t = s.target[r], o = r / s.inner;
    value[r] = t == s.ignore_index ? T(0)
                                   : (s.weight ? -s.weight[t] : T(-1)) *
                                         x[(o * s.n + t) * s.inner + r - o * s.inner];
  }
}

// loss = -w_t x_t, x log-probabilities.
template <class T>
void nll_forward(const T* x, T* loss, double* totals, const ClassLoss<T>& s) {
  const int64_t targets = s.outer * s.inner;
  const Scratch<T> own(loss ? 1 : targets);
  T* const value = loss ? loss : own;
  launch(nll_kernel<T>, Size{blocks_for(targets, kBlock), kBlock}, x, value, s);
  add_losses(value, totals, s);
}

template <class T>
__global__ void __launch_bounds__(kBlock)
    nll_backward_kernel(const T* dy, int64_t dy_step, T scale, T* dx, ClassLoss<T> s) {
  const int64_t matrix = s.n * s.inner;
  for (int64_t i = grid_thread(); i < s.outer * matrix; i += grid_threads()) {
    const int64_t o = i / matrix, c = i % matrix / s.inner, r = o * s.inner + i % s.inner;
    const int64_t t = s.target[r];
    dx[i] = t != s.ignore_index && t == c
                ? dy[r * dy_step] * scale * (s.weight ? -s.weight[t] : T(-1))
                : T(0);
  }
}

template <class T>
void nll_backward(const T* dy, int64_t dy_step, T scale, T* dx, const ClassLoss<T>& s) {
  launch(nll_backward_kernel<T>, Size{blocks_for(s.outer * s.n * s.inner, kBlock), kBlock}, dy,
         dy_step, scale, dx, s);
}

}  // namespace

DLCORE_CUDA_EXPORT(cross_entropy_forward)
DLCORE_CUDA_EXPORT(cross_entropy_backward)
DLCORE_CUDA_EXPORT(nll_forward)
DLCORE_CUDA_EXPORT(nll_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
