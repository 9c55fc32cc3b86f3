// Sums, products, extremes and their places.
#include <algorithm>

#include "check.h"

namespace dlcore {
namespace {

// Which result element i of x belongs to.
int64_t result_of(const Reduction& r, int64_t i) {
  return i / (r.reduced1 * r.kept2 * r.reduced2) * r.kept2 + i / r.reduced2 % r.kept2;
}

template <class T>
void sums(const Reduction& r) {
  const int64_t kept = r.kept1 * r.kept2, n = r.reduced1 * r.reduced2;
  const Values<T> x = numbers<T>(kept * n, -1.5, 1.5), shift = numbers<T>(kept, -0.5, 0.5, 3);
  Expected total(kept), sizes(kept), squares(kept), distances(kept);
  for (int64_t i = 0; i < kept * n; ++i) {
    const int64_t at = result_of(r, i);
    const Wide v = x[i], d = v - shift[at];
    total.add(at, v / 3);
    sizes.add(at, std::fabs(v));
    squares.add(at, v * v);
    distances.add(at, d * d / 3);
  }
  // Beside the additions, at most three roundings: distance (twice, squared), square, division.
  const double allowed = pairwise(n) + 2;
  check<T>("sum", total, allowed, [&](const auto& k, T* y) { k.sum(x.data(), y, r, T(3)); });
  check<T>("sum_abs", sizes, allowed, [&](const auto& k, T* y) { k.sum_abs(x.data(), y, r); });
  check<T>("sum_squares", squares, allowed,
           [&](const auto& k, T* y) { k.sum_squares(x.data(), nullptr, y, r, T(1)); });
  check<T>("sum_squares", distances, allowed,
           [&](const auto& k, T* y) { k.sum_squares(x.data(), shift.data(), y, r, T(3)); });
}

// Factors about `size`: 1, or so small or large that the product is denormal, 0 or inf. Every
// factor costs a rounding; beyond the normal numbers, what is missing is less than the smallest.
template <class T>
void products(const Reduction& r, double size) {
  const int64_t kept = r.kept1 * r.kept2, n = r.reduced1 * r.reduced2;
  const Values<T> x = numbers<T>(kept * n, 0.9 * size, 1.1 * size, 3);
  Expected product(kept);
  product.value.assign(kept, 1);
  for (int64_t i = 0; i < kept * n; ++i) product.value[result_of(r, i)] *= x[i];
  product.scale = product.value;
  check<T>("prod", product, static_cast<double>(n) / 2,
           [&](const auto& k, T* y) { k.prod(x.data(), y, r); });
}

// NaN wins; without one, the first of equal ones does.
template <class T>
void extremes(const Reduction& r, bool with_nan) {
  const int64_t kept = r.kept1 * r.kept2, n = r.reduced1 * r.reduced2;
  Values<T> x = numbers<T>(kept * n, -30, 30);
  for (T& v : x) v = std::floor(v);
  if (with_nan) x[kept * n / 2] = T(NAN);
  Expected high(kept), low(kept);
  high.value.assign(kept, -INFINITY);
  low.value.assign(kept, INFINITY);
  for (int64_t i = 0; i < kept * n; ++i) {
    Wide &top = high.value[result_of(r, i)], &bottom = low.value[result_of(r, i)];
    top = std::isnan(top + x[i]) ? NAN : std::max<Wide>(top, x[i]);
    bottom = std::isnan(bottom + x[i]) ? NAN : std::min<Wide>(bottom, x[i]);
  }
  check<T>("amax", high, 0, [&](const auto& k, T* y) { k.amax(x.data(), y, r); });
  check<T>("amin", low, 0, [&](const auto& k, T* y) { k.amin(x.data(), y, r); });
  if (r.reduced1 > 1 && r.reduced2 > 1) return;

  const int64_t inner = r.reduced2 > 1 ? 1 : r.kept2, outer = kept / inner;
  Expected first, last;  // of the largest and of the smallest
  for (int64_t at = 0; at < kept; ++at) {
    const auto index = [&](Wide wanted) {
      int64_t i = 0;
      for (;; ++i) {
        const T v = x[(at / inner * n + i) * inner + at % inner];
        if (v == wanted || (std::isnan(v) && std::isnan(wanted))) return i;
      }
    };
    first.push(index(high.value[at]));
    last.push(index(low.value[at]));
  }
  const auto indices = [&](const auto& kernel, T* y) {
    std::vector<int64_t> found(kept);
    kernel(x.data(), found.data(), outer, n, inner);
    std::copy(found.begin(), found.end(), y);
  };
  check<T>("argmax", first, 0, [&](const auto& k, T* y) { indices(k.argmax, y); });
  check<T>("argmin", last, 0, [&](const auto& k, T* y) { indices(k.argmin, y); });
}

template <class T>
void all() {
  // Rows, columns, both, one element, one result of several pieces.
  for (const Reduction& r : {Reduction{1, 1, 5, 1000},
                             {5, 1, 7, 3},
                             {1, 300, 7, 1},
                             {2, 19, 1100, 1},
                             {3, 17, 5, 9},
                             {1, 1, 3, 1},
                             {1, 1, 1, 150000},
                             {1, 40000, 3, 1}}) {
    sums<T>(r);
    extremes<T>(r, false);
    extremes<T>(r, true);
    products<T>(r, 1);
  }
  const double small = std::numeric_limits<T>::min();
  products<T>({1, 1, 9, 20}, std::pow(small, 1.03 / 20));  // denormal
  products<T>({1, 1, 9, 20}, std::pow(small, 0.1));        // 0
  products<T>({1, 1, 9, 20}, std::pow(small, -0.1));       // inf
}

}  // namespace

void check_reduction() {
  all<float>();
  all<double>();
}

}  // namespace dlcore
