// Additive scores, whose backward makes tanh again instead of keeping it, and rotary positions.
// Scores are bound by tanh; rotation by memory.

#include "cuda/columns.h"
#include "cuda/each.h"
#include "cuda/math.h"
#include "cuda/reduce.h"
#include "kernels/attention.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// A warp to a score.
template <class T>
__global__ void __launch_bounds__(kBlock)
    scores_kernel(const T* q, const T* k, const T* w, T* s, AdditiveSizes p) {
  const int64_t lane = threadIdx.x % kWarp, all = p.batch * p.queries * p.keys;
  for (int64_t at = grid_thread() / kWarp; at < all; at += grid_threads() / kWarp) {
    const int64_t i = at / p.keys, j = i / p.queries * p.keys + at % p.keys;
    T sum = T(0);
    for (int64_t e = lane; e < p.depth; e += kWarp)
      sum += w[e] * math::tanh(q[i * p.depth + e] + k[j * p.depth + e]);
    sum = warp_fold(sum, Plus());
    if (lane == 0) s[at] = sum;
  }
}

template <class T>
void additive_scores_forward(const T* q, const T* k, const T* w, T* s, const AdditiveSizes& p) {
  launch(scores_kernel<T>, Size{blocks_for(p.batch * p.queries * p.keys, kBlock / kWarp), kBlock},
         q, k, w, s, p);
}

// One side's rows and those on the other; ds of row i and other j lies at i * ds_row + j * ds_other
// in its matrix.
struct Side {
  int64_t batch, rows, others, depth, ds_row, ds_other;
};

// da = sum over the others b of ds w (1 - t^2), and dw, unless null, = sum of ds t.
template <class T>
__global__ void __launch_bounds__(kBlock)
    side_kernel(const T* a, const T* b, const T* w, const T* ds, T* da, T* dw, Side s) {
  for (int64_t at = grid_thread(); at < s.batch * s.rows * s.depth; at += grid_threads()) {
    const int64_t i = at / s.depth, e = at - i * s.depth, n = i / s.rows;
    const T* const other = b + n * s.others * s.depth + e;
    const T* const d = ds + n * s.rows * s.others + i % s.rows * s.ds_row;
    const T own = a[at];
    T slope = T(0), sum = T(0);
    for (int64_t j = 0; j < s.others; ++j) {
      const T t = math::tanh(own + other[j * s.depth]), factor = d[j * s.ds_other];
      slope += factor * (T(1) - t * t);
      sum += factor * t;
    }
    da[at] = slope * w[e];
    if (dw) dw[at] = sum;
  }
}

template <class T>
void launch_side(const T* a, const T* b, const T* w, const T* ds, T* da, T* dw, const Side& s) {
  launch(side_kernel<T>, Size{blocks_for(s.batch * s.rows * s.depth, kBlock), kBlock}, a, b, w, ds,
         da, dw, s);
}

template <class T>
void additive_scores_backward(const T* q, const T* k, const T* w, const T* ds, T* dq, T* dk, T* dw,
                              const AdditiveSizes& p) {
  const int64_t rows = p.batch * p.queries;
  const Scratch<T> each(rows * p.depth);
  launch_side<T>(q, k, w, ds, dq, each, {p.batch, p.queries, p.keys, p.depth, p.keys, 1});
  launch_side<T>(k, q, w, ds, dk, nullptr, {p.batch, p.keys, p.queries, p.depth, 1, p.keys});
  join_columns<T, 1>(each, rows, p.depth, {{dw}});
}

template <class T>
struct Rotated {
  const T *x, *cos, *sin;
  T* y;
  int64_t rows, half;
  bool interleaved;
  T sign;

  template <class Index>
  __device__ void at(Index i) const {
    const Index pairs = static_cast<Index>(half), row = i / pairs, e = i - row * pairs;
    const Index table = row % static_cast<Index>(rows) * pairs + e;
    const int64_t first = 2 * int64_t(row) * half + (interleaved ? 2 * e : e);
    const int64_t second = first + (interleaved ? 1 : half);
    const T a = x[first], b = x[second], turn = sin[table] * sign, stay = cos[table];
    y[first] = a * stay - b * turn;
    y[second] = b * stay + a * turn;
  }
};

// y may be x.
template <class T>
void rotary(const T* x, const T* cos, const T* sin, T* y, int64_t outer, int64_t rows, int64_t half,
            bool interleaved, bool back) {
  each(outer * rows * half, rows * half,
       Rotated<T>{x, cos, sin, y, rows, half, interleaved, back ? T(-1) : T(1)});
}

}  // namespace

DLCORE_CUDA_EXPORT(additive_scores_forward)
DLCORE_CUDA_EXPORT(additive_scores_backward)
DLCORE_CUDA_EXPORT(rotary)

}  // namespace DLCORE_ISA
}  // namespace dlcore
