// Boxes one by one, and how much two of them overlap.
#include <algorithm>

#include "check.h"

namespace dlcore {
namespace {

using Corners = Wide[4];  // x1, y1, x2, y2

// n boxes with sides of at least 1 within [0, 10).
template <class T>
Values<T> boxes(int64_t n, uint32_t seed) {
  Values<T> all = numbers<T>(4 * n, 0, 5, seed);
  for (int64_t i = 0; i < 4 * n; ++i)
    if (i % 4 >= 2) all[i] = all[i] * T(0.8) + T(1) + all[i - 2];
  return all;
}

template <class T>
void one_by_one(int64_t n) {
  const Values<T> x = boxes<T>(n, 1), dy = numbers<T>(4 * n, -1, 1, 3);
  const T a = T(0.5), b = T(0.25), c = T(-1), d = T(2), height = T(4), width = T(6);
  Expected turned, area, area_slope, clipped, clip_slope, large, count;
  for (int64_t i = 0; i < n; ++i) {
    const T* box = x.data() + 4 * i;
    const Wide w = Wide(box[2]) - box[0], h = Wide(box[3]) - box[1];
    for (int64_t j = 0; j < 4; ++j) {
      const Wide low = box[j % 2], high = box[j % 2 + 2];
      const Wide p = j < 2 ? a : c, q = j < 2 ? b : d;
      turned.push(p * low + q * high, std::fabs(p * low) + std::fabs(q * high));
      const T top = j % 2 ? height : width, value = box[j], g = dy[4 * i + j];
      clipped.push(std::clamp(value, T(0), top));
      clip_slope.push(value >= 0 && value <= top ? g : 0);
      // Each side is a difference, rounded at the size of its ends.
      area_slope.push((j < 2 ? -1 : 1) * (j % 2 ? w : h) * dy[i], dy[i] * 10);
    }
    area.push(w * h, 10 * (w + h));
    if (w >= 3 && h >= 3) large.push(i);
  }
  count.push(large.size());
  check<T>("box_convert", turned, 1.5,
           [&](const auto& k, T* y) { k.box_convert(x.data(), y, n, a, b, c, d); });
  check<T>("box_area", area, 1, [&](const auto& k, T* y) { k.box_area(x.data(), y, n); });
  check<T>("box_area_backward", area_slope, 1,
           [&](const auto& k, T* dx) { k.box_area_backward(x.data(), dy.data(), dx, n); });
  check<T>("clip_boxes", clipped, 0,
           [&](const auto& k, T* y) { k.clip_boxes(x.data(), y, n, height, width); });
  check<T>("clip_boxes_backward", clip_slope, 0, [&](const auto& k, T* dx) {
    k.clip_boxes_backward(x.data(), dy.data(), dx, n, height, width);
  });
  check<T>("large_boxes", {{large, 0}, {count, 0}}, [&](const KernelTable<T>& k, T* const* to) {
    std::vector<int64_t> keep(n);
    int64_t kept = 0;
    k.large_boxes(x.data(), keep.data(), &kept, n, T(3));
    std::copy(keep.begin(), keep.begin() + large.size(), to[0]);
    to[1][0] = static_cast<T>(kept);
  });
}

Wide angle(const Corners& box) {
  return std::atan((box[2] - box[0]) / (box[3] - box[1]));
}
Wide area(const Corners& box) {
  return (box[2] - box[0]) * (box[3] - box[1]);
}

// The measure; `alpha` is the weight of the shape, made here when it is null and kept in it.
Wide measured(Overlap measure, const Corners& a, const Corners& b, Wide eps_union, Wide eps,
              Wide& alpha, bool given) {
  Wide inter = 1, outer = 1, diagonal = eps, distance = 0;
  for (int i = 0; i < 2; ++i) {
    inter *= std::max(std::min(a[i + 2], b[i + 2]) - std::max(a[i], b[i]), 0.0L);
    const Wide side = std::max(a[i + 2], b[i + 2]) - std::min(a[i], b[i]);
    const Wide apart = (a[i] + a[i + 2] - b[i] - b[i + 2]) / 2;
    outer *= side;
    diagonal += side * side;
    distance += apart * apart;
  }
  const Wide both = area(a) + area(b) - inter, iou = inter / (both + eps_union);
  if (measure == Overlap::iou) return iou;
  if (measure == Overlap::giou) return iou - (outer - both) / (outer + eps_union);
  if (measure == Overlap::diou) return iou - distance / diagonal;
  const Wide v = 4 / (kPi * kPi) * (angle(a) - angle(b)) * (angle(a) - angle(b));
  if (!given) alpha = v / (1 - iou + v + eps);
  return iou - distance / diagonal - alpha * v;
}

// The derivative by coordinate i of a, alpha kept: differences of the fourth order, whose error is
// some 1e-16, a double's eps.
Wide slope(Overlap measure, const Corners& a, const Corners& b, int i, Wide eps_union, Wide eps) {
  Wide alpha = 0;
  measured(measure, a, b, eps_union, eps, alpha, false);
  const Wide h = 1e-4L;
  const auto at = [&](Wide step) {
    Corners moved = {a[0], a[1], a[2], a[3]};
    moved[i] += step;
    return measured(measure, moved, b, eps_union, eps, alpha, true);
  };
  return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
}

// Some 24 roundings of numbers up to 1 in a measure, twice that and as many in its gradient: as in
// chain().
const double kMeasure = std::sqrt(24), kSlope = 1 + std::sqrt(72);

template <class T>
void overlaps(int64_t n, int64_t m, Overlap measure) {
  const Values<T> a = boxes<T>(n, 5), b = boxes<T>(m, 7), dy = numbers<T>(n * m, -1, 1, 9);
  const Wide eps = T(0.0009765625), scale = 0.5L;
  const auto corners = [](const Values<T>& of, int64_t i, Corners& to) {
    for (int j = 0; j < 4; ++j) to[j] = of[4 * i + j];
  };
  Expected pairs, pairs_slope(4 * n), losses, losses_slope;
  Wide alpha = 0;
  for (int64_t i = 0; i < n; ++i) {
    Corners p, q;
    corners(a, i, p);
    for (int64_t j = 0; j < m; ++j) {
      corners(b, j, q);
      pairs.push(measured(measure, p, q, 0, eps, alpha, false), 1);
      for (int l = 0; l < 4; ++l) {
        pairs_slope.value[4 * i + l] += dy[i * m + j] * slope(measure, p, q, l, 0, eps);
        pairs_slope.scale[4 * i + l] += 1;
      }
    }
    corners(b, i % m, q);
    losses.push(1 - measured(measure, p, q, eps, eps, alpha, false), 1);
    for (int l = 0; l < 4; ++l)
      losses_slope.push(-scale * dy[i] * slope(measure, p, q, l, eps, eps), 1);
  }
  check<T>("box_iou", pairs, kMeasure,
           [&](const auto& k, T* y) { k.box_iou(a.data(), b.data(), y, n, m, measure, T(eps)); });
  check<T>("box_iou_backward", pairs_slope, kSlope, [&](const auto& k, T* da) {
    k.box_iou_backward(a.data(), b.data(), dy.data(), da, n, m, measure, T(eps));
  });
  Values<T> other;
  for (int64_t i = 0; i < n; ++i)
    other.insert(other.end(), b.begin() + 4 * (i % m), b.begin() + 4 * (i % m) + 4);
  check<T>("box_loss", losses, kMeasure,
           [&](const auto& k, T* y) { k.box_loss(a.data(), other.data(), y, n, measure, T(eps)); });
  check<T>("box_loss_backward", losses_slope, kSlope, [&](const auto& k, T* da) {
    k.box_loss_backward(a.data(), other.data(), dy.data(), 1, T(scale), da, n, measure, T(eps));
  });
}

template <class T>
void all() {
  for (const int64_t n : {1, 15, 17, 9000}) one_by_one<T>(n);
  for (const Overlap measure : {Overlap::iou, Overlap::giou, Overlap::diou, Overlap::ciou}) {
    overlaps<T>(1, 1, measure);
    overlaps<T>(40, 19, measure);
  }
}

}  // namespace

void check_boxes() {
  all<float>();
  all<double>();
}

}  // namespace dlcore
