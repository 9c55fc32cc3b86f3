// GEMM on the ordinary units, right for every shape, transposition and epilogue: what faster ways
// are compared with. Tiles of 64 x 64 results, 4 x 4 to a thread, 16 deep through shared memory;
// each result is one chain of FMAs along k, so the bits depend on nothing else.

#include "cuda/activation.h"
#include "cuda/columns.h"
#include "kernels/gemm.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int kTile = 64, kDeep = 16, kEach = 4;  // kEach * kEach results to a thread

// A tile of kTile by kDeep of a matrix with strides `along` its kTile side and `deep`, of which one
// is 1: neighbouring threads read neighbours. Zeros beyond the edges.
template <class T>
__device__ void stage(T (&to)[kDeep][kTile], const T* from, int64_t along, int64_t deep,
                      int64_t count, int64_t depth) {
  const int t = static_cast<int>(threadIdx.x);
#pragma unroll
  for (int i = 0; i < kTile * kDeep / kBlock; ++i) {
    int m, k;
    if (deep == 1) {
      k = t % kDeep;
      m = t / kDeep + i * (kBlock / kDeep);
    } else {
      m = t % kTile;
      k = t / kTile + i * (kBlock / kTile);
    }
    to[k][m] = m < count && k < depth ? from[m * along + k * deep] : T(0);
  }
}

template <class T>
__global__ void __launch_bounds__(kBlock, 2)
    gemm_kernel(Gemm<T> g, const int64_t* a_batch, const int64_t* b_batch, unsigned columns) {
  __shared__ T a_tile[kDeep][kTile], b_tile[kDeep][kTile];
  const int64_t m0 = int64_t(blockIdx.x / columns) * kTile;
  const int64_t n0 = int64_t(blockIdx.x % columns) * kTile;
  const int row = static_cast<int>(threadIdx.x) / (kTile / kEach) * kEach;
  const int col = static_cast<int>(threadIdx.x) % (kTile / kEach);  // and every 16th from there on
  for (int64_t i = blockIdx.y; i < g.batch; i += gridDim.y) {
    const T* const a = g.a + (a_batch ? a_batch[i] : 0) + m0 * g.a_row;
    const T* const b = g.b + (b_batch ? b_batch[i] : 0) + n0 * g.b_col;
    T sum[kEach][kEach] = {};
    for (int64_t k = 0; k < g.k; k += kDeep) {
      stage(a_tile, a + k * g.a_col, g.a_row, g.a_col, g.m - m0, g.k - k);
      stage(b_tile, b + k * g.b_row, g.b_col, g.b_row, g.n - n0, g.k - k);
      __syncthreads();
#pragma unroll
      for (int d = 0; d < kDeep; ++d) {
        T left[kEach], right[kEach];
#pragma unroll
        for (int r = 0; r < kEach; ++r) left[r] = a_tile[d][row + r];
#pragma unroll
        for (int c = 0; c < kEach; ++c) right[c] = b_tile[d][col + c * (kTile / kEach)];
#pragma unroll
        for (int r = 0; r < kEach; ++r)
#pragma unroll
          for (int c = 0; c < kEach; ++c) sum[r][c] = math::fma(left[r], right[c], sum[r][c]);
      }
      __syncthreads();
    }
#pragma unroll
    for (int r = 0; r < kEach; ++r)
#pragma unroll
      for (int c = 0; c < kEach; ++c) {
        const int64_t m = m0 + row + r, n = n0 + col + c * (kTile / kEach);
        if (m >= g.m || n >= g.n) continue;
        const int64_t at = (i * g.m + m) * g.c_row + n;
        T v = g.alpha * sum[r][c];
        if (g.beta != T(0)) v += g.beta * g.c[at];
        if (g.bias) v += g.bias[n];
        if (g.residual) v += g.residual[at];
        if (g.derivative) g.derivative[at] = activation_derivative(g.activation, v, g.slope);
        g.c[at] = activate(g.activation, v, g.slope);
      }
  }
}

// alpha == 0 reads neither A nor B.
template <class T>
void gemm(const Gemm<T>& given) {
  Gemm<T> g = given;
  if (g.m == 0 || g.n == 0 || g.batch == 0) return;
  if (g.alpha == T(0)) g.k = 0;
  const Uploaded<int64_t> a_batch(g.a_batch, g.batch), b_batch(g.b_batch, g.batch);
  const unsigned rows = static_cast<unsigned>(ceil_div(g.m, kTile));
  const unsigned columns = static_cast<unsigned>(ceil_div(g.n, kTile));
  launch(gemm_kernel<T>,
         Size{dim3(rows * columns, static_cast<unsigned>(smaller(g.batch, 65535))), kBlock}, g,
         a_batch, b_batch, columns);
}

// -- the gradient through linear's activation, and the bias' --

template <class T>
__device__ T slope_of(Activation activation, T kept) {
  switch (activation) {
    case Activation::none:
      return T(1);
    case Activation::relu:
      return kept > T(0) ? T(1) : T(0);
    case Activation::relu6:
      return kept > T(0) && kept != T(6) ? T(1) : T(0);
    case Activation::sigmoid:
      return kept * (T(1) - kept);
    case Activation::tanh:
      return T(1) - kept * kept;
    default:
      return kept;  // the derivative itself
  }
}

template <class T>
__global__ void __launch_bounds__(kWarp* kTall)
    linear_gradient_kernel(const T* kept, const T* dy, T* dz, T* partial, int64_t rows, int64_t n,
                           int64_t share, Activation activation) {
  const int64_t begin = blockIdx.y * share, end = smaller(begin + share, rows);
  sum_column(begin, end, n, partial + blockIdx.y * n, [&](int64_t r, int64_t c) {
    T d = dy[r * n + c];
    if (activation != Activation::none) {
      const T slope = slope_of(activation, kept[r * n + c]);
      // Not the product with 0 where the activation is flat: dy may be infinite.
      d = slope == T(0) && activation <= Activation::relu6 ? T(0) : d * slope;
      dz[r * n + c] = d;
    }
    return d;
  });
}

// dz = dy * activation'(z), db = column sums of dz. All of dy is (rows, n), rows > 0. `kept` is the
// output of relu, relu6, sigmoid and tanh, and the derivative itself for the others; unused, as dz,
// for none. dz may be dy.
template <class T>
void linear_gradient(const T* kept, const T* dy, T* dz, T* db, int64_t rows, int64_t n,
                     Activation activation) {
  if (n == 0) return;
  const int64_t share = larger(64, ceil_div(rows, 256)), shares = ceil_div(rows, share);
  const Scratch<T> partial(shares * n);
  launch(linear_gradient_kernel<T>,
         Size{dim3(static_cast<unsigned>(ceil_div(n, kWarp)), static_cast<unsigned>(shares)),
              dim3(kWarp, kTall)},
         kept, dy, dz, partial, rows, n, share, activation);
  join_columns<T, 1>(partial, shares, n, {{db}});
}

}  // namespace

DLCORE_CUDA_EXPORT(gemm)
DLCORE_CUDA_EXPORT(linear_gradient)

}  // namespace DLCORE_ISA
}  // namespace dlcore
