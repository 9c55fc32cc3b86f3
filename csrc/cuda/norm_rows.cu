// Layer norm (Ba, Kiros and Hinton 2016) and RMS norm (Zhang and Sennrich 2019) of rows. x is
// (rows, cols), weight and bias (cols), mean and rstd (rows). Bound by memory: rows of up to 16384
// floats forward and 8192 backward are read once, with the gradients of the parameters.

#include "cuda/columns.h"
#include "cuda/math.h"
#include "cuda/rows.h"
#include "kernels/norm.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// Two sums that are folded together.
template <class T>
struct Pair {
  T first, second;
};
struct PlusPair {
  template <class T>
  __device__ Pair<T> operator()(Pair<T> a, Pair<T> b) const {
    return {a.first + b.first, a.second + b.second};
  }
};

template <class T>
__device__ T reciprocal_root(double variance, double eps) {
  return static_cast<T>(1.0 / ::sqrt(variance + eps));
}

template <class T>
struct Forward {
  const T *x, *residual;
  T* sum;
  const T *weight, *bias;
  T *y, *mean, *rstd;  // mean is null for RMS norm
  int64_t cols;
  double eps;

  template <int kThreads, int kWidth>
  __device__ void row(int64_t r) const {
    using Part = Pack<T, kWidth>;
    Row<T, kThreads, kWidth, 8> row(x + r * cols, cols);
    if (residual) row.add(residual + r * cols, sum + r * cols);
    const double n = static_cast<double>(cols);
    T mu = T(0);
    double variance;
    if (mean) {
      mu = row.fold(T(0), [](T v) { return v; }, Plus()) / static_cast<T>(cols);
      // What rounding left of the mean comes to light in the sum of the differences.
      Pair<T> s{T(0), T(0)};
      row.each([&](int64_t, const Part& part) {
#pragma unroll
        for (int j = 0; j < kWidth; ++j) {
          const T d = part.v[j] - mu;
          s.first += d;
          s.second += d * d;
        }
      });
      s = fold_threads<kThreads>(s, PlusPair());
      const double left = static_cast<double>(s.first) / n;
      variance = static_cast<double>(s.second) / n - left * left;
      mu = static_cast<T>(static_cast<double>(mu) + left);
    } else {
      variance = static_cast<double>(row.fold(T(0), [](T v) { return v * v; }, Plus())) / n;
    }
    const T scale = reciprocal_root<T>(variance, eps);
    if (threadIdx.x % kThreads == 0) {
      if (mean) mean[r] = mu;
      rstd[r] = scale;
    }
    T* const to = y + r * cols;
    row.each([&](int64_t at, const Part& part) {
      Part out;
#pragma unroll
      for (int j = 0; j < kWidth; ++j) out.v[j] = (part.v[j] - mu) * scale;
      if (weight) {
        const Part w = load<kWidth>(weight + at);
#pragma unroll
        for (int j = 0; j < kWidth; ++j) out.v[j] *= w.v[j];
      }
      if (bias) {
        const Part b = load<kWidth>(bias + at);
#pragma unroll
        for (int j = 0; j < kWidth; ++j) out.v[j] += b.v[j];
      }
      store(to + at, out);
    });
  }
};

template <class T>
void forward(const Forward<T>& f, int64_t rows) {
  for_rows<T>(rows, f.cols, f, f.x, f.residual, f.sum, f.weight, f.bias, f.y);
}

// y = (x - mean) rstd weight + bias, rstd = 1 / sqrt(variance + eps). weight and bias may be null.
template <class T>
void layer_norm_forward(const T* x, const T* residual, T* sum, const T* weight, const T* bias, T* y,
                        T* mean, T* rstd, int64_t rows, int64_t cols, double eps) {
  forward(Forward<T>{x, residual, sum, weight, bias, y, mean, rstd, cols, eps}, rows);
}

// y = x rstd weight, rstd = 1 / sqrt(mean of x^2 + eps).
template <class T>
void rms_norm_forward(const T* x, const T* residual, T* sum, const T* weight, T* y, T* rstd,
                      int64_t rows, int64_t cols, double eps) {
  forward(Forward<T>{x, residual, sum, weight, nullptr, y, nullptr, rstd, cols, eps}, rows);
}

// -- backward --

template <class T>
struct Rows {
  const T *x, *dy, *weight, *mean, *rstd;  // mean is null for RMS norm
  T* dx;
  int64_t rows, cols;
};

// With g = dy weight and h = (x - mean) rstd: dx = rstd (g - mean(g) - h mean(g h)); without
// mean(g) for RMS norm. A thread has the same columns of every row that its warp or block walks
// through: `partial`, unless null, gets the walker's sums of dy h and of dy, (walkers, 2, cols).
template <class T, int kThreads, int kWidth, int kHeld>
__global__ void __launch_bounds__(kThreads == kWarp ? kBlock : kThreads, 1)
    backward_kernel(Rows<T> p, T* partial) {
  using Part = Pack<T, kWidth>;
  constexpr int kRows = kThreads == kWarp ? kBlock / kWarp : 1;
  const int64_t mine = int64_t(blockIdx.x) * kRows + threadIdx.x / kThreads;
  Part dw[kHeld] = {}, db[kHeld] = {};
  for (int64_t r = mine; r < p.rows; r += int64_t(gridDim.x) * kRows) {
    const Row<T, kThreads, kWidth, kHeld> row(p.x + r * p.cols, p.cols);
    const Row<T, kThreads, kWidth, kHeld> gradient(p.dy + r * p.cols, p.cols);
    const T mu = p.mean ? p.mean[r] : T(0), scale = p.rstd[r];
    const auto weigh = [&](int64_t at, Part d) {
      if (!p.weight) return d;
      const Part w = load<kWidth>(p.weight + at);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) d.v[j] *= w.v[j];
      return d;
    };
    Pair<T> s{T(0), T(0)};
    both(row, gradient, [&](int64_t at, const Part& v, const Part& d) {
      const Part g = weigh(at, d);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) {
        s.first += g.v[j];
        s.second += g.v[j] * ((v.v[j] - mu) * scale);
      }
    });
    s = fold_threads<kThreads>(s, PlusPair());
    const T mean_g = p.mean ? s.first / static_cast<T>(p.cols) : T(0);
    const T slope = s.second / static_cast<T>(p.cols) * scale;
    T* const to = p.dx + r * p.cols;
    both(row, gradient, [&](int64_t at, const Part& v, const Part& d) {
      const Part g = weigh(at, d);
      Part out;
#pragma unroll
      for (int j = 0; j < kWidth; ++j) out.v[j] = (g.v[j] - mean_g - (v.v[j] - mu) * slope) * scale;
      store(to + at, out);
    });
    if (!partial) continue;
#pragma unroll
    for (int k = 0; k < kHeld; ++k) {
      if (row.first + k * row.kStep >= row.near) continue;
#pragma unroll
      for (int j = 0; j < kWidth; ++j) {
        dw[k].v[j] += gradient.held[k].v[j] * ((row.held[k].v[j] - mu) * scale);
        db[k].v[j] += gradient.held[k].v[j];
      }
    }
  }
  if (!partial) return;
  constexpr int kStep = kThreads * kWidth;
  const int64_t first = threadIdx.x % kThreads * kWidth;
#pragma unroll
  for (int k = 0; k < kHeld; ++k) {
    if (first + k * kStep >= p.cols) continue;
    store(partial + mine * 2 * p.cols + first + k * kStep, dw[k]);
    store(partial + (mine * 2 + 1) * p.cols + first + k * kStep, db[k]);
  }
}

// Of the blockIdx.y-th share of the rows.
template <class T>
__global__ void __launch_bounds__(kWarp* kTall)
    parameter_kernel(Rows<T> p, int64_t share, T* partial) {
  const int64_t begin = blockIdx.y * share, end = smaller(begin + share, p.rows);
  T* const to = partial + (int64_t(blockIdx.y) * 2 + blockIdx.z) * p.cols;
  sum_column(begin, end, p.cols, to, [&](int64_t r, int64_t c) {
    const T d = p.dy[r * p.cols + c];
    if (blockIdx.z == 1) return d;
    return d * ((p.x[r * p.cols + c] - (p.mean ? p.mean[r] : T(0))) * p.rstd[r]);
  });
}

constexpr int kHeld = 4;
constexpr int64_t kWalkingBlocks = 132;

template <class T, int kThreads, int kWidth>
void backward(const Rows<T>& p, T* dweight, T* dbias) {
  constexpr int kRows = kThreads == kWarp ? kBlock / kWarp : 1;
  constexpr int kSize = kThreads == kWarp ? kBlock : kThreads;
  const bool parameters = dweight || dbias;
  const auto kernel = backward_kernel<T, kThreads, kWidth, kHeld>;
  if (parameters && p.cols <= kThreads * kWidth * kHeld) {
    const int64_t blocks = smaller(ceil_div(p.rows, kRows), kWalkingBlocks);
    const Scratch<T> partial(blocks * kRows * 2 * p.cols);
    launch(kernel, Size{static_cast<unsigned>(blocks), kSize}, p, partial);
    join_columns<T, 2>(partial, blocks * kRows, p.cols, {dweight, dbias});
    return;
  }
  launch(kernel, Size{blocks_for(p.rows, kRows), kSize}, p, static_cast<T*>(nullptr));
  if (!parameters) return;
  const int64_t share = larger(64, ceil_div(p.rows, 64)), shares = ceil_div(p.rows, share);
  const Scratch<T> partial(shares * 2 * p.cols);
  launch(
      parameter_kernel<T>,
      Size{dim3(static_cast<unsigned>(ceil_div(p.cols, kWarp)), static_cast<unsigned>(shares), 2),
           dim3(kWarp, kTall)},
      p, share, partial);
  join_columns<T, 2>(partial, shares, p.cols, {dweight, dbias});
}

template <class T, int kWidth>
void backward_of_width(const Rows<T>& p, T* dweight, T* dbias) {
  if (p.cols <= kWarp * kWidth * kHeld)
    backward<T, kWarp, kWidth>(p, dweight, dbias);
  else
    backward<T, kLongRow, kWidth>(p, dweight, dbias);
}

// mean is null for RMS norm; dweight and dbias may be null.
template <class T>
void layer_norm_backward(const T* x, const T* dy, const T* weight, const T* mean, const T* rstd,
                         T* dx, T* dweight, T* dbias, int64_t rows, int64_t cols) {
  const Rows<T> p{x, dy, weight, mean, rstd, dx, rows, cols};
  if (cols % kFull<T> == 0 && aligned(x, dy, weight, dx))
    backward_of_width<T, kFull<T>>(p, dweight, dbias);
  else
    backward_of_width<T, 1>(p, dweight, dbias);
}

}  // namespace

DLCORE_CUDA_EXPORT(layer_norm_forward)
DLCORE_CUDA_EXPORT(rms_norm_forward)
DLCORE_CUDA_EXPORT(layer_norm_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
