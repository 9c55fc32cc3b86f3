// Losses of classes with their gradients. Cross-entropy is softmax and negative log-likelihood in
// one: forward reads the scores once and keeps two numbers of each row, or the gradient too;
// backward reads them once and writes once.

#include "kernels/loss.h"

#include "cpu/softmax.h"
#include "cpu/sum_chunks.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// sum of w (x - shift) over a row.
template <class T>
DLCORE_INLINE T weighted_sum(const T* x, const T* weight, T shift, int64_t n) {
  const auto value = [=](int64_t i, int64_t lanes) {
    const Vec<T> v = load_lanes<T>(x + i, lanes, shift) - shift;
    return weight ? v * load_lanes<T>(weight + i, lanes, T(0)) : v;
  };
  return hsum<T>(fold_row<T>(n, Vec<T>{}, value, [](Vec<T> acc, Vec<T> v) { return acc + v; }));
}

// One target's loss from what is known of its row: x = x_t, sum = sum of w (x - shift).
template <class T>
DLCORE_INLINE T class_loss(const ClassLoss<T>& s, int64_t t, T x, T shift, T log_sum, T sum) {
  const T weight = s.weight ? s.weight[t] : T(1);
  T loss = weight * ((shift - x) + log_sum);
  if (s.smoothing != 0) {
    const T even = (s.weight_sum * log_sum - sum) / static_cast<T>(s.n);
    loss = (T(1) - s.smoothing) * loss + s.smoothing * even;
  }
  return loss;
}

template <class T>
DLCORE_INLINE void record_loss(const ClassLoss<T>& s, int64_t at, T value, T* loss, Sum* sums) {
  const int64_t t = s.target[at];
  if (loss) loss[at] = value;
  if (t == s.ignore_index) return;
  sums[0].add(static_cast<double>(value));
  sums[1].add(s.weight ? static_cast<double>(s.weight[t]) : 1.0);
}

// One row. normalizer gets shift and log_sum: log-softmax is (x - shift) - log_sum. `written`,
// unless null, is asked for: it will be written next.
template <class T>
DLCORE_INLINE void row_forward(const T* x, T* loss, T* normalizer, Sum* sums, const T* written,
                               const ClassLoss<T>& s, int64_t r) {
  const int64_t t = s.target[r];
  T value = T(0);
  if (t != s.ignore_index) {
    const Running<T> row = running_row<T>(x, s.n, nullptr, [=](int64_t i, int64_t, Vec<T>) {
      if (written) __builtin_prefetch(written + i, 1);
    });
    const T shift = finite_shift<T>(row.top)[0], log_sum = row.log_sum()[0];
    const T sum = s.smoothing != 0 ? weighted_sum<T>(x, s.weight, shift, s.n) : T(0);
    value = class_loss<T>(s, t, x[t], shift, log_sum, sum);
    normalizer[2 * r] = shift;
    normalizer[2 * r + 1] = log_sum;
  }
  record_loss<T>(s, r, value, loss, sums);
}

// Neighbouring columns of an (n, inner) matrix; r is the first one's place in target.
template <class T>
DLCORE_INLINE void columns_forward(const T* x, int64_t lanes, T* loss, T* normalizer, Sum* sums,
                                   const ClassLoss<T>& s, int64_t r) {
  const Column<T> column = running_column<T>(x, s.n, s.inner, lanes, [](int64_t, Vec<T>) {});
  const Vec<T> log_sum = column.sum == T(0) ? Vec<T>{} : log<T>(column.sum);
  Vec<T> sum{};
  if (s.smoothing != 0)
    for (int64_t i = 0; i < s.n; ++i)
      sum += (load_lanes<T>(x + i * s.inner, lanes, T(0)) - column.shift) *
             (s.weight ? s.weight[i] : T(1));
  for (int64_t j = 0; j < lanes; ++j) {
    const int64_t t = s.target[r + j];
    T value = T(0);
    if (t != s.ignore_index)
      value = class_loss<T>(s, t, x[t * s.inner + j], column.shift[j], log_sum[j], sum[j]);
    normalizer[2 * (r + j)] = column.shift[j];
    normalizer[2 * (r + j) + 1] = log_sum[j];
    record_loss<T>(s, r + j, value, loss, sums);
  }
}

// The gradient of a row: softmax * all - every * w, and at the target - one more.
template <class T>
struct Slope {
  T all, every, one;
};
template <class T>
DLCORE_INLINE Slope<T> slope_of(const ClassLoss<T>& s, int64_t t, T g) {
  if (t == s.ignore_index) return {T(0), T(0), T(0)};
  const T one = g * (T(1) - s.smoothing) * (s.weight ? s.weight[t] : T(1));
  const T every = g * s.smoothing / static_cast<T>(s.n);
  return {one + every * s.weight_sum, every, one};
}

template <class T>
DLCORE_INLINE void row_backward(const T* x, T shift, T log_sum, Slope<T> g, const T* weight, T* dx,
                                int64_t n, bool past_caches) {
  const auto softmax = [=](Vec<T> v) { return exp_up_to_40<T>((v - shift) - log_sum); };
  if (g.every == T(0))
    map_unfenced<T>(dx, n, past_caches, [=](Vec<T> v) { return softmax(v) * g.all; }, Each<T>{x});
  else if (!weight)
    map_unfenced<T>(
        dx, n, past_caches, [=](Vec<T> v) { return softmax(v) * g.all - g.every; }, Each<T>{x});
  else
    map_unfenced<T>(
        dx, n, past_caches, [=](Vec<T> v, Vec<T> w) { return softmax(v) * g.all - g.every * w; },
        Each<T>{x}, Each<T>{weight});
}

// Around the target's line of 64 bytes, which is stored by way of the caches to be corrected.
template <class T>
DLCORE_INLINE void row_backward_streamed(const T* x, T shift, T log_sum, Slope<T> g,
                                         const T* weight, T* dx, int64_t n, int64_t t) {
  const int64_t into_line = static_cast<int64_t>(reinterpret_cast<uintptr_t>(dx + t) & 63) /
                            static_cast<int64_t>(sizeof(T));
  const int64_t from = larger(0, t - into_line);
  const int64_t to = smaller(n, t - into_line + 64 / static_cast<int64_t>(sizeof(T)));
  const auto part = [=](int64_t begin, int64_t end, bool past_caches) {
    row_backward<T>(x + begin, shift, log_sum, g, weight ? weight + begin : nullptr, dx + begin,
                    end - begin, past_caches);
  };
  part(0, from, true);
  part(from, to, false);
  part(to, n, true);
}

template <class T>
DLCORE_INLINE void columns_backward(const T* x, int64_t lanes, const T* normalizer, const T* dy,
                                    int64_t dy_step, T scale, T* dx, const ClassLoss<T>& s,
                                    int64_t r) {
  Vec<T> shift{}, log_sum{}, all{}, every{};
  T one[kLanes<T>];
  for (int64_t j = 0; j < lanes; ++j) {
    const Slope<T> g = slope_of<T>(s, s.target[r + j], dy[(r + j) * dy_step] * scale);
    shift[j] = normalizer[2 * (r + j)];
    log_sum[j] = normalizer[2 * (r + j) + 1];
    all[j] = g.all;
    every[j] = g.every;
    one[j] = g.one;
  }
  for (int64_t i = 0; i < s.n; ++i) {
    const Vec<T> v = load_lanes<T>(x + i * s.inner, lanes, T(0));
    const Vec<T> p =
        exp_up_to_40<T>((v - shift) - log_sum) * all - every * (s.weight ? s.weight[i] : T(1));
    store_lanes<T>(dx + i * s.inner, lanes, p);
  }
  for (int64_t j = 0; j < lanes; ++j) {
    const int64_t t = s.target[r + j];
    if (t != s.ignore_index)
      dx[t * s.inner + j] -= one[j];
    else
      for (int64_t i = 0; i < s.n; ++i) dx[i * s.inner + j] = T(0);  // also where softmax is NaN
  }
}

// dx of one row, g for its loss.
template <class T>
DLCORE_INLINE void row_gradient(const T* x, const T* normalizer, T g, T* dx, const ClassLoss<T>& s,
                                int64_t r, bool past_caches) {
  const int64_t t = s.target[r];
  if (t == s.ignore_index) {
    std::memset(dx, 0, static_cast<size_t>(s.n) * sizeof(T));
    return;
  }
  const Slope<T> slope = slope_of<T>(s, t, g);
  const T shift = normalizer[2 * r], log_sum = normalizer[2 * r + 1];
  if (past_caches)
    row_backward_streamed<T>(x, shift, log_sum, slope, s.weight, dx, s.n, t);
  else
    row_backward<T>(x, shift, log_sum, slope, s.weight, dx, s.n, false);
  dx[t] -= slope.one;
}

// loss = w_t (lse - x_t); with smoothing (1 - smoothing) of it and smoothing / n times the sum of
// w (lse - x) over all classes. An ignored target's row is not read. dx, unless null, gets the
// gradient of scale times the sum of the losses, from each row while it is in cache.
template <class T>
void cross_entropy_forward(const T* x, T* loss, T* normalizer, T* dx, T scale, double* totals,
                           const ClassLoss<T>& s) {
  if (s.inner == 1) {
    const bool past_caches = dx && goes_past_caches<T>(s.outer * s.n);
    sum_chunks<2>(
        s.outer, grain_for(s.n * kExpCost), totals, [=, &s](int64_t begin, int64_t end, Sum* sums) {
          for (int64_t r = begin; r < end; ++r) {
            const T* const written = dx && !past_caches ? dx + r * s.n : nullptr;
            row_forward<T>(x + r * s.n, loss, normalizer, sums, written, s, r);
            if (dx)
              row_gradient<T>(x + r * s.n, normalizer, scale, dx + r * s.n, s, r, past_caches);
          }
          if (past_caches) stream_fence();
        });
    return;
  }
  const int64_t vectors = ceil_div(s.inner, kLanes<T>);
  const int64_t grain = grain_for(s.n * kLanes<T> * kExpCost);
  sum_chunks<2>(s.outer * vectors, grain, totals, [=, &s](int64_t begin, int64_t end, Sum* sums) {
    for (int64_t v = begin; v < end; ++v) {
      const int64_t o = v / vectors, at = v % vectors * kLanes<T>;
      const int64_t from = o * s.n * s.inner + at, r = o * s.inner + at;
      const int64_t lanes = smaller(kLanes<T>, s.inner - at);
      columns_forward<T>(x + from, lanes, loss, normalizer, sums, s, r);
      const T one = T(1);
      if (dx) columns_backward<T>(x + from, lanes, normalizer, &one, 0, scale, dx + from, s, r);
    }
  });
}

template <class T>
void cross_entropy_backward(const T* x, const T* normalizer, const T* dy, int64_t dy_step, T scale,
                            T* dx, const ClassLoss<T>& s) {
  if (s.inner == 1) {
    const bool past_caches = goes_past_caches<T>(s.outer * s.n);
    parallel_for(s.outer, grain_for(s.n * kExpCost), [=, &s](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r)
        row_gradient<T>(x + r * s.n, normalizer, dy[r * dy_step] * scale, dx + r * s.n, s, r,
                        past_caches);
      if (past_caches) stream_fence();
    });
    return;
  }
  for_columns<T>(s.outer, s.n, s.inner, [=, &s](int64_t at, int64_t lanes) {
    const int64_t matrix = s.n * s.inner;
    columns_backward<T>(x + at, lanes, normalizer, dy, dy_step, scale, dx + at, s,
                        at / matrix * s.inner + at % matrix);
  });
}

constexpr int64_t kChunk = int64_t(1) << 14;  // elements

// loss = -w_t x_t, x log-probabilities.
template <class T>
void nll_forward(const T* x, T* loss, double* totals, const ClassLoss<T>& s) {
  sum_chunks<2>(s.outer * s.inner, kChunk, totals, [=, &s](int64_t begin, int64_t end, Sum* sums) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t t = s.target[r], o = r / s.inner;
      T value = T(0);
      if (t != s.ignore_index)
        value = (s.weight ? -s.weight[t] : T(-1)) * x[(o * s.n + t) * s.inner + r - o * s.inner];
      record_loss<T>(s, r, value, loss, sums);
    }
  });
}

template <class T>
void nll_backward(const T* dy, int64_t dy_step, T scale, T* dx, const ClassLoss<T>& s) {
  const int64_t matrix = s.n * s.inner;
  parallel_for(s.outer, larger(1, kChunk / matrix), [=, &s](int64_t begin, int64_t end) {
    std::memset(dx + begin * matrix, 0, static_cast<size_t>((end - begin) * matrix) * sizeof(T));
    for (int64_t r = begin * s.inner; r < end * s.inner; ++r) {
      const int64_t t = s.target[r], o = r / s.inner;
      if (t == s.ignore_index) continue;
      dx[o * matrix + t * s.inner + r - o * s.inner] =
          dy[r * dy_step] * scale * (s.weight ? -s.weight[t] : T(-1));
    }
  });
}

}  // namespace

DLCORE_EXPORT(cross_entropy_forward)
DLCORE_EXPORT(cross_entropy_backward)
DLCORE_EXPORT(nll_forward)
DLCORE_EXPORT(nll_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
