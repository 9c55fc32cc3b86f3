// Soft non-maximum suppression: overlap lowers a score instead of removing the box. As many passes
// over the boxes as boxes are kept, by one block: each lowers the scores by the box just taken and
// finds the next highest. Compiled without contraction to FMAs, as nms.

#include "cuda/boxes.h"
#include "cuda/reduce.h"
#include "kernels/nms.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int kThreads = 512;

template <class T>
struct Best {
  T score;
  int64_t place;  // the first of equal ones
};
struct Better {
  template <class T>
  __device__ Best<T> operator()(const Best<T>& a, const Best<T>& b) const {
    if (a.score == b.score) return a.place < b.place ? a : b;
    return a.score > b.score ? a : b;
  }
};

template <class T>
struct Decay {
  T iou_threshold, minus_inverse_sigma, least;
  bool gaussian;
  __device__ T factor(T iou) const {
    if (gaussian) return math::exp(iou * iou * minus_inverse_sigma);
    return iou >= iou_threshold ? T(1) - iou : T(1);
  }
};

template <class T>
__device__ T overlap(const Box<T>& a, const Box<T>& b) {
  const T w = lower_of(a.x2, b.x2) - upper_of(a.x1, b.x1);
  const T h = lower_of(a.y2, b.y2) - upper_of(a.y1, b.y1);
  const T inter = w > T(0) && h > T(0) ? w * h : T(0);
  return inter > T(0) ? inter / ((a.area() + b.area()) - inter) : T(0);  // NaN: no overlap
}

// A score of -inf is a box that is gone.
template <class T>
__global__ void __launch_bounds__(kThreads, 1)
    soft_nms_kernel(const T* boxes, const T* scores, int64_t n, Decay<T> decay, T* left,
                    int64_t* keep, T* kept_scores, int64_t* count) {
  Best<T> best{-kInf<T>, n};
  for (int64_t i = threadIdx.x; i < n; i += kThreads) {
    left[i] = scores[i] >= decay.least ? scores[i] : -kInf<T>;
    best = Better()(best, Best<T>{left[i], i});
  }
  best = block_fold<kThreads>(best, Better());
  int64_t kept = 0;
  while (best.score != -kInf<T>) {
    const int64_t taken = best.place;
    const Box<T> box = load_box(boxes, taken);
    if (threadIdx.x == 0) {
      keep[kept] = taken;
      kept_scores[kept] = best.score;
    }
    ++kept;
    best = {-kInf<T>, n};
    for (int64_t i = threadIdx.x; i < n; i += kThreads) {
      const T before = left[i];
      if (before == -kInf<T>) continue;
      T score = -kInf<T>;
      if (i != taken) score = before * decay.factor(overlap(load_box(boxes, i), box));
      if (!(score >= decay.least)) score = -kInf<T>;
      left[i] = score;
      best = Better()(best, Best<T>{score, i});
    }
    best = block_fold<kThreads>(best, Better());
  }
  if (threadIdx.x == 0) *count = kept;
}

// keep = the boxes in the order in which they are taken, kept_scores = their lowered scores;
// `count` is their number. A score that is not at least `least` (NaN is not) is never taken; of
// equal ones the first is.
template <class T>
void soft_nms(const T* boxes, const T* scores, int64_t* keep, T* kept_scores, int64_t* count,
              int64_t n, T iou_threshold, T sigma, T least, bool gaussian) {
  const Scratch<T> left(n);
  launch(soft_nms_kernel<T>, Size{1, kThreads}, boxes, scores, n,
         Decay<T>{iou_threshold, T(-1) / sigma, least, gaussian}, left, keep, kept_scores, count);
}

}  // namespace

DLCORE_CUDA_EXPORT(soft_nms)

}  // namespace DLCORE_ISA
}  // namespace dlcore
