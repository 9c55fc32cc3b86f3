// How much two boxes overlap, for all pairs or one by one, and its gradient.
//
// All measures come from the intersection I, the union U, the enclosing box (its area C, its
// diagonal c) and the distance r of the centres:
//   iou  = I / U                       giou = iou - (C - U) / C
//   diou = iou - r^2 / c^2             ciou = diou - alpha v
//   v = 4 / pi^2 (atan(w1 / h1) - atan(w2 / h2))^2, alpha = v / (1 - iou + v), a constant for
//   the gradient, as its authors define it.
// For pairs, eps is added to c^2 and to the denominator of alpha; for losses to those of iou and
// giou too. Bound by the divisions: two to four for each pair.
//
// Compiled without FMA contraction: the same bits on every instruction set, and the intersection
// over union that nms compares with.

#include "cpu/boxes.h"
#include "cpu/simd_math.h"
#include "kernels/boxes.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kPairCost = 16;  // a vector of pairs: about 16 cycles a division

template <class T>
constexpr T kFourByPiSquared = T(0.40528473456935108577551785283891);

// atan(x) for x >= 0 or NaN, to 4 roundings: 1 / x above 1, the half angle twice, then Taylor's
// series, whose first term left out is tan(pi / 16)^25 / 25 < 1e-18.
template <class T>
DLCORE_INLINE Vec<T> atan_of_positive(Vec<T> x) {
  const Mask<T> large = x > T(1);
  Vec<T> t = large ? T(1) / x : x;
  for (int half = 0; half < 2; ++half) t = t / (T(1) + sqrt<T>(T(1) + t * t));
  const Vec<T> z = t * t;
  const Vec<T> series =
      polynomial<T>(z, -1.0 / 23, 1.0 / 21, -1.0 / 19, 1.0 / 17, -1.0 / 15, 1.0 / 13, -1.0 / 11,
                    1.0 / 9, -1.0 / 7, 1.0 / 5, -1.0 / 3, 1.0);
  const Vec<T> angle = T(4) * (t * series);
  return large ? T(1.57079632679489661923) - angle : angle;
}

// The shape of a box as an angle.
template <class T>
DLCORE_INLINE Vec<T> angle_of(const Box<T>& box) {
  const Vec<T> ratio = box.width() / box.height();
  return copy_sign<T>(atan_of_positive<T>(abs<T>(ratio)), ratio);
}

// A box and what its pairs share.
template <class T>
struct Measured : Box<T> {
  Vec<T> area, angle;
};

template <class T, Overlap kMeasure>
DLCORE_INLINE Measured<T> measured(const Box<T>& box) {
  return {box, box.area(), kMeasure == Overlap::ciou ? angle_of<T>(box) : Vec<T>{}};
}

template <class T>
DLCORE_INLINE Vec<T> square(Vec<T> x) {
  return x * x;
}

// The parts of the measures. eps_union is eps for losses, 0 for pairs.
template <class T>
struct Parts {
  Vec<T> inter_w, inter_h;  // at least 0
  Vec<T> inter, union_area, iou;
  Vec<T> outer_w, outer_h;  // of the enclosing box
  Vec<T> across, down;      // from centre to centre

  DLCORE_INLINE_MEMBER Parts(const Measured<T>& a, const Measured<T>& b, T eps_union) {
    inter_w = min<T>(a.x2, b.x2) - max<T>(a.x1, b.x1);
    inter_h = min<T>(a.y2, b.y2) - max<T>(a.y1, b.y1);
    inter_w = inter_w > T(0) ? inter_w : Vec<T>{};
    inter_h = inter_h > T(0) ? inter_h : Vec<T>{};
    inter = inter_w * inter_h;
    union_area = (a.area + b.area) - inter;
    iou = inter / (union_area + eps_union);
    outer_w = max<T>(a.x2, b.x2) - min<T>(a.x1, b.x1);
    outer_h = max<T>(a.y2, b.y2) - min<T>(a.y1, b.y1);
    across = ((a.x1 + a.x2) - (b.x1 + b.x2)) * T(0.5);
    down = ((a.y1 + a.y2) - (b.y1 + b.y2)) * T(0.5);
  }
};

template <class T>
DLCORE_INLINE Vec<T> weight_of_shape(Vec<T> v, Vec<T> iou, T eps) {
  return v / (((T(1) - iou) + v) + eps);
}

template <class T, Overlap kMeasure>
DLCORE_INLINE Vec<T> measure(const Measured<T>& a, const Measured<T>& b, T eps_union, T eps) {
  const Parts<T> p(a, b, eps_union);
  if constexpr (kMeasure == Overlap::iou) return p.iou;
  if constexpr (kMeasure == Overlap::giou) {
    const Vec<T> outer = p.outer_w * p.outer_h;
    return p.iou - (outer - p.union_area) / (outer + eps_union);
  }
  const Vec<T> diagonal = (square<T>(p.outer_w) + square<T>(p.outer_h)) + eps;
  const Vec<T> diou = p.iou - (square<T>(p.across) + square<T>(p.down)) / diagonal;
  if constexpr (kMeasure == Overlap::diou) return diou;
  const Vec<T> v = kFourByPiSquared<T> * square<T>(a.angle - b.angle);
  return diou - weight_of_shape<T>(v, p.iou, eps) * v;
}

// 1 where a decides max(a, b), 1/2 on a tie, else 0; exchange for min.
template <class T>
DLCORE_INLINE Vec<T> decides(Vec<T> a, Vec<T> b) {
  return a > b ? splat<T>(T(1)) : (a == b ? splat<T>(T(0.5)) : Vec<T>{});
}

// The gradient of g * measure(a, b) with respect to a.
template <class T, Overlap kMeasure>
DLCORE_INLINE Box<T> slopes(const Measured<T>& a, const Measured<T>& b, Vec<T> g, T eps_union,
                            T eps) {
  const Parts<T> p(a, b, eps_union);
  const Vec<T> over_union = g / (p.union_area + eps_union);
  Vec<T> d_union = -over_union * p.iou;  // the gradient of U = area + area - I
  Vec<T> outer_w{}, outer_h{};           // and of the enclosing box's sides
  Box<T> d{};
  if constexpr (kMeasure == Overlap::giou) {
    const Vec<T> outer = p.outer_w * p.outer_h;
    const Vec<T> over_outer = g / (outer + eps_union);
    const Vec<T> d_outer = -over_outer * ((p.union_area + eps_union) / (outer + eps_union));
    d_union += over_outer;
    outer_w = d_outer * p.outer_h;
    outer_h = d_outer * p.outer_w;
  }
  if constexpr (kMeasure == Overlap::diou || kMeasure == Overlap::ciou) {
    const Vec<T> diagonal = (square<T>(p.outer_w) + square<T>(p.outer_h)) + eps;
    const Vec<T> over = g / diagonal;
    const Vec<T> grow = T(2) * over * ((square<T>(p.across) + square<T>(p.down)) / diagonal);
    outer_w = grow * p.outer_w;
    outer_h = grow * p.outer_h;
    const Vec<T> across = -over * p.across, down = -over * p.down;  // 2 of the square, 1/2 of x1
    d = {across, down, across, down};
  }
  if constexpr (kMeasure == Overlap::ciou) {
    const Vec<T> turn = a.angle - b.angle;
    const Vec<T> v = kFourByPiSquared<T> * square<T>(turn);
    const Vec<T> alpha = weight_of_shape<T>(v, p.iou, eps);
    const Vec<T> d_angle = T(-2) * kFourByPiSquared<T> * (g * alpha * turn);
    const Vec<T> w = a.width(), h = a.height();
    const Vec<T> per_side = d_angle / (square<T>(w) + square<T>(h));
    const Vec<T> dw = per_side * h, dh = -per_side * w;
    d.x1 -= dw, d.x2 += dw, d.y1 -= dh, d.y2 += dh;
  }
  const Vec<T> d_inter = over_union - d_union;
  const Mask<T> meet = (p.inter_w > T(0)) & (p.inter_h > T(0));
  const Vec<T> dw = meet ? d_inter * p.inter_h : Vec<T>{};
  const Vec<T> dh = meet ? d_inter * p.inter_w : Vec<T>{};
  const Vec<T> tall = d_union * a.height(), wide = d_union * a.width();
  d.x1 -= dw * decides<T>(a.x1, b.x1) + outer_w * decides<T>(b.x1, a.x1) + tall;
  d.y1 -= dh * decides<T>(a.y1, b.y1) + outer_h * decides<T>(b.y1, a.y1) + wide;
  d.x2 += dw * decides<T>(b.x2, a.x2) + outer_w * decides<T>(a.x2, b.x2) + tall;
  d.y2 += dh * decides<T>(b.y2, a.y2) + outer_h * decides<T>(a.y2, b.y2) + wide;
  return d;
}

// The boxes b in columns, of whole vectors.
template <class T>
class Columns {
 public:
  template <class Fill>
  Columns(int64_t m, const Fill& fill)
      : width_(round_up(m, kLanes<T>)),
        block_(static_cast<T*>(buffer_acquire(static_cast<size_t>(6 * width_ + 1) * sizeof(T)))) {
    for (int64_t j = 0; j < m; j += kLanes<T>) {
      const Measured<T> box = fill(j);
      const Vec<T> all[6] = {box.x1, box.y1, box.x2, box.y2, box.area, box.angle};
      for (int64_t i = 0; i < 6; ++i) store<T>(block_ + i * width_ + j, all[i]);
    }
  }
  Columns(const Columns&) = delete;
  ~Columns() { buffer_release(block_); }
  DLCORE_INLINE_MEMBER Measured<T> at(int64_t j) const {
    const T* p = block_ + j;
    return {{load<T>(p), load<T>(p + width_), load<T>(p + 2 * width_), load<T>(p + 3 * width_)},
            load<T>(p + 4 * width_),
            load<T>(p + 5 * width_)};
  }

 private:
  int64_t width_;
  T* block_;
};

template <class T, Overlap kMeasure>
DLCORE_INLINE Columns<T> columns(const T* b, int64_t m) {
  return Columns<T>(m, [=](int64_t j) {
    return measured<T, kMeasure>(load_boxes<T>(b + 4 * j, smaller(kLanes<T>, m - j)));
  });
}

template <class T, Overlap kMeasure>
DLCORE_INLINE Measured<T> repeated(const T* p) {
  return measured<T, kMeasure>(
      Box<T>{splat<T>(p[0]), splat<T>(p[1]), splat<T>(p[2]), splat<T>(p[3])});
}

// f(constant) for the measure as a compile-time constant.
template <Overlap kMeasure>
struct MeasureIs {
  static constexpr Overlap value = kMeasure;
};
template <class F>
DLCORE_INLINE void with_measure(Overlap measure, const F& f) {
  switch (measure) {
    case Overlap::iou:
      return f(MeasureIs<Overlap::iou>{});
    case Overlap::giou:
      return f(MeasureIs<Overlap::giou>{});
    case Overlap::diou:
      return f(MeasureIs<Overlap::diou>{});
    case Overlap::ciou:
      return f(MeasureIs<Overlap::ciou>{});
  }
}

// y[i, j] = measure(a[i], b[j]). NaN where the union is empty.
template <class T>
void box_iou(const T* a, const T* b, T* y, int64_t n, int64_t m, Overlap measure_, T eps) {
  with_measure(measure_, [=](auto is) {
    constexpr Overlap kMeasure = decltype(is)::value;
    const Columns<T> second = columns<T, kMeasure>(b, m);
    parallel_for(n, grain_for(m * kPairCost / 2), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const Measured<T> first = repeated<T, kMeasure>(a + 4 * i);
        for (int64_t j = 0; j < m; j += kLanes<T>)
          store_lanes<T>(y + i * m + j, smaller(kLanes<T>, m - j),
                         measure<T, kMeasure>(first, second.at(j), T(0), eps));
      }
    });
  });
}

// da[i] = sum over j of dy[i, j] times the gradient of y[i, j]. Every measure is symmetric: db is
// this with the boxes exchanged and dy transposed. A pair with dy = 0 adds nothing.
template <class T>
void box_iou_backward(const T* a, const T* b, const T* dy, T* da, int64_t n, int64_t m,
                      Overlap measure_, T eps) {
  with_measure(measure_, [=](auto is) {
    constexpr Overlap kMeasure = decltype(is)::value;
    const Columns<T> second = columns<T, kMeasure>(b, m);
    parallel_for(n, grain_for(m * kPairCost), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const Measured<T> first = repeated<T, kMeasure>(a + 4 * i);
        Box<T> sum{};
        for (int64_t j = 0; j < m; j += kLanes<T>) {
          const Vec<T> g = load_lanes<T>(dy + i * m + j, smaller(kLanes<T>, m - j));
          const Box<T> d = slopes<T, kMeasure>(first, second.at(j), g, T(0), eps);
          const Mask<T> counts = g != T(0);  // the lanes past m too
          sum.x1 += counts ? d.x1 : Vec<T>{};
          sum.y1 += counts ? d.y1 : Vec<T>{};
          sum.x2 += counts ? d.x2 : Vec<T>{};
          sum.y2 += counts ? d.y2 : Vec<T>{};
        }
        T* to = da + 4 * i;
        to[0] = hsum<T>(sum.x1), to[1] = hsum<T>(sum.y1);
        to[2] = hsum<T>(sum.x2), to[3] = hsum<T>(sum.y2);
      }
    });
  });
}

// y[i] = 1 - measure(a[i], b[i]).
template <class T>
void box_loss(const T* a, const T* b, T* y, int64_t n, Overlap measure_, T eps) {
  with_measure(measure_, [=](auto is) {
    constexpr Overlap kMeasure = decltype(is)::value;
    each_vector_of_boxes<T>(n, kPairCost, [=](int64_t i, int64_t count) {
      const Measured<T> first = measured<T, kMeasure>(load_boxes<T>(a + 4 * i, count));
      const Measured<T> second = measured<T, kMeasure>(load_boxes<T>(b + 4 * i, count));
      store_lanes<T>(y + i, count, T(1) - measure<T, kMeasure>(first, second, eps, eps));
    });
  });
}

// da = dy times scale times the gradient of the loss; dy_step is 0 for one dy for all.
template <class T>
void box_loss_backward(const T* a, const T* b, const T* dy, int64_t dy_step, T scale, T* da,
                       int64_t n, Overlap measure_, T eps) {
  with_measure(measure_, [=](auto is) {
    constexpr Overlap kMeasure = decltype(is)::value;
    each_vector_of_boxes<T>(n, 2 * kPairCost, [=](int64_t i, int64_t count) {
      const Measured<T> first = measured<T, kMeasure>(load_boxes<T>(a + 4 * i, count));
      const Measured<T> second = measured<T, kMeasure>(load_boxes<T>(b + 4 * i, count));
      const Vec<T> g = dy_step ? load_lanes<T>(dy + i, count) : splat<T>(*dy);
      store_boxes<T>(da + 4 * i, count, slopes<T, kMeasure>(first, second, g * -scale, eps, eps));
    });
  });
}

}  // namespace

DLCORE_EXPORT(box_iou)
DLCORE_EXPORT(box_iou_backward)
DLCORE_EXPORT(box_loss)
DLCORE_EXPORT(box_loss_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
