// What a CTC model says, by the best path. Beam search, which is scalar code on trees, stays on the
// CPU.

#include "cuda/reduce.h"
#include "kernels/ctc.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
struct Best {
  T value;
  int32_t index;
};
// NaN is the largest; of equals the first.
struct Better {
  template <class T>
  __device__ Best<T> operator()(const Best<T>& a, const Best<T>& b) const {
    const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    const bool same = a.value == b.value || (a_nan && b_nan);
    const bool first = same ? a.index < b.index : a_nan || (!b_nan && a.value > b.value);
    return first ? a : b;
  }
};

// The most probable class of each step and sample, a warp to a row.
template <class T>
__global__ void __launch_bounds__(kBlock)
    best_kernel(const T* x, int64_t rows, int64_t classes, Best<T>* best) {
  const int64_t lane = threadIdx.x % kWarp;
  for (int64_t r = grid_thread() / kWarp; r < rows; r += grid_threads() / kWarp) {
    Best<T> own{x[r * classes], 0};
    for (int64_t c = lane; c < classes; c += kWarp)
      own = Better()(own, Best<T>{x[r * classes + c], static_cast<int32_t>(c)});
    own = warp_fold(own, Better());
    if (lane == 0) best[r] = own;
  }
}

template <class T>
__global__ void __launch_bounds__(kBlock)
    collapse_kernel(const Best<T>* best, int64_t* labels, int64_t* counts, T* scores,
                    const int64_t* lengths, int64_t steps, int64_t batch, int64_t blank) {
  for (int64_t b = grid_thread(); b < batch; b += grid_threads()) {
    double score = 0;
    int64_t count = 0, before = blank;
    for (int64_t t = 0; t < lengths[b]; ++t) {
      const Best<T> own = best[t * batch + b];
      score += static_cast<double>(own.value);
      if (own.index != before && own.index != blank) labels[b * steps + count++] = own.index;
      before = own.index;
    }
    counts[b] = count;
    scores[b] = static_cast<T>(score);
  }
}

// The most probable class of each step; repeats, then blanks, are left out. NaN is the largest. The
// lengths are the host's.
template <class T>
void ctc_greedy(const T* log_probs, int64_t* labels, int64_t* counts, T* scores,
                const CtcProblem& p) {
  const int64_t rows = p.steps * p.batch;
  const Scratch<Best<T>> best(rows);
  const Uploaded<int64_t> lengths(p.input_lengths, p.batch);
  launch(best_kernel<T>, Size{blocks_for(rows, kBlock / kWarp), kBlock}, log_probs, rows, p.classes,
         best);
  launch(collapse_kernel<T>, Size{blocks_for(p.batch, kBlock), kBlock}, best, labels, counts,
         scores, lengths, p.steps, p.batch, p.blank);
}

}  // namespace

DLCORE_CUDA_EXPORT(ctc_greedy)

}  // namespace DLCORE_ISA
}  // namespace dlcore
