// Softmax and log-softmax along one axis, forward and backward. x is (outer, n, inner).
//
// Rows (inner == 1): a block of a row is read once from memory and stays in L1 for its maximum and
// its exponentials; these wait in y (or in scratch, when y goes past the caches) for the scale.
// Columns (inner > 1): lanes run along inner, so that nothing is transposed.
// Bound by memory with the rows in cache, by exp (about 7 cycles a vector) before.

#include "cpu/softmax.h"

#include "kernels/softmax.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// A row of blocks: `kept` (y itself or scratch) holds exp(x - shift of its block).
template <class T>
DLCORE_INLINE void softmax_row(const T* x, T* kept, T* y, int64_t n, bool past_caches, T* shifts) {
  const int64_t ahead = row_ahead<T>(n);
  const Running<T> row = running_row<T>(x, n, shifts, [=](int64_t i, int64_t lanes, Vec<T> e) {
    if (!past_caches) __builtin_prefetch(y + i + ahead, 1);
    store_lanes<T>(kept + i, lanes, e);
  });
  const T sum = row.sum[0];
  const Vec<T> inverse = splat<T>(sum == T(0) ? T(0) : T(1) / sum);
  const Vec<T> shift = finite_shift<T>(row.top);
  for (int64_t i = 0, b = 0; i < n; i += kRowBlock<T>, ++b) {
    Vec<T> scale = inverse;
    const T below = shifts[b] - shift[0];  // > 0 for a block of -inf only
    if (below < T(0)) scale *= exp<T>(splat<T>(below));
    map_unfenced<T>(
        y + i, smaller(kRowBlock<T>, n - i), past_caches, [=](Vec<T> e) { return e * scale; },
        Each<T>{kept + i});
  }
}

template <class T>
void softmax_rows(const T* x, T* y, int64_t rows, int64_t n) {
  const bool past_caches = y != x && goes_past_caches<T>(rows * n);
  parallel_for(rows, grain_for(n * kExpCost), [=](int64_t begin, int64_t end) {
    constexpr int64_t kFewBlocks = 16;
    const int64_t blocks = ceil_div(n, kRowBlock<T>);
    const int64_t kept = past_caches ? round_up(n, kLanes<T>) : 0;
    T few[kFewBlocks], *scratch = nullptr, *shifts = few;
    if (kept || blocks > kFewBlocks) {
      scratch = static_cast<T*>(buffer_acquire(static_cast<size_t>(kept + blocks) * sizeof(T)));
      shifts = scratch + kept;
    }
    for (int64_t r = begin; r < end; ++r)
      softmax_row<T>(x + r * n, past_caches ? scratch : y + r * n, y + r * n, n, past_caches,
                     shifts);
    if (past_caches) stream_fence();
    buffer_release(scratch);
  });
}

// y = exp(x - max) / sum exp(x - max).  y may be x.  A row of -inf only gives zeros; one with NaN
// or +inf gives NaN.
template <class T>
void softmax_forward(const T* x, T* y, int64_t outer, int64_t n, int64_t inner) {
  if (inner == 1) {
    softmax_rows<T>(x, y, outer, n);
    return;
  }
  for_columns<T>(outer, n, inner, [=](int64_t at, int64_t lanes) {
    T* const to = y + at;
    const Column<T> column = running_column<T>(x + at, n, inner, lanes, [=](int64_t i, Vec<T> e) {
      store_lanes<T>(to + i * inner, lanes, e);
    });
    const Vec<T> scale = column.sum == T(0) ? Vec<T>{} : T(1) / column.sum;
    for (int64_t i = 0; i < n; ++i)
      store_lanes<T>(to + i * inner, lanes, load_lanes<T>(to + i * inner, lanes, T(0)) * scale);
  });
}

// y = (x - max) - log(sum exp(x - max)).  y may be x.  A row of -inf only gives -inf.
template <class T>
void log_softmax_forward(const T* x, T* y, int64_t outer, int64_t n, int64_t inner) {
  if (inner == 1) {
    const bool past_caches = y != x && goes_past_caches<T>(outer * n);
    parallel_for(outer, grain_for(n * kExpCost), [=](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        T* const to = y + r * n;
        const Running<T> row =
            running_row<T>(x + r * n, n, nullptr, [=](int64_t i, int64_t, Vec<T>) {
              if (!past_caches) __builtin_prefetch(to + i, 1);
            });
        const Vec<T> shift = finite_shift<T>(row.top), log_sum = row.log_sum();
        map_unfenced<T>(
            to, n, past_caches, [=](Vec<T> v) { return (v - shift) - log_sum; },
            Each<T>{x + r * n});
      }
      if (past_caches) stream_fence();
    });
    return;
  }
  for_columns<T>(outer, n, inner, [=](int64_t at, int64_t lanes) {
    const Column<T> column = running_column<T>(x + at, n, inner, lanes, [](int64_t, Vec<T>) {});
    const Vec<T> log_sum = column.sum == T(0) ? Vec<T>{} : log<T>(column.sum);
    for (int64_t i = at; i < at + n * inner; i += inner)
      store_lanes<T>(y + i, lanes, (load_lanes<T>(x + i, lanes, T(0)) - column.shift) - log_sum);
  });
}

// dx = finish(y, dy, sum of term(y, dy)).
template <class T, class Term, class Finish>
DLCORE_INLINE void backward(const T* y, const T* dy, T* dx, int64_t outer, int64_t n, int64_t inner,
                            const Term& term, const Finish& finish) {
  if (inner == 1) {
    const bool past_caches = dx != dy && goes_past_caches<T>(outer * n);
    const int64_t ahead = row_ahead<T>(n);
    parallel_for(outer, grain_for(n * kExpCost), [=](int64_t begin, int64_t end) {
      for (int64_t r = begin * n; r < end * n; r += n) {
        const auto value = [=](int64_t i, int64_t lanes) {
          __builtin_prefetch(y + r + i + ahead);
          __builtin_prefetch(dy + r + i + ahead);
          if (!past_caches) __builtin_prefetch(dx + r + i, 1);
          return term(load_lanes<T>(y + r + i, lanes, T(0)),
                      load_lanes<T>(dy + r + i, lanes, T(0)));
        };
        const Vec<T> sum =
            sum_all<T>(fold_row<T>(n, Vec<T>{}, value, [](Vec<T> a, Vec<T> v) { return a + v; }));
        map_unfenced<T>(
            dx + r, n, past_caches, [=](Vec<T> a, Vec<T> da) { return finish(a, da, sum); },
            Each<T>{y + r}, Each<T>{dy + r});
      }
      if (past_caches) stream_fence();
    });
    return;
  }
  for_columns<T>(outer, n, inner, [=](int64_t at, int64_t lanes) {
    Vec<T> sum{};
    for (int64_t i = at; i < at + n * inner; i += inner)
      sum += term(load_lanes<T>(y + i, lanes, T(0)), load_lanes<T>(dy + i, lanes, T(0)));
    for (int64_t i = at; i < at + n * inner; i += inner)
      store_lanes<T>(
          dx + i, lanes,
          finish(load_lanes<T>(y + i, lanes, T(0)), load_lanes<T>(dy + i, lanes, T(0)), sum));
  });
}

// dx = y (dy - sum(dy y)).  Needs the output only. dx may be dy.
template <class T>
void softmax_backward(const T* y, const T* dy, T* dx, int64_t outer, int64_t n, int64_t inner) {
  backward<T>(
      y, dy, dx, outer, n, inner, [](Vec<T> a, Vec<T> da) { return a * da; },
      [](Vec<T> a, Vec<T> da, Vec<T> sum) { return a * (da - sum); });
}

// dx = dy - exp(y) sum(dy).  dx may be dy.
template <class T>
void log_softmax_backward(const T* y, const T* dy, T* dx, int64_t outer, int64_t n, int64_t inner) {
  backward<T>(
      y, dy, dx, outer, n, inner, [](Vec<T>, Vec<T> da) { return da; },
      [](Vec<T> a, Vec<T> da, Vec<T> sum) { return da - exp_up_to_40<T>(a) * sum; });
}

}  // namespace

DLCORE_EXPORT(softmax_forward)
DLCORE_EXPORT(softmax_backward)
DLCORE_EXPORT(log_softmax_forward)
DLCORE_EXPORT(log_softmax_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
