// Cumulative sums and products, in double, as scans of what an element adds to those before it.
// Rows are scanned by blocks, long ones of which there are few in pieces: the pieces' totals, what
// stands before each, then the pieces. Columns are walked down by one thread each.

#include "cuda/reduce.h"
#include "kernels/scan.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int kEach = 4;  // neighbouring elements of a thread
constexpr int64_t kStep = int64_t(kBlock) * kEach;

// A scan: value(place, i) of the i-th element, join(earlier, later), put(place, i, value). `from`
// (line, i) is its place.

// The join over the threads before this one, in order, `start` for the first; `all` gets that of
// the block.
template <class Scan, class V>
__device__ V joined_before(V v, V start, V& all) {
  __shared__ V joined[2][kBlock];
  const unsigned t = threadIdx.x;
  int now = 0;
  __syncthreads();
  joined[0][t] = v;
  __syncthreads();
  for (unsigned step = 1; step < kBlock; step *= 2, now ^= 1) {
    const V own = joined[now][t];
    joined[now ^ 1][t] = t >= step ? Scan::join(joined[now][t - step], own) : own;
    __syncthreads();
  }
  all = Scan::join(start, joined[now][kBlock - 1]);
  return t ? Scan::join(start, joined[now][t - 1]) : start;
}

// Elements [begin, end) of a line after `start`; the join of all of them.
template <bool kPut, class Scan, class V = typename Scan::Value>
__device__ V scan_piece(const Scan& s, int64_t line, int64_t begin, int64_t end, V start) {
  for (int64_t from = begin; from < end; from += kStep) {
    V own[kEach], sum = Scan::none();
    const int64_t first = from + int64_t(threadIdx.x) * kEach;
#pragma unroll
    for (int j = 0; j < kEach; ++j) {
      own[j] = first + j < end ? s.value(line, first + j) : Scan::none();
      sum = Scan::join(sum, own[j]);
    }
    V all, before = joined_before<Scan>(sum, start, all);
    start = all;
    if constexpr (kPut) {
#pragma unroll
      for (int j = 0; j < kEach; ++j) {
        before = Scan::join(before, own[j]);
        if (first + j < end) s.put(line, first + j, before);
      }
    }
  }
  return start;
}

// totals (lines, pieces), null for one piece.
template <bool kPut, class Scan>
__global__ void __launch_bounds__(kBlock, 3)
    scan_rows_kernel(Scan s, int64_t lines, int64_t pieces, typename Scan::Value* totals) {
  const int64_t share = ceil_div(s.n, pieces);
  for (int64_t item = blockIdx.x; item < lines * pieces; item += gridDim.x) {
    const int64_t line = item / pieces, begin = item % pieces * share;
    const auto start = kPut && totals ? totals[item] : Scan::none();
    const auto all = scan_piece<kPut>(s, line, begin, smaller(begin + share, s.n), start);
    if (!kPut && threadIdx.x == 0) totals[item] = all;
  }
}

template <class Scan>
__global__ void __launch_bounds__(kBlock)
    before_kernel(int64_t lines, int64_t pieces, typename Scan::Value* totals) {
  for (int64_t line = grid_thread(); line < lines; line += grid_threads()) {
    auto before = Scan::none();
    for (int64_t p = line * pieces; p < (line + 1) * pieces; ++p) {
      const auto own = totals[p];
      totals[p] = before;
      before = Scan::join(before, own);
    }
  }
}

template <class Scan>
__global__ void __launch_bounds__(kBlock) scan_columns_kernel(Scan s, int64_t lines) {
  for (int64_t line = grid_thread(); line < lines; line += grid_threads()) {
    auto sum = Scan::none();
    for (int64_t i = 0; i < s.n; ++i) {
      sum = Scan::join(sum, s.value(line, i));
      s.put(line, i, sum);
    }
  }
}

template <class Scan>
void scan(const Scan& s, int64_t lines) {
  using V = typename Scan::Value;
  if (s.inner > 1 || s.n <= 16) {
    launch(scan_columns_kernel<Scan>, Size{blocks_for(lines, kBlock), kBlock}, s, lines);
    return;
  }
  const int64_t pieces = smaller(ceil_div(s.n, 8 * kStep), larger(1, 1024 / lines));
  const Size size{blocks_for(lines * pieces, 1), kBlock};
  if (pieces == 1) {
    launch(scan_rows_kernel<true, Scan>, size, s, lines, pieces, static_cast<V*>(nullptr));
    return;
  }
  const Scratch<V> totals(lines * pieces);
  launch(scan_rows_kernel<false, Scan>, size, s, lines, pieces, totals);
  launch(before_kernel<Scan>, Size{blocks_for(lines, kBlock), kBlock}, lines, pieces, totals);
  launch(scan_rows_kernel<true, Scan>, size, s, lines, pieces, totals);
}

// Lines of n elements, `inner` apart, walked from either end.
struct Lines {
  int64_t n, inner;
  bool reversed;
  __device__ int64_t place(int64_t line, int64_t i) const {
    return (line / inner * n + (reversed ? n - 1 - i : i)) * inner + line % inner;
  }
};

template <class T>
struct SumScan : Lines {
  using Value = double;
  const T* x;
  T* y;
  __device__ static double none() { return 0; }
  __device__ static double join(double a, double b) { return a + b; }
  __device__ double value(int64_t line, int64_t i) const { return x[place(line, i)]; }
  __device__ void put(int64_t line, int64_t i, double v) const {
    y[place(line, i)] = static_cast<T>(v);
  }
};

// y may be x: a thread reads its elements before it writes them.
template <class T>
void cumsum(const T* x, T* y, int64_t outer, int64_t n, int64_t inner, bool reversed) {
  if (outer * n * inner == 0) return;
  scan(SumScan<T>{{n, inner, reversed}, x, y}, outer * inner);
}

template <class T>
struct ProductScan : SumScan<T> {
  __device__ static double none() { return 1; }
  __device__ static double join(double a, double b) { return a * b; }
};

template <class T>
void cumprod_forward(const T* x, T* y, int64_t outer, int64_t n, int64_t inner) {
  if (outer * n * inner == 0) return;
  scan(ProductScan<T>{{{n, inner, false}, x, y}}, outer * inner);
}

// dx[i] = y[i - 1] s[i], s[i] = dy[i] + x[i + 1] s[i + 1]: no division, so that zeros do no harm.
// From the end on, s goes to b + a s with each element; before the first there is no s.
template <class T>
struct SlopeScan : Lines {
  struct Value {
    double a, b;
    bool some;
  };
  const T *x, *y, *dy;
  T* dx;
  __device__ static Value none() { return {1, 0, false}; }
  __device__ static Value join(const Value& before, const Value& v) {
    if (!before.some) return v;
    if (!v.some) return before;
    return {before.a * v.a, v.b + v.a * before.b, true};
  }
  __device__ Value value(int64_t line, int64_t i) const {
    const int64_t at = place(line, i);
    return {i ? static_cast<double>(x[at + inner]) : 0, static_cast<double>(dy[at]), true};
  }
  __device__ void put(int64_t line, int64_t i, const Value& v) const {
    const int64_t at = place(line, i);
    dx[at] = static_cast<T>(i + 1 < n ? v.b * static_cast<double>(y[at - inner]) : v.b);
  }
};

template <class T>
void cumprod_backward(const T* x, const T* y, const T* dy, T* dx, int64_t outer, int64_t n,
                      int64_t inner) {
  if (outer * n * inner == 0) return;
  scan(SlopeScan<T>{{n, inner, true}, x, y, dy, dx}, outer * inner);
}

}  // namespace

DLCORE_CUDA_EXPORT(cumsum)
DLCORE_CUDA_EXPORT(cumprod_forward)
DLCORE_CUDA_EXPORT(cumprod_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
