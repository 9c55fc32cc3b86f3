// Reductions of y[k1, k2] over r1 and r2 of x[k1, r1, k2, r2], and the index of the largest. One
// read of x, which bounds the time. Sums carry what their additions lost. Where there are few
// results the work is cut into pieces by the shape alone, and their results joined in order: the
// same bits on every GPU.

#include "cuda/math.h"
#include "cuda/reduce.h"
#include "kernels/reduction.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// What is joined. add(acc, k, x, e): element e of result k; finish(k, acc) writes it.

enum class Term { itself, size, square };

template <class T, Term kTerm>
struct AddUp {
  struct Acc {
    T sum, lost;
  };
  T* y;
  T divisor;
  const T* shift;  // of each result, for squares; may be null

  static __device__ Acc start() { return {T(0), T(0)}; }
  static __device__ void put(Acc& acc, T v) {
    const T next = acc.sum + v, taken = next - acc.sum;
    acc.lost += (acc.sum - (next - taken)) + (v - taken);
    acc.sum = next;
  }
  __device__ void add(Acc& acc, int64_t k, T v, int64_t) const {
    if constexpr (kTerm == Term::square) {
      if (shift) v -= shift[k];
      v *= v;
    }
    put(acc, kTerm == Term::size ? math::abs(v) : v);
  }
  __device__ Acc operator()(Acc a, Acc b) const {
    put(a, b.sum);
    return {a.sum, a.lost + b.lost};
  }
  __device__ void finish(int64_t k, Acc acc) const {  // of inf, what it lost is NaN
    y[k] = (acc.lost == acc.lost ? acc.sum + acc.lost : acc.sum) / divisor;
  }
};

template <class T>
struct Multiply {
  using Acc = T;
  T* y;
  static __device__ T start() { return T(1); }
  __device__ void add(T& acc, int64_t, T v, int64_t) const { acc *= v; }
  __device__ T operator()(T a, T b) const { return a * b; }
  __device__ void finish(int64_t k, T acc) const { y[k] = acc; }
};

// NaN wins.
template <class T, bool kLargest>
struct Extreme {
  using Acc = T;
  T* y;
  static __device__ T start() { return kLargest ? -kInf<T> : kInf<T>; }
  __device__ void add(T& acc, int64_t, T v, int64_t) const { acc = (*this)(acc, v); }
  __device__ T operator()(T a, T b) const { return kLargest ? math::max(a, b) : math::min(a, b); }
  __device__ void finish(int64_t k, T acc) const { y[k] = acc; }
};

// The first of the largest; the first NaN counts as the largest.
template <class T>
struct Place {
  struct Acc {
    T best;
    int64_t at;  // -1: none yet
  };
  int64_t* y;
  T sign;
  static __device__ Acc start() { return {T(0), -1}; }
  __device__ void add(Acc& acc, int64_t, T v, int64_t e) const {
    acc = (*this)(acc, Acc{v * sign, e});
  }
  __device__ Acc operator()(Acc a, Acc b) const {
    if (a.at < 0 || b.at < 0) return a.at < 0 ? b : a;
    const bool a_is_nan = a.best != a.best, b_is_nan = b.best != b.best;
    if (a_is_nan != b_is_nan) return a_is_nan ? a : b;
    if (!a_is_nan && a.best != b.best) return a.best > b.best ? a : b;
    return a.at < b.at ? a : b;
  }
  __device__ void finish(int64_t k, Acc acc) const { y[k] = acc.at; }
};

// Results in order; those of pieces, if there are several, as (pieces, results) in `partial`.
struct Cut {
  int64_t pieces, share;
};

// kThreads threads to one piece of one result.
template <class T, class Op, int kThreads, int kWidth>
__global__ void __launch_bounds__(kBlock, 2)
    reduce_rows(const T* x, Reduction s, Cut cut, Op op, typename Op::Acc* partial) {
  constexpr int kItems = kBlock / kThreads;  // of a block
  const int64_t results = s.kept1 * s.kept2, elements = s.reduced1 * s.reduced2;
  const int64_t row = s.kept2 * s.reduced2, plane = s.reduced1 * row;
  const int64_t thread = threadIdx.x % kThreads;
  for (int64_t i = int64_t(blockIdx.x) * kItems + threadIdx.x / kThreads; i < results * cut.pieces;
       i += int64_t(gridDim.x) * kItems) {
    const int64_t k = i / cut.pieces, piece = i - k * cut.pieces;
    const int64_t begin = piece * cut.share, end = smaller(begin + cut.share, elements);
    const T* const from = x + k / s.kept2 * plane + k % s.kept2 * s.reduced2;
    typename Op::Acc acc = Op::start();
    for (int64_t e = begin + thread * kWidth; e < end; e += kThreads * kWidth) {
      const int64_t r = s.reduced1 == 1 ? 0 : e / s.reduced2;
      const Pack<T, kWidth> part = load<kWidth>(from + r * row + (e - r * s.reduced2));
#pragma unroll
      for (int j = 0; j < kWidth; ++j) op.add(acc, k, part.v[j], e + j);
    }
    acc = fold_threads<kThreads>(acc, op);
    if (thread != 0) continue;
    if (partial)
      partial[piece * results + k] = acc;
    else
      op.finish(k, acc);
  }
}

// Columns (reduced2 == 1): 32 neighbours by kTall rows.
constexpr int kTall = 8;
template <class T, class Op>
__global__ void __launch_bounds__(kBlock, 2)
    reduce_columns(const T* x, Reduction s, Cut cut, Op op, typename Op::Acc* partial) {
  using Acc = typename Op::Acc;
  __shared__ Acc held[kTall][kWarp];
  const int64_t tiles = ceil_div(s.kept2, kWarp), results = s.kept1 * s.kept2;
  for (int64_t i = blockIdx.x; i < s.kept1 * tiles * cut.pieces; i += gridDim.x) {
    const int64_t piece = i % cut.pieces, k1 = i / cut.pieces / tiles;
    const int64_t c = i / cut.pieces % tiles * kWarp + threadIdx.x, k = k1 * s.kept2 + c;
    const int64_t begin = piece * cut.share, end = smaller(begin + cut.share, s.reduced1);
    Acc acc = Op::start();
    if (c < s.kept2)
      for (int64_t r = begin + threadIdx.y; r < end; r += kTall)
        op.add(acc, k, x[(k1 * s.reduced1 + r) * s.kept2 + c], r);
    held[threadIdx.y][threadIdx.x] = acc;
    __syncthreads();
    if (threadIdx.y == 0 && c < s.kept2) {
      for (int t = 1; t < kTall; ++t) acc = op(acc, held[t][threadIdx.x]);
      if (partial)
        partial[piece * results + k] = acc;
      else
        op.finish(k, acc);
    }
    __syncthreads();
  }
}

template <class Op>
__global__ void __launch_bounds__(kBlock)
    join_pieces(const typename Op::Acc* partial, int64_t results, int64_t pieces, Op op) {
  for (int64_t k = grid_thread() / kWarp; k < results; k += grid_threads() / kWarp) {
    typename Op::Acc acc = Op::start();
    for (int64_t p = threadIdx.x % kWarp; p < pieces; p += kWarp)
      acc = op(acc, partial[p * results + k]);
    acc = warp_fold(acc, op);
    if (threadIdx.x % kWarp == 0) op.finish(k, acc);
  }
}

// Pieces of some thousands of elements, as many as make `wanted` blocks together.
Cut cut_for(int64_t elements, int64_t blocks, int64_t least) {
  constexpr int64_t kWanted = 132 * 4;
  const int64_t most = larger(1, elements / least);
  const int64_t pieces = smaller(most, larger(1, kWanted / blocks));
  const int64_t share = ceil_div(ceil_div(elements, pieces), 16) * 16;
  return {ceil_div(elements, share), share};
}

template <class T, class Op, int kThreads>
void launch_rows(const T* x, const Reduction& s, const Cut& cut, const Op& op,
                 typename Op::Acc* partial) {
  const Size size{blocks_for(s.kept1 * s.kept2 * cut.pieces, kBlock / kThreads), kBlock};
  if (s.reduced2 % kFull<T> == 0 && aligned(x))
    launch(reduce_rows<T, Op, kThreads, kFull<T>>, size, x, s, cut, op, partial);
  else
    launch(reduce_rows<T, Op, kThreads, 1>, size, x, s, cut, op, partial);
}

template <class T, class Op>
void reduce(const T* x, Reduction s, const Op& op) {
  using Acc = typename Op::Acc;
  const int64_t results = s.kept1 * s.kept2, elements = s.reduced1 * s.reduced2;
  if (results == 0) return;
  if (s.kept2 == 1) s = {1, 1, s.kept1, elements};  // contiguous
  const bool columns = s.reduced2 == 1 && s.reduced1 > 1;
  const int64_t blocks = columns ? s.kept1 * ceil_div(s.kept2, kWarp) : results;
  const Cut cut = cut_for(elements, blocks, columns ? 256 : 8192);
  const Scratch<Acc> scratch(cut.pieces > 1 ? results * cut.pieces : 1);
  Acc* const partial = cut.pieces > 1 ? static_cast<Acc*>(scratch) : nullptr;
  if (columns)
    launch(reduce_columns<T, Op>, Size{blocks_for(blocks * cut.pieces, 1), dim3(kWarp, kTall)}, x,
           s, cut, op, partial);
  else if (elements <= 1024)
    launch_rows<T, Op, kWarp>(x, s, cut, op, partial);
  else
    launch_rows<T, Op, kBlock>(x, s, cut, op, partial);
  if (partial)
    launch(join_pieces<Op>, Size{blocks_for(results, kBlock / kWarp), kBlock}, partial, results,
           cut.pieces, op);
}

// y = sum(x) / divisor.
template <class T>
void sum(const T* x, T* y, const Reduction& shape, T divisor) {
  reduce(x, shape, AddUp<T, Term::itself>{y, divisor, nullptr});
}

template <class T>
void sum_abs(const T* x, T* y, const Reduction& shape) {
  reduce(x, shape, AddUp<T, Term::size>{y, T(1), nullptr});
}

// y = sum((x - shift)^2) / divisor, one shift for each result; null for none.
template <class T>
void sum_squares(const T* x, const T* shift, T* y, const Reduction& shape, T divisor) {
  reduce(x, shape, AddUp<T, Term::square>{y, divisor, shift});
}

template <class T>
void prod(const T* x, T* y, const Reduction& shape) {
  reduce(x, shape, Multiply<T>{y});
}

template <class T>
void amax(const T* x, T* y, const Reduction& shape) {
  reduce(x, shape, Extreme<T, true>{y});
}

template <class T>
void amin(const T* x, T* y, const Reduction& shape) {
  reduce(x, shape, Extreme<T, false>{y});
}

template <class T>
void argmax(const T* x, int64_t* y, int64_t outer, int64_t n, int64_t inner) {
  reduce(x, {outer, n, inner, 1}, Place<T>{y, T(1)});
}

template <class T>
void argmin(const T* x, int64_t* y, int64_t outer, int64_t n, int64_t inner) {
  reduce(x, {outer, n, inner, 1}, Place<T>{y, T(-1)});
}

}  // namespace

DLCORE_CUDA_EXPORT(sum)
DLCORE_CUDA_EXPORT(sum_abs)
DLCORE_CUDA_EXPORT(sum_squares)
DLCORE_CUDA_EXPORT(prod)
DLCORE_CUDA_EXPORT(amax)
DLCORE_CUDA_EXPORT(amin)
DLCORE_CUDA_EXPORT(argmax)
DLCORE_CUDA_EXPORT(argmin)

}  // namespace DLCORE_ISA
}  // namespace dlcore
