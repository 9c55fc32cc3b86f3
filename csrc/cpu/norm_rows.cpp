// Layer norm (Ba, Kiros and Hinton 2016) and RMS norm (Zhang and Sennrich 2019) of rows. x is
// (rows, cols), weight and bias (cols), mean and rstd (rows). Bound by memory: forward reads x and
// writes y, backward reads x and dy and writes dx; a row is in cache for every pass but the first.

#include "cpu/norm.h"
#include "kernels/norm.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// Asks for the row after the next, a line with every load: a row's lines at once, as many as a core
// may wait for, hold up its reads (8192 rows of 768: layer norm 1.09 to 1.05 ms, RMS norm, which
// asked for nothing, 1.25 to 1.10).
template <class T>
struct RowAhead {
  const T* row;
  int64_t cols;
  DLCORE_INLINE_MEMBER void operator()(int64_t, int64_t) const {}
  DLCORE_INLINE_MEMBER void line(int64_t i) const { __builtin_prefetch(row + 2 * cols + i); }
};

template <class T>
DLCORE_INLINE double mean_square(const T* x, int64_t n) {
  double total = 0;
  for_blocks<T>(1, 0, n, [&](int64_t at, int64_t, int64_t cols) {
    Sums<T, 1> sums;
    sums.add(cols, [=](int64_t i, int64_t lanes, Vec<T>* sum) {
      RowAhead<T>{x, n}.line(at + i);
      const Vec<T> v = load_lanes(x + at + i, lanes);
      sum[0] += v * v;
    });
    total += sums.total(0);
  });
  return total / static_cast<double>(n);
}

template <class T>
DLCORE_INLINE void write_normalized(const T* x, const T* weight, const T* bias, T mean, T rstd,
                                    bool past_caches, T* y, int64_t n) {
  write_row<T>(y, n, past_caches, [=](int64_t i, int64_t lanes) {
    Vec<T> v = (load_lanes(x + i, lanes) - mean) * rstd;
    if (weight) v *= load_lanes(weight + i, lanes);
    if (bias) v += load_lanes(bias + i, lanes);
    return v;
  });
}

// The row to normalize: that of x, or of x + residual, which stays in cache.
template <class T>
DLCORE_INLINE const T* added_row(const T* x, const T* residual, T* sum, int64_t at, int64_t cols) {
  if (!residual) return x + at;
  map_unfenced<T>(
      sum + at, cols, false, [](Vec<T> a, Vec<T> b) { return a + b; }, Each<T>{x + at},
      Each<T>{residual + at});
  return sum + at;
}

// y = (x - mean) rstd weight + bias, rstd = 1 / sqrt(variance + eps). weight and bias may be null.
template <class T>
void layer_norm_forward(const T* x, const T* residual, T* sum, const T* weight, const T* bias, T* y,
                        T* mean, T* rstd, int64_t rows, int64_t cols, double eps) {
  const bool past_caches = goes_past_caches<T>(rows * cols);
  parallel_for(rows, grain_for(4 * cols), [=](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T* const row = added_row(x, residual, sum, r * cols, cols);
      const Moments m = moments<T>(row, 1, 0, cols, RowAhead<T>{x + r * cols, cols});
      mean[r] = static_cast<T>(m.mean);
      rstd[r] = reciprocal_root<T>(m.variance(), eps);
      write_normalized(row, weight, bias, mean[r], rstd[r], past_caches, y + r * cols, cols);
    }
    if (past_caches) stream_fence();
  });
}

// y = x rstd weight, rstd = 1 / sqrt(mean of x^2 + eps).
template <class T>
void rms_norm_forward(const T* x, const T* residual, T* sum, const T* weight, T* y, T* rstd,
                      int64_t rows, int64_t cols, double eps) {
  const bool past_caches = goes_past_caches<T>(rows * cols);
  parallel_for(rows, grain_for(3 * cols), [=](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T* const row = added_row(x, residual, sum, r * cols, cols);
      rstd[r] = reciprocal_root<T>(mean_square(row, cols), eps);
      write_normalized<T>(row, weight, nullptr, T(0), rstd[r], past_caches, y + r * cols, cols);
    }
    if (past_caches) stream_fence();
  });
}

// What backward is given. mean is null for RMS norm.
template <class T>
struct Rows {
  const T *x, *dy, *weight, *mean, *rstd;
  T* dx;
  int64_t cols;
  bool past_caches;
};

// dx of kRows rows from `row` on, while the lines of the next as many come: those of dy in the
// first pass, those of x in the second, so that memory has work in both (260 to 180 ns for a row of
// 768). With g = dy weight and h = (x - mean) rstd: dx = rstd (g - mean(g) - h mean(g h)); without
// mean(g) for RMS norm. dy h and dy are added to dweight and dbias when kParameters.
template <class T, int kRows, bool kParameters>
DLCORE_INLINE void backward_rows(const Rows<T>& p, int64_t row, T* dweight, T* dbias) {
  const int64_t cols = p.cols;
  const T *x = p.x + row * cols, *dy = p.dy + row * cols;
  T mean[kRows], rstd[kRows];
  double sum_g[kRows] = {}, sum_gh[kRows] = {};
  for (int r = 0; r < kRows; ++r) {
    mean[r] = p.mean ? p.mean[row + r] : T(0);
    rstd[r] = p.rstd[row + r];
  }
  for (int64_t begin = 0; begin < cols; begin += kBlock<T>) {
    const int64_t end = smaller(begin + kBlock<T>, cols);
    Vec<T> g_sum[kRows] = {}, gh_sum[kRows] = {};
    const auto step = [&](int64_t i, int64_t lanes) {
      const Vec<T> w = p.weight ? load_lanes(p.weight + i, lanes) : splat<T>(T(1));
      Vec<T> dw{}, db{};
      for (int r = 0; r < kRows; ++r) {
        __builtin_prefetch(dy + (r + kRows) * cols + i);
        const Vec<T> d = load_lanes(dy + r * cols + i, lanes);
        const Vec<T> h = (load_lanes(x + r * cols + i, lanes, mean[r]) - mean[r]) * rstd[r];
        g_sum[r] += d * w;
        gh_sum[r] += d * w * h;
        dw += d * h;
        db += d;
      }
      if constexpr (kParameters) {
        store_lanes<T>(dweight + i, lanes, load_lanes(dweight + i, lanes) + dw);
        store_lanes<T>(dbias + i, lanes, load_lanes(dbias + i, lanes) + db);
      }
    };
    int64_t i = begin;
    for (; i + kLanes<T> <= end; i += kLanes<T>) step(i, kLanes<T>);
    if (i < end) step(i, end - i);
    for (int r = 0; r < kRows; ++r) {
      sum_g[r] += static_cast<double>(hsum<T>(g_sum[r]));
      sum_gh[r] += static_cast<double>(hsum<T>(gh_sum[r]));
    }
  }
  for (int r = 0; r < kRows; ++r) {
    const T mean_g = p.mean ? static_cast<T>(sum_g[r] / static_cast<double>(cols)) : T(0);
    const T slope = static_cast<T>(sum_gh[r] / static_cast<double>(cols)) * rstd[r];
    const T *x_row = x + r * cols, *dy_row = dy + r * cols, *weight = p.weight;
    const T mu = mean[r], scale = rstd[r];
    write_row<T>(p.dx + (row + r) * cols, cols, p.past_caches, [=](int64_t i, int64_t lanes) {
      __builtin_prefetch(x_row + kRows * cols + i);
      Vec<T> g = load_lanes(dy_row + i, lanes);
      if (weight) g *= load_lanes(weight + i, lanes);
      return (g - mean_g - (load_lanes(x_row + i, lanes) - mu) * slope) * scale;
    });
  }
}

template <class T, bool kParameters>
DLCORE_INLINE void backward_range(const Rows<T>& p, int64_t begin, int64_t end, T* dweight,
                                  T* dbias) {
  int64_t r = begin;
  for (; r + 2 <= end; r += 2) backward_rows<T, 2, kParameters>(p, r, dweight, dbias);
  for (; r < end; ++r) backward_rows<T, 1, kParameters>(p, r, dweight, dbias);
  if (p.past_caches) stream_fence();
}

// dweight and dbias down the columns; either may be null.
template <class T>
DLCORE_INLINE void parameter_gradients(const Rows<T>& p, int64_t rows, T* dweight, T* dbias) {
  parallel_for(p.cols, map_grain(p.cols, 2 * rows), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += kLanes<T>) {
      const int64_t lanes = smaller(kLanes<T>, end - i);
      Vec<T> dw{}, db{};
      for (int64_t r = 0; r < rows; ++r) {
        const Vec<T> d = load_lanes(p.dy + r * p.cols + i, lanes);
        dw += d *
              ((load_lanes(p.x + r * p.cols + i, lanes) - (p.mean ? p.mean[r] : T(0))) * p.rstd[r]);
        db += d;
      }
      if (dweight) store_lanes<T>(dweight + i, lanes, dw);
      if (dbias) store_lanes<T>(dbias + i, lanes, db);
    }
  });
}

// Rows of a chunk: each chunk has its own sums for dweight and dbias, at most 64 in all and at most
// an eighth of x.
constexpr int64_t kChunks = 64, kFewRows = 32;

template <class T>
DLCORE_INLINE void backward_with_partials(const Rows<T>& p, int64_t rows, T* dweight, T* dbias) {
  const int64_t cols = p.cols, width = round_up(cols, 64);
  const int64_t grain = larger(larger(kFewRows / 2, ceil_div(rows, kChunks)), grain_for(8 * cols));
  const int64_t chunks = ceil_div(rows, grain);
  T* sums = static_cast<T*>(buffer_acquire(static_cast<size_t>(2 * chunks * width) * sizeof(T)));
  parallel_for(rows, grain, [=, &p](int64_t begin, int64_t end) {
    T* mine = sums + begin / grain * 2 * width;
    memset(mine, 0, static_cast<size_t>(2 * width) * sizeof(T));
    backward_range<T, true>(p, begin, end, mine, mine + width);
  });
  parallel_for(cols, map_grain(cols, 2 * chunks), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += kLanes<T>) {
      const int64_t lanes = smaller(kLanes<T>, end - i);
      Vec<T> dw{}, db{};
      for (int64_t c = 0; c < chunks; ++c) {
        dw += load<T>(sums + c * 2 * width + i);
        db += load<T>(sums + (c * 2 + 1) * width + i);
      }
      if (dweight) store_lanes<T>(dweight + i, lanes, dw);
      if (dbias) store_lanes<T>(dbias + i, lanes, db);
    }
  });
  buffer_release(sums);
}

// mean is null for RMS norm; dweight and dbias may be null.
template <class T>
void layer_norm_backward(const T* x, const T* dy, const T* weight, const T* mean, const T* rstd,
                         T* dx, T* dweight, T* dbias, int64_t rows, int64_t cols) {
  const Rows<T> p{x, dy, weight, mean, rstd, dx, cols, goes_past_caches<T>(rows * cols)};
  if ((dweight || dbias) && rows >= kFewRows)
    return backward_with_partials(p, rows, dweight, dbias);
  parallel_for(rows, grain_for(8 * cols), [=, &p](int64_t begin, int64_t end) {
    backward_range<T, false>(p, begin, end, nullptr, nullptr);
  });
  if (dweight || dbias) parameter_gradients(p, rows, dweight, dbias);
}

}  // namespace

DLCORE_EXPORT(layer_norm_forward)
DLCORE_EXPORT(rms_norm_forward)
DLCORE_EXPORT(layer_norm_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
