// Arithmetic on one array and, broadcast, on two.
#include <algorithm>

#include "unary.h"

namespace dlcore {
namespace {

Wide sign_of(Wide x) {
  return (x > 0) - (x < 0);
}
Wide gauss(Wide x) {  // the derivative of erf
  return 2 / std::sqrt(kPi) * std::exp(-x * x);
}

template <class T>
void unary() {
  using K = KernelTable<T>;
  // Limits: what the docstrings state; half an eps where a result is correctly rounded.
  check_table<T>(std::vector<Unary<T>>{
      {&K::exp, -9, 9, [](Wide x) { return std::exp(x); }, 1.2},
      {&K::expm1, -3, 3, [](Wide x) { return std::expm1(x); }, 1.8},
      {&K::log, 0.1, 90, [](Wide x) { return std::log(x); }, 0.8},
      {&K::log1p, -0.5, 9, [](Wide x) { return std::log1p(x); }, 1.5},
      {&K::erf, -3, 3, [](Wide x) { return std::erf(x); }, 3.1},
      {&K::sqrt, 0, 9, [](Wide x) { return std::sqrt(x); }, 0.5},
      {&K::rsqrt, 0.1, 9, [](Wide x) { return 1 / std::sqrt(x); }, 1.5},
      {&K::reciprocal, 0.1, 9, [](Wide x) { return 1 / x; }, 0.5},
      {&K::square, -9, 9, [](Wide x) { return x * x; }, 0.5},
      {&K::abs, -9, 9, [](Wide x) { return std::fabs(x); }, 0},
      {&K::neg, -9, 9, [](Wide x) { return -x; }, 0},
      {&K::sign, -9, 9, sign_of, 0},
  });
  check_table<T>(std::vector<Gradient<T>>{
      {&K::expm1_backward, -0.9, 9, [](Wide y) { return y + 1; }, 1,
       [](Wide y) { return std::fabs(y) + 1; }},
      {&K::log1p_backward, -0.5, 9, [](Wide x) { return 1 / (1 + x); }, 1},
      // exp, three products and a rounded constant; the rounded square root of 2 and its product
      // are an eps of the argument, which costs 2 x^2.
      {&K::erf_backward, -3, 3, gauss, 3.2, [](Wide x) { return gauss(x) * (1 + x * x); }},
      {&K::sqrt_backward, 0.5, 9, [](Wide y) { return 0.5 / y; }, 0.5},
      {&K::rsqrt_backward, 0.5, 2, [](Wide y) { return -0.5 * y * y * y; }, 1.5},
      {&K::reciprocal_backward, 0.5, 2, [](Wide y) { return -y * y; }, 1},
      {&K::square_backward, -9, 9, [](Wide x) { return 2 * x; }, 0.5},
      {&K::abs_backward, -9, 9, sign_of, 0},
  });
}

template <class T>
void clipping() {
  const T low = T(-0.5), high = T(1.5);
  for (const int64_t n : kLengths) {
    Values<T> x = numbers<T>(n, -3, 3);
    const Values<T> dy = numbers<T>(n, -2, 2, 7);
    if (n > 1) x[n - 1] = T(NAN);
    Expected y, dx;
    for (int64_t i = 0; i < n; ++i) {
      y.push(std::isnan(x[i]) ? x[i] : std::clamp(x[i], low, high));
      dx.push(x[i] >= low && x[i] <= high ? dy[i] : 0);
    }
    check<T>("clip", y, 0, [&](const auto& k, T* to) { k.clip(x.data(), to, n, low, high); });
    check<T>("clip_backward", dx, 0,
             [&](const auto& k, T* to) { k.clip_backward(x.data(), dy.data(), to, n, low, high); });
  }
}

// NaN where either is NaN.
Wide larger_of(Wide a, Wide b) {
  return std::isnan(a + b) ? NAN : std::max(a, b);
}
Wide smaller_of(Wide a, Wide b) {
  return std::isnan(a + b) ? NAN : std::min(a, b);
}

template <class T>
void binary(const Broadcast& shape, int64_t size_a, int64_t size_b) {
  using K = KernelTable<T>;
  struct Row {
    Kernel<void(const T*, const T*, T*, const Broadcast&)> K::* kernel;
    std::function<Wide(Wide, Wide)> f;
    double allowed;
    bool nan = false;  // also with a NaN on each side
  };
  const Row rows[] = {
      {&K::add, [](Wide a, Wide b) { return a + b; }, 0.5},
      {&K::sub, [](Wide a, Wide b) { return a - b; }, 0.5},
      {&K::mul, [](Wide a, Wide b) { return a * b; }, 0.5},
      {&K::div, [](Wide a, Wide b) { return a / b; }, 0.5},
      {&K::pow, [](Wide a, Wide b) { return std::pow(a, b); }, 1},
      {&K::maximum, larger_of, 0, true},
      {&K::minimum, smaller_of, 0, true},
      {&K::maximum_slope, [](Wide a, Wide b) { return ((a > b) + (a >= b)) / 2.0L; }, 0},
  };
  int64_t n = 1;
  for (int d = 0; d < shape.ndim; ++d) n *= shape.size[d];
  for (const Row& row : rows) {
    Values<T> a = numbers<T>(size_a, 0.5, 2), b = numbers<T>(size_b, 0.5, 2, 9);
    if (row.nan) a[size_a / 2] = b[size_b - 1] = T(NAN);
    Expected want;
    for (int64_t i = 0; i < n; ++i) {
      int64_t left = i, at_a = 0, at_b = 0;
      for (int d = shape.ndim - 1; d >= 0; --d) {
        at_a += left % shape.size[d] * shape.stride_a[d];
        at_b += left % shape.size[d] * shape.stride_b[d];
        left /= shape.size[d];
      }
      want.push(row.f(a[at_a], b[at_b]));
    }
    check<T>((kernels<T>().*row.kernel).name, want, row.allowed,
             [&](const K& k, T* y) { (k.*row.kernel)(a.data(), b.data(), y, shape); });
  }
}

template <class T>
void expanding(const Broadcast& shape, int64_t size) {
  const Values<T> a = numbers<T>(size, -1, 1);
  Expected want;
  for (int64_t i = 0; i < shape.size[0] * shape.size[1]; ++i)
    want.push(a[i / shape.size[1] * shape.stride_a[0] + i % shape.size[1] * shape.stride_a[1]]);
  check<T>("expand", want, 0, [&](const auto& k, T* y) { k.expand(a.data(), y, shape); });
}

template <class T>
void all() {
  unary<T>();
  clipping<T>();
  for (const int64_t n : {1, 15, 17, 1000, 40009}) binary<T>({1, {n}, {1}, {1}}, n, n);
  for (const int64_t cols : {1, 3, 16, 33, 700}) {
    binary<T>({2, {60, cols}, {cols, 1}, {0, 1}}, 60 * cols, cols);  // a bias
    binary<T>({2, {60, cols}, {0, 1}, {cols, 1}}, cols, 60 * cols);
    binary<T>({2, {60, cols}, {1, 0}, {cols, 1}}, 60, 60 * cols);
  }
  binary<T>({3, {4, 5, 19}, {19, 0, 1}, {0, 19, 1}}, 4 * 19, 5 * 19);
  expanding<T>({2, {7, 33}, {0, 1}, {}}, 33);
  expanding<T>({2, {7, 33}, {1, 0}, {}}, 7);
}

}  // namespace

void check_elementwise() {
  all<float>();
  all<double>();
}

}  // namespace dlcore
