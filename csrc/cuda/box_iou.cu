// How much two boxes overlap, for all pairs or one by one, and its gradient.
//
// All measures come from the intersection I, the union U, the enclosing box (its area C, its
// diagonal c) and the distance r of the centres:
//   iou  = I / U                       giou = iou - (C - U) / C
//   diou = iou - r^2 / c^2             ciou = diou - alpha v
//   v = 4 / pi^2 (atan(w1 / h1) - atan(w2 / h2))^2, alpha = v / (1 - iou + v), a constant for
//   the gradient, as its authors define it.
// For pairs, eps is added to c^2 and to the denominator of alpha; for losses to those of iou and
// giou too.
//
// Compiled without contraction to FMAs: the bits of the CPU, and the intersection over union that
// nms compares with.

#include "cuda/boxes.h"
#include "cuda/each.h"
#include "cuda/reduce.h"
#include "kernels/boxes.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
constexpr T kFourByPiSquared = T(0.40528473456935108577551785283891);

// atan(x) for x >= 0 or NaN, to 4 roundings: 1 / x above 1, the half angle twice, then Taylor's
// series, whose first term left out is tan(pi / 16)^25 / 25 < 1e-18.
template <class T>
__device__ T atan_of_positive(T x) {
  const bool large = x > T(1);
  T t = large ? T(1) / x : x;
  for (int half = 0; half < 2; ++half) t = t / (T(1) + math::sqrt(T(1) + t * t));
  const T z = t * t;
  T series = T(-1.0 / 23);
#pragma unroll
  for (int k = 21; k >= 1; k -= 2) series = series * z + (k % 4 == 1 ? T(1.0 / k) : T(-1.0 / k));
  const T angle = T(4) * (t * series);
  return large ? T(1.57079632679489661923) - angle : angle;
}

// The shape of a box as an angle.
template <class T>
__device__ T angle_of(const Box<T>& box) {
  const T ratio = box.width() / box.height(), angle = atan_of_positive(math::abs(ratio));
  return ratio < T(0) || (ratio == T(0) && T(1) / ratio < T(0)) ? -angle : angle;
}

// A box and what its pairs share.
template <class T>
struct Measured : Box<T> {
  T area, angle;
};
template <class T, Overlap kMeasure>
__device__ Measured<T> measured(const Box<T>& box) {
  return {box, box.area(), kMeasure == Overlap::ciou ? angle_of(box) : T(0)};
}

template <class T>
__device__ T square(T x) {
  return x * x;
}

// The parts of the measures. eps_union is eps for losses, 0 for pairs.
template <class T>
struct Parts {
  T inter_w, inter_h;  // at least 0
  T inter, union_area, iou;
  T outer_w, outer_h;  // of the enclosing box
  T across, down;      // from centre to centre

  __device__ Parts(const Measured<T>& a, const Measured<T>& b, T eps_union) {
    inter_w = lower_of(a.x2, b.x2) - upper_of(a.x1, b.x1);
    inter_h = lower_of(a.y2, b.y2) - upper_of(a.y1, b.y1);
    inter_w = inter_w > T(0) ? inter_w : T(0);
    inter_h = inter_h > T(0) ? inter_h : T(0);
    inter = inter_w * inter_h;
    union_area = (a.area + b.area) - inter;
    iou = inter / (union_area + eps_union);
    outer_w = upper_of(a.x2, b.x2) - lower_of(a.x1, b.x1);
    outer_h = upper_of(a.y2, b.y2) - lower_of(a.y1, b.y1);
    across = ((a.x1 + a.x2) - (b.x1 + b.x2)) * T(0.5);
    down = ((a.y1 + a.y2) - (b.y1 + b.y2)) * T(0.5);
  }
};

template <class T>
__device__ T weight_of_shape(T v, T iou, T eps) {
  return v / (((T(1) - iou) + v) + eps);
}

template <class T, Overlap kMeasure>
__device__ T measure(const Measured<T>& a, const Measured<T>& b, T eps_union, T eps) {
  const Parts<T> p(a, b, eps_union);
  if constexpr (kMeasure == Overlap::iou) return p.iou;
  if constexpr (kMeasure == Overlap::giou) {
    const T outer = p.outer_w * p.outer_h;
    return p.iou - (outer - p.union_area) / (outer + eps_union);
  }
  const T diagonal = (square(p.outer_w) + square(p.outer_h)) + eps;
  const T diou = p.iou - (square(p.across) + square(p.down)) / diagonal;
  if constexpr (kMeasure == Overlap::diou) return diou;
  const T v = kFourByPiSquared<T> * square(a.angle - b.angle);
  return diou - weight_of_shape(v, p.iou, eps) * v;
}

// 1 where a decides max(a, b), 1/2 on a tie, else 0; exchange for min.
template <class T>
__device__ T decides(T a, T b) {
  return a > b ? T(1) : a == b ? T(0.5) : T(0);
}

// The gradient of g * measure(a, b) with respect to a.
template <class T, Overlap kMeasure>
__device__ Box<T> slopes(const Measured<T>& a, const Measured<T>& b, T g, T eps_union, T eps) {
  const Parts<T> p(a, b, eps_union);
  const T over_union = g / (p.union_area + eps_union);
  T d_union = -over_union * p.iou;   // the gradient of U = area + area - I
  T outer_w = T(0), outer_h = T(0);  // and of the enclosing box's sides
  Box<T> d{};
  if constexpr (kMeasure == Overlap::giou) {
    const T outer = p.outer_w * p.outer_h;
    const T over_outer = g / (outer + eps_union);
    const T d_outer = -over_outer * ((p.union_area + eps_union) / (outer + eps_union));
    d_union += over_outer;
    outer_w = d_outer * p.outer_h;
    outer_h = d_outer * p.outer_w;
  }
  if constexpr (kMeasure == Overlap::diou || kMeasure == Overlap::ciou) {
    const T diagonal = (square(p.outer_w) + square(p.outer_h)) + eps;
    const T over = g / diagonal;
    const T grow = T(2) * over * ((square(p.across) + square(p.down)) / diagonal);
    outer_w = grow * p.outer_w;
    outer_h = grow * p.outer_h;
    const T across = -over * p.across, down = -over * p.down;  // 2 of the square, 1/2 of x1
    d = {across, down, across, down};
  }
  if constexpr (kMeasure == Overlap::ciou) {
    const T turn = a.angle - b.angle;
    const T v = kFourByPiSquared<T> * square(turn);
    const T alpha = weight_of_shape(v, p.iou, eps);
    const T d_angle = T(-2) * kFourByPiSquared<T> * (g * alpha * turn);
    const T w = a.width(), h = a.height();
    const T per_side = d_angle / (square(w) + square(h));
    const T dw = per_side * h, dh = -per_side * w;
    d.x1 -= dw, d.x2 += dw, d.y1 -= dh, d.y2 += dh;
  }
  const T d_inter = over_union - d_union;
  const bool meet = p.inter_w > T(0) && p.inter_h > T(0);
  const T dw = meet ? d_inter * p.inter_h : T(0), dh = meet ? d_inter * p.inter_w : T(0);
  const T tall = d_union * a.height(), wide = d_union * a.width();
  d.x1 -= dw * decides(a.x1, b.x1) + outer_w * decides(b.x1, a.x1) + tall;
  d.y1 -= dh * decides(a.y1, b.y1) + outer_h * decides(b.y1, a.y1) + wide;
  d.x2 += dw * decides(b.x2, a.x2) + outer_w * decides(a.x2, b.x2) + tall;
  d.y2 += dh * decides(b.y2, a.y2) + outer_h * decides(a.y2, b.y2) + wide;
  return d;
}

// f.template operator()<measure>()
template <class F>
void with_measure(Overlap measure, const F& f) {
  switch (measure) {
    case Overlap::iou:
      return f.template operator()<Overlap::iou>();
    case Overlap::giou:
      return f.template operator()<Overlap::giou>();
    case Overlap::diou:
      return f.template operator()<Overlap::diou>();
    case Overlap::ciou:
      return f.template operator()<Overlap::ciou>();
  }
}

template <class T, Overlap kMeasure>
struct Pairs {
  const T *a, *b;
  T* y;
  int64_t m;
  T eps;
  template <class Index>
  __device__ void at(Index i) const {
    const Index row = i / static_cast<Index>(m), column = i - row * static_cast<Index>(m);
    y[i] = measure<T, kMeasure>(measured<T, kMeasure>(load_box(a, row)),
                                measured<T, kMeasure>(load_box(b, column)), T(0), eps);
  }
};

// y[i, j] = measure(a[i], b[j]). NaN where the union is empty.
template <class T>
void box_iou(const T* a, const T* b, T* y, int64_t n, int64_t m, Overlap measure, T eps) {
  with_measure(measure, [=]<Overlap kMeasure>() {
    each(n * m, 4 * larger(n, m), Pairs<T, kMeasure>{a, b, y, m, eps});
  });
}

// A box of a to a warp.
template <class T, Overlap kMeasure>
__global__ void __launch_bounds__(kBlock, 2)
    pairs_backward_kernel(const T* a, const T* b, const T* dy, T* da, int64_t n, int64_t m, T eps) {
  constexpr int kRows = kBlock / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int64_t i = int64_t(blockIdx.x) * kRows + threadIdx.x / kWarp; i < n;
       i += int64_t(gridDim.x) * kRows) {
    const Measured<T> first = measured<T, kMeasure>(load_box(a, i));
    Box<T> sum{};
    for (int64_t j = lane; j < m; j += kWarp) {
      const T g = dy[i * m + j];
      if (g == T(0)) continue;
      const Measured<T> second = measured<T, kMeasure>(load_box(b, j));
      const Box<T> d = slopes<T, kMeasure>(first, second, g, T(0), eps);
      sum.x1 += d.x1, sum.y1 += d.y1, sum.x2 += d.x2, sum.y2 += d.y2;
    }
    sum = {warp_fold(sum.x1, Plus()), warp_fold(sum.y1, Plus()), warp_fold(sum.x2, Plus()),
           warp_fold(sum.y2, Plus())};
    if (lane == 0) store_box(da, i, sum);
  }
}

// da[i] = sum over j of dy[i, j] times the gradient of y[i, j]. Every measure is symmetric: db is
// this with the boxes exchanged and dy transposed. A pair with dy = 0 adds nothing.
template <class T>
void box_iou_backward(const T* a, const T* b, const T* dy, T* da, int64_t n, int64_t m,
                      Overlap measure, T eps) {
  with_measure(measure, [=]<Overlap kMeasure>() {
    launch(pairs_backward_kernel<T, kMeasure>, Size{blocks_for(n, kBlock / kWarp), kBlock}, a, b,
           dy, da, n, m, eps);
  });
}

template <class T, Overlap kMeasure>
struct Loss {
  const T *a, *b;
  T* y;
  T eps;
  template <class Index>
  __device__ void at(Index i) const {
    y[i] = T(1) - measure<T, kMeasure>(measured<T, kMeasure>(load_box(a, i)),
                                       measured<T, kMeasure>(load_box(b, i)), eps, eps);
  }
};

// y[i] = 1 - measure(a[i], b[i]).
template <class T>
void box_loss(const T* a, const T* b, T* y, int64_t n, Overlap measure, T eps) {
  with_measure(measure,
               [=]<Overlap kMeasure>() { each(n, 4 * n, Loss<T, kMeasure>{a, b, y, eps}); });
}

template <class T, Overlap kMeasure>
struct LossBack {
  const T *a, *b, *dy;
  int64_t dy_step;
  T scale;
  T* da;
  T eps;
  template <class Index>
  __device__ void at(Index i) const {
    const T g = dy[i * dy_step] * -scale;
    store_box(da, i,
              slopes<T, kMeasure>(measured<T, kMeasure>(load_box(a, i)),
                                  measured<T, kMeasure>(load_box(b, i)), g, eps, eps));
  }
};

// da = dy times scale times the gradient of the loss; dy_step is 0 for one dy for all.
template <class T>
void box_loss_backward(const T* a, const T* b, const T* dy, int64_t dy_step, T scale, T* da,
                       int64_t n, Overlap measure, T eps) {
  with_measure(measure, [=]<Overlap kMeasure>() {
    each(n, 4 * n, LossBack<T, kMeasure>{a, b, dy, dy_step, scale, da, eps});
  });
}

}  // namespace

DLCORE_CUDA_EXPORT(box_iou)
DLCORE_CUDA_EXPORT(box_iou_backward)
DLCORE_CUDA_EXPORT(box_loss)
DLCORE_CUDA_EXPORT(box_loss_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
